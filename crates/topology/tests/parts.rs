//! Parts add up whatever the order, and their bytes survive damage.

mod support;

use proptest::prelude::*;
use support::{ALWAYS, MINUTE, START, Span, batch, lines, observed, span};
use throughline_model::{NO_END, SpanKind};
use throughline_topology::{DecodePartError, Linker, MapFilter, MapPart, MapSum, MapTotal};

const SERVICES: [&str; 3] = ["web", "api", "job"];

const PEERS: [&[(&str, &str)]; 6] = [
    &[],
    &[("server.address", "host.example.com")],
    &[("db.system.name", "postgresql"), ("db.namespace", "orders")],
    &[
        ("messaging.system", "kafka"),
        ("messaging.destination.name", "orders"),
        ("messaging.operation.type", "send"),
    ],
    &[("messaging.system", "aws_sqs"), ("messaging.destination.name", "mails")],
    &[
        ("rpc.system", "aws-api"),
        ("rpc.service", "Kinesis"),
        ("rpc.method", "PutRecord"),
        ("aws.kinesis.stream.name", "clicks"),
    ],
];

/// A tiny world, so that ids meet: two traces, five ids, any kind, any parent, loops and all.
fn any_span() -> impl Strategy<Value = Span> {
    let ids = (1..=2u8, 1..=5u8, 0..=6u8, 0..6u8);
    let sender = (0..SERVICES.len(), any::<bool>());
    let rest = (0..PEERS.len(), any::<bool>(), 0..3i64, 0..5_000_000i64, any::<bool>());
    let links = prop::collection::vec((1..=2u8, 1..=5u8), 0..3);
    (ids, sender, rest, links).prop_map(
        |(
            (trace, id, parent, kind),
            (service, blue),
            (peer, failed, minute, duration, local),
            links,
        )| {
            let mut span = span(SERVICES[service], SpanKind::from_number(kind), id, parent);
            let environment = if blue { "blue" } else { "green" };
            span.resource.push(("deployment.environment.name", environment));
            span.attributes = PEERS[peer].to_vec();
            span.flags = if local { 0x101 } else { 1 };
            Span { trace, failed, start: START + minute * MINUTE, duration, links, ..span }
        },
    )
}

/// Different spans, some with an open piece or a copy, in two orders, cut in two ways.
fn any_pieces() -> impl Strategy<Value = [Vec<Vec<Span>>; 2]> {
    let spans = prop::collection::vec((any_span(), any::<bool>(), any::<bool>()), 1..24);
    let pieces = spans.prop_map(|mut spans| {
        spans.sort_by_key(|(s, ..)| (s.trace, s.id, s.kind));
        spans.dedup_by_key(|(s, ..)| (s.trace, s.id, s.kind));
        let mut pieces = Vec::new();
        for (span, is_open_too, is_twice) in spans {
            if is_open_too {
                pieces.push(Span { duration: NO_END, ..span.clone() });
            }
            if is_twice {
                pieces.push(span.clone());
            }
            pieces.push(span);
        }
        pieces
    });
    let two = pieces.prop_flat_map(|p| (Just(p.clone()).prop_shuffle(), Just(p).prop_shuffle()));
    (two, prop::collection::vec(1..6usize, 40), prop::collection::vec(1..6usize, 40))
        .prop_map(|((one, other), cuts, other_cuts)| [cut(one, &cuts), cut(other, &other_cuts)])
}

fn cut(mut spans: Vec<Span>, sizes: &[usize]) -> Vec<Vec<Span>> {
    let mut pieces = Vec::new();
    let mut sizes = sizes.iter();
    while !spans.is_empty() {
        let size = sizes.next().copied().unwrap_or(usize::MAX).min(spans.len());
        let rest = spans.split_off(size);
        pieces.push(std::mem::replace(&mut spans, rest));
    }
    pieces
}

fn sum_of(batches: &[Vec<Span>]) -> MapPart {
    observed(&batches.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..Default::default() })]

    #[test]
    fn the_sum_of_all_parts_does_not_depend_on_split_or_order([one, other] in any_pieces()) {
        let (one, other) = (sum_of(&one), sum_of(&other));
        prop_assert_eq!(lines(&one.view(&ALWAYS)), lines(&other.view(&ALWAYS)));
        prop_assert_eq!(one.encode(), other.encode());
    }

    #[test]
    fn after_every_batch_the_sum_is_the_map_of_what_came_so_far([one, _] in any_pieces()) {
        // Every prefix of the parts is a map of its own.
        let mut linker = Linker::default();
        let mut sum = MapPart::default();
        for spans in &one {
            sum.merge(&linker.observe(&[&batch(spans)]));
            let mut again = Linker::default();
            let so_far: Vec<Span> = one.iter().take_while(|s| !std::ptr::eq(*s, spans)).flatten().chain(spans).cloned().collect();
            prop_assert_eq!(sum.encode(), again.observe(&[&batch(&so_far)]).encode());
        }
        for node in sum.view(&ALWAYS).nodes {
            prop_assert!(node.errors <= node.requests);
        }
    }

    #[test]
    fn a_preview_says_what_observe_will_say([one, _] in any_pieces()) {
        let mut linker = Linker::default();
        for spans in &one {
            let batch = batch(spans);
            let preview = linker.preview(&[&batch]).encode();
            prop_assert_eq!(preview, linker.observe(&[&batch]).encode());
        }
    }

    #[test]
    fn merging_is_commutative_and_associative([one, _] in any_pieces()) {
        let mut linker = Linker::default();
        let parts: Vec<MapPart> = one.iter().map(|spans| linker.observe(&[&batch(spans)])).collect();
        let mut forward = MapPart::default();
        parts.iter().for_each(|part| forward.merge(part));
        let mut backward = MapPart::default();
        parts.iter().rev().for_each(|part| backward.merge(part));
        let (left, right) = parts.split_at(parts.len() / 2);
        let mut grouped = [MapPart::default(), MapPart::default()];
        left.iter().for_each(|part| grouped[0].merge(part));
        right.iter().for_each(|part| grouped[1].merge(part));
        let [mut first, second] = grouped;
        first.merge(&second);
        prop_assert_eq!(forward.encode(), backward.encode());
        prop_assert_eq!(forward.encode(), first.encode());
    }

    #[test]
    fn a_part_comes_back_from_its_bytes([one, _] in any_pieces()) {
        let mut linker = Linker::default();
        for spans in &one {
            let part = linker.observe(&[&batch(spans)]);
            let read = MapPart::decode(&part.encode()).expect("what was written can be read");
            prop_assert_eq!(read.encode(), part.encode());
            prop_assert_eq!(read.view(&ALWAYS), part.view(&ALWAYS));
            prop_assert_eq!(read.is_empty(), part.is_empty());
        }
    }
}

proptest! {
    // Each case tries every byte.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 8, ..Default::default() })]

    #[test]
    fn damage_is_an_error_or_another_part_but_no_panic([one, _] in any_pieces(), noise in any::<Vec<u8>>()) {
        let bytes = sum_of(&one).encode();
        for length in 0..bytes.len() {
            prop_assert_eq!(MapPart::decode(&bytes[..length]).err(), Some(DecodePartError::Damaged));
        }
        for at in 1..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                if let Ok(part) = MapPart::decode(&bytes) {
                    part.view(&ALWAYS);
                    part.services(&ALWAYS);
                    part.operations("api", &ALWAYS);
                    let mut twice = part.clone();
                    twice.merge(&part);
                }
            }
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert_eq!(MapPart::decode(&longer).err(), Some(DecodePartError::Damaged));
        for version in [1, 2] {
            let noisy = [&[version], &noise[..]].concat();
            let _ = MapPart::decode(&noisy);
        }
    }
}

#[test]
fn a_newer_form_is_refused_by_name() {
    let mut bytes = observed(&[&[span("a", SpanKind::Server, 1, 0)]]).encode();
    bytes[0] = 3;
    assert_eq!(MapPart::decode(&bytes).err(), Some(DecodePartError::TooNew { found: 3 }));
    bytes[0] = 0;
    assert_eq!(MapPart::decode(&bytes).err(), Some(DecodePartError::Damaged));
}

#[test]
fn an_empty_part_says_nothing_and_changes_nothing() {
    let empty = MapPart::default();
    assert!(empty.is_empty() && Linker::default().observe(&[]).is_empty());
    let mut part = observed(&[&[span("a", SpanKind::Server, 1, 0)]]);
    let before = part.encode();
    part.merge(&empty);
    assert_eq!(part.encode(), before);
    assert!(!part.is_empty());
}

proptest! {
    /// Minutes before, within and after whole hours.
    #[test]
    fn hours_and_minutes_make_the_map_that_minutes_alone_make(
        spans in prop::collection::vec((any_span(), 0..300i64), 1..40),
        (a, b) in (0..320i64, 0..320i64),
    ) {
        let (mut whole, mut sum) = (MapPart::default(), MapSum::default());
        for (span, minute) in spans {
            let start = START + minute * MINUTE;
            let part = observed(&[&[Span { start, ..span }]]);
            whole.merge(&part);
            sum.merge(&part);
        }
        let [from_unix_nano, to_unix_nano] = [a.min(b), a.max(b)].map(|at| START + at * MINUTE + 5);
        for environment in [None, Some("blue")] {
            let filter = MapFilter { from_unix_nano, to_unix_nano, environment };
            let of = |mut total: MapTotal| { total.add_sum(&sum); total.finish() };
            let calls = of(MapTotal::of_calls(&filter));
            prop_assert_eq!(calls.view(&filter), whole.view(&filter));
            prop_assert_eq!(calls.services(&filter), whole.services(&filter));
            let minutes = of(MapTotal::of_minutes(&filter));
            prop_assert_eq!(minutes.xray_graph(&filter), whole.xray_graph(&filter));
            let operations = of(MapTotal::of_operations(&filter));
            for service in SERVICES {
                let wanted = whole.operations(service, &filter);
                prop_assert_eq!(operations.operations(service, &filter), wanted);
            }
            prop_assert_eq!(operations.environments(&filter), whole.environments(&filter));
        }
    }
}
