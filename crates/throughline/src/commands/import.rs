//! `throughline import FILE...`: reads recorded spans and sends them to a running server.

use std::borrow::Cow;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use throughline_model::{SpanBatch, SpanBatchBuilder};
use throughline_wire::{otlp, xray};

use crate::cli::ImportCommand;
use crate::client::Client;
use crate::failure::Failure;
use crate::rewrite::{FreshIds, Rewrite, latest_end, rewrite};
use crate::terminal::print;

/// Spans of one request: large enough to be quick, far below the server's limit.
const SPANS_PER_REQUEST: usize = 2_000;

/// How often a busy server is asked again, a second apart.
const TRIES_MAX: usize = 60;

#[derive(Debug, Default)]
struct Counts {
    files: u64,
    requests: u64,
    spans: u64,
    rejected: u64,
    message: String,
}

/// Sends files.
pub(crate) fn run(command: &ImportCommand) -> Result<(), Failure> {
    let change = Rewrite {
        shift_nano: if command.shift_to_now { shift_to_now(command)? } else { 0 },
        fresh: command.fresh_ids.then(|| FreshIds::new(RandomState::new().hash_one("fresh ids"))),
    };
    let client = Client::new(&command.asking.url);
    let mut builder = SpanBatchBuilder::default();
    let mut counts = Counts::default();
    let mut progress = Progress::default();
    for path in &command.files {
        counts.files += 1;
        each_batch(path, &mut |batch, rejected, message| {
            counts.rejected += rejected;
            note(&mut counts.message, message);
            for first in (0..batch.len()).step_by(SPANS_PER_REQUEST) {
                let rows = first..(first + SPANS_PER_REQUEST).min(batch.len());
                let spans = rows.len() as u64;
                let whole = rows.len() == batch.len() && change.changes_nothing();
                let body = if whole {
                    otlp::encode_protobuf(batch)
                } else {
                    otlp::encode_protobuf(&rewrite(batch, rows, &change, &mut builder))
                };
                let (rejected, message) = send(&client, &body)?;
                counts.requests += 1;
                counts.spans += spans.saturating_sub(rejected);
                counts.rejected += rejected;
                note(&mut counts.message, &message);
                progress.show(&counts);
            }
            Ok(())
        })?;
    }
    progress.clear();
    if command.asking.json {
        let Counts { files, requests, spans, rejected, message } = &counts;
        let line = serde_json::json!({
            "files": files, "requests": requests, "spans": spans, "rejected": rejected,
            "message": message,
        });
        print(&format!("{line}\n"))?;
    } else {
        let mut text = format!("{} spans from {} files", counts.spans, counts.files);
        if counts.rejected > 0 || !counts.message.is_empty() {
            text += &format!(", {} rejected: {}", counts.rejected, counts.message);
        }
        print(&format!("{text}\n"))?;
    }
    match counts.spans {
        0 => Err(Failure::Nothing("no span was imported".to_owned())),
        _ => Ok(()),
    }
}

fn note(message: &mut String, new: &str) {
    if message.is_empty() {
        message.push_str(new);
    }
}

/// How far to move times so that the newest span of all files ends now.
fn shift_to_now(command: &ImportCommand) -> Result<i64, Failure> {
    let mut latest = None;
    for path in &command.files {
        each_batch(path, &mut |batch, _, _| {
            latest = latest.max(latest_end(batch));
            Ok(())
        })?;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
    Ok(latest.map_or(0, |latest| now.saturating_sub(latest)))
}

type Take<'a> = dyn FnMut(&SpanBatch, u64, &str) -> Result<(), Failure> + 'a;

/// Reads every export request of a file.
fn each_batch(path: &Path, take: &mut Take<'_>) -> Result<(), Failure> {
    let unreadable = |err: &dyn std::fmt::Display| {
        Failure::Usage(format!("cannot read {}: {err}", path.display()))
    };
    let mut builder = SpanBatchBuilder::default();
    let mut reader = open(path).map_err(|err| unreadable(&err))?;
    let is_json = starts_as_json(&mut reader).map_err(|err| unreadable(&err))?;
    if !is_json {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|err| unreadable(&err))?;
        let decoded =
            otlp::decode_protobuf(&bytes, &mut builder).map_err(|err| unreadable(&err))?;
        return take(&decoded.batch, decoded.rejected.total(), &decoded.rejected.to_string());
    }
    // One document, lines of documents, or documents in a row: all the same to this reader.
    let requests = serde_json::Deserializer::from_reader(reader).into_iter::<Box<RawValue>>();
    for request in requests {
        let request = request.map_err(|err| unreadable(&err))?;
        if let Some(documents) = xray_documents(request.get()) {
            let (batch, rejected, message) = decode_xray(&documents, &mut builder);
            take(&batch, rejected, &message)?;
            continue;
        }
        let decoded = otlp::decode_json(request.get().as_bytes(), &mut builder)
            .map_err(|err| unreadable(&err))?;
        take(&decoded.batch, decoded.rejected.total(), &decoded.rejected.to_string())?;
    }
    Ok(())
}

/// The X-Ray documents of a JSON text; `None` when it is an OTLP request.
///
/// A document has `trace_id` where OTLP has `resourceSpans`; an array is one of documents. What
/// `aws xray batch-get-traces` prints holds documents as text.
fn xray_documents(text: &str) -> Option<Vec<Cow<'_, str>>> {
    #[derive(Deserialize)]
    struct Shape<'a> {
        trace_id: Option<IgnoredAny>,
        #[serde(borrow, rename = "Traces")]
        traces: Option<Vec<Trace<'a>>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Trace<'a> {
        #[serde(borrow)]
        segments: Vec<Segment<'a>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Segment<'a> {
        #[serde(borrow)]
        document: Cow<'a, str>,
    }
    if text.trim_start().starts_with('[') {
        return Some(vec![text.into()]);
    }
    let shape: Shape<'_> = serde_json::from_str(text).ok()?;
    if shape.trace_id.is_some() {
        return Some(vec![text.into()]);
    }
    let segments = shape.traces?.into_iter().flat_map(|trace| trace.segments);
    Some(segments.map(|segment| segment.document).collect())
}

fn decode_xray(
    documents: &[Cow<'_, str>],
    builder: &mut SpanBatchBuilder,
) -> (SpanBatch, u64, String) {
    let (mut rejected, mut message) = (0, String::new());
    for document in documents {
        let outcome = xray::decode(document.as_bytes(), &xray::Options::default(), builder);
        rejected += outcome.rejected_spans();
        if let Some(first) = outcome.rejected.first() {
            note(&mut message, &first.reason);
        }
    }
    (builder.finish(), rejected, message)
}

fn open(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let gzipped = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    if !gzipped {
        return Ok(Box::new(file));
    }
    let inflated = flate2::bufread::MultiGzDecoder::new(file);
    Ok(Box::new(BufReader::with_capacity(1 << 20, inflated)))
}

fn starts_as_json(reader: &mut dyn BufRead) -> std::io::Result<bool> {
    let start = reader.fill_buf()?;
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    // A protobuf request begins with 0x0a, which JSON reads as white space, and its length may be
    // that of a brace; but no text has the control bytes that follow then.
    let binary = start.iter().any(|byte| *byte < b' ' && !byte.is_ascii_whitespace());
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(!binary && matches!(first, Some(b'{' | b'[')))
}

fn send(client: &Client, body: &[u8]) -> Result<(u64, String), Failure> {
    for _ in 0..TRIES_MAX {
        let answer = client.send_spans(body)?;
        match answer.status {
            200 => return Ok(partial_success(&answer.body)),
            429 | 503 => std::thread::sleep(Duration::from_secs(1)),
            status => {
                let text = String::from_utf8_lossy(&answer.body);
                return Err(Failure::Server(format!("the server answered {status}: {text}")));
            }
        }
    }
    Err(Failure::Server("the server stays busy".to_owned()))
}

/// The rejected spans and the message of an `ExportTraceServiceResponse`.
///
/// **Rule:** opentelemetry-proto, `trace_service.proto`: field 1 holds 1 `rejected_spans` and
/// 2 `error_message`. What cannot be read is taken as full success.
fn partial_success(response: &[u8]) -> (u64, String) {
    let (mut rejected, mut message) = (0, String::new());
    let Some((0x0a, mut rest)) = response.split_first() else { return (0, message) };
    let _ = varint(&mut rest);
    while let Some((tag, after)) = rest.split_first() {
        rest = after;
        let Some(number) = varint(&mut rest) else { break };
        match tag {
            0x08 => rejected = number,
            0x12 => {
                let length = usize::try_from(number).unwrap_or(usize::MAX);
                let Some((text, after)) = rest.split_at_checked(length) else { break };
                message = String::from_utf8_lossy(text).into_owned();
                rest = after;
            }
            _ => break,
        }
    }
    (rejected, message)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (shift * 7).min(63);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A line on stderr that says how far we are, when someone watches.
#[derive(Debug, Default)]
struct Progress {
    shown: Option<Instant>,
}

impl Progress {
    fn show(&mut self, counts: &Counts) {
        let recently = self.shown.is_some_and(|shown| shown.elapsed() < Duration::from_millis(200));
        if recently || !std::io::stderr().is_terminal() {
            return;
        }
        self.shown = Some(Instant::now());
        let _ = write!(std::io::stderr(), "\r{} spans sent, file {}", counts.spans, counts.files);
    }

    fn clear(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_answer_is_read() {
        assert_eq!(partial_success(&otlp::response_protobuf(0, "")), (0, String::new()));
        for (rejected, message) in [(3, "bad"), (300, ""), (0, "odd")] {
            let response = otlp::response_protobuf(rejected, message);
            assert_eq!(partial_success(&response), (rejected, message.to_owned()));
            for end in 0..response.len() {
                let _ = partial_success(&response[..end]);
            }
        }
    }

    #[test]
    fn documents_of_xray_are_told_from_requests_of_otlp() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let documents = xray_documents(text);
            assert_eq!(documents.is_some(), expected.is_some(), "{text}");
            assert_eq!(documents.unwrap_or_default(), expected.unwrap_or_default(), "{text}");
        };
        check(r#"{"resourceSpans":[]}"#, None);
        check("{}", None);
        check(r#"{"trace_id":"1-2-3"}"#, Some(&[r#"{"trace_id":"1-2-3"}"#]));
        check("[1]", Some(&["[1]"]));
        let printed =
            r#"{"Traces":[{"Segments":[{"Id":"a","Document":"{\"a\":1}"}]},{"Segments":[]}]}"#;
        check(printed, Some(&[r#"{"a":1}"#]));
    }

    #[test]
    fn json_is_told_from_protobuf() {
        let check = |bytes: &[u8], json: bool| {
            assert_eq!(starts_as_json(&mut &bytes[..]).unwrap(), json, "{bytes:?}");
        };
        check(b"{\"resourceSpans\":[]}", true);
        check(b"\n  {}", true);
        check(b"[{}]", true);
        check(b"\xef\xbb\xbf{}", true);
        check(b"\x0a\x05hello", false);
        check(b"\x0a{\x0a\x10", false);
        check(b"", false);
    }
}
