//! Service graphs: from the roll-ups for all traces, from the traces themselves for a group.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Value, json};
use throughline_query::LIMIT_MAX;
use throughline_query::xray_filter::{XraySearchOptions, XrayTime, xray_search};
use throughline_store::Snapshot;
use throughline_topology::xray::{
    Graph, GraphEdge, GraphService, ServiceId, State, Statistics, trace_graph,
};
use throughline_topology::{MapFilter, MapTotal};

use super::body::{Answer, Time, Window, read, seconds, without_nulls};
use super::error::XrayError;
use super::token::Scope;
use super::{Call, PAGE_SIZE, filters, groups};

/// Pages of up to [`LIMIT_MAX`] traces that are added up for a group at most, newest first.
const GROUP_PAGES_MAX: usize = 10;

pub(super) fn service_graph(call: &Call, snapshot: &Snapshot, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        start_time: Option<Time>,
        end_time: Option<Time>,
        group_name: Option<String>,
        #[serde(rename = "GroupARN")]
        group_arn: Option<String>,
        next_token: Option<String>,
    }
    let members: Members = read(body)?;
    let window = Window::of(members.start_time, members.end_time)?;
    let (name, arn) = (members.group_name.as_deref(), members.group_arn.as_deref());
    let graph = match groups::filter_of(call, name, arn)? {
        None => {
            let filter = map_filter(window);
            snapshot.map(MapTotal::of_minutes(&filter)).xray_graph(&filter)
        }
        Some(filter) => {
            let graphs = group_graphs(call, snapshot, window, &filter, None)?;
            graphs.into_values().next().unwrap_or_default()
        }
    };
    let answer = json!({
        "StartTime": seconds(window.from),
        "EndTime": seconds(window.to),
        "ContainsOldGroupVersions": false,
    });
    let scope = Scope::of("GetServiceGraph", (window.from, window.to, name, arn));
    let token = members.next_token.as_deref();
    scope.page(answer, "Services", render(call, &graph), token, PAGE_SIZE)
}

pub(super) fn map_filter(window: Window) -> MapFilter<'static> {
    MapFilter { from_unix_nano: window.from, to_unix_nano: window.to, environment: None }
}

/// The graphs of the traces that a group takes, by the start of their period; one in all without.
pub(super) fn group_graphs(
    call: &Call,
    snapshot: &Snapshot,
    window: Window,
    filter: &str,
    period_nanos: Option<i64>,
) -> Result<BTreeMap<i64, Graph>, XrayError> {
    let filter = filters::filter(call, filter)?;
    let mut options = XraySearchOptions {
        from: window.from,
        to: window.to,
        time: XrayTime::TraceId,
        limit: LIMIT_MAX,
        after: None,
        sampling: None,
    };
    let mut sums: BTreeMap<i64, Sum> = BTreeMap::new();
    for _ in 0..GROUP_PAGES_MAX {
        let page = xray_search(snapshot, &filter, &options, |_, view| {
            let start = view.start_unix_nano();
            let period = period_nanos.map_or(0, |nanos| start.div_euclid(nanos) * nanos);
            sums.entry(period).or_default().add(trace_graph(std::slice::from_ref(view)));
        })?;
        options.after = page.next;
        if options.after.is_none() {
            break;
        }
    }
    Ok(sums.into_iter().map(|(period, sum)| (period, sum.graph)).collect())
}

/// Graphs added up. Nodes are told apart by who they are, as within one graph.
#[derive(Default)]
struct Sum {
    graph: Graph,
    places: HashMap<ServiceId, usize>,
}

impl Sum {
    fn add(&mut self, more: Graph) {
        let places: Vec<usize> = more.services.iter().map(|s| self.place(&s.id)).collect();
        for (service, place) in more.services.into_iter().zip(&places) {
            let Some(sum) = self.graph.services.get_mut(*place) else { continue };
            widen(&mut sum.start_unix_nano, &mut sum.end_unix_nano, &service);
            sum.root |= service.root;
            if service.state == State::Active {
                sum.state = State::Active;
            }
            if let Some(statistics) = &service.statistics {
                add(sum.statistics.get_or_insert_default(), statistics);
            }
            for edge in service.edges {
                let Some(to) = places.get(edge.to).copied() else { continue };
                add_edge(&mut sum.edges, GraphEdge { to, ..edge });
            }
        }
    }

    fn place(&mut self, id: &ServiceId) -> usize {
        if let Some(place) = self.places.get(id) {
            return *place;
        }
        let place = self.graph.services.len();
        let times = (i64::MAX, i64::MIN);
        let (start_unix_nano, end_unix_nano) = times;
        let id = id.clone();
        self.places.insert(id.clone(), place);
        let service =
            GraphService { id, start_unix_nano, end_unix_nano, ..GraphService::default() };
        self.graph.services.push(service);
        place
    }
}

fn widen(start: &mut i64, end: &mut i64, service: &GraphService) {
    *start = service.start_unix_nano.min(*start);
    *end = service.end_unix_nano.max(*end);
}

fn add_edge(edges: &mut Vec<GraphEdge>, edge: GraphEdge) {
    let same = |known: &&mut GraphEdge| known.to == edge.to && known.is_link == edge.is_link;
    let Some(sum) = edges.iter_mut().find(same) else { return edges.push(edge) };
    sum.start_unix_nano = sum.start_unix_nano.min(edge.start_unix_nano);
    sum.end_unix_nano = sum.end_unix_nano.max(edge.end_unix_nano);
    add(&mut sum.statistics, &edge.statistics);
}

/// Adds counts and histograms.
pub(super) fn add(sum: &mut Statistics, more: &Statistics) {
    sum.ok += more.ok;
    sum.errors += more.errors;
    sum.throttles += more.throttles;
    sum.faults += more.faults;
    sum.total_response_nano = sum.total_response_nano.saturating_add(more.total_response_nano);
    for (histogram, more) in
        [(&mut sum.response_times, &more.response_times), (&mut sum.durations, &more.durations)]
    {
        for (nanos, count) in more {
            *histogram.entry(*nanos).or_default() += count;
        }
    }
}

/// The services of a graph as answers have them.
pub(super) fn render(call: &Call, graph: &Graph) -> Vec<Value> {
    let services = graph.services.iter().enumerate();
    services.map(|(place, service)| render_service(call, place, service)).collect()
}

fn render_service(call: &Call, place: usize, service: &GraphService) -> Value {
    let mut json = service_id(call, &service.id);
    json["ReferenceId"] = place.into();
    if service.root {
        json["Root"] = true.into();
    }
    json["State"] = match service.state {
        State::Active => "active",
        State::Unknown => "unknown",
    }
    .into();
    json["StartTime"] = seconds(service.start_unix_nano);
    json["EndTime"] = seconds(service.end_unix_nano);
    json["Edges"] = service.edges.iter().map(render_edge).collect();
    // A client has none; but Grafana breaks on a node with neither statistics nor an edge, and on a
    // histogram that is missing.
    let empty = Statistics::default();
    let statistics = service.statistics.as_ref();
    if let Some(shown) = statistics.or(service.edges.is_empty().then_some(&empty)) {
        json["SummaryStatistics"] = render_statistics(shown);
    }
    let shown = statistics.unwrap_or(&empty);
    json["DurationHistogram"] = render_histogram(&shown.durations);
    json["ResponseTimeHistogram"] = render_histogram(&shown.response_times);
    json
}

fn render_edge(edge: &GraphEdge) -> Value {
    let ages = edge.is_link.then(|| render_histogram(&edge.statistics.response_times));
    let times = match edge.is_link {
        true => json!([]),
        false => render_histogram(&edge.statistics.response_times),
    };
    without_nulls(json!({
        "ReferenceId": edge.to,
        "StartTime": seconds(edge.start_unix_nano),
        "EndTime": seconds(edge.end_unix_nano),
        "SummaryStatistics": render_statistics(&edge.statistics),
        "ResponseTimeHistogram": times,
        "Aliases": [],
        "EdgeType": edge.is_link.then_some("link"),
        "ReceivedEventAgeHistogram": ages,
    }))
}

/// Every count and the sum of the times: Grafana takes all of them for granted.
pub(super) fn render_statistics(statistics: &Statistics) -> Value {
    json!({
        "OkCount": statistics.ok,
        "ErrorStatistics": {
            "ThrottleCount": statistics.throttles,
            "OtherCount": statistics.errors,
            "TotalCount": statistics.errors + statistics.throttles,
        },
        "FaultStatistics": { "OtherCount": statistics.faults, "TotalCount": statistics.faults },
        "TotalCount": statistics.total(),
        "TotalResponseTime": seconds(statistics.total_response_nano),
    })
}

/// Seconds and how many requests took so long. AWS gives whole milliseconds; what the roll-ups know
/// less exactly has three digits.
pub(super) fn render_histogram(histogram: &BTreeMap<i64, u64>) -> Value {
    let mut rounded: BTreeMap<i64, u64> = BTreeMap::new();
    for (nanos, count) in histogram {
        *rounded.entry(three_digits(*nanos)).or_default() += count;
    }
    let entry = |(nanos, count): (&i64, &u64)| json!({ "Value": seconds(*nanos), "Count": count });
    rounded.iter().map(entry).collect()
}

fn three_digits(nanos: i64) -> i64 {
    const MILLISECOND: i64 = 1_000_000;
    if nanos % MILLISECOND == 0 {
        return nanos;
    }
    let mut unit = 1;
    while nanos / unit >= 1_000 {
        unit *= 10;
    }
    nanos.saturating_add(unit / 2) / unit * unit
}

/// The graph with the server's own account where a node has none.
pub(super) fn with_own_account(call: &Call, mut graph: Graph) -> Graph {
    for service in &mut graph.services {
        service.id.account.get_or_insert_with(|| call.account().to_owned());
    }
    graph
}

/// `ServiceId`, which is a part of `Service` too.
pub(super) fn service_id(call: &Call, id: &ServiceId) -> Value {
    let names = if id.names.is_empty() { vec![id.name.clone()] } else { id.names.clone() };
    let mut json = json!({ "Name": id.name, "Names": names, "Type": id.kind });
    // Hosts and callers are of no account that anyone knows.
    if let Some(account) = &id.account {
        json["AccountId"] = account.clone().into();
    } else if !matches!(&id.kind[..], "remote" | "client") {
        json["AccountId"] = call.account().into();
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_are_not_whole_milliseconds_have_three_digits() {
        let check = |nanos, expected| assert_eq!(three_digits(nanos), expected, "{nanos}");
        check(1_234_000_000, 1_234_000_000);
        check(499_104_552, 499_000_000);
        check(999_600_001, 1_000_000_000);
        check(99_609, 99_600);
        check(7, 7);
        check(0, 0);
        check(i64::MAX, 9_220_000_000_000_000_000);
    }

    #[test]
    fn graphs_add_up_node_by_node() {
        let id = |name: &str| ServiceId { name: name.to_owned(), ..ServiceId::default() };
        let statistics = || Statistics {
            ok: 1,
            total_response_nano: 5,
            response_times: [(5, 1)].into(),
            ..Statistics::default()
        };
        let service = |name: &str, edges| GraphService {
            id: id(name),
            start_unix_nano: 10,
            end_unix_nano: 20,
            statistics: Some(statistics()),
            edges,
            ..GraphService::default()
        };
        let edge = |to| GraphEdge { to, statistics: statistics(), ..GraphEdge::default() };
        let mut sum = Sum::default();
        sum.add(Graph { services: vec![service("a", vec![edge(1)]), service("b", vec![])] });
        sum.add(Graph { services: vec![service("b", vec![]), service("a", vec![edge(0)])] });
        let [a, b] = &sum.graph.services[..] else { panic!("{:?}", sum.graph) };
        assert_eq!((&a.id.name[..], &b.id.name[..]), ("a", "b"));
        assert_eq!(b.statistics.as_ref().unwrap().ok, 2);
        assert_eq!(a.edges.len(), 1);
        assert_eq!((a.edges[0].to, a.edges[0].statistics.response_times[&5]), (1, 2));
    }
}
