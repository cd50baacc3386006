//! `links`: other traces that this one goes on in, or comes from.
//!
//! Rule: not in the developer guide; as aws-otel's exporter and AWS's own documents have it: a
//!       list of `{trace_id, id, attributes}`.

use serde_json::{Value, json};
use throughline_model::{SpanBatchBuilder, SpanId, SpanRef, TraceId, nested_array_from_json};

use super::ids;
use super::parts::{self, Object, fits_an_attribute, scalar};

/// How many links of one (sub)segment become links of the span; AWS takes 20.
const LINKS_MAX: usize = 1_000;

/// The links of a (sub)segment that can be read.
pub(super) struct Links(Vec<Link>);

struct Link {
    trace_id: TraceId,
    span_id: SpanId,
    attributes: Object,
}

/// Takes the links. If the span's links cannot say all of it, the list stays as well.
pub(super) fn take(document: &mut Object) -> Links {
    let Some(Value::Array(items)) = document.get("links") else { return Links(Vec::new()) };
    let links: Vec<Link> = items.iter().take(LINKS_MAX).filter_map(read).collect();
    let whole = !items.is_empty() && items.iter().all(is_usual) && links.len() == items.len();
    if whole {
        document.remove("links");
    }
    Links(links)
}

fn read(item: &Value) -> Option<Link> {
    let trace_id = ids::trace_id(item.get("trace_id")?.as_str()?)?;
    let span_id = ids::span_id(item.get("id")?.as_str()?)?;
    let attributes = item.get("attributes").and_then(Value::as_object).cloned();
    Some(Link { trace_id, span_id, attributes: attributes.unwrap_or_default() })
}

/// Whether a link that can be read is written again as it was.
fn is_usual(item: &Value) -> bool {
    let Some(link) = item.as_object() else { return false };
    link.iter().all(|(key, value)| match (key.as_str(), value) {
        ("trace_id", Value::String(text)) => ids::is_usual_trace_id(text),
        ("id", Value::String(text)) => ids::has_no_capitals(text),
        ("attributes", Value::Object(attributes)) => {
            !attributes.is_empty() && attributes.values().all(fits_an_attribute)
        }
        _ => false,
    })
}

impl Links {
    pub(super) fn write(&self, builder: &mut SpanBatchBuilder) {
        for link in &self.0 {
            builder.start_link(link.trace_id, link.span_id, "", 0, 0);
            for (key, value) in &link.attributes {
                if let Some(value) = scalar(value) {
                    builder.attribute(key, value);
                } else if let Value::Array(items) = value
                    && fits_an_attribute(value)
                {
                    let list = nested_array_from_json(items);
                    builder.attribute(key, throughline_model::AttrValue::Array(&list));
                }
            }
        }
    }
}

/// The links of a span as X-Ray has them.
pub(super) fn encode(span: SpanRef<'_>) -> Option<Value> {
    let links: Vec<Value> = span
        .links()
        .map(|link| {
            let attributes: Object = link
                .attributes()
                .map(|(key, value)| (key.to_owned(), parts::json(value)))
                .collect();
            let mut out =
                json!({"trace_id": link.trace_id().xray(), "id": link.span_id().to_string()});
            if !attributes.is_empty()
                && let Some(out) = out.as_object_mut()
            {
                out.insert("attributes".to_owned(), Value::Object(attributes));
            }
            out
        })
        .collect();
    (!links.is_empty()).then_some(Value::Array(links))
}
