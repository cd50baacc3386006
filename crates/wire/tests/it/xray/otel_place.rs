//! Spans that came as OTLP, as segment documents: what was called, and where the service runs.

use serde_json::{Value, json};
use throughline_model::SpanKind::{Client, Server};

use super::otel::{Given, given};

#[test]
fn a_call_to_aws_says_what_was_called() {
    let check = |own: Value, expected: Value| {
        let mut own = own;
        own["rpc.system"] = "aws-api".into();
        given(Client, own).check("/aws", expected);
    };
    check(json!({"rpc.method": "Get"}), json!({"operation": "Get"}));
    check(json!({"rpc.method": "Get", "aws.operation": "Put"}), json!({"operation": "Put"}));
    check(
        json!({"aws.account_id": 12, "aws.region": "r"}),
        json!({"account_id": "12", "region": "r"}),
    );
    for key in ["aws.request_id", "aws.requestId"] {
        check(json!({key: "x"}), json!({"request_id": "x"}));
    }
    for key in ["aws.queue_url", "aws.queue.url", "messaging.url"] {
        check(json!({key: "x"}), json!({"queue_url": "x"}));
    }
    for key in ["aws.table_name", "aws.table.name"] {
        check(json!({key: "x"}), json!({"table_name": "x"}));
    }
    check(json!({"aws.dynamodb.table_names": ["a"]}), json!({"table_name": "a"}));
    check(json!({"aws.dynamodb.table_names": ["a", "b"]}), json!({"table_names": ["a", "b"]}));
    check(json!({"aws.s3.bucket": "b"}), json!({"bucket_name": "b"}));
    given(Client, json!({"rpc.method": "Get"})).check("/aws", json!(null));
    given(Client, json!({"aws.operation": "Get"})).check("/aws", json!({"operation": "Get"}));
}

fn on(platform: &str, more: Value) -> Given {
    let mut resource =
        json!({"service.name": "shop", "cloud.provider": "aws", "cloud.platform": platform});
    resource.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Given { resource, ..given(Server, json!({})) }
}

#[test]
fn the_platform_is_the_origin() {
    let check = |platform, more, origin: Value| on(platform, more).check("/origin", origin);
    check("aws_ec2", json!({}), json!("AWS::EC2::Instance"));
    check("aws_ecs", json!({}), json!("AWS::ECS::Container"));
    check("aws_ecs", json!({"aws.ecs.launchtype": "EC2"}), json!("AWS::ECS::EC2"));
    check("aws_ecs", json!({"aws.ecs.launchtype": "fargate"}), json!("AWS::ECS::Fargate"));
    check("aws_eks", json!({}), json!("AWS::EKS::Container"));
    check("aws_elastic_beanstalk", json!({}), json!("AWS::ElasticBeanstalk::Environment"));
    check("aws_app_runner", json!({}), json!("AWS::AppRunner::Service"));
    check("aws_lambda", json!({}), json!("AWS::Lambda::Function"));
    check("aws_moon", json!({}), json!(null));
    check("aws_ec2", json!({"cloud.provider": "gcp"}), json!(null));
}

#[test]
fn the_platform_has_its_blocks() {
    let check = |platform, more, block: &str, expected: Value| {
        on(platform, more).check(&format!("/aws/{block}"), expected);
    };
    let host = json!({"host.id": "i", "host.type": "t", "host.image.id": "ami", "cloud.availability_zone": "z"});
    let ec2 = json!({"instance_id": "i", "instance_size": "t", "ami_id": "ami", "availability_zone": "z"});
    check("aws_ec2", host, "ec2", ec2);
    let task = json!({"container.name": "c", "container.id": "id", "aws.ecs.container.arn": "ca",
        "aws.ecs.cluster.arn": "cl", "aws.ecs.task.arn": "ta", "aws.ecs.task.family": "f",
        "aws.ecs.launchtype": "fargate", "cloud.availability_zone": "z"});
    let ecs = json!({"container": "c", "container_id": "id", "container_arn": "ca", "cluster_arn": "cl",
        "task_arn": "ta", "task_family": "f", "launch_type": "fargate", "availability_zone": "z"});
    check("aws_ecs", task, "ecs", ecs);
    let pod =
        json!({"k8s.cluster.name": "k", "k8s.pod.name": "p", "container.id": "id", "host.id": "i"});
    check(
        "aws_eks",
        pod.clone(),
        "eks",
        json!({"cluster_name": "k", "pod": "p", "container_id": "id"}),
    );
    check("aws_eks", pod, "ec2", json!({"instance_id": "i"}));
    let beanstalk =
        json!({"service.namespace": "env", "service.instance.id": "32", "service.version": "v"});
    let block = json!({"environment_name": "env", "deployment_id": 32, "version_label": "v"});
    check("aws_elastic_beanstalk", beanstalk, "elastic_beanstalk", block);
    let function = json!({"faas.name": "f", "cloud.resource_id": "arn"});
    on("aws_lambda", function)
        .check("/aws", json!({"function_arn": "arn", "resource_names": ["f"]}));
}

#[test]
fn the_sdk_the_version_the_account_and_the_logs_are_said() {
    let more = json!({"cloud.account.id": "123456789012", "service.version": "v",
        "telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "go", "telemetry.sdk.version": "1.2",
        "aws.log.group.names": ["g"], "aws.log.group.arns": ["arn:aws:logs:r:1:log-group:g", "arn:aws:logs:r:1:log-group:h"]});
    let mut span = on("aws_ec2", more);
    span.check("/service", json!({"version": "v"}));
    span.check("/aws/account_id", json!("123456789012"));
    let sdk =
        json!({"sdk": "opentelemetry for go", "sdk_version": "1.2", "auto_instrumentation": false});
    span.check("/aws/xray", sdk);
    let logs = json!([{"log_group": "g", "arn": "arn:aws:logs:r:1:log-group:g"},
        {"log_group": "h", "arn": "arn:aws:logs:r:1:log-group:h"}]);
    span.check("/aws/cloudwatch_logs", logs);
    span.check("/metadata", json!(null));
    span.resource["telemetry.auto.version"] = "2".into();
    span.check("/aws/xray/auto_instrumentation", json!(true));
    span.kind = Client;
    span.parent = true;
    span.check("/aws", json!(null));
    let tagged = on("aws_ec2", json!({"container.image.tag": "t"}));
    tagged.check("/service", json!({"version": "t"}));
}

#[test]
fn another_cloud_has_no_aws_block() {
    let mut span = on(
        "gcp_run",
        json!({"cloud.provider": "gcp", "telemetry.sdk.name": "x", "cloud.account.id": "1"}),
    );
    span.own = json!({"aws.region": "r"});
    span.check("/aws", json!(null));
    span.check("/metadata/default/aws.region", json!("r"));
    span.check("/metadata/default/otel.resource.cloud.account.id", json!("1"));
}
