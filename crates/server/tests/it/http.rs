//! OTLP over HTTP: what is taken, what is refused, and that the counts add up.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde_json::json;
use throughline_testkit::otlp_request;

use crate::harness::{JSON, PROTOBUF, TestServer, json_request, json_span, spans, trace_id};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn span_count(server: &TestServer, trace: u128) -> u64 {
    let answer = server.get(&format!("/api/v1/traces/{}/view", trace_id(trace)));
    if answer.status == 404 { 0 } else { answer.json()["spanCount"].as_u64().unwrap() }
}

/// The code and message of a `google.rpc.Status`, read without our own code.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

#[test]
fn spans_are_acknowledged_when_they_can_be_read_back() {
    let server = TestServer::start();
    let answer = server.export(PROTOBUF, &otlp_request(&spans(1, 5)));
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-type"), PROTOBUF);
    assert_eq!(span_count(&server, 1), 5);

    let answer = server.export(JSON, &json_request(&[json_span(2, 1)]));
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    assert!(answer.header("content-type").starts_with(JSON));
    assert_eq!(span_count(&server, 2), 1);
    server.check_conservation("otlp_http", 6, 6);
}

#[test]
fn every_path_door_and_packing_takes_spans() {
    let server = TestServer::start();
    let body = |trace| otlp_request(&spans(trace, 3));
    let post = |door, path, headers: &[(&str, &str)], body: &[u8]| {
        let headers = [&[("content-type", PROTOBUF)], headers].concat();
        assert_eq!(server.post_to(door, path, &headers, body).status, 200, "{path} {headers:?}");
    };
    post(server.otlp_http(), "/v1/traces", &[("content-encoding", "gzip")], &gzip(&body(1)));
    let zstd = zstd::encode_all(&body(2)[..], 3).unwrap();
    post(server.otlp_http(), "/v1/traces", &[("content-encoding", "zstd")], &zstd);
    post(server.http(), "/v1/traces", &[("content-encoding", "identity")], &body(3));
    post(server.http(), "/v2/trace/otlp", &[("x-sf-token", "secret")], &body(4));
    post(server.otlp_http(), "/v2/trace/otlp", &[], &body(5));
    for trace in 1..=5 {
        assert_eq!(span_count(&server, trace), 3, "trace {trace}");
    }
    server.check_conservation("otlp_http", 15, 15);
}

#[test]
fn a_chunked_body_is_read_whole() {
    let server = TestServer::start();
    let body = otlp_request(&spans(1, 40));
    let mut request = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Content-Type: application/x-protobuf\r\nTransfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    for chunk in body.chunks(1_000) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let answer = server.raw(server.otlp_http(), &request);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(span_count(&server, 1), 40);
}

#[test]
fn an_empty_request_is_a_success() {
    let server = TestServer::start();
    assert_eq!(server.export(PROTOBUF, b"").status, 200);
    assert_eq!(server.export(JSON, b"{}").status, 200);
    assert_eq!(server.export(JSON, b"{\"resourceSpans\":[]}").status, 200);
    server.check_conservation("otlp_http", 0, 0);
}

#[test]
fn a_bad_span_does_not_cost_its_neighbour() {
    let server = TestServer::start();
    let mut zero_trace = json_span(1, 2);
    zero_trace["traceId"] = json!("0".repeat(32));
    let mut zero_span = json_span(1, 3);
    zero_span["spanId"] = json!("0".repeat(16));
    let mut bad_id = json_span(1, 4);
    bad_id["spanId"] = json!("xyz");
    let body = json_request(&[json_span(1, 1), zero_trace, zero_span, bad_id]);
    let answer = server.export(JSON, &body);
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "3");
    assert!(partial["errorMessage"].as_str().unwrap().contains("zero_trace_id"), "{partial}");
    assert_eq!(span_count(&server, 1), 1);
    server.check_conservation("otlp_http", 4, 1);

    let listed = server.get("/api/v1/rejected").json();
    let reasons: Vec<_> = listed["rejected"].as_array().unwrap().iter().collect();
    assert_eq!(reasons.len(), 3, "{listed}");
    assert!(reasons.iter().all(|r| r["protocol"] == "otlp_http" && r["count"] == 1), "{listed}");

    // The same in protobuf, read with the official messages.
    let mut bad = spans(2, 2);
    bad[1].span_id = Default::default();
    let answer = server.export(PROTOBUF, &otlp_request(&bad));
    let response = ExportTraceServiceResponse::decode(&answer.body[..]).unwrap();
    let partial = response.partial_success.unwrap();
    assert_eq!((answer.status, partial.rejected_spans), (200, 1));
    assert!(partial.error_message.contains("zero_span_id"), "{}", partial.error_message);
}

#[test]
fn odd_spans_are_kept_with_a_warning() {
    let server = TestServer::start();
    let mut reversed = json_span(1, 1);
    reversed["endTimeUnixNano"] = json!("5");
    let answer = server.export(JSON, &json_request(&[reversed]));
    let partial = &answer.json()["partialSuccess"];
    assert!(partial["rejectedSpans"].is_null(), "{partial}");
    assert!(partial["errorMessage"].as_str().unwrap().contains("end_before_start"), "{partial}");
    assert_eq!(span_count(&server, 1), 1);
    server.check_conservation("otlp_http", 1, 1);
}

#[test]
fn times_at_the_ends_of_history_are_kept() {
    let server = TestServer::start();
    let mut body = Vec::new();
    for (id, start) in [(1, 0u64), (2, (1 << 32) * 1_000_000_000)] {
        let mut span = json_span(id, 1);
        span["startTimeUnixNano"] = json!(start.to_string());
        span["endTimeUnixNano"] = json!((start + 5).to_string());
        body.push(span);
    }
    assert_eq!(server.export(JSON, &json_request(&body)).json(), json!({}));
    let view = server.get(&format!("/api/v1/traces/{}/view", trace_id(1))).json();
    assert_eq!(view["startUnixNano"], "0");
    let view = server.get(&format!("/api/v1/traces/{}/view", trace_id(2))).json();
    assert_eq!(view["startUnixNano"], "4294967296000000000");
}

#[test]
fn the_same_span_sent_twice_is_shown_once() {
    let server = TestServer::start();
    let body = otlp_request(&spans(1, 4));
    for _ in 0..2 {
        assert_eq!(server.export(PROTOBUF, &body).status, 200);
    }
    assert_eq!(span_count(&server, 1), 4);
    server.check_conservation("otlp_http", 8, 8);
}

#[test]
fn a_hundred_thousand_attributes_cost_one_span_only_some_of_them() {
    let server = TestServer::start();
    let attributes: Vec<_> = (0..100_000)
        .map(|n| json!({"key": format!("key{n}"), "value": {"intValue": n.to_string()}}))
        .collect();
    let mut giant = json_span(1, 1);
    giant["attributes"] = json!(attributes);
    let answer = server.export(JSON, &json_request(&[giant, json_span(1, 2)]));
    assert_eq!(answer.status, 200);
    let message = answer.json()["partialSuccess"]["errorMessage"].to_string();
    assert!(message.contains("too_many_attributes"), "{message}");
    assert_eq!(span_count(&server, 1), 2);
}

#[test]
fn deep_nesting_is_survived() {
    let server = TestServer::start();
    const DEPTH: usize = 100_000;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(DEPTH), close.repeat(DEPTH));
    for text in [
        deep("[", "]"),
        deep("{\"a\":", "}").replace(":}", ":1}"),
        deep("{\"resourceSpans\":[", "]}"),
    ] {
        let status = server.export(JSON, text.as_bytes()).status;
        assert!(status == 400 || status == 200, "{status}");
    }
    let value = deep("{\"arrayValue\":{\"values\":[", "]}}");
    let span = json_span(1, 1).to_string();
    let span = format!(
        "{},\"attributes\":[{{\"key\":\"a\",\"value\":{value}}}]}}",
        &span[..span.len() - 1]
    );
    let body = format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{span}]}}]}}]}}");
    let status = server.export(JSON, body.as_bytes()).status;
    assert!(status == 400 || status == 200, "{status}");
    // Protobuf: AnyValue { array_value { values { ... } } } around nothing.
    let mut bytes: Vec<u8> = Vec::new();
    for _ in 0..DEPTH / 100 {
        bytes = [varint_field(1, &bytes), Vec::new()].concat();
        bytes = varint_field(5, &bytes);
    }
    let attribute = [varint_field(1, b"a"), varint_field(2, &bytes)].concat();
    let span = [varint_field(1, &[1; 16]), varint_field(2, &[1; 8]), varint_field(9, &attribute)];
    let body = varint_field(1, &varint_field(2, &varint_field(2, &span.concat())));
    assert_eq!(server.export(PROTOBUF, &body).status, 200);
    assert_eq!(server.get("/ready").status, 200);
}

fn varint_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

#[test]
fn what_cannot_be_decoded_is_a_400_in_the_requests_encoding() {
    let server = TestServer::start();
    let whole = otlp_request(&spans(1, 5));
    let answer = server.export(PROTOBUF, &whole[..whole.len() - 7]);
    assert_eq!((answer.status, answer.header("content-type")), (400, PROTOBUF));
    let status = RpcStatus::decode(&answer.body[..]).unwrap();
    assert_eq!(status.code, 3);
    assert!(!status.message.is_empty());

    for body in [&b"{"[..], b"[]", b"{\"resourceSpans\":7}", b"\xff\xfe"] {
        let answer = server.export(JSON, body);
        assert_eq!((answer.status, answer.header("content-type")), (400, JSON), "{body:?}");
        assert_eq!(answer.json()["code"], 3);
    }
    for encoding in ["gzip", "zstd"] {
        let headers = [("content-type", PROTOBUF), ("content-encoding", encoding)];
        let answer = server.post("/v1/traces", &headers, b"this is not packed at all");
        assert_eq!((answer.status, answer.header("content-type")), (400, PROTOBUF));
    }
    let cut = gzip(&whole);
    let headers = [("content-type", PROTOBUF), ("content-encoding", "gzip")];
    assert_eq!(server.post("/v1/traces", &headers, &cut[..cut.len() - 9]).status, 400);
    server.check_conservation("otlp_http", 0, 0);
    assert_eq!(server.metric_sum("throughline_requests_refused_total", "otlp_http"), 8);
}

#[test]
fn wrong_types_encodings_and_methods_are_named() {
    let server = TestServer::start();
    let body = otlp_request(&spans(1, 1));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        assert_eq!(server.export(kind, &body).status, 415, "{kind}");
    }
    let headers = [("content-type", PROTOBUF), ("content-encoding", "br")];
    let answer = server.post("/v1/traces", &headers, &body);
    assert_eq!((answer.status, answer.header("content-type")), (415, PROTOBUF));
    assert!(answer.header("accept-encoding").contains("zstd"));
    let charset = server.export("application/json; charset=utf-8", b"{}");
    assert_eq!(charset.status, 200);
    for path in ["/v1/traces", "/v2/trace/otlp"] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{path}");
    }
    assert_eq!(server.post("/v1/metrics", &[("content-type", PROTOBUF)], b"").status, 404);
    server.check_conservation("otlp_http", 0, 0);
}

#[test]
fn limits_hold_for_sent_and_for_inflated_bytes() {
    let server = TestServer::start_with(|config| {
        config.limits.body_size_bytes_max = 100_000;
        config.limits.inflated_size_bytes_max = 200_000;
    });
    let answer = server.export(PROTOBUF, &vec![0; 100_001]);
    assert_eq!((answer.status, answer.header("content-type")), (413, PROTOBUF));
    assert_eq!(server.export(JSON, &[b' '; 100_001]).json()["code"], 8);
    let zeros = std::io::repeat(0).take(64 << 20);
    let bomb = zstd::encode_all(zeros, 3).unwrap();
    assert!(bomb.len() < 100_000);
    let headers = [("content-type", PROTOBUF), ("content-encoding", "zstd")];
    assert_eq!(server.post("/v1/traces", &headers, &bomb).status, 413);
    let bomb = gzip(&vec![0; 20 << 20]);
    let headers = [("content-type", PROTOBUF), ("content-encoding", "gzip")];
    assert_eq!(server.post("/v1/traces", &headers, &bomb).status, 413);
    // The budget is given back.
    assert_eq!(server.metric("throughline_intake_bytes"), 0);
    assert_eq!(server.export(PROTOBUF, &otlp_request(&spans(1, 5))).status, 200);
}

#[test]
fn a_spent_budget_is_a_503_with_retry_after() {
    let server = TestServer::start_with(|config| config.limits.intake_size_bytes_max = 4_096);
    let answer = server.export(PROTOBUF, &otlp_request(&spans(1, 100)));
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(RpcStatus::decode(&answer.body[..]).unwrap().code, 14);
    assert_eq!(server.export(PROTOBUF, &otlp_request(&spans(1, 1))).status, 200);
}

#[test]
fn a_body_that_stands_still_is_given_up() {
    let server = TestServer::start_with(|config| {
        config.limits.body_timeout = std::time::Duration::from_millis(200);
    });
    let head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
        Content-Length: 100\r\n\r\n{";
    let answer = server.raw(server.otlp_http(), head);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[test]
fn headers_that_stand_still_and_silent_connections_are_given_up() {
    let server = TestServer::start_with(|config| {
        config.limits.header_timeout = std::time::Duration::from_millis(200);
        config.limits.idle_timeout = std::time::Duration::from_millis(400);
    });
    for bytes in [&b"POST /v1/traces HTTP/1.1\r\nHost:"[..], b"PRI * HT", b""] {
        // Returns only when the server closes.
        let answer = server.raw(server.otlp_http(), bytes);
        assert!(!answer.contains("200 OK"), "{answer}");
    }
}

#[test]
fn a_large_body_is_decoded_apart_and_still_counted() {
    let server = TestServer::start();
    let body = otlp_request(&spans(1, 5_000));
    assert!(body.len() > 512 << 10, "{}", body.len());
    assert_eq!(server.export(PROTOBUF, &body).status, 200);
    let headers = [("content-type", PROTOBUF), ("content-encoding", "gzip")];
    assert_eq!(server.post("/v1/traces", &headers, &gzip(&body)).status, 200);
    assert_eq!(span_count(&server, 1), 5_000);
    server.check_conservation("otlp_http", 10_000, 10_000);
}
