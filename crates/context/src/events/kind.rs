//! Which service sent an event.

use serde_json::Value;

/// What sent an event to a Lambda function.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum EventKind {
    /// API Gateway, HTTP API (payload 2.0).
    HttpApi,
    /// API Gateway, REST API, and HTTP API with payload 1.0.
    RestApi,
    /// API Gateway, WebSocket API.
    WebSocket,
    /// An application load balancer.
    LoadBalancer,
    /// A function URL.
    FunctionUrl,
    /// Kafka, managed or not.
    Kafka,
    /// Amazon SQS.
    Sqs,
    /// Amazon SNS.
    Sns,
    /// A DynamoDB stream.
    DynamoDb,
    /// An S3 notification.
    S3,
    /// Kinesis Data Streams.
    Kinesis,
    /// EventBridge, from a bus or a pipe.
    EventBridge,
    /// EventBridge on a schedule.
    Schedule,
    /// Data Firehose, to transform records.
    Firehose,
    /// The outcome of another function's invocation.
    LambdaDestination,
    /// A state of Step Functions that passes its context object.
    StepFunctions,
    /// Amazon SES.
    Ses,
    /// CloudWatch Logs.
    CloudWatchLogs,
    /// CloudFront (Lambda@Edge).
    CloudFront,
    /// RabbitMQ.
    RabbitMq,
    /// ActiveMQ.
    ActiveMq,
    /// Amazon Cognito.
    Cognito,
    /// AWS AppSync.
    AppSync,
    /// S3 batch operations.
    S3Batch,
    /// Anything else: invoked by a program with an event of its own.
    #[default]
    Direct,
}

impl EventKind {
    /// Tells the kind of an event. The order matters: some events pass several tests.
    #[must_use]
    pub fn of(event: &Value) -> Self {
        let has = |pointer: &str| event.pointer(pointer).is_some_and(|value| !value.is_null());
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        let is_url = text("/requestContext/domainName").is_some_and(|it| it.contains("lambda-url"));
        let request = "/requestContext/requestId";
        match () {
            () if has("/rawQueryString") && has("/requestContext/domainName") && is_url => {
                Self::FunctionUrl
            }
            () if text("/version") == Some("2.0") && has("/rawQueryString") => Self::HttpApi,
            () if has("/requestContext/stage") && has("/httpMethod") && has("/resource") => {
                Self::RestApi
            }
            () if has("/requestContext/messageDirection") => Self::WebSocket,
            () if has("/requestContext/elb/targetGroupArn") => Self::LoadBalancer,
            () if is_url => Self::FunctionUrl,
            () if is_kafka(event) => Self::Kafka,
            () if has("/Records/0") => Self::of_record(event.pointer("/Records/0")),
            () if has("/detail-type") && has("/source") => match text("/source") {
                Some("aws.events" | "aws.scheduler") => Self::Schedule,
                _ => Self::EventBridge,
            },
            () if has("/deliveryStreamArn") && has("/records/0/recordId") => Self::Firehose,
            () if has("/requestContext/functionArn") && has(request) && has("/requestPayload") => {
                Self::LambdaDestination
            }
            () if super::services::state(event).is_some() => Self::StepFunctions,
            () if has("/awslogs/data") => Self::CloudWatchLogs,
            () if has("/rmqMessagesByQueue") => Self::RabbitMq,
            () if has("/messages/0/messageID") => Self::ActiveMq,
            () if has("/triggerSource") && has("/userPoolId") => Self::Cognito,
            () if has("/info/fieldName") => Self::AppSync,
            () if has("/tasks/0/s3Key") => Self::S3Batch,
            () => Self::Direct,
        }
    }

    /// Tells the kind of one of an event's `Records`.
    pub(super) fn of_record(record: Option<&Value>) -> Self {
        let Some(record) = record else { return Self::Direct };
        let has = |member: &str| record.get(member).is_some_and(|value| !value.is_null());
        match record.get("eventSource").and_then(Value::as_str) {
            Some("aws:sqs") => Self::Sqs,
            _ if has("Sns") => Self::Sns,
            _ if has("dynamodb") => Self::DynamoDb,
            _ if has("s3") => Self::S3,
            _ if has("kinesis") => Self::Kinesis,
            _ if has("ses") => Self::Ses,
            _ if has("cf") => Self::CloudFront,
            _ => Self::Direct,
        }
    }
}

/// `records` is an object of lists whose records have a topic.
fn is_kafka(event: &Value) -> bool {
    let lists = event.get("records").and_then(Value::as_object);
    let first = lists.and_then(|lists| lists.values().find_map(|list| list.as_array()?.first()));
    first.is_some_and(|record| record.get("topic").is_some())
}
