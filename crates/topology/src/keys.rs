//! The attributes the map reads, found in one pass over a span's attributes.

use std::borrow::Cow;
use std::sync::LazyLock;

use ahash::AHashMap;
use throughline_model::{AttrValue, SpanBatch, nested_to_json};

use crate::xray::Outcome;

macro_rules! keys {
    ($($name:ident = $text:literal,)*) => {
        /// An attribute that names a peer.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Key { $($name,)* }

        const KEYS: &[(&str, Key)] = &[$(($text, Key::$name),)*];
    };
}

// Rule: OpenTelemetry semantic conventions 1.37 and the older names that senders still use.
keys! {
    ServicePeerName = "service.peer.name",
    PeerService = "peer.service",
    RpcSystem = "rpc.system",
    RpcSystemName = "rpc.system.name",
    RpcService = "rpc.service",
    RpcMethod = "rpc.method",
    AwsSqsQueueUrl = "aws.sqs.queue.url",
    AwsSqsQueueUrlOld = "aws.sqs.queue_url",
    AwsQueueUrl = "aws.queue_url",
    AwsQueueUrlDotted = "aws.queue.url",
    AwsQueueName = "aws.queue_name",
    AwsSnsTopicArn = "aws.sns.topic.arn",
    AwsSnsTopicArnOld = "aws.sns.topic_arn",
    AwsKinesisStreamName = "aws.kinesis.stream_name",
    AwsKinesisStreamNameDotted = "aws.kinesis.stream.name",
    AwsStreamName = "aws.stream_name",
    AwsS3Bucket = "aws.s3.bucket",
    AwsBucketName = "aws.bucket.name",
    AwsDynamodbTableNames = "aws.dynamodb.table_names",
    AwsTableName = "aws.table_name",
    AwsSfnStateMachineArn = "aws.step_functions.state_machine.arn",
    AwsSfnStateMachineArnOld = "aws.stepfunctions.state_machine.arn",
    AwsEventBusName = "aws.eventbridge.event_bus.name",
    FaasInvokedName = "faas.invoked_name",
    FaasInvokedProvider = "faas.invoked_provider",
    MessagingSystem = "messaging.system",
    MessagingDestinationTemplate = "messaging.destination.template",
    MessagingDestinationName = "messaging.destination.name",
    MessagingDestination = "messaging.destination",
    MessagingDestinationKind = "messaging.destination_kind",
    MessagingDestinationTemporary = "messaging.destination.temporary",
    MessagingDestinationAnonymous = "messaging.destination.anonymous",
    MessagingOperationType = "messaging.operation.type",
    MessagingOperation = "messaging.operation",
    DbSystemName = "db.system.name",
    DbSystem = "db.system",
    DbNamespace = "db.namespace",
    DbName = "db.name",
    ServerAddress = "server.address",
    ServerPort = "server.port",
    UrlFull = "url.full",
    HttpUrl = "http.url",
    HttpHost = "http.host",
    NetPeerName = "net.peer.name",
    NetPeerPort = "net.peer.port",
    NetworkPeerAddress = "network.peer.address",
    NetworkPeerPort = "network.peer.port",
    NetSockPeerAddr = "net.sock.peer.addr",
    AwsTopicArn = "aws.topic_arn",
    AwsBucketNameUnderscored = "aws.bucket_name",
    AwsTableNames = "aws.table_names",
    AwsFunctionName = "aws.function_name",
    AwsStateMachineArn = "aws.state_machine_arn",
    HttpStatus = "http.response.status_code",
    HttpStatusOld = "http.status_code",
    XrayFault = "xray.fault",
    XrayError = "xray.error",
    XrayThrottle = "xray.throttle",
}

const COUNT: usize = KEYS.len();

// One bit each says which of them a span has.
const _: () = assert!(COUNT <= 64);

static NUMBERS: LazyLock<AHashMap<&str, u8>> =
    LazyLock::new(|| KEYS.iter().map(|(text, key)| (*text, *key as u8 + 1)).collect());

/// Which strings of a batch are keys we read: key number plus one by string number, else 0.
pub(crate) struct BatchKeys(Vec<u8>);

impl BatchKeys {
    pub(crate) fn of(batch: &SpanBatch) -> Self {
        let number = |n| NUMBERS.get(batch.string(n)).copied().unwrap_or(0);
        Self((0..batch.string_count() as u32).map(number).collect())
    }

    /// The attributes of a span that we read.
    pub(crate) fn attributes<'a>(&self, batch: &'a SpanBatch, row: usize) -> Attributes<'a> {
        let mut found = Attributes { batch, present: 0, places: [0; COUNT] };
        for index in batch.span_attrs(row).rev() {
            let key = self.0[batch.attr_key(index) as usize];
            if key != 0 {
                // Backwards, so that the first of a key sent twice stays.
                found.present |= 1 << (key - 1);
                found.places[usize::from(key) - 1] = index;
            }
        }
        found
    }
}

/// A bit for each of some keys.
pub(crate) const fn mask(keys: &[Key]) -> u64 {
    let (mut bits, mut at) = (0, 0);
    while at < keys.len() {
        bits |= 1 << keys[at] as u8;
        at += 1;
    }
    bits
}

/// The attributes of one span, by key.
pub(crate) struct Attributes<'a> {
    batch: &'a SpanBatch,
    /// A bit for each key that the span has.
    present: u64,
    /// Where its value is.
    places: [u32; COUNT],
}

impl<'a> Attributes<'a> {
    fn value(&self, key: Key) -> Option<AttrValue<'a>> {
        self.has(key).then(|| self.batch.attr_value(self.places[key as usize]))
    }

    /// Whether it has any of some keys, given as [`mask`].
    pub(crate) fn has_any(&self, mask: u64) -> bool {
        self.present & mask != 0
    }

    fn has(&self, key: Key) -> bool {
        self.present >> key as u8 & 1 == 1
    }

    /// Whether it has any of the attributes that we read.
    pub(crate) fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// How the span ended: by its own flags if it came from X-Ray, else by its HTTP status, else
    /// by whether it failed.
    ///
    /// **Rule:** X-Ray segment documents, `error`, `throttle`, `fault`; the collector's X-Ray
    /// exporter, where the HTTP status comes before the span's.
    pub(crate) fn outcome(&self, failed: bool) -> Outcome {
        if self.is_true(Key::XrayFault) {
            return Outcome::Fault;
        }
        if self.is_true(Key::XrayThrottle) {
            return Outcome::Throttle;
        }
        if self.is_true(Key::XrayError) {
            return Outcome::Error;
        }
        match self.number([Key::HttpStatus, Key::HttpStatusOld]) {
            Some(429) => Outcome::Throttle,
            Some(400..500) => Outcome::Error,
            Some(500..600) => Outcome::Fault,
            _ if failed => Outcome::Fault,
            _ => Outcome::Ok,
        }
    }

    /// The text of the first key that has one.
    pub(crate) fn text<const N: usize>(&self, keys: [Key; N]) -> Option<&'a str> {
        let text = |key| self.value(key)?.as_str().filter(|text| !text.trim().is_empty());
        keys.into_iter().filter(|key| self.has(*key)).find_map(text)
    }

    /// A text, or the first text of a list.
    pub(crate) fn first_text(&self, key: Key) -> Option<Cow<'a, str>> {
        match self.value(key)? {
            AttrValue::Str(text) => Some(Cow::Borrowed(text)),
            list @ AttrValue::Array(_) => {
                let list = nested_to_json(list)?;
                Some(Cow::Owned(list.as_array()?.first()?.as_str()?.to_owned()))
            }
            _ => None,
        }
        .filter(|text| !text.is_empty())
    }

    /// A whole number, also when it was sent as text.
    pub(crate) fn number<const N: usize>(&self, keys: [Key; N]) -> Option<i64> {
        keys.into_iter().find_map(|key| match self.value(key)? {
            AttrValue::Int(number) => Some(number),
            AttrValue::Str(text) => text.parse().ok(),
            _ => None,
        })
    }

    pub(crate) fn is_true(&self, key: Key) -> bool {
        self.has(key) && self.value(key) == Some(AttrValue::Bool(true))
    }
}
