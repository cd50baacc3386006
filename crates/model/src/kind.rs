//! Span kind and status, with OpenTelemetry's numbers.

/// What a span was for its trace.
///
/// **Rule:** opentelemetry-proto, `trace.proto`, enum `Span.SpanKind`; the numbers are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum SpanKind {
    /// The sender did not say.
    #[default]
    Unspecified = 0,
    /// Work inside one service.
    Internal = 1,
    /// The answering side of a call.
    Server = 2,
    /// The calling side of a call.
    Client = 3,
    /// The side that hands a message over.
    Producer = 4,
    /// The side that takes a message.
    Consumer = 5,
}

impl SpanKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::Internal,
        Self::Server,
        Self::Client,
        Self::Producer,
        Self::Consumer,
    ];

    /// The kind of this number; an unknown number is [`SpanKind::Unspecified`].
    pub fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }

    /// The lower-case word, as in the query language.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// How a span ended.
///
/// **Rule:** opentelemetry-proto, `trace.proto`, enum `Status.StatusCode`; the numbers are the same.
/// The order is that of [`crate::merge_pieces`]: an error is never hidden by an "ok".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum StatusCode {
    /// The sender did not say.
    #[default]
    Unset = 0,
    /// Said to be good.
    Ok = 1,
    /// Failed.
    Error = 2,
}

impl StatusCode {
    /// The status of this number; an unknown number is [`StatusCode::Unset`].
    pub fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }

    /// The lower-case word, as in the query language.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}
