//! Makes a stack what a plan says: creates, updates, rolls back, deletes.
//!
//! Rule: "Stack status codes" and "Stack failure options", AWS CloudFormation user guide. One resource at a
//!       time, in the order of dependencies; each step is written down before the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::CloudFormation;
use super::intrinsics::{Context, as_text};
use super::resources::{self, Made, Updated, Wish};
use super::stack::{Output, Plan, Record, Stack};
use super::template::{self, Definition, Template};
use crate::ids;

/// What went wrong, and with which resource.
struct Failed {
    logical: String,
    reason: String,
}

/// What was done, so that it can be undone; newest last.
enum Done {
    Created(String),
    /// With what it was before.
    Changed(String, Record),
    /// With what it was before, which still exists.
    Replaced(String, Record),
}

/// Values that stay the same during one operation.
struct Ground {
    template: Template,
    parameters: BTreeMap<String, Value>,
    pseudo: BTreeMap<String, Value>,
    exports: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    name: String,
    id: String,
}

impl CloudFormation {
    /// Creates a stack's resources. The stack is `CREATE_IN_PROGRESS` already.
    pub(super) async fn run_create(self: Arc<Self>, id: String, plan: Plan) {
        let ground = match self.ground(&id, &plan) {
            Ok(ground) => ground,
            Err(reason) => {
                return self.with(&id, |stack| stack.enter("ROLLBACK_COMPLETE", &reason));
            }
        };
        let mut done = Vec::new();
        match self.apply(&ground, &mut done).await {
            Ok(()) => self.finish(&ground, plan, "CREATE_COMPLETE"),
            Err(failed) if plan.disable_rollback => {
                let reason = failed_to("create", &failed);
                self.with(&id, |stack| stack.enter("CREATE_FAILED", &reason));
            }
            Err(failed) => {
                let reason = failed_to("create", &failed) + " Rollback requested by user.";
                self.with(&id, |stack| stack.enter("ROLLBACK_IN_PROGRESS", &reason));
                let undone = self.remove_all(&id, true).await;
                let (status, reason) = match undone {
                    Ok(()) => ("ROLLBACK_COMPLETE", String::new()),
                    Err(failed) => ("ROLLBACK_FAILED", failed_to("delete", &failed)),
                };
                self.with(&id, |stack| stack.enter(status, &reason));
            }
        }
    }

    /// Updates a stack. The stack is `UPDATE_IN_PROGRESS` already.
    pub(super) async fn run_update(self: Arc<Self>, id: String, plan: Plan) {
        let ground = match self.ground(&id, &plan) {
            Ok(ground) => ground,
            Err(reason) => {
                return self.with(&id, |stack| stack.enter("UPDATE_ROLLBACK_COMPLETE", &reason));
            }
        };
        let mut done = Vec::new();
        match self.apply(&ground, &mut done).await {
            Ok(()) => {
                self.with(&id, |stack| stack.enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", ""));
                self.clean_up(&ground, &done).await;
                self.finish(&ground, plan, "UPDATE_COMPLETE");
            }
            Err(failed) if plan.disable_rollback => {
                let reason = failed_to("update", &failed);
                self.with(&id, |stack| stack.enter("UPDATE_FAILED", &reason));
            }
            Err(failed) => {
                let reason = failed_to("update", &failed);
                self.with(&id, |stack| stack.enter("UPDATE_ROLLBACK_IN_PROGRESS", &reason));
                let undone = self.undo(&ground, done).await;
                self.with(&id, |stack| match undone {
                    Ok(()) => {
                        stack.enter("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "");
                        stack.enter("UPDATE_ROLLBACK_COMPLETE", "");
                    }
                    Err(failed) => {
                        stack.enter("UPDATE_ROLLBACK_FAILED", &failed_to("update", &failed));
                    }
                });
            }
        }
    }

    /// Deletes a stack. The stack is `DELETE_IN_PROGRESS` already.
    pub(super) async fn run_delete(self: Arc<Self>, id: String) {
        let removed = self.remove_all(&id, false).await;
        self.with(&id, |stack| match removed {
            Ok(()) => {
                stack.deleted_ms = Some(ids::now_ms());
                stack.outputs.clear();
                stack.change_sets.clear();
                stack.enter("DELETE_COMPLETE", "");
            }
            Err(failed) => stack.enter("DELETE_FAILED", &failed_to("delete", &failed)),
        });
    }

    fn ground(&self, id: &str, plan: &Plan) -> Result<Ground, String> {
        let template = template::parse(&plan.template)?;
        let (name, id) = self.with(id, |stack| (stack.name.clone(), stack.id.clone()));
        let place = &self.services.place;
        let pseudo = [
            ("AWS::Region", place.region.as_str()),
            ("AWS::AccountId", place.account.as_str()),
            ("AWS::Partition", "aws"),
            ("AWS::URLSuffix", "amazonaws.com"),
            ("AWS::StackName", name.as_str()),
            ("AWS::StackId", id.as_str()),
        ];
        let mut pseudo: BTreeMap<String, Value> =
            pseudo.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        pseudo.insert("AWS::NotificationARNs".to_owned(), Value::Array(Vec::new()));
        Ok(Ground {
            parameters: plan.parameters.clone(),
            pseudo,
            exports: self.exports(),
            tags: plan.tags.clone(),
            template,
            name,
            id,
        })
    }

    /// Brings every declared resource to what it should be.
    async fn apply(&self, ground: &Ground, done: &mut Vec<Done>) -> Result<(), Failed> {
        let order = template::order(&ground.template.resources)
            .map_err(|reason| Failed { logical: ground.name.clone(), reason })?;
        let wanted = self.wanted(ground)?;
        self.check_all(ground, &wanted)?;
        for (place, logical) in order.iter().enumerate().filter(|(_, name)| wanted.contains(*name))
        {
            let Some(definition) = ground.template.resources.get(logical) else { continue };
            self.apply_one(ground, logical, definition, place, done).await?;
        }
        Ok(())
    }

    /// The resources whose conditions hold.
    fn wanted(&self, ground: &Ground) -> Result<BTreeSet<String>, Failed> {
        let known = BTreeMap::new();
        let context = ground.context(&known);
        let mut wanted = BTreeSet::new();
        for (logical, definition) in &ground.template.resources {
            let holds = match &definition.condition {
                None => Ok(true),
                Some(condition) => context.holds(condition),
            };
            if holds.map_err(|reason| Failed { logical: logical.clone(), reason })? {
                wanted.insert(logical.clone());
            }
        }
        Ok(wanted)
    }

    /// Refuses what cannot be had before anything is made.
    fn check_all(&self, ground: &Ground, wanted: &BTreeSet<String>) -> Result<(), Failed> {
        let mut first = None;
        for logical in wanted {
            let Some(definition) = ground.template.resources.get(logical) else { continue };
            let Err(reason) = resources::check(&definition.kind, &definition.properties) else {
                continue;
            };
            self.with(&ground.id, |stack| {
                let there = stack.resources.get(logical).is_some_and(|record| record.exists);
                let status = if there { "UPDATE_FAILED" } else { "CREATE_FAILED" };
                stack.write(logical, "", &definition.kind, status, &reason);
            });
            first.get_or_insert(Failed { logical: logical.clone(), reason });
        }
        first.map_or(Ok(()), Err)
    }

    async fn apply_one(
        &self,
        ground: &Ground,
        logical: &str,
        definition: &Definition,
        order: usize,
        done: &mut Vec<Done>,
    ) -> Result<(), Failed> {
        let fail = |reason: String| Failed { logical: logical.to_owned(), reason };
        let (known, before) = self.with(&ground.id, |stack| {
            let before = stack.resources.get(logical).filter(|record| record.exists).cloned();
            (stack.known(), before)
        });
        let properties = ground.context(&known).resolve(&definition.properties);
        let properties = match properties {
            Ok(properties) => properties,
            Err(reason) => {
                self.with(&ground.id, |stack| {
                    stack.write(logical, "", &definition.kind, "CREATE_FAILED", &reason);
                });
                return Err(fail(reason));
            }
        };
        let wish = ground.wish(logical, &definition.kind, &properties);
        let Some(before) = before else {
            self.create_one(ground, &wish, definition, order).await.map_err(fail)?;
            done.push(Done::Created(logical.to_owned()));
            return Ok(());
        };
        if before.kind != definition.kind {
            let reason = "Update of resource type is not permitted.".to_owned();
            self.with(&ground.id, |stack| stack.note(logical, "UPDATE_FAILED", &reason));
            return Err(fail(reason));
        }
        if before.properties == properties {
            self.with(&ground.id, |stack| {
                if let Some(record) = stack.resources.get_mut(logical) {
                    record.retained = definition.retained;
                    record.order = order;
                }
            });
            return Ok(());
        }
        self.with(&ground.id, |stack| stack.note(logical, "UPDATE_IN_PROGRESS", ""));
        match resources::update(&self.services, &wish, &before).await {
            Ok(Updated::InPlace(made)) => {
                self.put(
                    &ground.id,
                    logical,
                    "UPDATE_COMPLETE",
                    "",
                    record(definition, &wish, made, order),
                );
                done.push(Done::Changed(logical.to_owned(), before));
                Ok(())
            }
            Ok(Updated::Replace) => {
                let reason = "Requested update requires the creation of a new physical resource; hence creating one.";
                self.with(&ground.id, |stack| stack.note(logical, "UPDATE_IN_PROGRESS", reason));
                let made = resources::create(&self.services, &wish).await;
                let made = made.inspect_err(|reason| {
                    self.with(&ground.id, |stack| stack.note(logical, "UPDATE_FAILED", reason));
                });
                let made = made.map_err(fail)?;
                self.put(
                    &ground.id,
                    logical,
                    "UPDATE_COMPLETE",
                    "",
                    record(definition, &wish, made, order),
                );
                done.push(Done::Replaced(logical.to_owned(), before));
                Ok(())
            }
            Err(reason) => {
                self.with(&ground.id, |stack| stack.note(logical, "UPDATE_FAILED", &reason));
                Err(fail(reason))
            }
        }
    }

    async fn create_one(
        &self,
        ground: &Ground,
        wish: &Wish<'_>,
        definition: &Definition,
        order: usize,
    ) -> Result<(), String> {
        let mut begun = record(definition, wish, Made::default(), order);
        begun.exists = false;
        self.put(&ground.id, wish.logical, "CREATE_IN_PROGRESS", "", begun);
        match resources::create(&self.services, wish).await {
            Ok(made) => {
                let made = record(definition, wish, made, order);
                let initiated = "Resource creation Initiated";
                self.put(&ground.id, wish.logical, "CREATE_IN_PROGRESS", initiated, made);
                self.with(&ground.id, |stack| stack.note(wish.logical, "CREATE_COMPLETE", ""));
                Ok(())
            }
            Err(reason) => {
                self.with(&ground.id, |stack| stack.note(wish.logical, "CREATE_FAILED", &reason));
                Err(reason)
            }
        }
    }

    /// Deletes what an update left over: what is no longer declared, and what was replaced.
    async fn clean_up(&self, ground: &Ground, done: &[Done]) {
        let wanted = self.wanted(ground).unwrap_or_default();
        for step in done.iter().rev() {
            let Done::Replaced(logical, before) = step else { continue };
            let retained =
                ground.template.resources.get(logical).is_some_and(|d| d.retained_when_replaced);
            if !retained {
                self.delete_old(&ground.id, logical, before).await;
            }
        }
        let mut left: Vec<(usize, String)> = self.with(&ground.id, |stack| {
            let left = stack
                .resources
                .iter()
                .filter(|(name, record)| record.exists && !wanted.contains(*name));
            left.map(|(name, record)| (record.order, name.clone())).collect()
        });
        left.sort();
        for (_, logical) in left.into_iter().rev() {
            // A resource that cannot be deleted now is left where it is, as CloudFormation does.
            let _ = self.delete_one(&ground.id, &logical, false).await;
        }
    }

    async fn delete_old(&self, id: &str, logical: &str, old: &Record) {
        let (physical, kind) = (&old.physical, &old.kind);
        self.with(id, |stack| stack.write(logical, physical, kind, "DELETE_IN_PROGRESS", ""));
        let deleted = resources::delete(&self.services, old).await;
        self.with(id, |stack| match deleted {
            Ok(()) => stack.write(logical, physical, kind, "DELETE_COMPLETE", ""),
            Err(reason) => stack.write(logical, physical, kind, "DELETE_FAILED", &reason),
        });
    }

    /// Takes back what an update did, newest first.
    async fn undo(&self, ground: &Ground, done: Vec<Done>) -> Result<(), Failed> {
        for step in done.into_iter().rev() {
            match step {
                Done::Created(logical) => self.delete_one(&ground.id, &logical, true).await?,
                Done::Changed(logical, before) => {
                    let present =
                        self.with(&ground.id, |stack| stack.resources.get(&logical).cloned());
                    let present = present.unwrap_or_default();
                    self.with(&ground.id, |stack| stack.note(&logical, "UPDATE_IN_PROGRESS", ""));
                    let wish = ground.wish(&logical, &before.kind, &before.properties);
                    let undone = resources::update(&self.services, &wish, &present).await;
                    if let Err(reason) = undone {
                        self.with(&ground.id, |stack| {
                            stack.note(&logical, "UPDATE_FAILED", &reason);
                        });
                        return Err(Failed { logical, reason });
                    }
                    self.put(&ground.id, &logical, "UPDATE_COMPLETE", "", before);
                }
                Done::Replaced(logical, before) => {
                    let new = self.with(&ground.id, |stack| stack.resources.get(&logical).cloned());
                    if let Some(new) = new {
                        self.delete_old(&ground.id, &logical, &new).await;
                    }
                    self.put(&ground.id, &logical, "UPDATE_COMPLETE", "", before);
                }
            }
        }
        Ok(())
    }

    /// Deletes every resource, last made first. What is retained stays, unless it was only just created.
    async fn remove_all(&self, id: &str, rolling_back: bool) -> Result<(), Failed> {
        let mut there: Vec<(usize, String)> = self.with(id, |stack| {
            let there = stack.resources.iter().filter(|(_, record)| record.exists);
            there.map(|(name, record)| (record.order, name.clone())).collect()
        });
        there.sort();
        let mut failed = None;
        for (_, logical) in there.into_iter().rev() {
            if let Err(one) = self.delete_one(id, &logical, rolling_back).await {
                failed.get_or_insert(one);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn delete_one(&self, id: &str, logical: &str, rolling_back: bool) -> Result<(), Failed> {
        let record = self.with(id, |stack| stack.resources.get(logical).cloned());
        let Some(record) = record.filter(|record| record.exists) else { return Ok(()) };
        if record.retained && !rolling_back {
            self.with(id, |stack| {
                stack.note(logical, "DELETE_SKIPPED", "");
                stack.resources.remove(logical);
            });
            return Ok(());
        }
        self.with(id, |stack| stack.note(logical, "DELETE_IN_PROGRESS", ""));
        let deleted = resources::delete(&self.services, &record).await;
        self.with(id, |stack| match &deleted {
            Ok(()) => {
                if let Some(record) = stack.resources.get_mut(logical) {
                    record.exists = false;
                }
                stack.note(logical, "DELETE_COMPLETE", "");
            }
            Err(reason) => stack.note(logical, "DELETE_FAILED", reason),
        });
        deleted.map_err(|reason| Failed { logical: logical.to_owned(), reason })
    }

    /// Writes the plan down as what is deployed, works the outputs out, and says that it is done.
    fn finish(&self, ground: &Ground, plan: Plan, status: &str) {
        self.with(&ground.id, |stack| {
            stack.outputs = outputs(ground, stack);
            stack.description.clone_from(&ground.template.description);
            stack.template = plan.template;
            stack.parameters = plan.parameters;
            stack.tags = plan.tags;
            stack.capabilities = plan.capabilities;
            stack.resources.retain(|_, record| record.exists);
            stack.enter(status, "");
        });
    }

    fn put(&self, id: &str, logical: &str, status: &str, reason: &str, record: Record) {
        self.with(id, |stack| {
            stack.resources.insert(logical.to_owned(), record);
            stack.note(logical, status, reason);
        });
    }
}

impl Ground {
    fn context<'a>(&'a self, known: &'a BTreeMap<String, super::intrinsics::Known>) -> Context<'a> {
        Context {
            template: &self.template,
            parameters: &self.parameters,
            pseudo: &self.pseudo,
            resources: known,
            exports: &self.exports,
        }
    }

    fn wish<'a>(&'a self, logical: &'a str, kind: &'a str, properties: &'a Value) -> Wish<'a> {
        Wish { stack: &self.name, stack_id: &self.id, logical, kind, properties, tags: &self.tags }
    }
}

fn record(definition: &Definition, wish: &Wish<'_>, made: Made, order: usize) -> Record {
    Record {
        kind: definition.kind.clone(),
        physical: made.physical,
        properties: wish.properties.clone(),
        attributes: made.attributes,
        order,
        retained: definition.retained,
        exists: true,
        ..Record::default()
    }
}

/// Outputs whose condition holds and whose value can be worked out.
fn outputs(ground: &Ground, stack: &Stack) -> Vec<Output> {
    let known = stack.known();
    let context = ground.context(&known);
    let mut outputs = Vec::new();
    for (key, output) in &ground.template.outputs {
        if let Some(condition) = output.get("Condition").and_then(Value::as_str)
            && !context.holds(condition).unwrap_or(false)
        {
            continue;
        }
        let text =
            |value: Option<&Value>| value.and_then(|value| as_text(&context.resolve(value).ok()?));
        let Some(value) = text(output.get("Value")) else { continue };
        outputs.push(Output {
            key: key.clone(),
            value,
            description: text(output.get("Description")).unwrap_or_default(),
            export: text(output.pointer("/Export/Name")),
        });
    }
    outputs
}

fn failed_to(verb: &str, failed: &Failed) -> String {
    tracing::info!(resource = failed.logical, reason = failed.reason, "failed to {verb}");
    format!("The following resource(s) failed to {verb}: [{}].", failed.logical)
}
