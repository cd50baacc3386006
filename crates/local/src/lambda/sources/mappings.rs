//! Event source mappings: made, changed, removed, and the tasks that poll for them.
//!
//! Rule: AWS Lambda API reference, `CreateEventSourceMapping` and its siblings. Changes take effect at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::error::LambdaError;
use super::super::functions::Functions;
use super::super::registry::shortened;
use super::poller;
use super::types::{EventSourceMapping, EventSourceSpec};
use crate::ids;
use crate::sync::lock;

const BATCH_SIZE_MAX: u32 = 10_000;

/// A mapping and how far it has read.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct StoredMapping {
    pub(crate) mapping: EventSourceMapping,
    /// By shard: the last sequence number that is done with.
    pub(crate) positions: BTreeMap<String, String>,
}

/// The tasks that poll, by the UUID of their mapping.
#[derive(Debug, Default)]
pub(crate) struct Pollers {
    running: Mutex<HashMap<String, Poller>>,
    /// By UUID and shard.
    positions: Mutex<HashMap<(String, String), String>>,
    results: Mutex<HashMap<String, String>>,
    changes: AtomicU64,
}

#[derive(Debug)]
struct Poller {
    end: CancellationToken,
    task: JoinHandle<()>,
}

impl Pollers {
    /// Ends every poller and waits for it.
    pub(crate) async fn stop(&self) {
        let all: Vec<Poller> = lock(&self.running).drain().map(|(_, poller)| poller).collect();
        for poller in all {
            poller.stop().await;
        }
    }

    /// Grows with every batch that is done.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Writes how far each mapping has read into what is to be saved.
    pub(crate) fn write_positions(&self, mappings: &mut BTreeMap<String, StoredMapping>) {
        for ((uuid, shard), sequence) in lock(&self.positions).iter() {
            if let Some(stored) = mappings.get_mut(uuid) {
                stored.positions.insert(shard.clone(), sequence.clone());
            }
        }
    }

    /// The records of a shard up to this one are done with.
    pub(crate) fn done(&self, uuid: &str, shard: &str, sequence: &str) {
        let key = (uuid.to_owned(), shard.to_owned());
        self.changes.fetch_add(1, Ordering::Relaxed);
        lock(&self.positions).insert(key, sequence.to_owned());
    }

    /// How the last batch went.
    pub(crate) fn result(&self, uuid: &str, text: String) {
        lock(&self.results).insert(uuid.to_owned(), text);
    }

    fn forget(&self, uuid: &str) {
        lock(&self.positions).retain(|(other, _), _| other != uuid);
        lock(&self.results).remove(uuid);
    }

    async fn stop_one(&self, uuid: &str) {
        let poller = lock(&self.running).remove(uuid);
        if let Some(poller) = poller {
            poller.stop().await;
        }
    }
}

impl Poller {
    async fn stop(self) {
        self.end.cancel();
        let _ = self.task.await;
    }
}

impl Functions {
    /// Makes a mapping; unless it is disabled, it polls from now on.
    pub fn create_event_source(
        self: &Arc<Self>,
        spec: &EventSourceSpec,
    ) -> Result<EventSourceMapping, LambdaError> {
        let required = |value: &Option<String>, name: &str| {
            value
                .clone()
                .filter(|value| !value.is_empty())
                .ok_or_else(|| LambdaError::InvalidParameterValue(format!("{name} is required")))
        };
        let function = self.version(&required(&spec.function_name, "FunctionName")?, None)?;
        let source = required(&spec.event_source_arn, "EventSourceArn")?;
        if !source.contains(":kinesis:") && !source.contains(":dynamodb:") {
            return Err(LambdaError::InvalidParameterValue(format!(
                "Unrecognized event source: {}. The local cloud polls Kinesis streams and DynamoDB Streams.",
                shortened(&source)
            )));
        }
        let starting_position = required(&spec.starting_position, "StartingPosition")?;
        if !["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"].contains(&starting_position.as_str()) {
            return Err(LambdaError::Validation(format!(
                "1 validation error detected: Value '{}' at 'startingPosition' failed to satisfy constraint: Member \
                 must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
                shortened(&starting_position)
            )));
        }
        let mut mapping = EventSourceMapping {
            uuid: ids::uuid(),
            event_source_arn: source,
            function_arn: function.configuration.function_arn.clone(),
            state: "Enabled".to_owned(),
            state_transition_reason: "User action".to_owned(),
            batch_size: 100,
            maximum_batching_window_in_seconds: 0,
            starting_position,
            starting_position_timestamp: spec.starting_position_timestamp,
            bisect_batch_on_function_error: false,
            maximum_retry_attempts: -1,
            maximum_record_age_in_seconds: -1,
            function_response_types: Vec::new(),
            last_modified: 0.0,
            last_processing_result: "No records processed".to_owned(),
        };
        apply(&mut mapping, spec)?;
        let mut registry = self.registry_mut();
        let taken = registry.mappings.values().find(|stored| {
            stored.mapping.event_source_arn == mapping.event_source_arn
                && stored.mapping.function_arn == mapping.function_arn
        });
        if let Some(taken) = taken {
            return Err(LambdaError::ResourceConflict(format!(
                "An event source mapping with event source arn (\" {} \") and function (\" {} \") already exists. \
                 Please update or delete the existing mapping with UUID {}",
                mapping.event_source_arn, function.configuration.function_name, taken.mapping.uuid
            )));
        }
        let stored = StoredMapping { mapping: mapping.clone(), positions: BTreeMap::new() };
        registry.mappings.insert(mapping.uuid.clone(), stored);
        drop(registry);
        self.poll(&mapping.uuid);
        Ok(mapping)
    }

    /// A mapping by its UUID.
    pub fn event_source(&self, uuid: &str) -> Result<EventSourceMapping, LambdaError> {
        let mapping = self.registry().mappings.get(uuid).map(|stored| stored.mapping.clone());
        mapping.map(|mapping| self.with_result(mapping)).ok_or_else(not_found)
    }

    /// All mappings, or those of a function or a source.
    pub fn event_sources(
        &self,
        function: Option<&str>,
        source: Option<&str>,
    ) -> Result<Vec<EventSourceMapping>, LambdaError> {
        let function = match function {
            Some(name) => Some(self.function_arn(&self.place(name, None)?.name)),
            None => None,
        };
        let registry = self.registry();
        let mappings = registry.mappings.values().map(|stored| &stored.mapping);
        let wanted = mappings.filter(|mapping| {
            function.as_ref().is_none_or(|arn| mapping.function_arn.starts_with(arn.as_str()))
                && source.is_none_or(|arn| mapping.event_source_arn == arn)
        });
        Ok(wanted.map(|mapping| self.with_result(mapping.clone())).collect())
    }

    /// Changes a mapping; it goes on where it was.
    pub async fn update_event_source(
        self: &Arc<Self>,
        uuid: &str,
        spec: &EventSourceSpec,
    ) -> Result<EventSourceMapping, LambdaError> {
        let function = match &spec.function_name {
            Some(name) => Some(self.version(name, None)?.configuration.function_arn.clone()),
            None => None,
        };
        let mut mapping = self.event_source(uuid)?;
        apply(&mut mapping, spec)?;
        mapping.function_arn = function.unwrap_or(mapping.function_arn);
        self.pollers.stop_one(uuid).await;
        match self.registry_mut().mappings.get_mut(uuid) {
            Some(stored) => stored.mapping = mapping.clone(),
            None => return Err(not_found()),
        }
        self.poll(uuid);
        Ok(mapping)
    }

    /// Ends a mapping.
    pub async fn delete_event_source(&self, uuid: &str) -> Result<EventSourceMapping, LambdaError> {
        let removed = self.registry_mut().mappings.remove(uuid).ok_or_else(not_found)?;
        self.pollers.stop_one(uuid).await;
        self.pollers.forget(uuid);
        Ok(EventSourceMapping { state: "Deleting".to_owned(), ..removed.mapping })
    }

    /// Polls for every mapping that was loaded. Call it once, after `load`.
    pub fn resume(self: &Arc<Self>) {
        let uuids: Vec<String> = self.registry().mappings.keys().cloned().collect();
        for uuid in uuids {
            self.poll(&uuid);
        }
    }

    fn poll(self: &Arc<Self>, uuid: &str) {
        let Some(stored) = self.registry().mappings.get(uuid).cloned() else { return };
        if stored.mapping.state != "Enabled" || self.stop.is_cancelled() {
            return;
        }
        let mut positions = BTreeMap::from([(uuid.to_owned(), stored)]);
        self.pollers.write_positions(&mut positions);
        let Some(stored) = positions.remove(uuid) else { return };
        let end = self.stop.child_token();
        let task = tokio::spawn(poller::poll(Arc::clone(self), stored, end.clone()));
        let old = lock(&self.pollers.running).insert(uuid.to_owned(), Poller { end, task });
        if let Some(old) = old {
            old.end.cancel();
        }
    }

    fn with_result(&self, mapping: EventSourceMapping) -> EventSourceMapping {
        let result = lock(&self.pollers.results).get(&mapping.uuid).cloned();
        let last_processing_result = result.unwrap_or(mapping.last_processing_result);
        EventSourceMapping { last_processing_result, ..mapping }
    }
}

fn apply(mapping: &mut EventSourceMapping, spec: &EventSourceSpec) -> Result<(), LambdaError> {
    if let Some(enabled) = spec.enabled {
        mapping.state = if enabled { "Enabled" } else { "Disabled" }.to_owned();
    }
    if let Some(size) = spec.batch_size {
        if !(1..=BATCH_SIZE_MAX).contains(&size) {
            return Err(LambdaError::InvalidParameterValue(format!(
                "BatchSize {size} is not between 1 and {BATCH_SIZE_MAX}"
            )));
        }
        mapping.batch_size = size;
    }
    if let Some(window) = spec.maximum_batching_window_in_seconds {
        if window > 300 {
            return Err(LambdaError::InvalidParameterValue(
                "MaximumBatchingWindowInSeconds is at most 300".to_owned(),
            ));
        }
        mapping.maximum_batching_window_in_seconds = window;
    }
    if let Some(bisect) = spec.bisect_batch_on_function_error {
        mapping.bisect_batch_on_function_error = bisect;
    }
    if let Some(attempts) = spec.maximum_retry_attempts {
        mapping.maximum_retry_attempts = attempts.clamp(-1, 10_000);
    }
    if let Some(age) = spec.maximum_record_age_in_seconds {
        mapping.maximum_record_age_in_seconds = age.clamp(-1, 604_800);
    }
    if let Some(types) = &spec.function_response_types {
        mapping.function_response_types.clone_from(types);
    }
    mapping.last_modified = (ids::now_ms() / 1000) as f64;
    Ok(())
}

fn not_found() -> LambdaError {
    LambdaError::ResourceNotFound("The resource you requested does not exist.".to_owned())
}
