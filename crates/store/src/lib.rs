//! Keeps spans: batches in, files on disk, and every acknowledged span visible to every query.
//!
//! Comes in:   [`throughline_model::SpanBatch`]es, through [`Store::append`].
//! Goes out:   [`Snapshot`]s, read by trace or as [`Chunk`]s of columns; the service map.
//! May touch:  `model`, `topology`, the disk. Never: sockets, protocols, query text, async tasks.

mod block;
mod catalogue;
mod chunk;
mod column;
mod error;
mod flusher;
mod memory;
mod messages;
mod options;
mod retention;
mod seams;
mod snapshot;
mod state;
mod store;
mod typed_values;
mod wal;
mod writer;

pub use catalogue::{BlockEntry, CatalogState, FileCatalog};
pub use chunk::Chunk;
pub use column::{AttributeKey, Column, Scope};
pub use error::{AppendError, OpenError, ReadError};
pub use messages::Wanted;
pub use options::StoreOptions;
pub use seams::{Catalog, Directory, Log, Objects, StoredObject};
pub use snapshot::{Snapshot, TRACES_PER_MESSAGE_MAX};
pub use store::{Store, StoreStats, Wrap};
