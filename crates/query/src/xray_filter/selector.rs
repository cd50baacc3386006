//! Which nodes or calls a time series is about.

use throughline_topology::xray::ServiceId;

use super::ast::NodeSelector;
use super::parser;
use crate::QueryError;

/// How long the text of a selector may be, in characters.
///
/// **Rule:** X-Ray API reference, `EntitySelectorExpression`.
const TEXT_CHARS_MAX: usize = 500;

/// What an `EntitySelectorExpression` chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(pub(super) Chosen);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// Such nodes; `None` takes every node.
    Nodes(Option<NodeSelector>),
    /// Calls between such nodes; `None` takes every call.
    Calls(Option<Box<(NodeSelector, NodeSelector)>>),
}

/// Reads `service(...)`, `edge(..., ...)` or `id(...)`. Empty text is `edge()`: with no selector,
/// X-Ray answers with the statistics of calls.
pub fn selector(text: &str) -> Result<Selector, QueryError> {
    if text.chars().count() > TEXT_CHARS_MAX {
        let message = format!("the selector is longer than {TEXT_CHARS_MAX} characters");
        return Err(QueryError::new(message, TEXT_CHARS_MAX));
    }
    if text.trim().is_empty() {
        return Ok(Selector(Chosen::Calls(None)));
    }
    parser::selector(text)
}

impl Selector {
    /// Whether it chooses calls, not nodes.
    pub fn is_edge(&self) -> bool {
        matches!(self.0, Chosen::Calls(_))
    }

    /// Whether a node is chosen; never by a selector of calls.
    pub fn matches_service(&self, id: &ServiceId) -> bool {
        match &self.0 {
            Chosen::Nodes(node) => node.as_ref().is_none_or(|node| node.matches(id)),
            Chosen::Calls(_) => false,
        }
    }

    /// Whether a call between two nodes is chosen; never by a selector of nodes.
    pub fn matches_edge(&self, from: &ServiceId, to: &ServiceId) -> bool {
        match &self.0 {
            Chosen::Nodes(_) => false,
            Chosen::Calls(both) => {
                both.as_ref().is_none_or(|both| both.0.matches(from) && both.1.matches(to))
            }
        }
    }
}
