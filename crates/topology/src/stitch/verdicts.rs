//! What a person said of two spans: that a message joins them, or that none does.
//!
//! In:   the events of a span that notes about it brought.
//! Out:  the last [`Verdict`] on each span that it is said to come from.
//! Rule: verdicts are only added. The last one by its time counts; of one moment the careful one.

use std::collections::BTreeMap;

use throughline_model::{AttrValue, Attributes, SpanId, SpanRef, TraceId};

use super::edge::SpanAt;

/// The name of the event of a note that is a verdict.
pub const VERDICT_EVENT: &str = "throughline.join";
/// The producing span of a verdict: trace and span in hexadecimal with `-` between them.
pub const VERDICT_FROM: &str = "throughline.join.from";
/// Which ruling: `confirm`, `reject` or `forget`.
pub const VERDICT_RULING: &str = "throughline.join.ruling";
/// Who said so.
pub const VERDICT_BY: &str = "throughline.join.by";
/// Why.
pub const VERDICT_NOTE: &str = "throughline.join.note";
/// Whether the two may be of different environments.
pub const VERDICT_ACROSS: &str = "throughline.join.across_environments";

/// Verdicts on one consumer that are read, and so may be given.
pub const VERDICTS_PER_SPAN_MAX: usize = 256;

/// What was said. Of one moment the first here counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ruling {
    /// What was said before counts no more.
    Forget,
    /// They do not belong together, whatever they name.
    Reject,
    /// They belong together, whatever they name.
    Confirm,
}

impl Ruling {
    /// The word in requests, answers and notes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Forget => "forget",
            Self::Reject => "reject",
            Self::Confirm => "confirm",
        }
    }

    /// The ruling of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Forget, Self::Reject, Self::Confirm].into_iter().find(|one| one.word() == word)
    }
}

/// What a person said of a producer and the consumer that holds this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The producer.
    pub from: SpanAt,
    /// What was said.
    pub ruling: Ruling,
    /// Who said so.
    pub by: String,
    /// Why; may be empty.
    pub note: String,
    /// When, nanoseconds since the epoch.
    pub time_unix_nano: i64,
    /// Whether the two may be of different environments.
    pub across_environments: bool,
}

/// The verdicts of a span, each event, in any order; at most [`VERDICTS_PER_SPAN_MAX`].
pub(super) fn all_of(span: SpanRef<'_>) -> impl Iterator<Item = Verdict> {
    let events = span.events().filter(|event| event.name() == VERDICT_EVENT);
    events.take(VERDICTS_PER_SPAN_MAX).filter_map(|event| {
        let text = |key| text(event.attributes(), key);
        Some(Verdict {
            from: place(text(VERDICT_FROM)?)?,
            ruling: Ruling::from_word(text(VERDICT_RULING)?)?,
            by: text(VERDICT_BY).unwrap_or_default().to_owned(),
            note: text(VERDICT_NOTE).unwrap_or_default().to_owned(),
            time_unix_nano: event.time_unix_nano(),
            across_environments: event.attributes().value(VERDICT_ACROSS)
                == Some(AttrValue::Bool(true)),
        })
    })
}

/// The last verdict on each producer, by producer. What is forgotten is left out.
pub(super) fn last_of(span: SpanRef<'_>) -> Vec<Verdict> {
    let mut last: BTreeMap<SpanAt, Verdict> = BTreeMap::new();
    for verdict in all_of(span) {
        let rank = |one: &Verdict| (one.time_unix_nano, std::cmp::Reverse(one.ruling));
        match last.get(&verdict.from) {
            Some(known) if rank(known) >= rank(&verdict) => {}
            _ => drop(last.insert(verdict.from, verdict)),
        }
    }
    last.into_values().filter(|verdict| verdict.ruling != Ruling::Forget).collect()
}

fn text<'a>(list: Attributes<'a>, key: &str) -> Option<&'a str> {
    list.value(key)?.as_str()
}

fn place(text: &str) -> Option<SpanAt> {
    let (trace, span) = text.split_once('-')?;
    Some((TraceId::parse(trace).ok()?, SpanId::parse(span).ok()?))
}

#[cfg(test)]
mod tests {
    use throughline_model::SpanBatchBuilder;

    use super::*;

    const FROM: &str = "00000000000000000000000000000007-0000000000000008";

    fn rulings(events: &[(i64, &str, &str)]) -> Vec<(SpanAt, Ruling)> {
        let mut builder = SpanBatchBuilder::default();
        builder.start_span(TraceId([1; 16]), SpanId([1; 8]));
        builder.times(1, 1);
        for (time, from, ruling) in events {
            builder.start_event(*time, VERDICT_EVENT, 0);
            builder.attribute(VERDICT_FROM, AttrValue::Str(from));
            builder.attribute(VERDICT_RULING, AttrValue::Str(ruling));
        }
        builder.end_span();
        let batch = builder.finish();
        last_of(batch.span(0)).into_iter().map(|verdict| (verdict.from, verdict.ruling)).collect()
    }

    #[test]
    fn the_last_word_counts_in_whatever_order_it_comes() {
        let from = place(FROM).unwrap();
        let mut events = [(1, FROM, "confirm"), (3, FROM, "reject"), (2, FROM, "forget")];
        for _ in 0..3 {
            assert_eq!(rulings(&events), [(from, Ruling::Reject)]);
            events.rotate_left(1);
        }
        assert_eq!(rulings(&[(4, FROM, "forget"), (3, FROM, "confirm")]), []);
        assert_eq!(
            rulings(&[(4, FROM, "confirm"), (4, FROM, "reject")]),
            [(from, Ruling::Reject)],
            "of one moment the careful one"
        );
    }

    #[test]
    fn what_is_no_verdict_says_nothing() {
        for from in ["", "7-8", "x-y", "00000000000000000000000000000007"] {
            assert_eq!(rulings(&[(1, from, "confirm")]), []);
        }
        assert_eq!(rulings(&[(1, FROM, "perhaps")]), []);
    }
}
