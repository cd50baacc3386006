//! What any store must do, in memory, in one block and in many.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};
use throughline_model::{AttrType, NO_END, SpanBatch};
use throughline_store::{Column, OpenError, Scope, Store, StoreOptions};

use crate::support::{append, describe_all, merged, open, options, trace, trace_id};

#[test]
fn everything_works_when_empty() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let snapshot = store.snapshot();
    assert!(snapshot.trace(trace_id(1)).unwrap().is_empty());
    assert!(snapshot.chunks(i64::MIN, i64::MAX).is_empty());
    assert!(snapshot.attribute_keys().is_empty());
    store.flush();
    assert_eq!(store.stats().spans, 0);
    store.is_healthy().unwrap();
}

/// The same spans, held in each of the ways a store holds them.
fn each_way(spans: u64, check: impl Fn(&str, &Store, &[SpanBatch])) {
    let batches: Vec<_> = (0..20).map(|n| trace(n, spans)).collect();
    for way in ["memory", "one block", "many blocks", "half and half", "compacted", "reopened"] {
        let directory = tempfile::tempdir().unwrap();
        let compact_blocks = if way == "compacted" { 4 } else { 1000 };
        let options = StoreOptions { compact_blocks, ..options(directory.path()) };
        let mut store = Store::open(options.clone()).unwrap();
        for (n, batch) in batches.iter().enumerate() {
            append(&store, batch.clone()).unwrap();
            if way == "many blocks" || way == "compacted" || (way == "half and half" && n == 9) {
                store.flush();
            }
        }
        if way == "one block" {
            store.flush();
        }
        if way == "reopened" {
            drop(store);
            store = Store::open(options).unwrap();
        }
        if way == "compacted" {
            assert!(store.stats().blocks < 8, "{:?}", store.stats());
            assert!(store.stats().compactions > 0);
        }
        check(way, &store, &batches);
    }
}

#[test]
fn many_traces_are_read_at_once_each_into_its_own() {
    each_way(40, |way, store, batches| {
        let ids: Vec<_> = [9_999, 19, 0, 7, 7].map(trace_id).to_vec();
        let mut found = store.snapshot().traces(&ids).unwrap();
        for n in [19, 0, 7] {
            let pieces = found.remove(&trace_id(n)).unwrap_or_default();
            let expected = describe_all(&batches[n as usize..=n as usize]);
            assert_eq!(describe_all(&[pieces]), expected, "{way}");
        }
        assert!(found.is_empty(), "{way}");
    });
}

#[test]
fn a_trace_reads_back_as_it_was_sent() {
    each_way(40, |way, store, batches| {
        let snapshot = store.snapshot();
        for (n, batch) in batches.iter().enumerate() {
            let pieces = snapshot.trace(trace_id(n as u64)).unwrap();
            let expected = describe_all(std::slice::from_ref(batch));
            assert_eq!(describe_all(&[pieces]), expected, "{way}");
        }
        assert!(snapshot.trace(trace_id(9_999)).unwrap().is_empty(), "{way}");
    });
}

#[test]
fn columns_say_the_same_wherever_the_spans_are() {
    let attr = |key: &str, kind| Column::SpanAttr { key: key.to_owned(), kind };
    let resource = |key: &str, kind| Column::ResourceAttr { key: key.to_owned(), kind };
    let columns = [
        Column::TraceId,
        Column::SpanId,
        Column::ParentId,
        Column::Start,
        Column::Duration,
        Column::Name,
        Column::Kind,
        Column::Status,
        Column::StatusMessage,
        Column::Service,
        Column::Environment,
        Column::ScopeName,
        Column::HasEvents,
        Column::HasLinks,
        attr("http.route", AttrType::Str),
        attr("request.id", AttrType::Str),
        attr("http.response.status_code", AttrType::Int),
        attr("ratio", AttrType::Double),
        attr("cached", AttrType::Bool),
        attr("raw", AttrType::Bytes),
        attr("rare.3", AttrType::Str),
        attr("absent", AttrType::Str),
        resource("service.name", AttrType::Str),
        resource("host.cpus", AttrType::Int),
        resource("absent", AttrType::Int),
    ];
    let rows = |store: &Store| {
        let mut rows = Vec::new();
        for chunk in store.snapshot().chunks(i64::MIN, i64::MAX) {
            let batch = chunk.read(&columns).unwrap();
            assert_eq!(batch.num_rows(), chunk.rows());
            let options = arrow::util::display::FormatOptions::default().with_null("null");
            let cells: Vec<_> = batch
                .columns()
                .iter()
                .map(|c| arrow::util::display::ArrayFormatter::try_new(c, &options).unwrap())
                .collect();
            for row in 0..batch.num_rows() {
                let line: Vec<_> = cells.iter().map(|c| c.value(row).to_string()).collect();
                rows.push(line.join(" "));
            }
        }
        rows.sort();
        rows
    };
    let expected = std::cell::OnceCell::new();
    each_way(300, |way, store, _| {
        let rows = rows(store);
        let expected = expected.get_or_init(|| rows.clone());
        assert_eq!(rows.len(), 20 * 300, "{way}");
        assert_eq!(&rows, expected, "{way}");
        assert!(rows[0].contains("/v1/things"), "{}", rows[0]);
    });
}

#[test]
fn chosen_rows_come_back_whole() {
    each_way(30, |way, store, _| {
        for chunk in store.snapshot().chunks(i64::MIN, i64::MAX) {
            let wanted: Vec<u32> = (0..chunk.rows() as u32).filter(|row| row % 3 == 1).collect();
            let spans = chunk.spans(&wanted).unwrap();
            assert_eq!(spans.len(), wanted.len(), "{way}");
            let ids = chunk.read(&[Column::SpanId, Column::ParentId, Column::Start]).unwrap();
            for (row, span) in wanted.iter().zip(spans.spans()) {
                let id = ids.column(0).as_fixed_size_binary().value(*row as usize);
                assert_eq!(span.span_id().0, id, "{way}");
                let parents = ids.column(1).as_fixed_size_binary();
                let parent = parents.is_valid(*row as usize).then(|| parents.value(*row as usize));
                assert_eq!(span.parent_id().0, parent.unwrap_or(&[0; 8]), "{way}");
                let start = ids.column(2).as_primitive::<Int64Type>().value(*row as usize);
                assert_eq!(span.start_unix_nano(), start);
                assert_eq!(span.events().len(), 1);
            }
        }
    });
}

#[test]
fn chunks_come_newest_first_and_only_from_the_time_asked() {
    each_way(10, |way, store, batches| {
        let snapshot = store.snapshot();
        let chunks = snapshot.chunks(i64::MIN, i64::MAX);
        assert!(chunks.is_sorted_by_key(|chunk| std::cmp::Reverse(chunk.max_start())), "{way}");
        let last = batches.last().unwrap().starts()[0];
        assert!(snapshot.chunks(last, last).iter().map(|c| c.rows()).sum::<usize>() >= 1, "{way}");
        assert!(snapshot.chunks(last + 1_000_000, i64::MAX).is_empty(), "{way}");
    });
}

#[test]
fn keys_and_services_are_known_without_reading_rows() {
    each_way(40, |way, store, _| {
        let snapshot = store.snapshot();
        let keys = snapshot.attribute_keys();
        let count = |scope, key: &str, kind| {
            let mut all = keys.iter();
            let found = all.find(|k| (k.scope, &*k.key, k.kind) == (scope, key, kind));
            found.map(|k| k.count)
        };
        assert_eq!(count(Scope::Span, "http.route", AttrType::Str), Some(800), "{way}");
        assert_eq!(count(Scope::Event, "exception.type", AttrType::Str), Some(800), "{way}");
        assert_eq!(count(Scope::Link, "link.key", AttrType::Int), Some(200), "{way}");
        assert_eq!(count(Scope::Span, "absent", AttrType::Str), None, "{way}");
        for chunk in snapshot.chunks(i64::MIN, i64::MAX) {
            assert_eq!(chunk.attribute_types(Scope::Span, "ratio"), [AttrType::Double], "{way}");
            assert_eq!(chunk.attribute_types(Scope::Resource, "host.cpus"), [AttrType::Int]);
            assert_eq!(chunk.attribute_types(Scope::Event, "exception.type"), [AttrType::Str]);
            assert!(chunk.attribute_types(Scope::Span, "absent").is_empty());
            let service = chunk.read(&[Column::Service]).unwrap();
            let words = service.column(0).as_dictionary::<Int32Type>().values().as_string::<i32>();
            assert!(chunk.may_contain(&Column::Service, words.value(0)), "{way}");
        }
    });
}

#[test]
fn an_exact_copy_is_kept_once_and_pieces_are_kept_apart() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let batch = trace(1, 10);
    append(&store, batch.clone()).unwrap();
    append(&store, batch.clone()).unwrap();
    store.flush();
    assert_eq!(store.stats().spans, 10);
    // A third copy, in another block, goes when the trace is read.
    append(&store, batch).unwrap();
    store.flush();
    assert_eq!(store.stats().spans, 20);
    assert_eq!(merged(&store.snapshot(), 1).len(), 10);
}

#[test]
fn many_small_batches_are_as_good_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let expected: Vec<_> = (0..200).map(|n| trace(n, 1)).collect();
    for batch in &expected {
        append(&store, batch.clone()).unwrap();
    }
    let snapshot = store.snapshot();
    let found: Vec<_> = (0..200).map(|n| snapshot.trace(trace_id(n)).unwrap()).collect();
    assert_eq!(describe_all(&found), describe_all(&expected));
    assert!(store.stats().memtable_bytes < 200 * 5_000, "{:?}", store.stats());
}

#[test]
fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let second = Store::open(options(directory.path()));
    assert!(matches!(second, Err(OpenError::Locked { .. })));
    drop(store);
    open(directory.path());
}

#[test]
fn reset_forgets_everything_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, trace(1, 10)).unwrap();
    store.flush();
    append(&store, trace(2, 10)).unwrap();
    store.reset().unwrap();
    append(&store, trace(3, 5)).unwrap();
    let check = |store: &Store| {
        let snapshot = store.snapshot();
        assert!(snapshot.trace(trace_id(1)).unwrap().is_empty());
        assert!(snapshot.trace(trace_id(2)).unwrap().is_empty());
        assert_eq!(merged(&snapshot, 3).len(), 5);
        assert_eq!(store.stats().spans, 5);
    };
    check(&store);
    drop(store);
    check(&open(directory.path()));
}

#[test]
fn old_blocks_expire_by_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions { retention_bytes: Some(1), ..options(directory.path()) };
    let store = Store::open(options).unwrap();
    append(&store, trace(1, 10)).unwrap();
    store.flush();
    // Expiry runs right behind a flush, in the same thread: a second flush waits for it.
    append(&store, trace(2, 10)).unwrap();
    store.flush();
    assert!(store.snapshot().trace(trace_id(1)).unwrap().is_empty());
    assert!(store.stats().expired_blocks >= 1);
}

#[test]
fn an_unfinished_span_has_no_duration() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, trace(1, 10)).unwrap();
    store.flush();
    let chunk = store.snapshot().chunks(i64::MIN, i64::MAX).remove(0);
    let batch = chunk.read(&[Column::Duration]).unwrap();
    assert_eq!(batch.column(0).null_count(), 1);
    let pieces = store.snapshot().trace(trace_id(1)).unwrap();
    let open = pieces.durations().iter().filter(|d| **d == NO_END).count();
    assert_eq!(open, 1);
}
