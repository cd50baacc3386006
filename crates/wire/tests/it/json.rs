//! OTLP/JSON by hand: every freedom of ProtoJSON, and every bad input next to a good neighbour.

use proptest::prelude::*;
use throughline_model::{AttrValue, SpanBatchBuilder, SpanRef};
use throughline_wire::{DecodeError, RejectReason, Warning, otlp};

use crate::bad_input::framed;
use crate::content::{json, of_batch};

const GOOD: &str = r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}"#;

fn request(spans: &[&str]) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
}

/// A good span with more members.
fn with(members: &str) -> String {
    GOOD.replace('}', &format!(",{members}}}"))
}

fn kept(span: &str, check: impl FnOnce(SpanRef<'_>)) {
    let decoded = json(&request(&[GOOD, span, GOOD]));
    assert!(decoded.rejected.is_empty(), "{}", decoded.rejected);
    assert_eq!(decoded.batch.len(), 3);
    check(decoded.batch.span(1));
}

fn rejected(span: &str, reason: RejectReason) {
    let decoded = json(&request(&[GOOD, span, GOOD]));
    assert_eq!(decoded.rejected.counts().collect::<Vec<_>>(), [(reason, 1)], "{span}");
    assert!(decoded.rejected.details()[0].detail.starts_with("span 1: "));
    assert_eq!(decoded.batch.len(), 2);
}

fn refused(body: &str) {
    let mut builder = SpanBatchBuilder::default();
    let refused = otlp::decode_json(body.as_bytes(), &mut builder);
    assert!(matches!(refused, Err(DecodeError::Json { .. })), "{body}");
    assert!(builder.is_empty() && builder.finish().is_empty(), "nothing may stay behind");
}

fn value(json: &str, expected: AttrValue<'_>) {
    kept(&with(&format!(r#""attributes":[{{"key":"k","value":{json}}}]"#)), |span| {
        let found = span.attribute("k").unwrap();
        assert_eq!(found, expected, "{json}");
    });
}

fn bad_value(json: &str) {
    let span = with(&format!(r#""attributes":[{{"key":"k","value":{json}}}]"#));
    rejected(&span, RejectReason::Malformed);
    let nested = format!(r#"{{"arrayValue":{{"values":[{json}]}}}}"#);
    let span = with(&format!(r#""attributes":[{{"key":"k","value":{nested}}}]"#));
    rejected(&span, RejectReason::Malformed);
}

#[test]
fn an_empty_request_is_no_error() {
    for body in ["{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":null}"#, " {\n} "] {
        assert!(json(body).batch.is_empty());
    }
    for body in [r#"{"resourceSpans":[{}]}"#, r#"{"resourceSpans":[{"scopeSpans":[{}]}]}"#] {
        assert!(json(body).batch.is_empty());
    }
}

#[test]
fn what_is_no_request_is_refused_whole() {
    for body in ["", "null", "[]", "[[]]", "1", "\"\"", "{", "{}x", r#"{"resourceSpans":{}}"#] {
        refused(body);
    }
    let good = request(&[GOOD]);
    refused(&good[..good.len() - 1]);
    refused(&good.replace(r#"{"scopeSpans""#, r#"{"resource":[],"scopeSpans""#));
    refused(&good.replace(r#"{"scopeSpans""#, r#"{"resource":{"attributes":7},"scopeSpans""#));
    refused(&good.replace(r#"{"spans""#, r#"{"scope":{"name":7},"spans""#));
    refused(r#"{"resourceSpans":[{"scopeSpans":[{"spans":{}}]}]}"#);
}

#[test]
fn a_bad_span_does_not_cost_its_neighbour() {
    for span in ["7", "[]", "\"x\"", "true"] {
        rejected(span, RejectReason::Malformed);
    }
    for members in [
        r#""name":7"#,
        r#""kind":{}"#,
        r#""flags":"x""#,
        r#""flags":-1"#,
        r#""droppedEventsCount":4294967296"#,
        r#""startTimeUnixNano":"soon""#,
        r#""startTimeUnixNano":1.5"#,
        r#""startTimeUnixNano":"""#,
        r#""attributes":{}"#,
        r#""attributes":[7]"#,
        r#""events":[{"timeUnixNano":true}]"#,
        r#""status":[]"#,
        r#""name":"\ud800""#,
        r#""name":"a","name":"b""#,
    ] {
        rejected(&with(members), RejectReason::Malformed);
    }
    rejected("null", RejectReason::ZeroTraceId);
    rejected("{}", RejectReason::ZeroTraceId);
}

#[test]
fn ids_are_hex_of_either_case_and_of_one_length() {
    kept(&GOOD.to_uppercase().replace("TRACEID", "traceId").replace("SPANID", "spanId"), |span| {
        assert_eq!(span.trace_id().to_string(), "5b8efff798038103d269b633813fc60c");
        assert_eq!(span.span_id().to_string(), "eee19b7ec3c1b174");
    });
    let (trace, span) = ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174");
    for bad in ["5b8efff7", "W47/95gDgQPSabYzgT/GDA==", "5b8efff798038103d269b633813fc60x"] {
        rejected(&GOOD.replace(trace, bad), RejectReason::BadId);
        rejected(&GOOD.replace(span, bad), RejectReason::BadId);
        rejected(&with(&format!(r#""parentSpanId":"{bad}""#)), RejectReason::BadId);
    }
    rejected(&GOOD.replace(trace, "1-5b8efff7-98038103d269b633813fc60"), RejectReason::BadId);
    rejected(&GOOD.replace(trace, &"0".repeat(32)), RejectReason::ZeroTraceId);
    rejected(&GOOD.replace(trace, ""), RejectReason::ZeroTraceId);
    rejected(&GOOD.replace(span, &"0".repeat(16)), RejectReason::ZeroSpanId);
    for root in [r#""parentSpanId":"""#, r#""parentSpanId":"0000000000000000""#] {
        kept(&with(root), |span| assert!(span.parent_id().is_zero()));
    }
}

#[test]
fn times_are_strings_or_numbers() {
    for (start, end) in [("\"1000\"", "\"3000\""), ("1000", "3000"), ("1e3", "3.0e3")] {
        let times = format!(r#""startTimeUnixNano":{start},"endTimeUnixNano":{end}"#);
        kept(&with(&times), |span| {
            assert_eq!((span.start_unix_nano(), span.duration_nano()), (1000, Some(2000)));
        });
    }
    kept(&with(r#""startTimeUnixNano":"1757422353234567891""#), |span| {
        assert_eq!(span.start_unix_nano(), 1_757_422_353_234_567_891);
        assert_eq!(span.duration_nano(), None);
    });
    for late in ["\"9223372036854775808\"", "9223372036854775808", "1e30", "-1", "\"-1\""] {
        let reason =
            if late == "1e30" { RejectReason::Malformed } else { RejectReason::TimeOutOfRange };
        rejected(&with(&format!(r#""startTimeUnixNano":{late}"#)), reason);
    }
    let backwards = with(r#""startTimeUnixNano":5,"endTimeUnixNano":3"#);
    kept(&backwards, |span| assert_eq!(span.duration_nano(), Some(-2)));
    let warnings = json(&request(&[&backwards])).warnings;
    assert_eq!(warnings.counts().collect::<Vec<_>>(), [(Warning::EndBeforeStart, 1)]);
}

#[test]
fn enums_are_numbers_or_names() {
    for kind in ["3", "\"SPAN_KIND_CLIENT\"", "\"3\"", "3.0"] {
        kept(&with(&format!(r#""kind":{kind}"#)), |span| assert_eq!(span.kind() as u8, 3));
    }
    for kind in ["0", "9", "-1", "259", "\"SPAN_KIND_NEW\"", "null", "1e99"] {
        kept(&with(&format!(r#""kind":{kind}"#)), |span| assert_eq!(span.kind() as u8, 0));
    }
    for code in ["2", "\"STATUS_CODE_ERROR\""] {
        kept(&with(&format!(r#""status":{{"code":{code},"message":"m"}}"#)), |span| {
            assert_eq!((span.status() as u8, span.status_message()), (2, "m"));
        });
    }
}

#[test]
fn null_is_the_default_everywhere() {
    let nulls = with(
        r#""name":null,"kind":null,"flags":null,"attributes":null,"events":null,"links":null,
        "status":null,"traceState":null,"parentSpanId":null,"droppedLinksCount":null,
        "startTimeUnixNano":null,"endTimeUnixNano":null"#,
    );
    let decoded = json(&request(&[&nulls, GOOD]));
    let contents = of_batch(&decoded.batch);
    assert_eq!(contents[0], contents[1]);
    assert_eq!(
        json(
            r#"{"resourceSpans":[{"resource":null,"scopeSpans":[{"scope":null,"spans":null,
            "schemaUrl":null}],"schemaUrl":null}]}"#
        )
        .batch
        .len(),
        0
    );
    value("null", AttrValue::Empty);
    value(r#"{"stringValue":null}"#, AttrValue::Empty);
}

#[test]
fn names_may_be_those_of_the_proto_file_and_unknown_ones_are_ignored() {
    let camel = r#"{"resourceSpans":[{"schemaUrl":"r","resource":{"droppedAttributesCount":1},
        "scopeSpans":[{"schemaUrl":"s","scope":{"droppedAttributesCount":2},"spans":[{
        "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
        "parentSpanId":"eee19b7ec3c1b173","traceState":"a=b","startTimeUnixNano":"1",
        "endTimeUnixNano":"2","droppedAttributesCount":3,"droppedEventsCount":4,
        "droppedLinksCount":5,"events":[{"timeUnixNano":"6","droppedAttributesCount":7}],
        "links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
        "traceState":"c=d","droppedAttributesCount":8}],"attributes":[
        {"key":"a","value":{"stringValue":"x"}},{"key":"b","value":{"boolValue":true}},
        {"key":"c","value":{"intValue":"1"}},{"key":"d","value":{"doubleValue":1.5}},
        {"key":"e","value":{"bytesValue":"AQI="}},
        {"key":"f","value":{"arrayValue":{"values":[{"intValue":1}]}}},
        {"key":"g","value":{"kvlistValue":{"values":[{"key":"k","value":{"intValue":1}}]}}}
        ]}]}]}]}"#;
    let mut snake = String::new();
    let mut chars = camel.chars().peekable();
    while let Some(c) = chars.next() {
        snake.push(c);
        if c.is_ascii_lowercase() && chars.peek().is_some_and(char::is_ascii_uppercase) {
            snake.push('_');
            snake.extend(chars.next().map(|c| c.to_ascii_lowercase()));
        }
    }
    assert!(snake.contains("start_time_unix_nano") && snake.contains("kvlist_value"));
    let (camel_spans, snake_spans) = (json(camel).batch, json(&snake).batch);
    assert_eq!(of_batch(&camel_spans), of_batch(&snake_spans));
    let span = camel_spans.span(0);
    assert_eq!(span.dropped(), [3, 4, 5]);
    assert_eq!((span.resource().dropped(), span.scope().dropped()), (1, 2));
    assert_eq!((span.resource().schema_url(), span.scope().schema_url()), ("r", "s"));
    assert_eq!(span.attributes().len(), 7);
    kept(&with(r#""new":[{"a":[1,{}]}],"unknown":"x""#), |span| {
        assert_eq!(span.attributes().len(), 0);
    });
}

#[test]
fn values_have_the_forms_of_protojson() {
    value(r#"{"stringValue":"a\u00e9\n\ud83d\ude00"}"#, AttrValue::Str("a\u{e9}\n\u{1f600}"));
    value(r#"{"boolValue":true}"#, AttrValue::Bool(true));
    value(r#"{"intValue":"-9223372036854775808"}"#, AttrValue::Int(i64::MIN));
    value(r#"{"intValue":9223372036854775807}"#, AttrValue::Int(i64::MAX));
    value(r#"{"intValue":-7}"#, AttrValue::Int(-7));
    value(r#"{"doubleValue":0.1}"#, AttrValue::Double(0.1));
    value(r#"{"doubleValue":7}"#, AttrValue::Double(7.0));
    value(r#"{"doubleValue":"2.5e-3"}"#, AttrValue::Double(0.0025));
    value(r#"{"doubleValue":"Infinity"}"#, AttrValue::Double(f64::INFINITY));
    value(r#"{"doubleValue":"-Infinity"}"#, AttrValue::Double(f64::NEG_INFINITY));
    kept(&with(r#""attributes":[{"key":"k","value":{"doubleValue":"NaN"}}]"#), |span| {
        let found = span.attribute("k");
        assert!(matches!(found, Some(AttrValue::Double(double)) if double.is_nan()));
    });
    for bytes in ["+/+/", "-_-_"] {
        let json = format!(r#"{{"bytesValue":"{bytes}"}}"#);
        value(&json, AttrValue::Bytes(&[0xfb, 0xff, 0xbf]));
    }
    for bytes in ["AQ==", "AQ"] {
        value(&format!(r#"{{"bytesValue":"{bytes}"}}"#), AttrValue::Bytes(&[1]));
    }
    value("{}", AttrValue::Empty);
    value(r#"{"arrayValue":{}}"#, AttrValue::Array(b""));
    value(
        r#"{"arrayValue":{"values":[{"intValue":"5"},{},{"stringValue":"x"}]}}"#,
        AttrValue::Array(
            &[framed(1, b"\x18\x05"), framed(1, b""), framed(1, b"\x0a\x01x")].concat(),
        ),
    );
    value(
        r#"{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":false}}]}}"#,
        AttrValue::Map(&framed(1, &[framed(1, b"a"), framed(2, b"\x10\x00")].concat())),
    );
}

#[test]
fn values_that_are_none_reject_their_span() {
    for json in [
        r#"{"stringValue":7}"#,
        r#"{"boolValue":"true"}"#,
        r#"{"intValue":"9223372036854775808"}"#,
        r#"{"intValue":1.5}"#,
        r#"{"intValue":"x"}"#,
        r#"{"doubleValue":"many"}"#,
        r#"{"doubleValue":1e999}"#,
        r#"{"doubleValue":true}"#,
        r#"{"bytesValue":"%"}"#,
        r#"{"arrayValue":[]}"#,
        r#"{"kvlistValue":{"values":{}}}"#,
        "7",
    ] {
        bad_value(json);
    }
}

#[test]
fn text_that_is_no_utf8_is_kept_with_replacement_characters() {
    let mut body = request(&[&with(r#""name":"caf!""#), GOOD]).into_bytes();
    let at = body.iter().position(|b| *b == b'!').unwrap();
    body[at] = 0xe9;
    let decoded = otlp::decode_json(&body, &mut SpanBatchBuilder::default()).unwrap();
    assert_eq!(decoded.batch.span(0).name(), "caf\u{fffd}");
    assert_eq!(decoded.warnings.counts().collect::<Vec<_>>(), [(Warning::InvalidUtf8, 1)]);
}

#[test]
fn a_link_with_a_bad_id_and_an_event_out_of_time_cost_only_themselves() {
    let span =
        with(r#""links":[{"traceId":"xyz"},{}],"events":[{"timeUnixNano":-1},{"name":"e"}]"#);
    kept(&span, |span| {
        assert_eq!((span.links().len(), span.events().len()), (1, 1));
        assert_eq!(span.dropped(), [0, 1, 1]);
    });
}

#[test]
fn json_is_written_as_otlp_wants_it() {
    let text = otlp::encode_json(
        &json(&request(&[&with(
            r#""kind":"SPAN_KIND_SERVER","name":"a\"\\\u0001","startTimeUnixNano":5,
            "attributes":[{"key":"i","value":{"intValue":7}}]"#,
        )]))
        .batch,
    );
    assert_eq!(
        text,
        concat!(
            r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"#,
            r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","#,
            r#""name":"a\"\\\u0001","kind":2,"startTimeUnixNano":"5","endTimeUnixNano":"0","#,
            r#""attributes":[{"key":"i","value":{"intValue":"7"}}],"status":{}}]}]}]}"#
        )
    );
    assert_eq!(otlp::encode_json(&json("{}").batch), r#"{"resourceSpans":[]}"#);
}

proptest! {
    #[test]
    fn doubles_come_back_to_the_last_bit(double in any::<f64>()) {
        prop_assume!(!double.is_nan());
        let text = format!(r#""attributes":[{{"key":"k","value":{{"doubleValue":{double:?}}}}}]"#);
        prop_assume!(double.is_finite());
        let decoded = json(&request(&[&with(&text)]));
        let Some(AttrValue::Double(read)) = decoded.batch.span(0).attribute("k") else {
            panic!("no double")
        };
        prop_assert_eq!(read.to_bits(), double.to_bits());
    }

    #[test]
    fn any_text_at_all_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = otlp::decode_json(text.as_bytes(), &mut SpanBatchBuilder::default());
    }
}
