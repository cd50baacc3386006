//! What a function's answer becomes for the caller of an API.
//!
//! Rule: "Set up Lambda proxy integrations in API Gateway", output format; anything else is a 502.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::http::{Response, response};

/// What an answer may hold.
const MEMBERS: [&str; 5] =
    ["statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"];

/// What the caller gets for a function's payload.
pub(super) fn reply(payload: &[u8]) -> Response {
    serde_json::from_slice(payload).ok().and_then(|answer| read(&answer)).unwrap_or_else(malformed)
}

/// The answer to a function that failed or said something else.
pub(super) fn malformed() -> Response {
    response(502, "application/json", "{\"message\": \"Internal server error\"}")
}

pub(super) fn read(answer: &Value) -> Option<Response> {
    let answer = answer.as_object()?;
    if answer.keys().any(|name| !MEMBERS.contains(&name.as_str())) {
        return None;
    }
    let status = match answer.get("statusCode") {
        None => 200,
        Some(Value::Number(number)) => u16::try_from(number.as_u64()?).ok()?,
        Some(Value::String(text)) => text.parse().ok()?,
        Some(_) => return None,
    };
    if !(100..=599).contains(&status) {
        return None;
    }
    let body = match answer.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) => {
            if answer.get("isBase64Encoded").and_then(Value::as_bool) == Some(true) {
                Bytes::from(STANDARD.decode(text).ok()?)
            } else {
                Bytes::copy_from_slice(text.as_bytes())
            }
        }
        Some(_) => return None,
    };
    let mut reply = response(status, "", body);
    for (name, value) in object(answer.get("headers"))? {
        append(&mut reply, name, value)?;
    }
    for (name, values) in object(answer.get("multiValueHeaders"))? {
        for value in values.as_array()? {
            append(&mut reply, name, value)?;
        }
    }
    if !reply.headers().contains_key("content-type") {
        let json = HeaderValue::from_static("application/json");
        reply.headers_mut().insert(http::header::CONTENT_TYPE, json);
    }
    Some(reply)
}

fn object(value: Option<&Value>) -> Option<impl Iterator<Item = (&String, &Value)>> {
    let members: Option<&Map<String, Value>> = match value {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_object()?),
    };
    Some(members.into_iter().flatten())
}

/// The lengths of bodies are set where bodies are sent; a function's own would contradict them.
fn append(reply: &mut Response, name: &str, value: &Value) -> Option<()> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return None,
    };
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let set_elsewhere = ["content-length", "transfer-encoding", "connection"];
    if !set_elsewhere.contains(&name.as_str()) {
        reply.headers_mut().append(name, HeaderValue::from_str(&text).ok()?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(payload: &str, status: u16, body: &str) {
        let reply = reply(payload.as_bytes());
        assert_eq!(reply.status().as_u16(), status, "{payload}");
        assert_eq!(reply.body(), body, "{payload}");
    }

    #[test]
    fn a_proxy_answer_is_taken_apart() {
        check(r#"{"statusCode":200,"body":"{\"message\":\"ok\"}"}"#, 200, r#"{"message":"ok"}"#);
        check(r#"{"statusCode":"418","body":null}"#, 418, "");
        check(r#"{"statusCode":200,"body":"YWI=","isBase64Encoded":true}"#, 200, "ab");
        check("{}", 200, "");
    }

    #[test]
    fn what_is_no_proxy_answer_is_an_internal_error() {
        let internal = "{\"message\": \"Internal server error\"}";
        for payload in [
            "",
            "null",
            "\"text\"",
            "[]",
            r#"{"ok":true}"#,
            r#"{"statusCode":99}"#,
            r#"{"statusCode":200,"body":{}}"#,
            r#"{"statusCode":true}"#,
            r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
            r#"{"statusCode":200,"headers":[]}"#,
            r#"{"statusCode":200,"body":"?","isBase64Encoded":true}"#,
        ] {
            check(payload, 502, internal);
        }
    }

    #[test]
    fn headers_of_both_kinds_are_kept() {
        let reply = reply(
            br#"{"statusCode":200,"headers":{"X-A":"1","Content-Length":"99"},"multiValueHeaders":{"Set-Cookie":["a","b"]}}"#,
        );
        assert_eq!(reply.headers()["x-a"], "1");
        assert_eq!(reply.headers()["content-type"], "application/json");
        assert!(!reply.headers().contains_key("content-length"));
        assert_eq!(reply.headers().get_all("set-cookie").iter().count(), 2);
    }
}
