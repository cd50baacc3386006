//! `throughline journeys ['QUERY']`.

use std::fmt::Write as _;

use owo_colors::OwoColorize;
use serde::Deserialize;

use crate::bytes_and_times::{show_duration, show_time};
use crate::cli::JourneysCommand;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal::{Align, clean, print, print_json, table};

#[derive(Debug, Deserialize)]
struct Answer {
    journeys: Vec<Summary>,
    truncated: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    trace_id: String,
    traces: usize,
    services: Vec<String>,
    root_service: String,
    root_name: String,
    start_time_unix_nano: String,
    duration_nano: i64,
    work_nano: i64,
    wait_nano: i64,
    error_count: usize,
    carriers: Vec<String>,
    weakest_class: Option<String>,
    weakest_confidence: Option<f64>,
    attempts: u32,
}

/// Prints a table of journeys.
pub(crate) fn run(command: &JourneysCommand) -> Result<(), Failure> {
    let client = Client::new(&command.asking.url);
    let limit = command.limit.to_string();
    let [duration, wait] =
        [command.min_duration, command.min_wait].map(|nanos| nanos.unwrap_or(0).to_string());
    let window = &command.window;
    let mut params = vec![
        ("q", command.query.as_str()),
        ("from", &window.from),
        ("to", &window.to),
        ("minDurationNano", &duration),
        ("minWaitNano", &wait),
        ("limit", &limit),
    ];
    if let Some(environment) = &command.environment {
        params.push(("environment", environment));
    }
    let body = client.ask("journeys", &params)?;
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|err| Failure::Server(format!("the server's answer cannot be read: {err}")))?;
    if command.asking.json {
        print_json(&body)?;
    }
    if answer.journeys.is_empty() {
        let text = format!(
            "no journey of several traces matches from {} to {}; `throughline search` finds single \
             traces",
            window.from, window.to
        );
        return Err(Failure::Nothing(text));
    }
    if command.asking.json { Ok(()) } else { print(&render(&answer)) }
}

fn render(answer: &Answer) -> String {
    let rows: Vec<Vec<String>> = answer.journeys.iter().map(row).collect();
    let mut text = table(
        &[
            ("START", Align::Left),
            ("BEGAN WITH TRACE", Align::Left),
            ("TOTAL", Align::Right),
            ("WORK", Align::Right),
            ("WAIT", Align::Right),
            ("TRACES", Align::Right),
            ("ERRORS", Align::Right),
            ("OVER", Align::Left),
            ("SURE", Align::Left),
            ("JOURNEY", Align::Left),
        ],
        &rows,
    );
    if answer.truncated {
        let more = "there may be more; raise --limit or narrow the time or the query";
        let _ = writeln!(text, "{}", more.dimmed());
    }
    text
}

fn row(journey: &Summary) -> Vec<String> {
    let start = journey.start_time_unix_nano.parse().unwrap_or_default();
    let others = journey.services.iter().filter(|service| **service != journey.root_service);
    let ways: String = others.fold(String::new(), |ways, service| ways + " > " + service);
    let mut told = clean(&format!("{}: {}{ways}", journey.root_service, journey.root_name));
    if journey.attempts > 1 {
        told += &format!("  attempt {}", journey.attempts).yellow().to_string();
    }
    let sure = match (&journey.weakest_class, journey.weakest_confidence) {
        (Some(class), Some(confidence)) => format!("{confidence:.2} {}", clean(class)),
        _ => String::new(),
    };
    vec![
        show_time(start),
        journey.trace_id.clone(),
        show_duration(journey.duration_nano),
        show_duration(journey.work_nano),
        show_duration(journey.wait_nano),
        journey.traces.to_string(),
        journey.error_count.to_string(),
        clean(&journey.carriers.join(", ")),
        sure,
        told,
    ]
}
