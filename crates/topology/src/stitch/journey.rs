//! A journey: what one message, span or trace came from and led to, over all its traces.
//!
//! In:   a [`Source`] of traces and of who holds a message, a [`Focus`] and a [`Budget`].
//! Out:  a [`Journey`], as large as the budget at most, with what it leaves out and why.
//! Rule: directed, one message at a time. Down from the focus along what it produced; up along the
//!       one message that led to it. The other messages of a batch are never followed: joining all
//!       that is connected joins everything.

use throughline_context::{Carrier, Direction, MessageKey};
use throughline_model::{SpanBatch, SpanId, TraceId};

use super::edge::{JoinEdge, ReceiptAt, SpanAt};
use super::joins::Refused;
use super::scope::Share;
use super::walk::Walk;

/// Where spans are kept, and the index from message to span.
pub trait Source {
    /// Why it cannot answer.
    type Error;

    /// A trace with the pieces of its spans merged; `None` when no span of it is held.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn trace(&self, id: TraceId) -> Result<Option<SpanBatch>, Self::Error>;

    /// Who holds receipts of some messages, in one direction, in any order. It may give a span
    /// twice. It has a limit for each message, beyond which it leaves the oldest holders out: an id
    /// that thousands hold is none. The store's is 128 traces.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn holders(
        &self,
        keys: &[MessageKey],
        direction: Direction,
    ) -> Result<Vec<ReceiptAt>, Self::Error>;
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// A whole trace: all that it produced, and up to [`Budget::origins_max`] of what led to it.
    Trace(TraceId),
    /// A span: the messages it produced, else the message it is about, else its whole trace.
    Span(TraceId, SpanId),
    /// One message, of the environment where its id was used last.
    Message(MessageKey),
}

/// How large a journey may become.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Spans shown.
    pub spans_max: usize,
    /// Traces shown, and so traces read.
    pub traces_max: usize,
    /// Messages in a row, up and down each.
    pub depth_max: u32,
    /// Deliveries shown out of one place, and into one; more become a [`Group`].
    pub fan_max: usize,
    /// Messages of a batch that are followed up where none is the focus.
    pub origins_max: usize,
    /// Times the same operation may take from the same place on one way.
    pub repeats_max: usize,
    /// Messages whose holders are asked for.
    pub keys_max: usize,
    /// Joins less sure than this are shown and not followed, in thousandths.
    pub confidence_permille_min: u16,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            spans_max: 2_000,
            traces_max: 200,
            depth_max: 12,
            fan_max: 50,
            origins_max: 8,
            repeats_max: 3,
            keys_max: 20_000,
            confidence_permille_min: 500,
        }
    }
}

/// What one message, span or trace came from and led to.
#[derive(Clone, Debug)]
pub struct Journey {
    /// What was asked.
    pub focus: Focus,
    /// Its traces, by their first span shown.
    pub traces: Vec<Member>,
    /// The messages between them, by the start of their consumers.
    pub steps: Vec<Step>,
    /// What was counted rather than followed.
    pub groups: Vec<Group>,
    /// The traces where it began, as far as is known, earliest first.
    pub origins: Vec<TraceId>,
    /// How long messages waited, by carrier and resource.
    pub waits: Vec<Wait>,
    /// Messages that were delivered more than once to the same consumer.
    pub attempts: Vec<Attempts>,
    /// Steps out of another queue than the message went into, by their edge's id.
    pub dead_letters: Vec<u128>,
    /// Start of its first span, nanoseconds since the epoch; 0 when there is none.
    pub start_unix_nano: i64,
    /// End of its last span, nanoseconds since the epoch; 0 when there is none.
    pub end_unix_nano: i64,
    /// Pairs that share an id and are not one message, up to 64.
    pub refused: Vec<Refused>,
    /// What the budget cut.
    pub truncated: Vec<Limit>,
    /// What is not there.
    pub gaps: Vec<Gap>,
}

impl Journey {
    /// Whether nothing is missing and nothing was cut.
    pub fn is_complete(&self) -> bool {
        self.truncated.is_empty() && self.gaps.is_empty()
    }

    /// How many spans are shown.
    pub fn span_count(&self) -> usize {
        self.traces.iter().map(|member| member.rows.len()).sum()
    }

    /// From the first start to the last end, in nanoseconds.
    pub fn duration_nano(&self) -> i64 {
        self.end_unix_nano.saturating_sub(self.start_unix_nano)
    }
}

/// A trace of a journey.
#[derive(Clone, Debug)]
pub struct Member {
    /// The trace.
    pub trace_id: TraceId,
    /// All its spans.
    pub batch: SpanBatch,
    /// The spans that belong to the journey, ascending by row.
    pub rows: Vec<u32>,
    /// Messages away from the focus: negative before it, positive after it.
    pub hops: i32,
    /// Whether it is on the way from an origin to the focus, or holds the focus.
    pub on_path: bool,
    /// How many messages share its spans; 1 where they are one message's own.
    pub shared_by: u32,
}

/// A message from one span of a journey to another.
#[derive(Clone, Debug)]
pub struct Step {
    /// The join.
    pub edge: JoinEdge,
    /// Messages away from the focus: negative before it, positive after it.
    pub hops: i32,
    /// How the message was told from the others of the batch that it came out of.
    pub share: Share,
    /// How many messages that batch had.
    pub shared_by: u32,
    /// Whether the journey goes on there.
    pub followed: bool,
}

/// Deliveries that were counted rather than followed.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The trace that sent them, or, for [`Limit::Origins`], received them.
    pub trace_id: TraceId,
    /// What carried them.
    pub carrier: Carrier,
    /// Where they went.
    pub resource: Option<String>,
    /// Why they are not followed.
    pub reason: Limit,
    /// How many.
    pub deliveries: usize,
    /// How many of their consumers failed.
    pub failed: usize,
    /// The median of their waits, in nanoseconds.
    pub wait_p50_nano: i64,
    /// The 99th percentile of their waits, in nanoseconds.
    pub wait_p99_nano: i64,
    /// Three of the spans at their other end.
    pub samples: Vec<SpanAt>,
}

/// Why something was not followed or shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// [`Budget::spans_max`].
    Spans,
    /// [`Budget::traces_max`].
    Traces,
    /// [`Budget::depth_max`].
    Depth,
    /// [`Budget::fan_max`].
    Fan,
    /// [`Budget::origins_max`].
    Origins,
    /// [`Budget::repeats_max`]: it goes in a circle.
    Loop,
    /// [`Budget::keys_max`].
    Keys,
    /// Twice on one way nothing told which message of a batch led to which.
    Ambiguous,
}

/// Something that is not there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the fields are the traces, spans and queues that the text names")]
pub enum Gap {
    /// A message was consumed and nobody says that he produced it: the producer is not
    /// instrumented, was not sampled, has expired or has not sent yet.
    ProducerNotFound { trace_id: TraceId, carrier: Carrier, resource: Option<String> },
    /// Messages were produced and nobody says that he consumed them.
    ConsumerNotFound {
        trace_id: TraceId,
        carrier: Carrier,
        resource: Option<String>,
        messages: usize,
    },
    /// A trace that is linked or joined is not held.
    TraceNotHeld { trace_id: TraceId },
    /// The parent of a trace's topmost span is not held.
    ParentNotHeld { trace_id: TraceId, parent_id: SpanId },
    /// A span has no end yet.
    StillRunning { trace_id: TraceId },
    /// Of a batch of messages one led on, and nothing tells which.
    OneOfMany { trace_id: TraceId, messages: u32 },
    /// The id that was asked for names messages of other environments too. Those of the
    /// environment that used it last are followed.
    OtherEnvironments { key: MessageKey, holders: usize },
    /// Nobody holds the message that was asked for.
    MessageNotFound { key: MessageKey },
}

/// How long messages waited in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What carried them.
    pub carrier: Carrier,
    /// The queue, topic or stream.
    pub resource: Option<String>,
    /// How many steps.
    pub steps: usize,
    /// The median, in nanoseconds.
    pub p50_nano: i64,
    /// The longest, in nanoseconds.
    pub max_nano: i64,
}

/// A message that one consumer was given more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// The message.
    pub key: MessageKey,
    /// The consumer's service.
    pub service: String,
    /// Each delivery: its number, its span, whether that failed.
    pub deliveries: Vec<(u32, SpanAt, bool)>,
}

/// Follows a message, a span or a trace.
///
/// Sure ways go before doubtful ones, and near ones before far ones, so that a small budget keeps
/// the best. The way from the origin to the focus is walked first and is whole unless it is longer
/// than the budget.
///
/// # Errors
///
/// Those of the source.
pub fn journey<S: Source>(source: &S, focus: Focus, budget: &Budget) -> Result<Journey, S::Error> {
    let mut walk = Walk::new(source, budget);
    walk.begin(focus)?;
    Ok(walk.end(focus))
}
