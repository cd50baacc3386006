//! The envelope of a Kinesis record: `{"tracecontext": {...}, "record": ...}`.
//!
//! In:   the record's data, decoded from base64.
//! Out:  the context's fields and the record within; or an envelope around a record.
//! Rule: ours, and that of the workshop "Build a Distributed Trace"; any JSON record fits in it.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::baggage::Baggage;
use crate::context::Context;
use crate::fields::Fields;
use crate::write::Writer;

use super::{CONTEXT_MEMBER, of_map, to_map};

/// The member with the record itself.
pub const RECORD_MEMBER: &str = "record";
/// The most bytes of data that Kinesis takes in one record.
pub const DATA_MAX_BYTES: usize = 10 * 1024 * 1024;

/// A record and the context that came with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope<'a> {
    /// The context's headers.
    pub fields: Fields,
    /// The JSON text of the record within.
    pub record: &'a str,
}

/// Why a record cannot be put into an envelope.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EnvelopeError {
    /// Only JSON can stand in the envelope. Send the record as it is.
    #[error("the record is no JSON")]
    NotJson,
    /// The envelope would be larger than [`DATA_MAX_BYTES`]. Send the record as it is.
    #[error("the envelope is larger than {DATA_MAX_BYTES} bytes")]
    TooLong,
}

/// Opens an envelope; `None` when the data is none.
#[must_use]
pub fn open(data: &[u8]) -> Option<Envelope<'_>> {
    if data.len() > DATA_MAX_BYTES {
        return None;
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(data).ok()?;
    let record = members.get(RECORD_MEMBER)?.get();
    let context: Value = serde_json::from_str(members.get(CONTEXT_MEMBER)?.get()).ok()?;
    Some(Envelope { fields: of_map(context.as_object()?), record })
}

/// Puts a record into an envelope with a context. The record's text stays as it is.
///
/// # Errors
///
/// When the record is no JSON or the envelope would be too large for Kinesis.
pub fn seal(
    record: &[u8],
    writer: &Writer,
    context: &Context,
    baggage: &Baggage,
) -> Result<Vec<u8>, EnvelopeError> {
    if record.len() > DATA_MAX_BYTES {
        return Err(EnvelopeError::TooLong);
    }
    let record: &RawValue = serde_json::from_slice(record).map_err(|_| EnvelopeError::NotJson)?;
    let map = Value::Object(to_map(writer.headers(context, baggage)));
    let text = format!("{{\"{CONTEXT_MEMBER}\":{map},\"{RECORD_MEMBER}\":{record}}}");
    if text.len() > DATA_MAX_BYTES {
        return Err(EnvelopeError::TooLong);
    }
    Ok(text.into_bytes())
}
