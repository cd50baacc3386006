//! Services that deployment tools and functions call, and what is refused.

use serde_json::json;

use crate::harness::TestCloud;

#[test]
fn an_upload_in_aws_chunks_comes_back_whole() {
    let cloud = TestCloud::start();
    assert_eq!(cloud.send("s3", "PUT", "/bucket", &[], b"").status, 200);
    let headers = [
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-meta-a", "b"),
    ];
    let put = cloud.send(
        "s3",
        "PUT",
        "/bucket/a%20b",
        &headers,
        b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n",
    );
    assert_eq!(put.header("etag"), "\"900150983cd24fb0d6963f7d28e17f72\"");
    let got = cloud.send("s3", "GET", "/bucket/a%20b", &[("range", "bytes=1-")], b"");
    assert_eq!((got.status, got.text().as_str()), (206, "bc"));
    assert_eq!(got.header("x-amz-meta-a"), "b");
    assert_eq!(got.header("content-encoding"), "");
    let broken = cloud.send("s3", "PUT", "/bucket/x", &headers, b"zz\r\n");
    assert_eq!(broken.element("Code").unwrap(), "IncompleteBody");
    let list = cloud.send("s3", "GET", "/bucket?list-type=2&encoding-type=url", &[], b"");
    assert_eq!(list.element("Key").unwrap(), "a%20b");
}

#[test]
fn an_upload_in_parts_is_one_object() {
    let cloud = TestCloud::start();
    cloud.send("s3", "PUT", "/bucket", &[], b"");
    let begun = cloud.send("s3", "POST", "/bucket/k?uploads", &[], b"");
    let id = begun.element("UploadId").unwrap();
    let part = |number: u32, body: &[u8]| {
        cloud.send("s3", "PUT", &format!("/bucket/k?partNumber={number}&uploadId={id}"), &[], body)
    };
    part(2, b"b");
    part(1, b"a");
    let body = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part><Part><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>";
    let done = cloud.send("s3", "POST", &format!("/bucket/k?uploadId={id}"), &[], body.as_bytes());
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(done.element("ETag").unwrap().ends_with("-2\""));
    assert_eq!(cloud.send("s3", "GET", "/bucket/k", &[], b"").text(), "ab");
}

#[test]
fn what_is_not_here_is_refused_by_name() {
    let cloud = TestCloud::start();
    let queue = cloud.target("sqs", "AmazonSQS.CreateQueue", &json!({}));
    assert_eq!(queue.status, 501);
    assert!(
        queue.json()["message"].as_str().unwrap().contains("--upstream URL"),
        "{}",
        queue.text()
    );
    let operation = cloud.query("cloudformation", &[("Action", "CreateStackSet")]);
    assert_eq!(operation.element("Code").unwrap(), "UnknownOperationException");
    assert_eq!(cloud.send("", "POST", "/", &[], b"").status, 400);
}

#[test]
fn an_upstream_takes_what_is_not_here() {
    let other = TestCloud::start();
    let cloud = TestCloud::start_with(|config| config.upstream = Some(other.endpoint()));
    let queue = cloud.target("sqs", "AmazonSQS.CreateQueue", &json!({}));
    // The other has no queues either, but it is the other who says so.
    assert_eq!(queue.status, 501);
    let gone =
        TestCloud::start_with(|config| config.upstream = Some("http://127.0.0.1:9".to_owned()));
    let unreachable = gone.target("sqs", "AmazonSQS.CreateQueue", &json!({}));
    assert_eq!(unreachable.status, 502);
}

#[test]
fn pages_of_other_sites_reach_no_service() {
    let cloud = TestCloud::start();
    let form =
        [("content-type", "application/x-www-form-urlencoded"), ("origin", "https://evil.example")];
    let posted = cloud.send("sts", "POST", "/", &form, b"Action=GetCallerIdentity");
    assert_eq!(posted.status, 403);
    let image = cloud.send("sts", "GET", "/?Action=GetCallerIdentity", &[], b"");
    assert_eq!(image.status, 405);
    let rebound =
        cloud.send("sts", "POST", "/", &[("host", "evil.example")], b"Action=GetCallerIdentity");
    assert_eq!(rebound.status, 403);
}

#[test]
fn a_published_message_reaches_the_subscribed_function() {
    let cloud = TestCloud::start();
    let template = json!({ "Resources": {
        "Function": { "Type": "AWS::Lambda::Function", "Properties": {
            "FunctionName": "listener", "Role": "arn:aws:iam::000000000000:role/r", "Runtime": "nodejs20.x",
            "Handler": "index.handler",
            "Code": { "ZipFile": "exports.handler = async (event) => console.log('heard ' + event.Records[0].Sns.Message)" },
        }},
        "Topic": { "Type": "AWS::SNS::Topic", "Properties": { "TopicName": "t", "Subscription": [
            { "Protocol": "lambda", "Endpoint": { "Fn::GetAtt": ["Function", "Arn"] } },
        ] } },
    }});
    assert_eq!(cloud.create_stack("s", &template), "CREATE_COMPLETE", "{:?}", cloud.events("s"));
    let topic = "arn:aws:sns:us-east-1:000000000000:t";
    let published =
        cloud.query("sns", &[("Action", "Publish"), ("TopicArn", topic), ("Message", "hello")]);
    assert_eq!(published.status, 200, "{}", published.text());
    heard(&cloud, "/aws/lambda/listener", "heard hello");
}

#[test]
fn a_record_in_a_stream_reaches_the_mapped_function() {
    let cloud = TestCloud::start();
    let template = json!({ "Resources": {
        "Function": { "Type": "AWS::Lambda::Function", "Properties": {
            "FunctionName": "consumer", "Role": "arn:aws:iam::000000000000:role/r", "Runtime": "nodejs20.x",
            "Handler": "index.handler",
            "Code": { "ZipFile": "exports.handler = async (event) => console.log('got ' + event.Records[0].kinesis.data)" },
        }},
        "Stream": { "Type": "AWS::Kinesis::Stream", "Properties": { "Name": "events", "ShardCount": 1 } },
        "Mapping": { "Type": "AWS::Lambda::EventSourceMapping", "Properties": {
            "EventSourceArn": { "Fn::GetAtt": ["Stream", "Arn"] }, "FunctionName": { "Ref": "Function" },
            "BatchSize": 10, "StartingPosition": "TRIM_HORIZON",
        }},
    }});
    assert_eq!(cloud.create_stack("s", &template), "CREATE_COMPLETE", "{:?}", cloud.events("s"));
    let put = json!({ "StreamName": "events", "PartitionKey": "p", "Data": "YWJj" });
    let answer = cloud.target("kinesis", "Kinesis_20131202.PutRecord", &put);
    assert_eq!(answer.json()["SequenceNumber"].as_str().unwrap().len(), 56, "{}", answer.text());
    heard(&cloud, "/aws/lambda/consumer", "got YWJj");
}

/// Waits until a log group has a line.
fn heard(cloud: &TestCloud, group: &str, line: &str) {
    let begun = std::time::Instant::now();
    loop {
        let request = json!({ "logGroupName": group });
        let answer = cloud.target("logs", "Logs_20140328.FilterLogEvents", &request);
        if answer.text().contains(line) {
            return;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{line}: {}", answer.text());
        std::thread::yield_now();
    }
}
