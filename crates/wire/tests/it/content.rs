//! Everything a span says, in a form that two readers can be compared by.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value as Proto,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, span};
use prost::Message;
use throughline_model::{
    AttrValue, Attributes, NO_END, SpanBatch, SpanBatchBuilder, SpanKind, SpanRef, StatusCode,
};
use throughline_wire::{Decoded, RejectReason, otlp};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Str(String),
    Bool(bool),
    Int(i64),
    Double(u64),
    Bytes(Vec<u8>),
    Array(Vec<u8>),
    Map(Vec<u8>),
    Empty,
}

pub(crate) type Pairs = Vec<(String, Value)>;

/// Trace, span, state, flags, attributes, dropped.
pub(crate) type Link = (Vec<u8>, Vec<u8>, String, u32, Pairs, u32);

/// Who sent a span or record: its resource and its scope.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) resource: (Pairs, u32, String),
    pub(crate) scope: (String, String, Pairs, u32, String),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Content {
    pub(crate) owner: Owner,
    pub(crate) ids: (Vec<u8>, Vec<u8>, Vec<u8>),
    pub(crate) name: String,
    pub(crate) times: (i64, i64),
    pub(crate) kind: u8,
    pub(crate) status: (u8, String),
    pub(crate) trace_state: String,
    pub(crate) flags: u32,
    pub(crate) dropped: [u32; 3],
    pub(crate) attributes: Pairs,
    pub(crate) events: Vec<(i64, String, Pairs, u32)>,
    pub(crate) links: Vec<Link>,
}

pub(crate) fn protobuf(body: &[u8]) -> Decoded {
    otlp::decode_protobuf(body, &mut SpanBatchBuilder::default()).expect("a sound envelope")
}

pub(crate) fn json(body: &str) -> Decoded {
    otlp::decode_json(body.as_bytes(), &mut SpanBatchBuilder::default()).expect("a sound envelope")
}

/// What our batch says, in row order.
pub(crate) fn of_batch(batch: &SpanBatch) -> Vec<Content> {
    batch.spans().map(of_span).collect()
}

/// As [`of_batch`], in the order of content: for batches whose rows may be regrouped.
pub(crate) fn sorted(batch: &SpanBatch) -> Vec<Content> {
    let mut contents = of_batch(batch);
    contents.sort();
    contents
}

pub(crate) fn of_owner(row: SpanRef<'_>) -> Owner {
    let (resource, scope) = (row.resource(), row.scope());
    Owner {
        resource: (pairs(resource.attributes()), resource.dropped(), resource.schema_url().into()),
        scope: (
            scope.name().into(),
            scope.version().into(),
            pairs(scope.attributes()),
            scope.dropped(),
            scope.schema_url().into(),
        ),
    }
}

/// The same of `prost`'s messages, each with its schema URL.
pub(crate) fn proto_owner(
    (resource, resource_url): (Option<&Resource>, &str),
    (scope, scope_url): (Option<&InstrumentationScope>, &str),
) -> Owner {
    let resource = resource.cloned().unwrap_or_default();
    let scope = scope.cloned().unwrap_or_default();
    let own = proto_pairs(&resource.attributes);
    Owner {
        resource: (own, resource.dropped_attributes_count, resource_url.into()),
        scope: (
            scope.name,
            scope.version,
            proto_pairs(&scope.attributes),
            scope.dropped_attributes_count,
            scope_url.into(),
        ),
    }
}

fn of_span(span: SpanRef<'_>) -> Content {
    Content {
        owner: of_owner(span),
        ids: (span.trace_id().0.into(), span.span_id().0.into(), span.parent_id().0.into()),
        name: span.name().into(),
        times: (span.start_unix_nano(), span.duration_nano().unwrap_or(NO_END)),
        kind: span.kind() as u8,
        status: (span.status() as u8, span.status_message().into()),
        trace_state: span.trace_state().into(),
        flags: span.flags(),
        dropped: span.dropped(),
        attributes: pairs(span.attributes()),
        events: span
            .events()
            .map(|e| (e.time_unix_nano(), e.name().into(), pairs(e.attributes()), e.dropped()))
            .collect(),
        links: span
            .links()
            .map(|l| {
                let ids = (l.trace_id().0.into(), l.span_id().0.into());
                let state = l.trace_state().into();
                (ids.0, ids.1, state, l.flags(), pairs(l.attributes()), l.dropped())
            })
            .collect(),
    }
}

pub(crate) fn pairs(attributes: Attributes<'_>) -> Pairs {
    attributes.map(|(key, found)| (key.into(), value(found))).collect()
}

pub(crate) fn value(value: AttrValue<'_>) -> Value {
    match value {
        AttrValue::Str(text) => Value::Str(text.into()),
        AttrValue::Bool(flag) => Value::Bool(flag),
        AttrValue::Int(int) => Value::Int(int),
        AttrValue::Double(double) => Value::Double(double.to_bits()),
        AttrValue::Bytes(bytes) => Value::Bytes(bytes.into()),
        AttrValue::Array(bytes) => Value::Array(bytes.into()),
        AttrValue::Map(bytes) => Value::Map(bytes.into()),
        AttrValue::Empty => Value::Empty,
    }
}

/// What `prost` reads, held to our rules: the spans to keep, and why the others go.
pub(crate) fn of_request(request: &ExportTraceServiceRequest) -> (Vec<Content>, Vec<RejectReason>) {
    let (mut kept, mut rejected) = (Vec::new(), Vec::new());
    for group in &request.resource_spans {
        for scoped in &group.scope_spans {
            let owner = proto_owner(
                (group.resource.as_ref(), &group.schema_url),
                (scoped.scope.as_ref(), &scoped.schema_url),
            );
            for span in &scoped.spans {
                if let Some(reason) = reason(span) {
                    rejected.push(reason);
                    continue;
                }
                kept.push(Content { owner: owner.clone(), ..of_proto(span) });
            }
        }
    }
    (kept, rejected)
}

fn reason(span: &Span) -> Option<RejectReason> {
    let right = |id: &[u8], length| id.is_empty() || id.len() == length;
    if !right(&span.trace_id, 16) || !right(&span.span_id, 8) || !right(&span.parent_span_id, 8) {
        Some(RejectReason::BadId)
    } else if span.trace_id.iter().all(|b| *b == 0) {
        Some(RejectReason::ZeroTraceId)
    } else if span.span_id.iter().all(|b| *b == 0) {
        Some(RejectReason::ZeroSpanId)
    } else if span.start_time_unix_nano.max(span.end_time_unix_nano) > i64::MAX as u64 {
        Some(RejectReason::TimeOutOfRange)
    } else {
        None
    }
}

fn of_proto(span: &Span) -> Content {
    let status = span.status.clone().unwrap_or_default();
    let events: Vec<_> = span.events.iter().filter_map(event).collect();
    let links: Vec<_> = span.links.iter().filter_map(link).collect();
    let lost_events = (span.events.len() - events.len()) as u32;
    let lost_links = (span.links.len() - links.len()) as u32;
    let start = span.start_time_unix_nano as i64;
    let duration = match span.end_time_unix_nano as i64 {
        0 if start != 0 => NO_END,
        end => end - start,
    };
    Content {
        owner: Owner::default(),
        ids: (
            span.trace_id.clone(),
            span.span_id.clone(),
            padded(&span.parent_span_id, 8).expect("checked before"),
        ),
        name: span.name.clone(),
        times: (start, duration),
        kind: SpanKind::ALL.get(span.kind as usize).copied().unwrap_or_default() as u8,
        status: match status.code {
            1 => (StatusCode::Ok as u8, status.message),
            2 => (StatusCode::Error as u8, status.message),
            _ => (StatusCode::Unset as u8, status.message),
        },
        trace_state: span.trace_state.clone(),
        flags: span.flags,
        dropped: [
            span.dropped_attributes_count,
            span.dropped_events_count.saturating_add(lost_events),
            span.dropped_links_count.saturating_add(lost_links),
        ],
        attributes: proto_pairs(&span.attributes),
        events,
        links,
    }
}

fn event(event: &span::Event) -> Option<(i64, String, Pairs, u32)> {
    let time = i64::try_from(event.time_unix_nano).ok()?;
    let attributes = proto_pairs(&event.attributes);
    Some((time, event.name.clone(), attributes, event.dropped_attributes_count))
}

fn link(link: &span::Link) -> Option<Link> {
    Some((
        padded(&link.trace_id, 16)?,
        padded(&link.span_id, 8)?,
        link.trace_state.clone(),
        link.flags,
        proto_pairs(&link.attributes),
        link.dropped_attributes_count,
    ))
}

fn padded(id: &[u8], length: usize) -> Option<Vec<u8>> {
    match id.len() {
        0 => Some(vec![0; length]),
        found if found == length => Some(id.into()),
        _ => None,
    }
}

pub(crate) fn proto_pairs(attributes: &[KeyValue]) -> Pairs {
    let pair = |pair: &KeyValue| (pair.key.clone(), proto_value(pair.value.clone()));
    attributes.iter().map(pair).collect()
}

pub(crate) fn proto_value(value: Option<AnyValue>) -> Value {
    match value.unwrap_or_default().value {
        Some(Proto::StringValue(text)) => Value::Str(text),
        Some(Proto::BoolValue(flag)) => Value::Bool(flag),
        Some(Proto::IntValue(int)) => Value::Int(int),
        Some(Proto::DoubleValue(double)) => Value::Double(double.to_bits()),
        Some(Proto::BytesValue(bytes)) => Value::Bytes(bytes),
        Some(Proto::ArrayValue(list)) => Value::Array(list.encode_to_vec()),
        Some(Proto::KvlistValue(map)) => Value::Map(map.encode_to_vec()),
        Some(Proto::StringValueStrindex(_)) | None => Value::Empty,
    }
}
