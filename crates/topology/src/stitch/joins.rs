//! All joins of some messages: what several producers and several consumers change.
//!
//! In:   the receipts of some messages, in any order, as often as one likes.
//! Out:  their edges, which the set of receipts alone decides, and what was refused.

use ahash::{AHashMap, AHashSet};
use throughline_context::{Carrier, MessageKey};
use throughline_model::SpanKind;

use super::edge::{Class, Evidence, JoinEdge, ReceiptAt, SKEW_MAX_NANO, SpanAt, Veto, join, unite};
use super::pointers::target;
use super::verdicts::{Ruling, Verdict};

/// Refused pairs that are kept of one message; more say nothing new.
const REFUSED_PER_KEY_MAX: usize = 8;

/// Producers of one message that are looked at, earliest first. More than that is a constant that
/// somebody took for an id.
const PRODUCERS_PER_KEY_MAX: usize = 64;

/// Consumers of one message in one trace and service that are compared with each other.
const NESTED_MAX: usize = 256;

/// The joins of some messages.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// By consumer's start, then by ids.
    pub edges: Vec<JoinEdge>,
    /// Pairs of one key that are not one message.
    pub refused: Vec<Refused>,
}

/// A pair of one key that is not one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The message.
    pub key: MessageKey,
    /// Who says that it produced it.
    pub from: SpanAt,
    /// Who says that it consumed it.
    pub to: SpanAt,
    /// Why they do not belong together.
    pub veto: Veto,
    /// Who rejected it by hand, and when.
    pub rejected: Option<Verdict>,
}

/// Joins producers and consumers of any number of messages.
///
/// *Several consumers* each get an edge, and of one service and span name the deliveries are
/// numbered by start unless the carrier counts. Within one trace and service, a consumer inside
/// another in time, and one that works on what another fetched, is the same delivery told more
/// exactly and takes its place; so is a function's span beside the segment that the Lambda service
/// sends of the same invocation.
///
/// *Several producers*: of one trace only one produced the message, the one of kind producer,
/// else the first; later ones repeat it, and the carrier answered with the same id. Where the
/// carrier's time is known, only who was at it then. Of several traces that are left none is
/// surer than the others, so each gets its share of the confidence.
pub fn joins<'a>(
    outs: impl IntoIterator<Item = &'a ReceiptAt>,
    ins: impl IntoIterator<Item = &'a ReceiptAt>,
) -> Joined {
    let ins = by_key(ins);
    // Most messages of a question that is about producers have been taken by nobody yet.
    let outs = by_key(outs.into_iter().filter(|at| ins.contains_key(&at.key)));
    let mut ins: Vec<_> = ins.into_iter().filter(|(key, _)| outs.contains_key(key)).collect();
    ins.sort_unstable_by_key(|(key, _)| *key);
    let mut joined = Joined::default();
    for (key, mut consumers) in ins {
        let Some(producers) = outs.get(&key) else { continue };
        let producers = producers.get(..PRODUCERS_PER_KEY_MAX).unwrap_or(producers);
        keep_functions(&mut consumers);
        keep_inner(&mut consumers);
        number_deliveries(&mut consumers);
        let mut refused = Vec::new();
        for consumer in &consumers {
            joined.edges.extend(edges_of(consumer, producers, &mut refused));
        }
        refused.sort_by_key(|pair| pair.veto != Veto::ByHand);
        refused.truncate(REFUSED_PER_KEY_MAX);
        joined.refused.append(&mut refused);
    }
    absorb_links(&mut joined.edges);
    joined.edges.sort_by_key(|edge| (edge.to, edge.from, edge.key));
    joined
}

fn by_key<'a>(
    receipts: impl IntoIterator<Item = &'a ReceiptAt>,
) -> AHashMap<MessageKey, Vec<ReceiptAt>> {
    let mut keys: AHashMap<MessageKey, Vec<ReceiptAt>> = AHashMap::new();
    for receipt in receipts {
        keys.entry(receipt.key).or_default().push(receipt.clone());
    }
    for list in keys.values_mut() {
        unite(list);
        list.sort_by_key(ReceiptAt::rank);
    }
    keys
}

/// Drops what the Lambda service says of an invocation that the function tells of itself: its
/// segment ends with the answer and the function's later, so neither lies in the other.
///
/// **Rule:** X-Ray developer guide, "AWS Lambda and AWS X-Ray": two segments an invocation.
fn keep_functions(consumers: &mut Vec<ReceiptAt>) {
    let functions: AHashSet<_> =
        consumers.iter().filter(|at| !at.is_service_side).map(|at| at.trace_id).collect();
    consumers.retain(|at| {
        let is_told = at.receipt.carrier == Carrier::Lambda && functions.contains(&at.trace_id);
        !(at.is_service_side && is_told)
    });
}

/// Drops a consumer that another one of its trace and service lies in, and a fetch that the work
/// on its message follows before the next fetch. They come by start.
fn keep_inner(consumers: &mut Vec<ReceiptAt>) {
    let mut homes: AHashMap<_, Vec<usize>> = AHashMap::new();
    for (at, consumer) in consumers.iter().enumerate() {
        let home = (consumer.trace_id, consumer.service.clone(), target(&consumer.receipt));
        homes.entry(home).or_default().push(at);
    }
    // Of two that cover the same time the order of their ids says which is the inner one.
    let order = |at: &ReceiptAt| (at.start_unix_nano, -i128::from(at.end_unix_nano), at.span_id);
    let lies_in = |inner: &ReceiptAt, outer: &ReceiptAt| {
        inner.end_unix_nano <= outer.end_unix_nano && order(inner) > order(outer)
    };
    let mut is_outer = vec![false; consumers.len()];
    for home in homes.into_values().filter(|home| (2..=NESTED_MAX).contains(&home.len())) {
        let of = |at: &usize| consumers.get(*at);
        for at in &home {
            let has_inner = of(at)
                .is_some_and(|outer| home.iter().filter_map(of).any(|inner| lies_in(inner, outer)));
            if let Some(is_outer) = is_outer.get_mut(*at) {
                *is_outer = has_inner;
            }
        }
        for pair in home.windows(2) {
            let [at, next] = pair else { continue };
            let is_fetch = |at: &usize| of(at).is_some_and(|consumer| consumer.fetches);
            if is_fetch(at)
                && !is_fetch(next)
                && let Some(is_outer) = is_outer.get_mut(*at)
            {
                *is_outer = true;
            }
        }
    }
    let mut is_outer = is_outer.into_iter();
    consumers.retain(|_| !is_outer.next().unwrap_or(false));
}

/// Numbers the deliveries to each consumer that the carrier has not counted.
fn number_deliveries(consumers: &mut [ReceiptAt]) {
    let mut counts = AHashMap::new();
    for consumer in consumers {
        let home = (consumer.environment.clone(), consumer.tenant.clone());
        let who = (consumer.service.clone(), consumer.name.clone(), home);
        let count: &mut u32 = counts.entry(who).or_default();
        // What a person joined to one span may be several messages of it.
        *count = if consumer.receipt.carrier == Carrier::User { 1 } else { *count + 1 };
        consumer.receipt.attempt.get_or_insert(*count);
    }
}

/// The edges to one consumer.
fn edges_of(
    consumer: &ReceiptAt,
    producers: &[ReceiptAt],
    refused: &mut Vec<Refused>,
) -> Vec<JoinEdge> {
    let mut possible: Vec<(&ReceiptAt, JoinEdge)> = Vec::new();
    // Of a trace that a person said no to, another span may hold the same message's id.
    let said = |producer: &ReceiptAt| consumer.verdict_on(producer.span()).map(|one| one.ruling);
    let is_rejected = |producer: &&ReceiptAt| said(producer) == Some(Ruling::Reject);
    let rejected: AHashSet<_> =
        producers.iter().filter(is_rejected).map(|producer| producer.trace_id).collect();
    for producer in producers {
        if rejected.contains(&producer.trace_id) && said(producer).is_none() {
            continue;
        }
        match join(producer, consumer) {
            Ok(edge) => possible.push((producer, edge)),
            Err(Veto::NoPair) => {}
            Err(veto) => refused.push(Refused {
                key: consumer.key,
                from: producer.span(),
                to: consumer.span(),
                veto,
                rejected: consumer
                    .verdict_on(producer.span())
                    .filter(|_| veto == Veto::ByHand)
                    .cloned(),
            }),
        }
    }
    if possible.iter().any(|(_, edge)| edge.confirmed.is_some()) {
        possible.retain(|(_, edge)| edge.confirmed.is_some());
    }
    let was_there = |(producer, edge): &(&ReceiptAt, JoinEdge)| {
        edge.server_time_unix_nano.is_some_and(|time| {
            producer.start_unix_nano.saturating_sub(SKEW_MAX_NANO) <= time
                && time <= producer.end_unix_nano.saturating_add(SKEW_MAX_NANO)
        })
    };
    if possible.iter().any(was_there) {
        possible.retain(was_there);
    }
    // They come by start; the sort is stable.
    possible.sort_by_key(|(producer, _)| producer.kind != SpanKind::Producer);
    let mut traces = AHashSet::new();
    possible.retain(|(producer, _)| traces.insert(producer.trace_id));
    let mut edges: Vec<JoinEdge> = possible.into_iter().map(|(_, edge)| edge).collect();
    let count = edges.len();
    if count > 1 {
        for edge in &mut edges {
            edge.confidence_permille /= u16::try_from(count).unwrap_or(u16::MAX);
            edge.evidence.push(Evidence {
                what: "traces that say that they produced it, of which one did",
                produced: count.to_string(),
                consumed: String::new(),
            });
        }
    }
    edges
}

/// Makes a link between two traces evidence of the messages that went the same way, if there are
/// any: a consumer that read the context also names the message.
fn absorb_links(edges: &mut Vec<JoinEdge>) {
    let is_link = |edge: &JoinEdge| edge.class == Class::Explicit;
    let way = |edge: &JoinEdge| (edge.from.0, edge.to);
    let mut links: AHashMap<_, Vec<Evidence>> = AHashMap::new();
    for edge in edges.iter().filter(|edge| is_link(edge)) {
        links.entry(way(edge)).or_default().extend(edge.evidence.first().cloned());
    }
    let mut used = AHashSet::new();
    for edge in edges.iter_mut().filter(|edge| edge.class == Class::MessageId) {
        if let Some(found) = links.get(&way(edge)) {
            used.insert(way(edge));
            edge.class = Class::Explicit;
            edge.confidence_permille = edge.confidence_permille.max(990);
            edge.evidence.extend(found.first().cloned());
        }
    }
    edges.retain(|edge| {
        !(edge.carrier == Carrier::Link && is_link(edge) && used.contains(&way(edge)))
    });
    // Of a message that a person confirmed the message is the better edge.
    let known: AHashSet<_> = edges
        .iter()
        .filter(|edge| edge.carrier != Carrier::User)
        .map(|edge| (edge.from, edge.to))
        .collect();
    edges.retain(|edge| edge.carrier != Carrier::User || !known.contains(&(edge.from, edge.to)));
}
