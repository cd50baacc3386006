//! Events of EventBridge, Data Firehose, Lambda destinations and Step Functions.
//!
//! Rule: EventBridge User Guide, "Events"; Data Firehose Developer Guide, "Data transformation";
//!       Lambda Developer Guide, "Destinations"; Step Functions Developer Guide, "Context object".

use serde_json::Value;

use super::Place;
use super::gather::{Gather, number, some_text, text};
use super::records::receipt;
use crate::carrier::Carrier;
use crate::carriers::{eventbridge, step_functions};
use crate::pointer;
use crate::receipt::{Direction, Receipt};
use crate::time;

impl Gather<'_> {
    pub(super) fn eventbridge(&mut self, event: &Value) {
        // An event from an archive has the id that it had before.
        self.delivery().replay |= !text(event, "/replay-name").is_empty();
        let mut receipt = Receipt::new(Direction::In, Carrier::EventBridge, text(event, "/id"));
        receipt.account = some_text(event, "/account");
        receipt.region = some_text(event, "/region");
        receipt.time_unix_nano = time::of_text(text(event, "/time"));
        if text(event, "/source") == "aws.s3" {
            self.object_event(event, &receipt);
        }
        self.receipt(receipt);
        self.context(Place::Payload, &eventbridge::read(event));
    }

    /// S3 tells of an object through EventBridge; here its key is not encoded.
    fn object_event(&mut self, event: &Value, envelope: &Receipt) {
        let Some(detail) = event.get("detail") else { return };
        let (bucket, etag) = (text(detail, "/bucket/name"), text(detail, "/object/etag"));
        let object = Receipt {
            carrier: Carrier::S3,
            id: text(detail, "/request-id").to_owned(),
            resource: Some(bucket.to_owned()),
            ..envelope.clone()
        };
        if !etag.is_empty() {
            let key = text(detail, "/object/key");
            self.pointer(pointer::of_object(Direction::In, bucket, key, etag), envelope);
        }
        self.receipt(object);
    }

    pub(super) fn firehose(&mut self, event: &Value) {
        let records = event.get("records").and_then(Value::as_array);
        let records = records.map(Vec::as_slice).unwrap_or_default();
        let delivery = receipt(Carrier::Firehose, event, "", "/deliveryStreamArn");
        let source = receipt(Carrier::Kinesis, event, "", "/sourceKinesisStreamArn");
        self.batch(records.iter(), |gather, record| {
            let mut receipt =
                Receipt { id: text(record, "/recordId").to_owned(), ..delivery.clone() };
            receipt.time_unix_nano = time::of_millis(record.get("approximateArrivalTimestamp"));
            gather.receipt(receipt);
            if let Some(metadata) = record.get("kinesisRecordMetadata") {
                let id = text(metadata, "/sequenceNumber").to_owned();
                let mut receipt = Receipt { id, ..source.clone() };
                let time = metadata.get("approximateArrivalTimestamp");
                receipt.time_unix_nano = time::of_millis(time);
                gather.receipt(receipt);
            }
            gather.data(record.get("data"));
        });
    }

    /// The outcome of an invocation: the receipt is that invocation's.
    pub(super) fn destination(&mut self, event: &Value) {
        let arn = "/requestContext/functionArn";
        let mut receipt = receipt(Carrier::Lambda, event, "/requestContext/requestId", arn);
        receipt.attempt = number(event.pointer("/requestContext/approximateInvokeCount"));
        receipt.time_unix_nano = time::of_text(text(event, "/timestamp"));
        self.receipt(receipt);
    }

    pub(super) fn step_functions(&mut self, event: &Value) {
        if let Some(state) = state(event) {
            let mut receipt =
                receipt(Carrier::StepFunctions, state, "/Execution/Id", "/Execution/Id");
            let retries = number(state.pointer("/State/RetryCount"));
            receipt.attempt = retries.and_then(|retries| retries.checked_add(1));
            receipt.time_unix_nano = time::of_text(text(state, "/State/EnteredTime"));
            let redrives = number(state.pointer("/Execution/RedriveCount"));
            receipt.replay = redrives.is_some_and(|redrives| redrives > 0);
            self.receipt(receipt);
        }
        self.context(Place::Payload, &step_functions::read(event));
    }
}

/// Step Functions' context object: the event itself, or where its users put it.
pub(super) fn state(event: &Value) -> Option<&Value> {
    ["", "/_datadog", "/Payload", "/Payload/_datadog"].iter().find_map(|pointer| {
        let state = event.pointer(pointer)?;
        let is = |pointer: &str| state.pointer(pointer).is_some_and(Value::is_string);
        (is("/Execution/Id") && is("/State/Name")).then_some(state)
    })
}
