//! The Extensions API: programs of layers that live beside a function's process.
//!
//! In:   `POST .../extension/register`, `GET .../extension/event/next`, `POST .../extension/init|exit/error`,
//!       `PUT /2022-07-01/telemetry`, on the process' own Runtime API.
//! Out:  events to those that want them; whether all are ready, or one has failed.
//! Rule: AWS Lambda developer guide, "Using the Lambda Extensions API to create extensions", version 2020-01-01. A
//!       phase ends when the runtime and every extension ask for the next event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use super::runtime_api::{Work, refusal};
use super::telemetry::Telemetry;
use crate::ids;
use crate::sync::lock;

/// Lambda's own quota.
pub(super) const EXTENSIONS_MAX: usize = 10;
/// A registration or a subscription is short.
const BODY_BYTES_MAX: usize = 262_144;
const NAME_BYTES_MAX: usize = 128;

/// What extensions are told of the function.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) function_name: String,
    pub(crate) function_version: String,
    pub(crate) handler: String,
    pub(crate) account: String,
}

/// The extensions of one process.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    about: Mutex<About>,
    state: Mutex<State>,
    changed: Notify,
    pub(crate) telemetry: Arc<Telemetry>,
}

#[derive(Debug, Default)]
struct State {
    /// By identifier.
    known: BTreeMap<String, Extension>,
    /// Programs that were started and have not registered yet.
    awaited: BTreeSet<String>,
    is_ready: bool,
    failed: Option<Failed>,
}

#[derive(Debug)]
struct Extension {
    name: String,
    wants_invoke: bool,
    wants_shutdown: bool,
    /// Its hanging question for the next event.
    waiting: Option<oneshot::Sender<Value>>,
}

/// An extension that said that it cannot go on, or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// `Extension.InitError`, `Extension.ExitError` or `Extension.Crash`.
    pub(crate) error_type: String,
    /// Why.
    pub(crate) message: String,
}

/// How the process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Spindown,
    Timeout,
    Failure,
}

impl Extensions {
    /// What they are told of the function, and the names of the programs that will register.
    pub(crate) fn expect(&self, about: About, names: impl IntoIterator<Item = String>) {
        *lock(&self.about) = about;
        lock(&self.state).awaited.extend(names);
    }

    /// Whether every program that was started has registered.
    pub(crate) fn are_registered(&self) -> bool {
        lock(&self.state).awaited.is_empty()
    }

    /// Whether every extension waits for its next event.
    pub(crate) fn are_ready(&self) -> bool {
        let state = lock(&self.state);
        state.awaited.is_empty() && state.known.values().all(Extension::is_waiting)
    }

    /// No extension registers any more.
    ///
    /// Gives the names of those that did, and the events that each wants.
    pub(crate) fn close_registration(&self) -> Vec<(String, Vec<&'static str>)> {
        let mut state = lock(&self.state);
        state.is_ready = true;
        let described = state.known.values().map(|extension| {
            let events = [
                extension.wants_invoke.then_some("INVOKE"),
                extension.wants_shutdown.then_some("SHUTDOWN"),
            ];
            (extension.name.clone(), events.into_iter().flatten().collect())
        });
        let described = described.collect();
        drop(state);
        described
    }

    pub(crate) fn failed(&self) -> Option<Failed> {
        lock(&self.state).failed.clone()
    }

    /// Whether any wants to know of the end.
    pub(crate) fn want_shutdown(&self) -> bool {
        lock(&self.state).known.values().any(|extension| extension.wants_shutdown)
    }

    /// Waits until one registers, asks for its next event or fails. One task waits, and misses nothing.
    pub(crate) async fn change(&self) {
        self.changed.notified().await;
    }

    /// Tells those that want it of a call.
    pub(crate) fn invoke(&self, work: &Work) {
        let event = json!({
            "eventType": "INVOKE",
            "deadlineMs": work.deadline_ms,
            "requestId": work.request_id,
            "invokedFunctionArn": work.function_arn,
            "tracing": { "type": "X-Amzn-Trace-Id", "value": work.trace_header },
        });
        self.send(&event, |extension| extension.wants_invoke);
    }

    /// Tells those that want it that the end is near.
    pub(crate) fn shut_down(&self, why: Why, deadline_ms: i64) {
        let reason = match why {
            Why::Spindown => "spindown",
            Why::Timeout => "timeout",
            Why::Failure => "failure",
        };
        let event = json!({
            "eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline_ms,
        });
        self.send(&event, |extension| extension.wants_shutdown);
    }

    /// One that was told of nothing else goes on waiting.
    fn send(&self, event: &Value, wants: impl Fn(&Extension) -> bool) {
        for extension in lock(&self.state).known.values_mut().filter(|it| wants(it)) {
            if let Some(waiting) = extension.waiting.take() {
                let _ = waiting.send(event.clone());
            }
        }
    }

    /// Answers a call of the API; `path` has its version in front.
    pub(super) async fn answer(
        &self,
        path: &str,
        request: Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let header = |name: &str| {
            let value = request.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (identifier, name) =
            (header("lambda-extension-identifier"), header("lambda-extension-name"));
        let features = header("lambda-extension-accept-feature");
        let fault = header("lambda-extension-function-error-type");
        let method = request.method().clone();
        if (&method, path) == (&Method::GET, "/2020-01-01/extension/event/next") {
            return self.next(&identifier).await;
        }
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await;
        let Ok(body) = body.map(http_body_util::Collected::to_bytes) else {
            return refusal(
                StatusCode::BAD_REQUEST,
                "InvalidRequestFormat",
                "the body is too long",
            );
        };
        match (&method, path) {
            (&Method::POST, "/2020-01-01/extension/register") => {
                self.register(&name, &features, &body)
            }
            (&Method::POST, "/2020-01-01/extension/init/error") => {
                self.fail(&identifier, "Extension.InitError", &fault)
            }
            (&Method::POST, "/2020-01-01/extension/exit/error") => {
                self.fail(&identifier, "Extension.ExitError", &fault)
            }
            (&Method::PUT, "/2022-07-01/telemetry") => self.subscribe(&identifier, &body),
            _ => refusal(StatusCode::NOT_FOUND, "NotFound", "no such path"),
        }
    }

    fn register(&self, name: &str, features: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let bad = |text: &str| refusal(StatusCode::BAD_REQUEST, "InvalidRequestFormat", text);
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return bad("Lambda-Extension-Name is missing or too long");
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let events: Vec<&str> = match body.get("events").and_then(Value::as_array) {
            Some(events) => events.iter().filter_map(Value::as_str).collect(),
            None if body.is_object() => Vec::new(),
            None => return bad("the body is no JSON object"),
        };
        if let Some(other) = events.iter().find(|event| !["INVOKE", "SHUTDOWN"].contains(event)) {
            let text = format!("there is no event {other}");
            return refusal(StatusCode::BAD_REQUEST, "Extension.InvalidEventType", &text);
        }
        let identifier = ids::uuid();
        {
            let mut state = lock(&self.state);
            let is_program = state.awaited.remove(name);
            let forbidden =
                |text: &str| refusal(StatusCode::FORBIDDEN, "Extension.RegistrationError", text);
            if state.is_ready {
                return forbidden("the start is over");
            }
            if state.known.values().any(|known| known.name == name) {
                return forbidden("an extension of this name is registered already");
            }
            if state.known.len() >= EXTENSIONS_MAX {
                return forbidden("there are too many extensions");
            }
            if !is_program && events.contains(&"SHUTDOWN") {
                // It lives in the runtime's own process, which is told otherwise.
                return refusal(
                    StatusCode::BAD_REQUEST,
                    "ShutdownEventNotSupportedForInternalExtension",
                    "only a program of its own can have SHUTDOWN events",
                );
            }
            let extension = Extension {
                name: name.to_owned(),
                wants_invoke: events.contains(&"INVOKE"),
                wants_shutdown: events.contains(&"SHUTDOWN"),
                waiting: None,
            };
            state.known.insert(identifier.clone(), extension);
        }
        self.changed.notify_one();
        let about = lock(&self.about).clone();
        let wants_account = features.split(',').any(|feature| feature.trim() == "accountId");
        let mut answer = BTreeMap::from([
            ("functionName", about.function_name),
            ("functionVersion", about.function_version),
            ("handler", about.handler),
        ]);
        if wants_account {
            answer.insert("accountId", about.account);
        }
        let answer = json!(answer);
        let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
        if let Ok(value) = identifier.parse() {
            response.headers_mut().insert("lambda-extension-identifier", value);
        }
        response
    }

    /// Hangs until there is an event.
    async fn next(&self, identifier: &str) -> Response<Full<Bytes>> {
        let (sender, event) = oneshot::channel();
        match lock(&self.state).known.get_mut(identifier) {
            Some(extension) => extension.waiting = Some(sender),
            None => return unknown(),
        }
        self.changed.notify_one();
        let Ok(event) = event.await else {
            return refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Sandbox.Gone",
                "this process is to end",
            );
        };
        let mut response = Response::new(Full::new(Bytes::from(event.to_string())));
        if let Ok(value) = ids::uuid().parse() {
            response.headers_mut().insert("lambda-extension-event-identifier", value);
        }
        response
    }

    fn fail(&self, identifier: &str, error_type: &str, fault: &str) -> Response<Full<Bytes>> {
        let Some(name) = lock(&self.state).known.get(identifier).map(|it| it.name.clone()) else {
            return unknown();
        };
        self.give_up(error_type, format!("extension {name}: {fault}"));
        let mut response = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}\n")));
        *response.status_mut() = StatusCode::ACCEPTED;
        response
    }

    /// The process cannot go on; the first reason counts.
    pub(crate) fn give_up(&self, error_type: &str, message: String) {
        let failed = Failed { error_type: error_type.to_owned(), message };
        lock(&self.state).failed.get_or_insert(failed);
        self.changed.notify_one();
    }

    fn subscribe(&self, identifier: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let Some(name) = lock(&self.state).known.get(identifier).map(|it| it.name.clone()) else {
            return unknown();
        };
        match self.telemetry.subscribe(&name, body) {
            Ok(()) => Response::new(Full::new(Bytes::from_static(b"\"OK\""))),
            Err(text) => refusal(StatusCode::BAD_REQUEST, "ValidationError", &text),
        }
    }
}

impl Extension {
    fn is_waiting(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| !waiting.is_closed())
    }
}

fn unknown() -> Response<Full<Bytes>> {
    refusal(StatusCode::FORBIDDEN, "Extension.UnknownExtensionIdentifier", "no such extension")
}
