//! Where async meets the questions, which are plain functions that may hold a core for seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

/// Too many questions wait already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyQueries;

/// Runs a bounded number of questions at once, and lets a bounded number wait.
#[derive(Debug)]
pub(crate) struct QueryPool {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

impl QueryPool {
    pub(crate) fn new(running_max: usize, waiting_max: usize) -> Self {
        let running = Arc::new(Semaphore::new(running_max));
        Self { running, waiting: AtomicUsize::new(0), waiting_max }
    }

    /// Runs `work` on a thread that may take its time.
    ///
    /// A caller that goes away gives up its place in the queue; what runs already runs on, and
    /// keeps its place until it is done.
    pub(crate) async fn on_cpu<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TooManyQueries> {
        let turn = match Arc::clone(&self.running).try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => {
                let _place = self.take_place()?;
                let turn = Arc::clone(&self.running).acquire_owned().await;
                turn.expect("the semaphore is never closed")
            }
        };
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        match done.await {
            Ok(answer) => Ok(answer),
            // The task is never cancelled, so it panicked: let the catcher answer.
            Err(err) => std::panic::resume_unwind(err.into_panic()),
        }
    }

    fn take_place(&self) -> Result<Place<'_>, TooManyQueries> {
        let place = Place(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            return Err(TooManyQueries);
        }
        Ok(place)
    }
}

/// A place in the queue; gives it back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beyond_the_queue_callers_are_sent_away_and_room_comes_back() {
        let pool = QueryPool::new(1, 0);
        let (start, started) = tokio::sync::oneshot::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let long = pool.on_cpu(move || {
            let _ = start.send(());
            let _ = released.recv();
        });
        tokio::pin!(long);
        tokio::select! {
            _ = &mut long => unreachable!("it waits to be released"),
            _ = started => {}
        }
        assert_eq!(pool.on_cpu(|| ()).await, Err(TooManyQueries));
        release.send(()).unwrap();
        long.await.unwrap();
        assert_eq!(pool.on_cpu(|| 7).await, Ok(7));
    }
}
