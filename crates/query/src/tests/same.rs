//! The answer is that of the naive evaluator, in memory, in one block, in many, and in pieces.

use proptest::prelude::*;
use throughline_model::merge_pieces;

use super::kit::{Attrs, S, Val, batch, store};
use super::naive::{Line, lines};
use crate::{SearchOptions, parse, search};

fn val() -> impl Strategy<Value = Val> {
    prop::sample::select(vec![
        Val::Int(1),
        Val::Int(200),
        Val::Int(-5),
        Val::Double(1.0),
        Val::Double(1.5),
        Val::Str("200"),
        Val::Str("x"),
        Val::Str("xy"),
        Val::Str(""),
        Val::Str("true"),
        Val::Bool(true),
        Val::Bool(false),
        Val::Bytes(b"\x20\x0f"),
    ])
}

/// Attributes with each key once.
fn attrs(keys: &'static [&'static str]) -> impl Strategy<Value = Attrs> {
    let one = keys.iter().map(|key| prop::option::of(val().prop_map(move |val| (*key, val))));
    one.collect::<Vec<_>>().prop_map(|attrs| attrs.into_iter().flatten().collect())
}

prop_compose! {
    fn span()(
        (trace, parent) in (1..7u8, prop::sample::select(vec![0, 0, 1, 2, 3, 99])),
        start in 0..40i64,
        duration in prop::option::weighted(0.85, -3..30i64),
        name in prop::sample::select(vec!["GET", "x", ""]),
        service in prop::sample::select(vec!["web", "api", ""]),
        environment in prop::sample::select(vec!["prod", "test", ""]),
        scope in prop::sample::select(vec!["lib", ""]),
        flags in prop::sample::select(vec![0, 1, 0x100, 0x301]),
        (kind, status, message) in (0..4u8, 0..3u8, prop::sample::select(vec!["x", "boom", ""])),
        resource in attrs(&["a", "region"]),
        attrs in attrs(&["a", "b", "c.d"]),
        events in prop::collection::vec(
            (prop::sample::select(vec!["exception", "log", ""]), attrs(&["a", "e"])), 0..3),
        links in prop::collection::vec(attrs(&["a", "l"]), 0..2),
    ) -> S {
        S { trace, id: 0, parent, start, duration, name, service, environment, resource, scope,
            kind, flags, status, message, attrs, events, links }
    }
}

fn condition() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "a",
        "b",
        "c.d",
        "region",
        "none",
        "span.a",
        "resource.a",
        "event.a",
        "event.e",
        "link.a",
        "link.l",
        "resource.region",
        "event.none",
    ]);
    let value = prop::sample::select(vec![
        "1", "200", "-5", "1.5", "1.0", "x", "\"200\"", "\"\"", "true", "false", "\"true\"", "200f",
    ]);
    let number = prop::sample::select(vec!["1", "1.25", "200", "-5"]);
    let pattern = prop::sample::select(vec!["x.*", "2..", "", ".*", "t.*"]);
    let own = prop::sample::select(vec![
        "service = web",
        "service != web",
        "service in (api, x)",
        "service ~ unknown.*",
        "name = GET",
        "name != GET",
        "exists name",
        "name !~ x",
        "kind = server",
        "kind != server",
        "kind in (client, internal)",
        "status = error",
        "status != error",
        "status.message = boom",
        "exists status.message",
        "status.message ~ b.*",
        "duration > 10ns",
        "duration <= 5ns",
        "duration != 7ns",
        "exists duration",
        "exists parent",
        "root = true",
        "root != true",
        "exists root",
        "entry = true",
        "entry = false",
        "entry in (true, false)",
        "parent = 0101010101010101",
        "parent != 0101010101010101",
        "trace = 03030303030303030303030303030303",
        "trace != 03030303030303030303030303030303",
        "span = 0202020202020202",
        "span in (0202020202020202, 0303030303030303)",
        "environment = prod",
        "environment != prod",
        "exists environment",
        "scope.name = lib",
        "exists scope.name",
        "event.name = exception",
        "event.name != exception",
        "exists event.name",
        "event.name ~ \"l.*\"",
    ]);
    let equal = prop::sample::select(vec!["=", "!="]);
    let ordered = prop::sample::select(vec![">", ">=", "<", "<="]);
    let regex = prop::sample::select(vec!["~", "!~"]);
    prop_oneof![
        3 => own.prop_map(str::to_owned),
        2 => (key.clone(), equal, value.clone()).prop_map(|(k, op, v)| format!("{k} {op} {v}")),
        1 => (key.clone(), ordered, number).prop_map(|(k, op, v)| format!("{k} {op} {v}")),
        1 => (key.clone(), regex, pattern).prop_map(|(k, op, v)| format!("{k} {op} \"{v}\"")),
        1 => key.clone().prop_map(|k| format!("exists {k}")),
        1 => (key, value.clone(), value).prop_map(|(k, v, w)| format!("{k} in ({v}, {w})")),
    ]
}

fn filter() -> impl Strategy<Value = String> {
    condition().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) or ({b})")),
            inner.prop_map(|a| format!("not ({a})")),
        ]
    })
}

/// The same spans, held in different ways.
fn layouts(spans: &[S]) -> Vec<(&'static str, Vec<Vec<Vec<S>>>)> {
    let alone = |s: &S| vec![s.clone()];
    let third = spans.len().div_ceil(3).max(1);
    let odd = |s: &&S| s.id % 2 == 1;
    let begun: Vec<S> = spans.iter().filter(odd).map(S::begun).collect();
    let rest: Vec<S> = spans.iter().map(|s| if odd(&s) { s.ended() } else { s.clone() }).collect();
    let blocks = |spans: &[S]| -> Vec<Vec<Vec<S>>> {
        spans.chunks(third).map(|part| part.iter().map(alone).collect()).collect()
    };
    let with_memory_empty = |mut groups: Vec<Vec<Vec<S>>>| {
        groups.push(vec![]);
        groups
    };
    vec![
        ("in memory", vec![vec![spans.to_vec()]]),
        ("in one block", with_memory_empty(vec![vec![spans.to_vec()]])),
        ("in blocks and memory, a batch a span", blocks(spans)),
        ("in pieces, begun first", [vec![vec![begun.clone()]], blocks(&rest)].concat()),
        ("in pieces, begun last", with_memory_empty([blocks(&rest), vec![vec![begun]]].concat())),
        (
            "twice, as after a retry",
            vec![vec![spans.to_vec()], vec![spans.to_vec()], spans.iter().map(alone).collect()],
        ),
    ]
}

fn seen(trace: &crate::TraceSummary) -> Line {
    (
        trace.trace_id.0[0],
        trace.start_unix_nano,
        trace.duration_nano,
        trace.span_count,
        trace.error_count,
        trace.matched_spans,
        trace.services.clone(),
        (trace.root_service.clone(), trace.root_name.clone(), trace.root_missing),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 200, ..Default::default() })]

    #[test]
    fn the_answer_does_not_depend_on_where_the_spans_lie(
        mut spans in prop::collection::vec(span(), 1..24),
        queries in prop::collection::vec((filter(), 0..5usize, 1..6usize), 6),
        (from, length) in (0..30i64, 5..60i64),
        environment in prop::option::weighted(0.2, Just("prod".to_owned())),
    ) {
        for (id, span) in (1u8..).zip(&mut spans) {
            span.id = id;
            if span.parent == id {
                span.parent = 0;
            }
        }
        let whole = merge_pieces(&[&batch(&spans)]);
        for (layout, groups) in layouts(&spans) {
            let (store, _directory) = store(&groups);
            let snapshot = store.snapshot();
            for (text, order, limit) in &queries {
                let tail = ["", "order by start asc", "order by duration desc",
                    "order by duration asc", "limit 2"][*order];
                let text = format!("{text} {tail}");
                let query = parse(&text).unwrap();
                let options = SearchOptions {
                    from, to: from + length, limit: *limit, environment: environment.clone(),
                };
                let mut expected = lines(&whole, &query, &options);
                let limit = query.limit.unwrap_or(*limit);
                let truncated = expected.len() > limit;
                expected.truncate(limit);
                let answer = search(&snapshot, &query, &options).unwrap();
                let found: Vec<Line> = answer.traces.iter().map(seen).collect();
                prop_assert_eq!(&found, &expected, "{} {}", layout, text);
                prop_assert_eq!(answer.truncated, truncated, "{} {}", layout, text);
            }
        }
    }
}
