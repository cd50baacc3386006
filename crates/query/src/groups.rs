//! Spans put together by the value of a field, and their durations to percentiles.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, UInt8Type};
use throughline_model::{AttrValue, Attributes, SpanKind, SpanRef, StatusCode};
use throughline_store::{Chunk, Column};

use crate::ast::{AttrScope, Field, is_entry};
use crate::eval::{columns_of_field, needs_rows};
use crate::found::{Fact, Found};
use crate::{QueryError, RunError, native};

/// Different values that are told apart; what comes beyond is among the rest.
const VALUES_MAX: usize = 20_000;
/// Values are cut to so many bytes.
const VALUE_BYTES_MAX: usize = 1_024;
/// Whole spans that are read at once.
const ROWS_AT_ONCE: usize = 4_096;

/// What spans are put together by: one field that has words for values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupBy(pub(crate) Field);

impl GroupBy {
    /// Reads a field as a query would, without quotes: `service`, `http.route`, `resource.region`.
    ///
    /// Fails for fields of which nearly every span has a value of its own.
    pub fn parse(key: &str) -> Result<Self, QueryError> {
        match native::field(key.trim()) {
            Field::Duration | Field::Trace | Field::Span | Field::Parent => {
                Err(QueryError::new(format!("spans cannot be grouped by `{}`", key.trim()), 0))
            }
            Field::Attribute(_, key) if key.is_empty() => {
                Err(QueryError::new("expected a field or an attribute's key", 0))
            }
            field => Ok(Self(field)),
        }
    }

    /// The columns that [`Values::of`] reads.
    pub(crate) fn columns(&self, chunk: &Chunk) -> Vec<Column> {
        columns_of_field(&self.0, chunk)
    }

    /// The value of one whole span: the first, where it has several.
    pub(crate) fn value(&self, span: SpanRef<'_>) -> Option<String> {
        let of = |attributes: Attributes<'_>, key: &str| {
            attributes.value(key).map(|value| value.text().into_owned())
        };
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        match &self.0 {
            Field::Service => some(span.service()),
            Field::Name => some(span.name()),
            Field::Kind => some(span.kind().word()),
            Field::Status => some(span.status().word()),
            Field::StatusMessage => some(span.status_message()),
            Field::Environment => span.resource().environment().and_then(some),
            Field::ScopeName => some(span.scope().name()),
            Field::EventName => span.events().find_map(|event| some(event.name())),
            Field::Root => Some(span.parent_id().is_zero().to_string()),
            Field::Entry => {
                let has_parent = !span.parent_id().is_zero();
                Some(is_entry(span.kind(), has_parent, span.flags()).to_string())
            }
            Field::Attribute(AttrScope::Any, key) => {
                of(span.attributes(), key).or_else(|| of(span.resource().attributes(), key))
            }
            Field::Attribute(AttrScope::Span, key) => of(span.attributes(), key),
            Field::Attribute(AttrScope::Resource, key) => of(span.resource().attributes(), key),
            Field::Attribute(AttrScope::Event, key) => {
                span.events().find_map(|event| of(event.attributes(), key))
            }
            Field::Attribute(AttrScope::Link, key) => {
                span.links().find_map(|link| of(link.attributes(), key))
            }
            Field::Duration | Field::Trace | Field::Span | Field::Parent => None,
        }
    }
}

/// A value, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Value {
    /// The span has none.
    None,
    /// One of [`Values`].
    Known(u32),
    /// Beyond the limit.
    Rest,
}

/// The values that were met.
#[derive(Default)]
pub(crate) struct Values {
    numbers: HashMap<String, u32, ahash::RandomState>,
    texts: Vec<String>,
}

impl Values {
    /// The number of a text.
    pub(crate) fn number(&mut self, text: &str) -> Value {
        let text = text.get(..text.floor_char_boundary(VALUE_BYTES_MAX)).unwrap_or(text);
        if let Some(number) = self.numbers.get(text) {
            return Value::Known(*number);
        }
        if self.texts.len() >= VALUES_MAX {
            return Value::Rest;
        }
        let number = self.texts.len() as u32;
        self.numbers.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        Value::Known(number)
    }

    /// The text of a number.
    pub(crate) fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Known(number) => self.texts.get(number as usize).map(String::as_str),
            Value::None | Value::Rest => None,
        }
    }

    /// The value of each span found, in their order.
    pub(crate) fn of(&mut self, found: &Found<'_>, by: &GroupBy) -> Result<Vec<Value>, RunError> {
        let mut values = vec![Value::None; found.rows.len()];
        if let Some(truth) = found.view.truth(&by.0)? {
            for (value, row) in values.iter_mut().zip(&found.rows) {
                *value = self.number(if truth.value(*row as usize) { "true" } else { "false" });
            }
            return Ok(values);
        }
        let columns = by.columns(found.chunk);
        if needs_rows(&by.0) {
            if columns.is_empty() {
                return Ok(values);
            }
            for (values, rows) in
                values.chunks_mut(ROWS_AT_ONCE).zip(found.rows.chunks(ROWS_AT_ONCE))
            {
                let spans = found.chunk.spans(rows)?;
                for (value, span) in values.iter_mut().zip(spans.spans()) {
                    *value = by.value(span).map_or(Value::None, |text| self.number(&text));
                }
            }
            return Ok(values);
        }
        for column in columns {
            self.fill(&mut values, found, &column)?;
        }
        Ok(values)
    }

    /// The value that a column has for each span found, in their order.
    pub(crate) fn of_column(
        &mut self,
        found: &Found<'_>,
        column: &Column,
    ) -> Result<Vec<Value>, RunError> {
        let mut values = vec![Value::None; found.rows.len()];
        self.fill(&mut values, found, column)?;
        Ok(values)
    }

    /// Puts the values of a column where there are none yet.
    fn fill(
        &mut self,
        values: &mut [Value],
        found: &Found<'_>,
        column: &Column,
    ) -> Result<(), RunError> {
        let array: &ArrayRef = found.view.column(column)?;
        let attribute = matches!(column, Column::SpanAttr { .. } | Column::ResourceAttr { .. });
        let rows = found.rows.iter().map(|row| *row as usize);
        let open = values.iter_mut().zip(rows);
        let open = open.filter(|(value, row)| **value == Value::None && array.is_valid(*row));
        let mut number = |text: &str| match text {
            "" if !attribute => Value::None,
            text => self.number(text),
        };
        match array.data_type() {
            DataType::Dictionary(_, _) => {
                let words = array.as_dictionary::<Int32Type>();
                let texts = words.values().as_string::<i32>();
                let mut numbers: Vec<Option<Value>> = vec![None; texts.len()];
                for (value, row) in open {
                    let key = words.keys().value(row) as usize;
                    let Some(known) = numbers.get_mut(key) else { continue };
                    *value = *known.get_or_insert_with(|| number(texts.value(key)));
                }
            }
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                open.for_each(|(value, row)| *value = number(texts.value(row)));
            }
            DataType::Int64 => {
                let ints = array.as_primitive::<Int64Type>();
                open.for_each(|(value, row)| {
                    *value = number(&AttrValue::Int(ints.value(row)).text());
                });
            }
            DataType::Float64 => {
                let doubles = array.as_primitive::<Float64Type>();
                open.for_each(|(value, row)| {
                    *value = number(&AttrValue::Double(doubles.value(row)).text());
                });
            }
            DataType::Boolean => {
                let flags = array.as_boolean();
                open.for_each(|(value, row)| {
                    *value = number(&AttrValue::Bool(flags.value(row)).text());
                });
            }
            DataType::UInt8 => {
                let numbers = array.as_primitive::<UInt8Type>();
                open.for_each(|(value, row)| {
                    let word = match column {
                        Column::Kind => SpanKind::from_number(numbers.value(row)).word(),
                        _ => StatusCode::from_number(numbers.value(row)).word(),
                    };
                    *value = number(word);
                });
            }
            other => {
                let message = format!("column {} has the type {other}", column.name());
                return Err(RunError::Engine(message));
            }
        }
        Ok(())
    }
}

/// One span that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) value: Value,
    pub(crate) fact: Fact,
}

/// The `limit` values with the most spans, those first, and all other spans together last.
///
/// A span without a value has the value [`Value::None`], which counts as one.
pub(crate) fn largest(
    spans: impl IntoIterator<Item = Counted>,
    values: &Values,
    limit: usize,
) -> Vec<(Value, Vec<Fact>)> {
    let mut by_value: HashMap<Value, Vec<Fact>, ahash::RandomState> = HashMap::default();
    for span in spans {
        by_value.entry(span.value).or_default().push(span.fact);
    }
    let mut rest = by_value.remove(&Value::Rest).unwrap_or_default();
    let mut groups: Vec<_> = by_value.into_iter().collect();
    // Equal ones by their text, so that an answer does not flicker.
    groups.sort_unstable_by(|(a, some), (b, others)| {
        others.len().cmp(&some.len()).then_with(|| values.text(*a).cmp(&values.text(*b)))
    });
    let small = groups.split_off(groups.len().min(limit));
    rest.extend(small.into_iter().flat_map(|(_, facts)| facts));
    if !rest.is_empty() {
        groups.push((Value::Rest, rest));
    }
    groups
}

/// Median, 95th and 99th percentile, in nanoseconds; `None` of nothing. Sorts the durations.
pub(crate) fn percentiles(durations: &mut [i64]) -> Option<[i64; 3]> {
    durations.sort_unstable();
    let at = |percent: usize| {
        let rank = (durations.len() * percent).div_ceil(100).max(1);
        durations.get(rank - 1).copied()
    };
    Some([at(50)?, at(95)?, at(99)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_duration_that_was_seen() {
        let mut hundred: Vec<i64> = (1..=100).rev().collect();
        assert_eq!(percentiles(&mut hundred), Some([50, 95, 99]));
        assert_eq!(percentiles(&mut [7]), Some([7, 7, 7]));
        assert_eq!(percentiles(&mut []), None);
    }

    #[test]
    fn the_largest_stand_first_and_the_rest_is_one() {
        let fact = Fact { start: 0, duration: 1, failed: false };
        let spans =
            [(Value::Known(1), 3), (Value::None, 2), (Value::Known(0), 1), (Value::Rest, 4)];
        let spans = spans.iter().flat_map(|(value, count)| {
            std::iter::repeat_n(Counted { value: *value, fact }, *count)
        });
        let mut values = Values::default();
        ["b", "a"].iter().for_each(|text| {
            values.number(text);
        });
        let found = largest(spans, &values, 2);
        let found: Vec<_> = found.iter().map(|(value, facts)| (*value, facts.len())).collect();
        assert_eq!(found, [(Value::Known(1), 3), (Value::None, 2), (Value::Rest, 5)]);
    }

    #[test]
    fn what_has_a_value_for_every_span_is_refused() {
        for key in ["duration", "trace", "SPAN", "parent", "", " "] {
            assert!(GroupBy::parse(key).is_err(), "{key:?}");
        }
        assert_eq!(GroupBy::parse("Service").unwrap().0, Field::Service);
        let region = Field::Attribute(AttrScope::Resource, "region".to_owned());
        assert_eq!(GroupBy::parse(" resource.region").unwrap().0, region);
    }

    #[test]
    fn values_are_cut_and_counted() {
        let mut values = Values::default();
        let long = "\u{e9}".repeat(VALUE_BYTES_MAX);
        let number = values.number(&long);
        assert_eq!(values.text(number).unwrap().len(), VALUE_BYTES_MAX);
        (0..VALUES_MAX).for_each(|n| {
            values.number(&n.to_string());
        });
        assert_eq!(values.number("one more"), Value::Rest);
        assert_eq!(values.number("7"), Value::Known(8));
    }
}
