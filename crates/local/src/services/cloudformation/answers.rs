//! Stacks, change sets, events and resources as XML.

use super::invalid;
use super::stack::{ChangeSet, Output, Record, Stack};
use super::template::{self, Template};
use crate::http::Failure;
use crate::ids;
use crate::query::Form;
use crate::xml::Xml;

/// Events in one answer.
const EVENTS_PER_PAGE: usize = 1_000;

pub(super) fn stacks(stacks: &[Stack], address: impl Fn(&str) -> String) -> Xml {
    let items = stacks.iter().map(|stack| {
        let outputs = stack.outputs.iter().map(|output| output_xml(output, &address));
        let hidden = hidden_parameters(stack);
        let parameters = stack.parameters.iter().map(|(name, value)| {
            let shown =
                if hidden.contains(name) { "****".to_owned() } else { parameter_text(value) };
            Xml::new().text("ParameterKey", name).text("ParameterValue", shown)
        });
        Xml::new()
            .text("StackId", &stack.id)
            .text("StackName", &stack.name)
            .maybe("Description", Some(&stack.description).filter(|text| !text.is_empty()))
            .text("CreationTime", ids::iso(stack.created_ms))
            .maybe("LastUpdatedTime", stack.updated_ms.map(ids::iso))
            .maybe("DeletionTime", stack.deleted_ms.map(ids::iso))
            .text("StackStatus", &stack.status)
            .maybe("StackStatusReason", reason(&stack.reason))
            .text("DisableRollback", stack.disable_rollback.to_string())
            .text("EnableTerminationProtection", "false")
            .element("RollbackConfiguration", Xml::new())
            .element("DriftInformation", Xml::new().text("StackDriftStatus", "NOT_CHECKED"))
            .texts("Capabilities", &stack.capabilities)
            .members("Parameters", parameters)
            .members("Outputs", outputs)
            .members("Tags", tags(stack.tags.iter()))
    });
    Xml::new().members("Stacks", items)
}

fn output_xml(output: &Output, address: &impl Fn(&str) -> String) -> Xml {
    Xml::new()
        .text("OutputKey", &output.key)
        .text("OutputValue", address(&output.value))
        .maybe("Description", Some(&output.description).filter(|text| !text.is_empty()))
        .maybe("ExportName", output.export.as_ref())
}

fn parameter_text(value: &serde_json::Value) -> String {
    match value.as_array() {
        Some(items) => {
            let items: Vec<&str> = items.iter().filter_map(serde_json::Value::as_str).collect();
            items.join(",")
        }
        None => value.as_str().unwrap_or("").to_owned(),
    }
}

/// Parameters with `NoEcho`.
fn hidden_parameters(stack: &Stack) -> Vec<String> {
    let template = template::parse(&stack.template).unwrap_or_default();
    let is_hidden = |declared: &serde_json::Value| match declared.get("NoEcho") {
        Some(serde_json::Value::Bool(flag)) => *flag,
        Some(serde_json::Value::String(flag)) => flag == "true",
        _ => false,
    };
    template
        .parameters
        .into_iter()
        .filter(|(_, declared)| is_hidden(declared))
        .map(|(name, _)| name)
        .collect()
}

fn tags<'a>(tags: impl Iterator<Item = (&'a String, &'a String)>) -> impl Iterator<Item = Xml> {
    tags.map(|(key, value)| Xml::new().text("Key", key).text("Value", value))
}

fn reason(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) fn summaries(stacks: &[Stack], wanted: &[String]) -> Xml {
    let stacks = stacks.iter().filter(|stack| wanted.is_empty() || wanted.contains(&stack.status));
    let items = stacks.map(|stack| {
        Xml::new()
            .text("StackId", &stack.id)
            .text("StackName", &stack.name)
            .maybe("TemplateDescription", reason(&stack.description))
            .text("CreationTime", ids::iso(stack.created_ms))
            .maybe("LastUpdatedTime", stack.updated_ms.map(ids::iso))
            .maybe("DeletionTime", stack.deleted_ms.map(ids::iso))
            .text("StackStatus", &stack.status)
            .element("DriftInformation", Xml::new().text("StackDriftStatus", "NOT_CHECKED"))
    });
    Xml::new().members("StackSummaries", items)
}

/// Newest first, in pages.
pub(super) fn events(stack: &Stack, form: &Form) -> Result<Xml, Failure> {
    let skipped = match form.get("NextToken") {
        None => 0,
        Some(token) => token.parse().map_err(|_| invalid("NextToken is not valid"))?,
    };
    let page = stack.events.iter().rev().skip(skipped).take(EVENTS_PER_PAGE);
    let items = page.map(|event| {
        Xml::new()
            .text("StackId", &stack.id)
            .text("EventId", &event.id)
            .text("StackName", &stack.name)
            .text("LogicalResourceId", &event.logical)
            .text("PhysicalResourceId", &event.physical)
            .text("ResourceType", &event.kind)
            .text("Timestamp", ids::iso(event.time_ms))
            .text("ResourceStatus", &event.status)
            .maybe("ResourceStatusReason", reason(&event.reason))
    });
    let xml = Xml::new().members("StackEvents", items);
    let seen = skipped + EVENTS_PER_PAGE;
    Ok(if stack.events.len() > seen { xml.text("NextToken", seen.to_string()) } else { xml })
}

fn drift() -> Xml {
    Xml::new().text("StackResourceDriftStatus", "NOT_CHECKED")
}

fn resource_xml(stack: &Stack, logical: &str, record: &Record, time: &str) -> Xml {
    Xml::new()
        .text("StackName", &stack.name)
        .text("StackId", &stack.id)
        .text("LogicalResourceId", logical)
        .text("PhysicalResourceId", &record.physical)
        .text("ResourceType", &record.kind)
        .text(time, ids::iso(record.updated_ms))
        .text("ResourceStatus", &record.status)
        .maybe("ResourceStatusReason", reason(&record.reason))
        .element("DriftInformation", drift())
}

pub(super) fn resource(stack: &Stack, logical: &str) -> Result<Xml, Failure> {
    let record = stack.resources.get(logical).ok_or_else(|| {
        invalid(format!("Resource {logical} does not exist for stack {}", stack.name))
    })?;
    let detail = resource_xml(stack, logical, record, "LastUpdatedTimestamp");
    Ok(Xml::new().element("StackResourceDetail", detail.text("Metadata", "{}")))
}

pub(super) fn resources(stack: &Stack, form: &Form) -> Xml {
    let wanted = form.get("LogicalResourceId");
    let records =
        stack.resources.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name));
    let items = records.map(|(name, record)| resource_xml(stack, name, record, "Timestamp"));
    Xml::new().members("StackResources", items)
}

pub(super) fn resource_summaries(stack: &Stack) -> Xml {
    let items = stack.resources.iter().map(|(logical, record)| {
        Xml::new()
            .text("LogicalResourceId", logical)
            .text("PhysicalResourceId", &record.physical)
            .text("ResourceType", &record.kind)
            .text("LastUpdatedTimestamp", ids::iso(record.updated_ms))
            .text("ResourceStatus", &record.status)
            .maybe("ResourceStatusReason", reason(&record.reason))
            .element("DriftInformation", drift())
    });
    Xml::new().members("StackResourceSummaries", items)
}

pub(super) fn change_set(stack: &Stack, set: &ChangeSet) -> Xml {
    let changes = set.changes.iter().map(|(action, logical, kind)| {
        let physical = stack.resources.get(logical).map(|record| &record.physical);
        let change = Xml::new()
            .text("Action", action)
            .text("LogicalResourceId", logical)
            .maybe("PhysicalResourceId", physical)
            .text("ResourceType", kind)
            .and_if(action == "Modify", |change| {
                // Which properties differ is known only when references are worked out.
                let target = Xml::new()
                    .text("Attribute", "Properties")
                    .text("RequiresRecreation", "Conditionally");
                let detail = Xml::new()
                    .element("Target", target)
                    .text("Evaluation", "Dynamic")
                    .text("ChangeSource", "DirectModification");
                change
                    .text("Replacement", "Conditional")
                    .texts("Scope", ["Properties"])
                    .members("Details", [detail])
            });
        Xml::new().text("Type", "Resource").element("ResourceChange", change)
    });
    let parameters = set.plan.parameters.iter().map(|(name, value)| {
        Xml::new().text("ParameterKey", name).text("ParameterValue", parameter_text(value))
    });
    Xml::new()
        .text("ChangeSetName", &set.name)
        .text("ChangeSetId", &set.id)
        .text("StackId", &stack.id)
        .text("StackName", &stack.name)
        .maybe("Description", reason(&set.description))
        .text("CreationTime", ids::iso(set.created_ms))
        .text("ChangeSetType", &set.kind)
        .text("Status", &set.status)
        .maybe("StatusReason", reason(&set.reason))
        .text("ExecutionStatus", &set.execution)
        .texts("Capabilities", &set.plan.capabilities)
        .members("Parameters", parameters)
        .members("Tags", tags(set.plan.tags.iter()))
        .members("Changes", changes)
}

pub(super) fn change_sets(stack: &Stack) -> Xml {
    let items = stack.change_sets.values().map(|set| {
        Xml::new()
            .text("StackId", &stack.id)
            .text("StackName", &stack.name)
            .text("ChangeSetId", &set.id)
            .text("ChangeSetName", &set.name)
            .text("Status", &set.status)
            .maybe("StatusReason", reason(&set.reason))
            .text("ExecutionStatus", &set.execution)
            .text("CreationTime", ids::iso(set.created_ms))
    });
    Xml::new().members("Summaries", items)
}

fn declared_parameters(template: &Template) -> impl Iterator<Item = Xml> {
    template.parameters.iter().map(|(name, declared)| {
        let text = |member: &str| declared.get(member).and_then(super::intrinsics::as_text);
        Xml::new()
            .text("ParameterKey", name)
            .maybe("DefaultValue", text("Default"))
            .maybe("ParameterType", text("Type"))
            .text("NoEcho", text("NoEcho").unwrap_or_else(|| "false".to_owned()))
            .maybe("Description", text("Description"))
    })
}

/// Capabilities and why they are asked for.
fn capabilities(xml: Xml, template: &Template) -> Xml {
    let (required, kinds) = template::capabilities(template);
    if required.is_empty() {
        return xml.texts("Capabilities", required);
    }
    let why = format!("The following resource(s) require capabilities: [{}]", kinds.join(", "));
    xml.texts("Capabilities", required).text("CapabilitiesReason", why)
}

pub(super) fn validation(template: &Template) -> Xml {
    let xml = Xml::new()
        .maybe("Description", reason(&template.description))
        .members("Parameters", declared_parameters(template));
    capabilities(xml, template)
}

pub(super) fn summary(template: &Template) -> Xml {
    let kinds: std::collections::BTreeSet<&String> =
        template.resources.values().map(|r| &r.kind).collect();
    let xml = Xml::new()
        .maybe("Description", reason(&template.description))
        .members("Parameters", declared_parameters(template))
        .texts("ResourceTypes", kinds)
        .text("Version", "2010-09-09");
    capabilities(xml, template)
}

pub(super) fn exports(stacks: &[Stack], address: impl Fn(&str) -> String) -> Xml {
    let stacks = stacks.iter().filter(|stack| !stack.is_deleted());
    let outputs = stacks.flat_map(|stack| stack.outputs.iter().map(move |output| (stack, output)));
    let items = outputs.filter_map(|(stack, output)| {
        let name = output.export.as_ref()?;
        let value = address(&output.value);
        Some(Xml::new().text("ExportingStackId", &stack.id).text("Name", name).text("Value", value))
    });
    Xml::new().members("Exports", items)
}
