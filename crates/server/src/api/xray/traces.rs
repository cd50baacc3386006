//! `BatchGetTraces` and `GetTraceGraph`: whole traces by their ids.

use serde::Deserialize;
use serde_json::{Value, json};
use throughline_model::{SpanBatch, TraceId};
use throughline_store::Snapshot;
use throughline_topology::xray::{TraceView, trace_graph};

use super::body::{Answer, at_most, read, required, seconds};
use super::documents::documents;
use super::error::XrayError;
use super::token::Scope;
use super::{Call, PAGE_SIZE, graph};

/// Traces of one request. AWS takes five.
const IDS_MAX: usize = 100;

/// A page ends after the trace that brings it beyond this many bytes of documents.
const PAGE_SIZE_BYTES: usize = 8 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Members {
    trace_ids: Option<Vec<String>>,
    next_token: Option<String>,
}

impl Members {
    fn read(body: &[u8]) -> Result<(Vec<String>, Option<String>), XrayError> {
        let members: Self = read(body)?;
        let ids = required(members.trace_ids, "TraceIds")?;
        at_most(&ids, "TraceIds", IDS_MAX)?;
        Ok((ids, members.next_token))
    }
}

/// A trace by an id in either spelling; `None` when it is not held or is no id.
pub(super) fn held(snapshot: &Snapshot, id: &str) -> Result<Option<SpanBatch>, XrayError> {
    match TraceId::parse(id) {
        Ok(id) => Ok(throughline_query::trace(snapshot, id)?),
        Err(_) => Ok(None),
    }
}

pub(super) fn batch_get(_: &Call, snapshot: &Snapshot, body: &[u8]) -> Answer {
    let (ids, token) = Members::read(body)?;
    let scope = Scope::of("BatchGetTraces", &ids);
    let offset = scope.offset(token.as_deref())?;
    let (mut traces, mut unprocessed, mut size, mut next) = (Vec::new(), Vec::new(), 0, None);
    for (at, id) in ids.iter().enumerate().skip(offset) {
        // A trace is never split over pages: Grafana reads the first page only.
        if size > PAGE_SIZE_BYTES {
            next = Some(at);
            break;
        }
        if ids[..at].contains(id) {
            continue;
        }
        let Some(trace) = held(snapshot, id)? else {
            unprocessed.push(id.chars().take(35).collect::<String>());
            continue;
        };
        let view = TraceView::of(&trace);
        let documents = documents(&view);
        size += documents.iter().map(|(_, document)| document.len()).sum::<usize>();
        traces.push(json!({
            "Id": view.trace_id.xray(),
            "Duration": seconds(view.duration_nano()),
            "LimitExceeded": false,
            "Segments": documents
                .into_iter()
                .map(|(id, document)| json!({ "Id": id, "Document": document }))
                .collect::<Vec<Value>>(),
        }));
    }
    let mut answer = json!({ "Traces": traces, "UnprocessedTraceIds": unprocessed });
    if let Some(next) = next {
        answer["NextToken"] = scope.offset_token(next).into();
    }
    Ok(answer)
}

pub(super) fn graph(call: &Call, snapshot: &Snapshot, body: &[u8]) -> Answer {
    let (ids, token) = Members::read(body)?;
    let services = graph::render(call, &graph_of(snapshot, &ids)?);
    let scope = Scope::of("GetTraceGraph", &ids);
    scope.page(json!({}), "Services", services, token.as_deref(), PAGE_SIZE)
}

/// The graph of some traces together.
pub(super) fn graph_of(
    snapshot: &Snapshot,
    ids: &[String],
) -> Result<throughline_topology::xray::Graph, XrayError> {
    let mut traces = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        if !ids[..at].contains(id) {
            traces.extend(held(snapshot, id)?);
        }
    }
    let views: Vec<TraceView<'_>> = traces.iter().map(TraceView::of).collect();
    Ok(trace_graph(&views))
}
