//! `throughline journey ID`: traces that messages join, in the terminal.

use std::collections::HashMap;
use std::fmt::Write as _;

use owo_colors::OwoColorize;
use serde::Deserialize;
use throughline_model::{SpanId, TraceId};

use super::trace::bar;
use crate::bytes_and_times::{show_duration, show_time};
use crate::cli::JourneyCommand;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal::{clean, cut, print, print_json, width};

/// Spans printed of one trace.
const SPANS_MAX: usize = 40;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Journey {
    traces: Vec<Trace>,
    joins: Vec<Join>,
    groups: Vec<Group>,
    start_time_unix_nano: String,
    duration_nano: i64,
    limits: Vec<String>,
    gaps: Vec<Gap>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    trace_id: String,
    shared_by: u32,
    spans: Vec<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    span_id: String,
    parent_span_id: Option<String>,
    service: String,
    name: String,
    start_time_unix_nano: String,
    duration_nano: Option<i64>,
    error: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Join {
    from_trace_id: String,
    to_trace_id: String,
    guess: bool,
    carrier: String,
    resource: Option<String>,
    key: String,
    evidence: Vec<Evidence>,
    class: String,
    confidence: f64,
    wait_nano: i64,
    attempt: u32,
    index: Option<u32>,
    batch_size: Option<u32>,
    moved: bool,
    replay: bool,
    failed: bool,
}

#[derive(Debug, Deserialize)]
struct Evidence {
    what: String,
}

#[derive(Debug, Deserialize)]
struct Group {
    carrier: String,
    resource: Option<String>,
    reason: String,
    deliveries: usize,
    failed: usize,
}

#[derive(Debug, Deserialize)]
struct Gap {
    text: String,
}

/// Draws a journey.
pub(crate) fn run(command: &JourneyCommand) -> Result<(), Failure> {
    let id = TraceId::parse(&command.id).map_err(|err| Failure::Usage(err.to_string()))?;
    let span = command.span.as_deref().map(SpanId::parse).transpose();
    let span = span.map_err(|err| Failure::Usage(err.to_string()))?.map(|id| id.to_string());
    let mut params: Vec<_> = span.iter().map(|span| ("span", span.as_str())).collect();
    params.extend(command.guesses.then_some(("guesses", "1")));
    let client = Client::new(&command.asking.url);
    let body = client.ask(&format!("journeys/{id}"), &params)?;
    if command.asking.json {
        return print_json(&body);
    }
    let mut journey: Journey = serde_json::from_slice(&body)
        .map_err(|err| Failure::Server(format!("the server's answer cannot be read: {err}")))?;
    let (guesses, joins) = journey.joins.into_iter().partition(|join| join.guess);
    journey.joins = joins;
    let mut text = render(&journey, width());
    if command.guesses {
        text.push_str(&render_guesses(&guesses, width()));
    }
    print(&text)
}

fn render(journey: &Journey, width: usize) -> String {
    let mut text = String::new();
    let start: i64 = journey.start_time_unix_nano.parse().unwrap_or_default();
    let _ = writeln!(
        text,
        "{}  {}  {}, {}",
        show_time(start).bold(),
        show_duration(journey.duration_nano),
        counted(journey.traces.len(), "trace"),
        counted(journey.joins.len(), "message"),
    );
    for trace in &journey.traces {
        let _ = writeln!(text);
        for join in journey.joins.iter().filter(|join| join.to_trace_id == trace.trace_id) {
            let _ = writeln!(text, "{} {}", "~".yellow(), cut(&told(join), width - 2));
            let seen: Vec<_> = join.evidence.iter().map(|one| clean(&one.what)).collect();
            let line = format!("{}: {}", clean(&join.key), seen.join("; "));
            let _ = writeln!(text, "    {}", cut(&line, width.saturating_sub(4)).dimmed());
        }
        let shared = match trace.shared_by {
            0 | 1 => String::new(),
            count => format!("  shared by {count} messages"),
        };
        let _ = writeln!(text, "{}{}", trace.trace_id.bold(), shared.dimmed());
        spans(&mut text, trace, start, journey.duration_nano, width);
    }
    for group in &journey.groups {
        let place = group.resource.as_deref().unwrap_or("unknown");
        let _ = writeln!(
            text,
            "\n+ {} more by {} {} ({} failed): beyond the limit of {}",
            group.deliveries,
            clean(&group.carrier),
            clean(place),
            group.failed,
            group.reason,
        );
    }
    let mut missing: Vec<String> = journey.gaps.iter().map(|gap| clean(&gap.text)).collect();
    missing.extend(journey.limits.iter().map(|limit| format!("Cut at the limit of {limit}.")));
    missing.dedup();
    for line in missing {
        let _ = writeln!(text, "\n{} {line}", "?".yellow());
    }
    text
}

/// What may belong to it too: each with its two traces, for nobody follows a guess.
fn render_guesses(guesses: &[Join], width: usize) -> String {
    let mut text = String::new();
    if guesses.is_empty() {
        let _ = writeln!(text, "\n? Nothing else fits.");
    }
    for guess in guesses {
        let _ = writeln!(text, "\n{} maybe {}", "?".yellow(), cut(&told(guess), width - 8));
        let _ = writeln!(text, "    {} -> {}", guess.from_trace_id, guess.to_trace_id);
    }
    text
}

/// `1 trace`, `2 traces`.
fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A join in one line.
fn told(join: &Join) -> String {
    let resource = join.resource.as_deref().unwrap_or_default();
    let mut parts = vec![
        format!("{} {}", clean(&join.carrier), clean(resource)).trim_end().to_owned(),
        format!("waited {}", show_duration(join.wait_nano)),
    ];
    if let (Some(index), Some(size)) = (join.index, join.batch_size) {
        parts.push(format!("{} of {size}", index + 1));
    }
    if join.attempt > 1 {
        parts.push(format!("attempt {}", join.attempt));
    }
    let marks = [(join.moved, "moved"), (join.replay, "replay"), (join.failed, "failed")];
    parts.extend(marks.iter().filter(|(is, _)| *is).map(|(_, mark)| (*mark).to_owned()));
    parts.push(format!("{:.2} by {}", join.confidence, join.class));
    parts.join(" \u{b7} ")
}

fn spans(text: &mut String, trace: &Trace, start: i64, total: i64, width: usize) {
    let parents: HashMap<&str, Option<&str>> = trace
        .spans
        .iter()
        .map(|span| (span.span_id.as_str(), span.parent_span_id.as_deref()))
        .collect();
    let depth = |span: &Span| {
        let mut above = span.parent_span_id.as_deref();
        let mut depth = 0;
        // Parents that go in a circle end here as well.
        while let Some(parent) = above.and_then(|id| parents.get(id))
            && depth < 12
        {
            depth += 1;
            above = *parent;
        }
        depth
    };
    let label = width / 2;
    for span in trace.spans.iter().take(SPANS_MAX) {
        let indent = "  ".repeat(depth(span) + 1);
        let name = format!("{indent}{} {}", clean(&span.service), clean(&span.name));
        let name = format!("{:label$}", cut(&name, label));
        let name = if span.error { name.red().to_string() } else { name };
        let from = span.start_time_unix_nano.parse::<i64>().unwrap_or(start);
        let drawn = bar(from.saturating_sub(start), span.duration_nano, total, width - label - 10);
        let took = span.duration_nano.map_or_else(|| "open".to_owned(), show_duration);
        let _ = writeln!(text, "{name}{took:>9} {}", drawn.cyan());
    }
    if let Some(more) = trace.spans.len().checked_sub(SPANS_MAX).filter(|more| *more > 0) {
        let _ = writeln!(text, "  ... and {more} more spans");
    }
}
