//! The answers: how many spans were rejected, or why the whole request was.

use serde_json::json;

use super::Signal;
use super::protobuf::{framed, put_message, put_number, put_text, varint};

/// An `ExportTraceServiceResponse` or `ExportLogsServiceResponse` in protobuf.
///
/// With nothing rejected and no message it is empty, which means full success. A message without
/// anything rejected is a warning.
///
/// **Rule:** `trace_service.proto`, `ExportTracePartialSuccess`, and the same of logs; OTLP specification, "Partial
/// Success".
pub fn response_protobuf(rejected: u64, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if rejected > 0 || !message.is_empty() {
        put_message(&mut out, framed(1), |out| {
            if rejected > 0 {
                put_number(out, varint(1), rejected);
            }
            put_text(out, framed(2), message);
        });
    }
    out
}

/// The same in JSON, as [`response_protobuf`].
///
/// **Rule:** protobuf.dev, "ProtoJSON Format": `int64` is a string, empty fields are left out.
pub fn response_json(signal: Signal, rejected: u64, message: &str) -> String {
    let mut partial = serde_json::Map::new();
    if rejected > 0 {
        partial.insert(signal.rejected().into(), rejected.to_string().into());
    }
    if !message.is_empty() {
        partial.insert("errorMessage".into(), message.into());
    }
    if partial.is_empty() {
        return "{}".to_owned();
    }
    json!({ "partialSuccess": partial }).to_string()
}

/// A `google.rpc.Status` in protobuf, the body of every answer that is no success.
///
/// **Rule:** OTLP specification, "OTLP/HTTP", "Failures"; googleapis, `google/rpc/status.proto`
/// and `code.proto`.
pub fn status_protobuf(code: i32, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if code != 0 {
        // A negative `int32` is sent as 64 bits.
        put_number(&mut out, varint(1), i64::from(code).cast_unsigned());
    }
    put_text(&mut out, framed(2), message);
    out
}

/// A `google.rpc.Status` in JSON, as [`status_protobuf`].
pub fn status_json(code: i32, message: &str) -> String {
    json!({ "code": code, "message": message }).to_string()
}
