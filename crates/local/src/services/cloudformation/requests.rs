//! The calls: what each is given, and what it sets going.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::parameters::{self, Given};
use super::stack::{ChangeSet, Plan, Stack};
use super::template::{self, Template};
use super::{CloudFormation, answers, changes, invalid};
use crate::http::{Failure, Protocol, Request, Response};
use crate::ids;
use crate::query::{Form, QueryService};
use crate::seams::Blobs;
use crate::services::s3::answers::bucket_and_key;
use crate::sync::lock;
use crate::xml::Xml;

const SERVICE: QueryService =
    QueryService { namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/" };
const CHANGE_SETS_PER_STACK_MAX: usize = 100;
/// What `DescribeChangeSet` says when there is nothing to do; tools compare it.
const NO_CHANGES: &str = "The submitted information didn't contain changes. Submit different information to create a change set.";

impl CloudFormation {
    /// Answers a call.
    pub(crate) fn answer(self: &Arc<Self>, request: &Request) -> Response {
        let form = match Form::of(request) {
            Ok(form) => form,
            Err(failure) => {
                return Protocol::Query(SERVICE.namespace).failure(&failure, &request.request_id);
            }
        };
        let action = form.get("Action").unwrap_or("");
        SERVICE.answer(action, self.call(action, &form), &request.request_id)
    }

    fn call(self: &Arc<Self>, action: &str, form: &Form) -> Result<Option<Xml>, Failure> {
        let name = || form.need("StackName");
        match action {
            "CreateStack" => self.create_stack(form).map(Some),
            "UpdateStack" => self.update_stack(form).map(Some),
            "DeleteStack" => self.delete_stack(name()?).map(|()| None),
            "CreateChangeSet" => self.create_change_set(form).map(Some),
            "DescribeChangeSet" => {
                let (stack, set) = self.change_set(form)?;
                Ok(Some(answers::change_set(&stack, &set)))
            }
            "ExecuteChangeSet" => self.execute_change_set(form).map(Some),
            "DeleteChangeSet" => self.delete_change_set(form).map(Some),
            "ListChangeSets" => Ok(Some(answers::change_sets(&self.need(name()?)?))),
            "DescribeStacks" => {
                let stacks = match form.get("StackName") {
                    Some(name) => vec![self.need(name)?],
                    None => self.all().into_iter().filter(|stack| !stack.is_deleted()).collect(),
                };
                Ok(Some(answers::stacks(&stacks, |text| self.address(text))))
            }
            "ListStacks" => {
                Ok(Some(answers::summaries(&self.all(), &form.list("StackStatusFilter"))))
            }
            "DescribeStackEvents" => Ok(Some(answers::events(&self.also_deleted(name()?)?, form)?)),
            "DescribeStackResource" => {
                let stack = self.need(name()?)?;
                answers::resource(&stack, form.need("LogicalResourceId")?).map(Some)
            }
            "DescribeStackResources" => Ok(Some(answers::resources(&self.need(name()?)?, form))),
            "ListStackResources" => Ok(Some(answers::resource_summaries(&self.need(name()?)?))),
            "GetTemplate" => {
                let stack = self.need(name()?)?;
                let stages = ["Original", "Processed"];
                Ok(Some(
                    Xml::new()
                        .text("TemplateBody", &stack.template)
                        .texts("StagesAvailable", stages),
                ))
            }
            "GetTemplateSummary" if form.get("StackName").is_some() => {
                let template = template::parse(&self.need(name()?)?.template).map_err(invalid)?;
                Ok(Some(answers::summary(&template)))
            }
            "GetTemplateSummary" => Ok(Some(answers::summary(&self.template(form)?.1))),
            "ValidateTemplate" => Ok(Some(answers::validation(&self.template(form)?.1))),
            "ListExports" => Ok(Some(answers::exports(&self.all(), |text| self.address(text)))),
            _ => Err(Failure::unknown_operation("cloudformation", action)),
        }
    }

    /// All stacks, newest first.
    fn all(&self) -> Vec<Stack> {
        let mut stacks: Vec<Stack> = lock(&self.stacks).values().cloned().collect();
        stacks.sort_by_key(|stack| std::cmp::Reverse(stack.created_ms));
        stacks
    }

    /// A stack by name, also when only a deleted one has it: a tool that removes a stack by its name
    /// waits for the event that it is gone.
    fn also_deleted(&self, name: &str) -> Result<Stack, Failure> {
        let deleted = || {
            let stacks = lock(&self.stacks);
            let of_name = stacks.values().filter(|stack| stack.name == name);
            of_name.max_by_key(|stack| stack.deleted_ms).cloned()
        };
        let missing = || invalid(format!("Stack [{name}] does not exist"));
        self.find(name).or_else(deleted).ok_or_else(missing)
    }

    /// The template that a request brings, as text or as the address of an object here.
    fn template(&self, form: &Form) -> Result<(String, Template), Failure> {
        let body = match (form.get("TemplateBody"), form.get("TemplateURL")) {
            (Some(body), None) => body.to_owned(),
            (None, Some(url)) => {
                let object =
                    bucket_and_key(url).and_then(|(b, k)| Blobs::get(&*self.services.s3, &b, &k));
                let object = object.ok_or_else(|| {
                    invalid("S3 error: The specified key does not exist.\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html")
                })?;
                String::from_utf8(object.to_vec())
                    .map_err(|_| invalid("Template format error: the template is not UTF-8"))?
            }
            _ => return Err(invalid("Either Template URL or Template Body must be specified.")),
        };
        let template = template::parse(&body).map_err(invalid)?;
        Ok((body, template))
    }

    /// What a request wants a stack to be.
    fn plan(&self, form: &Form, before: Option<&Stack>) -> Result<(Plan, Template), Failure> {
        let (body, template) = match before {
            Some(stack) if form.flag("UsePreviousTemplate") => {
                (stack.template.clone(), template::parse(&stack.template).map_err(invalid)?)
            }
            _ => self.template(form)?,
        };
        let capabilities = form.list("Capabilities");
        let (required, _) = template::capabilities(&template);
        let has = |wanted: &str| capabilities.iter().any(|given| given == wanted);
        let missing: Vec<&str> = required
            .into_iter()
            .filter(|wanted| {
                !has(wanted) && (*wanted != "CAPABILITY_IAM" || !has("CAPABILITY_NAMED_IAM"))
            })
            .collect();
        if !missing.is_empty() {
            let problem = format!("Requires capabilities : [{}]", missing.join(", "));
            return Err(Failure::new(400, "InsufficientCapabilitiesException", problem));
        }
        let given = form.structures("Parameters").into_iter().filter_map(|mut fields| {
            let previous = fields.get("UsePreviousValue").is_some_and(|flag| flag == "true");
            let value = if previous {
                Given::Previous
            } else {
                Given::Value(fields.remove("ParameterValue").unwrap_or_default())
            };
            Some((fields.remove("ParameterKey")?, value))
        });
        let none = BTreeMap::new();
        let before_values = before.map_or(&none, |stack| &stack.parameters);
        let parameters =
            parameters::values(&template, &given.collect(), before_values).map_err(invalid)?;
        let tags = form.structures("Tags").into_iter();
        let tags = tags.filter_map(|mut tag| Some((tag.remove("Key")?, tag.remove("Value")?)));
        let rollback_off =
            form.flag("DisableRollback") || form.get("OnFailure") == Some("DO_NOTHING");
        let plan = Plan {
            template: body,
            parameters,
            tags: tags.collect(),
            capabilities,
            disable_rollback: rollback_off,
        };
        Ok((plan, template))
    }

    fn create_stack(self: &Arc<Self>, form: &Form) -> Result<Xml, Failure> {
        let name = form.need("StackName")?;
        if self.find(name).is_some() {
            return Err(Failure::new(
                400,
                "AlreadyExistsException",
                format!("Stack [{name}] already exists"),
            ));
        }
        let (plan, _) = self.plan(form, None)?;
        let stack = self.begin(name, "CREATE_IN_PROGRESS", "User Initiated")?;
        self.start(&stack.id, plan, true);
        Ok(Xml::new().text("StackId", stack.id))
    }

    fn update_stack(self: &Arc<Self>, form: &Form) -> Result<Xml, Failure> {
        let name = form.need("StackName")?;
        let stack = self.find(name);
        let stack = stack.ok_or_else(|| invalid(format!("Stack [{name}] does not exist")))?;
        let (plan, template) = self.plan(form, Some(&stack))?;
        if changes::is_empty(&stack, &template, &plan) {
            return Err(invalid("No updates are to be performed."));
        }
        self.begin_update(&stack.id)?;
        self.start(&stack.id, plan, false);
        Ok(Xml::new().text("StackId", stack.id))
    }

    /// Enters `UPDATE_IN_PROGRESS`, unless the stack's status forbids it.
    fn begin_update(&self, id: &str) -> Result<(), Failure> {
        self.with(id, |stack| {
            if !stack.is_updatable() {
                let problem =
                    format!("Stack:{id} is in {} state and can not be updated.", stack.status);
                return Err(invalid(problem));
            }
            stack.updated_ms = Some(ids::now_ms());
            stack.enter("UPDATE_IN_PROGRESS", "User Initiated");
            Ok(())
        })
    }

    /// Lets an operation run. It ends with the program; what it did is written down by then.
    fn start(self: &Arc<Self>, id: &str, plan: Plan, creates: bool) {
        self.with(id, |stack| stack.disable_rollback = plan.disable_rollback);
        let (this, id) = (Arc::clone(self), id.to_owned());
        self.running.spawn(async move {
            if creates { this.run_create(id, plan).await } else { this.run_update(id, plan).await }
        });
    }

    fn delete_stack(self: &Arc<Self>, name: &str) -> Result<(), Failure> {
        // A stack that is not there is deleted already (DeleteStack).
        let Some(stack) = self.find(name).filter(|stack| !stack.is_deleted()) else {
            return Ok(());
        };
        let begun = self.with(&stack.id, |stack| {
            if stack.is_busy() {
                let problem = format!(
                    "Stack [{}] cannot be deleted while in status {}",
                    stack.name, stack.status
                );
                return Err(invalid(problem));
            }
            stack.enter("DELETE_IN_PROGRESS", "User Initiated");
            Ok(())
        });
        begun?;
        let this = Arc::clone(self);
        self.running.spawn(async move { this.run_delete(stack.id).await });
        Ok(())
    }

    fn create_change_set(self: &Arc<Self>, form: &Form) -> Result<Xml, Failure> {
        let (name, set_name) = (form.need("StackName")?, form.need("ChangeSetName")?);
        let kind = form.get("ChangeSetType").unwrap_or("UPDATE");
        let found = self.find(name).filter(|stack| !stack.is_deleted());
        let stack = match (kind, found) {
            ("CREATE", Some(stack)) if stack.status != "REVIEW_IN_PROGRESS" => {
                let problem = format!(
                    "Stack [{name}] already exists and cannot be created again with the changeSet [{set_name}]."
                );
                return Err(invalid(problem));
            }
            ("CREATE", Some(stack)) => stack,
            ("CREATE", None) => {
                // The template is looked at first, so that a wrong one leaves no stack.
                self.plan(form, None)?;
                self.begin(name, "REVIEW_IN_PROGRESS", "User Initiated")?
            }
            ("UPDATE", Some(stack)) if stack.is_updatable() => stack,
            ("UPDATE", Some(stack)) => {
                let problem = format!(
                    "Stack:{} is in {} state and can not be updated.",
                    stack.id, stack.status
                );
                return Err(invalid(problem));
            }
            ("UPDATE", None) => return Err(invalid(format!("Stack [{name}] does not exist"))),
            (other, _) => {
                return Err(invalid(format!(
                    "ChangeSetType {other} is not supported by the local cloud"
                )));
            }
        };
        let (plan, template) = self.plan(form, Some(&stack))?;
        let empty = kind == "UPDATE" && changes::is_empty(&stack, &template, &plan);
        let set = ChangeSet {
            name: set_name.to_owned(),
            id: self
                .services
                .place
                .arn("cloudformation", &format!("changeSet/{set_name}/{}", ids::uuid())),
            description: form.get("Description").unwrap_or("").to_owned(),
            kind: kind.to_owned(),
            status: if empty { "FAILED" } else { "CREATE_COMPLETE" }.to_owned(),
            reason: if empty { NO_CHANGES } else { "" }.to_owned(),
            execution: if empty { "UNAVAILABLE" } else { "AVAILABLE" }.to_owned(),
            created_ms: ids::now_ms(),
            changes: changes::changes(&stack, &template, &plan),
            plan,
        };
        let answer = Xml::new().text("Id", &set.id).text("StackId", &stack.id);
        self.with(&stack.id, |stack| {
            if stack.change_sets.contains_key(set_name) {
                let problem = format!("ChangeSet {set_name} cannot be created due to a mismatch with existing attribute Template");
                return Err(Failure::new(409, "AlreadyExistsException", problem));
            }
            if stack.change_sets.len() >= CHANGE_SETS_PER_STACK_MAX {
                return Err(Failure::new(400, "LimitExceededException", "too many change sets"));
            }
            stack.change_sets.insert(set_name.to_owned(), set);
            Ok(())
        })?;
        Ok(answer)
    }

    /// The change set that a request names, by name and stack or by ARN.
    fn change_set(&self, form: &Form) -> Result<(Stack, ChangeSet), Failure> {
        let wanted = form.need("ChangeSetName")?;
        let missing = || {
            Failure::new(404, "ChangeSetNotFound", format!("ChangeSet [{wanted}] does not exist"))
        };
        let stacks = match form.get("StackName") {
            Some(name) => vec![self.need(name)?],
            None => self.all(),
        };
        for stack in stacks {
            let set = stack.change_sets.values().find(|set| set.name == wanted || set.id == wanted);
            if let Some(set) = set.cloned() {
                return Ok((stack, set));
            }
        }
        Err(missing())
    }

    fn execute_change_set(self: &Arc<Self>, form: &Form) -> Result<Xml, Failure> {
        let (stack, set) = self.change_set(form)?;
        if set.execution != "AVAILABLE" {
            let problem = format!(
                "ChangeSet [{}] cannot be executed in its current status of [{}]",
                set.id, set.status
            );
            return Err(Failure::new(400, "InvalidChangeSetStatus", problem));
        }
        let creates = stack.status == "REVIEW_IN_PROGRESS";
        if creates {
            self.with(&stack.id, |stack| stack.enter("CREATE_IN_PROGRESS", "User Initiated"));
        } else {
            self.begin_update(&stack.id)?;
        }
        // Once one is executed, all others of the stack are gone; the executed one stays to be looked at.
        self.with(&stack.id, |stack| {
            stack.change_sets.retain(|name, _| *name == set.name);
            if let Some(set) = stack.change_sets.get_mut(&set.name) {
                set.execution = "EXECUTE_COMPLETE".to_owned();
            }
        });
        let rollback_off = form.flag("DisableRollback") || set.plan.disable_rollback;
        self.start(&stack.id, Plan { disable_rollback: rollback_off, ..set.plan }, creates);
        Ok(Xml::new())
    }

    fn delete_change_set(&self, form: &Form) -> Result<Xml, Failure> {
        let wanted = form.need("ChangeSetName")?;
        let found = self.change_set(form);
        if let Ok((stack, set)) = found {
            self.with(&stack.id, |stack| stack.change_sets.remove(&set.name));
        } else if let Some(name) = form.get("StackName") {
            // Tools delete theirs before they make it; only the stack has to be there.
            self.need(name)?;
        }
        tracing::debug!(change_set = wanted, "change set deleted");
        Ok(Xml::new())
    }

    /// An address of an API's stage at AWS, as it is called here. Other texts stay as they are.
    fn address(&self, text: &str) -> String {
        let place = &self.services.place;
        let host = format!(".execute-api.{}.amazonaws.com", place.region);
        let Some((id, path)) =
            text.strip_prefix("https://").and_then(|rest| rest.split_once(&host))
        else {
            return text.to_owned();
        };
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return text.to_owned();
        }
        format!("{}/_api/{id}{path}", place.endpoint())
    }
}
