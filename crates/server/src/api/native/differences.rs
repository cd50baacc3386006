//! `GET /differences`: what is different inside a box of time and duration.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use throughline_query::{DifferencesOptions, Of, SpanBox};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::extract::Params;
use super::search::limit;
use super::{ApiError, ask, asked, time};
use crate::app::App;
use crate::clock::now_unix_nano;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[serde(rename_all = "camelCase")]
pub(super) struct DifferencesParams {
    /// The query whose answer is compared; empty takes everything.
    q: Option<String>,
    /// How `q` is written: `native` (the default), or `xray` for a filter expression.
    language: Option<String>,
    /// Start of the range; default `-1h`.
    from: Option<String>,
    /// End of the range; default `now`.
    to: Option<String>,
    /// Only spans of this environment.
    environment: Option<String>,
    /// Earliest start in the box; default `from`.
    since: Option<String>,
    /// Latest start in the box; default `to`.
    until: Option<String>,
    /// Shortest duration in the box; default 0.
    min_duration_nano: Option<i64>,
    /// Longest duration in the box; by default there is no end.
    max_duration_nano: Option<i64>,
    /// What lies in the box: `traces` (the default), by their earliest start and whole duration, or
    /// `spans`, the matching ones by their own.
    of: Option<String>,
    /// How many attributes at most; default 50, at most 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// What is different in a box.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DifferencesAnswer {
    /// `traces` or `spans`: what the numbers count.
    of: &'static str,
    /// How many inside were counted.
    inside: u64,
    /// How many outside were counted.
    outside: u64,
    /// How many are inside, as far as the index tells.
    inside_total: u64,
    /// How many are outside.
    outside_total: u64,
    /// Whether some were picked by chance, as there are too many to read all.
    sampled: bool,
    /// By the distance between the shares, then by how much slower or faster.
    attributes: Vec<Difference>,
    /// Keys that were left out, as nearly every value is another one, or as there are too many.
    skipped: Vec<String>,
}

/// A value that is more frequent, or slower, inside or outside.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Difference {
    /// `span`, `resource`, `event` or `link`; `field` for a field of the query language.
    scope: &'static str,
    key: String,
    value: String,
    /// The type of the value: `string`, `int`, ...
    #[serde(rename = "type")]
    kind: &'static str,
    /// How many inside have it; a trace has what any of its spans has.
    inside: u64,
    outside: u64,
    /// From 0 to 1.
    inside_share: f64,
    outside_share: f64,
    /// Median duration of the spans inside that have it.
    inside_p50_nano: Option<i64>,
    outside_p50_nano: Option<i64>,
}

/// Compares what lies in a box with the rest of the same query, over any attribute.
///
/// No attribute has to be named beforehand. At most 1000 traces, or 10 000 spans, of each side are
/// read; which, a hash of their ids decides. Of a key at most 1000 values are counted.
#[utoipa::path(
    get, path = "/differences", operation_id = "differences", params(DifferencesParams),
    responses(
        (status = 200, description = "What is different", body = DifferencesAnswer),
        (status = 400, description = "The query or a parameter cannot be read", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn differences(
    State(app): State<Arc<App>>,
    Params(params): Params<DifferencesParams>,
) -> Result<Response, ApiError> {
    let selection = asked::selection(&app, params.q.as_deref(), params.language.as_deref())?;
    let limit = limit(params.limit, LIMIT_DEFAULT, LIMIT_MAX)?;
    let (from, to) = (params.from.as_deref(), params.to.as_deref());
    let search = asked::options(from, to, params.environment.as_deref(), limit)?;
    let of = match params.of.as_deref() {
        None | Some("" | "traces") => Of::Traces,
        Some("spans") => Of::Spans,
        Some(other) => {
            let message = format!("of: expected traces or spans, got {other:?}");
            return Err(ApiError::bad_request(message));
        }
    };
    let now = now_unix_nano();
    let moment = |name, text: Option<&str>, default| time::or(name, text, now, default);
    let inside = SpanBox {
        since: moment("since", params.since.as_deref(), search.from)?,
        until: moment("until", params.until.as_deref(), search.to)?,
        min_duration: params.min_duration_nano.unwrap_or_default(),
        max_duration: params.max_duration_nano.unwrap_or(i64::MAX),
    };
    if inside.since > inside.until {
        return Err(ApiError::bad_request("since lies after until"));
    }
    if inside.min_duration > inside.max_duration {
        return Err(ApiError::bad_request("minDurationNano is more than maxDurationNano"));
    }
    let options = DifferencesOptions { search, inside, of };
    ask(&app, move |snapshot| {
        let found = throughline_query::differences(snapshot, &selection, &options)?;
        Ok(DifferencesAnswer {
            of: match options.of {
                Of::Traces => "traces",
                Of::Spans => "spans",
            },
            inside: found.inside,
            outside: found.outside,
            inside_total: found.inside_total,
            outside_total: found.outside_total,
            sampled: found.sampled,
            attributes: found.attributes.into_iter().map(render).collect(),
            skipped: found.skipped,
        })
    })
    .await
}

fn render(found: throughline_query::Difference) -> Difference {
    Difference {
        scope: found.place.word(),
        key: found.key,
        value: found.value,
        kind: found.kind.word(),
        inside: found.inside,
        outside: found.outside,
        inside_share: found.inside_share,
        outside_share: found.outside_share,
        inside_p50_nano: found.inside_p50_nano,
        outside_p50_nano: found.outside_p50_nano,
    }
}
