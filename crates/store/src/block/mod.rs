//! A block: spans sealed in a Parquet file, with a sidecar that says what is in it.

mod compact;
mod read;
mod sidecar;
mod values;
mod write;

use crate::ReadError;

pub(crate) use compact::compact;
pub(crate) use read::{Block, RowGroup, TraceBuilders};
pub(crate) use sidecar::Sidecar;
pub(crate) use write::write_part;

/// Reads of a block, with a panic made an error.
///
/// Pages and footers have no checksum, and Parquet's and Arrow's readers trust some numbers in them:
/// a flipped bit may end in an assertion of theirs. Reading changes nothing, so nothing is left half
/// done.
pub(crate) fn guarded<T>(
    name: &str,
    read: impl FnOnce() -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let read = std::panic::AssertUnwindSafe(read);
    std::panic::catch_unwind(read).unwrap_or_else(|_| {
        Err(ReadError::Damaged(format!("{name}: its bytes make no sense to the reader")))
    })
}

/// The Parquet file of a block.
pub(crate) fn parquet_name(block: &str) -> String {
    format!("{block}.parquet")
}

/// The sidecar of a block.
pub(crate) fn sidecar_name(block: &str) -> String {
    format!("{block}.side")
}
