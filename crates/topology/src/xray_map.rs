//! X-Ray's service graph, read from what was counted when the spans came.
//!
//! The grain is that of the map: whole minutes, and durations within 1.6 %. Sums of durations are
//! exact to seven digits. An edge counts as its caller saw it, or as the callee did where there is
//! no caller's span.

use std::collections::BTreeMap;

use ahash::AHashMap;

use crate::kind::{Evidence, NodeKind, Side};
use crate::part::{MINUTE_NANOS, MapPart, Stats};
use crate::sketch::middle_of;
use crate::view::{Chosen, MapFilter};
use crate::xray::{Graph, GraphEdge, GraphService, Outcome, ServiceId, State, Statistics};

impl MapPart {
    /// The service graph of the minutes and environment that `filter` asks for.
    pub fn xray_graph(&self, filter: &MapFilter<'_>) -> Graph {
        let Some(chosen) = Chosen::new(self, filter) else { return Graph::default() };
        let graphs = self.graphs(&chosen, |_| 0);
        graphs.into_values().next().map(|graph| graph.finish(self, filter)).unwrap_or_default()
    }

    /// As above, one graph for each period in which something happened, with the period's start in
    /// nanoseconds since the epoch. Periods are whole minutes, counted from the epoch.
    pub fn xray_time_series(
        &self,
        filter: &MapFilter<'_>,
        period_seconds: u32,
    ) -> Vec<(i64, Graph)> {
        let Some(chosen) = Chosen::new(self, filter) else { return Vec::new() };
        let minutes = period_seconds.div_ceil(60).max(1);
        let graphs = self.graphs(&chosen, |minute| minute / minutes);
        let render = |(period, graph): (u32, Building)| {
            let start = i64::from(period) * i64::from(minutes) * MINUTE_NANOS;
            (start, graph.finish(self, filter))
        };
        graphs.into_iter().map(render).filter(|(_, graph)| !graph.services.is_empty()).collect()
    }

    fn graphs(&self, chosen: &Chosen, bin: impl Fn(u32) -> u32) -> BTreeMap<u32, Building> {
        let mut graphs: BTreeMap<u32, Building> = BTreeMap::new();
        for (key, stats) in &self.node_stats {
            if chosen.has(key.minute, key.environment) {
                let graph = graphs.entry(bin(key.minute)).or_default();
                graph.nodes.entry(key.node).or_default().add(key.minute, stats);
            }
        }
        for (key, stats) in &self.edge_stats {
            // Calls to inferred nodes and those of clients have one side only.
            let one_sided = key.evidence == Evidence::Inferred || self.is_client(key.from);
            let side = if one_sided { Side::Callee } else { Side::Caller };
            if key.side == side && chosen.has(key.minute, key.environment) {
                let graph = graphs.entry(bin(key.minute)).or_default();
                let edge = (key.from, key.to, key.evidence == Evidence::Link);
                graph.edges.entry(edge).or_default().add(key.minute, stats);
            }
        }
        graphs
    }

    fn service_id(&self, number: u32) -> ServiceId {
        let node = self.nodes[number as usize];
        let (name, system) = (self.string(node.name), self.string(node.system));
        let account = Some(self.string(node.account)).filter(|account| !account.is_empty());
        let (name, kind) = match node.kind {
            NodeKind::Service => (name, system.to_owned()),
            NodeKind::Client => (name, "client".to_owned()),
            _ => callee(node.kind, name, system),
        };
        ServiceId {
            name: name.to_owned(),
            names: vec![name.to_owned()],
            kind,
            account: account.map(str::to_owned),
        }
    }
}

/// Name and type of a node that sent nothing itself.
///
/// **Rule:** X-Ray developer guide, the samples under "Getting data"; `crate::xray::inferred_service`
/// says the same of single spans.
fn callee<'a>(kind: NodeKind, name: &'a str, system: &str) -> (&'a str, String) {
    // A service of AWS, a type for its resources, and what its callers name when they name none.
    const AWS: [(&str, &str, &str, &[&str]); 8] = [
        ("dynamodb", "DynamoDB", "DynamoDB::Table", &["dynamodb"]),
        ("s3", "S3", "S3::Bucket", &["s3"]),
        ("aws_sqs", "SQS", "SQS::Queue", &["sqs"]),
        ("aws_sns", "SNS", "SNS", &["sns"]),
        ("aws_kinesis", "Kinesis", "Kinesis::Stream", &["kinesis"]),
        (
            "aws_eventbridge",
            "Events",
            "Events::EventBus",
            &["events", "eventbridge", "cloudwatchevents"],
        ),
        (
            "aws_step_functions",
            "StepFunctions",
            "StepFunctions::StateMachine",
            &["states", "sfn", "stepfunctions"],
        ),
        ("aws_lambda", "Lambda", "Lambda", &["lambda"]),
    ];
    if let Some((_, service, resource, unnamed)) = AWS.iter().find(|row| row.0 == system) {
        let is_unnamed = unnamed.iter().any(|word| name.eq_ignore_ascii_case(word));
        // A topic is a node of its own only where it sends segments.
        return match (is_unnamed, *service) {
            (_, "SNS") | (true, _) => (service, format!("AWS::{service}")),
            (false, _) => (name, format!("AWS::{resource}")),
        };
    }
    let kind = match (kind, system) {
        (_, "aws") => format!("AWS::{name}"),
        (NodeKind::Database, system) if is_sql(system) => "Database::SQL".to_owned(),
        _ => "remote".to_owned(),
    };
    (name, kind)
}

/// **Rule:** semantic conventions, `db.system.name`: those that are asked in SQL; in X-Ray's
/// segments the names are those of products, in any case.
fn is_sql(system: &str) -> bool {
    let system = system.to_ascii_lowercase();
    let words = ["sql", "maria", "oracle", "db2", "derby", "hive", "teradata", "cockroach"];
    words.iter().any(|word| system.contains(word))
}

/// A graph in the part's numbers.
#[derive(Default)]
struct Building {
    nodes: BTreeMap<u32, Sum>,
    edges: BTreeMap<(u32, u32, bool), Sum>,
}

/// Counts of some minutes.
#[derive(Default)]
struct Sum {
    minutes: Option<(u32, u32)>,
    stats: Stats,
}

impl Sum {
    fn add(&mut self, minute: u32, stats: &Stats) {
        if stats.requests > 0 {
            let (first, last) = self.minutes.unwrap_or((minute, minute));
            self.minutes = Some((first.min(minute), last.max(minute)));
        }
        self.stats.merge(stats);
    }

    fn is_live(&self) -> bool {
        self.stats.requests > 0
    }
}

impl Building {
    fn finish(mut self, part: &MapPart, filter: &MapFilter<'_>) -> Graph {
        self.nodes.retain(|_, sum| sum.is_live());
        self.edges.retain(|_, sum| sum.is_live());
        let mut graph = Graph::default();
        let mut places: AHashMap<ServiceId, usize> = AHashMap::new();
        let mut numbers: BTreeMap<u32, usize> = BTreeMap::new();
        let ends = self.edges.keys().flat_map(|(from, to, _)| [*from, *to]);
        let mut all: Vec<u32> = self.nodes.keys().copied().chain(ends).collect();
        all.sort_unstable_by_key(|number| !part.is_client(*number));
        for number in all {
            if numbers.contains_key(&number) {
                continue;
            }
            let id = part.service_id(number);
            let is_service = part.nodes[number as usize].kind == NodeKind::Service;
            let place = *places.entry(id.clone()).or_insert_with(|| {
                let state = if is_service { State::Active } else { State::Unknown };
                graph.services.push(GraphService { id, state, ..GraphService::default() });
                graph.services.len() - 1
            });
            numbers.insert(number, place);
            let service = &mut graph.services[place];
            if !part.is_client(number) {
                service.statistics.get_or_insert_default();
            }
            if let Some(sum) = self.nodes.get(&number) {
                let span = times(sum, filter);
                widen(&mut service.start_unix_nano, &mut service.end_unix_nano, span);
                add(service.statistics.get_or_insert_default(), &sum.stats);
            }
        }
        for ((from, to, is_link), sum) in &self.edges {
            let (from_place, to_place) = (numbers[from], numbers[to]);
            let span = times(sum, filter);
            if part.is_client(*from) {
                graph.services[to_place].root = true;
            }
            // Whoever calls was there at that time, too.
            let caller = &mut graph.services[from_place];
            widen(&mut caller.start_unix_nano, &mut caller.end_unix_nano, span);
            let known = caller.edges.iter_mut().find(|e| e.to == to_place && e.is_link == *is_link);
            let edge = match known {
                Some(edge) => edge,
                None => {
                    let is_link = *is_link;
                    caller.edges.push(GraphEdge { to: to_place, is_link, ..GraphEdge::default() });
                    let last = caller.edges.len() - 1;
                    &mut caller.edges[last]
                }
            };
            widen(&mut edge.start_unix_nano, &mut edge.end_unix_nano, span);
            add(&mut edge.statistics, &sum.stats);
        }
        graph
    }
}

/// From the first minute to the last, within what was asked for.
fn times(sum: &Sum, filter: &MapFilter<'_>) -> (i64, i64) {
    let (first, last) = sum.minutes.unwrap_or_default();
    let start = i64::from(first).saturating_mul(MINUTE_NANOS);
    let end = (i64::from(last) + 1).saturating_mul(MINUTE_NANOS);
    (start.max(filter.from_unix_nano), end.min(filter.to_unix_nano))
}

fn widen(start: &mut i64, end: &mut i64, (from, to): (i64, i64)) {
    *start = if *start == 0 { from } else { (*start).min(from) };
    *end = (*end).max(to);
}

fn add(statistics: &mut Statistics, stats: &Stats) {
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    let [errors, throttles, faults] = stats.outcomes.map(count);
    let ok = count(stats.requests).saturating_sub(errors + throttles + faults);
    let outcomes = [
        (Outcome::Ok, ok),
        (Outcome::Error, errors),
        (Outcome::Throttle, throttles),
        (Outcome::Fault, faults),
    ];
    outcomes.into_iter().for_each(|(outcome, requests)| statistics.count(outcome, requests));
    statistics.total_response_nano += stats.total_nano.max(0);
    for (bucket, requests) in stats.durations.buckets().filter(|(_, requests)| *requests > 0) {
        let nanos = middle_of(bucket);
        *statistics.response_times.entry(nanos).or_default() += count(requests);
        *statistics.durations.entry(nanos).or_default() += count(requests);
    }
}
