//! `POST /joins`: a person says that two spans belong together, or that they do not.
//!
//! A verdict is kept as a note about the consuming span (`throughline_model`'s notes), like a
//! receipt: on disk before the answer. Notes are only added; the last verdict on a pair counts, and
//! `forget` undoes what was said before.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use throughline_model::{AttrValue, NOTE_SCOPE, SpanBatch, SpanBatchBuilder, SpanId, TraceId};
use throughline_query::Stored;
use throughline_store::Snapshot;
use throughline_topology::stitch::{
    ReceiptReader, Ruling, Source, SpanAt, VERDICT_ACROSS, VERDICT_BY, VERDICT_EVENT, VERDICT_FROM,
    VERDICT_NOTE, VERDICT_RULING, VERDICTS_PER_SPAN_MAX, Verdict,
};
use utoipa::ToSchema;

use super::error::ErrorBody;
use super::store::append;
use super::{ApiError, read_json, receipts, rendered};
use crate::app::App;
use crate::clock::now_unix_nano;

/// The longest name of who says so, in bytes.
const BY_SIZE_BYTES_MAX: usize = 200;
/// The longest note, in bytes.
const NOTE_SIZE_BYTES_MAX: usize = 2_000;

/// A verdict on two spans.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PostedVerdict {
    /// The span that produced: 32 hex digits, or X-Ray's form.
    from_trace_id: String,
    /// 16 hex digits.
    from_span_id: String,
    /// The span that consumed.
    to_trace_id: String,
    to_span_id: String,
    /// `confirm`, `reject`, or `forget` to undo what was said before.
    verdict: String,
    /// Who says so; at most 200 bytes.
    by: String,
    /// Why; at most 2000 bytes.
    #[serde(default)]
    note: String,
    /// Whether the two may be of different environments; only for `confirm`.
    #[serde(default)]
    across_environments: bool,
}

/// The verdict that counts now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct VerdictAnswer {
    from_trace_id: String,
    from_span_id: String,
    to_trace_id: String,
    to_span_id: String,
    /// `confirm`, `reject` or `forget`.
    verdict: &'static str,
    by: String,
    note: String,
    /// When it was said.
    time_unix_nano: String,
    /// Whether it says something new; the same verdict said again is kept once.
    changed: bool,
}

/// Keeps a verdict.
#[utoipa::path(
    post, path = "/joins", operation_id = "postJoin",
    request_body = PostedVerdict,
    responses(
        (status = 200, description = "It is on disk and counts from now on", body = VerdictAnswer),
        (status = 400, description = "It cannot be read, or would join what must not be joined", body = ErrorBody),
        (status = 404, description = "One of the spans is not held", body = ErrorBody),
        (status = 503, description = "The store is busy or cannot write", body = ErrorBody),
    )
)]
pub(super) async fn post(State(app): State<Arc<App>>, body: Bytes) -> Result<Response, ApiError> {
    let posted: PostedVerdict = read_json(&body, "the verdict")?;
    let (to, verdict) = read(posted)?;
    let store = Arc::clone(&app.store);
    let asked = verdict.clone();
    let said = app.queries.on_cpu(move || known(&store.snapshot(), to, &asked)).await??;
    let (verdict, changed) = match said {
        Some(said) => (said, false),
        None => {
            app.metrics.spans().received(receipts::PROTOCOL, 1);
            append(&app, receipts::PROTOCOL, note(to, &verdict)).await?;
            (verdict, true)
        }
    };
    let answer = VerdictAnswer {
        from_trace_id: verdict.from.0.to_string(),
        from_span_id: verdict.from.1.to_string(),
        to_trace_id: to.0.to_string(),
        to_span_id: to.1.to_string(),
        verdict: verdict.ruling.word(),
        by: verdict.by,
        note: verdict.note,
        time_unix_nano: verdict.time_unix_nano.to_string(),
        changed,
    };
    rendered(&answer)
}

/// The consuming span and the verdict, if they make sense by themselves.
fn read(posted: PostedVerdict) -> Result<(SpanAt, Verdict), ApiError> {
    let trace = |name: &str, text: &str| {
        TraceId::parse(text).map_err(|err| ApiError::bad_request(format!("{name}: {err}")))
    };
    let span = |name: &str, text: &str| {
        SpanId::parse(text).map_err(|err| ApiError::bad_request(format!("{name}: {err}")))
    };
    let from =
        (trace("fromTraceId", &posted.from_trace_id)?, span("fromSpanId", &posted.from_span_id)?);
    let to = (trace("toTraceId", &posted.to_trace_id)?, span("toSpanId", &posted.to_span_id)?);
    if from.0 == to.0 {
        let message = "both spans are of one trace, which its parents join; a message joins traces";
        return Err(ApiError::bad_request(message));
    }
    let ruling = Ruling::from_word(&posted.verdict).ok_or_else(|| {
        let message =
            format!("verdict: expected confirm, reject or forget, got {:?}", posted.verdict);
        ApiError::bad_request(message)
    })?;
    let by = posted.by.trim().to_owned();
    for (name, text, max) in
        [("by", &by, BY_SIZE_BYTES_MAX), ("note", &posted.note, NOTE_SIZE_BYTES_MAX)]
    {
        if text.len() > max {
            return Err(ApiError::bad_request(format!("{name}: longer than {max} bytes")));
        }
    }
    if by.is_empty() {
        return Err(ApiError::bad_request("by: say who says so"));
    }
    let verdict = Verdict {
        from,
        ruling,
        by,
        note: posted.note,
        time_unix_nano: now_unix_nano(),
        across_environments: posted.across_environments && ruling == Ruling::Confirm,
    };
    Ok((to, verdict))
}

/// The same verdict, if it counts already; or why there can be none.
fn known(snapshot: &Snapshot, to: SpanAt, verdict: &Verdict) -> Result<Option<Verdict>, ApiError> {
    let stored = Stored::new(snapshot);
    let held = |(trace, span): SpanAt| {
        let missing = || ApiError::not_found(format!("no span {span} of trace {trace} is held"));
        let batch = stored.trace(trace)?.ok_or_else(missing)?;
        let row = batch.spans().find(|one| one.span_id() == span && !one.is_note());
        let row = row.map(|one| one.row()).ok_or_else(missing)?;
        Ok::<_, ApiError>((batch, row))
    };
    let (from_batch, from_row) = held(verdict.from)?;
    let (to_batch, to_row) = held(to)?;
    let environment =
        |batch: &SpanBatch, row| batch.span(row).resource().environment().map(str::to_owned);
    let (a, b) = (environment(&from_batch, from_row), environment(&to_batch, to_row));
    if let (Some(a), Some(b)) = (a, b)
        && a != b
        && verdict.ruling == Ruling::Confirm
        && !verdict.across_environments
    {
        return Err(ApiError::bad_request(format!(
            "the spans are of two environments, {a:?} and {b:?}; say \"acrossEnvironments\": true \
             to join them all the same"
        )));
    }
    let consumer = to_batch.span(to_row);
    let said = consumer.events().filter(|event| event.name() == VERDICT_EVENT).count();
    let last = ReceiptReader::new(&to_batch).verdicts(to_row);
    let last = last.into_iter().find(|one| one.from == verdict.from);
    match last {
        Some(last) if is_same(&last, verdict) => Ok(Some(last)),
        // Nothing counts, so there is nothing to forget.
        None if verdict.ruling == Ruling::Forget => Ok(Some(verdict.clone())),
        _ if said >= VERDICTS_PER_SPAN_MAX => Err(ApiError::bad_request(format!(
            "this span has {said} verdicts, as many as one may have"
        ))),
        _ => Ok(None),
    }
}

fn is_same(a: &Verdict, b: &Verdict) -> bool {
    let of =
        |one: &Verdict| (one.ruling, one.by.clone(), one.note.clone(), one.across_environments);
    of(a) == of(b)
}

/// The note about the consuming span.
fn note((trace_id, span_id): SpanAt, verdict: &Verdict) -> SpanBatch {
    let mut builder = SpanBatchBuilder::default();
    builder.start_resource();
    builder.end_resource("", 0);
    builder.start_scope(NOTE_SCOPE, "");
    builder.end_scope("", 0);
    builder.start_span(trace_id, span_id);
    builder.times(verdict.time_unix_nano, 0);
    builder.start_event(verdict.time_unix_nano, VERDICT_EVENT, 0);
    let from = format!("{}-{}", verdict.from.0, verdict.from.1);
    builder.attribute(VERDICT_FROM, AttrValue::Str(&from));
    builder.attribute(VERDICT_RULING, AttrValue::Str(verdict.ruling.word()));
    builder.attribute(VERDICT_BY, AttrValue::Str(&verdict.by));
    if !verdict.note.is_empty() {
        builder.attribute(VERDICT_NOTE, AttrValue::Str(&verdict.note));
    }
    if verdict.across_environments {
        builder.attribute(VERDICT_ACROSS, AttrValue::Bool(true));
    }
    builder.end_span();
    builder.finish()
}
