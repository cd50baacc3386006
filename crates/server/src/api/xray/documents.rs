//! A trace as the documents that X-Ray gives back: one a segment, with its subsegments inside.
//!
//! Independent subsegments stand where they belong, and callees that sent nothing have a segment of
//! their own. Rule: X-Ray developer guide, "Getting data from X-Ray", `BatchGetTraces`.

use serde_json::{Map, Value, json};
use throughline_topology::xray::{Entity, TraceView, inferred_service};
use throughline_wire::xray::{EncodeAs, embed, encode, encode_as};

use super::body::seconds;

type Object = Map<String, Value>;

/// Subsegments deeper than this stand beside each other in the one above: parsers of JSON give up
/// on deep nesting, and so would we.
const DEPTH_MAX: usize = 50;

/// The segments of a trace, by start: id and document.
pub(super) fn documents(view: &TraceView<'_>) -> Vec<(String, String)> {
    let segments = view.segments.iter().filter_map(|at| {
        let id = view.entities.get(*at)?.id.to_string();
        Some((id, Value::Object(nested(view, *at, 0)).to_string()))
    });
    segments.collect()
}

/// The document of an entity with everything that lies in it.
fn nested(view: &TraceView<'_>, at: usize, depth: usize) -> Object {
    let Some(entity) = view.entities.get(at) else { return Object::new() };
    let mut document = own(view, entity);
    // The sender's own list, if one was kept as it came, does not stand beside ours.
    for child in subsegments(view, entity) {
        if depth + 1 < DEPTH_MAX {
            embed(&mut document, nested(view, child, depth + 1));
            continue;
        }
        let mut stack = vec![child];
        while let Some(at) = stack.pop() {
            let Some(entity) = view.entities.get(at) else { continue };
            embed(&mut document, own(view, entity));
            let below = stack.len();
            stack.extend(subsegments(view, entity));
            stack[below..].reverse();
        }
    }
    document
}

fn subsegments<'v>(
    view: &'v TraceView<'_>,
    entity: &'v Entity<'_>,
) -> impl Iterator<Item = usize> + 'v {
    let inside = |at: &usize| view.entities.get(*at).is_some_and(|child| !child.is_segment);
    entity.children.iter().copied().filter(inside)
}

/// The document of an entity alone.
fn own(view: &TraceView<'_>, entity: &Entity<'_>) -> Object {
    match entity.span {
        Some(span) if !entity.inferred => {
            let what = if entity.is_segment { EncodeAs::Segment } else { EncodeAs::Subsegment };
            encode_as(span, what)
        }
        _ => made(view, entity),
    }
}

/// The document of a segment that nobody sent: a callee's, or a function's.
fn made(view: &TraceView<'_>, entity: &Entity<'_>) -> Object {
    let caller = entity.parent.and_then(|at| view.entities.get(at)?.span);
    let mut document = Object::new();
    let mut set = |name: &str, value: Value| document.insert(name.to_owned(), value);
    set("id", entity.id.to_string().into());
    set("trace_id", view.trace_id.xray().into());
    set("name", entity.name.clone().into());
    if !entity.parent_id.is_zero() {
        set("parent_id", entity.parent_id.to_string().into());
    }
    if let Some(origin) = &entity.origin {
        set("origin", origin.clone().into());
    }
    if entity.inferred
        && let Some(caller) = caller
    {
        set("inferred", true.into());
        // What the caller saw is what the callee is known by.
        let mut called = encode(caller);
        for name in ["start_time", "end_time", "in_progress", "http", "aws", "cause", "sql"] {
            if let Some(value) = called.remove(name) {
                set(name, value);
            }
        }
        for name in ["error", "fault", "throttle"] {
            if let Some(value) = called.remove(name) {
                set(name, value);
            }
        }
        let resources = inferred_service(caller).map(|callee| callee.resource_names);
        if let Some(resources) = resources.filter(|names| !names.is_empty()) {
            let aws = document.entry("aws").or_insert_with(|| json!({}));
            if let Some(aws) = aws.as_object_mut() {
                aws.insert("resource_names".to_owned(), resources.into());
            }
        }
        return document;
    }
    set("start_time", seconds(entity.start_unix_nano));
    match entity.in_progress {
        true => set("in_progress", true.into()),
        false => set("end_time", seconds(entity.end_unix_nano)),
    };
    for (name, flag) in
        [("error", entity.error), ("fault", entity.fault), ("throttle", entity.throttle)]
    {
        if flag {
            set(name, true.into());
        }
    }
    if entity.synthetic {
        set("metadata", json!({ "throughline": { "aws.xray.synthetic": true } }));
    }
    document
}
