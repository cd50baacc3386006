//! What one segment or subsegment says, as a span with attributes.

use serde_json::Value;
use throughline_model::{AttrValue, NO_END, SpanBatchBuilder, SpanKind, StatusCode, TraceId, xray};

use super::cause::Exceptions;
use super::decode::Entity;
use super::links;
use super::parts::{
    Object, fits_an_attribute, put_back, scalar, take_bool, take_int, take_members, take_object,
    take_text, write_prefixed,
};

/// `sql` members that OpenTelemetry has a name for; the others get [`SQL_PREFIX`].
pub(super) const SQL: [(&str, &str); 4] = [
    ("database_type", "db.system.name"),
    ("sanitized_query", "db.query.text"),
    ("url", "db.connection_string"),
    ("user", "db.user"),
];
pub(super) const SQL_PREFIX: &str = "xray.sql.";
pub(super) const AWS_PREFIX: &str = "aws.";

/// Texts of `http.request` and their attributes.
pub(super) const HTTP_REQUEST: [(&str, &str); 4] = [
    ("method", "http.request.method"),
    ("url", "url.full"),
    ("user_agent", "user_agent.original"),
    ("client_ip", "client.address"),
];
pub(super) const HTTP_STATUS: &str = "http.response.status_code";
pub(super) const HTTP_LENGTH: &str = "http.response.body.size";

/// Texts at the top of the document and their attributes.
pub(super) const TEXTS: [(&str, &str); 3] =
    [("namespace", xray::NAMESPACE), ("resource_arn", xray::RESOURCE_ARN), ("user", "enduser.id")];
/// Truth values at the top of the document and their attributes.
pub(super) const FLAGS: [(&str, &str); 4] = [
    ("error", xray::ERROR),
    ("fault", xray::FAULT),
    ("throttle", xray::THROTTLE),
    ("inferred", xray::INFERRED),
];

/// Writes the span of a (sub)segment under the current resource and scope.
pub(super) fn write(entity: Entity, trace_id: TraceId, builder: &mut SpanBatchBuilder) {
    let mut document = entity.left;
    let exceptions = Exceptions::take(&mut document);
    builder.start_span(trace_id, entity.id);
    builder.parent_id(entity.parent_id);
    builder.name(&entity.name);
    builder.times(entity.start_unix_nano, entity.duration_nano);
    builder.kind(kind(&document, entity.is_segment));
    let failed =
        FLAGS.iter().take(3).any(|(key, _)| document.get(*key) == Some(&Value::Bool(true)));
    if failed {
        builder.status(StatusCode::Error, exceptions.first_message());
    }

    let what = if entity.is_segment { "segment" } else { "subsegment" };
    builder.attribute(xray::TYPE, AttrValue::Str(what));
    derived(&document, &entity.name, entity.is_segment, builder);
    for (key, name) in TEXTS {
        text(&mut document, key, name, builder);
    }
    for (key, name) in FLAGS {
        flag(&mut document, key, name, builder);
    }
    http(&mut document, builder);
    aws(&mut document, builder);
    sql(&mut document, builder);
    annotations(&mut document, builder);
    metadata(&mut document, builder);
    exceptions.write_cause(builder);
    let links = links::take(&mut document);
    if !document.is_empty() {
        let extra = serde_json::to_string(&document).unwrap_or_default();
        builder.attribute(xray::EXTRA, AttrValue::Str(&extra));
    }
    // X-Ray does not say when something was thrown; it was over at the end.
    let ended = if entity.duration_nano == NO_END { 0 } else { entity.duration_nano };
    exceptions.write_events(entity.start_unix_nano.saturating_add(ended), builder);
    links.write(builder);
    builder.end_span();
}

fn kind(document: &Object, is_segment: bool) -> SpanKind {
    if is_segment {
        return SpanKind::Server;
    }
    match document.get("namespace").and_then(Value::as_str) {
        // Python's SDK says "local" of what is not a call.
        None | Some("local" | "") => SpanKind::Internal,
        Some(_) => SpanKind::Client,
    }
}

/// What follows from the namespace, for whoever knows only OpenTelemetry's words.
fn derived(document: &Object, name: &str, is_segment: bool, builder: &mut SpanBatchBuilder) {
    if is_segment {
        return;
    }
    match document.get("namespace").and_then(Value::as_str) {
        Some("aws") => {
            builder.attribute("rpc.system", AttrValue::Str("aws-api"));
            builder.attribute("rpc.service", AttrValue::Str(name));
        }
        Some("remote") => builder.attribute("peer.service", AttrValue::Str(name)),
        _ => {}
    }
}

fn http(document: &mut Object, builder: &mut SpanBatchBuilder) {
    // Node's SDK writes the flag at the top of the subsegment. There it stays, for the echo.
    let at_the_top = document.get("traced").and_then(Value::as_bool);
    let mut traced = at_the_top;
    if let Some(mut http) = take_object(document, "http") {
        if let Some(mut request) = take_object(&mut http, "request") {
            for (key, name) in HTTP_REQUEST {
                text(&mut request, key, name, builder);
            }
            flag(&mut request, "x_forwarded_for", xray::X_FORWARDED_FOR, builder);
            if at_the_top.is_none() {
                traced = take_bool(&mut request, "traced");
            }
            put_back(&mut http, "request", request);
        }
        if let Some(mut response) = take_object(&mut http, "response") {
            http_status(&mut response, builder);
            if let Some(length) = take_int(&mut response, "content_length") {
                builder.attribute(HTTP_LENGTH, AttrValue::Int(length));
            }
            put_back(&mut http, "response", response);
        }
        put_back(document, "http", http);
    }
    if let Some(traced) = traced {
        builder.attribute(xray::TRACED, AttrValue::Bool(traced));
    }
}

/// The status; text or `200.0` are read too, and kept for the echo.
fn http_status(response: &mut Object, builder: &mut SpanBatchBuilder) {
    let status = take_int(response, "status").or_else(|| match response.get("status")? {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.to_string().strip_suffix(".0")?.parse().ok(),
        _ => None,
    });
    if let Some(status) = status {
        builder.attribute(HTTP_STATUS, AttrValue::Int(status));
    }
}

fn aws(document: &mut Object, builder: &mut SpanBatchBuilder) {
    let Some(mut aws) = take_object(document, "aws") else { return };
    if let Some(operation) = take_text(&mut aws, "operation") {
        builder.attribute("rpc.method", AttrValue::Str(&operation));
    }
    let wanted = |key: &str, value: &Value| key != "operation" && fits_an_attribute(value);
    take_members(&mut aws, wanted, |key, value| write_prefixed(builder, AWS_PREFIX, key, value));
    put_back(document, "aws", aws);
}

fn sql(document: &mut Object, builder: &mut SpanBatchBuilder) {
    let Some(mut sql) = take_object(document, "sql") else { return };
    for (key, name) in SQL {
        text(&mut sql, key, name, builder);
    }
    let wanted = |key: &str, value: &Value| {
        scalar(value).is_some() && !SQL.iter().any(|(known, _)| *known == key)
    };
    take_members(&mut sql, wanted, |key, value| write_prefixed(builder, SQL_PREFIX, key, value));
    put_back(document, "sql", sql);
}

fn annotations(document: &mut Object, builder: &mut SpanBatchBuilder) {
    let Some(mut annotations) = take_object(document, "annotations") else { return };
    let wanted = |_: &str, value: &Value| scalar(value).is_some();
    take_members(&mut annotations, wanted, |key, value| {
        write_prefixed(builder, xray::ANNOTATION_PREFIX, key, value);
    });
    put_back(document, "annotations", annotations);
}

fn metadata(document: &mut Object, builder: &mut SpanBatchBuilder) {
    let Some(metadata) = take_object(document, "metadata") else { return };
    for (namespace, value) in metadata {
        let json = value.to_string();
        write_prefixed(builder, xray::METADATA_PREFIX, &namespace, AttrValue::Str(&json));
    }
    document.remove("metadata");
}

fn text(object: &mut Object, key: &str, name: &str, builder: &mut SpanBatchBuilder) {
    if let Some(text) = take_text(object, key) {
        builder.attribute(name, AttrValue::Str(&text));
    }
}

fn flag(object: &mut Object, key: &str, name: &str, builder: &mut SpanBatchBuilder) {
    if let Some(flag) = take_bool(object, key) {
        builder.attribute(name, AttrValue::Bool(flag));
    }
}
