//! Pages of a search against a walk through everything that is stored.

use std::sync::mpsc::channel;

use proptest::prelude::*;
use tempfile::TempDir;
use throughline_model::{TraceId, merge_pieces};
use throughline_store::{Store, StoreOptions};
use throughline_topology::xray::TraceView;

use super::generated;
use super::kit::{S, V, batch, segment};
use crate::xray_filter::search::{Bounds, search_within};
use crate::xray_filter::{
    XrayAnswer, XrayCursor, XrayFilter, XraySearchOptions, XrayTime, parse, xray_search,
};

const MS: i64 = 1_000_000;

const WIDE: Bounds =
    Bounds { reads: 1_000, spans: 100_000, chunks: 100, later_chunks: 100, held_spans: 1_000 };

const EVER: XraySearchOptions = XraySearchOptions {
    from: i64::MIN,
    to: i64::MAX,
    time: XrayTime::TraceId,
    limit: 1_000,
    after: None,
    sampling: None,
};

/// A store that holds groups of spans: a block a group, and the last group in memory.
fn store(groups: &[Vec<S>]) -> (Store, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(directory.path());
    options.retention_ms = None;
    options.flush_after_ms = 3_600_000;
    let store = Store::open(options).unwrap();
    for (at, group) in groups.iter().enumerate() {
        if at > 0 {
            store.flush();
        }
        let (sender, receiver) = channel();
        store.append(batch(group), move |result| sender.send(result).unwrap());
        receiver.into_iter().for_each(Result::unwrap);
    }
    (store, directory)
}

/// A segment of a trace, from one millisecond on.
fn begins(trace: u8, start: i64, took: i64) -> S {
    S { trace, start, ..segment(trace, 0, "a", took) }
}

/// One page after the other: the starts and ids of the traces, and how many pages they took.
fn all_pages(
    store: &Store,
    filter: &XrayFilter,
    options: &XraySearchOptions,
    bounds: Bounds,
) -> (Vec<(i64, u8)>, usize) {
    let mut options = options.clone();
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        pages += 1;
        let before = found.len();
        let visit = |trace: &_, view: &TraceView<'_>| found.push(key(trace, view.trace_id));
        let answer: XrayAnswer =
            search_within(&store.snapshot(), filter, &options, bounds, visit).unwrap();
        assert!(found.len() - before <= options.limit);
        let Some(next) = answer.next else { return (found, pages) };
        let is_further = |after: XrayCursor| {
            (-next.start_unix_nano, next.trace_id) > (-after.start_unix_nano, after.trace_id)
        };
        assert!(options.after.is_none_or(is_further), "{:?} {next:?}", options.after);
        options.after = Some(next);
        assert!(pages < 1_000);
    }
}

fn key(trace: &throughline_model::SpanBatch, id: TraceId) -> (i64, u8) {
    (trace.spans().map(|span| span.start_unix_nano()).min().unwrap() / MS, id.0[0])
}

fn check(groups: &[Vec<S>], filter: &str, options: &XraySearchOptions, expected: &[u8]) {
    let (store, _directory) = store(groups);
    let filter = parse(filter).unwrap();
    for limit in [1, 2, 1_000] {
        let options = XraySearchOptions { limit, ..options.clone() };
        let (found, _) = all_pages(&store, &filter, &options, WIDE);
        let found: Vec<u8> = found.into_iter().map(|(_, id)| id).collect();
        assert_eq!(found, expected, "{limit}");
    }
}

#[test]
fn newest_first_then_by_id() {
    let groups = [
        vec![begins(1, 10, 5), begins(4, 30, 5), begins(3, 20, 5)],
        vec![begins(2, 20, 5), S { id: 9, ..begins(1, 40, 5) }],
    ];
    check(&groups, "", &EVER, &[4, 2, 3, 1]);
    check(&[], "", &EVER, &[]);
}

#[test]
fn what_lies_in_the_time_range_depends_on_its_type() {
    // Before, over the beginning, within, over the end, behind, over all of it, and with a gap in it.
    let groups = [vec![
        begins(1, 0, 5),
        begins(2, 5, 10),
        begins(3, 12, 3),
        begins(4, 18, 10),
        begins(5, 20, 5),
        begins(6, 1, 50),
        begins(7, 2, 1),
        S { id: 9, ..begins(7, 40, 1) },
    ]];
    let within = |time| XraySearchOptions { from: 10 * MS, to: 20 * MS, time, ..EVER };
    check(&groups, "", &within(XrayTime::TraceId), &[4, 3]);
    check(&groups, "", &within(XrayTime::Event), &[4, 3, 2, 7, 6]);
    check(&groups, "", &within(XrayTime::Service), &[3, 2]);
    let upside_down = XraySearchOptions { from: 20 * MS, to: 10 * MS, ..EVER };
    check(&groups, "", &upside_down, &[]);
}

#[test]
fn a_trace_that_began_long_before_is_found_by_its_start_only() {
    let hour = 3_600_000;
    let groups = [vec![begins(1, 0, 3 * hour), begins(2, 2 * hour - 1, 2 * hour)]];
    let time = XrayTime::Event;
    let within = XraySearchOptions { from: 2 * hour * MS, to: 3 * hour * MS, time, ..EVER };
    check(&groups, "", &within, &[2]);
}

#[test]
fn a_filter_may_match_by_spans_outside_of_the_range() {
    let late = begins(1, 50, 5).with("annotation.k", V::B(true));
    let groups = [vec![S { id: 9, ..late }], vec![begins(1, 10, 5), begins(2, 11, 5)]];
    let within = XraySearchOptions { from: 0, to: 20 * MS, ..EVER };
    check(&groups, "annotation.k", &within, &[1]);
    check(&groups, "!annotation.k", &within, &[2]);
    // More later chunks than a page looks into: the traces are read instead.
    let (store, _directory) = store(&groups);
    let bounds = Bounds { later_chunks: 0, ..WIDE };
    let (found, _) = all_pages(&store, &parse("annotation.k").unwrap(), &within, bounds);
    assert_eq!(found, [(10, 1)]);
}

#[test]
fn a_sample_is_the_same_each_time_and_as_large_as_asked() {
    let spans: Vec<S> = (1..=200).map(|trace| begins(trace, i64::from(trace), 5)).collect();
    let (store, _directory) = store(&[spans]);
    let sample = |share| {
        let options = XraySearchOptions { sampling: Some(share), limit: 7, ..EVER };
        all_pages(&store, &XrayFilter::all(), &options, WIDE).0
    };
    assert_eq!(sample(0.3), sample(0.3));
    assert!((30..90).contains(&sample(0.3).len()), "{}", sample(0.3).len());
    assert!(sample(0.3).iter().all(|trace| sample(0.6).contains(trace)));
    assert_eq!((sample(1.0).len(), sample(0.0).len(), sample(f64::NAN).len()), (200, 0, 0));
}

#[test]
fn a_page_costs_no_more_than_its_bounds() {
    let spans: Vec<S> = (1..=200).map(|trace| begins(trace, 1, 5)).collect();
    let (store, _directory) = store(&[spans]);
    let filter = parse("!ok").unwrap();
    let bounds = Bounds { reads: 10, ..WIDE };
    let (found, pages) = all_pages(&store, &filter, &EVER, bounds);
    assert_eq!((found.len(), pages), (0, 20));
    let answer = xray_search(&store.snapshot(), &filter, &EVER, |_, _| ()).unwrap();
    assert_eq!(answer, XrayAnswer { scanned: 200, next: None });
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (1..4_usize, 1..9_usize, 1..3_usize, 0..3_usize, 0..4_usize).prop_map(
        |(reads, spans, chunks, later_chunks, held_spans)| Bounds {
            reads,
            spans,
            chunks,
            later_chunks,
            held_spans,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn pages_neither_lose_nor_repeat(
        groups in prop::collection::vec(
            prop::collection::vec((1..12_u8, 0..40_i64, generated::span()), 1..12), 1..4),
        expr in generated::expr(),
        limit in 1..4_usize,
        (from, length) in (0..100_i64, 1..100_i64),
        time in prop::sample::select(vec![XrayTime::TraceId, XrayTime::Event, XrayTime::Service]),
        bounds in bounds(),
        takes_all in any::<bool>(),
    ) {
        let groups: Vec<Vec<S>> = groups
            .into_iter()
            .map(|group| {
                let spans = group.into_iter();
                spans.map(|(trace, later, span)| S { trace, start: span.start + later, ..span }).collect()
            })
            .collect();
        let (store, _directory) = store(&groups);
        let filter = if takes_all { XrayFilter::all() } else { XrayFilter::from(expr) };
        let (from, to) = (from * MS, (from + length) * MS);
        let options = XraySearchOptions { from, to, time, limit, after: None, sampling: None };
        let (found, _) = all_pages(&store, &filter, &options, bounds);

        let mut expected = Vec::new();
        for id in 1..12_u8 {
            let pieces = store.snapshot().trace(TraceId([id; 16])).unwrap();
            let merged = merge_pieces(&[&pieces]);
            let view = TraceView::of(&merged);
            let Some(start) = merged.spans().map(|span| span.start_unix_nano()).min() else { continue };
            let in_time = match time {
                XrayTime::TraceId => start >= from && start < to,
                XrayTime::Event => start < to && view.end_unix_nano() >= from,
                XrayTime::Service => view.segments.iter().any(|place| {
                    let segment = &view.entities[*place];
                    let end = segment.end_unix_nano;
                    !segment.in_progress && end >= from && end < to
                }),
            };
            if in_time && filter.matches(&view) {
                expected.push((start / MS, id));
            }
        }
        expected.sort_by_key(|(start, id)| (-start, *id));
        prop_assert_eq!(found, expected);
    }
}
