//! Why a header is not read, and what is odd about one that is.

/// Why the headers of one format hold no context.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// The header stands twice with different values.
    #[error("the header stands more than once")]
    Repeated,
    /// A part that the format needs is not there.
    #[error("a part is missing")]
    MissingPart,
    /// More parts than the format has.
    #[error("there are too many parts")]
    ExtraPart,
    /// An id or a flag has another length than the format asks for.
    #[error("a part has the wrong length")]
    Length,
    /// A character that the format does not allow; upper-case hexadecimal may be one.
    #[error("a character is not allowed")]
    Character,
    /// An id whose bits are all zero.
    #[error("an id is all zero")]
    ZeroId,
    /// A version that says of itself that it is invalid.
    #[error("the version is invalid")]
    Version,
    /// The sampling decision is none of those that the format knows.
    #[error("the sampling decision is unknown")]
    Decision,
    /// More list members than the format allows.
    #[error("there are too many members")]
    TooManyMembers,
    /// A key that the grammar does not allow.
    #[error("a key is not allowed")]
    Key,
    /// A value that the grammar does not allow.
    #[error("a value is not allowed")]
    Value,
}

/// What was accepted though the format's specification would not have it so.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Quirk {
    /// Upper-case hexadecimal.
    UpperCase,
    /// An id shorter than it should be, padded with zeros on the left.
    ShortId,
    /// `true` or `false` where the format has `1` or `0`.
    WordForDigit,
    /// A trace id of 64 bits where the format has 128.
    HalfTraceId,
    /// A list key stands twice; the first counts.
    RepeatedKey,
    /// List members that cannot be read were left out.
    MembersLeftOut,
    /// The `tracestate` beside a good `traceparent` cannot be read and was dropped.
    TraceStateDropped,
    /// A W3C version newer than the one we know.
    NewerVersion,
    /// The parts of the header stand twice with equal values.
    Repeated,
}

/// How closely a header must follow its specification.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Strictness {
    /// As the specification says, and no way else.
    #[default]
    Strict,
    /// Also what tracers are known to send: upper case, short ids, words for digits.
    Lenient,
}
