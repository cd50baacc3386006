//! Receipts of spans as real senders write them.

use throughline_model::{AttrValue, SpanBatchBuilder, SpanId, SpanKind, TraceId, xray};
use throughline_testkit::{Span, batch, span};
use throughline_topology::stitch::{Direction, RECEIPTS_PER_SPAN_MAX, ReceiptAt, ReceiptReader};

use SpanKind::{Client, Consumer, Internal, Producer, Server};

fn lines(found: &[ReceiptAt]) -> Vec<String> {
    let word = |at: &ReceiptAt| match at.receipt.direction {
        Direction::Out => "out",
        Direction::In => "in",
    };
    found.iter().map(|at| format!("{} {}", word(at), at.receipt)).collect()
}

#[track_caller]
fn check(span: Span, expected: &[&str]) {
    // A batch of others around it, so that no number happens to fit.
    let batch = batch(&[throughline_testkit::span("other").attr("a", "b"), span]);
    let reader = ReceiptReader::new(&batch);
    assert_eq!(lines(&reader.at(1)), expected);
    assert_eq!(reader.at(0), []);
    assert!(!reader.may_have(0));
}

fn of(kind: SpanKind, attributes: &[(&'static str, &'static str)]) -> Span {
    let span = span("any").kind(kind);
    attributes.iter().fold(span, |span, (key, text)| span.attr(*key, *text))
}

#[test]
fn a_call_of_a_function_and_the_function_hold_one_id() {
    let id = "28b2ba3d-371f-4729-be3a-89fe7c47ed74";
    let call = |service, id_key| {
        of(Client, &[("rpc.service", service), ("rpc.method", "Invoke"), (id_key, id)])
            .attr("faas.invoked_name", "pay")
            .attr("faas.invoked_region", "eu-west-1")
    };
    let expected = format!("out lambda|eu-west-1|pay|{id}");
    for service in ["Lambda", "AWSLambda", "AWS Lambda", "lambda"] {
        for key in ["aws.request_id", "aws.request.id", "faas.execution", "faas.invocation_id"] {
            check(call(service, key), &[&expected]);
        }
    }
    check(call("Lambda", "aws.request_id").attr("rpc.method", "Invoke"), &[&expected]);
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:pay:live";
    for key in ["faas.invocation_id", "faas.execution"] {
        for (function, text) in [("cloud.resource_id", arn), ("faas.id", arn)] {
            let entry = of(Server, &[(key, id), (function, text)]);
            check(entry, &[&format!("in lambda|eu-west-1|pay|{id}")]);
        }
    }
    let named = of(Server, &[("faas.invocation_id", id)]).resource_attr("faas.name", "pay");
    check(
        named.resource_attr("cloud.region", "eu-west-1"),
        &[&format!("in lambda|eu-west-1|pay|{id}")],
    );
    // Other calls have request ids too.
    check(
        of(
            Client,
            &[("rpc.service", "Kinesis"), ("rpc.method", "PutRecord"), ("aws.request_id", id)],
        ),
        &[],
    );
    check(of(Internal, &[("aws.request_id", id)]), &[]);
}

#[test]
fn a_queues_message_is_known_by_old_and_new_names() {
    let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
    let expected = "out sqs|eu-west-1|jobs|m-1";
    for system in ["aws_sqs", "AmazonSQS", "aws.sqs"] {
        for id in ["messaging.message.id", "messaging.message_id"] {
            for queue in ["aws.sqs.queue.url", "aws.queue_url", "messaging.url", "url.full"] {
                check(
                    of(Producer, &[("messaging.system", system), (id, "m-1"), (queue, url)]),
                    &[expected],
                );
            }
        }
    }
    // A receive span is a call, and one that settles is no message at all.
    for (operation, expected) in [
        ("receive", &["in sqs||jobs|m-1"][..]),
        ("process", &["in sqs||jobs|m-1"]),
        ("send", &["out sqs||jobs|m-1"]),
        ("publish", &["out sqs||jobs|m-1"]),
        ("settle", &[]),
    ] {
        for key in ["messaging.operation.type", "messaging.operation"] {
            let call =
                of(Client, &[("messaging.system", "aws_sqs"), ("messaging.message.id", "m-1")]);
            check(call.attr(key, operation).attr("messaging.destination.name", "jobs"), expected);
        }
    }
    check(
        of(
            Client,
            &[
                ("rpc.service", "SQS"),
                ("rpc.method", "ReceiveMessage"),
                ("messaging.message.id", "m-1"),
            ],
        ),
        &["in sqs|||m-1"],
    );
    check(of(Internal, &[("messaging.system", "aws_sqs"), ("messaging.message.id", "m-1")]), &[]);
}

#[test]
fn a_topic_partition_and_offset_are_one_id() {
    let kafka = |offset: &'static str, partition: &'static str| {
        of(Producer, &[("messaging.system", "kafka"), ("messaging.destination.name", "orders")])
            .attr(offset, 17_i64)
            .attr(partition, "3")
    };
    for offset in ["messaging.kafka.offset", "messaging.kafka.message.offset"] {
        for partition in ["messaging.destination.partition.id", "messaging.kafka.partition"] {
            check(kafka(offset, partition), &["out kafka||orders|3:17"]);
        }
    }
    let id = [("messaging.system", "kafka"), ("messaging.message.id", "the.orders.3.17")];
    check(of(Consumer, &id).attr("messaging.destination", "orders"), &["in kafka||orders|3:17"]);
    // Nobody was asked for an answer, so there is no offset.
    let none = of(Producer, &[("messaging.system", "kafka"), ("messaging.kafka.partition", "3")]);
    check(none.attr("messaging.kafka.offset", -1_i64), &[]);
}

#[test]
fn writing_an_object_is_a_message() {
    let put = |service, method, bucket| {
        of(Client, &[("rpc.service", service), ("rpc.method", method), ("aws.request_id", "R1")])
            .attr(bucket, "photos")
    };
    check(put("S3", "PutObject", "aws.s3.bucket"), &["out s3||photos|R1"]);
    check(put("Amazon S3", "CompleteMultipartUpload", "aws.s3.bucket"), &["out s3||photos|R1"]);
    check(put("S3", "S3/CopyObject", "aws.bucket.name"), &["out s3||photos|R1"]);
    check(put("S3", "GetObject", "aws.s3.bucket"), &[]);
}

#[test]
fn what_a_layer_records_has_an_item_for_each_message() {
    let mut builder = SpanBatchBuilder::default();
    let list = |items: &[&str]| {
        let items: Vec<_> = items.iter().map(|item| (*item).into()).collect();
        throughline_model::nested_array_from_json(&items)
    };
    builder.start_span(TraceId([1; 16]), SpanId([1; 8]));
    builder.kind(Client);
    builder.attribute("aws.kinesis.stream.name", AttrValue::Str("orders"));
    builder.attribute("aws.region", AttrValue::Str("us-east-1"));
    // One record failed, and has no number.
    builder.attribute("aws.kinesis.sequence_number", AttrValue::Array(&list(&["49", "", "51"])));
    builder.end_span();
    builder.start_span(TraceId([1; 16]), SpanId([2; 8]));
    builder.kind(Server);
    for sequence in ["49", "51"] {
        builder.start_event(1, "record", 0);
        builder.attribute("aws.kinesis.stream_name", AttrValue::Str("orders"));
        builder.attribute("aws.kinesis.sequence_number", AttrValue::Str(sequence));
    }
    builder.end_span();
    builder.start_span(TraceId([1; 16]), SpanId([3; 8]));
    builder
        .attribute("stitch.in", AttrValue::Array(&list(&["sqs|||a|0", "no receipt", "sqs|||b|1"])));
    builder.attribute("stitch.out", AttrValue::Str("sns|eu-west-1|news|n"));
    builder.end_span();
    let batch = builder.finish();
    let reader = ReceiptReader::new(&batch);
    assert_eq!(
        lines(&reader.at(0)),
        ["out kinesis|us-east-1|orders|49|0", "out kinesis|us-east-1|orders|51|2"]
    );
    assert_eq!(lines(&reader.at(1)), ["in kinesis||orders|49|0", "in kinesis||orders|51|1"]);
    assert_eq!(reader.at(1)[0].receipt.batch_size, Some(2));
    assert_eq!(lines(&reader.at(2)), ["out sns|eu-west-1|news|n", "in sqs|||a|0", "in sqs|||b|1"]);
    for (key, text, expected) in [
        ("aws.eventbridge.event_id", "e-1", "out eventbridge|||e-1"),
        ("aws.firehose.record_id", "r-1", "out firehose|||r-1"),
        ("aws.dynamodb.item_hash", "h", "out dynamodb|||h"),
    ] {
        check(of(Client, &[(key, text)]), &[expected]);
    }
    let execution = "arn:aws:states:eu-west-1:123456789012:execution:pay:8f2c";
    let expected = format!("out sfn|eu-west-1|pay|{execution}");
    check(of(Client, &[("aws.step_functions.execution.arn", execution)]), &[&expected]);
}

#[test]
fn what_a_stated_receipt_leaves_out_the_calls_own_words_say() {
    let call = |text| {
        of(Client, &[("rpc.service", "SQS"), ("rpc.method", "SendMessageBatch")])
            .attr("messaging.system", "aws.sqs")
            .attr("cloud.region", "eu-west-1")
            .attr("aws.queue_url", "http://localhost:4566/123456789012/jobs")
            .attr("stitch.out", text)
    };
    check(call("sqs|||m-1"), &["out sqs|eu-west-1|jobs|m-1"]);
    check(call("sqs||other|m-1"), &["out sqs|eu-west-1|other|m-1"]);
    check(call("sqs|us-east-1||m-1"), &["out sqs|us-east-1|jobs|m-1"]);
    // Of another carrier the call says nothing; nor may it change what a message is known by.
    check(call("sns|||n-1"), &["out sns|||n-1"]);
    check(call("kinesis|||49"), &["out kinesis|||49"]);
    let record = of(Client, &[("rpc.service", "Kinesis"), ("aws.kinesis.stream_name", "orders")]);
    check(record.attr("stitch.out", "kinesis|||49"), &["out kinesis|||49"]);
}

#[test]
fn links_say_who_sent_and_which_message() {
    let mut builder = SpanBatchBuilder::default();
    let other = (TraceId([7; 16]), SpanId([8; 8]));
    builder.start_span(TraceId([1; 16]), SpanId([1; 8]));
    builder.kind(Consumer);
    builder.attribute("messaging.system", AttrValue::Str("aws_sqs"));
    builder.attribute("messaging.destination.name", AttrValue::Str("jobs"));
    for id in ["a", "b"] {
        builder.start_link(other.0, other.1, "", 0, 0);
        builder.attribute("messaging.message.id", AttrValue::Str(id));
    }
    // Where it goes on, a pointer, a span of its own trace.
    builder.start_link(other.0, SpanId([9; 8]), "", 0, 0);
    builder.attribute("aws.xray.reserved.reference_type", AttrValue::Str("child"));
    builder.start_link(TraceId::ZERO, SpanId::ZERO, "", 0, 0);
    for (key, text) in [("ptr.hash", "ff"), ("ptr.kind", "aws.s3.object"), ("ptr.dir", "u")] {
        builder.attribute(key, AttrValue::Str(text));
    }
    builder.start_link(TraceId([1; 16]), SpanId([2; 8]), "", 0, 0);
    builder.end_span();
    let batch = builder.finish();
    let (trace, span) = (other.0, other.1);
    assert_eq!(
        lines(&ReceiptReader::new(&batch).at(0)),
        [
            format!("in link||{span}|{trace}|0"),
            "in sqs||jobs|a|0".to_owned(),
            "in sqs||jobs|b|1".to_owned(),
            format!("out link||{}|{trace}|2", SpanId([9; 8])),
            "in pointer||aws.s3.object|ff|3".to_owned(),
        ]
    );
}

#[test]
fn datadogs_links_are_read_from_their_text() {
    let text = r#"[{"trace_id":"0000000000000000000000000000000b","span_id":"000000000000000c"},
        {"trace_id":"0","span_id":"0","attributes":{"ptr.hash":"ab","ptr.kind":"aws.s3.object",
        "ptr.dir":"d","link.kind":"span-pointer"}},{"trace_id":5},"none"]"#;
    let expected = [
        "in link||000000000000000c|0000000000000000000000000000000b",
        "out pointer||aws.s3.object|ab",
    ];
    check(span("any").attr("_dd.span_links", text), &expected);
    check(span("any").attr("_dd.span_links", "[{"), &[]);
}

#[test]
fn a_subsegment_names_its_service_and_its_message() {
    let mut builder = SpanBatchBuilder::default();
    builder.start_resource();
    builder.attribute("service.name", AttrValue::Str("pay"));
    builder.attribute(xray::ORIGIN, AttrValue::Str(xray::LAMBDA_FUNCTION));
    builder.end_resource("", 0);
    builder.start_scope(xray::SCOPE, "");
    builder.end_scope("", 0);
    for (name, kind, attributes) in [
        (
            "SQS",
            Client,
            &[
                ("rpc.method", "SendMessage"),
                ("aws.queue_url", "https://sqs.us-east-1.amazonaws.com/123456789012/jobs"),
                ("aws.message_id", "m-1"),
                ("aws.request_id", "r-1"),
            ][..],
        ),
        ("pay", Server, &[("aws.request_id", "r-2")]),
        (
            "Lambda",
            Client,
            &[("rpc.method", "Invoke"), ("aws.function_name", "bill"), ("aws.request_id", "r-3")],
        ),
    ] {
        builder.start_span(TraceId([1; 16]), SpanId([1; 8]));
        builder.name(name);
        builder.kind(kind);
        attributes.iter().for_each(|(key, text)| builder.attribute(key, AttrValue::Str(text)));
        builder.end_span();
    }
    let batch = builder.finish();
    let reader = ReceiptReader::new(&batch);
    let all: Vec<_> = (0..3).flat_map(|row| lines(&reader.at(row))).collect();
    assert_eq!(all, ["out sqs|us-east-1|jobs|m-1", "in lambda||pay|r-2", "out lambda||bill|r-3"]);
}

#[test]
fn a_span_holds_only_so_many_receipts() {
    let mut builder = SpanBatchBuilder::default();
    builder.start_span(TraceId([1; 16]), SpanId([1; 8]));
    let items: Vec<_> = (0..5_000).map(|n| format!("sqs|||{n}").into()).collect();
    let list = throughline_model::nested_array_from_json(&items);
    for key in ["stitch.in", "stitch.out"] {
        builder.attribute(key, AttrValue::Array(&list));
    }
    for n in 0..5_000_u64 {
        builder.start_link(TraceId([2; 16]), SpanId(n.to_be_bytes()), "", 0, 0);
    }
    builder.end_span();
    let batch = builder.finish();
    let found = ReceiptReader::new(&batch).at(0).len();
    assert_eq!(found, 3 * 256);
    assert!(found <= RECEIPTS_PER_SPAN_MAX);
}
