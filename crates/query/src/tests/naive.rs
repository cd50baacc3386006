//! The slow and obvious evaluator that the real one is compared with. Shares no code with it.

use throughline_model::{AttrValue, SpanBatch, SpanRef, StatusCode};

use crate::{AttrScope, CompareOp, Expr, Field, Literal, Order, Query, SearchOptions};

#[derive(Clone, Debug)]
enum V {
    Text(String),
    Number(f64, String),
    Flag(bool),
    Nanos(i64),
}

fn value(value: AttrValue<'_>) -> V {
    match value {
        AttrValue::Int(int) => V::Number(int as f64, int.to_string()),
        AttrValue::Double(double) => V::Number(double, double.to_string()),
        AttrValue::Bool(flag) => V::Flag(flag),
        other => V::Text(other.text().into_owned()),
    }
}

fn values(field: &Field, s: SpanRef<'_>) -> Vec<V> {
    let text = |text: &str| {
        if text.is_empty() { vec![] } else { vec![V::Text(text.to_owned())] }
    };
    match field {
        Field::Service => text(s.service()),
        Field::Name => text(s.name()),
        Field::Kind => text(s.kind().word()),
        Field::Status => text(s.status().word()),
        Field::StatusMessage => text(s.status_message()),
        Field::Duration => s.duration_nano().map(V::Nanos).into_iter().collect(),
        Field::Trace => text(&s.trace_id().to_string()),
        Field::Span => text(&s.span_id().to_string()),
        Field::Parent if s.parent_id().is_zero() => vec![],
        Field::Parent => text(&s.parent_id().to_string()),
        Field::Root => vec![V::Flag(s.parent_id().is_zero())],
        Field::Entry => {
            let remote = s.flags() & 256 != 0 && s.flags() & 512 != 0;
            let called = ["server", "consumer"].contains(&s.kind().word());
            vec![V::Flag(remote || called || s.parent_id().is_zero())]
        }
        Field::Environment => s.resource().environment().map(text).unwrap_or_default(),
        Field::ScopeName => text(s.scope().name()),
        Field::EventName => s.events().flat_map(|e| text(e.name())).collect(),
        Field::Attribute(scope, key) => {
            let mut found: Vec<V> = Vec::new();
            if matches!(scope, AttrScope::Any | AttrScope::Span) {
                found.extend(s.attribute(key).map(value));
            }
            if matches!(scope, AttrScope::Any | AttrScope::Resource) {
                found.extend(s.resource().attributes().value(key).map(value));
            }
            if *scope == AttrScope::Event {
                found.extend(s.events().filter_map(|e| e.attributes().value(key)).map(value));
            }
            if *scope == AttrScope::Link {
                found.extend(s.links().filter_map(|l| l.attributes().value(key)).map(value));
            }
            found
        }
    }
}

fn text_of(value: &V) -> String {
    match value {
        V::Text(text) | V::Number(_, text) => text.clone(),
        V::Flag(flag) => flag.to_string(),
        V::Nanos(nanos) => nanos.to_string(),
    }
}

fn same(value: &V, literal: &Literal) -> bool {
    match (literal, value) {
        (Literal::Str(wanted), value) => text_of(value) == *wanted,
        (Literal::Int(wanted), V::Number(number, _)) => *number == *wanted as f64,
        (Literal::Double(wanted), V::Number(number, _)) => number == wanted,
        (Literal::Bool(wanted), V::Flag(flag)) => flag == wanted,
        (Literal::Duration(wanted), V::Nanos(nanos)) => nanos == wanted,
        (Literal::Kind(wanted), V::Text(text)) => text == wanted.word(),
        (Literal::Status(wanted), V::Text(text)) => text == wanted.word(),
        (Literal::Trace(wanted), V::Text(text)) => *text == wanted.to_string(),
        (Literal::Span(wanted), V::Text(text)) => *text == wanted.to_string(),
        _ => false,
    }
}

fn number(literal: &Literal) -> Option<f64> {
    match literal {
        Literal::Int(int) | Literal::Duration(int) => Some(*int as f64),
        Literal::Double(double) => Some(*double),
        _ => None,
    }
}

fn compares(value: &V, op: CompareOp, literal: &Literal) -> bool {
    let left = match value {
        V::Number(number, _) => *number,
        V::Nanos(nanos) => *nanos as f64,
        _ => f64::NAN,
    };
    match (op, number(literal)) {
        (CompareOp::Eq, _) => same(value, literal),
        (CompareOp::Ne, _) => !same(value, literal),
        (_, None) => false,
        (CompareOp::Gt, Some(right)) => left > right,
        (CompareOp::Ge, Some(right)) => left >= right,
        (CompareOp::Lt, Some(right)) => left < right,
        (CompareOp::Le, Some(right)) => left <= right,
    }
}

pub(super) fn holds(expr: &Expr, s: SpanRef<'_>) -> bool {
    let any = |field: &Field, test: &dyn Fn(&V) -> bool| values(field, s).iter().any(test);
    match expr {
        Expr::And(items) => items.iter().all(|item| holds(item, s)),
        Expr::Or(items) => items.iter().any(|item| holds(item, s)),
        Expr::Not(inner) => !holds(inner, s),
        Expr::Exists(field) => !values(field, s).is_empty(),
        Expr::Compare { field, op, literal } => any(field, &|v| compares(v, *op, literal)),
        Expr::In { field, literals } => any(field, &|v| literals.iter().any(|l| same(v, l))),
        Expr::Regex { field, pattern, negated } => {
            any(field, &|v| pattern.matches(&text_of(v)) != *negated)
        }
    }
}

/// One found trace: id, start, duration, spans, errors, matched spans, services, root.
pub(super) type Line = (u8, i64, i64, usize, usize, usize, Vec<String>, (String, String, bool));

/// What a search over whole, merged spans must find, in order, without a limit.
pub(super) fn lines(spans: &SpanBatch, query: &Query, options: &SearchOptions) -> Vec<Line> {
    let mut ids: Vec<_> = spans.spans().map(|s| s.trace_id()).collect();
    ids.sort();
    ids.dedup();
    let mut found = Vec::new();
    for id in ids {
        let mut trace: Vec<_> = spans.spans().filter(|s| s.trace_id() == id).collect();
        trace.sort_by_key(|s| (s.start_unix_nano(), s.span_id()));
        let matched: Vec<_> = trace
            .iter()
            .filter(|s| s.start_unix_nano() >= options.from && s.start_unix_nano() <= options.to)
            .filter(|s| {
                options.environment.is_none()
                    || s.resource().environment() == options.environment.as_deref()
            })
            .filter(|s| query.filter.as_ref().is_none_or(|filter| holds(filter, **s)))
            .collect();
        if matched.is_empty() {
            continue;
        }
        let start = trace[0].start_unix_nano();
        let end = trace.iter().map(|s| s.end_unix_nano()).max().unwrap();
        let longest = matched.iter().filter_map(|s| s.duration_nano()).max();
        let first = matched.iter().map(|s| s.start_unix_nano()).min().unwrap();
        let key = match query.order {
            Order::Newest => (false, -start),
            Order::Oldest => (false, first),
            Order::Longest => (longest.is_none(), -longest.unwrap_or(0)),
            Order::Shortest => (longest.is_none(), longest.unwrap_or(0)),
        };
        let mut services: Vec<String> = Vec::new();
        for s in &trace {
            if !services.iter().any(|known| known == s.service()) {
                services.push(s.service().to_owned());
            }
        }
        let roots: Vec<_> = trace.iter().filter(|s| s.parent_id().is_zero()).collect();
        let root = roots.first().copied().unwrap_or(&trace[0]);
        let errors = trace.iter().filter(|s| s.status() == StatusCode::Error).count();
        let line = (
            id.0[0],
            start,
            (end - start).max(0),
            trace.len(),
            errors,
            matched.len(),
            services,
            (root.service().to_owned(), root.name().to_owned(), roots.is_empty()),
        );
        found.push((key, id, line));
    }
    found.sort_by_key(|(key, id, _)| (*key, *id));
    found.into_iter().map(|(_, _, line)| line).collect()
}
