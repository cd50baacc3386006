//! Message attributes of SQS and SNS, and SQS's system attribute `AWSTraceHeader`.
//!
//! In:   `{"NAME": {"DataType": "String", "StringValue": ...}}` as SQS's API has it, the same in
//!       small letters as Lambda has it, or `{"Type": ..., "Value": ...}` as SNS has it.
//! Out:  [`Fields`]; or the attributes with a context.
//! Rule: Amazon SQS Developer Guide, "Message metadata": at most ten attributes a message. SNS
//!       drops a message with more that goes to SQS as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::baggage::Baggage;
use crate::context::{Context, Format};
use crate::fields::Fields;
use crate::write::Writer;
use crate::xray;

use super::{DATADOG_MEMBER, add_map};

/// The most attributes that a message may have.
pub const ATTRIBUTES_MAX: usize = 10;
/// SQS's system attribute with X-Ray's header. It does not count among the ten.
pub const AWS_TRACE_HEADER: &str = "AWSTraceHeader";

/// The fields in the attributes of a message.
#[must_use]
pub fn read(attributes: &Map<String, Value>) -> Fields {
    let mut fields = Fields::default();
    for (name, attribute) in attributes {
        let text = ["StringValue", "stringValue", "Value"]
            .iter()
            .find_map(|key| attribute.get(key).and_then(Value::as_str));
        if name == DATADOG_MEMBER {
            // SNS carries it in base64, so that filter policies do not see it.
            let binary = ["BinaryValue", "binaryValue", "Value"]
                .iter()
                .find_map(|key| attribute.get(key).and_then(Value::as_str))
                .and_then(|text| STANDARD.decode(text).ok());
            let parsed = text.and_then(|text| serde_json::from_str(text).ok());
            let parsed = parsed.or_else(|| serde_json::from_slice(&binary?).ok());
            if let Some(Value::Object(map)) = parsed {
                add_map(&mut fields, &map);
            }
        } else if let Some(text) = text {
            fields.push(name, text);
        }
    }
    fields
}

/// The fields of `AWSTraceHeader` among the system attributes of a message.
#[must_use]
pub fn read_system(attributes: &Map<String, Value>) -> Fields {
    let mut fields = Fields::default();
    match attributes.get(AWS_TRACE_HEADER) {
        Some(Value::String(text)) => fields.push("x-amzn-trace-id", text),
        Some(value) => {
            if let Some(text) = value.get("StringValue").and_then(Value::as_str) {
                fields.push("x-amzn-trace-id", text);
            }
        }
        None => {}
    }
    fields
}

/// Which service's words an attribute is written in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Dialect {
    /// `{"DataType": "String", "StringValue": ...}`, as the APIs of SQS and SNS take it.
    Api,
    /// `{"dataType": "String", "stringValue": ...}`, as Lambda hands over SQS messages.
    LambdaEvent,
    /// `{"Type": "String", "Value": ...}`, as SNS delivers notifications.
    Notification,
}

/// Adds a context to attributes, a format at a time as long as all its fields find room among the
/// ten; `traceparent` goes without `tracestate` if need be. Gives back the formats left out.
pub fn write(
    attributes: &mut Map<String, Value>,
    dialect: Dialect,
    writer: &Writer,
    context: &Context,
    baggage: &Baggage,
) -> Vec<Format> {
    let mut left_out = Vec::new();
    for format in writer.formats().iter().copied() {
        let mut one = Writer::new(&[format]);
        one.tracestate_max_bytes = writer.tracestate_max_bytes;
        let mut headers = one.headers(context, baggage);
        let room = |attributes: &Map<String, Value>, headers: &[(String, String)]| {
            let new = headers.iter().filter(|(name, _)| !attributes.contains_key(name)).count();
            attributes.len() + new <= ATTRIBUTES_MAX
        };
        if format == Format::TraceContext && !room(attributes, &headers) {
            headers.truncate(1);
            // One that is there belongs to another traceparent.
            attributes.remove("tracestate");
        }
        if !room(attributes, &headers) {
            left_out.push(format);
            continue;
        }
        for (name, value) in headers {
            let value = match dialect {
                Dialect::Api => json!({"DataType": "String", "StringValue": value}),
                Dialect::LambdaEvent => json!({"dataType": "String", "stringValue": value}),
                Dialect::Notification => json!({"Type": "String", "Value": value}),
            };
            attributes.insert(name, value);
        }
    }
    left_out
}

/// The value of `MessageSystemAttributes` of `SendMessage` with X-Ray's header.
#[must_use]
pub fn system_attributes(context: &Context) -> Value {
    json!({AWS_TRACE_HEADER: {"DataType": "String", "StringValue": xray::text(context)}})
}
