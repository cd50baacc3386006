//! Attributes, events and links as bytes inside a block's binary columns.
//!
//! `docs/formats/block.md` has the layout. Reading never panics: what does not fit ends the list.

use throughline_model::{
    AttrType, AttrValue, Attributes, SpanBatchBuilder, SpanId, SpanRef, TraceId,
};

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Zigzag, so that small numbers of either sign are short.
fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Appends one attribute: key, type, value.
pub(super) fn put_attribute(out: &mut Vec<u8>, key: &str, value: AttrValue<'_>) {
    put_bytes(out, key.as_bytes());
    out.push(value.kind() as u8);
    match value {
        AttrValue::Str(text) => put_bytes(out, text.as_bytes()),
        AttrValue::Bytes(b) | AttrValue::Array(b) | AttrValue::Map(b) => put_bytes(out, b),
        AttrValue::Bool(flag) => out.push(u8::from(flag)),
        AttrValue::Int(int) => put_signed(out, int),
        AttrValue::Double(double) => out.extend_from_slice(&double.to_bits().to_le_bytes()),
        AttrValue::Empty => {}
    }
}

fn put_attributes(out: &mut Vec<u8>, attributes: Attributes<'_>) {
    put_varint(out, attributes.len() as u64);
    for (key, value) in attributes {
        put_attribute(out, key, value);
    }
}

/// Appends a span's events, times relative to its start.
pub(super) fn put_events(out: &mut Vec<u8>, span: SpanRef<'_>) {
    for event in span.events() {
        put_signed(out, event.time_unix_nano().wrapping_sub(span.start_unix_nano()));
        put_bytes(out, event.name().as_bytes());
        put_varint(out, u64::from(event.dropped()));
        put_attributes(out, event.attributes());
    }
}

/// Appends a span's links.
pub(super) fn put_links(out: &mut Vec<u8>, span: SpanRef<'_>) {
    for link in span.links() {
        out.extend_from_slice(&link.trace_id().0);
        out.extend_from_slice(&link.span_id().0);
        put_bytes(out, link.trace_state().as_bytes());
        put_varint(out, u64::from(link.flags()));
        put_varint(out, u64::from(link.dropped()));
        put_attributes(out, link.attributes());
    }
}

/// A cursor over such bytes.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in 0..10 {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << (shift * 7);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let raw = self.varint()?;
        Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<&'a str> {
        simdutf8::basic::from_utf8(self.bytes()?).ok()
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.varint()?).ok()
    }

    /// Reads what [`put_attribute`] wrote.
    pub(super) fn attribute(&mut self) -> Option<(&'a str, AttrValue<'a>)> {
        let key = self.text()?;
        let value = match AttrType::from_number(self.take(1)?[0])? {
            AttrType::Str => AttrValue::Str(self.text()?),
            AttrType::Bytes => AttrValue::Bytes(self.bytes()?),
            AttrType::Array => AttrValue::Array(self.bytes()?),
            AttrType::Map => AttrValue::Map(self.bytes()?),
            AttrType::Bool => AttrValue::Bool(self.take(1)?[0] != 0),
            AttrType::Int => AttrValue::Int(self.signed()?),
            AttrType::Double => {
                let bits = u64::from_le_bytes(self.take(8)?.try_into().ok()?);
                AttrValue::Double(f64::from_bits(bits))
            }
            AttrType::Empty => AttrValue::Empty,
        };
        Some((key, value))
    }

    fn attributes_into(&mut self, builder: &mut SpanBatchBuilder) -> Option<()> {
        for _ in 0..self.varint()? {
            let (key, value) = self.attribute()?;
            builder.attribute(key, value);
        }
        Some(())
    }

    /// Reads what [`put_events`] wrote, up to the first that does not fit.
    pub(super) fn events_into(&mut self, start: i64, builder: &mut SpanBatchBuilder) -> Option<()> {
        while !self.is_empty() {
            let time = start.wrapping_add(self.signed()?);
            let name = self.text()?;
            let dropped = self.small()?;
            builder.start_event(time, name, dropped);
            self.attributes_into(builder)?;
        }
        Some(())
    }

    /// Reads what [`put_links`] wrote, up to the first that does not fit.
    pub(super) fn links_into(&mut self, builder: &mut SpanBatchBuilder) -> Option<()> {
        while !self.is_empty() {
            let trace_id = TraceId::from_slice(self.take(16)?)?;
            let span_id = SpanId::from_slice(self.take(8)?)?;
            let trace_state = self.text()?;
            let (flags, dropped) = (self.small()?, self.small()?);
            builder.start_link(trace_id, span_id, trace_state, flags, dropped);
            self.attributes_into(builder)?;
        }
        Some(())
    }
}
