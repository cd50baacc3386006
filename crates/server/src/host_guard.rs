//! Keeps other web sites out of a server that trusts everyone on this machine.
//!
//! A page of any site may make its own name point to 127.0.0.1 ("DNS rebinding") and then read our
//! answers as its own; the browser still sends that site's name as `Host`. So on a loopback port
//! the page and the API answer only to loopback names. A page may also send a form across sites;
//! the browser then says so in `Origin`. The doors for spans, `/ready` and `/metrics` stay open:
//! containers reach them under names of their own, and what they take or tell is no secret.

use http::{HeaderMap, Method, Uri, header};

/// Why a request is refused; the text goes to the caller.
pub(crate) fn refusal(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    loopback: bool,
    allowed_hosts: &[String],
) -> Option<String> {
    if is_open(uri.path()) {
        return None;
    }
    let host = uri.authority().map(|a| a.as_str()).or_else(|| {
        // A header that is no text is nobody's name.
        headers.get(header::HOST).map(|value| value.to_str().unwrap_or("?"))
    });
    if let Some(host) = host {
        let name = without_port(host);
        let known = is_loopback(name) || allowed_hosts.iter().any(|h| h.eq_ignore_ascii_case(name));
        if !known && (loopback || !allowed_hosts.is_empty()) {
            return Some(format!(
                "the host name {name:?} is not a loopback name. If you use this name on purpose, \
                 start the server with --allow-host {name}"
            ));
        }
    }
    let origin = headers.get(header::ORIGIN).filter(|_| !method.is_safe());
    let origin = origin.map(|value| value.to_str().unwrap_or("?"));
    let origin_host = origin.map(|o| o.split_once("://").map_or(o, |(_, host)| host));
    if origin_host.is_some() && origin_host != host {
        return Some("a page of another origin may not change anything here".to_owned());
    }
    None
}

fn is_open(path: &str) -> bool {
    matches!(path, "/v1/traces" | "/v2/trace/otlp" | "/ready" | "/metrics")
        || path.starts_with("/opentelemetry.proto.")
}

fn without_port(host: &str) -> &str {
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
    use super::*;

    fn check(path: &str, host: &str, origin: Option<&str>, refused: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let method = if origin.is_some() { Method::POST } else { Method::GET };
        let allowed = ["traces.example".to_owned()];
        let said = refusal(&method, &path.parse().unwrap(), &headers, true, &allowed);
        assert_eq!(said.is_some(), refused, "{path} {host} {origin:?}: {said:?}");
    }

    #[test]
    fn only_loopback_names_and_configured_ones_reach_the_page_and_the_api() {
        for host in ["localhost", "LOCALHOST:8900", "127.0.0.1:1", "[::1]:8900", "a.localhost"] {
            check("/", host, None, false);
        }
        check("/api/v1/search", "traces.example:8900", None, false);
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8900", ""] {
            check("/", host, None, true);
            check("/api/v1/search", host, None, true);
            check("/v1/traces", host, None, false);
            check("/ready", host, None, false);
        }
    }

    #[test]
    fn a_page_of_another_origin_may_not_post() {
        check("/api/v1/reset", "localhost:8900", Some("http://localhost:8900"), false);
        check("/api/v1/reset", "localhost:8900", Some("http://localhost:3000"), true);
        check("/api/v1/reset", "localhost:8900", Some("null"), true);
    }
}
