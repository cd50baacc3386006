//! What may belong together though nothing names it: only when asked, and never sure.

use serde_json::{Value, json};
use throughline_model::SpanKind;
use throughline_testkit::{Span, otlp_request, span};

use crate::harness::{JSON, PROTOBUF, TestServer, now, trace_id};

const SECOND: i64 = 1_000_000_000;

fn side(trace: u64, kind: SpanKind, at: i64) -> Span {
    let service = if kind == SpanKind::Producer { "shop" } else { "store" };
    let span = span("orders").in_trace(trace.into()).id(trace).kind(kind).service(service);
    let span = span.environment("prod").at(at).lasting(SECOND / 10);
    span.attr("messaging.system", "kafka").attr("messaging.destination.name", "orders")
}

fn send(server: &TestServer, spans: &[Span]) {
    assert_eq!(server.export(PROTOBUF, &otlp_request(spans)).status, 200);
}

/// The joins of a trace's journey: where they end, their class and confidence.
fn joins(server: &TestServer, trace: u128, params: &str) -> Vec<(String, String, f64)> {
    let journey = server.get(&format!("/api/v1/journeys/{}{params}", trace_id(trace))).json();
    let joins = journey["joins"].as_array().unwrap().iter();
    joins
        .map(|join: &Value| {
            assert_eq!(join["guess"], join["class"] == "E4" || join["class"] == "E5");
            assert_eq!(join["followed"], !join["guess"].as_bool().unwrap());
            let text = |member: &str| join[member].as_str().unwrap().to_owned();
            (text("toTraceId"), text("class"), join["confidence"].as_f64().unwrap())
        })
        .collect()
}

fn to(trace: u128, class: &str, confidence: f64) -> (String, String, f64) {
    (trace_id(trace), class.to_owned(), confidence)
}

#[test]
fn a_guess_comes_only_when_asked_and_is_never_sure() {
    let server = TestServer::start();
    let at = now() - 600 * SECOND;
    send(&server, &[side(1, SpanKind::Producer, at), side(2, SpanKind::Consumer, at + SECOND)]);
    assert_eq!(joins(&server, 1, ""), []);
    // From both sides the same.
    for trace in [1, 2] {
        assert_eq!(joins(&server, trace, "?guesses=1"), [to(2, "E5", 0.7)]);
        let journey = server.get(&format!("/api/v1/journeys/{}?guesses=1", trace_id(trace))).json();
        assert_eq!(journey["traces"].as_array().unwrap().len(), 1, "nobody follows a guess");
    }
    assert_eq!(server.get(&format!("/api/v1/journeys/{}?guesses=x", trace_id(1))).status, 400);
    // A second consumer in time makes it half as sure; one too late or elsewhere does not.
    send(&server, &[side(3, SpanKind::Consumer, at + 30 * SECOND)]);
    send(&server, &[side(4, SpanKind::Consumer, at + 90 * SECOND)]);
    send(&server, &[side(5, SpanKind::Consumer, at + SECOND).environment("staging")]);
    let half = [to(2, "E5", 0.35), to(3, "E5", 0.35)];
    let mut found = joins(&server, 1, "?guesses=1");
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found, half);
    // A person who says no is believed.
    let verdict = json!({
        "fromTraceId": trace_id(1), "fromSpanId": "0000000000000001",
        "toTraceId": trace_id(3), "toSpanId": "0000000000000003",
        "verdict": "reject", "by": "Ada",
    });
    let headers = [("content-type", JSON)];
    let body = verdict.to_string();
    let answer = server.post_to(server.http(), "/api/v1/joins", &headers, body.as_bytes());
    assert_eq!(answer.status, 200);
    assert_eq!(joins(&server, 1, "?guesses=1"), [to(2, "E5", 0.7)]);
}

#[test]
fn a_value_of_their_own_counts_more_and_may_contradict() {
    let server = TestServer::start();
    let at = now() - 600 * SECOND;
    let order = |span: Span, id: &'static str| span.attr("order.id", id).attr("state", "new");
    send(&server, &[order(side(1, SpanKind::Producer, at), "A-1001")]);
    send(&server, &[order(side(2, SpanKind::Consumer, at + SECOND), "A-1002")]);
    assert_eq!(joins(&server, 1, "?guesses=1"), [], "two orders are not one");
    send(&server, &[side(3, SpanKind::Consumer, at + SECOND)]);
    assert_eq!(joins(&server, 1, "?guesses=1"), [to(3, "E5", 0.7)]);
    send(&server, &[order(side(4, SpanKind::Consumer, at + 5 * SECOND), "A-1001")]);
    assert_eq!(joins(&server, 1, "?guesses=1"), [to(4, "E4", 0.85)]);
    assert_eq!(joins(&server, 4, "?guesses=1"), [to(4, "E4", 0.85)]);
    // Seen from there the one without an order is none: its producer has a better one.
    assert_eq!(joins(&server, 3, "?guesses=1"), []);
}

#[test]
fn who_is_joined_is_not_guessed_about() {
    let server = TestServer::start();
    let at = now() - 600 * SECOND;
    let id = "sqs|us-east-1|orders|m-1";
    send(&server, &[side(1, SpanKind::Producer, at).attr("stitch.out", id)]);
    send(&server, &[side(2, SpanKind::Consumer, at + SECOND).attr("stitch.in", id)]);
    send(&server, &[side(3, SpanKind::Consumer, at + SECOND)]);
    let found = joins(&server, 1, "?guesses=1");
    assert_eq!(found.iter().map(|join| join.1.as_str()).collect::<Vec<_>>(), ["E2"]);
}
