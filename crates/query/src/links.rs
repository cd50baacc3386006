//! The span links that leave a trace, and those of other traces that lead to it.
//!
//! Who links to a span is asked of the store's index of messages, in which a link is one: the
//! linked span is what the linking one consumed, or, for X-Ray's links to a child, produced.

use std::collections::{BTreeSet, HashMap};

use throughline_model::{SpanBatch, SpanId, TraceId};
use throughline_store::{Snapshot, Wanted};
use throughline_topology::stitch::{Direction, ReceiptReader};

use crate::run::{Stride, traces};
use crate::{RunError, summary};

/// Links of a trace that are told.
pub const LINKS_MAX: usize = 1_000;
/// Links to a trace that are told.
pub const BACK_LINKS_MAX: usize = 1_000;
/// Traces that are read on each side.
const TRACES_MAX: usize = 200;
/// Spans of these traces that are read; at least one trace is.
const TRACE_SPANS_MAX: usize = 200_000;

/// What a trace links to, and what links to it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Links {
    /// Links of its spans to other traces, in order of start.
    pub links: Vec<LinkTo>,
    /// Links of other traces to its spans, in order of start.
    pub back_links: Vec<BackLink>,
    /// Whether a limit left something out.
    pub truncated: bool,
}

/// A link of a span to another trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkTo {
    /// The span that has the link.
    pub span_id: SpanId,
    /// The linked trace.
    pub trace_id: TraceId,
    /// The linked span.
    pub to_span_id: SpanId,
    /// Service of the linked trace's root; empty when the trace is not held.
    pub root_service: String,
    /// Name of the linked trace's root; empty when the trace is not held.
    pub root_name: String,
    /// Start of the linked trace, nanoseconds since the epoch; `None` when it is not held.
    pub start_unix_nano: Option<i64>,
}

/// A link of another trace's span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackLink {
    /// The trace of the span that has the link.
    pub from_trace_id: TraceId,
    /// The span that has the link.
    pub from_span_id: SpanId,
    /// Its service.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its start, nanoseconds since the epoch.
    pub start_unix_nano: i64,
    /// The linked span of this trace; zero, or one that is not held, when the link says so.
    pub to_span_id: SpanId,
}

/// The links of one trace in both directions; `None` when the store holds no span of it. Links
/// inside the trace are left out.
pub fn links(snapshot: &Snapshot, id: TraceId) -> Result<Option<Links>, RunError> {
    let Some(trace) = traces(snapshot, &[id])?.remove(&id) else { return Ok(None) };
    let (links, links_cut) = forward(snapshot, &trace, id)?;
    let (back_links, back_cut) = backward(snapshot, &trace, id)?;
    Ok(Some(Links { links, back_links, truncated: links_cut || back_cut }))
}

fn forward(
    snapshot: &Snapshot,
    trace: &SpanBatch,
    id: TraceId,
) -> Result<(Vec<LinkTo>, bool), RunError> {
    let mut found: Vec<(i64, LinkTo)> = Vec::new();
    let all = trace.spans().flat_map(|span| span.links().map(move |link| (span, link)));
    let mut all = all.filter(|(_, link)| !link.trace_id().is_zero() && link.trace_id() != id);
    for (span, link) in all.by_ref().take(LINKS_MAX) {
        let to = LinkTo {
            span_id: span.span_id(),
            trace_id: link.trace_id(),
            to_span_id: link.span_id(),
            root_service: String::new(),
            root_name: String::new(),
            start_unix_nano: None,
        };
        found.push((span.start_unix_nano(), to));
    }
    let mut cut = all.next().is_some();
    let ids: BTreeSet<TraceId> = found.iter().map(|(_, link)| link.trace_id).collect();
    let mut ends = HashMap::new();
    let ids: Vec<TraceId> = ids.into_iter().collect();
    cut |= read(snapshot, &ids, |linked| {
        let about = summary(&linked, &vec![false; linked.len()]);
        ends.insert(about.trace_id, about);
    })?;
    found.sort_by_key(|(start, link)| (*start, link.span_id));
    let links = found.into_iter().map(|(_, link)| match ends.get(&link.trace_id) {
        Some(end) => LinkTo {
            root_service: end.root_service.clone(),
            root_name: end.root_name.clone(),
            start_unix_nano: Some(end.start_unix_nano),
            ..link
        },
        None => link,
    });
    Ok((links.collect(), cut))
}

fn backward(
    snapshot: &Snapshot,
    trace: &SpanBatch,
    id: TraceId,
) -> Result<(Vec<BackLink>, bool), RunError> {
    if trace.is_empty() {
        return Ok((Vec::new(), false));
    }
    // A link is known by the linked trace alone, so any span will do. The linking span says `In` of
    // what it comes from, so it is found as a consumer.
    let reader = ReceiptReader::new(trace);
    let key = |way| reader.linked(0, way).key;
    let wanted = [Wanted::Consumed(key(Direction::In)), Wanted::Produced(key(Direction::Out))];
    let mut ids: BTreeSet<TraceId> =
        snapshot.traces_with(&wanted, TRACES_MAX + 1)?.into_iter().collect();
    ids.remove(&id);
    let mut cut = ids.len() > TRACES_MAX;
    let mut found: Vec<BackLink> = Vec::new();
    let ids: Vec<TraceId> = ids.into_iter().take(TRACES_MAX).collect();
    cut |= read(snapshot, &ids, |linking| {
        for span in linking.spans() {
            found.extend(span.links().filter(|link| link.trace_id() == id).map(|link| BackLink {
                from_trace_id: span.trace_id(),
                from_span_id: span.span_id(),
                service: span.service().to_owned(),
                name: span.name().to_owned(),
                start_unix_nano: span.start_unix_nano(),
                to_span_id: link.span_id(),
            }));
        }
    })?;
    found.sort_by_key(|link| (link.start_unix_nano, link.from_trace_id, link.from_span_id));
    cut |= found.len() > BACK_LINKS_MAX;
    found.truncate(BACK_LINKS_MAX);
    Ok((found, cut))
}

/// Reads some traces, as many as the limits let through, and says whether some were left out.
pub(crate) fn read(
    snapshot: &Snapshot,
    ids: &[TraceId],
    mut visit: impl FnMut(SpanBatch),
) -> Result<bool, RunError> {
    let (mut left, _) = ids.split_at(ids.len().min(TRACES_MAX));
    let (mut spans, mut stride) = (0, Stride::default());
    while !left.is_empty() && spans < TRACE_SPANS_MAX {
        let (now, later) = left.split_at(stride.traces().min(left.len()));
        let read = traces(snapshot, now)?;
        stride.add(&read);
        spans += read.values().map(SpanBatch::len).sum::<usize>();
        read.into_values().for_each(&mut visit);
        left = later;
    }
    Ok(!left.is_empty() || ids.len() > TRACES_MAX)
}
