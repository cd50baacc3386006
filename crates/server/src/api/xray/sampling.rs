//! Sampling rules, and what their pollers ask.
//!
//! Rule: X-Ray API model 2016-04-12. The SDKs are strict here: Node keeps a rule only when it has
//! `Version` 1, `ResourceARN` `*` and an empty `Attributes`; Python needs `FixedRate` in every target
//! and `LastRuleModification` as a number in every answer.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Answer, at_most, read, required, required_text, seconds, within, without_nulls};
use super::error::{ErrorKind, XrayError};
use super::quota::{Counts, INTERVAL_SECONDS};
use super::settings::{Boost, DEFAULT_NAME, Rule, Settings};
use super::tags::{self, Tag};
use super::token::Scope;
use super::{Call, Named, PAGE_SIZE};

/// Rules besides `Default`, as in an account of AWS.
const RULES_MAX: usize = 25;
const DOCUMENTS_MAX: usize = 25;

/// A rule as callers write it. For an update every member but the name may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RuleMembers {
    rule_name: Option<String>,
    #[serde(rename = "RuleARN")]
    rule_arn: Option<String>,
    #[serde(rename = "ResourceARN")]
    resource_arn: Option<String>,
    priority: Option<i64>,
    fixed_rate: Option<f64>,
    reservoir_size: Option<i64>,
    service_name: Option<String>,
    service_type: Option<String>,
    host: Option<String>,
    #[serde(rename = "HTTPMethod")]
    http_method: Option<String>,
    #[serde(rename = "URLPath")]
    url_path: Option<String>,
    version: Option<i64>,
    attributes: Option<BTreeMap<String, String>>,
    sampling_rate_boost: Option<BoostMembers>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BoostMembers {
    max_rate: Option<f64>,
    cooldown_window_minutes: Option<u32>,
}

pub(super) fn create_rule(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        sampling_rule: Option<RuleMembers>,
        tags: Option<Vec<Tag>>,
    }
    let Members { sampling_rule, tags } = read(body)?;
    let members = required(sampling_rule, "SamplingRule")?;
    let name = required_text(members.rule_name.clone(), "RuleName", 32)?;
    for (missing, member) in [
        (members.resource_arn.is_none(), "ResourceARN"),
        (members.priority.is_none(), "Priority"),
        (members.fixed_rate.is_none(), "FixedRate"),
        (members.reservoir_size.is_none(), "ReservoirSize"),
        (members.service_name.is_none(), "ServiceName"),
        (members.service_type.is_none(), "ServiceType"),
        (members.host.is_none(), "Host"),
        (members.http_method.is_none(), "HTTPMethod"),
        (members.url_path.is_none(), "URLPath"),
        (members.version.is_none(), "Version"),
    ] {
        if missing {
            return Err(XrayError::invalid(format!("{member} is required")));
        }
    }
    if members.version != Some(1) {
        return Err(XrayError::invalid("Version must be 1"));
    }
    let created_unix_nano = call.now;
    let mut rule = Rule { name, created_unix_nano, ..Rule::default() };
    apply(&members, &mut rule)?;
    rule.modified_unix_nano = call.now;
    let tags = tags::checked(tags.unwrap_or_default(), call)?;
    call.settings().change(|settings| {
        if settings.rules.iter().any(|known| known.name == rule.name) {
            let message = format!("a sampling rule named {} exists already", rule.name);
            return Err(XrayError::invalid(message));
        }
        if settings.rules.len() > RULES_MAX {
            let message = format!("there may be at most {RULES_MAX} sampling rules");
            return Err(XrayError::new(ErrorKind::RuleLimitExceeded, message));
        }
        if !tags.is_empty() {
            settings.tags.insert(resource(&rule.name), tags);
        }
        let answer = json!({ "SamplingRuleRecord": record(call, &rule) });
        settings.rules.push(rule);
        settings.rules_modified_unix_nano = call.now;
        Ok(answer)
    })
}

pub(super) fn update_rule(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        sampling_rule_update: Option<RuleMembers>,
    }
    let members: Members = read(body)?;
    let members = required(members.sampling_rule_update, "SamplingRuleUpdate")?;
    call.settings().change(|settings| {
        let at = place(settings, &members.rule_name, &members.rule_arn)?;
        let before = settings.rules[at].clone();
        let mut rule = before.clone();
        apply(&members, &mut rule)?;
        if rule.name == DEFAULT_NAME {
            let (fixed_rate, reservoir_size) = (rule.fixed_rate, rule.reservoir_size);
            let allowed = Rule { fixed_rate, reservoir_size, ..before.clone() };
            if rule_json(call, &allowed) != rule_json(call, &rule) {
                let message = "only FixedRate and ReservoirSize of the rule Default can change";
                return Err(XrayError::invalid(message));
            }
        }
        rule.modified_unix_nano = call.now;
        settings.rules_modified_unix_nano = call.now;
        let answer = json!({ "SamplingRuleRecord": record(call, &rule) });
        settings.rules[at] = rule;
        Ok(answer)
    })
}

/// Sets what is given, each within the limits of the model.
fn apply(members: &RuleMembers, rule: &mut Rule) -> Result<(), XrayError> {
    let range =
        |name: &str, expected: &str| XrayError::invalid(format!("{name} must be {expected}"));
    if let Some(priority) = members.priority {
        let same = priority == rule.priority && rule.name == DEFAULT_NAME;
        if !same && !(1..=9_999).contains(&priority) {
            return Err(range("Priority", "1 to 9999"));
        }
        rule.priority = priority;
    }
    if let Some(rate) = members.fixed_rate {
        if !(0.0..=1.0).contains(&rate) {
            return Err(range("FixedRate", "0 to 1"));
        }
        rule.fixed_rate = rate;
    }
    if let Some(size) = members.reservoir_size {
        let expected = || range("ReservoirSize", "0 or more");
        rule.reservoir_size = u32::try_from(size)
            .ok()
            .filter(|size| i32::try_from(*size).is_ok())
            .ok_or_else(expected)?;
    }
    for (given, name, max, member) in [
        (&members.resource_arn, "ResourceARN", 500, &mut rule.resource_arn),
        (&members.service_name, "ServiceName", 64, &mut rule.service_name),
        (&members.service_type, "ServiceType", 64, &mut rule.service_type),
        (&members.host, "Host", 64, &mut rule.host),
        (&members.http_method, "HTTPMethod", 10, &mut rule.http_method),
        (&members.url_path, "URLPath", 128, &mut rule.url_path),
    ] {
        let Some(given) = given else { continue };
        within(given, name, 0, max)?;
        member.clone_from(given);
    }
    if let Some(attributes) = &members.attributes {
        if attributes.len() > 5 {
            return Err(range("Attributes", "at most 5"));
        }
        for (key, value) in attributes {
            within(key, "a key of Attributes", 1, 32)?;
            within(value, "a value of Attributes", 1, 32)?;
        }
        rule.attributes.clone_from(attributes);
    }
    if let Some(boost) = &members.sampling_rate_boost {
        let rate_max = required(boost.max_rate, "SamplingRateBoost.MaxRate")?;
        if !(0.0..=1.0).contains(&rate_max) {
            return Err(range("SamplingRateBoost.MaxRate", "0 to 1"));
        }
        let minutes = boost.cooldown_window_minutes;
        let cooldown_minutes = required(minutes, "SamplingRateBoost.CooldownWindowMinutes")?;
        rule.boost = Some(Boost { rate_max, cooldown_minutes });
    }
    Ok(())
}

pub(super) fn delete_rule(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        rule_name: Option<String>,
        #[serde(rename = "RuleARN")]
        rule_arn: Option<String>,
    }
    let members: Members = read(body)?;
    let (answer, name) = call.settings().change(|settings| {
        let at = place(settings, &members.rule_name, &members.rule_arn)?;
        if settings.rules[at].name == DEFAULT_NAME {
            return Err(XrayError::invalid("the rule Default cannot be deleted"));
        }
        let rule = settings.rules.remove(at);
        settings.tags.remove(&resource(&rule.name));
        settings.rules_modified_unix_nano = call.now;
        Ok((json!({ "SamplingRuleRecord": record(call, &rule) }), rule.name))
    })?;
    call.sampling().lock().unwrap_or_else(PoisonError::into_inner).forget(&name);
    Ok(answer)
}

/// Where the rule stands that is named by exactly one of name and ARN.
fn place(
    settings: &Settings,
    name: &Option<String>,
    arn: &Option<String>,
) -> Result<usize, XrayError> {
    let wanted = Named::of(name.as_deref(), arn.as_deref(), "RuleName", "RuleARN")?;
    let known = settings.rules.iter().position(|rule| wanted.is(&rule.name, &resource(&rule.name)));
    known.ok_or_else(|| XrayError::invalid(format!("there is no sampling rule {}", wanted.text())))
}

/// What stands behind the account in the ARN of a rule.
pub(super) fn resource(name: &str) -> String {
    format!("sampling-rule/{name}")
}

pub(super) fn get_rules(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        next_token: Option<String>,
    }
    let members: Members = read(body)?;
    let settings = call.settings().read();
    let mut rules: Vec<&Rule> = settings.rules.iter().collect();
    rules.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    let records = rules.into_iter().map(|rule| record(call, rule)).collect();
    let token = members.next_token.as_deref();
    let scope = Scope::of("GetSamplingRules", ());
    scope.page(json!({}), "SamplingRuleRecords", records, token, PAGE_SIZE)
}

fn record(call: &Call, rule: &Rule) -> Value {
    json!({
        "SamplingRule": rule_json(call, rule),
        "CreatedAt": seconds(rule.created_unix_nano),
        "ModifiedAt": seconds(rule.modified_unix_nano),
    })
}

fn rule_json(call: &Call, rule: &Rule) -> Value {
    let boost = rule.boost.map(|boost| {
        json!({ "MaxRate": boost.rate_max, "CooldownWindowMinutes": boost.cooldown_minutes })
    });
    without_nulls(json!({
        "RuleName": rule.name,
        "RuleARN": call.arn(&resource(&rule.name)),
        "ResourceARN": rule.resource_arn,
        "Priority": rule.priority,
        "FixedRate": rule.fixed_rate,
        "ReservoirSize": rule.reservoir_size,
        "ServiceName": rule.service_name,
        "ServiceType": rule.service_type,
        "Host": rule.host,
        "HTTPMethod": rule.http_method,
        "URLPath": rule.url_path,
        "Version": 1,
        "Attributes": rule.attributes,
        "SamplingRateBoost": boost,
    }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statistics {
    rule_name: Option<String>,
    #[serde(rename = "ClientID")]
    client_id: Option<String>,
    request_count: Option<u64>,
    sampled_count: Option<u64>,
    borrow_count: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BoostStatistics {
    rule_name: Option<String>,
    anomaly_count: Option<u64>,
}

pub(super) fn get_targets(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        sampling_statistics_documents: Option<Vec<Statistics>>,
        sampling_boost_statistics_documents: Option<Vec<BoostStatistics>>,
    }
    let members: Members = read(body)?;
    let documents = required(members.sampling_statistics_documents, "SamplingStatisticsDocuments")?;
    let boosts = members.sampling_boost_statistics_documents.unwrap_or_default();
    at_most(&documents, "SamplingStatisticsDocuments", DOCUMENTS_MAX)?;
    at_most(&boosts, "SamplingBoostStatisticsDocuments", DOCUMENTS_MAX)?;
    let settings = call.settings().read();
    let rule_of = |name: &str| settings.rules.iter().find(|rule| rule.name == name);

    let mut sampling = call.sampling().lock().unwrap_or_else(PoisonError::into_inner);
    let mut unprocessed_boosts = Vec::new();
    for document in boosts {
        let name = document.rule_name.unwrap_or_default();
        match rule_of(&name).map(|rule| rule.boost) {
            Some(Some(boost)) => {
                let anomalies = document.anomaly_count.unwrap_or(0);
                sampling.report_anomalies(&name, boost, anomalies, call.now);
            }
            Some(None) => unprocessed_boosts.push(unprocessed(&name, "the rule has no boost")),
            None => unprocessed_boosts.push(unprocessed(&name, "there is no such rule")),
        }
    }
    let (mut unprocessed_documents, mut heard) = (Vec::new(), Vec::new());
    for document in documents {
        let name = document.rule_name.unwrap_or_default();
        let client = document.client_id.unwrap_or_default();
        match rule_of(&name) {
            None => unprocessed_documents.push(unprocessed(&name, "there is no such rule")),
            Some(_) if client.chars().count() != 24 => {
                let message = "ClientID must have 24 characters";
                unprocessed_documents.push(unprocessed(&name, message));
            }
            Some(rule) => {
                let counts = Counts {
                    requests: document.request_count.unwrap_or(0),
                    sampled: document.sampled_count.unwrap_or(0),
                    borrowed: document.borrow_count.unwrap_or(0),
                };
                sampling.report(&name, &client, counts, call.now);
                heard.push((rule, client));
            }
        }
    }
    // Only when all reports are in, or the first of two clients would get a share too many.
    let targets: Vec<Value> = heard
        .into_iter()
        .map(|(rule, client)| {
            let quota = sampling.quota(rule, &client, call.now);
            let until = sampling.boosted_until(&rule.name, call.now);
            let boost = rule.boost.zip(until).map(|(boost, until)| {
                json!({ "BoostRate": boost.rate_max, "BoostRateTTL": seconds(until) })
            });
            without_nulls(json!({
                "RuleName": rule.name,
                "FixedRate": rule.fixed_rate,
                "ReservoirQuota": quota.requests_per_second,
                "ReservoirQuotaTTL": seconds(quota.until_unix_nano),
                "Interval": INTERVAL_SECONDS,
                "SamplingBoost": boost,
            }))
        })
        .collect();
    Ok(json!({
        "SamplingTargetDocuments": targets,
        "LastRuleModification": seconds(settings.rules_modified_unix_nano),
        "UnprocessedStatistics": unprocessed_documents,
        "UnprocessedBoostStatistics": unprocessed_boosts,
    }))
}

fn unprocessed(rule: &str, message: &str) -> Value {
    let name: String = rule.chars().take(32).collect();
    json!({ "RuleName": name, "ErrorCode": "InvalidRequestException", "Message": message })
}

pub(super) fn get_statistic_summaries(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        next_token: Option<String>,
    }
    let members: Members = read(body)?;
    let sampling = call.sampling().lock().unwrap_or_else(PoisonError::into_inner);
    let summaries = sampling.windows().map(|(start, rule, counts)| {
        json!({
            "RuleName": rule,
            "Timestamp": seconds(start),
            "RequestCount": counts.requests,
            "BorrowCount": counts.borrowed,
            "SampledCount": counts.sampled,
        })
    });
    let token = members.next_token.as_deref();
    let scope = Scope::of("GetSamplingStatisticSummaries", ());
    let summaries = summaries.collect();
    scope.page(json!({}), "SamplingStatisticSummaries", summaries, token, PAGE_SIZE)
}
