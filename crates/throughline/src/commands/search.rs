//! `throughline search`.

use std::fmt::Write as _;

use owo_colors::OwoColorize;
use serde::Deserialize;

use crate::bytes_and_times::{show_duration, show_time};
use crate::cli::SearchCommand;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal::{Align, clean, print, print_json, table};

#[derive(Debug, Deserialize)]
pub(crate) struct SearchAnswer {
    pub(crate) traces: Vec<TraceSummary>,
    pub(crate) truncated: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TraceSummary {
    pub(crate) trace_id: String,
    root_service: String,
    root_name: String,
    start_time_unix_nano: String,
    duration_nano: i64,
    span_count: u64,
    error_count: u64,
    failing: Option<Failing>,
}

#[derive(Debug, Deserialize)]
struct Failing {
    service: String,
    name: String,
    message: String,
}

/// Prints a table of traces.
pub(crate) fn run(command: &SearchCommand) -> Result<(), Failure> {
    let client = Client::new(&command.asking.url);
    let limit = command.limit.to_string();
    let mut params = vec![
        ("q", command.xray.as_deref().unwrap_or(&command.query)),
        ("from", &command.window.from),
        ("to", &command.window.to),
        ("limit", &limit),
    ];
    if command.xray.is_some() {
        params.push(("language", "xray"));
    }
    if let Some(environment) = &command.environment {
        params.push(("environment", environment));
    }
    let body = client.ask("search", &params)?;
    let answer: SearchAnswer = serde_json::from_slice(&body)
        .map_err(|err| Failure::Server(format!("the server's answer cannot be read: {err}")))?;
    if command.asking.json {
        print_json(&body)?;
    }
    if answer.traces.is_empty() {
        let window = &command.window;
        let text = format!("no trace matches from {} to {}", window.from, window.to);
        return Err(Failure::Nothing(text));
    }
    if command.asking.json { Ok(()) } else { print(&render(&answer)) }
}

fn render(answer: &SearchAnswer) -> String {
    let rows: Vec<Vec<String>> = answer.traces.iter().map(row).collect();
    let mut text = table(
        &[
            ("START", Align::Left),
            ("TRACE", Align::Left),
            ("DURATION", Align::Right),
            ("SPANS", Align::Right),
            ("ERRORS", Align::Right),
            ("ROOT", Align::Left),
        ],
        &rows,
    );
    if answer.truncated {
        let _ = writeln!(text, "{}", "more traces match; raise --limit to see them".dimmed());
    }
    text
}

fn row(trace: &TraceSummary) -> Vec<String> {
    let start = trace.start_time_unix_nano.parse().unwrap_or_default();
    let root = clean(&format!("{}: {}", trace.root_service, trace.root_name));
    let failing = trace.failing.as_ref().map(|failing| {
        let text = match failing.message.as_str() {
            "" => format!("{}: {}", failing.service, failing.name),
            message => format!("{}: {}: {message}", failing.service, failing.name),
        };
        format!("  {}", clean(&text).red())
    });
    vec![
        show_time(start),
        trace.trace_id.clone(),
        show_duration(trace.duration_nano),
        trace.span_count.to_string(),
        trace.error_count.to_string(),
        root + &failing.unwrap_or_default(),
    ]
}
