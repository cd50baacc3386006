//! OpenTelemetry's `TextMapPropagator` over the formats of one's choice.
//!
//! In:   a carrier, or an OpenTelemetry context.
//! Out:  a context with the remote span, the baggage and [`Carried`]; or headers.
//! Rule: OpenTelemetry specification, "Propagators API", "TextMap Propagator".

use std::sync::Arc;

use opentelemetry::baggage::{Baggage as ApiBaggage, BaggageExt as _, KeyValueMetadata};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceState as ApiTraceState};
use opentelemetry::{Context as ApiContext, TraceFlags};

use crate::baggage::Baggage;
use crate::context::{Context, Format, Sampling, UnknownFormat, formats};
use crate::defect::Strictness;
use crate::fields::Fields;
use crate::read::{Read, Reader};
use crate::tracestate::TraceState;
use crate::write::Writer;

const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;

/// Reads and writes the formats of a list.
#[derive(Clone, Debug)]
pub struct Propagator {
    reader: Reader,
    writer: Writer,
    fields: Vec<String>,
}

/// All that the headers said, kept in the OpenTelemetry context, because a span context has no
/// place for debug, for deferred, or for what lost. Get it with `cx.get::<Carried>()`.
#[derive(Clone, Debug)]
pub struct Carried {
    /// What was read.
    pub read: Arc<Read>,
}

impl Default for Propagator {
    /// `tracecontext,baggage`, as OpenTelemetry's SDKs have it.
    fn default() -> Self {
        Self::new(&[Format::TraceContext, Format::Baggage])
    }
}

impl Propagator {
    /// A propagator that strictly reads, and writes, these formats.
    #[must_use]
    pub fn new(formats: &[Format]) -> Self {
        Self::of(Reader::new(formats, Strictness::Strict), Writer::new(formats))
    }

    /// A propagator that reads some formats and writes others.
    #[must_use]
    pub fn of(reader: Reader, writer: Writer) -> Self {
        let both = reader.formats().iter().chain(writer.formats());
        let mut fields: Vec<String> =
            both.flat_map(|format| fields_of(*format)).map(|name| (*name).to_owned()).collect();
        fields.sort_unstable();
        fields.dedup();
        Self { reader, writer, fields }
    }

    /// The propagator of a value of `OTEL_PROPAGATORS`, such as `tracecontext,baggage,b3`.
    ///
    /// # Errors
    ///
    /// When a name is no format's.
    pub fn from_names(names: &str) -> Result<Self, UnknownFormat> {
        formats(names).map(|formats| Self::new(&formats))
    }
}

impl TextMapPropagator for Propagator {
    fn inject_context(&self, cx: &ApiContext, injector: &mut dyn Injector) {
        let read = cx.get::<Carried>().map(|carried| &*carried.read);
        let span = cx.span();
        let mut put = |name: &str, value: String| injector.set(name, value);
        self.writer.put_baggage(&baggage_of(cx.baggage()), &mut put);
        if span.span_context().is_valid() {
            let context = outgoing(span.span_context(), read);
            self.writer.put_context(&context, &mut put);
        } else if let Some(sampling) = read.and_then(|read| read.sampling) {
            self.writer.write_decision(sampling, injector);
        }
    }

    fn extract_with_context(&self, cx: &ApiContext, extractor: &dyn Extractor) -> ApiContext {
        let read = self.reader.read(&Fields::of_extractor(extractor));
        let mut cx = cx.clone();
        if !read.baggage.is_empty() {
            let members = read.baggage.members().iter();
            cx = cx.with_baggage(members.map(|member| {
                let (key, value) = (member.key.clone(), member.value.clone());
                KeyValueMetadata::new(key, value, member.properties.as_str())
            }));
        }
        if let Some(context) = &read.context {
            cx = cx.with_remote_span_context(span_context(context));
        }
        if read.seen.is_empty() { cx } else { cx.with_value(Carried { read: Arc::new(read) }) }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

/// A deferred decision counts as sampled: or else a parent-based sampler would make it a denial.
fn span_context(context: &Context) -> SpanContext {
    let sampled = if context.sampling.is_recorded() { SAMPLED } else { 0 };
    let flags = TraceFlags::new(sampled | if context.random { RANDOM } else { 0 });
    let (trace_id, span_id) = (context.trace_id, context.span_id);
    SpanContext::new(trace_id, span_id, flags, true, api_tracestate(&context.tracestate))
}

/// The API's own grammar is that of level 1, which refuses some keys of level 2.
fn api_tracestate(tracestate: &TraceState) -> ApiTraceState {
    ApiTraceState::from_key_value(tracestate.iter()).unwrap_or_default()
}

/// What goes out for a span: its ids and decision, and what its trace brought along.
fn outgoing(span: &SpanContext, read: Option<&Read>) -> Context {
    let flags = span.trace_flags().to_u8();
    let decided = if flags & SAMPLED == 0 { Sampling::Deny } else { Sampling::Accept };
    let came = read
        .and_then(|read| read.context.as_ref())
        .filter(|context| context.trace_id == span.trace_id());
    let mut context = Context::new(span.trace_id(), span.span_id(), decided, Format::TraceContext);
    context.random = flags & RANDOM != 0;
    if let Some(came) = came {
        context.random |= came.random;
        context.datadog.clone_from(&came.datadog);
        context.xray_fields.clone_from(&came.xray_fields);
        if came.span_id == span.span_id() {
            // Passed through: nobody here decided anything.
            context.sampling = came.sampling;
            context.parent_id = came.parent_id;
        } else if came.sampling == Sampling::Debug {
            context.sampling = Sampling::Debug;
        }
    }
    context.tracestate = match came {
        Some(came) if api_tracestate(&came.tracestate) == *span.trace_state() => {
            came.tracestate.clone()
        }
        _ => TraceState::parse(&span.trace_state().header()).unwrap_or_default(),
    };
    context
}

/// Sorted by key: the API's map has no order, and equal baggage should make equal headers.
fn baggage_of(api: &ApiBaggage) -> Baggage {
    let mut members: Vec<_> = api.iter().collect();
    members.sort_unstable_by_key(|(key, _)| key.as_str());
    let mut baggage = Baggage::default();
    for (key, (value, metadata)) in members {
        baggage.set(key.as_str(), value.as_str(), metadata.as_str());
    }
    baggage
}

/// The header names of a format, without those that begin with a prefix only.
fn fields_of(format: Format) -> &'static [&'static str] {
    match format {
        Format::TraceContext => &["traceparent", "tracestate"],
        Format::B3Single => &["b3"],
        Format::B3Multi => {
            &["x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"]
        }
        Format::Datadog => &[
            "x-datadog-trace-id",
            "x-datadog-parent-id",
            "x-datadog-sampling-priority",
            "x-datadog-origin",
            "x-datadog-tags",
        ],
        Format::Jaeger => &["uber-trace-id"],
        Format::OpenTracing => &["ot-tracer-traceid", "ot-tracer-spanid", "ot-tracer-sampled"],
        Format::XRay => &["x-amzn-trace-id"],
        Format::Baggage => &["baggage"],
    }
}
