//! A whole trace to the one line that a list shows of it.

use std::collections::HashSet;

use throughline_model::{SpanBatch, SpanId, SpanKind, SpanRef, StatusCode, TraceId};

/// One line of a list of traces. Counts and times are of the whole trace, not of what matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSummary {
    /// Which trace.
    pub trace_id: TraceId,
    /// The service of the root: the first span without a parent, or else the first span.
    pub root_service: String,
    /// The name of the root.
    pub root_name: String,
    /// The earliest start, nanoseconds since the epoch.
    pub start_unix_nano: i64,
    /// From the earliest start to the latest end, in nanoseconds; 0 when clocks put it before.
    pub duration_nano: i64,
    /// How many spans we hold.
    pub span_count: usize,
    /// How many of them have the status "error".
    pub error_count: usize,
    /// The services, in the order of their first span.
    pub services: Vec<String>,
    /// The environment of the root, or else of the first span that names one.
    pub environment: Option<String>,
    /// Where the trouble began, as far as we can see.
    pub failing: Option<Failing>,
    /// Whether no span without a parent is held.
    pub root_missing: bool,
    /// How many spans match the query.
    pub matched_spans: usize,
    /// The earliest start of the spans that match, nanoseconds since the epoch.
    pub matched_start_unix_nano: i64,
    /// The longest duration of the spans that match, in nanoseconds; `None` when none has ended.
    pub matched_duration_nano: Option<i64>,
}

/// The first span that failed without a child that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Its service.
    pub service: String,
    /// Its name.
    pub name: String,
    /// The text of its status, or else of the exception it recorded; may be empty.
    pub message: String,
}

/// Sums up a merged trace. `matched` says of each row whether it matches.
pub fn summary(trace: &SpanBatch, matched: &[bool]) -> TraceSummary {
    let mut spans: Vec<SpanRef<'_>> = trace.spans().collect();
    spans.sort_by_key(|span| (span.start_unix_nano(), span.row()));
    let matching = || spans.iter().filter(|span| matched.get(span.row()).is_some_and(|m| *m));

    let root = spans.iter().find(|span| span.parent_id().is_zero());
    let shown = root.or(spans.first());
    let start = spans.first().map_or(0, |span| span.start_unix_nano());
    let end = spans.iter().map(|span| span.end_unix_nano()).max().unwrap_or(start);
    let mut services: Vec<String> = Vec::new();
    let mut known = HashSet::new();
    for span in &spans {
        if known.insert(span.service()) {
            services.push(span.service().to_owned());
        }
    }
    let environments = shown.into_iter().chain(&spans).map(|span| span.resource().environment());

    TraceSummary {
        trace_id: shown.map(|span| span.trace_id()).unwrap_or_default(),
        root_service: shown.map(|span| span.service().to_owned()).unwrap_or_default(),
        root_name: shown.map(|span| span.name().to_owned()).unwrap_or_default(),
        start_unix_nano: start,
        duration_nano: end.saturating_sub(start).max(0),
        span_count: spans.len(),
        error_count: spans.iter().filter(|span| span.status() == StatusCode::Error).count(),
        services,
        environment: environments.flatten().next().map(str::to_owned),
        failing: failing(&spans),
        root_missing: root.is_none(),
        matched_spans: matching().count(),
        matched_start_unix_nano: matching().map(|s| s.start_unix_nano()).min().unwrap_or(start),
        matched_duration_nano: matching().filter_map(|span| span.duration_nano()).max(),
    }
}

/// The first failing leaf of spans in order of start.
///
/// The server side of a call that shares its client's id (Zipkin) counts as the client's child.
fn failing(spans: &[SpanRef<'_>]) -> Option<Failing> {
    let failed = || spans.iter().filter(|span| span.status() == StatusCode::Error);
    let parents: HashSet<SpanId> = failed()
        .filter(|span| span.parent_id() != span.span_id())
        .map(|span| span.parent_id())
        .collect();
    let sides: HashSet<SpanId> = failed()
        .filter(|span| matches!(span.kind(), SpanKind::Server | SpanKind::Consumer))
        .map(|span| span.span_id())
        .collect();
    let has_failed_child = |span: &SpanRef<'_>| {
        let caller = matches!(span.kind(), SpanKind::Client | SpanKind::Producer);
        parents.contains(&span.span_id()) || (caller && sides.contains(&span.span_id()))
    };
    // A loop of parents has no leaf; then the first span that failed has to do.
    let leaf = failed().find(|span| !has_failed_child(span)).or_else(|| failed().next())?;
    let message = match leaf.status_message() {
        "" => leaf
            .events()
            .find_map(|event| event.attributes().value("exception.message"))
            .map(|message| message.text().into_owned())
            .unwrap_or_default(),
        message => message.to_owned(),
    };
    Some(Failing { service: leaf.service().to_owned(), name: leaf.name().to_owned(), message })
}
