//! Spans that are in the log but not yet in a block, read the same way as a block's.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int32Array, Int64Array,
    StringArray, UInt8Array, UInt32Array,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::Int32Type;
use throughline_model::{
    AttrRange, AttrType, AttrValue, NO_END, Owners, SpanBatch, SpanBatchBuilder, TraceId,
};
use throughline_topology::service_node_id;

use crate::block::TraceBuilders;
use crate::typed_values::Values;
use crate::{AttributeKey, Column, Scope};

/// How many spans a chunk of memory aims at: enough that a query works on columns, few enough
/// that newest-first reading stops early.
const CHUNK_ROWS: usize = 32_768;

/// Some batches of the memtable, one after the other.
pub(crate) struct MemoryChunk {
    batches: Vec<Arc<SpanBatch>>,
    rows: usize,
    min_start: i64,
    max_start: i64,
}

/// Cuts batches, in the order they arrived, into chunks.
pub(crate) fn chunks(batches: &[Arc<SpanBatch>]) -> Vec<Arc<MemoryChunk>> {
    let mut chunks = Vec::new();
    let mut open: Vec<Arc<SpanBatch>> = Vec::new();
    let mut rows = 0;
    for batch in batches {
        rows += batch.len();
        open.push(batch.clone());
        if rows >= CHUNK_ROWS {
            chunks.push(Arc::new(MemoryChunk::new(std::mem::take(&mut open))));
            rows = 0;
        }
    }
    if !open.is_empty() {
        chunks.push(Arc::new(MemoryChunk::new(open)));
    }
    chunks
}

/// Copies the spans of some traces out of batches, each into its builder.
pub(crate) fn traces(batches: &[Arc<SpanBatch>], builders: &mut TraceBuilders) {
    let mut owners: HashMap<TraceId, Owners<'_>> = HashMap::new();
    for batch in batches {
        let (ids, _) = batch.trace_id_buffer().as_chunks::<16>();
        for (row, id) in ids.iter().enumerate() {
            let id = TraceId(*id);
            if let Some(builder) = builders.get_mut(&id) {
                let span = batch.span(row);
                owners.entry(id).or_default().make_current(span, builder);
                builder.copy_span(span);
            }
        }
    }
}

/// Puts small batches together, so that many one-span requests do not cost a table each.
pub(crate) fn concat(batches: &[Arc<SpanBatch>]) -> SpanBatch {
    let mut builder = SpanBatchBuilder::default();
    let mut owners = Owners::default();
    for span in batches.iter().flat_map(|batch| batch.spans()) {
        owners.make_current(span, &mut builder);
        builder.copy_span(span);
    }
    builder.finish()
}

/// Counts the attribute keys of batches.
pub(crate) fn attribute_keys(batches: &[Arc<SpanBatch>]) -> Vec<AttributeKey> {
    let mut counts: HashMap<(Scope, AttrType, String), u64> = HashMap::new();
    for batch in batches {
        let resources = (0..batch.resource_count()).map(|number| batch.resource_attrs(number));
        let spans = (0..batch.len()).map(|row| batch.span_attrs(row));
        let events = batch.spans().flat_map(|span| span.events()).map(|e| e.attributes().range());
        let links = batch.spans().flat_map(|span| span.links()).map(|l| l.attributes().range());
        count_keys(batch, Scope::Resource, resources, &mut counts);
        count_keys(batch, Scope::Span, spans, &mut counts);
        count_keys(batch, Scope::Event, events, &mut counts);
        count_keys(batch, Scope::Link, links, &mut counts);
    }
    let keys = counts.into_iter();
    keys.map(|((scope, kind, key), count)| AttributeKey { key, scope, kind, count }).collect()
}

/// Counts the keys of some ranges of a batch's attributes: by number first, by text once a batch.
fn count_keys(
    batch: &SpanBatch,
    scope: Scope,
    ranges: impl Iterator<Item = AttrRange>,
    counts: &mut HashMap<(Scope, AttrType, String), u64>,
) {
    const TYPES: usize = 9;
    let mut indexes = ranges.flatten().peekable();
    if indexes.peek().is_none() {
        return;
    }
    let mut numbers = vec![0u32; batch.string_count() * TYPES];
    for index in indexes {
        numbers[batch.attr_key(index) as usize * TYPES + batch.attr_type(index) as usize] += 1;
    }
    for (slot, count) in numbers.into_iter().enumerate().filter(|(_, count)| *count > 0) {
        if let Some(kind) = AttrType::from_number((slot % TYPES) as u8) {
            let key = batch.string((slot / TYPES) as u32).to_owned();
            *counts.entry((scope, kind, key)).or_default() += u64::from(count);
        }
    }
}

impl MemoryChunk {
    fn new(batches: Vec<Arc<SpanBatch>>) -> Self {
        let starts = || batches.iter().flat_map(|b| b.starts().iter().copied());
        let (min_start, max_start) =
            (starts().min().unwrap_or_default(), starts().max().unwrap_or_default());
        Self { rows: batches.iter().map(|b| b.len()).sum(), min_start, max_start, batches }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn min_start(&self) -> i64 {
        self.min_start
    }

    pub(crate) fn max_start(&self) -> i64 {
        self.max_start
    }

    pub(crate) fn attribute_types(&self, scope: Scope, key: &str) -> Vec<AttrType> {
        let mut found = [false; 9];
        for batch in &self.batches {
            let Some(number) = batch.string_number(key) else { continue };
            let mut look = |range: std::ops::Range<u32>| {
                for index in range.filter(|index| batch.attr_key(*index) == number) {
                    found[batch.attr_type(index) as usize] = true;
                }
            };
            match scope {
                Scope::Resource => {
                    (0..batch.resource_count()).for_each(|r| look(batch.resource_attrs(r)));
                }
                Scope::Span => (0..batch.len()).for_each(|row| look(batch.span_attrs(row))),
                Scope::Event | Scope::Link => {
                    for span in batch.spans() {
                        let event = |(k, v): (&str, AttrValue<'_>)| (k == key).then(|| v.kind());
                        let mut note = |kind: AttrType| found[kind as usize] = true;
                        if scope == Scope::Event {
                            let all = span.events().flat_map(|e| e.attributes());
                            all.filter_map(event).for_each(&mut note);
                        } else {
                            let all = span.links().flat_map(|l| l.attributes());
                            all.filter_map(event).for_each(&mut note);
                        }
                    }
                }
            }
        }
        AttrType::ALL.into_iter().filter(|kind| found[*kind as usize]).collect()
    }

    pub(crate) fn spans(&self, rows: &[u32]) -> SpanBatch {
        let mut builder = SpanBatchBuilder::default();
        let mut owners = Owners::default();
        let mut first = 0;
        let mut rows = rows.iter().map(|row| *row as usize).peekable();
        for batch in &self.batches {
            while let Some(row) = rows.next_if(|row| *row < first + batch.len()) {
                let span = batch.span(row - first);
                owners.make_current(span, &mut builder);
                builder.copy_span(span);
            }
            first += batch.len();
        }
        builder.finish()
    }

    pub(crate) fn read(&self, columns: &[Column]) -> Vec<ArrayRef> {
        columns.iter().map(|column| self.column(column)).collect()
    }

    fn column(&self, column: &Column) -> ArrayRef {
        let batches = &self.batches;
        match column {
            Column::TraceId => self.ids(16, SpanBatch::trace_id_buffer, false),
            Column::SpanId => self.ids(8, SpanBatch::span_id_buffer, false),
            Column::ParentId => self.ids(8, SpanBatch::parent_id_buffer, true),
            Column::Start => Arc::new(Int64Array::from_iter_values(
                batches.iter().flat_map(|b| b.starts().iter().copied()),
            )),
            Column::Duration => Arc::new(Int64Array::from_iter(
                batches.iter().flat_map(|b| b.durations().iter().copied()).map(some_duration),
            )),
            Column::Kind => Arc::new(UInt8Array::from_iter_values(
                batches.iter().flat_map(|b| b.kinds().iter().copied()),
            )),
            Column::Status => Arc::new(UInt8Array::from_iter_values(
                batches.iter().flat_map(|b| b.statuses().iter().copied()),
            )),
            Column::Flags => Arc::new(UInt32Array::from_iter_values(
                batches.iter().flat_map(|b| b.spans()).map(|span| span.flags()),
            )),
            Column::Name => self.dictionary(|batch, words| {
                let numbers = words.numbers(batch);
                batch.names().iter().map(|name| Some(numbers[*name as usize])).collect()
            }),
            Column::StatusMessage => Arc::new(StringArray::from_iter(
                batches
                    .iter()
                    .flat_map(|b| b.spans())
                    .map(|s| Some(s.status_message()).filter(|text| !text.is_empty())),
            )),
            Column::Service => self
                .by_resource(|batch, resource| Some(batch.resource(resource).service().to_owned())),
            Column::ServiceNode => {
                self.by_resource(|batch, resource| Some(service_node_id(batch.resource(resource))))
            }
            Column::Environment => self.by_resource(|batch, resource| {
                batch.resource(resource).environment().map(str::to_owned)
            }),
            Column::ScopeName => self.dictionary(|batch, words| {
                let names: Vec<_> = (0..batch.scope_count())
                    .map(|scope| words.number(batch.string(batch.scope_row(scope).name)))
                    .collect();
                batch.scopes().iter().map(|scope| Some(names[*scope as usize])).collect()
            }),
            Column::HasEvents => self.flags(|span| span.events().len() > 0),
            Column::HasLinks => self.flags(|span| span.links().len() > 0),
            Column::SpanAttr { key, kind } => {
                let mut values = Values::with_capacity(*kind, self.rows);
                let mut first = 0;
                for batch in batches {
                    if let Some(number) = batch.string_number(key) {
                        for span in batch.spans() {
                            if let Some(value) = first_of(span.attributes_of(number), *kind) {
                                values.put(first + span.row(), value);
                            }
                        }
                    }
                    first += batch.len();
                }
                values.finish(self.rows)
            }
            Column::ResourceAttr { key, kind } if *kind == AttrType::Str => {
                self.by_resource(|batch, resource| {
                    let value = resource_value(batch, resource, key, *kind)?;
                    value.as_str().map(str::to_owned)
                })
            }
            Column::ResourceAttr { key, kind } => {
                let mut values = Values::with_capacity(*kind, self.rows);
                let mut first = 0;
                for batch in batches {
                    let found: Vec<_> = (0..batch.resource_count())
                        .map(|resource| resource_value(batch, resource, key, *kind))
                        .collect();
                    for (row, resource) in batch.resources().iter().enumerate() {
                        if let Some(value) = found[*resource as usize] {
                            values.put(first + row, value);
                        }
                    }
                    first += batch.len();
                }
                let array = values.finish(self.rows);
                match column.data_type() {
                    // Lists, maps and bytes of a resource are text, and text of a resource is a
                    // dictionary.
                    arrow::datatypes::DataType::Dictionary(_, _) => {
                        let text = array.as_any().downcast_ref::<StringArray>();
                        let text = text.expect("values of these types are text");
                        Arc::new(text.iter().collect::<DictionaryArray<Int32Type>>())
                    }
                    _ => array,
                }
            }
        }
    }

    fn ids(&self, width: usize, ids: fn(&SpanBatch) -> &Buffer, null_zero: bool) -> ArrayRef {
        let mut bytes = Vec::with_capacity(self.rows * width);
        self.batches.iter().for_each(|batch| bytes.extend_from_slice(ids(batch)));
        let nulls = null_zero.then(|| {
            let held = bytes.chunks_exact(width).map(|id| id.iter().any(|byte| *byte != 0));
            held.collect::<NullBuffer>()
        });
        Arc::new(FixedSizeBinaryArray::new(width as i32, bytes.into(), nulls))
    }

    fn flags(&self, flag: fn(throughline_model::SpanRef<'_>) -> bool) -> ArrayRef {
        let flags = self.batches.iter().flat_map(|b| b.spans()).map(|span| Some(flag(span)));
        Arc::new(flags.collect::<BooleanArray>())
    }

    fn by_resource(&self, value: impl Fn(&SpanBatch, usize) -> Option<String>) -> ArrayRef {
        self.dictionary(|batch, words| {
            let values: Vec<_> = (0..batch.resource_count())
                .map(|resource| value(batch, resource).map(|text| words.number(&text)))
                .collect();
            batch.resources().iter().map(|resource| values[*resource as usize]).collect()
        })
    }

    fn dictionary(&self, keys: impl Fn(&SpanBatch, &mut Words) -> Vec<Option<i32>>) -> ArrayRef {
        let mut words = Words::default();
        let mut all = Vec::with_capacity(self.rows);
        for batch in &self.batches {
            all.extend(keys(batch, &mut words));
        }
        words.finish(Int32Array::from(all))
    }
}

pub(crate) fn some_duration(duration: i64) -> Option<i64> {
    Some(duration).filter(|d| *d != NO_END)
}

fn resource_value<'a>(
    batch: &'a SpanBatch,
    resource: usize,
    key: &str,
    kind: AttrType,
) -> Option<AttrValue<'a>> {
    let found = batch.resource(resource).attributes().filter(|(k, _)| *k == key);
    first_of(found.map(|(_, value)| value), kind)
}

fn first_of<'a>(
    mut values: impl Iterator<Item = AttrValue<'a>>,
    kind: AttrType,
) -> Option<AttrValue<'a>> {
    values.find(|value| value.kind() == kind)
}

/// Texts by number, for dictionary columns.
#[derive(Default)]
pub(crate) struct Words {
    numbers: HashMap<String, i32, ahash::RandomState>,
    texts: Vec<String>,
}

impl Words {
    pub(crate) fn number(&mut self, text: &str) -> i32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as i32;
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// The numbers of all strings of a batch, by their string number there.
    fn numbers(&mut self, batch: &SpanBatch) -> Vec<i32> {
        (0..batch.string_count() as u32).map(|number| self.number(batch.string(number))).collect()
    }

    /// The texts, in the order of their numbers.
    pub(crate) fn texts(self) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(self.texts))
    }

    pub(crate) fn finish(self, keys: Int32Array) -> ArrayRef {
        Arc::new(DictionaryArray::new(keys, self.texts()))
    }
}
