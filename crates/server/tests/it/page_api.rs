//! What the page asks beyond lists: series, differences, parts of the map, links, places.

use serde_json::{Value, json};
use throughline_model::SpanKind;
use throughline_testkit::{Span, otlp_request, span};

use crate::harness::{JSON, PROTOBUF, TestServer, now, trace_id};

const MILLI: i64 = 1_000_000;

/// Twelve requests, of which the last four are slow, come from one tenant and fail; a worker takes
/// up each of them in a trace of its own.
fn load(server: &TestServer) -> i64 {
    let start = now() - 60_000 * MILLI;
    let mut spans: Vec<Span> = Vec::new();
    for n in 1..=12u64 {
        let slow = n > 8;
        let at = start + i64::try_from(n).unwrap() * 1_000 * MILLI;
        let tenant = if slow { "acme" } else { "other" };
        let root = span("POST /order").in_trace(n.into()).id(n).service("shop").at(at);
        let root = root.kind(SpanKind::Server).environment("prod").attr("tenant", tenant);
        let root = root.lasting(if slow { 900 * MILLI } else { 20 * MILLI });
        let root = if slow { root.failing("late") } else { root };
        let call = span("insert").child_of(&root).id(100 + n).service("shop").at(at + MILLI);
        let call = call.in_trace(n.into()).kind(SpanKind::Client).environment("prod");
        let call = call.lasting(10 * MILLI).attr("order.id", n as i64);
        let work = span("ship").in_trace((100 + n).into()).id(200 + n).service("worker");
        let work = work.kind(SpanKind::Consumer).environment("prod").at(at + 2_000 * MILLI);
        spans.extend([work.lasting(MILLI).linked_to(&root), call, root]);
    }
    assert_eq!(server.export(PROTOBUF, &otlp_request(&spans)).status, 200);
    start
}

fn sum(numbers: &Value) -> u64 {
    numbers.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum()
}

#[test]
fn series_count_entries_or_what_matches_by_any_key() {
    let server = TestServer::start();
    let start = load(&server);
    let range = format!("from={start}&to={}", start + 59_999 * MILLI);
    let all = server.get(&format!("/api/v1/series?{range}&points=6")).json();
    assert_eq!(all["startUnixNano"], start.to_string(), "{all}");
    assert_eq!((&all["spans"], &all["truncated"]), (&json!(24), &json!(false)));
    let [one] = &all["series"].as_array().unwrap()[..] else { panic!("{all}") };
    assert_eq!((&one["value"], one.get("rest")), (&Value::Null, None));
    assert_eq!(one["requests"].as_array().unwrap().len(), 6);
    assert_eq!((sum(&one["requests"]), sum(&one["errors"])), (24, 4));
    assert_eq!(one["p50Nano"][5], Value::Null);
    assert!(one["p99Nano"][0].as_i64().unwrap() > 0);

    let by = server.get(&format!("/api/v1/series?{range}&by=tenant&limit=1")).json();
    let [none, rest] = &by["series"].as_array().unwrap()[..] else { panic!("{by}") };
    assert_eq!((sum(&none["requests"]), none.get("rest")), (12, None));
    assert_eq!((sum(&rest["requests"]), &rest["rest"]), (12, &json!(true)));
    let path = format!("/api/v1/series?{range}&q=service%20%3D%20shop&by=kind&environment=prod");
    let kinds = server.get(&path).json();
    let words: Vec<_> = kinds["series"].as_array().unwrap().iter().map(|s| &s["value"]).collect();
    assert_eq!(words, ["client", "server"]);
    let path = format!("/api/v1/series?{range}&language=xray&q=service(%22worker%22)");
    assert_eq!(server.get(&path).json()["spans"], 12);
}

#[test]
fn a_box_tells_what_its_traces_share() {
    let server = TestServer::start();
    let start = load(&server);
    let range = format!("from={start}&to=now&q=service%20%3D%20shop");
    let path = format!("/api/v1/differences?{range}&minDurationNano={}", 500 * MILLI);
    let found = server.get(&path).json();
    assert_eq!((&found["inside"], &found["outside"]), (&json!(4), &json!(8)), "{found:#}");
    assert_eq!((&found["sampled"], &found["of"]), (&json!(false), &json!("traces")));
    let first: Vec<_> = found["attributes"].as_array().unwrap().iter().collect();
    let tenant = first.iter().find(|a| a["value"] == "acme").unwrap();
    assert_eq!(
        (&tenant["scope"], &tenant["key"], &tenant["type"]),
        (&json!("span"), &json!("tenant"), &json!("string"))
    );
    assert_eq!((&tenant["inside"], &tenant["outside"]), (&json!(4), &json!(0)));
    assert_eq!((&tenant["insideShare"], &tenant["outsideShare"]), (&json!(1.0), &json!(0.0)));
    assert_eq!(tenant["insideP50Nano"], 900 * MILLI);
    assert_eq!(tenant["outsideP50Nano"], Value::Null);
    assert!(first.iter().any(|a| a["scope"] == "field" && a["key"] == "status.message"));
    assert_eq!(found["skipped"], json!(["order.id"]));

    // The same by time: the first four requests of all spans that match.
    let until = start + 4_500 * MILLI;
    let path = format!("/api/v1/differences?{range}&of=spans&until={until}&limit=1");
    let found = server.get(&path).json();
    assert_eq!((&found["inside"], &found["outside"]), (&json!(8), &json!(16)), "{found:#}");
    assert_eq!(found["attributes"].as_array().unwrap().len(), 1);
    let path = format!("/api/v1/differences?from={start}&language=xray&q=fault&until={until}");
    assert_eq!(server.get(&path).status, 200);
}

#[test]
fn the_map_is_broken_down_by_any_key() {
    let server = TestServer::start();
    load(&server);
    let map = server.get("/api/v1/map?breakdown=tenant").json();
    let nodes = map["nodes"].as_array().unwrap();
    let shop = nodes.iter().find(|node| node["id"] == "service:shop").unwrap();
    let [other, acme] = &shop["parts"].as_array().unwrap()[..] else { panic!("{shop:#}") };
    assert_eq!((&other["value"], &other["requests"]), (&json!("other"), &json!(8)));
    assert_eq!((&acme["value"], &acme["requests"]), (&json!("acme"), &json!(4)));
    assert_eq!((&acme["errors"], &acme["p95Nano"]), (&json!(4), &json!(900 * MILLI)));
    assert_eq!(map["partsTruncated"], false);
    let plain = server.get("/api/v1/map").json();
    assert!(plain["nodes"][0].get("parts").is_none() && plain.get("partsTruncated").is_none());
}

#[test]
fn links_are_told_from_both_traces_in_memory_and_from_disk() {
    let mut server = TestServer::start();
    load(&server);
    for restarted in [false, true] {
        if restarted {
            server.restart();
        }
        let from = server.get(&format!("/api/v1/traces/{}/links", trace_id(103))).json();
        let [link] = &from["links"].as_array().unwrap()[..] else { panic!("{from:#}") };
        assert_eq!(link["traceId"], trace_id(3));
        assert_eq!(
            (&link["rootService"], &link["rootName"]),
            (&json!("shop"), &json!("POST /order"))
        );
        assert!(link["startTimeUnixNano"].is_string());
        let to = server.get(&format!("/api/v1/traces/{}/links", trace_id(3))).json();
        let [back] = &to["backLinks"].as_array().unwrap()[..] else { panic!("{to:#}") };
        assert_eq!(back["fromTraceId"], trace_id(103));
        assert_eq!((&back["service"], &back["name"]), (&json!("worker"), &json!("ship")));
        assert_eq!((&back["fromSpanId"], &back["toSpanId"]), (&link["spanId"], &link["toSpanId"]));
        assert_eq!((&to["links"], &to["truncated"]), (&json!([]), &json!(false)));
    }
    assert_eq!(server.get(&format!("/api/v1/traces/{}/links", trace_id(999))).status, 404);
}

#[test]
fn a_search_may_ask_for_roots_and_entries() {
    let server = TestServer::start();
    load(&server);
    let count = |query: &str| {
        let answer = server.get(&format!("/api/v1/search?limit=100&q={query}")).json();
        answer["traces"].as_array().unwrap().len()
    };
    assert_eq!(count("root%20%3D%20true"), 24);
    assert_eq!(count("entry%20%3D%20true%20and%20service%20%3D%20worker"), 12);
    assert_eq!(count("entry%20%3D%20false%20and%20service%20%3D%20worker"), 0);
    let fields = server.get("/api/v1/attributes?prefix=r").json()["fields"].clone();
    assert_eq!(fields, json!([{"key": "root", "values": ["true", "false"]}]));
    let values = server.get("/api/v1/attributes/entry/values?prefix=t").json();
    assert_eq!(values["values"][0], json!({"value": "true", "type": "bool", "spans": 24}));
}

#[test]
fn places_are_kept_for_everyone_and_forgotten_by_a_reset() {
    let mut server = TestServer::start_with(|config| config.allow_reset = true);
    let path = "/api/v1/page/places?environment=prod";
    assert_eq!(server.get(path).json(), json!({"places": {}, "colors": {}}));
    let put = |server: &TestServer, path: &str, body: &Value| {
        server.put_json(path, &[("content-type", JSON)], body.to_string().as_bytes())
    };
    let body = json!({"places": {"service:a": [1.5, -2], "service:b": [3, 4]}, "colors": {"a": 7}});
    assert_eq!(
        put(&server, path, &body).json(),
        json!({
            "places": {"service:a": [1.5, -2.0], "service:b": [3.0, 4.0]}, "colors": {"a": 7},
        })
    );
    let answer = put(&server, path, &json!({"places": {"service:b": null}})).json();
    assert_eq!(answer["places"], json!({"service:a": [1.5, -2.0]}));
    server.restart();
    let kept = json!({"places": {"service:a": [1.5, -2.0]}, "colors": {"a": 7}});
    assert_eq!(server.get(path).json(), kept);
    // Colours are the same everywhere, places are not.
    let elsewhere = server.get("/api/v1/page/places").json();
    assert_eq!(elsewhere, json!({"places": {}, "colors": {"a": 7}}));
    for body in [
        json!({"places": {"a": [1]}}),
        json!({"places": {"a": [1e300, 0]}}),
        json!({"colors": {"a": -1}}),
        json!({"places": {("n".repeat(2_000)): [0, 0]}}),
        json!({"place": {}}),
        json!(7),
    ] {
        let answer = put(&server, path, &body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.json()["error"]["message"].is_string());
    }
    let answer = server.put_json(path, &[("content-type", JSON)], &vec![b' '; 2_000_001]);
    assert_eq!(answer.status, 413);
    assert!(answer.json()["error"]["message"].is_string());
    let foreign = [("content-type", JSON), ("origin", "http://elsewhere.example")];
    assert_eq!(server.put_json(path, &foreign, b"{}").status, 403);
    assert_eq!(server.get(path).json(), kept);
}

#[test]
fn a_reset_forgets_places() {
    let server = TestServer::start_with(|config| config.allow_reset = true);
    let path = "/api/v1/page/places";
    let body = json!({"places": {"a": [1, 2]}, "colors": {"a": 1}}).to_string();
    assert_eq!(server.put_json(path, &[("content-type", JSON)], body.as_bytes()).status, 200);
    assert_eq!(server.post_to(server.http(), "/api/v1/reset", &[], b"").status, 204);
    assert_eq!(server.get(path).json(), json!({"places": {}, "colors": {}}));
}

#[test]
fn mistakes_are_4xx_with_a_message() {
    let server = TestServer::start();
    for path in [
        "/api/v1/series?q=service%20%3D",
        "/api/v1/series?language=sql",
        "/api/v1/series?points=0",
        "/api/v1/series?points=501",
        "/api/v1/series?limit=51",
        "/api/v1/series?by=duration",
        "/api/v1/series?from=now&to=-1h",
        "/api/v1/differences?q=nope",
        "/api/v1/differences?of=services",
        "/api/v1/differences?since=yesterday",
        "/api/v1/differences?since=now&until=-1h",
        "/api/v1/differences?minDurationNano=5&maxDurationNano=4",
        "/api/v1/differences?minDurationNano=1.5",
        "/api/v1/differences?limit=0",
        "/api/v1/map?breakdown=trace",
        "/api/v1/traces/xyz/links",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 400, "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert!(answer.json()["error"]["message"].is_string(), "{path}");
    }
    let error = server.get("/api/v1/differences?q=service%20%3D").json();
    assert_eq!(error["error"]["at"], 9, "{error}");
}
