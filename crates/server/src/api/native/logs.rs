//! `GET /traces/{id}/logs`: what programs wrote down while they worked for a trace.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use throughline_model::{LogRef, SpanId};
use throughline_query::TraceLogs;
use utoipa::ToSchema;

use super::error::ErrorBody;
use super::extract::PathParts;
use super::span::{Attribute, attributes, json};
use super::traces::parse_trace_id;
use super::{ApiError, ask};
use crate::app::App;

/// The log records of a trace.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LogsAnswer {
    /// By time, at most 10 000.
    records: Vec<LogRecord>,
    /// How many there are.
    total: u64,
}

/// One log record.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LogRecord {
    time_unix_nano: String,
    /// The span that it was written in; empty where that is not known.
    span_id: String,
    service: String,
    /// `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `unspecified`.
    severity: &'static str,
    /// OpenTelemetry's number of it, 1 to 24; 0 where it is not known.
    severity_number: i64,
    /// The sender's own word for it.
    severity_text: String,
    /// What kind of event it tells of; mostly empty.
    event_name: String,
    /// What was said: mostly a text; null where nothing was.
    body: Value,
    attributes: Vec<Attribute>,
    /// Who wrote it: the logger.
    scope: String,
}

/// The log records of a trace: its own, and those of the calls of functions that are among its spans.
#[utoipa::path(
    get, path = "/traces/{id}/logs", operation_id = "traceLogs",
    params(("id" = String, Path, description = "32 or 16 hex digits, or X-Ray's 1-8hex-24hex")),
    responses(
        (status = 200, description = "The records by time", body = LogsAnswer),
        (status = 400, description = "The id cannot be read", body = ErrorBody),
        (status = 404, description = "Neither a span nor a log record of this trace is held", body = ErrorBody),
        (status = 422, description = "It has more log records than are read at once", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn logs(
    State(app): State<Arc<App>>,
    PathParts(id): PathParts<String>,
) -> Result<Response, ApiError> {
    let id = parse_trace_id(&id)?;
    let records = Arc::clone(&app.logs);
    ask(&app, move |spans| {
        let found = throughline_query::logs(spans, &records.snapshot(), id)?;
        let missing = || {
            ApiError::not_found(format!("neither a span nor a log record of trace {id} is held"))
        };
        found.as_ref().map(answer).ok_or_else(missing)
    })
    .await
}

fn answer(logs: &TraceLogs) -> LogsAnswer {
    let rows = logs.records.spans().map(LogRef::new).zip(&logs.spans);
    LogsAnswer { records: rows.map(|(row, span)| record(row, *span)).collect(), total: logs.total }
}

fn record(record: LogRef<'_>, span: SpanId) -> LogRecord {
    let (row, head) = (record.row(), record.head());
    LogRecord {
        time_unix_nano: head.time_unix_nano.to_string(),
        span_id: if span.is_zero() { String::new() } else { span.to_string() },
        service: row.service().to_owned(),
        severity: severity(head.severity_number),
        severity_number: head.severity_number,
        severity_text: head.severity_text.to_owned(),
        event_name: row.name().to_owned(),
        body: record.body().map_or(Value::Null, json),
        attributes: attributes(row.attributes()),
        scope: row.scope().name().to_owned(),
    }
}

/// **Rule:** OpenTelemetry, "Logs Data Model", "Severity Fields": four numbers a word.
fn severity(number: i64) -> &'static str {
    match number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => "unspecified",
    }
}
