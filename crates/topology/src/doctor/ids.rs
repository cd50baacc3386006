//! Ids that differ by a known damage: half a trace id, a parent in another trace, one id for two.
//!
//! Rule: Zipkin's and Jaeger's ids of 64 bits are those of 128 with a zero half in front (B3
//!       propagation, "TraceId"; W3C Trace Context level 2, section 3.2.2.3). Zipkin gives the
//!       two sides of a call one span id; OpenTelemetry must not (specification, B3).

use ahash::AHashSet;
use throughline_model::{SpanId, SpanKind, SpanRef, TraceId};

use super::case::{Case, Cases};
use super::corpus::{
    ADJACENT_NANO, Corpus, Known, Trace, has_half, is_cut, is_xray, low_half, may_follow,
    same_environment,
};
use super::diagnose::Options;
use super::report::{Hop, Kind};
use crate::stitch::{Class, Source, SpanAt};

fn case<'c>(kind: Kind, from: Option<SpanRef<'c>>, to: SpanRef<'c>, fact: String) -> Case<'c> {
    let is_message = to.kind() == SpanKind::Consumer
        || from.is_some_and(|from| from.kind() == SpanKind::Producer);
    Case {
        kind,
        hop: Hop {
            from: from.map(|from| from.service().to_owned()),
            to: Some(to.service().to_owned()),
            over: if is_message { "message" } else { "http" }.to_owned(),
            resource: None,
        },
        class: if kind == Kind::SharedSpanId { Class::Parent } else { Class::RepairedId },
        at_unix_nano: to.start_unix_nano(),
        from,
        to: Some(to),
        facts: vec![fact],
        formats: Vec::new(),
    }
}

/// Parents that are spans of another trace. Gives the spans that this explains.
pub(super) fn rewritten<'b>(corpus: &'b Corpus<'b>, cases: &mut Cases) -> AHashSet<SpanAt> {
    let mut explained = AHashSet::new();
    for known in corpus.orphans(true) {
        let span = known.span;
        let is_parent = |other: &&Known<'_>| {
            other.span.trace_id() != span.trace_id() && may_follow(other.span, span)
        };
        let mut parents = corpus.everywhere(span.parent_id()).filter(is_parent);
        let (Some(first), second) = (parents.next(), parents.next()) else { continue };
        let mut all = [Some(first), second].into_iter().flatten();
        let cut = all.find(|parent| is_cut(parent.span.trace_id(), span.trace_id()));
        let (kind, parent, fact) = match (cut, second) {
            (Some(parent), _) => {
                (Kind::TruncatedTraceId, parent, "the parent is in the trace with the other half")
            }
            // An id that several traces have is no id.
            (None, Some(other)) if other.span.trace_id() != first.span.trace_id() => continue,
            (None, _) => (Kind::RewrittenTraceId, first, "the parent is a span of another trace"),
        };
        explained.insert((span.trace_id(), span.span_id()));
        explained.insert((parent.span.trace_id(), parent.span.span_id()));
        cases.add(case(kind, Some(parent.span), span, fact.to_owned()));
    }
    explained
}

/// Traces of one request with the upper half of the id in one and zeros in the other, where no
/// parent says it. The source is asked for the short form of the newest that look unanswered.
///
/// # Errors
///
/// Those of the source.
pub(super) fn truncated<'b, S: Source>(
    corpus: &'b Corpus<'b>,
    source: &S,
    options: &Options,
    explained: &mut AHashSet<SpanAt>,
    cases: &mut Cases,
) -> Result<(), S::Error> {
    let is_told = |trace: &Trace, explained: &AHashSet<SpanAt>| {
        let mut spans = corpus.spans_of(trace).iter();
        spans.any(|known| explained.contains(&(known.span.trace_id(), known.span.span_id())))
    };
    let mut paired: AHashSet<TraceId> = AHashSet::new();
    for run in corpus.same_low_half() {
        let Some(half) = run.iter().copied().find(|trace| has_half(trace.id)) else { continue };
        for whole in run.iter().copied().filter(|trace| !has_half(trace.id)) {
            paired.extend([half.id, whole.id]);
            let apart = half.start_unix_nano.abs_diff(whole.start_unix_nano);
            let is_near = apart <= ADJACENT_NANO.unsigned_abs();
            let is_young = !half.is_settled || !whole.is_settled;
            if !is_near || is_young || is_told(half, explained) && is_told(whole, explained) {
                continue;
            }
            let (from, to) = if half.start_unix_nano < whole.start_unix_nano {
                (half, whole)
            } else {
                (whole, half)
            };
            let (Some(from), Some(to)) = (last_call(corpus, from), top(corpus, to)) else {
                continue;
            };
            if same_environment(from, to) {
                explained.insert((to.trace_id(), to.span_id()));
                explained.insert((from.trace_id(), from.span_id()));
                let fact = "the lower halves are equal and one upper half is zero".to_owned();
                cases.add(case(Kind::TruncatedTraceId, Some(from), to, fact));
            }
        }
    }
    let mut left = options.traces_read_max;
    let mut newest: Vec<&Trace> = corpus.traces.iter().collect();
    newest.sort_by_key(|trace| (std::cmp::Reverse(trace.start_unix_nano), trace.id));
    for trace in newest {
        if has_half(trace.id) || !trace.is_settled || paired.contains(&trace.id) {
            continue;
        }
        let Some(from) = last_call(corpus, trace).filter(|from| from.kind() == SpanKind::Client)
        else {
            continue;
        };
        if explained.contains(&(from.trace_id(), from.span_id())) {
            continue;
        }
        if left == 0 {
            break;
        }
        left -= 1;
        let Some(batch) = source.trace(short_form(trace.id))? else { continue };
        let first = batch.spans().min_by_key(|span| (span.start_unix_nano(), span.span_id()));
        if let Some(to) = first.filter(|to| may_follow(from, *to)) {
            explained.insert((from.trace_id(), from.span_id()));
            let fact = "the lower halves are equal and one upper half is zero".to_owned();
            cases.add(case(Kind::TruncatedTraceId, Some(from), to, fact));
        }
    }
    Ok(())
}

fn short_form(id: TraceId) -> TraceId {
    TraceId(u128::from(low_half(id)).to_be_bytes())
}

/// The last call of a trace that nobody answered, or else its last span that has a call's kind.
fn last_call<'b>(corpus: &Corpus<'b>, trace: &Trace) -> Option<SpanRef<'b>> {
    let spans = corpus.spans_of(trace);
    let rank = |known: &&Known<'b>| {
        let is_call = known.span.kind() == SpanKind::Client && !known.has_inner_call;
        (is_call && !known.is_answered, is_call, known.span.start_unix_nano(), known.span.span_id())
    };
    spans.iter().max_by_key(rank).map(|known| known.span)
}

/// The first span of a trace whose parent is not in it.
fn top<'b>(corpus: &Corpus<'b>, trace: &Trace) -> Option<SpanRef<'b>> {
    let tops = corpus.spans_of(trace).iter().filter(|known| known.parent.is_none());
    let order = |known: &&Known<'b>| (known.span.start_unix_nano(), known.span.span_id());
    tops.min_by_key(order).map(|known| known.span)
}

/// Both sides of a call under one id, as Zipkin has it.
pub(super) fn shared(corpus: &Corpus<'_>, cases: &mut Cases) {
    for pair in corpus.spans.windows(2) {
        let [a, b] = pair else { continue };
        let at = |known: &Known<'_>| (known.span.trace_id(), known.span.span_id());
        let sides = match (a.span.kind(), b.span.kind()) {
            // They come by kind.
            (SpanKind::Server, SpanKind::Client) => Some((b.span, a.span)),
            _ => None,
        };
        let Some((from, to)) = sides.filter(|_| at(a) == at(b)) else { continue };
        let fact = "both spans have the same id, and each is kept".to_owned();
        cases.add(case(Kind::SharedSpanId, Some(from), to, fact));
    }
}

/// Ids that are the text of an id, or decimal digits only.
pub(super) fn malformed(corpus: &Corpus<'_>, cases: &mut Cases) {
    let mut decimal: ahash::AHashMap<&str, (usize, Vec<SpanRef<'_>>)> = ahash::AHashMap::new();
    for trace in &corpus.traces {
        let Some(top) = top(corpus, trace).filter(|top| !is_xray(*top)) else { continue };
        let (count, digits) = decimal.entry(top.service()).or_default();
        *count += 1;
        if is_decimal(&trace.id.0) {
            digits.push(top);
        }
        if is_text(&trace.id.0) || is_text_span(top.span_id()) {
            let fact = "the bytes of the id are the letters of a hexadecimal text".to_owned();
            cases.add(Case { class: Class::Explicit, ..case(Kind::MalformedId, None, top, fact) });
        }
    }
    for (count, digits) in decimal.into_values() {
        // One id in three million is like this by chance.
        if digits.len() * 2 < count || digits.len() < 3 {
            continue;
        }
        for top in digits {
            let fact = "the id has decimal digits only, as a decimal number sent for hexadecimal";
            let case = case(Kind::MalformedId, None, top, fact.to_owned());
            cases.add(Case { class: Class::Explicit, ..case });
        }
    }
}

fn is_text(id: &[u8]) -> bool {
    id.iter().all(|byte| byte.is_ascii_hexdigit())
}

fn is_text_span(id: SpanId) -> bool {
    is_text(&id.0)
}

/// Whether no digit is a letter, in an id that has more than half of its digits.
fn is_decimal(id: &[u8; 16]) -> bool {
    let zeros = id.iter().take_while(|byte| **byte == 0).count();
    zeros < 4 && id.iter().all(|byte| byte >> 4 < 10 && byte & 15 < 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_texts_or_decimal_are_told_from_ids() {
        assert!(is_text(b"4bf92f3577b34da6"));
        assert!(!is_text(&[0x4b, 0xf9, 0x2f, 0x35]));
        assert!(is_decimal(&[
            0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0, 1, 2, 3, 4, 5
        ]));
        assert!(!is_decimal(&[0x1a; 16]));
        assert!(!is_decimal(&5_u128.to_be_bytes()), "a small number in a test");
    }
}
