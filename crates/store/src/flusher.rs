//! The one thread that writes blocks and the catalogue: flush, compact, expire.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use throughline_topology::MapSum;

use crate::block::{self, Block, Sidecar};
use crate::catalogue::{BlockEntry, CatalogState};
use crate::retention;
use crate::seams::Catalog;
use crate::state::{Frozen, Shared, State, lock};

pub(crate) enum FlushCommand {
    /// A memtable has been frozen.
    Flush,
    /// Forget every block; the log before `log_floor` has been forgotten too.
    Reset { log_floor: u64, done: SyncSender<std::io::Result<()>> },
    /// End the thread.
    Close,
}

/// How often retention is looked at, and a flush that failed is tried again.
const TICK: Duration = Duration::from_secs(1);

pub(crate) struct Flusher {
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: Receiver<FlushCommand>,
    pub(crate) catalog: Box<dyn Catalog>,
    pub(crate) state: CatalogState,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Flusher {
    pub(crate) fn run(mut self) {
        loop {
            match self.commands.recv_timeout(TICK) {
                Ok(FlushCommand::Flush) | Err(RecvTimeoutError::Timeout) => {}
                Ok(FlushCommand::Reset { log_floor, done }) => {
                    let _ = done.send(self.reset(log_floor));
                }
                Ok(FlushCommand::Close) | Err(RecvTimeoutError::Disconnected) => return,
            }
            self.work();
        }
    }

    fn work(&mut self) {
        if let Some(frozen) = self.shared.read(|state| state.frozen.clone()) {
            match self.flush(&frozen) {
                Ok(()) => self.shared.note_flush(None),
                Err(err) => self.shared.note_flush(Some(format!("cannot write a block: {err}"))),
            }
            self.shared.tell_flushed();
        }
        self.expire();
        // A reader never depends on compaction, so a failure is only worth a line.
        if let Err(err) = self.compact() {
            tracing::warn!(%err, "cannot compact blocks");
        }
    }

    fn flush(&mut self, frozen: &Arc<Frozen>) -> Result<(), Failure> {
        let (parquet, part) = block::write_part(&frozen.batches, &lock(&frozen.messages))?;
        let map = Arc::new(lock(&frozen.map).clone());
        let sidecar = Sidecar { parts: vec![Arc::new(part)], map };
        let log_floor = frozen.segment + 1;
        let entry = self.put_block(&parquet, &sidecar, 0, self.shared.now())?;
        let block = Arc::new(Block::open(&*self.shared.objects, &entry.name)?);

        let mut next = self.state.clone();
        next.log_floor = log_floor;
        next.next_block += 1;
        next.blocks.push(entry);
        self.commit(next)?;
        self.shared.write(|state| {
            Arc::make_mut(&mut state.blocks).push(block.clone());
            Arc::make_mut(&mut state.blocks_map).merge(&block.sidecar.map);
            state.frozen = None;
        });
        self.shared.log_floor.store(log_floor, Ordering::Release);
        Shared::count(&self.shared.counters.flushes, 1);
        Ok(())
    }

    fn put_block(
        &self,
        parquet: &[u8],
        sidecar: &Sidecar,
        level: u8,
        flushed_unix_nano: i64,
    ) -> std::io::Result<BlockEntry> {
        let name = format!("{:016x}", self.state.next_block);
        let side = sidecar.encode();
        self.shared.objects.put(&block::parquet_name(&name), parquet)?;
        self.shared.objects.put(&block::sidecar_name(&name), &side)?;
        let groups = || sidecar.parts.iter().flat_map(|part| &part.meta.groups);
        Ok(BlockEntry {
            name,
            rows: groups().map(|group| group.rows).sum(),
            size_bytes: (parquet.len() + side.len()) as u64,
            level,
            flushed_unix_nano,
            min_start: groups().map(|group| group.min_start).min().unwrap_or_default(),
            max_start: groups().map(|group| group.max_start).max().unwrap_or_default(),
        })
    }

    /// Makes `next` the catalogue, on disk first.
    fn commit(&mut self, next: CatalogState) -> std::io::Result<()> {
        self.catalog.commit(&next)?;
        let bytes = next.blocks.iter().map(|block| block.size_bytes).sum();
        self.shared.counters.bytes_on_disk.store(bytes, Ordering::Relaxed);
        self.state = next;
        Ok(())
    }

    fn compact(&mut self) -> Result<(), Failure> {
        let options = &self.shared.options;
        let chosen =
            retention::to_compact(&self.state, options.compact_blocks, options.compact_bytes_max);
        let Some(range) = chosen else { return Ok(()) };
        let entries = self.state.blocks[range.clone()].to_vec();
        let blocks: Vec<_> = self.shared.read(|state| {
            let named = |name: &str| state.blocks.iter().find(|block| block.name == name).cloned();
            entries.iter().filter_map(|entry| named(&entry.name)).collect()
        });
        let (parquet, sidecar) = block::guarded("compaction", || block::compact(&blocks))?;
        let level = entries.iter().map(|entry| entry.level).max().unwrap_or_default() + 1;
        let flushed = entries.iter().map(|entry| entry.flushed_unix_nano).max().unwrap_or_default();
        let entry = self.put_block(&parquet, &sidecar, level, flushed)?;
        let block = Arc::new(Block::open(&*self.shared.objects, &entry.name)?);

        let mut next = self.state.clone();
        next.next_block += 1;
        next.blocks.splice(range, [entry]);
        self.commit(next)?;
        self.shared.write(|state| self.place(state, &block));
        self.remove(&entries);
        Shared::count(&self.shared.counters.compactions, 1);
        Ok(())
    }

    /// Makes the visible blocks those of the catalogue; `new` is one that was not there before.
    fn place(&self, state: &mut State, new: &Arc<Block>) {
        let old = state.blocks.clone();
        let named = |name: &str| {
            let mut all = old.iter().chain([new]);
            all.find(|block| block.name == name).cloned()
        };
        let blocks = self.state.blocks.iter().filter_map(|entry| named(&entry.name)).collect();
        state.blocks = Arc::new(blocks);
    }

    fn expire(&mut self) {
        let options = &self.shared.options;
        let expired = retention::expired(
            &self.state,
            self.shared.now(),
            options.retention_ms,
            options.retention_bytes,
        );
        if expired == 0 {
            return;
        }
        let mut next = self.state.clone();
        let gone: Vec<_> = next.blocks.drain(..expired).collect();
        if let Err(err) = self.commit(next) {
            tracing::warn!(%err, "cannot drop expired blocks");
            return;
        }
        self.shared.write(|state| {
            let keeps = |block: &Arc<Block>| gone.iter().all(|entry| entry.name != block.name);
            let blocks: Vec<_> = state.blocks.iter().filter(|b| keeps(b)).cloned().collect();
            state.blocks_map = Arc::new(sum_of_maps(&blocks));
            state.blocks = Arc::new(blocks);
        });
        self.remove(&gone);
        Shared::count(&self.shared.counters.expired_blocks, gone.len() as u64);
    }

    fn reset(&mut self, log_floor: u64) -> std::io::Result<()> {
        let next = CatalogState {
            log_floor,
            next_block: self.state.next_block,
            ..CatalogState::default()
        };
        let gone = self.state.blocks.clone();
        self.commit(next)?;
        self.shared.write(|state| {
            state.blocks = Arc::default();
            state.blocks_map = Arc::default();
        });
        self.remove(&gone);
        Ok(())
    }

    /// Removes files that the catalogue no longer lists. Readers that hold them read on.
    fn remove(&self, gone: &[BlockEntry]) {
        for entry in gone {
            for name in [block::parquet_name(&entry.name), block::sidecar_name(&entry.name)] {
                if let Err(err) = self.shared.objects.remove(&name) {
                    // Harmless: the next start removes what the catalogue does not list.
                    tracing::warn!(%err, name, "cannot remove a file");
                }
            }
        }
    }
}

/// The map of several blocks.
pub(crate) fn sum_of_maps(blocks: &[Arc<Block>]) -> MapSum {
    let mut sum = MapSum::default();
    blocks.iter().for_each(|block| sum.merge(&block.sidecar.map));
    sum
}
