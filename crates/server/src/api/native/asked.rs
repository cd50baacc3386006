//! What several questions have in common: a query in either language, a range, an environment.

use throughline_query::{SearchOptions, Selection};

use super::{ApiError, time};
use crate::api::xray;
use crate::app::App;
use crate::clock::now_unix_nano;

/// Reads `q` as `language` says.
pub(super) fn selection(
    app: &App,
    q: Option<&str>,
    language: Option<&str>,
) -> Result<Selection, ApiError> {
    let text = q.unwrap_or_default();
    match language {
        None | Some("" | "native") => Ok(Selection::Native(throughline_query::parse(text)?)),
        Some("xray") => Ok(Selection::Xray(xray::filter(app, text)?)),
        Some(other) => {
            let message = format!("language: expected native or xray, got {other:?}");
            Err(ApiError::bad_request(message))
        }
    }
}

/// Reads a range, by default the last hour, and an environment, by default all.
pub(super) fn options(
    from: Option<&str>,
    to: Option<&str>,
    environment: Option<&str>,
    limit: usize,
) -> Result<SearchOptions, ApiError> {
    let range = time::range(from, to, now_unix_nano())?;
    let environment = environment.filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(SearchOptions { from: range.from, to: range.to, limit, environment })
}
