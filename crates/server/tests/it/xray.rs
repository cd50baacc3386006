//! The X-Ray API over HTTP: every operation, and what it says of traces.

use serde_json::{Value, json};

use crate::harness::{JSON, TestServer, now};

/// Every operation of the model with a request that it takes; `None` where nothing exists to name.
pub(crate) fn operations() -> Vec<(&'static str, Value, u16)> {
    let range = || json!({ "StartTime": 1_700_000_000, "EndTime": 1_700_000_060 });
    let rule = json!({
        "RuleName": "r", "ResourceARN": "*", "Priority": 1, "FixedRate": 0.5, "ReservoirSize": 2,
        "ServiceName": "*", "ServiceType": "*", "Host": "*", "HTTPMethod": "*", "URLPath": "*",
        "Version": 1,
    });
    let arn = "arn:aws:xray:us-east-1:000000000000:sampling-rule/Default";
    let policy = r#"{"Statement":[{"Effect":"Allow","Action":"xray:*","Resource":"*"}]}"#;
    let statistics = json!({
        "RuleName": "Default", "ClientID": "ABCDEF1234567890ABCDEF10",
        "Timestamp": 1_767_323_045.5, "RequestCount": 1, "SampledCount": 1, "BorrowCount": 0,
    });
    let id = "1-00000000-000000000000000000000001";
    vec![
        ("/Traces", json!({ "TraceIds": [id] }), 200),
        ("/CancelTraceRetrieval", json!({ "RetrievalToken": "x" }), 404),
        ("/CreateGroup", json!({ "GroupName": "g", "FilterExpression": "fault" }), 200),
        ("/CreateSamplingRule", json!({ "SamplingRule": rule }), 200),
        ("/GetGroup", json!({ "GroupName": "g" }), 200),
        ("/UpdateGroup", json!({ "GroupName": "g", "FilterExpression": "error" }), 200),
        ("/DeleteGroup", json!({ "GroupName": "g" }), 200),
        ("/PutResourcePolicy", json!({ "PolicyName": "p", "PolicyDocument": policy }), 200),
        ("/ListResourcePolicies", json!({}), 200),
        ("/DeleteResourcePolicy", json!({ "PolicyName": "p" }), 200),
        ("/UpdateSamplingRule", json!({ "SamplingRuleUpdate": { "RuleName": "r" } }), 200),
        ("/DeleteSamplingRule", json!({ "RuleName": "r" }), 200),
        ("/EncryptionConfig", json!({}), 200),
        ("/PutEncryptionConfig", json!({ "Type": "NONE" }), 200),
        ("/Groups", json!({}), 200),
        ("/GetIndexingRules", json!({}), 200),
        ("/Insight", json!({ "InsightId": "x" }), 400),
        ("/InsightEvents", json!({ "InsightId": "x" }), 200),
        ("/InsightImpactGraph", with(range(), &json!({ "InsightId": "x" })), 200),
        ("/InsightSummaries", range(), 200),
        ("/GetRetrievedTracesGraph", json!({ "RetrievalToken": "x" }), 404),
        ("/GetSamplingRules", json!({}), 200),
        ("/SamplingStatisticSummaries", json!({}), 200),
        ("/SamplingTargets", json!({ "SamplingStatisticsDocuments": [statistics] }), 200),
        ("/ServiceGraph", with(range(), &json!({ "GroupName": "Default" })), 200),
        ("/TimeSeriesServiceStatistics", with(range(), &json!({ "Period": 60 })), 200),
        ("/TraceGraph", json!({ "TraceIds": [id] }), 200),
        ("/GetTraceSegmentDestination", json!({}), 200),
        ("/TraceSummaries", range(), 200),
        ("/ListRetrievedTraces", json!({ "RetrievalToken": "x" }), 404),
        ("/ListTagsForResource", json!({ "ResourceARN": arn }), 200),
        ("/TelemetryRecords", json!({ "TelemetryRecords": [] }), 200),
        ("/TraceSegments", json!({ "TraceSegmentDocuments": [] }), 200),
        ("/StartTraceRetrieval", with(range(), &json!({ "TraceIds": [id] })), 200),
        ("/TagResource", json!({ "ResourceARN": arn, "Tags": [] }), 200),
        ("/UntagResource", json!({ "ResourceARN": arn, "TagKeys": [] }), 200),
        (
            "/UpdateIndexingRule",
            json!({
                "Name": "Default",
                "Rule": { "Probabilistic": { "DesiredSamplingPercentage": 50 } },
            }),
            200,
        ),
        ("/UpdateTraceSegmentDestination", json!({ "Destination": "XRay" }), 200),
    ]
}

#[test]
fn every_operation_answers_on_both_ports() {
    let server = TestServer::start();
    assert_eq!(operations().len(), 38);
    for (door, prefix) in [(server.xray(), ""), (server.http(), "/xray")] {
        for (path, body, status) in operations() {
            let body = body.to_string();
            let headers = [("content-type", JSON)];
            let path = format!("{prefix}{path}");
            let answer = server.post_to(door, &path, &headers, body.as_bytes());
            assert_eq!(answer.status, status, "{path}: {}", answer.json());
            assert_eq!(answer.header("content-type"), JSON, "{path}");
            assert_eq!(answer.header("x-amzn-requestid").len(), 36, "{path}");
            if status != 200 {
                let word = answer.header("x-amzn-errortype");
                assert_eq!(answer.json()["__type"], word, "{path}");
                assert!(word.ends_with("Exception"), "{path}: {word}");
                assert!(answer.json()["Message"].is_string(), "{path}");
            }
        }
    }
}

#[test]
fn no_body_is_an_empty_one_and_no_page_of_another_site_gets_in() {
    let server = TestServer::start();
    for path in ["/EncryptionConfig", "/Groups", "/GetSamplingRules", "/GetTraceSegmentDestination"]
    {
        assert_eq!(server.post_to(server.xray(), path, &[], b"").status, 200, "{path}");
    }
    let origin = [("origin", "http://evil.example")];
    assert_eq!(server.post_to(server.xray(), "/Groups", &origin, b"").status, 403);
    let host = [("host", "evil.example")];
    assert_eq!(server.post_to(server.http(), "/xray/Groups", &host, b"").status, 403);
    // Containers reach the daemon's port under names of their own.
    assert_eq!(server.post_to(server.xray(), "/Groups", &host, b"").status, 200);
}

#[test]
fn an_otlp_request_is_taken_on_the_daemons_port() {
    let server = TestServer::start();
    let body = crate::harness::json_request(&[crate::harness::json_span(7, 1)]);
    let answer = server.post_to(server.xray(), "/v1/traces", &[("content-type", JSON)], &body);
    assert_eq!(answer.status, 200);
    for id in ["00000000000000000000000000000007", "1-00000000-000000000000000000000007"] {
        let traces = server.ask("/Traces", &json!({ "TraceIds": [id] }));
        assert_eq!(traces["Traces"][0]["Id"], "1-00000000-000000000000000000000007");
        assert_eq!(traces["UnprocessedTraceIds"], json!([]));
    }
}

/// Seconds since the epoch, some seconds ago.
fn seconds_ago(seconds: f64) -> f64 {
    (now() / 1_000_000_000) as f64 - seconds
}

pub(crate) fn trace_id(n: u32) -> String {
    format!("1-{n:08x}-{n:024x}")
}

/// A request to `shop` that reads a table and calls a neighbour, and fails.
fn shop(n: u32) -> Vec<Value> {
    let start = seconds_ago(5.0);
    vec![
        json!({
            "name": "shop", "id": format!("{n:015x}1"), "trace_id": trace_id(n),
            "start_time": start, "end_time": start + 0.5, "fault": true, "user": "ada",
            "http": { "request": { "method": "GET", "url": "http://shop/buy" },
                      "response": { "status": 500 } },
            "annotations": { "cart": "full", "n": n },
            "subsegments": [
                { "name": "DynamoDB", "id": format!("{n:015x}2"), "namespace": "aws",
                  "start_time": start + 0.1, "end_time": start + 0.2,
                  "aws": { "operation": "Query", "table_name": "carts" } },
                { "name": "bank", "id": format!("{n:015x}3"), "namespace": "remote",
                  "start_time": start + 0.2, "end_time": start + 0.4, "fault": true },
            ],
        }),
        json!({
            "name": "bank", "id": format!("{n:015x}4"), "trace_id": trace_id(n),
            "parent_id": format!("{n:015x}3"), "origin": "AWS::EC2::Instance",
            "start_time": start + 0.25, "end_time": start + 0.35, "fault": true,
        }),
    ]
}

fn range() -> Value {
    json!({ "StartTime": seconds_ago(600.0), "EndTime": seconds_ago(-600.0) })
}

fn with(mut body: Value, more: &Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn a_trace_comes_back_with_the_callee_that_sent_nothing() {
    let server = TestServer::start();
    server.put(&shop(1));
    let traces = server.ask("/Traces", &json!({ "TraceIds": [trace_id(1), trace_id(9), "x"] }));
    assert_eq!(traces["UnprocessedTraceIds"], json!([trace_id(9), "x"]));
    let trace = &traces["Traces"][0];
    assert_eq!((&trace["Id"], &trace["LimitExceeded"]), (&json!(trace_id(1)), &json!(false)));
    let documents: Vec<Value> = trace["Segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|segment| {
            let document: Value =
                serde_json::from_str(segment["Document"].as_str().unwrap()).unwrap();
            assert_eq!(segment["Id"], document["id"]);
            document
        })
        .collect();
    let names: Vec<_> = documents.iter().map(|d| d["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["shop", "DynamoDB", "bank"]);
    assert_eq!(documents[0]["subsegments"].as_array().unwrap().len(), 2);
    let inferred = &documents[1];
    assert_eq!(inferred["inferred"], true);
    assert_eq!(inferred["origin"], "AWS::DynamoDB::Table");
    assert_eq!(inferred["parent_id"], "0000000000000012");
    assert_eq!(inferred["aws"]["resource_names"], json!(["carts"]));
    assert_eq!(inferred["aws"]["table_name"], "carts");
}

#[test]
fn summaries_say_what_a_list_shows_and_pages_lose_nothing() {
    let server = TestServer::start();
    for n in 1..=3 {
        server.put(&shop(n));
    }
    let filter = json!({ "FilterExpression": r#"service("bank") { fault } AND annotation.n < 3"# });
    let found = server.ask("/TraceSummaries", &with(range(), &filter));
    let mut ids: Vec<&Value> =
        found["TraceSummaries"].as_array().unwrap().iter().map(|s| &s["Id"]).collect();
    ids.sort_by_key(|id| id.to_string());
    assert_eq!(ids, [&json!(trace_id(1)), &json!(trace_id(2))], "{found}");
    let summary = &found["TraceSummaries"][0];
    assert_eq!(summary["HasFault"], true);
    assert_eq!(summary["Http"]["HttpStatus"], 500);
    assert_eq!(summary["Users"][0]["UserName"], "ada");
    assert_eq!(summary["EntryPoint"]["Name"], "shop");
    let cart = &summary["Annotations"]["cart"][0];
    assert_eq!(cart["AnnotationValue"], json!({ "StringValue": "full" }));
    assert_eq!(cart["ServiceIds"][0]["Name"], "shop");
    let cause = &summary["FaultRootCauses"][0]["Services"];
    assert_eq!(cause.as_array().unwrap().last().unwrap()["Name"], "bank", "{summary}");
    assert!(found["ApproximateTime"].is_number() && found["TracesProcessedCount"].is_number());
    assert!(found.get("NextToken").is_none(), "{found}");
}

#[test]
fn the_graph_has_client_service_and_table_and_grafana_finds_what_it_reads() {
    let server = TestServer::start();
    server.put(&shop(1));
    let group = json!({ "GroupName": "failing", "FilterExpression": "fault = true" });
    server.ask("/CreateGroup", &group);
    for answer in [
        server.ask("/TraceGraph", &json!({ "TraceIds": [trace_id(1)] })),
        server.ask("/ServiceGraph", &with(range(), &json!({ "GroupName": "Default" }))),
        server.ask("/ServiceGraph", &range()),
        server.ask("/ServiceGraph", &with(range(), &json!({ "GroupName": "failing" }))),
    ] {
        let services = answer["Services"].as_array().unwrap();
        let mut kinds: Vec<_> = services
            .iter()
            .map(|s| format!("{} {}", s["Name"].as_str().unwrap(), s["Type"].as_str().unwrap()))
            .collect();
        kinds.sort();
        let expected =
            ["bank AWS::EC2::Instance", "carts AWS::DynamoDB::Table", "shop ", "shop client"];
        assert_eq!(kinds, expected, "{answer:#}");
        for service in services {
            assert!(service["ResponseTimeHistogram"].is_array(), "{service}");
            let edges = service["Edges"].as_array().unwrap();
            assert!(service["SummaryStatistics"].is_object() || !edges.is_empty(), "{service}");
            for edge in edges {
                assert_eq!(edge["SummaryStatistics"]["TotalCount"], 1, "{service}");
                let to = edge["ReferenceId"].as_u64().unwrap() as usize;
                assert!(services.iter().any(|s| s["ReferenceId"] == to), "{service}");
            }
        }
        let root = services.iter().find(|s| s["Root"] == true).unwrap();
        assert_eq!(root["Name"], "shop");
        assert_eq!(root["SummaryStatistics"]["FaultStatistics"]["TotalCount"], 1);
    }
    let series = json!({ "EntitySelectorExpression": r#"service("bank")"#, "Period": 60 });
    let series = server.ask("/TimeSeriesServiceStatistics", &with(range(), &series));
    let points = series["TimeSeriesServiceStatistics"].as_array().unwrap();
    assert_eq!(points.len(), 1, "{series}");
    assert_eq!(points[0]["ServiceSummaryStatistics"]["FaultStatistics"]["TotalCount"], 1);
    let series = server.ask("/TimeSeriesServiceStatistics", &range());
    let points = series["TimeSeriesServiceStatistics"].as_array().unwrap();
    assert!(points[0]["EdgeSummaryStatistics"]["TotalCount"].as_u64().unwrap() > 0, "{series}");
}

#[test]
fn a_retrieval_gives_documents_or_spans_in_pieces() {
    let server = TestServer::start();
    let ids: Vec<String> = (1..=7).map(trace_id).collect();
    for n in 1..=7 {
        server.put(&shop(n));
    }
    let token = server.ask("/StartTraceRetrieval", &with(range(), &json!({ "TraceIds": ids })));
    let token = &token["RetrievalToken"];
    for (format, spans) in [("XRAY", 3), ("OTEL", 4)] {
        let (mut next, mut seen) = (Value::Null, Vec::new());
        loop {
            let body = json!({
                "RetrievalToken": token, "TraceFormat": format, "NextToken": next,
            });
            let page = server.ask("/ListRetrievedTraces", &body);
            assert_eq!(page["RetrievalStatus"], "COMPLETE");
            let traces = page["Traces"].as_array().unwrap();
            assert!(traces.len() <= 5);
            for trace in traces {
                assert_eq!(trace["Spans"].as_array().unwrap().len(), spans, "{trace}");
                seen.push(trace["Id"].as_str().unwrap().to_owned());
            }
            next = page["NextToken"].clone();
            if next.is_null() {
                break;
            }
        }
        assert_eq!(seen, ids, "{format}");
    }
    let body = json!({ "RetrievalToken": token });
    let graph = server.ask("/GetRetrievedTracesGraph", &body);
    assert_eq!(graph["Services"].as_array().unwrap().len(), 4);
    server.ask("/CancelTraceRetrieval", &body);
    assert_eq!(server.ask("/ListRetrievedTraces", &body)["RetrievalStatus"], "CANCELLED");
}

#[test]
fn the_native_search_takes_a_filter_expression() {
    let server = TestServer::start();
    server.put(&shop(1));
    let q = "service(%22bank%22)%20%7B%20fault%20%7D";
    let found = server.get(&format!("/api/v1/search?language=xray&q={q}")).json();
    assert_eq!(found["traces"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["traces"][0]["rootService"], "shop", "{found}");
    let none = server.get("/api/v1/search?language=xray&q=ok").json();
    assert_eq!(none["traces"], json!([]));
    let wrong = server.get("/api/v1/search?language=xray&q=fault%20=");
    assert_eq!(wrong.status, 400);
    assert!(wrong.json()["error"]["at"].is_number(), "{}", wrong.json());
    assert_eq!(server.get("/api/v1/search?language=klingon").status, 400);
}

#[test]
fn an_independent_subsegment_has_the_service_of_its_segment() {
    let server = TestServer::start();
    let start = seconds_ago(5.0);
    let child = json!({
        "type": "subsegment", "name": "work", "id": "000000000000000b", "trace_id": trace_id(5),
        "parent_id": "000000000000000a", "start_time": start + 0.1, "end_time": start + 0.2,
    });
    server.put(&[child]);
    let parent = json!({
        "name": "shop", "id": "000000000000000a", "trace_id": trace_id(5),
        "start_time": start, "end_time": start + 0.5,
    });
    server.put(&[parent]);
    let view = server.get(&format!("/api/v1/traces/{}/view", trace_id(5))).json();
    assert_eq!(view["services"], json!(["shop"]), "{view}");
    let traces = server.ask("/Traces", &json!({ "TraceIds": [trace_id(5)] }));
    let segments = traces["Traces"][0]["Segments"].as_array().unwrap();
    assert_eq!(segments.len(), 1, "{traces}");
    assert!(segments[0]["Document"].as_str().unwrap().contains("000000000000000b"), "{traces}");
}

#[test]
fn the_servers_own_account_is_that_of_nodes_that_name_none() {
    let account = "123456789012";
    let server = TestServer::start_with(|config| config.xray_api.account_id = account.to_owned());
    server.put(&shop(1));
    let expression = format!(r#"service(id(name: "shop", account.id: "{account}"))"#);
    let filter = json!({ "FilterExpression": expression });
    let found = server.ask("/TraceSummaries", &with(range(), &filter));
    assert_eq!(found["TraceSummaries"][0]["EntryPoint"]["AccountId"], account, "{found}");
    let selector = json!({ "EntitySelectorExpression": expression });
    let series = server.ask("/TimeSeriesServiceStatistics", &with(range(), &selector));
    assert_eq!(series["TimeSeriesServiceStatistics"].as_array().unwrap().len(), 1, "{series}");
}
