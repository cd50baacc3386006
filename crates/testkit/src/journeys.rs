//! Messages whose true way is known: producers, brokers of many kinds, consumers, from a seed.
//!
//! In:   a [`Plan`]: how many, how wide, how deep, and whether things go wrong.
//! Out:  [`Journeys`]: spans as real senders write them, and which span's message went where.
//! Rule: what goes wrong is what does: calls that fail and are repeated, batches that fail in part,
//!       deliveries that come again, dead letters, replays, clocks that differ, the same ids in two
//!       environments, ids that come again.

use std::collections::BTreeMap;

use throughline_model::{SpanId, SpanKind, StatusCode, TraceId};

use crate::Rng;
use crate::journey_span::JourneySpan;

const MILLI: i64 = 1_000_000;
const START: i64 = 1_700_000_000_000_000_000;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides everything that is left open.
    pub seed: u64,
    /// Traces that begin a journey.
    pub origins: usize,
    /// Messages that a producer sends at its most, and that a consumer sends for one it took.
    pub messages_max: usize,
    /// Messages that a consumer takes at once at its most.
    pub batch_max: usize,
    /// Messages in a row.
    pub hops: usize,
    /// Whether a consumer of a batch has spans for each message; `None` is now and then.
    pub own_spans: Option<bool>,
    /// Whether anything goes wrong.
    pub faults: bool,
}

/// Spans, and the truth about them.
#[derive(Clone, Debug, Default)]
pub struct Journeys {
    /// All spans, as they ended.
    pub spans: Vec<JourneySpan>,
    /// All messages.
    pub messages: Vec<Message>,
    /// All deliveries.
    pub edges: Vec<TrueEdge>,
}

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct Message {
    /// The message that led to it, by its place in [`Journeys::messages`].
    pub parent: Option<usize>,
    /// The span that produced it.
    pub from: (TraceId, SpanId),
    /// What carried it.
    pub lane: Lane,
    /// The carrier's id.
    pub id: String,
    /// The queue, topic or stream.
    pub resource: String,
    /// When the carrier took it, nanoseconds since the epoch.
    pub taken_unix_nano: i64,
    staging: bool,
}

/// A delivery: this span took that message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrueEdge {
    /// The span that produced it.
    pub from: (TraceId, SpanId),
    /// The innermost span that is about it.
    pub to: (TraceId, SpanId),
    /// The message, by its place in [`Journeys::messages`].
    pub message: usize,
}

/// A carrier, and how the two sides write its ids down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the name of a variant says it all")]
pub enum Lane {
    Kinesis,
    KinesisAttributes,
    Sqs,
    SqsXray,
    SnsInSqs,
    EventBridge,
    Kafka,
    Lambda,
    S3,
    RabbitMq,
    Firehose,
    StepFunctions,
    DynamoDb,
    Link,
    Pointer,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Kinesis,
        Self::KinesisAttributes,
        Self::Sqs,
        Self::SqsXray,
        Self::SnsInSqs,
        Self::EventBridge,
        Self::Kafka,
        Self::Lambda,
        Self::S3,
        Self::RabbitMq,
        Self::Firehose,
        Self::StepFunctions,
        Self::DynamoDb,
        Self::Link,
        Self::Pointer,
    ];

    /// Whether one call sends several and one span takes several.
    fn has_lists(self) -> bool {
        matches!(
            self,
            Self::Kinesis
                | Self::KinesisAttributes
                | Self::SnsInSqs
                | Self::EventBridge
                | Self::Firehose
        )
    }

    fn has_batches(self) -> bool {
        self.has_lists() || matches!(self, Self::Sqs | Self::SqsXray | Self::Kafka | Self::RabbitMq)
    }

    fn has_several_consumers(self) -> bool {
        matches!(self, Self::Kinesis | Self::SnsInSqs | Self::EventBridge | Self::Kafka)
    }
}

/// Makes journeys.
pub fn journeys(plan: &Plan) -> Journeys {
    let mut maker = Maker {
        plan: *plan,
        rng: Rng::new(plan.seed),
        made: Journeys::default(),
        skews: BTreeMap::new(),
        counts: BTreeMap::new(),
    };
    let mut open = Vec::new();
    for number in 0..plan.origins as u64 {
        let at = START + number.cast_signed() * 40 * MILLI + maker.millis(40);
        let seat = Seat {
            trace: TraceId(maker.rng.trace_id()),
            parent: SpanId::ZERO,
            service: format!("web-{}", number % 3),
            staging: maker.chance(20),
        };
        let root = maker.span(&seat, "POST /orders", SpanKind::Server, at, 400 * MILLI);
        let below = Seat { parent: root.span.span_id, ..seat };
        maker.made.spans.push(root);
        let count = 1 + maker.rng.below(plan.messages_max as u64) as usize;
        open.extend(maker.send(&below, at + 5 * MILLI, 0, &vec![None; count]));
    }
    for hop in 1..=plan.hops {
        let mut queues: BTreeMap<(bool, String), Vec<usize>> = BTreeMap::new();
        for message in open.drain(..) {
            let queue = &maker.made.messages[message];
            queues.entry((queue.staging, queue.resource.clone())).or_default().push(message);
        }
        for mut queue in queues.into_values() {
            queue.sort_by_key(|message| maker.made.messages[*message].taken_unix_nano);
            open.extend(maker.drain(&queue, hop));
        }
    }
    maker.made
}

/// Where a span is: whose, in which trace, below what.
pub(crate) struct Seat {
    pub(crate) trace: TraceId,
    pub(crate) parent: SpanId,
    pub(crate) service: String,
    pub(crate) staging: bool,
}

struct Maker {
    plan: Plan,
    rng: Rng,
    made: Journeys,
    /// How far the clock of a service is off.
    skews: BTreeMap<String, i64>,
    /// Messages by environment and resource: sequences begin anew in each.
    counts: BTreeMap<(bool, String), u64>,
}

impl Maker {
    fn chance(&mut self, percent: u64) -> bool {
        self.rng.below(100) < percent
    }

    fn fault(&mut self, percent: u64) -> bool {
        self.plan.faults && self.chance(percent)
    }

    fn millis(&mut self, end: u64) -> i64 {
        self.rng.below(end).cast_signed() * MILLI
    }

    /// A span at a true time, written down by a clock that is off by up to a second and a half.
    fn span(
        &mut self,
        seat: &Seat,
        name: &'static str,
        kind: SpanKind,
        at: i64,
        lasts: i64,
    ) -> JourneySpan {
        let off = (self.rng.below(3_000).cast_signed() - 1_500) * i64::from(self.plan.faults);
        let skew = *self.skews.entry(seat.service.clone()).or_insert(off * MILLI);
        let id = SpanId(self.rng.span_id());
        JourneySpan::new(seat, id, name, kind, at + skew, lasts)
    }

    fn new_message(
        &mut self,
        lane: Lane,
        seat: &Seat,
        hop: usize,
        parent: Option<usize>,
    ) -> Message {
        let resource = format!("{lane:?}-{hop}").to_lowercase();
        let count = self.counts.entry((seat.staging, resource.clone())).or_default();
        *count += 1;
        // A topic that was made anew counts anew; an emulator may give everything one id.
        let repeats = self.plan.faults && self.rng.below(400) == 0;
        let count = if repeats { count.saturating_sub(30) } else { *count };
        let id = match lane {
            Lane::Sqs if repeats => "00000000-0000-0000-0000-000000000000".to_owned(),
            // The same in both environments: only there they may not meet.
            Lane::Kinesis | Lane::KinesisAttributes => format!("4957{count:020}"),
            Lane::Kafka => format!("{}:{}", count % 4, count / 4),
            Lane::StepFunctions => {
                let random = self.rng.next_u64();
                format!("arn:aws:states:us-east-1:123456789012:execution:{resource}:{random:x}")
            }
            _ => format!("{:016x}-{:016x}", self.rng.next_u64(), self.rng.next_u64()),
        };
        let from = (seat.trace, SpanId::ZERO);
        Message { parent, from, lane, id, resource, taken_unix_nano: 0, staging: seat.staging }
    }

    /// Sends a message for each of `parents`, to one place; gives their numbers.
    fn send(&mut self, seat: &Seat, at: i64, hop: usize, parents: &[Option<usize>]) -> Vec<usize> {
        let lane = *self.rng.pick(&Lane::ALL);
        let per_call = if lane.has_lists() { parents.len().max(1) } else { 1 };
        let mut numbers = Vec::new();
        let mut at = at;
        for parents in parents.chunks(per_call) {
            let mut wanted: Vec<Message> =
                parents.iter().map(|parent| self.new_message(lane, seat, hop, *parent)).collect();
            if self.fault(5) {
                // The call fails, so nothing has an id; it is made again.
                let mut call = self.span(seat, "send", SpanKind::Client, at, 3 * MILLI);
                call.span.status = StatusCode::Error;
                self.made.spans.push(call);
                at += 5 * MILLI;
            }
            while !wanted.is_empty() {
                // A batch may fail in part: what failed goes with the next call.
                let fails = if wanted.len() > 1 && self.fault(10) { wanted.len() / 2 } else { 0 };
                let failed = wanted.split_off(wanted.len() - fails);
                let span = self.span(seat, "send", SpanKind::Producer, at, 4 * MILLI);
                for message in &mut wanted {
                    message.from.1 = span.span.span_id;
                    message.taken_unix_nano = at + 2 * MILLI;
                }
                let span = span.sends(lane, &wanted);
                if lane == Lane::Sqs && self.fault(5) {
                    // It was taken, but the answer was lost. A queue that knows it by its
                    // deduplication id answers the same when asked again.
                    let mut again = span.clone();
                    again.span.span_id = SpanId(self.rng.span_id());
                    again.span.start_unix_nano += 6 * MILLI;
                    self.made.spans.push(again);
                }
                if lane == Lane::Sqs && self.chance(20) {
                    // A layer below knows the id too.
                    let inner = Seat { parent: span.span.span_id, ..seat.clone_of() };
                    let call = self.span(&inner, "POST", SpanKind::Client, at + MILLI, 2 * MILLI);
                    self.made.spans.push(call.sends(lane, &wanted));
                }
                self.made.spans.push(span);
                for message in std::mem::replace(&mut wanted, failed) {
                    numbers.push(self.made.messages.len());
                    self.made.messages.push(message);
                }
                at += 6 * MILLI;
            }
        }
        numbers.sort_unstable();
        numbers
    }

    /// Everything that is in a queue is taken; gives the messages that this led to.
    fn drain(&mut self, queue: &[usize], hop: usize) -> Vec<usize> {
        let mut led_to = Vec::new();
        let mut rest = queue;
        while let Some(first) = rest.first() {
            let lane = self.made.messages[*first].lane;
            let most = if lane.has_batches() { self.plan.batch_max.min(rest.len()) } else { 1 };
            let size = 1 + self.rng.below(most as u64) as usize;
            let size = if self.plan.faults { size } else { most };
            let (batch, others) = rest.split_at(size);
            rest = others;
            let several = lane.has_several_consumers() && self.chance(25);
            for group in 0..=usize::from(several) {
                led_to.extend(self.deliver(batch, hop, group));
            }
        }
        led_to
    }

    /// A batch is given to a consumer until it succeeds.
    fn deliver(&mut self, batch: &[usize], hop: usize, group: usize) -> Vec<usize> {
        let messages: Vec<Message> =
            batch.iter().map(|message| self.made.messages[*message].clone()).collect();
        let Some(first) = messages.first() else { return Vec::new() };
        let (lane, staging) = (first.lane, first.staging);
        let taken = messages.iter().map(|message| message.taken_unix_nano).max().unwrap_or(START);
        let mut at = taken + 10 * MILLI + self.millis(3_000);
        let mut failures = if self.fault(6) { 1 + self.rng.below(3) } else { 0 };
        if !lane.has_batches() {
            failures = 0;
        }
        let mut service = format!("{}-worker-{group}", first.resource);
        let mut moved = "";
        loop {
            let is_last = failures == 0;
            if failures == 0 && lane == Lane::Sqs && self.fault(5) {
                // Too many failures before: it comes out of the queue for dead letters.
                (moved, service) = ("-dead", format!("{service}-dead"));
                at += 60_000 * MILLI;
            }
            let seat = Seat {
                trace: TraceId(self.rng.trace_id()),
                parent: SpanId::ZERO,
                service: service.clone(),
                staging,
            };
            let led_to = self.take(&seat, at, batch, &messages, moved, hop, is_last);
            if is_last {
                if lane == Lane::EventBridge && self.fault(5) {
                    // An archive is replayed an hour later: the same ids again.
                    let seat = Seat { trace: TraceId(self.rng.trace_id()), ..seat };
                    self.take(&seat, at + 3_600_000 * MILLI, batch, &messages, moved, hop, false);
                }
                return led_to;
            }
            failures -= 1;
            at += 10_000 * MILLI + self.millis(5_000);
        }
    }

    /// One invocation with a batch.
    #[expect(clippy::too_many_arguments, reason = "all that an invocation depends on")]
    fn take(
        &mut self,
        seat: &Seat,
        at: i64,
        batch: &[usize],
        messages: &[Message],
        moved: &str,
        hop: usize,
        succeeds: bool,
    ) -> Vec<usize> {
        let Some(lane) = messages.first().map(|message| message.lane) else { return Vec::new() };
        let each = 20 * MILLI;
        let lasts = 20 * MILLI + each * (batch.len() as i64 + 1);
        let mut root = self.span(seat, "invoke", SpanKind::Server, at, lasts);
        if !succeeds {
            root.span.status = StatusCode::Error;
        }
        let has_own = match self.plan.own_spans {
            Some(has_own) => has_own,
            None => self.chance(50),
        };
        // These name a message only on a span that is about this one.
        let has_own = has_own || matches!(lane, Lane::Kafka | Lane::RabbitMq);
        let below = Seat { parent: root.span.span_id, ..seat.clone_of() };
        let mut led_to = Vec::new();
        if !has_own {
            let taker = root.takes(lane, messages, moved, 0);
            for (message, number) in messages.iter().zip(batch) {
                let to = (seat.trace, taker.span.span_id);
                self.made.edges.push(TrueEdge { from: message.from, to, message: *number });
            }
            self.made.spans.push(taker);
            if succeeds && hop < self.plan.hops {
                let parents: Vec<Option<usize>> =
                    batch.iter().map(|number| Some(*number)).collect();
                led_to.extend(self.send(&below, at + 10 * MILLI, hop, &parents));
            }
            return led_to;
        }
        // The outer span may know the whole batch too.
        let both = self.chance(30) && lane.has_lists();
        self.made.spans.push(if both { root.takes(lane, messages, moved, 0) } else { root });
        for (place, (message, number)) in messages.iter().zip(batch).enumerate() {
            let begins = at + 10 * MILLI + each * place as i64;
            let one = self.span(&below, "process", SpanKind::Consumer, begins, each - MILLI);
            let one = one.takes(lane, std::slice::from_ref(message), moved, place as u32);
            let to = (seat.trace, one.span.span_id);
            self.made.edges.push(TrueEdge { from: message.from, to, message: *number });
            let inside = Seat { parent: one.span.span_id, ..seat.clone_of() };
            self.made.spans.push(one);
            if succeeds && hop < self.plan.hops {
                let count = 1 + self.rng.below(self.plan.messages_max as u64) as usize;
                let parents = vec![Some(*number); count];
                led_to.extend(self.send(&inside, begins + MILLI, hop, &parents));
            }
        }
        led_to
    }
}

impl Seat {
    fn clone_of(&self) -> Self {
        Self {
            trace: self.trace,
            parent: self.parent,
            service: self.service.clone(),
            staging: self.staging,
        }
    }
}
