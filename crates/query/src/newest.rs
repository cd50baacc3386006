//! Newest first, by hand: stops as soon as nothing older can be among the answer.

use std::cmp::Ordering;
use std::collections::HashSet;

use throughline_model::TraceId;

use crate::RunError;
use crate::ast::Order;
use crate::run::{Reader, compare};
use crate::scan::candidates;
use crate::summary::TraceSummary;

/// The `count` traces that begin last among those with a matching span.
///
/// A trace begins no later than any of its spans. So chunks go by their latest start, and rows in
/// them by start: once `count` traces are found and the earliest of these begins after the next row
/// or chunk, no other trace can begin later.
pub(crate) fn search(reader: &mut Reader<'_>, count: usize) -> Result<Vec<TraceSummary>, RunError> {
    let mut best = Best { found: Vec::new(), count };
    let mut seen: HashSet<TraceId, ahash::RandomState> = HashSet::default();
    for chunk in reader.snapshot.chunks(reader.wanted.from, reader.wanted.to) {
        if best.is_out_of_reach(chunk.max_start()) {
            break;
        }
        let mut candidates = candidates(&chunk, reader.wanted)?;
        candidates.sort_unstable_by_key(|c| (std::cmp::Reverse(c.start), c.trace_id));
        candidates.retain(|candidate| seen.insert(candidate.trace_id));
        let mut left = &candidates[..];
        while let Some(first) = left.first()
            && !best.is_out_of_reach(first.start)
            && reader.reads_left > 0
        {
            let (now, later) = left.split_at(reader.stride.traces().min(count).min(left.len()));
            let ids: Vec<_> = now.iter().map(|candidate| candidate.trace_id).collect();
            reader.read(&ids)?.into_iter().for_each(|trace| best.add(trace));
            left = later;
        }
    }
    Ok(best.found)
}

/// The best traces so far, in order.
struct Best {
    found: Vec<TraceSummary>,
    count: usize,
}

impl Best {
    /// Whether no trace with its start at this time or earlier can be among the best. At the same
    /// time it still can, by its id.
    fn is_out_of_reach(&self, start: i64) -> bool {
        self.found.len() == self.count
            && self.found.last().is_some_and(|last| start < last.start_unix_nano)
    }

    fn add(&mut self, trace: TraceSummary) {
        let before = |other: &TraceSummary| compare(Order::Newest, other, &trace) == Ordering::Less;
        let at = self.found.partition_point(before);
        self.found.insert(at, trace);
        self.found.truncate(self.count);
    }
}
