//! What is counted rather than listed: series, parts of the map, differences, links.

use throughline_model::TraceId;
use throughline_store::Store;
use throughline_topology::{MapFilter, MapTotal, OperationStats};

use super::kit::{EVER, S, Val, store};
use crate::{
    Differences, DifferencesOptions, EdgeCalls, EdgeEnds, GroupBy, Of, PARTS_MAX, Place,
    SearchOptions, Selection, SeriesAnswer, SeriesOptions, SpanBox, differences, edge_calls, links,
    parse, parts, series, xray_filter,
};

fn span(trace: u8, id: u8, start: i64, duration: i64) -> S {
    S {
        trace,
        id,
        start,
        duration: Some(duration),
        name: "work",
        service: "web",
        kind: 2,
        ..S::default()
    }
}

fn native(query: &str) -> Selection {
    Selection::Native(parse(query).unwrap())
}

/// Series of 0 to 99 in ten buckets.
fn ask(store: &Store, selection: &Selection, by: Option<&str>, values: usize) -> SeriesAnswer {
    let options = SeriesOptions {
        search: SearchOptions { from: 0, to: 99, ..EVER },
        points: 10,
        by: by.map(|key| GroupBy::parse(key).unwrap()),
        values,
    };
    series(&store.snapshot(), selection, &options).unwrap()
}

/// The value of each series and how many spans it has.
fn sums(answer: &SeriesAnswer) -> Vec<(Option<&str>, bool, u64)> {
    let sum = |series: &crate::Series| series.requests.iter().sum();
    answer.series.iter().map(|s| (s.value.as_deref(), s.rest, sum(s))).collect()
}

#[test]
fn a_series_counts_each_span_once_where_it_began() {
    let failed = S { status: 2, ..span(1, 2, 95, 30) };
    let spans = vec![span(1, 1, 5, 10), span(2, 1, 9, 20), failed, span(3, 1, 100, 1)];
    // One is sent again, and one is told of before it has ended.
    let again = vec![spans[0].clone(), spans[1].begun()];
    let open = S { duration: None, ..span(4, 1, 50, 0) };
    let (store, _directory) = store(&[vec![spans], vec![again, vec![open]]]);
    let answer = ask(&store, &native(""), None, 8);
    assert_eq!((answer.start_unix_nano, answer.step_nano), (0, 10));
    assert_eq!((answer.spans, answer.truncated), (3, false));
    let [all] = &answer.series[..] else { panic!("{answer:?}") };
    assert_eq!(all.requests, [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(all.errors, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(all.percentiles[0], Some([10, 20, 20]));
    assert_eq!(all.percentiles[1], None);
    assert_eq!(all.percentiles[9], Some([30, 30, 30]));
}

#[test]
fn without_a_query_entries_count_and_with_one_what_matches() {
    let inner = S { kind: 1, parent: 1, name: "inner", ..span(1, 2, 6, 1) };
    let call = S { kind: 3, parent: 1, name: "call", ..span(1, 3, 7, 1) };
    let remote = S { flags: 0x301, ..inner.clone() };
    let remote = S { id: 4, name: "remote", ..remote };
    let spans = vec![span(1, 1, 5, 10), inner, call, remote];
    let (store, _directory) = store(&[vec![spans.clone()], vec![spans]]);
    let names = |selection: &Selection| -> Vec<String> {
        let answer = ask(&store, selection, Some("name"), 8);
        answer.series.into_iter().filter_map(|series| series.value).collect()
    };
    assert_eq!(names(&native("")), ["remote", "work"]);
    assert_eq!(names(&native("entry = false")), ["call", "inner"]);
    assert_eq!(names(&native("root = true")), ["work"]);
    assert_eq!(names(&native("kind = client order by duration desc limit 1")), ["call"]);
    // An X-Ray filter takes whole traces, whose entries count.
    let filter = |text: &str| Selection::Xray(xray_filter::parse(text).unwrap());
    let all = ask(&store, &filter("service(\"web\")"), None, 8);
    assert_eq!(all.spans, 2);
    assert_eq!(ask(&store, &filter("service(\"nobody\")"), None, 8).spans, 0);
}

#[test]
fn series_are_split_by_any_field_and_what_is_small_is_the_rest() {
    let with = |id: u8, value: Val| S { attrs: vec![("size", value)], ..span(id, 1, 5, 1) };
    let mut spans = vec![with(1, Val::Int(7)), with(2, Val::Int(7)), with(3, Val::Str("x"))];
    spans.extend([with(4, Val::Bool(true)), span(5, 1, 5, 1), span(6, 1, 5, 1), span(7, 1, 5, 1)]);
    let region = ("size", Val::Double(0.5));
    spans.push(S { resource: vec![region], ..span(8, 1, 5, 1) });
    spans.push(S { events: vec![("log", vec![("e", Val::Int(1))])], ..span(9, 1, 5, 1) });
    for groups in [vec![vec![spans.clone()]], vec![vec![spans.clone()], vec![]]] {
        let (store, _directory) = store(&groups);
        let by = |key: &str, values| {
            let answer = ask(&store, &native(""), Some(key), values);
            let sums = sums(&answer).into_iter();
            sums.map(|(v, rest, n)| (v.map(str::to_owned), rest, n)).collect::<Vec<_>>()
        };
        let some = |text: &str, count| (Some(text.to_owned()), false, count);
        let none = |count| (None, false, count);
        let rest = |count| (None, true, count);
        assert_eq!(by("size", 2), [none(4), some("7", 2), rest(3)]);
        assert_eq!(
            by("size", 8),
            [none(4), some("7", 2), some("0.5", 1), some("true", 1), some("x", 1)]
        );
        assert_eq!(by("span.size", 1), [none(5), rest(4)]);
        assert_eq!(by("resource.size", 8), [none(8), some("0.5", 1)]);
        assert_eq!(by("event.e", 8), [none(8), some("1", 1)]);
        assert_eq!(by("event.name", 8), [none(8), some("log", 1)]);
        assert_eq!(by("kind", 8), [some("server", 9)]);
        assert_eq!(by("entry", 8), [some("true", 9)]);
        assert_eq!(by("environment", 8), [none(9)]);
        assert_eq!(by("nowhere", 8), [none(9)]);
    }
}

#[test]
fn an_empty_range_has_empty_buckets() {
    let (store, _directory) = store(&[]);
    let answer = ask(&store, &native(""), None, 8);
    assert_eq!(sums(&answer), [(None, false, 0)]);
    assert_eq!(answer.series[0].requests.len(), 10);
    assert_eq!(ask(&store, &native(""), Some("name"), 8).series, []);
    let options = SeriesOptions { search: EVER, points: 500, by: None, values: 1 };
    let answer = series(&store.snapshot(), &native(""), &options).unwrap();
    assert_eq!(answer.step_nano, i64::MAX / 500 + 1);
}

#[test]
fn the_parts_of_a_service_add_up_to_its_entries() {
    let mut spans = Vec::new();
    for n in 0..30u8 {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
        let name = names[usize::from(n) % names.len()];
        spans.push(S { name, status: n % 3, ..span(n + 1, 1, i64::from(n), 5) });
        spans.push(S { name, kind: 3, parent: 1, ..span(n + 1, 2, i64::from(n), 5) });
    }
    spans.push(S { service: "db", ..span(99, 1, 5, 7) });
    // A service of the same name, but another type, is another node.
    let function = ("cloud.platform", Val::Str("aws_lambda"));
    spans.push(S { service: "db", resource: vec![function], ..span(98, 1, 5, 8) });
    let (store, _directory) = store(&[vec![spans.clone()], vec![spans]]);
    let by = GroupBy::parse("name").unwrap();
    let (found, complete) = parts(&store.snapshot(), &by, &EVER).unwrap();
    assert!(complete);
    let web = &found["service:web"];
    assert_eq!(web.len(), PARTS_MAX + 1);
    assert!(web[PARTS_MAX].rest && web[..PARTS_MAX].iter().all(|part| !part.rest));
    assert_eq!(web.iter().map(|part| part.requests).sum::<u64>(), 30);
    assert_eq!(web.iter().map(|part| part.errors).sum::<u64>(), 10);
    let [db] = &found["service:db"][..] else { panic!("{found:?}") };
    assert_eq!((db.value.as_deref(), db.percentiles), (Some("work"), [7, 7, 7]));
    let ids: Vec<String> = store
        .snapshot()
        .map(MapTotal::of_calls(&MapFilter::ALL))
        .view(&MapFilter::ALL)
        .nodes
        .into_iter()
        .map(|node| node.id)
        .collect();
    for id in found.keys() {
        assert!(ids.contains(id), "{id} is no node of {ids:?}");
    }
    assert_eq!(found["service:AWS::Lambda::Function:db"][0].percentiles, [8, 8, 8]);
}

/// Everything, and a box of slow ones: what lasts 100 or more.
fn compare(store: &Store, query: &str, of: Of, limit: usize) -> Differences {
    let inside = SpanBox { since: 0, until: i64::MAX, min_duration: 100, max_duration: i64::MAX };
    let search = SearchOptions { limit, ..EVER };
    let options = DifferencesOptions { search, inside, of };
    differences(&store.snapshot(), &native(query), &options).unwrap()
}

/// Ten traces of a fast request, and five of a slow one whose database call waits for a lock.
fn slow_and_fast() -> Vec<S> {
    let mut spans = Vec::new();
    for n in 1..=15u8 {
        let slow = n > 10;
        let id = Val::Int(i64::from(n) * 1_000);
        let request = S {
            attrs: vec![("tenant", Val::Str(if slow { "acme" } else { "other" })), ("order", id)],
            resource: vec![("region", Val::Str("eu"))],
            ..span(n, 1, i64::from(n) * 10, if slow { 500 } else { 20 })
        };
        let call = S {
            kind: 3,
            parent: 1,
            name: "SELECT",
            service: "db",
            events: if slow { vec![("lock", vec![("lock.mode", Val::Str("x"))])] } else { vec![] },
            ..span(n, 2, i64::from(n) * 10 + 1, if slow { 400 } else { 4 })
        };
        spans.extend([request, call]);
    }
    spans
}

fn one<'a>(found: &'a Differences, place: Place, key: &str, value: &str) -> &'a crate::Difference {
    let is = |d: &&crate::Difference| d.place == place && d.key == key && d.value == value;
    found.attributes.iter().find(is).unwrap_or_else(|| panic!("{key} {value}: {found:?}"))
}

#[test]
fn what_is_different_is_found_without_naming_it() {
    let spans = slow_and_fast();
    for groups in [vec![vec![spans.clone()]], vec![vec![spans.clone()], vec![spans.clone()]]] {
        let (store, _directory) = store(&groups);
        let found = compare(&store, "", Of::Traces, 100);
        assert_eq!((found.inside, found.outside, found.sampled), (5, 10, false));
        assert_eq!((found.inside_total, found.outside_total), (5, 10));
        let tenant = one(&found, Place::Span, "tenant", "acme");
        assert_eq!((tenant.inside, tenant.outside), (5, 0));
        assert_eq!((tenant.inside_share, tenant.outside_share), (1.0, 0.0));
        assert_eq!((tenant.inside_p50_nano, tenant.outside_p50_nano), (Some(500), None));
        one(&found, Place::Event, "lock.mode", "x");
        one(&found, Place::Field, "event.name", "lock");
        // Both sides have it, but it is a hundred times slower inside.
        let name = one(&found, Place::Field, "name", "SELECT");
        assert_eq!((name.inside_share, name.outside_share), (1.0, 1.0));
        assert_eq!((name.inside_p50_nano, name.outside_p50_nano), (Some(400), Some(4)));
        // Every order has a number of its own, which tells nothing.
        assert_eq!(found.skipped, ["order"]);
        let distances: Vec<_> =
            found.attributes.iter().map(|d| (d.inside_share - d.outside_share).abs()).collect();
        assert!(distances.is_sorted_by(|a, b| a >= b), "{distances:?}");
        assert_eq!(compare(&store, "", Of::Traces, 2).attributes.len(), 2);
    }
}

#[test]
fn spans_are_compared_by_their_own_duration_and_only_those_that_match() {
    let spans = slow_and_fast();
    let (store, _directory) = store(&[vec![spans.clone()], vec![spans]]);
    let found = compare(&store, "service = db", Of::Spans, 100);
    assert_eq!((found.inside, found.outside), (5, 10));
    assert!(found.attributes.iter().all(|d| d.key != "tenant"), "{found:?}");
    let lock = one(&found, Place::Event, "lock.mode", "x");
    assert_eq!((lock.inside_share, lock.outside_share), (1.0, 0.0));
    let all = compare(&store, "", Of::Spans, 100);
    assert_eq!((all.inside, all.outside), (10, 20));
    assert_eq!(one(&all, Place::Span, "tenant", "acme").inside_share, 0.5);
}

#[test]
fn a_box_with_nothing_in_it_is_an_answer() {
    let (store, _directory) = store(&[vec![slow_and_fast()]]);
    let found = compare(&store, "service = nobody", Of::Traces, 10);
    assert_eq!(found, Differences::default());
    let found = compare(&store, "tenant = other", Of::Traces, 10);
    assert_eq!((found.inside, found.outside), (0, 10));
    assert!(found.attributes.iter().all(|d| d.inside == 0 && d.inside_p50_nano.is_none()));
}

#[test]
fn links_are_told_at_both_ends() {
    // Links of the kit lead to span 09 of the traces 5a, 5b, ...
    let from = S { links: vec![vec![], vec![]], name: "consume", ..span(1, 1, 50, 5) };
    let target = S { trace: 90, id: 9, name: "produce", ..span(1, 1, 10, 5) };
    let other = S { trace: 90, id: 8, parent: 9, ..target.clone() };
    for groups in [
        vec![vec![vec![from.clone(), target.clone(), other.clone()]]],
        vec![vec![vec![from.clone()]], vec![vec![target.clone(), other.clone()]], vec![]],
    ] {
        let (store, _directory) = store(&groups);
        let at = |trace: u8| links(&store.snapshot(), TraceId([trace; 16])).unwrap();
        let forward = at(1).unwrap();
        assert!(forward.back_links.is_empty() && !forward.truncated);
        let [held, missing] = &forward.links[..] else { panic!("{forward:?}") };
        assert_eq!(held.trace_id, TraceId([90; 16]));
        assert_eq!((&held.root_service[..], &held.root_name[..]), ("web", "produce"));
        assert_eq!((held.start_unix_nano, missing.start_unix_nano), (Some(10), None));
        assert_eq!(missing.trace_id, TraceId([91; 16]));
        let back = at(90).unwrap();
        assert!(back.links.is_empty() && !back.truncated);
        let [link] = &back.back_links[..] else { panic!("{back:?}") };
        assert_eq!(link.from_trace_id, TraceId([1; 16]));
        assert_eq!((&link.service[..], &link.name[..]), ("web", "consume"));
        assert_eq!((link.start_unix_nano, link.to_span_id), (50, target_id()));
        assert!(at(77).is_none());
    }
}

fn target_id() -> throughline_model::SpanId {
    throughline_model::SpanId([9; 8])
}

/// Two calls of pay by web, one of which fails and asks a database, and a message to a worker whose
/// only tie is a link.
fn calls_and_a_message() -> Vec<S> {
    let of =
        |trace: u8, id: u8, parent: u8, kind: u8, service: &'static str, name: &'static str| {
            let start = i64::from(trace) * 10 + i64::from(id);
            S { parent, kind, service, name, ..span(trace, id, start, 5) }
        };
    let kafka = || {
        vec![
            ("messaging.system", Val::Str("kafka")),
            ("messaging.destination.name", Val::Str("orders")),
        ]
    };
    let database =
        vec![("db.system.name", Val::Str("postgresql")), ("db.namespace", Val::Str("ledger"))];
    vec![
        of(1, 1, 0, 2, "web", "GET /"),
        of(1, 2, 1, 3, "web", "POST"),
        S { status: 2, ..of(1, 3, 2, 2, "pay", "charge") },
        S { status: 2, attrs: database, ..of(1, 4, 3, 3, "pay", "SELECT") },
        of(2, 1, 0, 2, "web", "GET /"),
        of(2, 2, 1, 3, "web", "POST"),
        S { environment: "test", ..of(2, 3, 2, 2, "pay", "refund") },
        of(2, 4, 1, 3, "web", "POST"),
        S { environment: "test", ..of(2, 5, 4, 2, "pay", "refund") },
        S { attrs: kafka(), ..of(90, 9, 0, 4, "web", "send") },
        S { attrs: kafka(), links: vec![vec![]], ..of(3, 1, 0, 5, "worker", "process") },
    ]
}

#[test]
fn an_edge_is_made_of_the_calls_that_the_map_counts() {
    let spans = calls_and_a_message();
    let halves = spans.split_at(5);
    let (store, _directory) = store(&[vec![halves.0.to_vec()], vec![halves.1.to_vec()]]);
    let snapshot = store.snapshot();
    let filter = MapFilter::ALL;
    let map = snapshot.map(MapTotal::of_calls(&filter)).view(&filter);
    let ask = |from: &str, to: &str, service: &str, options: &SearchOptions| {
        edge_calls(&snapshot, EdgeEnds { from, to, service }, options).unwrap()
    };
    let service_of = |id: &str| id.strip_prefix("service:").map(str::to_owned);
    for edge in &map.edges {
        let service = service_of(&edge.to).or_else(|| service_of(&edge.from)).unwrap();
        let answer = ask(&edge.from, &edge.to, &service, &EVER);
        let sum = |of: fn(&OperationStats) -> u64| answer.operations.iter().map(of).sum();
        assert_eq!(
            (edge.requests, edge.errors),
            (sum(|o| o.requests), sum(|o| o.errors)),
            "{edge:?}"
        );
        assert_eq!(answer.calls.len() as u64, edge.requests, "{edge:?}");
    }
    let edges: Vec<_> = map.edges.iter().map(|edge| format!("{} {}", edge.from, edge.to)).collect();
    assert_eq!(
        edges,
        [
            "service:pay database:postgresql:ledger",
            "service:web service:pay",
            "service:web topic:kafka:orders",
            "topic:kafka:orders service:worker",
        ]
    );

    let calls = ask("service:web", "service:pay", "web", &EVER);
    let said = |calls: &EdgeCalls| -> Vec<(String, u64, u64)> {
        calls.operations.iter().map(|o| (o.name.clone(), o.requests, o.errors)).collect()
    };
    assert_eq!(said(&calls), [("refund".to_owned(), 2, 0), ("charge".to_owned(), 1, 1)]);
    assert_eq!((calls.traces, calls.truncated), (3, false));
    let names: Vec<_> = calls.calls.iter().map(|c| (&c.name[..], c.start_unix_nano)).collect();
    assert_eq!(names, [("charge", 13), ("refund", 25), ("refund", 23)]);
    let in_test = SearchOptions { environment: Some("test".to_owned()), ..EVER };
    assert_eq!(
        said(&ask("service:web", "service:pay", "pay", &in_test)),
        [("refund".to_owned(), 2, 0)]
    );
    let early = SearchOptions { to: 23, ..EVER };
    assert_eq!(ask("service:web", "service:pay", "pay", &early).calls.len(), 2);
    assert_eq!(
        ask("service:pay", "service:web", "pay", &EVER),
        EdgeCalls { traces: 2, ..EdgeCalls::default() }
    );
    assert_eq!(ask("service:web", "service:pay", "nobody", &EVER), EdgeCalls::default());
}

#[test]
fn failed_calls_are_shown_though_the_newest_traces_have_none() {
    let call = |trace: u8, status: u8| {
        let start = i64::from(trace);
        [
            S { service: "web", kind: 3, ..span(trace, 1, start, 5) },
            S { parent: 1, service: "pay", status, ..span(trace, 2, start, 5) },
        ]
    };
    let spans = (1..=230).flat_map(|trace| call(trace, if trace == 3 { 2 } else { 0 })).collect();
    let (store, _directory) = store(&[vec![spans]]);
    let edge = EdgeEnds { from: "service:web", to: "service:pay", service: "pay" };
    let answer = edge_calls(&store.snapshot(), edge, &EVER).unwrap();
    let [work] = &answer.operations[..] else { panic!("{answer:?}") };
    assert_eq!((work.requests, work.errors), (200, 0));
    assert_eq!((answer.traces, answer.truncated, answer.calls.len()), (200, true, 20));
    assert_eq!(answer.calls[0].trace_id, TraceId([3; 16]));
    assert!(answer.calls[0].failed && !answer.calls[1].failed);
    assert_eq!(answer.calls[1].trace_id, TraceId([230; 16]));
}
