//! What carries a message from one program to the next.

use std::fmt;

/// What took a message from its producer and gave it to its consumer.
///
/// Each has a lower-case name, [`Carrier::name`], that stands in attribute values.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Carrier {
    /// Amazon Kinesis Data Streams. Id: the sequence number, unique within its stream.
    Kinesis,
    /// Amazon SQS. Id: the message id, unique everywhere; a redrive keeps it.
    Sqs,
    /// Amazon SNS. Id: the message id of the notification, unique everywhere.
    Sns,
    /// Amazon EventBridge. Id: the event's id, unique everywhere; a replay keeps it.
    EventBridge,
    /// A DynamoDB stream. Id: the stream's event id, unique within its table.
    DynamoDb,
    /// An object in S3. Id: the request id of the write, unique everywhere.
    S3,
    /// Amazon Data Firehose. Id: the record id, unique within its stream.
    Firehose,
    /// AWS Step Functions. Id: the ARN of the execution.
    StepFunctions,
    /// An AWS Lambda invocation. Id: the request id, unique everywhere; a retry keeps it.
    Lambda,
    /// Apache Kafka. Id: `partition:offset`, unique within its topic.
    Kafka,
    /// Amazon API Gateway and function URLs. Id: the request id.
    ApiGateway,
    /// RabbitMQ. Id: the message id that the producer chose.
    RabbitMq,
    /// ActiveMQ and other JMS brokers. Id: the JMS message id, unique everywhere.
    ActiveMq,
    /// Amazon SES. Id: the mail's message id.
    Ses,
    /// Amazon CloudWatch Logs subscriptions. Id: the log event's id.
    CloudWatchLogs,
    /// Google Cloud Pub/Sub. Id: the message id, unique within its topic.
    PubSub,
    /// Azure Service Bus. Id: the message id, unique within its queue or topic.
    ServiceBus,
    /// Azure Event Hubs. Id: `partition:sequence`, unique within its hub.
    EventHubs,
    /// Apache Pulsar. Id: the message id, unique within its topic.
    Pulsar,
    /// A header of an HTTP request that names it. Resource: `host/header`, which scopes the id.
    Http,
    /// A Datadog span pointer. Id: the pointer's hash; resource: its kind, such as
    /// `aws.s3.object`, which scopes the id.
    Pointer,
    /// An explicit span link. Id: the linked trace, 32 lower-case hexadecimal digits; resource: the
    /// linked span, 16 of them, which is not in the key. So who links to a trace is one question.
    Link,
    /// None that is known: a person said that the two spans belong together. Id and resource as of
    /// a link.
    User,
    /// Any carrier without a name of its own here; its resource scopes the id.
    Other,
}

/// Every carrier and its names: ours first, then those of `messaging.system` and of old tracers.
const NAMES: &[(Carrier, &[&str])] = &[
    (Carrier::Kinesis, &["kinesis", "aws_kinesis", "aws.kinesis"]),
    (Carrier::Sqs, &["sqs", "aws_sqs", "aws.sqs", "amazonsqs"]),
    (Carrier::Sns, &["sns", "aws.sns", "aws_sns", "amazonsns"]),
    (Carrier::EventBridge, &["eventbridge", "aws.eventbridge", "events"]),
    (Carrier::DynamoDb, &["dynamodb", "aws.dynamodb", "ddb"]),
    (Carrier::S3, &["s3", "aws.s3"]),
    (Carrier::Firehose, &["firehose", "aws.firehose"]),
    (Carrier::StepFunctions, &["sfn", "stepfunctions", "states"]),
    (Carrier::Lambda, &["lambda", "aws.lambda", "awslambda"]),
    (Carrier::Kafka, &["kafka", "msk"]),
    (Carrier::ApiGateway, &["apigateway", "apigw"]),
    (Carrier::RabbitMq, &["rabbitmq"]),
    (Carrier::ActiveMq, &["activemq", "jms", "artemis"]),
    (Carrier::Ses, &["ses", "aws.ses"]),
    (Carrier::CloudWatchLogs, &["logs", "cloudwatchlogs"]),
    (Carrier::PubSub, &["pubsub", "gcp_pubsub"]),
    (Carrier::ServiceBus, &["servicebus"]),
    (Carrier::EventHubs, &["eventhubs"]),
    (Carrier::Pulsar, &["pulsar"]),
    (Carrier::Http, &["http"]),
    (Carrier::Pointer, &["pointer"]),
    (Carrier::Link, &["link"]),
    (Carrier::User, &["user"]),
    (Carrier::Other, &["other"]),
];

impl Carrier {
    /// The name in attribute values and on disk. It never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        let row = NAMES.iter().find(|(carrier, _)| *carrier == self);
        row.and_then(|(_, names)| names.first()).copied().unwrap_or("other")
    }

    /// The carrier of a name, of ours or of OpenTelemetry's `messaging.system`, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let is = |known: &&str| known.eq_ignore_ascii_case(name);
        NAMES.iter().find(|(_, names)| names.iter().any(is)).map(|row| row.0)
    }

    /// Whether ids of this carrier are unique only within one resource, which then is part of
    /// the key of a message.
    #[must_use]
    pub fn id_needs_resource(self) -> bool {
        match self {
            Self::Kinesis
            | Self::DynamoDb
            | Self::Firehose
            | Self::Kafka
            | Self::PubSub
            | Self::ServiceBus
            | Self::EventHubs
            | Self::Pulsar
            | Self::Http
            | Self::Pointer
            | Self::Other => true,
            Self::Sqs
            | Self::Sns
            | Self::EventBridge
            | Self::S3
            | Self::StepFunctions
            | Self::Lambda
            | Self::ApiGateway
            | Self::RabbitMq
            | Self::ActiveMq
            | Self::Ses
            | Self::CloudWatchLogs
            | Self::Link
            | Self::User => false,
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_carrier() {
        for (carrier, names) in NAMES {
            assert_eq!(carrier.name(), names[0]);
            for name in *names {
                assert_eq!(Carrier::from_name(&name.to_uppercase()), Some(*carrier), "{name}");
            }
        }
        assert_eq!(Carrier::from_name("pigeon"), None);
    }
}
