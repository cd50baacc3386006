//! Spans in one line each, and maps as text.
#![allow(dead_code, reason = "each test file uses its own half")]
#![allow(unreachable_pub, reason = "a module of each test file")]

use std::collections::BTreeMap;

use throughline_model::{
    AttrValue, NO_END, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, StatusCode, TraceId, xray,
};
use throughline_topology::{Linker, MapFilter, MapPart, ServiceMap};

pub const MINUTE: i64 = 60_000_000_000;
/// The start of all spans that name no other: a whole minute of 2023.
pub const START: i64 = 28_333_333 * MINUTE;

/// A span to be written. `0` is no parent; all traces are trace 1 unless said otherwise.
#[derive(Clone, Debug)]
pub struct Span {
    pub service: &'static str,
    pub resource: Vec<(&'static str, &'static str)>,
    pub kind: SpanKind,
    pub trace: u8,
    pub id: u8,
    pub parent: u8,
    pub name: String,
    pub start: i64,
    pub duration: i64,
    pub failed: bool,
    pub flags: u32,
    pub attributes: Vec<(&'static str, &'static str)>,
    pub links: Vec<(u8, u8)>,
}

pub fn span(service: &'static str, kind: SpanKind, id: u8, parent: u8) -> Span {
    Span {
        service,
        resource: Vec::new(),
        kind,
        trace: 1,
        id,
        parent,
        name: kind.word().to_owned(),
        start: START,
        duration: 1_000,
        failed: false,
        flags: 0,
        attributes: Vec::new(),
        links: Vec::new(),
    }
}

impl Span {
    pub fn with(mut self, key: &'static str, value: &'static str) -> Self {
        self.attributes.push((key, value));
        self
    }

    pub fn of_environment(mut self, key: &'static str, value: &'static str) -> Self {
        self.resource.push((key, value));
        self
    }

    pub fn in_trace(self, trace: u8) -> Self {
        Self { trace, ..self }
    }

    pub fn linked_to(mut self, trace: u8, id: u8) -> Self {
        self.links.push((trace, id));
        self
    }

    pub fn failed(self) -> Self {
        Self { failed: true, ..self }
    }

    pub fn lasting(self, duration: i64) -> Self {
        Self { duration, ..self }
    }

    pub fn at(self, start: i64) -> Self {
        Self { start, ..self }
    }

    pub fn open(self) -> Self {
        Self { duration: NO_END, ..self }
    }

    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    pub fn flagged(self, flags: u32) -> Self {
        Self { flags, ..self }
    }
}

pub fn batch(spans: &[Span]) -> SpanBatch {
    let mut builder = SpanBatchBuilder::default();
    for span in spans {
        builder.start_resource();
        if !span.service.is_empty() {
            builder.attribute("service.name", AttrValue::Str(span.service));
        }
        for (key, value) in &span.resource {
            builder.attribute(key, AttrValue::Str(value));
        }
        builder.end_resource("", 0);
        // Without a service: an X-Ray subsegment that came alone.
        builder.start_scope(if span.service.is_empty() { xray::SCOPE } else { "test" }, "1");
        builder.end_scope("", 0);
        builder.start_span(TraceId([span.trace; 16]), SpanId([span.id; 8]));
        builder.parent_id(SpanId([span.parent; 8]));
        builder.kind(span.kind);
        builder.name(&span.name);
        builder.flags(span.flags);
        builder.times(span.start, span.duration);
        if span.failed {
            builder.status(StatusCode::Error, "no");
        }
        for (key, value) in &span.attributes {
            match value.parse() {
                Ok(number) => builder.attribute(key, AttrValue::Int(number)),
                Err(_) => builder.attribute(key, AttrValue::Str(value)),
            }
        }
        for (trace, id) in &span.links {
            builder.start_link(TraceId([*trace; 16]), SpanId([*id; 8]), "", 0, 0);
        }
        builder.end_span();
    }
    builder.finish()
}

/// The sum of the parts of these batches, observed one after the other.
pub fn observed(batches: &[&[Span]]) -> MapPart {
    let mut linker = Linker::default();
    let mut sum = MapPart::default();
    for spans in batches {
        sum.merge(&linker.observe(&[&batch(spans)]));
    }
    named_spans_are_those_that_count(&linker, &sum);
    sum
}

/// What an edge counts and which spans it counts must never part.
#[track_caller]
fn named_spans_are_those_that_count(linker: &Linker, sum: &MapPart) {
    let mut counted: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let map = sum.view(&ALWAYS);
    for edge in &map.edges {
        *counted.entry((&edge.from, &edge.to)).or_default() += edge.requests;
    }
    for ((from, to), requests) in counted {
        let spans = linker.spans_at_edge(from, to);
        assert_eq!(spans.len() as u64, requests, "{from} -> {to}: {spans:?}");
    }
}

pub const ALWAYS: MapFilter<'static> =
    MapFilter { from_unix_nano: 0, to_unix_nano: i64::MAX, environment: None };

/// `id requests/errors` for nodes, `from -> to kind requests/errors evidence` for edges.
pub fn lines(map: &ServiceMap) -> Vec<String> {
    let nodes = map.nodes.iter().map(|n| format!("{} {}/{}", n.id, n.requests, n.errors));
    let edges = map.edges.iter().map(|e| {
        let evidence: Vec<&str> = e.evidence.iter().map(|e| e.word()).collect();
        let (kind, evidence) = (e.kind.word(), evidence.join("+"));
        format!("{} -> {} {kind} {}/{} {evidence}", e.from, e.to, e.requests, e.errors)
    });
    nodes.chain(edges).collect()
}

/// Checks the map of `spans` as one batch, as single spans in order, and in reverse.
#[track_caller]
pub fn check(spans: &[Span], expected: &[&str]) {
    let whole = observed(&[spans]);
    assert_eq!(lines(&whole.view(&ALWAYS)), expected);
    let one_by_one: Vec<&[Span]> = spans.chunks(1).collect();
    assert_eq!(lines(&observed(&one_by_one).view(&ALWAYS)), expected, "one by one");
    let reverse: Vec<&[Span]> = spans.chunks(1).rev().collect();
    assert_eq!(lines(&observed(&reverse).view(&ALWAYS)), expected, "in reverse");
}
