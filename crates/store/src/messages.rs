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

/// The messages of the spans in memory: of each hash a list through `entries`, the newest first.
///
/// Some 50 bytes an entry, twice that while it grows; it counts with the spans against
/// [`crate::StoreOptions::memtable_bytes_max`].
#[derive(Default)]
pub(crate) struct MessageTable {
    newest: HashMap<u64, u32, ahash::RandomState>,
    entries: Vec<Entry>,
}

struct Entry {
    trace: TraceId,
    /// The entry before this one of the same hash, plus one; 0 ends the list.
    before: u32,
}

impl MessageTable {
    /// Takes the messages of a batch. Gives how many of its spans are notes.
    pub(crate) fn add(&mut self, batch: &SpanBatch) -> u64 {
        let mut notes = 0;
        let reader = ReceiptReader::new(batch);
        for row in 0..batch.len() {
            if !reader.may_have(row) {
                continue;
            }
            let span = batch.span(row);
            let trace_id = span.trace_id();
            notes += u64::from(span.is_note());
            reader.of(row, |receipt| {
                let wanted = match receipt.direction {
                    Direction::Out => Wanted::Produced(receipt.key()),
                    Direction::In => Wanted::Consumed(receipt.key()),
                };
                self.put(wanted.hash(), trace_id);
            });
            if span.is_note()
                && let Some(AttrValue::Str(request_id)) = span.attribute(NOTE_INVOCATION)
            {
                self.put(Wanted::Noted(request_id).hash(), trace_id);
            }
        }
        notes
    }

    fn put(&mut self, hash: u64, trace: TraceId) {
        // The next flush comes long before so many are held; beyond them nothing is found.
        let Ok(number) = u32::try_from(self.entries.len() + 1) else { return };
        let before = self.newest.get(&hash).copied().unwrap_or(0);
        if self.entry(before).is_some_and(|entry| entry.trace == trace) {
            return;
        }
        self.newest.insert(hash, number);
        self.entries.push(Entry { trace, before });
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get((number as usize).checked_sub(1)?)
    }

    fn list(&self, newest: u32) -> impl Iterator<Item = TraceId> {
        let first = self.entry(newest);
        std::iter::successors(first, |entry| self.entry(entry.before)).map(|entry| entry.trace)
    }

    /// The traces of a hash, those first that came last.
    pub(crate) fn find(&self, hash: u64) -> impl Iterator<Item = TraceId> {
        self.list(self.newest.get(&hash).copied().unwrap_or(0))
    }

    /// Every (hash of a [`Wanted`], trace).
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, TraceId)> {
        let lists = self.newest.iter();
        lists.flat_map(|(hash, newest)| self.list(*newest).map(|trace| (*hash, trace)))
    }

    /// What it takes in memory, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        // A place of the map has a byte of its own, and one in eight places stays free.
        let place = size_of::<(u64, u32)>() + 1;
        self.newest.capacity() * 8 / 7 * place + self.entries.capacity() * size_of::<Entry>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_gives_its_traces_newest_first_and_each_once_in_a_row() {
        let mut table = MessageTable::default();
        let trace = |number: u8| TraceId([number; 16]);
        for (hash, number) in [(7, 1), (8, 2), (7, 3), (7, 3), (9, 3), (7, 1)] {
            table.put(hash, trace(number));
        }
        assert_eq!(table.find(7).collect::<Vec<_>>(), [1, 3, 1].map(trace));
        assert_eq!(table.find(8).collect::<Vec<_>>(), [trace(2)]);
        assert_eq!(table.find(1).count(), 0);
        let mut all: Vec<_> = table.entries().collect();
        all.sort_unstable();
        assert_eq!(
            all,
            [(7, 1), (7, 1), (7, 3), (8, 2), (9, 3)].map(|(hash, number)| (hash, trace(number)))
        );
    }

    #[test]
    fn an_entry_takes_no_more_than_it_says() {
        let mut table = MessageTable::default();
        let mut most = 0.0_f64;
        for number in 1..=300_000_u64 {
            table.put(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), TraceId([7; 16]));
            if number > 10_000 {
                most = most.max(table.size_bytes() as f64 / number as f64);
            }
        }
        println!("at most {most:.1} bytes an entry, {} at the end", table.size_bytes());
        assert!((40.0..=100.0).contains(&most), "{most}");
    }
}
