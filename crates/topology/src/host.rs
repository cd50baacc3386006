//! Host names that say something: addresses and generated names become one name each.

use std::borrow::Cow;
use std::net::IpAddr;

/// The name of all peers known by an IP address only.
pub(crate) const IP_ADDRESS: &str = "ip address";

/// The name of all hosts whose whole name was made by a machine.
const GENERATED: &str = "generated host";

/// The name for the map of a host: lower case, with what changes at every start taken out.
pub(crate) fn host_name(host: &str) -> Cow<'_, str> {
    let host = host.trim_end_matches('.');
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let may_be_address = bare.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':'));
    if may_be_address && bare.parse::<IpAddr>().is_ok() {
        return Cow::Borrowed(IP_ADDRESS);
    }
    let is_plain = |host: &str| {
        !host.bytes().any(|b| b.is_ascii_digit()) || !host.split('.').any(is_generated)
    };
    let host = match host.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Cow::Owned(host.to_ascii_lowercase()),
        false => Cow::Borrowed(host),
    };
    if is_plain(&host) {
        return host;
    }
    if !host.contains('.') {
        return Cow::Borrowed(GENERATED);
    }
    let labels = host.split('.').map(|label| if is_generated(label) { "*" } else { label });
    Cow::Owned(labels.collect::<Vec<_>>().join("."))
}

/// Whether a label is a UUID, a long hexadecimal number or an address in words.
fn is_generated(label: &str) -> bool {
    const HEX_LENGTH_MIN: usize = 12;
    if let Some(rest) = label.strip_prefix("ip-") {
        return rest.split('-').count() == 4 && rest.split('-').all(|n| n.parse::<u8>().is_ok());
    }
    let (mut hex, mut digits) = (0, 0);
    for byte in label.bytes() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'a'..=b'f' => hex += 1,
            b'-' => {}
            _ => return false,
        }
    }
    hex + digits >= HEX_LENGTH_MIN && digits > 0
}

/// Host and port of a URL, or of `host:port`.
///
/// **Rule:** RFC 3986 section 3.2, authority = \[ userinfo "@" \] host \[ ":" port \].
pub(crate) fn host_of_url(url: &str) -> Option<(&str, Option<i64>)> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().ok())
        }
        _ => (authority, None),
    };
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, expected: &str) {
        assert_eq!(host_name(host), expected);
    }

    #[test]
    fn addresses_and_generated_hosts_become_one_name() {
        check("10.1.2.3", "ip address");
        check("[::1]", "ip address");
        check("2001:db8::7", "ip address");
        check("3f2a9c1e-7d55-4b0e-9a61-0c8f5e2d1b77", "generated host");
        check("3f2a9c1e7d554b0e.cache.example.com", "*.cache.example.com");
        check("ip-10-0-3-7.eu-west-1.compute.internal", "*.eu-west-1.compute.internal");
    }

    #[test]
    fn names_that_people_gave_stay() {
        check("API.Example.com.", "api.example.com");
        check("cafe", "cafe");
        check("db-1", "db-1");
        check("ip-ranges.example.com", "ip-ranges.example.com");
    }

    fn check_url(url: &str, expected: Option<(&str, Option<i64>)>) {
        assert_eq!(host_of_url(url), expected, "{url}");
    }

    #[test]
    fn the_host_of_a_url_is_found() {
        check_url("https://api.example.com/v1?x=a:b", Some(("api.example.com", None)));
        check_url("http://user:secret@example.com:8080/", Some(("example.com", Some(8080))));
        check_url("http://[::1]:14566/", Some(("[::1]", Some(14566))));
        check_url("example.com:99", Some(("example.com", Some(99))));
        check_url("https:///path", None);
        check_url("", None);
    }
}
