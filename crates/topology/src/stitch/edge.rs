//! One message between two spans: how we know, how sure we are, and why not.
//!
//! In:   two receipts of one message, one of each direction, with the places of their spans.
//! Out:  a [`JoinEdge`], or the [`Veto`] that forbids it.
//! Rule: a provider's id is proof within its scope; what contradicts it is stronger.

use std::hash::Hasher as _;
use std::sync::Arc;

use ahash::AHashMap;
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use throughline_context::{Carrier, Direction, MessageKey, Receipt};
use throughline_model::{SpanId, SpanKind, TraceId, xray};

use super::pointers::is_pointing;
use super::verdicts::{Ruling, Verdict};

/// A span among all traces.
pub type SpanAt = (TraceId, SpanId);

/// A receipt and the span that holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiptAt {
    /// The receipt's key, made once.
    pub key: MessageKey,
    /// What the span says of the message.
    pub receipt: Receipt,
    /// The trace of the span.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The span's kind.
    pub kind: SpanKind,
    /// Start of the span, nanoseconds since the epoch.
    pub start_unix_nano: i64,
    /// End of the span, nanoseconds since the epoch; its start while it has no end.
    pub end_unix_nano: i64,
    /// Whether the span's status is an error.
    pub failed: bool,
    /// Whether the span asks for messages, so that it may begin before there are any; a call that
    /// does may be a consumer.
    pub fetches: bool,
    /// Whether it is the segment that the Lambda service itself sends of an invocation, which the
    /// function's own span tells more exactly.
    pub is_service_side: bool,
    /// The service of the span.
    pub service: Arc<str>,
    /// The name of the span.
    pub name: Arc<str>,
    /// The environment of the span; `None` where the sender names none.
    pub environment: Option<Arc<str>>,
    /// The tenant of the span, where a store has several.
    pub tenant: Option<Arc<str>>,
    /// What people said of the messages that the span consumed: the last word on each producer.
    pub verdicts: Arc<[Verdict]>,
}

impl ReceiptAt {
    /// The span that holds it.
    pub fn span(&self) -> SpanAt {
        (self.trace_id, self.span_id)
    }

    /// What a person said of this consumer and a producer.
    pub(super) fn verdict_on(&self, producer: SpanAt) -> Option<&Verdict> {
        self.verdicts.iter().find(|verdict| verdict.from == producer)
    }

    /// What orders receipts the same way whatever way they came.
    pub(super) fn rank(&self) -> (i64, TraceId, SpanId) {
        (self.start_unix_nano, self.trace_id, self.span_id)
    }

    /// Takes what another piece or copy of the same span says beside this.
    fn add(&mut self, other: &Self) {
        self.start_unix_nano = self.start_unix_nano.min(other.start_unix_nano);
        self.end_unix_nano = self.end_unix_nano.max(other.end_unix_nano);
        self.failed |= other.failed;
        self.fetches |= other.fetches;
        let (own, new) = (&mut self.receipt, &other.receipt);
        for (own, new) in [
            (&mut own.account, &new.account),
            (&mut own.region, &new.region),
            (&mut own.resource, &new.resource),
        ] {
            if *new > *own {
                own.clone_from(new);
            }
        }
        // Of two links to one span the first says the place.
        own.index = [own.index, new.index].into_iter().flatten().min();
        own.batch_size = own.batch_size.max(new.batch_size);
        own.attempt = own.attempt.max(new.attempt);
        own.time_unix_nano = own.time_unix_nano.max(new.time_unix_nano);
        own.replay |= new.replay;
        // Pieces of a span that were not merged have each its own verdicts.
        if other.verdicts != self.verdicts && !other.verdicts.is_empty() {
            let mut all = self.verdicts.to_vec();
            for new in other.verdicts.iter() {
                match all.iter_mut().find(|own| own.from == new.from) {
                    Some(own) if own.time_unix_nano >= new.time_unix_nano => {}
                    Some(own) => own.clone_from(new),
                    None => all.push(new.clone()),
                }
            }
            self.verdicts = all.into();
        }
        if other.environment > self.environment {
            self.environment.clone_from(&other.environment);
        }
    }
}

/// Makes receipts of one span and message one, which keeps the first one's place.
///
/// Two links of one span to two spans of one trace share a key and stay two.
pub(super) fn unite(receipts: &mut Vec<ReceiptAt>) {
    let mut known: AHashMap<_, usize> = AHashMap::with_capacity(receipts.len());
    let mut kept: Vec<ReceiptAt> = Vec::with_capacity(receipts.len());
    for receipt in receipts.drain(..) {
        let linked = super::pointers::target(&receipt.receipt);
        let identity = (receipt.span(), receipt.receipt.direction, receipt.key, linked);
        match known.get(&identity).and_then(|at| kept.get_mut(*at)) {
            Some(first) => first.add(&receipt),
            None => {
                known.insert(identity, kept.len());
                kept.push(receipt);
            }
        }
    }
    *receipts = kept;
}

/// How we know that two spans belong together, surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// E0: the parent id, within one trace. Never an edge here: a trace has it already.
    Parent,
    /// A person said so.
    User,
    /// E1: a link that the consumer wrote because it had read the producer's context.
    Explicit,
    /// E2: the id that the carrier gave the message.
    MessageId,
    /// E3: the same content: an object's version, an item's key.
    Content,
    /// E4: ids that differ by a known damage. The doctor's; no receipt gives it.
    RepairedId,
    /// E4: the same value under a key of the senders' own. A guess, given only when asked.
    BusinessKey,
    /// E5: route and time fit. A guess, given only when asked.
    Pairing,
}

impl Class {
    /// The short name: `E0` to `E5`, or `user`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Parent => "E0",
            Self::User => "user",
            Self::Explicit => "E1",
            Self::MessageId => "E2",
            Self::Content => "E3",
            Self::RepairedId | Self::BusinessKey => "E4",
            Self::Pairing => "E5",
        }
    }
}

/// One thing that speaks for a join, with what either side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it is, in plain words.
    pub what: &'static str,
    /// What the producer's side says; empty where it says nothing.
    pub produced: String,
    /// What the consumer's side says; empty where it says nothing.
    pub consumed: String,
}

/// A message that one span produced and another consumed.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinEdge {
    /// The same for the same two spans and message, on every machine.
    pub id: u128,
    /// The message.
    pub key: MessageKey,
    /// Who produced it.
    pub from: SpanAt,
    /// Who consumed it.
    pub to: SpanAt,
    /// What carried it.
    pub carrier: Carrier,
    /// The queue, topic, stream, bucket or function it came out of, else the one it went into.
    pub resource: Option<String>,
    /// The carrier's own id of the message.
    pub key_text: String,
    /// How we know.
    pub class: Class,
    /// How sure we are, in thousandths.
    pub confidence_permille: u16,
    /// What speaks for it, strongest first.
    pub evidence: Vec<Evidence>,
    /// How long the message waited: from when the carrier took it, or else from the end of the
    /// producer's span, to the start of the consumer's. Never negative, and never longer than from
    /// the start of the producer's span. Nanoseconds.
    pub wait_nano: i64,
    /// Which delivery to this consumer it was, from 1: as the carrier counts, else by start.
    pub attempt: u32,
    /// Place in the consumer's batch, from 0, and that batch's size.
    pub index: Option<u32>,
    /// How many messages the consumer took at once.
    pub batch_size: Option<u32>,
    /// Place in the producer's batch, from 0, and that batch's size.
    pub sent_index: Option<u32>,
    /// How many messages the producer sent at once.
    pub sent_batch_size: Option<u32>,
    /// When the carrier took the message by its own clock, nanoseconds since the epoch.
    pub server_time_unix_nano: Option<i64>,
    /// Whether it came out of another queue than it went into: a redrive, or a dead letter.
    pub moved: bool,
    /// Whether it came again, from an archive or a dead-letter queue.
    pub replay: bool,
    /// Whether the consumer's span is an error.
    pub failed: bool,
    /// Who confirmed it by hand, and when.
    pub confirmed: Option<Verdict>,
}

/// Why two receipts of one key are not one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Veto {
    /// They are of two messages, or not of two directions.
    #[error("the receipts are not those of a producer and a consumer of one message")]
    NoPair,
    /// A span never receives from itself.
    #[error("producer and consumer are one span")]
    SelfEdge,
    /// Tenants never mix.
    #[error("the tenants differ")]
    Tenant,
    /// Environments never mix. One without a name is not known to differ.
    #[error("the environments differ")]
    Environment,
    /// Both sides name the owner of the resource.
    #[error("the accounts differ")]
    Account,
    /// Both sides name the region of the resource.
    #[error("the regions differ")]
    Region,
    /// Both sides name the resource, and messages of this carrier do not move.
    #[error("the queue, topic or bucket differs")]
    Resource,
    /// Calls produce; one consumes only if it says that it receives.
    #[error("the consumer is a call")]
    ClientConsumer,
    /// By more than the clocks may differ.
    #[error("the consumer began before the message was there")]
    TooEarly,
    /// By more than the clocks may differ.
    #[error("the producer began after the message was there")]
    SentLater,
    /// Its carrier keeps no message so long.
    #[error("the message is older than its carrier keeps messages")]
    Expired,
    /// A person said that they do not belong together.
    #[error("by hand")]
    ByHand,
}

/// How far two clocks may differ, in nanoseconds.
pub const SKEW_MAX_NANO: i64 = 5_000_000_000;

const HOUR_NANO: i64 = 3_600_000_000_000;
const DAY_NANO: i64 = 24 * HOUR_NANO;

/// Joins a producer and a consumer, or says why not.
///
/// Only what the two say of each other is asked. What other producers and consumers of the same
/// message change is in [`super::joins`].
///
/// # Errors
///
/// The first [`Veto`] that holds.
pub fn join(out: &ReceiptAt, consumer: &ReceiptAt) -> Result<JoinEdge, Veto> {
    let (sent, got) = (&out.receipt, &consumer.receipt);
    if let Some(veto) = veto(out, consumer) {
        return Err(veto);
    }
    let carrier = got.carrier;
    let server_time = got.time_unix_nano.or(sent.time_unix_nano);
    let both = |what, produced: &Option<String>, consumed: &Option<String>| Evidence {
        what,
        produced: produced.clone().unwrap_or_default(),
        consumed: consumed.clone().unwrap_or_default(),
    };
    let said = consumer.verdict_on(out.span()).cloned();
    let moved = differ(&sent.resource, &got.resource) && !is_pointing(carrier);
    let (class, what) = match carrier {
        Carrier::User => (Class::User, "a person joined the two spans"),
        Carrier::Link => (Class::Explicit, "a span link names the other span"),
        Carrier::Pointer | Carrier::DynamoDb => (Class::Content, "both name the same content"),
        _ => (Class::MessageId, "both name the same message id"),
    };
    let (mut evidence, mut scoped) = (Vec::new(), true);
    match (class, &got.resource) {
        (Class::User, _) => {}
        (Class::Explicit, span) => {
            let other = [Some(sent.id.clone()), span.clone()].map(Option::unwrap_or_default);
            let (produced, consumed) = (spelled(out.span()), other.join("-"));
            evidence.push(Evidence { what, produced, consumed });
        }
        _ => {
            evidence.push(both(what, &Some(sent.id.clone()), &Some(got.id.clone())));
            for (what, produced, consumed) in [
                ("the queue, topic, stream or function", &sent.resource, &got.resource),
                ("the region", &sent.region, &got.region),
            ] {
                scoped &= produced.is_some() && produced == consumed;
                if produced.is_some() || consumed.is_some() {
                    evidence.push(both(what, produced, consumed));
                }
            }
        }
    }
    scoped &= out.environment == consumer.environment;
    if let Some(time) = server_time {
        let (produced, consumed) = (out.start_unix_nano, consumer.start_unix_nano);
        evidence.push(Evidence {
            what: "the carrier took the message between the two, milliseconds from its time",
            produced: (produced.saturating_sub(time) / 1_000_000).to_string(),
            consumed: (consumed.saturating_sub(time) / 1_000_000).to_string(),
        });
    }
    if let Some(said) = &said {
        let (produced, consumed) = (said.by.clone(), said.note.clone());
        evidence.push(Evidence { what: "confirmed by hand", produced, consumed });
    }
    let class = if said.is_some() { Class::User } else { class };
    let confidence_permille = match class {
        Class::Parent | Class::User => 1_000,
        Class::Explicit if scoped => 990,
        Class::MessageId if scoped => 980,
        Class::Explicit | Class::MessageId => 950,
        Class::Content | Class::RepairedId => 900,
        Class::BusinessKey => 850,
        Class::Pairing => 700,
    };
    let resource = match carrier {
        Carrier::Link | Carrier::User => None,
        _ => got.resource.clone().or_else(|| sent.resource.clone()),
    };
    // A carrier's clock that says less than its producer's start is slow or counts whole seconds, as
    // a stream's time of arrival may: then the producer's own time counts.
    let taken = server_time.filter(|time| *time >= out.start_unix_nano);
    let taken = taken.unwrap_or(out.end_unix_nano);
    Ok(JoinEdge {
        id: edge_id(out.span(), consumer.span(), out.key),
        key: out.key,
        from: out.span(),
        to: consumer.span(),
        carrier,
        resource,
        key_text: got.id.clone(),
        class,
        confidence_permille,
        evidence,
        wait_nano: consumer.start_unix_nano.saturating_sub(taken).max(0),
        attempt: got.attempt.unwrap_or(1),
        index: got.index,
        batch_size: got.batch_size,
        sent_index: sent.index,
        sent_batch_size: sent.batch_size,
        server_time_unix_nano: server_time,
        moved,
        replay: got.replay,
        failed: consumer.failed,
        confirmed: said,
    })
}

fn veto(out: &ReceiptAt, consumer: &ReceiptAt) -> Option<Veto> {
    let (sent, got) = (&out.receipt, &consumer.receipt);
    let is_pair = sent.direction == Direction::Out && got.direction == Direction::In;
    let is_link = is_pointing(got.carrier);
    if !is_pair || out.key != consumer.key || is_link && sent.resource != got.resource {
        return Some(Veto::NoPair);
    }
    if out.span() == consumer.span() {
        return Some(Veto::SelfEdge);
    }
    if out.tenant != consumer.tenant {
        return Some(Veto::Tenant);
    }
    let said = consumer.verdict_on(out.span());
    if said.is_some_and(|said| said.ruling == Ruling::Reject) {
        return Some(Veto::ByHand);
    }
    let may_cross = said.is_some_and(|said| said.across_environments);
    if differ(&out.environment, &consumer.environment) && !may_cross {
        return Some(Veto::Environment);
    }
    // A person knows better than any rule below.
    if said.is_some() {
        return None;
    }
    if got.carrier == Carrier::User {
        return Some(Veto::NoPair);
    }
    let here = |account: &Option<String>| account.as_deref() == Some(xray::ACCOUNT_HERE);
    let is_here = here(&sent.account) || here(&got.account);
    if differ(&sent.account, &got.account) && !is_here {
        return Some(Veto::Account);
    }
    if differ(&sent.region, &got.region) {
        return Some(Veto::Region);
    }
    if differ(&sent.resource, &got.resource) && !may_move(got.carrier) {
        return Some(Veto::Resource);
    }
    if consumer.kind == SpanKind::Client && !consumer.fetches && !is_link {
        return Some(Veto::ClientConsumer);
    }
    let began = out.start_unix_nano;
    let taken = got.time_unix_nano.or(sent.time_unix_nano);
    let there = taken.unwrap_or(began);
    // One that fetches waits for the message, so it may begin before there is one.
    let had = if consumer.fetches { consumer.end_unix_nano } else { consumer.start_unix_nano };
    if had < there.saturating_sub(SKEW_MAX_NANO) && !is_link {
        return Some(Veto::TooEarly);
    }
    if taken.is_some_and(|time| began > time.saturating_add(SKEW_MAX_NANO)) {
        return Some(Veto::SentLater);
    }
    let age = consumer.start_unix_nano.saturating_sub(there);
    if !got.replay && retention_nano(got.carrier).is_some_and(|kept| age > kept) {
        return Some(Veto::Expired);
    }
    None
}

/// Whether both are known and not the same.
fn differ<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
    a.is_some() && b.is_some() && a != b
}

/// Whether a message keeps its id when it goes to another resource: a redrive moves it to another
/// queue, an event is known by its bus or by its rule.
fn may_move(carrier: Carrier) -> bool {
    matches!(
        carrier,
        Carrier::Sqs | Carrier::EventBridge | Carrier::ActiveMq | Carrier::RabbitMq | Carrier::Link
    )
}

/// The longest that a carrier keeps a message, retries included; `None` where it may keep it for
/// ever or we do not know.
///
/// **Rule:** the carriers' quotas: SQS 14 days, Kinesis 365 days, a DynamoDB stream 24 hours, SNS's
/// retries to AWS 23 days, EventBridge's and S3's retries a day, a standard execution a year,
/// Lambda's queue 6 hours. What lies between is given twice its time.
fn retention_nano(carrier: Carrier) -> Option<i64> {
    let days = match carrier {
        Carrier::Kinesis | Carrier::StepFunctions => 366,
        Carrier::Sns => 24,
        Carrier::Sqs => 15,
        Carrier::Firehose => 8,
        Carrier::EventBridge | Carrier::DynamoDb | Carrier::S3 | Carrier::Pointer => 2,
        Carrier::Lambda => return Some(12 * HOUR_NANO),
        Carrier::ApiGateway => return Some(HOUR_NANO),
        _ => return None,
    };
    Some(days * DAY_NANO)
}

fn spelled((trace, span): SpanAt) -> String {
    format!("{trace}-{span}")
}

pub(super) fn edge_id(from: SpanAt, to: SpanAt, key: MessageKey) -> u128 {
    let mut hasher = SipHasher13::new_with_keys(0x7468_726f_7567_686c, 0x696e_6520_6564_6731);
    for (trace, span) in [from, to] {
        hasher.write(&trace.0);
        hasher.write(&span.0);
    }
    hasher.write(&key.0.to_be_bytes());
    let hash = hasher.finish128();
    u128::from(hash.h1) << 64 | u128::from(hash.h2)
}
