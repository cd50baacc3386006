//! A request as a service sees it, and an answer as it gives it.
//!
//! Rule: the error shapes are those of the AWS protocols (smithy.io: awsQuery, restXml, awsJson1.0,
//!       awsJson1.1, restJson1).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::xml::Xml;

/// A whole request, its body read and bounded.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The verb.
    pub method: Method,
    /// The path as it was sent, percent-encoded.
    pub path: String,
    /// What follows `?`, as it was sent.
    pub query: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The id the answer carries.
    pub request_id: String,
}

impl Request {
    /// A header's text, empty when it is absent or not text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The parameters after `?`, decoded.
    pub(crate) fn query_pairs(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.query.as_bytes()).into_owned().collect()
    }

    /// One parameter after `?`.
    pub(crate) fn query_value(&self, name: &str) -> Option<String> {
        self.query_pairs().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The path's segments, decoded. A leading and a trailing slash make no segment.
    pub(crate) fn segments(&self) -> Vec<String> {
        let path = self.path.trim_matches('/');
        if path.is_empty() {
            return Vec::new();
        }
        path.split('/').map(decode).collect()
    }

    /// The body as JSON; an empty one is `{}`.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        if self.body.is_empty() {
            return Ok(json!({}));
        }
        serde_json::from_slice(&self.body).map_err(|err| {
            Failure::new(400, "SerializationException", format!("body is not JSON: {err}"))
        })
    }
}

/// Percent-decodes; bytes that are no UTF-8 become the replacement character.
pub(crate) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What goes back.
pub(crate) type Response = http::Response<Bytes>;

/// An answer with a body. Everything else is added by its caller or by the front door.
pub(crate) fn response(
    status: u16,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response {
    let mut response = http::Response::new(body.into());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !content_type.is_empty() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

/// Sets a header; a value that no header can carry is left out.
pub(crate) fn set_header(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// Why a call was refused, in AWS's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Failure {
    /// The HTTP status.
    pub status: u16,
    /// The code that clients act upon: `ValidationError`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Failure {
    /// A refusal.
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// An operation that the local cloud does not have.
    pub(crate) fn unknown_operation(service: &str, operation: &str) -> Self {
        Self::new(
            400,
            "UnknownOperationException",
            format!(
                "{service} {operation} is not supported by the local cloud; name an emulator that has it with --upstream URL"
            ),
        )
    }
}

/// How a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Form in, XML out; with the namespace of the answer.
    Query(&'static str),
    /// S3's.
    RestXml,
    /// `X-Amz-Target` and JSON.
    Json10,
    /// The same with another content type.
    Json11,
    /// Paths and JSON.
    RestJson,
}

impl Protocol {
    /// A refusal as the protocol writes it.
    pub(crate) fn failure(self, failure: &Failure, request_id: &str) -> Response {
        let Failure { status, code, message } = failure;
        match self {
            Self::Query(namespace) => {
                let kind = if *status < 500 { "Sender" } else { "Receiver" };
                let error =
                    Xml::new().text("Type", kind).text("Code", code).text("Message", message);
                let inner = Xml::new().element("Error", error).text("RequestId", request_id);
                let body = format!(
                    "<ErrorResponse xmlns=\"{namespace}\">{}</ErrorResponse>",
                    inner.into_string()
                );
                response(*status, "text/xml", body)
            }
            Self::RestXml => {
                let error = Xml::new()
                    .text("Code", code)
                    .text("Message", message)
                    .text("RequestId", request_id);
                let body = format!("{DECLARATION}<Error>{}</Error>", error.into_string());
                response(*status, "application/xml", body)
            }
            Self::Json10 | Self::Json11 => {
                // AWS writes `Message` in some services and `message` in others; SDKs read both.
                let body = json!({ "__type": code, "message": message }).to_string();
                let mut response = response(*status, self.content_type(), body);
                set_header(&mut response, "x-amzn-errortype", code);
                response
            }
            Self::RestJson => {
                let body = json!({ "Type": "User", "message": message }).to_string();
                let mut response = response(*status, "application/json", body);
                set_header(&mut response, "x-amzn-errortype", code);
                response
            }
        }
    }

    /// The content type of an answer.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Query(_) => "text/xml",
            Self::RestXml => "application/xml",
            Self::Json10 => "application/x-amz-json-1.0",
            Self::Json11 => "application/x-amz-json-1.1",
            Self::RestJson => "application/json",
        }
    }

    /// A JSON answer, or the refusal.
    pub(crate) fn json(self, answer: Result<Value, Failure>, request_id: &str) -> Response {
        match answer {
            Ok(Value::Null) => response(200, self.content_type(), ""),
            Ok(value) => response(200, self.content_type(), value.to_string()),
            Err(failure) => self.failure(&failure, request_id),
        }
    }
}

/// Stands before every XML answer.
pub(crate) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_has_its_own_error() {
        let failure = Failure::new(400, "ValidationError", "a < b");
        let text = |protocol: Protocol| {
            let response = protocol.failure(&failure, "id-1");
            assert_eq!(response.status(), 400);
            String::from_utf8(response.body().to_vec()).unwrap()
        };
        let query = text(Protocol::Query("urn:x"));
        assert!(
            query.contains("<Code>ValidationError</Code><Message>a &lt; b</Message>"),
            "{query}"
        );
        assert!(text(Protocol::RestXml).contains("<RequestId>id-1</RequestId></Error>"));
        assert!(text(Protocol::Json11).contains("\"__type\":\"ValidationError\""));
        assert!(text(Protocol::RestJson).contains("\"message\":\"a < b\""));
    }
}
