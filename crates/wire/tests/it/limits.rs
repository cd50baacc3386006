//! The limits: what exceeds them is dropped, counted and told, in both encodings alike.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, span};
use prost::Message;
use throughline_model::{AttrValue, NESTED_DEPTH_MAX, SpanBatchBuilder, nested_to_json};
use throughline_wire::otlp::{ATTRIBUTES_MAX, EVENTS_MAX, LINKS_MAX};
use throughline_wire::{Decoded, RejectReason, Warning, otlp};

use crate::bad_input::{between_good_ones, body, framed, good};
use crate::content::{json, of_batch};

fn attributes(count: usize) -> Vec<KeyValue> {
    (0..count).map(|i| KeyValue { key: i.to_string(), ..KeyValue::default() }).collect()
}

fn check_dropped(span: &Span, warning: Warning, dropped: [u32; 3]) -> Decoded {
    let decoded = between_good_ones(&span.encode_to_vec());
    assert_eq!(decoded.warnings.counts().collect::<Vec<_>>(), [(warning, 1)]);
    assert_eq!(decoded.batch.span(1).dropped(), dropped);
    decoded
}

#[test]
fn attributes_beyond_the_limit_are_dropped_and_counted() {
    let mut span = good();
    span.attributes = attributes(ATTRIBUTES_MAX + 3);
    span.dropped_attributes_count = 4;
    let decoded = check_dropped(&span, Warning::TooManyAttributes, [7, 0, 0]);
    assert_eq!(decoded.batch.span(1).attributes().len(), ATTRIBUTES_MAX);
    span.dropped_attributes_count = u32::MAX;
    check_dropped(&span, Warning::TooManyAttributes, [u32::MAX, 0, 0]);
    span.attributes.truncate(ATTRIBUTES_MAX);
    assert!(between_good_ones(&span.encode_to_vec()).warnings.is_empty());
}

#[test]
fn attributes_of_an_event_have_the_same_limit() {
    let mut span = good();
    let attributes = attributes(ATTRIBUTES_MAX + 1);
    span.events = vec![span::Event { attributes, ..span::Event::default() }];
    let decoded = check_dropped(&span, Warning::TooManyAttributes, [0; 3]);
    let event = decoded.batch.span(1).events().next().unwrap();
    assert_eq!((event.attributes().len(), event.dropped()), (ATTRIBUTES_MAX, 1));
}

#[test]
fn events_and_links_beyond_the_limit_are_dropped_and_counted() {
    let mut span = good();
    span.events = vec![span::Event::default(); EVENTS_MAX + 2];
    let decoded = check_dropped(&span, Warning::TooManyEvents, [0, 2, 0]);
    assert_eq!(decoded.batch.span(1).events().len(), EVENTS_MAX);
    let mut span = good();
    span.links = vec![span::Link::default(); LINKS_MAX + 5];
    let decoded = check_dropped(&span, Warning::TooManyLinks, [0, 0, 5]);
    assert_eq!(decoded.batch.span(1).links().len(), LINKS_MAX);
}

#[test]
fn json_has_the_same_limits() {
    let list = |item: &str, count| vec![item; count].join(",");
    let decoded = json(&format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{}","spanId":"{}",
            "attributes":[{}],"events":[{}],"links":[{}]}}]}}]}}]}}"#,
        "01".repeat(16),
        "02".repeat(8),
        list(r#"{"key":"k","value":{"intValue":1}}"#, ATTRIBUTES_MAX + 1),
        list("{}", EVENTS_MAX + 2),
        list("{}", LINKS_MAX + 3),
    ));
    let span = decoded.batch.span(0);
    assert_eq!(span.dropped(), [1, 2, 3]);
    assert_eq!(span.attributes().len(), ATTRIBUTES_MAX);
    assert_eq!(decoded.warnings.counts().map(|(_, count)| count).sum::<u64>(), 3);
}

/// A list in a list, `levels` lists in all, around one text.
fn nested(levels: usize) -> AnyValue {
    let leaf = AnyValue { value: Some(Value::StringValue("leaf".into())) };
    (0..levels).fold(leaf, |inner, _| AnyValue {
        value: Some(Value::ArrayValue(ArrayValue { values: vec![inner] })),
    })
}

/// As [`nested`], in bytes that no recursion wrote.
fn nested_bytes(levels: usize) -> Vec<u8> {
    let mut inner = framed(1, b"leaf");
    for _ in 0..levels {
        inner = framed(5, &framed(1, &inner));
    }
    inner
}

fn nested_json(levels: usize) -> String {
    let (open, close) = (r#"{"arrayValue":{"values":["#, "]}}");
    let value =
        format!(r#"{}{{"stringValue":"leaf"}}{}"#, open.repeat(levels), close.repeat(levels));
    format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{}","spanId":"{}",
            "name":"good","startTimeUnixNano":1000,"endTimeUnixNano":3000,
            "attributes":[{{"key":"k","value":{value}}}]}}]}}]}}]}}"#,
        "01".repeat(16),
        "02".repeat(8),
    )
}

#[test]
fn nesting_up_to_the_limit_is_kept_as_sent() {
    let mut span = good();
    span.attributes = vec![KeyValue {
        key: "k".into(),
        value: Some(nested(NESTED_DEPTH_MAX)),
        ..KeyValue::default()
    }];
    let decoded = between_good_ones(&span.encode_to_vec());
    assert!(decoded.warnings.is_empty());
    let value = decoded.batch.span(1).attribute("k").unwrap();
    assert!(nested_to_json(value).unwrap().to_string().contains("leaf"));
    let from_json = json(&nested_json(NESTED_DEPTH_MAX));
    assert!(from_json.warnings.is_empty());
    assert_eq!(of_batch(&from_json.batch)[0], of_batch(&decoded.batch)[1]);
}

#[test]
fn deeper_values_become_empty_and_nothing_else_is_lost() {
    for levels in [NESTED_DEPTH_MAX + 1, 60, 200, 100_000] {
        let attribute = [framed(1, b"k"), framed(2, &nested_bytes(levels))].concat();
        let span = [good().encode_to_vec(), framed(9, &attribute)].concat();
        let decoded = between_good_ones(&span);
        assert_eq!(decoded.warnings.count(Warning::NestedTooDeep), 1);
        let value = decoded.batch.span(1).attribute("k").unwrap();
        let text = nested_to_json(value).expect("what is kept can be read").to_string();
        assert!(text.contains("null") && !text.contains("leaf"), "{text}");

        let from_json = json(&nested_json(levels));
        assert_eq!(from_json.warnings.count(Warning::NestedTooDeep), 1);
        assert_eq!(of_batch(&from_json.batch)[0], of_batch(&decoded.batch)[1]);
        let text = otlp::encode_json(&decoded.batch);
        assert_eq!(of_batch(&json(&text).batch), of_batch(&decoded.batch));
    }
}

#[test]
fn depth_that_is_no_value_at_all_does_not_overflow_the_stack() {
    let mut builder = SpanBatchBuilder::default();
    for text in ["[".repeat(1_000_000), "{\"a\":".repeat(1_000_000)] {
        assert!(otlp::decode_json(text.as_bytes(), &mut builder).is_err());
    }
    let unknown = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let text = format!(r#"{{"unknown":{unknown},"resourceSpans":[]}}"#);
    assert!(json(&text).batch.is_empty());
    let text = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{unknown}]}}]}}]}}"#);
    assert_eq!(json(&text).rejected.count(RejectReason::Malformed), 1);
}

#[test]
fn a_flood_of_bad_spans_is_counted_but_not_described() {
    let decoded = crate::content::protobuf(&body(&vec![Vec::new(); 5_000]));
    assert_eq!(decoded.rejected.total(), 5_000);
    assert_eq!(decoded.rejected.details().len(), throughline_wire::REJECTED_DETAILS_MAX);
}

#[test]
fn a_flood_of_different_resources_takes_no_quadratic_time() {
    // A search for each among all before it would take minutes.
    let one = |number: u32| framed(1, &framed(3, format!("{number:06}").as_bytes()));
    let decoded = crate::content::protobuf(&(0..400_000).flat_map(one).collect::<Vec<_>>());
    assert_eq!(decoded.batch.resource_count(), 400_000);
}

#[test]
fn an_empty_value_is_a_value() {
    let attribute = [framed(1, b"k"), framed(2, b"")].concat();
    let decoded = between_good_ones(&[good().encode_to_vec(), framed(9, &attribute)].concat());
    assert_eq!(decoded.batch.span(1).attribute("k"), Some(AttrValue::Empty));
}
