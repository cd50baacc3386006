//! The Lambda service with real processes.

mod api;
mod extensions;
mod failures;
mod layers;
mod lifecycle;
mod runtimes;
mod sources;
mod support;
mod tracing;
