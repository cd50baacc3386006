//! The client context of a Lambda invocation.
//!
//! In:   the value of `X-Amz-Client-Context`, base64 of `{"custom": {...}}`; or that JSON.
//! Out:  [`Fields`]; or a client context with a context in `custom`.
//! Rule: AWS Lambda API Reference, `Invoke`: at most 3,583 bytes of base64. Lambda hands it over
//!       in synchronous invocations only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::baggage::Baggage;
use crate::context::Context;
use crate::fields::Fields;
use crate::write::Writer;

use super::add_map;

/// The most bytes of a client context in base64.
pub const CLIENT_CONTEXT_MAX_BYTES: usize = 3_583;

/// The fields in a client context in base64, or in its JSON as the runtime gets it.
#[must_use]
pub fn read(client_context: &str) -> Fields {
    if client_context.len() > CLIENT_CONTEXT_MAX_BYTES {
        return Fields::default();
    }
    parse(client_context).map(|parsed| read_parsed(&parsed)).unwrap_or_default()
}

/// The fields in the JSON of a client context: in `custom`, or `Custom` as some SDKs write.
pub(crate) fn read_parsed(client_context: &Map<String, Value>) -> Fields {
    let mut fields = Fields::default();
    for custom in ["custom", "Custom"] {
        if let Some(Value::Object(map)) = client_context.get(custom) {
            add_map(&mut fields, map);
        }
    }
    fields
}

fn parse(text: &str) -> Option<Map<String, Value>> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).ok();
    }
    serde_json::from_slice(&STANDARD.decode(text.trim()).ok()?).ok()
}

/// A client context in base64 with a context in `custom`; what else the application put there
/// stays. Without room, first baggage and then `tracestate` are left out; `None` when even that
/// does not fit, or `existing` cannot be read.
#[must_use]
pub fn write(
    existing: Option<&str>,
    writer: &Writer,
    context: &Context,
    baggage: &Baggage,
) -> Option<String> {
    let outer = existing.map_or_else(|| Some(Map::new()), parse)?;
    let mut bare = context.clone();
    bare.tracestate = crate::TraceState::default();
    let none = Baggage::default();
    [(context, baggage), (context, &none), (&bare, &none)].into_iter().find_map(
        |(context, baggage)| {
            let mut outer = outer.clone();
            let custom = outer.entry("custom").or_insert_with(|| Value::Object(Map::new()));
            let custom = custom.as_object_mut()?;
            for (name, value) in writer.headers(context, baggage) {
                custom.insert(name, Value::String(value));
            }
            let text = STANDARD.encode(Value::Object(outer).to_string());
            (text.len() <= CLIENT_CONTEXT_MAX_BYTES).then_some(text)
        },
    )
}
