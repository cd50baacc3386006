//! Spans that are easy to tell apart, and ways to wait for the store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::channel;

use throughline_model::{
    AttrValue, NO_END, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, SpanRef, StatusCode, TraceId,
    merge_pieces,
};
use throughline_store::{AppendError, Snapshot, Store, StoreOptions};

/// A store that flushes only when told to.
pub(crate) fn options(directory: &Path) -> StoreOptions {
    StoreOptions { flush_after_ms: u64::MAX, retention_ms: None, ..StoreOptions::new(directory) }
}

pub(crate) fn open(directory: &Path) -> Store {
    Store::open(options(directory)).unwrap()
}

pub(crate) fn trace_id(n: u64) -> TraceId {
    let mut id = [7; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    TraceId(id)
}

pub(crate) fn span_id(n: u64) -> SpanId {
    SpanId((n + 1).to_be_bytes())
}

/// A trace of `spans` spans with everything a span may have. The root is span 0.
pub(crate) fn trace(n: u64, spans: u64) -> SpanBatch {
    let mut b = SpanBatchBuilder::default();
    b.start_resource();
    b.attribute("service.name", AttrValue::Str(["web", "api", "db"][n as usize % 3]));
    b.attribute("host.cpus", AttrValue::Int(4));
    b.attribute("deployment.environment.name", AttrValue::Str("test"));
    b.end_resource("https://schema.example/1", 0);
    b.start_scope("lib", "1.0");
    b.attribute("scope.key", AttrValue::Bool(true));
    b.end_scope("", 0);
    for i in 0..spans {
        b.start_span(trace_id(n), span_id(i));
        if i > 0 {
            b.parent_id(span_id((i - 1) / 2));
        } else if n % 5 == 4 {
            b.parent_id(SpanId([0xee; 8]));
        }
        b.name(&format!("op {}", i % 4));
        let start = 1_700_000_000_000_000_000 + n as i64 * 1_000_000 + i as i64 * 10;
        b.times(start, if i % 7 == 6 { NO_END } else { 1_000 + i as i64 });
        b.kind(SpanKind::from_number((i % 6) as u8));
        if i % 3 == 2 {
            b.status(StatusCode::Error, &format!("failed {n}"));
        }
        b.flags(0x101);
        b.trace_state(if i % 2 == 0 { "" } else { "a=b" });
        b.attribute("http.route", AttrValue::Str("/v1/things"));
        b.attribute("request.id", AttrValue::Str(&format!("{n}-{i}")));
        b.attribute("http.response.status_code", AttrValue::Int(200 + i as i64));
        b.attribute("ratio", AttrValue::Double(0.25 * i as f64));
        b.attribute("cached", AttrValue::Bool(i % 2 == 0));
        b.attribute("raw", AttrValue::Bytes(&[1, 2, i as u8]));
        b.attribute("request.id", AttrValue::Str("sent twice"));
        if i % 250 == 3 {
            b.attribute(&format!("rare.{i}"), AttrValue::Str("rare"));
        }
        if i % 11 == 5 {
            b.dropped(1, 2, 3);
        }
        b.start_event(start + 5, "exception", 1);
        b.attribute("exception.type", AttrValue::Str("Broken"));
        if i % 4 == 1 {
            b.start_link(trace_id(n + 1), span_id(0), "l=1", 1, 0);
            b.attribute("link.key", AttrValue::Int(i as i64));
        }
        b.end_span();
    }
    b.finish()
}

/// Appends and waits for the answer.
pub(crate) fn append(store: &Store, batch: SpanBatch) -> Result<(), AppendError> {
    let (done, answer) = channel();
    store.append(batch, move |result| done.send(result).unwrap());
    answer.recv().unwrap()
}

/// Everything a span says, as text; attributes in any order.
pub(crate) fn describe(span: SpanRef<'_>) -> String {
    let attributes = |list: throughline_model::Attributes<'_>| {
        let mut all: Vec<_> = list.map(|(k, v)| format!("{k}={v:?}")).collect();
        all.sort();
        all
    };
    let events: Vec<_> = span
        .events()
        .map(|e| (e.time_unix_nano(), e.name(), attributes(e.attributes()), e.dropped()))
        .collect();
    let links: Vec<_> = span
        .links()
        .map(|l| {
            let ids = (l.trace_id(), l.span_id(), l.trace_state(), l.flags());
            (ids, attributes(l.attributes()), l.dropped())
        })
        .collect();
    let resource = span.resource();
    let scope = span.scope();
    format!(
        "{} {} {} {} {}+{:?} {:?} {:?} {:?} {:?} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        span.trace_id(),
        span.span_id(),
        span.parent_id(),
        span.name(),
        span.start_unix_nano(),
        span.duration_nano(),
        span.kind(),
        span.status(),
        span.status_message(),
        span.trace_state(),
        span.flags(),
        span.dropped(),
        attributes(span.attributes()),
        events,
        links,
        (attributes(resource.attributes()), resource.schema_url(), resource.dropped()),
        (scope.name(), scope.version(), scope.schema_url()),
        attributes(scope.attributes()),
    )
}

pub(crate) fn describe_all(batches: &[SpanBatch]) -> Vec<String> {
    let mut all: Vec<_> = batches.iter().flat_map(|batch| batch.spans()).map(describe).collect();
    all.sort();
    all
}

/// The spans of one trace, merged, by id.
pub(crate) fn merged(snapshot: &Snapshot, n: u64) -> BTreeMap<SpanId, String> {
    let pieces = snapshot.trace(trace_id(n)).unwrap();
    let merged = merge_pieces(&[&pieces]);
    merged.spans().map(|span| (span.span_id(), describe(span))).collect()
}
