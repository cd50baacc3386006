//! A block: spans sealed in a Parquet file, with a sidecar that says what is in it.

mod compact;
mod read;
mod sidecar;
mod values;
mod write;

pub(crate) use compact::compact;
pub(crate) use read::{Block, RowGroup};
pub(crate) use sidecar::Sidecar;
pub(crate) use write::write_part;

/// The Parquet file of a block.
pub(crate) fn parquet_name(block: &str) -> String {
    format!("{block}.parquet")
}

/// The sidecar of a block.
pub(crate) fn sidecar_name(block: &str) -> String {
    format!("{block}.side")
}
