//! `throughline logs ID`: what programs wrote down while they worked for a trace.

use std::fmt::Write as _;

use owo_colors::OwoColorize;
use serde::Deserialize;
use serde_json::Value;
use throughline_model::TraceId;

use crate::bytes_and_times::show_time;
use crate::cli::TraceCommand;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal::{clean, print, print_json};

#[derive(Debug, Deserialize)]
struct TraceLogs {
    records: Vec<LogRecord>,
    total: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord {
    time_unix_nano: String,
    service: String,
    severity: String,
    event_name: String,
    body: Value,
}

/// Prints the log records of a trace, in the order of time.
pub(crate) fn run(command: &TraceCommand) -> Result<(), Failure> {
    let id = TraceId::parse(&command.id).map_err(|err| Failure::Usage(err.to_string()))?;
    let client = Client::new(&command.asking.url);
    let path = format!("traces/{id}/logs");
    if command.asking.json {
        return print_json(&client.ask(&path, &[])?);
    }
    let logs: TraceLogs = client.ask_for(&path, &[])?;
    print(&render(&logs))
}

fn render(logs: &TraceLogs) -> String {
    let services = logs.records.iter().map(|record| clean(&record.service).chars().count());
    let width = services.max().unwrap_or_default();
    let mut text = String::new();
    for record in &logs.records {
        let time = show_time(record.time_unix_nano.parse().unwrap_or_default());
        let service = clean(&record.service);
        let severity = match record.severity.as_str() {
            "unspecified" => String::new(),
            word => format!("{word:<5}").to_uppercase(),
        };
        let severity = match record.severity.as_str() {
            "error" | "fatal" => severity.red().to_string(),
            "warn" => severity.yellow().to_string(),
            _ => format!("{severity:<5}").dimmed().to_string(),
        };
        let said = match &record.body {
            Value::Null => record.event_name.clone(),
            Value::String(said) => said.clone(),
            other => other.to_string(),
        };
        // A text of several lines stays one record: its lines are moved under the first.
        let indent = " ".repeat(4);
        for (number, line) in said.lines().enumerate() {
            let line = clean(&line.replace('\t', "  "));
            let _ = match number {
                0 => writeln!(text, "{}  {severity}  {service:<width$}  {line}", time.dimmed()),
                _ => writeln!(text, "{indent}{line}"),
            };
        }
    }
    if logs.records.is_empty() {
        text.push_str("no log record of this trace was sent; logs come by OTLP: POST /v1/logs\n");
    }
    if logs.total > logs.records.len() {
        let _ = writeln!(text, "\u{2026} and {} more", logs.total - logs.records.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_lines_and_harmless() {
        let record = |severity: &str, body: Value| LogRecord {
            time_unix_nano: "1795248014392000000".to_owned(),
            service: "shop".to_owned(),
            severity: severity.to_owned(),
            event_name: "order.failed".to_owned(),
            body,
        };
        let logs = TraceLogs {
            records: vec![
                record("warn", "low on sugar\nat shelf 3".into()),
                record("unspecified", Value::Null),
                record("info", serde_json::json!({"left": 2})),
                record("info", "\u{1b}[2Jgone".into()),
            ],
            total: 9,
        };
        let text = render(&logs);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("shop  low on sugar"), "{text}");
        assert_eq!(lines[1], "    at shelf 3");
        assert!(lines[2].ends_with("shop  order.failed"), "{text}");
        assert!(lines[3].ends_with("shop  {\"left\":2}"), "{text}");
        assert!(!lines[4].contains("[2Jgone") || !lines[4].contains("\u{1b}[2J"), "{text}");
        assert_eq!(lines[5], "\u{2026} and 5 more");
        let nothing = render(&TraceLogs { records: Vec::new(), total: 0 });
        assert!(nothing.starts_with("no log record"), "{nothing}");
    }
}
