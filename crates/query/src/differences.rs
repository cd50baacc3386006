//! What is different inside a box of time and duration, over any attribute.
//!
//! First columns say what lies inside and outside; then some of each side, picked by a hash of
//! their ids and so without regard to anything else, are read whole and counted.

use std::cmp::Ordering::{Greater, Less};
use std::collections::{BinaryHeap, HashMap};
use std::ops::ControlFlow;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use throughline_model::{Owners, SpanBatch, SpanBatchBuilder, TraceId};
use throughline_store::{Chunk, Column, Snapshot};

use crate::found::{ROWS_MAX, Selection, each, each_xray, wanted};
use crate::run::{Stride, traces};
use crate::scan::{Wanted, candidates};
use crate::series::fact;
use crate::tally::{Difference, Tally};
use crate::{RunError, SearchOptions};

/// Traces of each side that are read and counted.
const TRACES_MAX: usize = 1_000;
/// Spans of each side that are read and counted.
const SPANS_MAX: usize = 10_000;
/// Spans of the traces of each side that are read; at least one trace is.
const TRACE_SPANS_MAX: usize = 100_000;
/// Different traces that are told apart before some are picked.
const TRACES_KNOWN_MAX: usize = 500_000;
/// Whole spans of a chunk that are read at once.
const ROWS_AT_ONCE: usize = 4_096;

/// What lies in a box, and what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Of {
    /// Traces, by their earliest start and whole duration; a trace has what any of its spans has.
    #[default]
    Traces,
    /// Spans that match, by their own start and duration.
    Spans,
}

/// A box: all four ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanBox {
    /// Earliest start, nanoseconds since the epoch.
    pub since: i64,
    /// Latest start.
    pub until: i64,
    /// Shortest duration, in nanoseconds.
    pub min_duration: i64,
    /// Longest duration.
    pub max_duration: i64,
}

impl SpanBox {
    fn holds(&self, start: i64, duration: i64) -> bool {
        (self.since..=self.until).contains(&start)
            && (self.min_duration..=self.max_duration).contains(&duration)
    }
}

/// What to compare.
#[derive(Clone, Debug, PartialEq)]
pub struct DifferencesOptions {
    /// Which range and environment; the limit is that of the attributes told.
    pub search: SearchOptions,
    /// The box.
    pub inside: SpanBox,
    /// What lies in it.
    pub of: Of,
}

/// What is different.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Differences {
    /// Traces, or spans, inside that were counted.
    pub inside: u64,
    /// Traces, or spans, outside that were counted.
    pub outside: u64,
    /// How many of the range are inside, as far as their rows tell.
    pub inside_total: u64,
    /// How many of the range are outside.
    pub outside_total: u64,
    /// Whether not all were counted.
    pub sampled: bool,
    /// Values by the distance of their shares, then by the shift of their durations.
    pub attributes: Vec<Difference>,
    /// Keys that were left out: nearly every value is another one, or there are too many.
    pub skipped: Vec<String>,
}

/// Compares what lies in a box with the rest of what a query finds. Without a filter, that is
/// everything.
pub fn differences(
    snapshot: &Snapshot,
    selection: &Selection,
    options: &DifferencesOptions,
) -> Result<Differences, RunError> {
    let mut tally = Tally::default();
    let (totals, sampled) = match (selection, options.of) {
        (Selection::Native(query), of) => {
            let wanted = wanted(query.filter.as_ref(), &options.search);
            match of {
                Of::Traces => of_traces(snapshot, &wanted, options, &mut tally)?,
                Of::Spans => of_spans(snapshot, &wanted, options, &mut tally)?,
            }
        }
        (Selection::Xray(filter), of) => {
            let complete = each_xray(snapshot, filter, &options.search, |trace| match of {
                Of::Traces => tally.add_together(trace, is_inside(trace, &options.inside)),
                Of::Spans => add_spans(trace, &options.inside, &mut tally),
            })?;
            (tally.units(), !complete)
        }
    };
    let [inside, outside] = tally.units();
    let [inside_total, outside_total] = totals;
    let (attributes, skipped) = tally.finish(options.search.limit);
    let sampled = sampled || inside + outside < inside_total + outside_total;
    Ok(Differences { inside, outside, inside_total, outside_total, sampled, attributes, skipped })
}

/// Whether a whole trace lies in the box.
fn is_inside(trace: &SpanBatch, inside: &SpanBox) -> bool {
    let start = trace.spans().map(|span| span.start_unix_nano()).min().unwrap_or_default();
    let end = trace.spans().map(|span| span.end_unix_nano()).max().unwrap_or_default();
    inside.holds(start, end.saturating_sub(start).max(0))
}

/// Counts each span of a trace that has ended.
fn add_spans(trace: &SpanBatch, inside: &SpanBox, tally: &mut Tally) {
    let mut sides = [(SpanBatchBuilder::default(), Owners::default()), Default::default()];
    for span in trace.spans() {
        let Some(fact) = fact(span) else { continue };
        let side = usize::from(!inside.holds(fact.start, fact.duration));
        let (builder, owners) = &mut sides[side];
        owners.make_current(span, builder);
        builder.copy_span(span);
    }
    let [(mut within, _), (mut without, _)] = sides;
    tally.add_each(&within.finish(), true);
    tally.add_each(&without.finish(), false);
}

/// What is known of a trace before it is read.
#[derive(Clone, Copy)]
struct Extent {
    start: i64,
    end: i64,
    matches: bool,
}

fn of_traces(
    snapshot: &Snapshot,
    wanted: &Wanted,
    options: &DifferencesOptions,
    tally: &mut Tally,
) -> Result<([u64; 2], bool), RunError> {
    let mut extents: HashMap<TraceId, Extent, ahash::RandomState> = HashMap::default();
    let (mut looked_at, mut complete) = (0, true);
    for chunk in snapshot.chunks(wanted.from, wanted.to) {
        if looked_at >= ROWS_MAX || extents.len() >= TRACES_KNOWN_MAX {
            complete = false;
            break;
        }
        looked_at += chunk.rows();
        extend(&chunk, &mut extents)?;
        for candidate in candidates(&chunk, wanted)? {
            if let Some(extent) = extents.get_mut(&candidate.trace_id) {
                extent.matches = true;
            }
        }
    }
    let mut picked = [Picked::new(TRACES_MAX), Picked::new(TRACES_MAX)];
    let mut totals = [0; 2];
    for (id, extent) in extents.into_iter().filter(|(_, extent)| extent.matches) {
        let duration = extent.end.saturating_sub(extent.start).max(0);
        let side = usize::from(!options.inside.holds(extent.start, duration));
        for (picked, total) in picked.iter_mut().zip(&mut totals).skip(side).take(1) {
            *total += 1;
            picked.offer(hash(&id.0), id);
        }
    }
    for picked in picked {
        let ids = picked.into_items();
        let (mut left, mut spans, mut stride) = (&ids[..], 0, Stride::default());
        while !left.is_empty() && spans < TRACE_SPANS_MAX {
            let (now, later) = left.split_at(stride.traces_up_to(TRACES_MAX).min(left.len()));
            let read = traces(snapshot, now)?;
            stride.add(&read);
            for trace in now.iter().filter_map(|id| read.get(id)) {
                spans += trace.len();
                // Read whole, it may turn out not to match, or to lie on the other side.
                if trace.spans().any(|span| wanted.takes(span)) {
                    tally.add_together(trace, is_inside(trace, &options.inside));
                }
            }
            left = later;
        }
        complete &= left.is_empty();
    }
    Ok((totals, !complete))
}

/// Notes from when to when the traces of a chunk go.
fn extend(
    chunk: &Chunk,
    extents: &mut HashMap<TraceId, Extent, ahash::RandomState>,
) -> Result<(), RunError> {
    let read = chunk.read(&[Column::TraceId, Column::Start, Column::Duration])?;
    let ids = read.column(0).as_fixed_size_binary();
    let starts = read.column(1).as_primitive::<Int64Type>();
    let durations = read.column(2).as_primitive::<Int64Type>();
    for row in 0..read.num_rows() {
        let id = TraceId::from_slice(ids.value(row)).unwrap_or_default();
        let start = starts.value(row);
        let duration = if durations.is_valid(row) { durations.value(row) } else { 0 };
        let end = start.saturating_add(duration);
        let extent = extents.entry(id).or_insert(Extent { start, end, matches: false });
        (extent.start, extent.end) = (extent.start.min(start), extent.end.max(end));
    }
    Ok(())
}

fn of_spans(
    snapshot: &Snapshot,
    wanted: &Wanted,
    options: &DifferencesOptions,
    tally: &mut Tally,
) -> Result<([u64; 2], bool), RunError> {
    let mut picked = [Picked::new(SPANS_MAX), Picked::new(SPANS_MAX)];
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut totals = [0; 2];
    let complete = each(
        snapshot,
        wanted,
        |_| vec![Column::SpanId],
        |found| {
            let ids = found.view.column(&Column::SpanId)?.as_fixed_size_binary();
            for (row, fact) in found.rows.iter().zip(found.facts()?) {
                let side = usize::from(!options.inside.holds(fact.start, fact.duration));
                for (picked, total) in picked.iter_mut().zip(&mut totals).skip(side).take(1) {
                    *total += 1;
                    picked.offer(hash(ids.value(*row as usize)), (chunks.len(), *row));
                }
            }
            chunks.push(found.chunk.clone());
            Ok(ControlFlow::Continue(()))
        },
    )?;
    for (picked, is_inside) in picked.into_iter().zip([true, false]) {
        let mut places = picked.into_items();
        places.sort_unstable();
        for of_chunk in places.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((at, _)) = of_chunk.first() else { continue };
            let Some(chunk) = chunks.get(*at) else { continue };
            let rows: Vec<u32> = of_chunk.iter().map(|(_, row)| *row).collect();
            for rows in rows.chunks(ROWS_AT_ONCE) {
                tally.add_each(&chunk.spans(rows)?, is_inside);
            }
        }
    }
    Ok((totals, !complete))
}

/// The same for the same bytes on every run, so that one question has one answer.
fn hash(bytes: &[u8]) -> u64 {
    ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(bytes)
}

/// The items with the smallest hashes.
struct Picked<T> {
    heap: BinaryHeap<(u64, T)>,
    max: usize,
}

impl<T: Ord> Picked<T> {
    fn new(max: usize) -> Self {
        Self { heap: BinaryHeap::new(), max }
    }

    fn offer(&mut self, hash: u64, item: T) {
        if self.heap.len() < self.max {
            self.heap.push((hash, item));
            return;
        }
        let largest = self.heap.peek().map_or(Less, |(largest, _)| largest.cmp(&hash));
        if largest == Greater {
            self.heap.pop();
            self.heap.push((hash, item));
        }
    }

    /// By hash, so that any first part of them is a fair sample too.
    fn into_items(self) -> Vec<T> {
        self.heap.into_sorted_vec().into_iter().map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_hashes_are_picked_whatever_the_order() {
        for numbers in [[5, 1, 4, 2, 3], [1, 2, 3, 4, 5], [5, 4, 3, 2, 1]] {
            let mut picked = Picked::new(3);
            numbers.iter().for_each(|n| picked.offer(*n, *n));
            assert_eq!(picked.into_items(), [1, 2, 3]);
        }
    }

    #[test]
    fn the_ends_of_a_box_belong_to_it() {
        let inside = SpanBox { since: 10, until: 20, min_duration: 3, max_duration: 5 };
        assert!(inside.holds(10, 3) && inside.holds(20, 5));
        assert!(!inside.holds(9, 3) && !inside.holds(21, 3));
        assert!(!inside.holds(10, 2) && !inside.holds(10, 6));
    }
}
