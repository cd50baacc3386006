//! `AWS::IAM::..`: roles and inline policies, remembered and not enforced.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Kind, Made, Reason, Services, Updated, Wish, reason, unless_gone};
use crate::services::cloudformation::stack::Record;
use crate::services::s3::answers::policy_text;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "AWS::IAM::Role",
        properties: &[
            "RoleName",
            "Path",
            "AssumeRolePolicyDocument",
            "Policies",
            "ManagedPolicyArns",
        ],
        inert: &["Description", "MaxSessionDuration", "PermissionsBoundary", "Tags"],
    },
    Kind {
        name: "AWS::IAM::Policy",
        properties: &["PolicyName", "PolicyDocument", "Roles"],
        inert: &[],
    },
];

pub(super) fn create(services: &Services, wish: &Wish<'_>) -> Result<Made, Reason> {
    if wish.kind == "AWS::IAM::Policy" {
        let name = wish.need("PolicyName")?;
        put_policy(services, wish, &name)?;
        return Ok(Made::new(name));
    }
    let name = wish.name("RoleName", 64);
    let trust = wish.get("AssumeRolePolicyDocument").map(policy_text).unwrap_or_default();
    let path = wish.text("Path").unwrap_or_default();
    let role =
        services.iam.create_role(&name, &path, &trust).map_err(|failure| reason(&failure))?;
    set_policies(services, wish, &name)?;
    Ok(Made::new(name).with("Arn", role.arn).with("RoleId", role.id))
}

pub(super) fn update(
    services: &Services,
    wish: &Wish<'_>,
    record: &Record,
) -> Result<Updated, Reason> {
    if wish.kind == "AWS::IAM::Policy" {
        if wish.changed(record, "PolicyName") || wish.changed(record, "Roles") {
            return Ok(Updated::Replace);
        }
        put_policy(services, wish, &record.physical)?;
        return Ok(Updated::InPlace(Made::same(record)));
    }
    if wish.changed(record, "RoleName") || wish.changed(record, "Path") {
        return Ok(Updated::Replace);
    }
    set_policies(services, wish, &record.physical)?;
    Ok(Updated::InPlace(Made::same(record)))
}

pub(super) fn delete(services: &Services, record: &Record) -> Result<(), Reason> {
    if record.kind == "AWS::IAM::Role" {
        return unless_gone(services.iam.delete_role(&record.physical));
    }
    for role in record.properties.get("Roles").and_then(Value::as_array).into_iter().flatten() {
        let role = role.as_str().unwrap_or("");
        unless_gone(services.iam.change_role(role, |role| {
            role.policies.remove(&record.physical);
        }))?;
    }
    Ok(())
}

fn set_policies(services: &Services, wish: &Wish<'_>, role: &str) -> Result<(), Reason> {
    let policies = wish.get("Policies").and_then(Value::as_array).into_iter().flatten();
    let policies: BTreeMap<String, String> = policies
        .filter_map(|policy| {
            let name = policy.get("PolicyName")?.as_str()?.to_owned();
            Some((name, policy_text(policy.get("PolicyDocument")?)))
        })
        .collect();
    let trust = wish.get("AssumeRolePolicyDocument").map(policy_text).unwrap_or_default();
    let attached = wish.texts("ManagedPolicyArns");
    let changed = services.iam.change_role(role, |role| {
        role.policies = policies;
        role.attached = attached;
        role.assume_role_policy = trust;
    });
    changed.map_err(|failure| reason(&failure))
}

fn put_policy(services: &Services, wish: &Wish<'_>, name: &str) -> Result<(), Reason> {
    let document = wish.get("PolicyDocument").map(policy_text).unwrap_or_default();
    for role in wish.texts("Roles") {
        let (name, document) = (name.to_owned(), document.clone());
        let changed = services.iam.change_role(&role, |role| {
            role.policies.insert(name, document);
        });
        changed.map_err(|failure| reason(&failure))?;
    }
    Ok(())
}
