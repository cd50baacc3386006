//! What one edge of the map is made of: operations with numbers, and calls to look at.
//!
//! In:   the ids of its two nodes, and a service that one of them is.
//! Out:  the operations, the most frequent first; calls, the failed first and then the newest.
//! Rule: a span counts at an edge as the map's linker says. Looked at are the newest traces of the
//!       service, a sample that says how large it is: the map counts by the minute and forgets names.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use throughline_model::{SpanBatch, SpanId, SpanKind, SpanRef, StatusCode, TraceId};
use throughline_store::Snapshot;
use throughline_topology::{CountedSpan, Linker, LinkerLimits, OperationStats};

use crate::RunError;
use crate::ast::{CompareOp, Expr, Field, Literal, Order, Query};
use crate::groups::percentiles;
use crate::links::read;
use crate::run::{SearchOptions, search};

/// Traces of the service that are looked at.
const TRACES_MAX: usize = 200;
/// Traces with a failed span of the service that are looked at when none of those failed here.
const FAILED_TRACES_MAX: usize = 50;
/// Operations that are told.
const OPERATIONS_MAX: usize = 50;
/// Calls that are told.
const CALLS_MAX: usize = 20;

/// An edge of the map.
#[derive(Clone, Copy, Debug)]
pub struct EdgeEnds<'a> {
    /// Id of the calling node.
    pub from: &'a str,
    /// Id of the called node.
    pub to: &'a str,
    /// The name of the service that one of them is; of two, the one with fewer requests finds more.
    pub service: &'a str,
}

/// What an edge is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdgeCalls {
    /// By name and kind of span, the most frequent first; the callee's where it told us of the call,
    /// otherwise the caller's.
    pub operations: Vec<OperationStats>,
    /// Some of the calls, the failed first, then the newest.
    pub calls: Vec<EdgeCall>,
    /// In how many traces the operations were counted.
    pub traces: usize,
    /// Whether the service has more traces in the range, or more operations than are told.
    pub truncated: bool,
}

/// A span that an edge counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeCall {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// Its start, nanoseconds since the epoch.
    pub start_unix_nano: i64,
    /// How long it took, in nanoseconds.
    pub duration_nano: i64,
    /// Whether its status is "error".
    pub failed: bool,
}

/// The operations and some calls of an edge whose spans start in a range of time. Of the options,
/// the limit does not count.
///
/// # Errors
///
/// When the store cannot be read.
pub fn edge_calls(
    snapshot: &Snapshot,
    edge: EdgeEnds<'_>,
    options: &SearchOptions,
) -> Result<EdgeCalls, RunError> {
    let newest = look(snapshot, edge, None, TRACES_MAX, options)?;
    let mut operations = operations(&newest.calls);
    let truncated = newest.truncated || operations.len() > OPERATIONS_MAX;
    operations.truncate(OPERATIONS_MAX);
    let mut calls = newest.calls;
    if newest.truncated && !calls.iter().any(|call| call.failed) {
        let status = compare(Field::Status, Literal::Status(StatusCode::Error));
        let failing = look(snapshot, edge, Some(status), FAILED_TRACES_MAX, options)?;
        calls.extend(failing.calls.into_iter().filter(|call| call.failed));
    }
    calls.sort_by_key(|call| {
        (!call.failed, Reverse(call.start_unix_nano), call.trace_id, call.span_id)
    });
    calls.truncate(CALLS_MAX);
    Ok(EdgeCalls { operations, calls, traces: newest.traces, truncated })
}

/// All calls in some traces.
struct Looked {
    calls: Vec<EdgeCall>,
    traces: usize,
    /// Whether there are more traces.
    truncated: bool,
}

fn look(
    snapshot: &Snapshot,
    edge: EdgeEnds<'_>,
    also: Option<Expr>,
    traces_max: usize,
    options: &SearchOptions,
) -> Result<Looked, RunError> {
    let service = compare(Field::Service, Literal::Str(edge.service.to_owned()));
    let filter = match also {
        Some(also) => Expr::And(vec![service, also]),
        None => service,
    };
    let query = Query { filter: Some(filter), order: Order::Newest, limit: Some(traces_max) };
    let found = search(snapshot, &query, options)?;
    let ids: Vec<TraceId> = found.traces.iter().map(|trace| trace.trace_id).collect();
    let mut held: Vec<SpanBatch> = Vec::new();
    let cut = read(snapshot, &ids, |trace| held.push(trace))?;
    let traces = held.len();
    // A consumer may have linked to the span of another trace that sent what it took.
    let known: BTreeSet<TraceId> = ids.into_iter().collect();
    let linked = held.iter().flat_map(SpanBatch::spans).flat_map(SpanRef::links);
    let linked: BTreeSet<TraceId> = linked
        .map(|link| link.trace_id())
        .filter(|id| !id.is_zero() && !known.contains(id))
        .collect();
    read(snapshot, &linked.into_iter().collect::<Vec<_>>(), |trace| held.push(trace))?;
    Ok(Looked { calls: calls(&held, edge, options), traces, truncated: found.truncated || cut })
}

/// The spans of these traces that the edge counts in the range and environment.
fn calls(traces: &[SpanBatch], edge: EdgeEnds<'_>, options: &SearchOptions) -> Vec<EdgeCall> {
    let spans: usize = traces.iter().map(SpanBatch::len).sum();
    // As many parents may be missing, and functions stand in for them.
    let limits =
        LinkerLimits { spans_max: 2 * spans, operations_max: 0, ..LinkerLimits::default() };
    let mut linker = Linker::new(limits);
    linker.observe(&traces.iter().collect::<Vec<_>>());
    let counted = linker.spans_at_edge(edge.from, edge.to);
    let is_wanted = |span: &SpanRef<'_>| {
        let id =
            CountedSpan { trace_id: span.trace_id(), span_id: span.span_id(), kind: span.kind() };
        let environment = options.environment.as_deref();
        !span.is_note()
            && (options.from..=options.to).contains(&span.start_unix_nano())
            && environment.is_none_or(|wanted| span.resource().environment() == Some(wanted))
            && counted.contains(&id)
    };
    let wanted = traces.iter().flat_map(SpanBatch::spans).filter(is_wanted);
    wanted
        .map(|span| EdgeCall {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            name: span.name().to_owned(),
            kind: span.kind(),
            start_unix_nano: span.start_unix_nano(),
            duration_nano: span.duration_nano().unwrap_or(0).max(0),
            failed: span.status() == StatusCode::Error,
        })
        .collect()
}

fn operations(calls: &[EdgeCall]) -> Vec<OperationStats> {
    let mut by_name: BTreeMap<(&str, u8), Vec<&EdgeCall>> = BTreeMap::new();
    for call in calls {
        by_name.entry((&call.name, call.kind as u8)).or_default().push(call);
    }
    let operation = |((name, kind), calls): ((&str, u8), Vec<&EdgeCall>)| {
        let mut durations: Vec<i64> = calls.iter().map(|call| call.duration_nano).collect();
        let [p50_nano, p95_nano, p99_nano] = percentiles(&mut durations)?;
        Some(OperationStats {
            name: name.to_owned(),
            kind: SpanKind::from_number(kind),
            requests: calls.len() as u64,
            errors: calls.iter().filter(|call| call.failed).count() as u64,
            p50_nano,
            p95_nano,
            p99_nano,
        })
    };
    let mut operations: Vec<OperationStats> = by_name.into_iter().filter_map(operation).collect();
    operations.sort_by_key(|operation| Reverse(operation.requests));
    operations
}

fn compare(field: Field, literal: Literal) -> Expr {
    Expr::Compare { field, op: CompareOp::Eq, literal }
}
