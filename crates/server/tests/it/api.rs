//! The native API over HTTP: shapes, mistakes, and the description.

use serde_json::{Value, json};
use throughline_model::SpanKind;
use throughline_testkit::{otlp_request, span};

use crate::harness::{PROTOBUF, TestServer, now, spans, trace_id};

/// A request through `web` and `api` that fails in `api`.
fn failing_trace(server: &TestServer) {
    let start = now() - 2_000_000_000;
    let root = span("GET /").in_trace(7).id(1).service("web").environment("production");
    let root = root.kind(SpanKind::Server).at(start).lasting(1_000_000);
    let call = span("call").in_trace(7).child_of(&root).id(2).service("web");
    let call =
        call.environment("production").kind(SpanKind::Client).at(start + 10).lasting(900_000);
    let served = span("GET /x").in_trace(7).child_of(&call).id(3).service("api");
    let served = served.environment("production").kind(SpanKind::Server).at(start + 20);
    let served =
        served.lasting(800_000).failing("boom").attr("http.route", "/x").attr("big", i64::MAX);
    let body = otlp_request(&[root, call, served.event("exception", start + 30)]);
    assert_eq!(server.export(PROTOBUF, &body).status, 200);
}

#[test]
fn every_answer_has_its_shape() {
    let server = TestServer::start();
    failing_trace(&server);
    let id = trace_id(7);

    let search = server.get("/api/v1/search?q=http.route%20%3D%20%22/x%22").json();
    let found = &search["traces"][0];
    assert_eq!(found["traceId"], id.as_str(), "{search}");
    assert_eq!((&found["spanCount"], &found["errorCount"]), (&json!(3), &json!(1)));
    assert_eq!(found["failing"], json!({"service": "api", "name": "GET /x", "message": "boom"}));
    assert_eq!(found["environment"], "production");
    assert_eq!(search["truncated"], false);

    let map = server.get("/api/v1/map").json();
    let edge = &map["edges"][0];
    assert_eq!(
        (&edge["from"], &edge["to"]),
        (&json!("service:web"), &json!("service:api")),
        "{map}"
    );
    assert_eq!(
        (&edge["kind"], &edge["requests"], &edge["errors"]),
        (&json!("sync"), &json!(1), &json!(1))
    );

    let edge = server.get("/api/v1/map/edge?source=service:web&target=service:api").json();
    let operation = &edge["operations"][0];
    assert_eq!(
        (&operation["name"], &operation["kind"], &operation["requests"], &operation["errors"]),
        (&json!("GET /x"), &json!("server"), &json!(1), &json!(1)),
        "{edge}"
    );
    assert_eq!(operation["p95Nano"], 800_000, "{edge}");
    let call = &edge["calls"][0];
    assert_eq!((&call["traceId"], &call["failed"]), (&json!(id), &json!(true)), "{edge}");
    assert_eq!(call["spanId"], "0000000000000003", "{edge}");
    assert_eq!((&edge["traces"], &edge["truncated"]), (&json!(1), &json!(false)));
    let unknown = server.get("/api/v1/map/edge?source=service:web&target=x").json();
    assert_eq!((&unknown["operations"], &unknown["calls"]), (&json!([]), &json!([])));

    for form in [
        id.clone(),
        format!("1-{}-{}", &id[..8], &id[8..]),
        "7".to_owned(),
        "0000000000000007".to_owned(),
    ] {
        let trace = server.get(&format!("/api/v1/traces/{form}")).json();
        assert!(!trace["resourceSpans"].as_array().unwrap().is_empty(), "{form}");
    }
    let view = server.get(&format!("/api/v1/traces/{id}/view")).json();
    assert_eq!(view["spans"]["parent"], json!([-1, 0, 1]));
    assert_eq!(view["spans"]["kind"], json!([2, 3, 2]));
    assert_eq!(view["eventTimes"], json!([[2, 30]]));

    let detail = server.get(&format!("/api/v1/traces/{id}/spans/0000000000000003")).json();
    assert_eq!(detail["status"], json!({"code": "error", "message": "boom"}));
    assert_eq!(detail["parentSpanId"], "0000000000000002");
    let big = json!({"key": "big", "type": "int", "value": i64::MAX.to_string()});
    assert!(detail["attributes"].as_array().unwrap().contains(&big), "{detail}");

    assert_eq!(server.get("/api/v1/environments").json()["environments"], json!(["production"]));
    let services = server.get("/api/v1/services").json();
    assert_eq!(services["services"][0]["name"], "api", "{services}");
    let operations = server.get("/api/v1/services/api/operations").json();
    assert_eq!(operations["operations"][0]["name"], "GET /x", "{operations}");
    let keys = server.get("/api/v1/attributes?prefix=http").json();
    assert_eq!(keys["attributes"][0]["key"], "http.route", "{keys}");
    let values = server.get("/api/v1/attributes/http.route/values").json();
    assert_eq!(values["values"][0]["value"], "/x", "{values}");

    let status = server.get("/api/v1/status").json();
    assert_eq!(
        (&status["ready"], &status["spans"], &status["receivedSpans"]),
        (&json!(true), &json!(3), &json!(3))
    );
    assert_eq!(status["doors"].as_array().unwrap().len(), 4);
}

#[test]
fn mistakes_of_the_caller_are_4xx_with_a_message() {
    let server = TestServer::start();
    for (path, status) in [
        ("/api/v1/search?q=service%20%3D", 400),
        ("/api/v1/search?from=yesterday", 400),
        ("/api/v1/search?from=now&to=-1h", 400),
        ("/api/v1/search?limit=0", 400),
        ("/api/v1/search?limit=1001", 400),
        ("/api/v1/search?limit=many", 400),
        ("/api/v1/search?q=%ff", 400),
        ("/api/v1/map?to=x", 400),
        ("/api/v1/map/edge?source=service:web", 400),
        ("/api/v1/map/edge?source=a&target=b&from=x", 400),
        ("/api/v1/traces/xyz", 400),
        ("/api/v1/traces/%ff", 400),
        ("/api/v1/traces/5b8efff798038103d269b633813fc60c", 404),
        ("/api/v1/traces/5b8efff798038103d269b633813fc60c/view", 404),
        ("/api/v1/traces/5b8efff798038103d269b633813fc60c/spans/1", 400),
        ("/api/v1/traces/5b8efff798038103d269b633813fc60c/spans/0000000000000001", 404),
        ("/api/v1/attributes/a/values?scope=nowhere", 400),
        ("/api/v1/nothing", 404),
        ("/api/v1/reset", 405),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, status, "{path}: {}", String::from_utf8_lossy(&answer.body));
        assert!(answer.json()["error"]["message"].is_string(), "{path}");
    }
    let error = server.get("/api/v1/search?q=service%20%3D").json();
    assert_eq!(error["error"]["at"], 9, "{error}");
    let post = server.post_to(server.http(), "/api/v1/search", &[], b"");
    assert_eq!((post.status, post.header("allow")), (405, "GET,HEAD"));
    assert!(post.json()["error"]["message"].is_string());
    let reset = server.post_to(server.http(), "/api/v1/reset", &[], b"");
    assert_eq!(reset.status, 403);
}

#[test]
fn reset_empties_the_store_when_allowed() {
    let server = TestServer::start_with(|config| config.allow_reset = true);
    failing_trace(&server);
    assert_eq!(server.post_to(server.http(), "/api/v1/reset", &[], b"").status, 204);
    assert_eq!(server.get(&format!("/api/v1/traces/{}", trace_id(7))).status, 404);
    assert_eq!(server.get("/api/v1/map").json()["nodes"], json!([]));
}

#[test]
fn the_description_names_every_path_and_is_what_the_page_was_built_for() {
    let server = TestServer::start();
    let description = server.get("/api/v1/openapi.json").json();
    let paths: Vec<&String> = description["paths"].as_object().unwrap().keys().collect();
    for path in [
        "/api/v1/search",
        "/api/v1/map",
        "/api/v1/map/edge",
        "/api/v1/traces/{id}",
        "/api/v1/traces/{id}/view",
        "/api/v1/traces/{id}/spans/{spanId}",
        "/api/v1/traces/{id}/links",
        "/api/v1/series",
        "/api/v1/differences",
        "/api/v1/page/places",
        "/api/v1/environments",
        "/api/v1/services",
        "/api/v1/services/{service}/operations",
        "/api/v1/attributes",
        "/api/v1/attributes/{key}/values",
        "/api/v1/rejected",
        "/api/v1/status",
        "/api/v1/reset",
    ] {
        assert!(paths.iter().any(|p| *p == path), "{path} is not in {paths:?}");
    }
    let text = throughline_server::api::native::openapi_json();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), description);
}

#[test]
fn answers_are_packed_when_asked() {
    let server = TestServer::start();
    assert_eq!(server.export(PROTOBUF, &otlp_request(&spans(1, 200))).status, 200);
    let path = format!("/api/v1/traces/{}/view", trace_id(1));
    let plain = server.get(&path);
    let packed = server.get_with(&path, "accept-encoding", "gzip");
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() < plain.body.len());
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed.body[..]), &mut text)
        .unwrap();
    assert_eq!(text, plain.body);
}
