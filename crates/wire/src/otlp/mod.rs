//! OTLP traces and logs: protobuf and JSON in, the answers to both, and traces out again.
//!
//! The bytes of one span go straight into the batch builder, field by field, with no object in
//! between: that is what keeps a span under half a microsecond (ADR-0003).
//! Rule: opentelemetry-proto 1.x, `trace.proto`, `logs.proto`, `common.proto`, `resource.proto`,
//!       `collector/{trace,logs}/v1/*_service.proto`; OTLP specification 1.x, "OTLP/HTTP".

mod decode_json;
mod decode_protobuf;
mod encode_json;
mod encode_protobuf;
mod json_shapes;
mod logs_json;
mod logs_protobuf;
mod nested;
mod protobuf;
mod rules;
mod signal;
mod status;

pub use decode_json::decode_json;
pub use decode_protobuf::decode_protobuf;
pub use encode_json::encode_json;
pub use encode_protobuf::encode_protobuf;
pub use logs_json::decode_logs_json;
pub use logs_protobuf::decode_logs_protobuf;
pub use rules::{ATTRIBUTES_MAX, BODY_BYTES_MAX, EVENTS_MAX, LINKS_MAX};
pub use signal::Signal;
pub use status::{response_json, response_protobuf, status_json, status_protobuf};
