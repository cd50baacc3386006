//! `GetTimeSeriesServiceStatistics`: how a node, or calls, did over time.

use serde::Deserialize;
use serde_json::{Value, json};
use throughline_query::xray_filter::{Selector, selector};
use throughline_store::Snapshot;
use throughline_topology::MapTotal;
use throughline_topology::xray::{Graph, Statistics};

use super::body::{Answer, Time, Window, read, seconds, within};
use super::error::XrayError;
use super::graph::{add, group_graphs, map_filter, render_histogram, render_statistics};
use super::token::Scope;
use super::{Call, PAGE_SIZE, graph, groups};

/// The grain of the roll-ups, and the period where none is given.
const MINUTE_SECONDS: i64 = 60;

/// No series is longer, whatever range and period are asked for.
const POINTS_MAX: i64 = 100_000;

pub(super) fn get(call: &Call, snapshot: &Snapshot, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        start_time: Option<Time>,
        end_time: Option<Time>,
        group_name: Option<String>,
        #[serde(rename = "GroupARN")]
        group_arn: Option<String>,
        entity_selector_expression: Option<String>,
        period: Option<i64>,
        next_token: Option<String>,
    }
    let members: Members = read(body)?;
    let window = Window::of(members.start_time, members.end_time)?;
    let expression = members.entity_selector_expression.as_deref().unwrap_or_default();
    within(expression, "EntitySelectorExpression", 0, 500)?;
    let chosen = selector(expression)
        .map_err(|err| XrayError::invalid(format!("EntitySelectorExpression: {err}")))?;
    let period = period_seconds(members.period)?;
    let (name, arn) = (members.group_name.as_deref(), members.group_arn.as_deref());
    let series: Vec<(i64, Graph)> = match groups::filter_of(call, name, arn)? {
        None => {
            let filter = map_filter(window);
            snapshot.map(MapTotal::of_minutes(&filter)).xray_time_series(&filter, period)
        }
        Some(filter) => {
            let nanos = Some(i64::from(period) * 1_000_000_000);
            group_graphs(call, snapshot, window, &filter, nanos)?.into_iter().collect()
        }
    };
    let own = |graph| graph::with_own_account(call, graph);
    let series: Vec<_> = series.into_iter().map(|(start, graph)| (start, own(graph))).collect();
    let points = series.iter().filter_map(|(start, graph)| point(*start, graph, &chosen));
    let points = points.take(POINTS_MAX as usize).collect();
    let answer = json!({ "ContainsOldGroupVersions": false });
    let key = (window.from, window.to, name, arn, expression, period);
    let scope = Scope::of("GetTimeSeriesServiceStatistics", key);
    let token = members.next_token.as_deref();
    scope.page(answer, "TimeSeriesServiceStatistics", points, token, PAGE_SIZE)
}

/// Whole minutes, for that is how the roll-ups know time.
fn period_seconds(given: Option<i64>) -> Result<u32, XrayError> {
    let given = given.unwrap_or(MINUTE_SECONDS);
    let day = 24 * 3_600;
    if !(1..=31 * day).contains(&given) {
        return Err(XrayError::invalid("Period must be 1 second to 31 days"));
    }
    let minutes = (given + MINUTE_SECONDS - 1) / MINUTE_SECONDS;
    Ok(u32::try_from(minutes * MINUTE_SECONDS).unwrap_or(u32::MAX))
}

/// One period; none when nothing was chosen in it, for Grafana would divide by zero.
fn point(start_unix_nano: i64, graph: &Graph, chosen: &Selector) -> Option<Value> {
    let mut sum = Statistics::default();
    for service in &graph.services {
        if chosen.matches_service(&service.id)
            && let Some(statistics) = &service.statistics
        {
            add(&mut sum, statistics);
        }
        for edge in &service.edges {
            let to = graph.services.get(edge.to);
            // The ages of events are no response times.
            let chosen = |to| !edge.is_link && chosen.matches_edge(&service.id, to);
            if to.is_some_and(|to| chosen(&to.id)) {
                add(&mut sum, &edge.statistics);
            }
        }
    }
    if sum.total() == 0 {
        return None;
    }
    let member = match chosen.is_edge() {
        true => "EdgeSummaryStatistics",
        false => "ServiceSummaryStatistics",
    };
    Some(json!({
        "Timestamp": seconds(start_unix_nano),
        member: render_statistics(&sum),
        "ResponseTimeHistogram": render_histogram(&sum.response_times),
    }))
}
