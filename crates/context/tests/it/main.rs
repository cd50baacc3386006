//! The context crate from outside: formats, mixtures, carriers, events, answers, and the service.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod answers;
mod carriers;
mod conformance;
mod corpus;
mod events;
mod formats;
mod lab;
mod mixed;
mod propagator;
mod properties;
