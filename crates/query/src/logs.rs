//! The log records of a trace: its own, and those of the calls of functions that are among its spans.

use std::collections::HashMap;

use throughline_model::{
    AttrValue, LogRef, Owners, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, SpanRef, TraceId,
    log_trace_of_invocation, same_piece, xray,
};
use throughline_store::Snapshot;

use crate::RunError;
use crate::journeys::invocation;

/// Records given of one trace, the earliest.
pub const LOGS_MAX: usize = 10_000;

/// Records that are read of one trace: one that never ends may have any number of them.
const READ_MAX: u64 = 200_000;

/// Calls of functions of one trace whose records are looked for.
const INVOCATIONS_MAX: usize = 256;

/// Records of one span and time that are looked through for a copy.
const SAME_TIME_MAX: usize = 64;

/// The records of a trace.
#[derive(Clone, Debug, Default)]
pub struct TraceLogs {
    /// The records by time, each once, at most [`LOGS_MAX`]; [`LogRef`] reads the rows.
    pub records: SpanBatch,
    /// Of each record the span that it was written in; zero where that is not known. A record that
    /// knows only the call of a function was written in the span of that call.
    pub spans: Vec<SpanId>,
    /// How many there are.
    pub total: u64,
}

/// The log records of a trace. `None` when neither a span nor a record of it is held; fails when it
/// has more records than are read at once.
pub fn logs(
    spans: &Snapshot,
    records: &Snapshot,
    id: TraceId,
) -> Result<Option<TraceLogs>, RunError> {
    let trace = spans.trace(id)?;
    let calls = calls(&trace);
    let homes: Vec<TraceId> = calls.keys().copied().chain([id]).collect();
    let held: u64 = records.piece_counts(&homes).values().sum();
    if held > READ_MAX {
        return Err(RunError::TooManyRecords { found: held, max: READ_MAX });
    }
    let found = records.traces(&homes)?;
    if trace.is_empty() && !found.contains_key(&id) {
        return Ok(None);
    }
    let mut rows: Vec<_> = found.values().flat_map(SpanBatch::spans).collect();
    let order = |row: SpanRef<'_>| {
        let head = LogRef::new(row).head();
        (head.time_unix_nano, head.observed_unix_nano, row.key())
    };
    rows.sort_by_cached_key(|row| order(*row));
    // A sender that heard no answer sends again. Copies are of one time, and so close by; beyond
    // SAME_TIME_MAX of one time they may come twice rather than cost a comparison with each.
    let mut kept: Vec<SpanRef<'_>> = Vec::with_capacity(rows.len());
    for row in rows {
        let same_time = kept.iter().rev().take_while(|old| order(**old) == order(row));
        if !same_time.take(SAME_TIME_MAX).any(|old| same_piece(*old, row)) {
            kept.push(row);
        }
    }
    let total = kept.len() as u64;
    kept.truncate(LOGS_MAX);
    let mut builder = SpanBatchBuilder::default();
    let mut owners = Owners::default();
    let mut in_spans = Vec::with_capacity(kept.len());
    for row in kept {
        owners.make_current(row, &mut builder);
        builder.copy_span(row);
        let own = Some(row.span_id()).filter(|id| !id.is_zero());
        let of_call = || calls.get(&row.trace_id()).copied();
        in_spans.push(own.or_else(of_call).unwrap_or(SpanId::ZERO));
    }
    Ok(Some(TraceLogs { records: builder.finish(), spans: in_spans, total }))
}

/// Where the records of a trace's calls are kept, and the span of each call: of several the
/// function's own, then the one that began first.
fn calls(trace: &SpanBatch) -> HashMap<TraceId, SpanId> {
    let mut found: Vec<_> = trace
        .spans()
        .filter_map(|span| {
            let origin = span.resource().attributes().value(xray::ORIGIN);
            let is_service = origin.is_some_and(|origin| origin.as_str() == Some(xray::LAMBDA));
            Some((is_service, span.start_unix_nano(), span.span_id(), call_of(span)?))
        })
        .collect();
    found.sort_unstable();
    let mut calls = HashMap::new();
    for (_, _, span, request_id) in found {
        let home = log_trace_of_invocation(request_id);
        if calls.len() < INVOCATIONS_MAX || calls.contains_key(&home) {
            calls.entry(home).or_insert(span);
        }
    }
    calls
}

/// The request id of the call of a function that a span is.
///
/// **Rule:** X-Ray developer guide, segment documents: `aws.request_id`, which calls of AWS have too.
fn call_of(span: SpanRef<'_>) -> Option<&str> {
    let of_segment = || match span.attribute("aws.request_id") {
        Some(AttrValue::Str(id)) if span.kind() != SpanKind::Client => Some(id),
        _ => None,
    };
    invocation(span).or_else(of_segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use throughline_model::{INVOCATION_ID, LogHead};
    use throughline_store::{Store, StoreOptions};

    const TRACE: TraceId = TraceId([7; 16]);

    fn store(holds_spans: bool) -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions { holds_spans, ..StoreOptions::new(directory.path()) };
        let store = Store::open(options).unwrap();
        (directory, store)
    }

    fn put(store: &Store, write: impl FnOnce(&mut SpanBatchBuilder)) {
        let mut builder = SpanBatchBuilder::default();
        write(&mut builder);
        let (tell, told) = std::sync::mpsc::channel();
        store.append(builder.finish(), move |result| tell.send(result).unwrap());
        told.recv().unwrap().unwrap();
    }

    fn record(builder: &mut SpanBatchBuilder, trace: TraceId, span: SpanId, time: i64, text: &str) {
        builder.start_span(trace, span);
        builder.log_head(LogHead { time_unix_nano: time, ..LogHead::default() });
        builder.log_body(AttrValue::Str(text));
        builder.end_span();
    }

    fn bodies(logs: &TraceLogs) -> Vec<(String, u8)> {
        let rows = logs.records.spans().zip(&logs.spans);
        let text = |row| match LogRef::new(row).body() {
            Some(AttrValue::Str(text)) => text.to_owned(),
            _ => String::new(),
        };
        rows.map(|(row, span)| (text(row), span.0[0])).collect()
    }

    #[test]
    fn records_of_a_trace_and_of_its_calls_come_by_time_each_once() {
        let (_kept, spans) = store(true);
        let (_kept_too, records) = store(false);
        put(&spans, |builder| {
            for (id, time) in [(2, 20), (1, 10)] {
                builder.start_span(TRACE, SpanId([id; 8]));
                builder.times(time, 5);
                builder.attribute(INVOCATION_ID, AttrValue::Str("r-1"));
                builder.end_span();
            }
        });
        let call = log_trace_of_invocation("r-1");
        put(&records, |builder| {
            record(builder, TRACE, SpanId([2; 8]), 22, "second");
            record(builder, TRACE, SpanId::ZERO, 23, "third");
            record(builder, call, SpanId::ZERO, 11, "first");
            record(builder, TraceId([8; 16]), SpanId([2; 8]), 1, "of another trace");
        });
        // Sent again, one of them in the same batch with another text of the same time.
        put(&records, |builder| {
            record(builder, TRACE, SpanId([2; 8]), 22, "second");
            record(builder, TRACE, SpanId([2; 8]), 22, "beside it");
        });
        for flushed in [false, true] {
            if flushed {
                records.flush();
            }
            let found = logs(&spans.snapshot(), &records.snapshot(), TRACE).unwrap().unwrap();
            let mut found = bodies(&found);
            found[1..3].sort();
            let expected = [("first", 1), ("beside it", 2), ("second", 2), ("third", 0)];
            assert_eq!(found, expected.map(|(text, span)| (text.to_owned(), span)));
        }
        // A trace whose spans are not here yet.
        let found = logs(&spans.snapshot(), &records.snapshot(), TraceId([8; 16])).unwrap();
        assert_eq!(found.unwrap().total, 1);
        let found = logs(&spans.snapshot(), &records.snapshot(), TraceId([9; 16])).unwrap();
        assert!(found.is_none());
    }

    #[test]
    fn a_trace_that_never_ends_is_refused_and_not_read() {
        let (_kept, spans) = store(true);
        let (_kept_too, records) = store(false);
        put(&records, |builder| {
            for time in 0..READ_MAX as i64 + 1 {
                record(builder, TRACE, SpanId::ZERO, time, "tick");
            }
        });
        let refused = logs(&spans.snapshot(), &records.snapshot(), TRACE).unwrap_err();
        assert!(matches!(refused, RunError::TooManyRecords { found: 200_001, .. }), "{refused}");
    }

    #[test]
    fn more_records_than_the_limit_are_counted() {
        let (_kept, spans) = store(true);
        let (_kept_too, records) = store(false);
        put(&records, |builder| {
            for time in 0..LOGS_MAX as i64 + 7 {
                record(builder, TRACE, SpanId::ZERO, time, "again and again");
            }
        });
        let found = logs(&spans.snapshot(), &records.snapshot(), TRACE).unwrap().unwrap();
        assert_eq!((found.records.len(), found.total), (LOGS_MAX, LOGS_MAX as u64 + 7));
    }
}
