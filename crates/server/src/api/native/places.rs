//! `GET` and `PUT /page/places`: where the page's cards stand, for everyone.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::extract::Params;
use super::{ApiError, read_json, rendered};
use crate::app::App;
use crate::places::{Change, ChangeError, Places};

/// A body may have so many bytes.
const BODY_BYTES_MAX: usize = 2_000_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PlacesParams {
    /// The environment whose map it is; empty for that of all environments.
    environment: Option<String>,
}

/// What the page keeps.
#[derive(Debug, Serialize, ToSchema)]
struct PlacesAnswer {
    /// Where each node stands, by its id: x and y.
    #[schema(value_type = BTreeMap<String, [f64; 2]>)]
    places: BTreeMap<String, [f64; 2]>,
    /// The slot in the palette, by service; the same in every environment.
    colors: BTreeMap<String, u32>,
}

/// What to change of it; keys that are not named stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlacesChange {
    /// `null` forgets the place of a node.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<[f64; 2]>>)]
    places: BTreeMap<String, Option<[f64; 2]>>,
    /// `null` forgets the colour of a service.
    #[serde(default)]
    colors: BTreeMap<String, Option<u32>>,
}

/// Where cards stand and which colours services have.
#[utoipa::path(
    get, path = "/page/places", operation_id = "places", params(PlacesParams),
    responses((status = 200, description = "Places and colours", body = PlacesAnswer))
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Params(params): Params<PlacesParams>,
) -> Result<Response, ApiError> {
    answer(&app.places.read(), params.environment.as_deref().unwrap_or_default())
}

/// Changes some of them; of two writers of one key the last one wins.
#[utoipa::path(
    put, path = "/page/places", operation_id = "putPlaces", params(PlacesParams),
    request_body = PlacesChange,
    responses(
        (status = 200, description = "All places and colours, on disk", body = PlacesAnswer),
        (status = 400, description = "The body cannot be read, or breaks a limit", body = ErrorBody),
        (status = 413, description = "The body is larger than 2 MB", body = ErrorBody),
        (status = 503, description = "They could not be written", body = ErrorBody),
    )
)]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Params(params): Params<PlacesParams>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let too_large = || {
        let message = format!("the body has more than {BODY_BYTES_MAX} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    let body = body.map_err(|err| match err.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        status => ApiError::new(status, err.body_text()),
    })?;
    if body.len() > BODY_BYTES_MAX {
        return Err(too_large());
    }
    let read: PlacesChange = read_json(&body, "the places")?;
    let environment = params.environment.unwrap_or_default();
    let change =
        Change { environment: environment.clone(), places: read.places, colors: read.colors };
    // It waits for the disk.
    let changed = tokio::task::spawn_blocking(move || app.places.change(change)).await;
    match changed {
        Ok(Ok(places)) => answer(&places, &environment),
        Ok(Err(ChangeError::Refused(message))) => Err(ApiError::bad_request(message)),
        Ok(Err(err @ ChangeError::Io(_))) => {
            tracing::error!(error = %err, "places of the page not written");
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, err.to_string()))
        }
        Err(err) => std::panic::resume_unwind(err.into_panic()),
    }
}

fn answer(places: &Places, environment: &str) -> Result<Response, ApiError> {
    let answer = PlacesAnswer { places: places.of(environment), colors: places.colors().clone() };
    rendered(&answer)
}
