//! The wire crate from outside: against `prost` as oracle, real recordings and bad bytes.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod answers;
mod bad_input;
mod content;
mod corpus;
mod generate;
mod json;
mod limits;
mod logs;
mod oracle;
mod recordings;
mod xray;
