//! The real binary: started, asked, stopped, killed.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod commands;
mod lifecycle;
mod run;
