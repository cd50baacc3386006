//! `GET /search`: traces by what their spans are like.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use throughline_query::SearchOptions;
use throughline_query::xray_filter::{XraySearchOptions, XrayTime, xray_search};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::extract::Params;
use super::{ApiError, ask, time};
use crate::api::xray;
use crate::app::App;
use crate::clock::now_unix_nano;

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 1_000;

/// Pages of X-Ray's search that are looked through for one answer: a page may be short.
const XRAY_PAGES_MAX: usize = 10;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchParams {
    /// The query; empty takes every trace.
    q: Option<String>,
    /// How `q` is written: `native` (the default), or `xray` for a filter expression.
    language: Option<String>,
    /// Start of the range; default `-1h`.
    from: Option<String>,
    /// End of the range; default `now`.
    to: Option<String>,
    /// How many traces at most; default 20, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only spans of this environment.
    environment: Option<String>,
}

/// Traces that match.
#[derive(Debug, Serialize, ToSchema)]
struct SearchAnswer {
    /// Newest first, unless the query says otherwise.
    traces: Vec<TraceSummary>,
    /// Whether more traces match than the limit lets through.
    truncated: bool,
}

/// One line of a list of traces.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TraceSummary {
    /// 32 hex digits.
    trace_id: String,
    root_service: String,
    root_name: String,
    /// The earliest start.
    start_time_unix_nano: String,
    /// From the earliest start to the latest end.
    duration_nano: i64,
    span_count: usize,
    error_count: usize,
    /// In the order of their first span.
    services: Vec<String>,
    environment: Option<String>,
    /// The first span that failed without a child that failed.
    failing: Option<Failing>,
    /// Whether no span without a parent is held.
    root_missing: bool,
    /// How many spans match the query.
    matched_spans: usize,
}

/// Where the trouble began, as far as we can see.
#[derive(Debug, Serialize, ToSchema)]
struct Failing {
    service: String,
    name: String,
    message: String,
}

/// Finds traces.
#[utoipa::path(
    get, path = "/search", operation_id = "search", params(SearchParams),
    responses(
        (status = 200, description = "Traces that match", body = SearchAnswer),
        (status = 400, description = "The query or a parameter cannot be read", body = ErrorBody),
        (status = 422, description = "The query needs too much memory", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    Params(params): Params<SearchParams>,
) -> Result<Response, ApiError> {
    let text = params.q.as_deref().unwrap_or_default();
    match params.language.as_deref() {
        None | Some("" | "native") => search_native(&app, &params, text).await,
        Some("xray") => search_xray(&app, &params, text).await,
        Some(other) => {
            let message = format!("language: expected native or xray, got {other:?}");
            Err(ApiError::bad_request(message))
        }
    }
}

async fn search_native(
    app: &Arc<App>,
    params: &SearchParams,
    text: &str,
) -> Result<Response, ApiError> {
    let query = throughline_query::parse(text)?;
    let range = time::range(params.from.as_deref(), params.to.as_deref(), now_unix_nano())?;
    let limit = limit(params.limit, LIMIT_DEFAULT, LIMIT_MAX)?;
    let environment = params.environment.clone().filter(|name| !name.is_empty());
    let options = SearchOptions { from: range.from, to: range.to, limit, environment };
    ask(app, move |snapshot| {
        let answer = throughline_query::search(snapshot, &query, &options)?;
        let traces = answer.traces.into_iter().map(render).collect();
        Ok(SearchAnswer { traces, truncated: answer.truncated })
    })
    .await
}

/// An X-Ray filter expression takes whole traces; every span of one counts as found.
async fn search_xray(
    app: &Arc<App>,
    params: &SearchParams,
    text: &str,
) -> Result<Response, ApiError> {
    let filter = xray::filter(app, text)?;
    let range = time::range(params.from.as_deref(), params.to.as_deref(), now_unix_nano())?;
    let limit = limit(params.limit, LIMIT_DEFAULT, LIMIT_MAX)?;
    let environment = params.environment.clone().filter(|name| !name.is_empty());
    let mut options = XraySearchOptions {
        from: range.from,
        // Their ends are exclusive, ours are not.
        to: range.to.saturating_add(1),
        time: XrayTime::TraceId,
        limit,
        after: None,
        sampling: None,
    };
    ask(app, move |snapshot| {
        let mut traces = Vec::new();
        for _ in 0..XRAY_PAGES_MAX {
            let page = xray_search(snapshot, &filter, &options, |trace, _| {
                let found = throughline_query::summary(trace, &vec![true; trace.len()]);
                if environment.is_none() || found.environment == environment {
                    traces.push(render(found));
                }
            })?;
            options.after = page.next;
            if options.after.is_none() || traces.len() >= limit {
                break;
            }
        }
        let truncated = options.after.is_some() || traces.len() > limit;
        traces.truncate(limit);
        Ok(SearchAnswer { traces, truncated })
    })
    .await
}

/// Checks a `limit` parameter.
pub(super) fn limit(given: Option<usize>, default: usize, max: usize) -> Result<usize, ApiError> {
    match given.unwrap_or(default) {
        limit if (1..=max).contains(&limit) => Ok(limit),
        limit => Err(ApiError::bad_request(format!("limit: expected 1 to {max}, got {limit}"))),
    }
}

fn render(summary: throughline_query::TraceSummary) -> TraceSummary {
    TraceSummary {
        trace_id: summary.trace_id.to_string(),
        root_service: summary.root_service,
        root_name: summary.root_name,
        start_time_unix_nano: summary.start_unix_nano.to_string(),
        duration_nano: summary.duration_nano,
        span_count: summary.span_count,
        error_count: summary.error_count,
        services: summary.services,
        environment: summary.environment,
        failing: summary.failing.map(|failing| Failing {
            service: failing.service,
            name: failing.name,
            message: failing.message,
        }),
        root_missing: summary.root_missing,
        matched_spans: summary.matched_spans,
    }
}
