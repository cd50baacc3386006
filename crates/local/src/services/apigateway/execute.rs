//! Calls of deployed APIs: finds the stage and the method, and asks the function.
//!
//! Rule: API Gateway's own answers ("Gateway response types"): a path or verb that is not there is a 403
//!       "Missing Authentication Token", a function that fails a 502, one that takes too long a 504.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::Method as Verb;

use super::event::{Parts, event};
use super::{ApiGateway, Integration, Method, Resource, reply, routing};
use crate::http::{Failure, Request, Response, response, set_header};
use crate::ids;
use crate::seams::Answer;

/// API Gateway waits 29 s ("Quotas", maximum integration timeout). Here a function's start on a busy machine fits too.
const TIMEOUT: Duration = Duration::from_secs(60);
/// "Quotas": payload size.
const BODY_BYTES_MAX: usize = 10 << 20;

/// A call of an API.
pub(crate) struct Call {
    /// The API's id.
    pub api: String,
    /// The stage's name.
    pub stage: String,
    /// What follows the stage, decoded.
    pub path: Vec<String>,
    /// The request as it came.
    pub request: Request,
}

/// Calls functions: the Lambda service.
pub(crate) trait Invoker: Send + Sync {
    /// The payload of an answer, or `None` when the function failed or could not be called.
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        event: Bytes,
        trace_header: &'a str,
    ) -> Answer<'a, Option<Bytes>>;
}

impl ApiGateway {
    /// Answers a call of an API.
    pub(crate) async fn execute(&self, call: Call, invoker: &dyn Invoker) -> Response {
        let trace_header = trace_header(call.request.header("x-amzn-trace-id"));
        let mut answer = match self.answer_call(&call, invoker, &trace_header).await {
            Ok(answer) => answer,
            Err(failure) => {
                let body = format!("{{\"message\":{}}}", serde_json::Value::from(failure.message));
                let mut answer = response(failure.status, "application/json", body);
                set_header(&mut answer, "x-amzn-errortype", &failure.code);
                answer
            }
        };
        set_header(&mut answer, "x-amzn-requestid", &call.request.request_id);
        set_header(&mut answer, "x-amz-apigw-id", &ids::name_suffix());
        if !answer.headers().contains_key("x-amzn-trace-id") {
            set_header(&mut answer, "x-amzn-trace-id", &trace_header);
        }
        answer
    }

    async fn answer_call(
        &self,
        call: &Call,
        invoker: &dyn Invoker,
        trace_header: &str,
    ) -> Result<Response, Failure> {
        let forbidden = || Failure::new(403, "ForbiddenException", "Forbidden");
        let api = self.api(&call.api).map_err(|_| forbidden())?;
        let stage = api.stages.get(&call.stage).ok_or_else(forbidden)?;
        let deployment = api.deployments.get(&stage.deployment_id).ok_or_else(forbidden)?;
        if call.request.body.len() > BODY_BYTES_MAX {
            return Err(Failure::new(413, "RequestEntityTooLargeException", "Request Too Long"));
        }
        let missing = || {
            Failure::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        };
        let found = routing::find(&deployment.resources, &call.path)
            .filter(|(resource, _)| method(&resource.methods, &call.request.method).is_some())
            .or_else(|| only_one(&deployment.resources, call));
        let (resource, variables) = found.ok_or_else(missing)?;
        let method = method(&resource.methods, &call.request.method).ok_or_else(missing)?;
        let uri = match &method.integration {
            None => {
                let problem = "Internal server error";
                return Err(Failure::new(500, "InternalServerErrorException", problem));
            }
            Some(Integration::Mock { status, headers, body }) => {
                let mut answer = response(*status, "application/json", body.clone());
                for (name, value) in headers {
                    let name = http::HeaderName::from_bytes(name.as_bytes());
                    let value = http::HeaderValue::from_str(value);
                    if let (Ok(name), Ok(value)) = (name, value) {
                        answer.headers_mut().insert(name, value);
                    }
                }
                return Ok(answer);
            }
            Some(Integration::Function { uri }) => uri,
        };
        let Some(function) = function_of(uri) else { return Ok(reply::malformed()) };
        let parts = Parts {
            place: &self.place,
            api: &api,
            stage_name: &call.stage,
            stage,
            resource,
            variables: &variables,
            call,
            trace_header,
        };
        let event = Bytes::from(event(&parts).to_string());
        match tokio::time::timeout(TIMEOUT, invoker.invoke(function, event, trace_header)).await {
            Err(_) => {
                Err(Failure::new(504, "InternalServerErrorException", "Endpoint request timed out"))
            }
            Ok(None) => Ok(reply::malformed()),
            Ok(Some(payload)) => Ok(reply::reply(&payload)),
        }
    }
}

/// The resource that a call of the bare stage can only mean: the one with its verb.
///
/// AWS refuses such a call. Here it is the address that tools print which do not know that it is an API's.
fn only_one<'a>(
    resources: &'a BTreeMap<String, Resource>,
    call: &Call,
) -> Option<routing::Found<'a>> {
    let fixed = resources.values().filter(|resource| !resource.path.contains('{'));
    let mut with_verb =
        fixed.filter(|resource| method(&resource.methods, &call.request.method).is_some());
    match (call.path.is_empty(), with_verb.next(), with_verb.next()) {
        (true, Some(resource), None) => Some((resource, BTreeMap::new())),
        _ => None,
    }
}

/// The verb's own method, else `ANY`.
fn method<'a>(methods: &'a BTreeMap<String, Method>, verb: &Verb) -> Option<&'a Method> {
    methods.get(verb.as_str()).or_else(|| methods.get("ANY"))
}

/// The function's ARN in `arn:aws:apigateway:..:lambda:path/2015-03-31/functions/ARN/invocations`.
pub(crate) fn function_of(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("/functions/")?;
    rest.strip_suffix("/invocations")
}

/// The caller's trace header, or a new root as API Gateway makes one (X-Ray, "Tracing header").
pub(super) fn trace_header(given: &str) -> String {
    if given.contains("Root=") {
        return given.to_owned();
    }
    let seconds = ids::now_ms() / 1_000;
    let random = format!("{:016x}{:016x}", ids::random_u64(), ids::random_u64());
    format!("Root=1-{seconds:08x}-{}", random.get(..24).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_is_found_in_its_address() {
        let uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:0:function:f/invocations";
        assert_eq!(function_of(uri), Some("arn:aws:lambda:us-east-1:0:function:f"));
        assert_eq!(function_of("http://example.com"), None);
    }

    #[test]
    fn a_call_without_trace_gets_a_root() {
        let header = trace_header("");
        assert!(
            header.starts_with("Root=1-") && header.len() == "Root=1-".len() + 8 + 1 + 24,
            "{header}"
        );
        assert_eq!(trace_header("Root=1-a-b;Sampled=1"), "Root=1-a-b;Sampled=1");
    }
}
