//! Ids as AWS has them, and the clock.

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

/// 64 random bits. Good enough for ids on one machine; no secret is made of them.
pub(crate) fn random_u64() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u128(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos()));
    hasher.finish()
}

/// A version 4 UUID, as request ids are: `xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx`.
pub(crate) fn uuid() -> String {
    let (high, low) = (random_u64(), random_u64());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

/// `length` characters of `alphabet`, which is ASCII.
fn characters(alphabet: &[u8], length: usize) -> String {
    let mut text = String::with_capacity(length);
    for _ in 0..length {
        let index = (random_u64() % alphabet.len().max(1) as u64) as usize;
        text.push(alphabet.get(index).map_or('0', |byte| *byte as char));
    }
    text
}

/// An id as API Gateway's: ten lower-case letters and digits.
pub(crate) fn api_id() -> String {
    characters(b"0123456789abcdefghijklmnopqrstuvwxyz", 10)
}

/// A suffix as CloudFormation gives names: twelve upper-case letters and digits.
pub(crate) fn name_suffix() -> String {
    characters(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", 12)
}

/// An id as IAM's: a prefix such as `AROA` and seventeen upper-case letters and digits.
pub(crate) fn iam_id(prefix: &str) -> String {
    format!("{prefix}{}", characters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 17))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Now, in nanoseconds since the epoch.
pub(crate) fn now_unix_nano() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Now, in milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-11-21T08:02:18.701Z`, as every XML answer has it.
pub(crate) fn iso(time_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(time_ms) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        Err(_) => "1970-01-01T00:00:00.000Z".to_owned(),
    }
}

/// `Sat, 21 Nov 2026 08:02:18 GMT`, as HTTP headers have it (RFC 9110, section 5.6.7).
pub(crate) fn http_date(time_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(time_ms) {
        Ok(time) => time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        Err(_) => "Thu, 01 Jan 1970 00:00:00 GMT".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shape_of_aws() {
        let id = uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        assert_ne!(uuid(), uuid());
        assert_eq!(api_id().len(), 10);
        assert_eq!(iam_id("AROA").len(), 21);
    }

    #[test]
    fn times_are_written_as_answers_and_headers_have_them() {
        assert_eq!(iso(1_795_248_138_701), "2026-11-21T08:02:18.701Z");
        assert_eq!(http_date(1_795_248_138_701), "Sat, 21 Nov 2026 08:02:18 GMT");
        assert_eq!(iso(i64::MAX), "1970-01-01T00:00:00.000Z");
    }
}
