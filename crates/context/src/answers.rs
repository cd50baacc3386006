//! What a call of an AWS service produced or fetched: the ids in its answer.
//!
//! In:   [`Call`]: service, operation, parameters, answer and its headers.
//! Out:  a [`Receipt`] a message that the service took or handed over; none for a failed one.
//! Rule: the API reference of each service. `PutItem` and `BatchWriteItem` of DynamoDB give none:
//!       the request does not say which attributes are the item's keys.

use serde_json::Value;

use crate::carrier::Carrier;
use crate::pointer;
use crate::receipt::{Direction, Receipt};
use crate::time;

/// The most messages of one call that are looked at. No service takes or gives more at once.
const MESSAGES_MAX: usize = 10_000;

/// The most entries of a batch that are told apart by name: SQS and SNS take ten.
const NAMED_MAX: usize = 100;

/// One call of an AWS service, as an SDK sees it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The service: `kinesis`, `SQS`, `events`, `Lambda`, in any case.
    pub service: &'a str,
    /// The operation: `PutRecords`, `putRecords` or `put_records`.
    pub operation: &'a str,
    /// The region that was called, if known; the resource's own wins.
    pub region: Option<&'a str>,
    /// The parameters, with the names of the API.
    pub request: &'a Value,
    /// The answer, with the names of the API.
    pub response: &'a Value,
    /// The headers of the answer, for the request's id where no member has it.
    pub headers: &'a [(&'a str, &'a str)],
}

/// The receipts of a call that was answered. Of an unknown service or operation there are none.
///
/// A batch keeps its places: `index` is that in the request, also where neighbours failed.
#[must_use]
pub fn receipts_of_answer(call: &Call<'_>) -> Vec<Receipt> {
    let Some(carrier) = Carrier::from_name(call.service) else { return Vec::new() };
    // An error of the service, as the wire and as boto3 has it: nothing was done.
    if call.response.get("__type").is_some() || call.response.get("Error").is_some() {
        return Vec::new();
    }
    let operation = call.operation.replace('_', "").to_ascii_lowercase();
    let out = |id: &str, resource: &[&str]| call.one(Direction::Out, carrier, id, resource);
    match (carrier, operation.as_str()) {
        (Carrier::Kinesis, "putrecord") => out("/SequenceNumber", STREAM),
        (Carrier::Kinesis, "putrecords") => {
            call.aligned(carrier, "/Records", "/SequenceNumber", STREAM)
        }
        (Carrier::Kinesis, "getrecords") => call.fetched(carrier, "/Records", STREAM, |record| {
            let time = time::of_seconds(record.get("ApproximateArrivalTimestamp"));
            (record.get("SequenceNumber"), time, None)
        }),
        (Carrier::Sqs, "sendmessage") => out("/MessageId", &["/QueueUrl"]),
        (Carrier::Sqs, "sendmessagebatch") => call.named(carrier, "/Entries", &["/QueueUrl"]),
        (Carrier::Sqs, "receivemessage") => {
            call.fetched(carrier, "/Messages", &["/QueueUrl"], |message| {
                let time = time::of_millis(message.pointer("/Attributes/SentTimestamp"));
                let count = message.pointer("/Attributes/ApproximateReceiveCount");
                (message.get("MessageId"), time, count)
            })
        }
        (Carrier::Sns, "publish") => out("/MessageId", TOPIC),
        (Carrier::Sns, "publishbatch") => call.named(carrier, "/PublishBatchRequestEntries", TOPIC),
        (Carrier::EventBridge, "putevents") => call.events(),
        (Carrier::Firehose, "putrecord") => out("/RecordId", &["/DeliveryStreamName"]),
        (Carrier::Firehose, "putrecordbatch") => {
            call.aligned(carrier, "/RequestResponses", "/RecordId", &["/DeliveryStreamName"])
        }
        (Carrier::StepFunctions, "startexecution" | "startsyncexecution") => {
            out("/executionArn", &["/stateMachineArn"])
        }
        (Carrier::Ses, "sendemail" | "sendrawemail") => out("/MessageId", &[]),
        (Carrier::Lambda, "invoke" | "invokeasync") => {
            call.receipt(Direction::Out, carrier, call.request_id(), &["/FunctionName"])
        }
        (Carrier::S3, "putobject" | "copyobject" | "completemultipartupload") => call.object(),
        (Carrier::DynamoDb, "updateitem" | "deleteitem") => call.item(),
        _ => Vec::new(),
    }
}

const STREAM: &[&str] = &["/StreamARN", "/StreamName"];
const TOPIC: &[&str] = &["/TopicArn", "/TargetArn"];

impl Call<'_> {
    /// One receipt, if there is an id.
    fn receipt(
        &self,
        direction: Direction,
        carrier: Carrier,
        id: Option<&str>,
        resource: &[&str],
    ) -> Vec<Receipt> {
        let Some(id) = id.filter(|id| !id.is_empty()) else { return Vec::new() };
        let mut receipt = Receipt::new(direction, carrier, id);
        receipt.region = self.region.map(str::to_owned);
        // A bare name that follows an ARN leaves its account and region.
        let texts = resource.iter().filter_map(|pointer| self.request.pointer(pointer)?.as_str());
        vec![texts.fold(receipt, Receipt::with_resource)]
    }

    fn one(
        &self,
        direction: Direction,
        carrier: Carrier,
        id: &str,
        resource: &[&str],
    ) -> Vec<Receipt> {
        let id = self.response.pointer(id).and_then(Value::as_str);
        self.receipt(direction, carrier, id, resource)
    }

    fn list<'v>(&self, value: &'v Value, pointer: &str) -> &'v [Value] {
        let list = value.pointer(pointer).and_then(Value::as_array);
        let list = list.map(Vec::as_slice).unwrap_or_default();
        list.get(..MESSAGES_MAX).unwrap_or(list)
    }

    /// A batch whose answer has an entry for each of the request's, in order.
    fn aligned(&self, carrier: Carrier, list: &str, id: &str, resource: &[&str]) -> Vec<Receipt> {
        let entries = self.list(self.response, list);
        let mut receipts = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let failed = entry.get("ErrorCode").is_some_and(|code| !code.is_null());
            let id = entry.pointer(id).and_then(Value::as_str).filter(|_| !failed);
            for receipt in self.receipt(Direction::Out, carrier, id, resource) {
                receipts.push(at(receipt, Some(index), entries.len()));
            }
        }
        receipts
    }

    /// A batch whose answer lists those that succeeded, by the name each has in the request.
    fn named(&self, carrier: Carrier, entries: &str, resource: &[&str]) -> Vec<Receipt> {
        let entries = self.list(self.request, entries);
        let entries = entries.get(..NAMED_MAX).unwrap_or(entries);
        let mut receipts = Vec::new();
        for success in self.list(self.response, "/Successful").iter().take(NAMED_MAX) {
            let name = success.get("Id");
            let index = entries.iter().position(|entry| name.is_some() && entry.get("Id") == name);
            let id = success.get("MessageId").and_then(Value::as_str);
            for receipt in self.receipt(Direction::Out, carrier, id, resource) {
                receipts.push(at(receipt, index, entries.len()));
            }
        }
        receipts
    }

    /// A batch that was fetched: for each message its id, its time and its count of deliveries.
    fn fetched<'v>(
        &'v self,
        carrier: Carrier,
        list: &str,
        resource: &[&str],
        read: impl Fn(&'v Value) -> (Option<&'v Value>, Option<i64>, Option<&'v Value>),
    ) -> Vec<Receipt> {
        let messages = self.list(self.response, list);
        let mut receipts = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            let (id, time_unix_nano, count) = read(message);
            let count = count.and_then(|count| match count {
                Value::String(text) => text.parse().ok(),
                count => u32::try_from(count.as_u64()?).ok(),
            });
            for receipt in
                self.receipt(Direction::In, carrier, id.and_then(Value::as_str), resource)
            {
                let receipt = at(receipt, Some(index), messages.len());
                receipts.push(Receipt { time_unix_nano, attempt: count, ..receipt });
            }
        }
        receipts
    }

    /// Each event of a batch names its own bus.
    fn events(&self) -> Vec<Receipt> {
        let entries = self.list(self.request, "/Entries");
        let mut receipts = self.aligned(Carrier::EventBridge, "/Entries", "/EventId", &[]);
        for receipt in &mut receipts {
            let index = receipt.index.and_then(|index| usize::try_from(index).ok());
            let entry = index.and_then(|index| entries.get(index));
            let bus = entry.and_then(|entry| entry.get("EventBusName")?.as_str());
            *receipt = receipt.clone().with_resource(bus.unwrap_or("default"));
        }
        receipts
    }

    /// An object that was written: the request's id, and the object's own name.
    fn object(&self) -> Vec<Receipt> {
        let bucket = &["/Bucket"];
        let mut receipts = self.receipt(Direction::Out, Carrier::S3, self.request_id(), bucket);
        let text = |value: &'_ Value, pointer: &str| {
            value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
        };
        let etag = text(self.response, "/ETag")
            .or_else(|| text(self.response, "/CopyObjectResult/ETag"))
            .or_else(|| self.header("etag").map(str::to_owned));
        let place = (text(self.request, "/Bucket"), text(self.request, "/Key"), etag);
        if let (Some(bucket), Some(key), Some(etag)) = place {
            let bucket = crate::resource::canonical(Carrier::S3, &bucket).name;
            let pointer = pointer::of_object(Direction::Out, &bucket, &key, &etag);
            receipts.push(Receipt { region: self.region.map(str::to_owned), ..pointer });
        }
        receipts
    }

    fn item(&self) -> Vec<Receipt> {
        let table = self.request.get("TableName").and_then(Value::as_str).unwrap_or_default();
        let table = crate::resource::canonical(Carrier::DynamoDb, table);
        let keys = self.request.get("Key").and_then(Value::as_object);
        let pointer = keys.and_then(|keys| pointer::of_item(Direction::Out, &table.name, keys));
        let region = table.region.or_else(|| self.region.map(str::to_owned));
        pointer
            .map(|pointer| Receipt { region, account: table.account, ..pointer })
            .into_iter()
            .collect()
    }

    /// The id that AWS gave the request, from the headers or from where SDKs put it.
    fn request_id(&self) -> Option<&str> {
        let header = ["x-amzn-requestid", "x-amz-request-id"];
        let member = ["/ResponseMetadata/RequestId", "/$metadata/requestId"];
        header
            .iter()
            .find_map(|name| self.header(name))
            .or_else(|| member.iter().find_map(|pointer| self.response.pointer(pointer)?.as_str()))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|header| header.0.eq_ignore_ascii_case(name))
            .map(|header| header.1)
    }
}

fn at(receipt: Receipt, index: Option<usize>, size: usize) -> Receipt {
    let index = index.and_then(|index| u32::try_from(index).ok());
    Receipt { index, batch_size: u32::try_from(size).ok(), ..receipt }
}
