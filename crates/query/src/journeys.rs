//! Follows messages through what is stored.
//!
//! The store's index says which traces may hold a message; the spans themselves say whether they
//! do. A note whose span is known only by the request id of a function's invocation is put where
//! that invocation is.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use throughline_model::{
    AttrValue, INVOCATION_ID, NOTE_INVOCATION, Owners, SpanBatch, SpanBatchBuilder, SpanId,
    SpanRef, TraceId, merge_with_notes,
};
use throughline_store::{Snapshot, Wanted};
use throughline_topology::stitch::{
    Budget, Carrier, Direction, Focus, Journey, MessageKey, Receipt, ReceiptAt, ReceiptReader,
    Source, journey as follow,
};
use throughline_topology::xray::adopt_services;

use crate::RunError;

/// Traces that are read to find who holds some messages, of each message at most
/// [`throughline_store::TRACES_PER_MESSAGE_MAX`]. Beyond these a holder may be missed.
const HOLDER_TRACES_MAX: usize = 500;
/// Function invocations of one trace that are looked up.
const INVOCATIONS_MAX: usize = 1_000;
/// Traces that one question keeps at hand.
const TRACES_KEPT_MAX: usize = 1_000;

/// What one message, span or trace came from and led to.
pub fn journey(snapshot: &Snapshot, focus: Focus, budget: &Budget) -> Result<Journey, RunError> {
    follow(&Stored::new(snapshot), focus, budget)
}

/// A snapshot of the store, as journeys ask it.
pub struct Stored<'a> {
    snapshot: &'a Snapshot,
    kept: RefCell<HashMap<TraceId, Option<SpanBatch>>>,
}

impl<'a> Stored<'a> {
    /// Traces that were read once are kept for as long as this lives.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, kept: RefCell::default() }
    }

    /// Reads some traces with the notes about their spans, and keeps them.
    pub(crate) fn read(&self, ids: &[TraceId]) -> Result<(), RunError> {
        let missing: Vec<TraceId> = {
            let mut kept = self.kept.borrow_mut();
            // Before it is asked what is missing: all of `ids` are at hand afterwards.
            if kept.len() + ids.len() > TRACES_KEPT_MAX {
                kept.clear();
            }
            ids.iter().filter(|id| !kept.contains_key(id)).copied().collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let mut found = self.snapshot.traces(&missing)?;
        let notes = self.notes_by_invocation(found.values())?;
        let mut kept = self.kept.borrow_mut();
        for id in missing {
            let pieces = found.remove(&id).filter(|pieces| !is_about_invocations(pieces));
            let merged = pieces.map(|pieces| {
                let about = notes.about(&pieces);
                adopt_services(&merge_with_notes(&[&pieces, &about]))
            });
            kept.insert(id, merged);
        }
        Ok(())
    }

    /// The notes about functions' invocations that are among the spans of some traces.
    fn notes_by_invocation<'b>(
        &self,
        traces: impl Iterator<Item = &'b SpanBatch>,
    ) -> Result<Notes, RunError> {
        let ids: HashSet<&str> = traces
            .flat_map(SpanBatch::spans)
            .filter_map(invocation)
            .take(INVOCATIONS_MAX)
            .collect();
        let wanted: Vec<_> = ids.iter().map(|id| Wanted::Noted(id)).collect();
        if wanted.is_empty() {
            return Ok(Notes::default());
        }
        let holders: Vec<_> =
            self.snapshot.traces_with(&wanted, HOLDER_TRACES_MAX)?.into_iter().collect();
        Ok(Notes(self.snapshot.traces(&holders)?.into_values().collect()))
    }

    /// The trace itself, or, of notes about invocations, those of the invocations.
    pub(crate) fn homes(&self, id: TraceId) -> Result<Vec<TraceId>, RunError> {
        let pieces = self.snapshot.trace(id)?;
        if is_about_invocations(&pieces) { self.homes_of(&pieces) } else { Ok(vec![id]) }
    }

    /// Where the invocations are that notes are about.
    fn homes_of(&self, notes: &SpanBatch) -> Result<Vec<TraceId>, RunError> {
        let ids: HashSet<&str> = notes.spans().filter_map(noted).collect();
        let wanted: Vec<_> = ids
            .into_iter()
            .map(|id| Wanted::Consumed(Receipt::new(Direction::In, Carrier::Lambda, id).key()))
            .collect();
        Ok(self.snapshot.traces_with(&wanted, HOLDER_TRACES_MAX)?.into_iter().collect())
    }
}

impl Source for Stored<'_> {
    type Error = RunError;

    fn trace(&self, id: TraceId) -> Result<Option<SpanBatch>, RunError> {
        self.read(&[id])?;
        Ok(self.kept.borrow().get(&id).cloned().flatten())
    }

    fn holders(
        &self,
        keys: &[MessageKey],
        direction: Direction,
    ) -> Result<Vec<ReceiptAt>, RunError> {
        let wanted: Vec<_> = keys
            .iter()
            .map(|key| match direction {
                Direction::Out => Wanted::Produced(*key),
                Direction::In => Wanted::Consumed(*key),
            })
            .collect();
        let mut ids: Vec<TraceId> =
            self.snapshot.traces_with(&wanted, HOLDER_TRACES_MAX)?.into_iter().collect();
        self.read(&ids)?;
        // What is no trace may be notes about invocations, whose spans are elsewhere.
        let alone: Vec<TraceId> = {
            let kept = self.kept.borrow();
            ids.iter().filter(|id| !matches!(kept.get(id), Some(Some(_)))).copied().collect()
        };
        if !alone.is_empty() {
            for pieces in self.snapshot.traces(&alone)?.values() {
                ids.extend(self.homes_of(pieces)?);
            }
            ids.sort_unstable();
            ids.dedup();
            self.read(&ids)?;
        }
        let keys: HashSet<MessageKey> = keys.iter().copied().collect();
        let kept = self.kept.borrow();
        let mut holders = Vec::new();
        for batch in ids.iter().filter_map(|id| kept.get(id)?.as_ref()) {
            let reader = ReceiptReader::new(batch);
            let rows = (0..batch.len()).filter(|row| reader.may_have(*row));
            let receipts = rows.flat_map(|row| reader.at(row));
            holders.extend(
                receipts.filter(|at| at.receipt.direction == direction && keys.contains(&at.key)),
            );
        }
        Ok(holders)
    }
}

/// Notes about the invocations of functions.
#[derive(Default)]
struct Notes(Vec<SpanBatch>);

impl Notes {
    /// Those about spans of a trace, with the ids of these.
    fn about(&self, trace: &SpanBatch) -> SpanBatch {
        let mut builder = SpanBatchBuilder::default();
        let mut owners = Owners::default();
        let spans: HashMap<&str, SpanRef<'_>> =
            trace.spans().filter_map(|span| Some((invocation(span)?, span))).collect();
        for note in self.0.iter().flat_map(SpanBatch::spans) {
            if let Some(span) = noted(note).and_then(|id| spans.get(id)) {
                owners.make_current(note, &mut builder);
                builder.start_span(span.trace_id(), span.span_id());
                builder.times(note.start_unix_nano(), 0);
                note.events().for_each(|event| builder.copy_event(event));
                builder.end_span();
            }
        }
        builder.finish()
    }
}

/// The request id of the invocation that a note is about.
fn noted(note: SpanRef<'_>) -> Option<&str> {
    match note.attribute(NOTE_INVOCATION) {
        Some(AttrValue::Str(id)) if note.is_note() => Some(id),
        _ => None,
    }
}

/// The request id of the invocation that a span is.
///
/// **Rule:** OpenTelemetry semantic conventions, FaaS: `faas.invocation_id`, once `faas.execution`.
pub(crate) fn invocation(span: SpanRef<'_>) -> Option<&str> {
    [INVOCATION_ID, "faas.execution"].into_iter().find_map(|key| match span.attribute(key) {
        Some(AttrValue::Str(id)) => Some(id),
        _ => None,
    })
}

/// Whether notes of another trace may be about one of these spans.
pub(crate) fn has_invocations(trace: &SpanBatch) -> bool {
    trace.spans().any(|span| invocation(span).is_some())
}

/// Whether a trace is none, but holds notes whose spans are elsewhere.
fn is_about_invocations(pieces: &SpanBatch) -> bool {
    pieces.spans().all(|span| noted(span).is_some())
}

/// The ids that a note about an invocation has: they name nothing.
pub fn note_ids(request_id: &str) -> (TraceId, SpanId) {
    let key = Receipt::new(Direction::In, Carrier::Lambda, request_id).key().0;
    let bytes = key.to_be_bytes();
    let mut span = [0; 8];
    span.copy_from_slice(&bytes[..8]);
    (TraceId(bytes), SpanId(span))
}
