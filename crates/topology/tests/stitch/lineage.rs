//! Journeys of known messages: the way to the focus is whole, and no view is larger than it may be.

use std::collections::{BTreeSet, HashMap};

use throughline_model::SpanId;
use throughline_testkit::{Journeys, Plan, journey_batch, journeys};
use throughline_topology::stitch::{
    Budget, Direction, Focus, Gap, Journey, MessageKey, ReceiptReader, Share, SpanAt, journey,
};

use crate::memory::Memory;

fn plan(seed: u64, own_spans: Option<bool>) -> Plan {
    Plan { seed, origins: 100, messages_max: 3, batch_max: 10, hops: 3, own_spans, faults: false }
}

/// What is true of some journeys, ready to be asked.
struct Truth<'a> {
    made: &'a Journeys,
    taken: HashMap<usize, Vec<(SpanAt, SpanAt)>>,
    children: HashMap<usize, Vec<usize>>,
    keys: HashMap<(SpanId, String), MessageKey>,
}

impl<'a> Truth<'a> {
    fn of(made: &'a Journeys) -> Self {
        let mut taken: HashMap<usize, Vec<(SpanAt, SpanAt)>> = HashMap::new();
        for edge in &made.edges {
            taken.entry(edge.message).or_default().push((edge.from, edge.to));
        }
        let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
        for (number, message) in made.messages.iter().enumerate() {
            message.parent.into_iter().for_each(|p| children.entry(p).or_default().push(number));
        }
        let batch = journey_batch(&made.spans);
        let reader = ReceiptReader::new(&batch);
        let keys = (0..batch.len())
            .flat_map(|row| reader.at(row))
            .filter(|at| at.receipt.direction == Direction::Out)
            .map(|at| ((at.span_id, at.receipt.id), at.key))
            .collect();
        Self { made, taken, children, keys }
    }

    /// The key of a message, unless it went by a link alone.
    fn key(&self, message: usize) -> Option<MessageKey> {
        let message = &self.made.messages[message];
        self.keys.get(&(message.from.1, message.id.clone())).copied()
    }

    fn deliveries(&self, message: usize) -> Vec<(SpanAt, SpanAt)> {
        self.taken.get(&message).cloned().unwrap_or_default()
    }

    /// The deliveries of a message, and those on the way to it.
    fn up(&self, message: usize) -> BTreeSet<(SpanAt, SpanAt)> {
        let mut up = BTreeSet::from_iter(self.deliveries(message));
        let mut at = self.made.messages[message].parent;
        while let Some(parent) = at {
            // Only the delivery that led on is on the way.
            let senders: BTreeSet<_> = up.iter().map(|(from, _)| from.0).collect();
            let next = self.deliveries(parent);
            up.extend(next.into_iter().filter(|(_, to)| senders.contains(&to.0)));
            at = self.made.messages[parent].parent;
        }
        up
    }

    /// The deliveries of a message, and of all that it led to.
    fn down(&self, message: usize) -> BTreeSet<(SpanAt, SpanAt)> {
        let mut down = BTreeSet::new();
        let mut open = vec![message];
        while let Some(message) = open.pop() {
            down.extend(self.deliveries(message));
            open.extend(self.children.get(&message).into_iter().flatten());
        }
        down
    }
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
        let (memory, truth) = (Memory::of(&made.spans), Truth::of(&made));
        for message in (0..made.messages.len()).step_by(7) {
            let Some(key) = truth.key(message) else { continue };
            let (up, down) = (truth.up(message), truth.down(message));
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
    let (memory, truth) = (Memory::of(&made.spans), Truth::of(&made));
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
        let (up, Some(key)) = (truth.up(message), truth.key(message)) else { continue };
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
