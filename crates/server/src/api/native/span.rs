//! Everything about one span, for the page's side panel.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use throughline_model::{AttrValue, Attributes, SpanRef, nested_to_json};
use utoipa::ToSchema;

/// One span in full.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SpanDetail {
    trace_id: String,
    span_id: String,
    /// Empty for a root.
    parent_span_id: String,
    name: String,
    /// `server`, `client`, `producer`, `consumer`, `internal` or `unspecified`.
    kind: &'static str,
    service: String,
    start_unix_nano: String,
    /// Negative when a clock lied, null while the span has no end.
    duration_nano: Option<i64>,
    status: Status,
    trace_state: String,
    /// W3C trace flags in the low byte, OTLP's "remote" bits above.
    flags: u32,
    attributes: Vec<Attribute>,
    /// Attributes of the resource.
    resource: Vec<Attribute>,
    scope: Scope,
    events: Vec<Event>,
    links: Vec<Link>,
    dropped_attributes: u32,
    dropped_events: u32,
    dropped_links: u32,
}

/// How a span ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SpanStatus)]
struct Status {
    /// `unset`, `ok` or `error`.
    code: &'static str,
    message: String,
}

/// One attribute.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Attribute {
    key: String,
    /// `string`, `int`, `double`, `bool`, `bytes`, `array`, `map` or `empty`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Integers beyond 2^53, NaN and infinities are strings; bytes are base64.
    value: Value,
}

/// Which library made a span.
#[derive(Debug, Serialize, ToSchema)]
struct Scope {
    name: String,
    version: String,
    attributes: Vec<Attribute>,
}

/// Something that happened during a span.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Event {
    name: String,
    time_unix_nano: String,
    /// Nanoseconds after the trace's start.
    offset_nano: i64,
    attributes: Vec<Attribute>,
}

/// Another span that has to do with this one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Link {
    trace_id: String,
    span_id: String,
    trace_state: String,
    attributes: Vec<Attribute>,
}

/// Renders a span of a trace that starts at `trace_start`, nanoseconds since the epoch.
pub(super) fn span_detail(span: SpanRef<'_>, trace_start: i64) -> SpanDetail {
    let parent = span.parent_id();
    let scope = span.scope();
    let [dropped_attributes, dropped_events, dropped_links] = span.dropped();
    SpanDetail {
        trace_id: span.trace_id().to_string(),
        span_id: span.span_id().to_string(),
        parent_span_id: if parent.is_zero() { String::new() } else { parent.to_string() },
        name: span.name().to_owned(),
        kind: span.kind().word(),
        service: span.service().to_owned(),
        start_unix_nano: span.start_unix_nano().to_string(),
        duration_nano: span.duration_nano(),
        status: Status { code: span.status().word(), message: span.status_message().to_owned() },
        trace_state: span.trace_state().to_owned(),
        flags: span.flags(),
        attributes: attributes(span.attributes()),
        resource: attributes(span.resource().attributes()),
        scope: Scope {
            name: scope.name().to_owned(),
            version: scope.version().to_owned(),
            attributes: attributes(scope.attributes()),
        },
        events: span
            .events()
            .map(|event| Event {
                name: event.name().to_owned(),
                time_unix_nano: event.time_unix_nano().to_string(),
                offset_nano: event.time_unix_nano().saturating_sub(trace_start),
                attributes: attributes(event.attributes()),
            })
            .collect(),
        links: span
            .links()
            .map(|link| Link {
                trace_id: link.trace_id().to_string(),
                span_id: link.span_id().to_string(),
                trace_state: link.trace_state().to_owned(),
                attributes: attributes(link.attributes()),
            })
            .collect(),
        dropped_attributes,
        dropped_events,
        dropped_links,
    }
}

pub(super) fn attributes(attributes: Attributes<'_>) -> Vec<Attribute> {
    let render = |(key, value): (&str, AttrValue<'_>)| Attribute {
        key: key.to_owned(),
        kind: value.kind().word(),
        value: json(value),
    };
    attributes.map(render).collect()
}

pub(super) fn json(value: AttrValue<'_>) -> Value {
    const EXACT_MAX: u64 = 1 << 53;
    match value {
        AttrValue::Str(text) => text.into(),
        AttrValue::Bool(flag) => flag.into(),
        AttrValue::Int(int) if int.unsigned_abs() <= EXACT_MAX => int.into(),
        AttrValue::Int(int) => int.to_string().into(),
        AttrValue::Double(double) if double.is_finite() => double.into(),
        AttrValue::Double(double) if double.is_nan() => "NaN".into(),
        AttrValue::Double(double) => (if double > 0.0 { "Infinity" } else { "-Infinity" }).into(),
        AttrValue::Bytes(bytes) => STANDARD.encode(bytes).into(),
        AttrValue::Array(_) | AttrValue::Map(_) => nested_to_json(value).unwrap_or_default(),
        AttrValue::Empty => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: AttrValue<'_>, expected: &str) {
        assert_eq!(json(value).to_string(), expected);
    }

    #[test]
    fn values_keep_what_json_numbers_would_lose() {
        check(AttrValue::Int(1 << 53), "9007199254740992");
        check(AttrValue::Int((1 << 53) + 1), "\"9007199254740993\"");
        check(AttrValue::Int(i64::MIN), "\"-9223372036854775808\"");
        check(AttrValue::Double(1.5), "1.5");
        check(AttrValue::Double(f64::NAN), "\"NaN\"");
        check(AttrValue::Double(f64::NEG_INFINITY), "\"-Infinity\"");
        check(AttrValue::Bytes(&[0, 255]), "\"AP8=\"");
        check(AttrValue::Empty, "null");
    }
}
