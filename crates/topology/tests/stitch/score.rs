//! How many joins are found, and how many of those found are true.

use std::collections::BTreeSet;

use throughline_testkit::{Plan, Rng, journeys};

use crate::memory::{Memory, disturbed};

#[test]
fn joins_are_true_and_all_are_found() {
    for seed in 1..=4 {
        let plan = Plan {
            seed,
            origins: 150,
            messages_max: 3,
            batch_max: 10,
            hops: 4,
            own_spans: None,
            faults: true,
        };
        let made = journeys(&plan);
        let spans = disturbed(&made.spans, 5, &mut Rng::new(seed));
        let joined = Memory::of(&spans).joined();
        let found: BTreeSet<_> = joined
            .edges
            .iter()
            .filter(|edge| edge.confidence_permille >= 900)
            .map(|edge| (edge.from, edge.to))
            .collect();
        let truth: BTreeSet<_> = made.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        let right = found.intersection(&truth).count();
        let precision = right as f64 / found.len() as f64;
        let recall = right as f64 / truth.len() as f64;
        println!(
            "seed {seed}: {} spans, {} true, {} found, precision {precision:.4}, recall {recall:.4}",
            spans.len(),
            truth.len(),
            found.len()
        );
        let lane_of = |edge: &throughline_testkit::TrueEdge| made.messages[edge.message].lane;
        let missed = made.edges.iter().filter(|edge| !found.contains(&(edge.from, edge.to)));
        let missed: Vec<_> = missed.map(lane_of).collect();
        let wrong: Vec<_> = joined
            .edges
            .iter()
            .filter(|edge| edge.confidence_permille >= 900)
            .filter(|edge| !truth.contains(&(edge.from, edge.to)))
            .map(crate::memory::line)
            .collect();
        assert!(truth.len() > 1_000, "too few to say anything: {}", truth.len());
        assert!(precision >= 0.995, "{:?}", &wrong[..wrong.len().min(10)]);
        assert!(recall >= 0.99, "{:?}", &missed[..missed.len().min(30)]);
    }
}
