//! Takes a batch of the stream's records; each gets a span below its own producer's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_runtime::Error;
use opentelemetry::trace::{Span as _, SpanContext, TraceContextExt as _, TraceFlags, TraceState, Tracer as _};
use opentelemetry::{Context as Active, KeyValue, global};
use serde_json::Value;
use throughline_context::carriers::envelope;
use throughline_context::{Fields, Reader};

/// Nothing: Kinesis wants no answer, only that there is no error.
pub(crate) fn handle(event: &Value) -> Result<Value, Error> {
    let records = event.get("Records").and_then(Value::as_array).ok_or("the event has no records")?;
    for record in records {
        take(&record["kinesis"])?;
    }
    Ok(Value::Null)
}

fn take(record: &Value) -> Result<(), Error> {
    let number = record["sequenceNumber"].as_str().unwrap_or_default();
    let data = STANDARD.decode(record["data"].as_str().unwrap_or_default())?;
    let message = String::from_utf8_lossy(&data);
    let Some(opened) = envelope::open(&data) else {
        // One bad record must not hold up the shard: Lambda would try the batch again and again.
        eprintln!("Record {number} is no envelope and is left out: {message}");
        return Ok(());
    };
    let tracer = global::tracer("consumer");
    let mut span = tracer.start_with_context("Kinesis.getRecord", &parent(&opened.fields));
    span.set_attribute(KeyValue::new("span.kind", "server"));
    let body: Value = serde_json::from_str(opened.record)?;
    for (member, attribute) in [("name", "custom.tag.name"), ("superpower", "custom.tag.superpower")] {
        if let Some(value) = body.get(member).and_then(Value::as_str) {
            span.set_attribute(KeyValue::new(attribute, value.to_owned()));
        }
    }
    println!("Record {number} taken from the stream: {message}");
    span.end();
    Ok(())
}

/// The producer's span, as the record's context names it; without one the span begins a trace.
fn parent(fields: &Fields) -> Active {
    let Some(context) = Reader::default().read(fields).context else { return Active::new() };
    let sampled = if context.sampling.is_recorded() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let span = SpanContext::new(context.trace_id, context.span_id, sampled, true, TraceState::default());
    Active::new().with_remote_span_context(span)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_parent_is_the_one_that_the_record_names() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let fields = Fields::from_iter([("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))]);
        assert_eq!(parent(&fields).span().span_context().trace_id().to_string(), trace);
        assert!(!parent(&Fields::default()).span().span_context().is_valid());
    }

    #[test]
    fn a_bad_record_does_not_hold_up_its_shard() {
        let event = json!({ "Records": [{ "kinesis": { "sequenceNumber": "1", "data": "bm8=" } }] });
        assert_eq!(handle(&event).unwrap(), Value::Null);
    }
}
