//! What can go wrong at each seam of the store.

use std::io;
use std::path::PathBuf;

/// Why a store could not be opened. Nothing was changed on disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the directory open.
    #[error(
        "{} is in use by another throughline process; stop it, or choose another directory",
        .path.display()
    )]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// Written by a newer version. The file is intact: upgrade, do not delete.
    #[error(
        "{} has format {found}, newer than {supported}, the newest this version reads; \
         use a newer throughline, the data is intact",
        .path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// A checksum does not match.
    #[error("{} is damaged; restore it from a copy, or move the data directory away", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A block that the catalogue lists cannot be read.
    #[error("cannot open block {name}")]
    Block {
        /// The block's name.
        name: String,
        /// Why.
        source: ReadError,
    },
    /// The disk said no.
    #[error("cannot use {}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why spans were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too much is waiting. Try again in a moment.
    #[error("the store is busy")]
    Busy,
    /// The disk failed. After a failed fsync the store takes no more spans until it is restarted.
    #[error("the store cannot write: {0}")]
    Failed(String),
    /// The store is closing.
    #[error("the store is closing")]
    Closed,
}

/// Why stored spans could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Written by a newer version.
    #[error("{name} has format {found}, newer than {supported}, the newest this version reads")]
    TooNew {
        /// The file.
        name: String,
        /// Its version.
        found: u16,
        /// Ours.
        supported: u16,
    },
    /// The bytes are not what was written.
    #[error("damaged block: {0}")]
    Damaged(String),
    /// Parquet's own complaint.
    #[error("damaged block: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Arrow's own complaint.
    #[error("damaged block: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The disk said no.
    #[error("cannot read a block: {0}")]
    Io(#[from] io::Error),
}
