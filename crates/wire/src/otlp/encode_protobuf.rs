//! Spans to OTLP protobuf, with every value as it was sent.

use throughline_model::{AttrValue, Attributes, EventRef, LinkRef, SpanBatch, SpanRef};

use super::protobuf::{
    any, event, key_value, link, put_bytes, put_count, put_fixed32, put_fixed64, put_message,
    put_number, put_text, request, resource, resource_spans, scope, scope_spans, span, status,
};
use super::rules::{grouped, same_resource, same_scope, start_and_end};

/// Writes the spans as `TracesData`, which is also an `ExportTraceServiceRequest`: grouped by
/// resource, then scope, otherwise in row order.
///
/// A span without end has an end of 0. Decoding gives the same spans again.
///
/// **Rule:** opentelemetry-proto, `trace.proto`, message `TracesData`.
pub fn encode_protobuf(batch: &SpanBatch) -> Vec<u8> {
    let mut out = Vec::with_capacity(batch.memory_size_bytes());
    for spans in grouped(batch).chunk_by(same_resource) {
        put_message(&mut out, request::RESOURCE_SPANS, |out| put_resource_spans(out, spans));
    }
    out
}

fn put_resource_spans(out: &mut Vec<u8>, spans: &[SpanRef<'_>]) {
    let Some(owner) = spans.first().map(|span| span.resource()) else { return };
    put_message(out, resource_spans::RESOURCE, |out| {
        put_attributes(out, resource::ATTRIBUTES, owner.attributes());
        put_count(out, resource::DROPPED, owner.dropped());
    });
    for spans in spans.chunk_by(same_scope) {
        put_message(out, resource_spans::SCOPE_SPANS, |out| put_scope_spans(out, spans));
    }
    put_text(out, resource_spans::SCHEMA_URL, owner.schema_url());
}

fn put_scope_spans(out: &mut Vec<u8>, spans: &[SpanRef<'_>]) {
    let Some(owner) = spans.first().map(|span| span.scope()) else { return };
    put_message(out, scope_spans::SCOPE, |out| {
        put_text(out, scope::NAME, owner.name());
        put_text(out, scope::VERSION, owner.version());
        put_attributes(out, scope::ATTRIBUTES, owner.attributes());
        put_count(out, scope::DROPPED, owner.dropped());
    });
    for span in spans {
        put_message(out, scope_spans::SPANS, |out| put_span(out, *span));
    }
    put_text(out, scope_spans::SCHEMA_URL, owner.schema_url());
}

fn put_span(out: &mut Vec<u8>, span: SpanRef<'_>) {
    put_bytes(out, span::TRACE_ID, &span.trace_id().0);
    put_bytes(out, span::SPAN_ID, &span.span_id().0);
    put_text(out, span::TRACE_STATE, span.trace_state());
    if !span.parent_id().is_zero() {
        put_bytes(out, span::PARENT_SPAN_ID, &span.parent_id().0);
    }
    put_text(out, span::NAME, span.name());
    put_count(out, span::KIND, span.kind() as u32);
    let (start, end) = start_and_end(span);
    put_fixed64(out, span::START, start);
    put_fixed64(out, span::END, end);
    put_attributes(out, span::ATTRIBUTES, span.attributes());
    let [attributes, events, links] = span.dropped();
    put_count(out, span::DROPPED_ATTRIBUTES, attributes);
    for event in span.events() {
        put_message(out, span::EVENTS, |out| put_event(out, event));
    }
    put_count(out, span::DROPPED_EVENTS, events);
    for link in span.links() {
        put_message(out, span::LINKS, |out| put_link(out, link));
    }
    put_count(out, span::DROPPED_LINKS, links);
    let (code, message) = (span.status() as u32, span.status_message());
    if code != 0 || !message.is_empty() {
        put_message(out, span::STATUS, |out| {
            put_text(out, status::MESSAGE, message);
            put_count(out, status::CODE, code);
        });
    }
    put_fixed32(out, span::FLAGS, span.flags());
}

fn put_event(out: &mut Vec<u8>, event: EventRef<'_>) {
    put_fixed64(out, event::TIME, event.time_unix_nano().max(0).unsigned_abs());
    put_text(out, event::NAME, event.name());
    put_attributes(out, event::ATTRIBUTES, event.attributes());
    put_count(out, event::DROPPED, event.dropped());
}

fn put_link(out: &mut Vec<u8>, link: LinkRef<'_>) {
    put_bytes(out, link::TRACE_ID, &link.trace_id().0);
    put_bytes(out, link::SPAN_ID, &link.span_id().0);
    put_text(out, link::TRACE_STATE, link.trace_state());
    put_attributes(out, link::ATTRIBUTES, link.attributes());
    put_count(out, link::DROPPED, link.dropped());
    put_fixed32(out, link::FLAGS, link.flags());
}

fn put_attributes(out: &mut Vec<u8>, field: u32, attributes: Attributes<'_>) {
    for (key, value) in attributes {
        put_message(out, field, |out| {
            put_text(out, key_value::KEY, key);
            put_message(out, key_value::VALUE, |out| put_any(out, value));
        });
    }
}

fn put_any(out: &mut Vec<u8>, value: AttrValue<'_>) {
    match value {
        AttrValue::Str(text) => put_bytes(out, any::STRING, text.as_bytes()),
        AttrValue::Bool(flag) => put_number(out, any::BOOL, u64::from(flag)),
        AttrValue::Int(int) => put_number(out, any::INT, int.cast_unsigned()),
        AttrValue::Double(double) => put_fixed64(out, any::DOUBLE, double.to_bits()),
        AttrValue::Bytes(bytes) => put_bytes(out, any::BYTES, bytes),
        AttrValue::Array(list) => put_bytes(out, any::ARRAY, list),
        AttrValue::Map(map) => put_bytes(out, any::MAP, map),
        AttrValue::Empty => {}
    }
}
