//! What callers get wrong: answered as their mistake, and never at their neighbour's cost.

use serde_json::{Value, json};

use crate::harness::{JSON, TestServer};
use crate::xray::{operations, trace_id};

/// A request is refused with this word, as a caller's mistake.
fn check(server: &TestServer, path: &str, body: &Value, word: &str) -> String {
    let answer = server.call(path, body);
    let text = answer.json();
    assert!((400..500).contains(&answer.status), "{path} {body}: {} {text}", answer.status);
    assert_eq!(answer.header("x-amzn-errortype"), word, "{path} {body}: {text}");
    assert_eq!(text["__type"], word, "{path}");
    text["Message"].as_str().unwrap().to_owned()
}

const INVALID: &str = "InvalidRequestException";

#[test]
fn nonsense_is_never_a_fault_of_the_server() {
    let server = TestServer::start();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (path, ..) in operations() {
        for body in ["nonsense", "[1]", "7", "{\"TraceIds\":", "\u{0}", "{}", &deep] {
            let headers = [("content-type", JSON)];
            let answer = server.post_to(server.xray(), path, &headers, body.as_bytes());
            assert!(answer.status < 500, "{path} {body:.20}: {}", answer.json());
        }
        let answer = server.post_to(server.xray(), path, &[], b"\xff\xfe{");
        assert!(answer.status < 500, "{path}");
        let answer = server.post_to(server.xray(), path, &[("content-encoding", "gzip")], b"x");
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
}

#[test]
fn an_operation_that_is_not_there_is_named_as_such() {
    let server = TestServer::start();
    for path in ["/Nothing", "/Traces/", "/traces", "/xray/Traces", "/api/v1/search"] {
        check(&server, path, &json!({}), "UnknownOperationException");
    }
    let answer = server.post_to(server.http(), "/xray/Nothing", &[], b"{}");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("x-amzn-errortype"), "UnknownOperationException");
}

#[test]
fn ranges_run_forward_and_tokens_are_ours() {
    let server = TestServer::start();
    let backward = json!({ "StartTime": 1_700_000_060, "EndTime": 1_700_000_000 });
    let forward = json!({ "StartTime": 1_700_000_000, "EndTime": 1_700_000_060 });
    for path in
        ["/TraceSummaries", "/ServiceGraph", "/TimeSeriesServiceStatistics", "/InsightSummaries"]
    {
        check(&server, path, &backward, INVALID);
        check(&server, path, &json!({ "StartTime": 1 }), INVALID);
        check(&server, path, &json!({ "StartTime": "x", "EndTime": 1 }), INVALID);
        check(&server, path, &json!({ "StartTime": 1e300, "EndTime": 1 }), INVALID);
        let mut body = forward.clone();
        body["NextToken"] = "dG9rZW4gb2YgYW5vdGhlciBzZXJ2ZXI".into();
        check(&server, path, &body, INVALID);
    }
    for path in ["/Groups", "/GetSamplingRules", "/ListResourcePolicies", "/GetIndexingRules"] {
        check(&server, path, &json!({ "NextToken": "x" }), INVALID);
        assert_eq!(server.call(path, &json!({ "NextToken": "" })).status, 200, "{path}");
        assert_eq!(server.call(path, &json!({ "NextToken": null })).status, 200, "{path}");
    }
}

#[test]
fn a_filter_that_cannot_be_read_says_where() {
    let server = TestServer::start();
    let ask = |filter: &str| json!({ "StartTime": 1, "EndTime": 2, "FilterExpression": filter });
    let message = check(&server, "/TraceSummaries", &ask("fault = "), INVALID);
    assert!(message.contains("at 8"), "{message}");
    for filter in [
        "(".repeat(10_000),
        "!".repeat(10_000),
        "x".repeat(10_001),
        format!("{} fault", "fault OR ".repeat(2_000)),
        "service(\"a\") { ".repeat(600),
        "group.name = \"nobody\"".to_owned(),
        "\"".to_owned(),
        "\u{1f600}".to_owned(),
    ] {
        let answer = server.call("/TraceSummaries", &ask(&filter));
        assert!(answer.status < 500, "{filter:.30}: {}", answer.json());
    }
    let group = json!({ "GroupName": "g", "FilterExpression": "nonsense !" });
    check(&server, "/CreateGroup", &group, INVALID);
    let selector = json!({ "StartTime": 1, "EndTime": 2, "EntitySelectorExpression": "service(" });
    check(&server, "/TimeSeriesServiceStatistics", &selector, INVALID);
    let period = json!({ "StartTime": 1, "EndTime": 2, "Period": 0 });
    check(&server, "/TimeSeriesServiceStatistics", &period, INVALID);
}

#[test]
fn a_bad_document_is_named_and_its_neighbours_are_kept() {
    let server = TestServer::start();
    let segment = |id: &str| {
        json!({
            "name": "shop", "id": id, "trace_id": trace_id(1),
            "start_time": 1.7e9, "end_time": 1.7e9 + 1.0,
        })
    };
    let mut no_trace = segment("000000000000000b");
    no_trace.as_object_mut().unwrap().remove("trace_id");
    let mut nested = segment("000000000000000c");
    nested["subsegments"] = json!([
        { "name": "no start", "id": "000000000000000d" },
        { "name": "good", "id": "000000000000000e", "start_time": 1.7e9, "end_time": 1.7e9 },
    ]);
    let texts = [
        segment("000000000000000a").to_string(),
        "nonsense".to_owned(),
        no_trace.to_string(),
        nested.to_string(),
        String::new(),
        "[]".to_owned(),
        "null".to_owned(),
        format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20)),
        "[".repeat(100_000),
    ];
    let answer = server.ask("/TraceSegments", &json!({ "TraceSegmentDocuments": texts }));
    let unprocessed = answer["UnprocessedTraceSegments"].as_array().unwrap();
    for entry in unprocessed {
        assert!(entry["ErrorCode"].is_string(), "{entry}");
        let message = entry["Message"].as_str().unwrap();
        assert!(message.starts_with("Invalid segment. ErrorCode: "), "{entry}");
    }
    let codes: Vec<_> = unprocessed.iter().map(|u| u["ErrorCode"].as_str().unwrap()).collect();
    assert!(codes.contains(&"InvalidTraceId"), "{answer}");
    assert!(unprocessed.iter().any(|u| u["Id"] == "000000000000000d"), "{answer}");
    let view = server.get(&format!("/api/v1/traces/{}/view", trace_id(1))).json();
    let kept = view["spans"]["spanId"].as_array().unwrap();
    for id in ["000000000000000a", "000000000000000c", "000000000000000e"] {
        assert!(kept.iter().any(|k| k == id), "{id} is not in {kept:?}");
    }
    let rejected = server.get("/api/v1/rejected").json();
    let rejected = rejected["rejected"].as_array().unwrap();
    let entry = rejected.iter().find(|r| r["document"]["id"] == "000000000000000b").unwrap();
    assert_eq!(entry["document"]["code"], "InvalidTraceId");
    assert_eq!(entry["protocol"], "xray_http");
    assert!(entry["document"]["head"].as_str().unwrap().contains("shop"), "{entry}");
    let label = "protocol=\"xray_http\"";
    let sum = |name: &str| server.metric_sum(&format!("throughline_spans_{name}_total"), label);
    assert_eq!(sum("stored"), 3);
    assert_eq!(sum("received"), sum("stored") + sum("rejected"));
    check(&server, "/TraceSegments", &json!({}), INVALID);
    check(&server, "/TraceSegments", &json!({ "TraceSegmentDocuments": "x" }), INVALID);
}

#[test]
fn a_strict_server_refuses_what_aws_refuses() {
    let server = TestServer::start_with(|config| config.xray_api.strict_documents = true);
    let document = json!({
        "name": "shop", "id": "000000000000000c", "trace_id": trace_id(1), "start_time": 1.7e9,
    });
    let body = json!({ "TraceSegmentDocuments": [document.to_string()] });
    let answer = server.ask("/TraceSegments", &body);
    assert_eq!(answer["UnprocessedTraceSegments"][0]["ErrorCode"], "MissingEndTime", "{answer}");
}

#[test]
fn with_keys_only_signed_calls_are_answered_but_for_the_polls() {
    let server = TestServer::start_with(|config| {
        config.xray_api.keys.insert("AKID".to_owned(), "SECRET".to_owned());
    });
    check(&server, "/Groups", &json!({}), "MissingAuthenticationTokenException");
    assert_eq!(server.call("/GetSamplingRules", &json!({})).status, 200);
    let sign = |key: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260102/us-east-1/xray/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={}",
            "0".repeat(64)
        )
    };
    for (key, word) in
        [("AKID", "InvalidSignatureException"), ("OTHER", "UnrecognizedClientException")]
    {
        let signature = sign(key);
        let headers = [("authorization", &signature[..]), ("x-amz-date", "20260102T030405Z")];
        let answer = server.post_to(server.xray(), "/Groups", &headers, b"{}");
        assert_eq!((answer.status, answer.header("x-amzn-errortype")), (403, word));
        let answer = server.post_to(server.http(), "/xray/GetSamplingRules", &headers, b"{}");
        assert_eq!(answer.status, 403);
    }
}
