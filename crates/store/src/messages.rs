//! Which traces hold which message, so that a join asks an index and not every span.
//!
//! A message is known by half of its key and the way it went, 64 bits in all. Two may share these:
//! whoever reads the spans compares the whole key.

use std::collections::HashMap;

use throughline_model::{AttrValue, NOTE_INVOCATION, SpanBatch, TraceId};
use throughline_topology::stitch::{Carrier, Direction, MessageKey, Receipt, ReceiptReader};

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted<'a> {
    /// Spans that produced the message.
    Produced(MessageKey),
    /// Spans that consumed it.
    Consumed(MessageKey),
    /// Notes about the invocation of a function, by its request id.
    Noted(&'a str),
}

impl Wanted<'_> {
    pub(crate) fn hash(self) -> u64 {
        match self {
            Self::Consumed(key) => key.0 as u64,
            Self::Produced(key) => (key.0 as u64).rotate_left(21),
            Self::Noted(request_id) => {
                let receipt = Receipt::new(Direction::In, Carrier::Lambda, request_id);
                (receipt.key().0 as u64).rotate_left(42)
            }
        }
    }
}

/// The messages of the spans in memory.
#[derive(Default)]
pub(crate) struct MessageTable {
    traces: HashMap<u64, Vec<TraceId>, ahash::RandomState>,
}

impl MessageTable {
    pub(crate) fn add(&mut self, batch: &SpanBatch) {
        let reader = ReceiptReader::new(batch);
        for row in 0..batch.len() {
            if !reader.may_have(row) {
                continue;
            }
            let span = batch.span(row);
            let trace_id = span.trace_id();
            let mut put = |wanted: Wanted<'_>| {
                let traces = self.traces.entry(wanted.hash()).or_default();
                if traces.last() != Some(&trace_id) {
                    traces.push(trace_id);
                }
            };
            reader.of(row, |receipt| {
                put(match receipt.direction {
                    Direction::Out => Wanted::Produced(receipt.key()),
                    Direction::In => Wanted::Consumed(receipt.key()),
                });
            });
            if span.is_note()
                && let Some(AttrValue::Str(request_id)) = span.attribute(NOTE_INVOCATION)
            {
                put(Wanted::Noted(request_id));
            }
        }
    }

    pub(crate) fn find(&self, hash: u64) -> &[TraceId] {
        self.traces.get(&hash).map_or(&[], Vec::as_slice)
    }

    /// Every (hash of a [`Wanted`], trace).
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, TraceId)> {
        let traces = self.traces.iter();
        traces.flat_map(|(hash, traces)| traces.iter().map(|trace| (*hash, *trace)))
    }
}
