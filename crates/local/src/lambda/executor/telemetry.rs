//! What extensions that subscribed are told: the platform's events, and the lines of the function and of extensions.
//!
//! In:   events, in order; subscriptions.
//! Out:  arrays of events, posted to the subscriber's own HTTP server.
//! Rule: AWS Lambda developer guide, "Lambda Telemetry API reference" and its event schema, 2022-12-13. What happened
//!       before a subscription is told to it as well, for extensions subscribe while the start goes on.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::ids;
use crate::sync::lock;

/// Events that wait for a subscription while the process starts.
const EARLY_MAX: usize = 1_000;
/// Events that wait for one subscriber; what is more is dropped and counted.
const WAITING_MAX: usize = 10_000;
/// Extensions are at most ten, and each subscribes once.
const SUBSCRIPTIONS_MAX: usize = 10;
/// How long a subscriber may take to answer, and how often it is tried.
const POST_TIMEOUT: Duration = Duration::from_secs(2);
const POSTS_MAX: u32 = 3;
const POST_PAUSE: Duration = Duration::from_millis(100);

/// A kind of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Platform,
    Function,
    Extension,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        match name {
            "platform" => Some(Self::Platform),
            "function" => Some(Self::Function),
            "extension" => Some(Self::Extension),
            _ => None,
        }
    }
}

/// Who hears of one process.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// While the process starts: what happened so far.
    early: VecDeque<(Kind, Arc<Value>)>,
    is_ready: bool,
    subscribers: Vec<Subscriber>,
}

#[derive(Debug)]
struct Subscriber {
    name: String,
    kinds: BTreeSet<Kind>,
    sender: mpsc::Sender<Item>,
    /// Events that were too many for it, since it was last told.
    dropped: u64,
}

#[derive(Debug)]
enum Item {
    Event(Arc<Value>),
    Flush(oneshot::Sender<()>),
}

/// What a subscriber wants.
#[derive(Debug, PartialEq)]
pub(super) struct Wanted {
    kinds: BTreeSet<Kind>,
    items_max: usize,
    bytes_max: usize,
    pause: Duration,
    url: http::Uri,
}

impl Telemetry {
    /// Tells of something that has just happened: `platform.start`, or a line with its text.
    pub(crate) fn tell(&self, kind: Kind, what: &str, record: Value) {
        let mut event = json!({ "time": ids::iso(ids::now_ms()), "type": what });
        event["record"] = record;
        let event = Arc::new(event);
        let mut state = lock(&self.state);
        if !state.is_ready {
            if state.early.len() == EARLY_MAX {
                state.early.pop_front();
            }
            state.early.push_back((kind, Arc::clone(&event)));
        }
        for subscriber in &mut state.subscribers {
            subscriber.put(kind, &event);
        }
    }

    /// Lines of the function, or of an extension.
    pub(crate) fn tell_lines(&self, kind: Kind, lines: &[String]) {
        let state = lock(&self.state);
        if state.is_ready && state.subscribers.is_empty() {
            return;
        }
        drop(state);
        let what = if kind == Kind::Extension { "extension" } else { "function" };
        for line in lines {
            self.tell(kind, what, Value::from(line.trim_end_matches('\n')));
        }
    }

    /// The start is over: nobody subscribes any more who would want what was before.
    pub(crate) fn ready(&self) {
        let mut state = lock(&self.state);
        state.is_ready = true;
        state.early = VecDeque::new();
    }

    /// Begins to tell `name`. The error is for the one who asked.
    pub(super) fn subscribe(&self, name: &str, body: &[u8]) -> Result<(), String> {
        let wanted = read(body)?;
        let (sender, items) = mpsc::channel(WAITING_MAX);
        let kinds = wanted.kinds.clone();
        {
            let mut state = lock(&self.state);
            if state.is_ready {
                return Err("a subscription is possible during the start only".to_owned());
            }
            // A second subscription takes the place of the first.
            state.subscribers.retain(|subscriber| subscriber.name != name);
            if state.subscribers.len() >= SUBSCRIPTIONS_MAX {
                return Err("there are too many subscriptions".to_owned());
            }
            let mut subscriber =
                Subscriber { name: name.to_owned(), kinds: kinds.clone(), sender, dropped: 0 };
            for (kind, event) in &state.early {
                subscriber.put(*kind, event);
            }
            state.subscribers.push(subscriber);
        }
        tokio::spawn(deliver(wanted, items));
        let types: Vec<String> =
            kinds.iter().map(|kind| format!("{kind:?}").to_lowercase()).collect();
        let record = json!({ "name": name, "state": "Subscribed", "types": types });
        self.tell(Kind::Platform, "platform.telemetrySubscription", record);
        Ok(())
    }

    /// Waits until everything that was told is sent, at most as long as one post may take.
    pub(crate) async fn flush(&self) {
        let senders: Vec<_> =
            lock(&self.state).subscribers.iter().map(|it| it.sender.clone()).collect();
        for sender in senders {
            let (done, waiting) = oneshot::channel();
            if sender.try_send(Item::Flush(done)).is_ok() {
                let _ = timeout(POST_TIMEOUT, waiting).await;
            }
        }
    }
}

impl Subscriber {
    fn put(&mut self, kind: Kind, event: &Arc<Value>) {
        if !self.kinds.contains(&kind) {
            return;
        }
        if self.dropped > 0 && self.sender.capacity() > 1 {
            let record =
                json!({ "reason": "the subscriber is too slow", "droppedRecords": self.dropped });
            let told = json!({
                "time": ids::iso(ids::now_ms()), "type": "platform.logsDropped", "record": record,
            });
            let _ = self.sender.try_send(Item::Event(Arc::new(told)));
            self.dropped = 0;
        }
        if self.sender.try_send(Item::Event(Arc::clone(event))).is_err() {
            self.dropped += 1;
        }
    }
}

/// Reads a subscription. Its server can only be on this machine.
fn read(body: &[u8]) -> Result<Wanted, String> {
    let body: Value =
        serde_json::from_slice(body).map_err(|err| format!("the body is no JSON: {err}"))?;
    match body.get("schemaVersion").and_then(Value::as_str) {
        Some("2022-12-13" | "2022-07-01") => {}
        other => return Err(format!("schemaVersion {other:?} is not supported")),
    }
    let named = body.get("types").and_then(Value::as_array).into_iter().flatten();
    let kinds = named.map(|name| name.as_str().and_then(Kind::of)).collect::<Option<BTreeSet<_>>>();
    let kinds = kinds.filter(|kinds| !kinds.is_empty());
    let kinds = kinds.ok_or("types are platform, function and extension")?;
    let number = |name: &str, default: u64, least: u64, most: u64| match body
        .pointer(&format!("/buffering/{name}"))
    {
        None => Ok(default),
        Some(value) => match value.as_u64().filter(|value| (least..=most).contains(value)) {
            Some(value) => Ok(value),
            None => Err(format!("{name} is a number from {least} to {most}")),
        },
    };
    let items_max = number("maxItems", 10_000, 1_000, 10_000)?;
    let bytes_max = number("maxBytes", 262_144, 262_144, 1_048_576)?;
    let pause = number("timeoutMs", 1_000, 25, 30_000)?;
    let destination =
        |name: &str| body.pointer(&format!("/destination/{name}")).and_then(Value::as_str);
    if destination("protocol") != Some("HTTP") {
        return Err("the destination's protocol can only be HTTP here".to_owned());
    }
    let given = destination("URI").unwrap_or_default();
    let uri: http::Uri =
        given.parse().map_err(|err| format!("the destination {given:?}: {err}"))?;
    let local = ["sandbox.localdomain", "sandbox", "localhost", "127.0.0.1"];
    let host = uri.host().filter(|host| local.contains(host) && uri.scheme_str() == Some("http"));
    let (Some(_), Some(port)) = (host, uri.port_u16()) else {
        return Err(format!("the destination {given:?} is not http://sandbox.localdomain:PORT"));
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let url = format!("http://127.0.0.1:{port}{path}").parse();
    Ok(Wanted {
        kinds,
        items_max: usize::try_from(items_max).unwrap_or(usize::MAX),
        bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
        pause: Duration::from_millis(pause),
        url: url.map_err(|err| format!("the destination {given:?}: {err}"))?,
    })
}

/// Sends batches until the process is gone.
async fn deliver(wanted: Wanted, mut items: mpsc::Receiver<Item>) {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    while let Some(first) = items.recv().await {
        let mut batch = Batch::default();
        let mut flushed = batch.take(first);
        let until = Instant::now() + wanted.pause;
        while flushed.is_none()
            && batch.count < wanted.items_max
            && batch.text.len() < wanted.bytes_max
        {
            match timeout_at(until, items.recv()).await {
                Ok(Some(item)) => flushed = batch.take(item),
                Ok(None) | Err(_) => break,
            }
        }
        if batch.count > 0 {
            post(&client, &wanted.url, format!("[{}]", batch.text)).await;
        }
        if let Some(done) = flushed {
            let _ = done.send(());
        }
    }
}

#[derive(Default)]
struct Batch {
    text: String,
    count: usize,
}

impl Batch {
    fn take(&mut self, item: Item) -> Option<oneshot::Sender<()>> {
        match item {
            Item::Flush(done) => Some(done),
            Item::Event(event) => {
                if self.count > 0 {
                    self.text.push(',');
                }
                self.text.push_str(&event.to_string());
                self.count += 1;
                None
            }
        }
    }
}

/// A batch that nobody takes is lost, as it is with Lambda.
async fn post(client: &Client<HttpConnector, Full<Bytes>>, url: &http::Uri, body: String) {
    let body = Bytes::from(body);
    for attempt in 1..=POSTS_MAX {
        let request = http::Request::post(url.clone())
            .header("content-type", "application/json")
            .body(Full::new(body.clone()));
        let Ok(request) = request else { return };
        let answer = timeout(POST_TIMEOUT, client.request(request)).await;
        if matches!(answer, Ok(Ok(answer)) if answer.status().is_success()) {
            return;
        }
        if attempt < POSTS_MAX {
            tokio::time::sleep(POST_PAUSE).await;
        }
    }
    tracing::debug!(%url, "an extension did not take its telemetry");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(change: impl FnOnce(&mut Value)) -> Result<Wanted, String> {
        let mut body = json!({
            "schemaVersion": "2022-12-13",
            "types": ["platform", "function"],
            "buffering": { "maxItems": 1000, "maxBytes": 262_144, "timeoutMs": 25 },
            "destination": { "protocol": "HTTP", "URI": "http://sandbox.localdomain:4243/a?b" },
        });
        change(&mut body);
        read(body.to_string().as_bytes())
    }

    #[test]
    fn a_subscription_is_read_and_its_server_is_on_this_machine() {
        let wanted = subscription(|_| {}).unwrap();
        assert_eq!(wanted.url, "http://127.0.0.1:4243/a?b");
        assert_eq!((wanted.items_max, wanted.pause), (1_000, Duration::from_millis(25)));
        let plain = subscription(|body| body["buffering"] = Value::Null).unwrap();
        assert_eq!(plain.pause, Duration::from_secs(1));
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        for uri in
            ["http://example.com:80/", "https://sandbox.localdomain:1", "http://sandbox", "x"]
        {
            let refused = subscription(|body| body["destination"]["URI"] = uri.into());
            assert!(refused.is_err(), "{uri}");
        }
        assert!(subscription(|body| body["types"] = json!(["all"])).is_err());
        assert!(subscription(|body| body["types"] = json!([])).is_err());
        assert!(subscription(|body| body["schemaVersion"] = "2020-08-15".into()).is_err());
        assert!(subscription(|body| body["buffering"]["timeoutMs"] = 1.into()).is_err());
        assert!(read(b"").is_err());
    }
}
