//! Many small blocks into one, without encoding anything again.
//!
//! Column chunks are copied as bytes and sidecars are put one after the other, so compaction costs
//! a read and a write and next to no CPU (ADR-0006). What it does not do is merge: a trace in two
//! flushes stays in two parts, and the reader unites them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parquet::column::writer::ColumnCloseResult;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use throughline_topology::MapPart;

use super::read::Block;
use super::sidecar::Sidecar;
use crate::ReadError;

/// Puts blocks together, oldest first. Gives the Parquet file's bytes and the sidecar.
pub(crate) fn compact(blocks: &[Arc<Block>]) -> Result<(Vec<u8>, Sidecar), ReadError> {
    let mut fields: BTreeMap<String, Arc<Type>> = BTreeMap::new();
    let mut order = Vec::new();
    for block in blocks {
        let schema = block.metadata()?.metadata().file_metadata().schema_descr().root_schema_ptr();
        for field in schema.get_fields() {
            if fields.insert(field.name().to_owned(), field.clone()).is_none() {
                order.push(field.name().to_owned());
            }
        }
    }
    let all = order.iter().filter_map(|name| fields.get(name).cloned()).collect();
    let schema = Arc::new(Type::group_type_builder("arrow_schema").with_fields(all).build()?);
    let arrow_schema = merged_arrow_schema(blocks, &order)?;
    let mut properties = WriterProperties::builder().build();
    parquet::arrow::add_encoded_arrow_schema_to_metadata(&arrow_schema, &mut properties);
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;

    for block in blocks {
        copy_groups(block, &order, &mut writer)?;
    }
    let bytes = writer.into_inner()?;
    let mut map = MapPart::default();
    blocks.iter().for_each(|block| map.merge(&block.sidecar.map));
    let parts = blocks.iter().flat_map(|block| block.sidecar.parts.iter().cloned()).collect();
    Ok((bytes, Sidecar { parts, map: Arc::new(map) }))
}

fn merged_arrow_schema(
    blocks: &[Arc<Block>],
    order: &[String],
) -> Result<arrow::datatypes::Schema, ReadError> {
    let mut fields = BTreeMap::new();
    for block in blocks {
        for field in block.metadata()?.schema().fields() {
            fields.insert(field.name().clone(), field.clone());
        }
    }
    let fields: Vec<_> = order.iter().filter_map(|name| fields.get(name).cloned()).collect();
    Ok(arrow::datatypes::Schema::new(fields))
}

/// Copies every row group of `block`; a column that it lacks is written as nulls.
fn copy_groups(
    block: &Block,
    order: &[String],
    writer: &mut SerializedFileWriter<Vec<u8>>,
) -> Result<(), ReadError> {
    let metadata = block.metadata()?.metadata();
    let length = usize::try_from(block.file().size_bytes())
        .map_err(|_| ReadError::Damaged(format!("{}: too large", block.name)))?;
    let source = block.file().read_at(0, length)?;
    for (group, described) in metadata.row_groups().iter().enumerate() {
        let rows = usize::try_from(described.num_rows()).unwrap_or_default();
        let mut out = writer.next_row_group()?;
        for name in order {
            let at = described.columns().iter().position(|c| c.column_descr().name() == name);
            let Some(at) = at else {
                let mut column = out
                    .next_column()?
                    .ok_or_else(|| ReadError::Damaged("a column too many".to_owned()))?;
                write_nulls(&mut column, rows)?;
                column.close()?;
                continue;
            };
            let chunk = described.column(at).clone();
            let close = ColumnCloseResult {
                bytes_written: chunk.compressed_size().unsigned_abs(),
                rows_written: rows as u64,
                metadata: chunk,
                bloom_filter: None,
                column_index: None,
                offset_index: metadata.offset_index().map(|index| index[group][at].clone()),
            };
            out.append_column(&source, close)?;
        }
        out.close()?;
    }
    Ok(())
}

fn write_nulls(
    column: &mut parquet::file::writer::SerializedColumnWriter<'_>,
    rows: usize,
) -> Result<(), ReadError> {
    use parquet::column::writer::ColumnWriter;
    let nulls = vec![0i16; rows];
    let levels = Some(&nulls[..]);
    match column.untyped() {
        ColumnWriter::BoolColumnWriter(w) => w.write_batch(&[], levels, None)?,
        ColumnWriter::Int32ColumnWriter(w) => w.write_batch(&[], levels, None)?,
        ColumnWriter::Int64ColumnWriter(w) => w.write_batch(&[], levels, None)?,
        ColumnWriter::Int96ColumnWriter(w) => w.write_batch(&[], levels, None)?,
        ColumnWriter::FloatColumnWriter(w) => w.write_batch(&[], levels, None)?,
        ColumnWriter::DoubleColumnWriter(w) => w.write_batch(&[], levels, None)?,
        ColumnWriter::ByteArrayColumnWriter(w) => w.write_batch(&[], levels, None)?,
        ColumnWriter::FixedLenByteArrayColumnWriter(w) => w.write_batch(&[], levels, None)?,
    };
    Ok(())
}
