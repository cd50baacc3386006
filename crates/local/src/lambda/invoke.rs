//! Calls: waited for, put aside, or only tried.
//!
//! In:   a name, a payload, [`InvokeOptions`].
//! Out:  an [`InvokeAnswer`].
//! Rule: AWS Lambda API reference, `Invoke`; developer guide, "Asynchronous invocation": two more attempts when the
//!       function fails, with the same request id.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::error::LambdaError;
use super::executor::{Call, Outcome};
use super::functions::Functions;
use super::layers::LayerPlace;
use super::registry::Version;
use super::trace;
use super::types::{InvocationType, InvokeAnswer, InvokeOptions};
use crate::ids;

/// Lambda's limits for an event, by how it is sent.
const SYNC_BYTES_MAX: usize = 6_291_456;
const EVENT_BYTES_MAX: usize = 1_048_576;
/// A client context, out of its base64.
const CLIENT_CONTEXT_BYTES_MAX: usize = 3583;
/// How many `Event` calls may wait or be retried at once; each holds its payload.
pub(crate) const EVENTS_MAX: usize = 1000;
/// How often a call that is throttled is tried again, and how long apart.
const THROTTLED_ATTEMPTS_MAX: u32 = 600;
const THROTTLED_WAIT: Duration = Duration::from_millis(500);

/// What a call from inside is made with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inside {
    pub(crate) request_id: String,
    pub(crate) trace_header: Option<String>,
    pub(crate) client_context: Option<String>,
    pub(crate) log_tail: bool,
    /// See [`Call::until_ready`].
    pub(crate) until_ready: bool,
    /// The status that the caller sees.
    pub(crate) status: u16,
}

impl Functions {
    /// Calls a function. A function's own error is an answer with `function_error`, not an `Err`.
    pub async fn invoke(
        self: &Arc<Self>,
        name: &str,
        payload: Bytes,
        options: InvokeOptions,
    ) -> Result<InvokeAnswer, LambdaError> {
        let version = self.version(name, options.qualifier.as_deref())?;
        let payload = check_payload(payload, options.kind)?;
        let context = options.client_context.as_ref();
        if context.is_some_and(|context| context.len() > CLIENT_CONTEXT_BYTES_MAX) {
            return Err(LambdaError::InvalidRequestContent(
                "Client context must be smaller than 3583 bytes.".to_owned(),
            ));
        }
        let request_id = ids::uuid();
        let active = version.configuration.tracing_config.mode == "Active";
        let mut answer = InvokeAnswer {
            status: 204,
            payload: Bytes::new(),
            function_error: None,
            log_tail: None,
            version: version.configuration.version.clone(),
            request_id: request_id.clone(),
            trace_header: options.trace_header.clone().unwrap_or_default(),
        };
        let mut inside = Inside {
            request_id,
            trace_header: options.trace_header,
            client_context: options.client_context,
            log_tail: options.log_tail,
            until_ready: false,
            status: 200,
        };
        match options.kind {
            InvocationType::DryRun => {}
            InvocationType::Event => {
                answer.status = 202;
                inside.status = 202;
                inside.log_tail = false;
                self.put_aside(version.configuration.function_arn.clone(), payload, inside)?;
            }
            InvocationType::RequestResponse => {
                // One decision about the trace, so that the answer's header names what the function was given.
                let call_trace = trace::of_call(inside.trace_header.as_deref(), active);
                answer.trace_header.clone_from(&call_trace.header);
                let outcome = self.call(&version, payload, &inside, call_trace).await?;
                answer.status = 200;
                answer.payload = outcome.payload;
                answer.function_error = outcome.is_error.then_some("Unhandled");
                answer.log_tail = outcome.log_tail;
            }
        }
        Ok(answer)
    }

    /// Calls a version on behalf of an event source, and waits.
    pub(crate) async fn call_inside(
        &self,
        version: &Arc<Version>,
        payload: Bytes,
        inside: &Inside,
    ) -> Result<Outcome, LambdaError> {
        let active = version.configuration.tracing_config.mode == "Active";
        let call_trace = trace::of_call(inside.trace_header.as_deref(), active);
        self.call(version, payload, inside, call_trace).await
    }

    async fn call(
        &self,
        version: &Arc<Version>,
        payload: Bytes,
        inside: &Inside,
        call_trace: trace::CallTrace,
    ) -> Result<Outcome, LambdaError> {
        let busy_max = {
            let registry = self.registry();
            registry
                .functions
                .get(&version.configuration.function_name)
                .and_then(|function| function.reserved)
        };
        let call = Call {
            version: Arc::clone(version),
            layers: self.layer_folders(version).await?,
            task: self.store.folder(&version.code.hex),
            request_id: inside.request_id.clone(),
            payload,
            trace: call_trace,
            client_context: inside.client_context.clone(),
            log_tail: inside.log_tail,
            until_ready: inside.until_ready,
            busy_max,
            status: inside.status,
        };
        self.executor.run(call).await
    }

    async fn layer_folders(&self, version: &Version) -> Result<Vec<PathBuf>, LambdaError> {
        let mut folders = Vec::new();
        for place in self.layer_places(version)? {
            folders.push(match place {
                LayerPlace::Code(hex) => self.store.folder(&hex),
                LayerPlace::Folder(folder) => folder,
                LayerPlace::Zip(zip) => self.mapped_zip(zip).await?,
            });
        }
        Ok(folders)
    }

    /// Unpacks a zip of this machine next to the code, once for each state of it.
    async fn mapped_zip(&self, zip: PathBuf) -> Result<PathBuf, LambdaError> {
        let failed = |err: &dyn std::fmt::Display| {
            LambdaError::Service(format!("the layer {} cannot be read: {err}", zip.display()))
        };
        let archive = tokio::fs::read(&zip).await.map_err(|err| failed(&err))?;
        let code = self.store.put(&archive).map_err(|err| failed(&err))?;
        Ok(self.store.folder(&code.hex))
    }

    fn put_aside(
        self: &Arc<Self>,
        arn: String,
        payload: Bytes,
        inside: Inside,
    ) -> Result<(), LambdaError> {
        let Ok(place) = Arc::clone(&self.events).try_acquire_owned() else {
            return Err(LambdaError::TooManyRequests {
                message: "Rate Exceeded.".to_owned(),
                reason: "CallerRateLimitExceeded",
            });
        };
        let functions = Arc::clone(self);
        tokio::spawn(async move {
            let stop = functions.stop.clone();
            tokio::select! {
                () = functions.attempts(&arn, payload, &inside) => {}
                () = stop.cancelled() => {}
            }
            drop(place);
        });
        Ok(())
    }

    /// Up to three attempts. A throttle is no attempt.
    async fn attempts(&self, arn: &str, payload: Bytes, inside: &Inside) {
        let waits = self.around.config.event_retry_ms.map(Some).into_iter().chain([None]);
        for wait_ms in waits {
            if !self.attempt(arn, payload.clone(), inside).await {
                return;
            }
            if let Some(wait_ms) = wait_ms {
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            }
        }
        tracing::warn!(
            arn,
            request = inside.request_id,
            "an event was given up after three attempts"
        );
    }

    /// Whether another attempt is needed. Runs what the function is by now; one that is gone needs none.
    async fn attempt(&self, arn: &str, payload: Bytes, inside: &Inside) -> bool {
        for _ in 0..THROTTLED_ATTEMPTS_MAX {
            let Ok(version) = self.version(arn, None) else { return false };
            match self.call_inside(&version, payload.clone(), inside).await {
                Ok(outcome) => return outcome.is_error,
                Err(LambdaError::TooManyRequests { .. }) => {
                    tokio::time::sleep(THROTTLED_WAIT).await;
                }
                Err(_) => return true,
            }
        }
        true
    }
}

/// An event is JSON of bounded size; no bytes at all are an empty object.
fn check_payload(payload: Bytes, kind: InvocationType) -> Result<Bytes, LambdaError> {
    let bytes_max = if kind == InvocationType::Event { EVENT_BYTES_MAX } else { SYNC_BYTES_MAX };
    if payload.len() > bytes_max {
        return Err(LambdaError::RequestTooLarge(format!(
            "Request must be smaller than {bytes_max} bytes for the InvokeFunction operation"
        )));
    }
    if payload.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    match serde_json::from_slice::<IgnoredAny>(&payload) {
        Ok(_) => Ok(payload),
        Err(err) => Err(LambdaError::InvalidRequestContent(format!(
            "Could not parse request body into json: {err}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_json_of_bounded_size() {
        let check =
            |bytes: &'static [u8]| check_payload(Bytes::from_static(bytes), InvocationType::Event);
        assert_eq!(check(b"").unwrap(), "{}");
        assert_eq!(check(b"[1]").unwrap(), "[1]");
        assert_eq!(check(b"{").unwrap_err().code(), "InvalidRequestContentException");
        let large = Bytes::from(vec![b' '; EVENT_BYTES_MAX + 1]);
        let err = check_payload(large.clone(), InvocationType::Event).unwrap_err();
        assert_eq!((err.code(), err.status()), ("RequestTooLargeException", 413));
        let err = check_payload(large, InvocationType::RequestResponse).unwrap_err();
        assert_eq!(err.code(), "InvalidRequestContentException");
    }
}
