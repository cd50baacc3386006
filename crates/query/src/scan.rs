//! One chunk to the spans in it that match, or may match once their pieces are merged.

use arrow::array::{Array, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int64Type;
use throughline_model::{AttrType, SpanRef, TraceId};
use throughline_store::{Chunk, Column, Scope};

use crate::ast::{AttrScope, CompareOp, Expr, Field, Literal};
use crate::eval::{View, same_in_all_pieces};
use crate::{RunError, row};

/// A span to look at: it matches as its row stands, or may match when merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) trace_id: TraceId,
    pub(crate) start: i64,
    pub(crate) duration: Option<i64>,
    /// Whether the span has not ended in this row, so that another piece may change its answer.
    pub(crate) unfinished: bool,
}

/// What to scan for: spans that start in `from..=to` and match.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) filter: Option<Expr>,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Wanted {
    pub(crate) fn covers(&self, start: i64) -> bool {
        (self.from..=self.to).contains(&start)
    }

    /// Whether a merged span is wanted: the last word.
    pub(crate) fn takes(&self, span: SpanRef<'_>) -> bool {
        self.covers(span.start_unix_nano())
            && self.filter.as_ref().is_none_or(|filter| row::matches(filter, span))
    }

    /// Which rows start in the range.
    fn in_time(&self, chunk: &Chunk, starts: &[i64]) -> BooleanBuffer {
        if self.covers(chunk.min_start()) && self.covers(chunk.max_start()) {
            return BooleanBuffer::new_set(starts.len());
        }
        starts.iter().map(|start| self.covers(*start)).collect()
    }
}

/// The rows of a chunk that have ended and match as they stand, and the view that says so, with
/// [`Column::Start`] and [`Column::Duration`]. `None` when the chunk's hints rule it out.
pub(crate) fn ended<'a>(
    chunk: &'a Chunk,
    wanted: &Wanted,
    also: &[Column],
) -> Result<Option<(View<'a>, BooleanBuffer)>, RunError> {
    let filter = wanted.filter.as_ref();
    if filter.is_some_and(|filter| chance(filter, chunk) != Chance::Any) {
        return Ok(None);
    }
    let view = View::read(chunk, filter, &[also, &[Column::Start, Column::Duration]].concat())?;
    let starts = view.column(&Column::Start)?.as_primitive::<Int64Type>();
    let mut rows = wanted.in_time(chunk, starts.values());
    if let Some(nulls) = view.column(&Column::Duration)?.nulls() {
        rows = &rows & nulls.inner();
    }
    if let Some(filter) = filter {
        rows = view.matching(filter, &rows)?;
    }
    Ok((rows.count_set_bits() > 0).then_some((view, rows)))
}

/// The candidates of a chunk, in row order. Empty when the chunk's hints rule it out.
pub(crate) fn candidates(chunk: &Chunk, wanted: &Wanted) -> Result<Vec<Candidate>, RunError> {
    let filter = wanted.filter.as_ref();
    match filter.map_or(Chance::Any, |filter| chance(filter, chunk)) {
        Chance::None => return Ok(Vec::new()),
        Chance::OnlyUnfinished if !has_unfinished(chunk)? => return Ok(Vec::new()),
        Chance::OnlyUnfinished | Chance::Any => {}
    }
    let view = View::read(chunk, filter, &[Column::Start, Column::Duration])?;
    let starts = view.column(&Column::Start)?.as_primitive::<Int64Type>();
    let durations = view.column(&Column::Duration)?.as_primitive::<Int64Type>();
    let in_time = wanted.in_time(chunk, starts.values());
    let found = match filter {
        None => in_time,
        Some(filter) => {
            let mut found = view.matching(filter, &in_time)?;
            if let Some(nulls) = durations.nulls().filter(|nulls| nulls.null_count() > 0) {
                let unfinished = &in_time & &!nulls.inner();
                found = &found | &view.possible(filter, false, &unfinished)?;
            }
            found
        }
    };
    if found.count_set_bits() == 0 {
        return Ok(Vec::new());
    }
    let ids = chunk.read(&[Column::TraceId])?;
    let ids = ids.column(0).as_fixed_size_binary();
    let candidate = |row: usize| Candidate {
        trace_id: TraceId::from_slice(ids.value(row)).unwrap_or_default(),
        start: starts.value(row),
        duration: durations.is_valid(row).then(|| durations.value(row)),
        unfinished: durations.is_null(row),
    };
    Ok(found.set_indices().map(candidate).collect())
}

fn has_unfinished(chunk: &Chunk) -> Result<bool, RunError> {
    let durations = chunk.read(&[Column::Duration])?;
    Ok(durations.column(0).null_count() > 0)
}

/// What a chunk's hints leave open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Chance {
    /// No span of the chunk can match.
    None,
    /// No row matches as it stands, but a span that has not ended may match when merged.
    OnlyUnfinished,
    /// Any may match.
    Any,
}

/// The worst of the filter's conjuncts.
fn chance(filter: &Expr, chunk: &Chunk) -> Chance {
    match filter {
        Expr::And(items) => {
            items.iter().map(|item| chance(item, chunk)).min().unwrap_or(Chance::Any)
        }
        Expr::Or(items) => {
            items.iter().map(|item| chance(item, chunk)).max().unwrap_or(Chance::Any)
        }
        Expr::Compare { field, op: CompareOp::Eq, literal } => {
            ruled_out(field, !holds_any(field, std::slice::from_ref(literal), chunk))
        }
        Expr::In { field, literals } => ruled_out(field, !holds_any(field, literals, chunk)),
        Expr::Compare { field, .. } | Expr::Exists(field) | Expr::Regex { field, .. } => {
            ruled_out(field, !holds_key(field, chunk))
        }
        Expr::Not(_) => Chance::Any,
    }
}

fn ruled_out(field: &Field, ruled_out: bool) -> Chance {
    match (ruled_out, same_in_all_pieces(field)) {
        (false, _) => Chance::Any,
        (true, true) => Chance::None,
        (true, false) => Chance::OnlyUnfinished,
    }
}

/// Whether the chunk has the field at all. Certain only when it says no.
fn holds_key(field: &Field, chunk: &Chunk) -> bool {
    let held = |scope, key: &str| !chunk.attribute_types(scope, key).is_empty();
    match field {
        Field::Attribute(AttrScope::Any, key) => {
            held(Scope::Span, key) || held(Scope::Resource, key)
        }
        Field::Attribute(AttrScope::Span, key) => held(Scope::Span, key),
        Field::Attribute(AttrScope::Resource, key) => held(Scope::Resource, key),
        Field::Attribute(AttrScope::Event, key) => held(Scope::Event, key),
        Field::Attribute(AttrScope::Link, key) => held(Scope::Link, key),
        _ => true,
    }
}

/// Whether the chunk has one of the values under the field. Certain only when it says no.
fn holds_any(field: &Field, literals: &[Literal], chunk: &Chunk) -> bool {
    let texts = || {
        literals.iter().map(|literal| match literal {
            Literal::Str(text) => Some(text),
            _ => None,
        })
    };
    let may = |column: Column| {
        texts().any(|text| text.is_none_or(|text| chunk.may_contain(&column, text)))
    };
    // Only text columns have hints on values; text also equals numbers by their text.
    let on_span = |key: &String| {
        chunk
            .attribute_types(Scope::Span, key)
            .into_iter()
            .any(|kind| kind != AttrType::Str || may(Column::SpanAttr { key: key.clone(), kind }))
    };
    let on_resource = |key: &String| {
        chunk.attribute_types(Scope::Resource, key).into_iter().any(|kind| {
            kind != AttrType::Str || may(Column::ResourceAttr { key: key.clone(), kind })
        })
    };
    match field {
        Field::Service => may(Column::Service),
        Field::Name => may(Column::Name),
        Field::Environment => may(Column::Environment),
        Field::Attribute(AttrScope::Any, key) => on_span(key) || on_resource(key),
        Field::Attribute(AttrScope::Span, key) => on_span(key),
        Field::Attribute(AttrScope::Resource, key) => on_resource(key),
        _ => holds_key(field, chunk),
    }
}
