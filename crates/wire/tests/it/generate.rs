//! Random requests, with the faults that a decoder must tell apart.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    vec(resource_spans(), 0..3)
        .prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

pub(crate) fn resource() -> impl Strategy<Value = Option<Resource>> {
    let resource = (attributes(), any::<u32>()).prop_map(|(attributes, dropped)| Resource {
        attributes,
        dropped_attributes_count: dropped,
        ..Resource::default()
    });
    proptest::option::of(resource)
}

pub(crate) fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    let scope = (text(), text(), attributes(), any::<u32>()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    );
    proptest::option::of(scope)
}

/// The attribute that names the call of a function.
pub(crate) fn invocation(request_id: String) -> KeyValue {
    KeyValue {
        key: "faas.invocation_id".into(),
        value: Some(AnyValue { value: Some(Value::StringValue(request_id)) }),
        ..KeyValue::default()
    }
}

fn resource_spans() -> impl Strategy<Value = ResourceSpans> {
    (resource(), vec(scope_spans(), 0..3), text()).prop_map(
        |(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url },
    )
}

fn scope_spans() -> impl Strategy<Value = ScopeSpans> {
    (scope(), vec(span(), 0..4), text()).prop_map(|(scope, spans, schema_url)| ScopeSpans {
        scope,
        spans,
        schema_url,
    })
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), prop_oneof![Just(Vec::new()), id(8)]);
    let fields = (text(), -1..8i32, time(), time(), text(), any::<u32>());
    let status = proptest::option::of((text(), -1..5i32));
    let lists = (attributes(), vec(event(), 0..3), vec(link(), 0..3));
    let dropped = prop_oneof![Just([0; 3]), any::<[u32; 3]>()];
    (ids, fields, status, lists, dropped).prop_map(|(ids, fields, status, lists, dropped)| Span {
        trace_id: ids.0,
        span_id: ids.1,
        parent_span_id: ids.2,
        name: fields.0,
        kind: fields.1,
        start_time_unix_nano: fields.2,
        end_time_unix_nano: fields.3,
        trace_state: fields.4,
        flags: fields.5,
        status: status.map(|(message, code)| Status { message, code }),
        attributes: lists.0,
        events: lists.1,
        links: lists.2,
        dropped_attributes_count: dropped[0],
        dropped_events_count: dropped[1],
        dropped_links_count: dropped[2],
    })
}

fn event() -> impl Strategy<Value = span::Event> {
    (time(), text(), attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| span::Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = span::Link> {
    (id(16), id(8), text(), attributes(), any::<u32>(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| {
            span::Link {
                trace_id,
                span_id,
                trace_state,
                attributes,
                dropped_attributes_count,
                flags,
            }
        },
    )
}

/// Mostly sound, sometimes missing, zero, short or long.
pub(crate) fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        30 => vec(1..=255u8, length),
        1 => Just(vec![0; length]),
        1 => vec(any::<u8>(), 0..length * 2),
    ]
}

pub(crate) fn time() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => Just(0),
        20 => 0..=i64::MAX as u64,
        20 => 1_700_000_000_000_000_000..1_700_000_000_000_001_000u64,
        1 => any::<u64>(),
    ]
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z.]{1,12}",
        vec(any::<char>(), 0..6).prop_map(String::from_iter)
    ]
}

pub(crate) fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(pair(value().boxed()), 0..4)
}

fn pair(value: BoxedStrategy<AnyValue>) -> impl Strategy<Value = KeyValue> {
    (text(), value).prop_map(|(key, value)| KeyValue {
        key,
        value: Some(value),
        ..KeyValue::default()
    })
}

pub(crate) fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        text().prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        // Of the many NaNs, JSON keeps one.
        any::<f64>().prop_map(|d| Value::DoubleValue(if d.is_nan() { f64::NAN } else { d })),
        vec(any::<u8>(), 0..9).prop_map(Value::BytesValue),
    ];
    let leaf = proptest::option::of(leaf).prop_map(|value| AnyValue { value });
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| AnyValue {
                value: Some(Value::ArrayValue(ArrayValue { values }))
            }),
            vec(pair(inner), 0..3).prop_map(|values| AnyValue {
                value: Some(Value::KvlistValue(KeyValueList { values }))
            }),
        ]
    })
}
