//! W3C Trace Context level 2.
//!
//! In:   `traceparent` once, `tracestate` any number of times.
//! Out:  a context, or `traceparent` and `tracestate` again.
//! Rule: W3C Trace Context Level 2, section 3 "Trace Context HTTP Headers Format".

use crate::context::{Context, Format, Sampling};
use crate::defect::{Defect, Quirk};
use crate::fields::Fields;
use crate::found::{Found, Reading};
use crate::hex::IdReader;
use crate::tracestate::TraceState;

const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

pub(crate) fn read(fields: &Fields, ids: &mut IdReader<'_>) -> Reading {
    let mut parents = fields.all("traceparent");
    // A tracestate without a traceparent says nothing (section 3.3).
    let first = parents.next()?;
    if parents.next().is_some() {
        if !ids.is_lenient() || fields.one("traceparent").is_err() {
            return Some(Err(Defect::Repeated));
        }
        ids.note(Quirk::Repeated);
    }
    Some(read_parent(first, ids).map(|mut context| {
        match TraceState::read(fields.all("tracestate"), ids) {
            Ok(tracestate) => context.tracestate = tracestate,
            // A bad tracestate does not spoil the traceparent (section 3.3.1).
            Err(_) => ids.note(Quirk::TraceStateDropped),
        }
        Found::from(context)
    }))
}

/// Reads `version-traceid-parentid-flags` (section 3.2).
fn read_parent(text: &str, ids: &mut IdReader<'_>) -> Result<Context, Defect> {
    let mut parts = text.splitn(5, '-');
    let mut next = || parts.next().ok_or(Defect::MissingPart);
    let (version, trace, span, flags) = (next()?, next()?, next()?, next()?);
    let rest = parts.next();
    match byte(version)? {
        0xff => return Err(Defect::Version),
        // Only a version we do not know may have more parts (section 3.2.4).
        0 if rest.is_some() => return Err(Defect::ExtraPart),
        0 => {}
        _ => ids.note(Quirk::NewerVersion),
    }
    let trace_id = ids.trace_id(trace, &[32])?;
    let span_id = ids.span_id(span, &[16])?;
    let flags = byte(flags)?;
    let sampling = if flags & SAMPLED == 0 { Sampling::Deny } else { Sampling::Accept };
    let mut context = Context::new(trace_id, span_id, sampling, Format::TraceContext);
    context.random = flags & RANDOM != 0;
    Ok(context)
}

/// Two lower-case hexadecimal digits.
fn byte(text: &str) -> Result<u8, Defect> {
    if text.len() != 2 {
        return Err(Defect::Length);
    }
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(Defect::Character);
    }
    u8::from_str_radix(text, 16).map_err(|_| Defect::Character)
}

/// Writes version 00 with the sampled and the random flag. W3C cannot defer: see
/// [`Sampling::is_recorded`].
pub(crate) fn write(context: &Context, put: &mut dyn FnMut(&str, String), state_max: usize) {
    let sampled = if context.sampling.is_recorded() { SAMPLED } else { 0 };
    let flags = sampled | if context.random { RANDOM } else { 0 };
    put("traceparent", format!("00-{}-{}-{flags:02x}", context.trace_id, context.span_id));
    let tracestate = context.tracestate.header(state_max);
    if !tracestate.is_empty() {
        put("tracestate", tracestate);
    }
}
