//! `GET /doctor`: named causes of lost context, with the spans that show them and what to change.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use throughline_query::{SearchOptions, diagnose};

use super::error::ErrorBody;
use super::extract::Params;
use super::map::WindowParams;
use super::{ApiError, ask};
use crate::app::App;
use crate::clock::now_unix_nano;

/// Why traces are cut in two, as far as stored spans tell.
///
/// `findings` has an object for each cause at each hop: `kind`, `severity`, `hop` (`from`, `to`,
/// `over`, `resource`), `title`, `why`, `unknown`, `seen` (pairs of spans), `count`, `good`,
/// `sharePermille`, `firstSeenUnixNano`, `lastSeenUnixNano`, `fix` (`language`, `text`, `code`) and
/// `state` (`open` or `healed`). `lookedAt` says how much was read, `truncated` whether a limit
/// left something out.
#[utoipa::path(
    get, path = "/doctor", operation_id = "doctor", params(WindowParams),
    responses(
        (status = 200, description = "What was found, worst first", body = serde_json::Value),
        (status = 400, description = "A parameter cannot be read", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn doctor(
    State(app): State<Arc<App>>,
    Params(params): Params<WindowParams>,
) -> Result<Response, ApiError> {
    let range = params.range()?;
    let environment = params.environment.clone().filter(|name| !name.is_empty());
    let options = SearchOptions { from: range.from, to: range.to, limit: 0, environment };
    ask(&app, move |snapshot| Ok(diagnose(snapshot, &options, now_unix_nano())?)).await
}
