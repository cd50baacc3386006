//! What keeps a workshop from going on.

use std::path::PathBuf;

use crate::front::StartError;

/// What keeps a workshop from going on.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A program that the workshop needs is not installed.
    #[error("{program} is missing: {hint}")]
    Missing {
        /// Its name.
        program: &'static str,
        /// How to get it.
        hint: &'static str,
    },
    /// A program ended badly.
    #[error("{command} failed ({status}):\n{said}")]
    Command {
        /// What was run.
        command: String,
        /// How it ended.
        status: String,
        /// The end of what it said.
        said: String,
    },
    /// A program did not do its part in time.
    #[error("{what} took longer than {seconds} s")]
    TooLong {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
    },
    /// The front door did not open.
    #[error("the local cloud did not start: {0}")]
    FrontDoor(#[from] StartError),
    /// Nobody answers.
    #[error("{url} does not answer: {reason}")]
    Unreachable {
        /// Who.
        url: String,
        /// Why, in the words of the HTTP client.
        reason: String,
    },
    /// An answer is not what it has to be.
    #[error("{url} answered {status}: {body}")]
    Answer {
        /// Who.
        url: String,
        /// Its status.
        status: u16,
        /// The start of its body.
        body: String,
    },
    /// A file of the run's own.
    #[error("cannot use {}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An option is out of bounds.
    #[error("{0}")]
    Options(String),
    /// The run was told to end.
    #[error("stopped")]
    Stopped,
}

impl LabError {
    /// For `map_err` where a file is used.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
