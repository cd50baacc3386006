//! Subsegments that are parts of one call, so that the graph counts the call once.
//!
//! The SDK for Python wraps `http.client`: one subsegment for sending, one for the response, one
//! with the method `READ` for the body, all beside each other, and all below that of `requests`.
//! Spans of OpenTelemetry nest the same way: a call to AWS and the HTTP request that carries it.

use ahash::AHashMap;
use throughline_model::SpanKind;

use super::facts::is_xray;
use super::{Entity, TraceView};
use crate::host::host_of_url;

/// By place, which inferred segments stand for a call that is counted elsewhere.
pub(super) fn folded(view: &TraceView<'_>) -> Vec<bool> {
    let entities = &view.entities;
    // The call that each caller is a part of: the place of its outermost or first part.
    let mut call: Vec<usize> = (0..entities.len()).collect();
    // The part that speaks for a call: the outermost, or the one that saw the response.
    let mut speaker: Vec<usize> = (0..entities.len()).collect();
    let mut is_answered = vec![false; entities.len()];
    for place in view.top_down() {
        let entity = &entities[place];
        if is_caller(view, place) {
            let answers =
                |child: &usize| entities[*child].is_segment && !is_made_up(&entities[*child]);
            is_answered[call[place]] |= entity.children.iter().any(answers);
            let parts = entity.children.iter().copied();
            let parts = parts.filter(|part| !entities[*part].is_segment && is_caller(view, *part));
            for part in parts.filter(|part| is_one_call(entity, &entities[*part])) {
                call[part] = call[place];
            }
        }
        join_siblings(view, place, &mut call, &mut speaker);
    }
    let is_folded = |entity: &Entity<'_>| {
        is_made_up(entity)
            && entity.parent.is_some_and(|caller| {
                let call = call[caller];
                is_answered[call] || speaker[call] != caller
            })
    };
    entities.iter().map(is_folded).collect()
}

/// An inferred segment that was made here.
fn is_made_up(entity: &Entity<'_>) -> bool {
    entity.inferred && entity.span.is_none()
}

fn is_caller(view: &TraceView<'_>, place: usize) -> bool {
    let entity = &view.entities[place];
    let kind = entity.span.map(|span| span.kind());
    matches!(kind, Some(SpanKind::Client | SpanKind::Producer))
        || entity.children.iter().any(|child| is_made_up(&view.entities[*child]))
}

/// Whether a caller right below another is a part of the same call.
fn is_one_call(outer: &Entity<'_>, inner: &Entity<'_>) -> bool {
    if !inner.span.is_some_and(is_xray) {
        return true;
    }
    let carries =
        outer.namespace.as_deref() == Some("aws") && inner.namespace.as_deref() == Some("remote");
    let host = outer.http_url.as_deref().and_then(host_of_url).map(|(host, _)| host);
    carries
        || outer.name.eq_ignore_ascii_case(&inner.name)
        || host.is_some_and(|host| host.eq_ignore_ascii_case(&inner.name))
}

/// Joins what the SDK for Python writes side by side for one HTTP request.
fn join_siblings(view: &TraceView<'_>, parent: usize, call: &mut [usize], speaker: &mut [usize]) {
    let mut sent: AHashMap<(&str, Option<&str>, &str), usize> = AHashMap::new();
    let mut latest: AHashMap<(&str, Option<&str>), usize> = AHashMap::new();
    for place in view.entities[parent].children.iter().copied() {
        let part = &view.entities[place];
        let is_http = part.span.is_some_and(is_xray)
            && !part.is_segment
            && part.namespace.as_deref() == Some("remote");
        let Some(method) = part.http_method.as_deref().filter(|_| is_http) else { continue };
        let target = (part.name.as_str(), part.http_url.as_deref());
        if method == "READ" {
            match latest.get(&target) {
                Some(request) => call[place] = call[*request],
                // Nobody's body: still no request.
                None => speaker[place] = usize::MAX,
            }
            continue;
        }
        let has_failed = part.error || part.fault || part.throttle;
        let key = (target.0, target.1, method);
        if part.http_status.is_none() && !has_failed {
            sent.insert(key, place);
        } else if let Some(sending) = sent.remove(&key) {
            call[place] = call[sending];
            if call[sending] == sending {
                speaker[sending] = place;
            }
        }
        latest.insert(target, place);
    }
}
