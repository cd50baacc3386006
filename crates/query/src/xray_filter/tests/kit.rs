//! Traces in short.

use throughline_model::{
    AttrValue, NO_END, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, StatusCode, TraceId,
    nested_array_from_json, xray,
};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum V {
    T(String),
    I(i64),
    D(f64),
    B(bool),
    /// A list of texts.
    L(Vec<String>),
}

impl V {
    pub(super) fn t(text: &str) -> Self {
        Self::T(text.to_owned())
    }
}

#[derive(Clone, Debug)]
pub(super) struct S {
    pub(super) trace: u8,
    pub(super) id: u8,
    pub(super) parent: u8,
    /// `segment` or `subsegment` of X-Ray; empty for OpenTelemetry.
    pub(super) xray: &'static str,
    pub(super) name: String,
    /// `service.name`; none for empty text.
    pub(super) service: String,
    pub(super) kind: SpanKind,
    pub(super) status: StatusCode,
    /// In milliseconds.
    pub(super) start: i64,
    /// In milliseconds; negative for one that has not ended.
    pub(super) took: i64,
    pub(super) attrs: Vec<(String, V)>,
    pub(super) resource: Vec<(String, V)>,
    /// Type and message of exceptions.
    pub(super) thrown: Vec<(&'static str, &'static str)>,
}

/// A segment document from 0 ms on.
pub(super) fn segment(id: u8, parent: u8, name: &str, took: i64) -> S {
    S {
        trace: 1,
        id,
        parent,
        xray: "segment",
        name: name.to_owned(),
        service: name.to_owned(),
        kind: SpanKind::Server,
        status: StatusCode::Unset,
        start: 0,
        took,
        attrs: Vec::new(),
        resource: Vec::new(),
        thrown: Vec::new(),
    }
}

/// A subsegment; it lies in the segment of `service`, as an embedded one.
pub(super) fn subsegment(id: u8, parent: u8, service: &str, name: &str, took: i64) -> S {
    S { xray: "subsegment", name: name.to_owned(), ..segment(id, parent, service, took) }
        .of_kind(SpanKind::Internal)
}

impl S {
    pub(super) fn of_kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    pub(super) fn with(mut self, key: &str, value: V) -> Self {
        if key == xray::ERROR || key == xray::FAULT || key == xray::THROTTLE {
            self.status = StatusCode::Error;
        }
        self.attrs.push((key.to_owned(), value));
        self
    }

    pub(super) fn on(mut self, key: &str, value: V) -> Self {
        self.resource.push((key.to_owned(), value));
        self
    }
}

pub(super) fn batch(spans: &[S]) -> SpanBatch {
    let mut b = SpanBatchBuilder::default();
    for span in spans {
        b.start_resource();
        if !span.service.is_empty() {
            b.attribute("service.name", AttrValue::Str(&span.service));
        }
        attributes(&mut b, &span.resource);
        b.end_resource("", 0);
        b.start_scope(if span.xray.is_empty() { "lib" } else { xray::SCOPE }, "");
        b.end_scope("", 0);
        b.start_span(TraceId([span.trace; 16]), SpanId([span.id; 8]));
        b.parent_id(SpanId([span.parent; 8]));
        b.name(&span.name);
        let duration = if span.took < 0 { NO_END } else { span.took * 1_000_000 };
        b.times(span.start * 1_000_000, duration);
        b.kind(span.kind);
        b.status(span.status, "");
        if !span.xray.is_empty() {
            b.attribute(xray::TYPE, AttrValue::Str(span.xray));
        }
        attributes(&mut b, &span.attrs);
        for (name, message) in &span.thrown {
            b.start_event(span.start * 1_000_000, "exception", 0);
            b.attribute("exception.type", AttrValue::Str(name));
            b.attribute("exception.message", AttrValue::Str(message));
        }
        b.end_span();
    }
    b.finish()
}

fn attributes(b: &mut SpanBatchBuilder, attrs: &[(String, V)]) {
    for (key, value) in attrs {
        match value {
            V::T(text) => b.attribute(key, AttrValue::Str(text)),
            V::I(number) => b.attribute(key, AttrValue::Int(*number)),
            V::D(number) => b.attribute(key, AttrValue::Double(*number)),
            V::B(flag) => b.attribute(key, AttrValue::Bool(*flag)),
            V::L(texts) => {
                let list: Vec<serde_json::Value> =
                    texts.iter().map(|t| t.as_str().into()).collect();
                let list = nested_array_from_json(&list);
                b.attribute(key, AttrValue::Array(&list));
            }
        }
    }
}
