//! Orders that need every match before the first answer: longest, shortest, oldest first.
//!
//! DataFusion groups the matching rows by trace and keeps the top; the few traces that win are then
//! read and checked, as everywhere. Traces with unfinished spans cannot be ranked by rows alone, for
//! another piece may change them: they are all read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use arrow::array::{AsArray, BooleanArray, FixedSizeBinaryBuilder, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::expr_fn::{bool_or, max, min};
use datafusion::prelude::col;
use throughline_model::TraceId;
use throughline_store::Chunk;

use crate::ast::Order;
use crate::run::{Reader, TRACES_READ_MAX, compare};
use crate::scan::{Candidate, Wanted, candidates};
use crate::summary::TraceSummary;
use crate::{RunError, engine};

/// The first `count` traces in an order other than newest first.
pub(crate) fn search(
    reader: &mut Reader<'_>,
    order: Order,
    count: usize,
) -> Result<Vec<TraceSummary>, RunError> {
    let wanted = Arc::new(reader.wanted.clone());
    let chunks = Arc::new(reader.snapshot.chunks(wanted.from, wanted.to));
    let any_unfinished = Arc::new(AtomicBool::new(false));
    let top = |unfinished: bool, rows: usize| {
        let (chunks, wanted, flag) = (chunks.clone(), wanted.clone(), any_unfinished.clone());
        let fill: Arc<engine::Fill> = Arc::new(move |take| scan(&chunks, &wanted, &flag, take));
        let plan = move |frame| top_traces(frame, order, unfinished, rows);
        engine::run(&schema(), fill, plan).map(|batches| trace_ids(&batches))
    };

    // A few more than asked, for rows whose merged span turns out not to match.
    let mut rows = count + 8;
    let mut found = loop {
        let ids = top(false, rows)?;
        let found = reader.read(&ids)?;
        if found.len() >= count || ids.len() < rows || reader.reads_left == 0 {
            break found;
        }
        rows = rows.saturating_mul(4);
    };
    if any_unfinished.load(Relaxed) {
        found.extend(reader.read(&top(true, TRACES_READ_MAX)?)?);
    }
    found.sort_by(|a, b| compare(order, a, b));
    found.truncate(count);
    Ok(found)
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("trace", DataType::FixedSizeBinary(16), false),
        Field::new("start", DataType::Int64, false),
        Field::new("duration", DataType::Int64, true),
        Field::new("unfinished", DataType::Boolean, false),
    ]))
}

fn scan(
    chunks: &[Chunk],
    wanted: &Wanted,
    any_unfinished: &AtomicBool,
    take: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<(), RunError> {
    for chunk in chunks {
        let found = candidates(chunk, wanted)?;
        if found.iter().any(|candidate| candidate.unfinished) {
            any_unfinished.store(true, Relaxed);
        }
        if !found.is_empty() && !take(batch(&found)?) {
            break;
        }
    }
    Ok(())
}

fn batch(candidates: &[Candidate]) -> Result<RecordBatch, RunError> {
    let broken = |err: arrow::error::ArrowError| RunError::Engine(err.to_string());
    let mut ids = FixedSizeBinaryBuilder::with_capacity(candidates.len(), 16);
    for candidate in candidates {
        ids.append_value(candidate.trace_id.0).map_err(broken)?;
    }
    let starts = Int64Array::from_iter_values(candidates.iter().map(|c| c.start));
    let durations: Int64Array = candidates.iter().map(|c| c.duration).collect();
    let unfinished: BooleanArray = candidates.iter().map(|c| Some(c.unfinished)).collect();
    let columns = vec![
        Arc::new(ids.finish()) as _,
        Arc::new(starts) as _,
        Arc::new(durations) as _,
        Arc::new(unfinished) as _,
    ];
    RecordBatch::try_new(schema(), columns).map_err(broken)
}

/// One row a trace, those with or those without unfinished spans, the first `rows` in order.
fn top_traces(
    frame: DataFrame,
    order: Order,
    unfinished: bool,
    rows: usize,
) -> Result<DataFrame, DataFusionError> {
    let (key, ascending) = match order {
        Order::Newest => (max(col("start")), false),
        Order::Oldest => (min(col("start")), true),
        Order::Longest => (max(col("duration")), false),
        Order::Shortest => (max(col("duration")), true),
    };
    let all = vec![key.alias("key"), bool_or(col("unfinished")).alias("open")];
    let grouped = frame.aggregate(vec![col("trace")], all)?;
    let open = if unfinished { col("open") } else { !col("open") };
    grouped
        .filter(open)?
        .sort(vec![col("key").sort(ascending, false), col("trace").sort(true, false)])?
        .limit(0, Some(rows))?
        .select(vec![col("trace")])
}

fn trace_ids(batches: &[RecordBatch]) -> Vec<TraceId> {
    let columns = batches.iter().map(|batch| batch.column(0).as_fixed_size_binary());
    columns.flat_map(|ids| ids.iter().flatten().filter_map(TraceId::from_slice)).collect()
}
