//! The store's door: open, append, look, close.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use throughline_model::SpanBatch;
use throughline_topology::{Linker, LinkerLimits};

use crate::block::{self, Block};
use crate::catalogue::{CatalogState, FileCatalog};
use crate::flusher::{FlushCommand, Flusher, sum_of_maps};
use crate::seams::{Catalog, Directory, Log, Objects};
use crate::state::{Memtable, Shared, State, lock};
use crate::wal::{FileLog, encode_record};
use crate::writer::{Command, Writer};
use crate::{AppendError, OpenError, Snapshot, StoreOptions};

/// Spans on disk and in memory, for one process. Dropping it closes it.
pub struct Store {
    shared: Arc<Shared>,
    commands: SyncSender<Command>,
    flusher: SyncSender<FlushCommand>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held for as long as the store is open.
    _lock: File,
}

type WrapFn<T> = Box<dyn FnOnce(T) -> T>;

/// Puts something between the store and its seams.
pub struct Wrap {
    /// Between the writer and the log.
    pub log: WrapFn<Box<dyn Log>>,
    /// Between everything and the blocks.
    pub objects: WrapFn<Arc<dyn Objects>>,
    /// Between the flusher and the catalogue.
    pub catalog: WrapFn<Box<dyn Catalog>>,
}

impl Default for Wrap {
    fn default() -> Self {
        Self {
            log: Box::new(|log| log),
            objects: Box::new(|objects| objects),
            catalog: Box::new(|catalog| catalog),
        }
    }
}

/// Numbers about a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Spans held, copies in different blocks counted each.
    pub spans: u64,
    /// Traces held; one that lies in two blocks counts twice.
    pub traces: u64,
    /// Blocks.
    pub blocks: u64,
    /// Bytes of all blocks with their sidecars.
    pub bytes_on_disk: u64,
    /// Bytes of the open log segment.
    pub log_bytes: u64,
    /// Spans that are in the log and not in a block.
    pub memtable_spans: u64,
    /// Bytes that these spans take in memory.
    pub memtable_bytes: u64,
    /// How many of these bytes are the index of the messages.
    pub message_index_bytes: u64,
    /// Earliest start of a span, nanoseconds since the epoch.
    pub oldest_unix_nano: Option<i64>,
    /// Latest start of a span, nanoseconds since the epoch.
    pub newest_unix_nano: Option<i64>,
    /// Blocks written since the store was opened.
    pub flushes: u64,
    /// Compactions since the store was opened.
    pub compactions: u64,
    /// Blocks removed by retention since the store was opened.
    pub expired_blocks: u64,
    /// fdatasyncs of the log since the store was opened.
    pub log_syncs: u64,
    /// Bytes of torn records that were cut when the store was opened.
    pub torn_bytes: u64,
}

impl Store {
    /// Opens the store of a directory, which is made when it is not there.
    ///
    /// Spans of the log that are in no block are in memory when it returns.
    pub fn open(options: StoreOptions) -> Result<Self, OpenError> {
        Self::open_with(options, Wrap::default())
    }

    /// As [`Store::open`], with each seam wrapped: how tests make a disk fail.
    pub fn open_with(options: StoreOptions, wrap: Wrap) -> Result<Self, OpenError> {
        let directory = options.directory.clone();
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        std::fs::create_dir_all(&directory).map_err(io(&directory))?;
        let guard = take_lock(&directory)?;
        let catalog = FileCatalog::new(directory.clone());
        let catalogue = catalog.load()?;
        let blocks_path = directory.join("blocks");
        let objects = Directory::new(blocks_path.clone()).map_err(io(&blocks_path))?;
        let objects = (wrap.objects)(Arc::new(objects));
        let blocks = open_blocks(&*objects, &catalogue)?;
        let (log, replayed) = FileLog::open(&directory.join("log"), catalogue.log_floor)?;
        remove_unlisted(&*objects, &catalogue).map_err(io(&blocks_path))?;

        let mut linker = Linker::new(LinkerLimits::default());
        let mut active = Memtable::default();
        let mut torn_bytes = 0;
        for segment in replayed {
            torn_bytes += segment.torn_bytes;
            if segment.torn_bytes > 0 {
                let (number, bytes) = (segment.number, segment.torn_bytes);
                tracing::warn!(number, bytes, "cut the torn tail of a log segment");
            }
            for batch in segment.batches {
                if options.holds_spans {
                    linker.observe_into(&mut lock(&active.map), &[&batch]);
                    lock(&active.messages).add(&batch);
                }
                active.push(Arc::new(batch));
            }
        }
        let replays = !active.batches.is_empty();
        let blocks_map = Arc::new(sum_of_maps(&blocks));
        let state = State { active, frozen: None, blocks: Arc::new(blocks), blocks_map, notes: 0 };
        let queue_max = options.queue_max;
        let shared = Arc::new(Shared::new(options, objects, state));
        shared.counters.torn_bytes.store(torn_bytes, Ordering::Relaxed);
        let bytes = catalogue.blocks.iter().map(|block| block.size_bytes).sum();
        shared.counters.bytes_on_disk.store(bytes, Ordering::Relaxed);

        let (commands, command_receiver) = sync_channel(queue_max);
        let (flusher, flush_receiver) = sync_channel(4);
        let writer = Writer {
            shared: shared.clone(),
            commands: command_receiver,
            flusher: flusher.clone(),
            log: (wrap.log)(Box::new(log)),
            linker,
            oldest: replays.then(std::time::Instant::now),
        };
        let flush_thread = Flusher {
            shared: shared.clone(),
            commands: flush_receiver,
            catalog: (wrap.catalog)(Box::new(catalog)),
            state: catalogue,
        };
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(io(&directory))
        };
        let threads = vec![
            spawn("store-writer", Box::new(move || writer.run()))?,
            spawn("store-flusher", Box::new(move || flush_thread.run()))?,
        ];
        Ok(Self { shared, commands, flusher, threads: Mutex::new(threads), _lock: guard })
    }

    /// Takes spans. `done` is called once, from another thread: with `Ok` when they are on disk
    /// (after fdatasync) *and* visible to every [`Store::snapshot`] taken from then on.
    ///
    /// Never waits: when too much is queued, `done` gets [`AppendError::Busy`] at once.
    pub fn append(
        &self,
        batch: SpanBatch,
        done: impl FnOnce(Result<(), AppendError>) + Send + 'static,
    ) {
        if batch.is_empty() {
            return done(Ok(()));
        }
        if let Some(reason) = self.shared.poisoned() {
            return done(Err(AppendError::Failed(reason)));
        }
        let record = match encode_record(&batch) {
            Ok(record) => record,
            Err(err) => return done(Err(AppendError::Failed(err.to_string()))),
        };
        let command = Command::Append { batch: Arc::new(batch), record, done: Box::new(done) };
        match self.commands.try_send(command) {
            Ok(()) => {}
            Err(TrySendError::Full(Command::Append { done, .. })) => done(Err(AppendError::Busy)),
            Err(TrySendError::Disconnected(Command::Append { done, .. })) => {
                done(Err(AppendError::Closed));
            }
            Err(_) => unreachable!("what was sent is an append"),
        }
    }

    /// Everything acknowledged so far.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.read(Snapshot::new)
    }

    /// Whether spans can be taken, or why not.
    pub fn is_healthy(&self) -> Result<(), String> {
        self.shared.health()
    }

    /// Writes what is in memory as a block, and waits for it.
    pub fn flush(&self) {
        let (done, answer) = sync_channel(1);
        if self.commands.send(Command::Flush { done }).is_ok() {
            let _ = answer.recv();
        }
    }

    /// Forgets every span, in memory and on disk.
    pub fn reset(&self) -> std::io::Result<()> {
        let (done, answer) = sync_channel(1);
        let closed = || std::io::Error::other("the store is closed");
        self.commands.send(Command::Reset { done }).map_err(|_| closed())?;
        answer.recv().map_err(|_| closed())?
    }

    /// Numbers as of now.
    pub fn stats(&self) -> StoreStats {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.shared.counters;
        let mut stats = self.shared.read(|state| {
            let memory = state.frozen.iter().flat_map(|frozen| &frozen.batches);
            let memory = || memory.clone().chain(&state.active.batches);
            let groups = || {
                let parts = state.blocks.iter().flat_map(|block| &block.sidecar.parts);
                parts.flat_map(|part| &part.meta.groups)
            };
            let starts = || memory().flat_map(|batch| batch.starts().iter().copied());
            let spans = state.active.spans + state.frozen.as_ref().map_or(0, |f| f.spans);
            let traces: usize = state
                .blocks
                .iter()
                .flat_map(|block| &block.sidecar.parts)
                .map(|part| part.traces.len())
                .sum();
            StoreStats {
                spans: spans + state.blocks.iter().map(|block| block.rows()).sum::<u64>(),
                traces: traces as u64,
                blocks: state.blocks.len() as u64,
                memtable_spans: spans,
                memtable_bytes: state.active.size_bytes() as u64,
                message_index_bytes: lock(&state.active.messages).size_bytes() as u64,
                oldest_unix_nano: groups().map(|g| g.min_start).chain(starts()).min(),
                newest_unix_nano: groups().map(|g| g.max_start).chain(starts()).max(),
                ..StoreStats::default()
            }
        });
        stats.bytes_on_disk = load(&counters.bytes_on_disk);
        stats.log_bytes = load(&counters.log_bytes);
        stats.flushes = load(&counters.flushes);
        stats.compactions = load(&counters.compactions);
        stats.expired_blocks = load(&counters.expired_blocks);
        stats.log_syncs = load(&counters.log_syncs);
        stats.torn_bytes = load(&counters.torn_bytes);
        stats
    }

    /// Writes everything out and ends the threads. What comes after is refused.
    pub fn close(&self) {
        let threads = std::mem::take(&mut *lock(&self.threads));
        if threads.is_empty() {
            return;
        }
        let mut threads = threads.into_iter();
        // The writer hands its last memtable to the flusher, so it ends first.
        let _ = self.commands.send(Command::Close);
        let _ = threads.next().map(JoinHandle::join);
        let _ = self.flusher.send(FlushCommand::Close);
        let _ = threads.next().map(JoinHandle::join);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

fn take_lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| OpenError::Io { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

fn open_blocks(objects: &dyn Objects, state: &CatalogState) -> Result<Vec<Arc<Block>>, OpenError> {
    let open = |name: &String| {
        let block = Block::open(objects, name);
        block.map(Arc::new).map_err(|source| OpenError::Block { name: name.clone(), source })
    };
    state.blocks.iter().map(|entry| open(&entry.name)).collect()
}

/// Removes files of blocks that were being written or removed when the process ended.
fn remove_unlisted(objects: &dyn Objects, state: &CatalogState) -> std::io::Result<()> {
    let listed: std::collections::HashSet<_> = state
        .blocks
        .iter()
        .flat_map(|entry| [block::parquet_name(&entry.name), block::sidecar_name(&entry.name)])
        .collect();
    for name in objects.list()? {
        let ours = [".parquet", ".side", ".tmp"].iter().any(|end| name.ends_with(end));
        if ours && !listed.contains(&name) {
            objects.remove(&name)?;
        }
    }
    Ok(())
}
