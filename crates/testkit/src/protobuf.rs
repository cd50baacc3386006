//! Spans to the bytes of an OTLP export request.
//!
//! Written apart from `wire`, so that a mistake in one is found by the other.
//!
//! **Rule:** opentelemetry-proto 1.x, `trace_service.proto`, `trace.proto`; protobuf encoding guide.

use std::borrow::Cow;
use std::sync::Arc;

use crate::{Resource, Span, Value};

/// The body of `POST /v1/traces` for these spans, grouped by resource in order of first sight.
pub fn otlp_request(spans: &[Span]) -> Vec<u8> {
    let mut groups: Vec<(&Arc<Resource>, Vec<&Span>)> = Vec::new();
    for span in spans {
        match groups.iter_mut().find(|(resource, _)| Arc::ptr_eq(resource, &span.resource)) {
            Some((_, members)) => members.push(span),
            None => groups.push((&span.resource, vec![span])),
        }
    }
    let mut out = Vec::with_capacity(spans.len() * 600);
    for (resource, members) in groups {
        message(&mut out, 1, |out| {
            message(out, 1, |out| attributes(out, 1, &resource.attributes));
            message(out, 2, |out| {
                message(out, 1, |out| text(out, 1, "throughline.testkit"));
                for span in members {
                    message(out, 2, |out| span_fields(out, span));
                }
            });
        });
    }
    out
}

fn span_fields(out: &mut Vec<u8>, span: &Span) {
    bytes(out, 1, &span.trace_id.0);
    bytes(out, 2, &span.span_id.0);
    if !span.parent_id.is_zero() {
        bytes(out, 4, &span.parent_id.0);
    }
    text(out, 5, &span.name);
    number(out, 6, span.kind as u64);
    fixed64(out, 7, span.start_unix_nano.cast_unsigned());
    fixed64(out, 8, span.start_unix_nano.saturating_add(span.duration_nano).cast_unsigned());
    attributes(out, 9, &span.attributes);
    for event in &span.events {
        message(out, 11, |out| {
            fixed64(out, 1, event.time_unix_nano.cast_unsigned());
            text(out, 2, &event.name);
            attributes(out, 3, &event.attributes);
        });
    }
    for (trace_id, span_id) in &span.links {
        message(out, 13, |out| {
            bytes(out, 1, &trace_id.0);
            bytes(out, 2, &span_id.0);
        });
    }
    if span.status as u64 != 0 {
        message(out, 15, |out| {
            text(out, 2, &span.status_message);
            number(out, 3, span.status as u64);
        });
    }
    // Sampled, and the parent is known to be local or remote: what today's SDKs send.
    out.extend_from_slice(&[0x85, 0x01]);
    out.extend_from_slice(&0x101_u32.to_le_bytes());
}

fn attributes(out: &mut Vec<u8>, field: u32, attributes: &[(Cow<'static, str>, Value)]) {
    for (key, value) in attributes {
        message(out, field, |out| {
            text(out, 1, key);
            message(out, 2, |out| match value {
                Value::Str(string) => bytes(out, 1, string.as_bytes()),
                Value::Bool(flag) => {
                    tag(out, 2, 0);
                    varint(out, u64::from(*flag));
                }
                Value::Int(int) => {
                    tag(out, 3, 0);
                    varint(out, int.cast_unsigned());
                }
                Value::Double(double) => fixed64(out, 4, double.to_bits()),
            });
        });
    }
}

fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, 2);
    let start = out.len();
    write(out);
    let length = out.len() - start;
    let mut prefix = Vec::with_capacity(5);
    varint(&mut prefix, length as u64);
    out.splice(start..start, prefix);
}

fn text(out: &mut Vec<u8>, field: u32, value: &str) {
    if !value.is_empty() {
        bytes(out, field, value.as_bytes());
    }
}

fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    tag(out, field, 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        tag(out, field, 0);
        varint(out, value);
    }
}

fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn tag(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    varint(out, u64::from(field << 3 | wire_type));
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span;

    #[test]
    fn varints_are_little_endian_groups_of_seven_bits() {
        let mut out = Vec::new();
        varint(&mut out, 300);
        assert_eq!(out, [0xac, 0x02]);
    }

    #[test]
    fn a_request_nests_resource_scope_and_span() {
        let body = otlp_request(&[span("hello").service("web")]);
        // resource_spans, its length, then the resource.
        assert_eq!((body[0], body[1] as usize, body[2]), (0x0a, body.len() - 2, 0x0a));
        assert!(body.windows(5).any(|five| five == b"hello"));
        assert!(body.windows(12).any(|twelve| twelve == b"service.name"));
    }
}
