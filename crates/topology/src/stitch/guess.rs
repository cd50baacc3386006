//! Who may have taken what a span sent, where neither names the message: guesses, never joins.
//!
//! In:   the sides of traces: spans that say into or out of which place they sent or took.
//! Out:  a [`JoinEdge`] for each pair that may be one message, less sure than any join by an id.
//! Rule: the same place, a time that fits, environments that do not differ; a value that both name
//!       under one key of their own counts more, and two values under one key contradict. Nobody
//!       may have said no.

use std::collections::BTreeMap;
use std::sync::Arc;

use throughline_context::{Carrier, Direction, Receipt};
use throughline_model::{AttrValue, SpanBatch, SpanKind, SpanRef, StatusCode};

use super::edge::{Class, Evidence, JoinEdge, SKEW_MAX_NANO, SpanAt, edge_id};
use super::receipts::ReceiptReader;
use super::verdicts::{Ruling, Verdict};

/// How long after it was sent a message may be taken, to be guessed; in nanoseconds.
pub const GUESS_WINDOW_NANO: i64 = 60_000_000_000;

/// Candidates of one span; of more none is named.
const CANDIDATES_MAX: usize = 5;
/// Attributes of one span that may be a business key.
const VALUES_MAX: usize = 64;
/// A shorter value says little.
const VALUE_BYTES_MIN: usize = 4;
/// How sure the only candidate with the same business key is, in thousandths; several share it.
const BY_VALUE_PERMILLE: u16 = 850;
/// How sure the only candidate in time is.
const BY_TIME_PERMILLE: u16 = 700;

/// The attributes that name a queue, topic or stream.
pub const PLACE_ATTRIBUTES: [&str; 4] = [
    "messaging.destination.name",
    "messaging.destination",
    "aws.kinesis.stream_name",
    "aws.kinesis.stream.name",
];

/// What instrumentation writes says nothing of the business.
const TECHNICAL: [&str; 24] = [
    "aws.",
    "cloud.",
    "client.",
    "code.",
    "container.",
    "db.",
    "enduser.",
    "faas.",
    "host.",
    "http.",
    "k8s.",
    "messaging.",
    "net.",
    "network.",
    "os.",
    "otel.",
    "peer.",
    "process.",
    "rpc.",
    "server.",
    "service.",
    "telemetry.",
    "thread.",
    "url.",
];

/// A span that sent into a place or took out of it.
#[derive(Clone, Debug)]
pub struct Side {
    /// The span.
    pub at: SpanAt,
    /// Which way.
    pub direction: Direction,
    /// The queue, topic or stream.
    pub resource: String,
    /// Start of the span, nanoseconds since the epoch.
    pub start_unix_nano: i64,
    /// End of the span, nanoseconds since the epoch.
    pub end_unix_nano: i64,
    carrier: Carrier,
    environment: Option<Arc<str>>,
    failed: bool,
    /// Whether it names its message.
    has_id: bool,
    values: BTreeMap<String, String>,
    verdicts: Vec<Verdict>,
}

/// The sides of a trace, by row.
pub fn sides(batch: &SpanBatch) -> Vec<Side> {
    let reader = ReceiptReader::new(batch);
    batch.spans().filter_map(|span| side(span, &reader)).collect()
}

fn side(span: SpanRef<'_>, reader: &ReceiptReader<'_>) -> Option<Side> {
    let direction = match span.kind() {
        SpanKind::Producer => Direction::Out,
        SpanKind::Consumer => Direction::In,
        _ => return None,
    };
    let text = |key: &str| span.attribute(key).and_then(|value| value.as_str());
    let resource = PLACE_ATTRIBUTES.iter().find_map(|key| text(key))?;
    let system = text("messaging.system").and_then(Carrier::from_name);
    let values = span.attributes().filter(|(key, _)| !TECHNICAL.iter().any(|t| key.starts_with(t)));
    let values = values.filter_map(|(key, value)| match value {
        AttrValue::Str(text) => Some((key.to_owned(), text.to_owned())),
        AttrValue::Int(number) => Some((key.to_owned(), number.to_string())),
        _ => None,
    });
    let receipts = reader.at(span.row());
    Some(Side {
        at: (span.trace_id(), span.span_id()),
        direction,
        resource: resource.to_owned(),
        start_unix_nano: span.start_unix_nano(),
        end_unix_nano: span.end_unix_nano(),
        carrier: system.unwrap_or(Carrier::Other),
        environment: span.resource().environment().map(Arc::from),
        failed: span.status() == StatusCode::Error,
        has_id: receipts.iter().any(|at| at.receipt.direction == direction),
        values: values.take(VALUES_MAX).collect(),
        verdicts: reader.verdicts(span.row()),
    })
}

/// Who of some others may be the other side of one, surest first. None when too many may.
pub fn guesses(one: &Side, others: &[Side]) -> Vec<JoinEdge> {
    let mut fitting: Vec<(&Side, Vec<&str>)> = others
        .iter()
        .filter(|other| fits(one, other))
        .filter_map(|o| Some((o, alike(one, o)?)))
        .collect();
    let by_value = fitting.iter().any(|(_, alike)| !alike.is_empty());
    if by_value {
        fitting.retain(|(_, alike)| !alike.is_empty());
    }
    let count = fitting.len();
    if count > CANDIDATES_MAX {
        return Vec::new();
    }
    let most = if by_value { BY_VALUE_PERMILLE } else { BY_TIME_PERMILLE };
    let permille = most / u16::try_from(count.max(1)).unwrap_or(u16::MAX);
    let mut edges: Vec<JoinEdge> = fitting
        .into_iter()
        .map(|(other, alike)| {
            let (sent, took) = match one.direction {
                Direction::Out => (one, other),
                Direction::In => (other, one),
            };
            edge(sent, took, &alike, permille, count)
        })
        .collect();
    edges.sort_by_key(|edge| (edge.wait_nano, edge.to));
    edges
}

/// Whether nothing forbids that two sides are one message.
fn fits(one: &Side, other: &Side) -> bool {
    let (sent, took) = match (one.direction, other.direction) {
        (Direction::Out, Direction::In) => (one, other),
        (Direction::In, Direction::Out) => (other, one),
        _ => return false,
    };
    let differ = matches!((&sent.environment, &took.environment), (Some(a), Some(b)) if a != b);
    let waited = took.start_unix_nano.saturating_sub(sent.start_unix_nano);
    let rejected = |one: &Verdict| one.from == sent.at && one.ruling == Ruling::Reject;
    sent.at.0 != took.at.0
        && sent.resource == took.resource
        && sent.carrier == took.carrier
        && !differ
        // Two that name their messages would have joined, were these one.
        && !(sent.has_id && took.has_id)
        && (-SKEW_MAX_NANO..=GUESS_WINDOW_NANO).contains(&waited)
        && !took.verdicts.iter().any(rejected)
}

/// The keys under which both have the same value; `None` where a value contradicts.
fn alike<'a>(one: &'a Side, other: &Side) -> Option<Vec<&'a str>> {
    let mut same = Vec::new();
    for (key, value) in &one.values {
        match other.values.get(key) {
            // Only what looks like an id contradicts: a state may change on the way.
            Some(there) if there != value && is_id(key) => return None,
            Some(there) if there == value && is_id(key) && value.len() >= VALUE_BYTES_MIN => {
                same.push(key.as_str());
            }
            _ => {}
        }
    }
    Some(same)
}

/// Whether a key names an id, a number or a key of something.
fn is_id(key: &str) -> bool {
    let last = key.rsplit(['.', '_', '-']).next().unwrap_or_default().to_ascii_lowercase();
    matches!(last.as_str(), "id" | "key" | "number" | "uuid" | "guid" | "no" | "ref")
        || key.ends_with("Id")
}

fn edge(sent: &Side, took: &Side, alike: &[&str], permille: u16, count: usize) -> JoinEdge {
    let text = |side: &Side, key: &str| side.values.get(key).cloned().unwrap_or_default();
    let mut evidence: Vec<Evidence> = alike
        .iter()
        .map(|key| Evidence {
            what: "both have the same value under one key of their own",
            produced: format!("{key} = {}", text(sent, key)),
            consumed: format!("{key} = {}", text(took, key)),
        })
        .collect();
    evidence.push(Evidence {
        what: "a guess: both name the place, and the time fits",
        produced: sent.resource.clone(),
        consumed: took.resource.clone(),
    });
    if count > 1 {
        let (produced, consumed) = (count.to_string(), String::new());
        evidence.push(Evidence { what: "spans that it may be", produced, consumed });
    }
    let key =
        Receipt::new(Direction::Out, Carrier::Other, format!("guess {}", sent.resource)).key();
    JoinEdge {
        id: edge_id(sent.at, took.at, key),
        key,
        from: sent.at,
        to: took.at,
        carrier: took.carrier,
        resource: Some(took.resource.clone()),
        key_text: alike.first().map(|key| text(sent, key)).unwrap_or_default(),
        class: if alike.is_empty() { Class::Pairing } else { Class::BusinessKey },
        confidence_permille: permille,
        evidence,
        wait_nano: took.start_unix_nano.saturating_sub(sent.end_unix_nano).max(0),
        attempt: 1,
        index: None,
        batch_size: None,
        sent_index: None,
        sent_batch_size: None,
        server_time_unix_nano: None,
        moved: false,
        replay: false,
        failed: took.failed,
        confirmed: None,
    }
}
