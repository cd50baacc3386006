//! What the doctor names, and what it does not.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod brokers;
mod http;
mod ids;
mod order;
mod pairings;
mod parents;
mod process;
mod words;
mod world;
