//! The index from a message to the traces that may hold it.

use throughline_model::{AttrValue, SpanBatch, SpanBatchBuilder, TraceId};
use throughline_store::{StoreOptions, TRACES_PER_MESSAGE_MAX, Wanted};
use throughline_topology::stitch::{Direction, Receipt};

use crate::support::{append, options, span_id, trace_id};

/// A span that took a message.
fn taker(number: u64, receipt: &str) -> SpanBatch {
    let mut builder = SpanBatchBuilder::default();
    builder.start_span(trace_id(number), span_id(number));
    builder.times(number as i64, 1);
    builder.attribute("stitch.in", AttrValue::Str(receipt));
    builder.end_span();
    builder.finish()
}

#[test]
fn an_id_that_is_none_costs_no_more_than_its_limit_and_no_neighbour() {
    const CONSTANT: &str = "sqs|||00000000-0000-0000-0000-000000000000";
    const REAL: &str = "sqs|||5f0c";
    let wanted = |text| {
        let receipt = Receipt::parse(Direction::In, text).unwrap();
        Wanted::Consumed(receipt.key())
    };
    let count = 2 * TRACES_PER_MESSAGE_MAX as u64 + 40;
    for flush_every in [u64::MAX, count, 100, 7] {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions { compact_blocks: 1_000, ..options(directory.path()) };
        let store = throughline_store::Store::open(options).unwrap();
        append(&store, taker(count, REAL)).unwrap();
        for number in 0..count {
            append(&store, taker(number, CONSTANT)).unwrap();
            if (number + 1) % flush_every == 0 {
                store.flush();
            }
        }
        let snapshot = store.snapshot();
        let find = |wanted: &[Wanted<'_>], max| snapshot.traces_with(wanted, max).unwrap();
        let found = find(&[wanted(CONSTANT)], 10_000);
        assert_eq!(found.len(), TRACES_PER_MESSAGE_MAX, "{flush_every}");
        // The newest of those in memory.
        if flush_every == u64::MAX {
            assert!(found.contains(&trace_id(count - 1)) && !found.contains(&trace_id(0)));
        }
        let both = find(&[wanted(CONSTANT), wanted(REAL), wanted(REAL)], 10_000);
        assert!(both.contains(&trace_id(count)), "{flush_every}");
        assert_eq!(both.len(), TRACES_PER_MESSAGE_MAX + 1, "{flush_every}");
        assert_eq!(find(&[wanted(CONSTANT)], 5).len(), 5, "{flush_every}");
        assert_eq!(find(&[], 5), std::collections::HashSet::<TraceId>::new());
    }
}

#[test]
fn a_trace_has_as_many_pieces_wherever_they_lie() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions { compact_blocks: 2, ..options(directory.path()) };
    let store = throughline_store::Store::open(options).unwrap();
    let ids = [trace_id(1), trace_id(2), trace_id(3)];
    let counts = || {
        let counts = store.snapshot().piece_counts(&ids);
        ids.map(|id| counts.get(&id).copied())
    };
    assert_eq!(counts(), [None; 3]);
    append(&store, taker(1, "sqs|||a")).unwrap();
    append(&store, taker(2, "sqs|||b")).unwrap();
    for _ in ["memory", "block", "compacted"] {
        assert_eq!(counts(), [Some(1), Some(1), None]);
        store.flush();
    }
    append(&store, taker(1, "sqs|||c")).unwrap();
    for _ in ["memory and block", "two blocks, or one that was compacted"] {
        assert_eq!(counts(), [Some(2), Some(1), None]);
        store.flush();
    }
}
