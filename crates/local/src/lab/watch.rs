//! throughline's answers, asked again until they say what is waited for.
//!
//! Rule: `ui/openapi.json`, the native API; `url.ts` of the page for links.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::LabError;
use super::calls::{self, encoded};

/// How long a span may be on its way: two cold starts on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon it is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// A running throughline.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    http: String,
}

impl Watch {
    pub(super) fn new(http: &str) -> Self {
        Self { http: http.trim_end_matches('/').to_owned() }
    }

    /// Fails when nobody is there, or somebody else.
    pub(super) async fn is_there(&self) -> Result<(), LabError> {
        calls::get(&format!("{}/api/v1/status", self.http)).await?.json().map(drop)
    }

    /// A page: `link("map", &[("env", "lab-apm-lambda")])`.
    pub(super) fn link(&self, page: &str, query: &[(&str, &str)]) -> String {
        let pairs: Vec<_> =
            query.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        format!("{}/{page}{mark}{}", self.http, pairs.join("&"))
    }

    /// An answer of the native API; `null` when there is no such thing.
    pub(super) async fn ask(&self, path: &str) -> Result<Value, LabError> {
        let answer = calls::get(&format!("{}/api/v1/{path}", self.http)).await?;
        if answer.status == 404 { Ok(Value::Null) } else { answer.json() }
    }

    /// The traces that a query finds since a time in nanoseconds since the epoch, newest first.
    pub(super) async fn search(&self, query: &str, from_nano: i64) -> Result<Vec<Value>, LabError> {
        let path = format!("search?limit=1000&from={from_nano}&q={}", encoded(query));
        let mut answer = self.ask(&path).await?;
        Ok(answer
            .get_mut("traces")
            .and_then(Value::as_array_mut)
            .map(std::mem::take)
            .unwrap_or_default())
    }

    /// The summaries that an X-Ray filter finds between two times in seconds since the epoch.
    pub(super) async fn filter(
        &self,
        expression: &str,
        from_seconds: i64,
    ) -> Result<Vec<Value>, LabError> {
        let body = json!({
            "StartTime": from_seconds, "EndTime": from_seconds + 3_600, "FilterExpression": expression,
        });
        let url = format!("{}/xray/TraceSummaries", self.http);
        let headers = [("content-type", "application/json")];
        let mut answer = calls::post(&url, &headers, body.to_string()).await?.json()?;
        let found = answer.get_mut("TraceSummaries").and_then(Value::as_array_mut);
        Ok(found.map(std::mem::take).unwrap_or_default())
    }

    /// Asks until `asked` gives something. `None`: it did not in a minute.
    pub(super) async fn until<T>(
        &self,
        mut asked: impl AsyncFnMut(&Self) -> Result<Option<T>, LabError>,
    ) -> Result<Option<T>, LabError> {
        let started = Instant::now();
        loop {
            if let Some(found) = asked(self).await? {
                return Ok(Some(found));
            }
            if started.elapsed() > PATIENCE {
                return Ok(None);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// A text member of an answer, or nothing.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// An array member of an answer, or none.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_what_is_typed() {
        let watch = Watch::new("http://127.0.0.1:8900/");
        assert_eq!(watch.link("map", &[]), "http://127.0.0.1:8900/map");
        assert_eq!(
            watch.link("traces", &[("env", "lab"), ("q", "service = \"a&b\"")]),
            "http://127.0.0.1:8900/traces?env=lab&q=service+%3D+%22a%26b%22"
        );
    }
}
