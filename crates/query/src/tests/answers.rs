//! Single answers, looked at closely.

use throughline_model::{AttrType, TraceId};
use throughline_store::Scope;

use super::kit::{EVER, S, Val, find, store, traces};
use crate::{
    AttrScope, Failing, SearchOptions, ValuesOptions, attribute_keys, attribute_values, trace,
};

fn span(trace: u8, id: u8, parent: u8, start: i64, duration: i64) -> S {
    S {
        trace,
        id,
        parent,
        start,
        duration: Some(duration),
        name: "work",
        service: "api",
        ..S::default()
    }
}

#[test]
fn an_empty_store_has_no_answers() {
    let (store, _directory) = store(&[]);
    for query in ["", "service = web", "order by duration desc", "trace = 01 limit 1"] {
        let answer = find(&store, query, &EVER);
        assert_eq!((answer.traces.len(), answer.truncated), (0, false), "{query}");
    }
    assert!(trace(&store.snapshot(), TraceId([1; 16])).unwrap().is_none());
    assert!(attribute_keys(&store.snapshot(), "", 10).is_empty());
}

#[test]
fn a_summary_says_what_a_list_shows() {
    let web = S { service: "web", name: "GET /", environment: "prod", ..span(1, 1, 0, 100, 50) };
    let call = S { status: 2, message: "upstream", ..span(1, 2, 1, 110, 30) };
    let thrown = ("exception", vec![("exception.message", Val::Str("no such table"))]);
    let leaf = S {
        service: "db",
        name: "SELECT",
        status: 2,
        events: vec![thrown],
        ..span(1, 3, 2, 115, 9)
    };
    let late = S { service: "mail", ..span(1, 4, 9, 120, 80) };
    let (store, _directory) = store(&[vec![vec![late, leaf]], vec![vec![call, web]]]);
    let answer = find(&store, "status = error", &EVER);
    let [found] = &answer.traces[..] else { panic!("{answer:?}") };
    assert_eq!((&found.root_service[..], &found.root_name[..]), ("web", "GET /"));
    assert_eq!((found.start_unix_nano, found.duration_nano), (100, 100));
    assert_eq!((found.span_count, found.error_count, found.matched_spans), (4, 2, 2));
    assert_eq!(found.services, ["web", "api", "db", "mail"]);
    assert_eq!(found.environment.as_deref(), Some("prod"));
    let failing = Failing {
        service: "db".to_owned(),
        name: "SELECT".to_owned(),
        message: "no such table".to_owned(),
    };
    assert_eq!(found.failing, Some(failing));
    assert_eq!((found.matched_start_unix_nano, found.matched_duration_nano), (110, Some(30)));
    assert!(!found.root_missing);
}

#[test]
fn a_server_side_that_shares_its_callers_id_is_the_failing_leaf() {
    let client = S { kind: 3, status: 2, name: "client", ..span(1, 1, 0, 10, 9) };
    let server = S { kind: 2, status: 2, name: "server", ..span(1, 1, 0, 11, 5) };
    let (store, _directory) = store(&[vec![vec![client, server]]]);
    let answer = find(&store, "", &EVER);
    assert_eq!(answer.traces[0].failing.as_ref().unwrap().name, "server");
}

#[test]
fn a_trace_whose_root_we_do_not_hold_says_so() {
    let (store, _directory) = store(&[vec![vec![span(1, 2, 1, 5, 1), span(1, 3, 2, 4, 1)]]]);
    let found = &find(&store, "", &EVER).traces[0];
    assert!(found.root_missing);
    assert_eq!(found.start_unix_nano, 4);
}

#[test]
fn newest_first_is_by_the_start_of_the_trace_not_of_the_match() {
    let old = [span(1, 1, 0, 10, 90), S { name: "hit", ..span(1, 2, 1, 99, 1) }];
    let new = [S { name: "hit", ..span(2, 3, 0, 50, 1) }];
    let (store, _directory) = store(&[vec![old.to_vec()], vec![new.to_vec()], vec![]]);
    let answer = find(&store, "name = hit", &EVER);
    assert_eq!(traces(&answer), [2, 1]);
    let one = find(&store, "name = hit limit 1", &EVER);
    assert_eq!((traces(&one), one.truncated), (vec![2], true));
}

#[test]
fn orders_by_duration_and_by_oldest_run_over_all_chunks() {
    let groups: Vec<_> = (1..=30u8)
        .map(|n| vec![vec![span(n, n, 0, i64::from(n), i64::from(n) * 37 % 31)]])
        .collect();
    let (store, _directory) = store(&groups);
    let by_duration = |query: &str| -> Vec<_> {
        let answer = find(&store, query, &EVER);
        answer.traces.iter().map(|t| t.matched_duration_nano.unwrap()).collect()
    };
    let longest = by_duration("duration > 3ns order by duration desc limit 12");
    assert_eq!(longest, (19..=30).rev().collect::<Vec<_>>());
    let shortest = by_duration("duration > 3ns order by duration asc limit 4");
    assert_eq!(shortest, [4, 5, 6, 7]);
    assert_eq!(traces(&find(&store, "order by start asc limit 3", &EVER)), [1, 2, 3]);
    assert_eq!(traces(&find(&store, "limit 3", &EVER)), [30, 29, 28]);
}

#[test]
fn time_and_environment_bound_the_search() {
    let at = |n: u8, environment| S { environment, ..span(n, n, 0, i64::from(n), 1) };
    let spans = vec![at(1, "prod"), at(2, "test"), at(3, "prod"), at(4, "")];
    let (store, _directory) = store(&[vec![spans], vec![]]);
    let options = SearchOptions { from: 2, to: 3, ..EVER };
    assert_eq!(traces(&find(&store, "", &options)), [3, 2]);
    let options = SearchOptions { environment: Some("prod".to_owned()), ..EVER };
    assert_eq!(traces(&find(&store, "", &options)), [3, 1]);
    assert_eq!(traces(&find(&store, "service = web", &options)), [0; 0]);
}

#[test]
fn a_span_that_ended_later_is_found_by_what_both_pieces_say() {
    let whole = S { attrs: vec![("a", Val::Int(1)), ("b", Val::Int(2))], ..span(1, 1, 0, 5, 600) };
    let groups = [vec![vec![whole.begun()]], vec![vec![whole.ended()]], vec![]];
    let (store, _directory) = store(&groups);
    for query in ["a = 1 and b = 2", "a = 1 and duration > 500ns", "a = 1 order by duration desc"] {
        let answer = find(&store, query, &EVER);
        assert_eq!(traces(&answer), [1], "{query}");
        assert_eq!(answer.traces[0].matched_duration_nano, Some(600), "{query}");
    }
    assert_eq!(traces(&find(&store, "not exists b", &EVER)), [0; 0]);
    let merged = trace(&store.snapshot(), TraceId([1; 16])).unwrap().unwrap();
    assert_eq!((merged.len(), merged.span(0).attributes().len()), (1, 2));
}

fn value_store() -> (throughline_store::Store, tempfile::TempDir) {
    let with = |n: u8, value: Val| S {
        attrs: vec![("http.route", value)],
        events: vec![("exception", vec![("code", Val::Int(i64::from(n % 2)))])],
        service: if n < 4 { "web" } else { "api" },
        kind: 2,
        ..span(n, n, 0, i64::from(n), 1)
    };
    let values =
        ["/a", "/b", "/a", "/c", "/a", "/b"].map(Val::Str).into_iter().chain([Val::Int(7)]);
    let spans: Vec<S> = (1u8..).zip(values).map(|(n, value)| with(n, value)).collect();
    let (early, late) = spans.split_at(4);
    store(&[vec![early.to_vec()], vec![late.to_vec()]])
}

#[test]
fn values_come_most_frequent_first() {
    let (store, _directory) = value_store();
    let check = |key: &str, scope, prefix: &str, limit, expected: &[(&str, AttrType, u64)]| {
        let options =
            ValuesOptions { scope, prefix: prefix.to_owned(), from: 0, to: i64::MAX, limit };
        let answer = attribute_values(&store.snapshot(), key, &options).unwrap();
        let found: Vec<_> =
            answer.values.iter().map(|v| (v.value.as_str(), v.kind, v.count)).collect();
        assert_eq!(found, expected, "{key} {prefix}");
        assert!(answer.complete);
    };
    let text = AttrType::Str;
    let all = [("/a", text, 3), ("/b", text, 2), ("/c", text, 1), ("7", AttrType::Int, 1)];
    check("http.route", AttrScope::Any, "", 10, &all);
    check("http.route", AttrScope::Span, "", 2, &all[..2]);
    check("http.route", AttrScope::Span, "/", 10, &all[..3]);
    check("http.route", AttrScope::Resource, "", 10, &[]);
    check("service", AttrScope::Any, "", 10, &[("api", text, 4), ("web", text, 3)]);
    check("service.name", AttrScope::Resource, "w", 10, &[("web", text, 3)]);
    check("kind", AttrScope::Any, "", 10, &[("server", text, 7)]);
    let yes = ("true", AttrType::Bool, 7);
    check("root", AttrScope::Any, "", 10, &[yes]);
    check("entry", AttrScope::Any, "t", 10, &[yes]);
    check("status", AttrScope::Any, "", 10, &[("unset", text, 7)]);
    check("event.name", AttrScope::Any, "ex", 10, &[("exception", text, 7)]);
    let codes = [("1", AttrType::Int, 4), ("0", AttrType::Int, 3)];
    check("code", AttrScope::Event, "", 10, &codes);
    check("event.code", AttrScope::Any, "", 10, &codes);
    check("duration", AttrScope::Any, "", 10, &[]);
    check("none", AttrScope::Any, "", 10, &[]);
}

#[test]
fn values_are_those_of_the_time_asked() {
    let (store, _directory) = value_store();
    let options =
        ValuesOptions { scope: AttrScope::Span, prefix: String::new(), from: 2, to: 3, limit: 10 };
    let answer = attribute_values(&store.snapshot(), "http.route", &options).unwrap();
    let found: Vec<_> = answer.values.iter().map(|v| (&v.value[..], v.count)).collect();
    assert_eq!(found, [("/a", 1), ("/b", 1)]);
}

#[test]
fn keys_come_with_their_types_most_frequent_first() {
    let (store, _directory) = value_store();
    let keys = attribute_keys(&store.snapshot(), "", 10);
    let route = keys.iter().find(|key| key.key == "http.route").unwrap();
    assert_eq!(route.types, [AttrType::Str, AttrType::Int]);
    assert_eq!((route.scope, route.count), (Scope::Span, 7));
    assert!(keys.windows(2).all(|pair| pair[0].count >= pair[1].count));
    assert_eq!(attribute_keys(&store.snapshot(), "http.", 10).len(), 1);
    assert_eq!(attribute_keys(&store.snapshot(), "", 1).len(), 1);
}

#[test]
fn a_plan_runs_on_a_thread_that_drives_async_tasks() {
    let (store, _directory) = value_store();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answer = runtime.block_on(async { find(&store, "order by duration desc", &EVER) });
    assert_eq!(answer.traces.len(), 7);
}
