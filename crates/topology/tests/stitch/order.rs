//! Neither order, nor batches, nor repetition change a join; environments never meet.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use throughline_testkit::{JourneySpan, Plan, Rng, journey_batch, journeys};
use throughline_topology::stitch::{
    Budget, Carrier, Focus, JoinEdge, ReceiptReader, Veto, journey,
};

use crate::memory::{Memory, disturbed, shuffled};

fn plan(seed: u64) -> Plan {
    Plan {
        seed,
        origins: 15,
        messages_max: 3,
        batch_max: 6,
        hops: 3,
        own_spans: None,
        faults: true,
    }
}

fn batches(spans: &[JourneySpan], rng: &mut Rng) -> Memory {
    let mut rest = spans;
    let mut batches = Vec::new();
    while !rest.is_empty() {
        let (now, later) = rest.split_at((1 + rng.below(60) as usize).min(rest.len()));
        batches.push(journey_batch(now));
        rest = later;
    }
    Memory::new(&batches)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_any_batches_give_the_same_joins(seed in 0..1_000_000_u64) {
        let made = journeys(&plan(seed));
        let mut rng = Rng::new(seed);
        let first = Memory::of(&made.spans).joined();
        let ids: Vec<_> = first.edges.iter().map(|edge| edge.id).collect();
        prop_assert!(ids.len() > 10);
        for _ in 0..3 {
            let spans = shuffled(&disturbed(&made.spans, 30, &mut rng), &mut rng);
            let again = batches(&spans, &mut rng).joined();
            prop_assert_eq!(&again.edges, &first.edges);
        }
    }

    #[test]
    fn the_same_spans_twice_are_the_same_spans_once(seed in 0..1_000_000_u64) {
        let made = journeys(&plan(seed));
        let twice: Vec<_> = made.spans.iter().chain(&made.spans).cloned().collect();
        let (once, twice) = (Memory::of(&made.spans), Memory::of(&twice));
        prop_assert_eq!(once.joined().edges, twice.joined().edges);
        prop_assert_eq!(once.edge_ids().len(), once.joined().edges.len(), "ids are unique");
    }

    #[test]
    fn a_span_that_comes_late_joins_late_and_parts_nobody(seed in 0..1_000_000_u64) {
        let made = journeys(&plan(seed));
        let mut rng = Rng::new(seed);
        let early: Vec<_> = made.spans.iter().filter(|_| rng.below(10) > 2).cloned().collect();
        let (before, after) = (Memory::of(&early).joined(), Memory::of(&made.spans).joined());
        prop_assert!(after.edges.len() > before.edges.len());
        // A span inside may take the place of one that was joined, never a span elsewhere.
        let way = |edge: &JoinEdge| (edge.key, edge.from.0, edge.to.0);
        let after: HashSet<_> = after.edges.iter().map(way).collect();
        for edge in &before.edges {
            let is_link = edge.carrier == Carrier::Link;
            prop_assert!(is_link || after.contains(&way(edge)));
        }
    }

    #[test]
    fn no_join_and_no_journey_crosses_environments(seed in 0..1_000_000_u64) {
        let made = journeys(&plan(seed));
        let memory = Memory::of(&made.spans);
        let environments: HashMap<_, _> = memory
            .traces()
            .map(|(id, batch)| (*id, batch.span(0).resource().environment().unwrap()))
            .collect();
        let environment = |trace| environments[&trace];
        let joined = memory.joined();
        for edge in &joined.edges {
            prop_assert_eq!(environment(edge.from.0), environment(edge.to.0));
        }
        for edge in joined.edges.iter().take(10) {
            let found = journey(&memory, Focus::Trace(edge.to.0), &Budget::default()).unwrap();
            let own = environment(edge.to.0);
            prop_assert!(found.traces.iter().all(|member| environment(member.trace_id) == own));
        }
    }

    #[test]
    fn no_bytes_of_a_receipt_can_break_the_reader(
        texts in proptest::collection::vec(".{0,80}", 1..8),
        kind in 0..6_usize,
    ) {
        use throughline_model::SpanKind as K;
        const KEYS: [&str; 9] = [
            "stitch.in", "stitch.out", "messaging.message.id", "messaging.system", "aws.request_id",
            "_dd.span_links", "messaging.kafka.offset", "aws.kinesis.sequence_number", "rpc.service",
        ];
        let kinds = [K::Unspecified, K::Internal, K::Server, K::Client, K::Producer, K::Consumer];
        let mut span = throughline_testkit::span("any").kind(kinds[kind]);
        for (key, text) in KEYS.into_iter().zip(&texts) {
            span = span.attr(key, text.clone());
        }
        let batch = throughline_testkit::batch(&[span]);
        for at in ReceiptReader::new(&batch).at(0) {
            prop_assert!(!at.receipt.id.is_empty());
            prop_assert_eq!(at.key, at.receipt.key());
        }
    }
}

#[test]
fn the_same_ids_in_two_environments_are_refused() {
    let joined = Memory::of(&journeys(&Plan { origins: 200, ..plan(3) }).spans).joined();
    let crossed = joined.refused.iter().filter(|refused| refused.veto == Veto::Environment).count();
    assert!(crossed > 10, "the generator makes the same ids in both: {crossed}");
}
