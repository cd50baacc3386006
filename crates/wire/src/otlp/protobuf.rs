//! Protobuf's own rules: keys, varints, length frames; and OTLP's field numbers.
//!
//! Rule: protobuf.dev, "Encoding". Groups are not read: OTLP never had one.

/// Where and why bytes are no message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Malformed {
    pub(super) what: &'static str,
    /// Where in memory; only ever compared with the start of the same body.
    address: usize,
}

impl Malformed {
    /// The offset in `body`, in bytes.
    pub(super) fn at(self, body: &[u8]) -> usize {
        self.address.saturating_sub(body.as_ptr().addr())
    }
}

/// Keys of a field: its number with the wire type that its values have.
pub(super) const fn varint(number: u32) -> u32 {
    number << 3
}
pub(super) const fn fixed64(number: u32) -> u32 {
    number << 3 | 1
}
pub(super) const fn framed(number: u32) -> u32 {
    number << 3 | 2
}
pub(super) const fn fixed32(number: u32) -> u32 {
    number << 3 | 5
}

/// `ExportTraceServiceRequest` and `TracesData`; of logs, the same.
pub(super) mod request {
    pub(in super::super) const RESOURCE_SPANS: u32 = super::framed(1);
    pub(in super::super) const KNOWN: u32 = 1;
}

/// `ResourceSpans`, and `ResourceLogs` with the same numbers.
pub(super) mod resource_spans {
    pub(in super::super) const RESOURCE: u32 = super::framed(1);
    pub(in super::super) const SCOPE_SPANS: u32 = super::framed(2);
    pub(in super::super) const SCHEMA_URL: u32 = super::framed(3);
    pub(in super::super) const KNOWN: u32 = 3;
}

/// `Resource`. Its `entity_refs` (3) are in development and not kept.
pub(super) mod resource {
    pub(in super::super) const ATTRIBUTES: u32 = super::framed(1);
    pub(in super::super) const DROPPED: u32 = super::varint(2);
    pub(in super::super) const KNOWN: u32 = 2;
}

/// `ScopeSpans`, and `ScopeLogs` with the same numbers.
pub(super) mod scope_spans {
    pub(in super::super) const SCOPE: u32 = super::framed(1);
    pub(in super::super) const SPANS: u32 = super::framed(2);
    pub(in super::super) const SCHEMA_URL: u32 = super::framed(3);
    pub(in super::super) const KNOWN: u32 = 3;
}

/// `InstrumentationScope`.
pub(super) mod scope {
    pub(in super::super) const NAME: u32 = super::framed(1);
    pub(in super::super) const VERSION: u32 = super::framed(2);
    pub(in super::super) const ATTRIBUTES: u32 = super::framed(3);
    pub(in super::super) const DROPPED: u32 = super::varint(4);
    pub(in super::super) const KNOWN: u32 = 4;
}

/// `Span`.
pub(super) mod span {
    pub(in super::super) const TRACE_ID: u32 = super::framed(1);
    pub(in super::super) const SPAN_ID: u32 = super::framed(2);
    pub(in super::super) const TRACE_STATE: u32 = super::framed(3);
    pub(in super::super) const PARENT_SPAN_ID: u32 = super::framed(4);
    pub(in super::super) const NAME: u32 = super::framed(5);
    pub(in super::super) const KIND: u32 = super::varint(6);
    pub(in super::super) const START: u32 = super::fixed64(7);
    pub(in super::super) const END: u32 = super::fixed64(8);
    pub(in super::super) const ATTRIBUTES: u32 = super::framed(9);
    pub(in super::super) const DROPPED_ATTRIBUTES: u32 = super::varint(10);
    pub(in super::super) const EVENTS: u32 = super::framed(11);
    pub(in super::super) const DROPPED_EVENTS: u32 = super::varint(12);
    pub(in super::super) const LINKS: u32 = super::framed(13);
    pub(in super::super) const DROPPED_LINKS: u32 = super::varint(14);
    pub(in super::super) const STATUS: u32 = super::framed(15);
    pub(in super::super) const FLAGS: u32 = super::fixed32(16);
    pub(in super::super) const KNOWN: u32 = 16;
}

/// `LogRecord`. Number 4 is gone, so it is skipped, not known.
pub(super) mod log_record {
    pub(in super::super) const TIME: u32 = super::fixed64(1);
    pub(in super::super) const SEVERITY_NUMBER: u32 = super::varint(2);
    pub(in super::super) const SEVERITY_TEXT: u32 = super::framed(3);
    pub(in super::super) const DEPRECATED: u32 = 4;
    pub(in super::super) const BODY: u32 = super::framed(5);
    pub(in super::super) const ATTRIBUTES: u32 = super::framed(6);
    pub(in super::super) const DROPPED: u32 = super::varint(7);
    pub(in super::super) const FLAGS: u32 = super::fixed32(8);
    pub(in super::super) const TRACE_ID: u32 = super::framed(9);
    pub(in super::super) const SPAN_ID: u32 = super::framed(10);
    pub(in super::super) const OBSERVED: u32 = super::fixed64(11);
    pub(in super::super) const EVENT_NAME: u32 = super::framed(12);
    pub(in super::super) const KNOWN: u32 = 12;
}

/// `Span.Event`.
pub(super) mod event {
    pub(in super::super) const TIME: u32 = super::fixed64(1);
    pub(in super::super) const NAME: u32 = super::framed(2);
    pub(in super::super) const ATTRIBUTES: u32 = super::framed(3);
    pub(in super::super) const DROPPED: u32 = super::varint(4);
    pub(in super::super) const KNOWN: u32 = 4;
}

/// `Span.Link`.
pub(super) mod link {
    pub(in super::super) const TRACE_ID: u32 = super::framed(1);
    pub(in super::super) const SPAN_ID: u32 = super::framed(2);
    pub(in super::super) const TRACE_STATE: u32 = super::framed(3);
    pub(in super::super) const ATTRIBUTES: u32 = super::framed(4);
    pub(in super::super) const DROPPED: u32 = super::varint(5);
    pub(in super::super) const FLAGS: u32 = super::fixed32(6);
    pub(in super::super) const KNOWN: u32 = 6;
}

/// `Status` of a span. Number 1 is gone since OTLP 0.x, so it is skipped, not known.
pub(super) mod status {
    pub(in super::super) const MESSAGE: u32 = super::framed(2);
    pub(in super::super) const CODE: u32 = super::varint(3);
    pub(in super::super) const DEPRECATED: u32 = 1;
    pub(in super::super) const KNOWN: u32 = 3;
}

/// `KeyValue`.
pub(super) mod key_value {
    pub(in super::super) const KEY: u32 = super::framed(1);
    pub(in super::super) const VALUE: u32 = super::framed(2);
    pub(in super::super) const KNOWN: u32 = 2;
}

/// `AnyValue`; and field 1, `values`, of `ArrayValue` and `KeyValueList`.
pub(super) mod any {
    pub(in super::super) const STRING: u32 = super::framed(1);
    pub(in super::super) const BOOL: u32 = super::varint(2);
    pub(in super::super) const INT: u32 = super::varint(3);
    pub(in super::super) const DOUBLE: u32 = super::fixed64(4);
    pub(in super::super) const ARRAY: u32 = super::framed(5);
    pub(in super::super) const MAP: u32 = super::framed(6);
    pub(in super::super) const BYTES: u32 = super::framed(7);
    pub(in super::super) const KNOWN: u32 = 7;
    pub(in super::super) const VALUES: u32 = super::framed(1);
    pub(in super::super) const VALUES_KNOWN: u32 = 1;
}

/// Walks the fields of one message. A copy walks them again.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn wrong(&self, what: &'static str) -> Malformed {
        Malformed { what, address: self.0.as_ptr().addr() }
    }

    /// The key of the next field, `None` at the end of the message.
    #[inline]
    pub(super) fn key(&mut self) -> Result<Option<u32>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        match u32::try_from(self.varint()?) {
            Ok(key) if key >= 8 => Ok(Some(key)),
            _ => Err(self.wrong("a field number is out of range")),
        }
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        if let Some((&byte, rest)) = self.0.split_first()
            && byte < 0x80
        {
            self.0 = rest;
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, &byte) in self.0.iter().take(10).enumerate() {
            if index == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (index * 7);
            if byte < 0x80 {
                self.0 = self.0.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(self.wrong("a varint does not end"))
    }

    /// A varint of a 32-bit field: what does not fit is cut, as protobuf has it.
    #[inline]
    pub(super) fn uint32(&mut self) -> Result<u32, Malformed> {
        let [a, b, c, d, ..] = self.varint()?.to_le_bytes();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    /// The number of an enum, which is an `int32`.
    #[inline]
    pub(super) fn enumeration(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from(self.uint32()?.cast_signed()))
    }

    #[inline]
    pub(super) fn fixed64(&mut self) -> Result<u64, Malformed> {
        let Some((bytes, rest)) = self.0.split_first_chunk() else {
            return Err(self.wrong("a 64-bit number is cut short"));
        };
        self.0 = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// A time in nanoseconds, `None` when it does not fit 63 bits.
    #[inline]
    pub(super) fn time(&mut self) -> Result<Option<i64>, Malformed> {
        Ok(i64::try_from(self.fixed64()?).ok())
    }

    #[inline]
    pub(super) fn fixed32(&mut self) -> Result<u32, Malformed> {
        let Some((bytes, rest)) = self.0.split_first_chunk() else {
            return Err(self.wrong("a 32-bit number is cut short"));
        };
        self.0 = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// The bytes of a string, bytes or message field.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        let Some((bytes, rest)) = self.0.split_at_checked(length) else {
            return Err(self.wrong("a field ends past its message"));
        };
        self.0 = rest;
        Ok(bytes)
    }

    /// Steps over a field we do not read.
    ///
    /// Numbers up to `known` are ours: with another wire type than we know, the sender and we
    /// speak of different messages.
    #[cold]
    pub(super) fn skip(&mut self, key: u32, known: u32) -> Result<(), Malformed> {
        if key >> 3 <= known {
            return Err(self.wrong("a field has another type than OTLP gives it"));
        }
        match key & 7 {
            0 => self.varint().map(drop),
            1 => self.fixed64().map(drop),
            2 => self.bytes().map(drop),
            5 => self.fixed32().map(drop),
            _ => Err(self.wrong("a field has a wire type that OTLP does not use")),
        }
    }
}

/// Appends a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        let [low, ..] = value.to_le_bytes();
        out.push(low | 0x80);
        value >>= 7;
    }
    let [low, ..] = value.to_le_bytes();
    out.push(low);
}

/// Appends a varint field, even when it is zero (as members of a `oneof` are).
pub(super) fn put_number(out: &mut Vec<u8>, key: u32, value: u64) {
    put_varint(out, u64::from(key));
    put_varint(out, value);
}

/// Appends a varint field unless it is zero.
pub(super) fn put_count(out: &mut Vec<u8>, key: u32, value: u32) {
    if value != 0 {
        put_number(out, key, u64::from(value));
    }
}

/// Appends a 64-bit field, even when it is zero.
pub(super) fn put_fixed64(out: &mut Vec<u8>, key: u32, value: u64) {
    put_varint(out, u64::from(key));
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a 32-bit field unless it is zero.
pub(super) fn put_fixed32(out: &mut Vec<u8>, key: u32, value: u32) {
    if value != 0 {
        put_varint(out, u64::from(key));
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends a string, bytes or message field, even when it is empty.
pub(super) fn put_bytes(out: &mut Vec<u8>, key: u32, bytes: &[u8]) {
    put_varint(out, u64::from(key));
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a string field unless it is empty.
pub(super) fn put_text(out: &mut Vec<u8>, key: u32, text: &str) {
    if !text.is_empty() {
        put_bytes(out, key, text.as_bytes());
    }
}

/// Appends a message field whose content `write` appends.
///
/// The length stands before the content but is known after it, so long content moves once.
pub(super) fn put_message(out: &mut Vec<u8>, key: u32, write: impl FnOnce(&mut Vec<u8>)) {
    put_varint(out, u64::from(key));
    let start = out.len();
    write(out);
    let end = out.len();
    put_varint(out, (end - start) as u64);
    let width = out.len() - end;
    if let Some(message) = out.get_mut(start..) {
        message.rotate_right(width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_width_read_back() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                let mut reader = Reader::new(&out);
                assert_eq!(reader.varint().unwrap(), value);
                assert!(reader.key().unwrap().is_none());
            }
        }
    }

    #[test]
    fn a_varint_of_more_than_64_bits_is_malformed() {
        assert!(Reader::new(&[0xff; 11]).varint().is_err());
        let mut ten = [0xff; 10];
        ten[9] = 2;
        assert!(Reader::new(&ten).varint().is_err());
        ten[9] = 1;
        assert_eq!(Reader::new(&ten).varint().unwrap(), u64::MAX);
    }

    #[test]
    fn long_messages_get_their_length_in_front() {
        for length in [0, 1, 127, 128, 20_000] {
            let mut out = vec![7; 3];
            put_message(&mut out, framed(1), |out| out.extend(std::iter::repeat_n(9, length)));
            let mut reader = Reader::new(&out[3..]);
            assert_eq!(reader.key().unwrap(), Some(framed(1)));
            assert_eq!(reader.bytes().unwrap(), vec![9; length]);
        }
    }
}
