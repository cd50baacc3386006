//! The doctor over what is stored: the newest traces of a range, with the notes about their spans.

use throughline_store::Snapshot;
use throughline_topology::doctor::{Options, Report, diagnose as find};
use throughline_topology::stitch::Source as _;

use crate::ast::LIMIT_MAX;
use crate::journeys::Stored;
use crate::{Query, RunError, SearchOptions, search};

/// Names the causes of lost context in the newest traces of a range, [`LIMIT_MAX`] at most. Of the
/// options, the limit does not count.
pub fn diagnose(
    snapshot: &Snapshot,
    options: &SearchOptions,
    now_unix_nano: i64,
) -> Result<Report, RunError> {
    let options = SearchOptions { limit: LIMIT_MAX, ..options.clone() };
    let newest = search(snapshot, &Query::default(), &options)?;
    let stored = Stored::new(snapshot);
    let mut traces = Vec::new();
    for trace in &newest.traces {
        traces.extend(stored.trace(trace.trace_id)?);
    }
    let mut report = find(&traces, &stored, &Options::at(now_unix_nano))?;
    report.truncated |= newest.truncated;
    Ok(report)
}
