//! Writes a context in one format or in several.
//!
//! In:   a [`Context`], [`Baggage`].
//! Out:  names in lower case and values that are valid in HTTP.
//! Rule: nothing of one format is copied into another: no `Lineage`, no `dd=`, no `ot-`.

use opentelemetry::propagation::Injector;

use crate::baggage::Baggage;
use crate::context::{Context, Format, Sampling};
use crate::read::Read;
use crate::{b3, datadog, jaeger, opentracing, tracestate, w3c, xray};

/// Which formats are written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Writer {
    formats: Vec<Format>,
    /// The longest `tracestate` that is written, in bytes; 512 at least. Whole members are left
    /// out to keep it.
    pub tracestate_max_bytes: usize,
}

impl Writer {
    /// A writer of these formats.
    #[must_use]
    pub fn new(formats: &[Format]) -> Self {
        let formats = Format::ALL.into_iter().filter(|format| formats.contains(format)).collect();
        Self { formats, tracestate_max_bytes: tracestate::HEADER_MAX_BYTES }
    }

    /// A writer of what this caller understands: the formats that it sent, and W3C's.
    #[must_use]
    pub fn like(read: &Read) -> Self {
        let mut formats = vec![Format::TraceContext, Format::Baggage];
        formats.extend(read.seen.iter().filter(|seen| seen.found.is_ok()).map(|seen| seen.format));
        Self::new(&formats)
    }

    /// The formats that are written.
    #[must_use]
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }

    /// Writes a context and baggage into an OpenTelemetry carrier.
    pub fn write(&self, context: &Context, baggage: &Baggage, injector: &mut dyn Injector) {
        self.put_context(context, &mut |name, value| injector.set(name, value));
        self.put_baggage(baggage, &mut |name, value| injector.set(name, value));
    }

    /// Writes a decision that has no trace yet, in the formats that can say it, which
    /// are B3's. Denied stays denied, and deferred is silence.
    pub fn write_decision(&self, sampling: Sampling, injector: &mut dyn Injector) {
        let mut put = |name: &str, value: String| injector.set(name, value);
        for format in &self.formats {
            match format {
                Format::B3Single => b3::write_single_decision(sampling, &mut put),
                Format::B3Multi => b3::write_multi_decision(sampling, &mut put),
                _ => {}
            }
        }
    }

    /// The headers of a context and baggage.
    #[must_use]
    pub fn headers(&self, context: &Context, baggage: &Baggage) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        self.put_context(context, &mut |name, value| headers.push((name.to_owned(), value)));
        self.put_baggage(baggage, &mut |name, value| headers.push((name.to_owned(), value)));
        headers
    }

    pub(crate) fn put_context(&self, context: &Context, put: &mut dyn FnMut(&str, String)) {
        for format in &self.formats {
            match format {
                Format::TraceContext => w3c::write(context, put, self.tracestate_max_bytes),
                Format::B3Single => b3::write_single(context, put),
                Format::B3Multi => b3::write_multi(context, put),
                Format::Datadog => datadog::write(context, put),
                Format::Jaeger => jaeger::write(context, put),
                Format::OpenTracing => opentracing::write(context, put),
                Format::XRay => xray::write(context, put),
                Format::Baggage => {}
            }
        }
    }

    pub(crate) fn put_baggage(&self, baggage: &Baggage, put: &mut dyn FnMut(&str, String)) {
        for format in &self.formats {
            match format {
                Format::Baggage if !baggage.is_empty() => put("baggage", baggage.header()),
                Format::Jaeger => baggage.write_prefixed(jaeger::BAGGAGE_PREFIX, true, put),
                Format::OpenTracing => {
                    baggage.write_prefixed(opentracing::BAGGAGE_PREFIX, false, put);
                }
                _ => {}
            }
        }
    }
}
