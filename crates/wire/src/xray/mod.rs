//! X-Ray segment documents to spans, and any span to a segment document.
//!
//! One segment or subsegment is one span. What OTLP has a word for is kept under that word, what
//! it has none for under `xray.` (`throughline_model::xray`), and what is unknown or of an
//! unexpected type in one attribute, `xray.extra`: so the document that was sent can be written
//! again, whatever was in it.
//! Rule: X-Ray developer guide, "X-Ray segment documents", "Sending trace data to X-Ray".

mod cause;
mod datagram;
mod decode;
mod encode;
mod fields;
mod ids;
mod links;
mod otel;
mod outcome;
mod parts;
mod resource;
mod time;

pub use datagram::{DatagramError, datagram};
pub use decode::{SPANS_MAX, decode};
pub use encode::{EncodeAs, embed, encode, encode_as};
pub use outcome::{Code, DETAILS_MAX, Doubt, Options, Outcome, RejectedDocument};
