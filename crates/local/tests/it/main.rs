//! The local cloud in this process, driven through its socket.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod beanstalk;
mod contract;
mod harness;
mod lambda;
mod services;
mod stacks;
