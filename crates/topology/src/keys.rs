//! The attributes the map reads, found in one pass over a span's attributes.

use std::borrow::Cow;
use std::sync::LazyLock;

use ahash::AHashMap;
use throughline_model::{AttrValue, SpanBatch, nested_to_json};

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
}

const COUNT: usize = KEYS.len();

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
        let mut found = [u32::MAX; COUNT];
        for index in batch.span_attrs(row).rev() {
            let key = self.0[batch.attr_key(index) as usize];
            if key != 0 {
                // Backwards, so that the first of a key sent twice stays.
                found[usize::from(key) - 1] = index;
            }
        }
        Attributes { batch, found }
    }
}

/// The attributes of one span, by key.
pub(crate) struct Attributes<'a> {
    batch: &'a SpanBatch,
    found: [u32; COUNT],
}

impl<'a> Attributes<'a> {
    fn value(&self, key: Key) -> Option<AttrValue<'a>> {
        let index = self.found[key as usize];
        (index != u32::MAX).then(|| self.batch.attr_value(index))
    }

    /// The text of the first key that has one.
    pub(crate) fn text<const N: usize>(&self, keys: [Key; N]) -> Option<&'a str> {
        keys.into_iter()
            .find_map(|key| self.value(key)?.as_str().filter(|text| !text.trim().is_empty()))
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
        self.value(key) == Some(AttrValue::Bool(true))
    }
}
