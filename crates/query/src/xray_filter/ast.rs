//! What a filter expression says, as a tree. Prints as text that parses to the same tree.

use std::fmt::{self, Display, Formatter, Write};

use throughline_model::xray;
use throughline_topology::xray::{CauseKind, ServiceId};

/// A condition on a trace, or on a part of it inside a block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    /// All of them hold. None or more: an empty block holds for everything.
    And(Vec<Self>),
    /// One of them holds.
    Or(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// The flag is so.
    Flag(Flag, bool),
    /// The number compares so; without a test, there is one.
    Number(Number, Option<(Op, f64)>),
    /// One of the texts compares so; without a test, there is one.
    Text(Text, Option<(Op, String)>),
    /// One of the annotations of that key compares so; without a test, there is one.
    Annotation(String, Option<(Op, Literal)>),
    /// One segment of such a node is as the block says. `None` takes every node.
    Service(Option<NodeSelector>, Box<Self>),
    /// One call between such nodes is as the block says. `None` takes every call.
    Edge(Option<Box<(NodeSelector, NodeSelector)>>, Box<Self>),
    /// One element of a root cause's path is as the block says.
    Cause(CauseKind, Part, Box<Self>),
    /// Each of the objects fits a root cause, of that kind or of any; or not, if not wanted so.
    CauseJson(Option<CauseKind>, Vec<serde_json::Value>, bool),
    /// The trace is in the group, named or by its ARN; or not, if not wanted so.
    Group(GroupBy, String, bool),
}

impl Expr {
    /// What holds for everything.
    pub(crate) const ALL: Self = Self::And(Vec::new());

    /// Whether it is about parts of the trace of its own choice, whatever block it stands in.
    pub(crate) fn chooses_its_subject(&self) -> bool {
        matches!(
            self,
            Self::Service(..)
                | Self::Edge(..)
                | Self::Cause(..)
                | Self::CauseJson(..)
                | Self::Group(..)
        )
    }

    /// Whether it, what stands in it left aside, depends on the accounts of nodes.
    pub(crate) fn asks_for_account(&self) -> bool {
        match self {
            Self::Text(Text::AccountId, _) | Self::CauseJson(..) => true,
            Self::Service(Some(node), _) => node.account.is_some(),
            Self::Edge(Some(nodes), _) => nodes.0.account.is_some() || nodes.1.account.is_some(),
            _ => false,
        }
    }
}

/// What is true or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    Ok,
    Error,
    Throttle,
    Fault,
    Partial,
    Inferred,
    First,
    Last,
    Remote,
    Root,
}

impl Flag {
    pub(super) const WORDS: [(&'static str, Self); 10] = [
        ("ok", Self::Ok),
        ("error", Self::Error),
        ("throttle", Self::Throttle),
        ("fault", Self::Fault),
        ("partial", Self::Partial),
        ("inferred", Self::Inferred),
        ("first", Self::First),
        ("last", Self::Last),
        ("remote", Self::Remote),
        ("root", Self::Root),
    ];
}

/// What is a number. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    ResponseTime,
    Duration,
    HttpStatus,
    Index,
    Coverage,
}

impl Number {
    pub(super) const WORDS: [(&'static str, Self); 5] = [
        ("responsetime", Self::ResponseTime),
        ("duration", Self::Duration),
        ("http.status", Self::HttpStatus),
        ("index", Self::Index),
        ("coverage", Self::Coverage),
    ];
}

/// What is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    HttpUrl,
    HttpMethod,
    HttpUserAgent,
    HttpClientIp,
    User,
    Name,
    Type,
    Message,
    AvailabilityZone,
    InstanceId,
    ResourceArn,
    AccountId,
}

impl Text {
    pub(super) const WORDS: [(&'static str, Self); 12] = [
        ("http.url", Self::HttpUrl),
        ("http.method", Self::HttpMethod),
        ("http.useragent", Self::HttpUserAgent),
        ("http.clientip", Self::HttpClientIp),
        ("user", Self::User),
        ("name", Self::Name),
        ("type", Self::Type),
        ("message", Self::Message),
        ("availabilityzone", Self::AvailabilityZone),
        ("instance.id", Self::InstanceId),
        ("resource.arn", Self::ResourceArn),
        ("account.id", Self::AccountId),
    ];
}

/// How a value compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Contains,
    BeginsWith,
    EndsWith,
}

impl Op {
    pub(super) const WORDS: [(&'static str, Self); 9] = [
        ("=", Self::Eq),
        ("!=", Self::Ne),
        ("<", Self::Lt),
        ("<=", Self::Le),
        (">", Self::Gt),
        (">=", Self::Ge),
        ("CONTAINS", Self::Contains),
        ("BEGINSWITH", Self::BeginsWith),
        ("ENDSWITH", Self::EndsWith),
    ];

    /// Whether it asks for order, which truth values do not have.
    pub(crate) fn orders(self) -> bool {
        matches!(self, Self::Lt | Self::Le | Self::Gt | Self::Ge)
    }

    /// Whether it looks into a text.
    pub(crate) fn looks_inside(self) -> bool {
        matches!(self, Self::Contains | Self::BeginsWith | Self::EndsWith)
    }
}

/// A value that an annotation compares with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Number(f64),
    Bool(bool),
}

/// Which elements of a root cause a block is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Service,
    Entity,
    Exception,
}

/// How a group is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupBy {
    Name,
    Arn,
}

pub(super) const CAUSES: [(&str, CauseKind); 3] = [
    ("fault", CauseKind::Fault),
    ("error", CauseKind::Error),
    ("responsetime", CauseKind::ResponseTime),
];

pub(super) const PARTS: [(&str, Part); 3] =
    [("service", Part::Service), ("entity", Part::Entity), ("exception", Part::Exception)];

/// Which nodes are meant. What is not given does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeSelector {
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) account: Option<String>,
}

impl NodeSelector {
    /// Whether a node is meant; by any of its names.
    pub(crate) fn matches(&self, id: &ServiceId) -> bool {
        let named = |name: &String| id.name == *name || id.names.contains(name);
        self.name.as_ref().is_none_or(named)
            && self.kind.as_ref().is_none_or(|kind| id.kind == *kind)
            && self.account.as_ref().is_none_or(|account| account_of(id) == account)
    }
}

/// The account of a node.
pub(crate) fn account_of(id: &ServiceId) -> &str {
    id.account.as_deref().unwrap_or(xray::ACCOUNT_HERE)
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(items) => joined(f, items, " AND "),
            Self::Or(items) => joined(f, items, " OR "),
            Self::Not(inner) => {
                f.write_char('!')?;
                operand(f, inner)
            }
            Self::Flag(flag, true) => f.write_str(word(&Flag::WORDS, *flag)),
            Self::Flag(flag, false) => write!(f, "{} = false", word(&Flag::WORDS, *flag)),
            Self::Number(number, test) => {
                f.write_str(word(&Number::WORDS, *number))?;
                test.map_or(Ok(()), |(op, value)| write!(f, " {op} {value:?}"))
            }
            Self::Text(text, test) => {
                f.write_str(word(&Text::WORDS, *text))?;
                let Some((op, value)) = test else { return Ok(()) };
                write!(f, " {op} ")?;
                quoted(f, value)
            }
            Self::Annotation(key, test) => {
                if is_plain_key(key) {
                    write!(f, "annotation.{key}")?;
                } else {
                    f.write_str("annotation[")?;
                    quoted(f, key)?;
                    f.write_char(']')?;
                }
                let Some((op, value)) = test else { return Ok(()) };
                write!(f, " {op} ")?;
                match value {
                    Literal::Text(text) => quoted(f, text),
                    Literal::Number(number) => write!(f, "{number:?}"),
                    Literal::Bool(flag) => write!(f, "{flag}"),
                }
            }
            Self::Service(selector, inner) => {
                f.write_str("service(")?;
                selector.as_ref().map_or(Ok(()), |selector| write!(f, "{selector}"))?;
                f.write_char(')')?;
                block(f, inner)
            }
            Self::Edge(selectors, inner) => {
                f.write_str("edge(")?;
                if let Some(both) = selectors {
                    write!(f, "{}, {}", both.0, both.1)?;
                }
                f.write_char(')')?;
                block(f, inner)
            }
            Self::Cause(kind, part, inner) => {
                write!(f, "rootcause.{}.{}", word(&CAUSES, *kind), word(&PARTS, *part))?;
                block(f, inner)
            }
            Self::CauseJson(kind, causes, wanted) => {
                f.write_str("rootcause.")?;
                kind.map_or(Ok(()), |kind| write!(f, "{}.", word(&CAUSES, kind)))?;
                write!(f, "json {} #[", if *wanted { "=" } else { "!=" })?;
                for (at, cause) in causes.iter().enumerate() {
                    write!(f, "{}{cause}", if at == 0 { "" } else { ", " })?;
                }
                f.write_char(']')
            }
            Self::Group(by, value, wanted) => {
                let by = if *by == GroupBy::Name { "name" } else { "arn" };
                write!(f, "group.{by} {} ", if *wanted { "=" } else { "!=" })?;
                quoted(f, value)
            }
        }
    }
}

impl Display for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(word(&Self::WORDS, *self))
    }
}

impl Display for NodeSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let (Some(name), None, None) = (&self.name, &self.kind, &self.account) {
            return quoted(f, name);
        }
        f.write_str("id(")?;
        let given = [("name", &self.name), ("type", &self.kind), ("account.id", &self.account)];
        let given = given.into_iter().filter_map(|(word, value)| Some((word, value.as_ref()?)));
        for (at, (word, value)) in given.enumerate() {
            write!(f, "{}{word}: ", if at == 0 { "" } else { ", " })?;
            quoted(f, value)?;
        }
        f.write_char(')')
    }
}

fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], wanted: T) -> &'static str {
    words.iter().find(|(_, one)| *one == wanted).map_or("", |(word, _)| word)
}

fn joined(f: &mut Formatter<'_>, items: &[Expr], between: &str) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
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

fn block(f: &mut Formatter<'_>, inner: &Expr) -> fmt::Result {
    if *inner == Expr::ALL { Ok(()) } else { write!(f, " {{ {inner} }}") }
}

fn is_plain_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}
