//! All rules over some traces, and what they found as findings.

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use ahash::AHashSet;
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use throughline_model::SpanBatch;

use super::case::{Cases, Group};
use super::corpus::Corpus;
use super::good::{Good, Way};
use super::report::{Finding, Hop, Kind, LookedAt, Report, Severity, State};
use super::{brokers, fixes, headers, http, ids, in_process, parents, texts};
use crate::stitch::{Class, Source};

/// What is looked at, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Now, nanoseconds since the epoch.
    pub now_unix_nano: i64,
    /// A trace is whole when nothing of it came for so long, in nanoseconds. What is missing in a
    /// younger one is not judged.
    pub settle_nano: i64,
    /// Traces that are looked at, of those given.
    pub traces_max: usize,
    /// Spans that are looked at.
    pub spans_max: usize,
    /// Messages whose other holders are asked for.
    pub keys_max: usize,
    /// Traces that are read beside those given, by each of the two rules that do: the other side
    /// of the newest messages, to show it, and the short form of the newest ids.
    pub traces_read_max: usize,
    /// Findings that are given.
    pub findings_max: usize,
    /// Pairs that are shown of a finding.
    pub samples_max: usize,
}

impl Options {
    /// The usual limits at a time.
    pub fn at(now_unix_nano: i64) -> Self {
        Self {
            now_unix_nano,
            settle_nano: 60_000_000_000,
            traces_max: 20_000,
            spans_max: 200_000,
            keys_max: 20_000,
            traces_read_max: 200,
            findings_max: 200,
            samples_max: 3,
        }
    }
}

/// Names the causes of lost context in some traces, each of which is whole and merged.
///
/// The traces come newest first, so that a limit leaves out the oldest. Unless one does, neither
/// their order nor a repetition matters. Work is bounded by [`Options`], memory by the spans that
/// are looked at: some 200 bytes for each beside its batch.
///
/// # Errors
///
/// Those of the source.
pub fn diagnose<'b, S: Source>(
    traces: impl IntoIterator<Item = &'b SpanBatch>,
    source: &S,
    options: &Options,
) -> Result<Report, S::Error> {
    let corpus = Corpus::of(traces.into_iter(), options);
    let mut cases = Cases::new(options.findings_max.saturating_mul(4), options.samples_max);
    let mut good = Good::of(&corpus);
    let joined = brokers::find(&corpus, source, options, &mut good, &mut cases)?;
    let mut explained = ids::rewritten(&corpus, &mut cases);
    ids::truncated(&corpus, source, options, &mut explained, &mut cases)?;
    ids::shared(&corpus, &mut cases);
    ids::malformed(&corpus, &mut cases);
    explained.extend(headers::find(&corpus, &mut cases));
    let paired: AHashSet<_> = explained.union(&joined).copied().collect();
    http::find(&corpus, &paired, &good, &mut cases);
    in_process::find(&corpus, &mut good, &mut cases);
    parents::find(&corpus, &explained, &mut cases);

    let mut findings: Vec<Finding> = findings(cases.groups, &good);
    findings.sort_by(|a, b| {
        let rank = |f: &Finding| (f.state, f.severity, std::cmp::Reverse(f.count));
        rank(a).cmp(&rank(b)).then_with(|| (a.kind, &a.hop).cmp(&(b.kind, &b.hop)))
    });
    let is_cut = findings.len() > options.findings_max;
    findings.truncate(options.findings_max);
    Ok(Report {
        findings,
        looked_at: LookedAt { traces: corpus.traces.len(), spans: corpus.spans.len() },
        truncated: corpus.truncated || cases.truncated || is_cut,
    })
}

fn findings(groups: BTreeMap<(Kind, Hop), Group>, good: &Good) -> Vec<Finding> {
    groups.into_iter().map(|((kind, hop), group)| finding(kind, hop, &group, good)).collect()
}

fn finding(kind: Kind, hop: Hop, group: &Group, good: &Good) -> Finding {
    let way = Way::of(&hop);
    let name = hop.resource.as_deref().unwrap_or_default();
    let process = hop.to.as_deref().map(|to| in_process::in_process(to, name));
    let to = if way == Way::Process { process.as_deref() } else { hop.to.as_deref() };
    let times = good.times(hop.from.as_deref(), to, way);
    let severity = kind.severity();
    let all = group.count + times.len();
    let last = group.last_unix_nano;
    let healed = severity != Severity::Note && is_healed(group.count, times, last);
    Finding {
        id: id(kind, &hop),
        kind,
        severity,
        title: texts::title(kind, &hop, group.count, all),
        seen: group.seen(),
        why: texts::why(kind, &hop, &group.facts),
        unknown: texts::unknown(kind).to_owned(),
        class: group.class.unwrap_or(Class::Pairing),
        count: group.count,
        good: times.len(),
        share_permille: u16::try_from(group.count * 1_000 / all.max(1)).unwrap_or(1_000),
        first_seen_unix_nano: group.first_unix_nano,
        last_seen_unix_nano: last,
        last_good_unix_nano: times.iter().max().copied(),
        fix: fixes::of(kind, &hop, group),
        state: if healed { State::Healed } else { State::Open },
        hop,
    }
}

/// Whether enough went well since the last case that another would have come by now: one good
/// case where all were lost before, more where only some were.
fn is_healed(count: usize, good: &[i64], last: i64) -> bool {
    const CHANCE_MAX: f64 = 0.05;
    let since = good.iter().filter(|at| **at > last).count();
    let before = good.len() - since;
    let kept = before as f64 / (before + count) as f64;
    since > 0 && kept.powi(i32::try_from(since).unwrap_or(i32::MAX)) <= CHANCE_MAX
}

fn id(kind: Kind, hop: &Hop) -> u128 {
    let mut hasher = SipHasher13::new_with_keys(0x7468_726f_7567_686c, 0x696e_6520_646f_6331);
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let (from, to) = (optional(&hop.from), optional(&hop.to));
    for part in [kind.word(), &from, &to, &hop.over, &optional(&hop.resource)] {
        hasher.write(&(part.len() as u64).to_le_bytes());
        hasher.write(part.as_bytes());
    }
    let hash = hasher.finish128();
    u128::from(hash.h1) << 64 | u128::from(hash.h2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_good_case_heals_a_total_loss_and_a_partial_one_needs_more() {
        assert!(is_healed(50, &[101], 100));
        assert!(!is_healed(50, &[99, 100], 100), "none since");
        let kept_before: Vec<i64> = (0..50).collect();
        let since = |count| kept_before.iter().copied().chain((0..count).map(|at| 101 + at));
        assert!(!is_healed(50, &since(2).collect::<Vec<_>>(), 100));
        assert!(is_healed(50, &since(5).collect::<Vec<_>>(), 100));
    }
}
