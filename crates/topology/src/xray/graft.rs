//! Which entity lies below which, whatever order they came in.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use throughline_model::{SpanBatch, SpanId, SpanKind, SpanRef, TraceId};

use super::facts::{self, Attrs, is_xray, is_xray_segment};
use super::view::Draft;
use super::{Entity, LAMBDA_FUNCTION, ServiceId, inferred_service};

/// The name of a function's segment of which nothing is known, as the SDKs call theirs.
pub(super) const FACADE: &str = "facade";

/// The spans of the trace by start, each entity once.
///
/// Segment documents of one id are one entity whatever their kind: the finished one wins, then the
/// one that says most. Spans of OpenTelemetry may share an id between the two sides of a call.
pub(super) fn chosen(trace: &SpanBatch, trace_id: TraceId) -> Vec<SpanRef<'_>> {
    let identity = |span: &SpanRef<'_>| match is_xray(*span) {
        true => (span.span_id(), 0, SpanKind::Unspecified),
        false => (span.span_id(), 1, span.kind()),
    };
    let said = |span: &SpanRef<'_>| {
        Reverse((
            span.duration_nano().is_some(),
            span.end_unix_nano(),
            Reverse(span.start_unix_nano()),
            span.attributes().len(),
            span.parent_id(),
            span.kind(),
        ))
    };
    let mut spans: Vec<_> = trace
        .spans()
        .filter(|span| span.trace_id() == trace_id)
        .map(|span| (identity(&span), said(&span), span))
        .collect();
    spans.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    spans.dedup_by_key(|(identity, ..)| *identity);
    spans.sort_by_key(|(identity, _, span)| (span.start_unix_nano(), *identity));
    spans.into_iter().map(|(.., span)| span).collect()
}

/// Finds every parent and every child; no parent leads back to its child.
pub(super) fn find_parents(draft: &mut Draft<'_>) {
    let mut by_id: Vec<(SpanId, usize)> =
        draft.entities.iter().enumerate().map(|(at, entity)| (entity.id, at)).collect();
    by_id.sort_unstable();
    for at in 0..draft.entities.len() {
        draft.entities[at].parent = parent_of(draft, &by_id, at);
    }
    stand_in_for_lost_parents(draft, &by_id);
    cut_loops(&mut draft.entities);
    draft.children = vec![Vec::new(); draft.entities.len()];
    for (at, entity) in draft.entities.iter().enumerate() {
        if let Some(parent) = entity.parent {
            draft.children[parent].push(at);
        }
    }
}

/// The entities of one id, as places.
fn of_id(by_id: &[(SpanId, usize)], id: SpanId) -> impl Iterator<Item = usize> {
    let start = by_id.partition_point(|(other, _)| *other < id);
    by_id[start..].iter().take_while(move |(other, _)| *other == id).map(|(_, at)| *at)
}

/// The calling side of the same id (Zipkin's shared spans), else the entity that was named as the
/// parent: that of the same service first, then the answering side before the calling side.
///
/// **Rule:** openzipkin/b3-propagation, "shared spans"; ADR-0004.
fn parent_of(draft: &Draft<'_>, by_id: &[(SpanId, usize)], at: usize) -> Option<usize> {
    let entity = &draft.entities[at];
    let span = entity.span?;
    let kind_of = |at: &usize| draft.entities[*at].span.map(SpanRef::kind);
    let is_caller = |at: &usize| matches!(kind_of(at), Some(SpanKind::Client | SpanKind::Producer));
    if !is_xray(span) && matches!(span.kind(), SpanKind::Server | SpanKind::Consumer) {
        let shared = of_id(by_id, entity.id).find(|other| *other != at && is_caller(other));
        if shared.is_some() {
            return shared;
        }
    }
    if entity.parent_id.is_zero() {
        return None;
    }
    let service = |at: usize| draft.facts(at).map(|facts| facts.service.as_str());
    of_id(by_id, entity.parent_id)
        .filter(|other| *other != at)
        .min_by_key(|other| (service(*other) != service(at), is_caller(other), *other))
}

/// Makes a function's segment of every unknown parent that subsegments name.
///
/// Lambda's own segments come from AWS only. Where none come (an emulator, a laptop) every
/// subsegment hangs below an id that nobody sends; this is the segment of that id, until it comes.
fn stand_in_for_lost_parents(draft: &mut Draft<'_>, by_id: &[(SpanId, usize)]) {
    let is_orphan = |entity: &Entity<'_>| {
        entity.parent.is_none()
            && !entity.parent_id.is_zero()
            && of_id(by_id, entity.parent_id).next().is_none()
    };
    let is_subsegment =
        |entity: &Entity<'_>| entity.span.is_some_and(|s| is_xray(s) && !is_xray_segment(s));
    let mut lost: BTreeMap<SpanId, Vec<usize>> = BTreeMap::new();
    for entity in draft.entities.iter().filter(|e| is_subsegment(e) && is_orphan(e)) {
        lost.entry(entity.parent_id).or_default();
    }
    if lost.is_empty() {
        return;
    }
    for (at, entity) in draft.entities.iter().enumerate().filter(|(_, e)| is_orphan(e)) {
        if let Some(orphans) = lost.get_mut(&entity.parent_id) {
            orphans.push(at);
        }
    }
    for (id, orphans) in lost {
        let place = draft.entities.len();
        let mut function = function_of(draft, &orphans);
        (function.id, function.segment) = (id, place);
        draft.entities.push(function);
        for orphan in orphans {
            draft.entities[orphan].parent = Some(place);
        }
    }
}

/// The segment of the function in which `orphans` ran, as far as they tell. They are by start.
fn function_of<'a>(draft: &Draft<'a>, orphans: &[usize]) -> Entity<'a> {
    let facts = || orphans.iter().filter_map(|at| draft.facts(*at));
    let spans = || orphans.iter().filter_map(|at| draft.entities[*at].span);
    let name = facts()
        .find(|facts| !facts.service.is_empty())
        .map(|facts| facts.service.clone())
        .or_else(|| facts().find_map(|facts| facts.function.clone()))
        .or_else(|| spans().find_map(function_name))
        .unwrap_or_else(|| FACADE.to_owned());
    let name = facts::short(&name);
    let origin = facts().find_map(|facts| facts.origin.clone());
    let origin = origin.unwrap_or_else(|| LAMBDA_FUNCTION.to_owned());
    let entities = || orphans.iter().map(|at| &draft.entities[*at]);
    let start = entities().map(|e| e.start_unix_nano).min().unwrap_or_default();
    let end = entities().map(|e| e.end_unix_nano).max().unwrap_or(start);
    Entity {
        is_segment: true,
        synthetic: true,
        service: ServiceId {
            name: name.clone(),
            names: vec![name.clone()],
            kind: origin.clone(),
            account: facts().find_map(|facts| facts.account.clone()),
        },
        name,
        origin: Some(origin),
        start_unix_nano: start,
        end_unix_nano: end,
        ..facts::blank()
    }
}

/// The function that a span ran in. A call to Lambda names the function it invokes instead.
fn function_name(span: SpanRef<'_>) -> Option<String> {
    let attrs = Attrs::of(span);
    if let Some(name) = attrs.text(&["faas.name"]) {
        return Some(name.to_owned());
    }
    let invokes = inferred_service(span).is_some_and(|callee| callee.kind == super::LAMBDA);
    if invokes {
        return None;
    }
    let arn = attrs.text(&["aws.function_arn"]).and_then(|arn| arn.split_once(":function:"));
    let in_arn = arn.map(|(_, name)| name.split(':').next().unwrap_or(name));
    in_arn.or_else(|| attrs.text(&["aws.function_name"])).map(str::to_owned)
}

/// Lets the first entity of every loop of parents stand without one.
fn cut_loops(entities: &mut [Entity<'_>]) {
    const UNSEEN: usize = usize::MAX;
    let mut seen_by = vec![UNSEEN; entities.len()];
    for from in 0..entities.len() {
        let mut at = from;
        while seen_by[at] == UNSEEN {
            seen_by[at] = from;
            match entities[at].parent {
                Some(parent) => at = parent,
                None => break,
            }
        }
        if seen_by[at] != from || entities[at].parent.is_none() {
            continue;
        }
        // We came back to where this walk had been: `at` lies on a loop.
        let (mut first, mut next) = (at, entities[at].parent);
        while let Some(other) = next.filter(|other| *other != at) {
            first = first.min(other);
            next = entities[other].parent;
        }
        entities[first].parent = None;
    }
}

/// The id of the segment that stands for the callee of `caller`: the same at every reading.
pub(super) fn id_of_inferred(trace_id: TraceId, caller: SpanId) -> SpanId {
    // FNV-1a, then SplitMix64's finalizer so that neighbouring ids differ in all bits. The bytes in
    // front keep it apart from other hashes of the same ids. Never change it: ids are kept by users.
    let bytes = b"inferred".iter().chain(&trace_id.0).chain(&caller.0);
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    SpanId((hash ^ (hash >> 31)).max(1).to_be_bytes())
}
