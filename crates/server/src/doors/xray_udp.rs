//! The daemon's port for datagrams: one document each, and nobody who waits for an answer.
//!
//! One thread receives, decodes and hands over. What waits in the socket makes one batch; a batch
//! goes when nothing more waits and the one before it is on disk, or when it is full. So one lone
//! document is stored at once, and a flood is stored in large pieces. While the disk is slow the
//! kernel's buffer fills; what it has to drop is counted.
//! Rule: X-Ray developer guide, "Sending segment documents to the X-Ray daemon".

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use throughline_model::SpanBatchBuilder;
use throughline_wire::xray::{self, DatagramError};
use tokio_util::sync::CancellationToken;

use crate::metrics::Protocol;
use crate::segments::Segments;

const PROTOCOL: Protocol = Protocol::XrayUdp;

/// What the kernel may hold for us, in bytes: seconds of a flood, should the disk stand still.
const KERNEL_BUFFER_SIZE_BYTES: usize = 64 << 20;

/// A datagram over IPv4 has at most 65 507 bytes.
const DATAGRAM_SIZE_BYTES_MAX: usize = 64 << 10;

/// Datagrams that one call to the kernel may give.
const DATAGRAMS_PER_CALL: usize = 64;

/// A batch of so many documents or bytes is full.
const BATCH_DOCUMENTS_MAX: usize = 1_000;
const BATCH_SIZE_BYTES_MAX: usize = 8 << 20;

/// Documents on their way to the disk at once, in bytes: with the kernel's buffer, some seconds of
/// a flood while a disk stands still.
const UNDER_WAY_SIZE_BYTES_MAX: usize = 64 << 20;

/// How long a lone batch waits for the one before it before it looks at the socket again.
const GATHER: Duration = Duration::from_millis(2);

/// How often the thread looks whether the server stops while nothing arrives.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// A busy store is asked again so often, so far apart, before spans are lost: 30 s in all.
const TRIES_MAX: usize = 1_500;
const TRY_INTERVAL: Duration = Duration::from_millis(20);

/// Binds the port and asks for a large buffer.
pub(crate) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_read_timeout(Some(STOP_INTERVAL))?;
    receiver::enlarge(&socket);
    Ok(socket)
}

/// Takes datagrams until `stop`, then what still waits, for at most `stop_timeout`.
pub(crate) fn spawn(
    socket: UdpSocket,
    segments: Arc<Segments>,
    stop: CancellationToken,
    stop_timeout: Duration,
) -> io::Result<JoinHandle<()>> {
    let run = move || {
        let mut door = Door { segments, batch: Batch::default(), under_way: Arc::default() };
        door.run(&socket, &stop, stop_timeout);
    };
    std::thread::Builder::new().name("xray-udp".to_owned()).spawn(run)
}

struct Door {
    segments: Arc<Segments>,
    batch: Batch,
    under_way: Arc<UnderWay>,
}

/// The documents that were received and not yet handed to the store.
#[derive(Default)]
struct Batch {
    builder: SpanBatchBuilder,
    documents: usize,
    bytes: usize,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.documents == 0
    }

    fn is_full(&self) -> bool {
        self.documents >= BATCH_DOCUMENTS_MAX || self.bytes >= BATCH_SIZE_BYTES_MAX
    }
}

impl Door {
    fn run(&mut self, socket: &UdpSocket, stop: &CancellationToken, stop_timeout: Duration) {
        let mut receiver = receiver::Receiver::new();
        let mut stop_by: Option<Instant> = None;
        let mut failing = false;
        loop {
            if stop.is_cancelled() && stop_by.is_none() {
                stop_by = Some(Instant::now() + stop_timeout);
            }
            let wait = self.batch.is_empty() && stop_by.is_none();
            let received = receiver.receive(socket, wait, |datagram| self.take(datagram));
            match received {
                Ok(received) => {
                    self.segments.kernel_dropped(received.kernel_dropped);
                    failing = false;
                    if received.datagrams == 0 {
                        if self.batch.is_empty() && stop_by.is_some() {
                            break;
                        }
                        self.hand_over_when_idle();
                    }
                }
                Err(err) => {
                    if !failing {
                        tracing::warn!(error = %err, "datagrams cannot be received");
                    }
                    failing = true;
                    self.hand_over_when_idle();
                    std::thread::sleep(STOP_INTERVAL);
                }
            }
            if self.batch.is_full() {
                self.under_way.wait_below(UNDER_WAY_SIZE_BYTES_MAX, None);
                self.hand_over();
            }
            if stop_by.is_some_and(|by| Instant::now() >= by) {
                break;
            }
        }
        self.hand_over();
        self.under_way.wait_below(1, Some(stop_timeout));
    }

    fn take(&mut self, datagram: &[u8]) {
        self.batch.documents += 1;
        self.batch.bytes += datagram.len();
        self.segments.body_bytes(PROTOCOL, datagram.len() as u64);
        match xray::datagram(datagram) {
            Ok(document) => {
                self.segments.decode(PROTOCOL, document, &mut self.batch.builder);
            }
            Err(err) => {
                let word = match err {
                    DatagramError::NoBody => "datagram_without_body",
                    DatagramError::BadHeader => "datagram_header",
                };
                self.segments.reject(PROTOCOL, word, datagram, err.to_string());
            }
        }
    }

    /// Hands over what there is when the batch before it is on disk; else soon.
    fn hand_over_when_idle(&mut self) {
        if !self.batch.is_empty() && self.under_way.wait_below(1, Some(GATHER)) {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let batch = self.batch.builder.finish();
        let bytes = std::mem::take(&mut self.batch.bytes).max(1);
        self.batch.documents = 0;
        if batch.is_empty() {
            return;
        }
        for _ in 0..TRIES_MAX {
            let busy = Arc::new(AtomicBool::new(false));
            self.under_way.begin(bytes);
            let (was_busy, under_way) = (Arc::clone(&busy), Arc::clone(&self.under_way));
            // The columns are shared, not copied.
            self.segments.append(PROTOCOL, batch.clone(), move |result| {
                let is_busy = result == Err(throughline_store::AppendError::Busy);
                was_busy.store(is_busy, Ordering::Release);
                under_way.end(bytes);
            });
            // A store that is busy says so before `append` returns.
            if !busy.load(Ordering::Acquire) {
                return;
            }
            std::thread::sleep(TRY_INTERVAL);
        }
        self.segments.lost(PROTOCOL, batch.len() as u64);
    }
}

/// Counts the bytes of documents that are on their way to the disk.
#[derive(Debug, Default)]
struct UnderWay {
    bytes: Mutex<usize>,
    fewer: Condvar,
}

impl UnderWay {
    fn begin(&self, bytes: usize) {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
    }

    fn end(&self, bytes: usize) {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
        self.fewer.notify_all();
    }

    /// Waits until fewer than `max` are under way; false when the time is over.
    fn wait_below(&self, max: usize, time: Option<Duration>) -> bool {
        let by = time.map(|time| Instant::now() + time);
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        while *bytes >= max {
            let left = by.map_or(STOP_INTERVAL, |by| by.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            let waited = self.fewer.wait_timeout(bytes, left);
            bytes = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// What one call to the kernel gave.
#[derive(Clone, Copy, Debug, Default)]
struct Received {
    /// 0 when nothing waited.
    datagrams: usize,
    /// Dropped by the kernel since the last call that told.
    kernel_dropped: u64,
}

/// Linux: many datagrams with one call, and word of those that were dropped.
#[cfg(target_os = "linux")]
mod receiver {
    use std::io::{self, IoSliceMut};
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    use nix::errno::Errno;
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, MultiHeaders, recvmmsg, setsockopt, sockopt,
    };

    use super::{DATAGRAM_SIZE_BYTES_MAX, DATAGRAMS_PER_CALL, KERNEL_BUFFER_SIZE_BYTES, Received};

    /// Asks for a large buffer, beyond the machine's limit if we may, and for the count of drops.
    pub(super) fn enlarge(socket: &UdpSocket) {
        let size = KERNEL_BUFFER_SIZE_BYTES;
        if setsockopt(socket, sockopt::RcvBufForce, &size).is_err() {
            let _ = setsockopt(socket, sockopt::RcvBuf, &size);
        }
        let _ = setsockopt(socket, sockopt::RxqOvfl, &1);
    }

    pub(super) struct Receiver {
        buffers: Vec<u8>,
        kernel_dropped: u32,
    }

    impl Receiver {
        pub(super) fn new() -> Self {
            let buffers = vec![0; DATAGRAMS_PER_CALL * DATAGRAM_SIZE_BYTES_MAX];
            Self { buffers, kernel_dropped: 0 }
        }

        /// Gives every datagram that waits, and waits for the first for a moment if asked to.
        pub(super) fn receive(
            &mut self,
            socket: &UdpSocket,
            wait: bool,
            mut take: impl FnMut(&[u8]),
        ) -> io::Result<Received> {
            let flags = if wait { MsgFlags::MSG_WAITFORONE } else { MsgFlags::MSG_DONTWAIT };
            let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
                .buffers
                .chunks_mut(DATAGRAM_SIZE_BYTES_MAX)
                .map(|buffer| [IoSliceMut::new(buffer)])
                .collect();
            // Made anew for each call: the kernel shortens the room for control messages to what it
            // used, and nix does not set it back.
            let mut headers =
                MultiHeaders::<()>::preallocate(DATAGRAMS_PER_CALL, Some(nix::cmsg_space!(u32)));
            let fd = socket.as_raw_fd();
            let messages = match recvmmsg(fd, &mut headers, slices.iter_mut(), flags, None) {
                Ok(messages) => messages,
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Received::default()),
                Err(err) => return Err(err.into()),
            };
            let mut received = Received::default();
            for message in messages {
                received.datagrams += 1;
                for control in message.cmsgs().into_iter().flatten() {
                    if let ControlMessageOwned::RxqOvfl(total) = control {
                        let more = total.wrapping_sub(self.kernel_dropped);
                        self.kernel_dropped = total;
                        received.kernel_dropped += u64::from(more);
                    }
                }
                take(message.iovs().next().unwrap_or_default());
            }
            Ok(received)
        }
    }
}

/// Elsewhere: one datagram a call, and no word of drops.
#[cfg(not(target_os = "linux"))]
mod receiver {
    use std::io::{self, ErrorKind};
    use std::net::UdpSocket;

    use super::{DATAGRAM_SIZE_BYTES_MAX, DATAGRAMS_PER_CALL, Received};

    pub(super) fn enlarge(_: &UdpSocket) {}

    pub(super) struct Receiver {
        buffer: Vec<u8>,
    }

    impl Receiver {
        pub(super) fn new() -> Self {
            Self { buffer: vec![0; DATAGRAM_SIZE_BYTES_MAX] }
        }

        pub(super) fn receive(
            &mut self,
            socket: &UdpSocket,
            wait: bool,
            mut take: impl FnMut(&[u8]),
        ) -> io::Result<Received> {
            let mut received = Received::default();
            while received.datagrams < DATAGRAMS_PER_CALL {
                socket.set_nonblocking(!wait || received.datagrams > 0)?;
                match socket.recv(&mut self.buffer) {
                    Ok(size) => {
                        received.datagrams += 1;
                        take(self.buffer.get(..size).unwrap_or_default());
                    }
                    Err(err)
                        if matches!(
                            err.kind(),
                            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                        ) =>
                    {
                        break;
                    }
                    Err(err) => return Err(err),
                }
            }
            Ok(received)
        }
    }
}
