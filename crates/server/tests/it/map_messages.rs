//! What the map says of queues: how much went through, how long it waited, who failed.

use serde_json::{Value, json};
use throughline_model::SpanKind;
use throughline_testkit::{Span, otlp_request, span};

use crate::harness::{PROTOBUF, TestServer, now};

const SECOND: i64 = 1_000_000_000;

fn message(name: &'static str, trace: u64, id: &str) -> Span {
    let span = span(name).in_trace(trace.into()).id(trace).environment("prod").lasting(SECOND / 10);
    span.attr("messaging.system", "aws_sqs")
        .attr("messaging.destination.name", "jobs")
        .attr("messaging.message.id", id.to_owned())
}

fn sent(trace: u64, id: &str, at: i64) -> Span {
    let span = message("jobs send", trace, id).service("shop").kind(SpanKind::Producer);
    span.at(at).attr("messaging.operation.type", "send")
}

fn taken(trace: u64, id: &str, at: i64) -> Span {
    let span = message("jobs process", trace, id).service("worker").kind(SpanKind::Consumer);
    span.at(at).attr("messaging.operation.type", "process")
}

fn node<'a>(map: &'a Value, id: &str) -> &'a Value {
    let found = map["nodes"].as_array().unwrap().iter().find(|node| node["id"] == id);
    found.unwrap_or_else(|| panic!("{id}: {map:#}"))
}

fn edge<'a>(map: &'a Value, from: &str, to: &str) -> &'a Value {
    let edges = map["edges"].as_array().unwrap();
    let found = edges.iter().find(|edge| edge["from"] == from && edge["to"] == to);
    found.unwrap_or_else(|| panic!("{from} -> {to}: {map:#}"))
}

#[test]
fn a_queue_says_what_went_through_it_and_errors_stay_where_they_are() {
    let mut server = TestServer::start();
    let start = now() - 60 * SECOND;
    let end = |at: i64| at + SECOND / 10;
    let mut spans: Vec<Span> =
        (1..=4).map(|n| sent(n, &format!("m-{n}"), start + n as i64 * SECOND)).collect();
    let first = end(start + SECOND);
    spans.push(taken(11, "m-1", first + SECOND).failing("no"));
    // The first one comes again, the fourth never comes.
    spans.push(taken(12, "m-1", first + 20 * SECOND));
    spans.push(taken(13, "m-2", end(start + 2 * SECOND) + 2 * SECOND));
    let third = taken(14, "m-3", end(start + 3 * SECOND) + 3 * SECOND);
    spans.push(third.attr("messaging.batch.message_count", 10_i64));
    // Nobody says that he sent this one.
    spans.push(taken(15, "m-9", start + 30 * SECOND));
    assert_eq!(server.export(PROTOBUF, &otlp_request(&spans)).status, 200);
    for _ in ["memory", "block"] {
        let map = server.get("/api/v1/map").json();
        let queue = "queue:aws_sqs:jobs";
        let messages = &node(&map, queue)["messages"];
        for (member, expected) in [
            ("published", json!(4)),
            ("consumed", json!(5)),
            ("batchP50", json!(1)),
            ("batchMax", json!(10)),
            ("attemptsMax", json!(2)),
            ("redelivered", json!(1)),
            ("unmatchedOut", json!(1)),
            ("unmatchedIn", json!(1)),
            ("waitP50Nano", json!(2 * SECOND)),
            ("waitP95Nano", json!(20 * SECOND)),
            ("waitMaxNano", json!(20 * SECOND)),
            ("sampled", json!(false)),
        ] {
            assert_eq!(messages[member], expected, "{member}: {messages:#}");
        }
        let rate = messages["publishPerSecond"].as_f64().unwrap();
        assert!((rate - 4.0 / 3_600.0).abs() < 1e-6, "{rate}");

        let into = edge(&map, "service:shop", queue);
        let out = edge(&map, queue, "service:worker");
        assert_eq!((&into["errors"], &out["errors"]), (&json!(0), &json!(1)), "{map:#}");
        assert_eq!(out["waitP95Nano"], json!(20 * SECOND), "{out:#}");
        // The consumer's failure is not its producer's, nor the queue's.
        assert_eq!(node(&map, "service:shop")["errors"], 0);
        assert_eq!(node(&map, "service:worker")["errors"], 1);
        assert_eq!(node(&map, queue)["errors"], 0, "{map:#}");

        // Both sides count only where they are; what is elsewhere still joins.
        let from = (start + 10 * SECOND).to_string();
        let later = server.get(&format!("/api/v1/map?from={from}")).json();
        let messages = &node(&later, queue)["messages"];
        assert_eq!((&messages["published"], &messages["consumed"]), (&json!(0), &json!(2)));
        assert_eq!((&messages["unmatchedIn"], &messages["redelivered"]), (&json!(1), &json!(1)));
        let elsewhere = server.get("/api/v1/map?environment=staging").json();
        assert_eq!(elsewhere["nodes"], json!([]));
        server.restart();
    }
}

#[test]
fn what_was_asked_before_is_read_again_when_more_of_it_comes() {
    let server = TestServer::start();
    let start = now() - 60 * SECOND;
    let counts_with = |span: Span| {
        assert_eq!(server.export(PROTOBUF, &otlp_request(&[span])).status, 200);
        let map = server.get("/api/v1/map").json();
        let messages = &node(&map, "queue:aws_sqs:jobs")["messages"];
        ["published", "consumed", "unmatchedOut"].map(|member| messages[member].as_u64().unwrap())
    };
    assert_eq!(counts_with(sent(1, "m-1", start)), [1, 0, 1]);
    assert_eq!(counts_with(sent(1, "m-2", start + SECOND).id(2)), [2, 0, 2], "the same trace");
    assert_eq!(counts_with(taken(11, "m-1", start + 2 * SECOND)), [2, 1, 1], "another trace");
    assert_eq!(counts_with(taken(11, "m-2", start + 3 * SECOND).id(3)), [2, 2, 0], "both");
}

#[test]
fn a_sample_says_that_it_is_one() {
    let server = TestServer::start();
    let start = now() - 600 * SECOND;
    // Two traces a message: more than the thousand that are looked at.
    for part in 0..6_u64 {
        let spans = (0..100).flat_map(|n| {
            let number = part * 100 + n;
            let (id, at) = (format!("m-{number}"), start + number as i64 * (SECOND / 2));
            [sent(1_000 + number, &id, at), taken(2_000 + number, &id, at + SECOND)]
        });
        let spans: Vec<Span> = spans.collect();
        assert_eq!(server.export(PROTOBUF, &otlp_request(&spans)).status, 200);
    }
    let map = server.get("/api/v1/map").json();
    let messages = &node(&map, "queue:aws_sqs:jobs")["messages"];
    assert_eq!(messages["sampled"], true, "{messages:#}");
    let count = |member: &str| messages[member].as_u64().unwrap();
    assert_eq!(count("published") + count("consumed"), 1_000);
    // What the sample lacks is looked for before it counts as lost.
    assert_eq!((count("unmatchedOut"), count("unmatchedIn")), (0, 0));
    // Rates are of the time that the sample covers: two messages a second until ten minutes ago.
    let rate = messages["publishPerSecond"].as_f64().unwrap();
    assert!((0.5..2.5).contains(&rate), "{rate}");
}
