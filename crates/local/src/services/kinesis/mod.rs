//! Kinesis: an emulator behind [`Engine`], told to whoever reads its shards.
//!
//! Rule: Amazon Kinesis Data Streams API reference, 2013-12-02; JSON and CBOR.

mod ferro;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::http::{Failure, Request, Response};
use crate::place::Place;
use crate::seams::{Answer, Position, Read, RecordBody, StreamError, StreamRecord, Streams};

pub(crate) use ferro::Ferro;

/// What we need of a Kinesis emulator: ADR-0010 says why it is no more.
pub(crate) trait Engine: Send + Sync {
    /// A call as it came: JSON or CBOR, checked and answered as Kinesis does.
    fn http<'a>(&'a self, request: &'a Request) -> Answer<'a, Response>;
    /// A call of our own, without checks. `Null` is an empty answer.
    fn call<'a>(&'a self, operation: &'a str, body: Value) -> Answer<'a, Result<Value, Failure>>;
}

/// The account's streams.
pub(crate) struct Kinesis {
    engine: Box<dyn Engine>,
    place: Arc<Place>,
    puts: watch::Sender<u64>,
}

/// A record that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Put {
    /// The stream's name.
    pub stream: String,
    /// `shardId-000000000000`.
    pub shard: String,
    /// Up to 56 digits.
    pub sequence: String,
    /// Its place in the request.
    pub index: u32,
    /// How many the request had.
    pub batch_size: u32,
}

impl Kinesis {
    /// The service over an emulator.
    pub(crate) fn new(engine: Box<dyn Engine>, place: Arc<Place>) -> Self {
        Self { engine, place, puts: watch::Sender::new(0) }
    }

    /// Answers a call of `Kinesis_20131202`, and says which records it put.
    pub(crate) async fn answer(&self, operation: &str, request: &Request) -> (Response, Vec<Put>) {
        let response = self.engine.http(request).await;
        if !matches!(operation, "PutRecord" | "PutRecords") || response.status() != 200 {
            return (response, Vec::new());
        }
        self.puts.send_modify(|count| *count = count.wrapping_add(1));
        let puts = match (request.json(), serde_json::from_slice(response.body())) {
            (Ok(asked), Ok(answered)) => puts(&asked, &answered),
            // CBOR: it is stored and read all the same, and leaves no receipt.
            _ => Vec::new(),
        };
        (response, puts)
    }

    /// Creates a stream and waits until it can be used.
    pub(crate) async fn create(
        &self,
        name: &str,
        shards: u32,
        retention_hours: i64,
    ) -> Result<(), Failure> {
        let body = json!({ "StreamName": name, "ShardCount": shards });
        self.engine.call("CreateStream", body).await?;
        self.until(name, |status| status == Some("ACTIVE")).await?;
        if retention_hours > 24 {
            let body = json!({ "StreamName": name, "RetentionPeriodHours": retention_hours });
            self.engine.call("IncreaseStreamRetentionPeriod", body).await?;
        }
        Ok(())
    }

    /// Deletes a stream and waits until it is gone.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), Failure> {
        let body = json!({ "StreamName": name, "EnforceConsumerDeletion": true });
        self.engine.call("DeleteStream", body).await?;
        self.until(name, |status| status.is_none()).await
    }

    /// Changes the number of open shards or the retention of a stream.
    pub(crate) async fn update(
        &self,
        name: &str,
        shards: u32,
        retention_hours: i64,
    ) -> Result<(), Failure> {
        let body = json!({ "StreamName": name });
        let summary = self.engine.call("DescribeStreamSummary", body).await?;
        let summary = summary.get("StreamDescriptionSummary").cloned().unwrap_or_default();
        let number = |field: &str| summary.get(field).and_then(Value::as_i64).unwrap_or(0);
        if number("OpenShardCount") != i64::from(shards) {
            let body = json!({
                "StreamName": name, "TargetShardCount": shards, "ScalingType": "UNIFORM_SCALING",
            });
            self.engine.call("UpdateShardCount", body).await?;
            self.until(name, |status| status == Some("ACTIVE")).await?;
        }
        let operation = match retention_hours.cmp(&number("RetentionPeriodHours")) {
            std::cmp::Ordering::Equal => return Ok(()),
            std::cmp::Ordering::Less => "DecreaseStreamRetentionPeriod",
            std::cmp::Ordering::Greater => "IncreaseStreamRetentionPeriod",
        };
        let body = json!({ "StreamName": name, "RetentionPeriodHours": retention_hours });
        self.engine.call(operation, body).await.map(|_| ())
    }

    /// `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`.
    pub(crate) fn arn(&self, name: &str) -> String {
        self.place.arn("kinesis", &format!("stream/{name}"))
    }

    /// Asks every few milliseconds, for ten seconds at most.
    async fn until(
        &self,
        name: &str,
        reached: impl Fn(Option<&str>) -> bool,
    ) -> Result<(), Failure> {
        let mut pause = std::time::Duration::from_millis(2);
        for _ in 0..60 {
            let body = json!({ "StreamName": name });
            let summary = self.engine.call("DescribeStreamSummary", body).await;
            let status = match &summary {
                Ok(summary) => summary
                    .pointer("/StreamDescriptionSummary/StreamStatus")
                    .and_then(Value::as_str),
                Err(failure) if failure.code.contains("ResourceNotFound") => None,
                Err(failure) => return Err(failure.clone()),
            };
            if reached(status) {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(std::time::Duration::from_millis(200));
        }
        Err(Failure::new(500, "InternalFailure", format!("stream {name} does not settle")))
    }
}

/// The records that a PutRecord or PutRecords took.
fn puts(asked: &Value, answered: &Value) -> Vec<Put> {
    let text = |value: &Value, field: &str| {
        value.get(field).and_then(Value::as_str).unwrap_or("").to_owned()
    };
    let mut stream = text(asked, "StreamName");
    if stream.is_empty() {
        let arn = text(asked, "StreamARN");
        stream = arn.rsplit('/').next().unwrap_or("").to_owned();
    }
    let one = std::slice::from_ref(answered);
    let records = answered.get("Records").and_then(Value::as_array).map_or(one, Vec::as_slice);
    let batch_size = u32::try_from(records.len()).unwrap_or(u32::MAX);
    let taken = (0u32..).zip(records).filter(|(_, record)| record.get("SequenceNumber").is_some());
    taken
        .map(|(index, record)| Put {
            stream: stream.clone(),
            shard: text(record, "ShardId"),
            sequence: text(record, "SequenceNumber"),
            index,
            batch_size,
        })
        .collect()
}

impl Streams for Kinesis {
    fn shards<'a>(&'a self, stream_arn: &'a str) -> Answer<'a, Result<Vec<String>, StreamError>> {
        Box::pin(async move {
            let body = json!({ "StreamName": name_of(stream_arn) });
            let answer = self.engine.call("ListShards", body).await;
            let answer = answer.map_err(|failure| stream_error(stream_arn, &failure))?;
            let shards = answer.get("Shards").and_then(Value::as_array).into_iter().flatten();
            Ok(shards
                .filter_map(|shard| Some(shard.get("ShardId")?.as_str()?.to_owned()))
                .collect())
        })
    }

    fn read<'a>(
        &'a self,
        stream_arn: &'a str,
        shard: &'a str,
        from: Position,
        records_max: usize,
    ) -> Answer<'a, Result<Read, StreamError>> {
        Box::pin(async move {
            let failed = |failure: Failure| stream_error(stream_arn, &failure);
            let iterator = match from {
                Position::Iterator(iterator) => iterator,
                position => {
                    let body = iterator_request(name_of(stream_arn), shard, &position);
                    let answer =
                        self.engine.call("GetShardIterator", body).await.map_err(failed)?;
                    let iterator = answer.get("ShardIterator").and_then(Value::as_str);
                    iterator.unwrap_or_default().to_owned()
                }
            };
            let body = json!({ "ShardIterator": iterator, "Limit": records_max.clamp(1, 10_000) });
            let answer = self.engine.call("GetRecords", body).await.map_err(failed)?;
            let records = answer.get("Records").and_then(Value::as_array).into_iter().flatten();
            let records = records.map(record).collect();
            let next = answer.get("NextShardIterator").and_then(Value::as_str);
            Ok(Read { records, next: next.map(|next| Position::Iterator(next.to_owned())) })
        })
    }

    fn puts(&self) -> watch::Receiver<u64> {
        self.puts.subscribe()
    }
}

fn name_of(stream_arn: &str) -> &str {
    stream_arn.rsplit('/').next().unwrap_or(stream_arn)
}

fn iterator_request(stream: &str, shard: &str, position: &Position) -> Value {
    match position {
        Position::TrimHorizon | Position::Iterator(_) => {
            json!({ "StreamName": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" })
        }
        Position::Latest => {
            json!({ "StreamName": stream, "ShardId": shard, "ShardIteratorType": "LATEST" })
        }
        Position::AtTimestamp(time_ms) => json!({
            "StreamName": stream, "ShardId": shard, "ShardIteratorType": "AT_TIMESTAMP",
            "Timestamp": *time_ms as f64 / 1000.0,
        }),
        Position::After(sequence) => json!({
            "StreamName": stream, "ShardId": shard, "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
            "StartingSequenceNumber": sequence,
        }),
    }
}

fn record(record: &Value) -> StreamRecord {
    let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
    StreamRecord {
        sequence: text("SequenceNumber"),
        body: RecordBody::Kinesis {
            partition_key: text("PartitionKey"),
            data_base64: text("Data"),
            arrival_s: record
                .get("ApproximateArrivalTimestamp")
                .and_then(Value::as_f64)
                .unwrap_or(0.0),
        },
    }
}

fn stream_error(stream_arn: &str, failure: &Failure) -> StreamError {
    if failure.code.contains("ExpiredIterator") {
        StreamError::Expired
    } else if failure.code.contains("ResourceNotFound") {
        StreamError::NoSuchStream(stream_arn.to_owned())
    } else {
        StreamError::Other(failure.message.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinesis() -> Kinesis {
        let place = Arc::new(Place::new("us-east-1", "000000000000"));
        Kinesis::new(Box::new(Ferro::open(&place, None)), place)
    }

    async fn put(kinesis: &Kinesis, data: &str) -> String {
        let body = json!({ "StreamName": "s", "PartitionKey": "p", "Data": data });
        let answer = kinesis.engine.call("PutRecord", body).await.unwrap();
        answer["SequenceNumber"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_shard_is_read_on_from_where_the_last_read_ended() {
        let kinesis = kinesis();
        kinesis.create("s", 1, 24).await.unwrap();
        let arn = kinesis.arn("s");
        let shards = kinesis.shards(&arn).await.unwrap();
        assert_eq!(shards, ["shardId-000000000000"]);
        let latest = kinesis.read(&arn, &shards[0], Position::Latest, 10).await.unwrap();
        assert!(latest.records.is_empty());
        let first = put(&kinesis, "YQ==").await;
        let second = put(&kinesis, "Yg==").await;
        assert_eq!(first.len(), 56, "{first}");
        let read = kinesis.read(&arn, &shards[0], latest.next.unwrap(), 10).await.unwrap();
        assert_eq!(read.records.len(), 2);
        let after = kinesis.read(&arn, &shards[0], Position::After(first), 10).await.unwrap();
        assert_eq!(after.records[0].sequence, second);
        let RecordBody::Kinesis { data_base64, arrival_s, .. } = &after.records[0].body else {
            panic!()
        };
        assert_eq!(data_base64, "Yg==");
        assert!(*arrival_s > 1.0e9);
        kinesis.delete("s").await.unwrap();
        let gone = kinesis.read(&arn, &shards[0], Position::TrimHorizon, 1).await;
        assert!(matches!(gone, Err(StreamError::NoSuchStream(_))), "{gone:?}");
    }

    #[test]
    fn what_was_put_is_known_by_its_sequence_number() {
        let asked = json!({ "StreamARN": "arn:aws:kinesis:us-east-1:0:stream/s" });
        let answered = json!({ "Records": [{ "SequenceNumber": "49", "ShardId": "a" }, { "ErrorCode": "x" }] });
        let puts = puts(&asked, &answered);
        assert_eq!(puts.len(), 1);
        assert_eq!(
            (puts[0].stream.as_str(), puts[0].sequence.as_str(), puts[0].batch_size),
            ("s", "49", 2)
        );
    }
}
