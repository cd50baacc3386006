//! Hands requests for services that are not here to another emulator.
//!
//! In:   a whole request. Out: the other's answer, or a refusal that names it.
//! Rule: plain `http://` only; what is beyond this machine is the user's choice, made with `--upstream`.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::http::{Failure, Request, Response};

/// The longest answer that is passed on.
const BODY_BYTES_MAX: usize = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(120);

/// Another emulator.
pub(crate) struct Upstream {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Upstream {
    /// At `http://host:port`. The error says what is wrong with the address.
    pub(crate) fn new(base: &str) -> Result<Self, String> {
        let base = base.trim_end_matches('/');
        let uri: http::Uri = base.parse().map_err(|err| format!("{base}: {err}"))?;
        if uri.scheme_str() != Some("http") || uri.authority().is_none() {
            return Err(format!("{base}: an emulator's address is http://host:port"));
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { base: base.to_owned(), client })
    }

    /// Passes a request on.
    pub(crate) async fn forward(&self, request: &Request) -> Result<Response, Failure> {
        let unreachable = |err: String| {
            let problem = format!("the emulator at {} did not answer: {err}", self.base);
            Failure::new(502, "UpstreamUnavailable", problem)
        };
        let query =
            if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        let mut forwarded = http::Request::new(Full::new(request.body.clone()));
        *forwarded.method_mut() = request.method.clone();
        *forwarded.uri_mut() = format!("{}{}{query}", self.base, request.path)
            .parse()
            .map_err(|err| unreachable(format!("{err}")))?;
        let headers = forwarded.headers_mut();
        *headers = request.headers.clone();
        // The client sets these for its own connection.
        for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let answer = tokio::time::timeout(TIMEOUT, self.client.request(forwarded));
        let answer = answer.await.map_err(|_| unreachable("it took too long".to_owned()))?;
        let (mut parts, body) = answer.map_err(|err| unreachable(err.to_string()))?.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|err| unreachable(err.to_string()))?.to_bytes();
        for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            parts.headers.remove(name);
        }
        Ok(Response::from_parts(parts, body))
    }
}
