//! From a block back to columns, spans and traces.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray,
    FixedSizeBinaryBuilder, Int32Array, RecordBatch, RecordBatchReader, new_null_array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int32Type, Int64Type, UInt8Type, UInt32Type};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::reader::{ChunkReader, Length};
use throughline_model::{
    AttrType, NO_END, Owners, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, StatusCode, TraceId,
};
use throughline_topology::service_node_id;

use super::sidecar::{Part, Sidecar, trace_hash};
use super::values::Cursor;
use super::write::{DROPPED_KEY, PARENT_NONE};
use crate::memory::Words;
use crate::seams::{Objects, StoredObject};
use crate::typed_values::Values;
use crate::{Column, ReadError, Scope};

/// One block of the catalogue, open for reading.
pub(crate) struct Block {
    pub(crate) name: String,
    pub(crate) sidecar: Sidecar,
    file: Arc<dyn StoredObject>,
    /// Footer and page index, read when a query first needs them.
    metadata: OnceLock<ArrowReaderMetadata>,
}

/// A builder for each trace that is read.
pub(crate) type TraceBuilders = HashMap<TraceId, SpanBatchBuilder, ahash::RandomState>;

/// Where a row group is: its number in the file and its rows.
pub(crate) struct RowGroup {
    block: Arc<Block>,
    part: usize,
    group: usize,
    /// Number of the row group in the Parquet file.
    file_group: usize,
    /// First row inside the part.
    first_row: u32,
}

/// Reads bytes of a stored object for the Parquet reader.
struct Reader(Arc<dyn StoredObject>);

impl Length for Reader {
    fn len(&self) -> u64 {
        self.0.size_bytes()
    }
}

impl ChunkReader for Reader {
    type T = std::io::Cursor<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let length = self.0.size_bytes().saturating_sub(start);
        let bytes = self.get_bytes(start, usize::try_from(length).unwrap_or(usize::MAX))?;
        Ok(std::io::Cursor::new(bytes))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        Ok(self.0.read_at(start, length)?)
    }
}

impl Block {
    /// Opens a block by reading its sidecar; the Parquet file is only opened.
    pub(crate) fn open(objects: &dyn Objects, name: &str) -> Result<Self, ReadError> {
        let side_name = super::sidecar_name(name);
        let side = objects.open(&side_name)?;
        let length = usize::try_from(side.size_bytes())
            .map_err(|_| ReadError::Damaged(format!("{side_name}: too large")))?;
        let sidecar = Sidecar::decode(&side.read_at(0, length)?, &side_name)?;
        let file = objects.open(&super::parquet_name(name))?;
        Ok(Self { name: name.to_owned(), sidecar, file, metadata: OnceLock::new() })
    }

    pub(crate) fn rows(&self) -> u64 {
        self.sidecar.parts.iter().map(|part| part.meta.rows).sum()
    }

    pub(crate) fn file(&self) -> &Arc<dyn StoredObject> {
        &self.file
    }

    pub(crate) fn metadata(&self) -> Result<&ArrowReaderMetadata, ReadError> {
        if let Some(metadata) = self.metadata.get() {
            return Ok(metadata);
        }
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&Reader(self.file.clone()), options)?;
        Ok(self.metadata.get_or_init(|| metadata))
    }

    /// All row groups of the block.
    pub(crate) fn row_groups(self: &Arc<Self>) -> Vec<Arc<RowGroup>> {
        let mut groups = Vec::new();
        for (part, described) in self.sidecar.parts.iter().enumerate() {
            let mut first_row = 0;
            for (group, meta) in described.meta.groups.iter().enumerate() {
                let (block, file_group) = (self.clone(), groups.len());
                groups.push(Arc::new(RowGroup { block, part, group, file_group, first_row }));
                first_row += meta.rows as u32;
            }
        }
        groups
    }

    /// Copies the spans of some traces, each into its builder, with one read of a row group for all.
    pub(crate) fn traces(self: &Arc<Self>, builders: &mut TraceBuilders) -> Result<(), ReadError> {
        let mut runs = Vec::new();
        for (part, described) in self.sidecar.parts.iter().enumerate() {
            let found = builders.keys().flat_map(|id| described.traces.find(trace_hash(*id)));
            runs.extend(found.map(|[row, count]| (part, row, count)));
        }
        // Two ids of one hash have the same runs.
        runs.sort_unstable();
        runs.dedup();
        let mut runs = runs.into_iter().peekable();
        if runs.peek().is_none() {
            return Ok(());
        }
        for group in self.row_groups() {
            let end = (group.part, group.first_row + group.rows() as u32);
            let own = std::iter::from_fn(|| runs.next_if(|(part, row, _)| (*part, *row) < end));
            let ranges: Vec<_> = own
                .map(|(_, row, count)| {
                    let first = row.saturating_sub(group.first_row) as usize;
                    first..first + count as usize
                })
                .collect();
            if !ranges.is_empty() {
                group.trace_rows(ranges, builders)?;
            }
        }
        match runs.next() {
            Some(_) => Err(self.damaged("a trace lies in no row group")),
            None => Ok(()),
        }
    }

    /// How many rows some traces have in the block: each id with a number for each of its runs.
    pub(crate) fn rows_of<'a>(
        &'a self,
        ids: &'a [TraceId],
    ) -> impl Iterator<Item = (TraceId, u32)> {
        self.sidecar.parts.iter().flat_map(|part| {
            ids.iter().flat_map(|id| {
                let found = part.traces.find(trace_hash(*id));
                found.map(|[_, rows]| (*id, rows))
            })
        })
    }

    /// The traces that may hold a message of one of these hashes: of each at most as many as
    /// stand beside it, which become fewer, and at most `max` more in all.
    pub(crate) fn traces_with(
        self: &Arc<Self>,
        hashes: &mut [(u64, usize)],
        max: usize,
        found: &mut HashSet<TraceId>,
    ) -> Result<(), ReadError> {
        let mut rows = Vec::new();
        for (part, described) in self.sidecar.parts.iter().enumerate() {
            for (hash, left) in &mut *hashes {
                let before = rows.len();
                let held = described.messages.find(*hash).take(*left);
                rows.extend(held.map(|[row]| (part, row)));
                *left -= rows.len() - before;
            }
        }
        rows.sort_unstable();
        rows.dedup();
        rows.truncate(max);
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        for group in self.row_groups() {
            let end = (group.part, group.first_row + group.rows() as u32);
            let own = std::iter::from_fn(|| rows.next_if(|row| *row < end));
            let own: Vec<_> = own
                .map(|(_, row)| row.saturating_sub(group.first_row) as usize)
                .map(|row| row..row + 1)
                .collect();
            if own.is_empty() {
                continue;
            }
            let selection = RowSelection::from_consecutive_ranges(own.into_iter(), group.rows());
            let batch = group.physical(&["trace_id"], Some(selection))?;
            let ids = batch.column_by_name("trace_id").and_then(|a| a.as_fixed_size_binary_opt());
            let ids = ids.ok_or_else(|| self.damaged("trace_id"))?;
            found.extend(ids.iter().flatten().filter_map(TraceId::from_slice));
        }
        Ok(())
    }

    fn damaged(&self, what: &str) -> ReadError {
        ReadError::Damaged(format!("{}: {what}", self.name))
    }
}

impl RowGroup {
    fn part(&self) -> &Part {
        &self.block.sidecar.parts[self.part]
    }

    /// The name of its block.
    pub(crate) fn name(&self) -> &str {
        &self.block.name
    }

    /// Its number in the block.
    pub(crate) fn number(&self) -> usize {
        self.file_group
    }

    pub(crate) fn rows(&self) -> usize {
        self.part().meta.groups[self.group].rows as usize
    }

    pub(crate) fn min_start(&self) -> i64 {
        self.part().meta.groups[self.group].min_start
    }

    pub(crate) fn max_start(&self) -> i64 {
        self.part().meta.groups[self.group].max_start
    }

    pub(crate) fn attribute_types(&self, scope: Scope, key: &str) -> Vec<AttrType> {
        self.part().types.get(&(scope, key.to_owned())).cloned().unwrap_or_default()
    }

    pub(crate) fn may_contain(&self, column: &Column, value: &str) -> bool {
        let owners = &self.part().owners;
        let mut resources = (0..owners.resource_count()).map(|number| owners.resource(number));
        match column {
            Column::Service => resources.any(|resource| resource.service() == value),
            Column::Environment => resources.any(|r| r.environment() == Some(value)),
            Column::ResourceAttr { key, .. } => resources
                .any(|resource| resource.attributes().any(|(k, v)| k == key && v.text() == value)),
            Column::SpanAttr { key, kind } => self.attribute_types(Scope::Span, key).contains(kind),
            _ => true,
        }
    }

    /// Reads Parquet columns by name; `selection` picks rows of this row group.
    fn physical(
        &self,
        names: &[&str],
        selection: Option<RowSelection>,
    ) -> Result<RecordBatch, ReadError> {
        let metadata = self.block.metadata()?;
        let parquet_schema = metadata.metadata().file_metadata().schema_descr();
        let leaves = parquet_schema.columns().iter().enumerate();
        let wanted = leaves.filter(|(_, leaf)| names.contains(&leaf.name())).map(|(at, _)| at);
        let mask = ProjectionMask::leaves(parquet_schema, wanted);
        self.read_masked(mask, selection)
    }

    fn read_masked(
        &self,
        mask: ProjectionMask,
        selection: Option<RowSelection>,
    ) -> Result<RecordBatch, ReadError> {
        let metadata = self.block.metadata()?.clone();
        let reader = Reader(self.block.file.clone());
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(reader, metadata)
            .with_projection(mask)
            .with_row_groups(vec![self.file_group])
            .with_batch_size(self.rows());
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let reader = builder.build()?;
        let schema = reader.schema();
        let mut batches = reader.collect::<Result<Vec<_>, _>>()?;
        match batches.len() {
            1 => Ok(batches.remove(0)),
            _ => Ok(concat_batches(&schema, &batches)?),
        }
    }

    pub(crate) fn read(&self, columns: &[Column]) -> Result<Vec<ArrayRef>, ReadError> {
        let mut names: Vec<&str> = Vec::new();
        for column in columns {
            match column {
                Column::ParentId => {
                    names.extend(["parent_ref", "parent_id", "span_id", "trace_id"]);
                }
                Column::SpanAttr { key, kind } => names.push(self.attr_column(key, *kind)),
                other => names.push(physical_name(other)),
            }
        }
        let batch = self.physical(&names, None)?;
        columns.iter().map(|column| self.logical(&batch, column)).collect()
    }

    /// The Parquet column that has a span attribute: its own, or `rest`.
    fn attr_column(&self, key: &str, kind: AttrType) -> &str {
        self.part().columns.get(&(key.to_owned(), kind)).map_or("rest", String::as_str)
    }

    fn logical(&self, batch: &RecordBatch, column: &Column) -> Result<ArrayRef, ReadError> {
        let stored = |name: &str| {
            batch.column_by_name(name).cloned().ok_or_else(|| self.block.damaged(name))
        };
        let rows = batch.num_rows();
        match column {
            Column::ParentId => {
                let parents = Parents::new(self, batch)?;
                let mut ids = FixedSizeBinaryBuilder::with_capacity(rows, 8);
                for row in 0..rows {
                    match parents.of(row) {
                        SpanId::ZERO => ids.append_null(),
                        id => ids.append_value(id.0)?,
                    }
                }
                Ok(Arc::new(ids.finish()))
            }
            Column::Service => {
                self.by_resource(batch, |resource| Some(resource.service().to_owned()))
            }
            Column::ServiceNode => {
                self.by_resource(batch, |resource| Some(service_node_id(resource)))
            }
            Column::Environment => {
                self.by_resource(batch, |resource| resource.environment().map(str::to_owned))
            }
            Column::ScopeName => {
                let owners = &self.part().owners;
                let mut words = Words::default();
                let names: Vec<_> = (0..owners.scope_count())
                    .map(|scope| Some(words.number(owners.scope(scope).name())))
                    .collect();
                self.take(batch, "scope", &names, words)
            }
            Column::HasEvents | Column::HasLinks => {
                let array = stored(physical_name(column))?;
                let held = (0..rows).map(|row| Some(array.is_valid(row)));
                Ok(Arc::new(held.collect::<BooleanArray>()))
            }
            Column::SpanAttr { key, kind } => match self.attr_column(key, *kind) {
                "rest" if self.attribute_types(Scope::Span, key).contains(kind) => {
                    from_rest(&stored("rest")?, key, *kind)
                }
                "rest" => Ok(new_null_array(&column.data_type(), rows)),
                own => stored(own),
            },
            Column::ResourceAttr { key, kind } => {
                if column.data_type() == crate::column::dictionary() {
                    return self.by_resource(batch, |resource| {
                        let value =
                            resource.attributes().find(|(k, v)| k == key && v.kind() == *kind);
                        value.map(|(_, value)| value.text().into_owned())
                    });
                }
                let owners = &self.part().owners;
                let found: Vec<_> = (0..owners.resource_count())
                    .map(|number| {
                        let mut values = owners.resource(number).attributes();
                        values.find(|(k, v)| k == key && v.kind() == *kind).map(|(_, v)| v)
                    })
                    .collect();
                let numbers = self.numbers(batch, "resource")?;
                let mut values = Values::with_capacity(*kind, numbers.len());
                for (row, number) in numbers.iter().enumerate() {
                    if let Some(value) = found.get(*number as usize).copied().flatten() {
                        values.put(row, value);
                    }
                }
                Ok(values.finish(numbers.len()))
            }
            other => stored(physical_name(other)),
        }
    }

    fn by_resource(
        &self,
        batch: &RecordBatch,
        text: impl Fn(throughline_model::ResourceRef<'_>) -> Option<String>,
    ) -> Result<ArrayRef, ReadError> {
        let owners = &self.part().owners;
        let mut words = Words::default();
        let numbers: Vec<_> = (0..owners.resource_count())
            .map(|number| text(owners.resource(number)).map(|text| words.number(&text)))
            .collect();
        self.take(batch, "resource", &numbers, words)
    }

    fn numbers<'a>(&self, batch: &'a RecordBatch, name: &str) -> Result<&'a [u32], ReadError> {
        let array = batch.column_by_name(name).and_then(|a| a.as_primitive_opt::<UInt32Type>());
        Ok(array.ok_or_else(|| self.block.damaged(name))?.values())
    }

    fn take(
        &self,
        batch: &RecordBatch,
        name: &str,
        numbers: &[Option<i32>],
        words: Words,
    ) -> Result<ArrayRef, ReadError> {
        let rows = self.numbers(batch, name)?.iter();
        let keys = rows.map(|number| numbers.get(*number as usize).copied().flatten());
        Ok(words.finish(keys.collect::<Int32Array>()))
    }

    /// Copies rows, which are whole traces, into the builders of those traces that have one.
    fn trace_rows(
        &self,
        ranges: Vec<Range<usize>>,
        builders: &mut TraceBuilders,
    ) -> Result<(), ReadError> {
        let apart = ranges.windows(2).all(|pair| pair[0].end <= pair[1].start);
        if !apart || ranges.last().is_some_and(|last| last.end > self.rows()) {
            return Err(self.block.damaged("the rows of its traces"));
        }
        let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), self.rows());
        let batch = self.read_masked(ProjectionMask::all(), Some(selection))?;
        let ids = batch.column_by_name("trace_id").and_then(|a| a.as_fixed_size_binary_opt());
        let ids = ids.ok_or_else(|| self.block.damaged("trace_id"))?;
        let (parents, rows) = (Parents::new(self, &batch)?, Rows::new(self, &batch)?);
        let mut first = 0;
        while first < ids.len() {
            let same = (first..ids.len()).take_while(|row| ids.value(*row) == ids.value(first));
            let end = first + same.count();
            let id = TraceId::from_slice(ids.value(first)).unwrap_or_default();
            if let Some(builder) = builders.get_mut(&id) {
                rows.copy(first..end, |row| parents.of(row), builder)?;
            }
            first = end;
        }
        Ok(())
    }

    pub(crate) fn spans(&self, rows: &[u32]) -> Result<SpanBatch, ReadError> {
        let mut builder = SpanBatchBuilder::default();
        if rows.is_empty() {
            return Ok(builder.finish());
        }
        let ranges = rows.iter().map(|row| *row as usize..*row as usize + 1);
        let selection = RowSelection::from_consecutive_ranges(ranges, self.rows());
        let batch = self.read_masked(ProjectionMask::all(), Some(selection))?;
        // A parent may be a row that was not asked for, so ids come from the whole row group.
        let all = self.physical(&["trace_id", "span_id", "parent_ref", "parent_id"], None)?;
        let parents = Parents::new(self, &all)?;
        let parent = |at: usize| rows.get(at).map_or(SpanId::ZERO, |row| parents.of(*row as usize));
        Rows::new(self, &batch)?.copy(0..batch.num_rows(), parent, &mut builder)?;
        Ok(builder.finish())
    }
}

/// The Parquet column behind a column that is stored as it is, or that is made from one.
fn physical_name(column: &Column) -> &'static str {
    match column {
        Column::TraceId | Column::ParentId => "trace_id",
        Column::SpanId => "span_id",
        Column::Start => "start",
        Column::Duration => "duration",
        Column::Name => "name",
        Column::Kind => "kind",
        Column::Status => "status",
        Column::Flags => "flags",
        Column::StatusMessage => "status_message",
        Column::Service
        | Column::ServiceNode
        | Column::Environment
        | Column::ResourceAttr { .. } => "resource",
        Column::ScopeName => "scope",
        Column::HasEvents => "events",
        Column::HasLinks => "links",
        Column::SpanAttr { .. } => "rest",
    }
}

fn from_rest(rest: &ArrayRef, key: &str, kind: AttrType) -> Result<ArrayRef, ReadError> {
    let rest = rest.as_binary_opt::<i32>().ok_or(ReadError::Damaged("rest".to_owned()))?;
    let mut values = Values::with_capacity(kind, rest.len());
    for (row, bytes) in rest.iter().enumerate() {
        let mut cursor = Cursor(bytes.unwrap_or_default());
        while !cursor.is_empty() {
            let Some((k, value)) = cursor.attribute() else { break };
            if k == key && value.kind() == kind {
                values.put(row, value);
                break;
            }
        }
    }
    Ok(values.finish(rest.len()))
}

/// The parent of each row of a batch of whole traces.
struct Parents<'a> {
    refs: &'a [i32],
    elsewhere: &'a FixedSizeBinaryArray,
    span_ids: &'a FixedSizeBinaryArray,
    /// The first row of the trace of each row.
    firsts: Vec<u32>,
}

impl<'a> Parents<'a> {
    fn new(group: &RowGroup, batch: &'a RecordBatch) -> Result<Self, ReadError> {
        let ids = |name: &str| {
            let array = batch.column_by_name(name).and_then(|a| a.as_fixed_size_binary_opt());
            array.ok_or_else(|| group.block.damaged(name))
        };
        let refs =
            batch.column_by_name("parent_ref").and_then(|a| a.as_primitive_opt::<Int32Type>());
        let refs = refs.ok_or_else(|| group.block.damaged("parent_ref"))?.values();
        let trace_ids = ids("trace_id")?;
        let mut firsts: Vec<u32> = Vec::with_capacity(trace_ids.len());
        for row in 0..trace_ids.len() {
            let first = match firsts.last() {
                Some(first) if trace_ids.value(row) == trace_ids.value(row - 1) => *first,
                _ => row as u32,
            };
            firsts.push(first);
        }
        Ok(Self { refs, elsewhere: ids("parent_id")?, span_ids: ids("span_id")?, firsts })
    }

    fn of(&self, row: usize) -> SpanId {
        let (Some(parent), Some(first)) = (self.refs.get(row), self.firsts.get(row)) else {
            return SpanId::ZERO;
        };
        let id = match usize::try_from(*parent) {
            Ok(ordinal) => {
                let parent = *first as usize + ordinal;
                (parent < self.span_ids.len()).then(|| self.span_ids.value(parent))
            }
            Err(_) if *parent == PARENT_NONE => None,
            Err(_) => self.elsewhere.is_valid(row).then(|| self.elsewhere.value(row)),
        };
        id.and_then(SpanId::from_slice).unwrap_or_default()
    }
}

/// All columns of some rows, typed, on their way back into spans.
struct Rows<'a> {
    group: &'a RowGroup,
    batch: &'a RecordBatch,
    attributes: Vec<(&'a str, AttrType, &'a ArrayRef)>,
}

impl<'a> Rows<'a> {
    fn new(group: &'a RowGroup, batch: &'a RecordBatch) -> Result<Self, ReadError> {
        let columns = &group.part().meta.columns;
        let attributes = columns.iter().filter_map(|column| {
            let kind = AttrType::from_number(column.kind)?;
            let array = batch.column_by_name(&column.column)?;
            // A column without a value in these rows costs nothing below.
            (array.null_count() < array.len()).then_some((column.key.as_str(), kind, array))
        });
        Ok(Self { attributes: attributes.collect(), group, batch })
    }

    fn column(&self, name: &str) -> Result<&'a ArrayRef, ReadError> {
        self.batch.column_by_name(name).ok_or_else(|| self.group.block.damaged(name))
    }

    fn copy(
        &self,
        rows: Range<usize>,
        parent_of: impl Fn(usize) -> SpanId,
        builder: &mut SpanBatchBuilder,
    ) -> Result<(), ReadError> {
        let wrong = |name: &str| self.group.block.damaged(name);
        let trace_ids =
            self.column("trace_id")?.as_fixed_size_binary_opt().ok_or_else(|| wrong("trace_id"))?;
        let span_ids =
            self.column("span_id")?.as_fixed_size_binary_opt().ok_or_else(|| wrong("span_id"))?;
        let starts =
            self.column("start")?.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong("start"))?;
        let durations = self
            .column("duration")?
            .as_primitive_opt::<Int64Type>()
            .ok_or_else(|| wrong("duration"))?;
        let kinds =
            self.column("kind")?.as_primitive_opt::<UInt8Type>().ok_or_else(|| wrong("kind"))?;
        let statuses = self
            .column("status")?
            .as_primitive_opt::<UInt8Type>()
            .ok_or_else(|| wrong("status"))?;
        let flags =
            self.column("flags")?.as_primitive_opt::<UInt32Type>().ok_or_else(|| wrong("flags"))?;
        let names = self
            .column("name")?
            .as_any()
            .downcast_ref::<DictionaryArray<Int32Type>>()
            .and_then(|names| names.downcast_dict::<arrow::array::StringArray>())
            .ok_or_else(|| wrong("name"))?;
        let text =
            |name: &str| self.column(name)?.as_string_opt::<i32>().ok_or_else(|| wrong(name));
        let (messages, states) = (text("status_message")?, text("trace_state")?);
        let bytes =
            |name: &str| self.column(name)?.as_binary_opt::<i32>().ok_or_else(|| wrong(name));
        let (rest, events, links) = (bytes("rest")?, bytes("events")?, bytes("links")?);
        let resources = self.group.numbers(self.batch, "resource")?;
        let scopes = self.group.numbers(self.batch, "scope")?;

        let held = &self.group.part().owners;
        let mut owners = Owners::default();
        for row in rows {
            let (resource, scope) = (resources[row] as usize, scopes[row] as usize);
            if resource < held.resource_count() {
                owners.use_resource(held.resource(resource), builder);
            }
            if scope < held.scope_count() {
                owners.use_scope(held.scope(scope), builder);
            }
            let start = starts.value(row);
            builder.start_span(
                TraceId::from_slice(trace_ids.value(row)).unwrap_or_default(),
                SpanId::from_slice(span_ids.value(row)).unwrap_or_default(),
            );
            builder.parent_id(parent_of(row));
            let name = arrow::array::ArrayAccessor::value(&names, row);
            builder.name(name);
            let duration = if durations.is_valid(row) { durations.value(row) } else { NO_END };
            builder.times(start, duration);
            builder.kind(SpanKind::from_number(kinds.value(row)));
            let message = if messages.is_valid(row) { messages.value(row) } else { "" };
            builder.status(StatusCode::from_number(statuses.value(row)), message);
            if states.is_valid(row) {
                builder.trace_state(states.value(row));
            }
            builder.flags(flags.value(row));
            for (key, kind, array) in &self.attributes {
                if array.is_valid(row)
                    && let Some(value) = value_at(array, *kind, row)
                {
                    builder.attribute(key, value);
                }
            }
            if rest.is_valid(row) {
                read_rest(rest.value(row), builder);
            }
            if events.is_valid(row) {
                Cursor(events.value(row)).events_into(start, builder);
            }
            if links.is_valid(row) {
                Cursor(links.value(row)).links_into(builder);
            }
            builder.end_span();
        }
        Ok(())
    }
}

fn read_rest(bytes: &[u8], builder: &mut SpanBatchBuilder) {
    let mut cursor = Cursor(bytes);
    while !cursor.is_empty() {
        // An empty key with type 0 is no attribute: three dropped counts follow, at the end.
        if let [0, 0, counts @ ..] = cursor.0 {
            debug_assert!(DROPPED_KEY.is_empty());
            let mut counts = Cursor(counts);
            let mut next = || counts.varint().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
            let (attributes, events, links) = (next(), next(), next());
            builder.dropped(attributes, events, links);
            return;
        }
        let Some((key, value)) = cursor.attribute() else { return };
        builder.attribute(key, value);
    }
}

fn value_at(
    array: &ArrayRef,
    kind: AttrType,
    row: usize,
) -> Option<throughline_model::AttrValue<'_>> {
    use throughline_model::AttrValue;
    Some(match kind {
        AttrType::Str => AttrValue::Str(array.as_string_opt::<i32>()?.value(row)),
        AttrType::Bool => AttrValue::Bool(array.as_boolean_opt()?.value(row)),
        AttrType::Int => AttrValue::Int(array.as_primitive_opt::<Int64Type>()?.value(row)),
        AttrType::Double => {
            AttrValue::Double(array.as_primitive_opt::<arrow::datatypes::Float64Type>()?.value(row))
        }
        _ => return None,
    })
}
