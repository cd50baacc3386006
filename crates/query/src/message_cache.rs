//! What was read of messages before, so that the next question reads only what came since.
//!
//! In:   a snapshot, and the traces or the time that a question is about.
//! Out:  what the spans of each trace say of messages in queues, topics and streams.
//! Rule: a trace is read again when a piece of it came, or, where it has invocations, when any note
//!       came: that may be about one of them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use throughline_model::{NOTE_SCOPE, SpanBatch, TraceId};
use throughline_store::{Chunk, Scope, Snapshot};
use throughline_topology::stitch::{
    Carrier, ReceiptAt, ReceiptReader, Source, SpanAt, message_attributes,
};

use crate::RunError;
use crate::ast::{AttrScope, CompareOp, Expr, Field, Literal};
use crate::journeys::{Stored, has_invocations};
use crate::scan::{Wanted, candidates};

/// Traces that are read at a time: each read looks at all spans in memory.
const READ_AHEAD: usize = 250;
/// What is kept, at most twice that: receipts of some 600 bytes, and starts of spans of 24.
const RECEIPTS_MAX: usize = 20_000;
const STARTS_MAX: usize = 200_000;

/// What was read before. One for a store, shared by all questions.
#[derive(Debug)]
pub struct MessageCache(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    traces: Recent<TraceId, Arc<TraceMessages>>,
    /// By block and number of the chunk in it.
    starts: Recent<(String, usize), Arc<[SpanStart]>>,
}

/// A span with messages: its start, in nanoseconds since the epoch, and its trace.
pub(crate) type SpanStart = (i64, TraceId);

/// What the spans of a trace say of messages.
#[derive(Debug)]
pub(crate) struct TraceMessages {
    /// How many pieces were read.
    pieces: Option<u64>,
    /// How many notes there were; `None` where no note of another trace can be about this one.
    notes: Option<u64>,
    /// Whether it is a trace at all, and not notes whose spans are elsewhere.
    pub(crate) is_trace: bool,
    pub(crate) spans: Vec<SpanMessages>,
}

/// What a span says of messages in queues, topics and streams.
#[derive(Debug)]
pub(crate) struct SpanMessages {
    pub(crate) at: SpanAt,
    pub(crate) environment: Option<Arc<str>>,
    pub(crate) start_unix_nano: i64,
    pub(crate) duration_nano: Option<i64>,
    /// Whether somebody else saw what it does.
    pub(crate) is_noted: bool,
    pub(crate) receipts: Vec<ReceiptAt>,
}

/// A snapshot, read through what is kept.
pub(crate) struct MessageReader<'a> {
    snapshot: &'a Snapshot,
    stored: &'a Stored<'a>,
    cache: &'a MessageCache,
}

impl<'a> MessageReader<'a> {
    pub(crate) fn new(
        snapshot: &'a Snapshot,
        stored: &'a Stored<'a>,
        cache: &'a MessageCache,
    ) -> Self {
        Self { snapshot, stored, cache }
    }

    /// What each of some traces says, in their order.
    pub(crate) fn traces(&self, ids: &[TraceId]) -> Result<Vec<Arc<TraceMessages>>, RunError> {
        let counts = self.snapshot.piece_counts(ids);
        let notes = self.snapshot.notes();
        let mut found: Vec<Option<Arc<TraceMessages>>> = {
            let mut kept = self.cache.lock();
            let mut kept = |id: &TraceId| {
                let known = kept.traces.get(id)?;
                let is_same = known.pieces == counts.get(id).copied()
                    && known.notes.is_none_or(|then| then == notes);
                is_same.then_some(known)
            };
            ids.iter().map(&mut kept).collect()
        };
        let missing: Vec<usize> = (0..ids.len()).filter(|at| found[*at].is_none()).collect();
        for some in missing.chunks(READ_AHEAD) {
            let wanted: Vec<TraceId> = some.iter().map(|at| ids[*at]).collect();
            self.stored.read(&wanted)?;
            for at in some {
                let id = ids[*at];
                let batch = self.stored.trace(id)?;
                let pieces = counts.get(&id).copied();
                let read = Arc::new(TraceMessages::read(batch.as_ref(), pieces, notes));
                // Of notes alone the invocations may come later, and there is little to read.
                if read.is_trace {
                    let weight =
                        1 + read.spans.iter().map(|span| span.receipts.len()).sum::<usize>();
                    self.cache.lock().traces.put(id, Arc::clone(&read), weight);
                }
                found[*at] = Some(read);
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The spans of a chunk that may have messages, the latest first.
    pub(crate) fn starts(&self, chunk: &Chunk) -> Result<Arc<[SpanStart]>, RunError> {
        let Some(place) = chunk.place().map(|(block, number)| (block.to_owned(), number)) else {
            return starts(chunk);
        };
        if let Some(known) = self.cache.lock().starts.get(&place) {
            return Ok(known);
        }
        let found = starts(chunk)?;
        self.cache.lock().starts.put(place, Arc::clone(&found), 4 + found.len());
        Ok(found)
    }
}

fn starts(chunk: &Chunk) -> Result<Arc<[SpanStart]>, RunError> {
    let noted = Expr::Compare {
        field: Field::ScopeName,
        op: CompareOp::Eq,
        literal: Literal::Str(NOTE_SCOPE.to_owned()),
    };
    // The ids of calls and invocations are no messages of a queue, topic or stream.
    let keys = || {
        message_attributes()
            .filter(|key| !key.starts_with("aws.request") && !key.starts_with("faas."))
    };
    let scopes = [
        (Scope::Span, AttrScope::Span),
        (Scope::Event, AttrScope::Event),
        (Scope::Link, AttrScope::Link),
    ];
    // Only what the chunk has is asked for: most chunks have nothing of it.
    let held = scopes.iter().flat_map(|(scope, at)| {
        let held = keys().filter(|key| !chunk.attribute_types(*scope, key).is_empty());
        held.map(|key| Expr::Exists(Field::Attribute(*at, key.to_owned())))
    });
    let mut any: Vec<Expr> = held.collect();
    if any.is_empty() {
        return Ok(Arc::default());
    }
    any.push(noted);
    let wanted = Wanted { filter: Some(Expr::Or(any)), from: i64::MIN, to: i64::MAX };
    let mut found: Vec<SpanStart> =
        candidates(chunk, &wanted)?.iter().map(|one| (one.start, one.trace_id)).collect();
    found.sort_unstable_by_key(|(start, id)| (std::cmp::Reverse(*start), *id));
    Ok(found.into())
}

impl TraceMessages {
    fn read(batch: Option<&SpanBatch>, pieces: Option<u64>, notes: u64) -> Self {
        let Some(batch) = batch else {
            return Self { pieces, notes: None, is_trace: false, spans: Vec::new() };
        };
        let reader = ReceiptReader::new(batch);
        let mut spans = Vec::new();
        for row in (0..batch.len()).filter(|row| reader.may_have(*row)) {
            let mut receipts = reader.at(row);
            receipts.retain(|at| is_place(at.receipt.carrier));
            if receipts.is_empty() {
                continue;
            }
            let span = batch.span(row);
            spans.push(SpanMessages {
                at: (span.trace_id(), span.span_id()),
                environment: span.resource().environment().map(Arc::from),
                start_unix_nano: span.start_unix_nano(),
                duration_nano: span.duration_nano(),
                is_noted: span.events().any(|event| event.name() == "receipt"),
                receipts,
            });
        }
        let notes = has_invocations(batch).then_some(notes);
        Self { pieces, notes, is_trace: true, spans }
    }
}

/// Whether a carrier keeps messages in places of their own. An invocation is what its function is,
/// an object lies where it was put, a link and a pointer lead to a span.
fn is_place(carrier: Carrier) -> bool {
    !matches!(
        carrier,
        Carrier::Lambda
            | Carrier::ApiGateway
            | Carrier::Http
            | Carrier::S3
            | Carrier::StepFunctions
            | Carrier::Pointer
            | Carrier::Link
            | Carrier::User
    )
}

impl Default for MessageCache {
    fn default() -> Self {
        let (traces, starts) = (Recent::new(RECEIPTS_MAX), Recent::new(STARTS_MAX));
        Self(Mutex::new(Kept { traces, starts }))
    }
}

impl MessageCache {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        // What it guards is whole at every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was used last, each with its weight: when the young weigh too much they become the old, and
/// the old go.
#[derive(Debug)]
struct Recent<K, V> {
    young: HashMap<K, (V, usize), ahash::RandomState>,
    old: HashMap<K, (V, usize), ahash::RandomState>,
    weight: usize,
    weight_max: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Recent<K, V> {
    fn new(weight_max: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), weight: 0, weight_max }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        // What is young again weighs as what is new: both count against the limit.
        let (key, (value, weight)) = self.old.remove_entry(key)?;
        self.put(key, value.clone(), weight);
        Some(value)
    }

    fn put(&mut self, key: K, value: V, weight: usize) {
        if self.weight + weight > self.weight_max {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.old.remove(&key);
        self.young.insert(key, (value, weight));
        self.weight += weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_all_of_it_weighs_no_more_than_twice_the_limit() {
        let mut recent = Recent::new(10);
        for number in 0..1_000_u32 {
            recent.put(number, number, 3);
            assert_eq!(recent.get(&number), Some(number));
            // Everything that is still there is used again and again.
            let there = (0..=number).filter(|number| recent.get(number).is_some()).count();
            assert!((1..=6).contains(&there), "{there} of weight 3");
            assert!(recent.young.len() <= 3 && recent.old.len() <= 3);
        }
        assert_eq!(recent.get(&1_000), None);
    }
}
