//! `GET /journeys`: what messages join, found by what its spans are like.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use throughline_query::{JourneyOptions, SearchOptions};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::extract::Params;
use super::search::limit;
use super::{ApiError, ask, time};
use crate::app::App;
use crate::clock::now_unix_nano;

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 200;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(super) struct JourneysParams {
    /// What a span of one of its traces must be like, in the native language; empty takes all.
    q: Option<String>,
    /// Start of the range in which that span starts; default `-1h`.
    from: Option<String>,
    /// End of the range; default `now`.
    to: Option<String>,
    /// Only spans of this environment.
    environment: Option<String>,
    /// Only journeys that last so long from end to end, in nanoseconds.
    min_duration_nano: Option<i64>,
    /// Only journeys of which one message waited so long, in nanoseconds.
    min_wait_nano: Option<i64>,
    /// Whether traces that no message joins to another are listed too; default `false`.
    alone: Option<bool>,
    /// How many journeys at most; default 20, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Journeys that were found.
#[derive(Debug, Serialize, ToSchema)]
struct JourneysAnswer {
    /// Newest first, by their start; each once.
    journeys: Vec<JourneySummary>,
    /// Whether there may be more than the limit lets through, or than are looked at: the 1000
    /// newest traces that match.
    truncated: bool,
}

/// One line of a list of journeys.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JourneySummary {
    /// The trace where it began: 32 hex digits.
    trace_id: String,
    /// How many traces.
    traces: usize,
    span_count: usize,
    /// In the order of their first span.
    services: Vec<String>,
    /// Of the trace where it began.
    root_service: String,
    root_name: String,
    environment: Option<String>,
    /// Start of the first span.
    start_time_unix_nano: String,
    /// From the first start to the last end.
    duration_nano: i64,
    /// How long at least one of its spans ran.
    work_nano: i64,
    /// How long the message waited that waited longest.
    wait_nano: i64,
    /// How many spans failed.
    error_count: usize,
    /// `kinesis`, `sqs`, ... or `link`.
    carriers: Vec<String>,
    /// How the least sure of its joins is known: `E1` to `E5`, or `user`. Absent without a join.
    weakest_class: Option<&'static str>,
    /// How sure that join is, 0 to 1.
    weakest_confidence: Option<f64>,
    /// The most deliveries of one message to one consumer; 0 without a message.
    attempts: u32,
    /// Whether it has more than a list looks at: 60 traces, 2000 spans, 20 deliveries from one place.
    truncated: bool,
}

/// Finds journeys.
#[utoipa::path(
    get, path = "/journeys", operation_id = "journeys", params(JourneysParams),
    responses(
        (status = 200, description = "Journeys of which a trace matches", body = JourneysAnswer),
        (status = 400, description = "The query or a parameter cannot be read", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn journeys(
    State(app): State<Arc<App>>,
    Params(params): Params<JourneysParams>,
) -> Result<Response, ApiError> {
    let query = throughline_query::parse(params.q.as_deref().unwrap_or_default())?;
    throughline_query::check_for_journeys(&query)?;
    let range = time::range(params.from.as_deref(), params.to.as_deref(), now_unix_nano())?;
    let limit = limit(params.limit.or(query.limit), LIMIT_DEFAULT, LIMIT_MAX)?;
    let environment = params.environment.clone().filter(|name| !name.is_empty());
    let options = JourneyOptions {
        search: SearchOptions { from: range.from, to: range.to, limit, environment },
        duration_nano_min: params.min_duration_nano.unwrap_or(0),
        wait_nano_min: params.min_wait_nano.unwrap_or(0),
        alone: params.alone.unwrap_or(false),
    };
    ask(&app, move |snapshot| {
        let query = throughline_query::Query { limit: None, ..query };
        let answer = throughline_query::journeys(snapshot, &query, &options)?;
        let journeys = answer.journeys.into_iter().map(render).collect();
        Ok(JourneysAnswer { journeys, truncated: answer.truncated })
    })
    .await
}

fn render(found: throughline_query::JourneySummary) -> JourneySummary {
    JourneySummary {
        trace_id: found.trace_id.to_string(),
        traces: found.traces,
        span_count: found.spans,
        services: found.services,
        root_service: found.root_service,
        root_name: found.root_name,
        environment: found.environment,
        start_time_unix_nano: found.start_unix_nano.to_string(),
        duration_nano: found.duration_nano,
        work_nano: found.work_nano,
        wait_nano: found.wait_nano,
        error_count: found.error_count,
        carriers: found.carriers.iter().map(ToString::to_string).collect(),
        weakest_class: found.weakest.map(|(class, _)| class.code()),
        weakest_confidence: found.weakest.map(|(_, permille)| f64::from(permille) / 1_000.0),
        attempts: found.attempts,
        truncated: found.truncated,
    }
}
