//! The one tree that every query language parses into.
//!
//! A language checks what it reads, so a tree holds only what can be run: a literal fits its field,
//! a pattern compiles. [`std::fmt::Display`] prints a tree in the native language.

use throughline_model::{SpanId, SpanKind, StatusCode, TraceId};

use crate::pattern::Pattern;

/// How deep a filter may nest, in parentheses and `not`s.
pub const FILTER_DEPTH_MAX: usize = 64;

/// The most traces one search may answer with.
pub const LIMIT_MAX: usize = 1000;

/// What to look for, in which order to show it and how much of it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Query {
    /// What a span must be like. `None` takes every span.
    pub filter: Option<Expr>,
    /// Which traces come first.
    pub order: Order,
    /// How many traces at most; `None` leaves it to the caller.
    pub limit: Option<usize>,
}

/// Which traces come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Order {
    /// By the start of the trace, newest first.
    #[default]
    Newest,
    /// By the start of the trace's first matching span, oldest first.
    Oldest,
    /// By the duration of the trace's longest matching span, longest first.
    Longest,
    /// By the duration of the trace's longest matching span, shortest first.
    Shortest,
}

/// A condition on one span.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// All of them hold. Two or more.
    And(Vec<Self>),
    /// One of them holds. Two or more.
    Or(Vec<Self>),
    /// It does not hold; so also for spans that lack the field.
    Not(Box<Self>),
    /// A value of the field compares so with the literal. False when there is no value.
    Compare {
        /// What is compared.
        field: Field,
        /// How.
        op: CompareOp,
        /// With what.
        literal: Literal,
    },
    /// A value of the field is one of these.
    In {
        /// What is compared.
        field: Field,
        /// With what; one or more.
        literals: Vec<Literal>,
    },
    /// The field has a value.
    Exists(Field),
    /// A value of the field, as text, matches the whole pattern.
    Regex {
        /// What is matched.
        field: Field,
        /// The pattern.
        pattern: Pattern,
        /// Whether a value that does *not* match is wanted. False when there is no value.
        negated: bool,
    },
}

/// What a condition is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// `service.name` of the resource, or `unknown_service`.
    Service,
    /// The span's name.
    Name,
    /// The span's kind.
    Kind,
    /// The span's status.
    Status,
    /// The text sent with the status.
    StatusMessage,
    /// The span's duration.
    Duration,
    /// The id of the trace.
    Trace,
    /// The id of the span.
    Span,
    /// The id of the parent; a root has none.
    Parent,
    /// Whether the span has no parent.
    Root,
    /// Whether the span is where a service was entered, as `docs/query.md` says it.
    Entry,
    /// The deployment environment of the resource.
    Environment,
    /// The name of the instrumentation scope.
    ScopeName,
    /// The name of any of the span's events.
    EventName,
    /// An attribute.
    Attribute(AttrScope, String),
}

/// Where an attribute is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttrScope {
    /// On the span and on its resource; one of them suffices.
    Any,
    /// On the span.
    Span,
    /// On the resource.
    Resource,
    /// On any event of the span.
    Event,
    /// On any link of the span.
    Link,
}

/// How a value compares with a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// The same.
    Eq,
    /// There, but another.
    Ne,
    /// Greater.
    Gt,
    /// Greater or the same.
    Ge,
    /// Less.
    Lt,
    /// Less or the same.
    Le,
}

/// A value in a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Text. An attribute of another type compares by its text.
    Str(String),
    /// An integer; compares with integers and doubles.
    Int(i64),
    /// A double, never NaN or infinite; compares with integers and doubles.
    Double(f64),
    /// A truth value.
    Bool(bool),
    /// A duration in nanoseconds.
    Duration(i64),
    /// A span kind.
    Kind(SpanKind),
    /// A status.
    Status(StatusCode),
    /// A trace id.
    Trace(TraceId),
    /// A span id.
    Span(SpanId),
}

/// Whether a service was entered with a span: it answers a call or takes a message, has no parent,
/// or its sender says that the parent is in another process.
///
/// **Rule:** OTLP, `SpanFlags`: bit 8 says that bit 9 is known, and bit 9 that the parent is remote.
pub(crate) fn is_entry(kind: SpanKind, has_parent: bool, flags: u32) -> bool {
    const REMOTE: u32 = 0x300;
    matches!(kind, SpanKind::Server | SpanKind::Consumer) || !has_parent || flags & REMOTE == REMOTE
}

impl Field {
    /// The fields that have a word of their own.
    pub const NAMED: [(&'static str, Self); 14] = [
        ("service", Self::Service),
        ("name", Self::Name),
        ("kind", Self::Kind),
        ("status", Self::Status),
        ("status.message", Self::StatusMessage),
        ("duration", Self::Duration),
        ("trace", Self::Trace),
        ("span", Self::Span),
        ("parent", Self::Parent),
        ("root", Self::Root),
        ("entry", Self::Entry),
        ("environment", Self::Environment),
        ("scope.name", Self::ScopeName),
        ("event.name", Self::EventName),
    ];

    /// The field of a word, in any case; `None` for attribute keys.
    pub fn named(word: &str) -> Option<Self> {
        let found = Self::NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        found.map(|(_, field)| field.clone())
    }

    /// The words that a field may be equal to, where these are few and the same everywhere.
    pub fn words(&self) -> Vec<&'static str> {
        match self {
            Self::Kind => SpanKind::ALL.map(SpanKind::word).to_vec(),
            Self::Status => [StatusCode::Ok, StatusCode::Error, StatusCode::Unset]
                .map(StatusCode::word)
                .to_vec(),
            Self::Root | Self::Entry => vec!["true", "false"],
            _ => Vec::new(),
        }
    }

    /// The word of a field; `None` for attributes.
    pub fn word(&self) -> Option<&'static str> {
        Self::NAMED.iter().find(|(_, field)| field == self).map(|(name, _)| *name)
    }
}

impl AttrScope {
    /// All scopes, with the prefix that names them in a query.
    pub const PREFIXES: [(&'static str, Self); 4] = [
        ("span.", Self::Span),
        ("resource.", Self::Resource),
        ("event.", Self::Event),
        ("link.", Self::Link),
    ];

    /// The word for it, as in the API; empty for [`AttrScope::Any`].
    pub fn word(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Span => "span",
            Self::Resource => "resource",
            Self::Event => "event",
            Self::Link => "link",
        }
    }

    /// The scope of a word; the empty word is [`AttrScope::Any`].
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Any, Self::Span, Self::Resource, Self::Event, Self::Link];
        all.into_iter().find(|scope| scope.word() == word)
    }
}

impl CompareOp {
    /// How it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Lt => "<",
            Self::Le => "<=",
        }
    }

    /// Whether the answer is "yes" for a value that stands so to the literal.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Eq => ordering.is_eq(),
            Self::Ne => ordering.is_ne(),
            Self::Gt => ordering.is_gt(),
            Self::Ge => ordering.is_ge(),
            Self::Lt => ordering.is_lt(),
            Self::Le => ordering.is_le(),
        }
    }
}
