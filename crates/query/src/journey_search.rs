//! Finds journeys: what the traces that match came from and led to, each once.
//!
//! In:   a query as for traces, and what a journey must be like.
//! Out:  one line a journey, newest first by its start.
//! Rule: a journey is found by its members and told from its origin. A trace that messages of
//!       several origins led to, as a batch's consumer, is a member of the journey of each; of more
//!       than eight origins it finds eight.

use std::collections::{BTreeSet, HashSet};

use throughline_model::{SpanRef, StatusCode, TraceId};
use throughline_store::Snapshot;
use throughline_topology::stitch::{
    Budget, Carrier, Class, Focus, Journey, Member, journey as follow, message_attributes,
};

use crate::ast::{AttrScope, Expr, Field, LIMIT_MAX, Order, Query};
use crate::journeys::Stored;
use crate::run::{SearchOptions, search};
use crate::summary::summary;
use crate::{QueryError, RunError};

/// Traces that are looked at before the first answer, for each journey that is asked for.
const SEEDS_FIRST: usize = 4;
/// Walks that one question makes: one from each trace that matches, one from each origin.
const WALKS_MAX: usize = 1_500;
/// Traces that are read at a time, ahead of their walks.
const READ_AHEAD: usize = 64;

/// How much of each journey a list looks at. One that is larger is marked.
pub const LIST_BUDGET: Budget = Budget {
    spans_max: 2_000,
    traces_max: 60,
    depth_max: 12,
    fan_max: 20,
    origins_max: 8,
    repeats_max: 3,
    keys_max: 4_000,
    confidence_permille_min: 500,
};

/// Which journeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JourneyOptions {
    /// Where the matching spans are, and how many journeys at most.
    pub search: SearchOptions,
    /// Only journeys that last so long from end to end, in nanoseconds.
    pub duration_nano_min: i64,
    /// Only journeys of which one message waited so long, in nanoseconds.
    pub wait_nano_min: i64,
    /// Whether a trace that no message joins to another is a journey too.
    pub alone: bool,
}

/// Journeys, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JourneysAnswer {
    /// One entry a journey.
    pub journeys: Vec<JourneySummary>,
    /// Whether there may be more: beyond the limit, or beyond the 1 000 newest traces that match
    /// and 1 500 walks that are looked at.
    pub truncated: bool,
}

/// One line of a list of journeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JourneySummary {
    /// The trace where it began.
    pub trace_id: TraceId,
    /// How many traces.
    pub traces: usize,
    /// How many spans.
    pub spans: usize,
    /// The services, in the order of their first span.
    pub services: Vec<String>,
    /// The service of the root of the trace where it began.
    pub root_service: String,
    /// The name of that root.
    pub root_name: String,
    /// The environment of that trace.
    pub environment: Option<String>,
    /// Start of its first span, nanoseconds since the epoch.
    pub start_unix_nano: i64,
    /// From its first start to its last end, in nanoseconds.
    pub duration_nano: i64,
    /// How long at least one of its spans ran, in nanoseconds.
    pub work_nano: i64,
    /// How long the message waited that waited longest, in nanoseconds.
    pub wait_nano: i64,
    /// How many spans are errors.
    pub error_count: usize,
    /// What carried its messages.
    pub carriers: Vec<Carrier>,
    /// How the least sure of its joins is known, and how sure it is, in thousandths.
    pub weakest: Option<(Class, u16)>,
    /// The most deliveries of one message to one consumer; 0 without a message.
    pub attempts: u32,
    /// Whether it is larger than a list looks at.
    pub truncated: bool,
}

/// Finds the journeys of which a trace has a span that matches, newest first by their start.
///
/// Looked at are the 1 000 newest traces that match, and each journey within [`LIST_BUDGET`].
/// Without a filter those with messages are looked at first.
///
/// # Errors
///
/// When the store cannot be read. [`check`] says whether the query can be asked of journeys.
pub fn journeys(
    snapshot: &Snapshot,
    query: &Query,
    options: &JourneyOptions,
) -> Result<JourneysAnswer, RunError> {
    let limit = query.limit.unwrap_or(options.search.limit).min(LIMIT_MAX);
    let mut finder = Finder {
        stored: Stored::new(snapshot),
        options,
        // One more than asked tells whether there is more.
        count: limit + 1,
        found: Vec::new(),
        seeds: HashSet::new(),
        origins: HashSet::new(),
        walks_left: WALKS_MAX,
    };
    let mut truncated = false;
    let filters = match &query.filter {
        Some(filter) => vec![Some(filter.clone())],
        None => vec![Some(with_messages()), None],
    };
    for filter in filters {
        let seeds = Query { filter, order: Order::Newest, limit: None };
        truncated |= !finder.search(snapshot, &seeds)?;
    }
    let mut journeys = finder.found;
    truncated |= journeys.len() > limit;
    journeys.truncate(limit);
    Ok(JourneysAnswer { journeys, truncated })
}

/// Whether journeys can be found by a query: they come newest first and in no other order.
///
/// # Errors
///
/// When the query asks for another order.
pub fn check(query: &Query) -> Result<(), QueryError> {
    match query.order {
        Order::Newest => Ok(()),
        _ => Err(QueryError {
            message: "journeys come newest first; leave the order out of the query".to_owned(),
            at: 0,
        }),
    }
}

/// Spans that say which message they sent or took.
fn with_messages() -> Expr {
    let keys = message_attributes().flat_map(|key| {
        [AttrScope::Span, AttrScope::Event, AttrScope::Link]
            .map(|scope| Expr::Exists(Field::Attribute(scope, key.to_owned())))
    });
    Expr::Or(keys.collect())
}

struct Finder<'a> {
    stored: Stored<'a>,
    options: &'a JourneyOptions,
    count: usize,
    /// Newest first.
    found: Vec<JourneySummary>,
    /// Traces that matched and were looked at.
    seeds: HashSet<TraceId>,
    /// Origins that were looked at.
    origins: HashSet<TraceId>,
    walks_left: usize,
}

impl Finder<'_> {
    /// Looks at the traces that match; says whether nothing newer can be left.
    fn search(&mut self, snapshot: &Snapshot, query: &Query) -> Result<bool, RunError> {
        for limit in [(self.count * SEEDS_FIRST).min(LIMIT_MAX), LIMIT_MAX] {
            let options = SearchOptions { limit, ..self.options.search.clone() };
            let answer = search(snapshot, query, &options)?;
            for seeds in answer.traces.chunks(READ_AHEAD) {
                let new = seeds.iter().filter(|seed| !self.seeds.contains(&seed.trace_id));
                let ids: Vec<TraceId> = new.map(|seed| seed.trace_id).collect();
                self.stored.read(&ids)?;
                for seed in seeds {
                    // A journey begins no later than any of its traces.
                    if self.is_out_of_reach(seed.start_unix_nano) {
                        return Ok(true);
                    }
                    if self.walks_left == 0 {
                        return Ok(false);
                    }
                    if self.seeds.insert(seed.trace_id) {
                        self.look_at(seed.trace_id)?;
                    }
                }
            }
            if !answer.truncated {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether no journey that began at this time or earlier can be among the newest.
    fn is_out_of_reach(&self, start: i64) -> bool {
        let last = self.count.checked_sub(1).and_then(|last| self.found.get(last));
        last.is_some_and(|last| start < last.start_unix_nano)
    }

    /// Adds the journeys that a trace belongs to.
    fn look_at(&mut self, seed: TraceId) -> Result<(), RunError> {
        let around = self.walk(seed)?;
        let origins = match around.origins.as_slice() {
            [] => around.traces.first().map(|member| member.trace_id).into_iter().collect(),
            origins => origins.to_vec(),
        };
        for origin in origins {
            if !self.origins.insert(origin) {
                continue;
            }
            if origin == seed {
                self.add(origin, &around);
            } else if self.walks_left > 0 {
                let journey = self.walk(origin)?;
                self.add(origin, &journey);
            }
        }
        Ok(())
    }

    fn walk(&mut self, trace: TraceId) -> Result<Journey, RunError> {
        self.walks_left = self.walks_left.saturating_sub(1);
        follow(&self.stored, Focus::Trace(trace), &LIST_BUDGET)
    }

    fn add(&mut self, origin: TraceId, journey: &Journey) {
        let Some(found) = summed_up(origin, journey) else { return };
        let options = self.options;
        let is_wanted = (options.alone || found.traces > 1)
            && found.duration_nano >= options.duration_nano_min
            && found.wait_nano >= options.wait_nano_min;
        if is_wanted {
            let rank = |one: &JourneySummary| (-one.start_unix_nano, one.trace_id);
            let at = self.found.partition_point(|other| rank(other) < rank(&found));
            self.found.insert(at, found);
            self.found.truncate(self.count);
        }
    }
}

fn summed_up(origin: TraceId, journey: &Journey) -> Option<JourneySummary> {
    let first = journey.traces.iter().find(|member| member.trace_id == origin);
    let first = first.or(journey.traces.first())?;
    let root = summary(&first.batch, &[]);
    let mut services = Vec::new();
    let mut known = HashSet::new();
    let mut times = Vec::new();
    let mut error_count = 0;
    for span in journey.traces.iter().flat_map(spans) {
        if known.insert(span.service().to_owned()) {
            services.push(span.service().to_owned());
        }
        let start = span.start_unix_nano();
        times.push((start, start.saturating_add(span.duration_nano().unwrap_or(0))));
        error_count += usize::from(span.status() == StatusCode::Error);
    }
    let followed = journey.steps.iter().filter(|step| step.followed).map(|step| &step.edge);
    let carriers: BTreeSet<_> = followed.clone().map(|edge| edge.carrier).collect();
    Some(JourneySummary {
        trace_id: first.trace_id,
        traces: journey.traces.len(),
        spans: journey.span_count(),
        services,
        root_service: root.root_service,
        root_name: root.root_name,
        environment: root.environment,
        start_unix_nano: journey.start_unix_nano,
        duration_nano: journey.duration_nano().max(0),
        work_nano: covered(times),
        wait_nano: followed.clone().map(|edge| edge.wait_nano).max().unwrap_or(0),
        error_count,
        carriers: carriers.into_iter().collect(),
        weakest: followed
            .clone()
            .min_by_key(|edge| edge.confidence_permille)
            .map(|edge| (edge.class, edge.confidence_permille)),
        attempts: followed.map(|edge| edge.attempt).max().unwrap_or(0),
        truncated: !journey.truncated.is_empty(),
    })
}

fn spans(member: &Member) -> impl Iterator<Item = SpanRef<'_>> {
    member.rows.iter().map(|row| member.batch.span(*row as usize))
}

/// How long at least one of some stretches of time lasts.
fn covered(mut times: Vec<(i64, i64)>) -> i64 {
    times.sort_unstable();
    let (mut total, mut until) = (0_i64, i64::MIN);
    for (start, end) in times {
        total = total.saturating_add(end.saturating_sub(start.max(until)).max(0));
        until = until.max(end);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_once_however_many_work() {
        for (times, total) in [
            (vec![], 0),
            (vec![(5, 10)], 5),
            (vec![(5, 10), (5, 10), (6, 7)], 5),
            (vec![(20, 25), (0, 10), (8, 12)], 17),
            (vec![(5, 5), (9, 3)], 0),
        ] {
            assert_eq!(covered(times.clone()), total, "{times:?}");
        }
    }
}
