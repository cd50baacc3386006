//! The Runtime API: what a function's process asks for work, on a loopback port of its own.
//!
//! In:   `GET .../runtime/invocation/next`, `POST .../invocation/ID/response|error`, `POST .../init/error`; the calls
//!       of extensions, which go to [`Extensions`].
//! Out:  [`Happened`], in order; the owner of the process answers `next` by sending [`Work`].
//! Rule: AWS Lambda developer guide, "Using the Lambda runtime API", version 2018-06-01.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::extensions::Extensions;
use crate::sync::lock;

/// Lambda's limit for an answer: 6 MB and what surrounds it.
pub(crate) const RESPONSE_BYTES_MAX: usize = 6_291_556;
/// An error with its stack trace.
const ERROR_BYTES_MAX: usize = 262_144;
/// A process has one connection, or a few when an extension polls as well.
const CONNECTIONS_MAX: usize = 64;
/// One process does one thing at a time; more than a few waiting would be a process gone wrong.
const HAPPENED_MAX: usize = 8;

/// A call, as `next` hands it over.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) request_id: String,
    pub(crate) deadline_ms: i64,
    pub(crate) function_arn: String,
    pub(crate) trace_header: String,
    pub(crate) client_context: Option<String>,
    pub(crate) payload: Bytes,
}

/// What a process did.
#[derive(Debug)]
pub(crate) enum Happened {
    /// It wants work. Dropping the sender closes its connection.
    Next(oneshot::Sender<Work>),
    /// The answer to the call it is at.
    Answered(Bytes),
    /// The call it is at failed; the error as JSON.
    Failed(Bytes),
    /// The answer had more than [`RESPONSE_BYTES_MAX`].
    TooLarge,
    /// It could not start; the error as JSON.
    InitFailed(Bytes),
}

/// The server of one process. Dropping it ends the server.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What the process did, in order.
    pub(crate) happened: mpsc::Receiver<Happened>,
    /// The programs beside the process.
    pub(crate) extensions: Arc<Extensions>,
    shared: Arc<Shared>,
    _end: DropGuard,
}

#[derive(Debug)]
struct Shared {
    happened: mpsc::Sender<Happened>,
    extensions: Arc<Extensions>,
    /// The call that may be answered.
    current: Mutex<Option<String>>,
}

impl RuntimeApi {
    /// Listens on a free port of the loopback interface.
    pub(crate) async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, happened) = mpsc::channel(HAPPENED_MAX);
        let extensions = Arc::new(Extensions::default());
        let shared = Arc::new(Shared {
            happened: sender,
            extensions: Arc::clone(&extensions),
            current: Mutex::new(None),
        });
        let end = CancellationToken::new();
        tokio::spawn(serve(listener, Arc::clone(&shared), end.clone()));
        Ok(Self { address, happened, extensions, shared, _end: end.drop_guard() })
    }

    /// From now on this call may be answered, once.
    pub(crate) fn expect(&self, request_id: &str) {
        *lock(&self.shared.current) = Some(request_id.to_owned());
    }

    /// No call may be answered any more.
    pub(crate) fn expect_nothing(&self) {
        *lock(&self.shared.current) = None;
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, end: CancellationToken) {
    let open = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let Ok(permit) = Arc::clone(&open).try_acquire_owned() else { continue };
        let _ = stream.set_nodelay(true);
        let (shared, end) = (Arc::clone(&shared), end.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(&shared, request).await) }
            });
            let mut http = http1::Builder::new();
            let connection =
                http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = connection => {}
                () = end.cancelled() => {}
            }
            drop(permit);
        });
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    if path.starts_with("/2020-01-01/extension/") || path == "/2022-07-01/telemetry" {
        return shared.extensions.answer(&path, request).await;
    }
    let Some(path) = path.strip_prefix("/2018-06-01/runtime/") else {
        return refusal(StatusCode::NOT_FOUND, "NotFound", "no such path");
    };
    let method = request.method();
    match (method, path.split('/').collect::<Vec<_>>().as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(shared).await,
        (&Method::POST, ["invocation", id, "response"]) => {
            let id = (*id).to_owned();
            finish(shared, &id, request, RESPONSE_BYTES_MAX, Happened::Answered).await
        }
        (&Method::POST, ["invocation", id, "error"]) => {
            let id = (*id).to_owned();
            finish(shared, &id, request, ERROR_BYTES_MAX, Happened::Failed).await
        }
        (&Method::POST, ["init", "error"]) => {
            let body = Limited::new(request.into_body(), ERROR_BYTES_MAX).collect().await;
            let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            happened(shared, Happened::InitFailed(body)).await
        }
        _ => refusal(StatusCode::NOT_FOUND, "NotFound", "no such path"),
    }
}

/// Hangs until there is work.
async fn next(shared: &Shared) -> Response<Full<Bytes>> {
    let (sender, work) = oneshot::channel();
    if shared.happened.send(Happened::Next(sender)).await.is_err() {
        return gone();
    }
    let Ok(work) = work.await else { return gone() };
    let mut response = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", work.request_id)
        .header("lambda-runtime-deadline-ms", work.deadline_ms)
        .header("lambda-runtime-invoked-function-arn", work.function_arn)
        .header("lambda-runtime-trace-id", work.trace_header);
    if let Some(context) = work.client_context {
        response = response.header("lambda-runtime-client-context", context);
    }
    // A header that cannot be written is a caller's context with line feeds; the call goes on without it.
    response
        .body(Full::new(work.payload.clone()))
        .unwrap_or_else(|_| Response::new(Full::new(work.payload)))
}

async fn finish(
    shared: &Shared,
    id: &str,
    request: Request<Incoming>,
    bytes_max: usize,
    what: fn(Bytes) -> Happened,
) -> Response<Full<Bytes>> {
    if lock(&shared.current).as_deref() != Some(id) {
        return refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
    }
    let body = Limited::new(request.into_body(), bytes_max).collect().await;
    // Only the first answer counts.
    {
        let mut current = lock(&shared.current);
        if current.as_deref() != Some(id) {
            return refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
        }
        *current = None;
    }
    match body {
        Ok(body) => happened(shared, what(body.to_bytes())).await,
        Err(err) if err.is::<http_body_util::LengthLimitError>() => {
            happened(shared, Happened::TooLarge).await;
            let text = format!("Exceeded maximum allowed payload size ({bytes_max} bytes).");
            refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &text)
        }
        // The process went away in the middle: its exit tells the rest.
        Err(_) => refusal(StatusCode::BAD_REQUEST, "InvalidRequest", "the body ended early"),
    }
}

async fn happened(shared: &Shared, what: Happened) -> Response<Full<Bytes>> {
    if shared.happened.send(what).await.is_err() {
        return gone();
    }
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}\n")));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// The process is about to be killed.
fn gone() -> Response<Full<Bytes>> {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "Sandbox.Gone", "this process is to end")
}

pub(super) fn refusal(status: StatusCode, kind: &str, text: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "errorMessage": text, "errorType": kind }).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn call(address: SocketAddr, head: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let mut answer = Vec::new();
        // A refused body is not read to its end, so writing may fail and the answer still come.
        let (_, read) = tokio::join!(writer.write_all(body), reader.read_to_end(&mut answer));
        let _ = read;
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn work() -> Work {
        Work {
            request_id: "r-1".to_owned(),
            deadline_ms: 7,
            function_arn: "arn:f".to_owned(),
            trace_header: "Root=1-2-3".to_owned(),
            client_context: Some("{}".to_owned()),
            payload: Bytes::from_static(b"{\"a\":1}"),
        }
    }

    #[tokio::test]
    async fn work_is_handed_over_and_answered_once() {
        let mut api = RuntimeApi::listen().await.unwrap();
        let address = api.address;
        let next = tokio::spawn(call(address, "GET /2018-06-01/runtime/invocation/next", b""));
        let Some(Happened::Next(sender)) = api.happened.recv().await else { panic!("no next") };
        api.expect("r-1");
        sender.send(work()).unwrap();
        let head = next.await.unwrap().to_lowercase();
        for line in [
            "lambda-runtime-aws-request-id: r-1\r\n",
            "lambda-runtime-deadline-ms: 7\r\n",
            "lambda-runtime-invoked-function-arn: arn:f\r\n",
            "lambda-runtime-trace-id: root=1-2-3\r\n",
            "lambda-runtime-client-context: {}\r\n",
            "{\"a\":1}",
        ] {
            assert!(head.contains(line), "{line} in {head}");
        }
        let path = "POST /2018-06-01/runtime/invocation";
        let wrong = call(address, &format!("{path}/r-2/response"), b"1").await;
        assert!(wrong.starts_with("HTTP/1.1 400") && wrong.contains("InvalidRequestID"), "{wrong}");
        let right = call(address, &format!("{path}/r-1/response"), b"[1]").await;
        assert!(right.starts_with("HTTP/1.1 202"), "{right}");
        assert!(
            matches!(api.happened.recv().await, Some(Happened::Answered(body)) if &body[..] == b"[1]")
        );
        let again = call(address, &format!("{path}/r-1/error"), b"{}").await;
        assert!(again.starts_with("HTTP/1.1 400"), "{again}");
    }

    #[tokio::test]
    async fn an_answer_has_at_most_six_megabytes() {
        let mut api = RuntimeApi::listen().await.unwrap();
        api.expect("r-1");
        let body = vec![b' '; RESPONSE_BYTES_MAX + 1];
        let answer =
            call(api.address, "POST /2018-06-01/runtime/invocation/r-1/response", &body).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(matches!(api.happened.recv().await, Some(Happened::TooLarge)));

        api.expect("r-2");
        let body = vec![b' '; RESPONSE_BYTES_MAX];
        let answer =
            call(api.address, "POST /2018-06-01/runtime/invocation/r-2/response", &body).await;
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }

    #[tokio::test]
    async fn unknown_paths_are_told() {
        let mut api = RuntimeApi::listen().await.unwrap();
        let answer = call(api.address, "GET /2020-01-01/extension/register", b"").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        let answer =
            call(api.address, "POST /2018-06-01/runtime/init/error", b"{\"errorType\":\"X\"}")
                .await;
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
        assert!(matches!(api.happened.recv().await, Some(Happened::InitFailed(_))));
    }
}
