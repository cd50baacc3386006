//! The one thread that writes the log: group commit, then visible, then acknowledged.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use throughline_model::SpanBatch;
use throughline_topology::{Linker, LinkerLimits};

use crate::AppendError;
use crate::flusher::FlushCommand;
use crate::seams::Log;
use crate::state::{Frozen, Memtable, Shared, lock};

/// Called once, when the spans are durable and visible, or will not be.
pub(crate) type Done = Box<dyn FnOnce(Result<(), AppendError>) + Send>;

pub(crate) enum Command {
    Append {
        batch: Arc<SpanBatch>,
        record: Vec<u8>,
        done: Done,
    },
    /// Writes what is in memory as a block; answers when it is one.
    Flush {
        done: SyncSender<()>,
    },
    /// Forgets every span; answers when the disk has too.
    Reset {
        done: SyncSender<std::io::Result<()>>,
    },
    /// Flushes and ends the thread.
    Close,
}

/// Bytes of records that are written and synced together at most.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// How often an idle writer looks at the age of its memtable.
const TICK: Duration = Duration::from_millis(250);

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: Receiver<Command>,
    pub(crate) flusher: SyncSender<FlushCommand>,
    pub(crate) log: Box<dyn Log>,
    pub(crate) linker: Linker,
    /// When the oldest span of the memtable came.
    pub(crate) oldest: Option<Instant>,
}

impl Writer {
    /// Runs until [`Command::Close`], or until every sender is gone.
    pub(crate) fn run(mut self) {
        let mut waiting: Option<Command> = None;
        loop {
            let command = match waiting.take() {
                Some(command) => Ok(command),
                None => self.commands.recv_timeout(TICK),
            };
            match command {
                Ok(Command::Append { batch, record, done }) => {
                    waiting = self.commit_group(Pending { batch, record, done });
                }
                Ok(Command::Flush { done }) => {
                    self.freeze();
                    self.wait_until_flushed();
                    let _ = done.send(());
                }
                Ok(Command::Reset { done }) => {
                    let _ = done.send(self.reset());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Command::Close) | Err(RecvTimeoutError::Disconnected) => {
                    self.freeze();
                    self.wait_until_flushed();
                    self.drop_flushed_segments();
                    return;
                }
            }
            self.keep_house();
        }
    }

    /// Writes `first` and what has come since as one group. Gives a command of another kind back.
    fn commit_group(&mut self, first: Pending) -> Option<Command> {
        let mut bytes = first.record.len();
        let mut group = vec![first];
        let mut other = None;
        while bytes < GROUP_BYTES_MAX && other.is_none() {
            match self.commands.try_recv() {
                Ok(Command::Append { batch, record, done }) => {
                    bytes += record.len();
                    group.push(Pending { batch, record, done });
                }
                Ok(command) => other = Some(command),
                Err(_) => break,
            }
        }
        match self.make_durable(&group) {
            Ok(()) => {
                self.make_visible(&group);
                group.into_iter().for_each(|pending| (pending.done)(Ok(())));
            }
            Err(error) => group.into_iter().for_each(|p| (p.done)(Err(error.clone()))),
        }
        other
    }

    fn make_durable(&mut self, group: &[Pending]) -> Result<(), AppendError> {
        if let Some(reason) = self.shared.poisoned() {
            return Err(AppendError::Failed(reason));
        }
        let records: Vec<&[u8]> = group.iter().map(|pending| &pending.record[..]).collect();
        // A write that failed leaves the log as it was, so the next one may succeed.
        self.log.append(&records).map_err(|err| AppendError::Failed(err.to_string()))?;
        self.log.sync().map_err(|err| {
            let reason = format!("fsync of the log failed: {err}");
            self.shared.poison(&reason);
            AppendError::Failed(reason)
        })?;
        Shared::count(&self.shared.counters.log_syncs, 1);
        self.shared.counters.log_bytes.store(self.log.size_bytes(), Ordering::Relaxed);
        Ok(())
    }

    fn make_visible(&mut self, group: &[Pending]) {
        let batches: Vec<&SpanBatch> = group.iter().map(|pending| &*pending.batch).collect();
        let (map, messages) =
            self.shared.read(|state| (state.active.map.clone(), state.active.messages.clone()));
        let mut notes = 0;
        if self.shared.options.holds_spans {
            self.linker.observe_into(&mut lock(&map), &batches);
            notes = batches.iter().map(|batch| lock(&messages).add(batch)).sum();
        }
        self.shared.write(|state| {
            state.notes += notes;
            for pending in group {
                state.active.push(pending.batch.clone());
            }
        });
        self.oldest.get_or_insert_with(Instant::now);
    }

    /// Freezes a memtable that is full or old, and drops log segments that blocks have taken over.
    fn keep_house(&mut self) {
        self.drop_flushed_segments();
        let options = &self.shared.options;
        let max = options.memtable_bytes_max;
        let old = Duration::from_millis(options.flush_after_ms);
        let (bytes, busy) = self.shared.read(|s| (s.active.size_bytes(), s.frozen.is_some()));
        let due = bytes >= max || self.oldest.is_some_and(|oldest| oldest.elapsed() >= old);
        if due && !busy {
            self.freeze();
        } else if bytes >= max && busy {
            // Memory is bounded: take nothing more before the flush in progress is done.
            self.wait_until_flushed();
            self.freeze();
        }
    }

    fn drop_flushed_segments(&mut self) {
        // Swapped, so that the directory is read once a flush and not once a batch.
        let floor = self.shared.log_floor.swap(0, Ordering::AcqRel);
        if floor > 0
            && let Err(err) = self.log.remove_below(floor)
        {
            // Harmless: the catalogue says they are done, and the next start removes them.
            tracing::warn!(%err, "cannot remove a log segment");
        }
    }

    /// Hands the memtable to the flusher, when there is anything and the place is free.
    fn freeze(&mut self) {
        self.wait_until_flushed();
        let (empty, busy) = self.shared.read(|s| (s.active.batches.is_empty(), s.frozen.is_some()));
        if empty || busy || self.shared.poisoned().is_some() {
            return;
        }
        let segment = match self.log.rotate() {
            Ok(segment) => segment,
            Err(err) => {
                self.shared.note_flush(Some(format!("cannot start a log segment: {err}")));
                return;
            }
        };
        self.shared.write(|state| {
            let Memtable { batches, map, messages, spans, .. } = std::mem::take(&mut state.active);
            state.frozen = Some(Arc::new(Frozen { batches, map, messages, spans, segment }));
        });
        self.oldest = None;
        self.shared.counters.log_bytes.store(self.log.size_bytes(), Ordering::Relaxed);
        // A full channel means that the flusher is about to look anyway.
        let _ = self.flusher.try_send(FlushCommand::Flush);
    }

    /// Waits until no memtable is frozen, or the flusher reports that it cannot write.
    fn wait_until_flushed(&self) {
        let mut guard = lock(&self.shared.flushed_lock);
        while self.shared.read(|state| state.frozen.is_some()) && self.shared.health().is_ok() {
            guard = match self.shared.flushed.wait_timeout(guard, TICK) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn reset(&mut self) -> std::io::Result<()> {
        self.wait_until_flushed();
        let ended = self.log.rotate()?;
        self.linker = Linker::new(LinkerLimits::default());
        self.oldest = None;
        self.shared.write(|state| {
            state.active = Memtable::default();
            state.frozen = None;
        });
        let (done, answer) = std::sync::mpsc::sync_channel(1);
        let command = FlushCommand::Reset { log_floor: ended + 1, done };
        self.flusher.send(command).map_err(std::io::Error::other)?;
        answer.recv().map_err(std::io::Error::other)??;
        self.log.remove_below(ended + 1)
    }
}

struct Pending {
    batch: Arc<SpanBatch>,
    record: Vec<u8>,
    done: Done,
}
