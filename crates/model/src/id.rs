//! Trace and span ids, and the text forms people paste.

use std::fmt;

/// The id of a trace: 16 bytes, all zero means "none".
///
/// **Rule:** W3C Trace Context level 2, section 3.2.2.3 (trace-id).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TraceId(pub [u8; 16]);

/// The id of a span: 8 bytes, all zero means "none".
///
/// **Rule:** W3C Trace Context level 2, section 3.2.2.4 (parent-id).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SpanId(pub [u8; 8]);

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {} characters that do not fit", .length)]
pub struct ParseIdError {
    /// What would have been read.
    pub expected: &'static str,
    /// How long the text was, in bytes.
    pub length: usize,
}

impl TraceId {
    /// The id that stands for "none".
    pub const ZERO: Self = Self([0; 16]);

    /// Whether all bytes are zero, which no trace may have.
    pub fn is_zero(self) -> bool {
        self.0 == [0; 16]
    }

    /// Reads an id from its 16 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads the forms people paste: 32 hex digits, X-Ray's `1-8hex-24hex`, and up to 16 hex
    /// digits of an old Zipkin or Jaeger id, which gain zeros on the left.
    ///
    /// **Rule:** X-Ray developer guide, "Trace ID format"; `zipkin2.Span.normalizeTraceId`.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let wrong = ParseIdError {
            expected: "a trace id of 32 or 16 hex digits, or X-Ray's 1-8hex-24hex",
            length: text.len(),
        };
        if let Some(rest) = text.strip_prefix("1-") {
            let (epoch, unique) = rest.split_once('-').ok_or_else(|| wrong.clone())?;
            if epoch.len() != 8 || unique.len() != 24 {
                return Err(wrong);
            }
            let mut bytes = [0; 16];
            let ok = hex_into(epoch, &mut bytes[..4]) && hex_into(unique, &mut bytes[4..]);
            return if ok { Ok(Self(bytes)) } else { Err(wrong) };
        }
        let mut bytes = [0; 16];
        let ok = match text.len() {
            32 => hex_into(text, &mut bytes),
            1..=31 => {
                let padded = format!("{text:0>32}");
                hex_into(&padded, &mut bytes)
            }
            _ => false,
        };
        if ok { Ok(Self(bytes)) } else { Err(wrong) }
    }

    /// X-Ray's form, `1-8hex-24hex`.
    pub fn xray(self) -> String {
        let hex = self.to_string();
        format!("1-{}-{}", &hex[..8], &hex[8..])
    }
}

impl SpanId {
    /// The id that stands for "none", so the parent of a root.
    pub const ZERO: Self = Self([0; 8]);

    /// Whether all bytes are zero, which no span may have.
    pub fn is_zero(self) -> bool {
        self.0 == [0; 8]
    }

    /// Reads an id from its 8 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads 16 hex digits.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let mut bytes = [0; 8];
        if text.len() == 16 && hex_into(text, &mut bytes) {
            return Ok(Self(bytes));
        }
        Err(ParseIdError { expected: "a span id of 16 hex digits", length: text.len() })
    }
}

fn hex_into(text: &str, out: &mut [u8]) -> bool {
    if text.len() != out.len() * 2 {
        return false;
    }
    for (pair, byte) in text.as_bytes().chunks_exact(2).zip(out) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return false };
        *byte = high << 4 | low;
    }
    true
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0u8; 32];
    for (byte, pair) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    let text = std::str::from_utf8(&text[..bytes.len() * 2]).map_err(|_| fmt::Error)?;
    f.write_str(text)
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let read = TraceId::parse(text).ok().map(|id| id.to_string());
        assert_eq!(read.as_deref(), expected, "{text}");
    }

    #[test]
    fn trace_ids_are_read_in_every_form_people_paste() {
        let whole = "5b8efff798038103d269b633813fc60c";
        check(whole, Some(whole));
        check(&whole.to_uppercase(), Some(whole));
        check("1-5b8efff7-98038103d269b633813fc60c", Some(whole));
        check("463ac35c9f6413ad", Some("0000000000000000463ac35c9f6413ad"));
        check("a", Some("0000000000000000000000000000000a"));
    }

    #[test]
    fn what_is_no_trace_id_is_refused() {
        for text in
            ["", "xyz", "1-5b8efff7-9803", "1-5b8efff7", "5b8efff798038103d269b633813fc60cc"]
        {
            check(text, None);
        }
        check("é".repeat(16).as_str(), None);
    }

    #[test]
    fn an_xray_id_reads_back_as_itself() {
        let id = TraceId::parse("1-5b8efff7-98038103d269b633813fc60c").unwrap();
        assert_eq!(TraceId::parse(&id.xray()).unwrap(), id);
    }
}
