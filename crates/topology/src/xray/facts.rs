//! What one span says of itself, in X-Ray's words.
//!
//! **Rule:** the table of attributes in docs/xray.md for spans that came as segment documents; for
//! all others the mapping of the OpenTelemetry collector's X-Ray exporter.

use std::collections::BTreeMap;

use throughline_model::{AttrValue, ResourceRef, SpanId, SpanKind, SpanRef, StatusCode, xray};

use super::{Annotation, Entity, Exception, ServiceId, inferred_service};
use crate::sender::service_type;

/// Whether the span came as a segment document.
pub(super) fn is_xray(span: SpanRef<'_>) -> bool {
    span.scope().name() == xray::SCOPE && span.attribute(xray::TYPE).is_some()
}

/// Whether the span came as a segment, not as a subsegment.
pub(super) fn is_xray_segment(span: SpanRef<'_>) -> bool {
    span.attribute(xray::TYPE).and_then(AttrValue::as_str) == Some("segment")
}

/// The attributes of a span, read once.
pub(super) struct Attrs<'a>(Vec<(&'a str, AttrValue<'a>)>);

impl<'a> Attrs<'a> {
    pub(super) fn of(span: SpanRef<'a>) -> Self {
        Self(span.attributes().collect())
    }

    pub(super) fn value(&self, key: &str) -> Option<AttrValue<'a>> {
        self.0.iter().find(|(k, _)| *k == key).map(|(_, value)| *value)
    }

    /// The first text of these keys that is not empty.
    pub(super) fn text(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter()
            .find_map(|key| self.value(key).and_then(AttrValue::as_str).filter(|t| !t.is_empty()))
    }

    pub(super) fn is_true(&self, key: &str) -> bool {
        self.value(key) == Some(AttrValue::Bool(true))
    }

    fn owned(&self, keys: &[&str]) -> Option<String> {
        self.text(keys).map(str::to_owned)
    }

    fn number(&self, keys: &[&str]) -> Option<i64> {
        keys.iter().find_map(|key| match self.value(key)? {
            AttrValue::Int(number) => Some(number),
            AttrValue::Str(text) => text.parse().ok(),
            _ => None,
        })
    }
}

/// The most characters of what a resource says that its segments repeat.
const RESOURCE_TEXT_LENGTH_MAX: usize = 250;

/// A text that many entities repeat, cut to a length that none of them suffers from.
pub(super) fn short(text: &str) -> String {
    text.chars().take(RESOURCE_TEXT_LENGTH_MAX).collect()
}

/// What the resource of a segment says.
#[derive(Clone, Debug, Default)]
pub(super) struct ResourceFacts {
    /// `service.name`, empty for subsegments that were sent alone.
    pub(super) service: String,
    pub(super) origin: Option<String>,
    pub(super) account: Option<String>,
    pub(super) function: Option<String>,
    instance_id: Option<String>,
    availability_zone: Option<String>,
    arns: Vec<String>,
}

impl ResourceFacts {
    pub(super) fn of(resource: ResourceRef<'_>) -> Self {
        let attrs = Attrs(resource.attributes().collect());
        let owned = |keys: &[&str]| attrs.text(keys).map(short);
        let is_ec2 = attrs.text(&["cloud.platform"]) == Some("aws_ec2");
        let arn = attrs.text(&["cloud.resource_id", "faas.id"]);
        Self {
            service: owned(&["service.name"]).unwrap_or_default(),
            origin: Some(short(service_type(resource))).filter(|origin| !origin.is_empty()),
            account: account(&attrs, "cloud.account.id"),
            function: owned(&["faas.name"]),
            instance_id: owned(&["aws.ec2.instance_id"])
                .or_else(|| owned(&["host.id"]).filter(|_| is_ec2)),
            availability_zone: owned(&[
                "aws.ec2.availability_zone",
                "aws.ecs.availability_zone",
                "cloud.availability_zone",
            ]),
            arns: arn.filter(|arn| arn.starts_with("arn:")).map(short).into_iter().collect(),
        }
    }
}

/// The account of AWS; that of a local emulator counts as none.
pub(super) fn account(attrs: &Attrs<'_>, key: &str) -> Option<String> {
    attrs.owned(&[key]).filter(|account| account != xray::ACCOUNT_HERE)
}

/// An entity that stands alone so far; its service, parent and place are found later.
pub(super) fn entity<'a>(span: SpanRef<'a>) -> Entity<'a> {
    let attrs = Attrs::of(span);
    let is_xray = is_xray(span);
    let callee = inferred_service(span);
    let namespace = match (&callee, is_xray) {
        (_, true) => attrs.owned(&[xray::NAMESPACE]).filter(|word| word != "local"),
        (Some(callee), false) => Some(callee.namespace.to_owned()),
        (None, false) => None,
    };
    let name = match callee {
        Some(callee) if !is_xray => callee.called,
        _ => span.name().to_owned(),
    };
    let http_status = attrs.number(&["http.response.status_code", "http.status_code"]);
    let (error, throttle, fault) = match is_xray {
        true => {
            (attrs.is_true(xray::ERROR), attrs.is_true(xray::THROTTLE), attrs.is_true(xray::FAULT))
        }
        false => flags(http_status, span.status()),
    };
    let mut arns = Vec::new();
    for key in [xray::RESOURCE_ARN, "aws.function_arn", "aws.lambda.invoked_arn"] {
        arns.extend(attrs.owned(&[key]).filter(|arn| !arns.contains(arn)));
    }
    Entity {
        id: span.span_id(),
        parent_id: span.parent_id(),
        is_segment: is_xray && is_xray_segment(span),
        inferred: is_xray && attrs.is_true(xray::INFERRED),
        in_progress: span.duration_nano().is_none(),
        name,
        namespace,
        start_unix_nano: span.start_unix_nano(),
        end_unix_nano: span.end_unix_nano(),
        error,
        fault,
        throttle,
        http_method: attrs.owned(&["http.request.method", "http.method"]),
        http_url: url(&attrs),
        http_status,
        user_agent: attrs.owned(&["user_agent.original", "http.user_agent"]),
        client_ip: client_ip(&attrs, span.kind()),
        user: attrs.owned(&["enduser.id"]),
        resource_arns: arns,
        annotations: annotations(&attrs, is_xray),
        exceptions: exceptions(span, is_xray, error || fault),
        span: Some(span),
        ..blank()
    }
}

/// An entity of which nothing is known.
pub(super) fn blank<'a>() -> Entity<'a> {
    Entity {
        span: None,
        id: SpanId::ZERO,
        parent_id: SpanId::ZERO,
        parent: None,
        children: Vec::new(),
        is_segment: false,
        segment: 0,
        inferred: false,
        synthetic: false,
        in_progress: false,
        name: String::new(),
        namespace: None,
        origin: None,
        service: ServiceId::default(),
        start_unix_nano: 0,
        end_unix_nano: 0,
        error: false,
        fault: false,
        throttle: false,
        http_method: None,
        http_url: None,
        http_status: None,
        user_agent: None,
        client_ip: None,
        user: None,
        resource_arns: Vec::new(),
        instance_id: None,
        availability_zone: None,
        annotations: BTreeMap::new(),
        exceptions: Vec::new(),
    }
}

/// Makes a span's entity a segment: from here on it has a node of its own.
pub(super) fn stand_alone(entity: &mut Entity<'_>, facts: &ResourceFacts) {
    entity.is_segment = true;
    entity.origin.clone_from(&facts.origin);
    entity.instance_id.clone_from(&facts.instance_id);
    entity.availability_zone.clone_from(&facts.availability_zone);
    for arn in &facts.arns {
        if !entity.resource_arns.contains(arn) {
            entity.resource_arns.push(arn.clone());
        }
    }
    let Some(span) = entity.span else { return };
    let sent_as_document = is_xray(span);
    if !sent_as_document {
        entity.name = short(span.service());
        entity.namespace = None;
    }
    let kind = entity.origin.clone().unwrap_or_default();
    let name = short(&entity.name);
    let mut service =
        ServiceId { names: vec![name.clone()], name, kind, account: facts.account.clone() };
    if entity.inferred
        && let Some(callee) = inferred_service(span)
    {
        service.name = short(&callee.name);
        service.names = callee.names.iter().map(|name| short(name)).collect();
        if service.kind.is_empty() {
            service.kind = callee.kind;
        }
    }
    if entity.inferred && service.kind.is_empty() {
        super::REMOTE.clone_into(&mut service.kind);
    }
    entity.service = service;
}

/// Error, throttle and fault of a span that is no segment document.
///
/// **Rule:** the X-Ray exporter, `cause.go`: the HTTP code wins over the status.
fn flags(http_status: Option<i64>, status: StatusCode) -> (bool, bool, bool) {
    match http_status {
        Some(429) => (true, true, false),
        Some(400..=499) => (true, false, false),
        Some(500..=599) => (false, false, true),
        _ => (false, false, status == StatusCode::Error),
    }
}

/// The URL, put together from its parts where it was not sent whole.
fn url(attrs: &Attrs<'_>) -> Option<String> {
    if let Some(url) = attrs.owned(&["url.full", "http.url"]) {
        return Some(url);
    }
    let mut path = attrs.owned(&["url.path", "http.target"])?;
    if let Some(query) = attrs.text(&["url.query"]) {
        path = format!("{path}?{query}");
    }
    let host = attrs.text(&["http.host", "server.address", "net.host.name"]);
    let Some(host) = host else { return Some(path) };
    let scheme = attrs.text(&["url.scheme", "http.scheme"]).unwrap_or("http");
    let port = attrs.number(&["server.port", "net.host.port"]);
    let is_default = matches!((scheme, port), ("http", Some(80)) | ("https", Some(443)));
    Some(match port {
        Some(port) if !is_default && !host.contains(':') => {
            format!("{scheme}://{host}:{port}{path}")
        }
        _ => format!("{scheme}://{host}{path}"),
    })
}

fn client_ip(attrs: &Attrs<'_>, kind: SpanKind) -> Option<String> {
    let sent = attrs.owned(&["client.address", "http.client_ip"]);
    // The peer of a caller is not its client.
    let peer = || attrs.owned(&["network.peer.address", "net.sock.peer.addr", "net.peer.ip"]);
    sent.or_else(|| if kind == SpanKind::Server { peer() } else { None })
}

fn annotations(attrs: &Attrs<'_>, is_xray: bool) -> BTreeMap<String, Annotation> {
    let mut annotations = BTreeMap::new();
    for (key, value) in &attrs.0 {
        let key = if is_xray { key.strip_prefix(xray::ANNOTATION_PREFIX) } else { Some(*key) };
        if let (Some(key), Some(value)) = (key, Annotation::of(*value)) {
            annotations.entry(key.to_owned()).or_insert(value);
        }
    }
    annotations
}

/// What was thrown; of a failed span without an event, the text of its status.
fn exceptions(span: SpanRef<'_>, is_xray: bool, has_failed: bool) -> Vec<Exception> {
    let text = |value: Option<AttrValue<'_>>| {
        value.and_then(AttrValue::as_str).unwrap_or_default().to_owned()
    };
    let mut exceptions: Vec<Exception> = span
        .events()
        .filter(|event| event.name() == "exception")
        .map(|event| Exception {
            name: text(event.attributes().value("exception.type")),
            message: text(event.attributes().value("exception.message")),
        })
        .collect();
    if exceptions.is_empty() && !is_xray && has_failed && !span.status_message().is_empty() {
        let message = span.status_message().to_owned();
        exceptions.push(Exception { name: String::new(), message });
    }
    exceptions
}
