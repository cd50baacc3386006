//! Reads the headers of many formats at once, and says where they disagree.
//!
//! In:   [`Fields`] of one carrier.
//! Out:  [`Read`]: the context to go on with, and all that did not fit it.
//! Rule: the preference is that of [`Format`]; X-Ray is last, because AWS adds its header to what
//!       the caller sent. Nothing is dropped without a word: what loses is a [`Conflict`].

use opentelemetry::TraceId;

use crate::baggage::Baggage;
use crate::context::{Context, Format, Sampling};
use crate::defect::{Defect, Quirk, Strictness};
use crate::fields::Fields;
use crate::found::{Found, Reading};
use crate::hex::IdReader;
use crate::{b3, datadog, jaeger, opentracing, w3c, xray};

/// Which formats are read, and how closely.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reader {
    formats: Vec<Format>,
    strictness: Strictness,
}

impl Default for Reader {
    /// Reads every format, strictly.
    fn default() -> Self {
        Self::new(&Format::ALL, Strictness::Strict)
    }
}

/// What the headers of one carrier say together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Read {
    /// The caller's context, if some format has one.
    pub context: Option<Context>,
    /// Without a context: a decision that came alone, for the trace that begins here.
    pub sampling: Option<Sampling>,
    /// Without a context: a trace that has no span yet, for the root that begins here.
    pub trace_id: Option<TraceId>,
    /// What the application sends along.
    pub baggage: Baggage,
    /// Every format of which something is there, by preference.
    pub seen: Vec<Seen>,
    /// Every way in which a valid context disagrees with the one that was chosen.
    pub conflicts: Vec<Conflict>,
}

/// One format of which something is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// The format.
    pub format: Format,
    /// What it says, or why that cannot be read.
    pub found: Result<Found, Defect>,
    /// What was odd and accepted.
    pub quirks: Vec<Quirk>,
}

/// A valid context that disagrees with the chosen one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conflict {
    /// How it disagrees.
    pub disagreement: Disagreement,
    /// The format that says otherwise, which is `context.format` too.
    pub format: Format,
    /// What that format says. Of [`Disagreement::OtherTrace`], make it a span link with
    /// [`CONFLICT_REASON`] and the format as attributes.
    pub context: Context,
}

/// The value of attribute `reason` on a link to a context that lost.
pub const CONFLICT_REASON: &str = "conflicting_context";

/// How two contexts in one carrier disagree.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Disagreement {
    /// Another trace: two tracers that do not know of each other.
    OtherTrace,
    /// The same trace with its high 64 bits lost on one side.
    HalfTraceId,
    /// The same trace, another span: something in between writes one format only.
    OtherParent,
    /// The same trace, another decision.
    OtherSampling,
}

impl Reader {
    /// A reader of these formats. Their order does not matter: see [`Format`].
    #[must_use]
    pub fn new(formats: &[Format], strictness: Strictness) -> Self {
        let formats = Format::ALL.into_iter().filter(|format| formats.contains(format)).collect();
        Self { formats, strictness }
    }

    /// The formats that are read, by preference.
    #[must_use]
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }

    /// Reads what is there. It never fails: what cannot be read is in [`Read::seen`].
    #[must_use]
    pub fn read(&self, fields: &Fields) -> Read {
        let mut read = Read::default();
        if fields.is_empty() {
            return read;
        }
        for format in self.formats.iter().copied() {
            let mut quirks = Vec::new();
            let mut ids = IdReader { strictness: self.strictness, quirks: &mut quirks };
            if format == Format::Baggage {
                read.baggage.read_w3c(fields, &mut ids);
            } else if let Some(found) = reading(format, fields, &mut ids) {
                read.seen.push(Seen { format, found, quirks });
            }
        }
        if self.formats.contains(&Format::Jaeger) {
            read.baggage.read_prefixed(fields, jaeger::BAGGAGE_PREFIX, true);
        }
        if self.formats.contains(&Format::OpenTracing) {
            read.baggage.read_prefixed(fields, opentracing::BAGGAGE_PREFIX, false);
        }
        choose(&mut read);
        read
    }
}

fn reading(format: Format, fields: &Fields, ids: &mut IdReader<'_>) -> Reading {
    match format {
        Format::TraceContext => w3c::read(fields, ids),
        Format::B3Single => b3::read_single(fields, ids),
        Format::B3Multi => b3::read_multi(fields, ids),
        Format::Datadog => datadog::read(fields, ids),
        Format::Jaeger => jaeger::read(fields),
        Format::OpenTracing => opentracing::read(fields, ids),
        Format::XRay => xray::read(fields, ids),
        Format::Baggage => None,
    }
}

/// Takes the first valid context, merges what is of its trace, and notes what disagrees.
fn choose(read: &mut Read) {
    let mut alone: Option<Sampling> = None;
    for seen in &read.seen {
        let (context, decision) = match &seen.found {
            Ok(Found::Context(context)) => (Some(context), context.sampling),
            Ok(Found::SamplingOnly(sampling)) => (None, *sampling),
            Ok(Found::TraceOnly(trace_id, sampling)) => {
                read.trace_id = read.trace_id.or(Some(*trace_id));
                (None, *sampling)
            }
            Err(_) => continue,
        };
        match (context, &mut read.context) {
            (Some(context), None) => read.context = Some((**context).clone()),
            (Some(other), Some(chosen)) => {
                for disagreement in disagreements(chosen, other) {
                    let (format, context) = (other.format, (**other).clone());
                    read.conflicts.push(Conflict { disagreement, format, context });
                }
                if chosen.same_trace(other) {
                    merge(chosen, other);
                }
            }
            (None, _) => alone = alone.max(Some(decision)),
        }
    }
    match &mut read.context {
        Some(context) => {
            // A decision without a trace is about this request: it may add debug, never deny.
            context.sampling = context.sampling.max(alone.unwrap_or_default());
            read.trace_id = None;
        }
        None => read.sampling = alone,
    }
}

fn disagreements(chosen: &Context, other: &Context) -> Vec<Disagreement> {
    if !chosen.same_trace(other) {
        return vec![Disagreement::OtherTrace];
    }
    let mut all = Vec::new();
    let mut note = |is: bool, disagreement| is.then(|| all.push(disagreement));
    note(chosen.trace_id != other.trace_id, Disagreement::HalfTraceId);
    note(chosen.span_id != other.span_id, Disagreement::OtherParent);
    // To defer is to have no opinion.
    let opinions = chosen.sampling != Sampling::Defer && other.sampling != Sampling::Defer;
    note(opinions && chosen.sampling != other.sampling, Disagreement::OtherSampling);
    all
}

/// The chosen span stays the parent. Decisions merge upwards, the whole trace id wins over half of
/// it, and what only one format can carry is kept for that format.
fn merge(chosen: &mut Context, other: &Context) {
    chosen.sampling = chosen.sampling.max(other.sampling);
    if chosen.has_short_id() {
        chosen.trace_id = other.trace_id;
    }
    if chosen.datadog.is_none() {
        chosen.datadog.clone_from(&other.datadog);
    }
    if chosen.xray_fields.is_empty() {
        chosen.xray_fields.clone_from(&other.xray_fields);
    }
    if chosen.parent_id.is_none() && chosen.span_id == other.span_id {
        chosen.parent_id = other.parent_id;
    }
}
