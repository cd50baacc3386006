//! `throughline trace ID`: a waterfall in the terminal.

use std::collections::HashMap;
use std::fmt::Write as _;

use owo_colors::{AnsiColors, OwoColorize};
use serde::Deserialize;
use throughline_model::{SpanBatch, SpanBatchBuilder, SpanId, SpanRef, TraceId};
use throughline_wire::otlp;

use crate::bytes_and_times::{show_duration, show_time};
use crate::cli::TraceCommand;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal::{clean, cut, print, print_json, width};

/// The columns that we draw; the server lays the trace out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TraceView {
    trace_id: String,
    start_unix_nano: String,
    duration_nano: i64,
    span_count: usize,
    error_count: usize,
    services: Vec<String>,
    names: Vec<String>,
    spans: Columns,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Columns {
    span_id: Vec<String>,
    parent: Vec<i64>,
    missing_parent: Vec<String>,
    service: Vec<usize>,
    name: Vec<usize>,
    kind: Vec<u8>,
    status: Vec<u8>,
    start: Vec<i64>,
    duration: Vec<Option<i64>>,
    status_message: Vec<String>,
}

const ERROR: u8 = 2;
const COLOURS: [AnsiColors; 6] = [
    AnsiColors::Cyan,
    AnsiColors::Green,
    AnsiColors::Yellow,
    AnsiColors::Blue,
    AnsiColors::Magenta,
    AnsiColors::BrightBlack,
];

/// Draws a trace.
pub(crate) fn run(command: &TraceCommand) -> Result<(), Failure> {
    let id = TraceId::parse(&command.id).map_err(|err| Failure::Usage(err.to_string()))?;
    let client = Client::new(&command.asking.url);
    let body = client.ask(&format!("traces/{id}"), &[])?;
    if command.asking.json {
        return print_json(&body);
    }
    let view: TraceView = client.ask_for(&format!("traces/{id}/view"), &[])?;
    let decoded = otlp::decode_json(&body, &mut SpanBatchBuilder::default())
        .map_err(|err| Failure::Server(format!("the server's answer cannot be read: {err}")))?;
    print(&render(&view, &exceptions(&decoded.batch), width()))
}

/// The exceptions that spans recorded, by span id and kind.
///
/// **Rule:** OpenTelemetry semantic conventions, exceptions on spans: event `exception`.
fn exceptions(batch: &SpanBatch) -> HashMap<(SpanId, u8), Vec<String>> {
    let texts = |span: SpanRef<'_>| -> Vec<String> {
        let exceptions = span.events().filter(|event| event.name() == "exception");
        let text = exceptions.map(|event| {
            let value = |key| event.attributes().value(key).map(|v| v.text().into_owned());
            let (kind, message) = (value("exception.type"), value("exception.message"));
            [kind, message].into_iter().flatten().collect::<Vec<_>>().join(": ")
        });
        text.filter(|text| !text.is_empty()).collect()
    };
    let failed = batch.spans().map(|span| ((span.span_id(), span.kind() as u8), texts(span)));
    failed.filter(|(_, texts)| !texts.is_empty()).collect()
}

fn render(
    view: &TraceView,
    exceptions: &HashMap<(SpanId, u8), Vec<String>>,
    width: usize,
) -> String {
    let spans = &view.spans;
    let depths = depths(&spans.parent);
    let label_width = width / 2;
    let bar_width = width - label_width - 10;
    let mut text = String::new();
    let start = view.start_unix_nano.parse().unwrap_or_default();
    let errors = match view.error_count {
        0 => String::new(),
        count => format!(", {}", format!("{count} failed").red()),
    };
    let _ = writeln!(
        text,
        "{}  {}  {}  {} spans{errors}",
        view.trace_id.bold(),
        show_time(start),
        show_duration(view.duration_nano),
        view.span_count,
    );
    for row in 0..spans.span_id.len() {
        let service = view.services.get(spans.service[row]).map_or("", String::as_str);
        let name = view.names.get(spans.name[row]).map_or("", String::as_str);
        let failed = spans.status[row] == ERROR;
        // Very deep traces must not push everything out of the window.
        let indent = "  ".repeat(depths[row].min(label_width / 4));
        let gap = if spans.missing_parent[row].is_empty() { "" } else { "? " };
        let mark = if failed { "! " } else { "" };
        let (service, name) = (clean(service), clean(name));
        let room = label_width.saturating_sub(indent.len() + gap.len() + mark.len() + 1);
        let service = cut(&service, room);
        let name = cut(&name, room.saturating_sub(service.chars().count() + 1));
        let used = indent.len()
            + gap.len()
            + mark.len()
            + service.chars().count()
            + 1
            + name.chars().count();
        let padding = " ".repeat(label_width.saturating_sub(used));
        let colour = COLOURS[spans.service[row] % COLOURS.len()];
        let bar = bar(spans.start[row], spans.duration[row], view.duration_nano, bar_width);
        let bar = if failed { bar.red().to_string() } else { bar.color(colour).to_string() };
        let duration = spans.duration[row].map_or_else(|| "open".to_owned(), show_duration);
        let _ = writeln!(
            text,
            "{indent}{}{}{} {name}{padding}{duration:>9} {bar}",
            gap.dimmed(),
            mark.red().bold(),
            service.color(colour),
        );
        let own = SpanId::parse(&spans.span_id[row]).unwrap_or_default();
        let thrown = exceptions.get(&(own, spans.kind[row]));
        let message = Some(&spans.status_message[row]).filter(|m| failed && !m.is_empty());
        for line in message.into_iter().chain(thrown.into_iter().flatten()) {
            let line = cut(&clean(line), width.saturating_sub(indent.len() + 4));
            let _ = writeln!(text, "{indent}    {}", line.red());
        }
    }
    text
}

/// How deep each row hangs. Parents come before children.
fn depths(parents: &[i64]) -> Vec<usize> {
    let mut depths = Vec::with_capacity(parents.len());
    for parent in parents {
        let above = usize::try_from(*parent).ok().and_then(|parent| depths.get(parent));
        depths.push(above.map_or(0, |depth| depth + 1));
    }
    depths
}

/// A bar from `start` for `duration` on a line of `width` characters that is `total` long.
pub(crate) fn bar(start: i64, duration: Option<i64>, total: i64, width: usize) -> String {
    let place = |time: i64| {
        let share = if total > 0 { time as f64 / total as f64 } else { 0.0 };
        ((share * width as f64) as usize).min(width)
    };
    let from = place(start.max(0)).min(width.saturating_sub(1));
    let to = place(start.saturating_add(duration.unwrap_or(0)).max(0));
    let mark = if duration.is_some() { "\u{2588}" } else { "\u{2592}" };
    format!("{}{}", " ".repeat(from), mark.repeat(to.saturating_sub(from).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_on_the_line() {
        assert_eq!(bar(0, Some(100), 100, 4), "\u{2588}".repeat(4));
        assert_eq!(bar(50, Some(25), 100, 4), "  \u{2588}");
        assert_eq!(bar(100, Some(0), 100, 4), "   \u{2588}");
        assert_eq!(bar(0, None, 0, 4), "\u{2592}");
        assert_eq!(bar(-5, Some(i64::MIN), i64::MAX, 4), "\u{2588}");
        assert_eq!(depths(&[-1, 0, 1, 0, -1]), [0, 1, 2, 1, 0]);
    }
}
