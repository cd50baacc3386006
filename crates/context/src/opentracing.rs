//! The headers of OpenTracing's basic tracers and of Lightstep.
//!
//! In:   `ot-tracer-traceid`, `ot-tracer-spanid`, `ot-tracer-sampled`.
//! Out:  a context or the headers again. Baggage is in `baggage.rs`.
//! Rule: OpenTelemetry, "OT Trace" propagator.

use crate::context::{Context, Format, Sampling, halves};
use crate::defect::{Defect, Quirk};
use crate::fields::Fields;
use crate::found::{Found, Reading};
use crate::hex::IdReader;

pub(crate) const BAGGAGE_PREFIX: &str = "ot-baggage-";

pub(crate) fn read(fields: &Fields, ids: &mut IdReader<'_>) -> Reading {
    read_all(fields, ids).transpose()
}

fn read_all(fields: &Fields, ids: &mut IdReader<'_>) -> Result<Option<Found>, Defect> {
    let (trace, span) = (fields.one("ot-tracer-traceid")?, fields.one("ot-tracer-spanid")?);
    let sampling = match fields.one("ot-tracer-sampled")? {
        None => None,
        Some("true") => Some(Sampling::Accept),
        Some("false") => Some(Sampling::Deny),
        Some(digit @ ("1" | "0")) if ids.is_lenient() => {
            ids.note(Quirk::WordForDigit);
            Some(if digit == "1" { Sampling::Accept } else { Sampling::Deny })
        }
        Some(_) => return Err(Defect::Decision),
    };
    let (trace, span) = match (trace, span) {
        (Some(trace), Some(span)) => (trace, span),
        (None, None) => return Ok(sampling.map(Found::SamplingOnly)),
        _ => return Err(Defect::MissingPart),
    };
    let trace_id = ids.trace_id(trace, &[16, 32])?;
    let span_id = ids.span_id(span, &[16])?;
    let sampling = sampling.unwrap_or_default();
    Ok(Some(Context::new(trace_id, span_id, sampling, Format::OpenTracing).into()))
}

/// Writes the low 64 bits of the trace id, which is all that such tracers keep. Nothing when they
/// are zero.
pub(crate) fn write(context: &Context, put: &mut dyn FnMut(&str, String)) {
    let (_, low) = halves(context.trace_id);
    if low == 0 {
        return;
    }
    put("ot-tracer-traceid", format!("{low:016x}"));
    put("ot-tracer-spanid", context.span_id.to_string());
    match context.sampling {
        Sampling::Defer => {}
        Sampling::Deny => put("ot-tracer-sampled", "false".to_owned()),
        Sampling::Accept | Sampling::Debug => put("ot-tracer-sampled", "true".to_owned()),
    }
}
