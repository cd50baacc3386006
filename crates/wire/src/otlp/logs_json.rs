//! OTLP/JSON to log records.
//!
//! In:   the body of `POST /v1/logs` with `application/json`.
//! Out:  [`Decoded`], the records we could read and why we rejected the others.
//! Rule: OTLP specification, "JSON Protobuf Encoding"; opentelemetry-proto, `logs.proto`.

use throughline_model::{INVOCATION_ID, LogHead, SpanBatchBuilder};

use super::Signal;
use super::decode_json::{
    BadItem, Decoder, bad_id, decode, span_id, time, trace_id, uint32, whole,
};
use super::json_shapes::{LogRecord, LogsRequest, Object};
use super::rules;
use crate::{DecodeError, Decoded};

/// Reads every record of a JSON `ExportLogsServiceRequest`, as [`super::decode_logs_protobuf`] does.
///
/// **Rule:** OTLP specification, "JSON Protobuf Encoding"; protobuf.dev, "ProtoJSON Format".
pub fn decode_logs_json(
    body: &[u8],
    builder: &mut SpanBatchBuilder,
    received_unix_nano: i64,
) -> Result<Decoded, DecodeError> {
    decode(Signal::Logs, body, builder, |text, decoder| {
        let request: LogsRequest<'_> = whole(text)?;
        for Object(resource_logs) in &request.resource_logs.0 {
            decoder.resource(&resource_logs.resource.0, &resource_logs.schema_url.0)?;
            for Object(scope_logs) in &resource_logs.scope_logs.0 {
                decoder.scope(&scope_logs.scope.0, &scope_logs.schema_url.0)?;
                for raw in &scope_logs.log_records.0 {
                    decoder.item(raw.get(), |decoder, record: LogRecord<'_>| {
                        decoder.record_fields(&record, received_unix_nano)
                    });
                }
            }
        }
        Ok(())
    })
}

impl Decoder<'_> {
    fn record_fields(
        &mut self,
        record: &LogRecord<'_>,
        received_unix_nano: i64,
    ) -> Result<(), BadItem> {
        let mut trace_id = trace_id(&record.trace_id.0).ok_or_else(|| bad_id("trace id", 32))?;
        let span_id = span_id(&record.span_id.0).ok_or_else(|| bad_id("span id", 16))?;
        if trace_id.is_zero() {
            let named = record.attributes.0.iter().find_map(|Object(pair)| {
                let text = pair.value.0.string_value.as_ref();
                text.filter(|_| pair.key.0 == INVOCATION_ID)
            });
            trace_id = rules::record_home(named.map(|text| &*text.0))?;
        }
        let (time_unix_nano, observed_unix_nano) = rules::record_times(
            time(record.time_unix_nano),
            time(record.observed_time_unix_nano),
            received_unix_nano,
        )?;
        self.builder.ids(trace_id, span_id);
        self.builder.name(&record.event_name.0);
        self.builder.flags(uint32(record.flags)?);
        let dropped = self.attributes(&record.attributes, record.dropped_attributes_count)?;
        self.builder.dropped(dropped, 0, 0);
        self.builder.log_head(LogHead {
            time_unix_nano,
            observed_unix_nano,
            severity_number: record.severity_number.0,
            severity_text: &record.severity_text.0,
        });
        if let Some(Object(body)) = &record.body {
            self.value(body, |builder, body| builder.log_body(body))?;
        }
        Ok(())
    }
}
