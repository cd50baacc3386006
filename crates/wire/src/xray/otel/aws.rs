//! `aws`, `origin` and `service` of a document.
//!
//! Rule: `awsxrayexporter`, `aws.go`, `segment.go` (`determineAwsOrigin`), `service.go`; the block
//!       names are those of the developer guide.

use serde_json::{Value, json};
use throughline_model::xray;

use super::Said;
use crate::xray::parts::{Object, put};

/// Members of `aws` that a span says, each with the keys it may have.
const MEMBERS: [(&str, &[&str]); 9] = [
    ("account_id", &["aws.account_id", "aws.account.id"]),
    ("region", &["aws.region"]),
    ("request_id", &["aws.request_id", "aws.requestId", "aws.request.id"]),
    ("queue_url", &["aws.queue_url", "aws.queue.url", "aws.sqs.queue.url", "messaging.url"]),
    ("table_name", &["aws.table_name", "aws.table.name"]),
    ("bucket_name", &["aws.s3.bucket", "aws.bucket.name"]),
    ("topic_arn", &["aws.sns.topic.arn", "aws.topic.arn"]),
    ("stream_name", &["aws.kinesis.stream_name", "aws.stream.name"]),
    ("function_name", &["aws.lambda.function_name", "aws.function_name"]),
];

const PROVIDER: &str = "cloud.provider";
const PLATFORM: &str = "cloud.platform";

pub(super) fn write(said: &mut Said<'_>, is_aws_call: bool, document: &mut Object) {
    let elsewhere = said.resource.text(PROVIDER).is_some_and(|provider| provider != "aws");
    if !elsewhere {
        call(said, is_aws_call, document);
    }
    if !said.is_segment {
        return;
    }
    service(said, document);
    if !elsewhere {
        place(said, document);
        sdk(said, document);
        logs(said, document);
    }
}

/// What was called: said by the span.
fn call(said: &mut Said<'_>, is_aws_call: bool, document: &mut Object) {
    let mut operation = said.own.take_text(&["aws.operation"]);
    if operation.is_none() && is_aws_call {
        operation = said.own.take_text(&["rpc.method"]);
    }
    if let Some(operation) = operation {
        put(document, &["aws", "operation"], operation.into());
    }
    for (member, keys) in MEMBERS {
        if let Some(text) = said.own.take_scalar(keys) {
            put(document, &["aws", member], text.into());
        }
    }
    if let Some(tables) = said.own.take_texts(&["aws.dynamodb.table_names"]) {
        match &tables[..] {
            [table] => put(document, &["aws", "table_name"], table.as_str().into()),
            tables => put(document, &["aws", "table_names"], json!(tables)),
        }
    }
}

fn service(said: &mut Said<'_>, document: &mut Object) {
    let version = said.resource.take_text(&["service.version"]).map(str::to_owned);
    let tag = |said: &mut Said<'_>| {
        let tags = said.resource.take_texts(&["container.image.tag", "container.image.tags"]);
        tags?.into_iter().next()
    };
    if let Some(version) = version.or_else(|| tag(said)) {
        put(document, &["service", "version"], version.into());
    }
}

/// Where the service runs.
fn place(said: &mut Said<'_>, document: &mut Object) {
    if let Some(account) = said.resource.take_text(&["cloud.account.id"]) {
        put(document, &["aws", "account_id"], account.into());
    }
    if said.resource.text(PROVIDER) != Some("aws") {
        return;
    }
    let platform = said.resource.text(PLATFORM).unwrap_or_default();
    let launch_type = said.resource.text("aws.ecs.launchtype").unwrap_or_default();
    let Some(origin) = xray::origin_of(platform, launch_type) else { return };
    said.resource.tick(PROVIDER);
    said.resource.tick(PLATFORM);
    put(document, &["origin"], origin.into());
    blocks(said, platform, document);
}

/// The block of the platform, and those of what it runs on.
fn blocks(said: &mut Said<'_>, platform: &str, document: &mut Object) {
    const EC2: &[(&str, &str)] = &[
        ("instance_id", "host.id"),
        ("instance_size", "host.type"),
        ("ami_id", "host.image.id"),
        ("availability_zone", "cloud.availability_zone"),
    ];
    const ECS: &[(&str, &str)] = &[
        ("container", "container.name"),
        ("container_id", "container.id"),
        ("container_arn", "aws.ecs.container.arn"),
        ("cluster_arn", "aws.ecs.cluster.arn"),
        ("task_arn", "aws.ecs.task.arn"),
        ("task_family", "aws.ecs.task.family"),
        ("launch_type", "aws.ecs.launchtype"),
        ("availability_zone", "cloud.availability_zone"),
    ];
    const EKS: &[(&str, &str)] = &[
        ("cluster_name", "k8s.cluster.name"),
        ("pod", "k8s.pod.name"),
        ("container_id", "container.id"),
    ];
    const BEANSTALK: &[(&str, &str)] = &[("environment_name", "service.namespace")];
    let tables: &[(&str, &[(&str, &str)])] = match platform {
        "aws_ec2" => &[("ec2", EC2)],
        "aws_ecs" => &[("ecs", ECS)],
        "aws_eks" => &[("eks", EKS), ("ec2", EC2)],
        "aws_elastic_beanstalk" => &[("elastic_beanstalk", BEANSTALK), ("ec2", EC2)],
        "aws_lambda" => return function(said, document),
        _ => return,
    };
    for (block, members) in tables {
        for (member, key) in *members {
            if let Some(text) = said.resource.take_scalar(&[key]) {
                put(document, &["aws", block, member], text.into());
            }
        }
    }
    if platform == "aws_elastic_beanstalk" {
        if let Some(deployment) = said.resource.take_int(&["service.instance.id"]) {
            put(document, &["aws", "elastic_beanstalk", "deployment_id"], deployment.into());
        }
        let version = document.get("service").and_then(|service| service.get("version")).cloned();
        if let Some(version) = version {
            put(document, &["aws", "elastic_beanstalk", "version_label"], version);
        }
    }
}

/// What Lambda itself says in a function's segment.
fn function(said: &mut Said<'_>, document: &mut Object) {
    let arns = ["aws.lambda.invoked_arn", "faas.id", "cloud.resource_id"];
    let arn = said.own.take_text(&arns).or_else(|| said.resource.take_text(&arns));
    if let Some(arn) = arn {
        put(document, &["aws", "function_arn"], arn.into());
    }
    let request = said.own.take_text(&["faas.invocation_id", "faas.execution"]);
    if let Some(request) = request.filter(|_| !has(document, "request_id")) {
        put(document, &["aws", "request_id"], request.into());
    }
    if let Some(name) = said.resource.take_text(&["faas.name"]) {
        put(document, &["aws", "resource_names"], json!([name]));
    }
}

fn has(document: &Object, member: &str) -> bool {
    document.get("aws").is_some_and(|aws| aws.get(member).is_some())
}

/// Which library made the span.
fn sdk(said: &mut Said<'_>, document: &mut Object) {
    let language = said.resource.text("telemetry.sdk.language");
    let name = said.resource.take_text(&["telemetry.sdk.name"]);
    // The agent's version tells more than that of the library inside it, as for the exporter.
    let agent = ["telemetry.auto.version", "telemetry.distro.version"];
    let agent = said.resource.take_text(&agent);
    if let Some(name) = name {
        let sdk = match language {
            Some(language) => format!("{name} for {language}"),
            None => name.to_owned(),
        };
        put(document, &["aws", "xray", "sdk"], sdk.into());
        said.resource.tick("telemetry.sdk.language");
    }
    if let Some(version) = said.resource.take_text(&["telemetry.sdk.version"]) {
        put(document, &["aws", "xray", "sdk_version"], version.into());
    }
    if name.is_some() || agent.is_some() {
        put(document, &["aws", "xray", "auto_instrumentation"], agent.is_some().into());
    }
}

/// The log groups, each with its ARN when as many were said.
fn logs(said: &mut Said<'_>, document: &mut Object) {
    let names = said.resource.take_texts(&["aws.log.group.names"]).unwrap_or_default();
    let arns = said.resource.take_texts(&["aws.log.group.arns"]).unwrap_or_default();
    let groups: Vec<Value> = (0..names.len().max(arns.len()))
        .map(|at| {
            let mut group = Object::new();
            // An ARN names its group in the seventh part.
            let arn = arns.get(at);
            let of_arn = arn.and_then(|arn| arn.split(':').nth(6)).map(str::to_owned);
            if let Some(name) = names.get(at).cloned().or(of_arn) {
                group.insert("log_group".to_owned(), name.into());
            }
            if let Some(arn) = arn {
                group.insert("arn".to_owned(), arn.as_str().into());
            }
            Value::Object(group)
        })
        .collect();
    if !groups.is_empty() {
        put(document, &["aws", "cloudwatch_logs"], Value::Array(groups));
    }
}
