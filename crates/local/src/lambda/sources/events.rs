//! Batches of stream records as events, and what a function says of a batch.
//!
//! Rule: AWS Lambda developer guide, "Using AWS Lambda with Amazon Kinesis" and "... with Amazon DynamoDB": the sample
//!       events, and "Reporting batch item failures".

use serde_json::{Map, Value, json};

use super::super::receipts::{Direction, Receipt};
use crate::seams::{RecordBody, StreamRecord};

/// Where a batch comes from.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) stream_arn: &'a str,
    pub(crate) shard: &'a str,
    pub(crate) region: &'a str,
    /// The function's role.
    pub(crate) role: &'a str,
}

/// The event of a batch.
pub(crate) fn event(source: &Source<'_>, records: &[StreamRecord]) -> Value {
    let records: Vec<Value> = records.iter().map(|record| one(source, record)).collect();
    json!({ "Records": records })
}

fn one(source: &Source<'_>, record: &StreamRecord) -> Value {
    match &record.body {
        RecordBody::Kinesis { partition_key, data_base64, arrival_s } => json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": partition_key,
                "sequenceNumber": record.sequence,
                "data": data_base64,
                "approximateArrivalTimestamp": arrival_s,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("{}:{}", source.shard, record.sequence),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": source.role,
            "awsRegion": source.region,
            "eventSourceARN": source.stream_arn,
        }),
        RecordBody::DynamoDb(body) => {
            let mut record: Map<String, Value> = body.as_object().cloned().unwrap_or_default();
            let mut set = |key: &str, value: Value| {
                record.entry(key.to_owned()).or_insert(value);
            };
            set("eventSource", json!("aws:dynamodb"));
            set("eventVersion", json!("1.1"));
            set("awsRegion", json!(source.region));
            set("eventSourceARN", json!(source.stream_arn));
            Value::Object(record)
        }
    }
}

/// When a record came, in nanoseconds since the epoch; `None` when it does not say.
pub(crate) fn arrival_unix_nano(record: &StreamRecord) -> Option<i64> {
    let seconds = match &record.body {
        RecordBody::Kinesis { arrival_s, .. } => *arrival_s,
        RecordBody::DynamoDb(body) => {
            body.pointer("/dynamodb/ApproximateCreationDateTime")?.as_f64()?
        }
    };
    // Milliseconds are what the carrier knows; more digits would be made up.
    Some(((seconds * 1000.0).round() as i64).saturating_mul(1_000_000))
}

/// That the records were handed to a call.
pub(crate) fn receipts(
    source: &Source<'_>,
    records: &[StreamRecord],
    function: &str,
    request_id: &str,
) -> Vec<Receipt> {
    let is_kinesis = source.stream_arn.contains(":kinesis:");
    let batch_size = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let receipt = |(index, record): (u32, &StreamRecord)| Receipt {
        trace_id: None,
        span_id: None,
        function_request_id: Some(request_id.to_owned()),
        function_name: Some(function.to_owned()),
        direction: Direction::In,
        carrier: if is_kinesis { "kinesis" } else { "dynamodb" },
        region: source.region.to_owned(),
        resource: resource(source.stream_arn).to_owned(),
        id: record.sequence.clone(),
        index: Some(index),
        batch_size: Some(batch_size),
        time_unix_nano: arrival_unix_nano(record).unwrap_or_default(),
    };
    (0..).zip(records).map(receipt).collect()
}

/// The stream's name, or the table's.
fn resource(arn: &str) -> &str {
    let path = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    path.split('/').nth(1).unwrap_or(path)
}

/// How many records from the start are done, by `batchItemFailures`. `None`: the answer says nothing usable, and
/// then the whole batch has failed; all of them: it says that none failed.
pub(crate) fn done_by_answer(answer: &[u8], records: &[StreamRecord]) -> Option<usize> {
    let answer: Value = match answer {
        b"" | b"null" => return Some(records.len()),
        text => serde_json::from_slice(text).ok()?,
    };
    let failures = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Some(records.len()),
        Some(Value::Array(failures)) => failures,
        Some(_) => return None,
    };
    let mut done = records.len();
    for failure in failures {
        let id =
            failure.get("itemIdentifier").and_then(Value::as_str).filter(|id| !id.is_empty())?;
        done = done.min(records.iter().position(|record| record.sequence == id)?);
    }
    Some(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/lab-eventStream";

    fn record(sequence: &str) -> StreamRecord {
        StreamRecord {
            sequence: sequence.to_owned(),
            body: RecordBody::Kinesis {
                partition_key: "d929ccbc-0dfc-47f0-8475-d3fd4eebfaf7".to_owned(),
                data_base64: "eyJuYW1lIjoiQWRhIiwic3VwZXJwb3dlciI6ImZsaWdodCJ9".to_owned(),
                arrival_s: 1_795_248_014.392,
            },
        }
    }

    fn source() -> Source<'static> {
        Source {
            stream_arn: STREAM,
            shard: "shardId-000000000000",
            region: "us-east-1",
            role: "arn:aws:iam::000000000000:role/lambda-role",
        }
    }

    #[test]
    fn a_kinesis_record_is_as_the_recording_has_it() {
        let expected = json!({ "Records": [{
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "d929ccbc-0dfc-47f0-8475-d3fd4eebfaf7",
                "sequenceNumber": "000000017952480143920000000010",
                "data": "eyJuYW1lIjoiQWRhIiwic3VwZXJwb3dlciI6ImZsaWdodCJ9",
                "approximateArrivalTimestamp": 1795248014.392
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": "shardId-000000000000:000000017952480143920000000010",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/lambda-role",
            "awsRegion": "us-east-1",
            "eventSourceARN": STREAM
        }] });
        assert_eq!(event(&source(), &[record("000000017952480143920000000010")]), expected);
    }

    #[test]
    fn every_record_leaves_a_receipt() {
        let receipts = receipts(&source(), &[record("1"), record("2")], "consumer", "r-1");
        assert_eq!(receipts.len(), 2);
        assert_eq!(receipts[1].id, "2");
        assert_eq!((receipts[1].index, receipts[1].batch_size), (Some(1), Some(2)));
        assert_eq!(receipts[1].resource, "lab-eventStream");
        assert_eq!(receipts[1].time_unix_nano, 1_795_248_014_392_000_000);
        let table =
            "arn:aws:dynamodb:us-east-1:000000000000:table/Signups/stream/2026-11-21T00:00:00.000";
        assert_eq!(resource(table), "Signups");
    }

    #[test]
    fn an_answer_may_say_where_to_go_on() {
        let records = [record("1"), record("2"), record("3")];
        let check = |answer: &str, expected: Option<usize>| {
            assert_eq!(done_by_answer(answer.as_bytes(), &records), expected, "{answer}");
        };
        check("null", Some(3));
        check("{}", Some(3));
        check(r#"{"batchItemFailures":[]}"#, Some(3));
        check(r#"{"batchItemFailures":[{"itemIdentifier":"3"},{"itemIdentifier":"2"}]}"#, Some(1));
        check(r#"{"batchItemFailures":[{"itemIdentifier":"9"}]}"#, None);
        check(r#"{"batchItemFailures":[{}]}"#, None);
        check("\u{1}", None);
    }
}
