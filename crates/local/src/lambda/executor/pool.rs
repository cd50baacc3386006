//! The processes of one version of a function that wait for a call.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::super::registry::Version;
use super::environment::Environment;
use crate::sync::lock;

/// How long a call waits for a process that has answered and is about to be ready again. A new process takes longer.
const SETTLE_WAIT: Duration = Duration::from_millis(100);

/// The warm processes of one version.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) version: Arc<Version>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Environment>,
    /// Calls that hold a process, or start one.
    busy: usize,
    /// Of those, the ones that answered already.
    settling: usize,
    closed: bool,
}

/// A call's place in the pool; its end makes room.
#[derive(Debug)]
pub(crate) struct Busy {
    pool: Arc<Pool>,
    settling: bool,
}

impl Pool {
    pub(crate) fn new(version: Arc<Version>) -> Arc<Self> {
        Arc::new(Self { version, state: Mutex::default(), changed: Notify::new() })
    }

    /// Takes a place, and a warm process if there is one. `None`: `busy_max` calls are running.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        busy_max: Option<u32>,
    ) -> Option<(Busy, Option<Environment>)> {
        let until = Instant::now() + SETTLE_WAIT;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = lock(&self.state);
                let settled = state.busy - state.settling.min(state.busy);
                if busy_max.is_some_and(|max| settled >= max as usize) {
                    return None;
                }
                let warm = take_alive(&mut state.idle);
                if warm.is_some() || state.settling == 0 || Instant::now() >= until {
                    state.busy += 1;
                    return Some((Busy { pool: Arc::clone(self), settling: false }, warm));
                }
            }
            let _ = timeout(until.saturating_duration_since(Instant::now()), changed).await;
        }
    }

    /// Takes out the processes that nobody called since `before`; all of them when it is `None`.
    pub(crate) fn idle_since(&self, before: Option<Instant>) -> Vec<Environment> {
        let mut state = lock(&self.state);
        let (old, young) = std::mem::take(&mut state.idle)
            .into_iter()
            .partition(|environment| before.is_none_or(|before| environment.idle_since < before));
        state.idle = young;
        old
    }

    /// Takes out one process that waits.
    pub(crate) fn take_idle(&self) -> Option<Environment> {
        let mut state = lock(&self.state);
        if state.idle.is_empty() { None } else { Some(state.idle.remove(0)) }
    }

    /// Whether a process has answered and will wait in a moment.
    pub(crate) fn is_settling(&self) -> bool {
        lock(&self.state).settling > 0
    }

    /// From now on no process comes back. Gives out those that wait.
    pub(crate) fn close(&self) -> Vec<Environment> {
        lock(&self.state).closed = true;
        self.idle_since(None)
    }

    /// Whether no process waits and none is busy.
    pub(crate) fn is_empty(&self) -> bool {
        let state = lock(&self.state);
        state.idle.is_empty() && state.busy == 0
    }
}

impl Busy {
    /// The call is answered; the process will be back in a moment.
    pub(crate) fn settle(&mut self) {
        self.settling = true;
        lock(&self.pool.state).settling += 1;
    }

    /// Gives a process back; the pool gives it out again if it is closed.
    pub(crate) fn give_back(&self, mut environment: Environment) -> Option<Environment> {
        environment.idle_since = Instant::now();
        let mut state = lock(&self.pool.state);
        if state.closed {
            return Some(environment);
        }
        state.idle.push(environment);
        None
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = lock(&self.pool.state);
        state.busy = state.busy.saturating_sub(1);
        if self.settling {
            state.settling = state.settling.saturating_sub(1);
        }
        drop(state);
        self.pool.changed.notify_waiters();
    }
}

/// The process that was used last, for it is the warmest. Dead ones are dropped.
fn take_alive(idle: &mut Vec<Environment>) -> Option<Environment> {
    while let Some(mut environment) = idle.pop() {
        if environment.is_alive() {
            return Some(environment);
        }
    }
    None
}
