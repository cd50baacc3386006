//! A chunk: some ten thousand spans that are read in one go, in memory or in a block.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use std::sync::Arc;
use throughline_model::{AttrType, SpanBatch};

use crate::block::{RowGroup, guarded};
use crate::memory::MemoryChunk;
use crate::{Column, ReadError, Scope};

/// Some spans of a snapshot, read column by column. Cheap to clone.
///
/// Rows have the same number in every answer of one chunk. A chunk may hold several pieces of one
/// span, and exact copies of it that other chunks hold too: whoever counts must merge by key.
#[derive(Clone)]
pub struct Chunk(pub(crate) Source);

#[derive(Clone)]
pub(crate) enum Source {
    Memory(Arc<MemoryChunk>),
    Block(Arc<RowGroup>),
}

impl Chunk {
    /// The number of spans.
    pub fn rows(&self) -> usize {
        match &self.0 {
            Source::Memory(chunk) => chunk.rows(),
            Source::Block(group) => group.rows(),
        }
    }

    /// The block that holds it and its number there; what is found in one is so for good. `None`
    /// for a chunk in memory.
    pub fn place(&self) -> Option<(&str, usize)> {
        match &self.0 {
            Source::Memory(_) => None,
            Source::Block(group) => Some((group.name(), group.number())),
        }
    }

    /// The earliest start of its spans, nanoseconds since the epoch.
    pub fn min_start(&self) -> i64 {
        match &self.0 {
            Source::Memory(chunk) => chunk.min_start(),
            Source::Block(group) => group.min_start(),
        }
    }

    /// The latest start of its spans, nanoseconds since the epoch.
    pub fn max_start(&self) -> i64 {
        match &self.0 {
            Source::Memory(chunk) => chunk.max_start(),
            Source::Block(group) => group.max_start(),
        }
    }

    /// The types under which this chunk has `key` in `scope`; empty when it has none, so that a
    /// query can skip the chunk.
    pub fn attribute_types(&self, scope: Scope, key: &str) -> Vec<AttrType> {
        match &self.0 {
            Source::Memory(chunk) => chunk.attribute_types(scope, key),
            Source::Block(group) => group.attribute_types(scope, key),
        }
    }

    /// Whether any span may have the text `value` in `column` (service, name, environment, or a
    /// text attribute). `false` is certain, `true` is not.
    pub fn may_contain(&self, column: &Column, value: &str) -> bool {
        match &self.0 {
            Source::Memory(_) => true,
            Source::Block(group) => group.may_contain(column, value),
        }
    }

    /// Reads columns, in the order asked, one row a span. A column the chunk does not have is null.
    pub fn read(&self, columns: &[Column]) -> Result<RecordBatch, ReadError> {
        let arrays = match &self.0 {
            Source::Memory(chunk) => chunk.read(columns),
            Source::Block(group) => guarded(group.name(), || group.read(columns))?,
        };
        let fields: Vec<_> =
            columns.iter().map(|c| Field::new(c.name(), c.data_type(), true)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(ReadError::from)
    }

    /// Reads whole spans, with events and links: the rows named, ascending, in that order.
    pub fn spans(&self, rows: &[u32]) -> Result<SpanBatch, ReadError> {
        match &self.0 {
            Source::Memory(chunk) => Ok(chunk.spans(rows)),
            Source::Block(group) => guarded(group.name(), || group.spans(rows)),
        }
    }
}
