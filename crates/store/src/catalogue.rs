//! Which blocks count, and from which log segment on spans are not in blocks yet.
//!
//! `docs/formats/catalogue.md` has the layout: a line of JSON with a checksum before it.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::OpenError;
use crate::seams::{Catalog, write_durably};

/// The version this code writes, and the newest it reads.
const VERSION: u32 = 1;
const FILE: &str = "catalogue";

/// What the catalogue says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogState {
    /// Format of this file.
    pub version: u32,
    /// Log segments below this number are in blocks.
    pub log_floor: u64,
    /// Number of the next block.
    pub next_block: u64,
    /// The blocks that count, oldest first.
    pub blocks: Vec<BlockEntry>,
}

impl Default for CatalogState {
    fn default() -> Self {
        Self { version: VERSION, log_floor: 0, next_block: 1, blocks: Vec::new() }
    }
}

/// One block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEntry {
    /// Its name; the files are `NAME.parquet` and `NAME.side`.
    pub name: String,
    /// Rows, copies in other blocks included.
    pub rows: u64,
    /// Bytes of both files.
    pub size_bytes: u64,
    /// 0 for a flushed block, one more for each compaction.
    pub level: u8,
    /// When its newest span was flushed, nanoseconds since the epoch: what retention goes by, so
    /// that spans with a wrong clock are kept as long as all others.
    pub flushed_unix_nano: i64,
    /// Earliest start of a span, nanoseconds since the epoch.
    pub min_start: i64,
    /// Latest start of a span, nanoseconds since the epoch.
    pub max_start: i64,
}

/// The catalogue as a file that is replaced whole.
pub struct FileCatalog {
    directory: PathBuf,
}

impl FileCatalog {
    /// Uses the file `catalogue` of a directory.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }
}

impl Catalog for FileCatalog {
    fn load(&self) -> Result<CatalogState, OpenError> {
        let path = self.directory.join(FILE);
        let bytes = match fs::read(&path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                return Ok(CatalogState::default());
            }
            other => other.map_err(|source| OpenError::Io { path: path.clone(), source })?,
        };
        let damaged = || OpenError::Damaged { path: path.clone() };
        // The version stands in plain sight, so that a newer file is refused and never repaired.
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
        let (crc, json) = text.split_once('\n').ok_or_else(damaged)?;
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let found = serde_json::from_str::<Version>(json).map_err(|_| damaged())?.version;
        if found > VERSION {
            return Err(OpenError::TooNew { path, found, supported: VERSION });
        }
        if u32::from_str_radix(crc, 16).ok() != Some(crc32fast::hash(json.as_bytes())) {
            return Err(damaged());
        }
        serde_json::from_str(json).map_err(|_| damaged())
    }

    fn commit(&mut self, state: &CatalogState) -> io::Result<()> {
        let json = serde_json::to_string(state).map_err(io::Error::other)?;
        let text = format!("{:08x}\n{json}", crc32fast::hash(json.as_bytes()));
        write_durably(&self.directory, FILE, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_catalogue_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut catalog = FileCatalog::new(directory.path().to_owned());
        let newer = CatalogState { version: VERSION + 1, ..CatalogState::default() };
        catalog.commit(&newer).unwrap();
        let before = fs::read(directory.path().join(FILE)).unwrap();
        assert!(matches!(catalog.load(), Err(OpenError::TooNew { found: 2, .. })));
        assert_eq!(fs::read(directory.path().join(FILE)).unwrap(), before);
    }

    #[test]
    fn a_flipped_byte_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let mut catalog = FileCatalog::new(directory.path().to_owned());
        let state = CatalogState { log_floor: 7, ..CatalogState::default() };
        catalog.commit(&state).unwrap();
        assert_eq!(catalog.load().unwrap(), state);
        let path = directory.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap().replace("\"log_floor\":7", "\"log_floor\":8");
        fs::write(&path, text).unwrap();
        assert!(matches!(catalog.load(), Err(OpenError::Damaged { .. })));
    }
}
