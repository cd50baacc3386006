//! Insights: nothing watches for anomalies here, so there are none, which is a valid answer.

use serde::Deserialize;
use serde_json::json;

use super::Call;
use super::body::{Answer, Time, Window, at_most, read, required_text, seconds};
use super::error::XrayError;
use super::groups;

/// `GetInsightImpactGraph` covers at most six hours.
const IMPACT_NANOS_MAX: i64 = 6 * 3_600 * 1_000_000_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    insight_id: Option<String>,
    states: Option<Vec<String>>,
    group_name: Option<String>,
    #[serde(rename = "GroupARN")]
    group_arn: Option<String>,
    start_time: Option<Time>,
    end_time: Option<Time>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

impl Members {
    fn read(body: &[u8], results_max: i64) -> Result<Self, XrayError> {
        let members: Self = read(body)?;
        if members.max_results.is_some_and(|results| !(1..=results_max).contains(&results)) {
            return Err(XrayError::invalid(format!("MaxResults must be 1 to {results_max}")));
        }
        if members.next_token.as_ref().is_some_and(|token| !token.is_empty()) {
            return Err(XrayError::invalid("NextToken is not one that this request was given"));
        }
        Ok(members)
    }
}

pub(super) fn get(_: &Call, body: &[u8]) -> Answer {
    let id = required_text(Members::read(body, 50)?.insight_id, "InsightId", 2_000)?;
    Err(XrayError::invalid(format!("there is no insight {id}")))
}

pub(super) fn events(_: &Call, body: &[u8]) -> Answer {
    required_text(Members::read(body, 50)?.insight_id, "InsightId", 2_000)?;
    Ok(json!({ "InsightEvents": [] }))
}

pub(super) fn impact_graph(_: &Call, body: &[u8]) -> Answer {
    let members = Members::read(body, 50)?;
    let window = Window::of(members.start_time, members.end_time)?;
    let id = required_text(members.insight_id, "InsightId", 2_000)?;
    if window.to.saturating_sub(window.from) > IMPACT_NANOS_MAX {
        return Err(XrayError::invalid("the range may be six hours at most"));
    }
    Ok(json!({
        "InsightId": id,
        "StartTime": seconds(window.from),
        "EndTime": seconds(window.to),
        "ServiceGraphStartTime": seconds(window.from),
        "ServiceGraphEndTime": seconds(window.to),
        "Services": [],
    }))
}

pub(super) fn summaries(call: &Call, body: &[u8]) -> Answer {
    let members = Members::read(body, 100)?;
    Window::of(members.start_time, members.end_time)?;
    let states = members.states.unwrap_or_default();
    at_most(&states, "States", 1)?;
    if states.iter().any(|state| !matches!(&state[..], "ACTIVE" | "CLOSED")) {
        return Err(XrayError::invalid("States must be ACTIVE or CLOSED"));
    }
    // A group that is not there is the caller's mistake all the same.
    groups::filter_of(call, members.group_name.as_deref(), members.group_arn.as_deref())?;
    Ok(json!({ "InsightSummaries": [] }))
}
