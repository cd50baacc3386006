//! Reading a map: minutes and environments chosen, everything else added up.

use std::collections::BTreeMap;

use serde::Serialize;
use throughline_model::{ResourceRef, SpanKind};

use crate::kind::{EdgeKind, Evidence, NodeKind, Side};
use crate::names::clipped;
use crate::part::{MINUTE_NANOS, MapPart, Stats};
use crate::sender::{account, service_type};

/// Which part of the map is asked for.
#[derive(Clone, Copy, Debug)]
pub struct MapFilter<'a> {
    /// First moment, nanoseconds since the epoch. The map knows whole minutes: the minute that
    /// holds this moment counts.
    pub from_unix_nano: i64,
    /// End of the range, exclusive, nanoseconds since the epoch.
    pub to_unix_nano: i64,
    /// Only this environment; `None` for all, `Some("")` for spans that named none.
    pub environment: Option<&'a str>,
}

/// The service map of a range of time: nodes by id, edges by their ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServiceMap {
    /// Sorted by id. Both ends of every edge are among them.
    pub nodes: Vec<Node>,
    /// Sorted by `from`, `to`, `kind`.
    pub edges: Vec<Edge>,
}

/// A service, or something that services talk to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// `kind:name`; system and account stand between them where they are known. Stable over time.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// The product behind it, such as `postgresql` or `aws_sqs`; of a service, its type in
    /// X-Ray's words, such as `AWS::Lambda::Function`.
    pub system: Option<String>,
    /// Whether only its callers told us of it.
    pub inferred: bool,
    /// Entry spans of a service, calls to an inferred node. May be 0 for the end of an edge.
    pub requests: u64,
    /// Those with status "error".
    pub errors: u64,
    /// Median duration of the requests, in nanoseconds, within 2 %.
    pub p50_nano: i64,
    /// 95th percentile.
    pub p95_nano: i64,
    /// 99th percentile.
    pub p99_nano: i64,
}

/// Calls or messages from one node to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Edge {
    /// Id of the calling node.
    pub from: String,
    /// Id of the called node.
    pub to: String,
    /// Whether the caller waits.
    pub kind: EdgeKind,
    /// Spans of `to` that `from` caused; calls by `from` when `to` is inferred.
    pub requests: u64,
    /// Those with status "error".
    pub errors: u64,
    /// Median duration of the requests, in nanoseconds, within 2 %.
    pub p50_nano: i64,
    /// 95th percentile.
    pub p95_nano: i64,
    /// 99th percentile.
    pub p99_nano: i64,
    /// How we know, each once, in the order of the enum.
    pub evidence: Vec<Evidence>,
}

/// A service and how it fares.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStats {
    /// `service.name`.
    pub name: String,
    /// The environments it was seen in, sorted; without the nameless one.
    pub environments: Vec<String>,
    /// Entry spans.
    pub requests: u64,
    /// Those with status "error".
    pub errors: u64,
    /// Median duration of the requests, in nanoseconds, within 2 %.
    pub p50_nano: i64,
    /// 95th percentile.
    pub p95_nano: i64,
    /// 99th percentile.
    pub p99_nano: i64,
}

/// All spans of one name and kind in a service.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationStats {
    /// The span name, or [`crate::OTHER`] beyond the cap of names.
    pub name: String,
    /// The span kind, as its word.
    #[serde(serialize_with = "kind_word")]
    pub kind: SpanKind,
    /// Spans that have ended.
    pub requests: u64,
    /// Those with status "error".
    pub errors: u64,
    /// Median duration, in nanoseconds, within 2 %.
    pub p50_nano: i64,
    /// 95th percentile.
    pub p95_nano: i64,
    /// 99th percentile.
    pub p99_nano: i64,
}

fn kind_word<S: serde::Serializer>(kind: &SpanKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.word())
}

/// `kind:name`, and what is known of system and account between them.
pub(crate) fn id_of(kind: NodeKind, system: &str, account: &str, name: &str) -> String {
    let parts = [kind.word(), system, account];
    let known: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{}:{name}", known.join(":"))
}

/// The id of the node that a sender's spans count for, as in [`Node::id`].
///
/// Where there are more names than a map keeps, the node may be [`crate::OTHER`] instead.
pub fn service_node_id(resource: ResourceRef<'_>) -> String {
    let system = clipped(service_type(resource));
    let account = clipped(account(resource).unwrap_or(""));
    id_of(NodeKind::Service, system, account, clipped(resource.service()))
}

impl MapFilter<'static> {
    /// Everything.
    pub const ALL: Self = Self { from_unix_nano: 0, to_unix_nano: i64::MAX, environment: None };
}

impl MapPart {
    /// The map of the minutes and environment that `filter` asks for.
    pub fn view(&self, filter: &MapFilter<'_>) -> ServiceMap {
        let Some(chosen) = Chosen::new(self, filter) else { return ServiceMap::default() };
        let mut nodes: BTreeMap<u32, Stats> = BTreeMap::new();
        for (key, stats) in &self.node_stats {
            if chosen.has(key.minute, key.environment) {
                nodes.entry(key.node).or_default().merge(stats);
            }
        }
        let mut edges: BTreeMap<(u32, u32, EdgeKind), [Stats; 3]> = BTreeMap::new();
        for (key, stats) in &self.edge_stats {
            let is_shown = key.side == Side::Callee && !self.is_client(key.from);
            if is_shown && chosen.has(key.minute, key.environment) {
                let edge = edges.entry((key.from, key.to, key.kind)).or_default();
                edge[key.evidence as usize].merge(stats);
            }
        }

        nodes.retain(|_, stats| stats.requests > 0);
        let mut map = ServiceMap::default();
        for ((from, to, kind), by_evidence) in edges {
            let evidence: Vec<Evidence> = Evidence::ALL
                .into_iter()
                .filter(|e| by_evidence[*e as usize].requests > 0)
                .collect();
            if evidence.is_empty() {
                continue;
            }
            let mut all = Stats::default();
            by_evidence.iter().filter(|s| s.requests > 0).for_each(|s| all.merge(s));
            let Numbers { requests, errors, p50_nano, p95_nano, p99_nano } = Numbers::of(&all);
            let (from_id, to_id) = (self.node_id(from), self.node_id(to));
            map.edges.push(Edge {
                from: from_id,
                to: to_id,
                kind,
                requests,
                errors,
                p50_nano,
                p95_nano,
                p99_nano,
                evidence,
            });
            // A caller of another environment has no requests here, but an edge needs both ends.
            nodes.entry(from).or_default();
            nodes.entry(to).or_default();
        }
        map.nodes = nodes.iter().map(|(number, stats)| self.render_node(*number, stats)).collect();
        map.nodes.sort_by(|a, b| a.id.cmp(&b.id));
        map.edges.sort_by(|a, b| (&a.from, &a.to, a.kind).cmp(&(&b.from, &b.to, b.kind)));
        map
    }

    /// The services with requests in the range, by name.
    pub fn services(&self, filter: &MapFilter<'_>) -> Vec<ServiceStats> {
        let Some(chosen) = Chosen::new(self, filter) else { return Vec::new() };
        let mut services: BTreeMap<&str, BTreeMap<&str, Stats>> = BTreeMap::new();
        for (key, stats) in &self.node_stats {
            let node = self.nodes[key.node as usize];
            if node.kind == NodeKind::Service && chosen.has(key.minute, key.environment) {
                let service = services.entry(self.string(node.name)).or_default();
                service.entry(self.string(key.environment)).or_default().merge(stats);
            }
        }
        let mut found = Vec::new();
        for (name, mut environments) in services {
            environments.retain(|_, stats| stats.requests > 0);
            let mut all = Stats::default();
            environments.values().for_each(|stats| all.merge(stats));
            if all.requests <= 0 {
                continue;
            }
            let Numbers { requests, errors, p50_nano, p95_nano, p99_nano } = Numbers::of(&all);
            let named = environments.keys().filter(|e| !e.is_empty());
            found.push(ServiceStats {
                name: name.to_owned(),
                environments: named.map(|e| (*e).to_owned()).collect(),
                requests,
                errors,
                p50_nano,
                p95_nano,
                p99_nano,
            });
        }
        found
    }

    /// The operations of a service in the range, by name and kind. Every ended span counts.
    pub fn operations(&self, service: &str, filter: &MapFilter<'_>) -> Vec<OperationStats> {
        let Some(chosen) = Chosen::new(self, filter) else { return Vec::new() };
        let Some(service) = self.string_number(service) else { return Vec::new() };
        let mut operations: BTreeMap<(&str, u8), Stats> = BTreeMap::new();
        for (key, stats) in &self.operation_stats {
            if key.service == service && chosen.has(key.minute, key.environment) {
                operations.entry((self.string(key.name), key.kind)).or_default().merge(stats);
            }
        }
        operations.retain(|_, stats| stats.requests > 0);
        let render = |((name, kind), stats): ((&str, u8), Stats)| {
            let Numbers { requests, errors, p50_nano, p95_nano, p99_nano } = Numbers::of(&stats);
            let (name, kind) = (name.to_owned(), SpanKind::from_number(kind));
            OperationStats { name, kind, requests, errors, p50_nano, p95_nano, p99_nano }
        };
        operations.into_iter().map(render).collect()
    }

    /// The environments that ended spans of the range named, sorted.
    pub fn environments(&self, filter: &MapFilter<'_>) -> Vec<String> {
        let Some(chosen) = Chosen::new(self, filter) else { return Vec::new() };
        let mut requests: BTreeMap<&str, i64> = BTreeMap::new();
        for (key, stats) in &self.operation_stats {
            if chosen.has(key.minute, key.environment) {
                let sum = requests.entry(self.string(key.environment)).or_default();
                *sum = sum.wrapping_add(stats.requests);
            }
        }
        let named = requests.into_iter().filter(|(name, sum)| !name.is_empty() && *sum > 0);
        named.map(|(name, _)| name.to_owned()).collect()
    }

    fn node_id(&self, number: u32) -> String {
        let node = self.nodes[number as usize];
        let [system, account] = [node.system, node.account].map(|number| self.string(number));
        id_of(node.kind, system, account, self.string(node.name))
    }

    /// Clients are for X-Ray's graph only.
    pub(crate) fn is_client(&self, node: u32) -> bool {
        self.nodes[node as usize].kind == NodeKind::Client
    }

    fn render_node(&self, number: u32, stats: &Stats) -> Node {
        let node = self.nodes[number as usize];
        let system = self.string(node.system);
        let Numbers { requests, errors, p50_nano, p95_nano, p99_nano } = Numbers::of(stats);
        Node {
            id: self.node_id(number),
            name: self.string(node.name).to_owned(),
            kind: node.kind,
            system: (!system.is_empty()).then(|| system.to_owned()),
            inferred: node.kind != NodeKind::Service,
            requests,
            errors,
            p50_nano,
            p95_nano,
            p99_nano,
        }
    }
}

/// The minutes and environment of a filter, as the part's numbers.
pub(crate) struct Chosen {
    pub(crate) first: u32,
    pub(crate) last: u32,
    environment: Option<u32>,
}

impl Chosen {
    /// `None` when nothing can match.
    pub(crate) fn new(part: &MapPart, filter: &MapFilter<'_>) -> Option<Self> {
        if filter.to_unix_nano <= filter.from_unix_nano || filter.to_unix_nano <= 0 {
            return None;
        }
        let environment = match filter.environment {
            Some(name) => Some(part.string_number(name)?),
            None => None,
        };
        let first = minute_of(filter.from_unix_nano);
        Some(Self { first, last: minute_of(filter.to_unix_nano - 1), environment })
    }

    pub(crate) fn has(&self, minute: u32, environment: u32) -> bool {
        (self.first..=self.last).contains(&minute)
            && self.environment.is_none_or(|wanted| wanted == environment)
    }
}

/// The minute that holds a moment; what lies before the epoch is in its first minute.
pub(crate) fn minute_of(unix_nano: i64) -> u32 {
    u32::try_from(unix_nano.max(0) / MINUTE_NANOS).unwrap_or(u32::MAX)
}

/// The numbers that every entry of the API shows.
struct Numbers {
    requests: u64,
    errors: u64,
    p50_nano: i64,
    p95_nano: i64,
    p99_nano: i64,
}

impl Numbers {
    fn of(stats: &Stats) -> Self {
        let [p50_nano, p95_nano, p99_nano] = stats.durations.quantiles([0.5, 0.95, 0.99]);
        Self {
            requests: u64::try_from(stats.requests).unwrap_or(0),
            errors: u64::try_from(stats.errors).unwrap_or(0),
            p50_nano,
            p95_nano,
            p99_nano,
        }
    }
}
