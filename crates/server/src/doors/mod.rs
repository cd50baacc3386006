//! Address plates: one file a protocol. They know status codes and headers, and no meaning.

pub mod body;
pub mod otlp_grpc;
pub mod otlp_http;
pub(crate) mod xray_udp;
