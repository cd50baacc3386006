//! Collects what an event gives, within limits, and steps into events within events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{
    DEPTH_MAX, EVENT_CONTEXTS_MAX, EVENT_RECEIPTS_MAX, Event, EventKind, Place, RecordContext,
};
use crate::carriers;
use crate::fields::Fields;
use crate::read::Reader;
use crate::receipt::Receipt;

/// An event that is being read.
pub(super) struct Gather<'r> {
    reader: &'r Reader,
    event: Event,
    depth: u32,
    record: Delivery,
}

/// What is known of the record that is being read, and holds for all within it.
#[derive(Clone, Copy, Default)]
pub(super) struct Delivery {
    pub(super) index: Option<u32>,
    pub(super) batch_size: Option<u32>,
    pub(super) attempt: Option<u32>,
    pub(super) replay: bool,
}

impl<'r> Gather<'r> {
    pub(super) fn new(reader: &'r Reader) -> Self {
        Self { reader, event: Event::default(), depth: 0, record: Delivery::default() }
    }

    pub(super) fn finish(mut self, kind: EventKind) -> Event {
        self.event.kind = kind;
        self.event
    }

    /// Reads an event of any kind.
    pub(super) fn event(&mut self, event: &Value) -> EventKind {
        let kind = EventKind::of(event);
        self.depth += 1;
        match kind {
            EventKind::HttpApi
            | EventKind::RestApi
            | EventKind::WebSocket
            | EventKind::FunctionUrl => self.request(event),
            EventKind::LoadBalancer => self.headers_of(event),
            EventKind::AppSync => self.headers_of(event.get("request").unwrap_or(&Value::Null)),
            EventKind::Kafka => self.kafka(event),
            EventKind::RabbitMq => self.rabbitmq(event),
            EventKind::ActiveMq => self.activemq(event),
            EventKind::EventBridge | EventKind::Schedule => self.eventbridge(event),
            EventKind::Firehose => self.firehose(event),
            EventKind::LambdaDestination => self.destination(event),
            EventKind::StepFunctions => self.step_functions(event),
            EventKind::Sqs
            | EventKind::Sns
            | EventKind::DynamoDb
            | EventKind::S3
            | EventKind::Kinesis
            | EventKind::Ses
            | EventKind::CloudFront => self.records(event),
            EventKind::CloudWatchLogs | EventKind::Cognito | EventKind::S3Batch => {}
            EventKind::Direct => self.direct(event),
        }
        self.depth -= 1;
        kind
    }

    /// An event of the caller's own: a context may stand in it.
    fn direct(&mut self, event: &Value) {
        self.context(Place::Payload, &carriers::of_payload(event));
        for name in ["clientContext", "ClientContext"] {
            if let Some(client) = event.get(name).and_then(Value::as_object) {
                self.context(Place::ClientContext, &carriers::lambda::read_parsed(client));
            }
        }
    }

    /// Reads the records of a batch one after the other. Within another event's record, the
    /// place in the outer batch stays: that is the batch that the function sees.
    pub(super) fn batch<'v>(
        &mut self,
        records: impl ExactSizeIterator<Item = &'v Value>,
        mut read: impl FnMut(&mut Self, &'v Value),
    ) {
        let outer = self.record;
        let size = u32::try_from(records.len()).ok();
        for (index, record) in records.enumerate() {
            if outer.index.is_none() {
                self.record.index = u32::try_from(index).ok();
                self.record.batch_size = size;
            }
            read(self, record);
            self.record = outer;
        }
    }

    /// What is known of the delivery of the record that is being read.
    pub(super) fn delivery(&mut self) -> &mut Delivery {
        &mut self.record
    }

    /// Keeps a receipt, with the place of the current record. A receipt without an id is none.
    pub(super) fn receipt(&mut self, mut receipt: Receipt) {
        if receipt.id.is_empty() {
            return;
        }
        let Delivery { index, batch_size, attempt, replay } = self.record;
        receipt.index = receipt.index.or(index);
        receipt.batch_size = receipt.batch_size.or(batch_size);
        receipt.attempt = receipt.attempt.or(attempt);
        receipt.replay |= replay;
        if self.event.receipts.len() < EVENT_RECEIPTS_MAX {
            self.event.receipts.push(receipt);
        } else {
            self.event.left_out += 1;
        }
    }

    /// Keeps what these fields say, if they say anything.
    pub(super) fn context(&mut self, place: Place, fields: &Fields) {
        if fields.is_empty() {
            return;
        }
        let read = self.reader.read(fields);
        if read.seen.is_empty() && read.baggage.is_empty() {
            return;
        }
        if self.event.contexts.len() < EVENT_CONTEXTS_MAX {
            self.event.contexts.push(RecordContext { index: self.record.index, place, read });
        } else {
            self.event.left_out += 1;
        }
    }

    /// Reads the text of a message: another event, or a payload with a context. What is too deep
    /// or no JSON object is left alone.
    pub(super) fn body(&mut self, text: &str) {
        if self.depth >= DEPTH_MAX || !text.trim_start().starts_with('{') {
            return;
        }
        if let Ok(body) = serde_json::from_str::<Value>(text) {
            self.nested(&body);
        }
    }

    /// Reads the data of a record in base64, in the same way.
    pub(super) fn data(&mut self, base64: Option<&Value>) {
        let Some(text) = base64.and_then(Value::as_str) else { return };
        // A brace, or white space before one, begins with one of these: most other data stays.
        if self.depth >= DEPTH_MAX || !text.starts_with(['e', 'I', 'C', 'D']) {
            return;
        }
        let Ok(bytes) = STANDARD.decode(text) else { return };
        if let Ok(text) = str::from_utf8(&bytes) {
            self.body(text);
        }
    }

    fn nested(&mut self, body: &Value) {
        let is = |name: &str, value: &str| body.get(name).and_then(Value::as_str) == Some(value);
        if is("Type", "Notification") && body.get("TopicArn").is_some() {
            self.depth += 1;
            self.notification(body);
            self.depth -= 1;
        } else {
            self.event(body);
        }
    }
}

/// The text at a JSON pointer; empty if there is none.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The text at a JSON pointer, if it is not empty.
pub(super) fn some_text(value: &Value, pointer: &str) -> Option<String> {
    let text = text(value, pointer);
    (!text.is_empty()).then(|| text.to_owned())
}

/// A number, or the text of one.
pub(super) fn number(value: Option<&Value>) -> Option<u32> {
    match value? {
        Value::String(text) => text.parse().ok(),
        value => u32::try_from(value.as_u64()?).ok(),
    }
}
