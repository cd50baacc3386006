//! `GET /status`, `/rejected`, and `POST /reset`: how the server itself is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ErrorBody;
use super::{ApiError, rendered};
use crate::app::App;

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StatusAnswer {
    version: &'static str,
    started_unix_nano: String,
    ready: bool,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Spans held.
    spans: u64,
    /// Traces held, approximately.
    traces: u64,
    /// Log records held.
    log_records: u64,
    blocks: u64,
    /// Of spans and log records.
    bytes_on_disk: u64,
    /// Earliest start of a span; empty when none is held.
    oldest_unix_nano: String,
    /// Latest start of a span; empty when none is held.
    newest_unix_nano: String,
    /// Spans received since the start.
    received_spans: u64,
    /// Spans rejected since the start.
    rejected_spans: u64,
    /// Datagrams that the kernel dropped since the start, because its buffer was full.
    kernel_dropped_datagrams: u64,
    doors: Vec<Door>,
    data_directory: String,
}

/// An open door.
#[derive(Debug, Serialize, ToSchema)]
struct Door {
    /// `http`, `otlp_http`, `otlp_grpc` or `xray`.
    name: &'static str,
    /// IP address and port.
    address: String,
}

/// The last rejections.
#[derive(Debug, Serialize, ToSchema)]
struct RejectedAnswer {
    /// Newest first, at most 256.
    rejected: Vec<Rejection>,
}

/// Some spans, or a whole request, that were not taken.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Rejection {
    time_unix_nano: String,
    /// `otlp_http`, `otlp_grpc`, `xray_udp` or `xray_http`.
    protocol: &'static str,
    /// The word that the counter has too.
    reason: &'static str,
    /// How many spans; 0 when the body could not be told apart into spans.
    count: u64,
    detail: String,
    /// The X-Ray document that was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Document>,
}

/// A segment document, or a part of one, that was not taken.
#[derive(Debug, Serialize, ToSchema)]
struct Document {
    /// X-Ray's word for the mistake, such as `InvalidTraceId`.
    code: &'static str,
    /// The id of the segment or subsegment, when it could be read.
    id: Option<String>,
    /// How the document begins.
    head: String,
}

/// How the server is.
#[utoipa::path(
    get, path = "/status", operation_id = "status",
    responses((status = 200, description = "The server's state", body = StatusAnswer))
)]
pub(super) async fn status(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    // Not in the queue of queries: a person who asks why it is slow must get an answer.
    let work = tokio::task::spawn_blocking(move || rendered(&status_answer(&app)));
    match work.await {
        Ok(answer) => answer,
        Err(err) => std::panic::resume_unwind(err.into_panic()),
    }
}

fn status_answer(app: &App) -> StatusAnswer {
    let (stats, logs) = (app.store.stats(), app.logs.stats());
    let readiness = app.readiness();
    let time = |time: Option<i64>| time.map(|t| t.to_string()).unwrap_or_default();
    let doors = app.doors().into_iter();
    StatusAnswer {
        version: env!("CARGO_PKG_VERSION"),
        started_unix_nano: app.started_unix_nano.to_string(),
        ready: readiness.is_ok(),
        reason: readiness.err(),
        spans: stats.spans,
        traces: stats.traces,
        log_records: logs.spans,
        blocks: stats.blocks,
        bytes_on_disk: stats.bytes_on_disk + logs.bytes_on_disk,
        oldest_unix_nano: time(stats.oldest_unix_nano),
        newest_unix_nano: time(stats.newest_unix_nano),
        received_spans: app.metrics.received_spans(),
        rejected_spans: app.metrics.rejected_spans(),
        kernel_dropped_datagrams: app.metrics.kernel_drops(),
        doors: doors.map(|(name, address)| Door { name: name.word(), address }).collect(),
        data_directory: app.config.data_directory.display().to_string(),
    }
}

/// Why spans did not arrive.
#[utoipa::path(
    get, path = "/rejected", operation_id = "rejected",
    responses((status = 200, description = "The last rejections", body = RejectedAnswer))
)]
pub(super) async fn rejected(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let rejected = app.rejected.newest_first().into_iter().map(|rejection| Rejection {
        time_unix_nano: rejection.time_unix_nano.to_string(),
        protocol: rejection.protocol.word(),
        reason: rejection.reason,
        count: rejection.count,
        detail: rejection.detail,
        document: rejection.document.map(|document| Document {
            code: document.code,
            id: document.id,
            head: document.head,
        }),
    });
    let answer = RejectedAnswer { rejected: rejected.collect() };
    rendered(&answer)
}

/// Forgets every span and log record, and where the page's cards stand. Only when the server was started with `--allow-reset`.
#[utoipa::path(
    post, path = "/reset", operation_id = "reset",
    responses(
        (status = 204, description = "The store is empty"),
        (status = 403, description = "The server does not allow it", body = ErrorBody),
        (status = 500, description = "The store could not be emptied", body = ErrorBody),
    )
)]
pub(super) async fn reset(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    if !app.config.allow_reset {
        let message = "this server does not forget; start it with --allow-reset";
        return Err(ApiError::new(StatusCode::FORBIDDEN, message));
    }
    let reset = tokio::task::spawn_blocking(move || {
        app.store.reset()?;
        app.logs.reset()?;
        app.places.clear().map_err(std::io::Error::other)
    })
    .await;
    match reset {
        Ok(Ok(())) => {
            tracing::warn!("store emptied on request");
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Ok(Err(err)) => {
            tracing::error!(error = %err, "store not emptied");
            Err(ApiError::internal(format!("the store could not be emptied: {err}")))
        }
        Err(err) => std::panic::resume_unwind(err.into_panic()),
    }
}
