//! What travels between processes, apart from how a header spells it.

use std::fmt;
use std::str::FromStr;

use opentelemetry::{SpanId, TraceId};

use crate::tracestate::TraceState;

/// The caller's trace, span and sampling decision.
///
/// Both ids are never zero when it was read from headers. Baggage travels apart: it may come
/// without a trace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Context {
    /// The trace, 128 bits. Of a format with 64 bits, the high half is zero.
    pub trace_id: TraceId,
    /// The caller's span, which becomes the parent.
    pub span_id: SpanId,
    /// The caller's own parent, where its format says so (B3).
    pub parent_id: Option<SpanId>,
    /// What the caller decided.
    pub sampling: Sampling,
    /// W3C's random flag: the low 56 bits of the trace id are random. Kept, never invented.
    pub random: bool,
    /// W3C's `tracestate`; empty when the context came in another format.
    pub tracestate: TraceState,
    /// What only Datadog headers carry, kept for Datadog headers only.
    pub datadog: Option<DatadogFields>,
    /// X-Ray's further fields such as `Lineage=1:73f724a8:0`, kept for X-Ray headers only.
    pub xray_fields: Vec<(String, String)>,
    /// The header format that gave the span id.
    pub format: Format,
}

/// What Datadog headers carry beside ids.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DatadogFields {
    /// `x-datadog-sampling-priority`, from -1 to 2 and beyond.
    pub priority: Option<i32>,
    /// `x-datadog-origin`, such as `rum` or `synthetics`.
    pub origin: Option<String>,
    /// `x-datadog-tags` without `_dd.p.tid`: pairs in their order.
    pub tags: Vec<(String, String)>,
}

impl Context {
    /// A context of a new span, with nothing but ids and a decision.
    #[must_use]
    pub fn new(trace_id: TraceId, span_id: SpanId, sampling: Sampling, format: Format) -> Self {
        Self {
            trace_id,
            span_id,
            parent_id: None,
            sampling,
            random: false,
            tracestate: TraceState::default(),
            datadog: None,
            xray_fields: Vec::new(),
            format,
        }
    }

    /// Whether both name one trace: equal ids, or equal low halves where one high half is zero,
    /// as a tracer with 64-bit ids leaves it.
    #[must_use]
    pub fn same_trace(&self, other: &Self) -> bool {
        let ((high, low), (other_high, other_low)) =
            (halves(self.trace_id), halves(other.trace_id));
        low == other_low && (high == other_high || high == 0 || other_high == 0)
    }

    /// Whether the trace id fits 64 bits.
    #[must_use]
    pub fn has_short_id(&self) -> bool {
        halves(self.trace_id).0 == 0
    }
}

/// The high and the low 64 bits of a trace id.
pub(crate) fn halves(trace_id: TraceId) -> (u64, u64) {
    let id = u128::from_be_bytes(trace_id.to_bytes());
    let low = id & u128::from(u64::MAX);
    (u64::try_from(id >> 64).unwrap_or_default(), u64::try_from(low).unwrap_or_default())
}

/// What a caller decided about recording the trace. Ordered: the larger wins a merge.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Sampling {
    /// The decision is left to whoever comes next.
    #[default]
    Defer,
    /// Not recorded.
    Deny,
    /// Recorded.
    Accept,
    /// Recorded, and nobody downstream may drop it.
    Debug,
}

impl Sampling {
    /// What a format without "deferred" must say: recorded unless denied. A deferred decision is
    /// no denial, and a trace that is recorded once too often is better than one that is cut.
    #[must_use]
    pub fn is_recorded(self) -> bool {
        self != Self::Deny
    }
}

/// A family of headers that carries a context.
///
/// The order is the order of preference when several are there and disagree.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Format {
    /// W3C Trace Context level 2: `traceparent`, `tracestate`.
    TraceContext,
    /// B3 in one header: `b3`.
    B3Single,
    /// B3 in many headers: `x-b3-traceid` and others.
    B3Multi,
    /// Datadog: `x-datadog-trace-id` and others.
    Datadog,
    /// Jaeger: `uber-trace-id`; baggage in `uberctx-...`.
    Jaeger,
    /// OpenTracing: `ot-tracer-traceid` and others; baggage in `ot-baggage-...`.
    OpenTracing,
    /// AWS X-Ray: `x-amzn-trace-id`. Last, for AWS adds it to what others sent.
    XRay,
    /// W3C Baggage: `baggage`. It carries no trace.
    Baggage,
}

/// Every format, by preference, with its name in `OTEL_PROPAGATORS`.
const NAMES: &[(Format, &str)] = &[
    (Format::TraceContext, "tracecontext"),
    (Format::B3Single, "b3"),
    (Format::B3Multi, "b3multi"),
    (Format::Datadog, "datadog"),
    (Format::Jaeger, "jaeger"),
    (Format::OpenTracing, "ottrace"),
    (Format::XRay, "xray"),
    (Format::Baggage, "baggage"),
];

impl Format {
    /// Every format, by preference.
    pub const ALL: [Self; 8] = [
        Self::TraceContext,
        Self::B3Single,
        Self::B3Multi,
        Self::Datadog,
        Self::Jaeger,
        Self::OpenTracing,
        Self::XRay,
        Self::Baggage,
    ];

    /// The name in OpenTelemetry's `OTEL_PROPAGATORS`.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(format, _)| *format == self).map_or("", |(_, name)| name)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no format's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no propagation format is called {0:?}")]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let found = NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
        found.map(|(format, _)| *format).ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// Reads a list of formats as `OTEL_PROPAGATORS` has it: names between commas, no name twice;
/// `none` and an empty text are no formats.
///
/// Rule: OpenTelemetry specification, "Environment Variable Specification", `OTEL_PROPAGATORS`.
///
/// # Errors
///
/// When a name is no format's.
pub fn formats(text: &str) -> Result<Vec<Format>, UnknownFormat> {
    let mut formats = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none") {
        let format = name.parse()?;
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    Ok(formats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_a_name_of_its_own() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert_eq!(NAMES.len(), Format::ALL.len());
    }

    #[test]
    fn a_list_of_formats_is_read_as_the_environment_has_it() {
        let list = formats(" tracecontext, baggage,b3 ,b3,").unwrap();
        assert_eq!(list, [Format::TraceContext, Format::Baggage, Format::B3Single]);
        assert_eq!(formats("none").unwrap(), []);
        assert_eq!(formats("b4"), Err(UnknownFormat("b4".to_owned())));
    }

    #[test]
    fn a_cut_trace_id_is_the_same_trace() {
        let of = |id: u128| {
            Context::new(TraceId::from(id), SpanId::from(1), Sampling::Accept, Format::B3Single)
        };
        let whole = of(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert!(whole.same_trace(&of(0xa3ce_929d_0e0e_4736)));
        assert!(!whole.same_trace(&of(0x1bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736)));
        assert!(!whole.same_trace(&of(0xa3ce_929d_0e0e_4737)));
    }
}
