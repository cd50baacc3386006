//! The API of our own page, terminal and tests, under `/api/v1`.
//!
//! Rule: a caller's mistake is a 4xx with `{"error":{"message"}}`, never a 5xx. Absolute times are
//! decimal strings of nanoseconds since the epoch, for JavaScript's numbers cannot hold them;
//! durations and offsets are numbers of nanoseconds. The description is made from these types.

#![expect(unused_qualifications, reason = "utoipa's macros name parameters by their whole path")]

mod asked;
mod attributes;
mod differences;
mod doctor;
mod edge;
mod error;
mod extract;
mod joins;
mod journey_list;
mod journeys;
mod links;
mod logs;
mod map;
mod places;
mod receipts;
mod sample;
mod search;
mod series;
mod services;
mod span;
mod status;
mod store;
mod time;
mod traces;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use serde::de::DeserializeOwned;
use throughline_store::Snapshot;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

pub use error::ApiError;

#[derive(OpenApi)]
#[openapi(info(
    title = "throughline",
    description = "What calls what and how well, and what happened in a request. Absolute times \
        are decimal strings of nanoseconds since the epoch; durations and offsets are numbers of \
        nanoseconds. `from` and `to` take nanoseconds, RFC 3339, `now`, or `-30m`, `-1h`, `-7d`."
))]
struct Description;

/// The description of the API, made from its types.
pub fn openapi() -> utoipa::openapi::OpenApi {
    described().into_openapi()
}

/// [`openapi`] as the text that `ui/openapi.json` holds.
pub fn openapi_json() -> String {
    let mut text = openapi().to_pretty_json().expect("the description is plain data");
    text.push('\n');
    text
}

pub(crate) fn routes() -> Router<Arc<App>> {
    let (router, _) = described().split_for_parts();
    // Made once: it is the same for as long as the program runs.
    let text = Bytes::from(openapi_json());
    router
        .route("/api/v1/openapi.json", get(move || std::future::ready(json_response(text.clone()))))
}

fn described() -> OpenApiRouter<Arc<App>> {
    let api = OpenApiRouter::new()
        .routes(routes!(search::search))
        .routes(routes!(series::series))
        .routes(routes!(differences::differences))
        .routes(routes!(map::map))
        .routes(routes!(edge::edge))
        .routes(routes!(traces::otlp))
        .routes(routes!(traces::view))
        .routes(routes!(traces::span))
        .routes(routes!(links::links))
        .routes(routes!(logs::logs))
        .routes(routes!(services::environments))
        .routes(routes!(services::services))
        .routes(routes!(services::operations))
        .routes(routes!(attributes::keys))
        .routes(routes!(attributes::values))
        .routes(routes!(doctor::doctor))
        .routes(routes!(journey_list::journeys))
        .routes(routes!(journeys::journey))
        .routes(routes!(joins::post))
        .routes(routes!(receipts::post))
        .routes(routes!(sample::post))
        .routes(routes!(places::get, places::put))
        .routes(routes!(status::rejected))
        .routes(routes!(status::status))
        .routes(routes!(status::reset));
    OpenApiRouter::with_openapi(Description::openapi()).nest("/api/v1", api)
}

/// Asks a snapshot of the store, on a thread that may take its time, and renders the answer there.
async fn ask<T: Serialize>(
    app: &Arc<App>,
    question: impl FnOnce(&Snapshot) -> Result<T, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let store = Arc::clone(&app.store);
    let answer = app.queries.on_cpu(move || {
        let answer = question(&store.snapshot())?;
        rendered(&answer)
    });
    answer.await?
}

fn rendered(answer: &impl Serialize) -> Result<Response, ApiError> {
    let text = serde_json::to_vec(answer).map_err(|err| ApiError::internal(err.to_string()))?;
    Ok(json_response(text.into()))
}

/// Reads what was posted; `what` names it to whoever posted something else.
fn read_json<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|err| ApiError::bad_request(format!("{what} cannot be read: {err}")))
}

fn json_response(text: Bytes) -> Response {
    let kind = HeaderValue::from_static("application/json");
    let age = HeaderValue::from_static("no-store");
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, age)], text).into_response()
}
