//! Spans to segment documents.
//!
//! A span that came as a document becomes that document again; any other is read as OpenTelemetry's
//! exporter for X-Ray would have sent it (`otel`).

use serde_json::Value;
use throughline_model::{AttrValue, SpanId, SpanKind, SpanRef, xray};

use super::fields::{
    AWS_PREFIX, FLAGS, HTTP_LENGTH, HTTP_REQUEST, HTTP_STATUS, SQL, SQL_PREFIX, TEXTS,
};
use super::parts::{Object, json, lay_over, put};
use super::{ids, links, otel, resource, time};

/// Which of the two a span becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeAs {
    /// A segment: the work of one service for one request.
    Segment,
    /// A subsegment: a part of that work.
    Subsegment,
}

impl EncodeAs {
    /// What the span says of itself: its type when it came as a document; else a span that answers
    /// (SERVER), or that has no parent, is a segment.
    ///
    /// **Rule:** collector-contrib `awsxrayexporter`, `segment.go`, `MakeSegment`.
    pub fn of(span: SpanRef<'_>) -> Self {
        let segment = match xray_type(span) {
            Some(what) => what != "subsegment",
            None => span.kind() == SpanKind::Server || span.parent_id().is_zero(),
        };
        if segment { Self::Segment } else { Self::Subsegment }
    }
}

/// The document of one span, without its children, with what it needs to be sent alone.
pub fn encode(span: SpanRef<'_>) -> Object {
    encode_as(span, EncodeAs::of(span))
}

/// As [`encode`], by a caller who knows from the whole trace whether it is a segment.
///
/// A span that came as a document stays what it was.
pub fn encode_as(span: SpanRef<'_>, what: EncodeAs) -> Object {
    let born = xray_type(span).is_some();
    let what = if born { EncodeAs::of(span) } else { what };
    let mut document = frame(span, what);
    if born {
        sent(span, what, &mut document);
    } else {
        otel::fill(span, what, &mut document);
    }
    if let Some(links) = links::encode(span) {
        document.insert("links".to_owned(), links);
    }
    if let Some(AttrValue::Str(extra)) = span.attribute(xray::EXTRA).filter(|_| born)
        && let Ok(Value::Object(extra)) = serde_json::from_str(extra)
    {
        lay_over(&mut document, without_other_ids(extra, span));
    }
    document
}

/// Puts the document of a child into that of its parent, whose ids it then need not repeat.
pub fn embed(parent: &mut Object, mut child: Object) {
    for key in ["type", "trace_id", "parent_id"] {
        child.remove(key);
    }
    let inside = parent.entry("subsegments").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(inside) = inside {
        inside.push(Value::Object(child));
    } else {
        *inside = Value::Array(vec![Value::Object(child)]);
    }
}

fn xray_type(span: SpanRef<'_>) -> Option<&str> {
    span.attribute(xray::TYPE).and_then(AttrValue::as_str)
}

/// What every document has.
fn frame(span: SpanRef<'_>, what: EncodeAs) -> Object {
    let mut document = Object::new();
    document.insert("id".to_owned(), span.span_id().to_string().into());
    document.insert("trace_id".to_owned(), span.trace_id().xray().into());
    document.insert("name".to_owned(), span.name().into());
    document.insert("start_time".to_owned(), time::seconds(span.start_unix_nano()));
    match span.duration_nano() {
        Some(_) => document.insert("end_time".to_owned(), time::seconds(span.end_unix_nano())),
        None => document.insert("in_progress".to_owned(), true.into()),
    };
    if what == EncodeAs::Subsegment {
        document.insert("type".to_owned(), "subsegment".into());
    }
    if !span.parent_id().is_zero() {
        document.insert("parent_id".to_owned(), span.parent_id().to_string().into());
    }
    document
}

/// The reverse of `fields::write`.
fn sent(span: SpanRef<'_>, what: EncodeAs, document: &mut Object) {
    if what == EncodeAs::Segment {
        resource::encode(span.resource(), document);
    }
    let traced_at_the_top = extra_has_traced(span);
    for (key, value) in span.attributes() {
        let known = |table: &[(&'static str, &str)]| {
            table.iter().find(|(_, name)| *name == key).map(|(member, _)| *member)
        };
        if let Some(member) = known(&TEXTS).or_else(|| known(&FLAGS)) {
            document.insert(member.to_owned(), json(value));
        } else if let Some(member) = known(&HTTP_REQUEST) {
            put(document, &["http", "request", member], json(value));
        } else if let Some(member) = known(&SQL) {
            put(document, &["sql", member], json(value));
        } else if let Some(name) = key.strip_prefix(SQL_PREFIX) {
            put(document, &["sql", name], json(value));
        } else if let Some(name) = key.strip_prefix(AWS_PREFIX) {
            put(document, &["aws", name], json(value));
        } else if let Some(name) = key.strip_prefix(xray::ANNOTATION_PREFIX) {
            put(document, &["annotations", name], json(value));
        } else if let Some(name) = key.strip_prefix(xray::METADATA_PREFIX) {
            put(document, &["metadata", name], json_text(value));
        } else {
            match key {
                xray::X_FORWARDED_FOR => {
                    put(document, &["http", "request", "x_forwarded_for"], json(value));
                }
                xray::TRACED if !traced_at_the_top => {
                    put(document, &["http", "request", "traced"], json(value));
                }
                HTTP_STATUS => put(document, &["http", "response", "status"], json(value)),
                HTTP_LENGTH => put(document, &["http", "response", "content_length"], json(value)),
                "rpc.method" => put(document, &["aws", "operation"], json(value)),
                xray::CAUSE => put(document, &["cause"], json_text(value)),
                _ => {}
            }
        }
    }
}

/// Whether the document said `traced` at its top, where Node's SDK does.
fn extra_has_traced(span: SpanRef<'_>) -> bool {
    let extra = span.attribute(xray::EXTRA).and_then(AttrValue::as_str).unwrap_or_default();
    extra.contains("\"traced\"")
        && serde_json::from_str::<Object>(extra)
            .is_ok_and(|extra| extra.get("traced").is_some_and(Value::is_boolean))
}

/// The value whose JSON text an attribute holds.
fn json_text(value: AttrValue<'_>) -> Value {
    match value {
        AttrValue::Str(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        other => json(other),
    }
}

/// An id is echoed as it was spelled, but never in place of another one.
fn without_other_ids(mut extra: Object, span: SpanRef<'_>) -> Object {
    let spelled = |extra: &Object, key: &str| {
        extra.get(key).and_then(Value::as_str).and_then(ids::span_id).unwrap_or(SpanId::ZERO)
    };
    if spelled(&extra, "id") != span.span_id() {
        extra.remove("id");
    }
    if spelled(&extra, "parent_id") != span.parent_id() {
        extra.remove("parent_id");
    }
    let trace_id = extra.get("trace_id").and_then(Value::as_str).and_then(ids::trace_id);
    if trace_id != Some(span.trace_id()) {
        extra.remove("trace_id");
    }
    extra
}
