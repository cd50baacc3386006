//! A disk that fails: full, unsyncable, and good again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use throughline_store::{AppendError, Log, Objects, Store, StoredObject, Wrap};

use crate::support::{append, merged, open, options, trace, trace_id};

/// What a test breaks and mends.
#[derive(Clone, Default)]
struct Faults {
    write: Arc<AtomicBool>,
    sync: Arc<AtomicBool>,
    put: Arc<AtomicBool>,
}

fn full(broken: &AtomicBool) -> io::Result<()> {
    if broken.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

struct FaultyLog(Box<dyn Log>, Faults);

impl Log for FaultyLog {
    fn append(&mut self, records: &[&[u8]]) -> io::Result<()> {
        full(&self.1.write)?;
        self.0.append(records)
    }

    fn sync(&mut self) -> io::Result<()> {
        full(&self.1.sync)?;
        self.0.sync()
    }

    fn rotate(&mut self) -> io::Result<u64> {
        self.0.rotate()
    }

    fn remove_below(&mut self, number: u64) -> io::Result<()> {
        self.0.remove_below(number)
    }

    fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }
}

struct FaultyObjects(Arc<dyn Objects>, Faults);

impl Objects for FaultyObjects {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        full(&self.1.put)?;
        self.0.put(name, bytes)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredObject>> {
        self.0.open(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
}

fn faulty(directory: &std::path::Path) -> (Store, Faults) {
    let faults = Faults::default();
    let (for_log, for_objects) = (faults.clone(), faults.clone());
    let wrap = Wrap {
        log: Box::new(|log| Box::new(FaultyLog(log, for_log))),
        objects: Box::new(|objects| Arc::new(FaultyObjects(objects, for_objects))),
        ..Wrap::default()
    };
    (Store::open_with(options(directory), wrap).unwrap(), faults)
}

#[test]
fn after_a_failed_fsync_nothing_more_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let (store, faults) = faulty(directory.path());
    append(&store, trace(1, 5)).unwrap();
    faults.sync.store(true, Ordering::SeqCst);
    assert!(matches!(append(&store, trace(2, 5)), Err(AppendError::Failed(_))));
    // The disk may say it is well again; what it holds is unknown all the same.
    faults.sync.store(false, Ordering::SeqCst);
    assert!(matches!(append(&store, trace(3, 5)), Err(AppendError::Failed(_))));
    assert!(store.is_healthy().is_err());
    // What was acknowledged can still be read, now and after a restart.
    assert_eq!(merged(&store.snapshot(), 1).len(), 5);
    assert!(store.snapshot().trace(trace_id(3)).unwrap().is_empty());
    drop(store);
    assert_eq!(merged(&open(directory.path()).snapshot(), 1).len(), 5);
}

#[test]
fn a_full_disk_refuses_and_takes_again_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let (store, faults) = faulty(directory.path());
    append(&store, trace(1, 5)).unwrap();
    faults.write.store(true, Ordering::SeqCst);
    assert!(matches!(append(&store, trace(2, 5)), Err(AppendError::Failed(_))));
    faults.write.store(false, Ordering::SeqCst);
    append(&store, trace(3, 5)).unwrap();
    drop(store);
    let again = open(directory.path());
    assert_eq!(merged(&again.snapshot(), 1).len(), 5);
    assert!(again.snapshot().trace(trace_id(2)).unwrap().is_empty());
    assert_eq!(merged(&again.snapshot(), 3).len(), 5);
}

#[test]
fn a_block_that_cannot_be_written_is_written_later_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (store, faults) = faulty(directory.path());
    append(&store, trace(1, 5)).unwrap();
    faults.put.store(true, Ordering::SeqCst);
    store.flush();
    assert!(store.is_healthy().is_err());
    assert_eq!(merged(&store.snapshot(), 1).len(), 5);
    faults.put.store(false, Ordering::SeqCst);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while store.is_healthy().is_err() {
        assert!(std::time::Instant::now() < deadline, "the store never got well");
        std::thread::yield_now();
    }
    append(&store, trace(2, 5)).unwrap();
    store.flush();
    assert_eq!(store.stats().memtable_spans, 0);
    drop(store);
    let again = open(directory.path());
    assert_eq!(again.stats().spans, 10);
    assert_eq!(merged(&again.snapshot(), 1).len(), 5);
}
