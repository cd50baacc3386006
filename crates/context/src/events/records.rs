//! Events with a list of `Records`: SQS, SNS, DynamoDB streams, S3, Kinesis, SES, CloudFront.
//!
//! Rule: Lambda Developer Guide, the event of each source; S3 User Guide, "Event message structure".

use serde_json::{Map, Value};

use super::gather::{Gather, number, some_text, text};
use super::{EventKind, Place};
use crate::baggage::decode;
use crate::carrier::Carrier;
use crate::carriers::attributes;
use crate::fields::Fields;
use crate::pointer;
use crate::receipt::{Direction, Receipt};
use crate::time;

impl Gather<'_> {
    pub(super) fn records(&mut self, event: &Value) {
        let records = event.get("Records").and_then(Value::as_array);
        let records = records.map(Vec::as_slice).unwrap_or_default();
        self.batch(records.iter(), |gather, record| match EventKind::of_record(Some(record)) {
            EventKind::Sqs => gather.sqs(record),
            EventKind::Sns => gather.sns(record),
            EventKind::DynamoDb => gather.dynamodb(record),
            EventKind::S3 => gather.s3(record),
            EventKind::Kinesis => gather.kinesis(record),
            EventKind::Ses => gather.ses(record),
            EventKind::CloudFront => gather.cloudfront(record),
            _ => {}
        });
    }

    fn sqs(&mut self, record: &Value) {
        let delivery = self.delivery();
        delivery.attempt = number(record.pointer("/attributes/ApproximateReceiveCount"));
        // Set once a message was in a dead-letter queue, and kept when it is sent back.
        delivery.replay |= !text(record, "/attributes/DeadLetterQueueSourceArn").is_empty();
        let mut receipt = receipt(Carrier::Sqs, record, "/messageId", "/eventSourceARN");
        receipt.region = some_text(record, "/awsRegion").or(receipt.region);
        receipt.time_unix_nano = time::of_millis(record.pointer("/attributes/SentTimestamp"));
        self.receipt(receipt);
        if let Some(map) = object(record, "attributes") {
            self.context(Place::AwsTraceHeader, &attributes::read_system(map));
        }
        if let Some(map) = object(record, "messageAttributes") {
            self.context(Place::Attributes, &attributes::read(map));
        }
        self.body(text(record, "/body"));
    }

    fn sns(&mut self, record: &Value) {
        if let Some(notification) = record.get("Sns") {
            self.notification(notification);
        }
    }

    /// A notification, as Lambda gets it and as it stands in a message of SQS.
    pub(super) fn notification(&mut self, notification: &Value) {
        let mut receipt = receipt(Carrier::Sns, notification, "/MessageId", "/TopicArn");
        receipt.time_unix_nano = time::of_text(text(notification, "/Timestamp"));
        self.receipt(receipt);
        if let Some(map) = object(notification, "MessageAttributes") {
            self.context(Place::Attributes, &attributes::read(map));
        }
        self.body(text(notification, "/Message"));
    }

    fn dynamodb(&mut self, record: &Value) {
        let mut receipt = receipt(Carrier::DynamoDb, record, "/eventID", "/eventSourceARN");
        receipt.region = some_text(record, "/awsRegion").or(receipt.region);
        let time = record.pointer("/dynamodb/ApproximateCreationDateTime");
        receipt.time_unix_nano = time::of_seconds(time);
        let table = receipt.resource.clone().unwrap_or_default();
        let keys = record.pointer("/dynamodb/Keys").and_then(Value::as_object);
        // What expired was written by nobody.
        let expired = text(record, "/userIdentity/principalId") == "dynamodb.amazonaws.com";
        let item = keys.filter(|_| !expired && !table.is_empty());
        let item = item.and_then(|keys| pointer::of_item(Direction::In, &table, keys));
        if let Some(item) = item {
            self.pointer(item, &receipt);
        }
        self.receipt(receipt);
    }

    fn s3(&mut self, record: &Value) {
        let id = "/responseElements/x-amz-request-id";
        let mut receipt = receipt(Carrier::S3, record, id, "/s3/bucket/arn");
        let bucket = text(record, "/s3/bucket/name");
        if !bucket.is_empty() {
            receipt.resource = Some(bucket.to_owned());
        }
        receipt.region = some_text(record, "/awsRegion");
        receipt.time_unix_nano = time::of_text(text(record, "/eventTime"));
        let etag = text(record, "/s3/object/eTag");
        if !etag.is_empty() {
            // The key is encoded as in a form: a plus sign is a space.
            let key = decode(&text(record, "/s3/object/key").replace('+', " "));
            let object = pointer::of_object(Direction::In, bucket, &key, etag);
            self.pointer(object, &receipt);
        }
        self.receipt(receipt);
    }

    /// Keeps a pointer, with time, account and region of the event that it was made of.
    pub(super) fn pointer(&mut self, pointer: Receipt, event: &Receipt) {
        self.receipt(Receipt {
            account: event.account.clone(),
            region: event.region.clone(),
            time_unix_nano: event.time_unix_nano,
            ..pointer
        });
    }

    fn kinesis(&mut self, record: &Value) {
        let mut receipt =
            receipt(Carrier::Kinesis, record, "/kinesis/sequenceNumber", "/eventSourceARN");
        receipt.region = some_text(record, "/awsRegion").or(receipt.region);
        let time = record.pointer("/kinesis/approximateArrivalTimestamp");
        receipt.time_unix_nano = time::of_seconds(time);
        self.receipt(receipt);
        self.data(record.pointer("/kinesis/data"));
    }

    fn ses(&mut self, record: &Value) {
        let id = text(record, "/ses/mail/messageId");
        let mut receipt = Receipt::new(Direction::In, Carrier::Ses, id);
        receipt.time_unix_nano = time::of_text(text(record, "/ses/mail/timestamp"));
        self.receipt(receipt);
    }

    /// Headers are `{"name": [{"key": "Name", "value": ...}]}`.
    fn cloudfront(&mut self, record: &Value) {
        let headers = record.pointer("/cf/request/headers").and_then(Value::as_object);
        let mut fields = Fields::default();
        for (name, values) in headers.into_iter().flatten() {
            for value in values.as_array().into_iter().flatten() {
                fields.push(name, text(value, "/value"));
            }
        }
        self.context(Place::Headers, &fields);
    }
}

/// A consumed message whose id and resource stand at these JSON pointers.
pub(super) fn receipt(carrier: Carrier, record: &Value, id: &str, resource: &str) -> Receipt {
    Receipt::new(Direction::In, carrier, text(record, id)).with_resource(text(record, resource))
}

fn object<'v>(value: &'v Value, member: &str) -> Option<&'v Map<String, Value>> {
    value.get(member).and_then(Value::as_object)
}
