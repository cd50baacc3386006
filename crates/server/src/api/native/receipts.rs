//! `POST /receipts`: which messages a span produced or consumed, said by somebody who saw the hop.
//!
//! A receipt is kept as a note about its span (`throughline_model`'s notes): on disk before the
//! answer, and joined whenever either side is asked for, whatever came first.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use throughline_model::{
    AttrValue, NOTE_INVOCATION, NOTE_SCOPE, SpanBatchBuilder, SpanId, TraceId,
};
use throughline_query::note_ids;
use throughline_topology::stitch::{Carrier, Direction, Receipt};
use utoipa::ToSchema;

use super::error::ErrorBody;
use super::store::append;
use super::{ApiError, read_json, rendered};
use crate::app::App;
use crate::clock::now_unix_nano;
use crate::metrics::Protocol;

pub(super) const PROTOCOL: Protocol = Protocol::Receipts;

/// Receipts of one request.
const RECEIPTS_MAX: usize = 10_000;
/// Any text of a receipt, in bytes; an S3 key has 1 024.
const TEXT_SIZE_BYTES_MAX: usize = 2_048;

/// A message that a span produced or consumed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostedReceipt {
    /// 32 hex digits, or X-Ray's form. Absent where only the function's invocation is known.
    trace_id: Option<String>,
    /// 16 hex digits.
    span_id: Option<String>,
    /// The request id of the function's invocation that did it, where no span id is known.
    function_request_id: Option<String>,
    /// `out` (produced) or `in` (consumed).
    direction: String,
    /// `kinesis`, `sqs`, `sns`, `eventbridge`, `dynamodb`, `s3`, `lambda`, `kafka`, ...
    carrier: String,
    region: Option<String>,
    /// The queue, topic, stream, bucket, table or function: an ARN, a URL or a name.
    resource: Option<String>,
    /// The id that the carrier gave the message.
    id: String,
    /// Where the message stood in its batch, from 0.
    index: Option<u32>,
    /// How many messages the batch had.
    batch_size: Option<u32>,
    /// When the carrier took the message: nanoseconds since the epoch, a text or a number.
    #[schema(value_type = Option<String>)]
    time_unix_nano: Option<serde_json::Value>,
}

/// What became of the receipts.
#[derive(Debug, Serialize, ToSchema)]
struct ReceiptsAnswer {
    /// How many are kept.
    accepted: usize,
    /// Those that are not, and why.
    rejected: Vec<RejectedReceipt>,
}

/// A receipt that could not be kept.
#[derive(Debug, Serialize, ToSchema)]
struct RejectedReceipt {
    /// Its place in the request, from 0.
    at: usize,
    reason: String,
}

/// Takes receipts.
#[utoipa::path(
    post, path = "/receipts", operation_id = "postReceipts",
    request_body = Vec<PostedReceipt>,
    responses(
        (status = 200, description = "They are on disk, but for those rejected", body = ReceiptsAnswer),
        (status = 400, description = "The body cannot be read", body = ErrorBody),
        (status = 503, description = "The store is busy or cannot write", body = ErrorBody),
    )
)]
pub(super) async fn post(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, ApiError> {
    let posted: Vec<serde_json::Value> = read_json(&body, "the receipts")?;
    if posted.len() > RECEIPTS_MAX {
        let message = format!("at most {RECEIPTS_MAX} receipts a request, got {}", posted.len());
        return Err(ApiError::bad_request(message));
    }
    let mut builder = SpanBatchBuilder::default();
    let mut rejected = Vec::new();
    builder.start_resource();
    builder.end_resource("", 0);
    builder.start_scope(NOTE_SCOPE, "");
    builder.end_scope("", 0);
    for (at, value) in posted.into_iter().enumerate() {
        let read = serde_json::from_value::<PostedReceipt>(value).map_err(|err| err.to_string());
        if let Err(reason) = read.and_then(|receipt| put(&receipt, &mut builder)) {
            rejected.push(RejectedReceipt { at, reason });
        }
    }
    let batch = builder.finish();
    app.metrics.spans().received(PROTOCOL, (batch.len() + rejected.len()) as u64);
    app.metrics.spans().rejected(PROTOCOL, "receipt", rejected.len() as u64);
    let answer = ReceiptsAnswer { accepted: batch.len(), rejected };
    append(&app, PROTOCOL, batch).await?;
    rendered(&answer)
}

/// Writes a note, or says why there is none.
fn put(posted: &PostedReceipt, builder: &mut SpanBatchBuilder) -> Result<(), String> {
    let texts = [Some(&posted.id), posted.resource.as_ref(), posted.region.as_ref()];
    let texts = texts.into_iter().chain([posted.function_request_id.as_ref()]).flatten();
    if texts.clone().any(|text| text.len() > TEXT_SIZE_BYTES_MAX) {
        return Err(format!("a text is longer than {TEXT_SIZE_BYTES_MAX} bytes"));
    }
    if posted.id.is_empty() {
        return Err("the id is empty".to_owned());
    }
    let (direction, key) = match posted.direction.as_str() {
        "out" => (Direction::Out, "stitch.out"),
        "in" => (Direction::In, "stitch.in"),
        other => return Err(format!("direction: expected out or in, got {other:?}")),
    };
    let carrier = Carrier::from_name(&posted.carrier)
        .ok_or_else(|| format!("carrier: {:?} is none that we know", posted.carrier))?;
    let about = about(posted)?;
    let time: Option<i64> = match &posted.time_unix_nano {
        None | Some(serde_json::Value::Null) => None,
        Some(value) => {
            let read = value.as_i64().or_else(|| value.as_str()?.parse().ok());
            Some(read.ok_or("timeUnixNano: expected nanoseconds since the epoch")?)
        }
    };
    let mut receipt = Receipt::new(direction, carrier, posted.id.clone());
    receipt.region.clone_from(&posted.region);
    receipt.resource.clone_from(&posted.resource);
    receipt.index = posted.index;

    let (trace_id, span_id) = match &about {
        About::Span(trace_id, span_id) => (*trace_id, *span_id),
        About::Invocation(request_id) => note_ids(request_id),
    };
    builder.start_span(trace_id, span_id);
    builder.times(time.unwrap_or_else(now_unix_nano), 0);
    if let About::Invocation(request_id) = &about {
        builder.attribute(NOTE_INVOCATION, AttrValue::Str(request_id));
    }
    builder.start_event(time.unwrap_or_default(), "receipt", 0);
    builder.attribute(key, AttrValue::Str(&receipt.to_string()));
    if let Some(size) = posted.batch_size {
        builder.attribute("messaging.batch.message_count", AttrValue::Int(i64::from(size)));
    }
    builder.end_span();
    Ok(())
}

/// What a receipt is about.
enum About {
    Span(TraceId, SpanId),
    /// The invocation of a function, by its request id.
    Invocation(String),
}

fn about(posted: &PostedReceipt) -> Result<About, String> {
    let given = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
    match (given(&posted.trace_id), given(&posted.span_id), given(&posted.function_request_id)) {
        (Some(trace), Some(span), _) => {
            let trace = TraceId::parse(&trace).map_err(|err| format!("traceId: {err}"))?;
            let span = SpanId::parse(&span).map_err(|err| format!("spanId: {err}"))?;
            Ok(About::Span(trace, span))
        }
        (_, _, Some(request_id)) => Ok(About::Invocation(request_id)),
        _ => Err("it names neither traceId and spanId nor functionRequestId".to_owned()),
    }
}
