//! Lambda events of every kind, in the shapes of the Lambda Developer Guide.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use throughline_context::events::{DEPTH_MAX, EVENT_MAX_BYTES, EventError, Place};
use throughline_context::{
    Carrier, Direction, Event, EventKind, Reader, Receipt, receipts_of_event,
    receipts_of_invocation, receipts_of_value,
};

const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const XRAY: &str = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1";

fn read(event: &Value) -> Event {
    let read = receipts_of_value(event, &Reader::default());
    assert!(read.receipts.iter().all(|receipt| receipt.direction == Direction::In));
    assert_eq!(receipts_of_event(event.to_string().as_bytes()), Ok(read.clone()));
    read
}

/// The kind of an event, and its receipts as texts.
#[track_caller]
fn check(event: &Value, kind: EventKind, receipts: &[&str]) -> Event {
    let read = read(event);
    assert_eq!(read.kind, kind);
    assert_eq!(read.receipts.iter().map(Receipt::to_string).collect::<Vec<_>>(), receipts);
    assert_eq!(read.left_out, 0);
    read
}

/// Where contexts were found, with the index of their record.
fn places(event: &Event) -> Vec<(Option<u32>, Place)> {
    for context in &event.contexts {
        let found = context.read.context.as_ref().unwrap();
        assert_eq!(found.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }
    event.contexts.iter().map(|context| (context.index, context.place)).collect()
}

fn sqs_record(id: &str, body: &str) -> Value {
    json!({
        "messageId": id,
        "receiptHandle": "AQEB",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "2",
            "SentTimestamp": "1545082649183",
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1545082649185"
        },
        "messageAttributes": {},
        "md5OfBody": "x",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:jobs",
        "awsRegion": "us-east-2"
    })
}

fn notification(message: &str) -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
        "TopicArn": "arn:aws:sns:us-east-2:123456789012:news",
        "Message": message,
        "Timestamp": "2019-01-02T12:45:07.000Z",
        "MessageAttributes": {"traceparent": {"Type": "String", "Value": HEADER}}
    })
}

#[test]
fn a_batch_of_sqs_keeps_places_attempts_and_times() {
    let mut redriven = sqs_record("b", "plain");
    redriven["attributes"]["DeadLetterQueueSourceArn"] =
        json!("arn:aws:sqs:us-east-2:123456789012:x");
    redriven["attributes"]["AWSTraceHeader"] = json!(XRAY);
    redriven["messageAttributes"] =
        json!({"traceparent": {"stringValue": HEADER, "dataType": "String"}});
    let event = json!({"Records": [sqs_record("a", "{\"n\":1}"), redriven]});
    let event =
        check(&event, EventKind::Sqs, &["sqs|us-east-2|jobs|a|0", "sqs|us-east-2|jobs|b|1"]);
    let first = &event.receipts[0];
    assert_eq!(first.account.as_deref(), Some("123456789012"));
    assert_eq!((first.batch_size, first.attempt), (Some(2), Some(2)));
    assert_eq!(first.time_unix_nano, Some(1_545_082_649_183_000_000));
    assert_eq!((first.replay, event.receipts[1].replay), (false, true));
    assert_eq!(places(&event), [(Some(1), Place::AwsTraceHeader), (Some(1), Place::Attributes)]);
}

#[test]
fn a_notification_is_found_alone_and_in_a_queue() {
    let text = "sns|us-east-2|news|95df01b4-ee98-5cb9-9903-4c221d41eb5e|0";
    let alone = json!({"Records": [{
        "EventVersion": "1.0",
        "EventSource": "aws:sns",
        "EventSubscriptionArn": "arn:aws:sns:us-east-2:123456789012:news:21be56ed",
        "Sns": notification("hello")
    }]});
    let alone = check(&alone, EventKind::Sns, &[text]);
    assert_eq!(alone.receipts[0].time_unix_nano, Some(1_546_433_107_000_000_000));
    assert_eq!(places(&alone), [(Some(0), Place::Attributes)]);
    let queued = json!({"Records": [sqs_record("a", &notification("hello").to_string())]});
    let queued = check(&queued, EventKind::Sqs, &["sqs|us-east-2|jobs|a|0", text]);
    assert_eq!(queued.receipts[1].attempt, Some(2));
}

fn s3_event() -> Value {
    json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-2",
        "eventTime": "2019-09-03T19:37:27.192Z",
        "eventName": "ObjectCreated:Put",
        "responseElements": {"x-amz-request-id": "D82B88E5F771F645", "x-amz-id-2": "vlR7"},
        "s3": {
            "bucket": {"name": "photos", "arn": "arn:aws:s3:::photos"},
            "object": {"key": "a+b%2Bc.png", "size": 1, "eTag": "ab12", "sequencer": "0C"}
        }
    }]})
}

#[test]
fn an_object_is_known_by_its_request_and_by_its_content() {
    let event = read(&s3_event());
    assert_eq!(event.kind, EventKind::S3);
    let [pointer, request] = &event.receipts[..] else { panic!("{event:?}") };
    assert_eq!(request.to_string(), "s3|us-east-2|photos|D82B88E5F771F645|0");
    let written =
        throughline_context::pointer::of_object(Direction::Out, "photos", "a b+c.png", "\"ab12\"");
    assert_eq!(pointer.key(), written.key());
    assert_eq!(pointer.time_unix_nano, request.time_unix_nano);
}

#[test]
fn events_within_events_are_read_to_the_innermost() {
    let in_sns = notification(&s3_event().to_string()).to_string();
    let event = read(&json!({"Records": [sqs_record("z", "x"), sqs_record("a", &in_sns)]}));
    let carriers: Vec<_> =
        event.receipts.iter().map(|it| (it.carrier, it.index, it.batch_size)).collect();
    assert_eq!(
        carriers,
        [
            (Carrier::Sqs, Some(0), Some(2)),
            (Carrier::Sqs, Some(1), Some(2)),
            (Carrier::Sns, Some(1), Some(2)),
            (Carrier::Pointer, Some(1), Some(2)),
            (Carrier::S3, Some(1), Some(2)),
        ]
    );
    let queued = json!({"Records": [sqs_record("a", &bus_event().to_string())]});
    check(
        &queued,
        EventKind::Sqs,
        &["sqs|us-east-2|jobs|a|0", "eventbridge|us-east-2||6a7e8feb|0"],
    );
}

#[test]
fn nesting_ends_at_its_limit() {
    let mut body = "{}".to_owned();
    for level in 0..2 * DEPTH_MAX {
        body = json!({"Records": [sqs_record(&level.to_string(), &body)]}).to_string();
    }
    let event = receipts_of_event(body.as_bytes()).unwrap();
    assert_eq!(event.receipts.len(), DEPTH_MAX as usize);
}

#[test]
fn a_dynamodb_record_names_its_item_unless_it_expired() {
    let record = |user: Value| {
        json!({
            "eventID": "c4ca4238a0b923820dcc509a6f75849b",
            "eventName": "INSERT",
            "eventSource": "aws:dynamodb",
            "awsRegion": "eu-west-1",
            "userIdentity": user,
            "dynamodb": {
                "Keys": {"Id": {"N": "101"}},
                "ApproximateCreationDateTime": 1428537600,
                "SequenceNumber": "4421584500000000017450439091",
                "StreamViewType": "KEYS_ONLY"
            },
            "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2015-06-27T00:48:05.899"
        })
    };
    let expired = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
    let event = read(&json!({"Records": [record(Value::Null), record(expired)]}));
    assert_eq!(event.kind, EventKind::DynamoDb);
    let carriers: Vec<_> = event.receipts.iter().map(|receipt| receipt.carrier).collect();
    assert_eq!(carriers, [Carrier::Pointer, Carrier::DynamoDb, Carrier::DynamoDb]);
    let written = json!({"Id": {"N": "101"}});
    let written = throughline_context::pointer::of_item(
        Direction::Out,
        "users",
        written.as_object().unwrap(),
    );
    assert_eq!(event.receipts[0].key(), written.unwrap().key());
    assert_eq!(event.receipts[1].resource.as_deref(), Some("users"));
    assert_eq!(event.receipts[1].time_unix_nano, Some(1_428_537_600_000_000_000));
}

fn kinesis_record(sequence: &str, data: &[u8]) -> Value {
    json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "1",
            "sequenceNumber": sequence,
            "data": STANDARD.encode(data),
            "approximateArrivalTimestamp": 1545084650.987
        },
        "eventSource": "aws:kinesis",
        "eventID": format!("shardId-000000000006:{sequence}"),
        "awsRegion": "us-east-2",
        "eventSourceARN": "arn:aws:kinesis:us-east-2:123456789012:stream/orders"
    })
}

#[test]
fn every_record_of_a_stream_counts_and_each_has_its_own_context() {
    let envelope = json!({"tracecontext": {"traceparent": HEADER}, "record": {"n": 1}}).to_string();
    let event = json!({"Records": [
        kinesis_record("491", b"\x00binary"),
        kinesis_record("492", envelope.as_bytes()),
        kinesis_record("493", b"{broken"),
    ]});
    let event = check(
        &event,
        EventKind::Kinesis,
        &[
            "kinesis|us-east-2|orders|491|0",
            "kinesis|us-east-2|orders|492|1",
            "kinesis|us-east-2|orders|493|2",
        ],
    );
    assert_eq!(places(&event), [(Some(1), Place::Payload)]);
    assert_eq!(event.receipts[2].time_unix_nano, Some(1_545_084_650_987_000_000));
    assert_eq!(event.receipts[2].batch_size, Some(3));
}

fn bus_event() -> Value {
    json!({
        "version": "0", "id": "6a7e8feb", "detail-type": "order", "source": "shop",
        "account": "123456789012", "time": "2017-12-22T18:43:48Z", "region": "us-east-2",
        "resources": [], "detail": {"n": 1}
    })
}

#[test]
fn an_event_of_a_bus_is_replayed_or_scheduled_or_about_an_object() {
    let text = "eventbridge|us-east-2||6a7e8feb";
    let event = check(&bus_event(), EventKind::EventBridge, &[text]);
    assert_eq!(event.receipts[0].account.as_deref(), Some("123456789012"));
    assert_eq!(event.receipts[0].time_unix_nano, Some(1_513_968_228_000_000_000));
    assert!(!event.receipts[0].replay);

    let mut replayed = bus_event();
    replayed["replay-name"] = json!("again");
    replayed["detail"]["tracecontext"] = json!({"traceparent": HEADER});
    let replayed = check(&replayed, EventKind::EventBridge, &[text]);
    assert!(replayed.receipts[0].replay);
    assert_eq!(places(&replayed), [(None, Place::Payload)]);

    let mut scheduled = bus_event();
    scheduled["source"] = json!("aws.events");
    check(&scheduled, EventKind::Schedule, &[text]);

    let mut object = bus_event();
    object["source"] = json!("aws.s3");
    object["detail"] = json!({
        "bucket": {"name": "photos"}, "request-id": "N4N7GDK58NMKJ12R",
        "object": {"key": "a b+c.png", "etag": "ab12", "sequencer": "00"}
    });
    let object = read(&object);
    assert_eq!(object.receipts[0].key(), read(&s3_event()).receipts[0].key());
    assert_eq!(object.receipts[1].to_string(), "s3|us-east-2|photos|N4N7GDK58NMKJ12R");
}

#[test]
fn requests_by_http_bring_their_headers() {
    let http = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "",
        "headers": {"Traceparent": HEADER},
        "requestContext": {
            "accountId": "123456789012", "apiId": "api1", "stage": "$default", "requestId": "id-1",
            "domainName": "api1.execute-api.us-east-1.amazonaws.com", "timeEpoch": 1583348638390_i64
        }
    });
    let event = check(&http, EventKind::HttpApi, &["apigateway|us-east-1|api1|id-1"]);
    assert_eq!(places(&event), [(None, Place::Headers)]);
    assert_eq!(event.receipts[0].time_unix_nano, Some(1_583_348_638_390_000_000));

    let mut url = http.clone();
    url["requestContext"]["domainName"] = json!("x1.lambda-url.us-west-2.on.aws");
    url["requestContext"]["accountId"] = json!("anonymous");
    let url = check(&url, EventKind::FunctionUrl, &["apigateway|us-west-2|api1|id-1"]);
    assert_eq!(url.receipts[0].account, None);

    let rest = json!({
        "resource": "/producer", "path": "/producer", "httpMethod": "POST",
        "headers": {"traceparent": "ignored"},
        "multiValueHeaders": {"traceparent": [HEADER], "tracestate": ["a=1", "b=2"]},
        "requestContext": {
            "stage": "dev", "apiId": "api1", "requestId": "id-1", "extendedRequestId": "JKJaXmPLvHcESHA=",
            "requestTimeEpoch": 1583349317135_i64
        }
    });
    let rest = check(
        &rest,
        EventKind::RestApi,
        &["apigateway||api1|JKJaXmPLvHcESHA=", "apigateway||api1|id-1"],
    );
    assert_eq!(rest.contexts[0].read.context.as_ref().unwrap().tracestate.iter().len(), 2);

    let socket = json!({"requestContext": {
        "messageDirection": "IN", "requestId": "id-1", "connectionId": "c", "messageId": "m-1"
    }, "body": "x"});
    check(&socket, EventKind::WebSocket, &["apigateway|||id-1", "apigateway|||m-1"]);

    let balancer = json!({
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:x"}},
        "httpMethod": "GET", "path": "/", "headers": {"x-amzn-trace-id": XRAY}
    });
    let balancer = check(&balancer, EventKind::LoadBalancer, &[]);
    assert_eq!(places(&balancer), [(None, Place::Headers)]);

    let graph =
        json!({"info": {"fieldName": "f"}, "request": {"headers": {"traceparent": HEADER}}});
    assert_eq!(places(&check(&graph, EventKind::AppSync, &[])), [(None, Place::Headers)]);
}

#[test]
fn records_of_kafka_are_one_batch_over_all_partitions() {
    let bytes: Vec<i64> = HEADER.bytes().map(i64::from).collect();
    let record = |partition: u32, offset: u32, headers: Value| {
        json!({
            "topic": "orders", "partition": partition, "offset": offset, "timestamp": 1545084650987_i64,
            "timestampType": "CREATE_TIME", "value": STANDARD.encode("hello"), "headers": headers
        })
    };
    let event = json!({
        "eventSource": "aws:kafka",
        "eventSourceArn": "arn:aws:kafka:us-east-1:123456789012:cluster/c/abcd",
        "records": {
            "orders-0": [record(0, 15, json!([])), record(0, 16, json!([{"traceparent": bytes}]))],
            "orders-1": [record(1, 3, json!([{"other": [-1, 300]}]))]
        }
    });
    let event = check(
        &event,
        EventKind::Kafka,
        &[
            "kafka|us-east-1|orders|0:15|0",
            "kafka|us-east-1|orders|0:16|1",
            "kafka|us-east-1|orders|1:3|2",
        ],
    );
    assert_eq!(places(&event), [(Some(1), Place::Headers)]);
    assert_eq!(event.receipts[0].batch_size, Some(3));
}

#[test]
fn messages_of_other_brokers_have_ids_and_headers() {
    let bytes: Vec<i64> = HEADER.bytes().map(i64::from).collect();
    let rabbit = json!({
        "eventSource": "aws:rmq",
        "rmqMessagesByQueue": {"jobs::/": [
            {"basicProperties": {"messageId": "m-1", "headers": {"traceparent": {"bytes": bytes}}}, "data": "e30="},
            {"basicProperties": {"messageId": null, "headers": null}, "data": "e30="}
        ]}
    });
    let rabbit = check(&rabbit, EventKind::RabbitMq, &["rabbitmq||jobs|m-1|0"]);
    assert_eq!(places(&rabbit), [(Some(0), Place::Headers)]);
    let active = json!({"eventSource": "aws:mq", "messages": [{
        "messageID": "ID:b-9bcfa592-1.mq:1:1", "destination": {"physicalName": "jobs"},
        "brokerInTime": 1598827811958_i64, "properties": {"traceparent": HEADER}, "data": "e30="
    }]});
    let active = check(&active, EventKind::ActiveMq, &["activemq||jobs|ID:b-9bcfa592-1.mq:1:1|0"]);
    assert_eq!(places(&active), [(Some(0), Place::Headers)]);
}

#[test]
fn a_record_of_firehose_that_came_from_kinesis_has_both_ids() {
    let event = json!({
        "invocationId": "i", "deliveryStreamArn": "arn:aws:firehose:us-east-2:123456789012:deliverystream/d",
        "sourceKinesisStreamArn": "arn:aws:kinesis:us-east-2:123456789012:stream/orders",
        "region": "us-east-2",
        "records": [
            {"recordId": "r1", "approximateArrivalTimestamp": 1545084650987_i64, "data": "aGVsbG8="},
            {"recordId": "r2", "data": "aGVsbG8=", "kinesisRecordMetadata": {
                "shardId": "shardId-0", "sequenceNumber": "492", "subsequenceNumber": "",
                "approximateArrivalTimestamp": 1545084650987_i64
            }}
        ]
    });
    check(
        &event,
        EventKind::Firehose,
        &[
            "firehose|us-east-2|d|r1|0",
            "firehose|us-east-2|d|r2|1",
            "kinesis|us-east-2|orders|492|1",
        ],
    );
}

#[test]
fn outcomes_and_states_name_what_they_belong_to() {
    let outcome = json!({
        "version": "1.0", "timestamp": "2019-11-14T18:16:05.568Z",
        "requestContext": {
            "requestId": "e4b46cbf", "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:f:$LATEST",
            "condition": "RetriesExhausted", "approximateInvokeCount": 3
        },
        "requestPayload": {}, "responseContext": {}, "responsePayload": {}
    });
    let outcome = check(&outcome, EventKind::LambdaDestination, &["lambda|us-east-2|f|e4b46cbf"]);
    assert_eq!(outcome.receipts[0].attempt, Some(3));

    let arn = "arn:aws:states:us-east-2:123456789012:execution:pay:run-1";
    let state = json!({
        "Execution": {"Id": arn, "StartTime": "2019-11-14T18:16:00.000Z", "RedriveCount": 1},
        "State": {"Name": "charge", "EnteredTime": "2019-11-14T18:16:05.568Z", "RetryCount": 2},
        "StateMachine": {"Id": "arn:aws:states:us-east-2:123456789012:stateMachine:pay", "Name": "pay"}
    });
    for event in
        [state.clone(), json!({"_datadog": state}), json!({"Payload": {"_datadog": state}})]
    {
        let event = check(&event, EventKind::StepFunctions, &[&format!("sfn|us-east-2|pay|{arn}")]);
        assert_eq!((event.receipts[0].attempt, event.receipts[0].replay), (Some(3), true));
    }
}

#[test]
fn the_remaining_kinds_are_told_apart() {
    let mail = json!({"Records": [{"eventSource": "aws:ses", "ses": {"mail": {
        "messageId": "d6iitobk75ur44p8kdnnp7g2n800", "timestamp": "1970-01-01T00:00:00.000Z"
    }}}]});
    check(&mail, EventKind::Ses, &["ses|||d6iitobk75ur44p8kdnnp7g2n800|0"]);
    let edge = json!({"Records": [{"cf": {"request": {"headers": {
        "traceparent": [{"key": "Traceparent", "value": HEADER}]
    }}}}]});
    assert_eq!(places(&check(&edge, EventKind::CloudFront, &[])), [(Some(0), Place::Headers)]);
    check(&json!({"awslogs": {"data": "H4sI"}}), EventKind::CloudWatchLogs, &[]);
    check(
        &json!({"triggerSource": "PreSignUp_SignUp", "userPoolId": "p"}),
        EventKind::Cognito,
        &[],
    );
    check(&json!({"invocationId": "i", "tasks": [{"s3Key": "k"}]}), EventKind::S3Batch, &[]);
}

#[test]
fn a_programs_own_event_may_carry_a_context() {
    for event in [
        json!({"traceparent": HEADER}),
        json!({"headers": {"traceparent": HEADER}, "n": 1}),
        json!({"_datadog": {"traceparent": HEADER}}),
    ] {
        assert_eq!(places(&check(&event, EventKind::Direct, &[])), [(None, Place::Payload)]);
    }
    let client = json!({"clientContext": {"custom": {"traceparent": HEADER}}});
    assert_eq!(places(&check(&client, EventKind::Direct, &[])), [(None, Place::ClientContext)]);
    for event in [json!(null), json!("x"), json!([]), json!({"Records": []}), json!({"Records": 1})]
    {
        check(&event, EventKind::Direct, &[]);
    }
}

#[test]
fn the_runtimes_headers_name_the_invocation() {
    let client = json!({"custom": {"traceparent": HEADER}}).to_string();
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", "8476a536"),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-2:123456789012:function:f:live",
        ),
        ("Lambda-Runtime-Trace-Id", XRAY),
        ("Lambda-Runtime-Client-Context", &client),
        ("content-type", "application/json"),
    ];
    let event = receipts_of_invocation(headers, &Reader::default());
    assert_eq!(event.receipts[0].to_string(), "lambda|us-east-2|f|8476a536");
    assert_eq!(places(&event), [(None, Place::Runtime), (None, Place::ClientContext)]);
    assert_eq!(receipts_of_invocation([], &Reader::default()), Event::default());
}

#[test]
fn what_is_no_event_is_refused() {
    assert_eq!(receipts_of_event(b"{"), Err(EventError::NotJson));
    assert_eq!(receipts_of_event(&vec![b' '; EVENT_MAX_BYTES + 1]), Err(EventError::TooLong));
    let deep = "[".repeat(100_000);
    assert_eq!(receipts_of_event(deep.as_bytes()), Err(EventError::NotJson));
}
