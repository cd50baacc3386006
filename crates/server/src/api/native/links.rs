//! `GET /traces/{id}/links`: the span links that leave a trace and those that lead to it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ErrorBody;
use super::extract::PathParts;
use super::traces::parse_trace_id;
use super::{ApiError, ask};
use crate::app::App;

/// Links to other traces, and links of other traces to this one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LinksAnswer {
    /// In order of the linking span's start.
    links: Vec<LinkTo>,
    /// In order of the linking span's start.
    back_links: Vec<BackLink>,
    /// Whether a limit left something out.
    truncated: bool,
}

/// A link of a span of this trace.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LinkTo {
    /// The span that has the link.
    span_id: String,
    /// The linked trace.
    trace_id: String,
    /// The linked span.
    to_span_id: String,
    /// Empty when the linked trace is not held.
    root_service: String,
    /// Empty when the linked trace is not held.
    root_name: String,
    /// When the linked trace starts; `null` when it is not held.
    start_time_unix_nano: Option<String>,
}

/// A link of a span of another trace to this one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BackLink {
    from_trace_id: String,
    from_span_id: String,
    /// The service of the linking span.
    service: String,
    /// The name of the linking span.
    name: String,
    /// When the linking span starts.
    start_time_unix_nano: String,
    /// The linked span of this trace; zeros when the link names none.
    to_span_id: String,
}

/// The links of a trace in both directions. Links inside the trace are left out.
///
/// At most 1000 of each, out of at most 200 other traces on each side.
#[utoipa::path(
    get, path = "/traces/{id}/links", operation_id = "traceLinks",
    params(("id" = String, Path, description = "32 or 16 hex digits, or X-Ray's 1-8hex-24hex")),
    responses(
        (status = 200, description = "Links and back-links", body = LinksAnswer),
        (status = 400, description = "The id cannot be read", body = ErrorBody),
        (status = 404, description = "No span of this trace is held", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn links(
    State(app): State<Arc<App>>,
    PathParts(id): PathParts<String>,
) -> Result<Response, ApiError> {
    let id = parse_trace_id(&id)?;
    ask(&app, move |snapshot| {
        let missing = || ApiError::not_found(format!("no span of trace {id} is held"));
        let found = throughline_query::links(snapshot, id)?.ok_or_else(missing)?;
        Ok(LinksAnswer {
            links: found.links.into_iter().map(link).collect(),
            back_links: found.back_links.into_iter().map(back_link).collect(),
            truncated: found.truncated,
        })
    })
    .await
}

fn link(link: throughline_query::LinkTo) -> LinkTo {
    LinkTo {
        span_id: link.span_id.to_string(),
        trace_id: link.trace_id.to_string(),
        to_span_id: link.to_span_id.to_string(),
        root_service: link.root_service,
        root_name: link.root_name,
        start_time_unix_nano: link.start_unix_nano.map(|start| start.to_string()),
    }
}

fn back_link(link: throughline_query::BackLink) -> BackLink {
    BackLink {
        from_trace_id: link.from_trace_id.to_string(),
        from_span_id: link.from_span_id.to_string(),
        service: link.service,
        name: link.name,
        start_time_unix_nano: link.start_unix_nano.to_string(),
        to_span_id: link.to_span_id.to_string(),
    }
}
