//! Which node a client or producer names, by its attributes.

mod support;

use SpanKind::{Client, Producer};
use support::{ALWAYS, observed, span};
use throughline_model::SpanKind;

/// Checks id of the inferred node and kind of the edge; no id for no node.
#[track_caller]
fn check(kind: SpanKind, attributes: &[(&'static str, &'static str)], expected: &str) {
    let mut call = span("app", kind, 1, 0);
    call.attributes = attributes.to_vec();
    let map = observed(&[&[call]]).view(&ALWAYS);
    let found = map.edges.first().map(|edge| format!("{} {}", edge.to, edge.kind.word()));
    assert_eq!(found.as_deref().unwrap_or(""), expected, "{attributes:?}");
}

#[test]
fn a_name_given_by_people_comes_first() {
    let host = ("server.address", "cart.example.com");
    check(Client, &[("peer.service", "cart"), host], "external:cart sync");
    check(
        Client,
        &[("peer.service", "old"), ("service.peer.name", "new"), host],
        "external:new sync",
    );
    let database = [("peer.service", "ledger"), ("db.system", "mysql"), ("db.name", "x")];
    check(Client, &database, "database:mysql:ledger sync");
}

#[test]
fn a_destination_stays_itself_whatever_the_broker_is_called() {
    let attributes = [
        ("peer.service", "broker"),
        ("messaging.system", "rabbitmq"),
        ("messaging.destination.name", "mails"),
    ];
    check(Producer, &attributes, "queue:rabbitmq:mails async");
}

#[test]
fn resources_of_aws_are_known_by_their_attributes() {
    let aws = |service, method| {
        [("rpc.system", "aws-api"), ("rpc.service", service), ("rpc.method", method)]
    };
    let check_aws = |service, method, attribute: (&'static str, &'static str), expected| {
        let mut attributes = aws(service, method).to_vec();
        attributes.push(("aws.region", "eu-west-1"));
        attributes.push(attribute);
        check(Client, &attributes, expected);
    };
    let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/mails";
    check_aws("SQS", "SendMessage", ("aws.sqs.queue.url", url), "queue:aws_sqs:mails async");
    check_aws("SQS", "ReceiveMessage", ("aws.sqs.queue_url", url), "queue:aws_sqs:mails sync");
    let arn = "arn:aws:sns:eu-west-1:123456789012:news";
    check_aws("SNS", "Publish", ("aws.sns.topic.arn", arn), "topic:aws_sns:news async");
    let stream = ("aws.kinesis.stream_name", "clicks");
    check_aws("Kinesis", "PutRecords", stream, "stream:aws_kinesis:clicks async");
    check_aws("Kinesis", "GetRecords", stream, "stream:aws_kinesis:clicks sync");
    check_aws("S3", "GetObject", ("aws.s3.bucket", "media"), "external:s3:media sync");
    let table = ("aws.dynamodb.table_names", "carts");
    check_aws("DynamoDB", "Query", table, "database:dynamodb:carts sync");
    let function = ("faas.invoked_name", "arn:aws:lambda:eu-west-1:123456789012:function:resize:7");
    check_aws("Lambda", "Invoke", function, "function:aws_lambda:resize sync");
    let machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:checkout";
    let machine = ("aws.step_functions.state_machine.arn", machine);
    check_aws("SFN", "StartExecution", machine, "function:aws_step_functions:checkout sync");
    let none = ("http.status_code", "200");
    check_aws("SecretsManager", "GetSecretValue", none, "rpc:aws:SecretsManager sync");
    check_aws("SQS", "SendMessage", none, "queue:aws_sqs:SQS async");
}

#[test]
fn destinations_have_the_kind_of_their_system() {
    let name = ("messaging.destination.name", "orders");
    check(Producer, &[("messaging.system", "kafka"), name], "topic:kafka:orders async");
    check(Producer, &[("messaging.system", "aws_sns"), name], "topic:aws_sns:orders async");
    check(Producer, &[("messaging.system", "AmazonSQS"), name], "queue:aws_sqs:orders async");
    check(
        Producer,
        &[("messaging.system", "aws.kinesis"), name],
        "stream:aws_kinesis:orders async",
    );
    check(Producer, &[("messaging.system", "nats"), name], "queue:nats:orders async");
    let old = [
        ("messaging.system", "activemq"),
        ("messaging.destination", "orders"),
        ("messaging.destination_kind", "topic"),
    ];
    check(Producer, &old, "topic:activemq:orders async");
    let template = ("messaging.destination.template", "reply-{client}");
    check(
        Producer,
        &[("messaging.system", "jms"), name, template],
        "queue:jms:reply-{client} async",
    );
    let client = [("messaging.system", "kafka"), name, ("messaging.operation.type", "send")];
    check(Client, &client, "topic:kafka:orders async");
}

#[test]
fn databases_are_named_by_namespace_and_host() {
    let system = ("db.system", "redis");
    check(Client, &[system], "database:redis:redis sync");
    check(Client, &[system, ("server.address", "10.0.0.9")], "database:redis:redis sync");
    check(Client, &[system, ("net.peer.name", "cache")], "database:redis:cache sync");
    let full = [("db.system.name", "mysql"), ("db.namespace", "shop"), ("server.address", "DB1")];
    check(Client, &full, "database:mysql:shop@db1 sync");
}

#[test]
fn others_are_named_by_rpc_service_or_address() {
    let grpc = [("rpc.system", "grpc"), ("rpc.service", "a.B"), ("server.address", "h")];
    check(Client, &grpc, "rpc:grpc:a.B sync");
    check(Client, &[("rpc.system", "grpc"), ("rpc.method", "a.B/Get")], "rpc:grpc:a.B sync");
    check(Client, &[("server.address", "h"), ("server.port", "8080")], "external:h:8080 sync");
    check(Client, &[("server.address", "h"), ("server.port", "443")], "external:h sync");
    let url = ("url.full", "https://api.example.com:8443/a?b");
    check(Client, &[url], "external:api.example.com:8443 sync");
    let both = [("http.url", "http://h.example.com/"), ("net.peer.name", "other")];
    check(Client, &both, "external:h.example.com sync");
    check(Client, &[("net.peer.name", "h"), ("net.peer.port", "99")], "external:h:99 sync");
    check(Client, &[("network.peer.address", "10.2.3.4")], "external:ip address sync");
    check(Client, &[("http.url", "http://127.0.0.1:14566/")], "external:ip address sync");
    check(Producer, &[("server.address", "broker")], "queue:broker async");
}

#[test]
fn a_span_that_names_nobody_has_no_peer() {
    check(Client, &[], "");
    check(Producer, &[("messaging.system", "kafka")], "");
    check(Client, &[("server.address", ""), ("peer.service", " ")], "");
    check(SpanKind::Internal, &[("server.address", "h")], "");
    check(SpanKind::Server, &[("server.address", "h")], "");
}
