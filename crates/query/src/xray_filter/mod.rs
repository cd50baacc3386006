//! X-Ray's filter expressions: which traces `GetTraceSummaries` and groups choose.
//!
//! ```text
//! service("api") { fault AND responsetime > 2 } AND annotation.customer = "c-17" !partial
//!
//! expr     = and { "OR" and }
//! and      = unary { [ "AND" ] unary }               what merely follows is joined as by AND
//! unary    = "!" unary | "(" expr ")" | term
//! term     = flag [ ("=" | "!=") ("true" | "false") ]
//!          | number [ ("=" | "!=" | "<" | "<=" | ">" | ">=") NUMBER ]
//!          | text [ ("=" | "!=" | "CONTAINS" | "BEGINSWITH" | "ENDSWITH") STRING ]
//!          | ("annotation." KEY | "annotation[" (KEY | STRING) "]") [ any of them  value ]
//!          | "service(" [ node ] ")" [ block ] | "edge(" [ node "," node ] ")" [ block ]
//!          | "rootcause." cause "." ("service" | "entity" | "exception") [ block ]
//!          | "rootcause." [ cause "." ] "json" ("=" | "!=") "#" JSON array
//!          | "group." ("name" | "arn") ("=" | "!=") STRING
//! block    = "{" [ expr ] "}"                         the last "}" of the text may lack
//! node     = STRING | "id(" ("name:" | "type:" | "account.id:") STRING { "," ... } ")"
//! cause    = "fault" | "error" | "responsetime"
//! flag     = ok error throttle fault partial inferred first last remote root
//! number   = responsetime duration http.status index coverage
//! text     = http.url http.method http.useragent http.clientip user name type message
//!            availabilityzone instance.id resource.arn account.id
//! ```
//!
//! Keywords may be written in any case, names and values may not. Strings may go without quotes
//! while they hold no space and no sign. A keyword without an operator asks whether there is a
//! value. What each means where: `eval.rs`.
//!
//! **Source:** X-Ray developer guide, "Using filter expressions"; precedence, parentheses and the
//! brackets of `annotation[...]` are ours, the guide says nothing of them.

mod ast;
mod candidates;
mod causes;
mod eval;
mod lexer;
mod parser;
mod search;
mod selector;

use std::fmt;

use throughline_model::xray::ACCOUNT_HERE;
use throughline_topology::xray::TraceView;

use self::ast::{Expr, GroupBy};
use crate::{Query, QueryError};

pub use search::{XrayAnswer, XrayCursor, XraySearchOptions, XrayTime, xray_search};
pub use selector::{Selector, selector};

/// How long a filter expression may be, in characters.
const TEXT_CHARS_MAX: usize = 10_000;

/// How large a filter may become when the groups it names are put in their place, in terms.
const TERMS_MAX: usize = 10_000;

/// How deep groups may be defined by groups.
const GROUP_DEPTH_MAX: usize = 8;

/// Which traces are wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct XrayFilter {
    expr: Expr,
    /// The account of nodes that name none, where it is not the usual one.
    own_account: Option<String>,
}

/// Reads a filter expression. Empty text takes everything.
///
/// Fails on text that is too long (10 000 characters), too deep or no filter expression, and says
/// where and what was expected instead.
pub fn parse(text: &str) -> Result<XrayFilter, QueryError> {
    Ok(parser::expression(text)?.into())
}

impl XrayFilter {
    /// The filter that takes everything.
    pub fn all() -> Self {
        Expr::ALL.into()
    }

    /// Traces that both filters take.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.expr == Expr::ALL, other.expr == Expr::ALL) {
            (true, _) => other,
            (_, true) => self,
            _ => Self { expr: Expr::And(vec![self.expr, other.expr]), ..self },
        }
    }

    /// Whether it names groups, so that it must go through [`XrayFilter::resolve`] first.
    pub fn names_groups(&self) -> bool {
        any(&self.expr, &|expr| matches!(expr, Expr::Group(..)))
    }

    /// The same filter with the groups it names put in their place.
    ///
    /// `groups` is asked with the name or the ARN as it was written. The group `Default` takes every
    /// trace. Fails when a group is not known or the groups lead in a circle.
    pub fn resolve(&self, groups: &dyn Fn(&str) -> Option<Self>) -> Result<Self, QueryError> {
        let mut left = TERMS_MAX;
        let expr = resolved(&self.expr, groups, 0, &mut left)?;
        Ok(Self { expr, own_account: self.own_account.clone() })
    }

    /// The same filter for a server that was given an account of its own.
    #[must_use]
    pub fn of_account(mut self, account: &str) -> Self {
        self.own_account = Some(account.to_owned()).filter(|account| account != ACCOUNT_HERE);
        self
    }

    /// Whether a trace is wanted. Groups must have been resolved: one that is left takes nothing.
    pub fn matches(&self, view: &TraceView<'_>) -> bool {
        let asked = self.own_account.as_ref().filter(|_| any(&self.expr, &Expr::asks_for_account));
        let Some(own) = asked else {
            return eval::holds(&self.expr, view, &|kind| view.root_causes(kind));
        };
        let mut view = view.clone();
        for entity in &mut view.entities {
            entity.service.account.get_or_insert_with(|| own.clone());
        }
        eval::holds(&self.expr, &view, &|kind| view.root_causes(kind))
    }

    /// A query that finds a span in every trace that [`XrayFilter::matches`], and in as few others
    /// as it can.
    pub fn candidates(&self) -> Query {
        Query { filter: candidates::of(&self.expr), ..Query::default() }
    }
}

impl From<Expr> for XrayFilter {
    fn from(expr: Expr) -> Self {
        Self { expr, own_account: None }
    }
}

impl fmt::Display for XrayFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

fn any(expr: &Expr, is: &dyn Fn(&Expr) -> bool) -> bool {
    is(expr)
        || match expr {
            Expr::And(items) | Expr::Or(items) => items.iter().any(|item| any(item, is)),
            Expr::Not(inner)
            | Expr::Service(_, inner)
            | Expr::Edge(_, inner)
            | Expr::Cause(_, _, inner) => any(inner, is),
            _ => false,
        }
}

/// `expr` with the groups in their place; `left` counts down the terms of the whole filter.
fn resolved(
    expr: &Expr,
    groups: &dyn Fn(&str) -> Option<XrayFilter>,
    depth: usize,
    left: &mut usize,
) -> Result<Expr, QueryError> {
    let refused = |message: String| QueryError::new(message, 0);
    *left = left
        .checked_sub(1)
        .ok_or_else(|| refused("the groups make the filter too long".to_owned()))?;
    let mut inside = |inner: &Expr| resolved(inner, groups, depth, left);
    Ok(match expr {
        Expr::And(items) => Expr::And(items.iter().map(inside).collect::<Result<_, _>>()?),
        Expr::Or(items) => Expr::Or(items.iter().map(inside).collect::<Result<_, _>>()?),
        Expr::Not(inner) => Expr::Not(Box::new(inside(inner)?)),
        Expr::Service(node, inner) => Expr::Service(node.clone(), Box::new(inside(inner)?)),
        Expr::Edge(nodes, inner) => Expr::Edge(nodes.clone(), Box::new(inside(inner)?)),
        Expr::Cause(kind, part, inner) => Expr::Cause(*kind, *part, Box::new(inside(inner)?)),
        Expr::Group(by, value, wanted) => {
            if depth == GROUP_DEPTH_MAX {
                return Err(refused(format!("the groups lead in a circle at `{value}`")));
            }
            let group = match groups(value) {
                Some(group) => resolved(&group.expr, groups, depth + 1, left)?,
                None if *by == GroupBy::Name && value == "Default" => Expr::ALL,
                None => return Err(refused(format!("there is no group `{value}`"))),
            };
            if *wanted { group } else { Expr::Not(Box::new(group)) }
        }
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests;
