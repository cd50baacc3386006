//! A filter on one span, row by row: the last word on what matches.

use std::ops::ControlFlow;

use throughline_model::{AttrType, Attributes, SpanRef};

use crate::ast::{AttrScope, Expr, Field, is_entry};
use crate::test::{Test, Value, condition};

/// Whether a (merged) span is as the filter says.
pub(crate) fn matches(expr: &Expr, span: SpanRef<'_>) -> bool {
    match expr {
        Expr::And(items) => items.iter().all(|item| matches(item, span)),
        Expr::Or(items) => items.iter().any(|item| matches(item, span)),
        Expr::Not(inner) => !matches(inner, span),
        _ => condition(expr).is_some_and(|(field, test)| passes(field, test, span)),
    }
}

/// Whether any value that the span has under `field` passes.
pub(crate) fn passes(field: &Field, test: Test<'_>, span: SpanRef<'_>) -> bool {
    // No text is the same as no value, for fields of ours; an attribute may well be empty.
    let text = |text: &str| !text.is_empty() && test.holds(Value::Text(text));
    match field {
        Field::Service => text(span.service()),
        Field::Name => text(span.name()),
        Field::Kind => test.holds(Value::Kind(span.kind())),
        Field::Status => test.holds(Value::Status(span.status())),
        Field::StatusMessage => text(span.status_message()),
        Field::Duration => {
            span.duration_nano().is_some_and(|nanos| test.holds(Value::Duration(nanos)))
        }
        Field::Trace => test.holds(Value::Id(&span.trace_id().0)),
        Field::Span => test.holds(Value::Id(&span.span_id().0)),
        Field::Parent => {
            let parent = span.parent_id();
            !parent.is_zero() && test.holds(Value::Id(&parent.0))
        }
        Field::Root => test.holds(Value::Bool(span.parent_id().is_zero())),
        Field::Entry => {
            let has_parent = !span.parent_id().is_zero();
            test.holds(Value::Bool(is_entry(span.kind(), has_parent, span.flags())))
        }
        Field::Environment => span.resource().environment().is_some_and(text),
        Field::ScopeName => text(span.scope().name()),
        Field::EventName => span.events().any(|event| text(event.name())),
        Field::Attribute(scope, key) => {
            let on_span = || any_of(span.attributes(), key, test);
            let on_resource = || any_of(span.resource().attributes(), key, test);
            match scope {
                AttrScope::Any => on_span() || on_resource(),
                AttrScope::Span => on_span(),
                AttrScope::Resource => on_resource(),
                AttrScope::Event => span.events().any(|e| any_of(e.attributes(), key, test)),
                AttrScope::Link => span.links().any(|l| any_of(l.attributes(), key, test)),
            }
        }
    }
}

/// Tries the values of a key; when it was sent twice with one type, only the first of that type,
/// which is the one that a column holds.
fn any_of(attributes: Attributes<'_>, key: &str, test: Test<'_>) -> bool {
    let mut seen = [false; AttrType::ALL.len() + 1];
    let found = attributes.filter(|(k, _)| *k == key).try_for_each(|(_, value)| {
        let again = std::mem::replace(&mut seen[value.kind() as usize], true);
        if !again && test.holds_for(value) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    found.is_break()
}
