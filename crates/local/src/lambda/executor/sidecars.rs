//! The processes of extensions: started before the function's own, ended after it.
//!
//! In:   commands; what became of them is told to [`Extensions`].
//! Out:  nothing. Dropping it kills them all.

use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout};

use super::super::logs::Log;
use super::environment::Failure;
use super::extensions::{Extensions, Why};
use super::keeper::Keeper;
use super::output::Output;
use super::telemetry::Kind;
use crate::ids;

/// How long extensions have for their end, if one wants to know of it ("Shutdown phase").
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);
/// Nobody waits longer for a process that was killed.
pub(super) const KILLED_MAX: Duration = Duration::from_secs(5);

/// The processes of one environment's extensions.
#[derive(Debug)]
pub(crate) struct Sidecars {
    extensions: Arc<Extensions>,
    running: Vec<Running>,
    keeper: Arc<Keeper>,
}

#[derive(Debug)]
struct Running {
    name: String,
    child: Child,
    group: Option<i32>,
    output: Output,
}

impl Sidecars {
    /// Starts every extension. One that cannot be started has failed.
    pub(crate) fn start(
        commands: Vec<(String, Command)>,
        extensions: Arc<Extensions>,
        log: &Arc<Mutex<Log>>,
        keeper: &Arc<Keeper>,
    ) -> Self {
        let mut sidecars = Self { extensions, running: Vec::new(), keeper: Arc::clone(keeper) };
        for (name, command) in commands {
            match start(&name, command, log, keeper) {
                Ok(running) => sidecars.running.push(running),
                Err(err) => {
                    let message = format!("extension {name} cannot be started: {err}");
                    sidecars.extensions.give_up("Extension.LaunchError", message);
                }
            }
        }
        sidecars
    }

    /// Waits until all have registered.
    pub(crate) async fn registered(&mut self, until: Instant) -> Result<(), Failure> {
        let extensions = Arc::clone(&self.extensions);
        loop {
            if let Some(failed) = extensions.failed() {
                return Err(Failure::Extension(failed));
            }
            if extensions.are_registered() {
                return Ok(());
            }
            tokio::select! {
                () = self.ended() => {}
                () = extensions.change() => {}
                () = sleep_until(until) => return Err(Failure::TimedOut),
            }
        }
    }

    /// Waits until one of them ends, and says so. Never, when there are none.
    pub(crate) async fn ended(&mut self) {
        if self.running.is_empty() {
            return std::future::pending().await;
        }
        let waits = self
            .running
            .iter_mut()
            .map(|it| Box::pin(async { (it.name.clone(), it.child.wait().await) }));
        let (name, status) = first_of(waits.collect()).await;
        self.running.retain(|it| it.name != name);
        let how = status.map_or_else(|err| err.to_string(), |status| status.to_string());
        self.extensions.give_up("Extension.Crash", format!("extension {name} ended: {how}"));
    }

    /// Tells those that want it that the end is near, waits for their own end, and kills what is left.
    pub(crate) async fn stop(&mut self, why: Why) {
        if !self.running.is_empty() && self.extensions.want_shutdown() {
            self.extensions.telemetry.flush().await;
            let limit = i64::try_from(SHUTDOWN_MAX.as_millis()).unwrap_or_default();
            self.extensions.shut_down(why, ids::now_ms().saturating_add(limit));
            let all = async {
                for running in &mut self.running {
                    let _ = running.child.wait().await;
                }
            };
            let _ = timeout(SHUTDOWN_MAX, all).await;
        }
        self.kill();
        for running in &mut self.running {
            if timeout(KILLED_MAX, running.child.wait()).await.is_err() {
                tracing::warn!(name = running.name, "an extension was killed and does not end");
            }
            running.output.flush().await;
        }
        self.running.clear();
    }

    fn kill(&mut self) {
        for running in &mut self.running {
            if let Some(group) = running.group.take() {
                self.keeper.end(group);
            }
        }
    }
}

impl Drop for Sidecars {
    fn drop(&mut self) {
        self.kill();
    }
}

fn start(
    name: &str,
    mut command: Command,
    log: &Arc<Mutex<Log>>,
    keeper: &Keeper,
) -> io::Result<Running> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null());
    command.stdout(writer.try_clone()?).stderr(writer);
    command.process_group(0).kill_on_drop(true);
    let child = command.spawn()?;
    drop(command); // it holds the writing end of the pipe
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(group) = group {
        keeper.add(group);
    }
    let output = Output::start(reader, Arc::clone(log), Kind::Extension, false)?;
    Ok(Running { name: name.to_owned(), child, group, output })
}

/// What the first of some futures gives that comes to its end.
async fn first_of<T, F: Future<Output = T> + Unpin>(mut all: Vec<F>) -> T {
    std::future::poll_fn(|context| {
        for one in &mut all {
            if let std::task::Poll::Ready(it) = std::pin::Pin::new(one).poll(context) {
                return std::task::Poll::Ready(it);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
