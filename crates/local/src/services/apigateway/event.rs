//! The event that a REST API hands to a function.
//!
//! Rule: "Set up Lambda proxy integrations in API Gateway", input format of a Lambda function.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::execute::Call;
use super::{Resource, RestApi, Stage};
use crate::ids;
use crate::place::Place;

/// Headers that clients of HTTP/1.1 write with capitals, as functions expect them. hyper gives all names
/// in lower case, and so do clients of HTTP/2; names of tracers (`traceparent`, `b3`) stay lower case.
const CAPITALISED: [&str; 26] = [
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Method",
    "Authorization",
    "Cache-Control",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "Cookie",
    "Host",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "Origin",
    "Pragma",
    "Range",
    "Referer",
    "User-Agent",
    "X-Amzn-Trace-Id",
    "X-Api-Key",
    "X-Forwarded-For",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Requested-With",
];

/// What the event is made of.
pub(super) struct Parts<'a> {
    pub(super) place: &'a Place,
    pub(super) api: &'a RestApi,
    pub(super) stage_name: &'a str,
    pub(super) stage: &'a Stage,
    pub(super) resource: &'a Resource,
    pub(super) variables: &'a BTreeMap<String, String>,
    pub(super) call: &'a Call,
    pub(super) trace_header: &'a str,
}

/// The event as JSON.
pub(super) fn event(parts: &Parts<'_>) -> Value {
    let Parts { place, api, stage_name, stage, resource, variables, call, trace_header } = parts;
    let request = &call.request;
    let domain = format!("{}.execute-api.{}.amazonaws.com", api.id, place.region);
    let now = ids::now_ms();
    let path = format!("/{}", call.path.join("/"));
    let (body, encoded) =
        body(&request.body, request.header("content-type"), &api.binary_media_types);

    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &request.headers {
        let Ok(value) = value.to_str() else { continue };
        headers.entry(name_for_functions(name.as_str())).or_default().push(value.to_owned());
    }
    headers.insert("X-Amzn-Trace-Id".to_owned(), vec![(*trace_header).to_owned()]);
    headers.insert("X-Forwarded-For".to_owned(), vec!["127.0.0.1".to_owned()]);
    headers.insert("X-Forwarded-Proto".to_owned(), vec!["https".to_owned()]);
    headers.insert("X-Forwarded-Port".to_owned(), vec!["443".to_owned()]);

    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in request.query_pairs() {
        query.entry(name).or_default().push(value);
    }
    json!({
        "resource": resource.path,
        "path": path,
        "httpMethod": request.method.as_str(),
        "headers": last_of(&headers),
        "multiValueHeaders": all_of(&headers),
        "queryStringParameters": last_of(&query),
        "multiValueQueryStringParameters": all_of(&query),
        "pathParameters": if variables.is_empty() { Value::Null } else { json!(variables) },
        "stageVariables": if stage.variables.is_empty() { Value::Null } else { json!(stage.variables) },
        "requestContext": {
            "resourceId": resource.id,
            "resourcePath": resource.path,
            "httpMethod": request.method.as_str(),
            "extendedRequestId": ids::name_suffix(),
            "requestTime": clf_time(now),
            "path": format!("/{stage_name}{path}"),
            "accountId": place.account,
            "protocol": "HTTP/1.1",
            "stage": stage_name,
            "domainPrefix": api.id,
            "requestTimeEpoch": now,
            "requestId": request.request_id,
            "identity": {
                "cognitoIdentityPoolId": null, "accountId": null, "cognitoIdentityId": null,
                "caller": null, "sourceIp": "127.0.0.1", "principalOrgId": null, "accessKey": null,
                "cognitoAuthenticationType": null, "cognitoAuthenticationProvider": null,
                "userArn": null, "userAgent": request.header("user-agent"), "user": null,
            },
            "domainName": domain,
            "deploymentId": stage.deployment_id,
            "apiId": api.id,
        },
        "body": body,
        "isBase64Encoded": encoded,
    })
}

fn name_for_functions(name: &str) -> String {
    match CAPITALISED.iter().find(|known| known.eq_ignore_ascii_case(name)) {
        Some(known) => (*known).to_owned(),
        None => name.to_owned(),
    }
}

/// Text, or base64 where the API declares the media type as binary.
fn body(bytes: &[u8], content_type: &str, binary: &[String]) -> (Value, bool) {
    if bytes.is_empty() {
        return (Value::Null, false);
    }
    let media_type = content_type.split(';').next().unwrap_or("").trim();
    let is_binary = binary.iter().any(|declared| {
        declared == "*/*"
            || declared.eq_ignore_ascii_case(media_type)
            || declared
                .strip_suffix("/*")
                .is_some_and(|kind| media_type.split('/').next() == Some(kind))
    });
    match (is_binary, std::str::from_utf8(bytes)) {
        (false, Ok(text)) => (text.into(), false),
        // What is declared as text and is none: API Gateway garbles it, base64 keeps it.
        _ => (STANDARD.encode(bytes).into(), true),
    }
}

fn last_of(lists: &BTreeMap<String, Vec<String>>) -> Value {
    if lists.is_empty() {
        return Value::Null;
    }
    let last =
        |(name, list): (&String, &Vec<String>)| Some((name.clone(), list.last()?.clone().into()));
    Value::Object(lists.iter().filter_map(last).collect::<Map<_, _>>())
}

fn all_of(lists: &BTreeMap<String, Vec<String>>) -> Value {
    if lists.is_empty() { Value::Null } else { json!(lists) }
}

/// `21/Nov/2026:08:02:18 +0000`, the time of common log format.
pub(super) fn clf_time(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms)
        .map(|time| time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_text_unless_declared_binary() {
        let none = Vec::new();
        assert_eq!(body(b"{}", "application/json", &none), ("{}".into(), false));
        assert_eq!(body(b"", "application/json", &none), (Value::Null, false));
        let images = vec!["image/*".to_owned()];
        assert_eq!(body(b"ab", "image/png", &images), ("YWI=".into(), true));
        assert_eq!(body(b"ab", "text/plain; a=b", &images), ("ab".into(), false));
        assert_eq!(body(&[0xff], "text/plain", &images), ("/w==".into(), true));
    }

    #[test]
    fn header_names_are_as_functions_expect_them() {
        assert_eq!(name_for_functions("content-type"), "Content-Type");
        assert_eq!(name_for_functions("traceparent"), "traceparent");
        assert_eq!(name_for_functions("x-custom"), "x-custom");
    }

    #[test]
    fn times_are_in_common_log_format() {
        assert_eq!(clf_time(1_795_248_138_701), "21/Nov/2026:08:02:18 +0000");
    }
}
