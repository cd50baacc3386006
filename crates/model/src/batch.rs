//! The batch: spans in columns, immutable, cheap to share.
//!
//! Every column is an Arrow buffer, so the halls behind (store, query) make Arrow arrays from them
//! without a copy. Strings that repeat (names, keys, states) are numbers into one string table;
//! attribute values lie in one heap. ADR-0003 has the reasons.

use std::collections::HashMap;

use arrow::buffer::{Buffer, ScalarBuffer};

use crate::{AttrType, AttrValue, SpanId, SpanRef, TraceId};

/// A half-open range of rows in the batch's attribute table.
pub type AttrRange = std::ops::Range<u32>;

/// Spans in columns. Cloning shares the columns.
///
/// Row numbers are `0..len()`. A batch holds at most 2^32 attributes and 2^32 bytes of values;
/// decoders stay far below by their limit on inflated bytes.
#[derive(Clone, Debug, Default)]
pub struct SpanBatch {
    pub(crate) trace_ids: Buffer,
    pub(crate) span_ids: Buffer,
    pub(crate) parent_ids: Buffer,
    pub(crate) starts: ScalarBuffer<i64>,
    pub(crate) durations: ScalarBuffer<i64>,
    pub(crate) kinds: ScalarBuffer<u8>,
    pub(crate) statuses: ScalarBuffer<u8>,
    pub(crate) flags: ScalarBuffer<u32>,
    pub(crate) names: ScalarBuffer<u32>,
    pub(crate) status_messages: ScalarBuffer<u32>,
    pub(crate) trace_states: ScalarBuffer<u32>,
    pub(crate) resources: ScalarBuffer<u32>,
    pub(crate) scopes: ScalarBuffer<u32>,
    /// Where each span's attributes end, and so where the next one's events begin to count.
    pub(crate) attr_starts: ScalarBuffer<u32>,
    pub(crate) attr_ends: ScalarBuffer<u32>,
    /// `len() + 1` offsets into the event table.
    pub(crate) event_offsets: ScalarBuffer<u32>,
    /// `len() + 1` offsets into the link table.
    pub(crate) link_offsets: ScalarBuffer<u32>,
    /// Attributes, events and links that the sender or we dropped, for the few rows that have any.
    pub(crate) dropped: std::sync::Arc<Vec<(u32, [u32; 3])>>,

    pub(crate) event_times: ScalarBuffer<i64>,
    pub(crate) event_names: ScalarBuffer<u32>,
    pub(crate) event_attr_starts: ScalarBuffer<u32>,
    pub(crate) event_attr_ends: ScalarBuffer<u32>,
    pub(crate) event_dropped: ScalarBuffer<u32>,
    pub(crate) link_rows: std::sync::Arc<Vec<LinkRow>>,

    pub(crate) attr_keys: ScalarBuffer<u32>,
    pub(crate) attr_types: ScalarBuffer<u8>,
    pub(crate) attr_values: ScalarBuffer<u64>,

    pub(crate) string_offsets: ScalarBuffer<u32>,
    pub(crate) string_bytes: Buffer,
    pub(crate) heap: Buffer,

    pub(crate) resource_rows: std::sync::Arc<Vec<ResourceRow>>,
    pub(crate) scope_rows: std::sync::Arc<Vec<ScopeRow>>,
}

/// One link of a span, by number into the batch's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LinkRow {
    /// The trace that is linked to.
    pub trace_id: TraceId,
    /// The span that is linked to.
    pub span_id: SpanId,
    /// String number of its W3C trace state.
    pub trace_state: u32,
    /// W3C trace flags, and OTLP's "remote" bits above them.
    pub flags: u32,
    /// First attribute.
    pub attr_start: u32,
    /// One past the last attribute.
    pub attr_end: u32,
    /// Attributes dropped by the sender.
    pub dropped: u32,
}

/// One resource: who sent a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ResourceRow {
    /// First attribute.
    pub attr_start: u32,
    /// One past the last attribute.
    pub attr_end: u32,
    /// Attributes dropped by the sender.
    pub dropped: u32,
    /// String number of the schema URL.
    pub schema_url: u32,
}

/// One instrumentation scope: which library made a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ScopeRow {
    /// String number of its name.
    pub name: u32,
    /// String number of its version.
    pub version: u32,
    /// First attribute.
    pub attr_start: u32,
    /// One past the last attribute.
    pub attr_end: u32,
    /// Attributes dropped by the sender.
    pub dropped: u32,
    /// String number of the schema URL.
    pub schema_url: u32,
}

impl SpanBatch {
    /// The number of spans.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is no span.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One span, borrowed. Panics when `row` is not below [`SpanBatch::len`].
    pub fn span(&self, row: usize) -> SpanRef<'_> {
        assert!(row < self.len(), "row {row} of {}", self.len());
        SpanRef { batch: self, row }
    }

    /// All spans, in row order.
    pub fn spans(&self) -> impl ExactSizeIterator<Item = SpanRef<'_>> {
        (0..self.len()).map(move |row| SpanRef { batch: self, row })
    }

    /// The trace ids, 16 bytes a row.
    pub fn trace_id_buffer(&self) -> &Buffer {
        &self.trace_ids
    }

    /// The span ids, 8 bytes a row.
    pub fn span_id_buffer(&self) -> &Buffer {
        &self.span_ids
    }

    /// The parent span ids, 8 bytes a row, zero for a root.
    pub fn parent_id_buffer(&self) -> &Buffer {
        &self.parent_ids
    }

    /// Start times, nanoseconds since the epoch.
    pub fn starts(&self) -> &ScalarBuffer<i64> {
        &self.starts
    }

    /// Durations in nanoseconds; [`crate::NO_END`] while a span has no end, negative when its end
    /// lies before its start.
    pub fn durations(&self) -> &ScalarBuffer<i64> {
        &self.durations
    }

    /// Numbers of [`crate::SpanKind`].
    pub fn kinds(&self) -> &ScalarBuffer<u8> {
        &self.kinds
    }

    /// Numbers of [`crate::StatusCode`].
    pub fn statuses(&self) -> &ScalarBuffer<u8> {
        &self.statuses
    }

    /// String numbers of the span names.
    pub fn names(&self) -> &ScalarBuffer<u32> {
        &self.names
    }

    /// Resource numbers, below [`SpanBatch::resource_count`].
    pub fn resources(&self) -> &ScalarBuffer<u32> {
        &self.resources
    }

    /// Scope numbers, below [`SpanBatch::scope_count`].
    pub fn scopes(&self) -> &ScalarBuffer<u32> {
        &self.scopes
    }

    /// How many different resources the batch has.
    pub fn resource_count(&self) -> usize {
        self.resource_rows.len()
    }

    /// How many different scopes the batch has.
    pub fn scope_count(&self) -> usize {
        self.scope_rows.len()
    }

    /// How many strings the string table has. Number 0 is the empty string.
    pub fn string_count(&self) -> usize {
        self.string_offsets.len().saturating_sub(1)
    }

    /// A string of the table.
    pub fn string(&self, number: u32) -> &str {
        let number = number as usize;
        let (start, end) = (self.string_offsets[number], self.string_offsets[number + 1]);
        text(&self.string_bytes[start as usize..end as usize])
    }

    /// The number of a string, when the table has it. Linear: look a key up once per batch.
    pub fn string_number(&self, wanted: &str) -> Option<u32> {
        (0..self.string_count() as u32).find(|number| self.string(*number) == wanted)
    }

    /// All strings of the table with their numbers.
    pub fn string_numbers(&self) -> HashMap<&str, u32> {
        (0..self.string_count() as u32).map(|number| (self.string(number), number)).collect()
    }

    /// The key number of an attribute of the table.
    pub fn attr_key(&self, index: u32) -> u32 {
        self.attr_keys[index as usize]
    }

    /// The type of an attribute of the table.
    pub fn attr_type(&self, index: u32) -> AttrType {
        // The numbers are 1 to 8, so this is a look-up; any other number is no value.
        let number = usize::from(self.attr_types[index as usize]);
        AttrType::ALL.get(number.wrapping_sub(1)).copied().unwrap_or(AttrType::Empty)
    }

    /// The value of an attribute of the table.
    pub fn attr_value(&self, index: u32) -> AttrValue<'_> {
        let raw = self.attr_values[index as usize];
        match self.attr_types[index as usize] {
            1 => AttrValue::Str(text(self.heap_slice(raw))),
            2 => AttrValue::Bool(raw != 0),
            3 => AttrValue::Int(raw.cast_signed()),
            4 => AttrValue::Double(f64::from_bits(raw)),
            5 => AttrValue::Bytes(self.heap_slice(raw)),
            6 => AttrValue::Array(self.heap_slice(raw)),
            7 => AttrValue::Map(self.heap_slice(raw)),
            _ => AttrValue::Empty,
        }
    }

    /// The bytes of a text, bytes, list or map attribute of the table; empty for other types.
    pub fn attr_bytes(&self, index: u32) -> &[u8] {
        match self.attr_types[index as usize] {
            1 | 5..=7 => self.heap_slice(self.attr_values[index as usize]),
            _ => &[],
        }
    }

    fn heap_slice(&self, raw: u64) -> &[u8] {
        let (offset, length) = ((raw >> 32) as usize, (raw & 0xffff_ffff) as usize);
        &self.heap[offset..offset + length]
    }

    /// The span attributes of a row, as a range of the attribute table.
    pub fn span_attrs(&self, row: usize) -> AttrRange {
        self.attr_starts[row]..self.attr_ends[row]
    }

    /// The attributes of a resource, as a range of the attribute table.
    pub fn resource_attrs(&self, resource: usize) -> AttrRange {
        let row = &self.resource_rows[resource];
        row.attr_start..row.attr_end
    }

    /// One resource, borrowed.
    pub fn resource(&self, number: usize) -> crate::ResourceRef<'_> {
        crate::ResourceRef { batch: self, number }
    }

    /// One scope, borrowed.
    pub fn scope(&self, number: usize) -> crate::ScopeRef<'_> {
        crate::ScopeRef { batch: self, number }
    }

    /// The rows of a resource table, with offsets into this batch's tables.
    pub fn resource_row(&self, resource: usize) -> &ResourceRow {
        &self.resource_rows[resource]
    }

    /// A row of the scope table.
    pub fn scope_row(&self, scope: usize) -> &ScopeRow {
        &self.scope_rows[scope]
    }

    /// The bytes that the batch keeps in memory, in bytes.
    pub fn memory_size_bytes(&self) -> usize {
        self.trace_ids.len()
            + self.span_ids.len()
            + self.parent_ids.len()
            + self.len() * (8 + 8 + 1 + 1 + 4 * 6 + 4 * 4)
            + self.event_times.len() * 24
            + self.link_rows.len() * size_of::<LinkRow>()
            + self.attr_keys.len() * 13
            + self.string_offsets.len() * 4
            + self.string_bytes.len()
            + self.heap.len()
            + self.resource_rows.len() * size_of::<ResourceRow>()
            + self.scope_rows.len() * size_of::<ScopeRow>()
    }
}

/// Text out of a string table or a heap.
#[expect(unsafe_code, reason = "a check of every string at every read is a tenth of all CPU")]
fn text(bytes: &[u8]) -> &str {
    // SAFETY: batches come from the builder, which takes `&str`, and from `decode_batch`, which
    // checks each string of the table and each text of the heap.
    unsafe { std::str::from_utf8_unchecked(bytes) }
}
