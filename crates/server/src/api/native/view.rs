//! A trace in columns for the page: parents before children, siblings by start, loops cut.
//!
//! A pure function with no recursion: traces of 100 000 spans may be one chain or one loop.

use std::collections::HashMap;

use serde::Serialize;
use throughline_model::{SpanBatch, SpanId, SpanKind, StatusCode};
use utoipa::ToSchema;

/// Events that are drawn as marks at most; the span's detail has all of its own.
const EVENT_TIMES_MAX: usize = 10_000;

/// A trace in columns.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TraceView {
    trace_id: String,
    start_unix_nano: String,
    /// From the earliest start to the latest end.
    duration_nano: i64,
    root_service: String,
    root_name: String,
    environment: Option<String>,
    span_count: usize,
    error_count: usize,
    /// String table of `spans.service`.
    services: Vec<String>,
    /// String table of `spans.name`.
    names: Vec<String>,
    spans: SpanColumns,
    /// Row and offset from the trace's start of each event, at most 10 000.
    event_times: Vec<(usize, i64)>,
}

/// One entry a span, parents before children, siblings by start.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SpanColumns {
    span_id: Vec<String>,
    /// Row of the parent, -1 when none is held.
    parent: Vec<i64>,
    /// Id of a parent that is not held, or empty.
    missing_parent: Vec<String>,
    /// Number into `services`.
    service: Vec<u32>,
    /// Number into `names`.
    name: Vec<u32>,
    /// OTLP's `SpanKind`: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    kind: Vec<u8>,
    /// 0 unset, 1 ok, 2 error.
    status: Vec<u8>,
    /// Nanoseconds after `startUnixNano`.
    start: Vec<i64>,
    /// Nanoseconds; negative when a clock lied, null while the span has no end.
    duration: Vec<Option<i64>>,
    /// How many events.
    events: Vec<usize>,
    /// How many links.
    links: Vec<usize>,
    status_message: Vec<String>,
}

/// Lays a merged trace out.
pub(super) fn trace_view(trace: &SpanBatch) -> TraceView {
    let start = trace.starts().iter().copied().min().unwrap_or_default();
    let end = trace.spans().map(|span| span.end_unix_nano()).max().unwrap_or(start);
    let parents = parents(trace);
    let order = parents_first(trace, &parents);
    let mut row_of = vec![0i64; trace.len()];
    for (row, index) in order.iter().enumerate() {
        row_of[*index] = row as i64;
    }

    let mut services = Table::default();
    let mut names = Table::default();
    let mut spans = SpanColumns::default();
    let mut event_times = Vec::new();
    for (row, index) in order.iter().enumerate() {
        let span = trace.span(*index);
        spans.span_id.push(span.span_id().to_string());
        spans.parent.push(match parents[*index] {
            Parent::Held(parent) => row_of[parent],
            Parent::None | Parent::Missing => -1,
        });
        spans.missing_parent.push(match parents[*index] {
            Parent::Missing => span.parent_id().to_string(),
            Parent::None | Parent::Held(_) => String::new(),
        });
        spans.service.push(services.number(span.service()));
        spans.name.push(names.number(span.name()));
        spans.kind.push(span.kind() as u8);
        spans.status.push(span.status() as u8);
        spans.start.push(span.start_unix_nano().saturating_sub(start));
        spans.duration.push(span.duration_nano());
        spans.events.push(span.events().len());
        spans.links.push(span.links().len());
        spans.status_message.push(span.status_message().to_owned());
        let room = EVENT_TIMES_MAX - event_times.len();
        let times = span.events().map(|e| (row, e.time_unix_nano().saturating_sub(start)));
        event_times.extend(times.take(room));
    }

    // The first root without a parent at all says best what the trace is about.
    let is_root = |index: &&usize| trace.span(**index).parent_id().is_zero();
    let root = order.iter().find(is_root).or(order.first()).map(|index| trace.span(*index));
    let environments = root.into_iter().chain(trace.spans()).map(|s| s.resource().environment());
    let errors = trace.statuses().iter().filter(|s| **s == StatusCode::Error as u8).count();
    TraceView {
        trace_id: root.map(|r| r.trace_id().to_string()).unwrap_or_default(),
        start_unix_nano: start.to_string(),
        duration_nano: end.saturating_sub(start).max(0),
        root_service: root.map(|r| r.service().to_owned()).unwrap_or_default(),
        root_name: root.map(|r| r.name().to_owned()).unwrap_or_default(),
        environment: environments.flatten().next().map(str::to_owned),
        span_count: trace.len(),
        error_count: errors,
        services: services.strings,
        names: names.strings,
        spans,
        event_times,
    }
}

/// Where a span hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parent {
    /// It is a root, or its way up was a loop that we cut here.
    None,
    /// It names a parent that we do not hold.
    Missing,
    /// It hangs below this row of the batch.
    Held(usize),
}

/// The parent of every row, with every loop cut at its earliest span.
fn parents(trace: &SpanBatch) -> Vec<Parent> {
    let mut by_id: HashMap<SpanId, Vec<usize>, ahash::RandomState> = HashMap::default();
    for span in trace.spans() {
        by_id.entry(span.span_id()).or_default().push(span.row());
    }
    let mut parents: Vec<Parent> =
        (0..trace.len()).map(|row| named_parent(trace, &by_id, row)).collect();
    cut_loops(trace, &mut parents);
    parents
}

type RowsById = HashMap<SpanId, Vec<usize>, ahash::RandomState>;

fn named_parent(trace: &SpanBatch, by_id: &RowsById, row: usize) -> Parent {
    let span = trace.span(row);
    // Zipkin's two sides of one call share an id: the answering side hangs below the calling side.
    let same_id = by_id.get(&span.span_id()).map(Vec::as_slice).unwrap_or_default();
    if span.kind() == SpanKind::Server
        && let Some(client) = same_id.iter().find(|r| trace.span(**r).kind() == SpanKind::Client)
    {
        return Parent::Held(*client);
    }
    if span.parent_id().is_zero() {
        return Parent::None;
    }
    let candidates = by_id.get(&span.parent_id()).map(Vec::as_slice).unwrap_or_default();
    let others = || candidates.iter().copied().filter(|candidate| *candidate != row);
    // Of two sides with the id, the child was most likely made by the side in its own service.
    let same_service = others().find(|c| trace.span(*c).service() == span.service());
    let server = || others().find(|c| trace.span(*c).kind() == SpanKind::Server);
    match same_service.or_else(server).or_else(|| others().next()) {
        Some(parent) => Parent::Held(parent),
        None if candidates.is_empty() => Parent::Missing,
        // It names itself.
        None => Parent::None,
    }
}

fn cut_loops(trace: &SpanBatch, parents: &mut [Parent]) {
    const UNSEEN: usize = 0;
    // Rows of one walk up carry its number: meeting it again means a loop.
    let mut seen = vec![UNSEEN; parents.len()];
    for first in 0..parents.len() {
        let walk = first + 1;
        let mut row = first;
        while seen[row] == UNSEEN {
            seen[row] = walk;
            let Parent::Held(parent) = parents[row] else { break };
            row = parent;
            if seen[row] == walk {
                let cut = earliest_of_loop(trace, parents, row);
                parents[cut] = Parent::None;
                break;
            }
        }
    }
}

fn earliest_of_loop(trace: &SpanBatch, parents: &[Parent], entry: usize) -> usize {
    let (mut row, mut earliest) = (entry, entry);
    while let Parent::Held(parent) = parents[row] {
        let key = |row: usize| (trace.starts()[row], row);
        if key(parent) < key(earliest) {
            earliest = parent;
        }
        row = parent;
        if row == entry {
            break;
        }
    }
    earliest
}

/// The rows in the order of the view: depth first, siblings by start.
fn parents_first(trace: &SpanBatch, parents: &[Parent]) -> Vec<usize> {
    let mut by_start: Vec<usize> = (0..trace.len()).collect();
    by_start.sort_by_key(|row| (trace.starts()[*row], *row));
    // The children of a row as a chain: its last child, and each child's elder sibling. Walking
    // the chain goes from the youngest to the eldest, which is the order a stack wants.
    const NONE: usize = usize::MAX;
    let mut last_child = vec![NONE; trace.len()];
    let mut elder = vec![NONE; trace.len()];
    let mut stack = Vec::new();
    for row in by_start {
        match parents[row] {
            Parent::Held(parent) => {
                elder[row] = last_child[parent];
                last_child[parent] = row;
            }
            Parent::None | Parent::Missing => stack.push(row),
        }
    }
    stack.reverse();
    let mut order = Vec::with_capacity(trace.len());
    while let Some(row) = stack.pop() {
        order.push(row);
        let mut child = last_child[row];
        while child != NONE {
            stack.push(child);
            child = elder[child];
        }
    }
    order
}

/// Strings, each once, in the order of their first use.
#[derive(Default)]
struct Table {
    strings: Vec<String>,
    numbers: HashMap<String, u32, ahash::RandomState>,
}

impl Table {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.strings.len() as u32;
        self.strings.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use throughline_model::{SpanBatchBuilder, TraceId};

    use super::*;

    fn id(number: u64) -> SpanId {
        SpanId(number.to_be_bytes())
    }

    /// A trace of spans as (id, parent, start).
    fn trace(spans: impl IntoIterator<Item = (u64, u64, i64)>) -> SpanBatch {
        let mut builder = SpanBatchBuilder::default();
        for (span, parent, start) in spans {
            builder.start_span(TraceId([1; 16]), id(span));
            builder.parent_id(id(parent));
            builder.times(start, 10);
            builder.name(&format!("span {}", span % 7));
            builder.end_span();
        }
        builder.finish()
    }

    /// "id<parent row", "id<?" when the parent is missing.
    fn check(spans: &[(u64, u64, i64)], expected: &str) {
        let view = trace_view(&trace(spans.iter().copied()));
        let columns = &view.spans;
        let rows = (0..spans.len()).map(|row| {
            let id = columns.span_id[row].trim_start_matches('0');
            match columns.missing_parent[row].as_str() {
                "" => format!("{id}<{}", columns.parent[row]),
                _ => format!("{id}<?"),
            }
        });
        assert_eq!(rows.collect::<Vec<_>>().join(" "), expected, "{spans:?}");
    }

    #[test]
    fn parents_come_before_children_and_siblings_by_start() {
        check(&[(4, 1, 30), (3, 2, 25), (2, 1, 20), (1, 0, 10)], "1<-1 2<0 3<1 4<0");
        // A child whose clock is early still comes after its parent.
        check(&[(2, 1, 5), (1, 0, 10)], "1<-1 2<0");
    }

    #[test]
    fn a_span_whose_parent_is_not_held_is_a_root_and_says_so() {
        check(&[(1, 0, 10), (2, 9, 5), (3, 2, 6)], "2<? 3<0 1<-1");
    }

    #[test]
    fn loops_are_cut_at_their_earliest_span() {
        check(&[(1, 1, 10)], "1<-1");
        check(&[(1, 2, 10), (2, 1, 5)], "2<-1 1<0");
        check(&[(1, 3, 10), (2, 1, 20), (3, 2, 30), (4, 3, 40)], "1<-1 2<0 3<1 4<2");
        // A tail that leads into a loop, walked first.
        check(&[(4, 3, 1), (1, 2, 10), (2, 1, 20), (3, 1, 30)], "1<-1 2<0 3<0 4<2");
    }

    #[test]
    fn giant_traces_of_every_shape_are_laid_out_whole() {
        const SPANS: u64 = 100_000;
        let chain = (1..=SPANS).map(|n| (n, n - 1, n as i64));
        let ring = (1..=SPANS).map(|n| (n, if n == 1 { SPANS } else { n - 1 }, n as i64));
        let star = (1..=SPANS).map(|n| (n, u64::from(n > 1), n as i64));
        let selves = (1..=SPANS).map(|n| (n, n, n as i64));
        for batch in [trace(chain), trace(ring), trace(star), trace(selves)] {
            let view = trace_view(&batch);
            assert_eq!(view.spans.span_id.len(), SPANS as usize);
            for (row, parent) in view.spans.parent.iter().enumerate() {
                assert!(*parent < row as i64, "row {row} has parent {parent}");
            }
            assert_eq!(view.names.len(), 7);
        }
    }

    #[test]
    fn the_answering_side_of_a_shared_id_hangs_below_the_calling_side() {
        let mut builder = SpanBatchBuilder::default();
        for (kind, start) in [(SpanKind::Server, 12), (SpanKind::Client, 10)] {
            builder.start_span(TraceId([1; 16]), id(5));
            builder.times(start, 3);
            builder.kind(kind);
            builder.end_span();
        }
        let view = trace_view(&builder.finish());
        assert_eq!(view.spans.kind, [SpanKind::Client as u8, SpanKind::Server as u8]);
        assert_eq!(view.spans.parent, [-1, 0]);
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let view = trace_view(&trace([(1, 0, i64::MIN + 1), (2, 1, i64::MAX)]));
        assert_eq!(view.duration_nano, i64::MAX);
        assert_eq!(view.spans.start, [0, i64::MAX]);
        assert_eq!(trace_view(&trace([])).span_count, 0);
    }

    #[test]
    fn only_so_many_events_become_marks() {
        let mut builder = SpanBatchBuilder::default();
        for span in 1..=2 {
            builder.start_span(TraceId([1; 16]), id(span));
            for event in 0..8_000 {
                builder.start_event(event, "tick", 0);
            }
            builder.end_span();
        }
        let view = trace_view(&builder.finish());
        assert_eq!(view.event_times.len(), EVENT_TIMES_MAX);
        assert_eq!(view.spans.events, [8_000, 8_000]);
    }
}
