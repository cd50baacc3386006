//! Spans while they are made, which know their end last, and as batches.

use std::borrow::Cow;
use std::collections::HashMap;

use throughline_model::{
    AttrValue, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, StatusCode, TraceId,
};

/// Spans of one batch.
pub(crate) const BATCH_SPANS: usize = 1_500;
/// Nanoseconds of a millisecond.
pub(crate) const MS: i64 = 1_000_000;

const LANGUAGES: [&str; 5] = ["nodejs", "java", "go", "python", "dotnet"];

/// A value of an attribute.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(Cow<'static, str>),
    Int(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// Attributes of a span.
pub(crate) type Attributes = Vec<(&'static str, Value)>;

/// A span.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) service: &'static str,
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: SpanKind,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) parent_id: SpanId,
    /// Nanoseconds since the epoch.
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) attributes: Attributes,
    pub(crate) failed: Option<&'static str>,
    /// When an exception was recorded.
    pub(crate) exception_at: Option<i64>,
}

impl Made {
    /// Its length in nanoseconds: the end says nothing before the start.
    fn duration(&self) -> i64 {
        (self.end - self.start).max(0)
    }
}

/// Some spans as a batch.
pub(crate) fn batch(spans: &[Made], environment: &str) -> SpanBatch {
    let mut builder = SpanBatchBuilder::default();
    let mut resources: HashMap<&str, u32> = HashMap::new();
    builder.start_scope("throughline.sample", env!("CARGO_PKG_VERSION"));
    builder.end_scope("", 0);
    for span in spans {
        let number = *resources
            .entry(span.service)
            .or_insert_with(|| resource(&mut builder, span.service, environment));
        builder.use_resource(number);
        builder.start_span(span.trace_id, span.span_id);
        builder.parent_id(span.parent_id);
        builder.name(&span.name);
        builder.kind(span.kind);
        builder.times(span.start, span.duration());
        if let Some(why) = span.failed {
            builder.status(StatusCode::Error, why);
        }
        for (key, value) in &span.attributes {
            match value {
                Value::Text(text) => builder.attribute(key, AttrValue::Str(text)),
                Value::Int(number) => builder.attribute(key, AttrValue::Int(*number)),
            }
        }
        if let Some(at) = span.exception_at {
            exception(&mut builder, at);
        }
        builder.end_span();
    }
    builder.finish()
}

fn resource(builder: &mut SpanBatchBuilder, service: &str, environment: &str) -> u32 {
    builder.start_resource();
    let mut put = |key, text: &str| builder.attribute(key, AttrValue::Str(text));
    put("service.name", service);
    put("service.version", "1.8.2");
    put("deployment.environment.name", environment);
    put("telemetry.sdk.language", LANGUAGES[service.len() % LANGUAGES.len()]);
    if service.ends_with("-fn") {
        put("cloud.platform", "aws_lambda");
        put("faas.name", service);
    } else {
        put("host.name", &format!("{service}-6f9c-1"));
    }
    builder.end_resource("", 0)
}

fn exception(builder: &mut SpanBatchBuilder, at: i64) {
    builder.start_event(at, "exception", 0);
    let mut put = |key, text| builder.attribute(key, AttrValue::Str(text));
    put("exception.type", "PaymentDeclinedError");
    put("exception.message", "upstream returned 503 after 3 attempts");
    put(
        "exception.stacktrace",
        "PaymentDeclinedError: upstream returned 503 after 3 attempts\n    \
         at ChargeClient.post (src/charge.ts:118:11)\n    \
         at Payments.charge (src/service.ts:64:22)\n    \
         at node:internal/process/task_queues:95:5\n    \
         at Layer.handle (node_modules/express/lib/router/layer.js:95:5)",
    );
}
