//! Log records in by every OTLP door, kept over a restart, and asked by trace.

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use serde_json::{Value, json};
use throughline_testkit::{otlp_request, span};

use crate::harness::{JSON, PROTOBUF, TestServer, json_request, json_span, now, spans, trace_id};

const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

fn record(trace: u128, span: u64, text: &str) -> Value {
    json!({
        "traceId": trace_id(trace), "spanId": format!("{span:016x}"),
        "timeUnixNano": now().to_string(), "severityNumber": 13, "severityText": "WARN",
        "body": {"stringValue": text},
        "attributes": [{"key": "n", "value": {"intValue": "7"}}],
    })
}

fn request(records: &[Value]) -> Vec<u8> {
    let service = json!([{"key": "service.name", "value": {"stringValue": "shop"}}]);
    json!({"resourceLogs": [{
        "resource": {"attributes": service},
        "scopeLogs": [{"scope": {"name": "checkout"}, "logRecords": records}],
    }]})
    .to_string()
    .into_bytes()
}

fn logs(server: &TestServer, trace: u128) -> Value {
    let answer = server.get(&format!("/api/v1/traces/{}/logs", trace_id(trace)));
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

fn bodies(logs: &Value) -> Vec<&str> {
    let records = logs["records"].as_array().unwrap().iter();
    records.map(|record| record["body"].as_str().unwrap()).collect()
}

fn counted(server: &TestServer, what: &str) -> u64 {
    server.metric_sum(&format!("throughline_log_records_{what}_total"), "protocol")
}

#[test]
fn records_are_beside_the_spans_of_their_trace_also_after_a_restart() {
    let mut server = TestServer::start();
    server.export(PROTOBUF, &otlp_request(&spans(1, 2)));
    let body = request(&[record(1, 1, "low on sugar"), record(1, 2, "none left")]);
    for door in [server.http(), server.otlp_http()] {
        // The second time is a repetition, which changes nothing.
        let answer = server.post_to(door, "/v1/logs", &[("content-type", JSON)], &body);
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{}"[..]));
    }
    for again in [false, true] {
        if again {
            server.restart();
        }
        let found = logs(&server, 1);
        assert_eq!(bodies(&found), ["low on sugar", "none left"]);
        assert_eq!(found["total"], 2);
        let first = &found["records"][0];
        assert_eq!(first["spanId"], "0000000000000001");
        assert_eq!(first["service"], "shop");
        assert_eq!((&first["severity"], &first["severityText"]), (&json!("warn"), &json!("WARN")));
        assert_eq!(first["attributes"], json!([{"key": "n", "type": "int", "value": 7}]));
        assert_eq!(first["scope"], "checkout");
        // Records are no spans.
        let view = server.get(&format!("/api/v1/traces/{}/view", trace_id(1))).json();
        assert_eq!(view["spanCount"], 2);
        // A block keeps no copies.
        let held = if again { 2 } else { 4 };
        assert_eq!(server.get("/api/v1/status").json()["logRecords"], held);
        assert_eq!(server.metric("throughline_store_log_records"), held);
    }
}

#[test]
fn records_come_by_grpc() {
    let server = TestServer::start();
    let record = |text: &str| LogRecord {
        trace_id: 5u128.to_be_bytes().to_vec(),
        time_unix_nano: now() as u64,
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(text.into())) }),
        ..LogRecord::default()
    };
    let scoped = ScopeLogs { log_records: vec![record("one")], ..ScopeLogs::default() };
    let resource = ResourceLogs { scope_logs: vec![scoped], ..ResourceLogs::default() };
    let request = ExportLogsServiceRequest { resource_logs: vec![resource] };
    let answer: ExportLogsServiceResponse =
        server.unary(server.otlp_grpc(), EXPORT, None, request.clone()).unwrap();
    assert!(answer.partial_success.is_none());
    let headers = [("content-type", PROTOBUF)];
    let answer = server.post("/v1/logs", &headers, &request.encode_to_vec());
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    // No span of the trace has come yet.
    assert_eq!(bodies(&logs(&server, 5)), ["one"]);
    assert_eq!(logs(&server, 5)["records"][0]["spanId"], "");
}

#[test]
fn what_a_function_said_is_beside_its_call() {
    let server = TestServer::start();
    let mut call = json_span(2, 9);
    call["attributes"] = json!([{"key": "faas.invocation_id", "value": {"stringValue": "r-1"}}]);
    assert_eq!(server.export(JSON, &json_request(&[call])).status, 200);
    server.put(&[json!({
        "trace_id": "1-57f5498f-d3c3c0de0000000000000001", "id": "000000000000000a",
        "name": "signup", "origin": "AWS::Lambda::Function",
        "start_time": now() as f64 / 1e9 - 1.0, "end_time": now() as f64 / 1e9,
        "aws": {"request_id": "r-2"},
    })]);
    let of_call = |id: &str| {
        json!({"observedTimeUnixNano": now().to_string(), "body": {"stringValue": id},
               "attributes": [{"key": "faas.invocation_id", "value": {"stringValue": id}}]})
    };
    let body = request(&[of_call("r-1"), of_call("r-2"), of_call("r-3")]);
    assert_eq!(server.post("/v1/logs", &[("content-type", JSON)], &body).status, 200);
    let found = logs(&server, 2);
    assert_eq!(bodies(&found), ["r-1"]);
    assert_eq!(found["records"][0]["spanId"], "0000000000000009");
    let found = logs(&server, 0x57f5_498f_d3c3_c0de_0000_0000_0000_0001);
    assert_eq!(bodies(&found), ["r-2"]);
    assert_eq!(found["records"][0]["spanId"], "000000000000000a");
}

#[test]
fn records_of_no_trace_are_rejected_and_cost_their_neighbours_nothing() {
    let server = TestServer::start();
    let body = request(&[json!({"body": {"stringValue": "alone"}}), record(3, 1, "kept")]);
    let answer = server.post("/v1/logs", &[("content-type", JSON)], &body);
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedLogRecords"], "1");
    let text = partial["errorMessage"].as_str().unwrap();
    assert!(text.contains("only logs of traces are kept"), "{text}");
    assert_eq!(bodies(&logs(&server, 3)), ["kept"]);
    assert_eq!((counted(&server, "received"), counted(&server, "stored")), (2, 1));
    assert_eq!((counted(&server, "rejected"), counted(&server, "dropped")), (1, 0));
    assert_eq!(server.get("/api/v1/status").json()["rejectedSpans"], 0);
    let rejected = server.get("/api/v1/rejected").json();
    assert!(rejected["rejected"][0]["detail"].as_str().unwrap().starts_with("log record 0: "));
}

#[test]
fn what_is_no_request_gets_a_status() {
    let server = TestServer::start();
    for (kind, body, status) in [
        (JSON, &b"{\"resourceLogs\":[7]}"[..], 400),
        (PROTOBUF, &[0x0a, 9][..], 400),
        ("text/plain", b"hello", 415),
    ] {
        let answer = server.post("/v1/logs", &[("content-type", kind)], body);
        assert_eq!(answer.status, status, "{kind}");
    }
    for (path, status) in [("no-id/logs", 400), (&format!("{}/logs", trace_id(77)), 404)] {
        assert_eq!(server.get(&format!("/api/v1/traces/{path}")).status, status);
    }
}

#[test]
fn a_reset_forgets_records_too() {
    let server = TestServer::start_with(|config| config.allow_reset = true);
    let span = span("work").in_trace(4).id(1).at(now()).lasting(5).service("shop");
    server.export(PROTOBUF, &otlp_request(&[span]));
    server.post("/v1/logs", &[("content-type", JSON)], &request(&[record(4, 1, "gone soon")]));
    assert_eq!(server.post_to(server.http(), "/api/v1/reset", &[], b"").status, 204);
    assert_eq!(server.get(&format!("/api/v1/traces/{}/logs", trace_id(4))).status, 404);
    assert_eq!(server.get("/api/v1/status").json()["logRecords"], 0);
}
