//! Datadog's headers: decimal ids of 64 bits, and the high half of the trace id in a tag.
//!
//! In:   `x-datadog-trace-id`, `-parent-id`, `-sampling-priority`, `-origin`, `-tags`.
//! Out:  a context, a trace alone, or the headers again.
//! Rule: Datadog, "Trace context propagation"; 128 bits in `_dd.p.tid`.

use opentelemetry::{SpanId, TraceId};

use crate::context::{Context, DatadogFields, Format, Sampling, halves};
use crate::defect::{Defect, Quirk};
use crate::fields::Fields;
use crate::found::{Found, Reading};
use crate::hex::IdReader;

/// The tag with the high 64 bits of the trace id.
const HIGH_TAG: &str = "_dd.p.tid";
/// The longest header of tags that Datadog's tracers write, in bytes.
const TAGS_MAX_BYTES: usize = 512;

pub(crate) fn read(fields: &Fields, ids: &mut IdReader<'_>) -> Reading {
    read_all(fields, ids).transpose()
}

fn read_all(fields: &Fields, ids: &mut IdReader<'_>) -> Result<Option<Found>, Defect> {
    let trace = fields.one("x-datadog-trace-id")?;
    let parent = fields.one("x-datadog-parent-id")?;
    let priority = fields.one("x-datadog-sampling-priority")?.map(read_priority).transpose()?;
    let sampling = match priority {
        None => Sampling::Defer,
        Some(1..) => Sampling::Accept,
        Some(_) => Sampling::Deny,
    };
    let Some(trace) = trace else {
        return match (parent, priority) {
            (Some(_), _) => Err(Defect::MissingPart),
            (None, Some(_)) => Ok(Some(Found::SamplingOnly(sampling))),
            (None, None) => Ok(None),
        };
    };
    let low = decimal(trace)?;
    if low == 0 {
        return Err(Defect::ZeroId);
    }
    let (high, tags) = read_tags(fields.one("x-datadog-tags")?.unwrap_or_default(), ids);
    let trace_id = TraceId::from(u128::from(high) << 64 | u128::from(low));
    // Synthetic tests and browsers begin a trace without a span.
    let parent = parent.map_or(Ok(0), decimal)?;
    if parent == 0 {
        return Ok(Some(Found::TraceOnly(trace_id, sampling)));
    }
    let mut context = Context::new(trace_id, SpanId::from(parent), sampling, Format::Datadog);
    let origin = fields.one("x-datadog-origin")?.filter(|origin| !origin.is_empty());
    context.datadog = Some(DatadogFields { priority, origin: origin.map(str::to_owned), tags });
    Ok(Some(context.into()))
}

fn decimal(text: &str) -> Result<u64, Defect> {
    if text.is_empty() || text.len() > 20 {
        return Err(Defect::Length);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Defect::Character);
    }
    text.parse().map_err(|_| Defect::Length)
}

fn read_priority(text: &str) -> Result<i32, Defect> {
    if text.starts_with('+') {
        return Err(Defect::Decision);
    }
    text.parse().map_err(|_| Defect::Decision)
}

/// `key=value,...`: the high half of the trace id, and the other tags.
fn read_tags(text: &str, ids: &mut IdReader<'_>) -> (u64, Vec<(String, String)>) {
    let (mut high, mut tags) = (0, Vec::new());
    if text.len() > TAGS_MAX_BYTES {
        ids.note(Quirk::MembersLeftOut);
        return (0, tags);
    }
    for tag in text.split(',').filter(|tag| !tag.is_empty()) {
        match tag.split_once('=') {
            Some((HIGH_TAG, value)) => match ids.span_id(value, &[16]) {
                Ok(half) => high = u64::from_be_bytes(half.to_bytes()),
                Err(_) => ids.note(Quirk::MembersLeftOut),
            },
            Some((key, value)) => tags.push((key.to_owned(), value.to_owned())),
            None => ids.note(Quirk::MembersLeftOut),
        }
    }
    (high, tags)
}

/// Writes nothing for a trace whose low half is zero: 64 bits cannot say it.
pub(crate) fn write(context: &Context, put: &mut dyn FnMut(&str, String)) {
    let (high, low) = halves(context.trace_id);
    if low == 0 {
        return;
    }
    put("x-datadog-trace-id", low.to_string());
    put("x-datadog-parent-id", u64::from_be_bytes(context.span_id.to_bytes()).to_string());
    let kept = context.datadog.as_ref();
    if let Some(priority) = priority(context.sampling, kept.and_then(|kept| kept.priority)) {
        put("x-datadog-sampling-priority", priority.to_string());
    }
    if let Some(origin) = kept.and_then(|kept| kept.origin.clone()) {
        put("x-datadog-origin", origin);
    }
    let high = (high != 0).then(|| format!("{HIGH_TAG}={high:016x}"));
    let others = kept.into_iter().flat_map(|kept| &kept.tags);
    let tags: Vec<String> =
        high.into_iter().chain(others.map(|(key, value)| format!("{key}={value}"))).collect();
    let mut tags = tags.join(",");
    if tags.len() > TAGS_MAX_BYTES {
        let end = tags.get(..TAGS_MAX_BYTES).and_then(|start| start.rfind(','));
        tags.truncate(end.unwrap_or_default());
    }
    if !tags.is_empty() {
        put("x-datadog-tags", tags);
    }
}

/// The priority that came, as long as it says the same as the decision does now.
fn priority(sampling: Sampling, came: Option<i32>) -> Option<i32> {
    match (sampling, came) {
        (Sampling::Defer, _) => None,
        (Sampling::Deny, Some(came)) if came <= 0 => Some(came),
        (Sampling::Deny, _) => Some(0),
        (Sampling::Accept, Some(came)) if came > 0 => Some(came),
        (Sampling::Accept, _) => Some(1),
        (Sampling::Debug, _) => Some(2),
    }
}
