//! Who signed a request, and whether the signature is right.
//!
//! Rule: AWS general reference, "Signature Version 4 signing process", service `xray`. Only asked
//! for where keys are configured; else a signature tells the region and nothing more.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::{HeaderMap, Method, Uri, header};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::error::{ErrorKind, XrayError};

/// How far a caller's clock may be off.
const SKEW_NANOS_MAX: i64 = 15 * 60 * 1_000_000_000;

/// The parts of an `Authorization` header.
#[derive(Debug, PartialEq, Eq)]
struct Authorization<'a> {
    key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn of(headers: &'a HeaderMap) -> Option<Self> {
        let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let members = text.strip_prefix("AWS4-HMAC-SHA256")?.trim();
        let member = |name: &str| {
            members.split(',').find_map(|m| m.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let mut scope = member("Credential")?.rsplitn(5, '/');
        let (_, service, region, date) =
            (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        Some(Self {
            key_id: scope.next()?,
            date,
            region,
            service,
            signed_headers: member("SignedHeaders")?.split(';').collect(),
            signature: member("Signature")?,
        })
    }
}

/// The region that a request is signed for, whether or not the signature is right.
pub(super) fn region(headers: &HeaderMap) -> Option<&str> {
    let region = Authorization::of(headers)?.region;
    let plain = region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (plain && (1..=32).contains(&region.len())).then_some(region)
}

/// A request as it was signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// Whether a request is signed with one of `keys` (id to secret).
pub(super) fn check(
    request: Signed<'_>,
    keys: &BTreeMap<String, String>,
    now: i64,
) -> Result<(), XrayError> {
    let wrong = |what: &str| XrayError::new(ErrorKind::InvalidSignature, what);
    let Some(authorization) = Authorization::of(request.headers) else {
        let message = "this server wants requests that are signed with AWS Signature Version 4";
        return Err(XrayError::new(ErrorKind::MissingAuthenticationToken, message));
    };
    let Some(secret) = keys.get(authorization.key_id) else {
        let message = "the access key is not one that this server knows";
        return Err(XrayError::new(ErrorKind::UnrecognizedClient, message));
    };
    let time = request.headers.get("x-amz-date").and_then(|value| value.to_str().ok());
    let Some(time) = time else { return Err(wrong("X-Amz-Date is missing")) };
    let Some(signed_unix_nano) = unix_nano(time) else {
        return Err(wrong("X-Amz-Date cannot be read"));
    };
    if signed_unix_nano.saturating_sub(now).saturating_abs() > SKEW_NANOS_MAX {
        return Err(wrong("the request was signed at another time; is a clock wrong?"));
    }
    if !time.starts_with(authorization.date) || authorization.service != "xray" {
        return Err(wrong("the credential is for another day or service"));
    }
    if !authorization.signed_headers.contains(&"host") {
        return Err(wrong("the signature leaves the host open"));
    }
    let Some(canonical) = canonical_request(request, &authorization.signed_headers) else {
        return Err(wrong("a signed header is missing, or the body is not the signed one"));
    };
    let scope = format!(
        "{}/{}/{}/aws4_request",
        authorization.date, authorization.region, authorization.service
    );
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = mac(format!("AWS4{secret}").as_bytes(), authorization.date.as_bytes());
    for part in [authorization.region, authorization.service, "aws4_request"] {
        key = mac(&key, part.as_bytes());
    }
    let Some(signature) = from_hex(authorization.signature) else {
        return Err(wrong("the signature is no hex"));
    };
    let mut expected = hmac(&key);
    expected.update(to_sign.as_bytes());
    // Takes the same time wherever the two differ.
    expected.verify_slice(&signature).map_err(|_| wrong("the signature does not match"))
}

fn canonical_request(request: Signed<'_>, signed_headers: &[&str]) -> Option<String> {
    let mut text = format!("{}\n", request.method);
    // Rule: every service but S3 encodes the path as it was sent once more.
    for byte in request.uri.path().bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    let mut query: Vec<&str> = request.uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let _ = writeln!(text, "\n{}", query.join("&"));
    for name in signed_headers {
        let mut values = Vec::new();
        for value in request.headers.get_all(*name) {
            let words: Vec<&str> = value.to_str().ok()?.split_ascii_whitespace().collect();
            values.push(words.join(" "));
        }
        if values.is_empty() && *name == "host" {
            values.push(request.uri.authority()?.to_string());
        }
        if values.is_empty() {
            return None;
        }
        let _ = writeln!(text, "{name}:{}", values.join(","));
    }
    let digest = hex(&Sha256::digest(request.body));
    let told = request.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    let digest = match told {
        Some("UNSIGNED-PAYLOAD") => "UNSIGNED-PAYLOAD".to_owned(),
        Some(told) if told != digest => return None,
        _ => digest,
    };
    let _ = write!(text, "\n{}\n{digest}", signed_headers.join(";"));
    Some(text)
}

/// `20150830T123600Z`, nanoseconds since the epoch.
fn unix_nano(time: &str) -> Option<i64> {
    let date = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
    let time = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    i64::try_from(time.as_nanosecond()).ok()
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = hmac(key);
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_323_045 * 1_000_000_000;

    /// A request that botocore 1.44 signed for key `AKID`, secret `SECRET`.
    fn headers(signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("host", "127.0.0.1:2000".parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("x-amz-date", "20260102T030405Z".parse().unwrap());
        let text = format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-west-1/xray/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
        );
        headers.insert("authorization", text.parse().unwrap());
        headers
    }

    const SIGNATURE: &str = "6ebf609a803722256bcf74adfe89527775438310f4ba4fd04e8498402b638ce9";

    fn check_request(headers: &HeaderMap, body: &[u8], now: i64) -> Result<(), ErrorKind> {
        let keys = BTreeMap::from([("AKID".to_owned(), "SECRET".to_owned())]);
        let uri = "/GetGroup".parse().unwrap();
        let request = Signed { method: &Method::POST, uri: &uri, headers, body };
        check(request, &keys, now).map_err(|err| err.kind)
    }

    #[test]
    fn a_right_signature_is_believed_and_any_change_is_not() {
        let body = br#"{"GroupName": "g"}"#;
        assert_eq!(check_request(&headers(SIGNATURE), body, NOW), Ok(()));
        let wrong = Err(ErrorKind::InvalidSignature);
        assert_eq!(check_request(&headers(SIGNATURE), b"{}", NOW), wrong);
        assert_eq!(check_request(&headers(&"0".repeat(64)), body, NOW), wrong);
        assert_eq!(check_request(&headers("x"), body, NOW), wrong);
        assert_eq!(check_request(&headers(SIGNATURE), body, NOW + 2 * SKEW_NANOS_MAX), wrong);
        let mut other = headers(SIGNATURE);
        other.insert("host", "elsewhere:2000".parse().unwrap());
        assert_eq!(check_request(&other, body, NOW), wrong);
        other.remove("authorization");
        let missing = Err(ErrorKind::MissingAuthenticationToken);
        assert_eq!(check_request(&other, body, NOW), missing);
    }

    #[test]
    fn the_region_is_read_from_any_signature() {
        assert_eq!(region(&headers("nonsense")), Some("eu-west-1"));
        for text in ["", "AWS4-HMAC-SHA256", "Bearer x", "AWS4-HMAC-SHA256 Credential=a/b"] {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", text.parse().unwrap());
            assert_eq!(region(&headers), None, "{text}");
        }
    }
}
