//! X-Ray documents on their way to the store: what datagrams and `PutTraceSegments` share.
//!
//! As `pipeline`, but a batch is made of many documents, and a rejection is of one document.

use std::sync::Arc;

use throughline_model::{SpanBatch, SpanBatchBuilder};
use throughline_store::{AppendError, Store};
use throughline_wire::xray::{self, Code, Options, RejectedDocument};

use crate::clock::now_unix_nano;
use crate::metrics::{Metrics, Protocol};
use crate::pipeline::dropped_word;
use crate::rejected::{self, RejectedRing, Rejection, head_of};

/// Ids longer than this are cut when they are remembered, in characters.
const ID_LENGTH_MAX: usize = 64;

/// Takes X-Ray documents in. One for the whole server.
pub(crate) struct Segments {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    rejected: Arc<RejectedRing>,
    options: Options,
}

impl Segments {
    pub(crate) fn new(
        store: Arc<Store>,
        metrics: Arc<Metrics>,
        rejected: Arc<RejectedRing>,
        strict: bool,
    ) -> Self {
        Self { store, metrics, rejected, options: Options { strict } }
    }

    /// Writes the spans of a document into `builder`, counts it, and remembers what was rejected.
    pub(crate) fn decode(
        &self,
        protocol: Protocol,
        document: &[u8],
        builder: &mut SpanBatchBuilder,
    ) -> Vec<RejectedDocument> {
        let outcome = xray::decode(document, &self.options, builder);
        self.metrics.spans().received(protocol, outcome.spans + outcome.rejected_spans());
        for rejected in &outcome.rejected {
            let reason = reason(rejected.code);
            self.metrics.spans().rejected(protocol, reason, rejected.spans);
            self.remember(protocol, reason, rejected, document);
        }
        for doubt in &outcome.doubts {
            self.metrics.spans().warned(protocol, reason(doubt.code), 1);
        }
        outcome.rejected
    }

    /// Counts and remembers a document that was rejected unread.
    pub(crate) fn reject(
        &self,
        protocol: Protocol,
        reason: &'static str,
        document: &[u8],
        detail: String,
    ) -> RejectedDocument {
        let rejected =
            RejectedDocument { id: None, code: Code::InvalidSegment, reason: detail, spans: 1 };
        self.metrics.spans().received(protocol, 1);
        self.metrics.spans().rejected(protocol, reason, 1);
        self.remember(protocol, reason, &rejected, document);
        rejected
    }

    fn remember(
        &self,
        protocol: Protocol,
        reason: &'static str,
        rejected: &RejectedDocument,
        document: &[u8],
    ) {
        let id = rejected.id.as_ref().map(|id| id.chars().take(ID_LENGTH_MAX).collect());
        let head = head_of(document);
        self.rejected.push(Rejection {
            time_unix_nano: now_unix_nano(),
            protocol,
            reason,
            count: rejected.spans,
            detail: rejected.reason.clone(),
            document: Some(rejected::RejectedDocument { code: rejected.code.word(), id, head }),
        });
    }

    /// Stores a batch; `done` is called once, when it is on disk or will never be.
    ///
    /// Whether a busy store counts as a loss is the caller's to say, with [`Segments::lost`]: one
    /// that may try again does so.
    pub(crate) fn append(
        &self,
        protocol: Protocol,
        batch: SpanBatch,
        done: impl FnOnce(Result<(), AppendError>) + Send + 'static,
    ) {
        let spans = batch.len() as u64;
        let metrics = Arc::clone(&self.metrics);
        self.store.append(batch, move |result| {
            match &result {
                Ok(()) => metrics.spans().stored(protocol, spans),
                Err(AppendError::Busy) => {}
                Err(err) => metrics.spans().dropped(protocol, dropped_word(err), spans),
            }
            done(result);
        });
    }

    /// Counts spans that a busy store did not take.
    pub(crate) fn lost(&self, protocol: Protocol, spans: u64) {
        self.metrics.spans().dropped(protocol, dropped_word(&AppendError::Busy), spans);
    }

    /// Counts the bytes of a datagram or a request.
    pub(crate) fn body_bytes(&self, protocol: Protocol, bytes: u64) {
        self.metrics.body_bytes(protocol, bytes);
    }

    /// Counts datagrams that the kernel dropped.
    pub(crate) fn kernel_dropped(&self, datagrams: u64) {
        self.metrics.kernel_dropped(datagrams);
    }
}

/// The word of the counter.
fn reason(code: Code) -> &'static str {
    match code {
        Code::MissingId => "missing_id",
        Code::InvalidTraceId => "invalid_trace_id",
        Code::InvalidId => "invalid_id",
        Code::InvalidName => "invalid_name",
        Code::MissingEndTime => "missing_end_time",
        Code::InvalidSegment => "invalid_segment",
    }
}
