//! Attribute values of one type on their way into an Arrow column.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use throughline_model::{AttrType, AttrValue, SpanBatch};

/// The values of a column, row after row. Rows that are passed over are null.
pub(crate) struct Values {
    data: Data,
    /// One bit a row: whether it has a value. May end before the last rows, which have none.
    valid: Vec<u8>,
    valid_count: usize,
    rows: usize,
}

enum Data {
    /// Bytes of all texts, and the offsets at which they begin; checked once, at the end.
    Text(Vec<u8>, Vec<i32>),
    /// One bit a row, as long as `valid`.
    Bool(Vec<u8>),
    Int(Vec<i64>),
    Double(Vec<f64>),
}

impl Values {
    /// No values yet, with room for `rows`.
    pub(crate) fn with_capacity(kind: AttrType, rows: usize) -> Self {
        let data = match kind {
            AttrType::Bool => Data::Bool(Vec::with_capacity(rows / 8 + 1)),
            AttrType::Int => Data::Int(Vec::with_capacity(rows)),
            AttrType::Double => Data::Double(Vec::with_capacity(rows)),
            _ => {
                let mut starts = Vec::with_capacity(rows + 1);
                starts.push(0);
                Data::Text(Vec::new(), starts)
            }
        };
        Self { data, valid: Vec::with_capacity(rows / 8 + 1), valid_count: 0, rows: 0 }
    }

    /// How many rows there are, nulls at their end not counted.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Adds a value of this column's type as the row `row`, which is not below [`Values::len`].
    /// Values of other types are passed over.
    pub(crate) fn put(&mut self, row: usize, value: AttrValue<'_>) {
        match value {
            AttrValue::Str(text) => self.put_bytes(row, text.as_bytes()),
            AttrValue::Bool(value) => {
                if let Data::Bool(bits) = &mut self.data {
                    set_bit(bits, row, value);
                    self.mark(row);
                }
            }
            AttrValue::Int(value) => {
                if let Data::Int(values) = &mut self.data {
                    values.resize(row, 0);
                    values.push(value);
                    self.mark(row);
                }
            }
            AttrValue::Double(value) => {
                if let Data::Double(values) = &mut self.data {
                    values.resize(row, 0.0);
                    values.push(value);
                    self.mark(row);
                }
            }
            other => self.put_bytes(row, other.text().as_bytes()),
        }
    }

    /// As [`Values::put`], for an attribute of a batch.
    pub(crate) fn put_attribute(&mut self, row: usize, batch: &SpanBatch, index: u32) {
        if matches!(self.data, Data::Text(..)) {
            self.put_bytes(row, batch.attr_bytes(index));
        } else {
            self.put(row, batch.attr_value(index));
        }
    }

    fn put_bytes(&mut self, row: usize, text: &[u8]) {
        if let Data::Text(bytes, starts) = &mut self.data {
            starts.resize(row + 1, bytes.len() as i32);
            bytes.extend_from_slice(text);
            starts.push(bytes.len() as i32);
            self.mark(row);
        }
    }

    fn mark(&mut self, row: usize) {
        set_bit(&mut self.valid, row, true);
        self.valid_count += 1;
        self.rows = row + 1;
    }

    /// The column of `rows` rows.
    pub(crate) fn finish(mut self, rows: usize) -> ArrayRef {
        self.valid.resize(rows.div_ceil(8), 0);
        let valid = BooleanBuffer::new(self.valid.into(), 0, rows);
        let nulls = (self.valid_count < rows).then(|| NullBuffer::new(valid));
        match self.data {
            Data::Bool(mut bits) => {
                bits.resize(rows.div_ceil(8), 0);
                Arc::new(BooleanArray::new(BooleanBuffer::new(bits.into(), 0, rows), nulls))
            }
            Data::Int(mut values) => {
                values.resize(rows, 0);
                Arc::new(Int64Array::new(ScalarBuffer::from(values), nulls))
            }
            Data::Double(mut values) => {
                values.resize(rows, 0.0);
                Arc::new(Float64Array::new(ScalarBuffer::from(values), nulls))
            }
            Data::Text(bytes, mut starts) => {
                starts.resize(rows + 1, bytes.len() as i32);
                let array =
                    StringArray::try_new(OffsetBuffer::new(starts.into()), bytes.into(), nulls);
                Arc::new(array.expect("texts of a batch are UTF-8"))
            }
        }
    }
}

fn set_bit(bits: &mut Vec<u8>, at: usize, value: bool) {
    if bits.len() <= at / 8 {
        bits.resize(at / 8 + 1, 0);
    }
    bits[at / 8] |= u8::from(value) << (at % 8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_passed_over_are_null() {
        let column = |kind, puts: &[(usize, AttrValue<'_>)], rows| {
            let mut values = Values::with_capacity(kind, 2);
            puts.iter().for_each(|(row, value)| values.put(*row, *value));
            values.finish(rows)
        };
        let text = column(AttrType::Str, &[(1, AttrValue::Str("é")), (2, AttrValue::Str(""))], 4);
        assert_eq!(*text, StringArray::from(vec![None, Some("é"), Some(""), None]));
        let bits =
            column(AttrType::Bool, &[(0, AttrValue::Bool(true)), (9, AttrValue::Bool(false))], 10);
        let mut expected = vec![None; 10];
        (expected[0], expected[9]) = (Some(true), Some(false));
        assert_eq!(*bits, BooleanArray::from(expected));
        let ints = column(AttrType::Int, &[(2, AttrValue::Int(-7))], 3);
        assert_eq!(*ints, Int64Array::from(vec![None, None, Some(-7)]));
        let doubles = column(AttrType::Double, &[(0, AttrValue::Double(0.5))], 1);
        assert_eq!(*doubles, Float64Array::from(vec![0.5]));
        assert_eq!(column(AttrType::Int, &[], 2).null_count(), 2);
        // A value of another type is none.
        assert_eq!(column(AttrType::Int, &[(0, AttrValue::Bool(true))], 1).null_count(), 1);
    }
}
