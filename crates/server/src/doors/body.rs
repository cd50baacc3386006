//! Reads a request's body at a bounded cost of memory and time, and inflates it.
//!
//! Every byte that we hold for a client is first taken from one [`Budget`], so many large or
//! maliciously packed bodies end in "come back later" instead of in swap. Nothing waits for the
//! budget: two half-read bodies that wait for each other would never end.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that all bodies together may hold.
#[derive(Clone, Debug)]
pub struct Budget {
    semaphore: Arc<Semaphore>,
    size_kib: usize,
}

impl Budget {
    /// A budget of this many bytes.
    pub fn new(size_bytes: usize) -> Self {
        let size_kib = size_bytes.div_ceil(1024);
        Self { semaphore: Arc::new(Semaphore::new(size_kib)), size_kib }
    }

    /// Bytes taken now.
    pub fn taken_bytes(&self) -> u64 {
        (self.size_kib.saturating_sub(self.semaphore.available_permits()) as u64) * 1024
    }

    /// A share that starts empty.
    pub fn share(&self) -> Share {
        Share { budget: self.clone(), permit: None }
    }
}

/// What one body took from the budget. Gives it back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    permit: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Grows to `size_bytes`, or fails when the budget is spent.
    pub fn grow_to(&mut self, size_bytes: usize) -> Result<(), BodyError> {
        let held_kib = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more_kib = size_bytes.div_ceil(1024).saturating_sub(held_kib);
        if more_kib == 0 {
            return Ok(());
        }
        let more_kib = u32::try_from(more_kib).map_err(|_| BodyError::Busy)?;
        let more = Arc::clone(&self.budget.semaphore)
            .try_acquire_many_owned(more_kib)
            .map_err(|_| BodyError::Busy)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952, also several members in a row.
    Gzip,
    /// RFC 8878, also several frames in a row.
    Zstd,
}

impl Coding {
    /// The coding of a `Content-Encoding` or `grpc-encoding` header; `None` when we cannot read it.
    pub fn from_header(value: Option<&http::HeaderValue>) -> Option<Self> {
        let Some(value) = value else { return Some(Self::Identity) };
        match value.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Identity),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The budget is spent: the client may come back.
    #[error("too many bytes are waiting to be stored, try again")]
    Busy,
    /// The client's body is larger than we take.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body is small, but what it unpacks to is not.
    #[error("the body inflates to more than {limit} bytes")]
    InflatedTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body stood still.
    #[error("the body did not arrive in time")]
    TimedOut,
    /// The connection broke, or the chunks were malformed.
    #[error("the body ended early: {0}")]
    Broken(String),
    /// The body is not what its encoding says.
    #[error("the body does not inflate: {0}")]
    Corrupt(String),
}

impl BodyError {
    /// The word of the counter.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Busy => "intake_busy",
            Self::TooLarge { .. } => "body_too_large",
            Self::InflatedTooLarge { .. } => "inflated_too_large",
            Self::TimedOut => "body_timed_out",
            Self::Broken(_) => "body_broken",
            Self::Corrupt(_) => "body_corrupt",
        }
    }
}

/// A body as sent, with what it took from the budget.
#[derive(Debug)]
pub struct RawBody {
    /// The bytes as sent.
    pub bytes: Bytes,
    /// How they are packed.
    pub coding: Coding,
    /// What they took.
    pub share: Share,
}

/// How long and how large a body may be.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Bytes as sent.
    pub size_bytes_max: usize,
    /// How long it may stand still.
    pub still: Duration,
    /// How long all of it may take.
    pub total: Duration,
}

/// Reads `body` to its end.
pub async fn read<B>(
    mut body: B,
    coding: Coding,
    mut share: Share,
    limits: ReadLimits,
) -> Result<RawBody, BodyError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let size_bytes_max = limits.size_bytes_max;
    let too_large = BodyError::TooLarge { limit: size_bytes_max };
    let hint = body.size_hint();
    if hint.lower() > size_bytes_max as u64 {
        discard(&mut body, limits).await;
        return Err(too_large);
    }
    let started = Instant::now();
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut size = 0;
    loop {
        let left = limits.total.saturating_sub(started.elapsed());
        let frame = match tokio::time::timeout(limits.still.min(left), body.frame()).await {
            Err(_) => return Err(BodyError::TimedOut),
            Ok(None) => break,
            Ok(Some(Err(err))) => return Err(BodyError::Broken(err.to_string())),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size > size_bytes_max {
            discard(&mut body, limits).await;
            return Err(too_large);
        }
        if let Err(busy) = share.grow_to(size) {
            discard(&mut body, limits).await;
            return Err(busy);
        }
        if first.is_empty() && all.is_empty() {
            // A body in one piece needs no copy.
            first = data;
            continue;
        }
        if all.is_empty() {
            // The length was checked above; what the client claims is taken from the budget before
            // it is taken from memory.
            let expected = usize::try_from(hint.lower()).unwrap_or(0).max(size);
            share.grow_to(expected)?;
            all.reserve(expected);
            all.extend_from_slice(&first);
            first = Bytes::new();
        }
        all.extend_from_slice(&data);
    }
    let bytes = if all.is_empty() { first } else { all.freeze() };
    Ok(RawBody { bytes, coding, share })
}

/// Reads on without keeping anything, for a moment: a client that is still sending sees our answer
/// only if we do not reset the connection under it.
async fn discard<B>(body: &mut B, limits: ReadLimits)
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    const MOMENT: Duration = Duration::from_secs(5);
    let mut left = limits.size_bytes_max.saturating_mul(2);
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, Bytes::len);
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(MOMENT, reading).await;
}

/// Inflates `raw` to at most `size_bytes_max` bytes, which the share grows by.
pub fn inflate(raw: &mut RawBody, size_bytes_max: usize) -> Result<Bytes, BodyError> {
    let packed: &[u8] = &raw.bytes;
    match raw.coding {
        Coding::Identity if packed.len() > size_bytes_max => {
            Err(BodyError::InflatedTooLarge { limit: size_bytes_max })
        }
        Coding::Identity => Ok(raw.bytes.clone()),
        Coding::Gzip if packed.is_empty() => Ok(Bytes::new()),
        Coding::Gzip => {
            let reader = flate2::bufread::MultiGzDecoder::new(packed);
            read_limited(reader, packed.len(), &mut raw.share, size_bytes_max)
        }
        Coding::Zstd => {
            // RFC 9659: 8 MiB of window is what a receiver of zstd over HTTP has to bear.
            const WINDOW_LOG_MAX: u32 = 23;
            let corrupt = |err: std::io::Error| BodyError::Corrupt(err.to_string());
            let mut reader = zstd::stream::read::Decoder::with_buffer(packed).map_err(corrupt)?;
            reader.window_log_max(WINDOW_LOG_MAX).map_err(corrupt)?;
            read_limited(reader, packed.len(), &mut raw.share, size_bytes_max)
        }
    }
}

fn read_limited(
    mut reader: impl Read,
    packed_size: usize,
    share: &mut Share,
    size_bytes_max: usize,
) -> Result<Bytes, BodyError> {
    const STEP_SIZE_BYTES: usize = 64 << 10;
    let mut out = Vec::new();
    let mut filled = 0;
    loop {
        if filled == out.len() {
            if filled > size_bytes_max {
                return Err(BodyError::InflatedTooLarge { limit: size_bytes_max });
            }
            // One byte above the limit tells "too large" from "just fits".
            let room = (out.len() * 2).max(packed_size * 4).max(STEP_SIZE_BYTES);
            let room = room.min(size_bytes_max + 1);
            share.grow_to(packed_size + room)?;
            out.resize(room, 0);
        }
        match reader.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
            Err(err) => return Err(BodyError::Corrupt(err.to_string())),
        }
    }
    if filled > size_bytes_max {
        return Err(BodyError::InflatedTooLarge { limit: size_bytes_max });
    }
    out.truncate(filled);
    Ok(Bytes::from(out))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn inflated(bytes: Vec<u8>, coding: Coding, max: usize) -> Result<Bytes, BodyError> {
        let share = Budget::new(1 << 30).share();
        inflate(&mut RawBody { bytes: bytes.into(), coding, share }, max)
    }

    #[test]
    fn what_was_packed_unpacks() {
        let text = b"spans ".repeat(100_000);
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        for (packed, coding) in
            [(gzip(&text), Coding::Gzip), (zstd, Coding::Zstd), (text.clone(), Coding::Identity)]
        {
            assert_eq!(inflated(packed.clone(), coding, text.len()).unwrap(), text);
            let over = inflated(packed, coding, text.len() - 1);
            assert!(matches!(over, Err(BodyError::InflatedTooLarge { .. })), "{coding:?}");
        }
    }

    #[test]
    fn members_and_frames_in_a_row_are_all_read() {
        let twice = [gzip(b"a"), gzip(b"b")].concat();
        assert_eq!(inflated(twice, Coding::Gzip, 10).unwrap(), "ab");
        let frame = |text: &[u8]| zstd::encode_all(text, 3).unwrap();
        let twice = [frame(b"a"), frame(b"b")].concat();
        assert_eq!(inflated(twice, Coding::Zstd, 10).unwrap(), "ab");
    }

    #[test]
    fn a_cut_or_foreign_body_is_corrupt() {
        let text = b"spans ".repeat(1000);
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        for (packed, coding) in [(gzip(&text), Coding::Gzip), (zstd, Coding::Zstd)] {
            let cut = packed[..packed.len() - 5].to_vec();
            assert!(matches!(inflated(cut, coding, 1 << 20), Err(BodyError::Corrupt(_))));
            let foreign = text.clone();
            assert!(matches!(inflated(foreign, coding, 1 << 20), Err(BodyError::Corrupt(_))));
        }
    }

    #[test]
    fn a_bomb_is_stopped_by_the_budget_and_gives_it_back() {
        let bomb = zstd::encode_all(std::io::repeat(0).take(1 << 26), 3).unwrap();
        let budget = Budget::new(1 << 20);
        let mut raw = RawBody { bytes: bomb.into(), coding: Coding::Zstd, share: budget.share() };
        assert!(matches!(inflate(&mut raw, 64 << 20), Err(BodyError::Busy)));
        assert!(budget.taken_bytes() > 0);
        drop(raw);
        assert_eq!(budget.taken_bytes(), 0);
    }
}
