//! Segment documents in one line each, and graphs as text.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(unreachable_pub, reason = "a module of each test file")]

use throughline_model::{
    AttrValue, NO_END, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, StatusCode, TraceId,
    nested_array_from_json,
};
use throughline_topology::xray::{Graph, State, TraceView, trace_graph};

pub const MILLI: i64 = 1_000_000;
/// The start of all traces: a whole second of 2023.
pub const START: i64 = 1_700_000_000_000 * MILLI;

/// Attributes of a link, without `aws.xray.reserved.` in front.
pub type Words = Vec<(&'static str, Value)>;

#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    Texts(Vec<&'static str>),
}

/// One span, of a document or of OpenTelemetry. Ids are numbers, `0` is no parent.
#[derive(Clone, Debug)]
pub struct Doc {
    pub is_document: bool,
    pub trace: u8,
    pub id: u64,
    pub parent: u64,
    pub name: String,
    pub kind: SpanKind,
    pub start: i64,
    pub length: i64,
    pub resource: Vec<(String, Value)>,
    pub attributes: Vec<(String, Value)>,
    pub exceptions: Vec<(&'static str, &'static str, &'static str)>,
    pub links: Vec<(u8, u64, Words)>,
    pub failed: bool,
}

/// A segment document.
pub fn segment(name: &str, id: u64, parent: u64) -> Doc {
    Doc {
        is_document: true,
        trace: 1,
        id,
        parent,
        name: name.to_owned(),
        kind: SpanKind::Server,
        start: START,
        length: 100 * MILLI,
        resource: vec![("service.name".to_owned(), Value::Text(name.to_owned()))],
        attributes: vec![("xray.type".to_owned(), Value::Text("segment".to_owned()))],
        exceptions: Vec::new(),
        links: Vec::new(),
        failed: false,
    }
}

/// A local subsegment that was sent alone.
pub fn subsegment(name: &str, id: u64, parent: u64) -> Doc {
    Doc {
        kind: SpanKind::Internal,
        resource: Vec::new(),
        attributes: vec![("xray.type".to_owned(), Value::Text("subsegment".to_owned()))],
        ..segment(name, id, parent)
    }
}

/// A subsegment with a namespace.
pub fn call(namespace: &'static str, name: &str, id: u64, parent: u64) -> Doc {
    let doc = Doc { kind: SpanKind::Client, ..subsegment(name, id, parent) };
    doc.with("xray.namespace", namespace)
}

/// A span of OpenTelemetry.
pub fn span(service: &str, kind: SpanKind, id: u64, parent: u64) -> Doc {
    let resource = vec![("service.name".to_owned(), Value::Text(service.to_owned()))];
    let doc = segment(kind.word(), id, parent);
    Doc { is_document: false, kind, resource, attributes: Vec::new(), ..doc }
}

impl Doc {
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.attributes.push((key.to_owned(), value.into()));
        self
    }

    pub fn of(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.resource.push((key.to_owned(), value.into()));
        self
    }

    pub fn origin(self, origin: &'static str) -> Self {
        self.of("xray.origin", origin)
    }

    /// Milliseconds after [`START`], and how many.
    pub fn at(mut self, start: i64, length: i64) -> Self {
        (self.start, self.length) = (START + start * MILLI, length * MILLI);
        self
    }

    pub fn open(self) -> Self {
        Self { length: NO_END, ..self }
    }

    pub fn failed(self) -> Self {
        Self { failed: true, ..self }
    }

    pub fn in_trace(self, trace: u8) -> Self {
        Self { trace, ..self }
    }

    pub fn throwing(mut self, id: &'static str, kind: &'static str, text: &'static str) -> Self {
        self.exceptions.push((id, kind, text));
        self
    }

    pub fn linked(mut self, trace: u8, id: u64, words: &[(&'static str, Value)]) -> Self {
        self.links.push((trace, id, words.to_vec()));
        self
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

pub fn batch(docs: &[Doc]) -> SpanBatch {
    let mut builder = SpanBatchBuilder::default();
    for doc in docs {
        builder.start_resource();
        doc.resource.iter().for_each(|(key, value)| add(&mut builder, key, value));
        builder.end_resource("", 0);
        builder.start_scope(if doc.is_document { "aws.xray" } else { "test" }, "");
        builder.end_scope("", 0);
        builder.start_span(TraceId([doc.trace; 16]), id(doc.id));
        builder.parent_id(id(doc.parent));
        builder.kind(doc.kind);
        builder.name(&doc.name);
        builder.times(doc.start, doc.length);
        if doc.failed {
            builder.status(StatusCode::Error, "no");
        }
        doc.attributes.iter().for_each(|(key, value)| add(&mut builder, key, value));
        for (id, kind, text) in &doc.exceptions {
            builder.start_event(doc.start, "exception", 0);
            builder.attribute("xray.exception.id", AttrValue::Str(id));
            builder.attribute("exception.type", AttrValue::Str(kind));
            builder.attribute("exception.message", AttrValue::Str(text));
        }
        for (trace, span, words) in &doc.links {
            builder.start_link(TraceId([*trace; 16]), id(*span), "", 0, 0);
            for (key, value) in words {
                add(&mut builder, &format!("aws.xray.reserved.{key}"), value);
            }
        }
        builder.end_span();
    }
    builder.finish()
}

fn add(builder: &mut SpanBatchBuilder, key: &str, value: &Value) {
    match value {
        Value::Text(text) => builder.attribute(key, AttrValue::Str(text)),
        Value::Int(number) => builder.attribute(key, AttrValue::Int(*number)),
        Value::Double(number) => builder.attribute(key, AttrValue::Double(*number)),
        Value::Bool(truth) => builder.attribute(key, AttrValue::Bool(*truth)),
        Value::Texts(texts) => {
            let list = texts.iter().map(|text| (*text).into()).collect::<Vec<_>>();
            builder.attribute(key, AttrValue::Array(&nested_array_from_json(&list)));
        }
    }
}

pub fn id(number: u64) -> SpanId {
    SpanId(number.to_be_bytes())
}

/// A line for each entity: its depth as indent, name, type of its node, what it is and how it ended.
pub fn tree(view: &TraceView<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let tops = (0..view.entities.len()).rev().filter(|at| view.entities[*at].parent.is_none());
    let mut waiting: Vec<(usize, usize)> = tops.map(|at| (at, 0)).collect();
    while let Some((at, depth)) = waiting.pop() {
        let entity = &view.entities[at];
        let mut line = format!("{}{}", "  ".repeat(depth), entity.name);
        if entity.is_segment {
            let (name, kind) = (&entity.service.name, &entity.service.kind);
            line += &format!(" = {name} ({kind})");
        }
        let words = [
            (entity.inferred, " inferred"),
            (entity.synthetic, " synthetic"),
            (entity.in_progress, " open"),
            (entity.error, " error"),
            (entity.throttle, " throttle"),
            (entity.fault, " fault"),
        ];
        line.extend(words.iter().filter(|(is, _)| *is).map(|(_, word)| *word));
        lines.push(line);
        waiting.extend(entity.children.iter().rev().map(|child| (*child, depth + 1)));
    }
    lines
}

#[track_caller]
pub fn check_tree(docs: &[Doc], expected: &[&str]) {
    assert_eq!(tree(&TraceView::of(&batch(docs))), expected);
    let reverse: Vec<Doc> = docs.iter().rev().cloned().collect();
    assert_eq!(tree(&TraceView::of(&batch(&reverse))), expected, "in reverse");
}

/// `name (type) how-many` for nodes, `-> name (type) how-many` for their edges. How many is
/// ok/error/throttle/fault.
pub fn lines(graph: &Graph) -> Vec<String> {
    let named = |at: usize| {
        let id = &graph.services[at].id;
        format!("{} ({})", id.name, id.kind)
    };
    let counts = |s: &throughline_topology::xray::Statistics| {
        format!("{}/{}/{}/{}", s.ok, s.errors, s.throttles, s.faults)
    };
    let mut lines = Vec::new();
    for (at, service) in graph.services.iter().enumerate() {
        let mut line = named(at);
        line += &service.statistics.as_ref().map_or(String::new(), |s| format!(" {}", counts(s)));
        line += if service.root { " root" } else { "" };
        line += if service.state == State::Active { " active" } else { "" };
        lines.push(line);
        for edge in &service.edges {
            let link = if edge.is_link { " link" } else { "" };
            lines.push(format!("-> {} {}{link}", named(edge.to), counts(&edge.statistics)));
        }
    }
    lines
}

/// The graph of the traces that these documents belong to.
pub fn graph(docs: &[Doc]) -> Graph {
    let mut traces: Vec<u8> = docs.iter().map(|doc| doc.trace).collect();
    traces.sort_unstable();
    traces.dedup();
    let batches: Vec<SpanBatch> = traces
        .iter()
        .map(|trace| {
            batch(&docs.iter().filter(|doc| doc.trace == *trace).cloned().collect::<Vec<_>>())
        })
        .collect();
    let views: Vec<TraceView<'_>> = batches.iter().map(TraceView::of).collect();
    let graph = trace_graph(&views);
    let backwards: Vec<TraceView<'_>> = views.into_iter().rev().collect();
    assert_eq!(trace_graph(&backwards), graph, "in reverse");
    graph
}

#[track_caller]
pub fn check_graph(docs: &[Doc], expected: &[&str]) {
    assert_eq!(lines(&graph(docs)), expected);
}

/// The sign-up workshop, shape of its recording: an app, Lambda's two segments, a table, a topic.
pub fn signup() -> Vec<Doc> {
    let function = "arn:aws:lambda:us-east-1:000000000000:function:signup";
    vec![
        segment("signup-app", 1, 0)
            .origin("AWS::ElasticBeanstalk::Environment")
            .with("http.response.status_code", 200),
        call("aws", "Lambda", 2, 1)
            .with("aws.function_name", "signup")
            .of("service.name", "signup-app")
            .at(5, 90),
        segment("signup", 3, 2).origin("AWS::Lambda").at(10, 80),
        segment("signup", 4, 3)
            .origin("AWS::Lambda::Function")
            .of("cloud.account.id", "000000000000")
            .with("aws.function_arn", function)
            .at(20, 60),
        subsegment("write entry", 5, 4).at(25, 20),
        call("aws", "DynamoDB", 6, 5).with("aws.table_name", "signups").at(26, 18),
        call("aws", "SNS", 7, 4)
            .with("aws.topic_arn", "arn:aws:sns:us-east-1:000000000000:signup-topic")
            .at(50, 20),
    ]
}
