//! Lambda on this machine: functions are processes behind a real Runtime API. Start with [`Functions`].
//!
//! Comes in:   function settings, zips, calls, batches of records.
//! Goes out:   answers, log lines, X-Ray segments, receipts, processes that end with the service.
//! May touch:  the seams of this crate, processes, files below its folder. Never: the user's credentials.
//!
//! The way of a call: [`http`] reads it, [`Functions::invoke`] finds the version, `executor/pool` gives a process
//! or starts one, `executor/environment` drives it through `executor/runtime_api`, `logs` writes what it said.

mod code;
mod config;
mod courier;
mod error;
mod executor;
mod functions;
pub mod http;
mod invoke;
mod layers;
mod lines;
mod logs;
mod permissions;
pub mod receipts;
mod registry;
mod settings;
pub mod sources;
mod trace;
mod types;
pub(crate) mod unzip;

pub use code::Code;
pub use config::{LambdaConfig, LayerMapping, Surroundings};
pub use error::LambdaError;
pub use functions::{CodeChange, Functions};
pub use layers::{LayerVersion, PublishLayer};
pub use sources::{EventSourceMapping, EventSourceSpec, SnsMessage};
pub use types::{
    Caller, CodeSource, CreateFunction, Environment, EphemeralStorage, FunctionConfiguration,
    InvocationType, InvokeAnswer, InvokeOptions, LayerOfFunction, LoggingConfig, Permission,
    Settings, SnapStart, TracingConfig,
};
