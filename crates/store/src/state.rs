//! What the threads of a store share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use throughline_model::SpanBatch;
use throughline_topology::{MapPart, MapSum};

use crate::block::Block;
use crate::messages::MessageTable;
use crate::{Objects, StoreOptions};

/// Spans that are in the log and not in a block.
#[derive(Default)]
pub(crate) struct Memtable {
    pub(crate) batches: Vec<Arc<SpanBatch>>,
    /// The service map of these spans, kept up as they come.
    pub(crate) map: Arc<Mutex<MapPart>>,
    /// Which of these spans' traces hold which message.
    pub(crate) messages: Arc<Mutex<MessageTable>>,
    pub(crate) bytes: usize,
    pub(crate) spans: u64,
    /// How many batches at the end are small; see [`Memtable::push`].
    small_tail: usize,
}

impl Memtable {
    /// What the spans and the index of their messages take in memory, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes + lock(&self.messages).size_bytes()
    }

    /// Adds a batch. Every 64 small batches are put together, so that clients that send span by
    /// span do not cost a set of tables for each.
    pub(crate) fn push(&mut self, batch: Arc<SpanBatch>) {
        const SMALL_SPANS: usize = 64;
        const SMALL_BATCHES: usize = 64;
        let small = batch.len() < SMALL_SPANS;
        self.bytes += size_bytes(&batch);
        self.spans += batch.len() as u64;
        self.batches.push(batch);
        self.small_tail = if small { self.small_tail + 1 } else { 0 };
        if self.small_tail >= SMALL_BATCHES {
            let tail = self.batches.split_off(self.batches.len() - self.small_tail);
            let whole = crate::memory::concat(&tail);
            self.bytes -= tail.iter().map(|batch| size_bytes(batch)).sum::<usize>();
            self.bytes += size_bytes(&whole);
            self.batches.push(Arc::new(whole));
            self.small_tail = 0;
        }
    }
}

/// What a batch costs in memory, its some 40 buffers' own overhead included.
fn size_bytes(batch: &SpanBatch) -> usize {
    const OVERHEAD: usize = 6 << 10;
    batch.memory_size_bytes() + OVERHEAD
}

/// A memtable on its way into a block.
pub(crate) struct Frozen {
    pub(crate) batches: Vec<Arc<SpanBatch>>,
    pub(crate) map: Arc<Mutex<MapPart>>,
    pub(crate) messages: Arc<Mutex<MessageTable>>,
    pub(crate) spans: u64,
    /// The log segment that holds the same spans, and no other's.
    pub(crate) segment: u64,
}

pub(crate) struct State {
    pub(crate) active: Memtable,
    pub(crate) frozen: Option<Arc<Frozen>>,
    pub(crate) blocks: Arc<Vec<Arc<Block>>>,
    /// The sum of the maps of all blocks.
    pub(crate) blocks_map: Arc<MapSum>,
    /// How many notes were taken since the store was opened.
    pub(crate) notes: u64,
}

pub(crate) struct Shared {
    pub(crate) options: StoreOptions,
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) state: RwLock<State>,
    /// Told whenever a frozen memtable has become a block, or cannot.
    pub(crate) flushed: Condvar,
    pub(crate) flushed_lock: Mutex<()>,
    /// Why the store takes no spans; `None` while it does.
    health: Mutex<Health>,
    /// Log segments below this may go; 0 when they are gone.
    pub(crate) log_floor: AtomicU64,
    pub(crate) counters: Counters,
}

#[derive(Default)]
struct Health {
    /// For good: an fsync failed.
    poisoned: Option<String>,
    /// Until it works again: a block cannot be written.
    flush: Option<String>,
}

/// What happened since the store was opened.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) flushes: AtomicU64,
    pub(crate) compactions: AtomicU64,
    pub(crate) expired_blocks: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    pub(crate) log_syncs: AtomicU64,
    pub(crate) torn_bytes: AtomicU64,
    pub(crate) bytes_on_disk: AtomicU64,
}

impl Shared {
    pub(crate) fn new(options: StoreOptions, objects: Arc<dyn Objects>, state: State) -> Self {
        Self {
            options,
            objects,
            state: RwLock::new(state),
            flushed: Condvar::new(),
            flushed_lock: Mutex::new(()),
            health: Mutex::default(),
            log_floor: AtomicU64::new(0),
            counters: Counters::default(),
        }
    }

    /// Runs `f` on the state. A panic of another thread under the lock leaves the state readable:
    /// every change is one assignment.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        f(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn write<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn now(&self) -> i64 {
        (self.options.now_unix_nano)()
    }

    /// Takes no more spans until the process starts again.
    pub(crate) fn poison(&self, reason: &str) {
        tracing::error!(reason, "the log failed; no more spans are taken until a restart");
        lock(&self.health).poisoned = Some(reason.to_owned());
    }

    pub(crate) fn poisoned(&self) -> Option<String> {
        lock(&self.health).poisoned.clone()
    }

    /// Notes whether blocks can be written, and logs once when that changes.
    pub(crate) fn note_flush(&self, failure: Option<String>) {
        let mut health = lock(&self.health);
        match (&health.flush, &failure) {
            (None, Some(reason)) => tracing::error!(reason, "cannot write a block; will try again"),
            (Some(_), None) => tracing::info!("blocks can be written again"),
            _ => {}
        }
        health.flush = failure;
    }

    pub(crate) fn health(&self) -> Result<(), String> {
        let health = lock(&self.health);
        match health.poisoned.as_ref().or(health.flush.as_ref()) {
            Some(reason) => Err(reason.clone()),
            None => Ok(()),
        }
    }

    pub(crate) fn tell_flushed(&self) {
        let _guard = lock(&self.flushed_lock);
        self.flushed.notify_all();
    }

    pub(crate) fn count(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}

/// Locks, also after a panic elsewhere: what these locks guard is whole at every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
