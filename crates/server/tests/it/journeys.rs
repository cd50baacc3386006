//! Receipts and journeys over HTTP: what one hop saw joins two traces, in any order.

use std::sync::LazyLock;

use serde_json::{Value, json};
use throughline_model::SpanKind;
use throughline_testkit::{Span, otlp_request, span};

use crate::harness::{JSON, PROTOBUF, TestServer, now, trace_id};

const SEQUENCE: &str = "49590338271490256608559692538361571095921575989136588898";
const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";

/// When the tests began, so that all times fit together.
static NOW: LazyLock<i64> = LazyLock::new(now);

fn producer() -> Span {
    let root = span("producer").in_trace(1).id(11).service("producer").kind(SpanKind::Server);
    root.at(*NOW - 2_000_000_000).lasting(50_000_000).attr("faas.execution", "request-1")
}

fn consumer() -> Span {
    let root = span("consumer").in_trace(2).id(21).service("consumer").kind(SpanKind::Server);
    root.at(*NOW - 1_500_000_000).lasting(20_000_000).attr("faas.invocation_id", "request-2")
}

fn receipt(direction: &str, about: &Value) -> Value {
    let mut receipt = json!({
        "direction": direction, "carrier": "kinesis", "region": "us-east-1", "resource": STREAM,
        "id": SEQUENCE, "timeUnixNano": (*NOW - 1_900_000_000).to_string(),
    });
    let members = receipt.as_object_mut().unwrap();
    members.extend(about.as_object().unwrap().clone());
    receipt
}

fn post(server: &TestServer, receipts: &Value) -> Value {
    let headers = [("content-type", JSON)];
    let body = receipts.to_string();
    let answer = server.post_to(server.http(), "/api/v1/receipts", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

fn send(server: &TestServer, spans: &[Span]) {
    assert_eq!(server.export(PROTOBUF, &otlp_request(spans)).status, 200);
}

fn assert_joined(server: &TestServer) {
    for trace in [1, 2] {
        let journey = server.get(&format!("/api/v1/journeys/{}", trace_id(trace))).json();
        let joins = journey["joins"].as_array().unwrap();
        assert_eq!(joins.len(), 1, "{journey:#}");
        let join = &joins[0];
        let ends = ["fromTraceId", "fromSpanId", "toTraceId", "toSpanId"].map(|end| &join[end]);
        let expected =
            [trace_id(1), "000000000000000b".into(), trace_id(2), "0000000000000015".into()];
        assert_eq!(ends.map(|end| end.as_str().unwrap().to_owned()), expected);
        assert_eq!((&join["carrier"], &join["resource"]), (&json!("kinesis"), &json!("orders")));
        assert_eq!(join["class"], "E2", "{join:#}");
        assert!(join["confidence"].as_f64().unwrap() >= 0.98, "{join:#}");
        assert!(!join["evidence"].as_array().unwrap().is_empty());
        assert!(join["key"].as_str().unwrap().contains(SEQUENCE), "{join:#}");
        assert_eq!(journey["traces"].as_array().unwrap().len(), 2);
        assert_eq!(journey["truncated"], false);
        assert_eq!(journey["origins"], json!([trace_id(1)]));
    }
}

fn assert_drawn(server: &TestServer) {
    let map = server.get("/api/v1/map").json();
    let edges = map["edges"].as_array().unwrap();
    let edge = edges.iter().find(|edge| edge["to"] == "service:consumer").unwrap();
    assert_eq!(edge["from"], "stream:aws_kinesis:orders", "{map:#}");
    assert_eq!((&edge["kind"], &edge["evidence"]), (&json!("async"), &json!(["message"])));
    assert_eq!((&edge["requests"], &edge["errors"]), (&json!(1), &json!(0)));
    let wait = edge["waitP50Nano"].as_i64().unwrap();
    assert!((300_000_000..600_000_000).contains(&wait), "{wait}");
    assert!(map["nodes"].as_array().unwrap().iter().any(|node| node["id"] == edge["from"]));
}

#[test]
fn receipts_join_two_traces_whatever_came_first() {
    let out = receipt("out", &json!({ "functionRequestId": "request-1" }));
    let taken = receipt("in", &json!({ "traceId": trace_id(2), "spanId": "0000000000000015" }));
    type Step<'a> = &'a dyn Fn(&TestServer);
    let steps: [Step<'_>; 4] = [
        &|server| send(server, &[producer()]),
        &|server| send(server, &[consumer()]),
        &|server| drop(post(server, &json!([out]))),
        &|server| drop(post(server, &json!([taken]))),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let mut server = TestServer::start();
        order.iter().for_each(|step| steps[*step](&server));
        assert_joined(&server);
        // The same from a sealed block, and after the same receipts came again.
        server.restart();
        assert_joined(&server);
        assert_drawn(&server);
        post(&server, &json!([out, taken]));
        assert_joined(&server);
        assert_drawn(&server);
    }
}

#[test]
fn notes_are_no_spans() {
    let server = TestServer::start();
    let about = json!({ "traceId": trace_id(9), "spanId": "0000000000000009" });
    let answer = post(&server, &json!([receipt("out", &about)]));
    assert_eq!(answer, json!({ "accepted": 1, "rejected": [] }));
    assert_eq!(server.get(&format!("/api/v1/traces/{}", trace_id(9))).status, 404);
    assert_eq!(server.get("/api/v1/search").json()["traces"], json!([]));
    assert_eq!(server.get("/api/v1/services").json()["services"], json!([]));
    assert_eq!(server.get("/api/v1/map").json()["nodes"], json!([]));
    send(&server, &[producer()]);
    let found = server.get("/api/v1/search").json();
    assert_eq!(found["traces"].as_array().unwrap().len(), 1);
}

#[test]
fn a_trace_without_messages_is_a_journey_of_one() {
    let server = TestServer::start();
    send(&server, &[producer()]);
    let journey = server.get(&format!("/api/v1/journeys/{}", trace_id(1))).json();
    assert_eq!(journey["traces"][0]["spans"][0]["name"], "producer");
    assert_eq!((&journey["joins"], &journey["truncated"]), (&json!([]), &json!(false)));
    assert_eq!(server.get(&format!("/api/v1/journeys/{}", trace_id(2))).status, 404);
    assert_eq!(server.get("/api/v1/journeys/what").status, 400);
    assert_eq!(server.get(&format!("/api/v1/journeys/{}?span=x", trace_id(1))).status, 400);
}

#[test]
fn a_bad_receipt_costs_only_itself() {
    let server = TestServer::start();
    let about = json!({ "traceId": trace_id(1), "spanId": "000000000000000b" });
    let good = receipt("out", &about);
    let with = |member: &str, value: Value| {
        let mut bad = good.clone();
        bad[member] = value;
        bad
    };
    let long = "x".repeat(5_000);
    let bad = [
        with("direction", json!("sideways")),
        with("carrier", json!("pigeon")),
        with("id", json!("")),
        with("id", json!(long)),
        with("traceId", json!("zz")),
        with("spanId", json!("")),
        with("timeUnixNano", json!("yesterday")),
        json!("no receipt"),
    ];
    let mut all = bad.to_vec();
    all.insert(3, good);
    let answer = post(&server, &json!(all));
    assert_eq!(answer["accepted"], 1, "{answer:#}");
    assert_eq!(answer["rejected"].as_array().unwrap().len(), bad.len(), "{answer:#}");
    let places: Vec<_> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["at"].as_u64().unwrap())
        .collect();
    assert_eq!(places, [0, 1, 2, 4, 5, 6, 7, 8]);
    for body in ["", "{", "{}", "[1", "null"] {
        let headers = [("content-type", JSON)];
        let answer = server.post_to(server.http(), "/api/v1/receipts", &headers, body.as_bytes());
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["error"]["message"].is_string());
    }
    let metrics = String::from_utf8(server.get("/metrics").body).unwrap();
    for line in [
        "throughline_spans_received_total{protocol=\"receipts\"} 9",
        "throughline_spans_stored_total{protocol=\"receipts\"} 1",
        "throughline_spans_rejected_total{protocol=\"receipts\",reason=\"receipt\"} 8",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[test]
fn the_doctor_names_the_stream_that_lost_the_context() {
    let server = TestServer::start();
    let mut spans = Vec::new();
    for number in 0..4_u64 {
        let message = format!("kinesis|us-east-1|orders|4959{number}");
        let start = *NOW - 600_000_000_000 + number as i64 * 1_000_000_000;
        let sent = span("put").in_trace(u128::from(100 + number)).id(100 + number);
        let sent = sent.service("shop").kind(SpanKind::Producer).at(start).lasting(1_000_000);
        let taken = span("take").in_trace(u128::from(200 + number)).id(200 + number);
        let taken = taken.service("store").kind(SpanKind::Consumer).at(start + 50_000_000);
        spans.push(sent.attr("stitch.out", message.clone()));
        spans.push(taken.lasting(1_000_000).attr("stitch.in", message));
    }
    assert_eq!(server.get("/api/v1/doctor").json()["findings"], json!([]));
    send(&server, &spans);
    let report = server.get("/api/v1/doctor").json();
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["kind"], &finding["count"]),
        (&json!("lost_at_broker"), &json!(4)),
        "{report:#}"
    );
    let hop = json!({ "from": "shop", "to": "store", "over": "kinesis", "resource": "orders" });
    assert_eq!(finding["hop"], hop);
    assert_eq!(finding["state"], "open");
    assert!(!finding["fix"][0]["code"].as_str().unwrap().is_empty());
    assert_eq!(report["lookedAt"], json!({ "traces": 8, "spans": 8 }));
    let elsewhere = server.get("/api/v1/doctor?environment=other").json();
    assert_eq!(elsewhere["findings"], json!([]));
    assert_eq!(server.get("/api/v1/doctor?from=when").status, 400);
}
