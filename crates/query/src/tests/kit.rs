//! Spans in short, and stores that hold them in different ways.

use std::sync::mpsc::channel;

use tempfile::TempDir;
use throughline_model::{
    AttrValue, NO_END, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, StatusCode, TraceId,
};
use throughline_store::{Store, StoreOptions};

use crate::{SearchAnswer, SearchOptions, parse, search};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val {
    Str(&'static str),
    Int(i64),
    Double(f64),
    Bool(bool),
    Bytes(&'static [u8]),
}

impl Val {
    fn attr(&self) -> AttrValue<'_> {
        match self {
            Self::Str(text) => AttrValue::Str(text),
            Self::Int(int) => AttrValue::Int(*int),
            Self::Double(double) => AttrValue::Double(*double),
            Self::Bool(flag) => AttrValue::Bool(*flag),
            Self::Bytes(bytes) => AttrValue::Bytes(bytes),
        }
    }
}

pub(super) type Attrs = Vec<(&'static str, Val)>;

#[derive(Clone, Debug, Default)]
pub(super) struct S {
    pub(super) trace: u8,
    pub(super) id: u8,
    pub(super) parent: u8,
    pub(super) start: i64,
    pub(super) duration: Option<i64>,
    pub(super) name: &'static str,
    pub(super) service: &'static str,
    pub(super) environment: &'static str,
    pub(super) resource: Attrs,
    pub(super) scope: &'static str,
    pub(super) kind: u8,
    pub(super) flags: u32,
    pub(super) status: u8,
    pub(super) message: &'static str,
    pub(super) attrs: Attrs,
    pub(super) events: Vec<(&'static str, Attrs)>,
    pub(super) links: Vec<Attrs>,
}

impl S {
    /// What was sent when the span began: a part of it, with no end.
    pub(super) fn begun(&self) -> Self {
        let mut begun = self.clone();
        begun.duration = None;
        begun.status = 0;
        begun.message = "";
        begun.name = "";
        begun.attrs.truncate(begun.attrs.len() / 2);
        begun.events.clear();
        begun.links.truncate(1);
        begun
    }

    /// What was sent when the span ended, when the rest was sent before.
    pub(super) fn ended(&self) -> Self {
        let mut ended = self.clone();
        ended.attrs.drain(..ended.attrs.len() / 2);
        ended.links.drain(..ended.links.len().min(1));
        ended
    }
}

pub(super) fn batch(spans: &[S]) -> SpanBatch {
    let mut b = SpanBatchBuilder::default();
    for span in spans {
        b.start_resource();
        if !span.service.is_empty() {
            b.attribute("service.name", AttrValue::Str(span.service));
        }
        if !span.environment.is_empty() {
            b.attribute("deployment.environment.name", AttrValue::Str(span.environment));
        }
        attributes(&mut b, &span.resource);
        b.end_resource("", 0);
        b.start_scope(span.scope, "1");
        b.end_scope("", 0);
        b.start_span(TraceId([span.trace; 16]), SpanId([span.id; 8]));
        b.parent_id(SpanId([span.parent; 8]));
        b.name(span.name);
        b.times(span.start, span.duration.unwrap_or(NO_END));
        b.kind(SpanKind::from_number(span.kind));
        b.flags(span.flags);
        b.status(StatusCode::from_number(span.status), span.message);
        attributes(&mut b, &span.attrs);
        for (name, attrs) in &span.events {
            b.start_event(span.start, name, 0);
            attributes(&mut b, attrs);
        }
        for (at, attrs) in span.links.iter().enumerate() {
            b.start_link(TraceId([90 + at as u8; 16]), SpanId([9; 8]), "", 0, 0);
            attributes(&mut b, attrs);
        }
        b.end_span();
    }
    b.finish()
}

fn attributes(b: &mut SpanBatchBuilder, attrs: &Attrs) {
    for (key, value) in attrs {
        b.attribute(key, value.attr());
    }
}

/// A store that holds groups of batches: a block a group, and the last group in memory.
pub(super) fn store(groups: &[Vec<Vec<S>>]) -> (Store, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(directory.path());
    options.retention_ms = None;
    options.flush_after_ms = 3_600_000;
    let store = Store::open(options).unwrap();
    for (at, group) in groups.iter().enumerate() {
        if at > 0 {
            store.flush();
        }
        let (sender, receiver) = channel();
        for spans in group {
            let sender = sender.clone();
            store.append(batch(spans), move |result| sender.send(result).unwrap());
        }
        drop(sender);
        receiver.into_iter().for_each(Result::unwrap);
    }
    (store, directory)
}

pub(super) const EVER: SearchOptions =
    SearchOptions { from: 0, to: i64::MAX, limit: 20, environment: None };

pub(super) fn find(store: &Store, query: &str, options: &SearchOptions) -> SearchAnswer {
    search(&store.snapshot(), &parse(query).unwrap(), options).unwrap()
}

/// The traces found, by the number that their ids repeat.
pub(super) fn traces(answer: &SearchAnswer) -> Vec<u8> {
    answer.traces.iter().map(|trace| trace.trace_id.0[0]).collect()
}
