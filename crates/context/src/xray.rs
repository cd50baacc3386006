//! AWS X-Ray's header, which AWS services send and forward on their own.
//!
//! In:   `x-amzn-trace-id`, or the same text in `_X_AMZN_TRACE_ID` and `AWSTraceHeader`.
//! Out:  a context, a trace or a decision alone, or the header again.
//! Rule: AWS X-Ray Developer Guide, "Tracing header".

use opentelemetry::TraceId;

use crate::context::{Context, Format, Sampling};
use crate::defect::{Defect, Quirk};
use crate::fields::Fields;
use crate::found::{Found, Reading};
use crate::hex::IdReader;

/// How many fields beside the known ones are kept.
const FIELDS_MAX: usize = 16;

pub(crate) fn read(fields: &Fields, ids: &mut IdReader<'_>) -> Reading {
    let text = fields.one("x-amzn-trace-id").map_err(Defect::from).transpose()?;
    text.and_then(|text| read_text(text, ids)).transpose()
}

/// `Root=1-8hex-24hex;Parent=16hex;Sampled=0|1|?` in any order, and other fields.
fn read_text(text: &str, ids: &mut IdReader<'_>) -> Result<Option<Found>, Defect> {
    let (mut root, mut parent, mut sampling) = (None, None, None);
    let mut others = Vec::new();
    for field in text.split(';').map(str::trim).filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once('=').ok_or(Defect::MissingPart)?;
        match (name.trim(), value.trim()) {
            ("Root", value) => set(&mut root, read_root(value, ids)?)?,
            // Sent empty where there is no parent.
            ("Parent", "") => {}
            ("Parent", value) => set(&mut parent, ids.span_id(value, &[16])?)?,
            ("Sampled", value) => set(&mut sampling, decision(value)?)?,
            // The load balancer's own id: of this hop and no other.
            ("Self", _) => {}
            (name, value) if others.len() < FIELDS_MAX => {
                others.push((name.to_owned(), value.to_owned()));
            }
            _ => {}
        }
    }
    let decided = sampling.unwrap_or_default();
    Ok(match (root, parent) {
        (Some(trace_id), Some(span_id)) => {
            let mut context = Context::new(trace_id, span_id, decided, Format::XRay);
            context.xray_fields = others;
            Some(context.into())
        }
        (Some(trace_id), None) => Some(Found::TraceOnly(trace_id, decided)),
        (None, Some(_)) => return Err(Defect::MissingPart),
        (None, None) => sampling.map(Found::SamplingOnly),
    })
}

fn set<T>(place: &mut Option<T>, value: T) -> Result<(), Defect> {
    if place.replace(value).is_some() { Err(Defect::Repeated) } else { Ok(()) }
}

/// `1-8hex-24hex`. Leniently also the 32 digits without dashes.
fn read_root(text: &str, ids: &mut IdReader<'_>) -> Result<TraceId, Defect> {
    let mut parts = text.split('-');
    let (version, rest) = (parts.next().unwrap_or_default(), (parts.next(), parts.next()));
    match rest {
        (Some(epoch), Some(unique)) if version == "1" && parts.next().is_none() => {
            if epoch.len() != 8 || unique.len() != 24 {
                return Err(Defect::Length);
            }
            ids.trace_id(&format!("{epoch}{unique}"), &[32])
        }
        (None, None) if ids.is_lenient() => {
            ids.note(Quirk::ShortId);
            ids.trace_id(version, &[32])
        }
        (Some(_), Some(_)) if version != "1" => Err(Defect::Version),
        _ => Err(Defect::MissingPart),
    }
}

fn decision(text: &str) -> Result<Sampling, Defect> {
    match text {
        "1" => Ok(Sampling::Accept),
        "0" => Ok(Sampling::Deny),
        "?" | "" => Ok(Sampling::Defer),
        _ => Err(Defect::Decision),
    }
}

/// Writes the header; a deferred decision is `?`, debug is an ordinary accept.
pub(crate) fn write(context: &Context, put: &mut dyn FnMut(&str, String)) {
    put("x-amzn-trace-id", text(context));
}

/// The header's text, as SQS carries it in `AWSTraceHeader` and EventBridge in `TraceHeader`.
#[must_use]
pub fn text(context: &Context) -> String {
    let trace = context.trace_id.to_string();
    let (epoch, unique) = trace.split_at_checked(8).unwrap_or((&trace, ""));
    let sampled = match context.sampling {
        Sampling::Defer => "?",
        Sampling::Deny => "0",
        Sampling::Accept | Sampling::Debug => "1",
    };
    let mut text = format!("Root=1-{epoch}-{unique};Parent={};Sampled={sampled}", context.span_id);
    for (name, value) in &context.xray_fields {
        text.push_str(&format!(";{name}={value}"));
    }
    text
}

/// When the trace began, in seconds since the epoch, if X-Ray made its id: the first 32 bits.
///
/// `None` when that is more than 30 days before `now_unix_seconds` or a day after it: then the id
/// is another tracer's.
#[must_use]
pub fn start_unix_seconds(trace_id: TraceId, now_unix_seconds: u64) -> Option<u64> {
    const DAY_SECONDS: u64 = 24 * 60 * 60;
    let [a, b, c, d, ..] = trace_id.to_bytes();
    let epoch = u64::from(u32::from_be_bytes([a, b, c, d]));
    let from = now_unix_seconds.saturating_sub(30 * DAY_SECONDS);
    let to = now_unix_seconds.saturating_add(DAY_SECONDS);
    (from..=to).contains(&epoch).then_some(epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_x_ray_says_when_the_trace_began() {
        let id = TraceId::from_hex("5759e988bd862e3fe1be46a994272793").unwrap();
        assert_eq!(start_unix_seconds(id, 1_465_510_290), Some(1_465_510_280));
        assert_eq!(start_unix_seconds(id, 1_795_278_609), None);
        assert_eq!(start_unix_seconds(TraceId::from(1), 1_795_278_609), None);
    }
}
