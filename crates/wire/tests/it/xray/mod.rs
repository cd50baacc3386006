//! X-Ray documents: recorded, generated and bad ones, and spans of OTLP as documents.
#![allow(clippy::needless_pass_by_value, reason = "json!() in a call reads better without &")]

mod bad_input;
mod documents;
mod fields;
mod generate;
mod otel;
mod otel_cause;
mod otel_place;
mod recordings;

use serde_json::{Map, Value};
use throughline_model::{SpanBatch, SpanBatchBuilder, SpanId};
use throughline_wire::xray::{self, Options, Outcome};

pub(crate) type Object = Map<String, Value>;

pub(crate) fn decode(document: &[u8], options: Options) -> (Outcome, SpanBatch) {
    let mut builder = SpanBatchBuilder::default();
    let outcome = xray::decode(document, &options, &mut builder);
    assert_eq!(outcome.spans, builder.len() as u64);
    (outcome, builder.finish())
}

pub(crate) fn lenient(document: &Value) -> (Outcome, SpanBatch) {
    decode(document.to_string().as_bytes(), Options::default())
}

/// The documents of a batch, each subsegment inside its parent.
pub(crate) fn rebuild(batch: &SpanBatch) -> Vec<Value> {
    let held: Vec<SpanId> = batch.spans().map(|span| span.span_id()).collect();
    let roots = batch.spans().filter(|span| !held.contains(&span.parent_id()));
    roots.map(|span| Value::Object(with_children(batch, span.row()))).collect()
}

fn with_children(batch: &SpanBatch, row: usize) -> Object {
    let span = batch.span(row);
    let mut document = xray::encode(span);
    for child in batch.spans().filter(|child| child.parent_id() == span.span_id()) {
        xray::embed(&mut document, with_children(batch, child.row()));
    }
    document
}

/// The document as we give it back: what a document says twice is said once, and what has no end
/// is in progress.
pub(crate) fn normal(document: &Value) -> Value {
    normal_object(document.as_object().unwrap(), false).into()
}

fn normal_object(document: &Object, inside: bool) -> Object {
    let mut out = document.clone();
    if inside {
        out.retain(|key, _| !["type", "trace_id", "parent_id"].contains(&key.as_str()));
    }
    out.entry("name").or_insert_with(|| "".into());
    if !out.get("end_time").is_some_and(is_time) && !out.contains_key("in_progress") {
        out.insert("in_progress".into(), true.into());
    }
    match out.get_mut("subsegments") {
        Some(Value::Array(items)) if !items.is_empty() => {
            for item in items {
                *item = normal_object(item.as_object().unwrap(), true).into();
            }
        }
        Some(Value::Null | Value::Array(_)) => drop(out.remove("subsegments")),
        _ => {}
    }
    out
}

fn is_time(value: &Value) -> bool {
    let seconds = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    seconds.is_some_and(|seconds: f64| (0.0..9.2e9).contains(&seconds))
}

/// Whether two JSON values are equal, 5 and 5.0 being the same number.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[track_caller]
pub(crate) fn assert_same(found: &Value, expected: &Value) {
    assert!(same(found, expected), "found    {found}\nexpected {expected}");
}

/// Decodes a document and compares what comes back.
#[track_caller]
pub(crate) fn assert_comes_back(document: &Value) -> (Outcome, SpanBatch) {
    let (outcome, batch) = lenient(document);
    assert_eq!(outcome.rejected, [], "{document}");
    let documents = rebuild(&batch);
    assert_eq!(documents.len(), 1, "{document}");
    assert_same(&documents[0], &normal(document));
    (outcome, batch)
}
