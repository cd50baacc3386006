//! A filter on the columns of a chunk, all rows at once.
//!
//! By hand over Arrow arrays and not as a DataFusion expression: one attribute is up to eight typed
//! columns that only the chunk knows, text compares with all of them, and "no value" is false rather
//! than null. A dictionary is tested once a word. Events and links have no columns, so their
//! conditions come last and read only the rows that are still in question.

use std::collections::HashMap;

use arrow::array::{Array, AsArray};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, UInt8Type, UInt32Type};
use throughline_model::{SpanKind, StatusCode};
use throughline_store::{Chunk, Column, Scope};

use crate::RunError;
use crate::ast::{AttrScope, Expr, Field, is_entry};
use crate::row;
use crate::test::{Test, Value, condition};

/// The columns of one chunk that a filter needs, read.
pub(crate) struct View<'a> {
    chunk: &'a Chunk,
    columns: HashMap<Column, ArrayRef, ahash::RandomState>,
    rows: usize,
}

impl<'a> View<'a> {
    /// Reads what `filter` asks about, and `also`.
    pub(crate) fn read(
        chunk: &'a Chunk,
        filter: Option<&Expr>,
        also: &[Column],
    ) -> Result<Self, RunError> {
        let mut wanted = also.to_vec();
        if let Some(filter) = filter {
            columns_of(filter, chunk, &mut wanted);
        }
        wanted.sort();
        wanted.dedup();
        let batch: RecordBatch = chunk.read(&wanted)?;
        let columns = wanted.into_iter().zip(batch.columns().iter().cloned()).collect();
        Ok(Self { chunk, columns, rows: batch.num_rows() })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// A column that was asked for.
    pub(crate) fn column(&self, column: &Column) -> Result<&ArrayRef, RunError> {
        let found = self.columns.get(column);
        found.ok_or_else(|| RunError::Engine(format!("column {} was not read", column.name())))
    }

    /// Those of the rows `asked` for which the filter holds.
    pub(crate) fn matching(
        &self,
        expr: &Expr,
        asked: &BooleanBuffer,
    ) -> Result<BooleanBuffer, RunError> {
        match expr {
            Expr::And(items) => {
                let mut left = asked.clone();
                for item in cheap_first(items) {
                    if left.count_set_bits() == 0 {
                        break;
                    }
                    left = self.matching(item, &left)?;
                }
                Ok(left)
            }
            Expr::Or(items) => {
                let mut found = BooleanBuffer::new_unset(self.rows);
                for item in cheap_first(items) {
                    let left = asked & &!&found;
                    if left.count_set_bits() == 0 {
                        break;
                    }
                    found = &found | &self.matching(item, &left)?;
                }
                Ok(found)
            }
            Expr::Not(inner) => Ok(asked & &!&self.matching(inner, asked)?),
            _ => match condition(expr) {
                Some((field, test)) => self.passing(field, test, asked),
                None => Ok(asked.clone()),
            },
        }
    }

    /// Those of the rows `asked` whose span *may* match once its other pieces are merged into it.
    ///
    /// For rows of spans that have not ended: another piece may bring a name, an end, a status,
    /// attributes, events. It cannot bring another id, kind or resource.
    pub(crate) fn possible(
        &self,
        expr: &Expr,
        negated: bool,
        asked: &BooleanBuffer,
    ) -> Result<BooleanBuffer, RunError> {
        match expr {
            Expr::Not(inner) => self.possible(inner, !negated, asked),
            Expr::And(items) | Expr::Or(items) => {
                let all = matches!(expr, Expr::And(_)) != negated;
                let mut found =
                    if all { asked.clone() } else { BooleanBuffer::new_unset(self.rows) };
                for item in items {
                    let one = self.possible(item, negated, asked)?;
                    found = if all { &found & &one } else { &found | &one };
                }
                Ok(found)
            }
            _ => match condition(expr) {
                Some((field, test)) if same_in_all_pieces(field) => {
                    let passing = self.passing(field, test, asked)?;
                    Ok(if negated { asked & &!&passing } else { passing })
                }
                _ => Ok(asked.clone()),
            },
        }
    }

    fn passing(
        &self,
        field: &Field,
        test: Test<'_>,
        asked: &BooleanBuffer,
    ) -> Result<BooleanBuffer, RunError> {
        if needs_rows(field) {
            return self.passing_by_row(field, test, asked);
        }
        if let Some(truth) = self.truth(field)? {
            // There are but two answers, so the test is asked once for each.
            let either = |is: bool, rows: BooleanBuffer| {
                let none = || BooleanBuffer::new_unset(self.rows);
                if test.holds(Value::Bool(is)) { rows } else { none() }
            };
            let found = &either(true, truth.clone()) | &either(false, !&truth);
            return Ok(asked & &found);
        }
        let mut found = BooleanBuffer::new_unset(self.rows);
        for column in columns_of_field(field, self.chunk) {
            let array = self.column(&column)?;
            found = &found | &passing_in(array, &column, test, asked)?;
        }
        Ok(found)
    }

    /// Which rows are roots, or entries; `None` for other fields. Their columns must be read.
    pub(crate) fn truth(&self, field: &Field) -> Result<Option<BooleanBuffer>, RunError> {
        if !matches!(field, Field::Root | Field::Entry) {
            return Ok(None);
        }
        let parents = self.column(&Column::ParentId)?;
        if *field == Field::Root {
            return Ok(Some(BooleanBuffer::collect_bool(self.rows, |row| parents.is_null(row))));
        }
        let kinds = self.column(&Column::Kind)?.as_primitive::<UInt8Type>();
        let flags = self.column(&Column::Flags)?.as_primitive::<UInt32Type>();
        let entered = |row| {
            let kind = SpanKind::from_number(kinds.value(row));
            is_entry(kind, parents.is_valid(row), flags.value(row))
        };
        Ok(Some(BooleanBuffer::collect_bool(self.rows, entered)))
    }

    /// For events and links: reads the spans asked that have any.
    fn passing_by_row(
        &self,
        field: &Field,
        test: Test<'_>,
        asked: &BooleanBuffer,
    ) -> Result<BooleanBuffer, RunError> {
        const ROWS_AT_ONCE: usize = 4096;
        let mut has = BooleanBuffer::new_unset(self.rows);
        for column in columns_of_field(field, self.chunk) {
            has = passing_in(self.column(&column)?, &column, Test::Exists, asked)?;
            has = &has & self.column(&column)?.as_boolean().values();
        }
        let rows: Vec<u32> = has.set_indices_u32().collect();
        let mut found = vec![false; self.rows];
        for rows in rows.chunks(ROWS_AT_ONCE) {
            let spans = self.chunk.spans(rows)?;
            for (span, row) in spans.spans().zip(rows) {
                found[*row as usize] = row::passes(field, test, span);
            }
        }
        Ok(BooleanBuffer::from(found))
    }
}

/// What needs no reading of rows goes first.
fn cheap_first(items: &[Expr]) -> Vec<&Expr> {
    let mut items: Vec<&Expr> = items.iter().collect();
    items.sort_by_key(|item| dear(item));
    items
}

fn dear(expr: &Expr) -> bool {
    match expr {
        Expr::And(items) | Expr::Or(items) => items.iter().any(dear),
        Expr::Not(inner) => dear(inner),
        _ => condition(expr).is_some_and(|(field, _)| needs_rows(field)),
    }
}

pub(crate) fn needs_rows(field: &Field) -> bool {
    matches!(field, Field::EventName | Field::Attribute(AttrScope::Event | AttrScope::Link, _))
}

/// Whether every piece of a span has the same value under `field`.
///
/// The kind is part of a span's key; the resource is the sender, and one sender sends all pieces.
pub(crate) fn same_in_all_pieces(field: &Field) -> bool {
    matches!(
        field,
        Field::Service
            | Field::Environment
            | Field::Kind
            | Field::Trace
            | Field::Span
            | Field::Attribute(AttrScope::Resource, _)
    )
}

fn columns_of(expr: &Expr, chunk: &Chunk, columns: &mut Vec<Column>) {
    match expr {
        Expr::And(items) | Expr::Or(items) => {
            items.iter().for_each(|item| columns_of(item, chunk, columns));
        }
        Expr::Not(inner) => columns_of(inner, chunk, columns),
        _ => {
            if let Some((field, _)) = condition(expr) {
                columns.extend(columns_of_field(field, chunk));
            }
        }
    }
}

/// The columns of the chunk that hold values of a field; none when the chunk has no such attribute.
pub(crate) fn columns_of_field(field: &Field, chunk: &Chunk) -> Vec<Column> {
    let on_span = |key: &str| -> Vec<Column> {
        let types = chunk.attribute_types(Scope::Span, key).into_iter();
        types.map(|kind| Column::SpanAttr { key: key.to_owned(), kind }).collect()
    };
    let on_resource = |key: &str| -> Vec<Column> {
        let types = chunk.attribute_types(Scope::Resource, key).into_iter();
        types.map(|kind| Column::ResourceAttr { key: key.to_owned(), kind }).collect()
    };
    let held = |scope, key: &str| !chunk.attribute_types(scope, key).is_empty();
    match field {
        Field::Service => vec![Column::Service],
        Field::Name => vec![Column::Name],
        Field::Kind => vec![Column::Kind],
        Field::Status => vec![Column::Status],
        Field::StatusMessage => vec![Column::StatusMessage],
        Field::Duration => vec![Column::Duration],
        Field::Trace => vec![Column::TraceId],
        Field::Span => vec![Column::SpanId],
        Field::Parent | Field::Root => vec![Column::ParentId],
        Field::Entry => vec![Column::ParentId, Column::Kind, Column::Flags],
        Field::Environment => vec![Column::Environment],
        Field::ScopeName => vec![Column::ScopeName],
        Field::EventName => vec![Column::HasEvents],
        Field::Attribute(AttrScope::Any, key) => [on_span(key), on_resource(key)].concat(),
        Field::Attribute(AttrScope::Span, key) => on_span(key),
        Field::Attribute(AttrScope::Resource, key) => on_resource(key),
        Field::Attribute(AttrScope::Event, key) if held(Scope::Event, key) => {
            vec![Column::HasEvents]
        }
        Field::Attribute(AttrScope::Link, key) if held(Scope::Link, key) => vec![Column::HasLinks],
        Field::Attribute(..) => Vec::new(),
    }
}

/// Those of the rows `asked` whose value in `array` passes.
fn passing_in(
    array: &ArrayRef,
    column: &Column,
    test: Test<'_>,
    asked: &BooleanBuffer,
) -> Result<BooleanBuffer, RunError> {
    let attribute = matches!(column, Column::SpanAttr { .. } | Column::ResourceAttr { .. });
    let text = |text: &str| (attribute || !text.is_empty()) && test.holds(Value::Text(text));
    let asked = match array.nulls() {
        Some(nulls) => asked & nulls.inner(),
        None => asked.clone(),
    };
    let passing = |holds: &dyn Fn(usize) -> bool| {
        BooleanBuffer::collect_bool(array.len(), |row| asked.value(row) && holds(row))
    };
    Ok(match array.data_type() {
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            passing(&|row| text(values.value(row)))
        }
        DataType::Dictionary(_, _) => {
            let words = array.as_dictionary::<Int32Type>();
            let Some(values) = words.values().as_any().downcast_ref::<arrow::array::StringArray>()
            else {
                return Err(unknown(column, array));
            };
            let word_passes: Vec<bool> = values.iter().map(|word| word.is_some_and(text)).collect();
            let keys = words.keys();
            passing(&|row| word_passes[keys.value(row) as usize])
        }
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>();
            match column {
                Column::Duration => passing(&|row| test.holds(Value::Duration(values.value(row)))),
                _ => passing(&|row| test.holds(Value::Int(values.value(row)))),
            }
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            passing(&|row| test.holds(Value::Double(values.value(row))))
        }
        DataType::Boolean => {
            let values = array.as_boolean();
            passing(&|row| test.holds(Value::Bool(values.value(row))))
        }
        DataType::UInt8 => {
            let values = array.as_primitive::<UInt8Type>();
            let value = |number| match column {
                Column::Kind => Value::Kind(SpanKind::from_number(number)),
                _ => Value::Status(StatusCode::from_number(number)),
            };
            passing(&|row| test.holds(value(values.value(row))))
        }
        DataType::FixedSizeBinary(_) => {
            let values = array.as_fixed_size_binary();
            passing(&|row| test.holds(Value::Id(values.value(row))))
        }
        _ => return Err(unknown(column, array)),
    })
}

fn unknown(column: &Column, array: &ArrayRef) -> RunError {
    RunError::Engine(format!("column {} has the type {}", column.name(), array.data_type()))
}
