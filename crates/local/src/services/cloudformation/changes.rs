//! What a change set would do.

use std::collections::BTreeSet;

use super::stack::{Plan, Stack};
use super::template::{self, Template};

/// Action, logical id and type of each resource that would be added, changed or removed. Resources that
/// only depend on a changed one are not told: their values are known when it is done.
pub(super) fn changes(stack: &Stack, new: &Template, plan: &Plan) -> Vec<(String, String, String)> {
    let old = template::parse(&stack.template).unwrap_or_default();
    let all_differ = plan.parameters != stack.parameters || plan.tags != stack.tags;
    let names: BTreeSet<&String> = new.resources.keys().chain(old.resources.keys()).collect();
    let mut changes = Vec::new();
    for name in names {
        let there = stack.resources.get(name).is_some_and(|record| record.exists);
        let (action, kind) = match (old.resources.get(name), new.resources.get(name)) {
            (_, Some(new)) if !there => ("Add", &new.kind),
            (Some(old), Some(new)) if old == new && !all_differ => continue,
            (_, Some(new)) => ("Modify", &new.kind),
            (Some(old), None) if there => ("Remove", &old.kind),
            (_, None) => continue,
        };
        changes.push((action.to_owned(), name.clone(), kind.clone()));
    }
    changes
}

/// Whether nothing at all would change, outputs included.
pub(super) fn is_empty(stack: &Stack, new: &Template, plan: &Plan) -> bool {
    let old = template::parse(&stack.template).unwrap_or_default();
    changes(stack, new, plan).is_empty()
        && plan.parameters == stack.parameters
        && plan.tags == stack.tags
        && (old.outputs, old.conditions, old.mappings)
            == (new.outputs.clone(), new.conditions.clone(), new.mappings.clone())
}
