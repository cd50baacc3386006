//! Links as receipts: explicit ones, and Datadog's pointers, which are links to no span.
//!
//! A link's receipt has the linked trace as its id and the linked span as its resource, so that
//! "who links to this trace" is one question, and which span is told by the answer.
//! Rule: OpenTelemetry specification, "Links between spans"; Datadog's tracers, span pointers
//!       (`ptr.hash`, `ptr.kind`, `ptr.dir`); AWS's documents, `aws.xray.reserved.reference_type`.

use serde_json::Value;
use throughline_context::{Carrier, Direction, Receipt};
use throughline_model::{AttrValue, LinkRef, SpanId, SpanRef, TraceId};

use super::words::ITEMS_MAX;

/// The longest `_dd.span_links` that is read, in bytes.
const DATADOG_LINKS_MAX_BYTES: usize = 1 << 18;

/// What a link says: a pointer, or another trace.
pub(super) fn of_link(span: SpanRef<'_>, link: LinkRef<'_>) -> Option<Receipt> {
    let text = |key| link.attributes().value(key).and_then(AttrValue::as_str);
    if link.trace_id().is_zero() {
        return pointer(text("ptr.hash")?, text("ptr.kind")?, text("ptr.dir")?);
    }
    if link.trace_id() == span.trace_id() {
        return None;
    }
    let goes_on = text("aws.xray.reserved.reference_type") == Some("child");
    let direction = if goes_on { Direction::Out } else { Direction::In };
    Some(link_receipt(Carrier::Link, direction, (link.trace_id(), link.span_id())))
}

/// Whether receipts of a carrier name a span and no message.
pub(super) fn is_pointing(carrier: Carrier) -> bool {
    matches!(carrier, Carrier::Link | Carrier::User)
}

/// The receipt of a span that comes from another (`In`) or goes on to it (`Out`), by a link or
/// because a person says so.
pub(super) fn link_receipt(
    carrier: Carrier,
    direction: Direction,
    (trace, span): (TraceId, SpanId),
) -> Receipt {
    let mut receipt = Receipt::new(direction, carrier, trace.to_string());
    receipt.resource = (!span.is_zero()).then(|| span.to_string());
    receipt
}

/// The trace and span of a link's receipt; the span is zero where the link named none.
pub(super) fn target(receipt: &Receipt) -> Option<(TraceId, SpanId)> {
    if !is_pointing(receipt.carrier) {
        return None;
    }
    let span = receipt.resource.as_deref().and_then(|text| SpanId::parse(text).ok());
    Some((TraceId::parse(&receipt.id).ok()?, span.unwrap_or_default()))
}

/// The list of links that Datadog's tracers write as JSON text.
pub(super) fn of_datadog(text: &str, each: &mut impl FnMut(Receipt)) {
    if text.len() > DATADOG_LINKS_MAX_BYTES {
        return;
    }
    let Ok(Value::Array(links)) = serde_json::from_str(text) else { return };
    for link in links.iter().take(ITEMS_MAX) {
        let text = |key| link.get(key).and_then(Value::as_str);
        let attribute = |key| link.get("attributes")?.get(key)?.as_str();
        let receipt = match attribute("ptr.hash") {
            Some(hash) => pointer(
                hash,
                attribute("ptr.kind").unwrap_or_default(),
                attribute("ptr.dir").unwrap_or_default(),
            ),
            None => text("trace_id")
                .and_then(|id| TraceId::parse(id).ok())
                .zip(text("span_id").and_then(|id| SpanId::parse(id).ok()))
                .filter(|(trace, _)| !trace.is_zero())
                .map(|at| link_receipt(Carrier::Link, Direction::In, at)),
        };
        receipt.into_iter().for_each(&mut *each);
    }
}

fn pointer(hash: &str, kind: &str, direction: &str) -> Option<Receipt> {
    let direction = match direction {
        "u" => Direction::In,
        "d" => Direction::Out,
        _ => return None,
    };
    Some(Receipt::new(direction, Carrier::Pointer, hash).with_resource(kind))
}
