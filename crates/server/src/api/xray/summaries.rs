//! `GetTraceSummaries`: traces that a filter expression takes, newest first.
//!
//! Rule: X-Ray API model 2016-04-12. Grafana needs `Http` in every summary, texts for every name and
//! type, and at least one entity on every way of a root cause.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use throughline_model::{SpanBatch, TraceId};
use throughline_query::xray_filter::{XrayCursor, XraySearchOptions, XrayTime, xray_search};
use throughline_store::Snapshot;
use throughline_topology::xray::{
    Annotation, CauseKind, Entity, RootCause, RootCauseEntity, RootCauseService, ServiceId,
    TraceView,
};

use super::body::{Answer, Time, Window, read, seconds, without_nulls};
use super::error::XrayError;
use super::graph::service_id;
use super::token::Scope;
use super::{Call, PAGE_SIZE, filters};

/// Annotations that are indexed for one trace, as at AWS.
const ANNOTATIONS_MAX: usize = 50;

/// Values of a list in a summary: users, values of one annotation, resources.
const VALUES_MAX: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    start_time: Option<Time>,
    end_time: Option<Time>,
    time_range_type: Option<String>,
    sampling: Option<bool>,
    sampling_strategy: Option<Strategy>,
    filter_expression: Option<String>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Strategy {
    name: Option<String>,
    value: Option<f64>,
}

pub(super) fn get(call: &Call, snapshot: &Snapshot, body: &[u8]) -> Answer {
    let members: Members = read(body)?;
    let window = Window::of(members.start_time, members.end_time)?;
    let time = match members.time_range_type.as_deref() {
        None | Some("TraceId") => XrayTime::TraceId,
        Some("Event") => XrayTime::Event,
        Some("Service") => XrayTime::Service,
        Some(_) => {
            return Err(XrayError::invalid("TimeRangeType must be TraceId, Event or Service"));
        }
    };
    let text = members.filter_expression.as_deref().unwrap_or_default();
    let filter = filters::filter(call, text)?;
    let sampling = rate(members.sampling, members.sampling_strategy)?;
    let kind = members.time_range_type.as_deref();
    let rate = sampling.map(f64::to_bits);
    let scope = Scope::of("GetTraceSummaries", (window.from, window.to, kind, text, rate));
    let after = scope.cursor(members.next_token.as_deref())?.map(|bytes| cursor(&bytes));
    let after = match after {
        None => None,
        Some(Some(cursor)) => Some(cursor),
        Some(None) => return Err(XrayError::invalid("NextToken is none of this operation")),
    };
    let (from, to, limit) = (window.from, window.to, PAGE_SIZE);
    let options = XraySearchOptions { from, to, time, limit, after, sampling };
    let mut summaries = Vec::new();
    let mut oldest = window.to;
    let found = xray_search(snapshot, &filter, &options, |trace, view| {
        oldest = oldest.min(view.start_unix_nano());
        summaries.push(summary(call, trace, view));
    })?;
    let mut answer = json!({
        "TraceSummaries": summaries,
        "ApproximateTime": seconds(oldest),
        "TracesProcessedCount": found.scanned,
    });
    if let Some(next) = found.next {
        answer["NextToken"] = scope.token(&cursor_bytes(next)).into();
    }
    Ok(answer)
}

/// The share of traces that is wanted, when it is not all of them.
fn rate(sampling: Option<bool>, strategy: Option<Strategy>) -> Result<Option<f64>, XrayError> {
    let Some(strategy) = strategy else { return Ok(None) };
    let value = strategy.value.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&value) {
        return Err(XrayError::invalid("SamplingStrategy.Value must be 0 to 1"));
    }
    match strategy.name.as_deref() {
        // AWS scans a part to save work; we scan everything.
        None | Some("PartialScan") => Ok(None),
        Some("FixedRate") => Ok((sampling == Some(true)).then_some(value)),
        Some(_) => {
            Err(XrayError::invalid("SamplingStrategy.Name must be PartialScan or FixedRate"))
        }
    }
}

fn cursor_bytes(cursor: XrayCursor) -> Vec<u8> {
    let mut bytes = cursor.start_unix_nano.to_be_bytes().to_vec();
    bytes.extend_from_slice(&cursor.trace_id.0);
    bytes
}

fn cursor(bytes: &[u8]) -> Option<XrayCursor> {
    let (start, id) = bytes.split_at_checked(8)?;
    let start_unix_nano = i64::from_be_bytes(start.try_into().ok()?);
    Some(XrayCursor { start_unix_nano, trace_id: TraceId::from_slice(id)? })
}

/// One trace as a line of a list.
fn summary(call: &Call, trace: &SpanBatch, view: &TraceView<'_>) -> Value {
    let root = view.root_entity();
    let ids = |services: Vec<&ServiceId>| -> Vec<Value> {
        services.into_iter().map(|id| service_id(call, id)).collect()
    };
    let segments = || view.segments.iter().filter_map(|at| view.entities.get(*at));
    let start = view.start_unix_nano();
    let named = |member: &str, values: Vec<String>| -> Vec<Value> {
        values.into_iter().map(|value| json!({ member: value })).collect()
    };
    let zones = segments().filter_map(|segment| segment.availability_zone.clone());
    let instances = segments().filter_map(|segment| segment.instance_id.clone());
    let resources = view.entities.iter().flat_map(|entity| entity.resource_arns.clone());
    let causes = |kind| view.root_causes(kind);
    without_nulls(json!({
        "Id": view.trace_id.xray(),
        "StartTime": seconds(start),
        "Duration": seconds(view.duration_nano()),
        "ResponseTime": seconds(view.response_time_nano()),
        "HasFault": view.has_fault(),
        "HasError": view.has_error(),
        "HasThrottle": view.has_throttle(),
        "IsPartial": view.is_partial(),
        "Http": root.map_or_else(|| json!({}), http),
        "Annotations": annotations(call, view),
        "Users": users(call, view),
        "ServiceIds": ids(unique(segments().map(|segment| &segment.service))),
        "ResourceARNs": named("ARN", unique(resources)),
        "InstanceIds": named("Id", unique(instances)),
        "AvailabilityZones": named("Name", unique(zones)),
        "EntryPoint": root.map(|root| service_id(call, &root.service)),
        "FaultRootCauses": render_causes(call, &causes(CauseKind::Fault), CauseKind::Fault),
        "ErrorRootCauses": render_causes(call, &causes(CauseKind::Error), CauseKind::Error),
        "ResponseTimeRootCauses":
            render_causes(call, &causes(CauseKind::ResponseTime), CauseKind::ResponseTime),
        // We keep no count of changes; the number of spans grows with all but the smallest.
        "Revision": trace.len(),
        "MatchedEventTime": seconds(start),
    }))
}

/// Each value once, in the order of their first.
fn unique<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if seen.len() < VALUES_MAX && !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// An object even when there is nothing in it.
fn http(root: &Entity<'_>) -> Value {
    without_nulls(json!({
        "HttpURL": root.http_url,
        "HttpStatus": root.http_status,
        "HttpMethod": root.http_method,
        "UserAgent": root.user_agent,
        "ClientIp": root.client_ip,
    }))
}

/// Values by key, each with the services where it was set.
fn annotations(call: &Call, view: &TraceView<'_>) -> Value {
    let mut by_key: BTreeMap<&str, Vec<(&Annotation, Vec<&ServiceId>)>> = BTreeMap::new();
    for entity in &view.entities {
        for (key, value) in &entity.annotations {
            if by_key.len() >= ANNOTATIONS_MAX && !by_key.contains_key(&key[..]) {
                continue;
            }
            note(by_key.entry(key).or_default(), value, &entity.service);
        }
    }
    let values = by_key.into_iter().map(|(key, values)| {
        let values = values.into_iter().map(|(value, services)| {
            let value = match value {
                Annotation::Text(text) => json!({ "StringValue": text }),
                Annotation::Number(number) => json!({ "NumberValue": number }),
                Annotation::Bool(truth) => json!({ "BooleanValue": truth }),
            };
            let services = services.into_iter().map(|id| service_id(call, id));
            json!({ "AnnotationValue": value, "ServiceIds": services.collect::<Vec<_>>() })
        });
        (key.to_owned(), values.collect())
    });
    Value::Object(values.collect())
}

fn users(call: &Call, view: &TraceView<'_>) -> Vec<Value> {
    let mut users: Vec<(&String, Vec<&ServiceId>)> = Vec::new();
    for entity in &view.entities {
        if let Some(user) = &entity.user {
            note(&mut users, user, &entity.service);
        }
    }
    let user = |(name, services): (&String, Vec<&ServiceId>)| {
        let services = services.into_iter().map(|id| service_id(call, id));
        json!({ "UserName": name, "ServiceIds": services.collect::<Vec<_>>() })
    };
    users.into_iter().map(user).collect()
}

/// Adds a service to those of a value.
fn note<'v, T: PartialEq>(
    values: &mut Vec<(&'v T, Vec<&'v ServiceId>)>,
    value: &'v T,
    service: &'v ServiceId,
) {
    if let Some((_, services)) = values.iter_mut().find(|(known, _)| *known == value) {
        if !services.contains(&service) {
            services.push(service);
        }
    } else if values.len() < VALUES_MAX {
        values.push((value, vec![service]));
    }
}

fn render_causes(call: &Call, causes: &[RootCause], kind: CauseKind) -> Vec<Value> {
    let cause = |cause: &RootCause| {
        let services = cause.services.iter().map(|s| render_cause_service(call, s, kind));
        json!({
            "Services": services.collect::<Vec<_>>(),
            "ClientImpacting": cause.client_impacting,
        })
    };
    causes.iter().map(cause).collect()
}

fn render_cause_service(call: &Call, service: &RootCauseService, kind: CauseKind) -> Value {
    let mut json = service_id(call, &service.service);
    let entities = service.entities.iter().map(|entity| render_cause_entity(entity, kind));
    json["EntityPath"] = entities.collect();
    json["Inferred"] = service.inferred.into();
    json
}

fn render_cause_entity(entity: &RootCauseEntity, kind: CauseKind) -> Value {
    let mut json = json!({ "Name": entity.name, "Remote": entity.remote });
    if kind == CauseKind::ResponseTime {
        json["Coverage"] = entity.coverage.into();
    } else {
        let exceptions = entity.exceptions.iter();
        json["Exceptions"] =
            exceptions.map(|e| json!({ "Name": e.name, "Message": e.message })).collect();
    }
    json
}
