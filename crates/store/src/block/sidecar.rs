//! What stands beside a block's Parquet file: what is in it, without reading it.
//!
//! `docs/formats/block.md` has the layout: sections, each with its own checksum.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use throughline_model::{AttrType, SpanBatch, TraceId, decode_batch, encode_batch};
use throughline_topology::MapPart;

use crate::messages::MessageTable;
use crate::{ReadError, Scope};

const MAGIC: &[u8; 4] = b"TLSC";
/// The version this code writes, and the newest it reads.
pub(crate) const VERSION: u16 = 1;

/// Everything known of a block without opening its Parquet file.
pub(crate) struct Sidecar {
    pub(crate) parts: Vec<Arc<Part>>,
    pub(crate) map: Arc<MapPart>,
}

/// What one flush put into a block. A compacted block has several.
pub(crate) struct Part {
    pub(crate) meta: PartMeta,
    /// A batch without spans: the resources and scopes that the rows name by number.
    pub(crate) owners: SpanBatch,
    /// Which rows hold which trace.
    pub(crate) traces: TraceIndex,
    /// Which messages are in which trace.
    pub(crate) messages: MessageIndex,
    /// Attribute columns of the Parquet file, by key and type.
    pub(crate) columns: HashMap<(String, AttrType), String>,
    /// Types of each key, by scope and key.
    pub(crate) types: HashMap<(Scope, String), Vec<AttrType>>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PartMeta {
    pub(crate) rows: u64,
    pub(crate) groups: Vec<GroupMeta>,
    pub(crate) columns: Vec<ColumnMeta>,
    pub(crate) keys: Vec<KeyMeta>,
}

/// One row group: its rows, and when its spans start (nanoseconds since the epoch).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GroupMeta {
    pub(crate) rows: u64,
    pub(crate) min_start: i64,
    pub(crate) max_start: i64,
}

/// One attribute that has a Parquet column of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ColumnMeta {
    pub(crate) key: String,
    pub(crate) kind: u8,
    pub(crate) column: String,
}

/// One attribute key, wherever its values are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyMeta {
    pub(crate) scope: Scope,
    pub(crate) key: String,
    pub(crate) kind: u8,
    pub(crate) count: u64,
}

impl Part {
    pub(crate) fn new(
        meta: PartMeta,
        owners: SpanBatch,
        traces: TraceIndex,
        messages: MessageIndex,
    ) -> Self {
        let columns = meta.columns.iter().filter_map(|c| {
            Some(((c.key.clone(), AttrType::from_number(c.kind)?), c.column.clone()))
        });
        let columns = columns.collect();
        let mut types: HashMap<(Scope, String), Vec<AttrType>> = HashMap::new();
        for key in &meta.keys {
            if let Some(kind) = AttrType::from_number(key.kind) {
                types.entry((key.scope, key.key.clone())).or_default().push(kind);
            }
        }
        Self { meta, owners, traces, messages, columns, types }
    }
}

/// From 64-bit hashes to rows, sorted by hash, with `N` numbers for each.
///
/// Two things may share a hash: whoever reads the rows compares the whole thing.
pub(crate) struct HashIndex<const N: usize> {
    hashes: Vec<u64>,
    rows: Vec<[u32; N]>,
}

/// Which rows hold which trace: the first row and how many.
pub(crate) type TraceIndex = HashIndex<2>;

/// In which traces a message is, by the trace's first row.
pub(crate) type MessageIndex = HashIndex<1>;

/// An index of (trace, first row, count of rows).
pub(crate) fn trace_index(traces: Vec<(TraceId, u32, u32)>) -> TraceIndex {
    HashIndex::new(traces.into_iter().map(|(id, row, count)| (trace_hash(id), [row, count])))
}

/// An index of the messages of traces that lie in `traces`.
pub(crate) fn message_index(messages: &MessageTable, traces: &TraceIndex) -> MessageIndex {
    HashIndex::new(messages.entries().flat_map(|(hash, trace)| {
        traces.find(trace_hash(trace)).map(move |[row, _]| (hash, [row]))
    }))
}

impl<const N: usize> Default for HashIndex<N> {
    fn default() -> Self {
        Self { hashes: Vec::new(), rows: Vec::new() }
    }
}

impl<const N: usize> HashIndex<N> {
    fn new(entries: impl Iterator<Item = (u64, [u32; N])>) -> Self {
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable();
        entries.dedup();
        let (hashes, rows) = entries.into_iter().unzip();
        Self { hashes, rows }
    }

    /// What stands for a hash.
    pub(crate) fn find(&self, hash: u64) -> impl Iterator<Item = [u32; N]> {
        let first = self.hashes.partition_point(|h| *h < hash);
        let same = self.hashes[first..].iter().take_while(move |h| **h == hash).count();
        self.rows[first..first + same].iter().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    fn encode(&self) -> Vec<u8> {
        let hashes = self.hashes.iter().flat_map(|hash| hash.to_le_bytes());
        let rows = self.rows.iter().flatten().flat_map(|number| number.to_le_bytes());
        hashes.chain(rows).collect()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let count = bytes.len() / (8 + 4 * N);
        let (hashes, rows) = bytes.split_at_checked(count * 8)?;
        let (hashes, _) = hashes.as_chunks::<8>();
        let (numbers, rest) = rows.as_chunks::<4>();
        let numbers: Vec<u32> = numbers.iter().map(|b| u32::from_le_bytes(*b)).collect();
        let (rows, uneven) = numbers.as_chunks::<N>();
        if rows.len() != count || !rest.is_empty() || !uneven.is_empty() {
            return None;
        }
        let hashes: Vec<u64> = hashes.iter().map(|b| u64::from_le_bytes(*b)).collect();
        hashes.is_sorted().then(|| Self { hashes, rows: rows.to_vec() })
    }
}

/// Spreads a trace id over 64 bits. X-Ray's ids begin with a time, so the bytes are mixed.
pub(crate) fn trace_hash(id: TraceId) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let value = u128::from_le_bytes(id.0);
    let low = (value as u64).wrapping_mul(ODD);
    let both = ((value >> 64) as u64 ^ low ^ (low >> 32)).wrapping_mul(ODD);
    both ^ (both >> 32)
}

impl Sidecar {
    /// The whole file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        for part in &self.parts {
            let meta = serde_json::to_vec(&part.meta).expect("a part's meta has only text keys");
            put_section(&mut out, b"META", &meta, true);
            let mut owners = Vec::new();
            encode_batch(&part.owners, &mut owners);
            put_section(&mut out, b"OWNR", &owners, true);
            put_section(&mut out, b"MIDX", &part.messages.encode(), false);
            put_section(&mut out, b"TIDX", &part.traces.encode(), false);
        }
        put_section(&mut out, b"MAPP", &self.map.encode(), true);
        out
    }

    /// Reads the whole file.
    pub(crate) fn decode(bytes: &[u8], name: &str) -> Result<Self, ReadError> {
        let damaged = |what: &str| ReadError::Damaged(format!("{name}: {what}"));
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| damaged("no sidecar"))?;
        let (version, mut rest) =
            rest.split_first_chunk::<2>().ok_or_else(|| damaged("it ends early"))?;
        let found = u16::from_le_bytes(*version);
        if found > VERSION {
            return Err(ReadError::TooNew { name: name.to_owned(), found, supported: VERSION });
        }
        let mut parts = Vec::new();
        let mut map = MapPart::default();
        let (mut meta, mut owners) = (None, None);
        // Blocks written before there was one have none.
        let mut messages = MessageIndex::default();
        while !rest.is_empty() {
            let (tag, section, after) =
                take_section(rest).ok_or_else(|| damaged("a section is broken"))?;
            rest = after;
            match &tag {
                b"META" => {
                    meta = Some(
                        serde_json::from_slice::<PartMeta>(&section)
                            .map_err(|err| damaged(&format!("META: {err}")))?,
                    );
                }
                b"OWNR" => {
                    owners = Some(
                        decode_batch(&section).map_err(|err| damaged(&format!("OWNR: {err}")))?,
                    );
                }
                b"MIDX" => {
                    messages = HashIndex::decode(&section).ok_or_else(|| damaged("MIDX"))?;
                }
                b"TIDX" => {
                    let traces = HashIndex::decode(&section).ok_or_else(|| damaged("TIDX"))?;
                    let (Some(meta), Some(owners)) = (meta.take(), owners.take()) else {
                        return Err(damaged("TIDX stands before META and OWNR"));
                    };
                    let messages = std::mem::take(&mut messages);
                    parts.push(Arc::new(Part::new(meta, owners, traces, messages)));
                }
                b"MAPP" => {
                    map = MapPart::decode(&section)
                        .map_err(|err| damaged(&format!("MAPP: {err}")))?;
                }
                // A newer minor section that this version does not need.
                _ => {}
            }
        }
        Ok(Self { parts, map: Arc::new(map) })
    }
}

/// Tag, flags, raw length, stored length, CRC-32 of the stored bytes, the bytes.
fn put_section(out: &mut Vec<u8>, tag: &[u8; 4], bytes: &[u8], pack: bool) {
    let packed = pack.then(|| zstd::bulk::compress(bytes, 3).ok()).flatten();
    let stored = packed.as_deref().unwrap_or(bytes);
    out.extend_from_slice(tag);
    out.extend_from_slice(&u32::from(packed.is_some()).to_le_bytes());
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(&(stored.len() as u64).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(stored).to_le_bytes());
    out.extend_from_slice(stored);
}

type Section<'a> = ([u8; 4], std::borrow::Cow<'a, [u8]>, &'a [u8]);

fn take_section(bytes: &[u8]) -> Option<Section<'_>> {
    const RAW_LENGTH_MAX: u64 = 1 << 31;
    let (tag, rest) = bytes.split_first_chunk::<4>()?;
    let (packed, rest) = rest.split_first_chunk::<4>()?;
    let (raw_length, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (stored, rest) = rest.split_at_checked(length)?;
    if crc32fast::hash(stored) != u32::from_le_bytes(*crc) {
        return None;
    }
    let raw_length = u64::from_le_bytes(*raw_length);
    let section = if u32::from_le_bytes(*packed) == 0 {
        std::borrow::Cow::Borrowed(stored)
    } else {
        let room = usize::try_from(raw_length.min(RAW_LENGTH_MAX)).ok()?;
        std::borrow::Cow::Owned(zstd::bulk::decompress(stored, room).ok()?)
    };
    Some((*tag, section, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trace_is_found_and_an_unknown_one_is_not() {
        let id = |n: u8| TraceId([n; 16]);
        let index = trace_index((1..100).map(|n| (id(n), u32::from(n) * 10, 3)).collect());
        let back = TraceIndex::decode(&index.encode()).unwrap();
        assert_eq!(back.find(trace_hash(id(7))).collect::<Vec<_>>(), [[70, 3]]);
        assert_eq!(back.find(trace_hash(id(200))).count(), 0);
        assert!(TraceIndex::decode(&index.encode()[1..]).is_none());
    }

    #[test]
    fn a_damaged_sidecar_is_an_error_and_never_a_panic() {
        let part = Part::new(
            PartMeta::default(),
            SpanBatch::default(),
            TraceIndex::default(),
            MessageIndex::default(),
        );
        let mut builder = throughline_model::SpanBatchBuilder::default();
        let part = Part { owners: builder.finish(), ..part };
        let sidecar = Sidecar { parts: vec![Arc::new(part)], map: Arc::default() };
        let bytes = sidecar.encode();
        assert_eq!(Sidecar::decode(&bytes, "x").unwrap().parts.len(), 1);
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x40;
            let _ = Sidecar::decode(&broken, "x");
            let _ = Sidecar::decode(&bytes[..at], "x");
        }
        let mut newer = bytes;
        newer[4] = 9;
        assert!(matches!(Sidecar::decode(&newer, "x"), Err(ReadError::TooNew { found: 9, .. })));
    }
}
