//! What calls functions by itself: streams that are polled, topics that are told of.
//!
//! In:   [`EventSourceSpec`]s, records from the `Streams` seam, [`SnsMessage`]s.
//! Out:  calls with the events that AWS makes of them, and a receipt for every record.

mod events;
mod mappings;
mod poller;
mod sns;
mod types;

pub(crate) use mappings::{Pollers, StoredMapping};
pub use sns::SnsMessage;
pub use types::{EventSourceMapping, EventSourceSpec};
