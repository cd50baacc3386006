//! EventBridge events: `TraceHeader` beside the event, or a member of its detail.
//!
//! In:   an entry of `PutEvents`, or an event as a target gets it.
//! Out:  the entry with a context; or [`Fields`].
//! Rule: Amazon EventBridge API Reference, `PutEventsRequestEntry`: an entry has at most 256 KiB.
//!       A replay from an archive loses `TraceHeader`; the detail stays.

use serde_json::{Map, Value};

use crate::baggage::Baggage;
use crate::context::Context;
use crate::fields::Fields;
use crate::write::Writer;
use crate::xray;

use super::{of_payload, with_context};

/// The most bytes of one entry.
pub const ENTRY_MAX_BYTES: usize = 256 * 1024;

/// The fields in the detail of an event.
#[must_use]
pub fn read(event: &Value) -> Fields {
    event.get("detail").map(of_payload).unwrap_or_default()
}

/// Sets X-Ray's header beside the event. It changes nothing that a target sees.
pub fn write_header(entry: &mut Map<String, Value>, context: &Context) {
    entry.insert("TraceHeader".to_owned(), Value::String(xray::text(context)));
}

/// Adds a context to the detail of an entry. `false`, and nothing changed, when the detail is no
/// object, has a context already, or there is no room.
pub fn write_detail(
    entry: &mut Map<String, Value>,
    writer: &Writer,
    context: &Context,
    baggage: &Baggage,
) -> bool {
    let others: usize = entry
        .iter()
        .filter(|(name, _)| *name != "Detail")
        .map(|(name, value)| name.len() + value.as_str().map_or(32, str::len))
        .sum();
    let max = ENTRY_MAX_BYTES.saturating_sub(others);
    let detail = entry.get("Detail").and_then(Value::as_str);
    let Some(detail) = detail.and_then(|it| with_context(it, writer, context, baggage, max)) else {
        return false;
    };
    entry.insert("Detail".to_owned(), Value::String(detail));
    true
}
