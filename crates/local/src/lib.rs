//! The part of AWS that the workshops need, on this machine: one port, and Lambda functions as processes.
//!
//! Comes in:   HTTP requests of AWS clients (query, REST XML, JSON, REST JSON, CBOR) and calls to deployed APIs.
//! Goes out:   answers as AWS gives them; function processes, their logs, events and receipts.
//! May touch:  nothing of ours; sockets, processes, files below `--data`. Never: the user's credentials.

pub mod config;
pub mod front;
pub mod lab;
pub mod lambda;
pub mod seams;

mod cloud;
mod guard;
mod http;
mod ids;
mod place;
mod query;
mod route;
mod services;
mod snapshot;
mod sync;
mod upstream;
mod xml;

pub use config::LocalConfig;
pub use front::{Running, StartError, run};
pub use snapshot::SnapshotError;

/// A program for `NODE_OPTIONS=--require`, with which `serverless` 3 works against `AWS_ENDPOINT_URL`.
pub const SERVERLESS_PRELOAD: &str = include_str!("../tools/serverless.js");
