//! OTLP protobuf to log records, by the walk of `decode_protobuf`.
//!
//! In:   the body of `POST /v1/logs` with `application/x-protobuf`, or one gRPC message.
//! Out:  [`Decoded`], the records we could read and why we rejected the others.
//! Rule: opentelemetry-proto, `logs.proto`, `LogRecord`.

use std::borrow::Cow;

use throughline_model::{INVOCATION_ID, LogHead, SpanBatchBuilder, SpanId, TraceId};

use super::decode_protobuf::{
    BAD_SPAN_ID, BAD_TRACE_ID, Decoder, Detail, Items, Value, decode, id, read_any, sound,
};
use super::protobuf::{Malformed, Reader, key_value, log_record};
use super::rules::{self, Bad, text};
use crate::{DecodeError, Decoded};

/// Reads every record of an `ExportLogsServiceRequest` that belongs to a trace, or to the call of a
/// function by its `faas.invocation_id`; [`throughline_model::LogRef`] reads the rows.
///
/// `received_unix_nano` is the time, in nanoseconds since the epoch, of records that have none. As
/// with [`super::decode_protobuf`], one bad record never costs its neighbours, and it fails only
/// when the frames around the records cannot be walked.
///
/// **Rule:** OTLP specification, "OTLP/HTTP", "Binary Protobuf Encoding" and "Bad Data".
pub fn decode_logs_protobuf(
    body: &[u8],
    builder: &mut SpanBatchBuilder,
    received_unix_nano: i64,
) -> Result<Decoded, DecodeError> {
    decode(Items::LogRecords { received_unix_nano }, body, builder)
}

impl<'a> Decoder<'a, '_> {
    pub(super) fn record_fields(
        &mut self,
        message: &'a [u8],
        received_unix_nano: i64,
    ) -> Result<(), Bad<Detail>> {
        let (mut trace_id, mut span_id) = (TraceId::ZERO, SpanId::ZERO);
        let (mut time, mut observed, mut severity_number) = (Some(0), Some(0), 0);
        let (mut severity_text, mut body) = (&[][..], None);
        let (mut attributes, mut dropped) = (0, 0);
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                log_record::TIME => time = reader.time()?,
                log_record::OBSERVED => observed = reader.time()?,
                log_record::SEVERITY_NUMBER => severity_number = reader.enumeration()?,
                log_record::SEVERITY_TEXT => severity_text = reader.bytes()?,
                log_record::BODY => body = Some(reader.bytes()?),
                log_record::ATTRIBUTES => self.attribute(reader.bytes()?, &mut attributes)?,
                log_record::DROPPED => dropped = reader.uint32()?,
                log_record::FLAGS => self.builder.flags(reader.fixed32()?),
                log_record::TRACE_ID => {
                    trace_id = TraceId(id(reader.bytes()?).ok_or(BAD_TRACE_ID)?);
                }
                log_record::SPAN_ID => span_id = SpanId(id(reader.bytes()?).ok_or(BAD_SPAN_ID)?),
                log_record::EVENT_NAME => {
                    self.builder.name(&text(reader.bytes()?, &mut self.warnings));
                }
                _ if key >> 3 == log_record::DEPRECATED => reader.skip(key, 0)?,
                _ => reader.skip(key, log_record::KNOWN)?,
            }
        }
        if trace_id.is_zero() {
            trace_id = rules::record_home::<Detail>(invocation(message)?)?;
        }
        let (time_unix_nano, observed_unix_nano) =
            rules::record_times::<Detail>(time, observed, received_unix_nano)?;
        self.builder.ids(trace_id, span_id);
        let dropped = self.dropped_attributes(dropped, attributes);
        self.builder.dropped(dropped, 0, 0);
        let severity_text = &text(severity_text, &mut self.warnings);
        self.builder.log_head(LogHead {
            time_unix_nano,
            observed_unix_nano,
            severity_number,
            severity_text,
        });
        if let Some(body) = body {
            let mut lossy = Cow::Borrowed("");
            let (scratch, warnings) = (&mut self.scratch, &mut self.warnings);
            self.builder.log_body(sound(read_any(body)?, &mut lossy, scratch, warnings)?);
        }
        Ok(())
    }
}

/// The call of a function that a record names; the first of its attributes of that key counts.
fn invocation(record: &[u8]) -> Result<Option<&str>, Malformed> {
    let mut reader = Reader::new(record);
    while let Some(key) = reader.key()? {
        if key != log_record::ATTRIBUTES {
            reader.skip(key, 0)?;
            continue;
        }
        let (mut name, mut value) = (&[][..], Value::Empty);
        let mut pair = Reader::new(reader.bytes()?);
        while let Some(key) = pair.key()? {
            match key {
                key_value::KEY => name = pair.bytes()?,
                key_value::VALUE => value = read_any(pair.bytes()?)?,
                _ => pair.skip(key, key_value::KNOWN)?,
            }
        }
        if let (true, Value::Str(id)) = (name == INVOCATION_ID.as_bytes(), value) {
            return Ok(std::str::from_utf8(id).ok());
        }
    }
    Ok(None)
}
