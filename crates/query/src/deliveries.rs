//! What queues, topics and streams carried, for the map, from what spans and notes say of messages.
//!
//! In:   the traces of a range of time that hold message ids or receipts, the newest of them.
//! Out:  how much went in and came out of each place, how long it waited, and who took it.
//! Rule: a message is counted at the place that its receipts name. Beyond [`TRACES_MAX`] traces the
//!       answer is a sample of the newest and says so. Invocations are no messages here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use throughline_store::Snapshot;
use throughline_topology::stitch::{
    Carrier, Direction, MessageKey, ReceiptAt, Source, SpanAt, joins,
};

use crate::journeys::Stored;
use crate::message_cache::{MessageCache, MessageReader, TraceMessages};
use crate::{RunError, SearchOptions};

/// Traces that are looked at, the newest of the range.
const TRACES_MAX: usize = 1_000;
/// Messages whose other side is looked for outside of these traces. Of more it is not known.
const ELSEWHERE_MAX: usize = 1_000;
/// Receipts that are counted; a trace may have very many.
const RECEIPTS_MAX: usize = 200_000;

/// What one service took out of one queue, topic or stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Messages that were consumed.
    pub messages: u64,
    /// Those whose consumer failed.
    pub failed: u64,
    /// How long the consumers took, in nanoseconds, sorted.
    pub durations_nano: Vec<i64>,
    /// How long messages waited, in nanoseconds, sorted; of those of which that is known.
    pub waits_nano: Vec<i64>,
    /// Whether somebody saw a hop that the consumer's own spans do not tell of.
    pub is_noted: bool,
}

/// What took a message, and out of what: carrier, resource and consuming service.
pub type DeliveryKey = (Carrier, String, String);

/// A queue, topic or stream: what carries, and its name.
pub type PlaceKey = (Carrier, String);

/// What went through one queue, topic or stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceMessages {
    /// Messages that spans say they put in.
    pub published: u64,
    /// Deliveries that spans say they took; one message may be delivered more than once.
    pub consumed: u64,
    /// How many messages consumers took at once, sorted; one number a batch.
    pub batches: Vec<u32>,
    /// The highest number of a delivery to one consumer; 0 without any.
    pub attempts_max: u32,
    /// Deliveries after the first to one consumer.
    pub redelivered: u64,
    /// Messages put in that no span says it took.
    pub unmatched_out: u64,
    /// Messages taken that no span says it put in.
    pub unmatched_in: u64,
    /// How long messages waited, in nanoseconds, sorted; of those joined to who sent them.
    pub waits_nano: Vec<i64>,
}

/// The messages of a range of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    /// By where they went through.
    pub places: BTreeMap<PlaceKey, PlaceMessages>,
    /// By where they came from and who took them.
    pub deliveries: BTreeMap<DeliveryKey, Delivery>,
    /// Whether there are more than were looked at.
    pub sampled: bool,
    /// Start of the earliest span that counts; `None` without any.
    pub first_unix_nano: Option<i64>,
}

/// Messages of the spans that start in a range of time. Of the options, the limit does not count.
///
/// # Errors
///
/// When the store cannot be read.
pub fn messages(
    snapshot: &Snapshot,
    cache: &MessageCache,
    options: &SearchOptions,
) -> Result<Messages, RunError> {
    let stored = Stored::new(snapshot);
    let reader = MessageReader::new(snapshot, &stored, cache);
    let (traces, mut sampled) = traces(snapshot, &stored, &reader, options)?;
    let mut counted = Counted::default();
    for trace in &traces {
        if counted.outs.len() + counted.ins.len() >= RECEIPTS_MAX {
            sampled = true;
            break;
        }
        counted.add(trace, options);
    }
    for (keys, way) in counted.elsewhere() {
        sampled |= keys.len() > ELSEWHERE_MAX;
        let keys = keys.get(..ELSEWHERE_MAX).unwrap_or(&keys);
        if !keys.is_empty() {
            let holders = stored.holders(keys, way)?;
            counted.far.entry(way).or_default().extend(holders);
        }
    }
    Ok(counted.sum(sampled))
}

/// Traces with messages, newest first, and whether there are more.
fn traces(
    snapshot: &Snapshot,
    stored: &Stored<'_>,
    reader: &MessageReader<'_>,
    options: &SearchOptions,
) -> Result<(Vec<Arc<TraceMessages>>, bool), RunError> {
    let (mut ids, mut seen, mut sampled) = (Vec::new(), HashSet::new(), false);
    'chunks: for chunk in snapshot.chunks(options.from, options.to) {
        for (start, id) in reader.starts(&chunk)?.iter() {
            if !(options.from..=options.to).contains(start) || !seen.insert(*id) {
                continue;
            }
            if ids.len() >= TRACES_MAX {
                sampled = true;
                break 'chunks;
            }
            ids.push(*id);
        }
    }
    let (mut traces, mut homes) = (Vec::with_capacity(ids.len()), Vec::new());
    for (id, trace) in ids.iter().zip(reader.traces(&ids)?) {
        match trace.is_trace {
            true => traces.push(trace),
            // Notes about invocations, whose spans are elsewhere.
            false => homes.extend(stored.homes(*id)?),
        }
    }
    homes.retain(|id| seen.insert(*id));
    homes.sort_unstable();
    homes.dedup();
    sampled |= traces.len() + homes.len() > TRACES_MAX;
    homes.truncate(TRACES_MAX - traces.len().min(TRACES_MAX));
    traces.extend(reader.traces(&homes)?.into_iter().filter(|trace| trace.is_trace));
    Ok((traces, sampled))
}

/// The receipts of traces that were looked at.
#[derive(Default)]
struct Counted<'a> {
    outs: Vec<&'a ReceiptAt>,
    ins: Vec<&'a ReceiptAt>,
    /// Receipts of other traces, which join and are not counted.
    far: HashMap<Direction, Vec<ReceiptAt>>,
    /// Consuming spans that somebody saw, and how long spans took.
    noted: HashSet<SpanAt>,
    durations: HashMap<SpanAt, i64>,
}

impl<'a> Counted<'a> {
    fn add(&mut self, trace: &'a TraceMessages, options: &SearchOptions) {
        for span in &trace.spans {
            let environment = span.environment.as_deref();
            let is_asked = options.environment.as_deref().is_none_or(|e| environment == Some(e));
            let is_now = (options.from..=options.to).contains(&span.start_unix_nano);
            if !is_asked || !is_now {
                continue;
            }
            if span.is_noted {
                self.noted.insert(span.at);
            }
            self.durations.extend(span.duration_nano.map(|duration| (span.at, duration)));
            for at in &span.receipts {
                match at.receipt.direction {
                    Direction::Out => self.outs.push(at),
                    Direction::In => self.ins.push(at),
                }
            }
        }
    }

    /// The messages of which one side only is here, and the side that is not. What was sent
    /// elsewhere may have been delivered elsewhere before.
    fn elsewhere(&self) -> [(Vec<MessageKey>, Direction); 3] {
        let keys = |list: &[&ReceiptAt]| list.iter().map(|at| at.key).collect::<HashSet<_>>();
        let (sent, taken) = (keys(&self.outs), keys(&self.ins));
        let only = |a: &HashSet<MessageKey>, b: &HashSet<MessageKey>| {
            let mut only: Vec<MessageKey> = a.difference(b).copied().collect();
            only.sort_unstable();
            only
        };
        let came = only(&taken, &sent);
        [
            (only(&sent, &taken), Direction::In),
            (came.clone(), Direction::Out),
            (came, Direction::In),
        ]
    }

    fn sum(self, sampled: bool) -> Messages {
        let far = |way| self.far.get(&way).map(Vec::as_slice).unwrap_or_default();
        let outs = self.outs.iter().copied().chain(far(Direction::Out));
        let ins = self.ins.iter().copied().chain(far(Direction::In));
        let edges = joins(outs, ins).edges;
        let starts = self.outs.iter().chain(&self.ins).map(|at| at.start_unix_nano);
        let mut sum = Messages { sampled, first_unix_nano: starts.min(), ..Messages::default() };

        // A message that a span holds under several keys is matched when one of them is.
        let sent: HashSet<_> = edges.iter().map(|edge| (edge.from.0, edge.key)).collect();
        let taken: HashMap<_, _> = edges.iter().map(|edge| ((edge.to.0, edge.key), edge)).collect();
        let slots = |list: &[&ReceiptAt], is_matched: &dyn Fn(&ReceiptAt) -> bool| {
            let matched = list.iter().copied().filter(|at| is_matched(at));
            matched.filter_map(slot).collect::<HashSet<_>>()
        };
        let sent_slots = slots(&self.outs, &|at| sent.contains(&(at.trace_id, at.key)));
        let taken_slots = slots(&self.ins, &|at| taken.contains_key(&(at.trace_id, at.key)));

        let mut seen = HashSet::new();
        for at in &self.outs {
            let Some(key) = place(at) else { continue };
            if !seen.insert((at.trace_id, at.key)) {
                continue;
            }
            let place = sum.places.entry(key).or_default();
            place.published += 1;
            let is_matched = sent.contains(&(at.trace_id, at.key))
                || slot(at).is_some_and(|slot| sent_slots.contains(&slot));
            place.unmatched_out += u64::from(!is_matched);
        }
        let mut seen = HashSet::new();
        let mut batches = HashSet::new();
        let mut held: HashMap<_, u32> = HashMap::new();
        for at in &self.ins {
            *held.entry((at.span(), at.receipt.carrier)).or_default() += 1;
        }
        for at in &self.ins {
            let edge = taken.get(&(at.trace_id, at.key)).copied();
            // Of a consumer inside a consumer the inner one took it.
            if edge.is_some_and(|edge| edge.to != at.span()) {
                continue;
            }
            let of_edge = || Some((at.receipt.carrier, edge?.resource.clone()?));
            let Some(key) = place(at).or_else(of_edge) else { continue };
            if !seen.insert((at.trace_id, at.key, at.service.clone())) {
                continue;
            }
            let place = sum.places.entry(key.clone()).or_default();
            place.consumed += 1;
            let is_matched =
                edge.is_some() || slot(at).is_some_and(|slot| taken_slots.contains(&slot));
            place.unmatched_in += u64::from(!is_matched);
            let attempt = edge.map(|edge| edge.attempt).or(at.receipt.attempt).unwrap_or(1);
            place.attempts_max = place.attempts_max.max(attempt);
            place.redelivered += u64::from(attempt > 1);
            if batches.insert((at.span(), key.clone())) {
                let here = held.get(&(at.span(), at.receipt.carrier)).copied();
                place.batches.push(at.receipt.batch_size.or(here).unwrap_or(1));
            }
            let wait = edge.map(|edge| edge.wait_nano);
            place.waits_nano.extend(wait);

            let (carrier, resource) = key;
            let delivery =
                sum.deliveries.entry((carrier, resource, at.service.to_string())).or_default();
            delivery.messages += 1;
            delivery.failed += u64::from(at.failed);
            delivery.durations_nano.extend(self.durations.get(&at.span()));
            // The carrier's own time is enough to know how long it waited.
            let by_carrier = || Some((at.start_unix_nano - at.receipt.time_unix_nano?).max(0));
            delivery.waits_nano.extend(wait.or_else(by_carrier));
            delivery.is_noted |= self.noted.contains(&at.span());
        }
        for place in sum.places.values_mut() {
            place.batches.sort_unstable();
            place.waits_nano.sort_unstable();
        }
        for delivery in sum.deliveries.values_mut() {
            delivery.durations_nano.sort_unstable();
            delivery.waits_nano.sort_unstable();
        }
        sum
    }
}

/// One message of a span, under whatever key, where the span tells them apart.
fn slot(at: &ReceiptAt) -> Option<(SpanAt, u32)> {
    Some((at.span(), at.receipt.index?))
}

/// Where a message went through, by its receipt.
fn place(at: &ReceiptAt) -> Option<PlaceKey> {
    Some((at.receipt.carrier, at.receipt.resource.clone()?))
}
