//! `cause`: kept whole as JSON text, and what was thrown as `exception` events besides.

use serde_json::Value;
use throughline_model::{AttrValue, SpanBatchBuilder, xray};

use super::parts::Object;

/// How many exceptions of one cause become events. All of them stay in the cause's own text.
const EVENTS_MAX: usize = 100;

/// The attribute of an event with the exception's own id, to which other causes refer.
const EXCEPTION_ID: &str = "xray.exception.id";

/// The cause of a (sub)segment.
pub(super) struct Exceptions {
    cause: Option<Value>,
}

impl Exceptions {
    /// Takes `cause` when it is an id or an object, as X-Ray has it.
    ///
    /// **Rule:** X-Ray developer guide, "X-Ray segment documents", "Errors and exceptions".
    pub(super) fn take(document: &mut Object) -> Self {
        let is_cause = |value: &Value| value.is_string() || value.is_object();
        let cause = document.get("cause").is_some_and(is_cause).then(|| document.remove("cause"));
        Self { cause: cause.flatten() }
    }

    /// The message of the first exception, empty when there is none.
    pub(super) fn first_message(&self) -> &str {
        self.exceptions().next().map_or("", |exception| text(exception, "message"))
    }

    pub(super) fn write_cause(&self, builder: &mut SpanBatchBuilder) {
        if let Some(cause) = &self.cause {
            builder.attribute(xray::CAUSE, AttrValue::Str(&cause.to_string()));
        }
    }

    pub(super) fn write_events(&self, time_unix_nano: i64, builder: &mut SpanBatchBuilder) {
        for exception in self.exceptions().take(EVENTS_MAX) {
            builder.start_event(time_unix_nano, "exception", 0);
            for (key, name) in
                [("type", "exception.type"), ("message", "exception.message"), ("id", EXCEPTION_ID)]
            {
                if let Some(text) = exception.get(key).and_then(Value::as_str) {
                    builder.attribute(name, AttrValue::Str(text));
                }
            }
            let stacktrace = stacktrace(exception);
            if !stacktrace.is_empty() {
                builder.attribute("exception.stacktrace", AttrValue::Str(&stacktrace));
            }
        }
    }

    fn exceptions(&self) -> impl Iterator<Item = &Object> {
        let exceptions = self.cause.as_ref().and_then(|cause| cause.get("exceptions"));
        exceptions.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
    }
}

/// The stack as text: a headline, then one line for each frame, the innermost first.
fn stacktrace(exception: &Object) -> String {
    let frames = exception.get("stack").and_then(Value::as_array);
    let frames: Vec<_> = frames.into_iter().flatten().filter_map(Value::as_object).collect();
    if frames.is_empty() {
        return String::new();
    }
    let mut out = format!("{}: {}", text(exception, "type"), text(exception, "message"));
    for frame in frames {
        let (label, path) = (text(frame, "label"), text(frame, "path"));
        out.push_str(&format!("\n    at {label} ({path}"));
        if let Some(line) = frame.get("line").and_then(Value::as_i64) {
            out.push_str(&format!(":{line}"));
        }
        out.push(')');
    }
    out
}

fn text<'o>(object: &'o Object, key: &str) -> &'o str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}
