//! `GET /journeys/{id}`: what a trace, a span or a message came from and led to, over all its traces.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use throughline_model::{SpanBatch, SpanId, SpanRef, StatusCode, TraceId};
use throughline_topology::stitch::{
    Attempts, Budget, Class, Focus, Gap, Group, Journey, Limit, Member, Refused, Share, Step,
    Verdict, Wait,
};
use utoipa::{IntoParams, ToSchema};

use super::error::ErrorBody;
use super::extract::{Params, PathParts};
use super::{ApiError, ask};
use crate::app::App;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct JourneyParams {
    /// Only the message that this span of the trace is about: 16 hex digits.
    span: Option<String>,
    /// `1` adds guesses to `joins`: pairs that name the same queue, topic or stream within a minute,
    /// or the same value under a key of their own. They are marked, below 0.9 and never followed.
    guesses: Option<String>,
}

/// What a trace came from and led to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JourneyAnswer {
    /// The traces, by their first span shown.
    traces: Vec<JourneyTrace>,
    /// The messages between them, by the start of their consumers.
    joins: Vec<Join>,
    /// Deliveries that were counted rather than followed.
    groups: Vec<JourneyGroup>,
    /// The traces where it began, as far as is known.
    origins: Vec<String>,
    /// How long messages waited, by carrier and resource.
    waits: Vec<JourneyWait>,
    /// Messages that were delivered more than once to the same consumer.
    attempts: Vec<JourneyAttempts>,
    /// Pairs that share an id and are not one message.
    refused: Vec<RefusedJoin>,
    /// Start of the first span.
    start_time_unix_nano: String,
    /// From the first start to the last end.
    duration_nano: i64,
    /// Whether a limit cut something.
    truncated: bool,
    /// Which limits did.
    limits: Vec<String>,
    /// Whether nothing is missing and nothing was cut.
    complete: bool,
    /// What is not there.
    gaps: Vec<JourneyGap>,
}

/// A trace of a journey.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JourneyTrace {
    /// 32 hex digits.
    trace_id: String,
    /// Messages away from the one asked for: negative before it, positive after it.
    hops: i32,
    /// Whether it is on the way from an origin to the one asked for.
    on_path: bool,
    /// How many messages share its spans; 1 where they are one message's own.
    shared_by: u32,
    /// How many spans the whole trace has.
    span_count: usize,
    /// Its spans that belong to the journey, by start.
    spans: Vec<JourneySpan>,
}

/// A span of a journey, in short.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JourneySpan {
    span_id: String,
    parent_span_id: Option<String>,
    service: String,
    name: String,
    /// `internal`, `server`, `client`, `producer`, `consumer` or `unspecified`.
    kind: &'static str,
    start_time_unix_nano: String,
    /// Absent while it runs.
    duration_nano: Option<i64>,
    error: bool,
}

/// Two spans that one message joins.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Join {
    /// The same for the same join, whenever it is asked for: 32 hex digits.
    id: String,
    from_trace_id: String,
    from_span_id: String,
    to_trace_id: String,
    to_span_id: String,
    /// `kinesis`, `sqs`, `sns`, ... or `link` for an explicit span link.
    carrier: String,
    /// The queue, topic, stream, bucket, table or function.
    resource: Option<String>,
    /// The id that both sides name.
    key: String,
    /// What speaks for it, in words, with what each side says.
    evidence: Vec<Evidence>,
    /// `E0` (parent) to `E5` (guess), or `user` where a person confirmed it.
    class: &'static str,
    /// Whether it is a guess, which only `guesses=1` gives: by a business key (`E4`) or by route and
    /// time (`E5`).
    guess: bool,
    /// Who confirmed it by hand.
    confirmed: Option<ByHand>,
    /// 0 to 1.
    confidence: f64,
    /// From the end of handing it over to the start of taking it; by the carrier's clock where known.
    wait_nano: i64,
    /// Which delivery this is, from 1.
    attempt: u32,
    /// Where the message stood in the consumer's batch, from 0.
    index: Option<u32>,
    /// How many messages the consumer's batch had.
    batch_size: Option<u32>,
    /// When the carrier took the message, by its own clock.
    server_time_unix_nano: Option<String>,
    /// It came out of another queue than it went into, such as a dead-letter queue.
    moved: bool,
    /// It came again from an archive.
    replay: bool,
    /// The consumer failed.
    failed: bool,
    hops: i32,
    /// How the message was told from the others of its batch.
    share: &'static str,
    shared_by: u32,
    /// Whether the journey goes on there.
    followed: bool,
}

/// What a person said.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ByHand {
    by: String,
    note: String,
    time_unix_nano: String,
}

/// One thing that speaks for a join.
#[derive(Debug, Serialize, ToSchema)]
struct Evidence {
    what: String,
    produced: String,
    consumed: String,
}

/// Deliveries that were counted rather than followed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JourneyGroup {
    trace_id: String,
    carrier: String,
    resource: Option<String>,
    reason: &'static str,
    deliveries: usize,
    failed: usize,
    wait_p50_nano: i64,
    wait_p99_nano: i64,
    /// Three spans at their other end.
    samples: Vec<SpanPlace>,
}

/// A span, by its ids.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SpanPlace {
    trace_id: String,
    span_id: String,
}

/// How long messages waited in one place.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JourneyWait {
    carrier: String,
    resource: Option<String>,
    messages: usize,
    p50_nano: i64,
    max_nano: i64,
}

/// A message that one consumer was given more than once.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JourneyAttempts {
    service: String,
    deliveries: Vec<Delivery>,
}

/// One of several deliveries of a message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    attempt: u32,
    trace_id: String,
    span_id: String,
    failed: bool,
}

/// A pair that shares an id and is not one message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RefusedJoin {
    from: SpanPlace,
    to: SpanPlace,
    reason: String,
    /// Who rejected it, where the reason is `by hand`.
    rejected: Option<ByHand>,
}

/// Something that is not there.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JourneyGap {
    /// `producer_not_found`, `consumer_not_found`, `trace_not_held`, `parent_not_held`,
    /// `still_running`, `one_of_many`, `message_not_found`, `other_environments`.
    kind: &'static str,
    trace_id: Option<String>,
    carrier: Option<String>,
    resource: Option<String>,
    messages: Option<usize>,
    /// One sentence for a person.
    text: String,
}

/// What a trace came from and led to.
#[utoipa::path(
    get, path = "/journeys/{traceId}", operation_id = "journey",
    params(
        ("traceId" = String, Path, description = "32 or 16 hex digits, or X-Ray's 1-8hex-24hex"),
        JourneyParams,
    ),
    responses(
        (status = 200, description = "The journey; a trace without messages is one alone", body = JourneyAnswer),
        (status = 400, description = "An id cannot be read", body = ErrorBody),
        (status = 404, description = "No span of this trace is held", body = ErrorBody),
        (status = 503, description = "Too many queries wait", body = ErrorBody),
    )
)]
pub(super) async fn journey(
    State(app): State<Arc<App>>,
    PathParts(id): PathParts<String>,
    Params(params): Params<JourneyParams>,
) -> Result<Response, ApiError> {
    let id = TraceId::parse(&id).map_err(|err| ApiError::bad_request(err.to_string()))?;
    let focus = match params.span.as_deref().filter(|span| !span.is_empty()) {
        None => Focus::Trace(id),
        Some(span) => {
            let span = SpanId::parse(span).map_err(|e| ApiError::bad_request(e.to_string()))?;
            Focus::Span(id, span)
        }
    };
    let guesses = match params.guesses.as_deref() {
        None | Some("" | "0" | "false") => false,
        Some("1" | "true") => true,
        Some(other) => {
            return Err(ApiError::bad_request(format!("guesses: expected 0 or 1, got {other:?}")));
        }
    };
    ask(&app, move |snapshot| {
        let mut journey = throughline_query::journey(snapshot, focus, &Budget::default())?;
        if journey.traces.is_empty() {
            return Err(ApiError::not_found(format!("no span of trace {id} is held")));
        }
        if guesses {
            let found = throughline_query::guesses(snapshot, &journey)?;
            journey.steps.extend(found.into_iter().map(|edge| Step {
                edge,
                hops: 0,
                share: Share::Unknown,
                shared_by: 1,
                followed: false,
            }));
        }
        Ok(answer(&journey))
    })
    .await
}

fn answer(journey: &Journey) -> JourneyAnswer {
    JourneyAnswer {
        traces: journey.traces.iter().map(trace).collect(),
        joins: journey.steps.iter().map(join).collect(),
        groups: journey.groups.iter().map(group).collect(),
        origins: journey.origins.iter().map(ToString::to_string).collect(),
        waits: journey.waits.iter().map(wait).collect(),
        attempts: journey.attempts.iter().map(attempts).collect(),
        refused: journey.refused.iter().map(refused).collect(),
        start_time_unix_nano: journey.start_unix_nano.to_string(),
        duration_nano: journey.duration_nano(),
        truncated: !journey.truncated.is_empty(),
        limits: journey.truncated.iter().map(|limit| limit_word(*limit).to_owned()).collect(),
        complete: journey.is_complete(),
        gaps: journey.gaps.iter().map(gap).collect(),
    }
}

fn trace(member: &Member) -> JourneyTrace {
    let batch: &SpanBatch = &member.batch;
    JourneyTrace {
        trace_id: member.trace_id.to_string(),
        hops: member.hops,
        on_path: member.on_path,
        shared_by: member.shared_by,
        span_count: batch.len(),
        spans: member.rows.iter().map(|row| span(batch.span(*row as usize))).collect(),
    }
}

fn span(span: SpanRef<'_>) -> JourneySpan {
    JourneySpan {
        span_id: span.span_id().to_string(),
        parent_span_id: Some(span.parent_id()).filter(|id| !id.is_zero()).map(|id| id.to_string()),
        service: span.resource().service().to_owned(),
        name: span.name().to_owned(),
        kind: span.kind().word(),
        start_time_unix_nano: span.start_unix_nano().to_string(),
        duration_nano: span.duration_nano(),
        error: span.status() == StatusCode::Error,
    }
}

fn place((trace_id, span_id): (TraceId, SpanId)) -> SpanPlace {
    SpanPlace { trace_id: trace_id.to_string(), span_id: span_id.to_string() }
}

fn join(step: &Step) -> Join {
    let edge = &step.edge;
    let (from, to) = (place(edge.from), place(edge.to));
    Join {
        id: format!("{:032x}", edge.id),
        from_trace_id: from.trace_id,
        from_span_id: from.span_id,
        to_trace_id: to.trace_id,
        to_span_id: to.span_id,
        carrier: edge.carrier.to_string(),
        resource: edge.resource.clone(),
        key: edge.key_text.clone(),
        evidence: edge
            .evidence
            .iter()
            .map(|evidence| Evidence {
                what: evidence.what.to_owned(),
                produced: evidence.produced.clone(),
                consumed: evidence.consumed.clone(),
            })
            .collect(),
        class: edge.class.code(),
        guess: matches!(edge.class, Class::BusinessKey | Class::Pairing),
        confirmed: edge.confirmed.as_ref().map(by_hand),
        confidence: f64::from(edge.confidence_permille) / 1_000.0,
        wait_nano: edge.wait_nano,
        attempt: edge.attempt,
        index: edge.index,
        batch_size: edge.batch_size,
        server_time_unix_nano: edge.server_time_unix_nano.map(|time| time.to_string()),
        moved: edge.moved,
        replay: edge.replay,
        failed: edge.failed,
        hops: step.hops,
        share: share_word(step.share),
        shared_by: step.shared_by,
        followed: step.followed,
    }
}

fn group(group: &Group) -> JourneyGroup {
    JourneyGroup {
        trace_id: group.trace_id.to_string(),
        carrier: group.carrier.to_string(),
        resource: group.resource.clone(),
        reason: limit_word(group.reason),
        deliveries: group.deliveries,
        failed: group.failed,
        wait_p50_nano: group.wait_p50_nano,
        wait_p99_nano: group.wait_p99_nano,
        samples: group.samples.iter().map(|at| place(*at)).collect(),
    }
}

fn wait(wait: &Wait) -> JourneyWait {
    JourneyWait {
        carrier: wait.carrier.to_string(),
        resource: wait.resource.clone(),
        messages: wait.steps,
        p50_nano: wait.p50_nano,
        max_nano: wait.max_nano,
    }
}

fn attempts(attempts: &Attempts) -> JourneyAttempts {
    let deliveries = attempts.deliveries.iter().map(|(attempt, at, failed)| {
        let SpanPlace { trace_id, span_id } = place(*at);
        Delivery { attempt: *attempt, trace_id, span_id, failed: *failed }
    });
    JourneyAttempts { service: attempts.service.clone(), deliveries: deliveries.collect() }
}

fn refused(refused: &Refused) -> RefusedJoin {
    RefusedJoin {
        from: place(refused.from),
        to: place(refused.to),
        reason: refused.veto.to_string(),
        rejected: refused.rejected.as_ref().map(by_hand),
    }
}

fn by_hand(verdict: &Verdict) -> ByHand {
    ByHand {
        by: verdict.by.clone(),
        note: verdict.note.clone(),
        time_unix_nano: verdict.time_unix_nano.to_string(),
    }
}

fn limit_word(limit: Limit) -> &'static str {
    match limit {
        Limit::Spans => "spans",
        Limit::Traces => "traces",
        Limit::Depth => "depth",
        Limit::Fan => "fan",
        Limit::Origins => "origins",
        Limit::Loop => "loop",
        Limit::Keys => "keys",
        Limit::Ambiguous => "ambiguous",
    }
}

fn share_word(share: Share) -> &'static str {
    match share {
        Share::Own => "own",
        Share::ByOrder => "by_order",
        Share::Together => "together",
        Share::Unknown => "unknown",
    }
}

fn gap(gap: &Gap) -> JourneyGap {
    let blank = |kind, text: &str| JourneyGap {
        kind,
        trace_id: None,
        carrier: None,
        resource: None,
        messages: None,
        text: text.to_owned(),
    };
    match gap {
        Gap::ProducerNotFound { trace_id, carrier, resource } => JourneyGap {
            trace_id: Some(trace_id.to_string()),
            carrier: Some(carrier.to_string()),
            resource: resource.clone(),
            ..blank(
                "producer_not_found",
                "A message was consumed, and no span held here says that it produced it: its \
                 producer is not instrumented, was not sampled, has expired or has not sent yet.",
            )
        },
        Gap::ConsumerNotFound { trace_id, carrier, resource, messages } => JourneyGap {
            trace_id: Some(trace_id.to_string()),
            carrier: Some(carrier.to_string()),
            resource: resource.clone(),
            messages: Some(*messages),
            ..blank(
                "consumer_not_found",
                "Messages were produced, and no span held here says that it consumed them: they \
                 still wait, or their consumer is not instrumented or was not sampled.",
            )
        },
        Gap::TraceNotHeld { trace_id } => JourneyGap {
            trace_id: Some(trace_id.to_string()),
            ..blank("trace_not_held", "A trace that is linked or joined is not held here.")
        },
        Gap::ParentNotHeld { trace_id, parent_id } => {
            let text = format!(
                "The parent {parent_id} of the topmost span is not held here: it was not sampled, \
                 is sent elsewhere, or has not been sent yet."
            );
            JourneyGap { trace_id: Some(trace_id.to_string()), ..blank("parent_not_held", &text) }
        }
        Gap::StillRunning { trace_id } => JourneyGap {
            trace_id: Some(trace_id.to_string()),
            ..blank("still_running", "A span has no end yet.")
        },
        Gap::OneOfMany { trace_id, messages } => JourneyGap {
            trace_id: Some(trace_id.to_string()),
            messages: Some(*messages as usize),
            ..blank("one_of_many", "Of a batch of messages one led on, and nothing tells which.")
        },
        Gap::OtherEnvironments { holders, .. } => JourneyGap {
            messages: Some(*holders),
            ..blank(
                "other_environments",
                "The same id names messages of other environments, which are never followed.",
            )
        },
        Gap::MessageNotFound { .. } => {
            blank("message_not_found", "Nobody held here names this message.")
        }
    }
}
