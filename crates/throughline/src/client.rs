//! Asks a running server.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;

/// A server, by its main address.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
}

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// An answer may be a trace of a million spans.
const ANSWER_SIZE_BYTES_MAX: u64 = 4 << 30;

impl Client {
    pub(crate) fn new(url: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(Duration::from_secs(120)))
            .build();
        Self { agent: config.new_agent(), url: url.trim_end_matches('/').to_owned() }
    }

    /// Asks the native API; anything but success is a failure.
    pub(crate) fn ask(&self, path: &str, params: &[(&str, &str)]) -> Result<Vec<u8>, Failure> {
        let url = format!("{}/api/v1/{path}", self.url);
        let mut request = self.agent.get(&url);
        for (name, value) in params {
            request = request.query(name, value);
        }
        let answer = self.read(request.call())?;
        if answer.status == 200 { Ok(answer.body) } else { Err(refused(&answer, params)) }
    }

    /// Posts JSON to the native API; anything but success is a failure.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Vec<u8>, Failure> {
        let request = self.agent.post(format!("{}/api/v1/{path}", self.url));
        let answer =
            self.read(request.content_type("application/json").send(body.to_string().as_bytes()))?;
        if answer.status == 200 { Ok(answer.body) } else { Err(refused(&answer, &[])) }
    }

    /// As [`Client::ask`], read into a type.
    pub(crate) fn ask_for<T: DeserializeOwned>(
        &self,
        path: &str,
        params: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let body = self.ask(path, params)?;
        serde_json::from_slice(&body)
            .map_err(|err| Failure::Server(format!("the server's answer cannot be read: {err}")))
    }

    /// Sends spans as OTLP protobuf.
    pub(crate) fn send_spans(&self, body: &[u8]) -> Result<Answer, Failure> {
        let request = self.agent.post(format!("{}/v1/traces", self.url));
        self.read(request.content_type("application/x-protobuf").send(body))
    }

    fn read(
        &self,
        result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, Failure> {
        let unreachable = |err: ureq::Error| match err {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                Failure::Usage(format!("--url {}: {err}", self.url))
            }
            _ => Failure::Unreachable(format!(
                "no server at {}: {err}\n  start one with `throughline serve`, or name another with \
                 --url or THROUGHLINE_URL",
                self.url
            )),
        };
        let mut response = result.map_err(unreachable)?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_SIZE_BYTES_MAX).read_to_vec();
        Ok(Answer { status, body: body.map_err(unreachable)? })
    }
}

fn refused(answer: &Answer, params: &[(&str, &str)]) -> Failure {
    let error = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    let message = error["error"]["message"].as_str().unwrap_or("it is no throughline server");
    let query = params.iter().find(|(name, _)| *name == "q").map(|(_, value)| *value);
    match (answer.status, error["error"]["at"].as_u64(), query) {
        (400, Some(at), Some(query)) => Failure::Query {
            query: query.to_owned(),
            message: message.to_owned(),
            at: usize::try_from(at).unwrap_or(usize::MAX),
        },
        (404, ..) if error["error"].is_object() => Failure::Nothing(message.to_owned()),
        (400 | 422, ..) => Failure::Usage(message.to_owned()),
        (status, ..) => Failure::Server(format!("the server answered {status}: {message}")),
    }
}
