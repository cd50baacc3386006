//! Groups: named filter expressions. `Default` always exists, has none, and takes every trace.
//!
//! A group's expression is applied when it is asked for, so a changed one holds for old traces too
//! and `ContainsOldGroupVersions` is always false. Grafana asks `GetGroups` whether we are alive.

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Answer, read, required_text};
use super::error::XrayError;
use super::settings::{DEFAULT_NAME, Group, Insights, Settings};
use super::tags::{self, Tag};
use super::token::Scope;
use super::{Call, Named, PAGE_SIZE, filters, unique_id};

/// Groups besides `Default`, as in an account of AWS.
const GROUPS_MAX: usize = 25;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InsightsMembers {
    insights_enabled: Option<bool>,
    notifications_enabled: Option<bool>,
}

impl InsightsMembers {
    fn apply(&self, insights: &mut Insights) -> Result<(), XrayError> {
        let enabled = self.insights_enabled.unwrap_or(insights.enabled);
        let notifications = self.notifications_enabled.unwrap_or(insights.notifications);
        if notifications && !enabled {
            return Err(XrayError::invalid("NotificationsEnabled needs InsightsEnabled"));
        }
        *insights = Insights { enabled, notifications };
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    group_name: Option<String>,
    #[serde(rename = "GroupARN")]
    group_arn: Option<String>,
    filter_expression: Option<String>,
    insights_configuration: Option<InsightsMembers>,
    tags: Option<Vec<Tag>>,
}

pub(super) fn create(call: &Call, body: &[u8]) -> Answer {
    let members: Members = read(body)?;
    let name = required_text(members.group_name, "GroupName", 32)?;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(XrayError::invalid("GroupName may have letters, digits and dashes"));
    }
    if name.eq_ignore_ascii_case(DEFAULT_NAME) {
        return Err(XrayError::invalid("the group Default exists already"));
    }
    let filter = members.filter_expression.filter(|filter| !filter.trim().is_empty());
    if let Some(filter) = &filter {
        filters::check(filter)?;
    }
    let mut insights = Insights::default();
    if let Some(given) = &members.insights_configuration {
        given.apply(&mut insights)?;
    }
    let tags = tags::checked(members.tags.unwrap_or_default(), call)?;
    let id = unique_id();
    let group = Group { name, id: format!("{id:032X}"), filter, insights };
    call.settings().change(|settings| {
        if settings.groups.iter().any(|known| known.name == group.name) {
            let message = format!("a group named {} exists already", group.name);
            return Err(XrayError::invalid(message));
        }
        if settings.groups.len() >= GROUPS_MAX {
            return Err(XrayError::invalid(format!("there may be at most {GROUPS_MAX} groups")));
        }
        if !tags.is_empty() {
            settings.tags.insert(resource(&group), tags);
        }
        let answer = json!({ "Group": group_json(call, &group) });
        settings.groups.push(group);
        Ok(answer)
    })
}

pub(super) fn update(call: &Call, body: &[u8]) -> Answer {
    let members: Members = read(body)?;
    if let Some(filter) = &members.filter_expression {
        filters::check(filter)?;
    }
    let wanted = members.named()?;
    call.settings().change(|settings| {
        if wanted.is(DEFAULT_NAME, DEFAULT_RESOURCE) {
            if members.filter_expression.as_ref().is_some_and(|filter| !filter.is_empty()) {
                let message = "the group Default has no FilterExpression";
                return Err(XrayError::invalid(message));
            }
            if let Some(given) = &members.insights_configuration {
                given.apply(&mut settings.default_group_insights)?;
            }
            return Ok(json!({ "Group": default_json(call, settings) }));
        }
        let at = place(settings, &wanted)?;
        let group = &mut settings.groups[at];
        if let Some(filter) = &members.filter_expression {
            group.filter = Some(filter.clone()).filter(|filter| !filter.trim().is_empty());
        }
        if let Some(given) = &members.insights_configuration {
            given.apply(&mut group.insights)?;
        }
        Ok(json!({ "Group": group_json(call, group) }))
    })
}

pub(super) fn delete(call: &Call, body: &[u8]) -> Answer {
    let members: Members = read(body)?;
    let wanted = members.named()?;
    call.settings().change(|settings| {
        if wanted.is(DEFAULT_NAME, DEFAULT_RESOURCE) {
            return Err(XrayError::invalid("the group Default cannot be deleted"));
        }
        let group = settings.groups.remove(place(settings, &wanted)?);
        settings.tags.remove(&resource(&group));
        Ok(json!({}))
    })
}

pub(super) fn get(call: &Call, body: &[u8]) -> Answer {
    let members: Members = read(body)?;
    let wanted = members.named()?;
    let settings = call.settings().read();
    if wanted.is(DEFAULT_NAME, DEFAULT_RESOURCE) {
        return Ok(json!({ "Group": default_json(call, &settings) }));
    }
    let group = &settings.groups[place(&settings, &wanted)?];
    Ok(json!({ "Group": group_json(call, group) }))
}

pub(super) fn list(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        next_token: Option<String>,
    }
    let members: Members = read(body)?;
    let settings = call.settings().read();
    let mut groups = vec![default_json(call, &settings)];
    groups.extend(settings.groups.iter().map(|group| group_json(call, group)));
    let token = members.next_token.as_deref();
    Scope::of("GetGroups", ()).page(json!({}), "Groups", groups, token, PAGE_SIZE)
}

/// The expression of the group that a question about the graph names; `None` takes every trace.
pub(super) fn filter_of(
    call: &Call,
    name: Option<&str>,
    arn: Option<&str>,
) -> Result<Option<String>, XrayError> {
    if name.is_none() && arn.is_none() {
        return Ok(None);
    }
    let wanted = Named::of(name, arn, "GroupName", "GroupARN")?;
    if wanted.is(DEFAULT_NAME, DEFAULT_RESOURCE) {
        return Ok(None);
    }
    let settings = call.settings().read();
    Ok(settings.groups[place(&settings, &wanted)?].filter.clone())
}

impl Members {
    fn named(&self) -> Result<Named, XrayError> {
        let (name, arn) = (self.group_name.as_deref(), self.group_arn.as_deref());
        Named::of(name, arn, "GroupName", "GroupARN")
    }
}

fn place(settings: &Settings, wanted: &Named) -> Result<usize, XrayError> {
    let known = settings.groups.iter().position(|group| wanted.is(&group.name, &resource(group)));
    known.ok_or_else(|| XrayError::invalid(format!("there is no group {}", wanted.text())))
}

/// What stands behind the account in the ARN of the group `Default`.
pub(super) const DEFAULT_RESOURCE: &str = "group/Default";

/// What stands behind the account in the ARN of a group.
pub(super) fn resource(group: &Group) -> String {
    format!("group/{}/{}", group.name, group.id)
}

fn group_json(call: &Call, group: &Group) -> Value {
    let mut json = json!({
        "GroupName": group.name,
        "GroupARN": call.arn(&resource(group)),
        "InsightsConfiguration": insights_json(group.insights),
    });
    if let Some(filter) = &group.filter {
        json["FilterExpression"] = filter.clone().into();
    }
    json
}

/// Without an expression: Grafana would put it before every query.
fn default_json(call: &Call, settings: &Settings) -> Value {
    json!({
        "GroupName": DEFAULT_NAME,
        "GroupARN": call.arn(DEFAULT_RESOURCE),
        "InsightsConfiguration": insights_json(settings.default_group_insights),
    })
}

fn insights_json(insights: Insights) -> Value {
    json!({
        "InsightsEnabled": insights.enabled,
        "NotificationsEnabled": insights.notifications,
    })
}
