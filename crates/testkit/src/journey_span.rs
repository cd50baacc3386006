//! How producers and consumers of each carrier write down which message it was.
//!
//! Rule: OpenTelemetry semantic conventions, what the instrumentations really write, and for the
//!       carriers that none has ids of, what a layer writes.

use std::borrow::Cow;
use std::sync::Arc;

use throughline_model::{
    AttrValue, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, TraceId, nested_array_from_json, xray,
};

use crate::journeys::{Lane, Message, Seat};
use crate::{Resource, Span, Value, span};

/// A span with the lists and links that [`Span`] has not.
#[derive(Clone, Debug)]
pub struct JourneySpan {
    /// All the rest of it.
    pub span: Span,
    /// Attributes that are lists of texts.
    pub lists: Vec<(&'static str, Vec<String>)>,
    /// Links with their attributes.
    pub links: Vec<JourneyLink>,
    /// The name of its scope.
    pub scope: &'static str,
}

/// The trace and the span that is linked to, and what the link says.
pub type JourneyLink = (TraceId, SpanId, Vec<(&'static str, String)>);

impl From<Span> for JourneySpan {
    fn from(span: Span) -> Self {
        Self { span, lists: Vec::new(), links: Vec::new(), scope: "throughline.testkit" }
    }
}

impl JourneySpan {
    pub(crate) fn new(
        seat: &Seat,
        id: SpanId,
        name: &'static str,
        kind: SpanKind,
        start_unix_nano: i64,
        duration_nano: i64,
    ) -> Self {
        let environment = if seat.staging { "staging" } else { "prod" };
        let text = |text: &str| Value::Str(Cow::Owned(text.to_owned()));
        let resource = Arc::new(Resource {
            attributes: vec![
                (Cow::Borrowed("service.name"), text(&seat.service)),
                (Cow::Borrowed("deployment.environment.name"), text(environment)),
                (Cow::Borrowed("cloud.region"), text("us-east-1")),
            ],
        });
        let (trace_id, parent_id) = (seat.trace, seat.parent);
        Self::from(Span {
            trace_id,
            span_id: id,
            parent_id,
            kind,
            start_unix_nano,
            duration_nano,
            resource,
            ..span(name)
        })
    }

    fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.span.attributes.push((Cow::Borrowed(key), value.into()));
        self
    }

    fn list(mut self, key: &'static str, items: Vec<String>) -> Self {
        self.lists.push((key, items));
        self
    }

    fn link(mut self, to: (TraceId, SpanId), attributes: Vec<(&'static str, String)>) -> Self {
        self.links.push((to.0, to.1, attributes));
        self
    }

    fn aws(mut self, service: &'static str, method: &'static str) -> Self {
        self.span.kind = SpanKind::Client;
        let call = self.with("rpc.system", "aws-api").with("rpc.service", service);
        call.with("rpc.method", method).with("aws.region", "us-east-1")
    }

    /// Writes down that it sent some messages of one lane to one place.
    pub(crate) fn sends(self, lane: Lane, messages: &[Message]) -> Self {
        let Some(first) = messages.first() else { return self };
        let (id, resource) = (first.id.clone(), first.resource.clone());
        let ids = || messages.iter().map(|message| message.id.clone()).collect();
        match lane {
            Lane::Kinesis => self.list("stitch.out", texts("kinesis", messages, "", 0)),
            Lane::KinesisAttributes => self
                .aws("Kinesis", "PutRecords")
                .with("aws.kinesis.stream_name", resource)
                .list("aws.kinesis.sequence_number", ids()),
            Lane::Sqs => self
                .with("messaging.system", "aws_sqs")
                .with("messaging.operation.type", "send")
                .with("aws.sqs.queue.url", queue_url(&resource))
                .with("messaging.message.id", id),
            Lane::SqsXray => {
                let mut call =
                    self.with("rpc.method", "SendMessage").with("aws.region", "us-east-1");
                call.span.kind = SpanKind::Client;
                call.span.name = Cow::Borrowed("SQS");
                call.scope = xray::SCOPE;
                call.with("aws.queue_url", queue_url(&resource)).with("aws.message_id", id)
            }
            Lane::SnsInSqs => self.list("stitch.out", texts("sns", messages, "", 0)),
            Lane::EventBridge => self.list("stitch.out", texts("eventbridge", messages, "", 0)),
            Lane::Kafka => self.kafka(first),
            Lane::Lambda => self
                .aws("Lambda", "Invoke")
                .with("faas.invoked_name", resource)
                .with("aws.request_id", id),
            Lane::S3 => self
                .aws("S3", "PutObject")
                .with("aws.s3.bucket", resource)
                .with("aws.request_id", id),
            Lane::RabbitMq => self
                .with("messaging.system", "rabbitmq")
                .with("messaging.destination.name", resource)
                .with("messaging.message.id", id),
            Lane::Firehose => self
                .aws("Firehose", "PutRecordBatch")
                .with("aws.firehose.stream_name", resource)
                .list("aws.firehose.record_id", ids()),
            Lane::StepFunctions => {
                self.aws("SFN", "StartExecution").with("aws.step_functions.execution.arn", id)
            }
            Lane::DynamoDb => self
                .aws("DynamoDB", "PutItem")
                .with("aws.table_name", resource)
                .with("aws.dynamodb.item_hash", id),
            Lane::Link => self,
            Lane::Pointer => self.pointer(first, "d"),
        }
    }

    /// Writes down that it took some messages of one lane from one place. `moved` is what the
    /// place's name became since; `place` is that of the first in its batch.
    pub(crate) fn takes(self, lane: Lane, messages: &[Message], moved: &str, place: u32) -> Self {
        let Some(first) = messages.first() else { return self };
        let (id, resource) = (first.id.clone(), format!("{}{moved}", first.resource));
        match lane {
            Lane::Kinesis => self.list("stitch.in", texts("kinesis", messages, moved, place)),
            Lane::KinesisAttributes => {
                self.with("aws.region", "us-east-1").with("aws.kinesis.stream_name", resource).list(
                    "aws.kinesis.sequence_number",
                    messages.iter().map(|message| message.id.clone()).collect(),
                )
            }
            Lane::Sqs | Lane::SqsXray => {
                let mut taker = self
                    .with("messaging.system", "aws_sqs")
                    .with("messaging.operation.type", "process");
                // Some consumers do not say where from.
                if !id.ends_with('0') {
                    taker = taker.with("messaging.destination.name", resource);
                    taker = taker.with("aws.region", "us-east-1");
                }
                // Without the header there is no link, so the id is on the span.
                if let ([message], Lane::SqsXray) = (messages, lane) {
                    return taker.with("messaging.message.id", message.id.clone());
                }
                messages.iter().fold(taker, |taker, message| {
                    let attributes = vec![("messaging.message.id", message.id.clone())];
                    taker.link(message.from, attributes)
                })
            }
            Lane::SnsInSqs => {
                let mut all = texts("sns", messages, moved, place);
                for (index, message) in messages.iter().enumerate() {
                    // The queue's own id, which nobody produced under.
                    let (at, id) = (place + index as u32, message.id.replace('-', "+"));
                    all.push(format!("sqs|us-east-1|inbox|{id}|{at}"));
                }
                self.list("stitch.in", all)
            }
            Lane::EventBridge => {
                self.list("stitch.in", texts("eventbridge", messages, moved, place))
            }
            Lane::Kafka => self.kafka(first),
            Lane::Lambda => self.with("faas.invocation_id", id).with("faas.name", resource),
            Lane::S3 => self.list("stitch.in", texts("s3", messages, moved, place)),
            Lane::RabbitMq => self
                .with("messaging.system", "rabbitmq")
                .with("messaging.destination.name", resource)
                .with("messaging.message.id", id),
            Lane::Firehose => self
                .with("aws.region", "us-east-1")
                .with("aws.firehose.stream_name", resource)
                .list(
                    "aws.firehose.record_id",
                    messages.iter().map(|message| message.id.clone()).collect(),
                ),
            Lane::StepFunctions => self.with("aws.step_functions.execution.arn", id),
            Lane::DynamoDb => {
                self.with("aws.table_name", resource).with("aws.dynamodb.item_hash", id)
            }
            Lane::Link => self.link(first.from, Vec::new()),
            Lane::Pointer => self.pointer(first, "u"),
        }
    }

    fn kafka(self, message: &Message) -> Self {
        let (partition, offset) = message.id.split_once(':').unwrap_or_default();
        self.with("messaging.system", "kafka")
            .with("messaging.destination.name", message.resource.clone())
            .with("messaging.destination.partition.id", partition.to_owned())
            .with("messaging.kafka.offset", offset.parse::<i64>().unwrap_or_default())
    }

    fn pointer(self, message: &Message, direction: &str) -> Self {
        let attributes = vec![
            ("link.kind", "span-pointer".to_owned()),
            ("ptr.hash", message.id.clone()),
            ("ptr.kind", "aws.s3.object".to_owned()),
            ("ptr.dir", direction.to_owned()),
        ];
        self.link((TraceId::ZERO, SpanId::ZERO), attributes)
    }
}

fn queue_url(name: &str) -> String {
    format!("https://sqs.us-east-1.amazonaws.com/123456789012/{name}")
}

fn texts(carrier: &str, messages: &[Message], moved: &str, place: u32) -> Vec<String> {
    let text = |(index, message): (usize, &Message)| {
        let at = place + index as u32;
        format!("{carrier}|us-east-1|{}{moved}|{}|{at}", message.resource, message.id)
    };
    messages.iter().enumerate().map(text).collect()
}

/// The spans as one batch.
pub fn journey_batch<'a>(spans: impl IntoIterator<Item = &'a JourneySpan>) -> SpanBatch {
    let mut builder = SpanBatchBuilder::default();
    for made in spans {
        let span = &made.span;
        builder.start_resource();
        add(&mut builder, &span.resource.attributes);
        builder.end_resource("", 0);
        builder.start_scope(made.scope, "1");
        builder.end_scope("", 0);
        builder.start_span(span.trace_id, span.span_id);
        builder.parent_id(span.parent_id);
        builder.name(&span.name);
        builder.kind(span.kind);
        builder.times(span.start_unix_nano, span.duration_nano);
        builder.status(span.status, &span.status_message);
        add(&mut builder, &span.attributes);
        for (key, items) in &made.lists {
            let items: Vec<_> = items.iter().map(|item| item.as_str().into()).collect();
            builder.attribute(key, AttrValue::Array(&nested_array_from_json(&items)));
        }
        for (trace, id, attributes) in &made.links {
            builder.start_link(*trace, *id, "", 0, 0);
            for (key, text) in attributes {
                builder.attribute(key, AttrValue::Str(text));
            }
        }
        builder.end_span();
    }
    builder.finish()
}

fn add(builder: &mut SpanBatchBuilder, attributes: &[(Cow<'static, str>, Value)]) {
    for (key, value) in attributes {
        match value {
            Value::Str(text) => builder.attribute(key, AttrValue::Str(text)),
            Value::Int(int) => builder.attribute(key, AttrValue::Int(*int)),
            Value::Double(double) => builder.attribute(key, AttrValue::Double(*double)),
            Value::Bool(flag) => builder.attribute(key, AttrValue::Bool(*flag)),
        }
    }
}
