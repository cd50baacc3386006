//! Runs a query: from the tree to the answer.

use std::collections::HashMap;

use throughline_model::{SpanBatch, TraceId, merge_pieces};
use throughline_store::Snapshot;
use throughline_topology::xray::adopt_services;

use crate::ast::{CompareOp, Expr, Field, LIMIT_MAX, Literal, Order, Query};
use crate::scan::Wanted;
use crate::summary::{TraceSummary, summary};
use crate::{RunError, newest, ranked};

/// How many traces one search reads at most to check whether they match. Reached only by searches
/// for what is true of very many unfinished spans; the answer then says that it is truncated.
pub(crate) const TRACES_READ_MAX: usize = 20_000;

/// Where and how much to search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchOptions {
    /// Matching spans start at this time or later, nanoseconds since the epoch.
    pub from: i64,
    /// Matching spans start at this time or earlier, nanoseconds since the epoch.
    pub to: i64,
    /// How many traces at most, unless the query says; never more than [`LIMIT_MAX`].
    pub limit: usize,
    /// Only spans whose resource names this environment.
    pub environment: Option<String>,
}

/// The traces that were found, in the query's order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SearchAnswer {
    /// One entry a trace.
    pub traces: Vec<TraceSummary>,
    /// Whether more traces match than the limit lets through.
    pub truncated: bool,
}

/// Finds the traces with a span that matches.
///
/// A span is matched whole, all its pieces merged, so the answer does not depend on where its pieces
/// lie. One exception, kept for speed: of two pieces that *both* have an end, each is looked at as it
/// came, and only what is found so is checked again on the merged span.
///
/// Order, unless the query says otherwise: newest first by the start of the trace, the one that
/// [`TraceSummary::start_unix_nano`] shows; equal starts by trace id. A trace that began long ago
/// stands far down, however new its matching span.
pub fn search(
    snapshot: &Snapshot,
    query: &Query,
    options: &SearchOptions,
) -> Result<SearchAnswer, RunError> {
    let limit = query.limit.unwrap_or(options.limit).min(LIMIT_MAX);
    let filter = within(query.filter.as_ref(), options.environment.as_deref());
    let wanted = Wanted { filter, from: options.from, to: options.to };
    let mut reader = Reader {
        snapshot,
        wanted: &wanted,
        reads_left: TRACES_READ_MAX,
        stride: Stride::default(),
    };
    // One more than asked tells whether there is more.
    let mut traces = match ids(wanted.filter.as_ref()) {
        Some(ids) => by_ids(&mut reader, ids, query.order, limit + 1)?,
        None if query.order == Order::Newest => newest::search(&mut reader, limit + 1)?,
        None => ranked::search(&mut reader, query.order, limit + 1)?,
    };
    let truncated = traces.len() > limit || reader.reads_left == 0;
    traces.truncate(limit);
    Ok(SearchAnswer { traces, truncated })
}

/// One trace, its pieces merged, spans by start; `None` when the store holds no span of it.
///
/// X-Ray's independent subsegments come without a word of who sent them; here they have the
/// resource of the segment that they lie in.
pub fn trace(snapshot: &Snapshot, id: TraceId) -> Result<Option<SpanBatch>, RunError> {
    Ok(traces(snapshot, &[id])?.remove(&id))
}

/// Several traces as [`trace`] gives one, those that the store holds.
pub(crate) fn traces(
    snapshot: &Snapshot,
    ids: &[TraceId],
) -> Result<HashMap<TraceId, SpanBatch>, RunError> {
    let found = snapshot.traces(ids)?.into_iter();
    let merged = found.map(|(id, pieces)| (id, merge_pieces(&[&pieces])));
    let held = merged.filter(|(_, merged)| !merged.is_empty());
    Ok(held.map(|(id, merged)| (id, adopt_services(&merged))).collect())
}

/// How many traces to read at a time: many small ones or few large ones, by what came so far.
#[derive(Default)]
pub(crate) struct Stride {
    traces: usize,
    spans: usize,
}

impl Stride {
    const FIRST: usize = 16;
    const TRACES: usize = 256;
    const SPANS: usize = 50_000;

    pub(crate) fn traces(&self) -> usize {
        self.traces_up_to(Self::TRACES)
    }

    /// For whoever reads all of them anyway: the fewer reads, the fewer row groups are read twice.
    pub(crate) fn traces_up_to(&self, max: usize) -> usize {
        match self.spans {
            0 => Self::FIRST,
            spans => (Self::SPANS * self.traces / spans).clamp(1, max),
        }
    }

    pub(crate) fn add(&mut self, read: &HashMap<TraceId, SpanBatch>) {
        self.traces += read.len();
        self.spans += read.values().map(SpanBatch::len).sum::<usize>();
    }
}

/// A filter, and only in one environment.
pub(crate) fn within(filter: Option<&Expr>, environment: Option<&str>) -> Option<Expr> {
    let environment = environment.map(|name| Expr::Compare {
        field: Field::Environment,
        op: CompareOp::Eq,
        literal: Literal::Str(name.to_owned()),
    });
    match (environment, filter.cloned()) {
        (Some(environment), Some(filter)) => Some(Expr::And(vec![environment, filter])),
        (environment, filter) => environment.or(filter),
    }
}

/// The only traces that can match, when the filter names them.
fn ids(filter: Option<&Expr>) -> Option<Vec<TraceId>> {
    let of = |literals: &[Literal]| {
        let ids = literals.iter().filter_map(|literal| match literal {
            Literal::Trace(id) => Some(*id),
            _ => None,
        });
        Some(ids.collect())
    };
    match filter? {
        Expr::Compare { field: Field::Trace, op: CompareOp::Eq, literal } => {
            of(std::slice::from_ref(literal))
        }
        Expr::In { field: Field::Trace, literals } => of(literals),
        Expr::And(items) => items.iter().find_map(|item| ids(Some(item))),
        _ => None,
    }
}

fn by_ids(
    reader: &mut Reader<'_>,
    mut ids: Vec<TraceId>,
    order: Order,
    count: usize,
) -> Result<Vec<TraceSummary>, RunError> {
    ids.sort_unstable();
    ids.dedup();
    let mut found = reader.read(&ids)?;
    found.sort_by(|a, b| compare(order, a, b));
    found.truncate(count);
    Ok(found)
}

/// Which of two found traces stands first.
pub(crate) fn compare(order: Order, a: &TraceSummary, b: &TraceSummary) -> std::cmp::Ordering {
    let by_key = match order {
        Order::Newest => b.start_unix_nano.cmp(&a.start_unix_nano),
        Order::Oldest => a.matched_start_unix_nano.cmp(&b.matched_start_unix_nano),
        Order::Longest => b.matched_duration_nano.cmp(&a.matched_duration_nano),
        Order::Shortest => match (a.matched_duration_nano, b.matched_duration_nano) {
            (Some(a), Some(b)) => a.cmp(&b),
            // Unfinished spans have no duration yet and stand last in both directions.
            (a, b) => b.is_some().cmp(&a.is_some()),
        },
    };
    by_key.then(a.trace_id.cmp(&b.trace_id))
}

/// Reads whole traces and says whether they match.
pub(crate) struct Reader<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) wanted: &'a Wanted,
    pub(crate) reads_left: usize,
    pub(crate) stride: Stride,
}

impl Reader<'_> {
    /// The summaries of those traces of which a merged span matches, in the order given, as long
    /// as reads are left.
    pub(crate) fn read(&mut self, ids: &[TraceId]) -> Result<Vec<TraceSummary>, RunError> {
        let mut found = Vec::new();
        let mut ids = ids;
        while !ids.is_empty() && self.reads_left > 0 {
            let count = self.stride.traces().min(self.reads_left).min(ids.len());
            let (now, later) = ids.split_at(count);
            let traces = traces(self.snapshot, now)?;
            self.stride.add(&traces);
            found.extend(now.iter().filter_map(|id| self.summary(traces.get(id)?)));
            self.reads_left -= count;
            ids = later;
        }
        Ok(found)
    }

    fn summary(&self, merged: &SpanBatch) -> Option<TraceSummary> {
        let matched: Vec<bool> = merged.spans().map(|span| self.wanted.takes(span)).collect();
        matched.contains(&true).then(|| summary(merged, &matched))
    }
}
