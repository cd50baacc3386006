//! Prints a tree in the native language, so that parsing it gives the same tree again.

use std::fmt::{self, Display, Formatter, Write};

use crate::ast::{AttrScope, Expr, Field, Literal, Order, Query};
use crate::native::{is_bare_key, is_bare_word};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        if let Some(filter) = &self.filter {
            write!(f, "{filter}")?;
            gap = " ";
        }
        let order = match self.order {
            Order::Newest => None,
            Order::Oldest => Some("start asc"),
            Order::Longest => Some("duration desc"),
            Order::Shortest => Some("duration asc"),
        };
        if let Some(order) = order {
            write!(f, "{gap}order by {order}")?;
            gap = " ";
        }
        if let Some(limit) = self.limit {
            write!(f, "{gap}limit {limit}")?;
        }
        Ok(())
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(items) => joined(f, items, " and "),
            Self::Or(items) => joined(f, items, " or "),
            Self::Not(inner) => {
                f.write_str("not ")?;
                operand(f, inner)
            }
            Self::Compare { field, op, literal } => write!(f, "{field} {} {literal}", op.sign()),
            Self::In { field, literals } => {
                write!(f, "{field} in (")?;
                for (at, literal) in literals.iter().enumerate() {
                    write!(f, "{}{literal}", if at == 0 { "" } else { ", " })?;
                }
                f.write_char(')')
            }
            Self::Exists(field) => write!(f, "exists {field}"),
            Self::Regex { field, pattern, negated } => {
                write!(f, "{field} {} ", if *negated { "!~" } else { "~" })?;
                quoted(f, pattern.text())
            }
        }
    }
}

fn joined(f: &mut Formatter<'_>, items: &[Expr], word: &str) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(word)?;
        }
        operand(f, item)?;
    }
    Ok(())
}

fn operand(f: &mut Formatter<'_>, expr: &Expr) -> fmt::Result {
    match expr {
        Expr::And(_) | Expr::Or(_) => write!(f, "({expr})"),
        _ => write!(f, "{expr}"),
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self::Attribute(scope, key) = self else {
            return f.write_str(self.word().unwrap_or_default());
        };
        if *scope == AttrScope::Any {
            return if is_bare_key(key) { f.write_str(key) } else { quoted(f, key) };
        }
        write!(f, "{}.", scope.word())?;
        let named = Self::named(&format!("{}.{key}", scope.word())).is_some();
        if is_bare_word(key) && !named { f.write_str(key) } else { quoted(f, key) }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(text) => quoted(f, text),
            Self::Int(int) => write!(f, "{int}"),
            Self::Double(double) => write!(f, "{double:?}"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Duration(nanos) => {
                let (size, unit) = crate::native::UNITS
                    .into_iter()
                    .rev()
                    .find(|(_, size)| nanos % size == 0)
                    .map_or((1, "ns"), |(unit, size)| (size, unit));
                write!(f, "{}{unit}", nanos / size)
            }
            Self::Kind(kind) => f.write_str(kind.word()),
            Self::Status(status) => f.write_str(status.word()),
            Self::Trace(id) => write!(f, "{id}"),
            Self::Span(id) => write!(f, "{id}"),
        }
    }
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}
