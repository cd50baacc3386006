//! State on disk: one JSON file a service, replaced whole when it changed.
//!
//! In:   everything [`Kept`]. Out: `DIR/state/NAME.json`, written to a second file, synced and renamed.
//! Rule: what the last quarter of a second changed may be lost when the program is killed; nothing is torn.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::seams::Kept;
use crate::sync::lock;

/// How often changes are looked for.
const INTERVAL: Duration = Duration::from_millis(100);
/// Writing may take this part of the time at most: a large state is written less often.
const PAUSE_FACTOR: u32 = 10;

/// Why state could not be kept or taken back.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The directory belongs to another process.
    #[error("{} is in use by another local cloud", .0.display())]
    InUse(PathBuf),
    /// The disk refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what we wrote.
    #[error("{}: {reason}; move the file away to start without it", .path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The parts and their directory.
pub(crate) struct Snapshot {
    directory: PathBuf,
    parts: Vec<Part>,
    _lock: File,
}

struct Part {
    kept: Arc<dyn Kept>,
    written: Mutex<Written>,
}

struct Written {
    changes: u64,
    next: Instant,
}

impl Snapshot {
    /// Takes the directory and loads every part that has a file.
    pub(crate) fn open(data: &Path, parts: Vec<Arc<dyn Kept>>) -> Result<Self, SnapshotError> {
        let directory = data.join("state");
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| SnapshotError::Io { path, source }
        };
        std::fs::create_dir_all(&directory).map_err(io(&directory))?;
        let lock_path = data.join("lock");
        let lock_file = File::create(&lock_path).map_err(io(&lock_path))?;
        if lock_file.try_lock().is_err() {
            return Err(SnapshotError::InUse(data.to_owned()));
        }
        for part in &parts {
            let path = directory.join(format!("{}.json", part.name()));
            let text = match std::fs::read(&path) {
                Ok(text) => text,
                Err(err) if err.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(SnapshotError::Io { path, source }),
            };
            let loaded = serde_json::from_slice(&text).map_err(|err| err.to_string());
            if let Err(reason) = loaded.and_then(|saved| part.load(saved)) {
                return Err(SnapshotError::Broken { path, reason });
            }
        }
        let now = Instant::now();
        let parts = parts.into_iter().map(|kept| {
            let written = Mutex::new(Written { changes: kept.changes(), next: now });
            Part { kept, written }
        });
        Ok(Self { directory, parts: parts.collect(), _lock: lock_file })
    }

    /// Writes what changed, again and again, until told to stop; then once more.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let stopped = tokio::time::timeout(INTERVAL, stop.cancelled()).await.is_ok();
            let this = Arc::clone(&self);
            let wrote = tokio::task::spawn_blocking(move || this.write(stopped)).await;
            if let Ok(Err(err)) = wrote {
                tracing::error!(%err, "state is not kept");
            }
            if stopped {
                return;
            }
        }
    }

    fn write(&self, all: bool) -> Result<(), SnapshotError> {
        for Part { kept, written } in &self.parts {
            let mut written = lock(written);
            let changes = kept.changes();
            let begun = Instant::now();
            if changes == written.changes || (begun < written.next && !all) {
                continue;
            }
            let path = self.directory.join(format!("{}.json", kept.name()));
            let text = kept.save().to_string();
            replace(&path, text.as_bytes()).map_err(|source| SnapshotError::Io { path, source })?;
            written.changes = changes;
            written.next = Instant::now() + begun.elapsed() * PAUSE_FACTOR;
        }
        Ok(())
    }
}

/// Writes a file so that a reader finds the old bytes or the new ones.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let unfinished = path.with_extension("part");
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::place::Place;
    use crate::services::iam::Iam;

    fn iam() -> Arc<Iam> {
        Arc::new(Iam::new(Arc::new(Place::new("us-east-1", "000000000000"))))
    }

    #[test]
    fn what_changed_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let before = iam();
        let snapshot = Snapshot::open(directory.path(), vec![before.clone()]).unwrap();
        before.create_role("r", "/", "{}").unwrap();
        snapshot.write(false).unwrap();
        let taken = Snapshot::open(directory.path(), vec![iam()]);
        assert!(matches!(taken, Err(SnapshotError::InUse(_))));
        drop(snapshot);
        let after = iam();
        let _snapshot = Snapshot::open(directory.path(), vec![after.clone()]).unwrap();
        assert_eq!(after.role("r").unwrap().name, "r");
    }

    #[test]
    fn a_broken_file_is_named_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/iam.json");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "{").unwrap();
        let error = Snapshot::open(directory.path(), vec![iam()]).err().unwrap();
        assert!(error.to_string().contains("iam.json"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"{");
        std::fs::write(&path, Value::from(3).to_string()).unwrap();
        assert!(matches!(
            Snapshot::open(directory.path(), vec![iam()]),
            Err(SnapshotError::Broken { .. })
        ));
    }
}
