//! What a decoder gives back: the spans it read, those it rejected, and what it noticed.
//!
//! Log records are rows like spans, and counted and rejected in the same words.
//! A body can hold millions of bad spans, so both lists count without limit but keep few words.

use std::fmt;

use throughline_model::SpanBatch;

/// Of how many rejected spans of one request the details are kept; the others are only counted.
pub const REJECTED_DETAILS_MAX: usize = 100;

/// Everything one request said.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The spans that could be read, in the order sent.
    pub batch: SpanBatch,
    /// The spans that could not.
    pub rejected: Rejections,
    /// What is odd about the spans that were kept.
    pub warnings: Warnings,
}

/// Why a body as a whole could not be read. Nothing of it is kept: answer "bad request".
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a plain variant says it all")]
pub enum DecodeError {
    /// Not a protobuf message of the expected kind.
    #[error("expected a protobuf {request}, but at byte {at} {what}")]
    Protobuf { request: &'static str, at: usize, what: &'static str },
    /// Not a JSON text of the expected shape.
    #[error("expected a JSON {request}, but {source}")]
    Json { request: &'static str, source: serde_json::Error },
    /// More bytes than the offsets of one batch can hold; the door should have refused it before.
    #[error("expected at most {max} bytes in one request, got {found}")]
    TooLarge { found: usize, max: usize },
}

/// Why one span was rejected. Its neighbours are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// The trace id is missing or all zero.
    ZeroTraceId,
    /// The span id is missing or all zero.
    ZeroSpanId,
    /// An id has the wrong length, or its text is no hex. Also the parent's.
    BadId,
    /// The bytes or the text of the span cannot be walked.
    Malformed,
    /// Start or end lies before the epoch or beyond `i64::MAX` nanoseconds after it (year 2262).
    TimeOutOfRange,
}

impl RejectReason {
    /// All reasons.
    pub const ALL: [Self; 5] =
        [Self::ZeroTraceId, Self::ZeroSpanId, Self::BadId, Self::Malformed, Self::TimeOutOfRange];

    /// The word in metrics and answers. Never change one.
    pub fn word(self) -> &'static str {
        match self {
            Self::ZeroTraceId => "zero_trace_id",
            Self::ZeroSpanId => "zero_span_id",
            Self::BadId => "bad_id",
            Self::Malformed => "malformed",
            Self::TimeOutOfRange => "time_out_of_range",
        }
    }
}

/// One rejected span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Why, as a label.
    pub reason: RejectReason,
    /// Why, for the person who looks for the sender's fault: which span, where, what.
    pub detail: String,
}

/// The rejected spans of one request: all counted by reason, the first few in detail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    counts: [u64; RejectReason::ALL.len()],
    details: Vec<Rejected>,
}

impl Rejections {
    /// How many spans were rejected.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether no span was rejected.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// How many spans were rejected for `reason`.
    pub fn count(&self, reason: RejectReason) -> u64 {
        self.counts.get(reason as usize).copied().unwrap_or(0)
    }

    /// The reasons that occurred, each with its number of spans.
    pub fn counts(&self) -> impl Iterator<Item = (RejectReason, u64)> {
        RejectReason::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
    }

    /// The first [`REJECTED_DETAILS_MAX`] rejected spans, in the order sent.
    pub fn details(&self) -> &[Rejected] {
        &self.details
    }

    pub(crate) fn push(&mut self, reason: RejectReason, detail: impl FnOnce() -> String) {
        if let Some(count) = self.counts.get_mut(reason as usize) {
            *count += 1;
        }
        if self.details.len() < REJECTED_DETAILS_MAX {
            self.details.push(Rejected { reason, detail: detail() });
        }
    }
}

/// The sentence for the sender: counts by reason, then the first detail. Empty when none.
impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (reason, count)) in self.counts().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{count} {}", reason.word())?;
        }
        match self.details.first() {
            Some(first) => write!(f, "; first: {}", first.detail),
            None => Ok(()),
        }
    }
}

/// What was odd about a span that was kept all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Warning {
    /// A span ends before it starts; it is kept with a negative duration.
    EndBeforeStart,
    /// More attributes than the limit; the rest was dropped and added to the sender's own count.
    TooManyAttributes,
    /// More events than the limit; the rest was dropped and added to the sender's own count.
    TooManyEvents,
    /// More links than the limit; the rest was dropped and added to the sender's own count.
    TooManyLinks,
    /// A list or map nests too deep; the inner ones became empty values.
    NestedTooDeep,
    /// A text is no UTF-8; what could not be read became U+FFFD.
    InvalidUtf8,
    /// A link's id has the wrong length or is no hex; the link was dropped and counted as such.
    BadLinkId,
    /// An event's time is out of range; the event was dropped and counted as such.
    EventTimeOutOfRange,
}

impl Warning {
    /// All warnings.
    pub const ALL: [Self; 8] = [
        Self::EndBeforeStart,
        Self::TooManyAttributes,
        Self::TooManyEvents,
        Self::TooManyLinks,
        Self::NestedTooDeep,
        Self::InvalidUtf8,
        Self::BadLinkId,
        Self::EventTimeOutOfRange,
    ];

    /// The word in metrics. Never change one.
    pub fn word(self) -> &'static str {
        match self {
            Self::EndBeforeStart => "end_before_start",
            Self::TooManyAttributes => "too_many_attributes",
            Self::TooManyEvents => "too_many_events",
            Self::TooManyLinks => "too_many_links",
            Self::NestedTooDeep => "nested_too_deep",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::BadLinkId => "bad_link_id",
            Self::EventTimeOutOfRange => "event_time_out_of_range",
        }
    }
}

/// How often each warning occurred in one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    counts: [u64; Warning::ALL.len()],
}

impl Warnings {
    /// Whether nothing was odd.
    pub fn is_empty(&self) -> bool {
        self.counts == [0; Warning::ALL.len()]
    }

    /// How often `warning` occurred.
    pub fn count(&self, warning: Warning) -> u64 {
        self.counts.get(warning as usize).copied().unwrap_or(0)
    }

    /// The warnings that occurred, each with its count.
    pub fn counts(&self) -> impl Iterator<Item = (Warning, u64)> {
        Warning::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
    }

    pub(crate) fn add(&mut self, warning: Warning) {
        if let Some(count) = self.counts.get_mut(warning as usize) {
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_when_the_details_are_full() {
        let mut rejected = Rejections::default();
        for index in 0..1000 {
            rejected.push(RejectReason::Malformed, || format!("span {index}"));
        }
        rejected.push(RejectReason::BadId, || unreachable!("the details are full"));
        assert_eq!(rejected.details().len(), REJECTED_DETAILS_MAX);
        assert_eq!(rejected.total(), 1001);
        assert_eq!(rejected.to_string(), "1 bad_id, 1000 malformed; first: span 0");
    }

    #[test]
    fn every_word_is_a_label_of_its_own() {
        let mut words: Vec<_> = RejectReason::ALL.map(RejectReason::word).to_vec();
        words.extend(Warning::ALL.map(Warning::word));
        let all = words.len();
        assert!(words.iter().all(|w| w.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
        for (index, reason) in RejectReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
        for (index, warning) in Warning::ALL.into_iter().enumerate() {
            assert_eq!(warning as usize, index);
        }
    }
}
