//! What a (sub)segment is called, and whether it is a call to AWS or elsewhere.

use throughline_model::SpanKind;

use super::Said;
use crate::xray::decode::{NAME_CHARS_MAX, is_name_char};

/// The name: of the service for a segment, of what is called for a call, else the span's own.
///
/// **Rule:** `awsxrayexporter`, `segment.go`, `MakeSegment`, the order of names.
pub(super) fn name(said: &Said<'_>) -> String {
    let found = if said.is_segment { service(said) } else { called(said) };
    clean(&found.unwrap_or_else(|| said.span.name().to_owned()))
}

fn service(said: &Said<'_>) -> Option<String> {
    let own = said.own.text("aws.local.service").or_else(|| said.resource.text("service.name"));
    own.map(str::to_owned)
}

fn called(said: &Said<'_>) -> Option<String> {
    use SpanKind::{Client, Consumer, Producer, Server};
    let kind = said.span.kind();
    if matches!(kind, Client | Producer | Consumer)
        && let Some(remote) = said.own.text("aws.remote.service")
    {
        let remote = remote.strip_prefix("AWS.SDK.").unwrap_or(remote);
        return Some(remote.strip_prefix("AWS::").unwrap_or(remote).to_owned());
    }
    if kind == Server
        && let Some(name) = service(said)
    {
        return Some(name);
    }
    let named = said.own.first_text(&["peer.service", "aws.service"]).map(str::to_owned);
    let hosts = ["rpc.service", "http.host", "net.peer.name"];
    named.or_else(|| database(said)).or_else(|| said.own.first_text(&hosts).map(str::to_owned))
}

/// `database@host`, the host being that of the connection string.
fn database(said: &Said<'_>) -> Option<String> {
    let database = said.own.first_text(&["db.name", "db.namespace"])?;
    let host = said.own.text("db.connection_string").and_then(host_of_connection);
    Some(host.map_or_else(|| database.to_owned(), |host| format!("{database}@{host}")))
}

/// The host of `jdbc:mysql://user@host:3306/db`, without the user.
fn host_of_connection(connection: &str) -> Option<&str> {
    let (_, rest) = connection.strip_prefix("jdbc:").unwrap_or(connection).split_once("://")?;
    let authority = rest.split(['/', '?', '#', ';']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    Some(host).filter(|host| !host.is_empty())
}

/// **Rule:** `awsxrayexporter`, `segment.go`, `MakeSegment`, the namespace.
pub(super) fn namespace(said: &Said<'_>) -> Option<&'static str> {
    if said.is_segment {
        return None;
    }
    let is_aws = said.own.first_text(&["rpc.system", "rpc.system.name"]) == Some("aws-api")
        || said.own.text("aws.service").is_some();
    if is_aws {
        return Some("aws");
    }
    said.is_call().then_some("remote")
}

/// A name that X-Ray takes.
fn clean(name: &str) -> String {
    let kept: String = name.chars().filter(|c| is_name_char(*c)).take(NAME_CHARS_MAX).collect();
    if kept.trim().is_empty() { "span".to_owned() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_fit_for_x_ray() {
        assert_eq!(clean("GET /a?b={c}|"), "GET /ab=c");
        assert_eq!(clean("\u{e9}t\u{e9}\u{1F600}"), "\u{e9}t\u{e9}");
        assert_eq!(clean("{}"), "span");
        assert_eq!(clean(&"\u{e9}".repeat(300)).chars().count(), 200);
    }

    #[test]
    fn the_host_of_a_connection_has_no_user_and_no_port() {
        let check = |text, host| assert_eq!(host_of_connection(text), host, "{text}");
        check("jdbc:mysql://me:secret@db.example.com:3306/shop", Some("db.example.com"));
        check("postgresql://db/shop?x=1", Some("db"));
        check("db.example.com", None);
        check("x://", None);
    }
}
