//! `POST /sample`: stores the spans of an invented system, for whoever wants to look around first.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use throughline_model::SpanBatch;
use throughline_sample::{Rng, System, Wanted, make};
use utoipa::ToSchema;

use super::error::ErrorBody;
use super::store::append;
use super::{ApiError, read_json, rendered, time};
use crate::app::App;
use crate::clock::now_unix_nano;
use crate::metrics::Protocol;

/// The longest name of an environment, in bytes.
const ENVIRONMENT_SIZE_BYTES_MAX: usize = 200;
/// The longest stretch that requests are spread over: a week.
const MINUTES_MAX: u32 = 7 * 24 * 60;
/// Ids in the answer.
const IDS_MAX: usize = 100;

/// What to make. What is missing is as usual.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct PostedSample {
    /// `shop` (as usual), `ride` or `large`.
    system: Option<String>,
    /// How many requests; of `large`, how many spans. No more are made than 2 000, 2 000 and 100 000.
    count: Option<usize>,
    /// The environment of the spans; `sample` as usual.
    environment: Option<String>,
    /// When the newest request was: nanoseconds, RFC 3339, `now` (as usual) or `-24h`.
    until: Option<String>,
    /// Over how many minutes before that the requests are spread; 58 as usual, at most a week.
    minutes: Option<u32>,
    /// The same seed makes the same spans; as usual another each time.
    seed: Option<u64>,
}

/// What is stored now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SampleAnswer {
    environment: String,
    span_count: usize,
    trace_count: usize,
    /// The first hundred traces, newest request first.
    trace_ids: Vec<String>,
}

/// Stores the spans of an invented system.
#[utoipa::path(
    post, path = "/sample", operation_id = "postSample",
    request_body = PostedSample,
    responses(
        (status = 200, description = "They are on disk", body = SampleAnswer),
        (status = 400, description = "The body cannot be read", body = ErrorBody),
        (status = 503, description = "The store is busy or cannot write, or too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn post(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, ApiError> {
    let posted = match &body[..] {
        [] => PostedSample::default(),
        text => read_json(text, "what to make")?,
    };
    let wanted = read(posted, now_unix_nano())?;
    let made = app.queries.on_cpu(move || {
        let sample = make(&wanted);
        let batches: Vec<SpanBatch> = sample.batches().collect();
        let answer = SampleAnswer {
            environment: wanted.environment,
            span_count: sample.span_count(),
            trace_count: sample.traces.len(),
            trace_ids: sample.traces.iter().take(IDS_MAX).map(ToString::to_string).collect(),
        };
        (answer, batches)
    });
    let (answer, batches) = made.await?;
    for batch in batches {
        app.metrics.spans().received(Protocol::Sample, batch.len() as u64);
        append(&app, Protocol::Sample, batch).await?;
    }
    rendered(&answer)
}

fn read(posted: PostedSample, now: i64) -> Result<Wanted, ApiError> {
    let word = posted.system.as_deref().unwrap_or(System::Shop.word());
    let system = System::from_word(word).ok_or_else(|| {
        let words = System::ALL.map(System::word).join(", ");
        ApiError::bad_request(format!("system: expected one of {words}, got {word:?}"))
    })?;
    let until = time::or("until", posted.until.as_deref(), now, now)?;
    let usual = Wanted::of(system, posted.seed.unwrap_or_else(Rng::fresh_seed), until);
    let wanted = Wanted {
        count: posted.count.unwrap_or(usual.count),
        minutes: posted.minutes.unwrap_or(usual.minutes),
        environment: posted.environment.unwrap_or(usual.environment),
        ..usual
    };
    if !(1..=system.count_max()).contains(&wanted.count) {
        let most = system.count_max();
        return Err(ApiError::bad_request(format!("count: expected 1 to {most} of {word}")));
    }
    if wanted.minutes > MINUTES_MAX {
        return Err(ApiError::bad_request(format!("minutes: expected at most {MINUTES_MAX}")));
    }
    if wanted.environment.len() > ENVIRONMENT_SIZE_BYTES_MAX {
        let message = format!("environment: longer than {ENVIRONMENT_SIZE_BYTES_MAX} bytes");
        return Err(ApiError::bad_request(message));
    }
    // Before the first and after the last moment there are no spans of a week.
    if !(0..=i64::MAX / 2).contains(&wanted.until_unix_nano) {
        return Err(ApiError::bad_request("until: expected a moment after 1970"));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000_000_000;

    fn asked(text: &str) -> Result<Wanted, String> {
        let posted = serde_json::from_str(text).map_err(|err| err.to_string())?;
        read(posted, NOW).map_err(|err| format!("{err:?}"))
    }

    #[test]
    fn what_is_missing_is_as_usual() {
        let wanted = asked("{}").expect("the shop");
        assert_eq!((wanted.system, wanted.count, wanted.minutes), (System::Shop, 900, 58));
        assert_eq!((wanted.until_unix_nano, wanted.environment.as_str()), (NOW, "sample"));
        let text =
            r#"{"system":"large","count":40,"environment":"a","until":"-1h","minutes":0,"seed":3}"#;
        let wanted = asked(text).expect("a large trace");
        assert_eq!((wanted.system, wanted.count, wanted.seed), (System::Large, 40, 3));
        assert_eq!(wanted.until_unix_nano, NOW - 3_600_000_000_000);
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        for text in [
            r#"{"system":"bank"}"#,
            r#"{"count":0}"#,
            r#"{"count":2001}"#,
            r#"{"system":"large","count":100001}"#,
            r#"{"minutes":10081}"#,
            r#"{"until":"soon"}"#,
            r#"{"until":"-1"}"#,
            r#"{"colour":"red"}"#,
            "7",
        ] {
            assert!(asked(text).is_err(), "{text}");
        }
        assert!(asked(&format!(r#"{{"environment":"{}"}}"#, "x".repeat(201))).is_err());
    }
}
