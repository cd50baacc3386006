//! Spans that came as OTLP, as segment documents: what failed and why.

use serde_json::{Value, json};
use throughline_model::{SpanKind, StatusCode};

use super::otel::{Given, given};

fn flags(span: &Given) -> String {
    let document = span.document();
    let set = ["error", "throttle", "fault"].into_iter().filter(|flag| document[*flag] == true);
    set.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_http_status_wins_over_the_spans_own() {
    let check = |code: Option<i64>, status, expected: &str| {
        let own = code.map_or(json!({}), |code| json!({"http.response.status_code": code}));
        let span = Given { status, ..given(SpanKind::Server, own) };
        assert_eq!(flags(&span), expected, "{code:?} {status:?}");
    };
    check(None, StatusCode::Unset, "");
    check(None, StatusCode::Ok, "");
    check(None, StatusCode::Error, "fault");
    check(Some(200), StatusCode::Unset, "");
    check(Some(200), StatusCode::Error, "fault");
    check(Some(404), StatusCode::Unset, "error");
    check(Some(404), StatusCode::Error, "error");
    check(Some(429), StatusCode::Error, "error throttle");
    check(Some(503), StatusCode::Unset, "fault");
}

fn thrown(stacktrace: &str) -> (&'static str, Value) {
    let said = json!({"exception.type": "CartError", "exception.message": "no cart",
        "exception.stacktrace": stacktrace});
    ("exception", said)
}

#[test]
fn exceptions_have_ids_of_their_own_that_never_change() {
    let mut span = given(SpanKind::Client, json!({}));
    span.events = vec![thrown(""), ("other", json!({})), thrown("")];
    let exceptions = span.document()["cause"]["exceptions"].clone();
    assert_eq!(exceptions.as_array().unwrap().len(), 2);
    let id = |at: usize| exceptions[at]["id"].as_str().unwrap();
    assert!(id(0).len() == 16 && id(1).len() == 16 && id(0) != id(1));
    assert_eq!(span.document()["cause"]["exceptions"], exceptions);
    assert_eq!(exceptions[0]["remote"], true);
    assert_eq!(
        (&exceptions[0]["type"], &exceptions[0]["message"]),
        (&json!("CartError"), &json!("no cart"))
    );
    span.kind = SpanKind::Internal;
    span.check("/cause/exceptions/0/remote", json!(null));
}

#[test]
fn a_stack_trace_becomes_frames_and_causes() {
    let mut span = given(SpanKind::Server, json!({}));
    span.resource = json!({"telemetry.sdk.language": "java"});
    span.events = vec![thrown(
        "shop.CartError: no cart\n\tat shop.Cart.add(Cart.java:42)\n\
         Caused by: java.io.IOException: full\n\tat shop.Disk.write(Disk.java:7)",
    )];
    span.check("/cause/exceptions/0/type", json!("CartError"));
    let frame = json!([{"path": "Cart.java", "line": 42, "label": "shop.Cart.add"}]);
    span.check("/cause/exceptions/0/stack", frame);
    let cause = span.document()["cause"]["exceptions"][0]["cause"].clone();
    span.check("/cause/exceptions/1/id", cause);
    span.check("/cause/exceptions/1/type", json!("java.io.IOException"));
    span.check("/cause/exceptions/1/message", json!("full"));
    span.check("/cause/exceptions/1/cause", json!(null));
}

#[test]
fn a_message_alone_is_an_exception() {
    let failed = |status| Given { status, message: "broken", ..given(SpanKind::Server, json!({})) };
    failed(StatusCode::Error).check("/cause/exceptions/0/message", json!("broken"));
    failed(StatusCode::Unset).check("/cause", json!(null));
    let mut span = failed(StatusCode::Error);
    span.events = vec![thrown("")];
    span.check("/cause/exceptions/0/message", json!("no cart"));
    span.check("/cause/exceptions/1", json!(null));
}

#[test]
fn a_failed_try_of_an_aws_call_is_an_exception() {
    let said = json!({"http.response.status_code": 503, "aws.http.error_message": "slow down"});
    let mut span = given(SpanKind::Client, json!({"rpc.system": "aws-api"}));
    span.events = vec![("HTTP request failure", said)];
    span.check("/cause/exceptions/0/type", json!("aws.http.error.event"));
    span.check("/cause/exceptions/0/message", json!("503@1795248539.900000@slow down"));
    span.own = json!({});
    span.check("/cause", json!(null));
}

#[test]
fn a_span_of_endless_exceptions_keeps_a_hundred() {
    let mut span = given(SpanKind::Server, json!({}));
    span.resource = json!({"telemetry.sdk.language": "java"});
    span.events = vec![thrown(&"Caused by: x: y\n".repeat(1_000)); 300];
    let document = span.document();
    let exceptions = document["cause"]["exceptions"].as_array().unwrap();
    assert_eq!(exceptions.len(), 100);
    assert_eq!(exceptions[99].get("cause"), None);
}
