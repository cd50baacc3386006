//! `throughline doctor`: why traces are cut in two, and what to change.

use std::fmt::Write as _;

use owo_colors::OwoColorize;
use serde::Deserialize;

use crate::cli::MapCommand;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal::{clean, print, print_json};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    findings: Vec<Finding>,
    looked_at: LookedAt,
    truncated: bool,
}

#[derive(Debug, Deserialize)]
struct LookedAt {
    traces: usize,
    spans: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    kind: String,
    severity: String,
    title: String,
    why: String,
    unknown: String,
    seen: Vec<Pair>,
    count: usize,
    good: usize,
    fix: Vec<Fix>,
    state: String,
}

#[derive(Debug, Deserialize)]
struct Pair {
    from: Option<Sight>,
    to: Option<Sight>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sight {
    trace_id: String,
    span_id: String,
    service: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Fix {
    service: Option<String>,
    language: String,
    text: String,
    code: String,
}

/// Prints what was found.
pub(crate) fn run(command: &MapCommand) -> Result<(), Failure> {
    let client = Client::new(&command.asking.url);
    let mut params =
        vec![("from", command.window.from.as_str()), ("to", command.window.to.as_str())];
    if let Some(environment) = &command.environment {
        params.push(("environment", environment));
    }
    let body = client.ask("doctor", &params)?;
    if command.asking.json {
        return print_json(&body);
    }
    let report: Report = serde_json::from_slice(&body)
        .map_err(|err| Failure::Server(format!("the server's answer cannot be read: {err}")))?;
    print(&render(&report))
}

fn render(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let title = clean(&finding.title);
        let mark = match (finding.state.as_str(), finding.severity.as_str()) {
            ("healed", _) => "healed".green().to_string(),
            (_, "lost") => "lost".red().bold().to_string(),
            (_, "partial") => "partial".yellow().to_string(),
            (_, other) => other.dimmed().to_string(),
        };
        let _ = writeln!(text, "{mark}  {}", title.bold());
        let _ = writeln!(
            text,
            "  {} cases, {} that kept their context; {}",
            finding.count,
            finding.good,
            finding.kind.dimmed()
        );
        let _ = writeln!(text, "  {}", clean(&finding.why));
        for pair in &finding.seen {
            let side = |sight: &Option<Sight>| {
                sight.as_ref().map_or_else(
                    || "not held".to_owned(),
                    |at| {
                        let (service, name) = (clean(&at.service), clean(&at.name));
                        format!("{service} {name} ({}/{})", at.trace_id, at.span_id)
                    },
                )
            };
            let _ = writeln!(text, "    {} -> {}", side(&pair.from), side(&pair.to));
        }
        for fix in &finding.fix {
            let service = fix.service.as_deref().map(clean).unwrap_or_default();
            let _ = writeln!(text, "  {} {} {}", "fix".green(), service.bold(), clean(&fix.text));
            let _ = writeln!(text, "    {}", fix.language.dimmed());
            for line in fix.code.lines() {
                let _ = writeln!(text, "      {}", clean(line).cyan());
            }
        }
        if !finding.unknown.is_empty() {
            let _ = writeln!(text, "  {} {}", "?".yellow(), clean(&finding.unknown));
        }
        let _ = writeln!(text);
    }
    let looked = &report.looked_at;
    let _ = writeln!(
        text,
        "{} findings in {} traces, {} spans{}",
        report.findings.len(),
        looked.traces,
        looked.spans,
        if report.truncated { "; a limit left some out" } else { "" },
    );
    text
}
