//! The graph of given traces, counted exactly.
//!
//! **Rule:** X-Ray API reference, `Service`, `Edge`, `GetTraceGraph`; the developer guide's samples.

use std::collections::BTreeMap;

use ahash::{AHashMap, AHashSet};

use super::fold::folded;
use super::links::{self, LinkCall};
use super::{
    CLIENT, Entity, Graph, GraphEdge, GraphService, ServiceId, State, Statistics, TraceView,
};

/// Nanoseconds of a millisecond, to which response times are rounded.
const MILLISECOND: i64 = 1_000_000;
/// The most response times that stay apart; where there are more, three digits must do.
const DISTINCT_MAX: usize = 100;
/// The most names that one node collects.
const NAMES_MAX: usize = 20;

/// The nodes of these traces and the calls between them; every request counts once.
///
/// A call counts at its callee's node by the callee's own word, and at the edge by its caller's.
/// The order of the traces does not matter.
pub fn trace_graph(views: &[TraceView<'_>]) -> Graph {
    let mut drawing = Drawing::default();
    let link_calls = links::link_calls(views);
    let linked: AHashSet<_> = link_calls.iter().filter_map(|call| call.consumer).collect();
    for (number, view) in views.iter().enumerate() {
        drawing.draw(view, |segment| linked.contains(&(number, segment)));
    }
    for call in &link_calls {
        drawing.draw_link(call);
    }
    drawing.finish()
}

/// What makes two nodes one: name, type and account.
type Identity<'a> = (&'a str, &'a str, Option<&'a str>);

#[derive(Default)]
struct Drawing<'a> {
    numbers: AHashMap<Identity<'a>, usize>,
    /// The client of each root, by the root's number.
    clients: BTreeMap<usize, usize>,
    services: Vec<GraphService>,
    /// By caller, callee, and whether it is a link.
    edges: BTreeMap<(usize, usize, bool), GraphEdge>,
}

impl<'a> Drawing<'a> {
    fn draw(&mut self, view: &'a TraceView<'_>, is_linked: impl Fn(usize) -> bool) {
        let is_folded = folded(view);
        for place in view.segments.iter().copied().filter(|place| !is_folded[*place]) {
            let segment = &view.entities[place];
            let node = self.node(&segment.service);
            let service = &mut self.services[node];
            widen(&mut service.start_unix_nano, &mut service.end_unix_nano, segment);
            if !segment.inferred {
                service.state = State::Active;
            }
            if let Some(statistics) = &mut service.statistics {
                observe(statistics, segment);
            }
            if segment.parent.is_none() && !is_linked(place) {
                self.services[node].root = true;
                self.draw_client(node, segment);
            }
        }
        for edge in view.edges.iter().filter(|edge| !is_folded[edge.to]) {
            let from = self.node(&view.entities[edge.from].service);
            let to = self.node(&view.entities[edge.to].service);
            let observed = &view.entities[edge.observed];
            observe(&mut self.edge(from, to, false, observed).statistics, observed);
        }
    }

    /// Whoever sent a request into the system: a node of its own for every root.
    fn draw_client(&mut self, root: usize, segment: &Entity<'_>) {
        let client = *self.clients.entry(root).or_insert_with(|| {
            let id = ServiceId { kind: CLIENT.to_owned(), ..self.services[root].id.clone() };
            self.services.push(GraphService { statistics: None, ..new_service(id) });
            self.services.len() - 1
        });
        let service = &mut self.services[client];
        widen(&mut service.start_unix_nano, &mut service.end_unix_nano, segment);
        observe(&mut self.edge(client, root, false, segment).statistics, segment);
    }

    fn draw_link(&mut self, call: &'a LinkCall<'_>) {
        let (from, to) = (self.node(&call.from), self.node(&call.to));
        if from == to {
            return;
        }
        for node in [from, to] {
            let service = &mut self.services[node];
            service.start_unix_nano = service.start_unix_nano.min(call.start_unix_nano);
            service.end_unix_nano = service.end_unix_nano.max(call.end_unix_nano);
        }
        let edge = self.edges.entry((from, to, true)).or_insert_with(|| new_edge(true));
        edge.start_unix_nano = edge.start_unix_nano.min(call.start_unix_nano);
        edge.end_unix_nano = edge.end_unix_nano.max(call.end_unix_nano);
        edge.statistics.count(call.outcome, 1);
        if let Some(age) = call.age_nano {
            add(&mut edge.statistics.response_times, age);
            let total = &mut edge.statistics.total_response_nano;
            *total = total.saturating_add(age);
        }
    }

    fn node(&mut self, id: &'a ServiceId) -> usize {
        let identity = (id.name.as_str(), id.kind.as_str(), id.account.as_deref());
        let number = *self.numbers.entry(identity).or_insert_with(|| {
            self.services.push(new_service(id.clone()));
            self.services.len() - 1
        });
        let names = &mut self.services[number].id.names;
        for name in &id.names {
            if names.len() < NAMES_MAX && !names.contains(name) {
                names.push(name.clone());
            }
        }
        number
    }

    fn edge(&mut self, from: usize, to: usize, is_link: bool, seen: &Entity<'_>) -> &mut GraphEdge {
        let edge = self.edges.entry((from, to, is_link)).or_insert_with(|| new_edge(is_link));
        widen(&mut edge.start_unix_nano, &mut edge.end_unix_nano, seen);
        edge
    }

    /// Puts nodes and edges into an order that does not depend on that of the traces.
    fn finish(self) -> Graph {
        let mut order: Vec<usize> = (0..self.services.len()).collect();
        let identity = |number: &usize| {
            let id = &self.services[*number].id;
            (&id.name, &id.kind, &id.account)
        };
        // Two clients of one name are told apart by their roots.
        let root = |number: &usize| {
            let found = self.clients.iter().find(|(_, client)| *client == number);
            found.map(|(root, _)| identity(root))
        };
        order.sort_by(|a, b| identity(a).cmp(&identity(b)).then_with(|| root(a).cmp(&root(b))));
        let mut places = vec![0; order.len()];
        for (place, number) in order.iter().enumerate() {
            places[*number] = place;
        }
        let mut services: Vec<GraphService> =
            order.iter().map(|number| self.services[*number].clone()).collect();
        for service in &mut services {
            if let Some((_, aliases)) = service.id.names.split_first_mut() {
                aliases.sort_unstable();
            }
            service.statistics.iter_mut().for_each(coarsen);
        }
        for ((from, to, _), mut edge) in self.edges {
            edge.to = places[to];
            coarsen(&mut edge.statistics);
            services[places[from]].edges.push(edge);
        }
        for service in &mut services {
            service.edges.sort_by_key(|edge| (edge.to, edge.is_link));
        }
        Graph { services }
    }
}

fn new_service(id: ServiceId) -> GraphService {
    GraphService {
        id,
        start_unix_nano: i64::MAX,
        end_unix_nano: i64::MIN,
        statistics: Some(Statistics::default()),
        ..GraphService::default()
    }
}

fn new_edge(is_link: bool) -> GraphEdge {
    GraphEdge {
        start_unix_nano: i64::MAX,
        end_unix_nano: i64::MIN,
        is_link,
        ..GraphEdge::default()
    }
}

fn widen(start: &mut i64, end: &mut i64, entity: &Entity<'_>) {
    *start = (*start).min(entity.start_unix_nano);
    *end = (*end).max(entity.end_unix_nano);
}

/// Counts a request; one that still runs counts when it has ended.
fn observe(statistics: &mut Statistics, entity: &Entity<'_>) {
    if entity.in_progress {
        return;
    }
    let nanos = entity.duration_nano();
    statistics.count(entity.outcome(), 1);
    statistics.total_response_nano = statistics.total_response_nano.saturating_add(nanos);
    add(&mut statistics.response_times, nanos);
    add(&mut statistics.durations, nanos);
}

fn add(histogram: &mut BTreeMap<i64, u64>, nanos: i64) {
    *histogram.entry(rounded(nanos, MILLISECOND)).or_default() += 1;
}

/// The nearest multiple of `grain`; halves go up.
fn rounded(nanos: i64, grain: i64) -> i64 {
    let below = nanos - nanos.rem_euclid(grain);
    if nanos - below >= grain - grain / 2 { below.saturating_add(grain) } else { below }
}

fn coarsen(statistics: &mut Statistics) {
    for histogram in [&mut statistics.response_times, &mut statistics.durations] {
        if histogram.len() <= DISTINCT_MAX {
            continue;
        }
        let mut coarse = BTreeMap::new();
        for (nanos, count) in std::mem::take(histogram) {
            let mut grain = MILLISECOND;
            while grain < i64::MAX / 10 && nanos / grain >= 1_000 {
                grain *= 10;
            }
            *coarse.entry(rounded(nanos, grain)).or_default() += count;
        }
        *histogram = coarse;
    }
}
