//! `http` of a document, from the old and the new names of the HTTP conventions.
//!
//! Rule: `awsxrayexporter`, `http.go`; OpenTelemetry semantic conventions, HTTP spans.

use std::borrow::Cow;

use throughline_model::SpanKind;

use super::Said;
use crate::xray::parts::{Object, put};

pub(super) fn write(said: &mut Said<'_>, document: &mut Object) {
    let mut request = Object::new();
    let mut response = Object::new();
    if let Some(method) = said.own.take_text(&["http.request.method", "http.method"]) {
        request.insert("method".to_owned(), method.into());
    }
    if let Some(url) = url(said, !request.is_empty()) {
        request.insert("url".to_owned(), url.into());
    }
    if let Some(agent) = said.own.take_text(&["user_agent.original", "http.user_agent"]) {
        request.insert("user_agent".to_owned(), agent.into());
    }
    client(said, &mut request);
    if let Some(status) = said.own.take_int(&["http.response.status_code", "http.status_code"]) {
        response.insert("status".to_owned(), status.into());
    }
    // Without an HTTP request a size is that of a message, which X-Ray has no place for.
    if (!request.is_empty() || !response.is_empty())
        && let Some(length) = content_length(said)
    {
        response.insert("content_length".to_owned(), length.into());
    }
    for (key, part) in [("request", request), ("response", response)] {
        if !part.is_empty() {
            put(document, &["http", key], part.into());
        }
    }
}

/// The whole URL: as sent, or put together. A path without a host is no URL.
fn url(said: &mut Said<'_>, has_method: bool) -> Option<String> {
    if let Some(url) = said.own.take_text(&["url.full", "http.url"]) {
        return Some(url.to_owned());
    }
    let target = target(said);
    if target.is_none() && !has_method {
        return None;
    }
    let host = host(said)?;
    let scheme = said.own.take_text(&["url.scheme", "http.scheme"]).unwrap_or("http");
    let ports: &[&str] = if said.is_call() {
        &["server.port", "net.peer.port"]
    } else {
        &["server.port", "net.host.port", "http.server_port"]
    };
    let port = said.own.take_int(ports).filter(|port| {
        let usual = matches!((scheme, port), ("http", 80) | ("https", 443));
        !usual && !has_port(host)
    });
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    for key in ["url.path", "url.query", "http.target"] {
        said.own.tick(key);
    }
    Some(format!("{scheme}://{host}{port}{}", target.unwrap_or_default()))
}

/// Path and query, with a slash in front.
fn target<'a>(said: &Said<'a>) -> Option<Cow<'a, str>> {
    let target = match (said.own.text("url.path"), said.own.text("url.query")) {
        (Some(path), Some(query)) => Cow::Owned(format!("{path}?{query}")),
        (Some(path), None) => Cow::Borrowed(path),
        (None, _) => Cow::Borrowed(said.own.text("http.target")?),
    };
    Some(if target.starts_with('/') { target } else { Cow::Owned(format!("/{target}")) })
}

fn host<'a>(said: &mut Said<'a>) -> Option<&'a str> {
    let keys: &[&str] = if said.is_call() {
        &["http.host", "server.address", "net.peer.name", "net.peer.ip"]
    } else {
        &["http.host", "http.server_name", "net.host.name", "host.name", "server.address"]
    };
    let named = said.own.take_text(keys);
    named.or_else(|| said.resource.text("host.name").filter(|_| !said.is_call()))
}

/// Whether a host ends in a port; the colons of a bare IPv6 address are none.
fn has_port(host: &str) -> bool {
    let after_address = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    after_address.matches(':').count() == 1
}

/// Who asked. An address that is not the peer's own was said by a proxy.
fn client(said: &mut Said<'_>, request: &mut Object) {
    const PEER: [&str; 2] = ["net.peer.ip", "network.peer.address"];
    let forwarded = said.own.take_text(&["http.client_ip", "client.address"]);
    let peer = if said.span.kind() == SpanKind::Server { said.own.first_text(&PEER) } else { None };
    match (forwarded, peer) {
        (Some(client), peer) => {
            request.insert("client_ip".to_owned(), client.into());
            if peer.is_none() && said.span.kind() == SpanKind::Server {
                request.insert("x_forwarded_for".to_owned(), true.into());
            }
        }
        (None, Some(peer)) if !request.is_empty() => {
            PEER.iter().for_each(|key| said.own.tick(key));
            request.insert("client_ip".to_owned(), peer.into());
        }
        (None, _) => {}
    }
}

/// The size of the answer: said by the span, or by its event of a message received.
fn content_length(said: &mut Said<'_>) -> Option<i64> {
    const SIZES: [&str; 3] = [
        "messaging.message_payload_size_bytes",
        "messaging.message.body.size",
        "message.uncompressed_size",
    ];
    let named = [
        "http.response.body.size",
        "http.response_content_length",
        "http.response.header.content-length",
    ];
    if let Some(length) = said.own.take_int(&named) {
        return Some(length);
    }
    if said.own.text("message.type") == Some("RECEIVED") {
        return said.own.take_int(&SIZES);
    }
    said.span.events().find_map(|event| {
        let mut values = super::values::Values::new(event.attributes());
        if values.text("message.type") != Some("RECEIVED") {
            return None;
        }
        values.take_int(&SIZES)
    })
}
