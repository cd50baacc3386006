//! What the Lambda service and the other services know of each other, and no more.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

/// A boxed future, so that the traits below can be objects.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// When it was written, in milliseconds since the epoch.
    pub time_ms: i64,
    /// The line, with its line break if it had one.
    pub message: String,
}

/// Where functions write their logs: CloudWatch Logs here.
pub trait LogSink: Send + Sync {
    /// Appends to a stream; group and stream come into being when they are first written to.
    fn put(&self, group: &str, stream: &str, events: Vec<LogEvent>);
}

/// Where code is fetched from: S3 here.
pub trait Blobs: Send + Sync {
    /// The bytes of an object, `None` when bucket or key are unknown.
    fn get(&self, bucket: &str, key: &str) -> Option<Bytes>;
}

/// Where a shard is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// From the oldest record that is kept.
    TrimHorizon,
    /// From what is put after this is asked.
    Latest,
    /// From the first record that came at or after this time, in milliseconds since the epoch.
    AtTimestamp(i64),
    /// After the record with this sequence number: outlives a restart.
    After(String),
    /// Where the last read ended ([`Read::next`]). Ends with the process.
    Iterator(String),
}

/// One record of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamRecord {
    /// Its sequence number.
    pub sequence: String,
    /// What it carries.
    pub body: RecordBody,
}

/// What a record carries.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordBody {
    /// A Kinesis record.
    Kinesis {
        /// Decides the shard.
        partition_key: String,
        /// The bytes, in base64 as an event carries them.
        data_base64: String,
        /// When it came, in seconds since the epoch.
        arrival_s: f64,
    },
    /// A DynamoDB stream record: `eventID`, `eventName`, `dynamodb` and the rest, as GetRecords gives it.
    DynamoDb(Value),
}

/// What a read gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// In the shard's order.
    pub records: Vec<StreamRecord>,
    /// Where the next read starts; `None` when the shard is closed and read to its end.
    pub next: Option<Position>,
}

/// Why a stream could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Deleted, or never there.
    #[error("stream {0} does not exist")]
    NoSuchStream(String),
    /// The iterator is too old: start again after the last sequence number.
    #[error("the iterator has expired")]
    Expired,
    /// What the emulator said.
    #[error("{0}")]
    Other(String),
}

/// Streams that call functions: Kinesis, and DynamoDB's where a table has one. Named by ARN.
pub trait Streams: Send + Sync {
    /// The ids of the stream's shards.
    fn shards<'a>(&'a self, stream_arn: &'a str) -> Answer<'a, Result<Vec<String>, StreamError>>;

    /// At most `records_max` records from a position.
    fn read<'a>(
        &'a self,
        stream_arn: &'a str,
        shard: &'a str,
        from: Position,
        records_max: usize,
    ) -> Answer<'a, Result<Read, StreamError>>;

    /// Changes whenever a record is put anywhere: wakes a poller, which then reads.
    fn puts(&self) -> watch::Receiver<u64>;
}

/// A part of the cloud whose state survives a restart.
pub trait Kept: Send + Sync {
    /// The name of its part of the snapshot: a file name without suffix.
    fn name(&self) -> &'static str;
    /// A number that grows with every change, so that only what changed is written.
    fn changes(&self) -> u64;
    /// All it knows. Large bytes go to files of its own instead (see [`crate::config::LocalConfig::data`]).
    fn save(&self) -> Value;
    /// Takes back what [`Kept::save`] gave. Unknown or broken parts are an error that names them.
    fn load(&self, saved: Value) -> Result<(), String>;
}
