//! Journeys of known messages: the way to the focus is whole, and no view is larger than it may be.

use std::collections::{BTreeSet, HashMap};

use throughline_testkit::{Journeys, Plan, journeys};
use throughline_topology::stitch::{Budget, Focus, Gap, Journey, Receipt, Share, SpanAt, journey};

use crate::memory::Memory;

fn plan(seed: u64, own_spans: Option<bool>) -> Plan {
    Plan { seed, origins: 100, messages_max: 3, batch_max: 10, hops: 3, own_spans, faults: false }
}

/// The deliveries on the way to a message's consumers, and those of all that it led to.
fn truth(made: &Journeys, message: usize) -> [BTreeSet<(SpanAt, SpanAt)>; 2] {
    let mut taken: HashMap<usize, Vec<(SpanAt, SpanAt)>> = HashMap::new();
    for edge in &made.edges {
        taken.entry(edge.message).or_default().push((edge.from, edge.to));
    }
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    for (number, message) in made.messages.iter().enumerate() {
        message.parent.into_iter().for_each(|p| children.entry(p).or_default().push(number));
    }
    let of = |message| taken.get(&message).cloned().unwrap_or_default();
    let mut up = BTreeSet::from_iter(of(message));
    let mut at = made.messages[message].parent;
    while let Some(parent) = at {
        // Only the delivery that led on is on the way.
        let next = if up.is_empty() { Vec::new() } else { of(parent) };
        let sender = up.iter().map(|(from, _)| from.0).collect::<BTreeSet<_>>();
        up.extend(next.into_iter().filter(|(_, to)| sender.contains(&to.0)));
        at = made.messages[parent].parent;
    }
    let mut down = BTreeSet::new();
    let mut open = vec![message];
    while let Some(message) = open.pop() {
        down.extend(of(message));
        open.extend(children.get(&message).into_iter().flatten());
    }
    [up, down]
}

fn key(made: &Journeys, message: usize) -> Option<throughline_topology::stitch::MessageKey> {
    // The key of a message as its receipts have it: found through the span that sent it.
    use throughline_topology::stitch::{Direction, ReceiptReader};
    let message = &made.messages[message];
    let span = made.spans.iter().find(|s| s.span.span_id == message.from.1)?;
    let batch = throughline_testkit::journey_batch([span]);
    let is_it = |receipt: &Receipt| receipt.direction == Direction::Out && receipt.id == message.id;
    ReceiptReader::new(&batch).at(0).into_iter().find(|at| is_it(&at.receipt)).map(|at| at.key)
}

fn steps(found: &Journey) -> BTreeSet<(SpanAt, SpanAt)> {
    found.steps.iter().map(|step| (step.edge.from, step.edge.to)).collect()
}

fn check_size(found: &Journey, budget: &Budget) {
    assert!(found.span_count() <= budget.spans_max, "{} spans", found.span_count());
    assert!(found.traces.len() <= budget.traces_max, "{} traces", found.traces.len());
    for member in &found.traces {
        assert!(member.rows.windows(2).all(|two| two[0] < two[1]));
        assert!(member.rows.iter().all(|row| (*row as usize) < member.batch.len()));
    }
    for step in &found.steps {
        let shows = |(trace, span): SpanAt| {
            found.traces.iter().filter(|member| member.trace_id == trace).any(|member| {
                member.rows.iter().any(|row| member.batch.span(*row as usize).span_id() == span)
            })
        };
        let both = shows(step.edge.from) && shows(step.edge.to);
        assert!(
            both || !step.followed,
            "a step's spans are shown: {}",
            crate::memory::line(&step.edge)
        );
    }
}

#[test]
fn the_way_of_a_message_is_whole_where_batches_are_wide() {
    let budget = Budget::default();
    let (mut asked, mut exact) = (0, 0);
    for (seed, own_spans) in [(1, Some(true)), (2, None), (3, Some(false))] {
        let made = journeys(&plan(seed, own_spans));
        let memory = Memory::of(&made.spans);
        for message in (0..made.messages.len()).step_by(7) {
            let Some(key) = key(&made, message) else { continue };
            let [up, down] = truth(&made, message);
            if up.is_empty() {
                continue;
            }
            let found = journey(&memory, Focus::Message(key), &budget).unwrap();
            check_size(&found, &budget);
            let steps = steps(&found);
            let is_other = |gap: &Gap| matches!(gap, Gap::OtherEnvironments { .. });
            if found.gaps.iter().any(is_other) && !steps.is_superset(&up) {
                continue;
            }
            assert!(steps.is_superset(&up), "seed {seed}, message {message}: the way up is whole");
            asked += 1;
            if steps == up.union(&down).copied().collect() {
                exact += 1;
                continue;
            }
            let is_cut = !found.truncated.is_empty();
            assert!(is_cut || steps.is_superset(&down), "seed {seed}, message {message}: down");
            let is_doubtful = |share| matches!(share, Share::Unknown | Share::Together);
            let said = found.steps.iter().any(|step| is_doubtful(step.share));
            assert!(is_cut || said, "what is too much is called doubtful");
        }
    }
    println!("{asked} messages, {exact} journeys exact");
    assert!(asked > 300 && exact * 10 > asked * 8, "{asked} asked, {exact} exact");
}

#[test]
fn the_way_up_is_whole_though_things_go_wrong() {
    let made = journeys(&Plan { faults: true, ..plan(5, None) });
    let memory = Memory::of(&made.spans);
    let mut holders: HashMap<_, usize> = HashMap::new();
    let same = |message: usize| {
        let message = &made.messages[message];
        (message.lane, message.resource.clone(), message.id.clone())
    };
    (0..made.messages.len()).for_each(|m| *holders.entry(same(m)).or_default() += 1);
    let mut asked = 0;
    for message in (0..made.messages.len()).step_by(5) {
        // An id that came again leads to several places, and nobody can tell.
        let mut way = std::iter::successors(Some(message), |m| made.messages[*m].parent);
        if way.any(|m| holders[&same(m)] > 1) {
            continue;
        }
        let ([up, _], Some(key)) = (truth(&made, message), key(&made, message)) else { continue };
        let found = journey(&memory, Focus::Message(key), &Budget::default()).unwrap();
        check_size(&found, &Budget::default());
        let lost: Vec<_> = up.difference(&steps(&found)).copied().collect();
        assert!(lost.is_empty(), "message {message}: {lost:?} {:?}", made.messages[message]);
        asked += 1;
    }
    assert!(asked > 100, "{asked} asked");
}

#[test]
fn every_trace_fits_its_budget_even_a_small_one() {
    let made = journeys(&plan(4, None));
    let memory = Memory::of(&made.spans);
    let small = Budget { spans_max: 120, traces_max: 9, fan_max: 4, ..Budget::default() };
    for (number, (trace, _)) in memory.traces().enumerate() {
        let budget = if number % 2 == 0 { small } else { Budget::default() };
        let found = journey(&memory, Focus::Trace(*trace), &budget).unwrap();
        check_size(&found, &budget);
        assert!(found.traces.iter().any(|member| member.trace_id == *trace));
    }
}
