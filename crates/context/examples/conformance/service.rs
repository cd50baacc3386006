//! What the service does: read the context, make a span a call, send it on.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use throughline_context::{Context, Fields, Format, Reader, Sampling, Strictness, Writer};
use ureq::Agent;

/// The most calls that one request may ask for.
const CALLS_MAX: usize = 100;
/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The service as a router with one route, `POST /test`.
pub(crate) fn router() -> Router {
    let agent = Agent::config_builder()
        .timeout_global(Some(CALL_TIMEOUT))
        .max_redirects(0)
        .http_status_as_error(false)
        .build()
        .new_agent();
    Router::new().route("/test", post(test)).with_state(agent)
}

/// Posts the arguments of each call to its address, then answers 200; 400 when the body is no
/// list of calls, 502 when a call could not be made.
async fn test(State(agent): State<Agent>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let pairs = headers.iter().filter_map(|(name, value)| Some((name, value.to_str().ok()?)));
    let fields: Fields = pairs.collect();
    let formats = [Format::TraceContext, Format::Baggage];
    let read = Reader::new(&formats, Strictness::Strict).read(&fields);
    let Some(calls) = calls(&body) else { return StatusCode::BAD_REQUEST };
    let trace_id = RandomIdGenerator::default().new_trace_id();
    for (url, arguments) in calls {
        let span_id = RandomIdGenerator::default().new_span_id();
        let context = match &read.context {
            Some(caller) => Context { span_id, ..caller.clone() },
            // Nobody called with a trace: one begins here, and its whole id is random.
            None => Context {
                random: true,
                ..Context::new(trace_id, span_id, Sampling::Accept, Format::TraceContext)
            },
        };
        let headers = Writer::new(&formats).headers(&context, &read.baggage);
        let agent = agent.clone();
        let sent = tokio::task::spawn_blocking(move || send(&agent, &url, arguments, headers));
        if !sent.await.unwrap_or(false) {
            return StatusCode::BAD_GATEWAY;
        }
    }
    StatusCode::OK
}

/// The calls in a body: addresses and the JSON text to send to each.
fn calls(body: &[u8]) -> Option<Vec<(String, String)>> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let calls = body.as_array().filter(|calls| calls.len() <= CALLS_MAX)?;
    let call = |call: &serde_json::Value| {
        Some((call.get("url")?.as_str()?.to_owned(), call.get("arguments")?.to_string()))
    };
    calls.iter().map(call).collect()
}

fn send(agent: &Agent, url: &str, arguments: String, headers: Vec<(String, String)>) -> bool {
    let mut request = agent.post(url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send(arguments).is_ok()
}
