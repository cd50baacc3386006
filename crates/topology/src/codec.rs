//! A part as bytes, to be stored beside the spans it counts.
//!
//! Shape: version (one byte), strings, nodes, node counts, edge counts, operation counts; every
//! number a LEB128 varint, signed ones zigzag. Strings and keys are sorted and entries that add
//! up to nothing are left out, so equal parts have equal bytes. A checksum is the container's.

use std::fmt;

use ahash::AHashMap;

use crate::kind::{EdgeKind, Evidence, NodeKind, Side};
use crate::part::{EdgeKey, MapPart, NodeKey, NodeName, OperationKey, Stats};
use crate::sketch::{BUCKET_MAX, Sketch};

/// The newest form that this version writes and reads.
const VERSION: u8 = 2;

/// The number of span kinds.
const SPAN_KINDS: u8 = 6;

/// Why bytes are no [`MapPart`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodePartError {
    /// Written by a newer version. The bytes are intact: upgrade, do not delete.
    TooNew {
        /// The version they were written in.
        found: u8,
    },
    /// Cut short or damaged. The part can be counted anew from the spans.
    Damaged,
}

impl fmt::Display for DecodePartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooNew { found } => {
                write!(f, "map part format {found} is newer than {VERSION}, the newest read here")
            }
            Self::Damaged => f.write_str("map part is damaged"),
        }
    }
}

impl std::error::Error for DecodePartError {}

impl MapPart {
    /// The part as bytes; the same bytes for parts that say the same.
    pub fn encode(&self) -> Vec<u8> {
        let live = Live::of(self);
        let mut out = vec![VERSION];
        put(&mut out, live.strings.len() as u64);
        for number in &live.strings {
            let text = self.string(*number);
            put(&mut out, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        put(&mut out, live.nodes.len() as u64);
        for number in &live.nodes {
            let node = self.nodes[*number as usize];
            out.push(node.kind as u8);
            put(&mut out, live.string(node.name));
            put(&mut out, live.string(node.system));
            put(&mut out, live.string(node.account));
        }
        let nodes = self.node_stats.iter().map(|(key, stats)| {
            let key = [key.minute.into(), live.string(key.environment), live.node(key.node), 0, 0];
            (key, stats)
        });
        put_section::<3>(&mut out, nodes);
        let edges = self.edge_stats.iter().map(|(key, stats)| {
            let (from, to) = (live.node(key.from), live.node(key.to));
            let how = (key.side as u64 * 2 + key.kind as u64) * 3 + key.evidence as u64;
            ([key.minute.into(), live.string(key.environment), from, to, how], stats)
        });
        put_section::<5>(&mut out, edges);
        let operations = self.operation_stats.iter().map(|(key, stats)| {
            let (service, name) = (live.string(key.service), live.string(key.name));
            let environment = live.string(key.environment);
            ([key.minute.into(), environment, service, name, key.kind.into()], stats)
        });
        put_section::<5>(&mut out, operations);
        out
    }

    /// Reads what [`MapPart::encode`] wrote. Damage is an error or another valid part, never a
    /// panic, and never takes more memory than a small multiple of the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodePartError> {
        match bytes.split_first() {
            Some((&found, _)) if found > VERSION => Err(DecodePartError::TooNew { found }),
            Some((&version @ 1..=VERSION, rest)) => {
                read_part(rest, version).ok_or(DecodePartError::Damaged)
            }
            _ => Err(DecodePartError::Damaged),
        }
    }
}

/// The strings and nodes that entries use, in order of their text, and their new numbers.
struct Live {
    strings: Vec<u32>,
    string_places: AHashMap<u32, u64>,
    nodes: Vec<u32>,
    node_places: AHashMap<u32, u64>,
}

impl Live {
    fn of(part: &MapPart) -> Self {
        let (mut strings, mut nodes) = (Vec::new(), Vec::new());
        for (key, _) in part.node_stats.iter().filter(|(_, stats)| !stats.is_zero()) {
            strings.push(key.environment);
            nodes.push(key.node);
        }
        for (key, _) in part.edge_stats.iter().filter(|(_, stats)| !stats.is_zero()) {
            strings.push(key.environment);
            nodes.extend([key.from, key.to]);
        }
        for (key, _) in part.operation_stats.iter().filter(|(_, stats)| !stats.is_zero()) {
            strings.extend([key.environment, key.service, key.name]);
        }
        nodes.sort_unstable();
        nodes.dedup();
        for number in &nodes {
            let node = part.nodes[*number as usize];
            strings.extend([node.name, node.system, node.account]);
        }
        strings.sort_unstable();
        strings.dedup();
        strings.sort_by_key(|number| part.string(*number));
        nodes.sort_by_key(|number| {
            let node = part.nodes[*number as usize];
            let [name, system, account] =
                [node.name, node.system, node.account].map(|text| part.string(text));
            (node.kind, name, system, account)
        });
        let string_places = places(&strings);
        let node_places = places(&nodes);
        Self { strings, string_places, nodes, node_places }
    }

    /// The place of a string; 0 for one that no live entry uses.
    fn string(&self, number: u32) -> u64 {
        self.string_places.get(&number).copied().unwrap_or(0)
    }

    fn node(&self, number: u32) -> u64 {
        self.node_places.get(&number).copied().unwrap_or(0)
    }
}

fn places(numbers: &[u32]) -> AHashMap<u32, u64> {
    numbers.iter().zip(0..).map(|(number, place)| (*number, place)).collect()
}

fn put_section<'a, const N: usize>(
    out: &mut Vec<u8>,
    entries: impl Iterator<Item = ([u64; 5], &'a Stats)>,
) {
    let mut entries: Vec<_> = entries.filter(|(_, stats)| !stats.is_zero()).collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    put(out, entries.len() as u64);
    let mut minute = 0;
    for (key, stats) in entries {
        put(out, key[0] - minute);
        minute = key[0];
        key[1..N].iter().for_each(|number| put(out, *number));
        put_signed(out, stats.requests);
        put_signed(out, stats.errors);
        stats.outcomes.iter().for_each(|count| put_signed(out, *count));
        put_signed(out, stats.total_nano);
        let buckets = stats.durations.buckets();
        put(out, buckets.clone().count() as u64);
        let mut before = 0;
        for (bucket, count) in buckets {
            put(out, (bucket - before) as u64);
            put_signed(out, count);
            before = bucket;
        }
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, (number << 1 ^ number >> 63).cast_unsigned());
}

fn read_part(bytes: &[u8], version: u8) -> Option<MapPart> {
    let mut reader = Reader(bytes, version);
    let mut part = MapPart::default();
    // Numbers of the bytes to numbers of the part: damage may repeat a string or a node.
    let mut strings = Vec::new();
    for _ in 0..reader.number()? {
        let length = reader.number()?;
        strings.push(part.intern(std::str::from_utf8(reader.take(length)?).ok()?));
    }
    let mut nodes = Vec::new();
    for _ in 0..reader.number()? {
        let kind = NodeKind::from_number(*reader.take(1)?.first()?)?;
        let (name, system) = (reader.of(&strings)?, reader.of(&strings)?);
        let account = if version > 1 { reader.of(&strings)? } else { part.intern("") };
        nodes.push(part.node(NodeName { kind, name, system, account }));
    }
    let mut minute = 0;
    for _ in 0..reader.number()? {
        minute = reader.minute(minute)?;
        let key = NodeKey { minute, environment: reader.of(&strings)?, node: reader.of(&nodes)? };
        part.node_stats.entry(key).or_default().merge(&reader.stats()?);
    }
    minute = 0;
    for _ in 0..reader.number()? {
        minute = reader.minute(minute)?;
        let environment = reader.of(&strings)?;
        let (from, to) = (reader.of(&nodes)?, reader.of(&nodes)?);
        let how = usize::try_from(reader.number()?).ok()?;
        let side = *[Side::Callee, Side::Caller].get(how / 6)?;
        let kind = [EdgeKind::Sync, EdgeKind::Async][how / 3 % 2];
        let evidence = Evidence::ALL[how % 3];
        let key = EdgeKey { minute, environment, from, to, kind, evidence, side };
        part.edge_stats.entry(key).or_default().merge(&reader.stats()?);
    }
    minute = 0;
    for _ in 0..reader.number()? {
        minute = reader.minute(minute)?;
        let environment = reader.of(&strings)?;
        let (service, name) = (reader.of(&strings)?, reader.of(&strings)?);
        let kind = u8::try_from(reader.number()?).ok().filter(|kind| *kind < SPAN_KINDS)?;
        let key = OperationKey { minute, environment, service, name, kind };
        part.operation_stats.entry(key).or_default().merge(&reader.stats()?);
    }
    reader.0.is_empty().then_some(part)
}

/// What is left to read. Every read answers `None` at the end of the bytes.
/// Version 1 has no accounts, outcomes and sums of durations.
struct Reader<'a>(&'a [u8], u8);

impl<'a> Reader<'a> {
    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn of(&mut self, numbers: &[u32]) -> Option<u32> {
        numbers.get(usize::try_from(self.number()?).ok()?).copied()
    }

    fn minute(&mut self, before: u32) -> Option<u32> {
        before.checked_add(u32::try_from(self.number()?).ok()?)
    }

    fn stats(&mut self) -> Option<Stats> {
        let (requests, errors) = (self.signed()?, self.signed()?);
        let (mut outcomes, mut total_nano) = ([0; 3], 0);
        if self.1 > 1 {
            outcomes = [self.signed()?, self.signed()?, self.signed()?];
            total_nano = self.signed()?;
        }
        let mut durations = Sketch::default();
        let mut bucket = 0i32;
        for _ in 0..self.number()? {
            bucket = bucket.checked_add(i32::try_from(self.number()?).ok()?)?;
            if bucket > BUCKET_MAX {
                return None;
            }
            durations.add(bucket, self.signed()?);
        }
        Some(Stats { requests, errors, outcomes, total_nano, durations })
    }
}
