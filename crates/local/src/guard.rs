//! Keeps web pages out of a cloud that trusts everyone on this machine.
//!
//! A page of any site may send a form or an image request to 127.0.0.1, and could so deploy a function, which
//! is a program; or make its own name point here and read answers ("DNS rebinding"). Browsers say where they
//! come from in `Origin` and `Sec-Fetch-Site`, and send the site's name as `Host`. Deployed APIs are meant
//! for pages and stay open.

use crate::http::Request;
use crate::route::Target;

/// Why a request is refused, if it is.
pub(crate) fn refusal(target: &Target, request: &Request) -> Option<String> {
    let host = name_of(request.header("host"));
    let is_aws = host.ends_with(".amazonaws.com");
    if !host.is_empty() && !is_loopback(host) && !is_aws {
        return Some(format!("the host name {host:?} is not a loopback name"));
    }
    if matches!(target, Target::Api { .. } | Target::Health) {
        return None;
    }
    let origin = request.header("origin");
    let foreign_origin = !origin.is_empty()
        && !origin.split_once("://").is_some_and(|(_, host)| is_loopback(name_of(host)));
    let foreign_fetch = matches!(request.header("sec-fetch-site"), "cross-site" | "same-site");
    (foreign_origin || foreign_fetch)
        .then(|| "a page of another origin may not call the local cloud".to_owned())
}

/// The host without its port.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    }
}

fn is_loopback(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    use super::*;

    fn check(target: &Target, headers: &[(&'static str, &str)], refused: bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let request = Request {
            method: Method::POST,
            path: "/".to_owned(),
            query: String::new(),
            headers: map,
            body: Bytes::new(),
            request_id: String::new(),
        };
        assert_eq!(refusal(target, &request).is_some(), refused, "{target:?} {headers:?}");
    }

    #[test]
    fn pages_reach_apis_only() {
        let service = Target::Service { name: "lambda".to_owned(), operation: String::new() };
        let api = Target::Api { api: "a".to_owned(), stage: "dev".to_owned(), path: Vec::new() };
        check(&service, &[("host", "127.0.0.1:4566")], false);
        check(&service, &[("host", "[::1]:4566")], false);
        check(&service, &[("host", "s3.amazonaws.com")], false);
        check(&service, &[("host", "evil.example")], true);
        check(&service, &[("host", "127.0.0.1"), ("origin", "https://evil.example")], true);
        check(&service, &[("host", "127.0.0.1"), ("origin", "null")], true);
        check(&service, &[("host", "127.0.0.1"), ("sec-fetch-site", "cross-site")], true);
        check(&service, &[("host", "127.0.0.1"), ("origin", "http://localhost:7000")], false);
        check(
            &api,
            &[("host", "a.execute-api.localhost"), ("origin", "https://app.example")],
            false,
        );
        check(&api, &[("host", "evil.example")], true);
    }
}
