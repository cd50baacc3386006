//! What a query sees: everything acknowledged when it began.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use throughline_model::{AttrType, SpanBatch, SpanBatchBuilder, TraceId};
use throughline_topology::{MapPart, MapSum, MapTotal};

use crate::block::{Block, TraceBuilders, guarded};
use crate::chunk::Source;
use crate::messages::{MessageTable, Wanted};
use crate::state::{Frozen, State, lock};
use crate::{AttributeKey, Chunk, ReadError, Scope, memory};

/// Traces given for one message and direction, the newest. An id that more traces hold is a constant
/// that somebody took for an id, and would cost a read of each for every question.
pub const TRACES_PER_MESSAGE_MAX: usize = 128;

/// The store at one moment. Cheap to take; blocks it holds stay readable while it lives.
#[derive(Clone)]
pub struct Snapshot {
    active: Vec<Arc<SpanBatch>>,
    active_map: Arc<Mutex<MapPart>>,
    active_messages: Arc<Mutex<MessageTable>>,
    frozen: Option<Arc<Frozen>>,
    blocks: Arc<Vec<Arc<Block>>>,
    blocks_map: Arc<MapSum>,
    notes: u64,
}

impl Snapshot {
    pub(crate) fn new(state: &State) -> Self {
        Self {
            active: state.active.batches.clone(),
            active_map: state.active.map.clone(),
            active_messages: state.active.messages.clone(),
            frozen: state.frozen.clone(),
            blocks: state.blocks.clone(),
            blocks_map: state.blocks_map.clone(),
            notes: state.notes,
        }
    }

    /// The batches that are not in a block, oldest first.
    fn memory(&self) -> impl Iterator<Item = &[Arc<SpanBatch>]> {
        self.frozen.iter().map(|frozen| &frozen.batches[..]).chain([&self.active[..]])
    }

    /// All pieces of one trace, as they were sent: copies and parts of a span are not merged.
    pub fn trace(&self, id: TraceId) -> Result<SpanBatch, ReadError> {
        Ok(self.traces(&[id])?.remove(&id).unwrap_or_default())
    }

    /// The pieces of several traces, those that have any; one read of each block for all of them.
    pub fn traces(&self, ids: &[TraceId]) -> Result<HashMap<TraceId, SpanBatch>, ReadError> {
        let mut builders: TraceBuilders =
            ids.iter().map(|id| (*id, SpanBatchBuilder::default())).collect();
        for block in self.blocks.iter() {
            guarded(&block.name, || block.traces(&mut builders))?;
        }
        for batches in self.memory() {
            memory::traces(batches, &mut builders);
        }
        let built = builders.into_iter().map(|(id, mut builder)| (id, builder.finish()));
        Ok(built.filter(|(_, pieces)| !pieces.is_empty()).collect())
    }

    /// How many pieces some traces have now; of a trace that has none there is nothing. Pieces only
    /// come, until the whole block of old ones goes: the same number means the same pieces.
    pub fn piece_counts(&self, ids: &[TraceId]) -> HashMap<TraceId, u64, ahash::RandomState> {
        let mut counts = HashMap::with_capacity_and_hasher(ids.len(), Default::default());
        for block in self.blocks.iter() {
            for (id, rows) in block.rows_of(ids) {
                *counts.entry(id).or_default() += u64::from(rows);
            }
        }
        let asked: HashSet<TraceId, ahash::RandomState> = ids.iter().copied().collect();
        for batch in self.memory().flatten() {
            let (held, _) = batch.trace_id_buffer().as_chunks::<16>();
            for id in held.iter().map(|id| TraceId(*id)).filter(|id| asked.contains(id)) {
                *counts.entry(id).or_default() += 1;
            }
        }
        counts
    }

    /// How many notes came since the store was opened.
    pub fn notes(&self) -> u64 {
        self.notes
    }

    /// Traces with a span or a note that may hold one of `wanted`, newest data first: at most
    /// [`TRACES_PER_MESSAGE_MAX`] for each of them, and at most `max` in all. Two messages may look
    /// alike here, so whoever reads the traces compares.
    pub fn traces_with(
        &self,
        wanted: &[Wanted<'_>],
        max: usize,
    ) -> Result<HashSet<TraceId>, ReadError> {
        let mut found = HashSet::new();
        let mut hashes: Vec<u64> = wanted.iter().map(|wanted| wanted.hash()).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let mut hashes: Vec<(u64, usize)> =
            hashes.into_iter().map(|hash| (hash, TRACES_PER_MESSAGE_MAX)).collect();
        let frozen = self.frozen.iter().map(|frozen| &frozen.messages);
        for table in [&self.active_messages].into_iter().chain(frozen) {
            let table = lock(table);
            for (hash, left) in &mut hashes {
                for trace in table.find(*hash).take(*left) {
                    *left -= 1;
                    if found.len() < max {
                        found.insert(trace);
                    }
                }
            }
        }
        for block in self.blocks.iter().rev() {
            let room = max.saturating_sub(found.len());
            if room == 0 {
                break;
            }
            guarded(&block.name, || block.traces_with(&mut hashes, room, &mut found))?;
        }
        Ok(found)
    }

    /// Chunks with spans that start in `from..=to` (nanoseconds since the epoch), those with the
    /// latest start first.
    pub fn chunks(&self, from: i64, to: i64) -> Vec<Chunk> {
        let in_memory = self.memory().flat_map(memory::chunks).map(Source::Memory);
        let in_blocks = self.blocks.iter().flat_map(Block::row_groups).map(Source::Block);
        let mut chunks: Vec<_> = in_memory
            .chain(in_blocks)
            .map(Chunk)
            .filter(|chunk| {
                chunk.rows() > 0 && chunk.max_start() >= from && chunk.min_start() <= to
            })
            .collect();
        chunks.sort_by_key(|chunk| std::cmp::Reverse(chunk.max_start()));
        chunks
    }

    /// The part of the service map that `total` asks for.
    pub fn map(&self, mut total: MapTotal) -> MapPart {
        total.add_sum(&self.blocks_map);
        if let Some(frozen) = &self.frozen {
            total.add(&lock(&frozen.map));
        }
        total.add(&lock(&self.active_map));
        total.finish()
    }

    /// Every attribute key that is held, most frequent first.
    pub fn attribute_keys(&self) -> Vec<AttributeKey> {
        let mut counts: HashMap<(Scope, AttrType, String), u64> = HashMap::new();
        for key in self.memory().flat_map(memory::attribute_keys) {
            *counts.entry((key.scope, key.kind, key.key)).or_default() += key.count;
        }
        let parts = self.blocks.iter().flat_map(|block| &block.sidecar.parts);
        for key in parts.flat_map(|part| &part.meta.keys) {
            if let Some(kind) = AttrType::from_number(key.kind) {
                *counts.entry((key.scope, kind, key.key.clone())).or_default() += key.count;
            }
        }
        let keys = counts.into_iter();
        let mut keys: Vec<_> = keys
            .map(|((scope, kind, key), count)| AttributeKey { key, scope, kind, count })
            .collect();
        keys.sort_by(|a, b| {
            b.count.cmp(&a.count).then_with(|| (&a.key, a.scope).cmp(&(&b.key, b.scope)))
        });
        keys
    }
}
