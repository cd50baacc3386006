//! HTTP calls of a run: to throughline, to the front door, to what was deployed.

use std::time::Duration;

use serde_json::Value;

use super::LabError;

/// A cold start on a busy machine fits.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 32 << 20;
/// How much of an answer an error shows, in characters.
const SHOWN_MAX: usize = 400;

/// An answer of any status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) url: String,
    pub(super) status: u16,
    pub(super) body: String,
}

impl Answer {
    /// The body as JSON, if the status is 2xx.
    pub(super) fn json(&self) -> Result<Value, LabError> {
        match serde_json::from_str(&self.body) {
            Ok(value) if (200..300).contains(&self.status) => Ok(value),
            _ => Err(self.unexpected()),
        }
    }

    /// The error of an answer that is not what it has to be.
    pub(super) fn unexpected(&self) -> LabError {
        let body = self.body.chars().take(SHOWN_MAX).collect();
        LabError::Answer { url: self.url.clone(), status: self.status, body }
    }
}

/// Gets an address.
pub(super) async fn get(url: &str) -> Result<Answer, LabError> {
    call(http::Request::get(url), String::new()).await
}

/// Posts a body.
pub(super) async fn post(
    url: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Result<Answer, LabError> {
    let request = headers
        .iter()
        .fold(http::Request::post(url), |request, (name, value)| request.header(*name, *value));
    call(request, body).await
}

/// Makes a call; an answer of any status is one.
pub(super) async fn call(
    request: http::request::Builder,
    body: String,
) -> Result<Answer, LabError> {
    let url = request.uri_ref().map(ToString::to_string).unwrap_or_default();
    let failed = |reason: String| LabError::Unreachable { url: url.clone(), reason };
    let request = request.body(body).map_err(|err| failed(err.to_string()))?;
    let asked = tokio::task::spawn_blocking(move || ask(request)).await;
    let (status, body) =
        asked.map_err(|err| failed(err.to_string()))?.map_err(|err| failed(err.to_string()))?;
    Ok(Answer { url, status, body })
}

fn ask(request: http::Request<String>) -> Result<(u16, String), ureq::Error> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .timeout_global(Some(TIMEOUT))
        .build();
    let mut answer = ureq::Agent::from(config).run(request)?;
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).lossy_utf8(true);
    let body = body.read_to_string()?;
    Ok((answer.status().as_u16(), body))
}

/// A value as a part of a query.
pub(super) fn encoded(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
