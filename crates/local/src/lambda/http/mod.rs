//! The Lambda API over HTTP.
//!
//! In:   a request whose body was read already.
//! Out:  an answer; errors in AWS's words and with its header.
//! Rule: AWS Lambda API reference (REST-JSON 1): paths, members, statuses. Paths carry the date of their operation;
//!       any date is taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::LambdaError;
use super::functions::Functions;
use super::types::{FunctionConfiguration, InvocationType, InvokeOptions};
use crate::ids;

mod function_calls;
mod layer_calls;
mod source_calls;

/// Where the code of a function can be fetched: `GET /_lambda/code/SHA256.zip`. The front door hands it to us.
pub const CODE_PATH: &str = "/_lambda/code/";

/// Whether a path is one of the Lambda API, `/2015-03-31/functions` and the like, or of [`CODE_PATH`].
pub fn is_lambda_path(path: &str) -> bool {
    let Some((date, rest)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return false;
    };
    let is_date = date.len() == 10
        && date.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    const RESOURCES: [&str; 7] = [
        "functions",
        "layers",
        "layers-by-arn",
        "event-source-mappings",
        "account-settings",
        "tags",
        "code-signing-configs",
    ];
    let resource = rest.split(['/', '?']).next().unwrap_or_default();
    path.starts_with(CODE_PATH) || (is_date && RESOURCES.contains(&resource))
}

/// Answers a request of the Lambda API.
pub async fn handle(functions: &Arc<Functions>, request: Request<Bytes>) -> Response<Bytes> {
    let (parts, body) = request.into_parts();
    let asked = Asked {
        path: segments(parts.uri.path()),
        query: query(parts.uri.query().unwrap_or_default()),
        method: parts.method,
        headers: parts.headers,
        body,
    };
    let answer = match route(functions, &asked).await {
        Ok(answer) => answer,
        Err(error) => refusal(&error),
    };
    answer.into_response()
}

/// A request, taken apart.
pub(super) struct Asked {
    method: Method,
    /// The path's parts after the date, decoded.
    path: Vec<String>,
    query: BTreeMap<String, Vec<String>>,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn json<T: DeserializeOwned>(&self) -> Result<T, LambdaError> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body).map_err(|err| {
            LambdaError::InvalidRequestContent(format!(
                "Could not parse request body into json: {err}"
            ))
        })
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name)?.first().map(String::as_str).filter(|value| !value.is_empty())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An answer before it is one of HTTP.
pub(super) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body: body.to_string().into() }
    }

    fn of<T: serde::Serialize>(status: u16, body: &T) -> Self {
        Self::json(status, &serde_json::to_value(body).unwrap_or_default())
    }

    fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    fn into_response(self) -> Response<Bytes> {
        let mut response =
            Response::builder().status(self.status).header("x-amzn-requestid", ids::uuid());
        for (name, value) in self.headers {
            let mut headers = response.headers_mut();
            // The call's own id stands instead of ours.
            if let (Some(headers), Ok(value)) = (&mut headers, value.parse()) {
                headers.insert(name, value);
            }
        }
        response.body(self.body).unwrap_or_default()
    }
}

fn refusal(error: &LambdaError) -> Answer {
    let kind = if error.status() < 500 { "User" } else { "Service" };
    let text = error.to_string();
    let mut body = json!({ "Type": kind, "Message": text, "message": text });
    if let LambdaError::TooManyRequests { reason, .. } = error {
        body["Reason"] = json!(reason);
    }
    let mut answer = Answer::json(error.status(), &body);
    answer.headers.push(("x-amzn-errortype", error.code().to_owned()));
    answer
}

async fn route(functions: &Arc<Functions>, asked: &Asked) -> Result<Answer, LambdaError> {
    let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
    match (asked.method.as_str(), path.as_slice()) {
        ("POST", ["functions", name, "invocations"]) => invoke(functions, asked, name).await,
        ("POST", ["functions", name, "invoke-async"]) => {
            let options = InvokeOptions { kind: InvocationType::Event, ..InvokeOptions::default() };
            functions.invoke(name, asked.body.clone(), options).await?;
            Ok(Answer::json(202, &json!({ "Status": 202 })))
        }
        ("GET", ["code", file]) => code(functions, file).await,
        ("GET", ["account-settings"]) => Ok(account_settings(functions)),
        (_, ["functions", ..] | ["tags", ..]) => {
            function_calls::route(functions, asked, &path).await
        }
        (_, ["layers" | "layers-by-arn", ..]) => layer_calls::route(functions, asked, &path).await,
        (_, ["event-source-mappings", ..]) => source_calls::route(functions, asked, &path).await,
        _ => Err(unknown(asked)),
    }
}

async fn invoke(
    functions: &Arc<Functions>,
    asked: &Asked,
    name: &str,
) -> Result<Answer, LambdaError> {
    let kind = match asked.header("x-amz-invocation-type") {
        None | Some("RequestResponse") => InvocationType::RequestResponse,
        Some("Event") => InvocationType::Event,
        Some("DryRun") => InvocationType::DryRun,
        Some(_) => {
            return Err(LambdaError::InvalidParameterValue(
                "InvocationType is RequestResponse, Event or DryRun".to_owned(),
            ));
        }
    };
    let client_context = match asked.header("x-amz-client-context") {
        None => None,
        Some(text) => {
            let decoded =
                STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let is_json = |text: &String| serde_json::from_str::<Value>(text).is_ok();
            Some(decoded.filter(is_json).ok_or_else(|| {
                LambdaError::InvalidRequestContent("Client context is no JSON in base64".to_owned())
            })?)
        }
    };
    let options = InvokeOptions {
        kind,
        qualifier: asked.query("Qualifier").map(str::to_owned),
        trace_header: asked.header("x-amzn-trace-id").map(str::to_owned),
        client_context: client_context.map(|text| on_one_line(&text)),
        log_tail: asked.header("x-amz-log-type") == Some("Tail"),
    };
    let answer = functions.invoke(name, asked.body.clone(), options).await?;
    let mut headers =
        vec![("x-amzn-requestid", answer.request_id), ("x-amz-executed-version", answer.version)];
    if !answer.payload.is_empty() {
        headers.push(("content-type", "application/json".to_owned()));
    }
    if !answer.trace_header.is_empty() {
        headers.push(("x-amzn-trace-id", answer.trace_header));
    }
    if let Some(error) = answer.function_error {
        headers.push(("x-amz-function-error", error.to_owned()));
    }
    if let Some(tail) = answer.log_tail {
        headers.push(("x-amz-log-result", STANDARD.encode(tail)));
    }
    Ok(Answer { status: answer.status, headers, body: answer.payload })
}

/// The same JSON without line breaks, so that it can be a header.
fn on_one_line(text: &str) -> String {
    serde_json::from_str::<Value>(text).map(|value| value.to_string()).unwrap_or_default()
}

async fn code(functions: &Functions, file: &str) -> Result<Answer, LambdaError> {
    let hex = file.strip_suffix(".zip").unwrap_or_default();
    let known = functions.registry().code_in_use().contains(hex);
    let bytes = match known {
        true => tokio::fs::read(functions.store.zip(hex)).await.ok(),
        false => None,
    };
    let bytes = bytes.ok_or_else(|| LambdaError::ResourceNotFound("no such code".to_owned()))?;
    let headers = vec![("content-type", "application/zip".to_owned())];
    Ok(Answer { status: 200, headers, body: bytes.into() })
}

fn account_settings(functions: &Functions) -> Answer {
    let all = functions.list();
    let code_bytes: u64 = all.iter().map(|configuration| configuration.code_size).sum();
    let concurrency = functions.around.config.processes_max;
    Answer::json(
        200,
        &json!({
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800_u64,
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": concurrency,
                "UnreservedConcurrentExecutions": concurrency,
            },
            "AccountUsage": { "TotalCodeSize": code_bytes, "FunctionCount": all.len() },
        }),
    )
}

fn unknown(asked: &Asked) -> LambdaError {
    LambdaError::UnknownOperation(format!(
        "{} /{} is no operation of the local Lambda service",
        asked.method,
        asked.path.join("/").chars().take(120).collect::<String>()
    ))
}

/// Where the code of a function can be fetched, as `GetFunction` says it.
fn code_location(functions: &Functions, hex: &str) -> Value {
    let location = format!("{}{CODE_PATH}{hex}.zip", functions.around.endpoint);
    json!({ "RepositoryType": "S3", "Location": location })
}

/// `items` from the marker on, at most as many as were asked for, and the next marker.
fn page(asked: &Asked, items: Vec<Value>) -> (Vec<Value>, Option<String>) {
    let from: usize = asked.query("Marker").and_then(|marker| marker.parse().ok()).unwrap_or(0);
    let max = asked.query("MaxItems").and_then(|max| max.parse().ok()).unwrap_or(50);
    let max: usize = usize::clamp(max, 1, 10_000);
    let total = items.len();
    let page: Vec<Value> = items.into_iter().skip(from).take(max).collect();
    let next = from.saturating_add(page.len());
    (page, (next < total).then(|| next.to_string()))
}

fn configurations(all: &[FunctionConfiguration]) -> Vec<Value> {
    all.iter().filter_map(|one| serde_json::to_value(one).ok()).collect()
}

/// A path's parts, decoded, without its date; `/_lambda/code/x` is `code`, `x`.
fn segments(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty()).skip(1);
    parts.map(decode).collect()
}

fn query(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        query.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    query
}

fn decode(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_api_are_known() {
        assert!(is_lambda_path("/2015-03-31/functions"));
        assert!(is_lambda_path("/2015-03-31/functions/f/invocations"));
        assert!(is_lambda_path("/2018-10-31/layers/x/versions"));
        assert!(is_lambda_path("/2015-03-31/event-source-mappings/"));
        assert!(is_lambda_path("/_lambda/code/ab.zip"));
        assert!(!is_lambda_path("/bucket/functions"));
        assert!(!is_lambda_path("/2015-03-31"));
        assert!(!is_lambda_path("/restapis"));
    }

    #[test]
    fn a_path_is_taken_apart_and_decoded() {
        let parts =
            segments("/2015-03-31/functions/arn%3Aaws%3Alambda%3Ar%3A0%3Afunction%3Af/invocations");
        assert_eq!(parts, ["functions", "arn:aws:lambda:r:0:function:f", "invocations"]);
    }
}
