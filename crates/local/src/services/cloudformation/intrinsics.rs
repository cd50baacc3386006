//! Intrinsic functions: collects what they refer to, and works them out.
//!
//! Rule: "Intrinsic function reference" and "Pseudo parameters", AWS CloudFormation user guide.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::template::{DEPTH_MAX, Template};

/// What values are worked out with.
pub(super) struct Context<'a> {
    pub(super) template: &'a Template,
    pub(super) parameters: &'a BTreeMap<String, Value>,
    /// `AWS::Region` and the others.
    pub(super) pseudo: &'a BTreeMap<String, Value>,
    /// What `Ref` and `Fn::GetAtt` give for resources that are there.
    pub(super) resources: &'a BTreeMap<String, Known>,
    /// Exports of other stacks.
    pub(super) exports: &'a BTreeMap<String, String>,
}

/// What a resource that is there gives to others.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) reference: String,
    pub(super) attributes: BTreeMap<String, String>,
}

/// Stands for `AWS::NoValue`: its property is left out.
const NO_VALUE: &str = "\u{0}no value";

/// Adds the names that `Ref`, `Fn::GetAtt` and `Fn::Sub` in a value refer to, pseudo parameters apart.
pub(super) fn references(
    value: &Value,
    names: &mut BTreeSet<String>,
    depth: usize,
) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err("Template format error: nested too deeply".to_owned());
    }
    let mut add = |name: &str| {
        if !name.starts_with("AWS::") {
            names.insert(name.to_owned());
        }
    };
    match value {
        Value::Array(items) => {
            for item in items {
                references(item, names, depth + 1)?;
            }
        }
        Value::Object(members) => {
            match only_member(members) {
                Some(("Ref", Value::String(name))) => add(name),
                Some(("Fn::GetAtt", argument)) => {
                    if let Some((name, _)) = attribute(argument) {
                        add(&name);
                    }
                }
                Some(("Fn::Sub", argument)) => {
                    let (text, given) = substitution(argument).unwrap_or_default();
                    for name in placeholders(&text) {
                        if !given.contains_key(name) {
                            add(name.split('.').next().unwrap_or(name));
                        }
                    }
                }
                _ => {}
            }
            for member in members.values() {
                references(member, names, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn only_member(members: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut iter = members.iter();
    match (iter.next(), iter.next()) {
        (Some((name, value)), None) => Some((name.as_str(), value)),
        _ => None,
    }
}

/// `["Name", "Attribute"]` or `"Name.Attribute"`.
fn attribute(argument: &Value) -> Option<(String, String)> {
    match argument {
        Value::String(text) => {
            text.split_once('.').map(|(name, attribute)| (name.to_owned(), attribute.to_owned()))
        }
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(name), Value::String(attribute)] => {
                Some((name.clone(), attribute.clone()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The text of `Fn::Sub` and the variables it brings along.
fn substitution(argument: &Value) -> Option<(String, Map<String, Value>)> {
    match argument {
        Value::String(text) => Some((text.clone(), Map::new())),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(text), Value::Object(given)] => Some((text.clone(), given.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// The names in `${Name}`; `${!Literal}` is none.
fn placeholders(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        if !name.starts_with('!') {
            names.push(name.trim());
        }
        rest = after;
    }
    names
}

impl Context<'_> {
    /// The value with every function worked out. Members without value are gone.
    pub(super) fn resolve(&self, value: &Value) -> Result<Value, String> {
        let resolved = self.value(value, 0)?;
        Ok(if is_no_value(&resolved) { Value::Null } else { resolved })
    }

    /// Whether a condition of the template holds.
    pub(super) fn holds(&self, name: &str) -> Result<bool, String> {
        self.condition_by_name(name, 0)
    }

    fn value(&self, value: &Value, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err("Template error: nested too deeply".to_owned());
        }
        match value {
            Value::Array(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for item in items {
                    let item = self.value(item, depth + 1)?;
                    if !is_no_value(&item) {
                        resolved.push(item);
                    }
                }
                Ok(Value::Array(resolved))
            }
            Value::Object(members) => {
                if let Some((name, argument)) = only_member(members)
                    && (name == "Ref" || name.starts_with("Fn::"))
                {
                    return self.function(name, argument, depth + 1);
                }
                let mut resolved = Map::new();
                for (name, member) in members {
                    let member = self.value(member, depth + 1)?;
                    if !is_no_value(&member) {
                        resolved.insert(name.clone(), member);
                    }
                }
                Ok(Value::Object(resolved))
            }
            other => Ok(other.clone()),
        }
    }

    fn function(&self, name: &str, argument: &Value, depth: usize) -> Result<Value, String> {
        let wrong =
            || format!("Template error: every {name} object must have the arguments of its kind");
        match name {
            "Ref" => self.reference(argument.as_str().ok_or_else(wrong)?),
            "Fn::GetAtt" => {
                let (resource, attribute) = attribute(argument).ok_or_else(wrong)?;
                self.attribute(&resource, &attribute).map(Value::String)
            }
            "Fn::Sub" => {
                let (text, given) = substitution(argument).ok_or_else(wrong)?;
                self.substitute(&text, &given, depth).map(Value::String)
            }
            "Fn::If" => {
                let [Value::String(condition), then, otherwise] = arguments(argument) else {
                    return Err(wrong());
                };
                let taken =
                    if self.condition_by_name(condition, depth)? { then } else { otherwise };
                self.value(taken, depth + 1)
            }
            "Fn::FindInMap" => {
                let [map, first, second] = arguments(argument) else { return Err(wrong()) };
                let key = |value: &Value| self.text(value, depth);
                let (map, first, second) = (key(map)?, key(first)?, key(second)?);
                let found =
                    self.template.mappings.get(&map).and_then(|map| map.get(&first)?.get(&second));
                found.cloned().ok_or_else(|| {
                    format!("Template error: Unable to get mapping for {map}::{first}::{second}")
                })
            }
            "Fn::Join" => {
                let [Value::String(between), list] = arguments(argument) else {
                    return Err(wrong());
                };
                let list = self.value(list, depth + 1)?;
                let parts: Result<Vec<String>, String> = list
                    .as_array()
                    .ok_or_else(wrong)?
                    .iter()
                    .map(|part| as_text(part).ok_or_else(wrong))
                    .collect();
                Ok(parts?.join(between).into())
            }
            "Fn::Split" => {
                let [Value::String(between), text] = arguments(argument) else {
                    return Err(wrong());
                };
                let text = self.text(text, depth)?;
                Ok(text.split(between.as_str()).map(Value::from).collect())
            }
            "Fn::Select" => {
                let [index, list] = arguments(argument) else { return Err(wrong()) };
                let index: usize = self.text(index, depth)?.parse().map_err(|_| wrong())?;
                let list = self.value(list, depth + 1)?;
                let item = list.as_array().ok_or_else(wrong)?.get(index);
                item.cloned().ok_or_else(|| {
                    "Template error: Fn::Select cannot select nonexistent value at index".to_owned()
                })
            }
            "Fn::Base64" => Ok(STANDARD.encode(self.text(argument, depth)?).into()),
            "Fn::ImportValue" => {
                let export = self.text(argument, depth)?;
                let value = self.exports.get(&export).cloned().map(Value::String);
                value.ok_or_else(|| {
                    format!("No export named {export} found. Rollback requested by user.")
                })
            }
            "Fn::GetAZs" => {
                let region = match self.text(argument, depth)? {
                    empty if empty.is_empty() => {
                        self.text(&serde_json::json!({ "Ref": "AWS::Region" }), depth)?
                    }
                    region => region,
                };
                Ok(["a", "b", "c"]
                    .iter()
                    .map(|zone| Value::from(format!("{region}{zone}")))
                    .collect())
            }
            "Fn::And" | "Fn::Or" | "Fn::Not" | "Fn::Equals" => {
                let condition = serde_json::json!({ name: argument });
                Ok(self.condition(&condition, depth)?.into())
            }
            _ => Err(format!("Template error: {name} is not supported by the local cloud")),
        }
    }

    fn reference(&self, name: &str) -> Result<Value, String> {
        if name == "AWS::NoValue" {
            return Ok(NO_VALUE.into());
        }
        if let Some(value) = self.parameters.get(name).or_else(|| self.pseudo.get(name)) {
            return Ok(value.clone());
        }
        match self.resources.get(name) {
            Some(known) => Ok(known.reference.clone().into()),
            None => Err(format!("Template error: resource {name} is not there")),
        }
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Result<String, String> {
        let known = self.resources.get(resource);
        let known =
            known.ok_or_else(|| format!("Template error: resource {resource} is not there"))?;
        known.attributes.get(attribute).cloned().ok_or_else(|| {
            format!("Template error: the local cloud knows no attribute {attribute} of resource {resource}")
        })
    }

    fn substitute(
        &self,
        text: &str,
        given: &Map<String, Value>,
        depth: usize,
    ) -> Result<String, String> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                return Err("Template error: String in Fn::Sub has an unclosed ${".to_owned());
            };
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str("${");
                result.push_str(literal);
                result.push('}');
            } else {
                let name = name.trim();
                let value = match (given.get(name), name.split_once('.')) {
                    (Some(value), _) => self.value(value, depth + 1)?,
                    (None, Some((resource, attribute))) => {
                        self.attribute(resource, attribute)?.into()
                    }
                    (None, None) => self.reference(name)?,
                };
                let value = as_text(&value);
                result.push_str(
                    &value
                        .ok_or_else(|| format!("Template error: {name} in Fn::Sub is no text"))?,
                );
            }
            rest = after;
        }
        result.push_str(rest);
        Ok(result)
    }

    fn text(&self, value: &Value, depth: usize) -> Result<String, String> {
        let value = self.value(value, depth + 1)?;
        as_text(&value).ok_or_else(|| "Template error: a text was expected".to_owned())
    }

    fn condition_by_name(&self, name: &str, depth: usize) -> Result<bool, String> {
        let condition = self.template.conditions.get(name);
        let condition =
            condition.ok_or_else(|| format!("Template error: unresolved condition {name}"))?;
        self.condition(condition, depth + 1)
    }

    fn condition(&self, condition: &Value, depth: usize) -> Result<bool, String> {
        let wrong = || "Template error: a condition is not well-formed".to_owned();
        if depth > DEPTH_MAX {
            return Err("Template error: conditions refer to each other in a circle".to_owned());
        }
        let (name, argument) = condition.as_object().and_then(only_member).ok_or_else(wrong)?;
        let all = arguments(argument);
        match name {
            "Condition" => self.condition_by_name(argument.as_str().ok_or_else(wrong)?, depth + 1),
            "Fn::Equals" => {
                let [left, right] = all else { return Err(wrong()) };
                let (left, right) = (self.value(left, depth + 1)?, self.value(right, depth + 1)?);
                Ok(left == right
                    || as_text(&left).is_some_and(|left| Some(left) == as_text(&right)))
            }
            "Fn::Not" => {
                let [one] = all else { return Err(wrong()) };
                Ok(!self.condition(one, depth + 1)?)
            }
            "Fn::And" | "Fn::Or" => {
                let mut held = 0;
                for one in all {
                    held += usize::from(self.condition(one, depth + 1)?);
                }
                Ok(if name == "Fn::And" { held == all.len() } else { held > 0 })
            }
            _ => Err(wrong()),
        }
    }
}

fn arguments(argument: &Value) -> &[Value] {
    argument.as_array().map_or(&[], Vec::as_slice)
}

fn is_no_value(value: &Value) -> bool {
    value.as_str() == Some(NO_VALUE)
}

/// Text, or what is written as text: numbers and truth values.
pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolve(value: &Value) -> Result<Value, String> {
        let template = Template {
            mappings: json!({ "M": { "us-east-1": { "ami": "a-1" } } })
                .as_object()
                .unwrap()
                .clone(),
            conditions: json!({
                "IsDev": { "Fn::Equals": [{ "Ref": "Stage" }, "dev"] },
                "IsNotDev": { "Fn::Not": [{ "Condition": "IsDev" }] },
                "Loop": { "Condition": "Loop" },
            })
            .as_object()
            .unwrap()
            .clone(),
            ..Template::default()
        };
        let attributes = BTreeMap::from([("Arn".to_owned(), "arn:b".to_owned())]);
        let known = Known { reference: "bucket-1".to_owned(), attributes };
        Context {
            template: &template,
            parameters: &BTreeMap::from([("Stage".to_owned(), json!("dev"))]),
            pseudo: &BTreeMap::from([("AWS::Region".to_owned(), json!("us-east-1"))]),
            resources: &BTreeMap::from([("Bucket".to_owned(), known)]),
            exports: &BTreeMap::from([("other".to_owned(), "value".to_owned())]),
        }
        .resolve(value)
    }

    #[expect(clippy::needless_pass_by_value, reason = "literals read better without a borrow")]
    fn check(value: Value, expected: Value) {
        assert_eq!(resolve(&value), Ok(expected), "{value}");
    }

    #[test]
    fn functions_are_worked_out() {
        check(json!({ "Ref": "Bucket" }), json!("bucket-1"));
        check(json!({ "Fn::GetAtt": "Bucket.Arn" }), json!("arn:b"));
        check(json!({ "Fn::Join": ["-", ["a", { "Ref": "Stage" }, 1]] }), json!("a-dev-1"));
        check(
            json!({ "Fn::Sub": "${Bucket}/${Bucket.Arn}/${!x}/${AWS::Region}" }),
            json!("bucket-1/arn:b/${x}/us-east-1"),
        );
        check(json!({ "Fn::Sub": ["${a}$", { "a": { "Ref": "Stage" } }] }), json!("dev$"));
        check(json!({ "Fn::Select": ["1", { "Fn::Split": [",", "a,b"] }] }), json!("b"));
        check(json!({ "Fn::FindInMap": ["M", { "Ref": "AWS::Region" }, "ami"] }), json!("a-1"));
        check(json!({ "Fn::If": ["IsDev", "yes", "no"] }), json!("yes"));
        check(json!({ "Fn::If": ["IsNotDev", "yes", "no"] }), json!("no"));
        check(json!({ "Fn::Base64": "ab" }), json!("YWI="));
        check(json!({ "Fn::ImportValue": "other" }), json!("value"));
        check(
            json!({ "A": { "Ref": "AWS::NoValue" }, "B": [{ "Ref": "AWS::NoValue" }, 1] }),
            json!({ "B": [1] }),
        );
    }

    #[test]
    fn what_cannot_be_worked_out_says_why() {
        for (value, part) in [
            (json!({ "Fn::GetAtt": ["Bucket", "Nope"] }), "no attribute Nope"),
            (json!({ "Fn::Cidr": [] }), "Fn::Cidr is not supported"),
            (json!({ "Fn::Join": "x" }), "Fn::Join"),
            (json!({ "Fn::If": ["Loop", 1, 2] }), "circle"),
            (json!({ "Fn::Select": [9, ["a"]] }), "nonexistent"),
            (json!({ "Fn::Sub": "${open" }), "unclosed"),
            (json!({ "Fn::ImportValue": "nobody" }), "No export named nobody"),
        ] {
            let error = resolve(&value).unwrap_err();
            assert!(error.contains(part), "{value}: {error}");
        }
    }
}
