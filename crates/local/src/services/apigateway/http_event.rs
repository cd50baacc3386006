//! The events that an HTTP API hands to a function, and what becomes of the answer.
//!
//! Rule: "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway", payload formats 1.0 and 2.0.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::event::clf_time;
use super::http_apis::HttpApi;
use super::reply;
use crate::http::{Request, Response, response};
use crate::ids;
use crate::place::Place;

/// What an event is made of.
pub(super) struct Parts<'a> {
    pub(super) place: &'a Place,
    pub(super) api: &'a HttpApi,
    pub(super) stage: &'a str,
    /// What follows the stage, decoded.
    pub(super) path: &'a [String],
    /// `POST /producer`
    pub(super) route_key: &'a str,
    pub(super) variables: &'a BTreeMap<String, String>,
    pub(super) request: &'a Request,
    pub(super) trace_header: &'a str,
}

impl Parts<'_> {
    /// Format 2.0: names in lower case, values of one name joined, cookies apart.
    pub(super) fn format_2(&self) -> Value {
        let (request, path, now) = (self.request, self.raw_path(), ids::now_ms());
        let mut headers = self.headers(",");
        let cookies = headers.remove("cookie");
        let (body, encoded) = body(request);
        let mut event = json!({
            "version": "2.0",
            "routeKey": self.route_key,
            "rawPath": path,
            "rawQueryString": request.query,
            "headers": headers,
            "requestContext": {
                "accountId": self.place.account,
                "apiId": self.api.id,
                "domainName": self.domain(),
                "domainPrefix": self.api.id,
                "http": {
                    "method": request.method.as_str(), "path": path, "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1", "userAgent": request.header("user-agent"),
                },
                "requestId": request.request_id,
                "routeKey": self.route_key,
                "stage": self.stage,
                "time": clf_time(now),
                "timeEpoch": now,
            },
            "isBase64Encoded": encoded,
        });
        // What there is none of is left out, in this format.
        let mut add = |name: &str, value: Value| {
            if let Some(event) = event.as_object_mut() {
                event.insert(name.to_owned(), value);
            }
        };
        if let Some(cookies) = cookies {
            add("cookies", cookies.split("; ").collect());
        }
        let query = self.query();
        if !query.is_empty() {
            let joined: Map<String, Value> =
                query.into_iter().map(|(name, all)| (name, all.join(",").into())).collect();
            add("queryStringParameters", joined.into());
        }
        if !self.variables.is_empty() {
            add("pathParameters", json!(self.variables));
        }
        if let Some(variables) = self.stage_variables() {
            add("stageVariables", variables);
        }
        if let Some(body) = body {
            add("body", body.into());
        }
        event
    }

    /// Format 1.0: as REST APIs have it, with the names of headers in lower case.
    pub(super) fn format_1(&self) -> Value {
        let (request, path, now) = (self.request, self.raw_path(), ids::now_ms());
        let resource = self.route_key.split_once(' ').map_or(self.route_key, |(_, path)| path);
        let headers = self.headers(",");
        let many: BTreeMap<&String, [&String; 1]> =
            headers.iter().map(|(name, value)| (name, [value])).collect();
        let query = self.query();
        let last: Map<String, Value> = query
            .iter()
            .filter_map(|(name, all)| Some((name.clone(), all.last()?.clone().into())))
            .collect();
        let (body, encoded) = body(request);
        let or_null = |is_empty: bool, value: Value| if is_empty { Value::Null } else { value };
        json!({
            "version": "1.0",
            "resource": resource,
            "path": path,
            "httpMethod": request.method.as_str(),
            "headers": headers,
            "multiValueHeaders": many,
            "queryStringParameters": or_null(query.is_empty(), last.into()),
            "multiValueQueryStringParameters": or_null(query.is_empty(), json!(query)),
            "requestContext": {
                "accountId": self.place.account, "apiId": self.api.id,
                "domainName": self.domain(), "domainPrefix": self.api.id,
                "extendedRequestId": request.request_id, "httpMethod": request.method.as_str(),
                "identity": { "sourceIp": "127.0.0.1", "userAgent": request.header("user-agent") },
                "path": path, "protocol": "HTTP/1.1", "requestId": request.request_id,
                "requestTime": clf_time(now), "requestTimeEpoch": now,
                "resourceId": self.route_key, "resourcePath": resource, "stage": self.stage,
            },
            "pathParameters": or_null(self.variables.is_empty(), json!(self.variables)),
            "stageVariables": self.stage_variables(),
            "body": body,
            "isBase64Encoded": encoded,
        })
    }

    /// The path as the function sees it: with the stage, unless it is the default.
    fn raw_path(&self) -> String {
        let path = self.path.join("/");
        if self.stage == "$default" {
            format!("/{path}")
        } else {
            format!("/{}/{path}", self.stage)
        }
    }

    fn domain(&self) -> String {
        format!("{}.execute-api.{}.amazonaws.com", self.api.id, self.place.region)
    }

    fn headers(&self, between: &str) -> BTreeMap<String, String> {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &self.request.headers {
            let Ok(value) = value.to_str() else { continue };
            let all = headers.entry(name.as_str().to_owned()).or_default();
            if !all.is_empty() {
                all.push_str(if name.as_str() == "cookie" { "; " } else { between });
            }
            all.push_str(value);
        }
        let own = [
            ("x-amzn-trace-id", self.trace_header),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-proto", "https"),
        ];
        headers.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        headers
    }

    fn query(&self) -> BTreeMap<String, Vec<String>> {
        let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in self.request.query_pairs() {
            query.entry(name).or_default().push(value);
        }
        query
    }

    fn stage_variables(&self) -> Option<Value> {
        let variables = self.api.stages.get(self.stage)?;
        (!variables.is_empty()).then(|| json!(variables))
    }
}

/// Text, or base64 where it is none.
///
/// An HTTP API of AWS takes a form, and what has no media type, for bytes as well, so that what `curl -d` sends comes as
/// base64. Here it stays text, which functions can read that know of the base64 and functions that do not.
fn body(request: &Request) -> (Option<String>, bool) {
    if request.body.is_empty() {
        return (None, false);
    }
    let content_type = request.header("content-type");
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_text = media_type.is_empty()
        || media_type.starts_with("text/")
        || ["json", "xml", "javascript", "x-www-form-urlencoded"]
            .iter()
            .any(|kind| media_type.ends_with(kind));
    match (is_text, std::str::from_utf8(&request.body)) {
        (true, Ok(text)) => (Some(text.to_owned()), false),
        _ => (Some(STANDARD.encode(&request.body)), true),
    }
}

/// A function's answer. In format 2.0 any JSON without `statusCode` is a body. `None`: it is no answer.
pub(super) fn reply(payload: &[u8], is_format_2: bool) -> Option<Response> {
    let mut answer: Value = serde_json::from_slice(payload).ok()?;
    if is_format_2 && answer.get("statusCode").is_none() {
        let body = match answer {
            Value::String(text) => text,
            other => other.to_string(),
        };
        return Some(response(200, "application/json", body));
    }
    // Cookies are headers of their own.
    let cookies = match answer.as_object_mut().and_then(|answer| answer.remove("cookies")) {
        Some(Value::Array(cookies)) if is_format_2 => cookies,
        _ => Vec::new(),
    };
    let mut reply = reply::read(&answer)?;
    for cookie in cookies {
        let value = http::HeaderValue::from_str(cookie.as_str()?).ok()?;
        reply.headers_mut().append(http::header::SET_COOKIE, value);
    }
    Some(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &str, is_format_2: bool, expected: Option<(u16, &str)>) {
        let reply = reply(payload.as_bytes(), is_format_2);
        let found = reply
            .as_ref()
            .map(|reply| (reply.status().as_u16(), std::str::from_utf8(reply.body()).unwrap()));
        assert_eq!(found, expected, "{payload}");
    }

    #[test]
    fn what_has_no_status_is_a_body_in_format_2_alone() {
        check(r#"{"message":"hi"}"#, true, Some((200, r#"{"message":"hi"}"#)));
        check(r#""hi""#, true, Some((200, "hi")));
        check(r#"{"statusCode":201,"body":"x","cookies":["a=1"]}"#, true, Some((201, "x")));
        check(r#"{"statusCode":201,"body":"x"}"#, false, Some((201, "x")));
        check(r#"{"message":"hi"}"#, false, None);
        check("", true, None);
    }
}
