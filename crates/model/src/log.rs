//! Log records: what a program wrote down while it worked for a trace.
//!
//! A record is a row of a batch of its own, never among spans. Trace id, span id, flags, time (as the
//! start), resource, scope and attributes stand where a span's do, its event name where the name
//! does. What spans have no column for is the row's one event: when it was observed, severity, body.
//! A record of severity ERROR or above has the status `error`. `docs/formats/log-records.md`.
//!
//! **Rule:** opentelemetry-proto, `logs.proto`; OpenTelemetry, "Logs Data Model".

use crate::{AttrValue, Attributes, NO_END, SpanBatchBuilder, SpanRef, StatusCode, TraceId};

/// The attribute of a record, and of the span of an invocation, that names a function's call.
///
/// **Rule:** semantic conventions, FaaS.
pub const INVOCATION_ID: &str = "faas.invocation_id";

const EVENT: &str = "log";
const SEVERITY_NUMBER: &str = "severity_number";
const SEVERITY_TEXT: &str = "severity_text";
const BODY: &str = "body";

/// The highest severity number, `FATAL4`.
const SEVERITY_MAX: i64 = 24;
/// From here on a record tells of an error.
const SEVERITY_ERROR: i64 = 17;

/// When a record was written, and how much it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogHead<'a> {
    /// When it happened, nanoseconds since the epoch.
    pub time_unix_nano: i64,
    /// When a collector first saw it, nanoseconds since the epoch.
    pub observed_unix_nano: i64,
    /// 1 (TRACE) to 24 (FATAL4); 0 where it is not known.
    pub severity_number: i64,
    /// The sender's own word for it.
    pub severity_text: &'a str,
}

/// Where records are kept that know no trace but the call of a function.
///
/// Not a trace's id: whoever asks for the records of a trace asks also for those of its calls. Two
/// calls of one request id would share theirs.
///
/// **Rule:** FNV-1a of 128 bits.
pub fn log_trace_of_invocation(request_id: &str) -> TraceId {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash =
        request_id.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    TraceId(hash.to_be_bytes())
}

impl SpanBatchBuilder {
    /// Ends the attributes of a record and sets its time and severity. What is added next with
    /// [`SpanBatchBuilder::log_body`] is its body.
    pub fn log_head(&mut self, head: LogHead<'_>) {
        let severity = head.severity_number.clamp(0, SEVERITY_MAX);
        self.times(head.time_unix_nano, NO_END);
        if severity >= SEVERITY_ERROR {
            self.status(StatusCode::Error, "");
        }
        self.start_event(head.observed_unix_nano, EVENT, 0);
        self.attribute(SEVERITY_NUMBER, AttrValue::Int(severity));
        if !head.severity_text.is_empty() {
            self.attribute(SEVERITY_TEXT, AttrValue::Str(head.severity_text));
        }
    }

    /// Adds the body of a record, after [`SpanBatchBuilder::log_head`].
    pub fn log_body(&mut self, body: AttrValue<'_>) {
        self.attribute(BODY, body);
    }
}

/// One log record, borrowed.
#[derive(Clone, Copy)]
pub struct LogRef<'a>(SpanRef<'a>);

impl<'a> LogRef<'a> {
    /// Reads a row of a batch of records.
    pub fn new(row: SpanRef<'a>) -> Self {
        Self(row)
    }

    /// The row: ids, flags, attributes, resource and scope are read there.
    pub fn row(self) -> SpanRef<'a> {
        self.0
    }

    /// When it was written, and how much it matters.
    pub fn head(self) -> LogHead<'a> {
        let severity = self.fields().and_then(|fields| fields.value(SEVERITY_NUMBER));
        let text = self.fields().and_then(|fields| fields.value(SEVERITY_TEXT));
        LogHead {
            time_unix_nano: self.0.start_unix_nano(),
            observed_unix_nano: self.0.events().next().map_or(0, |event| event.time_unix_nano()),
            severity_number: match severity {
                Some(AttrValue::Int(number)) => number,
                _ => 0,
            },
            severity_text: text.and_then(|text| text.as_str()).unwrap_or_default(),
        }
    }

    /// What was said; `None` where nothing was.
    pub fn body(self) -> Option<AttrValue<'a>> {
        self.fields()?.value(BODY)
    }

    fn fields(self) -> Option<Attributes<'a>> {
        Some(self.0.events().next()?.attributes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SpanId;

    #[test]
    fn a_record_reads_back_as_written() {
        let mut builder = SpanBatchBuilder::default();
        let head = LogHead {
            time_unix_nano: 5,
            observed_unix_nano: 9,
            severity_number: 17,
            severity_text: "ERROR",
        };
        builder.start_span(TraceId([1; 16]), SpanId([2; 8]));
        builder.name("payment.refused");
        builder.attribute("body", AttrValue::Str("an attribute that happens to be called so"));
        builder.log_head(head);
        builder.log_body(AttrValue::Str("no money"));
        builder.end_span();
        builder.start_span(TraceId([1; 16]), SpanId::ZERO);
        builder.log_head(LogHead { severity_number: 99, ..LogHead::default() });
        builder.end_span();
        let batch = builder.finish();

        let record = LogRef::new(batch.span(0));
        assert_eq!(record.head(), head);
        assert_eq!(record.body(), Some(AttrValue::Str("no money")));
        assert_eq!(record.row().name(), "payment.refused");
        assert_eq!(record.row().attributes().len(), 1);
        assert_eq!(record.row().status(), StatusCode::Error);
        let bare = LogRef::new(batch.span(1));
        assert_eq!(bare.head().severity_number, 24);
        assert_eq!(bare.body(), None);
    }

    /// The vectors of the hash's authors: the empty text, `a` and `foobar`.
    #[test]
    fn the_place_of_a_call_is_the_hash_that_is_documented() {
        for (text, expected) in [
            ("", "6c62272e07bb014262b821756295c58d"),
            ("a", "d228cb696f1a8caf78912b704e4a8964"),
            ("foobar", "343e1662793c64bf6f0d3597ba446f18"),
        ] {
            assert_eq!(log_trace_of_invocation(text).to_string(), expected);
        }
    }
}
