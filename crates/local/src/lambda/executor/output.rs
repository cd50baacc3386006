//! What a process writes to stdout and stderr, line by line.
//!
//! In:   one pipe that both go to, so that their order is kept.
//! Out:  lines to a [`Log`]. A line ends at a line feed or at [`LINE_BYTES_MAX`]; bytes that are no UTF-8 are replaced.
//! Rule: Lambda's Node runtime writes a carriage return where a message has a line feed, so that the message stays
//!       one event; it becomes a line feed again here.

use std::fs::File;
use std::io::{self, PipeReader, Read as _};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::super::logs::Log;
use super::telemetry::Kind;
use crate::sync::lock;

/// Lambda cuts events of CloudWatch Logs at 256 KB.
const LINE_BYTES_MAX: usize = 262_144;
/// What is read at once. A pipe holds 64 KB.
const CHUNK_BYTES: usize = 65_536;
/// How many chunks one flush reads at most: a process that never stops writing must not hold up its own report.
const FLUSH_CHUNKS_MAX: usize = 32;

/// No call waits longer for what a process wrote.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// Reads the pipe until it is closed.
#[derive(Debug)]
pub(crate) struct Output {
    flushes: mpsc::Sender<oneshot::Sender<()>>,
}

impl Output {
    /// Starts to read. Ends when every process that holds the other end is gone.
    pub(crate) fn start(
        pipe: PipeReader,
        log: Arc<Mutex<Log>>,
        kind: Kind,
        one_event: bool,
    ) -> io::Result<Self> {
        let owned = OwnedFd::from(pipe);
        let direct = File::from(owned.try_clone()?);
        let pipe = Receiver::from_owned_fd(owned)?;
        // One flush at a time: a process has one call at a time.
        let (flushes, asked) = mpsc::channel(1);
        tokio::spawn(read_all(
            pipe,
            direct,
            Lines { log, buffer: Vec::new(), kind, one_event },
            asked,
        ));
        Ok(Self { flushes })
    }

    /// Waits until everything that was written before is in the log, [`FLUSH_MAX`] at most.
    pub(crate) async fn flush(&self) {
        if timeout(FLUSH_MAX, self.flushed()).await.is_err() {
            tracing::warn!("the output of a process was not read in time");
        }
    }

    async fn flushed(&self) {
        let (done, waiting) = oneshot::channel();
        if self.flushes.send(done).await.is_ok() {
            // What is sent at the moment in which the reader ends stays in the channel: nobody
            // answers it, and it lives as long as this sender.
            tokio::select! {
                _ = waiting => {}
                () = self.flushes.closed() => {}
            }
        }
    }
}

async fn read_all(
    pipe: Receiver,
    mut direct: File,
    mut lines: Lines,
    mut asked: mpsc::Receiver<oneshot::Sender<()>>,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut asking = true;
    loop {
        tokio::select! {
            ready = pipe.readable() => {
                let read = ready.and_then(|()| pipe.try_read(&mut chunk));
                match read {
                    Ok(0) => break,
                    Ok(length) => lines.take(chunk.get(..length).unwrap_or_default()),
                    Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
            // What is in the pipe now was written before; epoll may not have said so yet.
            flush = asked.recv(), if asking => match flush {
                Some(done) => {
                    for _ in 0..FLUSH_CHUNKS_MAX {
                        match direct.read(&mut chunk) {
                            Ok(length) if length > 0 => lines.take(chunk.get(..length).unwrap_or_default()),
                            _ => break,
                        }
                    }
                    lines.end();
                    let _ = done.send(());
                }
                None => asking = false,
            },
        }
    }
    lines.end();
}

struct Lines {
    log: Arc<Mutex<Log>>,
    buffer: Vec<u8>,
    kind: Kind,
    one_event: bool,
}

impl Lines {
    fn take(&mut self, chunk: &[u8]) {
        let mut events = Vec::new();
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let mut piece = piece;
            while self.buffer.len() + piece.len() > LINE_BYTES_MAX {
                let (fits, rest) = piece.split_at(LINE_BYTES_MAX - self.buffer.len());
                self.buffer.extend_from_slice(fits);
                events.push(self.event());
                piece = rest;
            }
            self.buffer.extend_from_slice(piece);
            if self.buffer.ends_with(b"\n") {
                events.push(self.event());
            }
        }
        lock(&self.log).say(self.kind, events);
    }

    /// Whatever is left is a line, though nothing ended it.
    fn end(&mut self) {
        if !self.buffer.is_empty() {
            let last = self.event();
            lock(&self.log).say(self.kind, vec![last]);
        }
    }

    fn event(&mut self) -> String {
        let bytes = std::mem::take(&mut self.buffer);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if self.one_event { text.replace('\r', "\n") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::super::logs::tests::{Collected, log_to};
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_flush_at_the_very_end_of_the_output_comes_back() {
        for round in 0..4_000 {
            let collected = Arc::new(Collected::default());
            let (reader, mut writer) = io::pipe().unwrap();
            let output = Output::start(reader, log_to(&collected), Kind::Function, true).unwrap();
            writer.write_all(b"last words").unwrap();
            drop(writer);
            timeout(Duration::from_secs(60), output.flushed()).await.expect("a flush that ends");
            assert_eq!(collected.messages(), ["last words"], "round {round}");
        }
    }

    #[tokio::test]
    async fn lines_arrive_whole_and_in_order() {
        let collected = Arc::new(Collected::default());
        let (reader, mut writer) = io::pipe().unwrap();
        let output = Output::start(reader, log_to(&collected), Kind::Function, true).unwrap();
        writer.write_all(b"one\ntwo\rstill two\n\xff\xfe\nthr").unwrap();
        output.flush().await;
        assert_eq!(
            collected.messages(),
            ["one\n", "two\nstill two\n", "\u{fffd}\u{fffd}\n", "thr"]
        );
        let long = vec![b'x'; LINE_BYTES_MAX + 10];
        let write = std::thread::spawn(move || {
            writer.write_all(&long).unwrap();
            writer.write_all(b"\nend\n").unwrap();
        });
        while collected.messages().last().is_none_or(|line| line != "end\n") {
            tokio::task::yield_now().await;
        }
        write.join().unwrap();
        let lengths: Vec<usize> = collected.messages().iter().skip(4).map(String::len).collect();
        assert_eq!(lengths, [LINE_BYTES_MAX, 11, 4]);
    }
}
