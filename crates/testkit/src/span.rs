//! A span as a test wants to write it: one line, only the fields that matter.

use std::borrow::Cow;
use std::sync::Arc;

use throughline_model::{
    AttrValue, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, StatusCode, TraceId,
};

/// One span, owned and easy to change. Read it as a batch or as OTLP bytes.
///
/// ```
/// use throughline_testkit::{batch, span};
/// let web = span("GET /").service("web").at(1_000).lasting(500);
/// let api = span("list").service("api").child_of(&web).failing("no such table");
/// assert_eq!(batch(&[web, api]).len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Span {
    /// The id of its trace.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// Its parent, zero for a root.
    pub parent_id: SpanId,
    /// Who sends it. Spans that share the pointer share the resource on the wire.
    pub resource: Arc<Resource>,
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its kind.
    pub kind: SpanKind,
    /// Nanoseconds since the epoch.
    pub start_unix_nano: i64,
    /// Nanoseconds.
    pub duration_nano: i64,
    /// Its status.
    pub status: StatusCode,
    /// The text of its status.
    pub status_message: Cow<'static, str>,
    /// Its attributes, in order.
    pub attributes: Vec<(Cow<'static, str>, Value)>,
    /// Its events, in order.
    pub events: Vec<Event>,
    /// The spans it links to.
    pub links: Vec<(TraceId, SpanId)>,
}

/// Who sends spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// Its attributes, `service.name` among them.
    pub attributes: Vec<(Cow<'static, str>, Value)>,
}

/// Something that happened inside a span.
#[derive(Clone, Debug)]
pub struct Event {
    /// Nanoseconds since the epoch.
    pub time_unix_nano: i64,
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its attributes, in order.
    pub attributes: Vec<(Cow<'static, str>, Value)>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the name of a variant says it all")]
pub enum Value {
    Str(Cow<'static, str>),
    Int(i64),
    Double(f64),
    Bool(bool),
}

/// A span of this name in trace 1, whose id follows from the name; change what matters.
pub fn span(name: impl Into<Cow<'static, str>>) -> Span {
    let name = name.into();
    // FNV-1a: any fixed function would do, this one needs four lines.
    let id = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Span {
        trace_id: TraceId(1_u128.to_be_bytes()),
        span_id: SpanId(id.max(1).to_be_bytes()),
        parent_id: SpanId::default(),
        resource: resource("test"),
        name,
        kind: SpanKind::Internal,
        start_unix_nano: 0,
        duration_nano: 0,
        status: StatusCode::Unset,
        status_message: Cow::Borrowed(""),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
    }
}

/// A resource that is only a service's name.
pub fn resource(service: impl Into<Cow<'static, str>>) -> Arc<Resource> {
    let attributes = vec![(Cow::Borrowed("service.name"), Value::Str(service.into()))];
    Arc::new(Resource { attributes })
}

/// The spans as one batch. Neighbours of one resource share its row.
pub fn batch(spans: &[Span]) -> SpanBatch {
    let mut builder = SpanBatchBuilder::default();
    let mut open: Option<&Resource> = None;
    for span in spans {
        if open.is_none_or(|resource| *resource != *span.resource) {
            builder.start_resource();
            add_attributes(&mut builder, &span.resource.attributes);
            builder.end_resource("", 0);
            builder.start_scope("throughline.testkit", "1");
            builder.end_scope("", 0);
            open = Some(&span.resource);
        }
        add_span(&mut builder, span);
    }
    builder.finish()
}

fn add_span(builder: &mut SpanBatchBuilder, span: &Span) {
    builder.start_span(span.trace_id, span.span_id);
    builder.parent_id(span.parent_id);
    builder.name(&span.name);
    builder.kind(span.kind);
    builder.times(span.start_unix_nano, span.duration_nano);
    builder.status(span.status, &span.status_message);
    add_attributes(builder, &span.attributes);
    for event in &span.events {
        builder.start_event(event.time_unix_nano, &event.name, 0);
        add_attributes(builder, &event.attributes);
    }
    for (trace_id, span_id) in &span.links {
        builder.start_link(*trace_id, *span_id, "", 0, 0);
    }
    builder.end_span();
}

fn add_attributes(builder: &mut SpanBatchBuilder, attributes: &[(Cow<'static, str>, Value)]) {
    for (key, value) in attributes {
        builder.attribute(
            key,
            match value {
                Value::Str(text) => AttrValue::Str(text),
                Value::Int(int) => AttrValue::Int(*int),
                Value::Double(double) => AttrValue::Double(*double),
                Value::Bool(flag) => AttrValue::Bool(*flag),
            },
        );
    }
}

impl Span {
    /// Puts it into another trace, by number.
    #[must_use]
    pub fn in_trace(mut self, number: u128) -> Self {
        self.trace_id = TraceId(number.to_be_bytes());
        self
    }

    /// Gives it another id, by number.
    #[must_use]
    pub fn id(mut self, number: u64) -> Self {
        self.span_id = SpanId(number.to_be_bytes());
        self
    }

    /// Puts it below another span, in that one's trace.
    #[must_use]
    pub fn child_of(mut self, parent: &Self) -> Self {
        self.trace_id = parent.trace_id;
        self.parent_id = parent.span_id;
        self
    }

    /// Names the service that sends it; other resource attributes stay.
    #[must_use]
    pub fn service(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.resource_attr("service.name", name.into())
    }

    /// Names the environment that sends it.
    #[must_use]
    pub fn environment(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.resource_attr("deployment.environment.name", name.into())
    }

    /// Sets one attribute of its resource.
    #[must_use]
    pub fn resource_attr(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        let attributes = &mut Arc::make_mut(&mut self.resource).attributes;
        attributes.retain(|(old, _)| old != key);
        attributes.push((Cow::Borrowed(key), value.into()));
        self
    }

    /// Sets its kind.
    #[must_use]
    pub fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets its start, nanoseconds since the epoch.
    #[must_use]
    pub fn at(mut self, start_unix_nano: i64) -> Self {
        self.start_unix_nano = start_unix_nano;
        self
    }

    /// Sets its duration, nanoseconds.
    #[must_use]
    pub fn lasting(mut self, duration_nano: i64) -> Self {
        self.duration_nano = duration_nano;
        self
    }

    /// Makes it an error with this text.
    #[must_use]
    pub fn failing(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.status = StatusCode::Error;
        self.status_message = message.into();
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attr(mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        self.attributes.push((key.into(), value.into()));
        self
    }

    /// Adds an event without attributes.
    #[must_use]
    pub fn event(mut self, name: impl Into<Cow<'static, str>>, time_unix_nano: i64) -> Self {
        let (name, attributes) = (name.into(), Vec::new());
        self.events.push(Event { time_unix_nano, name, attributes });
        self
    }

    /// Adds a link to another span.
    #[must_use]
    pub fn linked_to(mut self, other: &Self) -> Self {
        self.links.push((other.trace_id, other.span_id));
        self
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Str(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(Cow::Owned(text))
    }
}

impl From<Cow<'static, str>> for Value {
    fn from(text: Cow<'static, str>) -> Self {
        Self::Str(text)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<f64> for Value {
    fn from(double: f64) -> Self {
        Self::Double(double)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_holds_what_the_test_wrote() {
        let root = span("root").service("web").environment("prod").at(10).lasting(5);
        let child = span("child")
            .service("api")
            .child_of(&root)
            .kind(SpanKind::Server)
            .failing("broken")
            .attr("n", 3_i64)
            .event("retry", 12)
            .linked_to(&root);
        let batch = batch(&[root.clone(), child]);
        let child = batch.span(1);
        assert_eq!(batch.span(0).resource().environment(), Some("prod"));
        assert_eq!(child.service(), "api");
        assert_eq!(child.parent_id(), root.span_id);
        assert_eq!(child.status_message(), "broken");
        assert_eq!(child.attribute("n"), Some(AttrValue::Int(3)));
        assert_eq!(child.events().next().map(|e| e.time_unix_nano()), Some(12));
        assert_eq!(child.links().next().map(|l| l.span_id()), Some(root.span_id));
    }
}
