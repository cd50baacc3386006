//! The nouns: ids, times, typed attributes and the batch of spans that everything else holds.
//!
//! Comes in:   spans row by row, from the decoders, through [`SpanBatchBuilder`].
//! Goes out:   [`SpanBatch`], immutable and columnar, read by column or as borrowed [`SpanRef`]s.
//! May touch:  nothing of ours. Never: sockets, files, clocks, tasks, configuration.

mod attr;
mod batch;
mod builder;
mod codec;
mod id;
mod kind;
mod log;
mod merge;
mod nested;
mod note;
mod owners;
mod span;
pub mod xray;

pub use attr::{AttrType, AttrValue};
pub use batch::{AttrRange, LinkRow, ResourceRow, ScopeRow, SpanBatch};
pub use builder::SpanBatchBuilder;
pub use codec::{DecodeBatchError, decode_batch, encode_batch};
pub use id::{ParseIdError, SpanId, TraceId};
pub use kind::{SpanKind, StatusCode};
pub use log::{INVOCATION_ID, LogHead, LogRef, log_trace_of_invocation};
pub use merge::{merge_pieces, merge_with_notes, same_piece};
pub use nested::{NESTED_DEPTH_MAX, nested_array_from_json, nested_map_from_json, nested_to_json};
pub use note::{NOTE_INVOCATION, NOTE_SCOPE};
pub use owners::Owners;
pub use span::{Attributes, EventRef, LinkRef, ResourceRef, ScopeRef, SpanKey, SpanRef};

/// The duration of a span that has started but sent no end yet (X-Ray's in-progress segments).
pub const NO_END: i64 = i64::MIN;
