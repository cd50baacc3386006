//! Carries what throughline shall know to it, without delaying anybody.
//!
//! In:   parcels, from whoever has one.
//! Out:  `POST {throughline}{PATH}` with a JSON body, at most `BATCH_MAX` parcels at a time.
//! Rule: the queue is bounded; what does not fit, or is not taken, is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use serde_json::Value;

/// Parcels in one request.
const BATCH_MAX: usize = 256;

/// Something that throughline takes.
pub(crate) trait Parcel: Send + Sized + 'static {
    /// How many may wait.
    const QUEUE_MAX: usize;
    /// Where it takes it.
    const PATH: &'static str;
    /// What to say when it does not.
    const LOST: &'static str;

    /// The body of a request with several.
    fn body(batch: &[Self]) -> Value;
}

/// A queue with one sender behind it. Clones share it; the sender ends with the last of them.
#[derive(Debug)]
pub(crate) struct Courier<T> {
    queue: Option<SyncSender<T>>,
    dropped: Arc<AtomicU64>,
}

impl<T> Clone for Courier<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), dropped: Arc::clone(&self.dropped) }
    }
}

/// Forgets everything.
impl<T> Default for Courier<T> {
    fn default() -> Self {
        Self { queue: None, dropped: Arc::default() }
    }
}

impl<T: Parcel> Courier<T> {
    /// Sends to the throughline at `base` (`http://127.0.0.1:4000`). Starts one thread.
    pub(crate) fn to(base: &str) -> std::io::Result<Self> {
        let url = format!("{}{}", base.trim_end_matches('/'), T::PATH);
        let (queue, waiting) = sync_channel(T::QUEUE_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("courier".to_owned())
            .spawn(move || send_all::<T>(&waiting, &url, &lost))?;
        Ok(Self { queue: Some(queue), dropped })
    }

    /// Gives up a parcel. Never waits.
    pub(crate) fn put(&self, parcel: T) {
        if let Some(queue) = &self.queue
            && queue.try_send(parcel).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many did not arrive: the queue was full, or nobody took them.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn send_all<T: Parcel>(waiting: &Receiver<T>, url: &str, dropped: &AtomicU64) {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).build().into();
    let mut reachable = true;
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter().take(BATCH_MAX - 1));
        match agent.post(url).send_json(T::body(&batch)) {
            Ok(_) => reachable = true,
            Err(err) => {
                dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
                if std::mem::replace(&mut reachable, false) {
                    tracing::warn!(error = %err, "{}", T::LOST);
                }
            }
        }
    }
}
