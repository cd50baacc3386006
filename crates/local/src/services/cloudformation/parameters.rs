//! The values of a template's parameters.
//!
//! Rule: "Parameters" in "Template anatomy". Types that look a value up elsewhere are refused by name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::intrinsics::as_text;
use super::template::Template;

/// What a request gives for a parameter.
pub(super) enum Given {
    Value(String),
    /// `UsePreviousValue`.
    Previous,
}

/// Every declared parameter's value: given, as before, or its default.
pub(super) fn values(
    template: &Template,
    given: &BTreeMap<String, Given>,
    before: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, String> {
    let unknown: Vec<&str> = given
        .keys()
        .filter(|name| !template.parameters.contains_key(*name))
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        return Err(format!("Parameters: [{}] do not exist in the template", unknown.join(", ")));
    }
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for (name, declared) in &template.parameters {
        let text = match given.get(name) {
            Some(Given::Value(text)) => Some(text.clone()),
            Some(Given::Previous) => {
                if let Some(value) = before.get(name) {
                    values.insert(name.clone(), value.clone());
                    continue;
                }
                None
            }
            None => None,
        };
        match text.or_else(|| declared.get("Default").and_then(as_text)) {
            Some(text) => {
                values.insert(name.clone(), value(name, declared, &text)?);
            }
            None => missing.push(name.as_str()),
        }
    }
    if missing.is_empty() {
        Ok(values)
    } else {
        Err(format!("Parameters: [{}] must have values", missing.join(", ")))
    }
}

fn value(name: &str, declared: &Value, text: &str) -> Result<Value, String> {
    let constraint = |what: &str| {
        let described = declared.get("ConstraintDescription").and_then(Value::as_str);
        Err(match described {
            Some(described) => format!("Parameter '{name}' {described}"),
            None => format!("Parameter '{name}' must {what}"),
        })
    };
    let kind = declared.get("Type").and_then(Value::as_str).unwrap_or("String");
    if let Some(allowed) = declared.get("AllowedValues").and_then(Value::as_array) {
        let allowed: Vec<String> = allowed.iter().filter_map(as_text).collect();
        if !allowed.iter().any(|one| one == text) {
            return constraint(&format!("be one of AllowedValues: {}", allowed.join(", ")));
        }
    }
    let limit = |member: &str| {
        declared.get(member).and_then(as_text).and_then(|text| text.parse::<f64>().ok())
    };
    let length = text.chars().count() as f64;
    if limit("MinLength").is_some_and(|least| length < least)
        || limit("MaxLength").is_some_and(|most| length > most)
    {
        return constraint("have a length between MinLength and MaxLength");
    }
    match kind {
        "String" => {
            if let Some(pattern) = declared.get("AllowedPattern").and_then(Value::as_str) {
                let whole = regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
                    .size_limit(1 << 20)
                    .build();
                if !whole.map_err(|err| format!("Parameter '{name}': {err}"))?.is_match(text) {
                    return constraint(&format!("match pattern {pattern}"));
                }
            }
            Ok(text.into())
        }
        "Number" => {
            let Ok(number) = text.trim().parse::<f64>() else { return constraint("be a number") };
            if limit("MinValue").is_some_and(|least| number < least)
                || limit("MaxValue").is_some_and(|most| number > most)
            {
                return constraint("be between MinValue and MaxValue");
            }
            Ok(text.trim().into())
        }
        "CommaDelimitedList" | "List<String>" | "List<Number>" => {
            Ok(text.split(',').map(|item| Value::from(item.trim())).collect())
        }
        other => Err(format!(
            "Template format error: parameter {name} has the type {other}, which the local cloud does not support"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::cloudformation::template;

    fn check(parameters: &str, given: &[(&str, &str)]) -> Result<BTreeMap<String, Value>, String> {
        let body = format!(r#"{{"Parameters":{parameters},"Resources":{{"A":{{"Type":"T"}}}}}}"#);
        let given =
            given.iter().map(|(n, v)| ((*n).to_owned(), Given::Value((*v).to_owned()))).collect();
        values(&template::parse(&body).unwrap(), &given, &BTreeMap::new())
    }

    #[test]
    fn defaults_and_given_values_are_checked() {
        let stage = r#"{"Stage":{"Type":"String","Default":"dev","AllowedValues":["dev","prod"]}}"#;
        assert_eq!(check(stage, &[]).unwrap()["Stage"], "dev");
        assert_eq!(check(stage, &[("Stage", "prod")]).unwrap()["Stage"], "prod");
        assert!(check(stage, &[("Stage", "x")]).unwrap_err().contains("AllowedValues"));
        assert!(check(stage, &[("Nope", "x")]).unwrap_err().contains("[Nope] do not exist"));
        assert!(
            check(r#"{"A":{"Type":"String"}}"#, &[]).unwrap_err().contains("[A] must have values")
        );
        let list = check(r#"{"A":{"Type":"CommaDelimitedList"}}"#, &[("A", "x, y")]).unwrap();
        assert_eq!(list["A"], serde_json::json!(["x", "y"]));
        let number = r#"{"A":{"Type":"Number","MaxValue":5}}"#;
        assert!(check(number, &[("A", "6")]).is_err());
        assert!(check(number, &[("A", "x")]).is_err());
        let pattern = r#"{"A":{"Type":"String","AllowedPattern":"[a-z]+"}}"#;
        assert!(check(pattern, &[("A", "ab")]).is_ok());
        assert!(check(pattern, &[("A", "aB")]).unwrap_err().contains("match pattern"));
        let looked_up = r#"{"A":{"Type":"AWS::SSM::Parameter::Value<String>","Default":"x"}}"#;
        assert!(check(looked_up, &[]).unwrap_err().contains("does not support"));
    }
}
