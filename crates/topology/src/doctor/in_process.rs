//! Work that left its request inside one process.
//!
//! In:   roots that are no one's entry, alone in their trace, and the entries of their service.
//! Out:  a case for each root that began while a request of its service ran, or right after one,
//!       where so many did that chance cannot have done it.
//! Rule: of `n` roots of one name, `k` in the service's requests, whose time is the share `c` of
//!       all: `k >= 5`, `k >= 0.8 n`, and `k` four standard deviations above `n c`.

use std::collections::BTreeMap;

use throughline_model::{SpanKind, SpanRef};

use super::case::{Case, Cases};
use super::corpus::{Corpus, is_entry, is_xray, resource_text};
use super::good::{Good, Way};
use super::report::{Hop, Kind};
use crate::stitch::Class;

/// How long after a request its work may begin, in nanoseconds.
const AFTER_NANO: i64 = 250_000_000;

const ROOTS_MIN: usize = 5;

/// A service, and the instance of it where that is told.
type Home<'b> = (&'b str, Option<&'b str>, Option<&'b str>);

fn home(span: SpanRef<'_>) -> Home<'_> {
    let instance =
        resource_text(span, "service.instance.id").or_else(|| resource_text(span, "host.name"));
    (span.service(), instance, span.resource().environment())
}

/// Finds them.
pub(super) fn find(corpus: &Corpus<'_>, good: &mut Good, cases: &mut Cases) {
    let mut entries: BTreeMap<Home<'_>, Vec<SpanRef<'_>>> = BTreeMap::new();
    let mut roots: BTreeMap<(Home<'_>, &str), Vec<SpanRef<'_>>> = BTreeMap::new();
    let mut inside: BTreeMap<(&str, &str), Vec<i64>> = BTreeMap::new();
    for known in &corpus.spans {
        let span = known.span;
        let alone = corpus.traces.get(known.trace as usize).is_some_and(|trace| trace.count == 1);
        if is_entry(span.kind()) {
            entries.entry(home(span)).or_default().push(span);
        } else if let Some(parent) = corpus.parent(known) {
            if parent.span.service() == span.service() {
                let times = inside.entry((span.service(), span.name())).or_default();
                times.push(span.start_unix_nano());
            }
        } else if alone && span.parent_id().is_zero() && span.links().len() == 0 {
            let is_work =
                matches!(span.kind(), SpanKind::Client | SpanKind::Producer | SpanKind::Internal);
            if is_work && corpus.is_settled(known) && !is_xray(span) {
                roots.entry((home(span), span.name())).or_default().push(span);
            }
        }
    }
    entries.values_mut().for_each(|list| list.sort_by_key(|span| span.start_unix_nano()));
    for ((home, name), roots) in roots {
        let Some(entries) = entries.get(&home) else { continue };
        let pairs: Vec<_> =
            roots.iter().filter_map(|root| Some((request_of(*root, entries)?, *root))).collect();
        if !is_no_chance(pairs.len(), roots.len(), covered_permille(entries, &roots)) {
            continue;
        }
        for (entry, root) in pairs {
            cases.add(Case {
                kind: Kind::LostInProcess,
                hop: Hop {
                    from: Some(home.0.to_owned()),
                    to: Some(home.0.to_owned()),
                    over: "process".to_owned(),
                    resource: Some(name.to_owned()),
                },
                class: Class::Pairing,
                at_unix_nano: root.start_unix_nano(),
                from: Some(entry),
                to: Some(root),
                facts: vec![format!("`{name}` begins a trace of its own within a request")],
                formats: Vec::new(),
            });
        }
        let times = inside.get(&(home.0, name)).map(Vec::as_slice).unwrap_or_default();
        times.iter().for_each(|at| good.add(home.0, &in_process(home.0, name), Way::Process, *at));
    }
}

/// What good cases of one operation of a process are counted under.
pub(super) fn in_process(service: &str, name: &str) -> String {
    format!("{service}\n{name}")
}

/// The last request that began before a root, if that lies in it or right after it.
fn request_of<'b>(root: SpanRef<'b>, entries: &[SpanRef<'b>]) -> Option<SpanRef<'b>> {
    let at = root.start_unix_nano();
    let before = entries.partition_point(|entry| entry.start_unix_nano() <= at);
    // A long request may have begun before a short one that is over.
    let near = entries.get(before.saturating_sub(16)..before)?;
    near.iter().rev().find(|entry| at <= entry.end_unix_nano().saturating_add(AFTER_NANO)).copied()
}

/// The share of the time that requests and what comes right after them take, in thousandths.
fn covered_permille(entries: &[SpanRef<'_>], roots: &[SpanRef<'_>]) -> u64 {
    let starts = || entries.iter().chain(roots).map(|span| span.start_unix_nano());
    let ends = entries.iter().map(|span| span.end_unix_nano().saturating_add(AFTER_NANO));
    let (Some(first), Some(last)) = (starts().min(), ends.chain(starts()).max()) else {
        return 1_000;
    };
    let (mut covered, mut until) = (0_u64, first);
    for entry in entries {
        let end = entry.end_unix_nano().saturating_add(AFTER_NANO);
        let start = entry.start_unix_nano().max(until);
        covered += end.saturating_sub(start).max(0).unsigned_abs();
        until = until.max(end);
    }
    let all = last.abs_diff(first).max(1);
    u64::try_from(u128::from(covered) * 1_000 / u128::from(all)).unwrap_or(1_000)
}

fn is_no_chance(inside: usize, all: usize, covered_permille: u64) -> bool {
    if inside < ROOTS_MIN || inside * 10 < all * 8 {
        return false;
    }
    let (share, all) = (covered_permille.min(1_000) as f64 / 1_000.0, all as f64);
    let spread = (all * share * (1.0 - share)).sqrt();
    inside as f64 - all * share >= 4.0 * spread && share < 0.9
}

#[cfg(test)]
mod tests {
    use super::is_no_chance;

    #[test]
    fn what_a_busy_service_explains_is_chance() {
        assert!(is_no_chance(20, 20, 100));
        assert!(is_no_chance(20, 20, 400));
        assert!(!is_no_chance(20, 20, 950), "requests all the time");
        assert!(!is_no_chance(10, 20, 100), "a job that also runs");
        assert!(!is_no_chance(4, 4, 10), "too few");
    }
}
