//! Encryption, indexing and the destination of segments: remembered and answered, without effect.

use serde::Deserialize;
use serde_json::json;

use super::Call;
use super::body::{Answer, read, required, required_text, seconds, within};
use super::error::XrayError;
use super::settings::{DEFAULT_NAME, Settings};

pub(super) fn get(call: &Call, _: &[u8]) -> Answer {
    Ok(encryption_json(&call.settings().read(), "ACTIVE"))
}

pub(super) fn put(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        key_id: Option<String>,
        r#type: Option<String>,
    }
    let members: Members = read(body)?;
    if let Some(key) = &members.key_id {
        within(key, "KeyId", 1, 3_000)?;
    }
    let key = match (&required(members.r#type, "Type")?[..], members.key_id) {
        ("NONE", None) => None,
        ("NONE", Some(_)) => return Err(XrayError::invalid("KeyId does not go with Type NONE")),
        ("KMS", Some(key)) => Some(key),
        ("KMS", None) => return Err(XrayError::invalid("Type KMS needs a KeyId")),
        _ => return Err(XrayError::invalid("Type must be NONE or KMS")),
    };
    call.settings().change(|settings| {
        settings.encryption_key = key;
        Ok(encryption_json(settings, "UPDATING"))
    })
}

fn encryption_json(settings: &Settings, status: &str) -> serde_json::Value {
    let mut config = json!({ "Status": status, "Type": "NONE" });
    if let Some(key) = &settings.encryption_key {
        config["Type"] = "KMS".into();
        config["KeyId"] = key.clone().into();
    }
    json!({ "EncryptionConfig": config })
}

pub(super) fn get_indexing_rules(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        next_token: Option<String>,
    }
    let members: Members = read(body)?;
    if members.next_token.is_some_and(|token| !token.is_empty()) {
        return Err(XrayError::invalid("NextToken is not one that this request was given"));
    }
    Ok(json!({ "IndexingRules": [indexing_json(&call.settings().read())] }))
}

pub(super) fn update_indexing_rule(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        name: Option<String>,
        rule: Option<Rule>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Rule {
        probabilistic: Option<Probabilistic>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Probabilistic {
        desired_sampling_percentage: Option<f64>,
    }
    let members: Members = read(body)?;
    let name = required_text(members.name, "Name", 32)?;
    let rule = required(required(members.rule, "Rule")?.probabilistic, "Rule.Probabilistic")?;
    let percentage = required(rule.desired_sampling_percentage, "DesiredSamplingPercentage")?;
    if name != DEFAULT_NAME {
        return Err(XrayError::not_found("the only indexing rule is Default", name));
    }
    if !(0.0..=100.0).contains(&percentage) {
        return Err(XrayError::invalid("DesiredSamplingPercentage must be 0 to 100"));
    }
    call.settings().change(|settings| {
        settings.indexing_percentage = percentage;
        settings.indexing_modified_unix_nano = call.now;
        Ok(json!({ "IndexingRule": indexing_json(settings) }))
    })
}

/// What is indexed here is everything, whatever was desired.
fn indexing_json(settings: &Settings) -> serde_json::Value {
    json!({
        "Name": DEFAULT_NAME,
        "ModifiedAt": seconds(settings.indexing_modified_unix_nano),
        "Rule": { "Probabilistic": {
            "DesiredSamplingPercentage": settings.indexing_percentage,
            "ActualSamplingPercentage": 100.0,
        } },
    })
}

pub(super) fn get_destination(call: &Call, _: &[u8]) -> Answer {
    let settings = call.settings().read();
    Ok(json!({ "Destination": settings.destination, "Status": "ACTIVE" }))
}

pub(super) fn update_destination(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        destination: Option<String>,
    }
    let members: Members = read(body)?;
    call.settings().change(|settings| {
        match members.destination.as_deref() {
            Some("XRay" | "CloudWatchLogs") => {
                settings.destination = members.destination.unwrap_or_default();
            }
            Some(_) => {
                return Err(XrayError::invalid("Destination must be XRay or CloudWatchLogs"));
            }
            None => {}
        }
        Ok(json!({ "Destination": settings.destination, "Status": "ACTIVE" }))
    })
}
