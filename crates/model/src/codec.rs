//! A batch as bytes and back, for the log. `docs/formats/batch.md` has the layout byte by byte.

use std::sync::Arc;

use arrow::buffer::{Buffer, ScalarBuffer};

use crate::{AttrType, LinkRow, ResourceRow, ScopeRow, SpanBatch, SpanId, TraceId};

/// The version this code writes, and the newest it reads.
const VERSION: u8 = 1;

/// Why bytes are no batch.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeBatchError {
    /// Written by a newer version: upgrade, do not delete.
    #[error("batch format {found} is newer than {VERSION}, the newest this version reads")]
    TooNew {
        /// The version found.
        found: u8,
    },
    /// The bytes end early or a number points outside its table.
    #[error("batch is damaged: {what}")]
    Damaged {
        /// Which rule is broken.
        what: &'static str,
    },
}

/// Appends `batch` to `out`: a version byte, then every column as its length in bytes (u32) and
/// its little-endian bytes, in the order of the batch's fields.
pub fn encode_batch(batch: &SpanBatch, out: &mut Vec<u8>) {
    out.reserve(batch.memory_size_bytes() + 256);
    out.push(VERSION);
    for bytes in [&batch.trace_ids, &batch.span_ids, &batch.parent_ids] {
        put(out, bytes);
    }
    for column in [&batch.starts, &batch.durations] {
        put(out, column.inner());
    }
    for column in [&batch.kinds, &batch.statuses] {
        put(out, column.inner());
    }
    for column in batch.span_columns_u32() {
        put(out, column.inner());
    }
    let dropped = batch.dropped.iter().flat_map(|(row, [a, e, l])| [*row, *a, *e, *l]);
    put_numbers(out, dropped);
    put(out, batch.event_times.inner());
    for column in batch.event_columns_u32() {
        put(out, column.inner());
    }
    let links = batch.link_rows.len();
    put_iter(out, links * 16, batch.link_rows.iter().flat_map(|l| l.trace_id.0));
    put_iter(out, links * 8, batch.link_rows.iter().flat_map(|l| l.span_id.0));
    put_numbers(
        out,
        batch
            .link_rows
            .iter()
            .flat_map(|l| [l.trace_state, l.flags, l.attr_start, l.attr_end, l.dropped]),
    );
    put(out, batch.attr_keys.inner());
    put(out, batch.attr_types.inner());
    put(out, batch.attr_values.inner());
    put(out, batch.string_offsets.inner());
    put(out, &batch.string_bytes);
    put(out, &batch.heap);
    put_numbers(
        out,
        batch
            .resource_rows
            .iter()
            .flat_map(|r| [r.attr_start, r.attr_end, r.dropped, r.schema_url]),
    );
    put_numbers(
        out,
        batch
            .scope_rows
            .iter()
            .flat_map(|s| [s.name, s.version, s.attr_start, s.attr_end, s.dropped, s.schema_url]),
    );
}

impl SpanBatch {
    /// The columns of one u32 a span (offsets: one more), in their stored order.
    fn span_columns_u32(&self) -> [&ScalarBuffer<u32>; 10] {
        [
            &self.flags,
            &self.names,
            &self.status_messages,
            &self.trace_states,
            &self.resources,
            &self.scopes,
            &self.attr_starts,
            &self.attr_ends,
            &self.event_offsets,
            &self.link_offsets,
        ]
    }

    /// The columns of one u32 an event, in their stored order.
    fn event_columns_u32(&self) -> [&ScalarBuffer<u32>; 4] {
        [&self.event_names, &self.event_attr_starts, &self.event_attr_ends, &self.event_dropped]
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn put_iter(out: &mut Vec<u8>, length: usize, bytes: impl Iterator<Item = u8>) {
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.extend(bytes);
}

fn put_numbers(out: &mut Vec<u8>, numbers: impl Iterator<Item = u32>) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// Reads what [`encode_batch`] wrote. Every number is checked, so no later read can go astray.
pub fn decode_batch(bytes: &[u8]) -> Result<SpanBatch, DecodeBatchError> {
    let mut reader = Reader(bytes);
    match reader.take(1)? {
        [VERSION] => {}
        [found] if *found > VERSION => return Err(DecodeBatchError::TooNew { found: *found }),
        _ => return Err(damaged("no version")),
    }
    let batch = SpanBatch {
        trace_ids: Buffer::from(reader.column()?),
        span_ids: Buffer::from(reader.column()?),
        parent_ids: Buffer::from(reader.column()?),
        starts: reader.numbers(i64::from_le_bytes)?,
        durations: reader.numbers(i64::from_le_bytes)?,
        kinds: ScalarBuffer::from(reader.column()?.to_vec()),
        statuses: ScalarBuffer::from(reader.column()?.to_vec()),
        flags: reader.numbers(u32::from_le_bytes)?,
        names: reader.numbers(u32::from_le_bytes)?,
        status_messages: reader.numbers(u32::from_le_bytes)?,
        trace_states: reader.numbers(u32::from_le_bytes)?,
        resources: reader.numbers(u32::from_le_bytes)?,
        scopes: reader.numbers(u32::from_le_bytes)?,
        attr_starts: reader.numbers(u32::from_le_bytes)?,
        attr_ends: reader.numbers(u32::from_le_bytes)?,
        event_offsets: reader.numbers(u32::from_le_bytes)?,
        link_offsets: reader.numbers(u32::from_le_bytes)?,
        dropped: Arc::new(
            reader.rows::<4>()?.into_iter().map(|[row, a, e, l]| (row, [a, e, l])).collect(),
        ),
        event_times: reader.numbers(i64::from_le_bytes)?,
        event_names: reader.numbers(u32::from_le_bytes)?,
        event_attr_starts: reader.numbers(u32::from_le_bytes)?,
        event_attr_ends: reader.numbers(u32::from_le_bytes)?,
        event_dropped: reader.numbers(u32::from_le_bytes)?,
        link_rows: Arc::new(reader.links()?),
        attr_keys: reader.numbers(u32::from_le_bytes)?,
        attr_types: ScalarBuffer::from(reader.column()?.to_vec()),
        attr_values: reader.numbers(u64::from_le_bytes)?,
        string_offsets: reader.numbers(u32::from_le_bytes)?,
        string_bytes: Buffer::from(reader.column()?),
        heap: Buffer::from(reader.column()?),
        resource_rows: Arc::new(
            reader
                .rows::<4>()?
                .into_iter()
                .map(|[attr_start, attr_end, dropped, schema_url]| ResourceRow {
                    attr_start,
                    attr_end,
                    dropped,
                    schema_url,
                })
                .collect(),
        ),
        scope_rows: Arc::new(
            reader
                .rows::<6>()?
                .into_iter()
                .map(|[name, version, attr_start, attr_end, dropped, schema_url]| ScopeRow {
                    name,
                    version,
                    attr_start,
                    attr_end,
                    dropped,
                    schema_url,
                })
                .collect(),
        ),
    };
    check(&batch)?;
    Ok(batch)
}

fn damaged(what: &'static str) -> DecodeBatchError {
    DecodeBatchError::Damaged { what }
}

fn ensure(holds: bool, what: &'static str) -> Result<(), DecodeBatchError> {
    if holds { Ok(()) } else { Err(damaged(what)) }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeBatchError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(damaged("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn column(&mut self) -> Result<&'a [u8], DecodeBatchError> {
        let length = self.take(4)?.try_into().map_err(|_| damaged("it ends early"))?;
        self.take(u32::from_le_bytes(length) as usize)
    }

    fn numbers<T: arrow::datatypes::ArrowNativeType, const N: usize>(
        &mut self,
        read: fn([u8; N]) -> T,
    ) -> Result<ScalarBuffer<T>, DecodeBatchError> {
        let (chunks, rest) = self.column()?.as_chunks::<N>();
        ensure(rest.is_empty(), "a column ends inside a number")?;
        Ok(chunks.iter().map(|chunk| read(*chunk)).collect::<Vec<_>>().into())
    }

    fn rows<const N: usize>(&mut self) -> Result<Vec<[u32; N]>, DecodeBatchError> {
        let numbers = self.numbers(u32::from_le_bytes)?;
        let (rows, rest) = numbers.as_chunks::<N>();
        ensure(rest.is_empty(), "a table ends inside a row")?;
        Ok(rows.to_vec())
    }

    fn links(&mut self) -> Result<Vec<LinkRow>, DecodeBatchError> {
        let (trace_ids, _) = self.column()?.as_chunks::<16>();
        let (span_ids, _) = self.column()?.as_chunks::<8>();
        let rows = self.rows::<5>()?;
        ensure(
            trace_ids.len() == rows.len() && span_ids.len() == rows.len(),
            "link tables differ",
        )?;
        let links = rows.into_iter().zip(trace_ids).zip(span_ids).map(
            |(([trace_state, flags, attr_start, attr_end, dropped], trace_id), span_id)| LinkRow {
                trace_id: TraceId(*trace_id),
                span_id: SpanId(*span_id),
                trace_state,
                flags,
                attr_start,
                attr_end,
                dropped,
            },
        );
        Ok(links.collect())
    }
}

/// Holds a batch against every rule that the readers rely on.
fn check(batch: &SpanBatch) -> Result<(), DecodeBatchError> {
    let rows = batch.len();
    let attrs = batch.attr_keys.len() as u32;
    let strings = batch.string_count() as u32;
    let below = |column: &[u32], limit: u32| column.iter().all(|number| *number < limit);
    let ranges = |starts: &[u32], ends: &[u32]| {
        starts.len() == ends.len()
            && starts.iter().zip(ends).all(|(start, end)| start <= end && *end <= attrs)
    };
    ensure(
        batch.trace_ids.len() == rows * 16
            && batch.span_ids.len() == rows * 8
            && batch.parent_ids.len() == rows * 8
            && batch.durations.len() == rows
            && batch.kinds.len() == rows
            && batch.statuses.len() == rows,
        "span columns differ in length",
    )?;
    ensure(
        batch.span_columns_u32()[..8].iter().all(|column| column.len() == rows),
        "span columns differ in length",
    )?;
    let events = batch.event_times.len();
    ensure(
        batch.event_columns_u32().iter().all(|column| column.len() == events),
        "event columns differ in length",
    )?;
    ensure(
        batch.attr_types.len() == attrs as usize && batch.attr_values.len() == attrs as usize,
        "attribute columns differ in length",
    )?;
    ensure(
        strings > 0
            && offsets_hold(&batch.string_offsets, batch.string_bytes.len())
            && batch.string_offsets.first() == Some(&0),
        "the string table is broken",
    )?;
    let table =
        std::str::from_utf8(&batch.string_bytes).map_err(|_| damaged("a string is no text"))?;
    ensure(
        batch.string_offsets.iter().all(|offset| table.is_char_boundary(*offset as usize)),
        "a string is no text",
    )?;
    ensure(
        below(&batch.names, strings)
            && below(&batch.status_messages, strings)
            && below(&batch.trace_states, strings)
            && below(&batch.event_names, strings)
            && below(&batch.attr_keys, strings),
        "a string number is out of range",
    )?;
    ensure(
        below(&batch.resources, batch.resource_rows.len() as u32)
            && below(&batch.scopes, batch.scope_rows.len() as u32),
        "a resource or scope number is out of range",
    )?;
    ensure(
        ranges(&batch.attr_starts, &batch.attr_ends)
            && ranges(&batch.event_attr_starts, &batch.event_attr_ends),
        "an attribute range is out of range",
    )?;
    ensure(
        batch.event_offsets.len() == rows + 1
            && batch.link_offsets.len() == rows + 1
            && offsets_hold(&batch.event_offsets, events)
            && offsets_hold(&batch.link_offsets, batch.link_rows.len()),
        "event or link offsets are broken",
    )?;
    let row_holds =
        |start: u32, end: u32, names: &[u32]| start <= end && end <= attrs && below(names, strings);
    ensure(
        batch.link_rows.iter().all(|l| row_holds(l.attr_start, l.attr_end, &[l.trace_state]))
            && batch
                .resource_rows
                .iter()
                .all(|r| row_holds(r.attr_start, r.attr_end, &[r.schema_url]))
            && batch
                .scope_rows
                .iter()
                .all(|s| row_holds(s.attr_start, s.attr_end, &[s.name, s.version, s.schema_url])),
        "a link, resource or scope is broken",
    )?;
    for (kind, raw) in batch.attr_types.iter().zip(batch.attr_values.iter()) {
        let kind = AttrType::from_number(*kind).ok_or(damaged("an attribute has no type"))?;
        let (offset, length) = ((raw >> 32) as usize, (raw & 0xffff_ffff) as usize);
        if kind.in_heap() {
            let value = batch.heap.get(offset..offset + length);
            let value = value.ok_or(damaged("a value lies outside the heap"))?;
            let text = kind != AttrType::Str || simdutf8::basic::from_utf8(value).is_ok();
            ensure(text, "a value is no text")?;
        }
    }
    Ok(())
}

fn offsets_hold(offsets: &[u32], limit: usize) -> bool {
    offsets.is_sorted() && offsets.last().is_none_or(|last| *last as usize <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttrValue, SpanBatchBuilder, SpanKind, StatusCode};

    fn sample() -> SpanBatch {
        let mut b = SpanBatchBuilder::default();
        b.start_resource();
        b.attribute("service.name", AttrValue::Str("a"));
        b.end_resource("https://schema", 1);
        b.start_scope("scope", "1");
        b.attribute("k", AttrValue::Bool(true));
        b.end_scope("", 0);
        for id in 1..4u8 {
            b.start_span(TraceId([id; 16]), SpanId([id; 8]));
            b.name("n\u{e9}");
            b.times(i64::from(id), 5);
            b.kind(SpanKind::Producer);
            b.status(StatusCode::Error, "bad");
            b.attribute("double", AttrValue::Double(0.5));
            b.attribute("bytes", AttrValue::Bytes(&[1, 2, 3]));
            b.dropped(1, 2, 3);
            b.start_event(9, "event", 0);
            b.attribute("in", AttrValue::Int(-1));
            b.start_link(TraceId([7; 16]), SpanId([7; 8]), "a=b", 257, 0);
            b.attribute("in", AttrValue::Empty);
            b.end_span();
        }
        b.finish()
    }

    #[test]
    fn a_batch_reads_back_as_written() {
        let mut bytes = Vec::new();
        encode_batch(&sample(), &mut bytes);
        let back = decode_batch(&bytes).unwrap();
        let mut again = Vec::new();
        encode_batch(&back, &mut again);
        assert_eq!(bytes, again);
        let span = back.span(2);
        assert_eq!(span.name(), "n\u{e9}");
        assert_eq!(span.dropped(), [1, 2, 3]);
        assert_eq!(span.links().next().unwrap().trace_state(), "a=b");
        assert_eq!(
            span.events().next().unwrap().attributes().value("in"),
            Some(AttrValue::Int(-1))
        );
    }

    #[test]
    fn damage_is_found_and_never_panics() {
        let mut bytes = Vec::new();
        encode_batch(&sample(), &mut bytes);
        for end in 0..bytes.len() {
            assert!(decode_batch(&bytes[..end]).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x55;
            if let Ok(batch) = decode_batch(&broken) {
                crate::merge_pieces(&[&batch]);
            }
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        assert_eq!(decode_batch(&[9]).unwrap_err(), DecodeBatchError::TooNew { found: 9 });
    }
}
