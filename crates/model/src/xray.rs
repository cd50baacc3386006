//! Attribute keys that hold what an X-Ray segment says beyond OTLP's own words.
//!
//! A key that begins with `xray.` is ours; everything else that a segment says is written under the
//! semantic conventions' names, or under its own path in the segment (`aws.table_name`). The whole
//! table stands in `docs/xray.md`. A span that came as a segment document has [`TYPE`].

/// Span, text: `segment` or `subsegment`. Only spans that came as X-Ray documents have it.
pub const TYPE: &str = "xray.type";
/// Resource, text: the segment's `origin`, such as `AWS::Lambda::Function`.
pub const ORIGIN: &str = "xray.origin";
/// Span, text: a subsegment's `namespace`: `aws`, `remote`, or what else was sent.
pub const NAMESPACE: &str = "xray.namespace";
/// Span, truth value: the document's `error` flag, a fault of the caller (4xx).
pub const ERROR: &str = "xray.error";
/// Span, truth value: the document's `fault` flag (5xx).
pub const FAULT: &str = "xray.fault";
/// Span, truth value: the document's `throttle` flag (429).
pub const THROTTLE: &str = "xray.throttle";
/// Span, truth value: the subsegment's `traced` flag, "the callee sends its own segment".
pub const TRACED: &str = "xray.traced";
/// Span, truth value: the segment's `inferred` flag, as a client sent it.
pub const INFERRED: &str = "xray.inferred";
/// Span, truth value: `http.request.x_forwarded_for`.
pub const X_FORWARDED_FOR: &str = "xray.x_forwarded_for";
/// Span, text: the segment's `resource_arn`.
pub const RESOURCE_ARN: &str = "xray.resource_arn";
/// Span, JSON text: the document's `cause`, whole.
pub const CAUSE: &str = "xray.cause";
/// Span, JSON text: an object with every part of the document that has no attribute of its own.
pub const EXTRA: &str = "xray.extra";
/// Prefix of span attributes: one annotation each, typed as sent.
pub const ANNOTATION_PREFIX: &str = "annotation.";
/// Prefix of span attributes, JSON text: one metadata namespace each.
pub const METADATA_PREFIX: &str = "metadata.";
/// The name of the instrumentation scope of spans that came as X-Ray documents.
pub const SCOPE: &str = "aws.xray";

/// The type of Lambda's own segment, one for each invocation.
pub const LAMBDA: &str = "AWS::Lambda";
/// The type of a function's segment, which lies below that of [`LAMBDA`].
pub const LAMBDA_FUNCTION: &str = "AWS::Lambda::Function";

/// The account that stands for this machine, and so for none.
pub const ACCOUNT_HERE: &str = "000000000000";

/// The `origin` of a service that OpenTelemetry describes: of its resource's `cloud.platform` and
/// `aws.ecs.launchtype`, where `cloud.provider` is `aws`.
///
/// **Rule:** the collector's X-Ray exporter, `determineAwsOrigin`. Lambda is ours: there a function's
/// own segment is sent by AWS, here a function is one wherever its spans come from.
pub fn origin_of(platform: &str, launch_type: &str) -> Option<&'static str> {
    Some(match platform {
        "aws_ec2" => "AWS::EC2::Instance",
        "aws_ecs" if launch_type.eq_ignore_ascii_case("ec2") => "AWS::ECS::EC2",
        "aws_ecs" if launch_type.eq_ignore_ascii_case("fargate") => "AWS::ECS::Fargate",
        "aws_ecs" => "AWS::ECS::Container",
        "aws_eks" => "AWS::EKS::Container",
        "aws_elastic_beanstalk" => "AWS::ElasticBeanstalk::Environment",
        "aws_app_runner" | "aws_apprunner" => "AWS::AppRunner::Service",
        "aws_lambda" => LAMBDA_FUNCTION,
        _ => return None,
    })
}
