//! Whom a call was meant for: the node of a callee that sent nothing itself.
//!
//! **Rule:** X-Ray developer guide, "Sending trace data" (inferred segments) and the samples under
//! "Getting data"; for spans of OpenTelemetry the names of the collector's X-Ray exporter.

use throughline_model::{AttrValue, SpanKind, SpanRef, nested_to_json, xray};

use super::facts::{Attrs, is_xray};
use crate::host::host_of_url;

/// The type of nodes of which only a name is known.
pub const REMOTE: &str = "remote";
/// The type of nodes that stand for the callers of a root.
pub const CLIENT: &str = "client";
/// The type of SQL databases.
pub const SQL: &str = "Database::SQL";

/// A callee as its caller describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inferred {
    /// The node's name: the resource where one is named, else the service.
    pub name: String,
    /// The name first, then its aliases.
    pub names: Vec<String>,
    /// The node's type.
    pub kind: String,
    /// The inferred segment's origin; `None` for hosts that are only known by name.
    pub origin: Option<String>,
    /// The resources, as X-Ray adds them to the inferred segment.
    pub resource_names: Vec<String>,
    /// The name of the call and of the inferred segment (`DynamoDB`), as sent where it was sent.
    pub called: String,
    /// `aws` or `remote`.
    pub namespace: &'static str,
}

/// The callee of a calling span; `None` when the span calls nobody.
///
/// A caller is a subsegment with a namespace of its own or a query, and of OpenTelemetry's spans
/// every one of kind client or producer.
pub fn inferred_service(span: SpanRef<'_>) -> Option<Inferred> {
    let attrs = Attrs::of(span);
    if is_xray(span) {
        let is_inferred = attrs.is_true(xray::INFERRED);
        let is_query = ["db.query.text", "db.system.name", "db.connection_string"]
            .iter()
            .any(|key| attrs.value(key).is_some());
        let origin = span.resource().attributes().value(xray::ORIGIN).and_then(AttrValue::as_str);
        return match attrs.text(&[xray::NAMESPACE]) {
            Some("aws") => Some(aws(span.name(), &attrs)),
            None if is_inferred && origin.is_some_and(|o| o.starts_with("AWS::")) => {
                Some(aws(span.name(), &attrs))
            }
            _ if is_query => Some(sql(span.name())),
            Some("remote") => Some(remote(span.name())),
            _ => None,
        };
    }
    match span.kind() {
        SpanKind::Client | SpanKind::Producer => Some(match aws_word(&attrs) {
            Some(service) => aws(service, &attrs),
            None => other(span, &attrs),
        }),
        _ => None,
    }
}

fn remote(name: &str) -> Inferred {
    Inferred {
        name: name.to_owned(),
        names: vec![name.to_owned()],
        kind: REMOTE.to_owned(),
        called: name.to_owned(),
        namespace: "remote",
        ..Inferred::default()
    }
}

fn sql(name: &str) -> Inferred {
    Inferred { kind: SQL.to_owned(), origin: Some(SQL.to_owned()), ..remote(name) }
}

/// What a service of AWS is called, and what its resources are.
struct AwsService {
    /// Spellings, in lower case: of SDKs for Node, Java and .NET, and the endpoint's prefix, which
    /// is what Python sends.
    spellings: &'static [&'static str],
    /// The node's name where no resource is known, and the end of the type then.
    name: &'static str,
    /// The end of the type where a resource is known.
    resource: &'static str,
    /// The attributes that name a resource, X-Ray's own first.
    keys: &'static [&'static str],
}

const AWS_SERVICES: &[AwsService] = &[
    AwsService {
        spellings: &["dynamodb", "dynamodbv2", "dynamodbdocument"],
        name: "DynamoDB",
        resource: "DynamoDB::Table",
        keys: &["aws.table_name", "aws.table_names", "aws.dynamodb.table_names", "table.name"],
    },
    AwsService {
        spellings: &["s3"],
        name: "S3",
        resource: "S3::Bucket",
        keys: &["aws.bucket_name", "aws.s3.bucket", "aws.bucket.name"],
    },
    // A topic traces by itself where it is a node of its own; callers only show the service.
    AwsService {
        spellings: &["sns", "simplenotificationservice"],
        name: "SNS",
        resource: "",
        keys: &[],
    },
    AwsService {
        spellings: &["sqs", "simplequeueservice"],
        name: "SQS",
        resource: "SQS::Queue",
        keys: &[
            "aws.queue_url",
            "aws.sqs.queue.url",
            "aws.sqs.queue_url",
            "aws.queue.url",
            "queue.url",
            "messaging.url",
            "aws.queue_name",
            "messaging.destination.name",
        ],
    },
    AwsService {
        spellings: &["lambda"],
        name: "Lambda",
        resource: "Lambda",
        keys: &["aws.function_name", "faas.invoked_name", "aws.lambda.function.name"],
    },
    AwsService {
        spellings: &["kinesis"],
        name: "Kinesis",
        resource: "Kinesis::Stream",
        keys: &[
            "aws.stream_name",
            "aws.kinesis.stream_name",
            "aws.kinesis.stream.name",
            "messaging.destination.name",
        ],
    },
    AwsService {
        spellings: &["firehose", "kinesisfirehose"],
        name: "KinesisFirehose",
        resource: "KinesisFirehose::DeliveryStream",
        keys: &["aws.delivery_stream_name"],
    },
    AwsService {
        spellings: &["events", "eventbridge", "cloudwatchevents"],
        name: "Events",
        resource: "Events::EventBus",
        keys: &["aws.event_bus_name", "aws.eventbridge.event_bus.name"],
    },
    AwsService {
        spellings: &["states", "sfn", "stepfunctions"],
        name: "StepFunctions",
        resource: "StepFunctions::StateMachine",
        keys: &[
            "aws.state_machine_arn",
            "aws.step_functions.state_machine.arn",
            "aws.stepfunctions.state_machine.arn",
        ],
    },
    AwsService {
        spellings: &["sagemaker", "sagemakerruntime", "runtime.sagemaker"],
        name: "SageMaker",
        resource: "SageMaker::Endpoint",
        keys: &["aws.endpoint_name"],
    },
];

/// A call to a service of AWS; any that is not in the table is itself, `AWS::<name>`.
fn aws(called: &str, attrs: &Attrs<'_>) -> Inferred {
    let spelling = spelling(called);
    let called = called.to_owned();
    let Some(service) = AWS_SERVICES.iter().find(|s| s.spellings.contains(&spelling.as_str()))
    else {
        let kind = format!("AWS::{called}");
        let origin = Some(kind.clone());
        return Inferred { kind, origin, namespace: "aws", ..remote(&called) };
    };
    let resource = match service.name {
        // Several tables are no table.
        "DynamoDB" => attrs.only(service.keys),
        _ => attrs.first(service.keys),
    };
    let Some(sent) = resource else {
        let kind = format!("AWS::{}", service.name);
        let origin = Some(kind.clone());
        return Inferred { kind, origin, called, namespace: "aws", ..remote(service.name) };
    };
    let name = resource_name(&sent).to_owned();
    let mut names = vec![name.clone()];
    if sent != name {
        names.push(sent);
    }
    let kind = format!("AWS::{}", service.resource);
    let origin = Some(kind.clone());
    let resource_names = vec![name.clone()];
    Inferred { name, names, kind, origin, resource_names, called, namespace: "aws" }
}

/// A service's name in lower case, without what some SDKs put around it.
fn spelling(name: &str) -> String {
    let mut short: String =
        name.chars().filter(|c| !c.is_whitespace()).take(100).collect::<String>().to_lowercase();
    for prefix in ["amazon", "aws::", "aws.sdk.", "aws"] {
        if let Some(rest) = short.strip_prefix(prefix).filter(|rest| !rest.is_empty()) {
            short = rest.to_owned();
        }
    }
    match short.strip_suffix("v2") {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => short,
    }
}

/// The name of a resource from its name, URL or ARN.
fn resource_name(sent: &str) -> &str {
    if let Some((_, function)) = sent.split_once(":function:") {
        return function.split(':').next().unwrap_or(function);
    }
    if !sent.starts_with("arn:") && !sent.contains("://") {
        return sent;
    }
    let trimmed = sent.trim_end_matches('/');
    trimmed.rsplit(['/', ':']).next().filter(|last| !last.is_empty()).unwrap_or(trimmed)
}

/// The service of AWS that a span of OpenTelemetry calls.
fn aws_word<'a>(attrs: &Attrs<'a>) -> Option<&'a str> {
    let stripped =
        |name: &'a str| name.strip_prefix("AWS.SDK.").or_else(|| name.strip_prefix("AWS::"));
    if let Some(name) = attrs.text(&["aws.remote.service"]).and_then(stripped) {
        return Some(name);
    }
    if attrs.text(&["rpc.system", "rpc.system.name"]) == Some("aws-api") {
        let in_method = || Some(attrs.text(&["rpc.method"])?.rsplit_once('/')?.0);
        let service = attrs.text(&["rpc.service", "aws.service"]).or_else(in_method);
        return service.filter(|name| !name.is_empty());
    }
    if let Some(service) = attrs.text(&["aws.service"]) {
        return Some(service);
    }
    match attrs.text(&["messaging.system"]) {
        Some("aws_sqs" | "AmazonSQS" | "aws.sqs") => return Some("SQS"),
        Some("aws_sns" | "AmazonSNS" | "aws.sns") => return Some("SNS"),
        Some("aws_kinesis" | "AmazonKinesis" | "aws.kinesis") => return Some("Kinesis"),
        _ => {}
    }
    let invokes = attrs.text(&["faas.invoked_provider"]) == Some("aws");
    (invokes && attrs.value("faas.invoked_name").is_some()).then_some("Lambda")
}

/// A call of a span of OpenTelemetry to what is no service of AWS.
fn other(span: SpanRef<'_>, attrs: &Attrs<'_>) -> Inferred {
    if let Some(name) = attrs.text(&["aws.remote.service", "service.peer.name", "peer.service"]) {
        let is_sql = is_sql_system(attrs);
        return if is_sql { sql(name) } else { remote(name) };
    }
    let host = host(attrs);
    if let Some(system) = attrs.text(&["db.system.name", "db.system"]) {
        let name = match (attrs.text(&["db.namespace", "db.name"]), &host) {
            (Some(database), Some(host)) => format!("{database}@{host}"),
            (Some(database), None) => database.to_owned(),
            (None, Some(host)) => host.clone(),
            (None, None) => system.to_owned(),
        };
        return if is_sql_system(attrs) { sql(&name) } else { remote(&name) };
    }
    let destination = ["messaging.destination.template", "messaging.destination.name"];
    let named = attrs
        .text(&destination)
        .or_else(|| attrs.text(&["messaging.destination"]))
        .or_else(|| attrs.text(&["rpc.service"]));
    match (named, &host) {
        (Some(name), _) => remote(name),
        (None, Some(host)) => remote(host),
        (None, None) => remote(span.name()),
    }
}

/// **Rule:** semantic conventions, `db.system.name`, those that are asked in SQL; by a part of the
/// name, for old senders name the product their own way (`mssql`, `IBM DB2`).
fn is_sql_system(attrs: &Attrs<'_>) -> bool {
    let system = attrs.text(&["db.system.name", "db.system"]).unwrap_or_default();
    let system = system.to_ascii_lowercase();
    let words = ["sql", "maria", "oracle", "db2", "derby", "hive", "teradata", "cockroach"];
    words.iter().any(|word| system.contains(word))
}

/// The host that was called, in lower case.
fn host(attrs: &Attrs<'_>) -> Option<String> {
    let url = attrs.text(&["url.full", "http.url"]);
    let host =
        attrs.text(&["server.address"]).or_else(|| Some(host_of_url(url?)?.0)).or_else(|| {
            attrs.text(&[
                "net.peer.name",
                "http.host",
                "network.peer.address",
                "net.sock.peer.addr",
                "net.peer.ip",
            ])
        })?;
    Some(host.to_ascii_lowercase())
}

impl Attrs<'_> {
    /// The first resource that one of `keys` names, as text or as a list of texts.
    fn first(&self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| texts(self.value(key)?).into_iter().next())
    }

    /// The resource that `keys` name, when it is exactly one.
    fn only(&self, keys: &[&str]) -> Option<String> {
        let mut named = keys.iter().map(|key| self.value(key).map_or_else(Vec::new, texts));
        let mut named = named.find(|texts| !texts.is_empty())?;
        named.dedup();
        if named.len() == 1 { named.pop() } else { None }
    }
}

/// A text, or the texts of a list, without empty ones.
pub(super) fn texts(value: AttrValue<'_>) -> Vec<String> {
    let mut texts: Vec<String> = match value {
        AttrValue::Str(text) => vec![text.to_owned()],
        AttrValue::Array(_) => {
            let list = nested_to_json(value);
            let items = list.as_ref().and_then(|list| list.as_array());
            items
                .into_iter()
                .flatten()
                .filter_map(|item| item.as_str().map(str::to_owned))
                .collect()
        }
        _ => Vec::new(),
    };
    texts.retain(|text| !text.is_empty());
    texts
}
