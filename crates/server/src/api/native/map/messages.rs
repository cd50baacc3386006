//! What queues, topics and streams of the map carried, and who took it.

use serde::Serialize;
use throughline_query::{Delivery, DeliveryKey, Messages, PlaceMessages};
use throughline_topology::stitch::Carrier;
use utoipa::ToSchema;

use super::super::time::TimeRange;
use super::{Edge, Node};
use crate::clock::now_unix_nano;

/// What went through a queue, topic or stream, as far as spans and receipts name the messages.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeMessages {
    /// Messages that were put in.
    published: u64,
    /// Deliveries that were taken; one message may be delivered more than once.
    consumed: u64,
    /// Of the range, or of the time that a sample covers.
    publish_per_second: f64,
    consume_per_second: f64,
    /// How many messages the median consumer took at once.
    batch_p50: u32,
    batch_max: u32,
    /// The highest number of a delivery to one consumer.
    attempts_max: u32,
    /// Deliveries after the first to one consumer.
    redelivered: u64,
    /// Messages put in that no span says it took.
    unmatched_out: u64,
    /// Messages taken that no span says it put in.
    unmatched_in: u64,
    /// How long messages waited; absent where none is joined to who sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_p50_nano: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_p95_nano: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_max_nano: Option<i64>,
    /// Whether these are of the newest 1000 traces with messages, and there are more.
    sampled: bool,
}

/// Adds what messages tell to the nodes and edges that spans tell of.
pub(super) fn add(
    found: &Messages,
    range: TimeRange,
    nodes: &mut Vec<Node>,
    edges: &mut Vec<Edge>,
) {
    for (key, delivery) in &found.deliveries {
        add_delivery(key, delivery, nodes, edges);
    }
    let from = found.first_unix_nano.filter(|_| found.sampled).unwrap_or(range.from);
    let seconds =
        range.to.min(now_unix_nano()).saturating_sub(from).max(1_000_000_000) as f64 / 1e9;
    for ((carrier, resource), place) in &found.places {
        let (kind, _) = place_of(*carrier);
        let node = nodes.iter_mut().find(|node| node.kind == kind && node.name == *resource);
        if let Some(node) = node {
            node.messages = Some(render(place, seconds, found.sampled));
        }
    }
}

fn render(place: &PlaceMessages, seconds: f64, sampled: bool) -> NodeMessages {
    NodeMessages {
        published: place.published,
        consumed: place.consumed,
        publish_per_second: place.published as f64 / seconds,
        consume_per_second: place.consumed as f64 / seconds,
        batch_p50: percentile(&place.batches, 50).unwrap_or(0),
        batch_max: place.batches.last().copied().unwrap_or(0),
        attempts_max: place.attempts_max,
        redelivered: place.redelivered,
        unmatched_out: place.unmatched_out,
        unmatched_in: place.unmatched_in,
        wait_p50_nano: percentile(&place.waits_nano, 50),
        wait_p95_nano: percentile(&place.waits_nano, 95),
        wait_max_nano: place.waits_nano.last().copied(),
        sampled,
    }
}

/// Waits between one bound and the next: 1, 2 and 5 times a power of ten.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WaitBucket {
    /// The longest wait that counts here, in nanoseconds; the bucket before has those up to its own.
    to_nano: i64,
    count: u64,
}

/// How waits spread, from the bucket of the shortest to that of the longest, empty ones among them.
fn spread(sorted: &[i64]) -> Option<Vec<WaitBucket>> {
    let (least, most) = (*sorted.first()?, *sorted.last()?);
    // Up to a year and a half, beyond which the last bucket has them all.
    let steps = (3..17).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_i64.pow(power)));
    let bounds: Vec<i64> = steps.chain([i64::MAX]).collect();
    let first = bounds.partition_point(|bound| *bound < least);
    let last = bounds.partition_point(|bound| *bound < most);
    let mut rest = sorted;
    let buckets = bounds.get(first..=last)?.iter().map(|bound| {
        let (here, after) = rest.split_at(rest.partition_point(|wait| wait <= bound));
        rest = after;
        WaitBucket { to_nano: *bound, count: here.len() as u64 }
    });
    Some(buckets.collect())
}

/// The nearest rank of sorted numbers.
fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}

/// Draws what a service took out of a queue, where somebody saw it and its own spans do not tell.
fn add_delivery(
    (carrier, resource, service): &DeliveryKey,
    delivery: &Delivery,
    nodes: &mut Vec<Node>,
    edges: &mut Vec<Edge>,
) {
    let (kind, system) = place_of(*carrier);
    let of_kind = |node: &&Node| node.kind == kind && node.name == *resource;
    let from = match nodes.iter().find(of_kind) {
        Some(node) => node.id.clone(),
        None if !delivery.is_noted => return,
        None => {
            let node = queue(kind, system, resource);
            let id = node.id.clone();
            nodes.push(node);
            id
        }
    };
    let services = nodes.iter().filter(|node| node.kind == "service" && node.name == *service);
    let Some(to) = services.map(|node| node.id.clone()).next() else { return };
    let [wait_p50_nano, wait_p95_nano] =
        [50, 95].map(|percent| percentile(&delivery.waits_nano, percent));
    let wait_max_nano = delivery.waits_nano.last().copied();
    let waits = spread(&delivery.waits_nano);
    if let Some(edge) = edges.iter_mut().find(|edge| edge.from == from && edge.to == to) {
        // Its spans tell of it too: they count, and only the waits are news.
        edge.evidence.push("message");
        edge.wait_p50_nano = wait_p50_nano;
        edge.wait_p95_nano = wait_p95_nano;
        edge.wait_max_nano = wait_max_nano;
        edge.waits = waits;
        return;
    }
    if !delivery.is_noted {
        return;
    }
    let took = |percent| percentile(&delivery.durations_nano, percent).unwrap_or_default();
    edges.push(Edge {
        from,
        to,
        kind: "async",
        requests: delivery.messages,
        errors: delivery.failed,
        p50_nano: took(50),
        p95_nano: took(95),
        p99_nano: took(99),
        evidence: vec!["message"],
        wait_p50_nano,
        wait_p95_nano,
        wait_max_nano,
        waits,
    });
}

fn queue(kind: &'static str, system: &str, name: &str) -> Node {
    Node {
        id: format!("{kind}:{system}:{name}"),
        name: name.to_owned(),
        kind,
        system: Some(system.to_owned()),
        inferred: true,
        requests: 0,
        errors: 0,
        p50_nano: 0,
        p95_nano: 0,
        p99_nano: 0,
        messages: None,
        parts: None,
    }
}

/// The kind of node that a carrier's resources are, and the product.
fn place_of(carrier: Carrier) -> (&'static str, &'static str) {
    match carrier {
        Carrier::Kinesis => ("stream", "aws_kinesis"),
        Carrier::Firehose => ("stream", "aws_firehose"),
        Carrier::Sqs => ("queue", "aws_sqs"),
        Carrier::Sns => ("topic", "aws_sns"),
        Carrier::EventBridge => ("topic", "aws_eventbridge"),
        Carrier::Kafka => ("topic", "kafka"),
        Carrier::DynamoDb => ("database", "dynamodb"),
        Carrier::Lambda => ("function", "aws_lambda"),
        other => ("queue", other.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_is_in_the_bucket_of_its_bound_and_none_is_lost() {
        assert_eq!(spread(&[]), None);
        let bucket = |to_nano, count| WaitBucket { to_nano, count };
        assert_eq!(spread(&[0, 1_000]), Some(vec![bucket(1_000, 2)]));
        assert_eq!(
            spread(&[1_000, 1_001, 2_000, 10_000]),
            Some(vec![bucket(1_000, 1), bucket(2_000, 2), bucket(5_000, 0), bucket(10_000, 1)])
        );
        let longest = spread(&[1, i64::MAX]).unwrap();
        assert_eq!(longest.last(), Some(&bucket(i64::MAX, 1)));
        assert_eq!(longest.iter().map(|bucket| bucket.count).sum::<u64>(), 2);
    }
}
