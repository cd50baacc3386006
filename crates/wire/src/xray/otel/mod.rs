//! Spans that came as OTLP, as segment documents.
//!
//! Rule: collector-contrib `awsxrayexporter`, package `translator`, so that a span looks the same
//!       here as it would after the collector. Three things differ. A segment is always named after
//!       its service, for a node of the map is a service. A PRODUCER counts as a call, as a CLIENT
//!       does. The second document that the exporter makes of a `LOCAL_ROOT` client is not made:
//!       whoever draws the trace infers it.

mod aws;
mod cause;
mod http;
mod name;
mod rest;
mod sql;
mod stack;
mod values;

use throughline_model::{SpanKind, SpanRef, StatusCode};

use self::values::Values;
use super::encode::EncodeAs;
use super::parts::{Object, put};

/// Adds to the frame of a document everything that the span says.
pub(super) fn fill(span: SpanRef<'_>, what: EncodeAs, document: &mut Object) {
    let mut said = Said {
        span,
        is_segment: what == EncodeAs::Segment,
        own: Values::new(span.attributes()),
        resource: Values::new(span.resource().attributes()),
    };
    let namespace = name::namespace(&said);
    document.insert("name".to_owned(), name::name(&said).into());
    if let Some(namespace) = namespace {
        document.insert("namespace".to_owned(), namespace.into());
    }
    http::write(&mut said, document);
    flags(span, document);
    cause::write(&mut said, document);
    sql::write(&mut said, document);
    aws::write(&mut said, namespace == Some("aws"), document);
    rest::write(&mut said, document);
}

/// The span and what of it is not in the document yet.
struct Said<'a> {
    span: SpanRef<'a>,
    is_segment: bool,
    own: Values<'a>,
    resource: Values<'a>,
}

impl Said<'_> {
    /// Whether the span is on the calling side, so that what it names is the other side.
    fn is_call(&self) -> bool {
        matches!(self.span.kind(), SpanKind::Client | SpanKind::Producer)
    }
}

/// The HTTP status decides, where there is one that tells a failure; else the span's own status.
///
/// **Rule:** `awsxrayexporter`, `cause.go`: 4xx is an error, 429 a throttle too, 5xx a fault.
fn flags(span: SpanRef<'_>, document: &mut Object) {
    let status =
        document.get("http").and_then(|http| http.get("response")?.get("status")?.as_i64());
    let flags: &[&str] = match status {
        Some(429) => &["error", "throttle"],
        Some(400..=499) => &["error"],
        Some(500..=599) => &["fault"],
        _ if span.status() == StatusCode::Error => &["fault"],
        _ => &[],
    };
    for flag in flags {
        put(document, &[flag], true.into());
    }
}
