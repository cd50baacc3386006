//! One attribute value and its type.

use std::borrow::Cow;

/// The type of an attribute value. The numbers are stored: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AttrType {
    /// UTF-8 text.
    Str = 1,
    /// True or false.
    Bool = 2,
    /// A 64-bit integer.
    Int = 3,
    /// A 64-bit float.
    Double = 4,
    /// Bytes.
    Bytes = 5,
    /// A list of values.
    Array = 6,
    /// Values by key.
    Map = 7,
    /// A value that was sent with no type at all.
    Empty = 8,
}

impl AttrType {
    /// All types, in the order of their numbers from 1.
    pub const ALL: [Self; 8] = [
        Self::Str,
        Self::Bool,
        Self::Int,
        Self::Double,
        Self::Bytes,
        Self::Array,
        Self::Map,
        Self::Empty,
    ];

    /// The type of a stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The word used in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Str => "string",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::Array => "array",
            Self::Map => "map",
            Self::Empty => "empty",
        }
    }

    /// Whether the value lies in the batch's heap rather than in its eight bytes.
    pub(crate) fn in_heap(self) -> bool {
        matches!(self, Self::Str | Self::Bytes | Self::Array | Self::Map)
    }
}

/// A borrowed attribute value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AttrValue<'a> {
    /// UTF-8 text.
    Str(&'a str),
    /// True or false.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit float.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list, as the bytes of an OTLP `ArrayValue`; see [`crate::nested_to_json`].
    Array(&'a [u8]),
    /// Values by key, as the bytes of an OTLP `KeyValueList`; see [`crate::nested_to_json`].
    Map(&'a [u8]),
    /// No value.
    Empty,
}

impl<'a> AttrValue<'a> {
    /// The type of this value.
    pub fn kind(self) -> AttrType {
        match self {
            Self::Str(_) => AttrType::Str,
            Self::Bool(_) => AttrType::Bool,
            Self::Int(_) => AttrType::Int,
            Self::Double(_) => AttrType::Double,
            Self::Bytes(_) => AttrType::Bytes,
            Self::Array(_) => AttrType::Array,
            Self::Map(_) => AttrType::Map,
            Self::Empty => AttrType::Empty,
        }
    }

    /// The value as text: what a person reads and what a text comparison compares.
    ///
    /// Bytes are lower-case hex; lists and maps are JSON.
    pub fn text(self) -> Cow<'a, str> {
        match self {
            Self::Str(text) => Cow::Borrowed(text),
            Self::Bool(value) => Cow::Borrowed(if value { "true" } else { "false" }),
            Self::Int(value) => Cow::Owned(value.to_string()),
            Self::Double(value) => Cow::Owned(value.to_string()),
            Self::Bytes(bytes) => Cow::Owned(bytes.iter().map(|b| format!("{b:02x}")).collect()),
            Self::Array(_) | Self::Map(_) => {
                Cow::Owned(crate::nested_to_json(self).unwrap_or_default().to_string())
            }
            Self::Empty => Cow::Borrowed(""),
        }
    }

    /// The text, when the value is text.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes that tell two values apart, with the type in front. For ordering and hashing.
    pub(crate) fn identity(self) -> (u8, Cow<'a, [u8]>) {
        let bytes = match self {
            Self::Str(text) => Cow::Borrowed(text.as_bytes()),
            Self::Bytes(b) | Self::Array(b) | Self::Map(b) => Cow::Borrowed(b),
            Self::Bool(b) => Cow::Owned(vec![u8::from(b)]),
            Self::Int(i) => Cow::Owned(i.to_be_bytes().to_vec()),
            Self::Double(d) => Cow::Owned(d.to_bits().to_be_bytes().to_vec()),
            Self::Empty => Cow::Borrowed(&[][..]),
        };
        (self.kind() as u8, bytes)
    }
}
