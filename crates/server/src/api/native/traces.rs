//! `GET /traces/{id}`, its columns for the page, and one span in full.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use throughline_model::{SpanBatch, SpanId, TraceId};
use throughline_store::Snapshot;
use throughline_wire::otlp as otlp_wire;

use super::error::ErrorBody;
use super::extract::PathParts;
use super::span::{SpanDetail, span_detail};
use super::view::{TraceView, trace_view};
use super::{ApiError, ask, json_response};
use crate::app::App;

/// A whole trace as OTLP JSON.
#[utoipa::path(
    get, path = "/traces/{id}", operation_id = "trace",
    params(("id" = String, Path, description = "32 or 16 hex digits, or X-Ray's 1-8hex-24hex")),
    responses(
        (status = 200, description = "OTLP JSON: `{\"resourceSpans\":[...]}`", body = serde_json::Value),
        (status = 400, description = "The id cannot be read", body = ErrorBody),
        (status = 404, description = "No span of this trace is held", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn otlp(
    State(app): State<Arc<App>>,
    PathParts(id): PathParts<String>,
) -> Result<Response, ApiError> {
    let id = parse_trace_id(&id)?;
    let store = Arc::clone(&app.store);
    let text = app.queries.on_cpu(move || {
        let trace = held(&store.snapshot(), id)?;
        Ok::<_, ApiError>(otlp_wire::encode_json(&trace))
    });
    Ok(json_response(text.await??.into()))
}

/// A trace in columns, parents before children.
#[utoipa::path(
    get, path = "/traces/{id}/view", operation_id = "traceView",
    params(("id" = String, Path, description = "32 or 16 hex digits, or X-Ray's 1-8hex-24hex")),
    responses(
        (status = 200, description = "The trace in columns", body = TraceView),
        (status = 400, description = "The id cannot be read", body = ErrorBody),
        (status = 404, description = "No span of this trace is held", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn view(
    State(app): State<Arc<App>>,
    PathParts(id): PathParts<String>,
) -> Result<Response, ApiError> {
    let id = parse_trace_id(&id)?;
    ask(&app, move |snapshot| Ok(trace_view(&held(snapshot, id)?))).await
}

/// Everything about one span.
#[utoipa::path(
    get, path = "/traces/{id}/spans/{spanId}", operation_id = "span",
    params(
        ("id" = String, Path, description = "32 or 16 hex digits, or X-Ray's 1-8hex-24hex"),
        ("spanId" = String, Path, description = "16 hex digits"),
    ),
    responses(
        (status = 200, description = "The span", body = SpanDetail),
        (status = 400, description = "An id cannot be read", body = ErrorBody),
        (status = 404, description = "The span is not held", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn span(
    State(app): State<Arc<App>>,
    PathParts((id, span_id)): PathParts<(String, String)>,
) -> Result<Response, ApiError> {
    let id = parse_trace_id(&id)?;
    let span_id = SpanId::parse(&span_id).map_err(|err| ApiError::bad_request(err.to_string()))?;
    ask(&app, move |snapshot| {
        let trace = held(snapshot, id)?;
        let start = trace.starts().iter().copied().min().unwrap_or_default();
        let mut spans = trace.spans();
        let found = spans.find(|span| span.span_id() == span_id);
        let missing = || ApiError::not_found(format!("trace {id} holds no span {span_id}"));
        found.map(|span| span_detail(span, start)).ok_or_else(missing)
    })
    .await
}

pub(super) fn parse_trace_id(text: &str) -> Result<TraceId, ApiError> {
    TraceId::parse(text).map_err(|err| ApiError::bad_request(err.to_string()))
}

fn held(snapshot: &Snapshot, id: TraceId) -> Result<SpanBatch, ApiError> {
    throughline_query::trace(snapshot, id)?
        .ok_or_else(|| ApiError::not_found(format!("no span of trace {id} is held")))
}
