//! How a store behaves.

use std::path::PathBuf;

/// Settings of a store; `Default` is right for one machine.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The data directory; made when it is not there. One process at a time.
    pub directory: PathBuf,
    /// When spans in memory reach this many bytes they are written as a block.
    pub memtable_bytes_max: usize,
    /// Spans in memory are written as a block when the oldest has waited this long, in ms.
    pub flush_after_ms: u64,
    /// Blocks older than this are removed, in ms. `None` keeps them.
    pub retention_ms: Option<u64>,
    /// The oldest blocks are removed while all blocks together have more bytes. `None`: no limit.
    pub retention_bytes: Option<u64>,
    /// How many appends may wait for the log before more are refused as busy.
    pub queue_max: usize,
    /// So many blocks of one size are put together into one.
    pub compact_blocks: usize,
    /// A compacted block has at most this many bytes.
    pub compact_bytes_max: u64,
    /// Whether rows are spans: then the service map and the index of messages are kept up. Log
    /// records are read by trace only.
    pub holds_spans: bool,
    /// The clock, nanoseconds since the epoch; a parameter so that tests own it.
    pub now_unix_nano: fn() -> i64,
}

impl StoreOptions {
    /// The defaults, for a directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            memtable_bytes_max: 96 << 20,
            flush_after_ms: 30_000,
            retention_ms: Some(72 * 3_600_000),
            retention_bytes: None,
            queue_max: 1_024,
            compact_blocks: 8,
            compact_bytes_max: 128 << 20,
            holds_spans: true,
            now_unix_nano: || {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                i64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(i64::MAX)
            },
        }
    }
}
