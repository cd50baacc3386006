//! Trace context in every common header format and carrier, and the message ids of events.
//!
//! Comes in:   headers, message attributes, record envelopes, Lambda events, answers of AWS calls.
//! Goes out:   a `Context` with all that did not fit it, headers again, and [`Receipt`]s.
//! May touch:  nothing of ours. Never: sockets, files, clocks, tasks, configuration, logs.

#![warn(missing_docs)]
#![warn(clippy::indexing_slicing, clippy::cast_possible_truncation)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")
)]

mod answers;
mod b3;
mod baggage;
mod carrier;
pub mod carriers;
mod context;
mod datadog;
mod defect;
pub mod events;
mod fields;
mod found;
mod hex;
mod jaeger;
mod opentracing;
pub mod pointer;
mod propagator;
mod read;
pub mod receipt;
pub mod resource;
mod time;
pub mod tracestate;
mod w3c;
mod write;
pub mod xray;

pub use answers::{Call, receipts_of_answer};
pub use baggage::{Baggage, BaggageMember};
pub use carrier::Carrier;
pub use context::{Context, DatadogFields, Format, Sampling, UnknownFormat, formats};
pub use defect::{Defect, Quirk, Strictness};
pub use events::{
    Event, EventError, EventKind, receipts_of_event, receipts_of_invocation, receipts_of_value,
};
pub use fields::{FIELDS_MAX, Fields, VALUE_MAX_BYTES};
pub use found::Found;
pub use propagator::{Carried, Propagator};
pub use read::{CONFLICT_REASON, Conflict, Disagreement, Read, Reader, Seen};
pub use receipt::{Direction, MessageKey, Receipt, ReceiptError};
pub use resource::Resource;
pub use tracestate::TraceState;
pub use write::Writer;

/// The examples of the README are tested as documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
