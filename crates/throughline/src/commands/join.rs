//! `throughline join FROM TO`: what a person says of two spans, in the terminal.

use serde::Deserialize;
use serde_json::json;
use throughline_model::{SpanId, TraceId};

use crate::bytes_and_times::show_time;
use crate::cli::JoinCommand;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal::{clean, print, print_json};

#[derive(Debug, Deserialize)]
struct Journey {
    traces: Vec<Trace>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    trace_id: String,
    spans: Vec<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    span_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    from_trace_id: String,
    to_trace_id: String,
    verdict: String,
    by: String,
    time_unix_nano: String,
    changed: bool,
}

/// Says it, and prints what counts now.
pub(crate) fn run(command: &JoinCommand) -> Result<(), Failure> {
    let client = Client::new(&command.asking.url);
    let (from_trace, from_span) = place(&client, &command.from)?;
    let (to_trace, to_span) = place(&client, &command.to)?;
    let verdict = match (command.reject, command.forget) {
        (true, _) => "reject",
        (_, true) => "forget",
        _ => "confirm",
    };
    let posted = json!({
        "fromTraceId": from_trace.to_string(), "fromSpanId": from_span,
        "toTraceId": to_trace.to_string(), "toSpanId": to_span,
        "verdict": verdict, "by": command.by, "note": command.note,
        "acrossEnvironments": command.across_environments,
    });
    let body = client.post("joins", &posted)?;
    if command.asking.json {
        return print_json(&body);
    }
    let said: Said = serde_json::from_slice(&body)
        .map_err(|err| Failure::Server(format!("the server's answer cannot be read: {err}")))?;
    let what = match said.verdict.as_str() {
        "confirm" => "belong together",
        "reject" => "do not belong together",
        _ => "are what their spans say again",
    };
    let again = if said.changed { "" } else { " (as was said before)" };
    let time = show_time(said.time_unix_nano.parse().unwrap_or_default());
    print(&format!(
        "{} and {} {what}{again}\n  {time}  {}\n",
        said.from_trace_id,
        said.to_trace_id,
        clean(&said.by)
    ))
}

/// A span by `TRACE/SPAN`; of a trace alone its first one stands for it.
fn place(client: &Client, text: &str) -> Result<(TraceId, String), Failure> {
    let usage = |err: String| Failure::Usage(format!("{text}: {err}"));
    let (trace, span) = match text.split_once('/') {
        Some((trace, span)) => (trace, Some(span)),
        None => (text, None),
    };
    let trace = TraceId::parse(trace).map_err(|err| usage(err.to_string()))?;
    if let Some(span) = span {
        let span = SpanId::parse(span).map_err(|err| usage(err.to_string()))?;
        return Ok((trace, span.to_string()));
    }
    let journey: Journey = client.ask_for(&format!("journeys/{trace}"), &[])?;
    let own = journey.traces.into_iter().find(|one| one.trace_id == trace.to_string());
    let first = own.and_then(|trace| trace.spans.into_iter().next());
    match first {
        Some(span) => Ok((trace, span.span_id)),
        None => Err(Failure::Nothing(format!("no span of {trace} is held"))),
    }
}
