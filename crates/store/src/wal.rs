//! The write-ahead log: what is acknowledged is here first, and on disk.
//!
//! `docs/formats/log.md` has the layout. A segment is one file; a record is one batch.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use throughline_model::{SpanBatch, decode_batch, encode_batch};

use crate::OpenError;
use crate::seams::{Log, sync_directory};

const MAGIC: &[u8; 4] = b"TLWL";
const VERSION: u16 = 1;
const HEADER_BYTES: u64 = 16;
const RECORD_HEADER_BYTES: usize = 8;
/// The longest batch that is believed, in bytes. Requests are far below.
const RECORD_BYTES_MAX: usize = 1 << 30;
/// The log as files of one directory, `wal-NUMBER.log`.
pub(crate) struct FileLog {
    directory: PathBuf,
    number: u64,
    file: File,
    /// Bytes of whole records: where the file is cut after a write that failed half way.
    good: u64,
}

/// Encodes a batch as a record: its length, its CRC-32 (u32 each), the batch. Done by the caller, so
/// that the log's thread only writes.
///
/// Not packed: zstd's fastest levels cost a sixth of all CPU of taking a span in, and a segment
/// lives only until its block is written (ADR-0006).
pub(crate) fn encode_record(batch: &SpanBatch) -> io::Result<Vec<u8>> {
    let mut record = vec![0; RECORD_HEADER_BYTES];
    encode_batch(batch, &mut record);
    let batch = &record[RECORD_HEADER_BYTES..];
    if batch.len() > RECORD_BYTES_MAX {
        return Err(io::Error::other("batch is too large for one record"));
    }
    let (length, crc) = (batch.len() as u32, crc32fast::hash(batch));
    record[..4].copy_from_slice(&length.to_le_bytes());
    record[4..8].copy_from_slice(&crc.to_le_bytes());
    Ok(record)
}

/// What a segment held, and where it ends.
pub(crate) struct Replayed {
    pub(crate) number: u64,
    pub(crate) batches: Vec<SpanBatch>,
    /// Bytes behind the last whole record, which were cut.
    pub(crate) torn_bytes: u64,
}

impl FileLog {
    /// Reads every segment from `floor` on, cuts torn tails, and starts a new segment.
    ///
    /// Segments below the floor are in blocks already and are removed.
    pub(crate) fn open(directory: &Path, floor: u64) -> Result<(Self, Vec<Replayed>), OpenError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        fs::create_dir_all(directory).map_err(failed(directory))?;
        let mut numbers = segments(directory).map_err(failed(directory))?;
        numbers.sort_unstable();
        let mut replayed = Vec::new();
        for number in &numbers {
            let path = segment_path(directory, *number);
            if *number < floor {
                fs::remove_file(&path).map_err(failed(&path))?;
                continue;
            }
            replayed.push(replay(&path, *number)?);
        }
        let number = numbers.last().map_or(floor, |last| (last + 1).max(floor));
        let log = Self::create(directory, number).map_err(failed(directory))?;
        Ok((log, replayed))
    }

    fn create(directory: &Path, number: u64) -> io::Result<Self> {
        let path = segment_path(directory, number);
        let mut file = OpenOptions::new().create_new(true).append(true).open(&path)?;
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&[0; 2]);
        header.extend_from_slice(&number.to_le_bytes());
        file.write_all(&header)?;
        file.sync_all()?;
        sync_directory(directory)?;
        Ok(Self { directory: directory.to_owned(), number, file, good: HEADER_BYTES })
    }
}

impl Log for FileLog {
    fn append(&mut self, records: &[&[u8]]) -> io::Result<()> {
        match records.iter().try_for_each(|record| self.file.write_all(record)) {
            Ok(()) => {
                self.good += records.iter().map(|record| record.len() as u64).sum::<u64>();
                Ok(())
            }
            Err(err) => {
                // A full disk may have taken half a record: cut it, so the next one can be read.
                self.file.set_len(self.good)?;
                Err(err)
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn rotate(&mut self) -> io::Result<u64> {
        let ended = self.number;
        let next = Self::create(&self.directory, ended + 1)?;
        *self = next;
        Ok(ended)
    }

    fn remove_below(&mut self, number: u64) -> io::Result<()> {
        for old in segments(&self.directory)?.into_iter().filter(|n| *n < number) {
            fs::remove_file(segment_path(&self.directory, old))?;
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.good
    }
}

fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("wal-{number:016x}.log"))
}

fn segments(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("wal-")?.strip_suffix(".log"));
        numbers.extend(number.and_then(|text| u64::from_str_radix(text, 16).ok()));
    }
    Ok(numbers)
}

fn replay(path: &Path, number: u64) -> Result<Replayed, OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(failed)?;
    let mut replayed = Replayed { number, batches: Vec::new(), torn_bytes: 0 };
    if let Some([low, high]) = bytes.get(4..6)
        && bytes.starts_with(MAGIC)
    {
        let found = u16::from_le_bytes([*low, *high]);
        if found > VERSION {
            let (path, found, supported) = (path.to_owned(), found.into(), VERSION.into());
            return Err(OpenError::TooNew { path, found, supported });
        }
    }
    let mut at = HEADER_BYTES as usize;
    // A crash while the segment was made may have left less than its header.
    let whole = bytes.len() >= at && bytes.starts_with(MAGIC);
    while whole && at < bytes.len() {
        let Some((batch, length)) = read_record(&bytes[at..]).map_err(|err| match err {
            RecordError::TooNew(found) => OpenError::TooNew {
                path: path.to_owned(),
                found: found.into(),
                supported: VERSION.into(),
            },
        })?
        else {
            break;
        };
        replayed.batches.push(batch);
        at += length;
    }
    let end = if whole { at } else { 0 };
    replayed.torn_bytes = bytes.len().saturating_sub(end) as u64;
    if replayed.torn_bytes > 0 {
        cut(path, end as u64, &bytes[end..]).map_err(failed)?;
    }
    Ok(replayed)
}

/// Cuts the torn tail off a segment. What is cut is kept beside it: recovery destroys nothing.
fn cut(path: &Path, end: u64, tail: &[u8]) -> io::Result<()> {
    fs::write(path.with_extension("torn"), tail)?;
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(end)?;
    file.sync_all()
}

enum RecordError {
    TooNew(u8),
}

/// Reads one record; `None` where the bytes are torn or damaged.
fn read_record(bytes: &[u8]) -> Result<Option<(SpanBatch, usize)>, RecordError> {
    let Some((header, rest)) = bytes.split_first_chunk::<RECORD_HEADER_BYTES>() else {
        return Ok(None);
    };
    let number = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let (length, crc) = (number(0) as usize, number(4));
    if length > RECORD_BYTES_MAX {
        return Ok(None);
    }
    let Some(batch) = rest.get(..length).filter(|batch| crc32fast::hash(batch) == crc) else {
        return Ok(None);
    };
    match decode_batch(batch) {
        Ok(batch) => Ok(Some((batch, RECORD_HEADER_BYTES + length))),
        Err(throughline_model::DecodeBatchError::TooNew { found }) => {
            Err(RecordError::TooNew(found))
        }
        Err(_) => Ok(None),
    }
}
