//! Bytes to span batches and back, one folder per protocol.
//!
//! Comes in:   the inflated body of one request, and the builder to write its spans into.
//! Goes out:   [`Decoded`], the spans we could read and why we rejected the others; or bytes again.
//! May touch:  `model`. Never: sockets, files, clocks, tasks, configuration, logs.

#![warn(missing_docs)]
#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")
)]

mod decoded;
pub mod otlp;
pub mod xray;

pub use decoded::{
    DecodeError, Decoded, REJECTED_DETAILS_MAX, RejectReason, Rejected, Rejections, Warning,
    Warnings,
};
