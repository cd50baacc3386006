//! The resource types: one file a service. A type that is not here is not supported, and neither is a
//! property that its type does not list: both fail the stack.

mod apigateway;
mod apigatewayv2;
mod dynamodb;
mod iam;
mod kinesis;
mod lambda;
mod logs;
mod s3;
mod sns;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::intrinsics::as_text;
use super::stack::Record;
use crate::http::Failure;
use crate::ids;
use crate::lambda::Functions;
use crate::place::Place;
use crate::services::apigateway::{ApiGateway, HttpApis};
use crate::services::dynamodb::DynamoDb;
use crate::services::iam::Iam;
use crate::services::kinesis::Kinesis;
use crate::services::logs::Logs;
use crate::services::s3::S3;
use crate::services::sns::Sns;

/// The services whose resources a stack is made of.
#[derive(Clone)]
pub(crate) struct Services {
    pub place: Arc<Place>,
    pub s3: Arc<S3>,
    pub iam: Arc<Iam>,
    pub logs: Arc<Logs>,
    pub sns: Arc<Sns>,
    pub kinesis: Arc<Kinesis>,
    pub dynamodb: Arc<DynamoDb>,
    pub apigateway: Arc<ApiGateway>,
    pub http_apis: Arc<HttpApis>,
    pub functions: Arc<Functions>,
}

/// A resource that shall be, its properties worked out.
pub(super) struct Wish<'a> {
    pub(super) stack: &'a str,
    pub(super) stack_id: &'a str,
    pub(super) logical: &'a str,
    pub(super) kind: &'a str,
    pub(super) properties: &'a Value,
    /// The stack's tags, and CloudFormation's own.
    pub(super) tags: &'a BTreeMap<String, String>,
}

/// A resource that is.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Made {
    pub(super) physical: String,
    pub(super) attributes: BTreeMap<String, String>,
}

/// What an update came to.
#[derive(Debug, PartialEq)]
pub(super) enum Updated {
    InPlace(Made),
    /// It cannot be changed where it is: a new one is made and the old one deleted.
    Replace,
}

/// Why a resource failed, as the event says.
pub(super) type Reason = String;

/// A type, and the properties that it has here.
struct Kind {
    name: &'static str,
    /// What has an effect.
    properties: &'static [&'static str],
    /// What is accepted because nothing on one machine could differ: encryption at rest, tags, policies.
    inert: &'static [&'static str],
}

const KINDS: [&[Kind]; 9] = [
    apigateway::KINDS,
    apigatewayv2::KINDS,
    dynamodb::KINDS,
    iam::KINDS,
    kinesis::KINDS,
    lambda::KINDS,
    logs::KINDS,
    s3::KINDS,
    sns::KINDS,
];

/// Why a resource cannot be had here, before anything is made.
pub(super) fn check(kind: &str, properties: &Value) -> Result<(), Reason> {
    let known = KINDS.iter().flat_map(|kinds| kinds.iter()).find(|known| known.name == kind);
    let Some(known) = known else {
        return Err(format!(
            "Resource type {kind} is not supported by the local cloud; an emulator that has it can be called through --upstream, but not by a stack"
        ));
    };
    let members = properties.as_object().into_iter().flatten();
    let unknown = members
        .map(|(name, _)| name.as_str())
        .find(|name| !known.properties.contains(name) && !known.inert.contains(name));
    match unknown {
        None => Ok(()),
        Some(name) => Err(format!("Property {name} of {kind} is not supported by the local cloud")),
    }
}

/// Makes a resource.
pub(super) async fn create(services: &Services, wish: &Wish<'_>) -> Result<Made, Reason> {
    match family(wish.kind) {
        "ApiGateway" => apigateway::create(services, wish),
        "ApiGatewayV2" => apigatewayv2::create(services, wish),
        "DynamoDB" => dynamodb::create(services, wish).await,
        "IAM" => iam::create(services, wish),
        "Kinesis" => kinesis::create(services, wish).await,
        "Lambda" => lambda::create(services, wish).await,
        "Logs" => logs::create(services, wish),
        "S3" => s3::create(services, wish),
        "SNS" => sns::create(services, wish),
        _ => check(wish.kind, wish.properties).map(|()| Made::default()),
    }
}

/// Changes a resource from what `record` has to what is wished.
pub(super) async fn update(
    services: &Services,
    wish: &Wish<'_>,
    record: &Record,
) -> Result<Updated, Reason> {
    match family(wish.kind) {
        "ApiGateway" => apigateway::update(services, wish, record),
        "ApiGatewayV2" => apigatewayv2::update(services, wish, record),
        "DynamoDB" => dynamodb::update(services, wish, record).await,
        "IAM" => iam::update(services, wish, record),
        "Kinesis" => kinesis::update(services, wish, record).await,
        "Lambda" => lambda::update(services, wish, record).await,
        "Logs" => logs::update(services, wish, record),
        "S3" => s3::update(services, wish, record),
        "SNS" => sns::update(services, wish, record),
        _ => Ok(Updated::Replace),
    }
}

/// Deletes a resource; one that is gone already is no error.
pub(super) async fn delete(services: &Services, record: &Record) -> Result<(), Reason> {
    match family(&record.kind) {
        "ApiGateway" => apigateway::delete(services, record),
        "ApiGatewayV2" => apigatewayv2::delete(services, record),
        "DynamoDB" => dynamodb::delete(services, record).await,
        "IAM" => iam::delete(services, record),
        "Kinesis" => kinesis::delete(services, record).await,
        "Lambda" => lambda::delete(services, record).await,
        "Logs" => logs::delete(services, record),
        "S3" => s3::delete(services, record),
        "SNS" => {
            sns::delete(services, record);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `Lambda` of `AWS::Lambda::Function`.
fn family(kind: &str) -> &str {
    kind.split("::").nth(1).unwrap_or("")
}

impl Wish<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.properties.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(as_text)
    }

    fn need(&self, name: &str) -> Result<String, Reason> {
        self.text(name).ok_or_else(|| format!("Properties validation failed for resource {} with message: required key [{name}] not found", self.logical))
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    fn texts(&self, name: &str) -> Vec<String> {
        self.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(as_text).collect()
    }

    /// The given name, or one as CloudFormation makes it: `STACK-LOGICAL-SUFFIX`.
    fn name(&self, property: &str, length_max: usize) -> String {
        match self.text(property) {
            Some(name) => name,
            None => generated(self.stack, self.logical, length_max),
        }
    }

    /// Whether a property differs from what is there.
    fn changed(&self, record: &Record, name: &str) -> bool {
        let before = record.properties.get(name).filter(|value| !value.is_null());
        self.get(name) != before
    }

    /// The tags of the stack and those of the resource, a list of `Key` and `Value`.
    fn all_tags(&self) -> BTreeMap<String, String> {
        let mut tags = self.tags.clone();
        for tag in self.get("Tags").and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| tag.get(name).and_then(as_text);
            if let (Some(key), Some(value)) = (text("Key"), text("Value")) {
                tags.insert(key, value);
            }
        }
        tags.insert("aws:cloudformation:stack-name".to_owned(), self.stack.to_owned());
        tags.insert("aws:cloudformation:stack-id".to_owned(), self.stack_id.to_owned());
        tags.insert("aws:cloudformation:logical-id".to_owned(), self.logical.to_owned());
        tags
    }
}

fn generated(stack: &str, logical: &str, length_max: usize) -> String {
    let suffix = ids::name_suffix();
    let mut name = format!("{stack}-{logical}");
    name.truncate(length_max.saturating_sub(suffix.len() + 1));
    format!("{name}-{suffix}")
}

impl Made {
    fn new(physical: impl Into<String>) -> Self {
        Self { physical: physical.into(), attributes: BTreeMap::new() }
    }

    fn with(mut self, attribute: &str, value: impl Into<String>) -> Self {
        self.attributes.insert(attribute.to_owned(), value.into());
        self
    }

    /// What a record has, for an update that changes nothing others can see.
    fn same(record: &Record) -> Self {
        Self { physical: record.physical.clone(), attributes: record.attributes.clone() }
    }
}

/// A refusal of a service as CloudFormation passes it on.
fn reason(failure: &Failure) -> Reason {
    handler_reason(&failure.message, &failure.code)
}

fn handler_reason(message: &str, code: &str) -> Reason {
    format!("Resource handler returned message: \"{message}\" (HandlerErrorCode: {code})")
}

/// What was to be deleted is gone: that is as good.
fn unless_gone(result: Result<(), Failure>) -> Result<(), Reason> {
    match result {
        Err(failure) if failure.status != 404 && !failure.code.contains("NotFound") => {
            Err(reason(&failure))
        }
        _ => Ok(()),
    }
}

/// The members of an object, or none.
fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    let members: Option<&Map<String, Value>> = value.and_then(Value::as_object);
    members.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_listed_types_and_properties_are_accepted() {
        assert!(check("AWS::S3::Bucket", &json!({ "BucketName": "b" })).is_ok());
        let property =
            check("AWS::S3::Bucket", &json!({ "ReplicationConfiguration": {} })).unwrap_err();
        assert_eq!(
            property,
            "Property ReplicationConfiguration of AWS::S3::Bucket is not supported by the local cloud"
        );
        let kind = check("AWS::EC2::Instance", &json!({})).unwrap_err();
        assert!(kind.starts_with("Resource type AWS::EC2::Instance is not supported"), "{kind}");
    }

    #[test]
    fn generated_names_fit() {
        let name = generated("stack", &"L".repeat(100), 64);
        assert_eq!(name.len(), 64);
        assert!(name.starts_with("stack-LLL"));
    }
}
