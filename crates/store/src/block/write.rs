//! From the memtable to a block: order, gather, encode.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, DictionaryArray, FixedSizeBinaryArray, FixedSizeBinaryBuilder,
    Int32Array, Int64Array, RecordBatch, StringBuilder, UInt8Array, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use throughline_model::{AttrType, SpanBatch, SpanBatchBuilder, SpanId, TraceId, same_piece};

use super::sidecar::{ColumnMeta, GroupMeta, KeyMeta, Part, PartMeta, message_index, trace_index};
use super::values::{put_attribute, put_events, put_links, put_varint};
use crate::column::{attr_data_type, dictionary};
use crate::memory::{self, Words, some_duration};
use crate::messages::MessageTable;
use crate::typed_values::Values;
use crate::{AttributeKey, Scope};

/// Rows of a row group: it ends with the first whole trace beyond this many.
const GROUP_ROWS: usize = 131_072;
/// Rows that are gathered at once: few enough that their columns stay in the cache until they are
/// encoded. A slice ends with the first whole trace beyond this many.
const SLICE_ROWS: usize = 8_192;
/// Rows of a page: what a look-up of one trace decodes of each column.
const PAGE_ROWS: usize = 1_024;
/// Distinct values of a page's dictionary, in bytes. A look-up decodes the whole dictionary of
/// every column, so one of a million bytes would cost it milliseconds.
const DICTIONARY_BYTES_MAX: usize = 32 << 10;
/// How many attributes get a column of their own. Each costs 20 to 30 ns a span to write.
const COLUMNS_MAX: usize = 40;
/// An attribute on fewer spans than one in this many stays in the `rest` column.
const COLUMN_SHARE: u64 = 200;

/// A parent that is the row of this number among the trace's rows in its block.
pub(super) const PARENT_NONE: i32 = -1;
/// A parent that is not in the block: the `parent_id` column has its id.
pub(super) const PARENT_ELSEWHERE: i32 = -2;
/// The key that stands for "dropped counts" in the `rest` column.
pub(super) const DROPPED_KEY: &str = "";

/// Writes `batches` as one Parquet file. Exact copies of a span are written once.
///
/// Gives the file's bytes and what its sidecar says of it.
pub(crate) fn write_part(
    batches: &[Arc<SpanBatch>],
    messages: &MessageTable,
) -> Result<(Vec<u8>, Part), parquet::errors::ParquetError> {
    let rows = order(batches);
    let owners = Owners::new(batches);
    let names = Names::new(batches);
    let keys = memory::attribute_keys(batches);
    let columns = AttrColumns::choose(batches, &keys, rows.len());
    let schema = schema(&columns);
    let mut writer = ArrowWriter::try_new(
        Vec::with_capacity(rows.len() * 48),
        schema.clone(),
        Some(properties(&columns)),
    )?;
    let mut groups = Vec::new();
    let mut traces = Vec::new();
    for group in whole_traces(&rows, GROUP_ROWS) {
        let first_row = groups.iter().map(|g: &GroupMeta| g.rows).sum::<u64>() as u32;
        for slice in whole_traces(group, SLICE_ROWS) {
            writer.write(&gather(batches, slice, &owners, &names, &columns, &schema)?)?;
        }
        writer.flush()?;
        index_traces(group, first_row, &mut traces);
        let starts = group.iter().map(|row| row.start);
        groups.push(GroupMeta {
            rows: group.len() as u64,
            min_start: starts.clone().min().unwrap_or_default(),
            max_start: starts.max().unwrap_or_default(),
        });
    }
    let bytes = writer.into_inner()?;
    let keys = keys.into_iter().map(|k| KeyMeta {
        scope: k.scope,
        key: k.key,
        kind: k.kind as u8,
        count: k.count,
    });
    let meta =
        PartMeta { rows: rows.len() as u64, groups, columns: columns.meta(), keys: keys.collect() };
    let traces = trace_index(traces);
    let messages = message_index(messages, &traces);
    Ok((bytes, Part::new(meta, owners.batch, traces, messages)))
}

/// One row of the block, and where it comes from.
struct Row {
    trace_id: TraceId,
    trace_start: i64,
    start: i64,
    batch: u32,
    row: u32,
}

/// All rows in block order: traces by their start, a trace's rows together and by start.
fn order(batches: &[Arc<SpanBatch>]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::with_capacity(batches.iter().map(|b| b.len()).sum());
    for (number, batch) in batches.iter().enumerate() {
        let (ids, _) = batch.trace_id_buffer().as_chunks::<16>();
        for (row, (id, start)) in ids.iter().zip(batch.starts().iter()).enumerate() {
            let trace_id = TraceId(*id);
            rows.push(Row {
                trace_id,
                trace_start: 0,
                start: *start,
                batch: number as u32,
                row: row as u32,
            });
        }
    }
    rows.sort_unstable_by(|a, b| {
        (a.trace_id, a.start, a.batch, a.row).cmp(&(b.trace_id, b.start, b.batch, b.row))
    });
    drop_copies(batches, &mut rows);
    for trace in rows.chunk_by_mut(|a, b| a.trace_id == b.trace_id) {
        let start = trace.first().map(|row| row.start).unwrap_or_default();
        trace.iter_mut().for_each(|row| row.trace_start = start);
    }
    // Stable, so a trace's rows keep their order.
    rows.sort_by_key(|row| (row.trace_start, row.trace_id));
    rows
}

/// Drops exact copies of a span. They have the same trace and start, so they stand close.
fn drop_copies(batches: &[Arc<SpanBatch>], rows: &mut Vec<Row>) {
    let span = |row: &Row| batches[row.batch as usize].span(row.row as usize);
    let mut copies = Vec::new();
    let mut first = 0;
    for run in rows.chunk_by(|a, b| (a.trace_id, a.start) == (b.trace_id, b.start)) {
        for (at, row) in run.iter().enumerate().skip(1) {
            let id = span(row).span_id();
            let same = |earlier: &&Row| {
                span(earlier).span_id() == id && same_piece(span(earlier), span(row))
            };
            // Bounded, so that a sender of a million spans with one start time costs no square.
            if run[at.saturating_sub(64)..at].iter().any(|earlier| same(&earlier)) {
                copies.push(first + at);
            }
        }
        first += run.len();
    }
    if copies.is_empty() {
        return;
    }
    let mut copies = copies.into_iter().peekable();
    let mut at = 0;
    rows.retain(|_| {
        at += 1;
        copies.next_if_eq(&(at - 1)).is_none()
    });
}

/// Cuts rows into runs of at least `least` rows, never inside a trace.
fn whole_traces(rows: &[Row], least: usize) -> Vec<&[Row]> {
    let mut groups = Vec::new();
    let (mut first, mut length) = (0, 0);
    for trace in rows.chunk_by(|a, b| a.trace_id == b.trace_id) {
        length += trace.len();
        if length >= least {
            groups.push(&rows[first..first + length]);
            (first, length) = (first + length, 0);
        }
    }
    if length > 0 {
        groups.push(&rows[first..first + length]);
    }
    groups
}

fn index_traces(group: &[Row], first_row: u32, traces: &mut Vec<(TraceId, u32, u32)>) {
    let mut row = first_row;
    for trace in group.chunk_by(|a, b| a.trace_id == b.trace_id) {
        if let [first, ..] = trace {
            traces.push((first.trace_id, row, trace.len() as u32));
        }
        row += trace.len() as u32;
    }
}

/// Resources and scopes of all batches, each once, and their new numbers.
struct Owners {
    batch: SpanBatch,
    resources: Vec<Vec<u32>>,
    scopes: Vec<Vec<u32>>,
}

impl Owners {
    fn new(batches: &[Arc<SpanBatch>]) -> Self {
        let mut builder = SpanBatchBuilder::default();
        let mut known_resources: HashMap<String, u32> = HashMap::new();
        let mut known_scopes: HashMap<String, u32> = HashMap::new();
        let (mut resources, mut scopes) = (Vec::new(), Vec::new());
        for batch in batches {
            let numbers = (0..batch.resource_count()).map(|number| {
                let resource = batch.resource(number);
                let identity = format!(
                    "{:?} {} {}",
                    resource.attributes().collect::<Vec<_>>(),
                    resource.schema_url(),
                    resource.dropped()
                );
                *known_resources.entry(identity).or_insert_with(|| builder.copy_resource(resource))
            });
            resources.push(numbers.collect());
            let numbers = (0..batch.scope_count()).map(|number| {
                let scope = batch.scope(number);
                let identity = format!(
                    "{} {} {} {} {:?}",
                    scope.name(),
                    scope.version(),
                    scope.schema_url(),
                    scope.dropped(),
                    scope.attributes().collect::<Vec<_>>()
                );
                *known_scopes.entry(identity).or_insert_with(|| builder.copy_scope(scope))
            });
            scopes.push(numbers.collect());
        }
        Self { batch: builder.finish(), resources, scopes }
    }
}

/// The span names of all batches, each once, and their numbers.
struct Names {
    texts: ArrayRef,
    /// For each batch: the name's number by string number.
    numbers: Vec<Vec<i32>>,
}

impl Names {
    fn new(batches: &[Arc<SpanBatch>]) -> Self {
        let mut words = Words::default();
        let numbers = batches.iter().map(|batch| {
            let mut numbers = vec![-1; batch.string_count()];
            for name in batch.names().iter() {
                let number = &mut numbers[*name as usize];
                if *number < 0 {
                    *number = words.number(batch.string(*name));
                }
            }
            numbers
        });
        let numbers = numbers.collect();
        Self { texts: words.texts(), numbers }
    }
}

/// Which attributes have a column, and where each batch's keys go.
struct AttrColumns {
    columns: Vec<(String, AttrType, String)>,
    /// For each batch: column number by (string number, type), or [`NO_COLUMN`].
    slots: Vec<Vec<u16>>,
}

const NO_COLUMN: u16 = u16::MAX;
const TYPES: usize = 9;

impl AttrColumns {
    fn choose(batches: &[Arc<SpanBatch>], keys: &[AttributeKey], rows: usize) -> Self {
        let least = (rows as u64 / COLUMN_SHARE).max(1);
        let plain = [AttrType::Str, AttrType::Bool, AttrType::Int, AttrType::Double];
        let mut chosen: Vec<_> = keys
            .iter()
            .filter(|k| k.scope == Scope::Span && plain.contains(&k.kind))
            .filter(|k| k.count >= least && !k.key.is_empty())
            .collect();
        chosen.sort_by_key(|k| (std::cmp::Reverse(k.count), &k.key, k.kind));
        chosen.truncate(COLUMNS_MAX);
        chosen.sort_by_key(|k| (&k.key, k.kind));
        let columns: Vec<_> = chosen
            .into_iter()
            .map(|k| (k.key.clone(), k.kind, column_name(&k.key, k.kind)))
            .collect();
        let slots = batches.iter().map(|batch| {
            let numbers = batch.string_numbers();
            let mut slots = vec![NO_COLUMN; batch.string_count() * TYPES];
            for (column, (key, kind, _)) in columns.iter().enumerate() {
                if let Some(number) = numbers.get(key.as_str()) {
                    slots[*number as usize * TYPES + *kind as usize] = column as u16;
                }
            }
            slots
        });
        let slots = slots.collect();
        Self { columns, slots }
    }

    fn meta(&self) -> Vec<ColumnMeta> {
        let columns = self.columns.iter().map(|(key, kind, column)| ColumnMeta {
            key: key.clone(),
            kind: *kind as u8,
            column: column.clone(),
        });
        columns.collect()
    }
}

/// The Parquet column of an attribute. A dot in front, so that no key collides with ours.
fn column_name(key: &str, kind: AttrType) -> String {
    format!(".{}:{key}", kind.word())
}

fn schema(columns: &AttrColumns) -> SchemaRef {
    let mut fields = vec![
        Field::new("trace_id", DataType::FixedSizeBinary(16), false),
        Field::new("span_id", DataType::FixedSizeBinary(8), false),
        Field::new("parent_ref", DataType::Int32, false),
        Field::new("parent_id", DataType::FixedSizeBinary(8), true),
        Field::new("start", DataType::Int64, false),
        Field::new("duration", DataType::Int64, true),
        Field::new("kind", DataType::UInt8, false),
        Field::new("status", DataType::UInt8, false),
        Field::new("flags", DataType::UInt32, false),
        Field::new("name", dictionary(), false),
        Field::new("status_message", DataType::Utf8, true),
        Field::new("trace_state", DataType::Utf8, true),
        Field::new("resource", DataType::UInt32, false),
        Field::new("scope", DataType::UInt32, false),
        Field::new("rest", DataType::Binary, true),
        Field::new("events", DataType::Binary, true),
        Field::new("links", DataType::Binary, true),
    ];
    for (_, kind, column) in &columns.columns {
        fields.push(Field::new(column, attr_data_type(*kind), true));
    }
    Arc::new(Schema::new(fields))
}

fn properties(columns: &AttrColumns) -> WriterProperties {
    let path = |name: &str| ColumnPath::new(vec![name.to_owned()]);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_max_row_group_row_count(None)
        .set_created_by(concat!("throughline ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_column_dictionary_enabled(path("span_id"), false)
        .set_column_compression(path("span_id"), Compression::UNCOMPRESSED);
    for name in ["trace_id", "parent_ref", "start", "duration"] {
        properties = properties.set_column_dictionary_enabled(path(name), false);
    }
    // Small numbers: packing their differences costs less than looking each up in a dictionary.
    for name in ["kind", "status", "flags", "resource", "scope"] {
        properties = properties
            .set_column_dictionary_enabled(path(name), false)
            .set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED);
    }
    properties = properties.set_column_encoding(path("start"), Encoding::DELTA_BINARY_PACKED);
    for (_, kind, column) in &columns.columns {
        if *kind == AttrType::Double {
            properties = properties.set_column_dictionary_enabled(path(column), false);
        }
    }
    properties.build()
}

/// Builds the Arrow columns of some rows.
fn gather(
    batches: &[Arc<SpanBatch>],
    rows: &[Row],
    owners: &Owners,
    span_names: &Names,
    columns: &AttrColumns,
    schema: &SchemaRef,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut trace_ids = Vec::with_capacity(rows.len() * 16);
    let mut span_ids = Vec::with_capacity(rows.len() * 8);
    let mut starts = Vec::with_capacity(rows.len());
    let mut durations = Vec::with_capacity(rows.len());
    let mut kinds = Vec::with_capacity(rows.len());
    let mut statuses = Vec::with_capacity(rows.len());
    let mut flags = Vec::with_capacity(rows.len());
    let mut names = Vec::with_capacity(rows.len());
    let (mut messages, mut states) = (StringBuilder::new(), StringBuilder::new());
    let mut resources = Vec::with_capacity(rows.len());
    let mut scopes = Vec::with_capacity(rows.len());
    let (mut rest, mut events, mut links) =
        (BinaryBuilder::new(), BinaryBuilder::new(), BinaryBuilder::new());
    let mut values: Vec<Values> =
        columns.columns.iter().map(|c| Values::with_capacity(c.1, rows.len())).collect();
    let mut scratch = Vec::new();

    for (at, row) in rows.iter().enumerate() {
        let batch = &batches[row.batch as usize];
        let span = batch.span(row.row as usize);
        trace_ids.extend_from_slice(&row.trace_id.0);
        span_ids.extend_from_slice(&span.span_id().0);
        starts.push(row.start);
        durations.push(batch.durations()[row.row as usize]);
        kinds.push(span.kind() as u8);
        statuses.push(span.status() as u8);
        flags.push(span.flags());
        let name = batch.names()[row.row as usize] as usize;
        names.push(span_names.numbers[row.batch as usize][name]);
        messages.append_option(Some(span.status_message()).filter(|text| !text.is_empty()));
        states.append_option(Some(span.trace_state()).filter(|text| !text.is_empty()));
        resources.push(owners.resources[row.batch as usize][span.resource().number()]);
        scopes.push(owners.scopes[row.batch as usize][span.scope().number()]);

        scratch.clear();
        let slots = &columns.slots[row.batch as usize];
        for index in batch.span_attrs(row.row as usize) {
            let (key, kind) = (batch.attr_key(index), batch.attr_type(index));
            let slot = slots[key as usize * TYPES + kind as usize];
            match values.get_mut(usize::from(slot)) {
                // A key sent twice has its second value in `rest`.
                Some(column) if column.len() <= at => column.put_attribute(at, batch, index),
                _ => put_attribute(&mut scratch, batch.string(key), batch.attr_value(index)),
            }
        }
        let dropped = span.dropped();
        if dropped != [0; 3] {
            put_varint(&mut scratch, DROPPED_KEY.len() as u64);
            scratch.push(0);
            dropped.iter().for_each(|count| put_varint(&mut scratch, u64::from(*count)));
        }
        append(&mut rest, &mut scratch);
        put_events(&mut scratch, span);
        append(&mut events, &mut scratch);
        put_links(&mut scratch, span);
        append(&mut links, &mut scratch);
    }

    let (parent_refs, parent_ids) = parents(batches, rows);
    let ids = |bytes: Vec<u8>, width| FixedSizeBinaryArray::new(width, bytes.into(), None);
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(ids(trace_ids, 16)),
        Arc::new(ids(span_ids, 8)),
        Arc::new(parent_refs),
        Arc::new(parent_ids),
        Arc::new(Int64Array::from(starts)),
        Arc::new(Int64Array::from_iter(durations.into_iter().map(some_duration))),
        Arc::new(UInt8Array::from(kinds)),
        Arc::new(UInt8Array::from(statuses)),
        Arc::new(UInt32Array::from(flags)),
        Arc::new(DictionaryArray::new(Int32Array::from(names), Arc::clone(&span_names.texts))),
        Arc::new(messages.finish()),
        Arc::new(states.finish()),
        Arc::new(UInt32Array::from(resources)),
        Arc::new(UInt32Array::from(scopes)),
        Arc::new(rest.finish()),
        Arc::new(events.finish()),
        Arc::new(links.finish()),
    ];
    arrays.extend(values.into_iter().map(|column| column.finish(rows.len())));
    RecordBatch::try_new(schema.clone(), arrays)
}

/// Appends what is in `scratch`, null when nothing is, and empties it.
fn append(column: &mut BinaryBuilder, scratch: &mut Vec<u8>) {
    column.append_option(Some(&scratch[..]).filter(|bytes| !bytes.is_empty()));
    scratch.clear();
}

/// The parent of every row: as its row inside the trace where the block has it, else as its id.
fn parents(batches: &[Arc<SpanBatch>], rows: &[Row]) -> (Int32Array, FixedSizeBinaryArray) {
    let span = |row: &Row| batches[row.batch as usize].span(row.row as usize);
    let mut refs = Vec::with_capacity(rows.len());
    let mut ids = FixedSizeBinaryBuilder::with_capacity(rows.len(), 8);
    let mut ordinals: HashMap<SpanId, i32, ahash::RandomState> = HashMap::default();
    for trace in rows.chunk_by(|a, b| a.trace_id == b.trace_id) {
        ordinals.clear();
        for (ordinal, row) in trace.iter().enumerate() {
            ordinals.entry(span(row).span_id()).or_insert(ordinal as i32);
        }
        for row in trace {
            let parent = span(row).parent_id();
            let held = ordinals.get(&parent).copied();
            refs.push(match held {
                _ if parent.is_zero() => PARENT_NONE,
                Some(ordinal) => ordinal,
                None => PARENT_ELSEWHERE,
            });
            if held.is_some() || parent.is_zero() {
                ids.append_null();
            } else {
                ids.append_value(parent.0).expect("a span id has eight bytes");
            }
        }
    }
    (Int32Array::from(refs), ids.finish())
}
