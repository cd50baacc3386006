//! Spans that arrive in pieces: what belongs together and what wins.
//!
//! The pieces of one span are a *set*: any order, any batching and any repetition give the same
//! merged span, because the pieces are ordered by their content before they are folded (ADR-0004).

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use crate::{
    NO_END, Owners, SpanBatch, SpanBatchBuilder, SpanId, SpanKey, SpanRef, StatusCode, TraceId,
};

/// Merges the pieces of each span of `batches`; every [`SpanKey`] comes out once, and no note.
///
/// The piece that says most (has an end, ends last, starts first, has most attributes) gives name,
/// parent and single fields; the start is the earliest and the end the latest of all; an error is
/// never hidden; attributes, events and links are united, and of two values of one key that of the
/// piece that says most stays. Rows come out by start time, then id.
pub fn merge_pieces(batches: &[&SpanBatch]) -> SpanBatch {
    let rows = batches.iter().flat_map(|batch| batch.spans());
    merge(rows.filter(|span| !span.is_note()), &Notes::default())
}

/// As [`merge_pieces`], with the events of notes added to the spans that they are about. A note
/// about a span that is not among `batches` stands for it, without a name.
pub fn merge_with_notes(batches: &[&SpanBatch]) -> SpanBatch {
    let rows = batches.iter().flat_map(|batch| batch.spans());
    let (notes, spans): (Vec<_>, Vec<_>) = rows.partition(|span| span.is_note());
    let about = |span: &SpanRef<'_>| (span.trace_id(), span.span_id());
    let held: HashSet<_> = spans.iter().map(about).collect();
    let (notes, alone): (Vec<_>, Vec<_>) =
        notes.into_iter().partition(|note| held.contains(&about(note)));
    let mut by_span = Notes::default();
    for note in notes {
        by_span.entry(about(&note)).or_default().push(note);
    }
    merge(spans.into_iter().chain(alone), &by_span)
}

/// Notes by the trace id and span id that they are about.
type Notes<'a> = HashMap<(TraceId, SpanId), Vec<SpanRef<'a>>, ahash::RandomState>;

fn merge<'a>(rows: impl Iterator<Item = SpanRef<'a>>, notes: &Notes<'a>) -> SpanBatch {
    let mut pieces: HashMap<SpanKey, Vec<SpanRef<'_>>, ahash::RandomState> = HashMap::default();
    for span in rows {
        pieces.entry(span.key()).or_default().push(span);
    }
    let mut spans: Vec<Vec<SpanRef<'_>>> = pieces.into_values().collect();
    for set in &mut spans {
        set.sort_by(|a, b| says_more(*b, *a));
        set.dedup_by(|a, b| says_more(*a, *b) == Ordering::Equal);
    }
    spans.sort_by_cached_key(|set| {
        let start = set.iter().map(|s| s.start_unix_nano()).min();
        (start, set.first().map(|s| s.key()))
    });
    let mut builder = SpanBatchBuilder::default();
    let mut owners = Owners::default();
    for set in &spans {
        let Some(best) = set.first() else { continue };
        owners.make_current(*best, &mut builder);
        let about = notes.get(&(best.trace_id(), best.span_id()));
        write_merged(&mut builder, set, about.map_or(&[], Vec::as_slice));
    }
    builder.finish()
}

/// Whether two records say exactly the same, so that one of them can go.
pub fn same_piece(a: SpanRef<'_>, b: SpanRef<'_>) -> bool {
    a.key() == b.key() && says_more(a, b) == Ordering::Equal
}

/// Orders two pieces of one span: `Greater` when `a` says more. Equal only when the same.
fn says_more(a: SpanRef<'_>, b: SpanRef<'_>) -> Ordering {
    let rank = |s: SpanRef<'_>| {
        let finished = s.duration_nano().is_some();
        (finished, s.end_unix_nano(), std::cmp::Reverse(s.start_unix_nano()), s.attributes().len())
    };
    rank(a).cmp(&rank(b)).then_with(|| content(a).cmp(&content(b)))
}

/// Everything a piece says, as text that can be ordered. Only asked when the cheap rank ties.
fn content(s: SpanRef<'_>) -> Vec<Vec<u8>> {
    let mut out = vec![
        vec![s.status() as u8],
        s.parent_id().0.to_vec(),
        s.name().into(),
        s.status_message().into(),
        s.trace_state().into(),
        s.flags().to_be_bytes().to_vec(),
        attributes(s.attributes()),
        attributes(s.resource().attributes()),
        s.scope().name().into(),
        s.scope().version().into(),
        format!("{:?}", s.dropped()).into_bytes(),
    ];
    for event in s.events() {
        out.push(format!("{} {}", event.time_unix_nano(), event.name()).into_bytes());
        out.push(attributes(event.attributes()));
    }
    for link in s.links() {
        out.push(format!("{} {}", link.trace_id(), link.span_id()).into_bytes());
        out.push(attributes(link.attributes()));
    }
    out
}

/// Attributes as bytes that are the same for the same pairs, in whatever order.
fn attributes(list: crate::Attributes<'_>) -> Vec<u8> {
    let mut pairs: Vec<_> = list.map(|(k, v)| (k, v.identity())).collect();
    pairs.sort();
    format!("{pairs:?}").into_bytes()
}

/// What is written already of events or links, and how often. A sender may mean two that are the
/// same, so each counts as often as in the piece that has it most often.
struct Written<K> {
    written: HashMap<K, usize>,
    /// Those of the piece at hand.
    here: HashMap<K, usize>,
}

impl<K: Eq + std::hash::Hash + Clone> Written<K> {
    fn new() -> Self {
        Self { written: HashMap::new(), here: HashMap::new() }
    }

    fn start_piece(&mut self) {
        self.here.clear();
    }

    /// Whether one more of these is to be written.
    fn is_new(&mut self, key: K) -> bool {
        let here = self.here.entry(key.clone()).or_default();
        *here += 1;
        let written = self.written.entry(key).or_default();
        let is_new = *here > *written;
        *written = (*written).max(*here);
        is_new
    }
}

/// Writes one span of its pieces, of which the first says most, and of the notes about it, under the
/// current resource and scope.
fn write_merged(builder: &mut SpanBatchBuilder, pieces: &[SpanRef<'_>], notes: &[SpanRef<'_>]) {
    let [best, others @ ..] = pieces else { return };
    if others.is_empty() && notes.is_empty() {
        builder.copy_span(*best);
        return;
    }
    builder.start_span(best.trace_id(), best.span_id());
    builder.copy_fields(*best);

    let start = pieces.iter().map(|s| s.start_unix_nano()).min().unwrap_or_default();
    let end = pieces.iter().filter(|s| s.duration_nano().is_some()).map(|s| s.end_unix_nano());
    builder.times(start, end.max().map_or(NO_END, |end| end.saturating_sub(start)));
    let parent = pieces.iter().map(|s| s.parent_id()).find(|id| !id.is_zero());
    builder.parent_id(parent.unwrap_or(SpanId::ZERO));
    let status = pieces.iter().map(|s| s.status()).max().unwrap_or(StatusCode::Unset);
    let message = pieces.iter().filter(|s| s.status() == status).map(|s| s.status_message());
    builder.status(status, message.max_by_key(|text| text.len()).unwrap_or_default());

    let mut keys = HashSet::new();
    for (key, value) in pieces.iter().flat_map(|s| s.attributes()) {
        if keys.insert(key) {
            builder.attribute(key, value);
        }
    }
    let mut events = Written::new();
    for piece in pieces.iter().chain(notes) {
        events.start_piece();
        for event in piece.events() {
            if events.is_new((event.time_unix_nano(), event.name(), attributes(event.attributes())))
            {
                builder.copy_event(event);
            }
        }
    }
    let mut links = Written::new();
    for piece in pieces {
        links.start_piece();
        for link in piece.links() {
            if links.is_new((link.trace_id(), link.span_id(), attributes(link.attributes()))) {
                builder.copy_link(link);
            }
        }
    }
    builder.end_span();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttrValue, NOTE_SCOPE, SpanKind};

    fn piece(start: i64, duration: i64, status: StatusCode, key: &str, value: &str) -> SpanBatch {
        let mut b = SpanBatchBuilder::default();
        b.start_span(TraceId([1; 16]), SpanId([1; 8]));
        b.name(value);
        b.times(start, duration);
        b.kind(SpanKind::Server);
        b.status(status, "");
        b.attribute(key, AttrValue::Str(value));
        b.start_event(start, key, 0);
        b.end_span();
        b.finish()
    }

    fn seen(batch: &SpanBatch) -> String {
        let lines: Vec<_> = batch
            .spans()
            .map(|s| {
                let mut attributes: Vec<_> =
                    s.attributes().map(|(k, v)| format!("{k}={}", v.text())).collect();
                attributes.sort();
                let mut events: Vec<_> = s.events().map(|e| e.name()).collect();
                events.sort_unstable();
                let (start, duration) = (s.start_unix_nano(), s.duration_nano());
                format!(
                    "{} {start}+{duration:?} {:?} {attributes:?} {events:?}",
                    s.name(),
                    s.status()
                )
            })
            .collect();
        lines.join("\n")
    }

    #[test]
    fn any_order_and_any_repetition_give_the_same_span() {
        let a = piece(10, NO_END, StatusCode::Unset, "a", "begun");
        let b = piece(12, 30, StatusCode::Ok, "a", "done");
        let c = piece(11, 20, StatusCode::Error, "b", "half");
        let expected = seen(&merge_pieces(&[&a, &b, &c]));
        assert_eq!(
            expected,
            "done 10+Some(32) Error [\"a=done\", \"b=half\"] [\"a\", \"a\", \"b\"]"
        );
        for order in [[&a, &c, &b], [&b, &a, &c], [&b, &c, &a], [&c, &a, &b], [&c, &b, &a]] {
            assert_eq!(seen(&merge_pieces(&order)), expected);
        }
        assert_eq!(seen(&merge_pieces(&[&a, &b, &b, &c, &a])), expected);
    }

    #[test]
    fn two_events_of_one_moment_both_stay_and_a_repeated_one_does_not() {
        let with_events = |duration, keys: &[&str]| {
            let mut b = SpanBatchBuilder::default();
            b.start_span(TraceId([1; 16]), SpanId([1; 8]));
            b.times(10, duration);
            for key in keys {
                b.start_event(10, "log", 0);
                b.attribute(key, AttrValue::Bool(true));
                b.start_link(TraceId([2; 16]), SpanId([2; 8]), "", 0, 0);
                b.attribute(key, AttrValue::Bool(true));
            }
            b.end_span();
            b.finish()
        };
        let begun = with_events(NO_END, &["a", "c"]);
        let ended = with_events(5, &["a", "b", "b"]);
        for order in [[&begun, &ended], [&ended, &begun]] {
            let merged = merge_pieces(&order);
            let span = merged.span(0);
            let first_key =
                |list: crate::Attributes<'_>| list.map(|(key, _)| key.to_owned()).next();
            let mut events: Vec<_> =
                span.events().filter_map(|e| first_key(e.attributes())).collect();
            events.sort_unstable();
            assert_eq!(events, ["a", "b", "b", "c"]);
            assert_eq!(span.links().len(), 4);
        }
    }

    #[test]
    fn a_note_adds_its_events_to_its_span_and_is_none_itself() {
        let note = |id: u8| {
            let mut b = SpanBatchBuilder::default();
            b.start_scope(NOTE_SCOPE, "");
            b.end_scope("", 0);
            b.start_span(TraceId([1; 16]), SpanId([id; 8]));
            b.times(3, 0);
            b.start_event(3, "receipt", 0);
            b.end_span();
            b.finish()
        };
        let span = piece(10, 5, StatusCode::Unset, "a", "x");
        assert_eq!(merge_pieces(&[&note(1), &span]).len(), 1);
        let merged = merge_with_notes(&[&note(1), &note(1), &span, &note(2)]);
        let lines: Vec<_> = merged
            .spans()
            .map(|s| (s.name(), s.start_unix_nano(), s.events().map(|e| e.name()).collect()))
            .collect();
        let expected: [(_, _, Vec<_>); 2] =
            [("", 3, vec!["receipt"]), ("x", 10, vec!["a", "receipt"])];
        assert_eq!(lines, expected);
    }

    #[test]
    fn both_sides_of_a_shared_id_stay() {
        let server = piece(10, 5, StatusCode::Unset, "a", "x");
        let mut b = SpanBatchBuilder::default();
        b.start_span(TraceId([1; 16]), SpanId([1; 8]));
        b.kind(SpanKind::Client);
        b.end_span();
        assert_eq!(merge_pieces(&[&server, &b.finish()]).len(), 2);
    }
}
