//! CloudFormation: stacks of the resources that the local cloud has.
//!
//! Comes in:   templates, change sets, stack operations.
//! Rule: AWS CloudFormation API reference, 2010-05-15. The order and texts of events are those that deployment
//!       tools wait for. One operation a stack at a time.

mod answers;
mod changes;
mod deploy;
mod intrinsics;
mod parameters;
mod requests;
mod resources;
mod stack;
mod template;
mod yaml;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use tokio_util::task::TaskTracker;

use crate::http::Failure;
use crate::ids;
use crate::seams::Kept;
use crate::sync::lock;

pub(crate) use resources::Services;
use stack::Stack;

/// Stacks, deleted ones among them; the longest deleted go first.
const STACKS_MAX: usize = 500;

/// The account's stacks.
pub(crate) struct CloudFormation {
    services: Services,
    /// By ARN.
    stacks: Mutex<BTreeMap<String, Stack>>,
    changes: AtomicU64,
    /// The operations that run.
    running: TaskTracker,
}

impl CloudFormation {
    /// No stacks yet.
    pub(crate) fn new(services: Services) -> Self {
        Self {
            services,
            stacks: Mutex::default(),
            changes: AtomicU64::new(0),
            running: TaskTracker::new(),
        }
    }

    /// Waits until no operation runs.
    pub(crate) async fn settle(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Reads or changes a stack that is there. One that is not is made up, and forgotten again.
    fn with<T>(&self, id: &str, look: impl FnOnce(&mut Stack) -> T) -> T {
        self.changes.fetch_add(1, Ordering::Relaxed);
        look(lock(&self.stacks).entry(id.to_owned()).or_default())
    }

    /// The stack of a name or ARN, as it is now. A name finds no deleted stack.
    fn find(&self, name_or_id: &str) -> Option<Stack> {
        let stacks = lock(&self.stacks);
        match stacks.get(name_or_id) {
            Some(stack) => Some(stack.clone()),
            None => stacks
                .values()
                .find(|stack| stack.name == name_or_id && !stack.is_deleted())
                .cloned(),
        }
    }

    /// The same, or the error that tools read: `Stack with id X does not exist`.
    fn need(&self, name_or_id: &str) -> Result<Stack, Failure> {
        self.find(name_or_id)
            .ok_or_else(|| invalid(format!("Stack with id {name_or_id} does not exist")))
    }

    /// Makes an empty stack in a status.
    fn begin(&self, name: &str, status: &str, reason: &str) -> Result<Stack, Failure> {
        if !is_stack_name(name) {
            return Err(invalid(format!(
                "1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
            )));
        }
        let mut stacks = lock(&self.stacks);
        while stacks.len() >= STACKS_MAX {
            let oldest =
                stacks.values().filter(|stack| stack.is_deleted()).min_by_key(|s| s.deleted_ms);
            let Some(oldest) = oldest.map(|stack| stack.id.clone()) else {
                return Err(Failure::new(400, "LimitExceededException", "too many stacks"));
            };
            stacks.remove(&oldest);
        }
        let mut stack = Stack {
            name: name.to_owned(),
            id: self.services.place.arn("cloudformation", &format!("stack/{name}/{}", ids::uuid())),
            created_ms: ids::now_ms(),
            ..Stack::default()
        };
        stack.enter(status, reason);
        stacks.insert(stack.id.clone(), stack.clone());
        self.changes.fetch_add(1, Ordering::Relaxed);
        Ok(stack)
    }

    /// What stacks export: name to value.
    fn exports(&self) -> BTreeMap<String, String> {
        let stacks = lock(&self.stacks);
        let outputs =
            stacks.values().filter(|stack| !stack.is_deleted()).flat_map(|stack| &stack.outputs);
        outputs.filter_map(|output| Some((output.export.clone()?, output.value.clone()))).collect()
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(400, "ValidationError", message)
}

fn is_stack_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl Kept for CloudFormation {
    fn name(&self) -> &'static str {
        "cloudformation"
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn save(&self) -> Value {
        serde_json::to_value(&*lock(&self.stacks)).unwrap_or_default()
    }

    /// A stack whose operation was cut short says so, and can be updated or deleted again.
    fn load(&self, saved: Value) -> Result<(), String> {
        let mut stacks: BTreeMap<String, Stack> =
            serde_json::from_value(saved).map_err(|err| err.to_string())?;
        let reason = "The local cloud stopped during this operation; deploy or delete again.";
        for stack in stacks.values_mut().filter(|stack| stack.is_busy()) {
            let status = match stack.status.as_str() {
                "DELETE_IN_PROGRESS" => "DELETE_FAILED",
                // Nothing was finished: resources that are there are adopted by the next update.
                _ => "UPDATE_ROLLBACK_COMPLETE",
            };
            stack.enter(status, reason);
        }
        *lock(&self.stacks) = stacks;
        Ok(())
    }
}
