//! `POST /v1/traces` and `/v1/logs`, and `/v2/trace/otlp` where Splunk's exporters send.
//!
//! Rule: OTLP specification 1.x, "OTLP/HTTP": statuses, `google.rpc.Status` in the request's
//!       encoding, partial success, `Retry-After`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use throughline_wire::otlp::{self, Signal};

use crate::app::App;
use crate::doors::body::{self, BodyError, Coding};
use crate::metrics::Protocol;
use crate::pipeline::{Accepted, Encoding, ExportRequest, TakeInError};

const PROTOCOL: Protocol = Protocol::OtlpHttp;
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

// Numbers of `google.rpc.Code`.
const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNAVAILABLE: i32 = 14;

pub(crate) fn routes() -> Router<Arc<App>> {
    // A Splunk exporter adds its `X-SF-Token`; we read no token, so none can leak from here.
    Router::new()
        .route("/v1/traces", post(traces))
        .route("/v2/trace/otlp", post(traces))
        .route("/v1/logs", post(logs))
}

async fn traces(State(app): State<Arc<App>>, request: Request) -> Response {
    export(&app, Signal::Traces, request).await
}

async fn logs(State(app): State<Arc<App>>, request: Request) -> Response {
    export(&app, Signal::Logs, request).await
}

async fn export(app: &Arc<App>, signal: Signal, request: Request) -> Response {
    let Some(encoding) = encoding_of(request.headers()) else {
        let detail = "expected Content-Type application/x-protobuf or application/json";
        app.pipeline.refuse(PROTOCOL, "wrong_content_type", detail.to_owned());
        return failure(
            Encoding::Json,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            INVALID_ARGUMENT,
            detail,
        );
    };
    let Some(coding) = Coding::from_header(request.headers().get(header::CONTENT_ENCODING)) else {
        let detail = "expected Content-Encoding gzip, zstd or identity";
        app.pipeline.refuse(PROTOCOL, "wrong_content_encoding", detail.to_owned());
        let mut answer =
            failure(encoding, StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID_ARGUMENT, detail);
        let codings = HeaderValue::from_static("gzip, zstd, identity");
        answer.headers_mut().insert(header::ACCEPT_ENCODING, codings);
        return answer;
    };
    let body = request.into_body();
    let body = match body::read(body, coding, app.intake.share(), app.read_limits()).await {
        Ok(body) => body,
        Err(err) => {
            app.pipeline.refuse(PROTOCOL, err.word(), err.to_string());
            return refusal(encoding, &TakeInError::Body(err));
        }
    };
    let request = ExportRequest { protocol: PROTOCOL, signal, encoding, body };
    match app.pipeline.take_in(request).await {
        Ok(accepted) => success(signal, encoding, &accepted),
        Err(err) => refusal(encoding, &err),
    }
}

fn encoding_of(headers: &HeaderMap) -> Option<Encoding> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Some(Encoding::Protobuf),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

fn content_type(encoding: Encoding) -> [(header::HeaderName, HeaderValue); 1] {
    let value = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    [(header::CONTENT_TYPE, HeaderValue::from_static(value))]
}

fn success(signal: Signal, encoding: Encoding, accepted: &Accepted) -> Response {
    let Accepted { rejected, message } = accepted;
    let body = match encoding {
        Encoding::Protobuf => otlp::response_protobuf(*rejected, message),
        Encoding::Json => otlp::response_json(signal, *rejected, message).into_bytes(),
    };
    (content_type(encoding), body).into_response()
}

fn refusal(encoding: Encoding, err: &TakeInError) -> Response {
    let (status, code) = match err {
        TakeInError::Body(BodyError::TooLarge { .. } | BodyError::InflatedTooLarge { .. }) => {
            (StatusCode::PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED)
        }
        TakeInError::Body(BodyError::TimedOut) => (StatusCode::REQUEST_TIMEOUT, INVALID_ARGUMENT),
        TakeInError::Body(BodyError::Broken(_) | BodyError::Corrupt(_))
        | TakeInError::Undecodable(_) => (StatusCode::BAD_REQUEST, INVALID_ARGUMENT),
        TakeInError::Body(BodyError::Busy) | TakeInError::Busy | TakeInError::NotStored => {
            (StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE)
        }
    };
    let mut answer = failure(encoding, status, code, &err.to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    answer
}

fn failure(encoding: Encoding, status: StatusCode, code: i32, message: &str) -> Response {
    let body = match encoding {
        Encoding::Protobuf => otlp::status_protobuf(code, message),
        Encoding::Json => otlp::status_json(code, message).into_bytes(),
    };
    (status, content_type(encoding), body).into_response()
}
