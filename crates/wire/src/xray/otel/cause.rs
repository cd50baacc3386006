//! `cause` of a document, from the span's events or its status.
//!
//! Rule: `awsxrayexporter`, `cause.go`; OpenTelemetry semantic conventions, exceptions on spans.

use serde_json::{Value, json};
use throughline_model::{EventRef, SpanId, StatusCode};

use super::stack::{self, Frame, Thrown};
use super::values::Values;
use super::{Said, name};
use crate::xray::parts::{Object, put};

/// How many exceptions, causes included, one document holds. Spans keep up to 10 000 events.
const EXCEPTIONS_MAX: usize = 100;

const FAILED_TRY: &str = "HTTP request failure";

pub(super) fn write(said: &mut Said<'_>, document: &mut Object) {
    let language = said.resource.text("telemetry.sdk.language").unwrap_or_default();
    let is_aws_call = name::namespace(said) == Some("aws");
    let mut exceptions =
        Exceptions { span_id: said.span.span_id(), remote: said.is_call(), list: Vec::new() };
    for event in said.span.events() {
        if exceptions.list.len() >= EXCEPTIONS_MAX {
            break;
        }
        match event.name() {
            "exception" => exceptions.push(thrown(event, language)),
            FAILED_TRY if is_aws_call => exceptions.push(failed_try(event)),
            _ => {}
        }
    }
    let message = said.span.status_message();
    let failed = said.span.status() == StatusCode::Error;
    if exceptions.list.is_empty() && failed && !message.is_empty() {
        let message = message.to_owned();
        exceptions.push(vec![Thrown { message, ..Thrown::default() }]);
    }
    if !exceptions.list.is_empty() {
        put(document, &["cause", "exceptions"], Value::Array(exceptions.list));
    }
}

/// What one event says was thrown, and what caused it.
fn thrown(event: EventRef<'_>, language: &str) -> Vec<Thrown> {
    let values = Values::new(event.attributes());
    let text = |key: &str| values.text(key).unwrap_or_default().to_owned();
    let mut chain = stack::parse(&text("exception.stacktrace"), language);
    // The first is what the event itself names; the text only adds to it.
    if let Some(first) = chain.first_mut() {
        (first.kind, first.message) = (text("exception.type"), text("exception.message"));
    }
    chain
}

/// A try of an AWS SDK that failed, told apart by code, time and message.
fn failed_try(event: EventRef<'_>) -> Vec<Thrown> {
    let mut values = Values::new(event.attributes());
    let code = values.take_scalar(&["http.response.status_code", "http.status_code"]);
    let message = values.take_text(&["aws.http.error_message"]).unwrap_or_default();
    let micros = event.time_unix_nano().div_euclid(1_000);
    let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let message = format!("{}@{seconds}.{micros:06}@{message}", code.unwrap_or_default());
    let kind = "aws.http.error.event".to_owned();
    vec![Thrown { kind, message, frames: Vec::new() }]
}

struct Exceptions {
    span_id: SpanId,
    remote: bool,
    list: Vec<Value>,
}

impl Exceptions {
    /// Adds a chain, each the cause of the one before it.
    fn push(&mut self, chain: Vec<Thrown>) {
        let room = EXCEPTIONS_MAX.saturating_sub(self.list.len());
        let last = chain.len().min(room).saturating_sub(1);
        for (at, thrown) in chain.into_iter().take(room).enumerate() {
            let mut exception = Object::new();
            exception.insert("id".to_owned(), self.id(self.list.len()).into());
            for (key, text) in [("type", thrown.kind), ("message", thrown.message)] {
                if !text.is_empty() {
                    exception.insert(key.to_owned(), text.into());
                }
            }
            if self.remote {
                exception.insert("remote".to_owned(), true.into());
            }
            if !thrown.frames.is_empty() {
                let frames = thrown.frames.into_iter().map(frame).collect();
                exception.insert("stack".to_owned(), Value::Array(frames));
            }
            if at < last {
                exception.insert("cause".to_owned(), self.id(self.list.len() + 1).into());
            }
            self.list.push(Value::Object(exception));
        }
    }

    /// An id that is the same whenever the document is written: the span's id and the place in the
    /// list, mixed so that it does not meet the id of another span.
    fn id(&self, place: usize) -> String {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in self.span_id.0.into_iter().chain((place as u64 + 1).to_be_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        format!("{:016x}", hash.max(1))
    }
}

fn frame(frame: Frame) -> Value {
    let Frame { path, line, label } = frame;
    json!({"path": path, "line": line, "label": label})
}
