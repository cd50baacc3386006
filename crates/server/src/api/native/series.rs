//! `GET /series`: rates, errors and percentiles over time.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use throughline_query::{GroupBy, SeriesOptions};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::extract::Params;
use super::search::limit;
use super::{ApiError, ask, asked};
use crate::app::App;

const POINTS_DEFAULT: usize = 60;
const POINTS_MAX: usize = 500;
const LIMIT_DEFAULT: usize = 8;
const LIMIT_MAX: usize = 50;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SeriesParams {
    /// The query; its matching spans are counted. Empty counts entry spans.
    q: Option<String>,
    /// How `q` is written: `native` (the default), or `xray` for a filter expression, which takes
    /// traces: their entry spans are counted.
    language: Option<String>,
    /// Start of the range; default `-1h`.
    from: Option<String>,
    /// End of the range; default `now`.
    to: Option<String>,
    /// Only spans of this environment.
    environment: Option<String>,
    /// How many buckets the range is cut into; default 60, at most 500.
    #[param(minimum = 1, maximum = 500)]
    points: Option<usize>,
    /// A field or an attribute's key, as in a query; one series for each of its values.
    by: Option<String>,
    /// How many values have a series of their own; default 8, at most 50.
    #[param(minimum = 1, maximum = 50)]
    limit: Option<usize>,
}

/// Series over time, bucket by bucket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SeriesAnswer {
    /// Where the first bucket begins.
    start_unix_nano: String,
    /// How long each bucket is.
    step_nano: i64,
    /// The value with most spans first; the rest, where there is one, last.
    series: Vec<Series>,
    /// How many spans were counted.
    spans: u64,
    /// Whether a limit was reached, so that the oldest spans are missing.
    truncated: bool,
}

/// The spans of one value; every list has an entry for each bucket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Series {
    /// `null` for spans without a value, for the rest, and without `by`.
    value: Option<String>,
    /// Whether these are the spans of all further values.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    rest: bool,
    /// Spans that began in the bucket.
    requests: Vec<u64>,
    /// Those with the status `error`.
    errors: Vec<u64>,
    /// Median duration; `null` where no span began.
    p50_nano: Vec<Option<i64>>,
    /// 95th percentile.
    p95_nano: Vec<Option<i64>>,
    /// 99th percentile.
    p99_nano: Vec<Option<i64>>,
}

/// Rates, errors and percentiles over time, by the values of any field or attribute.
///
/// Spans count once they have ended, where they began. At most 5 000 000 stored spans are looked at
/// and 1 000 000 counted, newest first; of an X-Ray filter's traces some 2 000.
#[utoipa::path(
    get, path = "/series", operation_id = "series", params(SeriesParams),
    responses(
        (status = 200, description = "Series of one length", body = SeriesAnswer),
        (status = 400, description = "The query or a parameter cannot be read", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn series(
    State(app): State<Arc<App>>,
    Params(params): Params<SeriesParams>,
) -> Result<Response, ApiError> {
    let selection = asked::selection(&app, params.q.as_deref(), params.language.as_deref())?;
    let (from, to) = (params.from.as_deref(), params.to.as_deref());
    let options = SeriesOptions {
        search: asked::options(from, to, params.environment.as_deref(), 0)?,
        points: at_most("points", params.points, POINTS_DEFAULT, POINTS_MAX)?,
        by: group_by("by", params.by.as_deref())?,
        values: limit(params.limit, LIMIT_DEFAULT, LIMIT_MAX)?,
    };
    ask(&app, move |snapshot| {
        let answer = throughline_query::series(snapshot, &selection, &options)?;
        Ok(SeriesAnswer {
            start_unix_nano: answer.start_unix_nano.to_string(),
            step_nano: answer.step_nano,
            series: answer.series.into_iter().map(render).collect(),
            spans: answer.spans,
            truncated: answer.truncated,
        })
    })
    .await
}

fn render(series: throughline_query::Series) -> Series {
    let mut rendered = Series {
        value: series.value,
        rest: series.rest,
        requests: series.requests,
        errors: series.errors,
        p50_nano: Vec::new(),
        p95_nano: Vec::new(),
        p99_nano: Vec::new(),
    };
    for percentiles in series.percentiles {
        let [p50, p95, p99] = percentiles.map_or([None; 3], |all| all.map(Some));
        rendered.p50_nano.push(p50);
        rendered.p95_nano.push(p95);
        rendered.p99_nano.push(p99);
    }
    rendered
}

/// Reads a parameter that names a field to group by.
pub(super) fn group_by(name: &str, key: Option<&str>) -> Result<Option<GroupBy>, ApiError> {
    let key = key.filter(|key| !key.is_empty());
    let refused = |err: throughline_query::QueryError| {
        ApiError::bad_request(format!("{name}: {}", err.message))
    };
    key.map(GroupBy::parse).transpose().map_err(refused)
}

fn at_most(
    name: &str,
    given: Option<usize>,
    default: usize,
    max: usize,
) -> Result<usize, ApiError> {
    match given.unwrap_or(default) {
        count if (1..=max).contains(&count) => Ok(count),
        count => Err(ApiError::bad_request(format!("{name}: expected 1 to {max}, got {count}"))),
    }
}
