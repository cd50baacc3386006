//! B3, Zipkin's format, in one header or in many.
//!
//! In:   `b3`; or `x-b3-traceid`, `-spanid`, `-parentspanid`, `-sampled`, `-flags`.
//! Out:  a context, a decision alone, or the headers again.
//! Rule: openzipkin/b3-propagation, "Single Header" and "Multiple Headers".

use crate::context::{Context, Format, Sampling};
use crate::defect::{Defect, Quirk};
use crate::fields::Fields;
use crate::found::{Found, Reading};
use crate::hex::IdReader;

pub(crate) fn read_single(fields: &Fields, ids: &mut IdReader<'_>) -> Reading {
    fields.one("b3").map_err(Defect::from).transpose().map(|text| read_text(text?, ids))
}

/// `traceid-spanid[-decision[-parent]]`, or a decision alone.
fn read_text(text: &str, ids: &mut IdReader<'_>) -> Result<Found, Defect> {
    if !text.contains('-') {
        return decision(text, true, ids).map(Found::SamplingOnly);
    }
    let mut parts = text.split('-');
    let trace_id = ids.trace_id(parts.next().unwrap_or_default(), &[16, 32])?;
    let span_id = ids.span_id(parts.next().unwrap_or_default(), &[16])?;
    let sampling = match parts.next() {
        Some(text) => decision(text, true, ids)?,
        None => Sampling::Defer,
    };
    let parent_id = parts.next().map(|text| ids.span_id(text, &[16])).transpose()?;
    if parts.next().is_some() {
        return Err(Defect::ExtraPart);
    }
    let mut context = Context::new(trace_id, span_id, sampling, Format::B3Single);
    context.parent_id = parent_id;
    Ok(context.into())
}

pub(crate) fn read_multi(fields: &Fields, ids: &mut IdReader<'_>) -> Reading {
    read_many(fields, ids).transpose()
}

fn read_many(fields: &Fields, ids: &mut IdReader<'_>) -> Result<Option<Found>, Defect> {
    let (trace, span) = (fields.one("x-b3-traceid")?, fields.one("x-b3-spanid")?);
    let parent = fields.one("x-b3-parentspanid")?;
    let sampled = fields.one("x-b3-sampled")?;
    let is_debug = match fields.one("x-b3-flags")? {
        Some("1") => true,
        None | Some("0" | "") => false,
        Some(_) => return Err(Defect::Decision),
    };
    // Debug implies accept, whatever stands beside it.
    let sampling = match sampled {
        _ if is_debug => Some(Sampling::Debug),
        Some(text) => Some(decision(text, false, ids)?),
        None => None,
    };
    let (trace, span) = match (trace, span) {
        (Some(trace), Some(span)) => (trace, span),
        (None, None) if parent.is_none() => return Ok(sampling.map(Found::SamplingOnly)),
        _ => return Err(Defect::MissingPart),
    };
    let trace_id = ids.trace_id(trace, &[16, 32])?;
    let span_id = ids.span_id(span, &[16])?;
    let sampling = sampling.unwrap_or_default();
    let mut context = Context::new(trace_id, span_id, sampling, Format::B3Multi);
    context.parent_id = parent.map(|text| ids.span_id(text, &[16])).transpose()?;
    Ok(Some(context.into()))
}

/// `1`, `0` and, in a single header, `d`. The words `true` and `false` come from old tracers and
/// are read by all (OpenTelemetry, "B3 Requirements", extract).
fn decision(text: &str, single: bool, ids: &mut IdReader<'_>) -> Result<Sampling, Defect> {
    match text {
        "1" => Ok(Sampling::Accept),
        "0" => Ok(Sampling::Deny),
        "d" if single => Ok(Sampling::Debug),
        word if word.eq_ignore_ascii_case("true") && (!single || ids.is_lenient()) => {
            ids.note(Quirk::WordForDigit);
            Ok(Sampling::Accept)
        }
        word if word.eq_ignore_ascii_case("false") && (!single || ids.is_lenient()) => {
            ids.note(Quirk::WordForDigit);
            Ok(Sampling::Deny)
        }
        _ => Err(Defect::Decision),
    }
}

/// A trace id of 64 bits is written with 16 digits, so that a tracer with such ids reads it.
fn trace_text(context: &Context) -> String {
    let text = context.trace_id.to_string();
    match text.split_at_checked(16) {
        Some((_, low)) if context.has_short_id() => low.to_owned(),
        _ => text,
    }
}

pub(crate) fn write_single(context: &Context, put: &mut dyn FnMut(&str, String)) {
    let mut text = format!("{}-{}", trace_text(context), context.span_id);
    if let Some(decision) = single_decision(context.sampling) {
        text.push_str(&format!("-{decision}"));
        if let Some(parent) = context.parent_id {
            text.push_str(&format!("-{parent}"));
        }
    }
    put("b3", text);
}

pub(crate) fn write_multi(context: &Context, put: &mut dyn FnMut(&str, String)) {
    put("x-b3-traceid", trace_text(context));
    put("x-b3-spanid", context.span_id.to_string());
    if let Some(parent) = context.parent_id {
        put("x-b3-parentspanid", parent.to_string());
    }
    write_multi_decision(context.sampling, put);
}

/// A decision without a trace, in one header. Nothing is written for a deferred one.
pub(crate) fn write_single_decision(sampling: Sampling, put: &mut dyn FnMut(&str, String)) {
    if let Some(decision) = single_decision(sampling) {
        put("b3", decision.to_owned());
    }
}

/// A decision in headers of its own. Debug is never sent with `x-b3-sampled`.
pub(crate) fn write_multi_decision(sampling: Sampling, put: &mut dyn FnMut(&str, String)) {
    match sampling {
        Sampling::Defer => {}
        Sampling::Deny => put("x-b3-sampled", "0".to_owned()),
        Sampling::Accept => put("x-b3-sampled", "1".to_owned()),
        Sampling::Debug => put("x-b3-flags", "1".to_owned()),
    }
}

fn single_decision(sampling: Sampling) -> Option<&'static str> {
    match sampling {
        Sampling::Defer => None,
        Sampling::Deny => Some("0"),
        Sampling::Accept => Some("1"),
        Sampling::Debug => Some("d"),
    }
}
