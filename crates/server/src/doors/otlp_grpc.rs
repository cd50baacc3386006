//! `TraceService/Export` and `LogsService/Export` of `opentelemetry.proto.collector` over gRPC.
//!
//! The frame of a unary call is five bytes, so we read it here instead of through a codec: the
//! body then counts against the same budget, and is inflated under the same limits, as over HTTP,
//! and the decoder gets the message's bytes with no tree in between.
//! Rule: gRPC over HTTP/2 (`PROTOCOL-HTTP2.md`), compression (`compression.md`); OTLP
//!       specification, "OTLP/gRPC": `RESOURCE_EXHAUSTED` with `RetryInfo` means "come back".

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use throughline_wire::otlp::{self, Signal};
use tonic::{Code, Status};

use crate::app::App;
use crate::doors::body::{self, BodyError, Coding, RawBody};
use crate::metrics::Protocol;
use crate::pipeline::{Encoding, ExportRequest, TakeInError};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const PROTOCOL: Protocol = Protocol::OtlpGrpc;
/// A flag byte and the length of the message.
const FRAME_HEAD_SIZE_BYTES: usize = 5;
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const CODINGS: HeaderValue = HeaderValue::from_static("identity,gzip,zstd");

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route(TRACES, post(traces)).route(LOGS, post(logs))
}

/// Whether a request speaks gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    // `application/grpc`, `application/grpc+proto`; but not gRPC-Web.
    value.is_some_and(|v| {
        v.starts_with("application/grpc") && !v.starts_with("application/grpc-web")
    })
}

/// The answer to every call but those we know.
pub(crate) fn unimplemented() -> Response {
    failure(&Status::unimplemented("only Export of TraceService and LogsService is served here"))
}

async fn traces(State(app): State<Arc<App>>, request: Request) -> Response {
    export(&app, Signal::Traces, request).await
}

async fn logs(State(app): State<Arc<App>>, request: Request) -> Response {
    export(&app, Signal::Logs, request).await
}

async fn export(app: &App, signal: Signal, request: Request) -> Response {
    if !is_grpc(request.headers()) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let result = take_in(app, signal, request).await;
    let code = result.as_ref().map_or_else(|status| status.code() as i32, |_| 0);
    app.metrics.grpc_answered(code);
    match result {
        Ok(message) => success(&message),
        Err(status) => failure(&status),
    }
}

async fn take_in(app: &App, signal: Signal, request: Request) -> Result<Vec<u8>, Status> {
    let Some(coding) = Coding::from_header(request.headers().get("grpc-encoding")) else {
        let detail = "expected grpc-encoding identity, gzip or zstd";
        app.pipeline.refuse(PROTOCOL, "wrong_content_encoding", detail.to_owned());
        return Err(Status::unimplemented(detail));
    };
    let mut limits = app.read_limits();
    limits.size_bytes_max += FRAME_HEAD_SIZE_BYTES;
    let share = app.intake.share();
    let body = body::read(request.into_body(), coding, share, limits).await.map_err(|err| {
        app.pipeline.refuse(PROTOCOL, err.word(), err.to_string());
        status_of(&TakeInError::Body(err))
    })?;
    let body = unframe(body).map_err(|detail| {
        app.pipeline.refuse(PROTOCOL, "undecodable", detail.to_owned());
        Status::invalid_argument(detail)
    })?;
    let request = ExportRequest { protocol: PROTOCOL, signal, encoding: Encoding::Protobuf, body };
    let accepted = app.pipeline.take_in(request).await.map_err(|err| status_of(&err))?;
    Ok(otlp::response_protobuf(accepted.rejected, &accepted.message))
}

/// Takes the one message of a unary call out of its frame.
fn unframe(mut body: RawBody) -> Result<RawBody, &'static str> {
    let Some((head, _)) = body.bytes.split_first_chunk::<FRAME_HEAD_SIZE_BYTES>() else {
        return Err("expected one message, but the body ends before its length");
    };
    let [flag, length @ ..] = *head;
    let length = u32::from_be_bytes(length) as usize;
    let message = body.bytes.slice(FRAME_HEAD_SIZE_BYTES..);
    if message.len() < length {
        return Err("expected one message, but the body ends before its end");
    }
    if message.len() > length {
        return Err("expected one message, but more follows");
    }
    body.coding = match (flag, body.coding) {
        (0, _) => Coding::Identity,
        (1, Coding::Identity) => return Err("a compressed message without grpc-encoding"),
        (1, coding) => coding,
        _ => return Err("expected a message's flag to be 0 or 1"),
    };
    body.bytes = message;
    Ok(body)
}

fn status_of(err: &TakeInError) -> Status {
    let message = err.to_string();
    match err {
        // With `RetryInfo` this code means "come back", without it "never".
        TakeInError::Busy | TakeInError::Body(BodyError::Busy) => {
            let details = retry_details(&message);
            Status::with_details(Code::ResourceExhausted, message, details)
        }
        TakeInError::Body(BodyError::TooLarge { .. } | BodyError::InflatedTooLarge { .. }) => {
            Status::resource_exhausted(message)
        }
        TakeInError::Body(BodyError::TimedOut) => Status::deadline_exceeded(message),
        TakeInError::Body(BodyError::Broken(_)) => Status::cancelled(message),
        TakeInError::Body(BodyError::Corrupt(_)) | TakeInError::Undecodable(_) => {
            Status::invalid_argument(message)
        }
        TakeInError::NotStored => Status::unavailable(message),
    }
}

/// A `google.rpc.Status` whose details hold a `RetryInfo` of one second.
///
/// **Rule:** googleapis, `google/rpc/status.proto` and `error_details.proto`.
fn retry_details(message: &str) -> Bytes {
    const TYPE_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";
    // RetryInfo { retry_delay: Duration { seconds: 1 } }
    const RETRY_INFO: [u8; 4] = [0x0a, 2, 0x08, 1];
    let mut any = BytesMut::new();
    any.put_slice(&[0x0a, TYPE_URL.len() as u8]);
    any.put_slice(TYPE_URL.as_bytes());
    any.put_slice(&[0x12, RETRY_INFO.len() as u8]);
    any.put_slice(&RETRY_INFO);
    let mut status = otlp::status_protobuf(Code::ResourceExhausted as i32, message);
    status.extend_from_slice(&[0x1a, any.len() as u8]);
    status.extend_from_slice(&any);
    status.into()
}

fn success(message: &[u8]) -> Response {
    let mut frame = BytesMut::with_capacity(FRAME_HEAD_SIZE_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("an answer is shorter than a request"));
    frame.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(frame.freeze())
        .with_trailers(std::future::ready(Some(Ok::<_, Infallible>(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response.headers_mut().insert(HeaderName::from_static("grpc-accept-encoding"), CODINGS);
    response
}

fn failure(status: &Status) -> Response {
    let mut response: http::Response<Body> = status.clone().into_http();
    response.headers_mut().insert(HeaderName::from_static("grpc-accept-encoding"), CODINGS);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::body::Budget;

    fn check(bytes: &'static [u8], coding: Coding, expected: Option<(&[u8], Coding)>) {
        let share = Budget::new(1 << 20).share();
        let body = unframe(RawBody { bytes: Bytes::from_static(bytes), coding, share });
        let got = body.as_ref().ok().map(|body| (&body.bytes[..], body.coding));
        assert_eq!(got, expected, "{bytes:?}");
    }

    #[test]
    fn a_frame_holds_exactly_one_message() {
        check(&[0, 0, 0, 0, 2, 7, 8], Coding::Gzip, Some((&[7, 8], Coding::Identity)));
        check(&[1, 0, 0, 0, 1, 7], Coding::Gzip, Some((&[7], Coding::Gzip)));
        check(&[0, 0, 0, 0, 0], Coding::Identity, Some((&[], Coding::Identity)));
        check(&[], Coding::Identity, None);
        check(&[0, 0, 0, 0], Coding::Identity, None);
        check(&[0, 0, 0, 0, 3, 7, 8], Coding::Identity, None);
        check(&[0, 0, 0, 0, 1, 7, 8], Coding::Identity, None);
        check(&[1, 0, 0, 0, 1, 7], Coding::Identity, None);
        check(&[2, 0, 0, 0, 1, 7], Coding::Gzip, None);
        check(&[0, 255, 255, 255, 255, 7], Coding::Identity, None);
    }

    #[test]
    fn retry_details_are_a_status_with_retry_info() {
        let details = retry_details("busy");
        // 1: code 8, 2: "busy", 3: Any
        assert_eq!(details[..8], [0x08, 8, 0x12, 4, b'b', b'u', b's', b'y']);
        assert_eq!(details[8], 0x1a);
        assert_eq!(usize::from(details[9]), details.len() - 10);
        assert!(details.ends_with(&[0x12, 4, 0x0a, 2, 0x08, 1]));
    }
}
