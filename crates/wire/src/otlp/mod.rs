//! OTLP traces: protobuf and JSON in, protobuf and JSON out, and the answers to both.
//!
//! The bytes of one span go straight into the batch builder, field by field, with no object in
//! between: that is what keeps a span under half a microsecond (ADR-0003).
//! Rule: opentelemetry-proto 1.x, `trace.proto`, `common.proto`, `resource.proto`,
//!       `collector/trace/v1/trace_service.proto`; OTLP specification 1.x, "OTLP/HTTP".

mod decode_json;
mod decode_protobuf;
mod encode_json;
mod encode_protobuf;
mod json_shapes;
mod nested;
mod protobuf;
mod rules;
mod status;

pub use decode_json::decode_json;
pub use decode_protobuf::decode_protobuf;
pub use encode_json::encode_json;
pub use encode_protobuf::encode_protobuf;
pub use rules::{ATTRIBUTES_MAX, BODY_BYTES_MAX, EVENTS_MAX, LINKS_MAX};
pub use status::{response_json, response_protobuf, status_json, status_protobuf};
