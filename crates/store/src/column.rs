//! The columns a query may ask for, and what they come back as.

use arrow::datatypes::DataType;
use throughline_model::AttrType;

/// A column of a chunk, by meaning; how and whether it is stored is the chunk's business.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// `FixedSizeBinary(16)`.
    TraceId,
    /// `FixedSizeBinary(8)`.
    SpanId,
    /// `FixedSizeBinary(8)`, null for a root.
    ParentId,
    /// `Int64`, nanoseconds since the epoch.
    Start,
    /// `Int64`, nanoseconds, null while a span has no end.
    Duration,
    /// `Dictionary(Int32, Utf8)`.
    Name,
    /// `UInt8`, the number of a `SpanKind`.
    Kind,
    /// `UInt8`, the number of a `StatusCode`.
    Status,
    /// `UInt32`, W3C trace flags in the low byte and OTLP's flags above it.
    Flags,
    /// `Utf8`, null when empty.
    StatusMessage,
    /// `Dictionary(Int32, Utf8)`, `service.name` or `unknown_service`.
    Service,
    /// `Dictionary(Int32, Utf8)`, the id of the service's node on the map.
    ServiceNode,
    /// `Dictionary(Int32, Utf8)`, null when the resource names none.
    Environment,
    /// `Dictionary(Int32, Utf8)`, name of the instrumentation scope, empty when none.
    ScopeName,
    /// `Boolean`, whether the span has events.
    HasEvents,
    /// `Boolean`, whether the span has links.
    HasLinks,
    /// An attribute of the span: `Utf8`, `Int64`, `Float64` or `Boolean` by type, null where the
    /// span has none of this key and type. Bytes, lists and maps come as their text (`Utf8`).
    SpanAttr {
        /// The attribute's key.
        key: String,
        /// The type wanted.
        kind: AttrType,
    },
    /// An attribute of the resource: text as `Dictionary(Int32, Utf8)`, else as for the span.
    ResourceAttr {
        /// The attribute's key.
        key: String,
        /// The type wanted.
        kind: AttrType,
    },
}

impl Column {
    /// The Arrow type of the column.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::TraceId => DataType::FixedSizeBinary(16),
            Self::SpanId | Self::ParentId => DataType::FixedSizeBinary(8),
            Self::Start | Self::Duration => DataType::Int64,
            Self::Name
            | Self::Service
            | Self::ServiceNode
            | Self::Environment
            | Self::ScopeName => dictionary(),
            Self::Kind | Self::Status => DataType::UInt8,
            Self::Flags => DataType::UInt32,
            Self::StatusMessage => DataType::Utf8,
            Self::HasEvents | Self::HasLinks => DataType::Boolean,
            Self::SpanAttr { kind, .. } => attr_data_type(*kind),
            Self::ResourceAttr { kind, .. } => match attr_data_type(*kind) {
                DataType::Utf8 => dictionary(),
                other => other,
            },
        }
    }

    /// A name that is unique among columns, for the schema of what [`crate::Chunk::read`] gives.
    pub fn name(&self) -> String {
        match self {
            Self::SpanAttr { key, kind } => format!("span.{}.{key}", kind.word()),
            Self::ResourceAttr { key, kind } => format!("resource.{}.{key}", kind.word()),
            other => format!("{other:?}").to_lowercase(),
        }
    }
}

/// `Dictionary(Int32, Utf8)`.
pub(crate) fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// What an attribute of this type is as an Arrow column.
pub(crate) fn attr_data_type(kind: AttrType) -> DataType {
    match kind {
        AttrType::Bool => DataType::Boolean,
        AttrType::Int => DataType::Int64,
        AttrType::Double => DataType::Float64,
        AttrType::Str | AttrType::Bytes | AttrType::Array | AttrType::Map | AttrType::Empty => {
            DataType::Utf8
        }
    }
}

/// Where an attribute stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// On the span.
    Span,
    /// On the resource.
    Resource,
    /// On an event.
    Event,
    /// On a link.
    Link,
}

/// One attribute key that the store holds, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeKey {
    /// The key.
    pub key: String,
    /// Where it stands.
    pub scope: Scope,
    /// The type of its values.
    pub kind: AttrType,
    /// How many values of it are held; for resources, how many resources.
    pub count: u64,
}
