//! What a stack is, and the book that is kept of it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::intrinsics::Known;
use crate::ids;

/// A stack keeps its newest events only.
const EVENTS_MAX: usize = 2_000;

/// One stack, also when it is deleted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Stack {
    pub(super) name: String,
    /// `arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/UUID`.
    pub(super) id: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) description: String,
    pub(super) created_ms: i64,
    pub(super) updated_ms: Option<i64>,
    pub(super) deleted_ms: Option<i64>,
    /// What is deployed; empty before the first change set is executed.
    pub(super) template: String,
    pub(super) parameters: BTreeMap<String, Value>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) capabilities: Vec<String>,
    pub(super) disable_rollback: bool,
    pub(super) resources: BTreeMap<String, Record>,
    pub(super) outputs: Vec<Output>,
    pub(super) change_sets: BTreeMap<String, ChangeSet>,
    /// Oldest first.
    pub(super) events: VecDeque<Event>,
}

/// A resource that is there, or was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) kind: String,
    pub(super) physical: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) updated_ms: i64,
    /// As they were worked out.
    pub(super) properties: Value,
    pub(super) attributes: BTreeMap<String, String>,
    /// Its place in the order of creation; deletion goes backwards.
    pub(super) order: usize,
    pub(super) retained: bool,
    /// Whether it exists: false while it is made and after it is gone.
    pub(super) exists: bool,
}

/// What a stack tells to the outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Output {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) description: String,
    pub(super) export: Option<String>,
}

/// A change that is planned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ChangeSet {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) description: String,
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) execution: String,
    pub(super) created_ms: i64,
    pub(super) plan: Plan,
    /// Action, logical id and type.
    pub(super) changes: Vec<(String, String, String)>,
}

/// What a stack shall become.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) template: String,
    pub(super) parameters: BTreeMap<String, Value>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) capabilities: Vec<String>,
    pub(super) disable_rollback: bool,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) logical: String,
    pub(super) physical: String,
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) time_ms: i64,
}

/// The type of the stack's own events.
pub(super) const STACK: &str = "AWS::CloudFormation::Stack";

impl Stack {
    /// Whether an operation runs.
    pub(super) fn is_busy(&self) -> bool {
        self.status.ends_with("_IN_PROGRESS") && self.status != "REVIEW_IN_PROGRESS"
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.status == "DELETE_COMPLETE"
    }

    /// The statuses from which a stack can be updated ("Stack status codes").
    pub(super) fn is_updatable(&self) -> bool {
        matches!(
            self.status.as_str(),
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_COMPLETE"
        ) || (self.disable_rollback
            && matches!(self.status.as_str(), "CREATE_FAILED" | "UPDATE_FAILED"))
    }

    /// Changes the stack's status and writes it down.
    pub(super) fn enter(&mut self, status: &str, reason: &str) {
        self.status = status.to_owned();
        self.reason = reason.to_owned();
        let (name, id) = (self.name.clone(), self.id.clone());
        self.write(&name, &id, STACK, status, reason);
    }

    /// Changes a resource's status and writes it down.
    pub(super) fn note(&mut self, logical: &str, status: &str, reason: &str) {
        let Some(record) = self.resources.get_mut(logical) else { return };
        record.status = status.to_owned();
        record.reason = reason.to_owned();
        record.updated_ms = ids::now_ms();
        let (physical, kind) = (record.physical.clone(), record.kind.clone());
        self.write(logical, &physical, &kind, status, reason);
    }

    /// Writes an event down.
    pub(super) fn write(
        &mut self,
        logical: &str,
        physical: &str,
        kind: &str,
        status: &str,
        reason: &str,
    ) {
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Event {
            id: if kind == STACK {
                ids::uuid()
            } else {
                format!("{logical}-{status}-{}", ids::uuid())
            },
            logical: logical.to_owned(),
            physical: physical.to_owned(),
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            time_ms: ids::now_ms(),
        });
    }

    /// What `Ref` and `Fn::GetAtt` can see.
    pub(super) fn known(&self) -> BTreeMap<String, Known> {
        let there = self.resources.iter().filter(|(_, record)| record.exists);
        there
            .map(|(name, record)| {
                let attributes = record.attributes.clone();
                (name.clone(), Known { reference: record.physical.clone(), attributes })
            })
            .collect()
    }
}
