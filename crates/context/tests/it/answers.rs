//! Answers of AWS calls, and that producer and consumer of one message agree on its key.

use serde_json::{Value, json};
use throughline_context::{
    Call, Direction, Reader, Receipt, receipts_of_answer, receipts_of_value,
};

fn receipts(service: &str, operation: &str, request: &Value, response: &Value) -> Vec<Receipt> {
    let headers = [("Content-Type", "x"), ("X-Amzn-RequestId", "req-1"), ("ETag", "\"ab12\"")];
    let region = Some("us-east-2");
    receipts_of_answer(&Call { service, operation, region, request, response, headers: &headers })
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "literals read better without ampersands")]
fn check(service: &str, operation: &str, request: Value, response: Value, texts: &[&str]) {
    let receipts = receipts(service, operation, &request, &response);
    assert_eq!(receipts.iter().map(Receipt::to_string).collect::<Vec<_>>(), texts);
}

#[test]
fn a_record_that_failed_leaves_its_neighbours_in_place() {
    let request = json!({"StreamName": "orders", "Records": [{}, {}, {}]});
    let response = json!({"FailedRecordCount": 1, "Records": [
        {"SequenceNumber": "491", "ShardId": "shardId-0", "ErrorCode": null},
        {"ErrorCode": "InternalFailure", "ErrorMessage": "x", "SequenceNumber": "492"},
        {"SequenceNumber": "493", "ShardId": "shardId-0"}
    ]});
    let texts = ["kinesis|us-east-2|orders|491|0", "kinesis|us-east-2|orders|493|2"];
    for operation in ["PutRecords", "putRecords", "put_records"] {
        check("Kinesis", operation, request.clone(), response.clone(), &texts);
    }
    assert_eq!(receipts("kinesis", "PutRecords", &request, &response)[0].batch_size, Some(3));
}

#[test]
fn every_producing_call_gives_the_id_that_its_consumer_sees() {
    check(
        "kinesis",
        "PutRecord",
        json!({"StreamARN": "arn:aws:kinesis:eu-west-1:1:stream/orders"}),
        json!({"SequenceNumber": "491", "ShardId": "shardId-0"}),
        &["kinesis|eu-west-1|orders|491"],
    );
    let queue = "https://sqs.us-east-1.amazonaws.com/123456789012/jobs";
    check(
        "SQS",
        "SendMessage",
        json!({"QueueUrl": queue}),
        json!({"MessageId": "m"}),
        &["sqs|us-east-1|jobs|m"],
    );
    check(
        "sqs",
        "SendMessageBatch",
        json!({"QueueUrl": queue, "Entries": [{"Id": "a"}, {"Id": "b"}, {"Id": "c"}]}),
        json!({"Successful": [{"Id": "c", "MessageId": "m3"}, {"Id": "a", "MessageId": "m1"}], "Failed": [{"Id": "b"}]}),
        &["sqs|us-east-1|jobs|m3|2", "sqs|us-east-1|jobs|m1|0"],
    );
    let topic = "arn:aws:sns:us-east-2:123456789012:news";
    check(
        "sns",
        "Publish",
        json!({"TopicArn": topic}),
        json!({"MessageId": "m"}),
        &["sns|us-east-2|news|m"],
    );
    check(
        "SNS",
        "PublishBatch",
        json!({"TopicArn": topic, "PublishBatchRequestEntries": [{"Id": "x"}]}),
        json!({"Successful": [{"Id": "x", "MessageId": "m"}]}),
        &["sns|us-east-2|news|m|0"],
    );
    check(
        "events",
        "PutEvents",
        json!({"Entries": [{"EventBusName": "arn:aws:events:us-east-2:1:event-bus/b"}, {}, {}]}),
        json!({"Entries": [{"EventId": "e1"}, {"ErrorCode": "x"}, {"EventId": "e3"}]}),
        &["eventbridge|us-east-2|b|e1|0", "eventbridge|us-east-2|default|e3|2"],
    );
    check(
        "Lambda",
        "Invoke",
        json!({"FunctionName": "f:live"}),
        json!({"StatusCode": 202}),
        &["lambda|us-east-2|f|req-1"],
    );
    check(
        "firehose",
        "PutRecord",
        json!({"DeliveryStreamName": "d"}),
        json!({"RecordId": "r"}),
        &["firehose|us-east-2|d|r"],
    );
    check(
        "firehose",
        "PutRecordBatch",
        json!({"DeliveryStreamName": "d"}),
        json!({"RequestResponses": [{"ErrorCode": "x"}, {"RecordId": "r"}]}),
        &["firehose|us-east-2|d|r|1"],
    );
    let execution = "arn:aws:states:us-east-2:1:execution:pay:run";
    check(
        "stepfunctions",
        "StartExecution",
        json!({"stateMachineArn": "arn:aws:states:us-east-2:1:stateMachine:pay"}),
        json!({"executionArn": execution}),
        &[&format!("sfn|us-east-2|pay|{execution}")],
    );
}

#[test]
fn what_was_not_done_gives_no_receipt() {
    let stream = json!({"StreamName": "orders"});
    check(
        "kinesis",
        "PutRecord",
        stream.clone(),
        json!({"__type": "x", "SequenceNumber": "1"}),
        &[],
    );
    check("kinesis", "PutRecord", stream.clone(), json!({}), &[]);
    check("kinesis", "DescribeStream", stream.clone(), json!({"SequenceNumber": "1"}), &[]);
    check("pigeon", "PutRecord", stream, json!({"SequenceNumber": "1"}), &[]);
    check("lambda", "Invoke", json!({}), json!({"Error": {"Code": "x"}}), &[]);
    check("sqs", "SendMessageBatch", json!(1), json!({"Successful": [1, {"Id": null}]}), &[]);
}

#[test]
fn fetched_messages_are_consumed_with_their_times() {
    let response = json!({"Messages": [{"MessageId": "m", "Attributes": {
        "SentTimestamp": "1545082649183", "ApproximateReceiveCount": "3"
    }}]});
    let request = json!({"QueueUrl": "http://localhost:4566/000000000000/jobs"});
    let receipts = receipts("sqs", "ReceiveMessage", &request, &response);
    assert_eq!((receipts[0].direction, receipts[0].attempt), (Direction::In, Some(3)));
    assert_eq!(receipts[0].time_unix_nano, Some(1_545_082_649_183_000_000));
    check(
        "kinesis",
        "GetRecords",
        json!({"StreamARN": "arn:aws:kinesis:us-east-2:1:stream/orders", "ShardIterator": "x"}),
        json!({"Records": [{"SequenceNumber": "491", "ApproximateArrivalTimestamp": 1545084650.5}]}),
        &["kinesis|us-east-2|orders|491|0"],
    );
}

#[test]
fn an_object_and_an_item_agree_with_their_events() {
    let response = json!({"ResponseMetadata": {"RequestId": "ignored: the header comes first"}});
    let put =
        receipts("s3", "PutObject", &json!({"Bucket": "photos", "Key": "a b+c.png"}), &response);
    let event = json!({"Records": [{
        "eventSource": "aws:s3", "responseElements": {"x-amz-request-id": "req-1"},
        "s3": {"bucket": {"name": "photos"}, "object": {"key": "a+b%2Bc.png", "eTag": "ab12"}}
    }]});
    let got = receipts_of_value(&event, &Reader::default()).receipts;
    assert_eq!((put[0].key(), put[1].key()), (got[1].key(), got[0].key()));

    let keys = json!({"id": {"S": "7"}, "at": {"N": "1"}});
    let update =
        receipts("dynamodb", "UpdateItem", &json!({"TableName": "users", "Key": keys}), &json!({}));
    let event = json!({"Records": [{
        "eventSource": "aws:dynamodb", "eventID": "1", "dynamodb": {"Keys": keys},
        "eventSourceARN": "arn:aws:dynamodb:us-east-2:123456789012:table/users/stream/x"
    }]});
    let got = receipts_of_value(&event, &Reader::default()).receipts;
    assert_eq!(update[0].key(), got[0].key());
    // Which attributes of an item are its keys, the request does not say.
    check("dynamodb", "PutItem", json!({"TableName": "users", "Item": {}}), json!({}), &[]);
}

#[test]
fn both_sides_of_a_stream_agree() {
    let out = receipts(
        "kinesis",
        "PutRecord",
        &json!({"StreamName": "orders"}),
        &json!({"SequenceNumber": "491"}),
    );
    let event = json!({"Records": [{
        "eventSource": "aws:kinesis", "kinesis": {"sequenceNumber": "491"},
        "eventSourceARN": "arn:aws:kinesis:us-east-2:123456789012:stream/orders"
    }]});
    assert_eq!(out[0].key(), receipts_of_value(&event, &Reader::default()).receipts[0].key());
}
