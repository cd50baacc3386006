//! After a crash: what was acknowledged is there, once, and nothing else breaks.

use std::fs;
use std::path::{Path, PathBuf};

use throughline_store::{OpenError, Store};

use crate::support::{append, merged, open, options, trace, trace_id};

/// What a `kill -9` leaves: the files as they are, without the process.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn last_segment(directory: &Path) -> PathBuf {
    let mut all: Vec<_> =
        fs::read_dir(directory.join("log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|end| end == "log"));
    all.sort();
    all.pop().unwrap()
}

#[test]
fn what_was_acknowledged_survives_at_every_moment() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for n in 0..12 {
        append(&store, trace(n, 5)).unwrap();
        if n % 5 == 4 {
            store.flush();
        }
        let left = tempfile::tempdir().unwrap();
        copy(directory.path(), left.path());
        let again = open(left.path());
        let snapshot = again.snapshot();
        for earlier in 0..=n {
            let expected = merged(&store.snapshot(), earlier);
            assert_eq!(merged(&snapshot, earlier), expected, "trace {earlier} of {n}");
        }
        assert_eq!(again.stats().spans, (n + 1) * 5, "no span twice");
    }
}

#[test]
fn a_torn_tail_is_cut_wherever_it_was_torn() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, trace(1, 3)).unwrap();
    let whole = fs::metadata(last_segment(directory.path())).unwrap().len();
    append(&store, trace(2, 3)).unwrap();
    let segment = last_segment(directory.path());
    let bytes = fs::read(&segment).unwrap();
    drop(store);
    for end in (whole..bytes.len() as u64).step_by(7) {
        let left = tempfile::tempdir().unwrap();
        fs::create_dir_all(left.path().join("log")).unwrap();
        let torn = left.path().join("log").join(segment.file_name().unwrap());
        fs::write(&torn, &bytes[..end as usize]).unwrap();
        let store = open(left.path());
        assert_eq!(merged(&store.snapshot(), 1).len(), 3);
        assert!(store.snapshot().trace(trace_id(2)).unwrap().is_empty());
        assert_eq!(store.stats().torn_bytes, end - whole);
        append(&store, trace(3, 4)).unwrap();
        drop(store);
        let store = open(left.path());
        assert_eq!(merged(&store.snapshot(), 3).len(), 4);
        assert_eq!(store.stats().torn_bytes, 0, "cut once");
    }
}

#[test]
fn a_flipped_byte_in_the_log_costs_only_what_lies_behind_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, trace(1, 3)).unwrap();
    let whole = fs::metadata(last_segment(directory.path())).unwrap().len() as usize;
    append(&store, trace(2, 3)).unwrap();
    let left = tempfile::tempdir().unwrap();
    copy(directory.path(), left.path());
    let segment = last_segment(left.path());
    let mut bytes = fs::read(&segment).unwrap();
    bytes[whole + 20] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let again = open(left.path());
    assert_eq!(merged(&again.snapshot(), 1).len(), 3);
    assert!(again.snapshot().trace(trace_id(2)).unwrap().is_empty());
    // What was cut is kept beside the segment.
    assert!(segment.with_extension("torn").exists());
}

#[test]
fn files_that_the_catalogue_does_not_list_are_swept() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, trace(1, 3)).unwrap();
    store.flush();
    drop(store);
    let stray = directory.path().join("blocks/00000000000000ff.parquet");
    fs::write(&stray, b"half a block").unwrap();
    let store = open(directory.path());
    assert!(!stray.exists());
    assert_eq!(merged(&store.snapshot(), 1).len(), 3);
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_touched() {
    for file in ["catalogue", "log", "side"] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        append(&store, trace(1, 3)).unwrap();
        store.flush();
        append(&store, trace(2, 3)).unwrap();
        let left = tempfile::tempdir().unwrap();
        copy(directory.path(), left.path());
        let path = match file {
            "catalogue" => left.path().join("catalogue"),
            "log" => last_segment(left.path()),
            _ => left.path().join("blocks/0000000000000001.side"),
        };
        let mut bytes = fs::read(&path).unwrap();
        match file {
            "catalogue" => {
                let text = String::from_utf8(bytes).unwrap();
                bytes = text.replace("\"version\":1", "\"version\":9").into_bytes();
            }
            _ => bytes[4] = 9,
        }
        fs::write(&path, &bytes).unwrap();
        let stray = left.path().join("blocks/00000000000000ff.parquet");
        fs::write(&stray, b"may belong to the newer version").unwrap();
        match Store::open(options(left.path())) {
            Err(OpenError::TooNew { .. } | OpenError::Block { .. }) => {}
            Err(other) => panic!("{file}: {other}"),
            Ok(_) => panic!("{file}: opened"),
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "{file}");
        assert!(stray.exists(), "{file}");
    }
}

#[test]
fn a_damaged_block_is_an_error_for_its_readers_and_never_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, trace(1, 50)).unwrap();
    store.flush();
    drop(store);
    let path = directory.path().join("blocks/0000000000000001.parquet");
    let bytes = fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(97) {
        let mut broken = bytes.clone();
        broken[at] ^= 0x21;
        fs::write(&path, broken).unwrap();
        let store = open(directory.path());
        let snapshot = store.snapshot();
        let _ = snapshot.trace(trace_id(1));
        for chunk in snapshot.chunks(i64::MIN, i64::MAX) {
            let _ = chunk.read(&[throughline_store::Column::Name]);
        }
    }
}
