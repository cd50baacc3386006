//! CloudWatch Logs: groups, streams and their latest events.
//!
//! Rule: CloudWatch Logs API reference, 2014-03-28. Filter patterns are words that a message must hold.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::http::{Failure, Protocol, Request, Response};
use crate::ids;
use crate::place::Place;
use crate::seams::{Kept, LogEvent, LogSink};
use crate::sync::lock;

/// A group keeps its newest events only, at most this many and this many bytes.
const EVENTS_PER_GROUP_MAX: usize = 20_000;
const BYTES_PER_GROUP_MAX: usize = 8 << 20;
const GROUPS_MAX: usize = 1_000;
const STREAMS_PER_GROUP_MAX: usize = 1_000;
/// CloudWatch refuses longer events (PutLogEvents: 1 MB with 26 bytes of overhead).
const MESSAGE_BYTES_MAX: usize = 1_048_550;
/// One answer of FilterLogEvents or GetLogEvents.
const EVENTS_PER_ANSWER_MAX: usize = 10_000;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Group {
    created_ms: i64,
    retention_days: Option<i64>,
    streams: BTreeMap<String, Stream>,
    /// In the order they came, over all streams.
    events: VecDeque<Event>,
    bytes: usize,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stream {
    created_ms: i64,
    first_ms: Option<i64>,
    last_ms: Option<i64>,
    ingested_ms: i64,
    bytes: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Event {
    stream: String,
    time_ms: i64,
    ingested_ms: i64,
    message: String,
    number: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Groups {
    groups: BTreeMap<String, Group>,
    next_number: u64,
}

/// The account's log groups.
pub(crate) struct Logs {
    place: Arc<Place>,
    state: Mutex<Groups>,
    changes: AtomicU64,
}

impl Logs {
    /// No groups yet.
    pub(crate) fn new(place: Arc<Place>) -> Self {
        Self { place, state: Mutex::default(), changes: AtomicU64::new(0) }
    }

    /// Creates a group. `ResourceAlreadyExistsException` when it is there.
    pub(crate) fn create_group(
        &self,
        name: &str,
        retention_days: Option<i64>,
    ) -> Result<(), Failure> {
        let mut state = lock(&self.state);
        if state.groups.contains_key(name) {
            let problem = "The specified log group already exists";
            return Err(Failure::new(400, "ResourceAlreadyExistsException", problem));
        }
        if state.groups.len() >= GROUPS_MAX {
            return Err(Failure::new(400, "LimitExceededException", "too many log groups"));
        }
        let group = Group { created_ms: ids::now_ms(), retention_days, ..Group::default() };
        state.groups.insert(name.to_owned(), group);
        self.changed();
        Ok(())
    }

    /// Deletes a group with its events.
    pub(crate) fn delete_group(&self, name: &str) -> Result<(), Failure> {
        self.changed();
        lock(&self.state).groups.remove(name).map(|_| ()).ok_or_else(no_such_group)
    }

    /// Sets or clears how long events are said to be kept.
    pub(crate) fn set_retention(&self, name: &str, days: Option<i64>) -> Result<(), Failure> {
        self.changed();
        let mut state = lock(&self.state);
        state.groups.get_mut(name).ok_or_else(no_such_group)?.retention_days = days;
        Ok(())
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers a call of `Logs_20140328`.
    pub(crate) fn answer(&self, operation: &str, request: &Request) -> Response {
        let answer = request.json().and_then(|body| self.call(operation, &body));
        Protocol::Json11.json(answer, &request.request_id)
    }

    fn call(&self, operation: &str, body: &Value) -> Result<Value, Failure> {
        match operation {
            "CreateLogGroup" => {
                self.create_group(text(body, "logGroupName")?, None).map(|()| Value::Null)
            }
            "DeleteLogGroup" => {
                self.delete_group(text(body, "logGroupName")?).map(|()| Value::Null)
            }
            "PutRetentionPolicy" => {
                let days = body.get("retentionInDays").and_then(Value::as_i64);
                self.set_retention(text(body, "logGroupName")?, days).map(|()| Value::Null)
            }
            "DeleteRetentionPolicy" => {
                self.set_retention(text(body, "logGroupName")?, None).map(|()| Value::Null)
            }
            "DescribeLogGroups" => Ok(self.describe_groups(body)),
            "CreateLogStream" => self.create_stream(body),
            "DescribeLogStreams" => self.describe_streams(body),
            "PutLogEvents" => self.put_events(body),
            "FilterLogEvents" => self.filter_events(body),
            "GetLogEvents" => self.get_events(body),
            _ => Err(Failure::unknown_operation("logs", operation)),
        }
    }

    fn group_arn(&self, name: &str) -> String {
        self.place.arn("logs", &format!("log-group:{name}"))
    }

    fn describe_groups(&self, body: &Value) -> Value {
        let prefix = body.get("logGroupNamePrefix").and_then(Value::as_str).unwrap_or("");
        let state = lock(&self.state);
        let matching = state.groups.iter().filter(|(name, _)| name.starts_with(prefix));
        let groups: Vec<Value> = matching
            .map(|(name, group)| {
                let mut item = json!({
                    "logGroupName": name,
                    "creationTime": group.created_ms,
                    "metricFilterCount": 0,
                    "arn": format!("{}:*", self.group_arn(name)),
                    "storedBytes": group.bytes,
                });
                if let (Some(days), Some(item)) = (group.retention_days, item.as_object_mut()) {
                    item.insert("retentionInDays".to_owned(), days.into());
                }
                item
            })
            .collect();
        json!({ "logGroups": groups })
    }

    fn create_stream(&self, body: &Value) -> Result<Value, Failure> {
        let name = text(body, "logStreamName")?;
        let mut state = lock(&self.state);
        let group = state.groups.get_mut(text(body, "logGroupName")?).ok_or_else(no_such_group)?;
        if group.streams.contains_key(name) {
            let problem = "The specified log stream already exists";
            return Err(Failure::new(400, "ResourceAlreadyExistsException", problem));
        }
        make_room_for_a_stream(group);
        group
            .streams
            .insert(name.to_owned(), Stream { created_ms: ids::now_ms(), ..Stream::default() });
        self.changed();
        Ok(Value::Null)
    }

    fn describe_streams(&self, body: &Value) -> Result<Value, Failure> {
        let name = group_name(body)?;
        let prefix = body.get("logStreamNamePrefix").and_then(Value::as_str).unwrap_or("");
        let limit = body.get("limit").and_then(Value::as_u64).unwrap_or(50).clamp(1, 50) as usize;
        let state = lock(&self.state);
        let group = state.groups.get(&name).ok_or_else(no_such_group)?;
        let mut streams: Vec<_> =
            group.streams.iter().filter(|(n, _)| n.starts_with(prefix)).collect();
        if body.get("orderBy").and_then(Value::as_str) == Some("LastEventTime") {
            streams.sort_by_key(|(_, stream)| stream.last_ms);
        }
        if body.get("descending").and_then(Value::as_bool) == Some(true) {
            streams.reverse();
        }
        let streams: Vec<Value> = streams
            .into_iter()
            .take(limit)
            .map(|(stream_name, stream)| {
                let mut item = json!({
                    "logStreamName": stream_name,
                    "creationTime": stream.created_ms,
                    "storedBytes": stream.bytes,
                    "uploadSequenceToken": "1",
                    "arn": format!("{}:log-stream:{stream_name}", self.group_arn(&name)),
                });
                if let (Some(first), Some(last), Some(item)) =
                    (stream.first_ms, stream.last_ms, item.as_object_mut())
                {
                    item.insert("firstEventTimestamp".to_owned(), first.into());
                    item.insert("lastEventTimestamp".to_owned(), last.into());
                    item.insert("lastIngestionTime".to_owned(), stream.ingested_ms.into());
                }
                item
            })
            .collect();
        Ok(json!({ "logStreams": streams }))
    }

    fn put_events(&self, body: &Value) -> Result<Value, Failure> {
        let group = text(body, "logGroupName")?;
        let stream = text(body, "logStreamName")?;
        {
            let state = lock(&self.state);
            let group = state.groups.get(group).ok_or_else(no_such_group)?;
            if !group.streams.contains_key(stream) {
                return Err(no_such_stream());
            }
        }
        let mut events = Vec::new();
        for event in body.get("logEvents").and_then(Value::as_array).into_iter().flatten() {
            events.push(LogEvent {
                time_ms: event.get("timestamp").and_then(Value::as_i64).unwrap_or_default(),
                message: text(event, "message")?.to_owned(),
            });
        }
        self.put(group, stream, events);
        Ok(json!({ "nextSequenceToken": "1" }))
    }

    fn filter_events(&self, body: &Value) -> Result<Value, Failure> {
        let name = group_name(body)?;
        let wanted: Option<Vec<&str>> = body
            .get("logStreamNames")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect());
        let prefix = body.get("logStreamNamePrefix").and_then(Value::as_str).unwrap_or("");
        let pattern = body.get("filterPattern").and_then(Value::as_str).unwrap_or("");
        let state = lock(&self.state);
        let group = state.groups.get(&name).ok_or_else(no_such_group)?;
        if let Some(unknown) = wanted.iter().flatten().find(|n| !group.streams.contains_key(**n)) {
            tracing::debug!(stream = unknown, "asked for an unknown log stream");
            return Err(no_such_stream());
        }
        let (events, next) = page(group, body, |event| {
            wanted.as_ref().is_none_or(|names| names.contains(&event.stream.as_str()))
                && event.stream.starts_with(prefix)
                && matches(pattern, &event.message)
        });
        let events: Vec<Value> = events
            .into_iter()
            .map(|event| {
                json!({
                    "logStreamName": event.stream,
                    "timestamp": event.time_ms,
                    "message": event.message,
                    "ingestionTime": event.ingested_ms,
                    "eventId": format!("{:056}", event.number),
                })
            })
            .collect();
        let mut answer = json!({ "events": events, "searchedLogStreams": [] });
        if let (Some(next), Some(answer)) = (next, answer.as_object_mut()) {
            answer.insert("nextToken".to_owned(), next.into());
        }
        Ok(answer)
    }

    fn get_events(&self, body: &Value) -> Result<Value, Failure> {
        let name = group_name(body)?;
        let stream = text(body, "logStreamName")?;
        let state = lock(&self.state);
        let group = state.groups.get(&name).ok_or_else(no_such_group)?;
        if !group.streams.contains_key(stream) {
            return Err(no_such_stream());
        }
        let (events, _) = page(group, body, |event| event.stream == stream);
        // The token names the event after which the next page starts; an empty page repeats it.
        let token = body.get("nextToken").and_then(Value::as_str).unwrap_or("0").to_owned();
        let next = events.last().map_or(token, |event| (event.number + 1).to_string());
        let events: Vec<Value> = events
            .into_iter()
            .map(|event| {
                json!({ "timestamp": event.time_ms, "message": event.message, "ingestionTime": event.ingested_ms })
            })
            .collect();
        Ok(json!({ "events": events, "nextForwardToken": next, "nextBackwardToken": "0" }))
    }
}

/// The events that match, oldest first, and where the next page starts.
fn page<'a>(
    group: &'a Group,
    body: &Value,
    wanted: impl Fn(&Event) -> bool,
) -> (Vec<&'a Event>, Option<String>) {
    let number = |name: &str| body.get(name).and_then(Value::as_i64);
    let (start, end) = (number("startTime").unwrap_or(0), number("endTime").unwrap_or(i64::MAX));
    let limit = number("limit").and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(EVENTS_PER_ANSWER_MAX).clamp(1, EVENTS_PER_ANSWER_MAX);
    let token = body.get("nextToken").and_then(Value::as_str);
    let from: u64 = token.and_then(|token| token.parse().ok()).unwrap_or(0);
    let mut events: Vec<&Event> = group
        .events
        .iter()
        .filter(|e| e.number >= from && e.time_ms >= start && e.time_ms <= end && wanted(e))
        .take(limit + 1)
        .collect();
    let next = if events.len() > limit { events.pop().map(|e| e.number.to_string()) } else { None };
    events.sort_by_key(|event| event.time_ms);
    (events, next)
}

/// Whether a message has every word of a pattern; `"two words"` and `-without` as CloudWatch writes them.
fn matches(pattern: &str, message: &str) -> bool {
    let mut rest = pattern.trim();
    while !rest.is_empty() {
        let (negative, after) = match rest.strip_prefix('-') {
            Some(after) => (true, after),
            None => (false, rest.strip_prefix('?').unwrap_or(rest)),
        };
        let (word, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        if message.contains(word) == negative {
            return false;
        }
        rest = tail.trim_start();
    }
    true
}

fn make_room_for_a_stream(group: &mut Group) {
    while group.streams.len() >= STREAMS_PER_GROUP_MAX {
        let oldest = group.streams.iter().min_by_key(|(_, s)| s.last_ms.unwrap_or(s.created_ms));
        let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { return };
        group.streams.remove(&oldest);
        group.events.retain(|event| event.stream != oldest);
        group.bytes = group.events.iter().map(|event| event.message.len()).sum();
    }
}

impl LogSink for Logs {
    fn put(&self, group: &str, stream: &str, events: Vec<LogEvent>) {
        let now = ids::now_ms();
        let mut state = lock(&self.state);
        let Groups { groups, next_number } = &mut *state;
        if !groups.contains_key(group) && groups.len() >= GROUPS_MAX {
            return;
        }
        let new_group = || Group { created_ms: now, ..Group::default() };
        let group = groups.entry(group.to_owned()).or_insert_with(new_group);
        if !group.streams.contains_key(stream) {
            make_room_for_a_stream(group);
        }
        let new_stream = || Stream { created_ms: now, ..Stream::default() };
        let kept = group.streams.entry(stream.to_owned()).or_insert_with(new_stream);
        for LogEvent { time_ms, mut message } in events {
            if message.len() > MESSAGE_BYTES_MAX {
                let end = (0..=MESSAGE_BYTES_MAX).rev().find(|at| message.is_char_boundary(*at));
                message.truncate(end.unwrap_or(0));
            }
            kept.first_ms = Some(kept.first_ms.map_or(time_ms, |first| first.min(time_ms)));
            kept.last_ms = Some(kept.last_ms.map_or(time_ms, |last| last.max(time_ms)));
            kept.ingested_ms = now;
            kept.bytes += message.len();
            group.bytes += message.len();
            let stream = stream.to_owned();
            let number = *next_number;
            *next_number += 1;
            group.events.push_back(Event { stream, time_ms, ingested_ms: now, message, number });
        }
        while group.events.len() > EVENTS_PER_GROUP_MAX || group.bytes > BYTES_PER_GROUP_MAX {
            let Some(oldest) = group.events.pop_front() else { break };
            group.bytes = group.bytes.saturating_sub(oldest.message.len());
        }
        self.changed();
    }
}

impl Kept for Logs {
    fn name(&self) -> &'static str {
        "logs"
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn save(&self) -> Value {
        serde_json::to_value(&*lock(&self.state)).unwrap_or_default()
    }

    fn load(&self, saved: Value) -> Result<(), String> {
        *lock(&self.state) = serde_json::from_value(saved).map_err(|err| err.to_string())?;
        Ok(())
    }
}

fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, Failure> {
    body.get(name).and_then(Value::as_str).ok_or_else(|| {
        let problem = format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null");
        Failure::new(400, "InvalidParameterException", problem)
    })
}

/// By name, or by ARN as newer clients may send it.
fn group_name(body: &Value) -> Result<String, Failure> {
    if let Some(arn) = body.get("logGroupIdentifier").and_then(Value::as_str) {
        let name = arn.split_once(":log-group:").map_or(arn, |(_, name)| name);
        return Ok(name.trim_end_matches(":*").to_owned());
    }
    text(body, "logGroupName").map(str::to_owned)
}

fn no_such_group() -> Failure {
    Failure::new(400, "ResourceNotFoundException", "The specified log group does not exist.")
}

fn no_such_stream() -> Failure {
    Failure::new(400, "ResourceNotFoundException", "The specified log stream does not exist.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs() -> Logs {
        Logs::new(Arc::new(Place::new("us-east-1", "000000000000")))
    }

    fn line(time_ms: i64, message: &str) -> LogEvent {
        LogEvent { time_ms, message: message.to_owned() }
    }

    #[test]
    fn events_come_back_in_order_of_time_over_streams() {
        let logs = logs();
        logs.put("g", "b", vec![line(20, "two"), line(30, "three")]);
        logs.put("g", "a", vec![line(10, "one")]);
        let all = logs.call("FilterLogEvents", &json!({ "logGroupName": "g" })).unwrap();
        let texts: Vec<_> =
            all["events"].as_array().unwrap().iter().map(|e| e["message"].clone()).collect();
        assert_eq!(texts, ["one", "two", "three"]);
        let streams =
            json!({ "logGroupName": "g", "orderBy": "LastEventTime", "descending": true });
        let streams = logs.call("DescribeLogStreams", &streams).unwrap();
        assert_eq!(streams["logStreams"][0]["logStreamName"], "b");
    }

    #[test]
    fn pages_meet_without_gap() {
        let logs = logs();
        logs.put("g", "s", (0..5).map(|i| line(i, &i.to_string())).collect());
        let first =
            logs.call("FilterLogEvents", &json!({ "logGroupName": "g", "limit": 3 })).unwrap();
        assert_eq!(first["events"].as_array().unwrap().len(), 3);
        let rest = json!({ "logGroupName": "g", "limit": 3, "nextToken": first["nextToken"] });
        let rest = logs.call("FilterLogEvents", &rest).unwrap();
        assert_eq!(rest["events"][0]["message"], "3");
        assert_eq!(rest["events"].as_array().unwrap().len(), 2);
        assert_eq!(rest["nextToken"], Value::Null);
    }

    #[test]
    fn a_pattern_is_words_phrases_and_exclusions() {
        assert!(matches("", "x"));
        assert!(matches("ERROR \"two words\"", "ERROR: has two words"));
        assert!(!matches("ERROR -two", "ERROR: has two words"));
        assert!(!matches("missing", "x"));
    }

    #[test]
    fn a_group_is_bounded() {
        let logs = logs();
        let lines = (0..(EVENTS_PER_GROUP_MAX as i64 + 10)).map(|i| line(i, "x")).collect();
        logs.put("g", "s", lines);
        let state = lock(&logs.state);
        assert_eq!(state.groups["g"].events.len(), EVENTS_PER_GROUP_MAX);
        assert_eq!(state.groups["g"].bytes, EVENTS_PER_GROUP_MAX);
    }

    #[test]
    fn unknown_groups_are_named_as_aws_does() {
        let failure = logs().call("FilterLogEvents", &json!({ "logGroupName": "g" })).unwrap_err();
        assert_eq!(failure.code, "ResourceNotFoundException");
        assert_eq!(failure.message, "The specified log group does not exist.");
    }
}
