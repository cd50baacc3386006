//! `AWS::DynamoDB::Table`.

use serde_json::{Map, Value, json};

use super::{Kind, Made, Reason, Services, Updated, Wish, reason, unless_gone};
use crate::services::cloudformation::stack::Record;

pub(super) const KINDS: &[Kind] = &[Kind {
    name: "AWS::DynamoDB::Table",
    properties: &[
        "TableName",
        "AttributeDefinitions",
        "KeySchema",
        "BillingMode",
        "ProvisionedThroughput",
        "GlobalSecondaryIndexes",
        "LocalSecondaryIndexes",
        "StreamSpecification",
        "TimeToLiveSpecification",
    ],
    inert: &[
        "DeletionProtectionEnabled",
        "PointInTimeRecoverySpecification",
        "SSESpecification",
        "TableClass",
        "Tags",
    ],
}];

/// Properties that a request of the API has under the same name.
const PASSED: [&str; 6] = [
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "ProvisionedThroughput",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
];

pub(super) async fn create(services: &Services, wish: &Wish<'_>) -> Result<Made, Reason> {
    let name = wish.name("TableName", 255);
    let mut request = Map::from_iter([("TableName".to_owned(), name.as_str().into())]);
    for property in PASSED {
        if let Some(value) = wish.get(property) {
            request.insert(property.to_owned(), with_numbers(value));
        }
    }
    if let Some(stream) = wish.get("StreamSpecification") {
        // CloudFormation names the view only; the API wants to be told that it is on.
        let view = stream.get("StreamViewType").cloned().unwrap_or_default();
        let stream = json!({ "StreamEnabled": true, "StreamViewType": view });
        request.insert("StreamSpecification".to_owned(), stream);
    }
    let made = services.dynamodb.call("CreateTable", Value::Object(request)).await;
    let made = made.map_err(|failure| reason(&failure))?;
    set_time_to_live(services, wish, &name).await?;
    let attribute =
        |path: &str| made.pointer(path).and_then(Value::as_str).unwrap_or("").to_owned();
    Ok(Made::new(name)
        .with("Arn", attribute("/TableDescription/TableArn"))
        .with("StreamArn", attribute("/TableDescription/LatestStreamArn")))
}

pub(super) async fn update(
    services: &Services,
    wish: &Wish<'_>,
    record: &Record,
) -> Result<Updated, Reason> {
    let in_place = ["BillingMode", "ProvisionedThroughput", "TimeToLiveSpecification"];
    let all = KINDS.iter().flat_map(|kind| kind.properties.iter());
    let mut anew =
        all.filter(|name| !in_place.contains(name)).filter(|name| wish.changed(record, name));
    if anew.next().is_some() {
        return Ok(Updated::Replace);
    }
    let mut request = Map::from_iter([("TableName".to_owned(), record.physical.as_str().into())]);
    for property in ["BillingMode", "ProvisionedThroughput"] {
        if wish.changed(record, property) {
            request.insert(
                property.to_owned(),
                wish.get(property).map(with_numbers).unwrap_or_default(),
            );
        }
    }
    if request.len() > 1 {
        let updated = services.dynamodb.call("UpdateTable", Value::Object(request)).await;
        updated.map_err(|failure| reason(&failure))?;
    }
    if wish.changed(record, "TimeToLiveSpecification") {
        set_time_to_live(services, wish, &record.physical).await?;
    }
    Ok(Updated::InPlace(Made::same(record)))
}

pub(super) async fn delete(services: &Services, record: &Record) -> Result<(), Reason> {
    let request = json!({ "TableName": record.physical });
    unless_gone(services.dynamodb.call("DeleteTable", request).await.map(|_| ()))
}

async fn set_time_to_live(services: &Services, wish: &Wish<'_>, table: &str) -> Result<(), Reason> {
    let Some(specification) = wish.get("TimeToLiveSpecification") else { return Ok(()) };
    let request = json!({ "TableName": table, "TimeToLiveSpecification": specification });
    let set = services.dynamodb.call("UpdateTimeToLive", request).await;
    set.map(|_| ()).map_err(|failure| reason(&failure))
}

/// Templates write capacities as numbers or as text.
fn with_numbers(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| {
                let capacity = name.ends_with("CapacityUnits");
                let number =
                    member.as_str().filter(|_| capacity).and_then(|text| text.parse::<u64>().ok());
                (name.clone(), number.map_or_else(|| with_numbers(member), Value::from))
            });
            Value::Object(members.collect())
        }
        Value::Array(items) => items.iter().map(with_numbers).collect(),
        other => other.clone(),
    }
}
