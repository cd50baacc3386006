//! The two workshops, done by themselves: set up, run, looked at, checked and cleaned up.
//!
//! Comes in:   which workshop, where throughline is, where tools may be kept.
//! Goes out:   lines for a person in the workshop's own order, and a [`Report`] of what was checked.
//! May touch:  the front door of this crate, `npm`, `node`, the workshop's own tools, files below the cache folder.
//!             Never: the user's credentials.
//!
//! `kinesis` and `signup` are the workshops; the others are what they need: `files` (the folder `labs/`, carried in
//! the binary), `install` (npm, once), `ground` (where a run happens), `programs` (what it starts), `watch`
//! (throughline's answers), `calls` (HTTP).

mod calls;
mod error;
mod files;
mod ground;
mod install;
mod kinesis;
mod programs;
mod report;
mod signup;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

pub use error::LabError;
pub use install::{
    Toolbox, default_cache, is_installed, python_runtime, python_runtime_there, toolbox,
};
pub use report::{Check, Line, Report, Say};

use ground::Ground;

/// A workshop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lab {
    /// "Build a Distributed Trace": two functions with a Kinesis stream between them.
    Kinesis(Variant),
    /// X-Ray's module 4: a web application, a function, a table and a topic.
    Signup(Sdk),
}

/// Which of X-Ray's SDKs the sign-up application uses. The function is the same, in Node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// `aws-xray-sdk-core` for Node.
    Node,
    /// `aws-xray-sdk` for Python.
    Python,
}

/// Which part of the Kinesis lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The layer alone: the trace stops at the stream.
    Auto,
    /// The context travels in the record: the trace is whole.
    Manual,
    /// One after the other, as the workshop has it: the second by `sls deploy -f`.
    Both,
    /// As [`Variant::Manual`], in Rust: built here, for `provided.al2023`. No layer is used.
    Rust,
}

/// Where a running throughline is.
#[derive(Clone, Debug)]
pub struct Throughline {
    /// Page and API: `http://127.0.0.1:8900`.
    pub http: String,
    /// OTLP over HTTP: `http://127.0.0.1:4318`.
    pub otlp_http: String,
    /// The X-Ray daemon.
    pub xray: SocketAddr,
}

/// What a run is told.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// Where it is seen.
    pub throughline: Throughline,
    /// The front door to use, `http://127.0.0.1:4566`. `None`: one of the run's own, on any free port, that ends with
    /// it. One that is given must know the layer and the runtime of [`toolbox`], and send its X-Ray documents and
    /// receipts to the same throughline.
    pub front_door: Option<String>,
    /// Where tools are installed, once; see [`default_cache`].
    pub cache: PathBuf,
    /// The workshop's PREFIX: begins every name, and the environment is `PREFIX-apm-lambda`.
    pub prefix: String,
    /// A copy of the Kinesis workshop's own repository, with `auto` and `manual`, to follow the text with instead of
    /// the code that the binary carries. It is copied, never written to.
    pub repository: Option<PathBuf>,
    /// The folder `labs/kinesis/rust` of a checkout: [`Variant::Rust`] is built from it.
    pub rust_folder: PathBuf,
    /// How many requests are sent, from 2 to 1 000.
    pub requests: u32,
    /// Whether all stays up after the checks, until [`LabOptions::stop`].
    pub stay: bool,
    /// Ends the run, which still cleans up.
    pub stop: CancellationToken,
}

/// Does a workshop from its start to its end.
///
/// A promise that does not hold is a failed [`Check`] of the report; an error is what kept the run from going on.
/// Either way everything is cleaned up, and nothing that was started is left.
pub async fn run(lab: Lab, options: &LabOptions, say: &mut impl Say) -> Result<Report, LabError> {
    let mut ground = tokio::select! {
        ground = Ground::open(lab, options, say) => ground?,
        () = options.stop.cancelled() => return Err(LabError::Stopped),
    };
    let outcome = tokio::select! {
        outcome = follow(lab, &mut ground, options, say) => outcome,
        () = options.stop.cancelled() => Err(LabError::Stopped),
    };
    let cleaned = match lab {
        Lab::Kinesis(_) => kinesis::clean(&mut ground, options, say).await,
        Lab::Signup(_) => signup::clean(&mut ground, say).await,
    };
    ground.close().await;
    let mut report = outcome?;
    report.checks.extend(cleaned?);
    Ok(report)
}

async fn follow(
    lab: Lab,
    ground: &mut Ground,
    options: &LabOptions,
    say: &mut impl Say,
) -> Result<Report, LabError> {
    let report = match lab {
        Lab::Kinesis(variant) => kinesis::follow(variant, ground, options, say).await?,
        Lab::Signup(sdk) => signup::follow(sdk, ground, options, say).await?,
    };
    if options.stay {
        say.say(Line::Note("all stays up until you stop it"));
        options.stop.cancelled().await;
    }
    Ok(report)
}
