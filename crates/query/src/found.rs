//! The spans that a question counts: those that match and have ended, each once.
//!
//! A search lists traces and reads each whole. Whoever counts cannot: here a span counts as its
//! stored row stands, in the first row that has an end, newest chunks first.

use std::collections::HashSet;
use std::ops::ControlFlow;

use arrow::array::AsArray;
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Int64Type, UInt8Type};
use throughline_model::{NOTE_SCOPE, SpanBatch, StatusCode};
use throughline_store::{Chunk, Column, Snapshot};

use crate::ast::{CompareOp, Expr, Field, Literal, Query};
use crate::eval::View;
use crate::run::within;
use crate::scan::{Wanted, ended};
use crate::xray_filter::{XrayFilter, XraySearchOptions, XrayTime, xray_search};
use crate::{RunError, SearchOptions, summary};

/// Stored spans that one question looks at, newest chunks first.
pub(crate) const ROWS_MAX: usize = 5_000_000;
/// Spans that one question counts.
pub(crate) const FOUND_MAX: usize = 1_000_000;
/// Traces that one question reads to see whether an X-Ray filter takes them.
const XRAY_TRACES_MAX: usize = 2_000;
/// Traces of a page of an X-Ray search.
const XRAY_PAGE: usize = 500;

/// Which spans a question is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// Those that match a query; its order and limit do not count. Without a filter, the entries.
    Native(Query),
    /// The entries of the traces that an X-Ray filter takes.
    Xray(XrayFilter),
}

/// `entry = true`.
pub(crate) fn entries() -> Expr {
    Expr::Compare { field: Field::Entry, op: CompareOp::Eq, literal: Literal::Bool(true) }
}

/// What to scan for, without the notes that somebody else wrote about spans.
pub(crate) fn wanted(filter: Option<&Expr>, options: &SearchOptions) -> Wanted {
    let is_note = Expr::Compare {
        field: Field::ScopeName,
        op: CompareOp::Eq,
        literal: Literal::Str(NOTE_SCOPE.to_owned()),
    };
    let no_note = Expr::Not(Box::new(is_note));
    let filter = match within(filter, options.environment.as_deref()) {
        Some(filter) => Expr::And(vec![filter, no_note]),
        None => no_note,
    };
    Wanted { filter: Some(filter), from: options.from, to: options.to }
}

/// Spans of one chunk.
pub(crate) struct Found<'a> {
    pub(crate) chunk: &'a Chunk,
    pub(crate) view: View<'a>,
    /// In order.
    pub(crate) rows: Vec<u32>,
}

impl Found<'_> {
    /// Start, duration and failure of each.
    pub(crate) fn facts(&self) -> Result<impl Iterator<Item = Fact> + '_, RunError> {
        let starts = self.view.column(&Column::Start)?.as_primitive::<Int64Type>();
        let durations = self.view.column(&Column::Duration)?.as_primitive::<Int64Type>();
        let statuses = self.view.column(&Column::Status)?.as_primitive::<UInt8Type>();
        Ok(self.rows.iter().map(move |row| {
            let row = *row as usize;
            Fact {
                start: starts.value(row),
                duration: durations.value(row),
                failed: StatusCode::from_number(statuses.value(row)) == StatusCode::Error,
            }
        }))
    }
}

/// What every question asks of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    /// Nanoseconds since the epoch.
    pub(crate) start: i64,
    /// Nanoseconds.
    pub(crate) duration: i64,
    pub(crate) failed: bool,
}

/// Gives the spans that are wanted, chunk by chunk, each span once; `also` names columns that the
/// view shall have. Says whether that was all of them.
pub(crate) fn each(
    snapshot: &Snapshot,
    wanted: &Wanted,
    also: impl Fn(&Chunk) -> Vec<Column>,
    mut visit: impl FnMut(&Found<'_>) -> Result<ControlFlow<()>, RunError>,
) -> Result<bool, RunError> {
    let mut known = Known::default();
    let mut looked_at = 0;
    for chunk in snapshot.chunks(wanted.from, wanted.to) {
        if looked_at >= ROWS_MAX || known.0.len() >= FOUND_MAX {
            return Ok(false);
        }
        looked_at += chunk.rows();
        let columns = [&also(&chunk)[..], &[Column::Status, Column::Kind]].concat();
        let Some((view, rows)) = ended(&chunk, wanted, &columns)? else { continue };
        let rows = known.fresh(&chunk, &view, &rows)?;
        if !rows.is_empty() && visit(&Found { chunk: &chunk, view, rows })?.is_break() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The spans that were seen, by 64 bits of their keys.
#[derive(Default)]
struct Known(HashSet<u64, ahash::RandomState>);

impl Known {
    fn fresh(
        &mut self,
        chunk: &Chunk,
        view: &View<'_>,
        rows: &BooleanBuffer,
    ) -> Result<Vec<u32>, RunError> {
        let ids = chunk.read(&[Column::TraceId, Column::SpanId])?;
        let traces = ids.column(0).as_fixed_size_binary();
        let spans = ids.column(1).as_fixed_size_binary();
        let kinds = view.column(&Column::Kind)?.as_primitive::<UInt8Type>();
        let hasher = self.0.hasher().clone();
        let mut is_fresh = |row: &u32| {
            let row = *row as usize;
            let key = (traces.value(row), spans.value(row), kinds.value(row));
            self.0.insert(hasher.hash_one(key))
        };
        Ok(rows.set_indices_u32().filter(|row| is_fresh(row)).collect())
    }
}

/// Gives the traces that an X-Ray filter takes, newest first, and says whether that was all.
pub(crate) fn each_xray(
    snapshot: &Snapshot,
    filter: &XrayFilter,
    options: &SearchOptions,
    mut visit: impl FnMut(&SpanBatch),
) -> Result<bool, RunError> {
    let mut asked = XraySearchOptions {
        from: options.from,
        // Their ends are exclusive, ours are not.
        to: options.to.saturating_add(1),
        time: XrayTime::TraceId,
        limit: XRAY_PAGE,
        after: None,
        sampling: None,
    };
    let (mut visited, mut spans) = (0, 0);
    loop {
        let page = xray_search(snapshot, filter, &asked, |trace, _| {
            visited += 1;
            spans += trace.len();
            let of_environment = |wanted: &String| {
                summary(trace, &vec![true; trace.len()]).environment.as_ref() == Some(wanted)
            };
            if options.environment.as_ref().is_none_or(of_environment) {
                visit(trace);
            }
        })?;
        asked.after = page.next;
        if asked.after.is_none() {
            return Ok(true);
        }
        if visited >= XRAY_TRACES_MAX || spans >= FOUND_MAX {
            return Ok(false);
        }
    }
}
