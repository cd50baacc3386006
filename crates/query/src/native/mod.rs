//! Our own query language.
//!
//! ```text
//! service = "checkout" and duration > 500ms and status = error and http.route ~ "/v1/.*"
//!
//! query     = [ or ] [ "order" "by" ("start" | "duration") [ "asc" | "desc" ] ] [ "limit" NUMBER ]
//! or        = and { ("or" | "||") and }
//! and       = unary { ("and" | "&&") unary }
//! unary     = ("not" | "!") unary | "(" or ")" | condition
//! condition = "exists" field | field "exists" | field "in" "(" value { "," value } ")"
//!           | field ("=" | "==" | "!=" | ">" | ">=" | "<" | "<=") value | field ("~" | "!~") pattern
//! field     = service | name | kind | status | status.message | duration | trace | span | parent
//!           | root | entry | environment | scope.name | event.name | KEY | "quoted key"
//!           | span.KEY | resource.KEY | event.KEY | link.KEY
//! value     = "text" | 'text' | word | 12 | -3 | 1.5 | true | false | 500ms
//! ```
//!
//! Keywords and the fields of ours may be written in any case, attribute keys may not. A key that
//! is also a word of ours is quoted: `"status"`, `span."status"`. Patterns match the whole value.
//!
//! What a condition means for a span that lacks the field: `key != v` and `key !~ p` want a value
//! and another one, so it is false; `not key = v` is true. An unscoped key looks at the span and at
//! its resource, `event.KEY` at every event, `link.KEY` at every link; one value that fits suffices.
//! A bare number or truth value compares with values of its type; text also with the text of others,
//! so `http.status_code = "200"` finds the integer 200, but `= 200` never finds the text "200".

mod lexer;
mod parser;
mod suggest;
mod values;

pub(crate) use lexer::is_bare_word;
pub(crate) use suggest::did_you_mean;
pub(crate) use values::UNITS;

use crate::QueryError;
use crate::ast::{Field, Query};

/// Reads a query. Empty text is the query that takes everything.
///
/// Fails on text that is too long (10 000 characters), too deep ([`crate::FILTER_DEPTH_MAX`]) or no
/// query, and says where and what was expected instead.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    parser::parse(text)
}

/// Reads one field the way a query would, for completion. A text that is no key is a key as it is.
pub(crate) fn field(text: &str) -> Field {
    Field::named(text).unwrap_or_else(|| parser::attribute(text))
}

/// Whether an unscoped attribute key reads back as itself without quotes.
pub(crate) fn is_bare_key(key: &str) -> bool {
    use crate::ast::{AttrScope, Field::Attribute};
    is_bare_word(key)
        && !parser::is_keyword(key)
        && parser::slip_of(key).is_none()
        && field(key) == Attribute(AttrScope::Any, key.to_owned())
}

#[cfg(test)]
mod tests;
