//! Spans whose parent is nowhere, and why.
//!
//! In:   spans that name a parent which no trace that is looked at holds.
//! Out:  still arriving, X-Ray's parent that won, an unsampled parent, or a missing one.
//! Rule: X-Ray developer guide, "Trace ID format": the first 32 bits are the second in which the
//!       trace began. A share of missing parents that stays the same is a sampling rate; one that
//!       changes is a fault.

use std::collections::BTreeMap;

use ahash::AHashSet;
use throughline_context::Sampling;
use throughline_model::{SpanRef, TraceId};

use super::case::{Case, Cases};
use super::corpus::{Corpus, is_entry, is_xray, resource_text};
use super::headers::{captured, place};
use super::report::{Hop, Kind};
use crate::stitch::{Class, SpanAt};

const HOUR_SECONDS: i64 = 3_600;

/// Parts of the time in which the share of missing parents is compared.
const PARTS: usize = 4;

/// Entries in each part without which a share is not judged.
const ENTRIES_PER_PART_MIN: usize = 10;

/// OTLP: the flags say whether the parent is remote, so they were set.
///
/// **Rule:** opentelemetry-proto, `trace.proto`, `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`.
const FLAGS_ARE_KNOWN: u32 = 0x100;
/// **Rule:** W3C Trace Context level 2, section 3.2.2.5.1 (sampled flag).
const SAMPLED: u32 = 1;

fn case<'c>(kind: Kind, span: SpanRef<'c>, class: Class, fact: &str) -> Case<'c> {
    let is_message = span.kind() == throughline_model::SpanKind::Consumer;
    Case {
        kind,
        hop: Hop {
            from: None,
            to: Some(span.service().to_owned()),
            over: if is_message { "message" } else { "http" }.to_owned(),
            resource: None,
        },
        class,
        at_unix_nano: span.start_unix_nano(),
        from: None,
        to: Some(span),
        facts: vec![fact.to_owned()],
        formats: Vec::new(),
    }
}

/// Finds them. `explained` are spans whose parent was found elsewhere.
pub(super) fn find(corpus: &Corpus<'_>, explained: &AHashSet<SpanAt>, cases: &mut Cases) {
    for known in corpus.orphans(false) {
        let fact = "the trace is young, and its parent span may still be on its way";
        cases.add(case(Kind::StillArriving, known.span, Class::Parent, fact));
    }
    let mut unknown: BTreeMap<&str, Vec<SpanRef<'_>>> = BTreeMap::new();
    for known in corpus.orphans(true) {
        let span = known.span;
        if explained.contains(&(span.trace_id(), span.span_id())) {
            continue;
        }
        match reason(span) {
            Some((kind, fact)) => cases.add(case(kind, span, Class::RepairedId, fact)),
            None => unknown.entry(span.service()).or_default().push(span),
        }
    }
    let mut callers = callers(corpus, &unknown);
    for (service, orphans) in unknown {
        let (kind, fact) = by_share(callers.remove(service).unwrap_or_default());
        for span in orphans {
            cases.add(case(kind, span, Class::Pairing, fact));
        }
    }
}

/// What the span itself says.
fn reason(span: SpanRef<'_>) -> Option<(Kind, &'static str)> {
    let decision = captured(span).and_then(|read| read.context).filter(|context| {
        let (trace, parent) = place(context);
        trace == span.trace_id() && parent == span.parent_id()
    });
    if decision.is_some_and(|context| context.sampling == Sampling::Deny) {
        return Some((
            Kind::UnsampledParent,
            "the header that arrived says that it is not sampled",
        ));
    }
    let is_lambda = resource_text(span, "cloud.platform") == Some("aws_lambda")
        || resource_text(span, "faas.name").is_some()
        || span.attribute("faas.invocation_id").is_some();
    if is_lambda && is_entry(span.kind()) && !is_xray(span) && is_xray_time(span) {
        let fact = "the trace id begins with the time of the request, as X-Ray's do";
        return Some((Kind::XrayParentWon, fact));
    }
    let is_known = span.flags() & FLAGS_ARE_KNOWN != 0;
    (is_known && span.flags() & SAMPLED == 0)
        .then_some((Kind::UnsampledParent, "the flags of the span say that it is not sampled"))
}

fn is_xray_time(span: SpanRef<'_>) -> bool {
    let began = span.start_unix_nano() / 1_000_000_000;
    began.abs_diff(seconds(span.trace_id())) <= HOUR_SECONDS.unsigned_abs()
}

fn seconds(id: TraceId) -> i64 {
    id.0.iter().take(4).fold(0, |all, byte| all << 8 | i64::from(*byte))
}

/// When a span began, which it is, and whether its parent is nowhere.
type Caller = (i64, SpanAt, bool);

/// The spans of some services that name a parent of another process, by service, in any order.
fn callers<'b>(
    corpus: &Corpus<'b>,
    unknown: &BTreeMap<&str, Vec<SpanRef<'_>>>,
) -> BTreeMap<&'b str, Vec<Caller>> {
    let at = |span: &SpanRef<'_>| (span.trace_id(), span.span_id());
    let missing: AHashSet<SpanAt> = unknown.values().flatten().map(at).collect();
    let mut callers: BTreeMap<&str, Vec<Caller>> = BTreeMap::new();
    for known in corpus.spans.iter().filter(|known| corpus.is_settled(known)) {
        let span = known.span;
        let has_caller = is_entry(span.kind()) || known.parent.is_none();
        if has_caller && !span.parent_id().is_zero() && unknown.contains_key(span.service()) {
            let caller = (span.start_unix_nano(), at(&span), missing.contains(&at(&span)));
            callers.entry(span.service()).or_default().push(caller);
        }
    }
    callers
}

/// What the share of missing parents says of a service.
fn by_share(mut callers: Vec<Caller>) -> (Kind, &'static str) {
    callers.sort_unstable();
    let lost: Vec<bool> = callers.into_iter().map(|(_, _, is_missing)| is_missing).collect();
    if lost.iter().all(|is_missing| *is_missing) {
        return (Kind::MissingParent, "no caller of this service has ever sent its spans");
    }
    if lost.len() < PARTS * ENTRIES_PER_PART_MIN {
        return (Kind::MissingParent, "too few requests to tell a rate from a fault");
    }
    if is_constant(&lost) {
        (Kind::UnsampledParent, "the same share of callers is missing at all times")
    } else {
        (Kind::MissingParent, "the share of missing callers changes over time")
    }
}

/// Whether each part of the time has the share of the whole, within three standard deviations.
fn is_constant(lost: &[bool]) -> bool {
    let share = lost.iter().filter(|is_missing| **is_missing).count() as f64 / lost.len() as f64;
    let size = lost.len().div_ceil(PARTS).max(1);
    lost.chunks(size).all(|part| {
        let (count, found) = (part.len() as f64, part.iter().filter(|missing| **missing).count());
        let spread = (count * share * (1.0 - share)).sqrt();
        (found as f64 - count * share).abs() <= 3.0 * spread
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_stays_and_a_fault_does_not() {
        let rate: Vec<bool> = (0..200).map(|at| at % 10 == 3).collect();
        assert!(is_constant(&rate));
        let fault: Vec<bool> = (0..200).map(|at| at > 150 && at % 2 == 0).collect();
        assert!(!is_constant(&fault));
    }
}
