//! What both encodings of OTLP hold spans to: limits, ids and times.

use std::borrow::Cow;

use throughline_model::{
    NO_END, SpanBatch, SpanId, SpanKind, SpanRef, StatusCode, TraceId, log_trace_of_invocation,
};

use crate::{DecodeError, RejectReason, Warning, Warnings};

/// How many attributes one owner (span, event, link, scope or resource) keeps.
///
/// The rest is dropped and added to its `dropped_attributes_count`. OpenTelemetry's own SDKs stop
/// at 128, so whoever comes here has a loop that makes keys.
pub const ATTRIBUTES_MAX: usize = 4096;

/// How many events one span keeps. The rest is added to its `dropped_events_count`.
pub const EVENTS_MAX: usize = 10_000;

/// How many links one span keeps. The rest is added to its `dropped_links_count`.
pub const LINKS_MAX: usize = 10_000;

/// The largest body that is decoded, in bytes.
///
/// A batch counts its bytes with 32 bits, and repairing bad UTF-8 can make three bytes of one. The
/// door has a limit far below; this one only keeps the promise of the batch.
pub const BODY_BYTES_MAX: usize = 1 << 30;

/// Why a span is rejected, in words that cost nothing until someone reads them.
#[derive(Debug)]
pub(super) struct Bad<D> {
    pub(super) reason: RejectReason,
    pub(super) detail: D,
}

pub(super) fn bad<D>(reason: RejectReason, detail: impl Into<D>) -> Bad<D> {
    Bad { reason, detail: detail.into() }
}

pub(super) fn check_size(body: &[u8]) -> Result<(), DecodeError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(DecodeError::TooLarge { found: body.len(), max: BODY_BYTES_MAX });
    }
    Ok(())
}

/// Rejects ids that no span may have.
///
/// **Rule:** `trace.proto`, `Span.trace_id` and `Span.span_id`: all zeroes is invalid.
pub(super) fn check_ids<D: From<&'static str>>(
    trace_id: TraceId,
    span_id: SpanId,
) -> Result<(), Bad<D>> {
    if trace_id.is_zero() {
        return Err(bad(RejectReason::ZeroTraceId, "its trace id is missing or all zero"));
    }
    if span_id.is_zero() {
        return Err(bad(RejectReason::ZeroSpanId, "its span id is missing or all zero"));
    }
    Ok(())
}

/// Where a record is kept whose trace id is zero: with the call of a function, when it names one.
pub(super) fn record_home<D: From<&'static str>>(
    invocation: Option<&str>,
) -> Result<TraceId, Bad<D>> {
    match invocation {
        Some(request_id) if !request_id.is_empty() => Ok(log_trace_of_invocation(request_id)),
        _ => {
            let detail = "its trace id is missing or all zero: only logs of traces are kept";
            Err(bad(RejectReason::ZeroTraceId, detail))
        }
    }
}

/// When a record was written and when it was first seen, nanoseconds since the epoch. A time that
/// is not known is the other one, so that a record that is sent again is the same; or, when neither
/// is, the time at which we got the record.
///
/// **Rule:** `logs.proto`, `LogRecord.time_unix_nano` and `observed_time_unix_nano`.
pub(super) fn record_times<D: From<&'static str>>(
    time: Option<i64>,
    observed: Option<i64>,
    received: i64,
) -> Result<(i64, i64), Bad<D>> {
    let (Some(time), Some(observed)) = (time, observed) else {
        let detail = "its time is no time between 1970 and 2262";
        return Err(bad(RejectReason::TimeOutOfRange, detail));
    };
    let either = [time, observed].into_iter().find(|time| *time != 0).unwrap_or(received);
    let or_either = |time| if time == 0 { either } else { time };
    Ok((or_either(time), or_either(observed)))
}

/// Turns OTLP's start and end into start and duration.
///
/// An end of zero with a start is a span in progress. An end before the start is a clock that
/// lied: the span is kept, and the caller's warnings say so.
pub(super) fn start_and_duration<D: From<&'static str>>(
    start: Option<i64>,
    end: Option<i64>,
    warnings: &mut Warnings,
) -> Result<(i64, i64), Bad<D>> {
    let (Some(start), Some(end)) = (start, end) else {
        let detail = "its start or end is no time between 1970 and 2262";
        return Err(bad(RejectReason::TimeOutOfRange, detail));
    };
    if end == 0 && start != 0 {
        return Ok((start, NO_END));
    }
    if end < start {
        warnings.add(Warning::EndBeforeStart);
    }
    Ok((start, end.saturating_sub(start)))
}

/// The two times as OTLP has them. The reverse of [`start_and_duration`].
///
/// OTLP cannot say a time before the epoch, nor an end at the epoch itself of a span that started
/// later: such times of other protocols move to the nearest it can say.
pub(super) fn start_and_end(span: SpanRef<'_>) -> (u64, u64) {
    let start = span.start_unix_nano().max(0);
    let end = match span.duration_nano() {
        None => 0,
        Some(duration) => start.saturating_add(duration).max(i64::from(start != 0)),
    };
    (start.unsigned_abs(), end.unsigned_abs())
}

/// **Rule:** `trace.proto`, `SpanKind`; implementations may see numbers that they do not know.
pub(super) fn kind(number: i64) -> SpanKind {
    u8::try_from(number).map(SpanKind::from_number).unwrap_or_default()
}

/// **Rule:** `trace.proto`, `Status.StatusCode`.
pub(super) fn status_code(number: i64) -> StatusCode {
    u8::try_from(number).map(StatusCode::from_number).unwrap_or_default()
}

/// Text, with U+FFFD where it is no UTF-8.
pub(super) fn text<'a>(bytes: &'a [u8], warnings: &mut Warnings) -> Cow<'a, str> {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            warnings.add(Warning::InvalidUtf8);
            String::from_utf8_lossy(bytes)
        }
    }
}

/// How many of `sent` items exceed `max`, as the number to add to a dropped count.
pub(super) fn excess(sent: usize, max: usize) -> u32 {
    u32::try_from(sent.saturating_sub(max)).unwrap_or(u32::MAX)
}

/// The spans in the order of `ResourceSpans` and `ScopeSpans`; otherwise in row order.
pub(super) fn grouped(batch: &SpanBatch) -> Vec<SpanRef<'_>> {
    let mut spans: Vec<_> = batch.spans().collect();
    spans.sort_by_key(|span| (span.resource().number(), span.scope().number()));
    spans
}

pub(super) fn same_resource(a: &SpanRef<'_>, b: &SpanRef<'_>) -> bool {
    a.resource().number() == b.resource().number()
}

pub(super) fn same_scope(a: &SpanRef<'_>, b: &SpanRef<'_>) -> bool {
    a.scope().number() == b.scope().number()
}
