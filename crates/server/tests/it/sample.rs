//! An invented system, made by the server.

use serde_json::json;

use crate::harness::TestServer;

fn post(server: &TestServer, body: &[u8]) -> crate::harness::Answer {
    server.post_to(server.http(), "/api/v1/sample", &[], body)
}

#[test]
fn a_shop_is_on_the_map_and_its_lost_context_at_the_doctor() {
    let server = TestServer::start();
    let answer = post(&server, br#"{"count":150,"seed":7}"#);
    assert_eq!(answer.status, 200);
    let made = answer.json();
    assert_eq!(
        (&made["environment"], &made["traceIds"].as_array().unwrap().len()),
        (&json!("sample"), &100)
    );
    let spans = made["spanCount"].as_u64().unwrap();
    server.check_conservation("sample", spans, spans);

    let map = server.get("/api/v1/map?environment=sample").json();
    let names: Vec<&str> =
        map["nodes"].as_array().unwrap().iter().filter_map(|node| node["name"].as_str()).collect();
    for name in ["payments", "api.stripe.example", "order-events", "lab-stream"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let findings = server.get("/api/v1/doctor?environment=sample").json();
    assert!(findings.to_string().contains("lab-stream"), "{findings:#}");
    let newest = made["traceIds"][0].as_str().unwrap();
    assert_eq!(server.get(&format!("/api/v1/traces/{newest}/view")).status, 200);
}

#[test]
fn without_a_body_it_is_the_shop_and_nonsense_stores_nothing() {
    let server = TestServer::start();
    for body in [&b"{"[..], b"7", br#"{"system":"bank"}"#, br#"{"count":9999999}"#, br#"{"x":1}"#] {
        let answer = post(&server, body);
        assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(body));
        assert!(!answer.json()["error"]["message"].as_str().unwrap().is_empty());
    }
    server.check_conservation("sample", 0, 0);
    let elsewhere = [("origin", "http://elsewhere.example")];
    let other_page = server.post_to(server.http(), "/api/v1/sample", &elsewhere, b"");
    assert_eq!(other_page.status, 403);

    let made = post(&server, b"").json();
    assert!(made["spanCount"].as_u64().unwrap() > 10_000, "{made}");
}

#[test]
fn the_same_seed_and_time_give_the_same_trace_once() {
    let server = TestServer::start();
    let body = br#"{"system":"large","count":500,"seed":1,"until":"-5m"}"#;
    let ids: Vec<_> = (0..2).map(|_| post(&server, body).json()["traceIds"].clone()).collect();
    assert_eq!(ids[0], ids[1]);
    let id = ids[0][0].as_str().unwrap();
    let view = server.get(&format!("/api/v1/traces/{id}/view")).json();
    assert_eq!((&view["spanCount"], &view["errorCount"]), (&json!(500), &json!(7)));
}
