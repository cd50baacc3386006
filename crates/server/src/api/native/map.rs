//! `GET /map`: what calls what, and how well.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use throughline_query::{SearchOptions, parts};
use throughline_topology::{MapFilter, MapTotal};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::extract::Params;
use super::series::group_by;
use super::{ApiError, ask, time};
use crate::app::App;
use crate::clock::now_unix_nano;

mod messages;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WindowParams {
    /// Start of the range; default `-1h`.
    pub(super) from: Option<String>,
    /// End of the range; default `now`.
    pub(super) to: Option<String>,
    /// Only this environment.
    pub(super) environment: Option<String>,
}

impl WindowParams {
    pub(super) fn range(&self) -> Result<time::TimeRange, ApiError> {
        time::range(self.from.as_deref(), self.to.as_deref(), now_unix_nano())
    }

    pub(super) fn filter(&self, range: time::TimeRange) -> MapFilter<'_> {
        MapFilter {
            from_unix_nano: range.from,
            to_unix_nano: range.to,
            environment: self.environment.as_deref().filter(|name| !name.is_empty()),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct MapParams {
    /// Start of the range; default `-1h`.
    from: Option<String>,
    /// End of the range; default `now`.
    to: Option<String>,
    /// Only this environment.
    environment: Option<String>,
    /// A field or an attribute's key, as in a query: each service gets the parts that its values
    /// make.
    breakdown: Option<String>,
}

/// The service map of a range of time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MapAnswer {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// Whether a limit was reached, so that the oldest spans are in no part; only with a breakdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    parts_truncated: Option<bool>,
    from_unix_nano: String,
    to_unix_nano: String,
}

/// A service, or something that services talk to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Node {
    /// Stable over time.
    id: String,
    name: String,
    /// `service`, `database`, `queue`, `topic`, `stream`, `external`, `rpc` or `function`.
    kind: &'static str,
    /// The product behind it.
    system: Option<String>,
    /// Whether only its callers told us of it.
    inferred: bool,
    requests: u64,
    errors: u64,
    p50_nano: i64,
    p95_nano: i64,
    p99_nano: i64,
    /// What went through a queue, topic or stream; only where spans or receipts name messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<messages::NodeMessages>,
    /// What the requests are made of, the largest part first; only with a breakdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<Part>>,
}

/// The entry spans of a service that have one value.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MapPart)]
struct Part {
    /// `null` for spans without a value, and for the rest.
    value: Option<String>,
    /// Whether these are the spans of all further values: there are at most ten others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rest: bool,
    requests: u64,
    errors: u64,
    p50_nano: i64,
    p95_nano: i64,
    p99_nano: i64,
}

/// Calls or messages from one node to another.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Edge {
    /// Id of the calling node.
    from: String,
    /// Id of the called node.
    to: String,
    /// `sync` when the caller waits, otherwise `async`.
    kind: &'static str,
    /// Spans of `to` whose parent is in `from`, and inferred calls.
    requests: u64,
    errors: u64,
    p50_nano: i64,
    p95_nano: i64,
    p99_nano: i64,
    /// How we know: `parent`, `link`, `inferred`, and `message` where receipts of messages tell.
    evidence: Vec<&'static str>,
    /// How long the median message waited; only where that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_p50_nano: Option<i64>,
    /// What 95 in 100 of them did not wait longer than.
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_p95_nano: Option<i64>,
    /// How long the longest of them waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_max_nano: Option<i64>,
    /// How the waits spread, the shortest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits: Option<Vec<messages::WaitBucket>>,
}

/// What calls what.
///
/// The parts of a breakdown are counted from the entry spans of the range, at most 5 000 000 of
/// which are looked at and 1 000 000 counted, newest first; the other numbers are kept by the minute.
#[utoipa::path(
    get, path = "/map", operation_id = "map", params(MapParams),
    responses(
        (status = 200, description = "The service map", body = MapAnswer),
        (status = 400, description = "A parameter cannot be read", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn map(
    State(app): State<Arc<App>>,
    Params(params): Params<MapParams>,
) -> Result<Response, ApiError> {
    let breakdown = group_by("breakdown", params.breakdown.as_deref())?;
    let MapParams { from, to, environment, .. } = params;
    let params = WindowParams { from, to, environment };
    let range = params.range()?;
    let messages = Arc::clone(&app.messages);
    ask(&app, move |snapshot| {
        let filter = params.filter(range);
        let map = snapshot.map(MapTotal::of_calls(&filter)).view(&filter);
        let mut nodes: Vec<Node> = map.nodes.into_iter().map(render_node).collect();
        let mut edges: Vec<Edge> = map.edges.into_iter().map(render_edge).collect();
        let environment = params.environment.clone().filter(|name| !name.is_empty());
        let options = SearchOptions { from: range.from, to: range.to, limit: 0, environment };
        let found = throughline_query::messages(snapshot, &messages, &options)?;
        messages::add(&found, range, &mut nodes, &mut edges);
        let mut parts_truncated = None;
        if let Some(by) = &breakdown {
            let (mut parts, complete) = parts(snapshot, by, &options)?;
            parts_truncated = Some(!complete);
            for node in &mut nodes {
                let own = parts.remove(&node.id).unwrap_or_default();
                node.parts = Some(own.into_iter().map(render_part).collect());
            }
        }
        Ok(MapAnswer {
            nodes,
            edges,
            parts_truncated,
            from_unix_nano: range.from.to_string(),
            to_unix_nano: range.to.to_string(),
        })
    })
    .await
}

fn render_node(node: throughline_topology::Node) -> Node {
    let throughline_topology::Node {
        id,
        name,
        kind,
        system,
        inferred,
        requests,
        errors,
        p50_nano,
        p95_nano,
        p99_nano,
    } = node;
    let kind = kind.word();
    Node {
        id,
        name,
        kind,
        system,
        inferred,
        requests,
        errors,
        p50_nano,
        p95_nano,
        p99_nano,
        messages: None,
        parts: None,
    }
}

fn render_part(part: throughline_query::Part) -> Part {
    let throughline_query::Part { value, rest, requests, errors, percentiles } = part;
    let [p50_nano, p95_nano, p99_nano] = percentiles;
    Part { value, rest, requests, errors, p50_nano, p95_nano, p99_nano }
}

fn render_edge(edge: throughline_topology::Edge) -> Edge {
    let throughline_topology::Edge {
        from,
        to,
        kind,
        requests,
        errors,
        p50_nano,
        p95_nano,
        p99_nano,
        evidence,
    } = edge;
    let evidence = evidence.into_iter().map(|e| e.word()).collect();
    let kind = kind.word();
    Edge {
        from,
        to,
        kind,
        requests,
        errors,
        p50_nano,
        p95_nano,
        p99_nano,
        evidence,
        wait_p50_nano: None,
        wait_p95_nano: None,
        wait_max_nano: None,
        waits: None,
    }
}
