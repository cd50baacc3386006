//! Why a query gives no answer.

use throughline_store::ReadError;

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (at {at})")]
pub struct QueryError {
    /// What was expected and what came, one line.
    pub message: String,
    /// Where in the text, counted in characters from 0; its length when something lacks at the end.
    pub at: usize,
}

impl QueryError {
    /// An error at a character.
    pub fn new(message: impl Into<String>, at: usize) -> Self {
        Self { message: message.into(), at }
    }
}

/// Why a query that was understood could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store could not read what it holds.
    #[error("cannot read the stored spans: {0}")]
    Read(#[from] ReadError),
    /// The query would need more memory than a query may have. Ask for less time or fewer spans.
    #[error(
        "the query needs more than {limit_bytes} bytes of memory: narrow the time or the filter"
    )]
    TooLarge {
        /// What all queries together may have, in bytes.
        limit_bytes: usize,
    },
    /// A trace has more log records than are read at once.
    #[error("it has {found} log records, more than the {max} that are read at once")]
    TooManyRecords {
        /// How many it has, copies counted.
        found: u64,
        /// How many are read.
        max: u64,
    },
    /// Something of ours is broken; the text says what.
    #[error("cannot run the query: {0}")]
    Engine(String),
}
