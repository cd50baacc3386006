//! Reads a template and puts its resources in order.
//!
//! Rule: "Template anatomy", AWS CloudFormation user guide. Transforms, macros and rules are refused by name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::intrinsics;

/// CloudFormation's own quotas.
const TEMPLATE_BYTES_MAX: usize = 1 << 20;
const RESOURCES_MAX: usize = 500;
/// Nothing sensible nests deeper; JSON is read by recursion.
pub(super) const DEPTH_MAX: usize = 100;

/// What the sections of a template may be called.
const SECTIONS: [&str; 8] = [
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Resources",
    "Outputs",
];
const RESOURCE_MEMBERS: [&str; 8] = [
    "Type",
    "Properties",
    "DependsOn",
    "Condition",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "Metadata",
    "Comment",
];

/// A template whose shape is right.
#[derive(Clone, Debug, Default)]
pub(super) struct Template {
    pub(super) description: String,
    pub(super) parameters: Map<String, Value>,
    pub(super) mappings: Map<String, Value>,
    pub(super) conditions: Map<String, Value>,
    pub(super) resources: BTreeMap<String, Definition>,
    pub(super) outputs: Map<String, Value>,
}

/// One resource as the template declares it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Definition {
    /// `AWS::S3::Bucket`.
    pub(super) kind: String,
    pub(super) properties: Value,
    pub(super) condition: Option<String>,
    /// Logical ids it waits for: named and by reference.
    pub(super) waits_for: BTreeSet<String>,
    /// It stays when it is no longer declared.
    pub(super) retained: bool,
    pub(super) retained_when_replaced: bool,
}

/// Reads a template. The error is what a `ValidationError` says.
pub(super) fn parse(body: &str) -> Result<Template, String> {
    if body.len() > TEMPLATE_BYTES_MAX {
        return Err("Template may not exceed 1000000 bytes in size.".to_owned());
    }
    let parsed: Value = if body.trim_start().starts_with('{') {
        serde_json::from_str(body)
            .map_err(|err| format!("Template format error: JSON not well-formed. ({err})"))?
    } else {
        super::yaml::parse(body)
            .map_err(|err| format!("Template format error: YAML not well-formed. ({err})"))?
    };
    let Value::Object(sections) = parsed else {
        return Err("Template format error: unsupported structure.".to_owned());
    };
    if let Some(unknown) = sections.keys().find(|name| !SECTIONS.contains(&name.as_str())) {
        return Err(match unknown.as_str() {
            "Transform" | "Rules" | "Hooks" => format!(
                "Template format error: the section {unknown} is not supported by the local cloud"
            ),
            _ => format!("Invalid template property or properties [{unknown}]"),
        });
    }
    let section = |name: &str| match sections.get(name) {
        None => Ok(Map::new()),
        Some(Value::Object(section)) => Ok(section.clone()),
        Some(_) => Err(format!("Template format error: {name} must be an object.")),
    };
    let mut template = Template {
        description: sections.get("Description").and_then(Value::as_str).unwrap_or("").to_owned(),
        parameters: section("Parameters")?,
        mappings: section("Mappings")?,
        conditions: section("Conditions")?,
        resources: BTreeMap::new(),
        outputs: section("Outputs")?,
    };
    let resources = section("Resources")?;
    if resources.is_empty() {
        return Err(
            "Template format error: At least one Resources member must be defined.".to_owned()
        );
    }
    if resources.len() > RESOURCES_MAX {
        return Err(format!(
            "Template format error: Number of resources, {}, is greater than maximum allowed, {RESOURCES_MAX}",
            resources.len()
        ));
    }
    for (name, resource) in &resources {
        template.resources.insert(name.clone(), definition(name, resource)?);
    }
    check_references(&template)?;
    order(&template.resources)?;
    Ok(template)
}

fn definition(name: &str, resource: &Value) -> Result<Definition, String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("Template format error: Resource name {name} is non alphanumeric."));
    }
    let Value::Object(members) = resource else {
        return Err(format!(
            "Template format error: Every Resources member must contain an object. {name}"
        ));
    };
    if let Some(unknown) =
        members.keys().find(|member| !RESOURCE_MEMBERS.contains(&member.as_str()))
    {
        return Err(match unknown.as_str() {
            "CreationPolicy" | "UpdatePolicy" => format!(
                "Template format error: {unknown} of resource {name} is not supported by the local cloud"
            ),
            _ => format!("Invalid template resource property '{unknown}'"),
        });
    }
    let kind = members.get("Type").and_then(Value::as_str).ok_or_else(|| {
        format!("Template format error: [/Resources/{name}] Every Resources object must contain a Type member.")
    })?;
    let properties =
        members.get("Properties").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    if !properties.is_object() {
        return Err(format!("Template format error: Properties of {name} must be an object."));
    }
    let mut waits_for = BTreeSet::new();
    match members.get("DependsOn") {
        None => {}
        Some(Value::String(one)) => {
            waits_for.insert(one.clone());
        }
        Some(Value::Array(many)) => {
            waits_for.extend(many.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        Some(_) => {
            return Err(
                "Template format error: DependsOn must be a string or list of strings.".to_owned()
            );
        }
    }
    intrinsics::references(&properties, &mut waits_for, 0)?;
    let policy = |member: &str| match members.get(member).and_then(Value::as_str) {
        None | Some("Delete") => Ok(false),
        Some("Retain" | "RetainExceptOnCreate") => Ok(true),
        Some(other) => Err(format!(
            "Template format error: {member} {other} of resource {name} is not supported by the local cloud"
        )),
    };
    Ok(Definition {
        kind: kind.to_owned(),
        properties,
        condition: members.get("Condition").and_then(Value::as_str).map(str::to_owned),
        waits_for,
        retained: policy("DeletionPolicy")?,
        retained_when_replaced: policy("UpdateReplacePolicy")?,
    })
}

/// Every name that something refers to is there. References to pseudo parameters are not collected.
fn check_references(template: &Template) -> Result<(), String> {
    let unresolved = |names: Vec<String>, section: &str| {
        if names.is_empty() {
            return Ok(());
        }
        let names = names.join(", ");
        Err(format!(
            "Template format error: Unresolved resource dependencies [{names}] in the {section} block of the template"
        ))
    };
    let known = |name: &String| {
        template.resources.contains_key(name) || template.parameters.contains_key(name)
    };
    let all: BTreeSet<&String> = template.resources.values().flat_map(|r| &r.waits_for).collect();
    unresolved(all.into_iter().filter(|name| !known(name)).cloned().collect(), "Resources")?;
    let mut of_outputs = BTreeSet::new();
    for output in template.outputs.values() {
        intrinsics::references(output, &mut of_outputs, 0)?;
    }
    unresolved(of_outputs.into_iter().filter(|name| !known(name)).collect(), "Outputs")?;
    for (name, resource) in &template.resources {
        if let Some(condition) = &resource.condition
            && !template.conditions.contains_key(condition)
        {
            return Err(format!(
                "Template format error: Unresolved condition {condition} in resource {name}"
            ));
        }
    }
    Ok(())
}

/// The resources, each after those it waits for; alphabetical where there is a choice.
pub(super) fn order(resources: &BTreeMap<String, Definition>) -> Result<Vec<String>, String> {
    let waits = resources.iter().map(|(name, definition)| {
        let waits: BTreeSet<&str> = definition
            .waits_for
            .iter()
            .map(String::as_str)
            .filter(|other| resources.contains_key(*other))
            .collect();
        (name.as_str(), waits)
    });
    let mut waiting: BTreeMap<&str, BTreeSet<&str>> = waits.collect();
    let mut ordered = Vec::with_capacity(resources.len());
    loop {
        let ready: Vec<&str> =
            waiting.iter().filter(|(_, waits)| waits.is_empty()).map(|(name, _)| *name).collect();
        if ready.is_empty() {
            break;
        }
        for name in ready {
            waiting.remove(name);
            for waits in waiting.values_mut() {
                waits.remove(name);
            }
            ordered.push(name.to_owned());
        }
    }
    if waiting.is_empty() {
        return Ok(ordered);
    }
    // What only waits for the circle is not of it.
    loop {
        let awaited: BTreeSet<&str> = waiting.values().flatten().copied().collect();
        let before = waiting.len();
        waiting.retain(|name, _| awaited.contains(name));
        if waiting.len() == before {
            break;
        }
    }
    let names: Vec<&str> = waiting.into_keys().collect();
    Err(format!("Circular dependency between resources: [{}]", names.join(", ")))
}

/// The capabilities that a template asks for, and the types it asks them for.
pub(super) fn capabilities(template: &Template) -> (Vec<&'static str>, Vec<String>) {
    let mut kinds = BTreeSet::new();
    let mut named = false;
    for definition in template.resources.values().filter(|d| d.kind.starts_with("AWS::IAM::")) {
        kinds.insert(definition.kind.clone());
        let names =
            ["RoleName", "UserName", "GroupName", "ManagedPolicyName", "InstanceProfileName"];
        named |= names.iter().any(|name| definition.properties.get(name).is_some());
    }
    match (kinds.is_empty(), named) {
        (true, _) => (Vec::new(), Vec::new()),
        (false, false) => (vec!["CAPABILITY_IAM"], kinds.into_iter().collect()),
        (false, true) => (vec!["CAPABILITY_NAMED_IAM"], kinds.into_iter().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &str) -> String {
        parse(body).unwrap_err()
    }

    #[test]
    fn resources_come_after_what_they_wait_for() {
        let template = parse(
            r#"{"Resources":{
                "A":{"Type":"T","DependsOn":"C"},
                "B":{"Type":"T","Properties":{"X":{"Fn::Sub":"${A.Arn}-${AWS::Region}-${!Literal}"}}},
                "C":{"Type":"T","Properties":{"X":{"Ref":"AWS::Region"}}},
                "D":{"Type":"T","Properties":{"X":{"Fn::Join":["",[{"Fn::GetAtt":["B","Arn"]}]]}}}}}"#,
        )
        .unwrap();
        assert_eq!(order(&template.resources).unwrap(), ["C", "A", "B", "D"]);
    }

    #[test]
    fn a_circle_is_named_without_those_that_wait_for_it() {
        let body = r#"{"Resources":{
            "A":{"Type":"T","DependsOn":["B"]},
            "B":{"Type":"T","Properties":{"X":{"Ref":"A"}}},
            "C":{"Type":"T","DependsOn":"A"}}}"#;
        assert_eq!(error(body), "Circular dependency between resources: [A, B]");
        let own = r#"{"Resources":{"A":{"Type":"T","DependsOn":"A"}}}"#;
        assert_eq!(error(own), "Circular dependency between resources: [A]");
    }

    #[test]
    fn wrong_templates_are_refused_in_words() {
        assert!(error("{").contains("JSON not well-formed"));
        assert!(error("{}").contains("At least one Resources member"));
        assert!(
            error(r#"{"Transform":"AWS::Serverless","Resources":{}}"#)
                .contains("Transform is not supported")
        );
        assert!(error(r#"{"Resources":{"A":{}}}"#).contains("must contain a Type"));
        assert!(error(r#"{"Resources":{"A-B":{"Type":"T"}}}"#).contains("non alphanumeric"));
        assert!(error(r#"{"Resources":{"A":{"Type":"T","Oops":1}}}"#).contains("'Oops'"));
        let dangling =
            error(r#"{"Resources":{"A":{"Type":"T","Properties":{"X":{"Ref":"Nobody"}}}}}"#);
        assert_eq!(
            dangling,
            "Template format error: Unresolved resource dependencies [Nobody] in the Resources block of the template"
        );
    }

    #[test]
    fn iam_asks_for_a_capability() {
        let kinds = |properties: &str| {
            let body = format!(
                r#"{{"Resources":{{"A":{{"Type":"AWS::IAM::Role","Properties":{properties}}}}}}}"#
            );
            capabilities(&parse(&body).unwrap()).0
        };
        assert_eq!(kinds("{}"), ["CAPABILITY_IAM"]);
        assert_eq!(kinds(r#"{"RoleName":"r"}"#), ["CAPABILITY_NAMED_IAM"]);
    }
}
