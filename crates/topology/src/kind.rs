//! The words of the map: what a node is, how an edge calls, and how we know.
//!
//! The numbers are stored by [`crate::MapPart::encode`]: never reuse one.

use serde::{Serialize, Serializer};

/// What a node of the map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum NodeKind {
    /// A service that sends spans itself. All other kinds are inferred from its callers.
    Service = 0,
    /// A database or table.
    Database = 1,
    /// A message queue: each message is taken once.
    Queue = 2,
    /// A topic: each message goes to every subscriber.
    Topic = 3,
    /// A stream or event log.
    Stream = 4,
    /// A host that sends no spans.
    External = 5,
    /// A remote service known by its RPC name.
    Rpc = 6,
    /// A function or state machine that sends no spans.
    Function = 7,
    /// Whoever starts requests at a service: a browser, a script. On X-Ray's graph only.
    Client = 8,
}

impl NodeKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Service,
        Self::Database,
        Self::Queue,
        Self::Topic,
        Self::Stream,
        Self::External,
        Self::Rpc,
        Self::Function,
        Self::Client,
    ];

    /// The kind of a stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The lower-case word of the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Database => "database",
            Self::Queue => "queue",
            Self::Topic => "topic",
            Self::Stream => "stream",
            Self::External => "external",
            Self::Rpc => "rpc",
            Self::Function => "function",
            Self::Client => "client",
        }
    }
}

/// Whether the caller waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum EdgeKind {
    /// A call: the caller waits for the answer.
    Sync = 0,
    /// A message: the sender goes on.
    Async = 1,
}

impl EdgeKind {
    /// The lower-case word of the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
        }
    }
}

/// How we know of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Evidence {
    /// A span on one side is the parent of a span on the other.
    Parent = 0,
    /// A span on one side links to a span on the other.
    Link = 1,
    /// Only one side sent a span; its attributes name the other.
    Inferred = 2,
}

impl Evidence {
    /// All kinds of evidence, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Parent, Self::Link, Self::Inferred];

    /// The lower-case word of the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Parent => "parent",
            Self::Link => "link",
            Self::Inferred => "inferred",
        }
    }
}

/// Whose observation of a call is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Side {
    /// The span that was caused: how long the callee took. What the map shows.
    Callee = 0,
    /// The span that caused it: how long the caller waited; of a link, how old the message was.
    Caller = 1,
}

impl Serialize for NodeKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Serialize for EdgeKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
