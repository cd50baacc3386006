//! Which attribute every part of a document becomes.

use serde_json::{Value, json};
use throughline_model::{AttrValue, SpanKind, SpanRef, StatusCode, xray};

use super::{assert_comes_back, lenient};

fn document(more: Value) -> Value {
    let mut document = json!({
        "trace_id": "1-5b8efff7-98038103d269b633813fc60c",
        "id": "53995c3f42cd8ad8",
        "name": "shop",
        "start_time": 1.5,
        "end_time": 2.5,
    });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document
}

fn subsegment(more: Value) -> Value {
    let mut document = document(json!({"type": "subsegment", "parent_id": "53995c3f42cd8ad1"}));
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document
}

/// What the span's attributes say, with the resource's behind; lists as JSON.
fn said(span: SpanRef<'_>) -> Vec<(String, Value)> {
    let plain = |(key, value): (&str, AttrValue<'_>)| {
        let value = match value {
            AttrValue::Bool(flag) => flag.into(),
            AttrValue::Int(int) => int.into(),
            AttrValue::Double(double) => double.into(),
            other => other.text().into_owned().into(),
        };
        (key.to_owned(), value)
    };
    let resource = span.resource().attributes().map(plain);
    let resource = resource.map(|(key, value)| (format!("resource {key}"), value));
    span.attributes().map(plain).chain(resource).collect()
}

/// Checks what a document becomes, beyond its type and the service's name, and that it comes back.
#[track_caller]
fn check(document: &Value, expected: Value) {
    let (_, batch) = assert_comes_back(document);
    let mut said = said(batch.span(0));
    said.retain(|(key, _)| key != xray::TYPE && key != "resource service.name");
    assert_eq!(Value::Object(said.into_iter().collect()), expected, "{document}");
}

#[test]
fn a_segment_says_what_its_service_is() {
    let segment = document(json!({
        "origin": "AWS::ECS::Container",
        "service": {"version": "1.2", "runtime": "node", "runtime_version": "v20", "name": "unknown",
                    "compiler": "gc", "version_parts": [1]},
        "aws": {"account_id": "123456789012",
                "ec2": {"instance_id": "i-1", "availability_zone": "z"},
                "ecs": {"container": "c", "n": 1, "more": {}},
                "xray": {"sdk": "X-Ray for Node.js"},
                "request_id": "r", "resource_names": ["f"],
                "cloudwatch_logs": [{"log_group": "g"}], "empty": {}, "a.b": {"c": 1}},
    }));
    check(
        &segment,
        json!({
            "resource xray.origin": "AWS::ECS::Container",
            "resource cloud.account.id": "123456789012",
            "resource service.version": "1.2",
            "resource process.runtime.name": "node",
            "resource process.runtime.version": "v20",
            "resource xray.service.name": "unknown",
            "resource xray.service.compiler": "gc",
            "resource aws.ec2.instance_id": "i-1",
            "resource aws.ec2.availability_zone": "z",
            "resource aws.ecs.container": "c",
            "resource aws.ecs.n": 1,
            "resource aws.xray.sdk": "X-Ray for Node.js",
            "aws.request_id": "r",
            "aws.resource_names": "[\"f\"]",
            "xray.extra": "{\"aws\":{\"a.b\":{\"c\":1},\"cloudwatch_logs\":[{\"log_group\":\"g\"}],\
                \"ecs\":{\"more\":{}},\"empty\":{}},\"service\":{\"version_parts\":[1]}}",
        }),
    );
    let (_, batch) = lenient(&segment);
    let span = batch.span(0);
    assert_eq!((span.service(), span.kind()), ("shop", SpanKind::Server));
    assert_eq!(span.scope().name(), xray::SCOPE);
    assert_eq!(span.attribute(xray::TYPE), Some(AttrValue::Str("segment")));
}

#[test]
fn a_subsegment_alone_has_no_service() {
    let (_, batch) =
        assert_comes_back(&subsegment(json!({"origin": "x", "service": {"name": "y"}})));
    let span = batch.span(0);
    assert_eq!(span.resource().attributes().len(), 0);
    assert_eq!(span.attribute(xray::TYPE), Some(AttrValue::Str("subsegment")));
    assert_eq!(span.kind(), SpanKind::Internal);
    let extra = "{\"origin\":\"x\",\"service\":{\"name\":\"y\"}}";
    assert_eq!(span.attribute(xray::EXTRA), Some(AttrValue::Str(extra)));
}

#[test]
fn embedded_subsegments_have_the_segments_service() {
    let inside = json!({"id": "53995c3f42cd8ad9", "name": "s", "start_time": 1.5, "end_time": 2,
        "type": "subsegment", "trace_id": "1-5b8efff7-98038103d269b633813fc60c",
        "parent_id": "53995c3f42cd8ad8", "in_progress": false});
    let (_, batch) = assert_comes_back(&document(json!({"subsegments": [inside], "origin": "o"})));
    assert_eq!(batch.resource_count(), 1);
    assert_eq!(batch.span(1).service(), "shop");
    assert_eq!(
        batch.span(1).attribute(xray::EXTRA),
        Some(AttrValue::Str("{\"in_progress\":false}"))
    );
}

#[test]
fn a_call_to_aws_says_what_was_called() {
    let call = subsegment(json!({
        "namespace": "aws",
        "aws": {"operation": "PutItem", "table_name": "t", "region": "r", "retries": 2,
                "account_id": "1", "table_names": ["a", "b"], "request_id": null},
    }));
    check(
        &call,
        json!({
            "rpc.system": "aws-api", "rpc.service": "shop", "rpc.method": "PutItem",
            "xray.namespace": "aws", "aws.table_name": "t", "aws.region": "r", "aws.retries": 2,
            "aws.account_id": "1", "aws.table_names": "[\"a\",\"b\"]",
            "xray.extra": "{\"aws\":{\"request_id\":null}}",
        }),
    );
    assert_eq!(lenient(&call).1.span(0).kind(), SpanKind::Client);
}

#[test]
fn namespaces_give_the_kind() {
    let kind = |namespace: &str| {
        let (_, batch) = assert_comes_back(&subsegment(json!({"namespace": namespace})));
        batch.span(0).kind()
    };
    assert_eq!(kind("aws"), SpanKind::Client);
    assert_eq!(kind("remote"), SpanKind::Client);
    assert_eq!(kind("other"), SpanKind::Client);
    assert_eq!(kind("local"), SpanKind::Internal);
    check(
        &subsegment(json!({"namespace": "remote"})),
        json!({"xray.namespace": "remote", "peer.service": "shop"}),
    );
}

#[test]
fn http_has_opentelemetrys_names() {
    let http = json!({
        "request": {"method": "GET", "url": "http://a/b", "user_agent": "u", "client_ip": "1.2.3.4",
                    "x_forwarded_for": true, "traced": true, "odd": 1},
        "response": {"status": 404, "content_length": -1},
    });
    check(
        &document(json!({"http": http})),
        json!({
            "http.request.method": "GET", "url.full": "http://a/b", "user_agent.original": "u",
            "client.address": "1.2.3.4", "xray.x_forwarded_for": true, "xray.traced": true,
            "http.response.status_code": 404, "http.response.body.size": -1,
            "xray.extra": "{\"http\":{\"request\":{\"odd\":1}}}",
        }),
    );
}

#[test]
fn a_status_is_read_in_other_types_too() {
    for status in [json!("500"), json!(500.0)] {
        let (_, batch) =
            assert_comes_back(&document(json!({"http": {"response": {"status": status}}})));
        let read = batch.span(0).attribute("http.response.status_code");
        assert_eq!(read, Some(AttrValue::Int(500)));
    }
}

#[test]
fn traced_is_read_in_both_places() {
    let nodes = json!({"traced": true, "http": {"request": {"method": "GET"}}});
    let both = json!({"traced": false, "http": {"request": {"traced": true}}});
    for (more, traced) in [(nodes, true), (both, false)] {
        let (_, batch) = assert_comes_back(&subsegment(more));
        assert_eq!(batch.span(0).attribute(xray::TRACED), Some(AttrValue::Bool(traced)));
    }
}

#[test]
fn sql_has_opentelemetrys_names() {
    let sql = json!({"url": "jdbc:x", "database_type": "PostgreSQL", "sanitized_query": "q",
        "user": "me", "preparation": "call", "database_version": "9", "connection_string": "c"});
    check(
        &subsegment(json!({"sql": sql})),
        json!({
            "db.connection_string": "jdbc:x", "db.system.name": "PostgreSQL", "db.query.text": "q",
            "db.user": "me", "xray.sql.preparation": "call", "xray.sql.database_version": "9",
            "xray.sql.connection_string": "c",
        }),
    );
}

#[test]
fn annotations_keep_their_types_and_metadata_is_json() {
    check(
        &document(json!({
            "annotations": {"t": "x", "i": 5, "d": 5.5, "b": false, "l": [1]},
            "metadata": {"shop": {"cart": [1, 2]}, "debug": "on"},
            "user": "ada", "resource_arn": "arn", "inferred": false, "precursor_ids": ["x"],
        })),
        json!({
            "annotation.t": "x", "annotation.i": 5, "annotation.d": 5.5, "annotation.b": false,
            "metadata.shop": "{\"cart\":[1,2]}", "metadata.debug": "\"on\"",
            "enduser.id": "ada", "xray.resource_arn": "arn", "xray.inferred": false,
            "xray.extra": "{\"annotations\":{\"l\":[1]},\"precursor_ids\":[\"x\"]}",
        }),
    );
}

#[test]
fn flags_are_the_status() {
    for (flags, status) in [
        (json!({"error": true, "throttle": true}), StatusCode::Error),
        (json!({"fault": true}), StatusCode::Error),
        (json!({"error": false, "fault": false}), StatusCode::Unset),
        (json!({"fault": "yes"}), StatusCode::Unset),
    ] {
        let (_, batch) = assert_comes_back(&document(flags));
        assert_eq!(batch.span(0).status(), status);
    }
}

#[test]
fn a_cause_is_kept_whole_and_becomes_events() {
    let cause = json!({"working_directory": "/srv", "paths": ["a"], "exceptions": [
        {"id": "a1b2c3d4e5f60718", "type": "CartError", "message": "no cart", "remote": true,
         "cause": "b1b2c3d4e5f60718",
         "stack": [{"path": "cart.js", "line": 42, "label": "add"}, {"path": "node", "line": null, "label": "run"}]},
        {"id": "b1b2c3d4e5f60718"}, "odd",
    ]});
    let (_, batch) = assert_comes_back(&document(json!({"fault": true, "cause": cause})));
    let span = batch.span(0);
    assert_eq!(span.status_message(), "no cart");
    assert_eq!(span.attribute(xray::CAUSE), Some(AttrValue::Str(&cause.to_string())));
    let events: Vec<_> = span.events().collect();
    assert_eq!(events.len(), 2);
    assert_eq!((events[0].name(), events[0].time_unix_nano()), ("exception", 2_500_000_000));
    let value = |key| events[0].attributes().value(key);
    assert_eq!(value("exception.type"), Some(AttrValue::Str("CartError")));
    assert_eq!(value("exception.message"), Some(AttrValue::Str("no cart")));
    assert_eq!(value("xray.exception.id"), Some(AttrValue::Str("a1b2c3d4e5f60718")));
    let text = "CartError: no cart\n    at add (cart.js:42)\n    at run (node)";
    assert_eq!(value("exception.stacktrace"), Some(AttrValue::Str(text)));
    assert_eq!(events[1].attributes().len(), 1);
}

#[test]
fn a_cause_may_be_the_id_of_one_recorded_elsewhere() {
    for cause in [json!("a1b2c3d4e5f60718"), json!({"id": "x", "exceptions": []}), json!({})] {
        let (_, batch) = assert_comes_back(&document(json!({"fault": true, "cause": cause})));
        assert_eq!(batch.span(0).attribute(xray::CAUSE), Some(AttrValue::Str(&cause.to_string())));
        assert_eq!(batch.span(0).events().len(), 0);
    }
    assert_comes_back(&document(json!({"cause": null})));
    assert_comes_back(&document(json!({"cause": [1]})));
}

#[test]
fn links_become_links_and_what_they_cannot_say_stays() {
    let usual = json!({"trace_id": "1-654c0558-630312345678901234567890", "id": "2acd99f6ce4d0822",
        "attributes": {"aws.xray.reserved.reference_type": "child",
                       "aws.xray.reserved.names": ["consumer"],
                       "aws.xray.reserved.received_event_end_time": 1699480920.181}});
    let (_, batch) = assert_comes_back(&subsegment(json!({"links": [usual]})));
    let link = batch.span(0).links().next().unwrap();
    assert_eq!(link.span_id().to_string(), "2acd99f6ce4d0822");
    assert_eq!(link.trace_id().xray(), "1-654c0558-630312345678901234567890");
    let names = link.attributes().value("aws.xray.reserved.names").unwrap();
    assert_eq!((link.attributes().len(), names.text().as_ref()), (3, "[\"consumer\"]"));
    assert_eq!(batch.span(0).attribute(xray::EXTRA), None);

    for odd in [json!({"trace_id": "x"}), json!(5), json!({"trace_id": "1", "id": 5})] {
        let (_, batch) = assert_comes_back(&document(json!({"links": [usual, odd]})));
        assert_eq!(batch.span(0).links().len(), 1);
        assert!(batch.span(0).attribute(xray::EXTRA).is_some());
    }
}
