//! Tags of groups and sampling rules.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::body::{Answer, at_most, read, required, required_text, within};
use super::error::{ErrorKind, XrayError};
use super::settings::Settings;
use super::token::Scope;
use super::{Call, PAGE_SIZE, groups, resource_of_arn, sampling};

/// Tags that one resource may have.
const TAGS_MAX: usize = 50;
/// Tags that one request may have.
const GIVEN_MAX: usize = 200;

/// A tag as callers write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    key: Option<String>,
    value: Option<String>,
}

/// Checks the tags of a request.
pub(super) fn checked(tags: Vec<Tag>, call: &Call) -> Result<BTreeMap<String, String>, XrayError> {
    at_most(&tags, "Tags", GIVEN_MAX)?;
    let mut checked = BTreeMap::new();
    for tag in tags {
        let key = required_text(tag.key, "Key", 128)?;
        let value = required(tag.value, "Value")?;
        within(&value, "Value", 0, 256)?;
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(XrayError::invalid("the keys of tags may not begin with aws:"));
        }
        if checked.insert(key, value).is_some() {
            return Err(XrayError::invalid("a key of Tags stands twice"));
        }
    }
    if checked.len() > TAGS_MAX {
        return Err(too_many(&call.arn("")));
    }
    Ok(checked)
}

fn too_many(arn: &str) -> XrayError {
    let message = format!("a resource may have at most {TAGS_MAX} tags");
    XrayError::of_resource(ErrorKind::TooManyTags, message, arn)
}

pub(super) fn tag(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        #[serde(rename = "ResourceARN")]
        resource_arn: Option<String>,
        tags: Option<Vec<Tag>>,
    }
    let members: Members = read(body)?;
    let arn = required_text(members.resource_arn, "ResourceARN", 1_011)?;
    let tags = checked(required(members.tags, "Tags")?, call)?;
    call.settings().change(|settings| {
        let resource = known(settings, &arn)?;
        let held = settings.tags.entry(resource).or_default();
        held.extend(tags);
        if held.len() > TAGS_MAX {
            return Err(too_many(&arn));
        }
        Ok(json!({}))
    })
}

pub(super) fn untag(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        #[serde(rename = "ResourceARN")]
        resource_arn: Option<String>,
        tag_keys: Option<Vec<String>>,
    }
    let members: Members = read(body)?;
    let arn = required_text(members.resource_arn, "ResourceARN", 1_011)?;
    let keys = required(members.tag_keys, "TagKeys")?;
    at_most(&keys, "TagKeys", GIVEN_MAX)?;
    call.settings().change(|settings| {
        let resource = known(settings, &arn)?;
        if let Some(held) = settings.tags.get_mut(&resource) {
            held.retain(|key, _| !keys.contains(key));
        }
        settings.tags.retain(|_, held| !held.is_empty());
        Ok(json!({}))
    })
}

pub(super) fn list(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        #[serde(rename = "ResourceARN")]
        resource_arn: Option<String>,
        next_token: Option<String>,
    }
    let members: Members = read(body)?;
    let arn = required_text(members.resource_arn, "ResourceARN", 1_011)?;
    let settings = call.settings().read();
    let resource = known(&settings, &arn)?;
    let held = settings.tags.get(&resource).into_iter().flatten();
    let tags = held.map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    let token = members.next_token.as_deref();
    Scope::of("ListTagsForResource", &arn).page(json!({}), "Tags", tags, token, PAGE_SIZE)
}

/// What stands behind the account in the ARN of a group or rule that exists.
fn known(settings: &Settings, arn: &str) -> Result<String, XrayError> {
    let resource = resource_of_arn(arn).unwrap_or_default();
    let is_group = resource == groups::DEFAULT_RESOURCE
        || settings.groups.iter().any(|group| groups::resource(group) == resource);
    let is_rule = settings.rules.iter().any(|rule| sampling::resource(&rule.name) == resource);
    if is_group || is_rule {
        return Ok(resource.to_owned());
    }
    let message = "no group and no sampling rule has this ARN";
    Err(XrayError::not_found(message, arn))
}
