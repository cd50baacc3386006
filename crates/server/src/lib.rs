//! The doors, the pipeline behind them, the APIs and the page. Start with [`pipeline`].
//!
//! Comes in:   bytes on sockets: OTLP over HTTP and gRPC, X-Ray over UDP and HTTP, questions, the page.
//! Goes out:   acknowledged spans in the store; answers, metrics and the page.
//! May touch:  every room but the binary, and sockets, clocks and tasks. Never: configuration files,
//!             the environment, the meaning of a query or of the map.

pub mod api;
pub mod config;
pub mod doors;
pub mod metrics;
pub mod page;
pub mod pipeline;
pub mod rejected;
pub mod serve;

mod app;
mod clock;
mod host_guard;
mod listener;
mod patient;
mod places;
mod query_pool;
mod routes;
mod segments;

pub use api::xray::OpenSettingsError;
pub use config::{DoorAddress, ServerConfig, XrayApi};
pub use serve::{Addresses, Running, StartError, serve};
