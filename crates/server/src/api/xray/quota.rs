//! Who may take how many requests a second: a rule's reservoir, shared over the clients seen.
//!
//! Pure: time comes in as a parameter. Rule: X-Ray developer guide, "sampling": a client tells every
//! 10 s what it did, and gets the quota of each rule until its next report.

use std::collections::BTreeMap;

use super::settings::{Boost, Rule};

const SECOND: i64 = 1_000_000_000;

/// How often clients report, in seconds. The SDKs divide it by 10.
pub(super) const INTERVAL_SECONDS: i64 = 10;

/// A client that did not report for so long is gone, and its quota has ended. One number for both:
/// so the quotas of one rule that hold at once never add up to more than its reservoir for long.
const SEEN_NANOS: i64 = 30 * SECOND;

/// How long a boost lasts.
const BOOST_NANOS: i64 = 60 * SECOND;

/// Windows of statistics that are remembered: ten minutes.
const WINDOWS_NANOS: i64 = 600 * SECOND;
const WINDOW_NANOS: i64 = INTERVAL_SECONDS * SECOND;

/// Clients of one rule that are told apart; one more takes the place of the longest silent.
const CLIENTS_MAX: usize = 1_000;

/// What a client tells of one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) sampled: u64,
    pub(super) borrowed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Client {
    seen_unix_nano: i64,
    requests: u64,
}

#[derive(Debug, Default)]
struct RuleState {
    clients: BTreeMap<String, Client>,
    boost_until_unix_nano: i64,
    next_boost_unix_nano: i64,
}

/// What was heard of all rules.
#[derive(Debug, Default)]
pub(crate) struct Sampling {
    rules: BTreeMap<String, RuleState>,
    /// By start of the window and rule.
    windows: BTreeMap<(i64, String), Counts>,
}

/// What a client may do, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) requests_per_second: u32,
    pub(super) until_unix_nano: i64,
}

impl Sampling {
    /// Takes a client's report.
    pub(super) fn report(&mut self, rule: &str, client: &str, counts: Counts, now: i64) {
        let window = now.div_euclid(WINDOW_NANOS) * WINDOW_NANOS;
        self.windows.retain(|(start, _), _| *start > now - WINDOWS_NANOS);
        let sum = self.windows.entry((window, rule.to_owned())).or_default();
        sum.requests = sum.requests.saturating_add(counts.requests);
        sum.sampled = sum.sampled.saturating_add(counts.sampled);
        sum.borrowed = sum.borrowed.saturating_add(counts.borrowed);

        let clients = &mut self.rules.entry(rule.to_owned()).or_default().clients;
        clients.retain(|_, client| now.saturating_sub(client.seen_unix_nano) < SEEN_NANOS);
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(client) {
            let silent = clients.iter().min_by_key(|(_, client)| client.seen_unix_nano);
            if let Some(silent) = silent.map(|(name, _)| name.clone()) {
                clients.remove(&silent);
            }
        }
        let client_now = Client { seen_unix_nano: now, requests: counts.requests };
        clients.insert(client.to_owned(), client_now);
    }

    /// The part of the rule's reservoir that a client may take.
    ///
    /// In proportion to the requests that each client told last; what is left over after whole
    /// numbers goes to those who lost most by rounding, then by name.
    pub(super) fn quota(&self, rule: &Rule, client: &str, now: i64) -> Quota {
        let until_unix_nano = now.saturating_add(SEEN_NANOS);
        let clients = self.rules.get(&rule.name).map(|state| &state.clients);
        let seen: Vec<(&str, u64)> = clients
            .into_iter()
            .flatten()
            .filter(|(_, client)| now.saturating_sub(client.seen_unix_nano) < SEEN_NANOS)
            .map(|(name, client)| (&name[..], client.requests))
            .collect();
        let shares = shares(u64::from(rule.reservoir_size), &seen);
        let share = seen.iter().zip(shares).find(|((name, _), _)| *name == client);
        let share = share.map_or(0, |(_, share)| share);
        Quota { requests_per_second: u32::try_from(share).unwrap_or(u32::MAX), until_unix_nano }
    }

    /// Takes what a client tells of anomalies, and begins a boost when the rule has one to spare.
    pub(super) fn report_anomalies(&mut self, rule: &str, boost: Boost, anomalies: u64, now: i64) {
        let state = self.rules.entry(rule.to_owned()).or_default();
        if anomalies > 0 && now >= state.next_boost_unix_nano {
            let cooldown = i64::from(boost.cooldown_minutes).saturating_mul(60 * SECOND);
            state.boost_until_unix_nano = now.saturating_add(BOOST_NANOS);
            state.next_boost_unix_nano = state.boost_until_unix_nano.saturating_add(cooldown);
        }
    }

    /// Until when a rule is boosted, when it is.
    pub(super) fn boosted_until(&self, rule: &str, now: i64) -> Option<i64> {
        let until = self.rules.get(rule)?.boost_until_unix_nano;
        (until > now).then_some(until)
    }

    /// Start of the window, rule and counts, oldest first.
    pub(super) fn windows(&self) -> impl Iterator<Item = (i64, &str, Counts)> {
        self.windows.iter().map(|((start, rule), counts)| (*start, &rule[..], *counts))
    }

    /// Forgets a rule that is no more.
    pub(super) fn forget(&mut self, rule: &str) {
        self.rules.remove(rule);
    }
}

/// Whole parts of `total` in proportion to the weights, or equal ones when nobody weighs anything.
fn shares(total: u64, clients: &[(&str, u64)]) -> Vec<u64> {
    let weights: Vec<u128> = match clients.iter().any(|(_, requests)| *requests > 0) {
        true => clients.iter().map(|(_, requests)| u128::from(*requests)).collect(),
        false => vec![1; clients.len()],
    };
    let sum: u128 = weights.iter().sum::<u128>().max(1);
    let total = u128::from(total);
    let mut shares: Vec<u128> = weights.iter().map(|weight| total * weight / sum).collect();
    let mut by_loss: Vec<usize> = (0..clients.len()).collect();
    by_loss.sort_by_key(|at| (std::cmp::Reverse(total * weights[*at] % sum), *at));
    let left = total.saturating_sub(shares.iter().sum());
    for at in by_loss.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        shares[at] += 1;
    }
    shares.into_iter().map(|share| u64::try_from(share).unwrap_or(u64::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(reservoir_size: u32) -> Rule {
        Rule { reservoir_size, ..Rule::default() }
    }

    fn counts(requests: u64) -> Counts {
        Counts { requests, sampled: 0, borrowed: 0 }
    }

    /// Quotas of a reservoir after one report of each client.
    fn check(reservoir: u32, requests: &[u64], expected: &[u32]) {
        let mut sampling = Sampling::default();
        let name = |at: usize| format!("client {at:02}");
        for (at, requests) in requests.iter().enumerate() {
            sampling.report("Default", &name(at), counts(*requests), 0);
        }
        let quota = |at| sampling.quota(&rule(reservoir), &name(at), 0).requests_per_second;
        let quotas: Vec<u32> = (0..requests.len()).map(quota).collect();
        assert_eq!(quotas, expected, "{reservoir} over {requests:?}");
    }

    #[test]
    fn a_reservoir_is_shared_whole_in_proportion_to_the_requests() {
        check(10, &[5], &[10]);
        check(10, &[1, 1], &[5, 5]);
        check(10, &[90, 10], &[9, 1]);
        check(10, &[1, 1, 1], &[4, 3, 3]);
        check(1, &[1, 1, 1], &[1, 0, 0]);
        check(3, &[0, 0, 0, 0], &[1, 1, 1, 0]);
        check(0, &[1, 2], &[0, 0]);
        check(10, &[u64::MAX, u64::MAX], &[5, 5]);
        check(u32::MAX, &[1], &[u32::MAX]);
    }

    #[test]
    fn the_quotas_that_hold_add_up_to_the_reservoir_while_clients_come_and_go() {
        let mut sampling = Sampling::default();
        let rule = rule(7);
        // Client n is there from 20 n to 20 n + 90 seconds and reports every ten.
        for second in (0..300i64).step_by(10) {
            let now = second * SECOND;
            let here = |n: &i64| (20 * n..=20 * n + 90).contains(&second);
            let here: Vec<i64> = (0..10).filter(here).collect();
            for n in &here {
                sampling.report("Default", &n.to_string(), counts(1 + *n as u64), now);
            }
            let all = (0..10i64).map(|n| sampling.quota(&rule, &n.to_string(), now));
            let sum: u32 = all.map(|quota| quota.requests_per_second).sum();
            assert_eq!(sum, if here.is_empty() && second > 290 { 0 } else { 7 }, "{second} s");
        }
    }

    #[test]
    fn a_silent_client_loses_its_share_when_its_quota_ends() {
        let mut sampling = Sampling::default();
        sampling.report("Default", "a", counts(1), 0);
        sampling.report("Default", "b", counts(1), 0);
        let until = sampling.quota(&rule(10), "a", 0).until_unix_nano;
        sampling.report("Default", "b", counts(1), until - 1);
        assert_eq!(sampling.quota(&rule(10), "b", until - 1).requests_per_second, 5);
        sampling.report("Default", "b", counts(1), until);
        assert_eq!(sampling.quota(&rule(10), "b", until).requests_per_second, 10);
        assert_eq!(sampling.quota(&rule(10), "a", until).requests_per_second, 0);
    }

    #[test]
    fn reports_add_up_in_windows_of_ten_seconds_that_are_forgotten() {
        let mut sampling = Sampling::default();
        let report = Counts { requests: 3, sampled: 1, borrowed: 1 };
        sampling.report("Default", "a", report, 11 * SECOND);
        sampling.report("Default", "b", report, 19 * SECOND);
        sampling.report("Default", "a", report, 20 * SECOND);
        let windows: Vec<_> = sampling.windows().map(|(at, _, c)| (at, c.requests)).collect();
        assert_eq!(windows, [(10 * SECOND, 6), (20 * SECOND, 3)]);
        sampling.report("Default", "a", report, 700 * SECOND);
        assert_eq!(sampling.windows().count(), 1);
    }

    #[test]
    fn ever_new_clients_do_not_fill_the_memory() {
        let mut sampling = Sampling::default();
        for n in 0..3 * CLIENTS_MAX {
            sampling.report("Default", &n.to_string(), counts(1), n as i64);
        }
        assert_eq!(sampling.rules["Default"].clients.len(), CLIENTS_MAX);
    }

    #[test]
    fn a_boost_ends_and_then_rests() {
        let mut sampling = Sampling::default();
        let boost = Boost { rate_max: 0.5, cooldown_minutes: 2 };
        sampling.report_anomalies("r", boost, 0, 0);
        assert_eq!(sampling.boosted_until("r", 0), None);
        sampling.report_anomalies("r", boost, 1, 0);
        assert_eq!(sampling.boosted_until("r", 0), Some(60 * SECOND));
        sampling.report_anomalies("r", boost, 1, 100 * SECOND);
        assert_eq!(sampling.boosted_until("r", 100 * SECOND), None);
        sampling.report_anomalies("r", boost, 1, 180 * SECOND);
        assert_eq!(sampling.boosted_until("r", 180 * SECOND), Some(240 * SECOND));
    }
}
