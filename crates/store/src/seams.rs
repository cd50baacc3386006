//! The four seams for scale-out, each with its one implementation of today (ADR-0002).
//!
//! | seam | today | later |
//! |---|---|---|
//! | [`Log`] | a file ([`crate::wal`]) | Kafka |
//! | [`Objects`] | a directory ([`Directory`]) | S3, through `object_store` |
//! | [`Catalog`] | a file ([`crate::catalogue`]) | Postgres |
//! | workers | none: a query reads its [`crate::Chunk`]s itself | many, each with some chunks |

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::catalogue::CatalogState;

/// The log that makes an append durable before it is acknowledged.
pub trait Log: Send {
    /// Appends records; none is durable before [`Log::sync`] returns.
    ///
    /// After an error nothing of `records` is in the log, or the log says so by failing for good.
    fn append(&mut self, records: &[&[u8]]) -> io::Result<()>;

    /// Makes everything appended durable. After an error the log must not be used again: what the
    /// disk holds is unknown ("fsyncgate").
    fn sync(&mut self) -> io::Result<()>;

    /// Ends the open segment and starts the next one. Gives the number of the one that ended.
    fn rotate(&mut self) -> io::Result<u64>;

    /// Removes every segment below `number`: its spans are in blocks that the catalogue lists.
    fn remove_below(&mut self, number: u64) -> io::Result<()>;

    /// Bytes of the open segment.
    fn size_bytes(&self) -> u64;
}

/// Immutable objects by name: the blocks and their sidecars.
pub trait Objects: Send + Sync {
    /// Stores an object; durable when it returns. An object of that name is replaced.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Opens an object.
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredObject>>;
    /// Removes an object; one that is not there is no error.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names of all objects.
    fn list(&self) -> io::Result<Vec<String>>;
}

/// An open object.
pub trait StoredObject: Send + Sync {
    /// Its length in bytes.
    fn size_bytes(&self) -> u64;
    /// Reads exactly `length` bytes from `offset`.
    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes>;
}

/// The list of blocks that count. A block is visible when, and only when, it is listed.
pub trait Catalog: Send {
    /// The state last committed; empty for a new store.
    fn load(&self) -> Result<CatalogState, crate::OpenError>;
    /// Replaces the state in one step: after a crash either the old or the new one is there.
    fn commit(&mut self, state: &CatalogState) -> io::Result<()>;
}

/// Objects as files of one directory.
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Uses `path`, which is made when it is not there.
    pub fn new(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }
}

impl Objects for Directory {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        write_durably(&self.path, name, bytes)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredObject>> {
        let file = File::open(self.path.join(name))?;
        let length = file.metadata()?.len();
        Ok(Arc::new(StoredFile { file, length }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name()));
        let names = names.collect::<io::Result<Vec<_>>>()?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }
}

struct StoredFile {
    file: File,
    length: u64,
}

impl StoredObject for StoredFile {
    fn size_bytes(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        // A damaged footer may name any length: never allocate beyond the file.
        if offset.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    }
}

/// Writes a file under a temporary name, makes it durable, then gives it its name.
pub(crate) fn write_durably(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!("{name}.tmp"));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, directory.join(name))?;
        sync_directory(directory)
    };
    write().inspect_err(|_| {
        // The file is of no use; that it cannot be removed either changes nothing.
        let _ = fs::remove_file(&temporary);
    })
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
