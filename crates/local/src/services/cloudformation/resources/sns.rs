//! `AWS::SNS::..`: topics, their subscriptions and policies.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Kind, Made, Reason, Services, Updated, Wish, reason};
use crate::services::cloudformation::stack::Record;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "AWS::SNS::Topic",
        properties: &["TopicName", "DisplayName", "Subscription"],
        inert: &["KmsMasterKeyId", "Tags", "TracingConfig"],
    },
    Kind {
        name: "AWS::SNS::Subscription",
        properties: &["TopicArn", "Protocol", "Endpoint"],
        inert: &["Region"],
    },
    Kind { name: "AWS::SNS::TopicPolicy", properties: &[], inert: &["Topics", "PolicyDocument"] },
];

pub(super) fn create(services: &Services, wish: &Wish<'_>) -> Result<Made, Reason> {
    match wish.kind {
        "AWS::SNS::TopicPolicy" => Ok(Made::new(wish.name("", 256))),
        "AWS::SNS::Subscription" => {
            let (topic, protocol) = (wish.need("TopicArn")?, wish.need("Protocol")?);
            let made = services.sns.subscribe(&topic, &protocol, &wish.need("Endpoint")?);
            made.map(Made::new).map_err(|failure| reason(&failure))
        }
        _ => {
            let name = wish.name("TopicName", 256);
            if services.sns.has_topic(&services.place.arn("sns", &name)) {
                return Err(format!("{name} already exists"));
            }
            let shown = wish.text("DisplayName");
            let attributes: BTreeMap<String, String> =
                shown.into_iter().map(|shown| ("DisplayName".to_owned(), shown)).collect();
            let arn =
                services.sns.create_topic(&name, attributes).map_err(|failure| reason(&failure))?;
            for one in wish.get("Subscription").and_then(Value::as_array).into_iter().flatten() {
                let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or("");
                let subscribed = services.sns.subscribe(&arn, text("Protocol"), text("Endpoint"));
                if let Err(failure) = subscribed {
                    services.sns.delete_topic(&arn);
                    return Err(reason(&failure));
                }
            }
            Ok(Made::new(&arn).with("TopicArn", &arn).with("TopicName", name))
        }
    }
}

pub(super) fn update(_: &Services, wish: &Wish<'_>, record: &Record) -> Result<Updated, Reason> {
    if wish.kind == "AWS::SNS::TopicPolicy" {
        return Ok(Updated::InPlace(Made::same(record)));
    }
    let anew = ["TopicName", "Subscription", "TopicArn", "Protocol", "Endpoint"];
    if anew.iter().any(|name| wish.changed(record, name)) {
        return Ok(Updated::Replace);
    }
    Ok(Updated::InPlace(Made::same(record)))
}

pub(super) fn delete(services: &Services, record: &Record) {
    match record.kind.as_str() {
        "AWS::SNS::Topic" => services.sns.delete_topic(&record.physical),
        "AWS::SNS::Subscription" => services.sns.unsubscribe(&record.physical),
        _ => {}
    }
}
