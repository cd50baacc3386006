//! Transaction search: traces by id, in pieces, as X-Ray documents or as OTLP spans.
//!
//! AWS looks in an archive and takes a while; here everything is at hand, so the first question is
//! answered in full and a retrieval is no more than the list of ids that was asked for.

use std::collections::VecDeque;
use std::sync::PoisonError;

use serde::Deserialize;
use serde_json::{Value, json};
use throughline_model::{Owners, SpanBatch, SpanBatchBuilder, TraceId};
use throughline_store::Snapshot;
use throughline_topology::xray::TraceView;
use throughline_wire::otlp;

use super::body::{Answer, Time, Window, at_most, read, required, required_text, seconds};
use super::documents::documents;
use super::error::XrayError;
use super::token::Scope;
use super::{Call, PAGE_SIZE, graph, traces, unique_id};

/// Retrievals that are remembered; the oldest gives way.
const RETRIEVALS_MAX: usize = 100;
const IDS_MAX: usize = 100;

/// One page has so many traces, each with so many spans; a trace with more goes on, under its id.
const PAGE_TRACES: usize = 5;
const PAGE_SPANS: usize = 100;

/// The ids that were asked for, by token.
#[derive(Debug, Default)]
pub(super) struct Retrievals(VecDeque<Retrieval>);

#[derive(Clone, Debug)]
struct Retrieval {
    token: String,
    ids: Vec<String>,
    cancelled: bool,
}

pub(super) fn start(call: &Call, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Members {
        trace_ids: Option<Vec<String>>,
        start_time: Option<Time>,
        end_time: Option<Time>,
    }
    let members: Members = read(body)?;
    let ids = required(members.trace_ids, "TraceIds")?;
    at_most(&ids, "TraceIds", IDS_MAX)?;
    Window::of(members.start_time, members.end_time)?;
    let mut known: Vec<String> = Vec::new();
    for id in ids {
        let id = TraceId::parse(&id)
            .map_err(|err| XrayError::invalid(format!("TraceIds: {err}")))?
            .xray();
        if !known.contains(&id) {
            known.push(id);
        }
    }
    let token = format!("{:032x}", unique_id());
    let mut retrievals = call.retrievals().lock().unwrap_or_else(PoisonError::into_inner);
    if retrievals.0.len() == RETRIEVALS_MAX {
        retrievals.0.pop_front();
    }
    retrievals.0.push_back(Retrieval { token: token.clone(), ids: known, cancelled: false });
    Ok(json!({ "RetrievalToken": token }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    retrieval_token: Option<String>,
    trace_format: Option<String>,
    next_token: Option<String>,
}

impl Members {
    fn read(body: &[u8]) -> Result<(Self, String), XrayError> {
        let mut members: Self = read(body)?;
        let token = required_text(members.retrieval_token.take(), "RetrievalToken", 1_020)?;
        Ok((members, token))
    }
}

fn retrieval(call: &Call, token: &str) -> Result<Retrieval, XrayError> {
    let retrievals = call.retrievals().lock().unwrap_or_else(PoisonError::into_inner);
    retrievals.0.iter().find(|known| known.token == token).cloned().ok_or_else(|| unknown(token))
}

fn unknown(token: &str) -> XrayError {
    XrayError::not_found("no retrieval has this token", token)
}

pub(super) fn cancel(call: &Call, body: &[u8]) -> Answer {
    let (_, token) = Members::read(body)?;
    let mut retrievals = call.retrievals().lock().unwrap_or_else(PoisonError::into_inner);
    let found = retrievals.0.iter_mut().find(|known| known.token == token);
    found.ok_or_else(|| unknown(&token))?.cancelled = true;
    Ok(json!({}))
}

pub(super) fn list(call: &Call, snapshot: &Snapshot, body: &[u8]) -> Answer {
    let (members, token) = Members::read(body)?;
    let retrieval = retrieval(call, &token)?;
    let format = members.trace_format.as_deref().unwrap_or("XRAY");
    if !matches!(format, "XRAY" | "OTEL") {
        return Err(XrayError::invalid("TraceFormat must be XRAY or OTEL"));
    }
    let status = if retrieval.cancelled { "CANCELLED" } else { "COMPLETE" };
    let mut answer = json!({ "RetrievalStatus": status, "TraceFormat": format, "Traces": [] });
    if retrieval.cancelled {
        return Ok(answer);
    }
    // A page begins at a trace and, within it, at a span.
    let scope = Scope::of("ListRetrievedTraces", (&token, format));
    let cursor = scope.cursor(members.next_token.as_deref())?;
    let (mut at, mut span) = position(cursor.as_deref())?;
    let mut found = Vec::new();
    while let Some(id) = retrieval.ids.get(at) {
        if found.len() == PAGE_TRACES {
            answer["NextToken"] = scope.token(&position_bytes(at, span)).into();
            break;
        }
        let Some(trace) = traces::held(snapshot, id)? else {
            at += 1;
            continue;
        };
        let view = TraceView::of(&trace);
        let all = match format {
            "OTEL" => trace.len(),
            _ => view.segments.len(),
        };
        let spans = match format {
            "OTEL" => otlp_spans(&trace, span),
            _ => documents(&view).into_iter().skip(span).take(PAGE_SPANS).collect(),
        };
        span += spans.len();
        let spans: Vec<Value> = spans
            .into_iter()
            .map(|(id, document)| json!({ "Id": id, "Document": document }))
            .collect();
        found.push(json!({
            "Id": view.trace_id.xray(),
            "Duration": seconds(view.duration_nano()),
            "Spans": spans,
        }));
        if span >= all {
            (at, span) = (at + 1, 0);
        }
    }
    answer["Traces"] = found.into();
    Ok(answer)
}

fn position_bytes(at: usize, span: usize) -> Vec<u8> {
    [at as u64, span as u64].map(u64::to_be_bytes).concat()
}

fn position(cursor: Option<&[u8]>) -> Result<(usize, usize), XrayError> {
    let Some(cursor) = cursor else { return Ok((0, 0)) };
    let number = |bytes: &[u8]| usize::try_from(u64::from_be_bytes(bytes.try_into().ok()?)).ok();
    let both = cursor.split_at_checked(8).and_then(|(at, span)| Some((number(at)?, number(span)?)));
    both.ok_or_else(|| XrayError::invalid("NextToken is none of this operation"))
}

/// Spans from a row on, each as an OTLP request of its own: so each has its resource and scope.
fn otlp_spans(trace: &SpanBatch, from: usize) -> Vec<(String, String)> {
    let mut builder = SpanBatchBuilder::default();
    let spans = trace.spans().skip(from).take(PAGE_SPANS).map(|span| {
        Owners::default().make_current(span, &mut builder);
        builder.copy_span(span);
        (span.span_id().to_string(), otlp::encode_json(&builder.finish()))
    });
    spans.collect()
}

pub(super) fn graph(call: &Call, snapshot: &Snapshot, body: &[u8]) -> Answer {
    let (members, token) = Members::read(body)?;
    let retrieval = retrieval(call, &token)?;
    let status = if retrieval.cancelled { "CANCELLED" } else { "COMPLETE" };
    let ids = if retrieval.cancelled { &[][..] } else { &retrieval.ids };
    let links = links(snapshot, ids)?;
    let services = graph::render(call, &traces::graph_of(snapshot, ids)?);
    // Links belong to traces, not to nodes: the entry has them all.
    let services = services.into_iter().map(|service| {
        let links = if service["Root"] == true { links.clone() } else { Vec::new() };
        json!({ "Service": service, "Links": links })
    });
    let services = services.collect();
    let answer = json!({ "RetrievalStatus": status });
    let next = members.next_token.as_deref();
    Scope::of("GetRetrievedTracesGraph", &token).page(answer, "Services", services, next, PAGE_SIZE)
}

/// Which other traces each trace names, at most 100.
fn links(snapshot: &Snapshot, ids: &[String]) -> Result<Vec<Value>, XrayError> {
    const LINKS_MAX: usize = 100;
    let mut links = Vec::new();
    for id in ids {
        let Some(trace) = traces::held(snapshot, id)? else { continue };
        let linked = trace.spans().flat_map(|span| span.links()).map(|link| link.trace_id());
        let mut linked: Vec<TraceId> = linked.take(LINKS_MAX).collect();
        linked.sort_unstable();
        linked.dedup();
        if !linked.is_empty() && links.len() < LINKS_MAX {
            let linked: Vec<String> = linked.into_iter().map(TraceId::xray).collect();
            links.push(json!({
                "ReferenceType": "child",
                "SourceTraceId": id,
                "DestinationTraceIds": linked,
            }));
        }
    }
    Ok(links)
}
