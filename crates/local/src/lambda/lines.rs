//! The lines of functions as log records, so that a trace shows what its functions said.
//!
//! In:   lines, each with the call in which it was said.
//! Out:  `POST {throughline}/v1/logs`, OTLP/JSON; the call stands in `faas.invocation_id`, which its span has too.
//! Rule: OTLP specification, "JSON Protobuf Encoding"; semantic conventions, FaaS and AWS logs.

use serde_json::{Value, json};

use super::courier::Parcel;

/// Longer lines are cut; CloudWatch Logs has the whole.
const TEXT_BYTES_MAX: usize = 32_768;

/// A line that a function said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) time_unix_nano: i64,
    /// The call.
    pub(crate) request_id: String,
    pub(crate) function_name: String,
    pub(crate) group: String,
    pub(crate) stream: String,
    /// The line with its line feed.
    pub(crate) text: String,
    /// Whether Lambda said it, of a call that failed.
    pub(crate) is_failure: bool,
}

impl Line {
    /// As much of a line as is kept.
    pub(crate) fn cut(text: &str) -> String {
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        text.get(..end).unwrap_or_default().to_owned()
    }
}

impl Parcel for Line {
    /// With [`TEXT_BYTES_MAX`], 32 MB at most.
    const QUEUE_MAX: usize = 1024;
    const PATH: &'static str = "/v1/logs";
    const LOST: &'static str = "the lines of functions are not taken; traces show no logs";

    fn body(batch: &[Self]) -> Value {
        // Lines of one stream come in runs; a run is one resource.
        let runs = batch.chunk_by(|a, b| (&a.group, &a.stream) == (&b.group, &b.stream));
        let resources: Vec<Value> = runs.filter_map(resource).collect();
        json!({ "resourceLogs": resources })
    }
}

fn resource(run: &[Line]) -> Option<Value> {
    let first = run.first()?;
    let records: Vec<Value> = run.iter().map(record).collect();
    Some(json!({
        "resource": { "attributes": [
            text("service.name", &first.function_name),
            text("faas.name", &first.function_name),
            list("aws.log.group.names", &first.group),
            list("aws.log.stream.names", &first.stream),
        ] },
        "scopeLogs": [{ "scope": { "name": "aws.lambda" }, "logRecords": records }],
    }))
}

fn record(line: &Line) -> Value {
    let (level, said) = read(&line.text, &line.request_id);
    let level = if line.is_failure { Some("ERROR") } else { level };
    let number = match level {
        Some("TRACE") => 1,
        Some("DEBUG") => 5,
        Some("INFO") => 9,
        Some("WARN" | "WARNING") => 13,
        Some("ERROR") => 17,
        Some("FATAL" | "CRITICAL") => 21,
        _ => 0,
    };
    json!({
        "timeUnixNano": line.time_unix_nano.to_string(),
        "observedTimeUnixNano": line.time_unix_nano.to_string(),
        "severityNumber": number,
        "severityText": level.unwrap_or_default(),
        "body": { "stringValue": said },
        "attributes": [text("faas.invocation_id", &line.request_id)],
    })
}

/// The level that a runtime wrote before the message, and the message.
///
/// **Rule:** AWS Lambda developer guide, logging: Node writes time, request id, level and message with tabs between,
/// Python's logger the level in brackets, time, request id and message.
fn read<'a>(line: &'a str, request_id: &str) -> (Option<&'a str>, &'a str) {
    let line = line.trim_end_matches(['\n', '\r']);
    let fields: Vec<&str> = line.splitn(4, '\t').collect();
    match fields[..] {
        [_, id, level, said] if id == request_id => (Some(level), said),
        [level, _, id, said] if id == request_id => {
            (level.strip_prefix('[').and_then(|level| level.strip_suffix(']')), said)
        }
        _ => (None, line),
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn list(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "arrayValue": { "values": [{ "stringValue": value }] } } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stream: &str, text: &str) -> Line {
        Line {
            time_unix_nano: 5,
            request_id: "r-1".to_owned(),
            function_name: "f".to_owned(),
            group: "/aws/lambda/f".to_owned(),
            stream: stream.to_owned(),
            text: text.to_owned(),
            is_failure: false,
        }
    }

    #[test]
    fn the_level_is_told_from_what_was_said() {
        for (text, expected) in [
            (
                "2026-11-21T10:00:00.000Z\tr-1\tWARN\tlow on\tsugar\n",
                (Some("WARN"), "low on\tsugar"),
            ),
            ("[ERROR]\t2026-11-21T10:00:00.000Z\tr-1\tboom\n", (Some("ERROR"), "boom")),
            (
                "2026-11-21T10:00:00.000Z\tr-2\tWARN\tof another\n",
                (None, "2026-11-21T10:00:00.000Z\tr-2\tWARN\tof another"),
            ),
            ("plain\r\n", (None, "plain")),
            ("two\nlines\n", (None, "two\nlines")),
            ("", (None, "")),
        ] {
            assert_eq!(read(text, "r-1"), expected, "{text:?}");
        }
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(Line::cut("short\n"), "short\n");
        let cut = Line::cut(&"\u{e9}".repeat(40_000));
        assert_eq!(cut.len(), TEXT_BYTES_MAX);
        let cut = Line::cut(&format!("x{}", "\u{e9}".repeat(40_000)));
        assert_eq!(cut.len(), TEXT_BYTES_MAX - 1);
    }

    #[test]
    fn lines_of_one_stream_share_a_resource() {
        let failed = Line { is_failure: true, ..line("b", "r-1 Task timed out\n") };
        let body = Line::body(&[line("a", "one\n"), line("a", "two\n"), failed]);
        let said =
            |resource: usize| body["resourceLogs"][resource]["scopeLogs"][0]["logRecords"].clone();
        assert_eq!(body["resourceLogs"].as_array().unwrap().len(), 2);
        assert_eq!(said(0).as_array().unwrap().len(), 2);
        assert_eq!(said(0)[1]["body"]["stringValue"], "two");
        assert_eq!(said(0)[1]["attributes"][0]["value"]["stringValue"], "r-1");
        assert_eq!(said(1)[0]["severityNumber"], 17);
        assert_eq!(
            body["resourceLogs"][1]["resource"]["attributes"][0]["value"]["stringValue"],
            "f"
        );
    }
}
