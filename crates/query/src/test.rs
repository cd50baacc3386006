//! One condition on one value: the only place that says what equals what.

use std::borrow::Cow;
use std::cmp::Ordering;

use throughline_model::{AttrValue, SpanKind, StatusCode};

use crate::ast::{CompareOp, Expr, Field, Literal};
use crate::pattern::Pattern;

/// What a condition asks of a value of its field.
#[derive(Clone, Copy)]
pub(crate) enum Test<'a> {
    Exists,
    Compare(CompareOp, &'a Literal),
    In(&'a [Literal]),
    Regex(&'a Pattern, bool),
}

/// A value of a field, borrowed from a column or a span.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Int(i64),
    Double(f64),
    Bool(bool),
    Duration(i64),
    Kind(SpanKind),
    Status(StatusCode),
    Id(&'a [u8]),
}

/// The field and the test of a condition; `None` for what joins conditions.
pub(crate) fn condition(expr: &Expr) -> Option<(&Field, Test<'_>)> {
    match expr {
        Expr::Compare { field, op, literal } => Some((field, Test::Compare(*op, literal))),
        Expr::In { field, literals } => Some((field, Test::In(literals))),
        Expr::Exists(field) => Some((field, Test::Exists)),
        Expr::Regex { field, pattern, negated } => Some((field, Test::Regex(pattern, *negated))),
        Expr::And(_) | Expr::Or(_) | Expr::Not(_) => None,
    }
}

impl Test<'_> {
    /// Whether a value passes. What a missing value means is the caller's business: never a pass.
    pub(crate) fn holds(self, value: Value<'_>) -> bool {
        match self {
            Self::Exists => true,
            Self::Compare(CompareOp::Eq, literal) => equals(literal, value),
            Self::Compare(CompareOp::Ne, literal) => !equals(literal, value),
            Self::Compare(op, literal) => order(value, literal).is_some_and(|o| op.holds(o)),
            Self::In(literals) => literals.iter().any(|literal| equals(literal, value)),
            Self::Regex(pattern, negated) => pattern.matches(&value.text()) != negated,
        }
    }

    /// As [`Test::holds`], for an attribute. Bytes, lists and maps are their text.
    pub(crate) fn holds_for(self, value: AttrValue<'_>) -> bool {
        match value {
            AttrValue::Str(text) => self.holds(Value::Text(text)),
            AttrValue::Int(int) => self.holds(Value::Int(int)),
            AttrValue::Double(double) => self.holds(Value::Double(double)),
            AttrValue::Bool(flag) => self.holds(Value::Bool(flag)),
            other => self.holds(Value::Text(&other.text())),
        }
    }
}

impl<'a> Value<'a> {
    fn text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Int(int) | Self::Duration(int) => AttrValue::Int(int).text(),
            Self::Double(double) => AttrValue::Double(double).text(),
            Self::Bool(flag) => AttrValue::Bool(flag).text(),
            Self::Kind(kind) => Cow::Borrowed(kind.word()),
            Self::Status(status) => Cow::Borrowed(status.word()),
            Self::Id(bytes) => AttrValue::Bytes(bytes).text().into_owned().into(),
        }
    }
}

fn equals(literal: &Literal, value: Value<'_>) -> bool {
    match (literal, value) {
        (Literal::Str(wanted), value) => *wanted == value.text(),
        (Literal::Bool(wanted), Value::Bool(flag)) => *wanted == flag,
        (Literal::Kind(wanted), Value::Kind(kind)) => *wanted == kind,
        (Literal::Status(wanted), Value::Status(status)) => *wanted == status,
        (Literal::Trace(wanted), Value::Id(bytes)) => wanted.0 == bytes,
        (Literal::Span(wanted), Value::Id(bytes)) => wanted.0 == bytes,
        _ => order(value, literal) == Some(Ordering::Equal),
    }
}

/// How a number stands to a literal; `None` when one of them is none, or not a number.
fn order(value: Value<'_>, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Duration(nanos), Literal::Duration(wanted)) => Some(nanos.cmp(wanted)),
        (Value::Int(int), Literal::Int(wanted)) => Some(int.cmp(wanted)),
        (Value::Int(int), Literal::Double(wanted)) => int_to_double(int, *wanted),
        (Value::Double(double), Literal::Int(wanted)) => {
            int_to_double(*wanted, double).map(Ordering::reverse)
        }
        (Value::Double(double), Literal::Double(wanted)) => double.partial_cmp(wanted),
        _ => None,
    }
}

/// Compares exactly, also where a double cannot hold the integer.
fn int_to_double(int: i64, double: f64) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0; // 2^63
    if double.is_nan() {
        return None;
    }
    if double >= LIMIT {
        return Some(Ordering::Less);
    }
    if double < -LIMIT {
        return Some(Ordering::Greater);
    }
    let whole = double.trunc();
    // In range by the lines above, and without a fraction, so the conversion is exact.
    let by_whole = int.cmp(&(whole as i64));
    Some(by_whole.then(0.0.partial_cmp(&(double - whole))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_doubles_compare_exactly() {
        let check = |int: i64, double: f64, expected: Option<Ordering>| {
            assert_eq!(int_to_double(int, double), expected, "{int} {double}");
        };
        check(1, 1.0, Some(Ordering::Equal));
        check(1, 1.5, Some(Ordering::Less));
        check(-1, -1.5, Some(Ordering::Greater));
        check(0, -0.0, Some(Ordering::Equal));
        check(i64::MAX, 9_223_372_036_854_775_807.0, Some(Ordering::Less));
        check((1 << 53) + 1, 9_007_199_254_740_992.0, Some(Ordering::Greater));
        check(i64::MIN, -9_223_372_036_854_775_808.0, Some(Ordering::Equal));
        check(i64::MIN, f64::NEG_INFINITY, Some(Ordering::Greater));
        check(0, f64::NAN, None);
    }
}
