//! Who is on the other side of a span that has no partner: read from its attributes.
//!
//! Order of precedence, first hit: `service.peer.name`, `peer.service`, the AWS resource, the
//! messaging destination, the database, the RPC service, the server's address, the host of the
//! URL, the peer's address. A message's destination comes even before `peer.service`, for a queue
//! stands between two services and is neither. Rule: design of the service map, "precedence".

use std::borrow::Cow;

use throughline_model::SpanKind;

use crate::NodeKind;
use crate::host::{host_name, host_of_url};
use crate::keys::Key as K;
use crate::keys::{Attributes, mask};

/// A node that a span names.
#[derive(Debug, PartialEq)]
pub(crate) struct Peer<'a> {
    pub(crate) kind: NodeKind,
    pub(crate) name: Cow<'a, str>,
    /// The product, empty when unknown.
    pub(crate) system: Cow<'a, str>,
    /// The span hands a message over and does not wait for whoever takes it.
    pub(crate) sends: bool,
    /// The name is that of a queue, topic or stream, which stays on the map between two services.
    pub(crate) is_destination: bool,
}

/// The peer that a span names, if it names one.
pub(crate) fn peer_of<'a>(kind: SpanKind, attributes: &Attributes<'a>) -> Option<Peer<'a>> {
    if attributes.is_empty() {
        return None;
    }
    let mut peer = resource_peer(attributes);
    if kind == SpanKind::Producer {
        let peer = peer.get_or_insert_with(|| Peer::new(NodeKind::Queue, "", ""));
        peer.sends = true;
        if peer.kind == NodeKind::External {
            peer.kind = NodeKind::Queue;
        }
    }
    let named = attributes.text([K::ServicePeerName, K::PeerService]);
    match (&mut peer, named) {
        (Some(peer), Some(_)) if peer.is_destination => {}
        (Some(peer), Some(name)) => peer.name = Cow::Borrowed(name),
        (None, Some(name)) => peer = Some(Peer::new(NodeKind::External, name, "")),
        (_, None) => {}
    }
    peer.filter(|peer| !peer.name.is_empty())
}

impl<'a> Peer<'a> {
    fn new(kind: NodeKind, name: impl Into<Cow<'a, str>>, system: impl Into<Cow<'a, str>>) -> Self {
        let (name, system) = (name.into(), system.into());
        Self { kind, name, system, sends: false, is_destination: false }
    }

    fn destination(kind: NodeKind, name: impl Into<Cow<'a, str>>, system: &'a str) -> Self {
        Self { is_destination: true, ..Self::new(kind, name, system) }
    }
}

fn resource_peer<'a>(attributes: &Attributes<'a>) -> Option<Peer<'a>> {
    // Most spans have the keys of one or two kinds: asking for a whole kind at once is cheap.
    let when = |mask, peer: fn(&Attributes<'a>) -> Option<Peer<'a>>| {
        if attributes.has_any(mask) { peer(attributes) } else { None }
    };
    when(AWS_RESOURCE, aws_resource)
        .or_else(|| when(MESSAGING, messaging))
        .or_else(|| when(DATABASE, database))
        .or_else(|| when(RPC, aws_service))
        .or_else(|| when(RPC, rpc))
        .or_else(|| address(attributes).map(|name| Peer::new(NodeKind::External, name, "")))
}

const AWS_RESOURCE: u64 = mask(&[
    K::AwsSqsQueueUrl,
    K::AwsSqsQueueUrlOld,
    K::AwsQueueUrl,
    K::AwsQueueUrlDotted,
    K::AwsQueueName,
    K::AwsSnsTopicArn,
    K::AwsSnsTopicArnOld,
    K::AwsTopicArn,
    K::AwsKinesisStreamName,
    K::AwsKinesisStreamNameDotted,
    K::AwsStreamName,
    K::AwsEventBusName,
    K::AwsS3Bucket,
    K::AwsBucketName,
    K::AwsBucketNameUnderscored,
    K::AwsDynamodbTableNames,
    K::AwsTableName,
    K::AwsTableNames,
    K::AwsSfnStateMachineArn,
    K::AwsSfnStateMachineArnOld,
    K::AwsStateMachineArn,
    K::FaasInvokedName,
    K::AwsFunctionName,
]);
const MESSAGING: u64 = mask(&[
    K::MessagingDestinationTemplate,
    K::MessagingDestinationName,
    K::MessagingDestination,
    K::MessagingDestinationTemporary,
    K::MessagingDestinationAnonymous,
]);
const DATABASE: u64 = mask(&[K::DbSystemName, K::DbSystem]);
const RPC: u64 = mask(&[K::RpcSystem, K::RpcSystemName]);

/// A resource of AWS that the span names itself.
///
/// **Rule:** semantic conventions, AWS SDK attributes; also the names that the X-Ray and Splunk
/// distributions use.
fn aws_resource<'a>(attributes: &Attributes<'a>) -> Option<Peer<'a>> {
    let url_keys = [K::AwsSqsQueueUrl, K::AwsSqsQueueUrlOld, K::AwsQueueUrl, K::AwsQueueUrlDotted];
    let arn_keys = [K::AwsSnsTopicArn, K::AwsSnsTopicArnOld, K::AwsTopicArn];
    let stream_keys = [K::AwsKinesisStreamName, K::AwsKinesisStreamNameDotted, K::AwsStreamName];
    let machine_keys =
        [K::AwsSfnStateMachineArn, K::AwsSfnStateMachineArnOld, K::AwsStateMachineArn];
    let bucket_keys = [K::AwsS3Bucket, K::AwsBucketName, K::AwsBucketNameUnderscored];
    let mut peer = if let Some(url) = attributes.text(url_keys) {
        Peer::destination(NodeKind::Queue, last_segment(url), "aws_sqs")
    } else if let Some(name) = attributes.text([K::AwsQueueName]) {
        Peer::destination(NodeKind::Queue, name, "aws_sqs")
    } else if let Some(arn) = attributes.text(arn_keys) {
        Peer::destination(NodeKind::Topic, last_segment(arn), "aws_sns")
    } else if let Some(name) = attributes.text(stream_keys) {
        Peer::destination(NodeKind::Stream, last_segment(name), "aws_kinesis")
    } else if let Some(name) = attributes.text([K::AwsEventBusName]) {
        Peer::destination(NodeKind::Topic, last_segment(name), "aws_eventbridge")
    } else if let Some(name) = attributes.text(bucket_keys) {
        Peer::new(NodeKind::External, name, "s3")
    } else if let Some(name) = attributes
        .first_text(K::AwsDynamodbTableNames)
        .or_else(|| attributes.first_text(K::AwsTableName))
        .or_else(|| attributes.first_text(K::AwsTableNames))
    {
        Peer::new(NodeKind::Database, name, "dynamodb")
    } else if let Some(arn) = attributes.text(machine_keys) {
        Peer::new(NodeKind::Function, last_segment(arn), "aws_step_functions")
    } else if let Some(name) = attributes.text([K::FaasInvokedName]) {
        let system = match attributes.text([K::FaasInvokedProvider]) {
            Some("aws") => "aws_lambda",
            None if aws_call(attributes).is_some() => "aws_lambda",
            provider => provider.unwrap_or(""),
        };
        Peer::new(NodeKind::Function, function_name(name), system)
    } else if let Some(name) = attributes.text([K::AwsFunctionName]) {
        Peer::new(NodeKind::Function, function_name(name), "aws_lambda")
    } else {
        return None;
    };
    peer.sends = peer.is_destination && sends(attributes);
    Some(peer)
}

/// A message's destination.
///
/// **Rule:** semantic conventions, messaging spans; `messaging.destination` is the name of
/// before 1.18.
fn messaging<'a>(attributes: &Attributes<'a>) -> Option<Peer<'a>> {
    let system = messaging_system(attributes.text([K::MessagingSystem]).unwrap_or(""));
    let is_temporary = attributes.is_true(K::MessagingDestinationTemporary)
        || attributes.is_true(K::MessagingDestinationAnonymous);
    let name = match attributes.text([K::MessagingDestinationTemplate]) {
        Some(template) => template,
        None if is_temporary => "(temporary)",
        None => attributes.text([K::MessagingDestinationName, K::MessagingDestination])?,
    };
    let kind = match (system, attributes.text([K::MessagingDestinationKind])) {
        ("aws_sns" | "kafka", _) | (_, Some("topic")) => NodeKind::Topic,
        ("aws_kinesis", _) => NodeKind::Stream,
        _ => NodeKind::Queue,
    };
    let name = match system {
        "aws_sqs" | "aws_sns" | "aws_kinesis" => last_segment(name),
        _ => name,
    };
    Some(Peer { sends: sends(attributes), ..Peer::destination(kind, name, system) })
}

/// One name for each product, however old the sender.
fn messaging_system(system: &str) -> &str {
    match system {
        "AmazonSQS" | "aws.sqs" | "sqs" => "aws_sqs",
        "AmazonSNS" | "aws.sns" | "sns" => "aws_sns",
        "AmazonKinesis" | "aws.kinesis" | "kinesis" => "aws_kinesis",
        _ => system,
    }
}

/// A database: `namespace@address`, or as much as is known.
fn database<'a>(attributes: &Attributes<'a>) -> Option<Peer<'a>> {
    let system = attributes.text([K::DbSystemName, K::DbSystem])?;
    let address = attributes
        .text([K::ServerAddress, K::NetPeerName])
        .map(host_name)
        .filter(|name| *name != crate::host::IP_ADDRESS);
    let name = match (attributes.text([K::DbNamespace, K::DbName]), address) {
        (Some(namespace), Some(address)) => Cow::Owned([namespace, "@", &address].concat()),
        (Some(namespace), None) => Cow::Borrowed(namespace),
        (None, Some(address)) => address,
        (None, None) => Cow::Borrowed(system),
    };
    Some(Peer::new(NodeKind::Database, name, system))
}

/// Service and operation of a call through a stock AWS SDK: `rpc.system` is `aws-api`.
///
/// **Rule:** semantic conventions, AWS SDK spans; since 1.37 the method reads `Service/Operation`.
fn aws_call<'a>(attributes: &Attributes<'a>) -> Option<(&'a str, &'a str)> {
    attributes.text([K::RpcSystem, K::RpcSystemName]).filter(|s| *s == "aws-api")?;
    let method = attributes.text([K::RpcMethod]).unwrap_or("");
    let (in_method, operation) = method.rsplit_once('/').unwrap_or(("", method));
    Some((attributes.text([K::RpcService]).unwrap_or(in_method), operation))
}

/// An AWS service of which the span names no resource.
fn aws_service<'a>(attributes: &Attributes<'a>) -> Option<Peer<'a>> {
    let (service, _) = aws_call(attributes)?;
    let (kind, system) = match service.to_ascii_lowercase().as_str() {
        "" => return None,
        "sqs" => (NodeKind::Queue, "aws_sqs"),
        "sns" => (NodeKind::Topic, "aws_sns"),
        "kinesis" => (NodeKind::Stream, "aws_kinesis"),
        "eventbridge" | "cloudwatchevents" => (NodeKind::Topic, "aws_eventbridge"),
        "dynamodb" => (NodeKind::Database, "dynamodb"),
        "s3" => (NodeKind::External, "s3"),
        "lambda" => (NodeKind::Function, "aws_lambda"),
        "sfn" | "stepfunctions" => (NodeKind::Function, "aws_step_functions"),
        _ => (NodeKind::Rpc, "aws"),
    };
    let sends = sends(attributes);
    Some(Peer { sends, ..Peer::new(kind, service, system) })
}

/// Whether a client span hands a message over. Producers always do.
fn sends(attributes: &Attributes<'_>) -> bool {
    if let Some((_, operation)) = aws_call(attributes) {
        return matches!(
            operation,
            "PutRecord"
                | "PutRecords"
                | "SendMessage"
                | "SendMessageBatch"
                | "Publish"
                | "PublishBatch"
                | "PutEvents"
        );
    }
    let operation = attributes.text([K::MessagingOperationType, K::MessagingOperation]);
    matches!(operation, Some("send" | "publish" | "create"))
}

fn rpc<'a>(attributes: &Attributes<'a>) -> Option<Peer<'a>> {
    let system = attributes.text([K::RpcSystem, K::RpcSystemName])?;
    let in_method = || Some(attributes.text([K::RpcMethod])?.rsplit_once('/')?.0);
    let name = match attributes.text([K::RpcService]).or_else(in_method) {
        Some(service) => Cow::Borrowed(service),
        None => address(attributes)?,
    };
    Some(Peer::new(NodeKind::Rpc, name, system))
}

/// Where a call went: host, and port unless it is the web's.
fn address<'a>(attributes: &Attributes<'a>) -> Option<Cow<'a, str>> {
    if let Some(host) = attributes.text([K::ServerAddress]) {
        return Some(with_port(host_name(host), attributes.number([K::ServerPort])));
    }
    if let Some((host, port)) = attributes.text([K::UrlFull, K::HttpUrl]).and_then(host_of_url) {
        return Some(with_port(host_name(host), port));
    }
    if let Some(host) = attributes.text([K::NetPeerName, K::NetworkPeerAddress]) {
        let port = attributes.number([K::NetPeerPort, K::NetworkPeerPort]);
        return Some(with_port(host_name(host), port));
    }
    let host = attributes.text([K::HttpHost, K::NetSockPeerAddr])?;
    host_of_url(host).map(|(host, port)| with_port(host_name(host), port))
}

fn with_port(host: Cow<'_, str>, port: Option<i64>) -> Cow<'_, str> {
    match port {
        Some(port) if ![0, 80, 443].contains(&port) && host != crate::host::IP_ADDRESS => {
            Cow::Owned(format!("{host}:{port}"))
        }
        _ => host,
    }
}

/// The last part of a queue's URL or a resource's ARN; a plain name is itself.
fn last_segment(name: &str) -> &str {
    let name = name.trim_end_matches('/');
    name.rsplit(['/', ':']).next().filter(|last| !last.is_empty()).unwrap_or(name)
}

/// A function's name from its name or ARN, without a version behind it.
///
/// **Rule:** Lambda API reference, `FunctionName`: name, `name:version` or
/// `arn:aws:lambda:region:account:function:name[:version]`.
fn function_name(name: &str) -> &str {
    let name = name.split_once(":function:").map_or(name, |(_, name)| name);
    name.split(':').next().unwrap_or(name)
}
