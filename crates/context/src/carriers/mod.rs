//! Where a context travels when there are no HTTP headers: one file a carrier.
//!
//! In:   a message as its service's API or event has it, in JSON.
//! Out:  [`Fields`] to read, or the message with a context in it, never larger than allowed.
//! Rule: a message that has no room for a context is sent without it, never cut.

pub mod attributes;
pub mod envelope;
pub mod eventbridge;
pub mod lambda;
pub mod step_functions;

use serde_json::{Map, Value};

use crate::baggage::Baggage;
use crate::context::Context;
use crate::fields::Fields;
use crate::write::Writer;

/// The member of a JSON payload that holds a context: a map of header names to values.
pub const CONTEXT_MEMBER: &str = "tracecontext";
/// The member that Datadog's tracers use for the same.
const DATADOG_MEMBER: &str = "_datadog";
/// The member that OpenTelemetry's Python instrumentation adds to the payload of an invocation.
const HEADERS_MEMBER: &str = "headers";

/// The fields of a map of header names to values; a value may be a list of texts.
#[must_use]
pub fn of_map(map: &Map<String, Value>) -> Fields {
    let mut fields = Fields::default();
    add_map(&mut fields, map);
    fields
}

/// The fields that a JSON payload carries: itself, and its members `tracecontext`, `_datadog` (an
/// object or the text of one), and `headers`.
#[must_use]
pub fn of_payload(payload: &Value) -> Fields {
    let mut fields = Fields::default();
    let Some(payload) = payload.as_object() else { return fields };
    add_map(&mut fields, payload);
    for member in [CONTEXT_MEMBER, DATADOG_MEMBER, HEADERS_MEMBER] {
        match payload.get(member) {
            Some(Value::Object(map)) => add_map(&mut fields, map),
            Some(Value::String(text)) => {
                if let Ok(Value::Object(map)) = serde_json::from_str(text) {
                    add_map(&mut fields, &map);
                }
            }
            _ => {}
        }
    }
    fields
}

fn add_map(fields: &mut Fields, map: &Map<String, Value>) {
    for (name, value) in map {
        match value {
            Value::String(value) => fields.push(name, value),
            Value::Array(values) => {
                for value in values.iter().filter_map(Value::as_str) {
                    fields.push(name, value);
                }
            }
            _ => {}
        }
    }
}

/// The headers of a context as a map.
fn to_map(headers: Vec<(String, String)>) -> Map<String, Value> {
    headers.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
}

/// The object in `text` with a context as its member [`CONTEXT_MEMBER`]; `None` when `text` is no
/// object, has that member already, or would be longer than `max_bytes`.
fn with_context(
    text: &str,
    writer: &Writer,
    context: &Context,
    baggage: &Baggage,
    max_bytes: usize,
) -> Option<String> {
    let inner = text.trim().strip_prefix('{')?;
    let object: Map<String, Value> = serde_json::from_str(text).ok()?;
    if object.contains_key(CONTEXT_MEMBER) {
        return None;
    }
    // Put in front of the text as it came: to write it anew could change its numbers.
    let comma = if object.is_empty() { "" } else { "," };
    let map = Value::Object(to_map(writer.headers(context, baggage)));
    let text = format!("{{\"{CONTEXT_MEMBER}\":{map}{comma}{inner}");
    (text.len() <= max_bytes).then_some(text)
}
