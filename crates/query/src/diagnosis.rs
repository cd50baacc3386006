//! The doctor over what is stored: the newest traces of a range, with the notes about their spans.

use std::collections::HashSet;

use throughline_store::Snapshot;
use throughline_topology::doctor::{Options, Report, diagnose as find};
use throughline_topology::stitch::Source as _;

use crate::ast::LIMIT_MAX;
use crate::journeys::Stored;
use crate::{Query, RunError, SearchOptions, search};

/// Traces that are looked at, the newest of the range.
const TRACES_MAX: usize = 5_000;
/// Traces that are read at once: one read of a row group for all of them.
const READ_TOGETHER: usize = 64;

/// Names the causes of lost context in the newest traces of a range, some five thousand at most. Of
/// the options, the limit does not count.
pub fn diagnose(
    snapshot: &Snapshot,
    options: &SearchOptions,
    now_unix_nano: i64,
) -> Result<Report, RunError> {
    let mut options = SearchOptions { limit: LIMIT_MAX, ..options.clone() };
    let stored = Stored::new(snapshot);
    let mut known = HashSet::new();
    let mut traces = Vec::new();
    let truncated = loop {
        let newest = search(snapshot, &Query::default(), &options)?;
        let fresh = newest.traces.iter().filter(|trace| known.insert(trace.trace_id));
        let fresh: Vec<_> = fresh.map(|trace| trace.trace_id).collect();
        for some in fresh.chunks(READ_TOGETHER) {
            stored.read(some)?;
            for id in some {
                traces.extend(stored.trace(*id)?);
            }
        }
        let Some(last) = newest.traces.last().filter(|_| newest.truncated) else { break false };
        // A trace that began at the same moment as the last may be told once more, or be the next.
        options.to = options.to.min(last.start_unix_nano);
        if fresh.is_empty() || known.len() >= TRACES_MAX {
            break true;
        }
    };
    let mut report = find(&traces, &stored, &Options::at(now_unix_nano))?;
    report.truncated |= truncated;
    Ok(report)
}
