//! What the daemon takes over UDP: a line of header, then the document.

use serde_json::Value;

/// Why a datagram holds no document. It is counted and dropped: nobody waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// No line feed, or nothing after it.
    #[error("the datagram has no header line or nothing after it")]
    NoBody,
    /// The first line is not `{"format":"json","version":1}`.
    #[error("the datagram's first line is not the header of format json, version 1")]
    BadHeader,
}

/// Gives the document of a datagram, which is not looked at.
///
/// **Rule:** X-Ray developer guide, "Sending segment documents to the X-Ray daemon"; as in
/// aws-xray-daemon, the format is compared without case and further members are ignored.
pub fn datagram(bytes: &[u8]) -> Result<&[u8], DatagramError> {
    let at = bytes.iter().position(|byte| *byte == b'\n').ok_or(DatagramError::NoBody)?;
    let (header, rest) = bytes.split_at(at);
    let body = rest.trim_ascii();
    if body.is_empty() {
        return Err(DatagramError::NoBody);
    }
    if is_header(header) { Ok(body) } else { Err(DatagramError::BadHeader) }
}

fn is_header(line: &[u8]) -> bool {
    // What every SDK sends; only hand-made headers take the long way.
    if matches!(line, br#"{"format":"json","version":1}"# | br#"{"format": "json", "version": 1}"#)
    {
        return true;
    }
    let Ok(Value::Object(header)) = serde_json::from_slice::<Value>(line) else { return false };
    let format = header.get("format").and_then(Value::as_str).unwrap_or_default();
    let version = header.get("version").and_then(Value::as_f64);
    format.eq_ignore_ascii_case("json") && version == Some(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str, expected: Result<&str, DatagramError>) {
        assert_eq!(datagram(bytes.as_bytes()), expected.map(str::as_bytes), "{bytes}");
    }

    #[test]
    fn a_datagram_is_split_at_its_first_line_feed() {
        check("{\"format\":\"json\",\"version\":1}\n{}", Ok("{}"));
        check("{\"format\": \"json\", \"version\": 1}\n{\n}\n", Ok("{\n}"));
        check("{\"version\":1, \"format\":\"JSON\", \"more\":0}\r\nx", Ok("x"));
    }

    #[test]
    fn what_is_no_datagram_is_told_apart() {
        for bytes in ["", "{}", "{\"format\":\"json\",\"version\":1}", "\n", "x\n", "x\n \r\n"] {
            check(bytes, Err(DatagramError::NoBody));
        }
        for header in [
            "",
            "{}",
            "[]",
            "json",
            "{\"format\":\"xml\",\"version\":1}",
            "{\"format\":\"json\",\"version\":2}",
            "{\"format\":\"json\",\"version\":\"1\"}",
            "{\"format\":\"json\"}",
            "{\"format\":\"json\",\"version\":1",
        ] {
            check(&format!("{header}\n{{}}"), Err(DatagramError::BadHeader));
        }
        assert_eq!(datagram(b"\xff\n{}"), Err(DatagramError::BadHeader));
    }
}
