//! Jaeger's own header, from before OpenTelemetry.
//!
//! In:   `uber-trace-id`, `jaeger-debug-id`.
//! Out:  a context or the headers again. Baggage is in `baggage.rs`.
//! Rule: Jaeger, "Client libraries", "Propagation format"; OpenTelemetry, "Jaeger propagation".

use opentelemetry::{SpanId, TraceId};

use crate::context::{Context, Format, Sampling};
use crate::defect::Defect;
use crate::fields::Fields;
use crate::found::{Found, Reading};
use crate::hex::IdReader;

const SAMPLED: u128 = 1;
const DEBUG: u128 = 2;
pub(crate) const BAGGAGE_PREFIX: &str = "uberctx-";

pub(crate) fn read(fields: &Fields) -> Reading {
    let text = match fields.one("uber-trace-id") {
        Ok(Some(text)) => text,
        // A person asks for a trace by hand.
        Ok(None) => {
            let asked = fields.all("jaeger-debug-id").any(|id| !id.is_empty());
            return asked.then_some(Ok(Found::SamplingOnly(Sampling::Debug)));
        }
        Err(two) => return Some(Err(two.into())),
    };
    Some(read_text(&text.replace("%3A", ":").replace("%3a", ":")).map(Found::from))
}

/// `trace:span:parent:flags`; leading zeros may be missing anywhere.
fn read_text(text: &str) -> Result<Context, Defect> {
    let mut parts = text.split(':');
    let mut next = || parts.next().ok_or(Defect::MissingPart);
    let (trace, span, parent, flags) = (next()?, next()?, next()?, next()?);
    if parts.next().is_some() {
        return Err(Defect::ExtraPart);
    }
    let trace = IdReader::loose(trace, 32)?;
    let span = u64::try_from(IdReader::loose(span, 16)?).map_err(|_| Defect::Length)?;
    // Deprecated and often 0 though there is one: looked at, then left (OpenTelemetry, as above).
    IdReader::loose(parent, 16)?;
    let flags = IdReader::loose(flags, 2)?;
    if trace == 0 || span == 0 {
        return Err(Defect::ZeroId);
    }
    let sampling = match flags {
        flags if flags & DEBUG != 0 => Sampling::Debug,
        flags if flags & SAMPLED != 0 => Sampling::Accept,
        _ => Sampling::Deny,
    };
    Ok(Context::new(TraceId::from(trace), SpanId::from(span), sampling, Format::Jaeger))
}

/// Writes whole ids with their zeros; a trace id of 64 bits with 16 digits. Jaeger cannot defer:
/// see [`Sampling::is_recorded`].
pub(crate) fn write(context: &Context, put: &mut dyn FnMut(&str, String)) {
    let flags = match context.sampling {
        Sampling::Deny => 0,
        Sampling::Defer | Sampling::Accept => SAMPLED,
        Sampling::Debug => SAMPLED | DEBUG,
    };
    let trace = context.trace_id.to_string();
    let short = trace.get(16..).filter(|_| context.has_short_id());
    let trace = short.unwrap_or(&trace);
    put("uber-trace-id", format!("{trace}:{}:0:{flags:x}", context.span_id));
}
