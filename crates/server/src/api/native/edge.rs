//! `GET /map/edge`: what one edge of the map is made of.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use throughline_query::{EdgeCall, EdgeCalls, EdgeEnds, SearchOptions, edge_calls};
use throughline_topology::{MapTotal, Node, NodeKind};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::extract::Params;
use super::map::WindowParams;
use super::services::OperationStats;
use super::{ApiError, ask};
use crate::app::App;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EdgeParams {
    /// Id of the calling node, as in the map.
    source: String,
    /// Id of the called node.
    target: String,
    /// Start of the range; default `-1h`.
    from: Option<String>,
    /// End of the range; default `now`.
    to: Option<String>,
    /// Only this environment.
    environment: Option<String>,
}

/// What an edge of the map is made of, in the newest traces that have it.
#[derive(Debug, Serialize, ToSchema)]
struct EdgeAnswer {
    /// The spans that the edge counts, by name and kind, the most frequent first.
    operations: Vec<OperationStats>,
    /// Some of these spans, the failed first, then the newest.
    calls: Vec<Call>,
    /// In how many traces the operations were counted.
    traces: usize,
    /// Whether there are more traces, or more operations than are told.
    truncated: bool,
}

/// A span that an edge counts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Call {
    trace_id: String,
    span_id: String,
    name: String,
    /// `server`, `client`, `producer`, `consumer`, `internal` or `unspecified`.
    kind: &'static str,
    start_time_unix_nano: String,
    duration_nano: i64,
    failed: bool,
}

/// What an edge is made of. An unknown edge is made of nothing.
///
/// Looked at are the newest 200 traces of one of its services, 200 000 spans at most. Where a message
/// is known by receipts alone, no span counts, and there are neither operations nor calls.
#[utoipa::path(
    get, path = "/map/edge", operation_id = "mapEdge", params(EdgeParams),
    responses(
        (status = 200, description = "Operations and calls", body = EdgeAnswer),
        (status = 400, description = "A parameter is missing or cannot be read", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn edge(
    State(app): State<Arc<App>>,
    Params(params): Params<EdgeParams>,
) -> Result<Response, ApiError> {
    let EdgeParams { source, target, from, to, environment } = params;
    let params = WindowParams { from, to, environment };
    let range = params.range()?;
    ask(&app, move |snapshot| {
        let filter = params.filter(range);
        let map = snapshot.map(MapTotal::of_calls(&filter)).view(&filter);
        let is_end = |node: &&Node| node.id == source || node.id == target;
        let services =
            map.nodes.iter().filter(is_end).filter(|node| node.kind == NodeKind::Service);
        // The traces of the rarer one are more likely to have the call.
        let Some(service) = services.min_by_key(|node| node.requests) else {
            return Ok(EdgeAnswer::from(EdgeCalls::default()));
        };
        let environment = params.environment.clone().filter(|name| !name.is_empty());
        let options = SearchOptions { from: range.from, to: range.to, limit: 0, environment };
        let edge = EdgeEnds { from: &source, to: &target, service: &service.name };
        Ok(EdgeAnswer::from(edge_calls(snapshot, edge, &options)?))
    })
    .await
}

impl From<EdgeCalls> for EdgeAnswer {
    fn from(found: EdgeCalls) -> Self {
        let EdgeCalls { operations, calls, traces, truncated } = found;
        let operations = operations.into_iter().map(OperationStats::from);
        let calls = calls.into_iter().map(|call| {
            let EdgeCall { trace_id, span_id, name, kind, start_unix_nano, duration_nano, failed } =
                call;
            Call {
                trace_id: trace_id.to_string(),
                span_id: span_id.to_string(),
                name,
                kind: kind.word(),
                start_time_unix_nano: start_unix_nano.to_string(),
                duration_nano,
                failed,
            }
        });
        Self { operations: operations.collect(), calls: calls.collect(), traces, truncated }
    }
}
