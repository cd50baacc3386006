//! Contexts in messages: read again after they were written, and never beyond a limit.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry::{SpanId, TraceId};
use serde_json::{Map, Value, json};
use throughline_context::carriers::attributes::{self, Dialect};
use throughline_context::carriers::{self, envelope, eventbridge, lambda, step_functions};
use throughline_context::{Baggage, Context, Fields, Format, Reader, Sampling, TraceState, Writer};

const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn context() -> Context {
    let trace_id = TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    let span_id = SpanId::from_hex("00f067aa0ba902b7").unwrap();
    let mut context = Context::new(trace_id, span_id, Sampling::Accept, Format::TraceContext);
    context.tracestate = TraceState::parse("a=1").unwrap();
    context
}

fn writer() -> Writer {
    Writer::new(&[Format::TraceContext, Format::Baggage])
}

#[expect(clippy::needless_pass_by_value, reason = "literals read better without ampersands")]
fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

#[track_caller]
fn check(fields: &Fields) {
    assert_eq!(Reader::default().read(fields).context, Some(context()));
}

#[test]
fn a_kinesis_envelope_opens_as_it_was_sealed() {
    let record = b"{\"n\": 1.0, \"b\":12345678901234567890123}";
    let sealed = envelope::seal(record, &writer(), &context(), &Baggage::default()).unwrap();
    let opened = envelope::open(&sealed).unwrap();
    check(&opened.fields);
    assert_eq!(opened.record.as_bytes(), record);
    let text = str::from_utf8(&sealed).unwrap();
    assert!(
        text.starts_with(&format!("{{\"tracecontext\":{{\"traceparent\":\"{HEADER}\"")),
        "{text}"
    );
}

#[test]
fn what_is_no_envelope_is_none() {
    for data in
        [&b""[..], b"x", b"{}", b"[]", b"{\"record\":1}", b"{\"tracecontext\":1,\"record\":1}"]
    {
        assert_eq!(envelope::open(data), None);
    }
    let refused = envelope::seal(b"plain", &writer(), &context(), &Baggage::default());
    assert_eq!(refused, Err(envelope::EnvelopeError::NotJson));
}

#[test]
fn attributes_are_read_in_every_dialect() {
    for dialect in [Dialect::Api, Dialect::LambdaEvent, Dialect::Notification] {
        let mut map = Map::new();
        let left_out =
            attributes::write(&mut map, dialect, &writer(), &context(), &Baggage::default());
        assert!(left_out.is_empty());
        check(&attributes::read(&map));
    }
}

#[test]
fn a_message_never_gets_more_than_ten_attributes() {
    let attribute = json!({"DataType": "String", "StringValue": "x"});
    let full = |count: usize| -> Map<String, Value> {
        (0..count).map(|i| (format!("a{i}"), attribute.clone())).collect()
    };
    let formats = [Format::TraceContext, Format::B3Multi];
    let put = |map: &mut Map<String, Value>| {
        attributes::write(
            map,
            Dialect::Api,
            &Writer::new(&formats),
            &context(),
            &Baggage::default(),
        )
    };
    let mut map = full(8);
    assert_eq!(put(&mut map), [Format::B3Multi]);
    assert_eq!(map.len(), 10);
    let mut map = full(9);
    assert_eq!(put(&mut map), [Format::B3Multi]);
    assert!(map.contains_key("traceparent") && !map.contains_key("tracestate"));
    let mut map = full(10);
    assert_eq!(put(&mut map), formats);
    assert_eq!(map, full(10));
}

#[test]
fn datadogs_attribute_is_read_as_text_and_as_bytes() {
    let inner = json!({"x-datadog-trace-id": "1", "x-datadog-parent-id": "2"}).to_string();
    let base64 = STANDARD.encode(&inner);
    for attribute in [
        json!({"DataType": "String", "StringValue": inner}),
        json!({"stringValue": inner, "dataType": "String"}),
        json!({"Type": "Binary", "Value": base64}),
        json!({"binaryValue": base64, "dataType": "Binary"}),
    ] {
        let fields = attributes::read(&object(json!({"_datadog": attribute})));
        let read = Reader::default().read(&fields);
        assert_eq!(read.context.unwrap().format, Format::Datadog, "{attribute}");
    }
}

#[test]
fn the_aws_trace_header_is_x_rays() {
    let text = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1";
    for system in [json!({"AWSTraceHeader": text}), attributes::system_attributes(&context())] {
        let read = Reader::default().read(&attributes::read_system(&object(system)));
        assert_eq!(read.context.unwrap().trace_id, context().trace_id);
    }
}

#[test]
fn a_payload_carries_a_context_in_the_ways_that_tracers_use() {
    for payload in [
        json!({"traceparent": HEADER, "tracestate": "a=1"}),
        json!({"tracecontext": {"traceparent": HEADER, "tracestate": "a=1"}, "n": 1}),
        json!({"_datadog": {"traceparent": HEADER, "tracestate": "a=1"}}),
        json!({"_datadog": format!("{{\"traceparent\":\"{HEADER}\",\"tracestate\":\"a=1\"}}")}),
        json!({"headers": {"Traceparent": HEADER, "tracestate": ["a=1"]}}),
    ] {
        check(&carriers::of_payload(&payload));
    }
    assert!(carriers::of_payload(&json!([1])).is_empty());
}

#[test]
fn an_event_gets_a_header_and_a_member_of_its_detail() {
    let mut entry = object(json!({"Source": "shop", "Detail": "{ \"n\": 1.10 }"}));
    assert!(eventbridge::write_detail(&mut entry, &writer(), &context(), &Baggage::default()));
    let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    check(&eventbridge::read(&json!({"detail": detail})));
    assert!(entry["Detail"].as_str().unwrap().ends_with(", \"n\": 1.10 }"));
    // Twice is once, and there is a limit.
    assert!(!eventbridge::write_detail(&mut entry, &writer(), &context(), &Baggage::default()));
    let long = "x".repeat(eventbridge::ENTRY_MAX_BYTES - 20);
    let mut entry = object(json!({"Detail": json!({"n": long}).to_string()}));
    let before = entry.clone();
    assert!(!eventbridge::write_detail(&mut entry, &writer(), &context(), &Baggage::default()));
    assert_eq!(entry, before);
    eventbridge::write_header(&mut entry, &context());
    assert_eq!(
        entry["TraceHeader"],
        "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1"
    );
}

#[test]
fn the_input_of_an_execution_carries_a_context() {
    for start in [json!({"stateMachineArn": "a"}), json!({"input": "{\"n\":1}"})] {
        let mut parameters = object(start);
        assert!(step_functions::write_input(
            &mut parameters,
            &writer(),
            &context(),
            &Baggage::default()
        ));
        let input: Value = serde_json::from_str(parameters["input"].as_str().unwrap()).unwrap();
        check(&step_functions::read(&input));
        check(&step_functions::read(&json!({"Payload": input})));
    }
    let mut list = object(json!({"input": "[1]"}));
    assert!(!step_functions::write_input(&mut list, &writer(), &context(), &Baggage::default()));
    step_functions::write_header(&mut list, &context());
    assert!(list["traceHeader"].as_str().unwrap().starts_with("Root=1-"));
}

#[test]
fn a_client_context_keeps_what_was_there_and_its_limit() {
    let mut baggage = Baggage::default();
    baggage.set("user", &"x".repeat(200), "");
    let existing = STANDARD.encode(json!({"custom": {"mine": "1"}, "env": {}}).to_string());
    let written = lambda::write(Some(&existing), &writer(), &context(), &baggage).unwrap();
    check(&lambda::read(&written));
    let decoded = String::from_utf8(STANDARD.decode(&written).unwrap()).unwrap();
    check(&lambda::read(&decoded));
    assert!(decoded.contains("\"mine\":\"1\"") && decoded.contains("\"baggage\""), "{decoded}");

    let room_left = |bytes: usize| {
        let existing = json!({"custom": {"mine": "x".repeat(bytes)}}).to_string();
        lambda::write(Some(&STANDARD.encode(existing)), &writer(), &context(), &baggage)
    };
    let without_baggage = room_left(2_400).unwrap();
    assert!(without_baggage.len() <= lambda::CLIENT_CONTEXT_MAX_BYTES);
    check(&lambda::read(&without_baggage));
    let read = |text: &str| Reader::default().read(&lambda::read(text));
    assert!(read(&without_baggage).baggage.is_empty());
    let bare = room_left(2_585).unwrap();
    assert!(read(&bare).context.unwrap().tracestate.is_empty());
    assert_eq!(room_left(2_700), None);
    assert_eq!(lambda::write(Some("?"), &writer(), &context(), &baggage), None);
}
