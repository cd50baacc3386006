//! Joins that a person makes and unmakes.

use serde_json::{Value, json};
use throughline_model::SpanKind;
use throughline_testkit::{Span, otlp_request, span};

use crate::harness::{JSON, PROTOBUF, TestServer, now, trace_id};

const SECOND: i64 = 1_000_000_000;

fn side(trace: u128, environment: &'static str, ago: i64) -> Span {
    let (service, kind) =
        if trace == 1 { ("shop", SpanKind::Producer) } else { ("store", SpanKind::Consumer) };
    let span = span("work").in_trace(trace).id(trace as u64 * 16).service(service).kind(kind);
    span.environment(environment).at(now() - ago * SECOND).lasting(SECOND)
}

fn send(server: &TestServer, spans: &[Span]) {
    assert_eq!(server.export(PROTOBUF, &otlp_request(spans)).status, 200);
}

fn verdict(word: &str) -> Value {
    json!({
        "fromTraceId": trace_id(1), "fromSpanId": "0000000000000010",
        "toTraceId": trace_id(2), "toSpanId": "0000000000000020",
        "verdict": word, "by": "Ada", "note": "seen in the ledger",
    })
}

fn post(server: &TestServer, body: &Value) -> (u16, Value) {
    let headers = [("content-type", JSON)];
    let body = body.to_string();
    let answer = server.post_to(server.http(), "/api/v1/joins", &headers, body.as_bytes());
    (answer.status, answer.json())
}

fn say(server: &TestServer, word: &str) -> Value {
    let (status, answer) = post(server, &verdict(word));
    assert_eq!(status, 200, "{answer:#}");
    answer
}

/// The classes of the joins, and the reasons of what is refused, from both ends.
fn told(server: &TestServer) -> (Vec<String>, Vec<String>) {
    let of = |trace| {
        let journey = server.get(&format!("/api/v1/journeys/{}", trace_id(trace))).json();
        let texts = |list: &str, member: &str| -> Vec<String> {
            let list = journey[list].as_array().unwrap().iter();
            list.map(|one| one[member].as_str().unwrap().to_owned()).collect()
        };
        let mut refused = texts("refused", "reason");
        refused.dedup();
        (texts("joins", "class"), refused)
    };
    let (from, to) = (of(1), of(2));
    assert_eq!(from, to);
    from
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn two_spans_without_any_shared_id_are_joined_by_hand_and_parted_again() {
    let mut server = TestServer::start();
    send(&server, &[side(1, "prod", 9), side(2, "prod", 5)]);
    assert_eq!(told(&server), (vec![], vec![]));
    let answer = say(&server, "confirm");
    assert_eq!((&answer["verdict"], &answer["changed"]), (&json!("confirm"), &json!(true)));
    assert_eq!(told(&server), (texts(&["user"]), vec![]));
    // Said again it is the same, and nothing is written.
    let again = say(&server, "confirm");
    assert_eq!(
        (&again["changed"], &again["timeUnixNano"]),
        (&json!(false), &answer["timeUnixNano"])
    );
    assert_eq!(server.metric("throughline_spans_stored_total{protocol=\"receipts\"}"), 1);
    let journey = server.get(&format!("/api/v1/journeys/{}", trace_id(1))).json();
    let join = &journey["joins"][0];
    assert_eq!(join["confidence"], 1.0);
    assert_eq!(join["confirmed"]["by"], "Ada");
    assert_eq!(join["confirmed"]["note"], "seen in the ledger");
    assert_eq!(join["confirmed"]["timeUnixNano"], answer["timeUnixNano"]);
    let wait = join["waitNano"].as_i64().unwrap();
    assert!((3 * SECOND..4 * SECOND).contains(&wait), "{wait}");
    assert_eq!(join["followed"], true);
    // The same from disk.
    server.restart();
    assert_eq!(told(&server), (texts(&["user"]), vec![]));
    let found = server.get("/api/v1/journeys?q=service%20%3D%20%22store%22").json();
    assert_eq!(found["journeys"][0]["weakestClass"], "user", "{found:#}");
    say(&server, "forget");
    assert_eq!(told(&server), (vec![], vec![]));
    assert_eq!(say(&server, "forget")["changed"], false);
    say(&server, "confirm");
    assert_eq!(told(&server), (texts(&["user"]), vec![]));
    server.restart();
    assert_eq!(told(&server), (texts(&["user"]), vec![]));
    // A verdict is no span.
    let traces = server.get("/api/v1/search").json();
    assert_eq!(traces["traces"].as_array().unwrap().len(), 2);
}

#[test]
fn a_join_that_a_person_rejects_is_gone_until_it_is_taken_back() {
    let server = TestServer::start();
    let message = "kinesis|us-east-1|orders|4959";
    let sent = side(1, "prod", 9).attr("stitch.out", message);
    // A layer below knows the message too: it must not take the rejected span's place.
    let below = span("POST").child_of(&sent).id(17).service("shop").kind(SpanKind::Client);
    let below = below.at(sent.start_unix_nano).lasting(1_000).attr("stitch.out", message);
    send(&server, &[sent, below.environment("prod")]);
    send(&server, &[side(2, "prod", 5).attr("stitch.in", message)]);
    assert_eq!(told(&server), (texts(&["E2"]), vec![]));
    say(&server, "reject");
    assert_eq!(told(&server), (vec![], texts(&["by hand"])));
    let journey = server.get(&format!("/api/v1/journeys/{}", trace_id(1))).json();
    assert_eq!(journey["refused"][0]["rejected"]["by"], "Ada", "{journey:#}");
    say(&server, "forget");
    assert_eq!(told(&server), (texts(&["E2"]), vec![]));
    // A message that is confirmed stays that message.
    say(&server, "confirm");
    assert_eq!(told(&server), (texts(&["user"]), vec![]));
    let journey = server.get(&format!("/api/v1/journeys/{}", trace_id(2))).json();
    let join = &journey["joins"][0];
    assert_eq!((&join["carrier"], &join["resource"]), (&json!("kinesis"), &json!("orders")));
    assert!(join["evidence"].as_array().unwrap().len() > 2, "{join:#}");
}

#[test]
fn environments_are_crossed_only_by_who_says_so() {
    let server = TestServer::start();
    send(&server, &[side(1, "prod", 9), side(2, "staging", 5)]);
    let (status, answer) = post(&server, &verdict("confirm"));
    assert_eq!(status, 400);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("prod") && message.contains("acrossEnvironments"), "{message}");
    assert_eq!(told(&server), (vec![], vec![]));
    let mut across = verdict("confirm");
    across["acrossEnvironments"] = json!(true);
    assert_eq!(post(&server, &across).0, 200);
    assert_eq!(told(&server), (texts(&["user"]), vec![]));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let server = TestServer::start();
    send(&server, &[side(1, "prod", 9), side(2, "prod", 5)]);
    let with = |member: &str, value: Value| {
        let mut body = verdict("confirm");
        body[member] = value;
        body
    };
    for (body, status) in [
        (with("verdict", json!("perhaps")), 400),
        (with("by", json!(" ")), 400),
        (with("by", json!("x".repeat(201))), 400),
        (with("note", json!("x".repeat(2_001))), 400),
        (with("fromTraceId", json!("zz")), 400),
        (with("toSpanId", json!("")), 400),
        (with("toTraceId", json!(trace_id(1))), 400),
        (with("who", json!("Ada")), 400),
        (json!([]), 400),
        (with("fromTraceId", json!(trace_id(7))), 404),
        (with("toSpanId", json!("0000000000000099")), 404),
    ] {
        let (found, answer) = post(&server, &body);
        assert_eq!(found, status, "{body} {answer}");
        assert!(answer["error"]["message"].is_string());
    }
    assert_eq!(told(&server), (vec![], vec![]));
    assert_eq!(server.metric("throughline_spans_stored_total{protocol=\"receipts\"}"), 0);
}
