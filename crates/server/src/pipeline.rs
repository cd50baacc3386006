//! What happens to a batch, in order. The file to read second, after the binary's `main.rs`.
//!
//! 1. A door reads the request's body against a budget (`doors::body`).
//! 2. [`Pipeline::take_in`] inflates and **decodes** it: spans, rejections and warnings.
//! 3. It **counts** them, and remembers the rejections for `/api/v1/rejected`.
//! 4. It **appends** the batch to the store, which calls back once the batch is on disk and visible.
//! 5. The callback counts "stored" or "dropped", and the door **acknowledges**.
//!
//! Back-pressure: a spent budget or a busy store is an error at once, which the door puts in its
//! protocol's own words for "try later". Nothing here queues, so nothing here can overflow.
//! Steps 2 to 4 never wait, so a client that hangs up in between changes no count.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use throughline_model::SpanBatchBuilder;
use throughline_store::AppendError;
use throughline_wire::otlp::{self, Signal};
use throughline_wire::{DecodeError, Decoded};
use tokio::sync::{Semaphore, oneshot};

use crate::app::Stores;
use crate::clock::now_unix_nano;
use crate::doors::body::{BodyError, RawBody, inflate};
use crate::metrics::{Metrics, Protocol};
use crate::rejected::{RejectedRing, Rejection};

/// Bodies above this size are decoded on a thread that may take its time, in bytes.
///
/// Decoding takes about 1 ms for each megabyte, so smaller ones hold the door's thread briefly.
const INLINE_SIZE_BYTES_MAX: usize = 256 << 10;

/// Builders that wait for the next batch. Each keeps some megabytes of room at most.
const BUILDERS_KEPT_MAX: usize = 16;

/// How the body of an export request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Binary protobuf.
    Protobuf,
    /// OTLP's JSON.
    Json,
}

/// An export request whose body was read.
#[derive(Debug)]
pub struct ExportRequest {
    /// The door it came by.
    pub protocol: Protocol,
    /// What it carries.
    pub signal: Signal,
    /// How it is written.
    pub encoding: Encoding,
    /// Its body as sent.
    pub body: RawBody,
}

/// What to tell the sender of spans that are on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Spans or records that were not kept.
    pub rejected: u64,
    /// Why; or a warning when nothing was rejected; or empty.
    pub message: String,
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeInError {
    /// The body could not be unpacked, or not now.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The body is no export request. The sender's fault: repeating it would not help.
    #[error("the body is no export request: {0}")]
    Undecodable(String),
    /// The store has too much to do: the sender may come back.
    #[error("the store is busy, try again")]
    Busy,
    /// The store could not write. The world's fault: the sender may come back.
    #[error("what was sent could not be stored, try again")]
    NotStored,
}

/// Takes export requests in. One for the whole server.
pub struct Pipeline {
    stores: Stores,
    metrics: Arc<Metrics>,
    rejected: Arc<RejectedRing>,
    builders: Mutex<Vec<SpanBatchBuilder>>,
    /// Large bodies that are decoded at once: more than cores would only hold more memory.
    large: Arc<Semaphore>,
    inflated_size_bytes_max: usize,
}

type Stored = oneshot::Receiver<Result<(), AppendError>>;

impl Pipeline {
    /// A pipeline into `stores`.
    pub(crate) fn new(
        stores: Stores,
        metrics: Arc<Metrics>,
        rejected: Arc<RejectedRing>,
        inflated_size_bytes_max: usize,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            stores,
            metrics,
            rejected,
            builders: Mutex::default(),
            large: Arc::new(Semaphore::new(cores)),
            inflated_size_bytes_max,
        }
    }

    /// Takes a request in and comes back when its spans are on disk and visible.
    pub async fn take_in(
        self: &Arc<Self>,
        mut request: ExportRequest,
    ) -> Result<Accepted, TakeInError> {
        let protocol = request.protocol;
        self.metrics.body_bytes(protocol, request.body.bytes.len() as u64);
        let inline_max = INLINE_SIZE_BYTES_MAX.min(self.inflated_size_bytes_max);
        let body = match inflate(&mut request.body, inline_max) {
            Err(BodyError::InflatedTooLarge { .. }) => None,
            inflated => Some(inflated),
        };
        let (started, _share) = match body {
            Some(body) => {
                let started = body
                    .map_err(TakeInError::Body)
                    .and_then(|body| self.decode_and_append(&request, &body));
                (started, request.body.share)
            }
            None => self.take_in_large(request).await,
        };
        let result = match started {
            Ok((accepted, stored)) => wait_until_stored(stored).await.map(|()| accepted),
            Err(err) => Err(err),
        };
        if let Err(err) = &result {
            self.remember_refusal(protocol, err);
        }
        result
    }

    /// As above, on a thread that may take its time.
    async fn take_in_large(
        self: &Arc<Self>,
        mut request: ExportRequest,
    ) -> (Result<(Accepted, Option<Stored>), TakeInError>, crate::doors::body::Share) {
        let turn = Arc::clone(&self.large).acquire_owned().await;
        let this = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let started = inflate(&mut request.body, this.inflated_size_bytes_max)
                .map_err(TakeInError::Body)
                .and_then(|body| this.decode_and_append(&request, &body));
            (started, request.body.share)
        });
        match work.await {
            Ok(done) => done,
            // The task is never cancelled, so it panicked: let the door's catcher answer.
            Err(err) => std::panic::resume_unwind(err.into_panic()),
        }
    }

    /// Steps 2 to 4. Never waits.
    fn decode_and_append(
        &self,
        request: &ExportRequest,
        body: &Bytes,
    ) -> Result<(Accepted, Option<Stored>), TakeInError> {
        let ExportRequest { protocol, signal, encoding, .. } = *request;
        let mut builder = self.builder();
        let decoded = decode(signal, encoding, body, &mut builder);
        self.keep_builder(builder);
        let decoded = decoded.map_err(|err| TakeInError::Undecodable(err.to_string()))?;

        let accepted = self.count(protocol, signal, &decoded);
        if decoded.batch.is_empty() {
            return Ok((accepted, None));
        }
        let rows = decoded.batch.len() as u64;
        let metrics = Arc::clone(&self.metrics);
        let (tell, stored) = oneshot::channel();
        let store = match signal {
            Signal::Traces => &self.stores.spans,
            Signal::Logs => &self.stores.logs,
        };
        store.append(decoded.batch, move |result| {
            match &result {
                Ok(()) => metrics.of(signal).stored(protocol, rows),
                Err(err) => metrics.of(signal).dropped(protocol, dropped_word(err), rows),
            }
            // The client may have gone; its spans are stored all the same.
            let _ = tell.send(result);
        });
        Ok((accepted, Some(stored)))
    }

    /// Counts what was decoded and says what to tell the sender.
    fn count(&self, protocol: Protocol, signal: Signal, decoded: &Decoded) -> Accepted {
        let rejected = decoded.rejected.total();
        let counted = self.metrics.of(signal);
        counted.received(protocol, decoded.batch.len() as u64 + rejected);
        for (reason, count) in decoded.rejected.counts() {
            let first = decoded.rejected.details().iter().find(|r| r.reason == reason);
            let detail = first.map(|r| r.detail.clone()).unwrap_or_default();
            counted.rejected(protocol, reason.word(), count);
            self.remember(protocol, reason.word(), count, detail);
        }
        let mut message = decoded.rejected.to_string();
        for (warning, count) in decoded.warnings.counts() {
            counted.warned(protocol, warning.word(), count);
            let separator = if message.is_empty() { "kept, but doubtful: " } else { ", " };
            let _ = write!(message, "{separator}{count} {}", warning.word());
        }
        Accepted { rejected, message }
    }

    fn remember_refusal(&self, protocol: Protocol, err: &TakeInError) {
        let word = match err {
            TakeInError::Body(body) => body.word(),
            TakeInError::Undecodable(_) => "undecodable",
            // The spans are counted as dropped.
            TakeInError::Busy | TakeInError::NotStored => return,
        };
        self.refuse(protocol, word, err.to_string());
    }

    /// Counts and remembers a request that a door refused before it came here.
    pub fn refuse(&self, protocol: Protocol, reason: &'static str, detail: String) {
        self.metrics.refused(protocol, reason);
        self.remember(protocol, reason, 0, detail);
    }

    fn remember(&self, protocol: Protocol, reason: &'static str, count: u64, detail: String) {
        let time_unix_nano = now_unix_nano();
        self.rejected.push(Rejection {
            time_unix_nano,
            protocol,
            reason,
            count,
            detail,
            document: None,
        });
    }

    fn builder(&self) -> SpanBatchBuilder {
        let mut kept = self.builders.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pop().unwrap_or_default()
    }

    fn keep_builder(&self, mut builder: SpanBatchBuilder) {
        builder.clear();
        let mut kept = self.builders.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < BUILDERS_KEPT_MAX {
            kept.push(builder);
        }
    }
}

fn decode(
    signal: Signal,
    encoding: Encoding,
    body: &[u8],
    builder: &mut SpanBatchBuilder,
) -> Result<Decoded, DecodeError> {
    match (signal, encoding) {
        (Signal::Traces, Encoding::Protobuf) => otlp::decode_protobuf(body, builder),
        (Signal::Traces, Encoding::Json) => otlp::decode_json(body, builder),
        (Signal::Logs, Encoding::Protobuf) => {
            otlp::decode_logs_protobuf(body, builder, now_unix_nano())
        }
        (Signal::Logs, Encoding::Json) => otlp::decode_logs_json(body, builder, now_unix_nano()),
    }
}

async fn wait_until_stored(stored: Option<Stored>) -> Result<(), TakeInError> {
    let Some(stored) = stored else { return Ok(()) };
    match stored.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(AppendError::Busy)) => Err(TakeInError::Busy),
        // A store that forgot the callback is one that stopped.
        Ok(Err(_)) | Err(_) => Err(TakeInError::NotStored),
    }
}

/// The word of the counter of dropped spans.
pub(crate) fn dropped_word(err: &AppendError) -> &'static str {
    match err {
        AppendError::Busy => "store_busy",
        AppendError::Failed(_) => "store_failed",
        AppendError::Closed => "store_closed",
    }
}
