//! What the doctor says.

use serde::{Serialize, Serializer};
use throughline_model::{SpanId, TraceId};

use crate::stitch::Class;

/// All that was found in some traces.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was found, open before healed, worst first.
    pub findings: Vec<Finding>,
    /// What it was found in.
    pub looked_at: LookedAt,
    /// Whether a limit left out traces, spans, messages or findings.
    pub truncated: bool,
}

/// How much was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LookedAt {
    /// Traces.
    pub traces: usize,
    /// Spans.
    pub spans: usize,
}

/// One cause at one hop.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The same for the same kind and hop, on every machine.
    #[serde(serialize_with = "as_hex")]
    pub id: u128,
    /// The cause.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// Where it happens.
    pub hop: Hop,
    /// One sentence.
    pub title: String,
    /// The newest cases, at most [`super::Options::samples_max`], both sides of each.
    pub seen: Vec<Pair>,
    /// What happens there, in plain words.
    pub why: String,
    /// What the stored spans cannot tell.
    pub unknown: String,
    /// How sure the pairs of [`Self::seen`] are, as for joins.
    #[serde(serialize_with = "as_code")]
    pub class: Class,
    /// Cases.
    pub count: usize,
    /// Cases that kept their context on the same hop.
    pub good: usize,
    /// The share of cases among all that could have kept it, in thousandths.
    pub share_permille: u16,
    /// Time of the first case, nanoseconds since the epoch.
    #[serde(serialize_with = "as_text")]
    pub first_seen_unix_nano: i64,
    /// Time of the newest case, nanoseconds since the epoch.
    #[serde(serialize_with = "as_text")]
    pub last_seen_unix_nano: i64,
    /// Time of the newest good case, nanoseconds since the epoch.
    #[serde(serialize_with = "as_optional_text")]
    pub last_good_unix_nano: Option<i64>,
    /// What to change, for the languages and tools that were seen on either side.
    pub fix: Vec<Fix>,
    /// Whether it still happens.
    pub state: State,
}

/// A cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A message carried no context: producer and consumer are two traces.
    LostAtBroker,
    /// A call arrived without the caller's context.
    DroppedOverHttp,
    /// Caller and callee write and read other headers.
    MixedFormats,
    /// The upper half of the trace id was lost.
    TruncatedTraceId,
    /// The parent is a span of another trace.
    RewrittenTraceId,
    /// X-Ray's header was taken rather than the caller's.
    XrayParentWon,
    /// Work left its request inside one process.
    LostInProcess,
    /// The caller's spans are sampled away, its callee's are not.
    UnsampledParent,
    /// The parent is nowhere, for a reason that the spans do not say.
    MissingParent,
    /// Not wrong: too young to be judged.
    StillArriving,
    /// Not wrong: Zipkin gives both sides of a call one id.
    SharedSpanId,
    /// Ids or headers that no specification allows.
    MalformedId,
}

impl Kind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 12] = [
        Self::LostAtBroker,
        Self::DroppedOverHttp,
        Self::MixedFormats,
        Self::TruncatedTraceId,
        Self::RewrittenTraceId,
        Self::XrayParentWon,
        Self::LostInProcess,
        Self::UnsampledParent,
        Self::MissingParent,
        Self::StillArriving,
        Self::SharedSpanId,
        Self::MalformedId,
    ];

    /// The word in the API and in addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::LostAtBroker => "lost_at_broker",
            Self::DroppedOverHttp => "dropped_over_http",
            Self::MixedFormats => "mixed_formats",
            Self::TruncatedTraceId => "truncated_trace_id",
            Self::RewrittenTraceId => "rewritten_trace_id",
            Self::XrayParentWon => "xray_parent_won",
            Self::LostInProcess => "lost_in_process",
            Self::UnsampledParent => "unsampled_parent",
            Self::MissingParent => "missing_parent",
            Self::StillArriving => "still_arriving",
            Self::SharedSpanId => "shared_span_id",
            Self::MalformedId => "malformed_id",
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::LostAtBroker
            | Self::DroppedOverHttp
            | Self::MixedFormats
            | Self::TruncatedTraceId
            | Self::RewrittenTraceId
            | Self::XrayParentWon
            | Self::MalformedId => Severity::Lost,
            Self::LostInProcess | Self::UnsampledParent | Self::MissingParent => Severity::Partial,
            Self::StillArriving | Self::SharedSpanId => Severity::Note,
        }
    }
}

/// How bad a cause is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Traces are cut in two.
    Lost,
    /// Traces are there in part.
    Partial,
    /// Nothing is wrong.
    Note,
}

/// Between whom it happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hop {
    /// The service that calls or produces; `None` where no span of it is known.
    pub from: Option<String>,
    /// The service that is called or consumes.
    pub to: Option<String>,
    /// The carrier's name, `http` for any call, `message` for any message, or `process`.
    pub over: String,
    /// The queue, topic, stream or function between the two.
    pub resource: Option<String>,
}

/// Two spans that belong together, or one whose other half is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pair {
    /// The side that calls or produces.
    pub from: Option<Sight>,
    /// The side that is called or consumes.
    pub to: Option<Sight>,
}

/// A span of a pair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sight {
    /// Its trace.
    #[serde(serialize_with = "as_id")]
    pub trace_id: TraceId,
    /// The span.
    #[serde(serialize_with = "as_id")]
    pub span_id: SpanId,
    /// Its parent; zero for a root.
    #[serde(serialize_with = "as_id")]
    pub parent_id: SpanId,
    /// Its service.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its kind, as in the query language.
    pub kind: &'static str,
    /// Start, nanoseconds since the epoch.
    #[serde(serialize_with = "as_text")]
    pub start_unix_nano: i64,
    /// End, nanoseconds since the epoch; the start while it has none.
    #[serde(serialize_with = "as_text")]
    pub end_unix_nano: i64,
    /// Headers and attributes that show it, at most sixteen of at most 256 bytes.
    pub shown: Vec<(String, String)>,
}

/// Something to change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fix {
    /// The service to change, where it is known.
    pub service: Option<String>,
    /// The language or tool, as `telemetry.sdk.language` or `cloud.platform` has it; `any` where
    /// it does not matter or is not known.
    pub language: String,
    /// What to do.
    pub text: String,
    /// The environment variable or the lines of code.
    pub code: String,
}

/// Whether a cause still acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The newest case is younger than the newest good one.
    Open,
    /// No case came after the newest good one.
    Healed,
}

fn as_hex<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{id:032x}"))
}

fn as_code<S: Serializer>(class: &Class, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(class.code())
}

fn as_id<S: Serializer>(id: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

// A number of 64 bits does not fit JavaScript's.
fn as_text<S: Serializer>(nanos: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(nanos)
}

fn as_optional_text<S: Serializer>(nanos: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match nanos {
        Some(nanos) => serializer.collect_str(nanos),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_kind_is_what_is_serialised() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
    }
}
