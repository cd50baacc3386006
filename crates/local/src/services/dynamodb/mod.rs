//! DynamoDB: an emulator behind [`Engine`], its streams told to whoever reads them.
//!
//! Rule: Amazon DynamoDB API reference, 2012-08-10, and DynamoDB Streams.

mod dynoxide;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::http::{Failure, Protocol, Request, Response, response, set_header};
use crate::place::Place;
use crate::seams::{Answer, Position, Read, RecordBody, StreamError, StreamRecord, Streams};

pub(crate) use self::dynoxide::Dynoxide;

/// What we need of a DynamoDB emulator: ADR-0010 says why it is no more.
pub(crate) trait Engine: Send + Sync {
    /// One operation, both sides as JSON text. Blocks; an error is a status and a JSON text.
    fn call(&self, operation: &str, body: &str) -> Result<String, (u16, String)>;
}

/// The account's tables.
pub(crate) struct DynamoDb {
    engine: Arc<dyn Engine>,
    place: Arc<Place>,
    puts: watch::Sender<u64>,
}

impl DynamoDb {
    /// The service over an emulator.
    pub(crate) fn new(engine: Arc<dyn Engine>, place: Arc<Place>) -> Self {
        Self { engine, place, puts: watch::Sender::new(0) }
    }

    /// Answers a call of `DynamoDB_20120810` or `DynamoDBStreams_20120810`.
    pub(crate) async fn answer(&self, operation: &str, request: &Request) -> Response {
        let Ok(body) = String::from_utf8(request.body.to_vec()) else {
            let failure = Failure::new(400, "SerializationException", "body is not UTF-8");
            return Protocol::Json10.failure(&failure, &request.request_id);
        };
        let (status, body) = match self.raw(operation, body).await {
            Ok(body) => (200, body),
            Err(refused) => refused,
        };
        // SDKs check the sum where it is sent (DynamoDB low-level API, "x-amz-crc32").
        let mut crc = flate2::Crc::new();
        crc.update(body.as_bytes());
        let mut answer = response(status, Protocol::Json10.content_type(), body);
        set_header(&mut answer, "x-amz-crc32", &crc.sum().to_string());
        answer
    }

    /// A call of our own.
    pub(crate) async fn call(&self, operation: &str, body: Value) -> Result<Value, Failure> {
        match self.raw(operation, body.to_string()).await {
            Ok(answer) => serde_json::from_str(&answer)
                .map_err(|err| Failure::new(500, "InternalServerError", err.to_string())),
            Err((status, text)) => {
                let error: Value = serde_json::from_str(&text).unwrap_or_default();
                let code =
                    error.get("__type").and_then(Value::as_str).unwrap_or("InternalServerError");
                let code = code.rsplit('#').next().unwrap_or(code);
                let message = error.get("message").or_else(|| error.get("Message"));
                let message = message.and_then(Value::as_str).unwrap_or_default();
                Err(Failure::new(status, code, message))
            }
        }
    }

    async fn raw(&self, operation: &str, body: String) -> Result<String, (u16, String)> {
        let (engine, name) = (Arc::clone(&self.engine), operation.to_owned());
        let body = self.inward(body);
        let done = tokio::task::spawn_blocking(move || engine.call(&name, &body)).await;
        let answer = done.unwrap_or_else(|_| {
            Err((
                500,
                json!({ "__type": "InternalServerError", "message": "the emulator failed" })
                    .to_string(),
            ))
        });
        let writes =
            ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"];
        if answer.is_ok() && writes.contains(&operation) {
            self.puts.send_modify(|count| *count = count.wrapping_add(1));
        }
        match answer {
            Ok(text) => Ok(self.outward(text)),
            Err((status, text)) => Err((status, self.outward(text))),
        }
    }

    /// The emulator has a region of its own in every ARN.
    fn inward(&self, text: String) -> String {
        let ours = self.place.arn("dynamodb", "");
        if text.contains(&ours) { text.replace(&ours, dynoxide::ARN_PREFIX) } else { text }
    }

    fn outward(&self, text: String) -> String {
        if !text.contains(dynoxide::REGION) {
            return text;
        }
        let text = text.replace(dynoxide::ARN_PREFIX, &self.place.arn("dynamodb", ""));
        let theirs = format!("\"awsRegion\":\"{}\"", dynoxide::REGION);
        text.replace(&theirs, &format!("\"awsRegion\":\"{}\"", self.place.region))
    }
}

impl Streams for DynamoDb {
    fn shards<'a>(&'a self, stream_arn: &'a str) -> Answer<'a, Result<Vec<String>, StreamError>> {
        Box::pin(async move {
            let answer = self.call("DescribeStream", json!({ "StreamArn": stream_arn })).await;
            let answer = answer.map_err(|failure| stream_error(stream_arn, &failure))?;
            let shards = answer.pointer("/StreamDescription/Shards").and_then(Value::as_array);
            let ids =
                shards.into_iter().flatten().filter_map(|shard| shard.get("ShardId")?.as_str());
            Ok(ids.map(str::to_owned).collect())
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
            let mut body = json!({ "StreamArn": stream_arn, "ShardId": shard });
            let kind = match &from {
                Position::Latest => "LATEST",
                Position::After(_) => "AFTER_SEQUENCE_NUMBER",
                // A table's stream cannot be entered at a time (EventSourceMapping, StartingPosition).
                Position::TrimHorizon | Position::AtTimestamp(_) | Position::Iterator(_) => {
                    "TRIM_HORIZON"
                }
            };
            if let Some(body) = body.as_object_mut() {
                body.insert("ShardIteratorType".to_owned(), kind.into());
                if let Position::After(sequence) = &from {
                    body.insert("SequenceNumber".to_owned(), sequence.as_str().into());
                }
            }
            let iterator = match from {
                Position::Iterator(iterator) => iterator,
                _ => {
                    let answer = self.call("GetShardIterator", body).await.map_err(failed)?;
                    let iterator = answer.get("ShardIterator").and_then(Value::as_str);
                    iterator.unwrap_or_default().to_owned()
                }
            };
            let body = json!({ "ShardIterator": iterator, "Limit": records_max.clamp(1, 1_000) });
            let answer = self.call("GetRecords", body).await.map_err(failed)?;
            let records = answer.get("Records").and_then(Value::as_array).into_iter().flatten();
            let records = records.map(|record| StreamRecord {
                sequence: record
                    .pointer("/dynamodb/SequenceNumber")
                    .and_then(Value::as_str)
                    .unwrap_or("")
                    .to_owned(),
                body: RecordBody::DynamoDb(record.clone()),
            });
            let next = answer.get("NextShardIterator").and_then(Value::as_str);
            Ok(Read {
                records: records.collect(),
                next: next.map(|next| Position::Iterator(next.to_owned())),
            })
        })
    }

    fn puts(&self) -> watch::Receiver<u64> {
        self.puts.subscribe()
    }
}

fn stream_error(stream_arn: &str, failure: &Failure) -> StreamError {
    match failure.code.as_str() {
        "ExpiredIteratorException" => StreamError::Expired,
        "ResourceNotFoundException" => StreamError::NoSuchStream(stream_arn.to_owned()),
        _ => StreamError::Other(failure.message.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dynamodb() -> DynamoDb {
        let place = Arc::new(Place::new("eu-west-1", "123456789012"));
        DynamoDb::new(Arc::new(Dynoxide::open(None).unwrap()), place)
    }

    async fn with_table(stream: bool) -> (DynamoDb, Value) {
        let dynamodb = dynamodb();
        let table = json!({
            "TableName": "signups", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "email", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "email", "KeyType": "HASH" }],
            "StreamSpecification": { "StreamEnabled": stream, "StreamViewType": "NEW_IMAGE" },
        });
        let mut table = table;
        if !stream {
            table.as_object_mut().unwrap().remove("StreamSpecification");
        }
        let answer = dynamodb.call("CreateTable", table).await.unwrap();
        (dynamodb, answer)
    }

    #[tokio::test]
    async fn the_same_key_twice_fails_its_condition() {
        let (dynamodb, table) = with_table(false).await;
        assert_eq!(
            table["TableDescription"]["TableArn"],
            "arn:aws:dynamodb:eu-west-1:123456789012:table/signups"
        );
        let put = json!({
            "TableName": "signups", "Item": { "email": { "S": "ada@x.io" } },
            "ConditionExpression": "attribute_not_exists(email)",
        });
        dynamodb.call("PutItem", put.clone()).await.unwrap();
        let failure = dynamodb.call("PutItem", put).await.unwrap_err();
        assert_eq!(
            (failure.status, failure.code.as_str()),
            (400, "ConditionalCheckFailedException")
        );
        assert_eq!(failure.message, "The conditional request failed");
        let bad = dynamodb.call("Nonsense", json!({})).await.unwrap_err();
        assert_eq!(bad.code, "UnknownOperationException");
    }

    #[tokio::test]
    async fn a_tables_stream_is_read_by_its_arn() {
        let (dynamodb, table) = with_table(true).await;
        let arn = table["TableDescription"]["LatestStreamArn"].as_str().unwrap().to_owned();
        assert!(
            arn.starts_with("arn:aws:dynamodb:eu-west-1:123456789012:table/signups/stream/"),
            "{arn}"
        );
        let put = json!({ "TableName": "signups", "Item": { "email": { "S": "a" } } });
        dynamodb.call("PutItem", put).await.unwrap();
        let shards = dynamodb.shards(&arn).await.unwrap();
        let read = dynamodb.read(&arn, &shards[0], Position::TrimHorizon, 10).await.unwrap();
        assert_eq!(read.records.len(), 1);
        let RecordBody::DynamoDb(record) = &read.records[0].body else { panic!() };
        assert_eq!(record["eventName"], "INSERT");
        assert_eq!(record["awsRegion"], "eu-west-1");
    }
}
