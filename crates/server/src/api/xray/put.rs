//! `PutTraceSegments`: documents in, spans on disk, and word of every part that was not kept.

use std::sync::Arc;

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use throughline_model::{SpanBatch, SpanBatchBuilder};
use throughline_store::AppendError;
use throughline_wire::xray::RejectedDocument;
use tokio::sync::oneshot;

use super::Call;
use super::body::{Answer, at_most, read, required, without_nulls};
use super::error::{ErrorKind, XrayError};
use crate::app::App;
use crate::doors::body::{RawBody, inflate};
use crate::metrics::Protocol;
use crate::segments::Segments;

pub(super) const PROTOCOL: Protocol = Protocol::XrayHttp;

/// One document; AWS takes 64 KB. More is no request of an instrumented program.
const DOCUMENT_SIZE_BYTES_MAX: usize = 1 << 20;

/// Takes documents and comes back when their spans are on disk and visible.
pub(super) async fn segments(app: &Arc<App>, mut body: RawBody) -> Result<Bytes, XrayError> {
    app.segments.body_bytes(PROTOCOL, body.bytes.len() as u64);
    let taking = Arc::clone(app);
    // Reading the documents takes some milliseconds for each megabyte.
    let work = tokio::task::spawn_blocking(move || {
        let size_max = taking.config.limits.inflated_size_bytes_max;
        let decoded = inflate(&mut body, size_max)
            .map_err(|err| {
                taking.pipeline.refuse(PROTOCOL, err.word(), err.to_string());
                XrayError::from(err)
            })
            .and_then(|text| {
                decode(&taking.segments, &text).inspect_err(|err| {
                    taking.pipeline.refuse(PROTOCOL, "undecodable", err.message.clone());
                })
            });
        (decoded, body.share)
    });
    let (decoded, _share) =
        work.await.unwrap_or_else(|err| std::panic::resume_unwind(err.into_panic()));
    let (batch, unprocessed) = decoded?;
    store(&app.segments, batch).await?;
    let answer = json!({ "UnprocessedTraceSegments": unprocessed });
    Ok(answer.to_string().into())
}

/// The spans of all documents, and what could not be kept.
fn decode(segments: &Segments, text: &[u8]) -> Result<(SpanBatch, Vec<Value>), XrayError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members<'a> {
        #[serde(borrow)]
        trace_segment_documents: Option<Vec<&'a RawValue>>,
    }
    let unreadable = |err| XrayError::invalid(format!("the request cannot be read: {err}"));
    let members: Members<'_> = serde_json::from_slice(text).map_err(unreadable)?;
    let documents = required(members.trace_segment_documents, "TraceSegmentDocuments")?;
    let mut builder = SpanBatchBuilder::default();
    let mut unprocessed = Vec::new();
    for document in documents {
        // Each is a text with JSON in it. A document that was not put in a text is read as well.
        let raw = document.get();
        let inner: Option<String> =
            if raw.starts_with('"') { serde_json::from_str(raw).ok() } else { None };
        let document = inner.as_deref().unwrap_or(raw).as_bytes();
        let rejected = if document.len() > DOCUMENT_SIZE_BYTES_MAX {
            let detail = format!("the document is larger than {DOCUMENT_SIZE_BYTES_MAX} bytes");
            vec![segments.reject(PROTOCOL, "document_too_large", document, detail)]
        } else {
            segments.decode(PROTOCOL, document, &mut builder)
        };
        unprocessed.extend(rejected.iter().map(unprocessed_json));
    }
    Ok((builder.finish(), unprocessed))
}

/// AWS names the code only, which is a common complaint; its message has room for the reason.
fn unprocessed_json(rejected: &RejectedDocument) -> Value {
    without_nulls(json!({
        "Id": rejected.id,
        "ErrorCode": rejected.code.word(),
        "Message": format!("{}, Cause: {}", rejected.code.message(), rejected.reason),
    }))
}

async fn store(segments: &Segments, batch: SpanBatch) -> Result<(), XrayError> {
    if batch.is_empty() {
        return Ok(());
    }
    let spans = batch.len() as u64;
    let (tell, stored) = oneshot::channel();
    segments.append(PROTOCOL, batch, move |result| {
        // The caller may have gone; its spans are stored all the same.
        let _ = tell.send(result);
    });
    match stored.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(AppendError::Busy)) => {
            segments.lost(PROTOCOL, spans);
            Err(XrayError::new(ErrorKind::Throttled, "the store is busy, try again"))
        }
        Ok(Err(_)) | Err(_) => {
            let message = "the spans could not be stored, try again";
            Err(XrayError::new(ErrorKind::ServiceUnavailable, message))
        }
    }
}

/// `PutTelemetryRecords`: what a daemon tells of itself. There is nothing to do with it.
pub(super) fn telemetry(_: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        telemetry_records: Option<Vec<Value>>,
    }
    let members: Members = read(body)?;
    at_most(&required(members.telemetry_records, "TelemetryRecords")?, "TelemetryRecords", 1_000)?;
    Ok(json!({}))
}
