//! Journeys found by what their spans are like.

use serde_json::{Value, json};
use throughline_model::SpanKind;
use throughline_testkit::{Span, otlp_request, span};

use crate::harness::{PROTOBUF, TestServer, now, trace_id};

const SECOND: i64 = 1_000_000_000;

/// A message from trace `from` to trace `to`, sent `ago` and taken `wait` later.
struct Hop {
    from: u64,
    to: u64,
    ago: i64,
    wait: i64,
}

fn spans(hop: &Hop, start: i64, message: &str) -> Vec<Span> {
    let sent = span("put").in_trace(hop.from.into()).id(hop.from * 100 + hop.to);
    let sent = sent.service("shop").kind(SpanKind::Producer).at(start).lasting(SECOND / 10);
    let taken = span("take").in_trace(hop.to.into()).id(hop.to * 100 + hop.from);
    let taken = taken.service("store").kind(SpanKind::Consumer).environment("prod");
    let taken = taken.at(start + SECOND / 10 + hop.wait).lasting(SECOND / 5);
    vec![
        sent.environment("prod").attr("stitch.out", message.to_owned()),
        taken.attr("stitch.in", message.to_owned()).attr("item", hop.to as i64),
    ]
}

fn send(server: &TestServer, hops: &[Hop]) {
    let now = now();
    for hop in hops {
        let message = format!("kinesis|us-east-1|orders|49{}{}", hop.from, hop.to);
        let body = otlp_request(&spans(hop, now - hop.ago, &message));
        assert_eq!(server.export(PROTOBUF, &body).status, 200);
    }
}

fn found(server: &TestServer, params: &str) -> Vec<String> {
    let answer = server.get(&format!("/api/v1/journeys?{params}"));
    assert_eq!(answer.status, 200, "{params}: {}", answer.json());
    let answer = answer.json();
    let journeys = answer["journeys"].as_array().unwrap().iter();
    journeys.map(|journey| journey["traceId"].as_str().unwrap().to_owned()).collect()
}

fn ids(traces: &[u128]) -> Vec<String> {
    traces.iter().map(|trace| trace_id(*trace)).collect()
}

#[test]
fn a_journey_is_found_by_any_of_its_traces_and_listed_once() {
    let mut server = TestServer::start();
    send(
        &server,
        &[
            Hop { from: 1, to: 2, ago: 60 * SECOND, wait: 5 * SECOND },
            Hop { from: 1, to: 3, ago: 60 * SECOND, wait: SECOND },
            Hop { from: 4, to: 5, ago: 30 * SECOND, wait: SECOND / 2 },
        ],
    );
    let alone = span("cron").in_trace(9).id(9).service("cron").at(now() - SECOND);
    assert_eq!(server.export(PROTOBUF, &otlp_request(&[alone])).status, 200);
    for _ in ["memory", "block"] {
        // Newest first, by where it began; what no message joins to another is a trace.
        assert_eq!(found(&server, ""), ids(&[4, 1]));
        assert_eq!(found(&server, "alone=true"), ids(&[9, 4, 1]));
        assert_eq!(found(&server, "q=service%20%3D%20%22cron%22"), ids(&[]));
        // By its producer, by its consumers, by both at once.
        assert_eq!(found(&server, "q=service%20%3D%20%22shop%22"), ids(&[4, 1]));
        assert_eq!(found(&server, "q=item%20%3D%203"), ids(&[1]));
        assert_eq!(found(&server, "q=item%20%3E%201"), ids(&[4, 1]));
        assert_eq!(found(&server, "minWaitNano=2000000000"), ids(&[1]));
        assert_eq!(found(&server, "minDurationNano=5000000000"), ids(&[1]));
        assert_eq!(found(&server, "minDurationNano=50000000000"), ids(&[]));
        assert_eq!(found(&server, "environment=prod"), ids(&[4, 1]));
        assert_eq!(found(&server, "environment=staging"), ids(&[]));
        assert_eq!(found(&server, "limit=1"), ids(&[4]));
        assert_eq!(server.get("/api/v1/journeys?limit=1").json()["truncated"], true);
        assert_eq!(server.get("/api/v1/journeys?limit=2").json()["truncated"], false);
        server.restart();
    }
    let answer: Value = server.get("/api/v1/journeys?q=item%20%3D%202").json();
    let journey = &answer["journeys"][0];
    for (member, expected) in [
        ("traces", json!(3)),
        ("spanCount", json!(4)),
        ("services", json!(["shop", "store"])),
        ("rootService", json!("shop")),
        ("rootName", json!("put")),
        ("environment", json!("prod")),
        ("errorCount", json!(0)),
        ("carriers", json!(["kinesis"])),
        ("weakestClass", json!("E2")),
        ("weakestConfidence", json!(0.98)),
        ("attempts", json!(1)),
        ("truncated", json!(false)),
    ] {
        assert_eq!(journey[member], expected, "{member}: {journey:#}");
    }
    let nanos = |member: &str| journey[member].as_i64().unwrap();
    assert_eq!(nanos("waitNano"), 5 * SECOND);
    // Two sends at nearly the same time, and two takes apart.
    assert!((5_290_000_000..5_700_000_000).contains(&nanos("durationNano")), "{journey:#}");
    assert!((500_000_000..=600_000_000).contains(&nanos("workNano")), "{journey:#}");
}

#[test]
fn a_batch_belongs_to_the_journey_of_each_of_its_messages() {
    let server = TestServer::start();
    let now = now();
    let mut all = Vec::new();
    let texts: Vec<String> =
        (1..=3).map(|from| format!("sqs|us-east-1|jobs|message-{from}")).collect();
    for (from, text) in (1..=3).zip(&texts) {
        let sent = span("send").in_trace(from).id(from as u64).service("shop");
        let sent = sent.kind(SpanKind::Producer).at(now - (100 - from as i64) * SECOND);
        all.push(sent.lasting(SECOND).attr("stitch.out", text.clone()));
    }
    let root = span("batch").in_trace(8).id(80).service("worker").kind(SpanKind::Server);
    let root = root.at(now - 10 * SECOND).lasting(5 * SECOND);
    for (id, text) in (81..).zip(&texts) {
        let one = span("one").child_of(&root).id(id).service("worker");
        let one = one.kind(SpanKind::Consumer).at(now - 9 * SECOND).lasting(SECOND);
        let one = one.attr("stitch.in", text.clone());
        let work = span("work").child_of(&one).id(id + 100).service("worker");
        all.push(work.at(now - 9 * SECOND).lasting(SECOND / 2));
        all.push(if id == 83 { one.failing("no") } else { one });
    }
    all.push(root);
    assert_eq!(server.export(PROTOBUF, &otlp_request(&all)).status, 200);
    assert_eq!(found(&server, "q=status%20%3D%20error"), ids(&[3, 2, 1]));
    let answer = server.get("/api/v1/journeys?q=status%20%3D%20error").json();
    let errors: Vec<_> = answer["journeys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|journey| (journey["traces"].clone(), journey["errorCount"].clone()))
        .collect();
    // Only the last one's own message failed.
    assert_eq!(errors, [(json!(2), json!(1)), (json!(2), json!(0)), (json!(2), json!(0))]);
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let server = TestServer::start();
    for params in [
        "q=service%20%3D",
        "limit=0",
        "limit=201",
        "from=when",
        "minWaitNano=x",
        "alone=perhaps",
        "q=order%20by%20duration%20desc",
    ] {
        let answer = server.get(&format!("/api/v1/journeys?{params}"));
        assert_eq!(answer.status, 400, "{params}");
        assert!(answer.json()["error"]["message"].is_string(), "{params}");
    }
    assert_eq!(found(&server, ""), ids(&[]));
}
