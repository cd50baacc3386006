//! The spans that are looked at, so that any of them is found by its ids.
//!
//! In:   batches, newest trace first; each holds whole, merged traces.
//! Out:  every span once, its parent where that is in its trace, and what its trace is like.
//! Rule: the set of spans decides; neither the order of the batches nor a repeated one matters.

use throughline_model::{AttrValue, SpanBatch, SpanId, SpanKind, SpanRef, TraceId, xray};

use super::diagnose::Options;

/// How far two clocks may differ where a call and its answer are compared, in nanoseconds.
pub(super) const SLACK_NANO: i64 = 20_000_000;

/// How far apart two traces of one request may begin, in nanoseconds.
pub(super) const ADJACENT_NANO: i64 = 15 * 60 * 1_000_000_000;

/// Spans of one id, or traces of one half, that are compared: more are a constant, and no id.
const SAME_ID_MAX: usize = 64;

pub(super) struct Corpus<'b> {
    /// By trace, span, kind.
    pub(super) spans: Vec<Known<'b>>,
    /// By id.
    pub(super) traces: Vec<Trace>,
    pub(super) batches: Vec<&'b SpanBatch>,
    pub(super) truncated: bool,
    by_span: Vec<(SpanId, u32)>,
    by_low: Vec<(u64, u32)>,
}

/// A span and what its trace says of it.
#[derive(Clone, Copy)]
pub(super) struct Known<'b> {
    pub(super) span: SpanRef<'b>,
    /// Its place in [`Corpus::traces`].
    pub(super) trace: u32,
    /// Its parent's place in [`Corpus::spans`].
    pub(super) parent: Option<u32>,
    /// Whether a span below it is another service's or the other side of a call.
    pub(super) is_answered: bool,
    /// Whether a call lies in it, so that it is no call itself.
    pub(super) has_inner_call: bool,
}

/// One trace.
#[derive(Clone, Copy)]
pub(super) struct Trace {
    pub(super) id: TraceId,
    /// Place of its first span, and how many there are.
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) start_unix_nano: i64,
    pub(super) end_unix_nano: i64,
    /// Whether nothing of it came of late.
    pub(super) is_settled: bool,
}

impl<'b> Corpus<'b> {
    pub(super) fn of(batches: impl Iterator<Item = &'b SpanBatch>, options: &Options) -> Self {
        let mut truncated = false;
        let (mut kept, mut spans) = (Vec::new(), Vec::new());
        for batch in batches {
            if kept.len() >= options.traces_max {
                truncated = true;
                break;
            }
            // One huge trace does not hide the others.
            if spans.len() + batch.len() > options.spans_max {
                truncated = true;
                continue;
            }
            kept.push(batch);
            spans.extend(batch.spans());
        }
        spans.sort_by_cached_key(|span| {
            let own = (span.trace_id(), span.span_id(), span.kind(), span.start_unix_nano());
            (own, span.end_unix_nano(), span.parent_id(), span.name())
        });
        spans.dedup_by_key(|span| span.key());
        let known = |span: SpanRef<'b>| Known {
            span,
            trace: 0,
            parent: None,
            is_answered: false,
            has_inner_call: false,
        };
        let spans: Vec<Known<'b>> = spans.into_iter().map(known).collect();
        let mut corpus = Self {
            spans,
            traces: Vec::new(),
            batches: kept,
            truncated,
            by_span: Vec::new(),
            by_low: Vec::new(),
        };
        corpus.find_traces(options);
        corpus.find_parents();
        corpus
    }

    fn find_traces(&mut self, options: &Options) {
        let settled = options.now_unix_nano.saturating_sub(options.settle_nano);
        for (at, known) in self.spans.iter_mut().enumerate() {
            let (id, span) = (known.span.trace_id(), known.span);
            if self.traces.last().is_none_or(|trace| trace.id != id) {
                self.by_low.push((low_half(id), self.traces.len() as u32));
                self.traces.push(Trace {
                    id,
                    first: at,
                    count: 0,
                    start_unix_nano: i64::MAX,
                    end_unix_nano: i64::MIN,
                    is_settled: true,
                });
            }
            known.trace = self.traces.len() as u32 - 1;
            self.by_span.push((span.span_id(), at as u32));
            let Some(trace) = self.traces.last_mut() else { continue };
            trace.count += 1;
            trace.start_unix_nano = trace.start_unix_nano.min(span.start_unix_nano());
            trace.end_unix_nano = trace.end_unix_nano.max(span.end_unix_nano());
            trace.is_settled = trace.end_unix_nano <= settled;
        }
        self.by_span.sort_unstable();
        self.by_low.sort_unstable();
    }

    fn find_parents(&mut self) {
        for at in 0..self.spans.len() {
            let Some(parent) = self.spans.get(at).and_then(|known| self.parent_of(known)) else {
                continue;
            };
            let Some(child) = self.spans.get_mut(at) else { continue };
            child.parent = Some(parent as u32);
            let (kind, service) = (child.span.kind(), child.span.service());
            if let Some(parent) = self.spans.get_mut(parent) {
                parent.is_answered |= is_entry(kind) || parent.span.service() != service;
                parent.has_inner_call |= kind == SpanKind::Client;
            }
        }
    }

    /// Of two spans that share an id the caller is the parent of the callee, and of what lies
    /// below them the one of the same service.
    fn parent_of(&self, known: &Known<'b>) -> Option<usize> {
        let span = known.span;
        let twin = |at: &usize| {
            self.spans.get(*at).is_some_and(|twin| twin.span.kind() == SpanKind::Client)
        };
        if span.kind() == SpanKind::Server
            && let Some(caller) = self.places(span.trace_id(), span.span_id()).find(twin)
        {
            return Some(caller);
        }
        if span.parent_id().is_zero() || span.parent_id() == span.span_id() {
            return None;
        }
        let mut places = self.places(span.trace_id(), span.parent_id());
        let first = places.next()?;
        let same = |at: &usize| {
            self.spans.get(*at).is_some_and(|other| other.span.service() == span.service())
        };
        if same(&first) { Some(first) } else { places.find(same).or(Some(first)) }
    }

    /// The places of a span, one for each kind that it came in.
    fn places(&self, trace: TraceId, span: SpanId) -> impl Iterator<Item = usize> {
        let key = |known: &Known<'b>| (known.span.trace_id(), known.span.span_id());
        let from = self.spans.partition_point(|known| key(known) < (trace, span));
        let rest = self.spans.get(from..).unwrap_or_default();
        let count = rest.iter().take_while(|known| key(known) == (trace, span)).count();
        from..from + count
    }

    pub(super) fn find(&self, trace: TraceId, span: SpanId) -> Option<&Known<'b>> {
        self.places(trace, span).next().and_then(|at| self.spans.get(at))
    }

    /// The spans of an id, of any trace, by trace; at most [`SAME_ID_MAX`].
    pub(super) fn everywhere(&self, id: SpanId) -> impl Iterator<Item = &Known<'b>> {
        let from = self.by_span.partition_point(|(known, _)| *known < id);
        let rest = self.by_span.get(from..).unwrap_or_default();
        let rest = rest.iter().take_while(move |(known, _)| *known == id).take(SAME_ID_MAX);
        rest.filter_map(|(_, at)| self.spans.get(*at as usize))
    }

    /// Runs of traces whose ids have the same low half, where there are two at least; of each
    /// [`SAME_ID_MAX`] at most.
    pub(super) fn same_low_half(&self) -> impl Iterator<Item = Vec<&Trace>> {
        let runs = self.by_low.chunk_by(|a, b| a.0 == b.0).filter(|run| run.len() > 1);
        runs.map(|run| {
            let run = run.iter().take(SAME_ID_MAX);
            run.filter_map(|(_, at)| self.traces.get(*at as usize)).collect()
        })
    }

    pub(super) fn spans_of(&self, trace: &Trace) -> &[Known<'b>] {
        self.spans.get(trace.first..trace.first + trace.count).unwrap_or_default()
    }

    pub(super) fn is_settled(&self, known: &Known<'b>) -> bool {
        self.traces.get(known.trace as usize).is_some_and(|trace| trace.is_settled)
    }

    pub(super) fn parent(&self, known: &Known<'b>) -> Option<&Known<'b>> {
        self.spans.get(known.parent? as usize)
    }

    /// Spans that name a parent which their trace does not hold, of settled traces or of young.
    pub(super) fn orphans(&self, settled: bool) -> impl Iterator<Item = &Known<'b>> {
        self.spans.iter().filter(move |known| {
            known.parent.is_none()
                && !known.span.parent_id().is_zero()
                && self.is_settled(known) == settled
        })
    }
}

/// Whether a kind is the answering side.
pub(super) fn is_entry(kind: SpanKind) -> bool {
    matches!(kind, SpanKind::Server | SpanKind::Consumer)
}

pub(super) fn low_half(id: TraceId) -> u64 {
    id.0.iter().skip(8).fold(0, |low, byte| low << 8 | u64::from(*byte))
}

pub(super) fn has_half(id: TraceId) -> bool {
    id.0.iter().take(8).all(|byte| *byte == 0)
}

/// Whether two ids are of one trace, with the upper half lost on one side.
pub(super) fn is_cut(a: TraceId, b: TraceId) -> bool {
    low_half(a) == low_half(b) && has_half(a) != has_half(b)
}

/// Whether two spans may be of one environment.
pub(super) fn same_environment(a: SpanRef<'_>, b: SpanRef<'_>) -> bool {
    match (a.resource().environment(), b.resource().environment()) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

/// Whether a callee may have begun while its caller ran or after it, in one request.
pub(super) fn may_follow(caller: SpanRef<'_>, callee: SpanRef<'_>) -> bool {
    let later = callee.start_unix_nano().saturating_sub(caller.start_unix_nano());
    (-crate::stitch::SKEW_MAX_NANO..=ADJACENT_NANO).contains(&later)
        && same_environment(caller, callee)
}

/// The first of some attributes that is there, as text; numbers too.
pub(super) fn text_of(span: SpanRef<'_>, keys: &[&str]) -> Option<String> {
    let text = |key: &&str| match span.attribute(key)? {
        AttrValue::Str(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        AttrValue::Int(number) => Some(number.to_string()),
        _ => None,
    };
    keys.iter().find_map(text)
}

/// A text attribute of the resource.
pub(super) fn resource_text<'a>(span: SpanRef<'a>, key: &str) -> Option<&'a str> {
    span.resource().attributes().value(key).and_then(AttrValue::as_str).filter(|t| !t.is_empty())
}

/// Whether X-Ray's SDK made the span.
pub(super) fn is_xray(span: SpanRef<'_>) -> bool {
    span.attribute(xray::TYPE).is_some()
}
