//! Calls that nobody answered beside roots that answer such calls.
//!
//! In:   client spans without a callee, server spans without a caller, in settled traces.
//! Out:  a case for each pair, hop by hop, where so many fit that chance cannot have done it.
//! Rule: the root lies in the call's time, give or take [`SLACK_NANO`]; the call names the root's
//!       service, or the address that the root says it was called by; method and path are equal
//!       where both are known. A root answers one call.

use std::collections::BTreeMap;

use ahash::{AHashMap, AHashSet};
use throughline_model::{SpanKind, SpanRef};

use super::case::{Case, Cases};
use super::corpus::{Corpus, Known, SLACK_NANO, is_xray, same_environment, text_of};
use super::good::{Good, Way};
use super::headers::{captured, valid_formats};
use super::report::{Hop, Kind};
use crate::host::host_of_url;
use crate::stitch::{Class, SpanAt};

/// Roots that are compared with one call.
const CANDIDATES_MAX: usize = 64;

/// Pairs without which a hop is not judged.
const PAIRS_MIN: usize = 3;

/// A chance, in thousandths, under which pairs are no coincidence.
const CHANCE_PERMILLE_MAX: u128 = 300;

/// What a call or a root says of the request.
struct Request<'b> {
    span: SpanRef<'b>,
    /// What the other side may be known by: names in lower case, addresses with a port.
    names: Vec<String>,
    method: Option<String>,
    path: Option<String>,
}

/// The calls from one service to another that may have lost their context.
#[derive(Default)]
struct Calls<'b> {
    pairs: Vec<(SpanRef<'b>, SpanRef<'b>)>,
    /// Calls that nobody answered and no root fits.
    alone: usize,
    length_nano: u128,
}

/// Finds them. `explained` are spans that captured headers have explained already.
pub(super) fn find(
    corpus: &Corpus<'_>,
    explained: &AHashSet<SpanAt>,
    good: &Good,
    cases: &mut Cases,
) {
    let is_open = |known: &&Known<'_>| {
        let at = (known.span.trace_id(), known.span.span_id());
        corpus.is_settled(known) && !explained.contains(&at) && !is_xray(known.span)
    };
    let mut roots: Vec<Request<'_>> =
        corpus.spans.iter().filter(is_open).filter_map(root).collect();
    let mut calls: Vec<Request<'_>> =
        corpus.spans.iter().filter(is_open).filter_map(call).collect();
    let order = |request: &Request<'_>| {
        (request.span.start_unix_nano(), request.span.trace_id(), request.span.span_id())
    };
    roots.sort_by_key(order);
    calls.sort_by_key(order);
    let mut by_name: AHashMap<&str, Vec<usize>> = AHashMap::new();
    for (at, root) in roots.iter().enumerate() {
        root.names.iter().for_each(|name| by_name.entry(name).or_default().push(at));
    }
    let mut hops: BTreeMap<(&str, &str), Calls<'_>> = BTreeMap::new();
    let mut is_used = vec![false; roots.len()];
    for call in &calls {
        let Some((to, found)) = answer(call, &roots, &by_name, &is_used) else { continue };
        let hop = hops.entry((call.span.service(), to)).or_default();
        let length = call.span.end_unix_nano().saturating_sub(call.span.start_unix_nano());
        hop.length_nano += u128::from(length.max(0).unsigned_abs());
        match found.and_then(|at| Some((roots.get(at)?, is_used.get_mut(at)?))) {
            Some((root, is_used)) => {
                *is_used = true;
                hop.pairs.push((call.span, root.span));
            }
            None => hop.alone += 1,
        }
    }
    for ((from, to), calls) in hops {
        // Roots that answer another service lie nowhere by chance.
        let free = roots.iter().zip(&is_used).filter(|(_, is_used)| !**is_used);
        let free = free.map(|(root, _)| root.span).filter(|root| root.service() == to);
        let here = free.chain(calls.pairs.iter().map(|(_, root)| *root));
        if is_no_chance(&calls, here.map(SpanRef::start_unix_nano)) {
            report(from, to, &calls, good, cases);
        }
    }
}

/// Whether most calls of a hop have their root, and roots are too rare to lie there by chance, or
/// most of them are explained so.
fn is_no_chance(calls: &Calls<'_>, roots: impl Iterator<Item = i64>) -> bool {
    let (mut count, mut first, mut last) = (0_usize, i64::MAX, i64::MIN);
    for start in roots {
        (count, first, last) = (count + 1, first.min(start), last.max(start));
    }
    let paired = calls.pairs.len();
    let all = paired + calls.alone;
    if paired < PAIRS_MIN || paired * 2 < all {
        return false;
    }
    let window = calls.length_nano / all as u128 + 2 * u128::from(SLACK_NANO.unsigned_abs());
    let observed = u128::from(last.abs_diff(first)).max(1);
    let chance_permille = 1_000 * window * count as u128 / observed;
    chance_permille <= CHANCE_PERMILLE_MAX || paired * 2 >= count
}

/// The service that a call names and of its roots the first free one that fits.
fn answer<'r>(
    call: &Request<'_>,
    roots: &'r [Request<'_>],
    by_name: &AHashMap<&str, Vec<usize>>,
    is_used: &[bool],
) -> Option<(&'r str, Option<usize>)> {
    let places = call.names.iter().find_map(|name| by_name.get(name.as_str()))?;
    let from = call.span.start_unix_nano().saturating_sub(SLACK_NANO);
    let until = call.span.end_unix_nano().saturating_add(SLACK_NANO);
    let start = |at: &usize| roots.get(*at).map_or(0, |root| root.span.start_unix_nano());
    let first = places.partition_point(|at| start(at) < from);
    let fits = |at: &&usize| {
        roots.get(**at).is_some_and(|root| {
            !is_used.get(**at).copied().unwrap_or(true)
                && root.span.end_unix_nano() <= until
                && root.span.trace_id() != call.span.trace_id()
                && same_environment(call.span, root.span)
                && agree(&call.method, &root.method)
                && agree(&call.path, &root.path)
        })
    };
    let near = places.get(first..).unwrap_or_default().iter().take(CANDIDATES_MAX);
    let found = near.take_while(|at| start(at) <= until).find(fits).copied();
    let named = found.or_else(|| places.first().copied())?;
    Some((roots.get(named)?.span.service(), found))
}

fn agree(a: &Option<String>, b: &Option<String>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// Reports the pairs of a hop. Captured headers, or other hops of the same two services that
/// keep their context, say that the two speak of other headers; without either that is open.
fn report(from: &str, to: &str, calls: &Calls<'_>, good: &Good, cases: &mut Cases) {
    let kept = good.times(Some(from), Some(to), Way::Call).len();
    let is_total = kept * 10 <= calls.pairs.len();
    let (both, one) = match (good.others_reach(from, to), good.reaches_others(from, to)) {
        _ if !is_total => (false, None),
        (true, true) => (true, None),
        (true, false) => (false, Some("the callee keeps the context of other callers")),
        (false, true) => (false, Some("the caller's context arrives at other callees")),
        (false, false) => (false, None),
    };
    for (call, root) in &calls.pairs {
        let sent = captured(*call).map(|read| valid_formats(&read)).unwrap_or_default();
        let mut facts: Vec<String> =
            sent.iter().map(|format| format!("the caller sent `{format}`")).collect();
        if both {
            facts.push(
                "the callee keeps the context of other callers, and the caller's arrives elsewhere"
                    .to_owned(),
            );
        }
        facts.extend(one.map(str::to_owned));
        let is_mixed = both || !sent.is_empty();
        cases.add(Case {
            kind: if is_mixed { Kind::MixedFormats } else { Kind::DroppedOverHttp },
            hop: Hop {
                from: Some(from.to_owned()),
                to: Some(to.to_owned()),
                over: "http".to_owned(),
                resource: None,
            },
            class: Class::Pairing,
            at_unix_nano: root.start_unix_nano(),
            from: Some(*call),
            to: Some(*root),
            facts,
            formats: sent,
        });
    }
}

const METHOD: &[&str] = &["http.request.method", "http.method", "rpc.method"];
const URL: &[&str] = &["url.full", "http.url"];

/// A server span without a caller, by its service and the address it was called by.
fn root<'b>(known: &Known<'b>) -> Option<Request<'b>> {
    let span = known.span;
    if span.kind() != SpanKind::Server || !span.parent_id().is_zero() || known.parent.is_some() {
        return None;
    }
    let mut names = vec![span.service().to_lowercase()];
    let host = text_of(span, &["server.address", "net.host.name", "http.host", "http.server_name"]);
    let port = text_of(span, &["server.port", "net.host.port"]);
    names.extend(host.and_then(|host| address(&host, port)));
    Some(Request { span, names, method: text_of(span, METHOD), path: path(span) })
}

/// A client span without a callee that names one; no message, no query, no call of AWS.
fn call<'b>(known: &Known<'b>) -> Option<Request<'b>> {
    let span = known.span;
    let other = ["db.system", "db.system.name", "messaging.system", "aws.request_id"];
    if span.kind() != SpanKind::Client
        || known.is_answered
        || known.has_inner_call
        || text_of(span, &other).is_some()
        || text_of(span, &["rpc.system"]).as_deref() == Some("aws-api")
    {
        return None;
    }
    let url = text_of(span, URL);
    let of_url = url.as_deref().and_then(host_of_url);
    let host = text_of(span, &["server.address", "net.peer.name", "http.host"])
        .or_else(|| of_url.map(|(host, _)| host.to_owned()));
    let port = text_of(span, &["server.port", "net.peer.port"])
        .or_else(|| of_url?.1.map(|port| port.to_string()));
    let mut names = Vec::new();
    names.extend(host.as_deref().and_then(|host| address(host, port)));
    names.extend(text_of(span, &["service.peer.name", "peer.service"]).map(|n| n.to_lowercase()));
    if let Some(host) = host.map(|host| host.to_lowercase()) {
        let label = host.split(['.', ':']).next().unwrap_or_default().to_owned();
        names.extend([host, label]);
    }
    names.retain(|name| !name.is_empty());
    (!names.is_empty()).then(|| Request {
        span,
        names,
        method: text_of(span, METHOD),
        path: path(span),
    })
}

/// `host:port`, where both are known. A host without one is no address: many share it.
fn address(host: &str, port: Option<String>) -> Option<String> {
    let host = host.to_lowercase();
    if host.contains(':') && !host.starts_with('[') && port.is_none() {
        return Some(host);
    }
    Some(format!("{}:{}", host.split(':').next().unwrap_or_default(), port?))
}

fn path(span: SpanRef<'_>) -> Option<String> {
    let full = text_of(span, URL).and_then(|url| {
        let rest = url.split_once("://")?.1;
        Some(rest.get(rest.find('/')?..)?.to_owned())
    });
    let path = text_of(span, &["url.path", "http.target"]).or(full)?;
    Some(path.split(['?', '#']).next().unwrap_or_default().to_owned())
}
