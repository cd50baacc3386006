//! Messages of Kafka, RabbitMQ and ActiveMQ.
//!
//! Rule: Lambda Developer Guide, "Using Lambda with Amazon MSK", "Using Lambda with Amazon MQ".

use serde_json::Value;

use super::Place;
use super::gather::{Gather, text};
use super::records::receipt;
use crate::carrier::Carrier;
use crate::carriers;
use crate::fields::Fields;
use crate::receipt::{Direction, Receipt};
use crate::resource::canonical;
use crate::time;

impl Gather<'_> {
    /// `records` maps `topic-partition` to a list.
    pub(super) fn kafka(&mut self, event: &Value) {
        let cluster = canonical(Carrier::Kafka, text(event, "/eventSourceArn"));
        let lists = event.get("records").and_then(Value::as_object);
        let lists = lists.into_iter().flat_map(|lists| lists.values());
        let all: Vec<&Value> = lists.filter_map(Value::as_array).flatten().collect();
        self.batch(all.into_iter(), |gather, record| {
            let part = |name: &str| record.get(name).and_then(Value::as_i64);
            if let (Some(partition), Some(offset)) = (part("partition"), part("offset")) {
                let id = format!("{partition}:{offset}");
                let mut receipt = Receipt::new(Direction::In, Carrier::Kafka, id);
                receipt.resource = Some(text(record, "/topic").to_owned());
                receipt.account.clone_from(&cluster.account);
                receipt.region.clone_from(&cluster.region);
                receipt.time_unix_nano = time::of_millis(record.get("timestamp"));
                gather.receipt(receipt);
            }
            let headers = record.get("headers").and_then(Value::as_array);
            let mut fields = Fields::default();
            for header in headers.into_iter().flatten().filter_map(Value::as_object).flatten() {
                if let Some(value) = bytes_text(header.1) {
                    fields.push(header.0, &value);
                }
            }
            gather.context(Place::Headers, &fields);
            gather.data(record.get("value"));
        });
    }

    /// `rmqMessagesByQueue` maps `queue::host` to a list.
    pub(super) fn rabbitmq(&mut self, event: &Value) {
        let queues = event.get("rmqMessagesByQueue").and_then(Value::as_object);
        let all: Vec<(&str, &Value)> = queues
            .into_iter()
            .flatten()
            .flat_map(|(queue, list)| {
                let name = queue.split("::").next().unwrap_or_default();
                list.as_array().into_iter().flatten().map(move |message| (name, message))
            })
            .collect();
        let mut names = all.iter().map(|(name, _)| *name);
        self.batch(all.iter().map(|(_, message)| *message), |gather, message| {
            let mut receipt = receipt(Carrier::RabbitMq, message, "/basicProperties/messageId", "");
            receipt.resource = names.next().map(str::to_owned);
            gather.receipt(receipt);
            let headers = message.pointer("/basicProperties/headers").and_then(Value::as_object);
            let mut fields = Fields::default();
            for (name, value) in headers.into_iter().flatten() {
                if let Some(value) = bytes_text(value.get("bytes").unwrap_or(value)) {
                    fields.push(name, &value);
                }
            }
            gather.context(Place::Headers, &fields);
            gather.data(message.get("data"));
        });
    }

    pub(super) fn activemq(&mut self, event: &Value) {
        let messages = event.get("messages").and_then(Value::as_array);
        let messages = messages.map(Vec::as_slice).unwrap_or_default();
        self.batch(messages.iter(), |gather, message| {
            let mut receipt =
                receipt(Carrier::ActiveMq, message, "/messageID", "/destination/physicalName");
            receipt.time_unix_nano = time::of_millis(message.get("brokerInTime"));
            gather.receipt(receipt);
            if let Some(properties) = message.get("properties").and_then(Value::as_object) {
                gather.context(Place::Headers, &carriers::of_map(properties));
            }
            gather.data(message.get("data"));
        });
    }
}

/// A text, or one that stands as a list of its bytes, signed or not.
fn bytes_text(value: &Value) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.to_owned());
    }
    let bytes: Option<Vec<u8>> = value
        .as_array()?
        .iter()
        .map(|byte| {
            let byte = byte.as_i64()?;
            u8::try_from(byte).ok().or_else(|| i8::try_from(byte).ok().map(i8::cast_unsigned))
        })
        .collect();
    String::from_utf8(bytes?).ok()
}
