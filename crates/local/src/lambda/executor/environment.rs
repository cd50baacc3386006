//! One process of a function, from its start to its end.
//!
//! In:   a [`Launch`], then one call at a time.
//! Out:  answers, or a [`Failure`]. Dropping it kills the process with all its children.
//! Rule: AWS Lambda developer guide, "Lambda execution environment lifecycle".

use std::fs;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::process::Child;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::super::logs::Log;
use super::callers::CallerEntry;
use super::command::{Launch, NoEntry};
use super::extensions::{Extensions, Failed, Why};
use super::keeper::Keeper;
use super::output::Output;
use super::runtime_api::{Happened, RuntimeApi, Work};
use super::sidecars::{KILLED_MAX, Sidecars};
use super::telemetry::Kind;

/// How often a busy process' memory is looked at.
const MEMORY_TICK: Duration = Duration::from_millis(100);

/// Why a start or a call gave no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It took longer than it may; the process is dead.
    TimedOut,
    /// The process ended by itself: `Runtime exited with error: exit status 1`.
    Exited(String),
    /// It used more memory than it may; the process is dead.
    OutOfMemory,
    /// The handler or its module threw; the error as JSON. The process lives if this was a call.
    Reported(Bytes),
    /// The answer was too large. The process lives.
    TooLarge,
    /// There was nothing to start.
    NoEntry(NoEntry),
    /// An extension gave up or ended; the process is dead.
    Extension(Failed),
    /// The interpreter is not there, or the system has no more processes.
    Spawn(String),
}

impl Failure {
    /// Whether the process can take another call.
    pub(crate) fn is_survived(&self) -> bool {
        matches!(self, Self::Reported(_) | Self::TooLarge)
    }
}

/// A process with its Runtime API.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) log: Arc<Mutex<Log>>,
    pub(crate) output: Output,
    pub(crate) caller: CallerEntry,
    /// When it last had something to do.
    pub(crate) idle_since: Instant,
    api: RuntimeApi,
    next: Option<oneshot::Sender<Work>>,
    child: Child,
    group: Option<i32>,
    sidecars: Sidecars,
    keeper: Arc<Keeper>,
    _slot: OwnedSemaphorePermit,
}

/// What a process needs of the service beside its [`Launch`].
pub(crate) struct Parts {
    pub(crate) log: Arc<Mutex<Log>>,
    pub(crate) caller: CallerEntry,
    pub(crate) api: RuntimeApi,
    pub(crate) sidecars: Sidecars,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) slot: OwnedSemaphorePermit,
}

enum Event {
    Happened(Happened),
    Exited(String),
    OutOfMemory,
    TimedOut,
    /// An extension registered, asked for its next event, or failed.
    Extensions,
}

impl Environment {
    /// Starts the process. It is not ready before [`Environment::ready`] says so.
    pub(crate) fn spawn(launch: &Launch<'_>, parts: Parts) -> Result<Self, Failure> {
        let mut command = launch.command().map_err(Failure::NoEntry)?;
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        let spawn = |err: io::Error| Failure::Spawn(format!("cannot start {program}: {err}"));
        let (reader, writer) = io::pipe().map_err(spawn)?;
        command.stdin(Stdio::null());
        command.stdout(writer.try_clone().map_err(spawn)?).stderr(writer);
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn().map_err(spawn)?;
        drop(command); // it holds the writing end of the pipe
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = group {
            parts.keeper.add(group);
        }
        let one_event = !launch.version.configuration.runtime.starts_with("provided");
        let output = Output::start(reader, Arc::clone(&parts.log), Kind::Function, one_event)
            .map_err(spawn)?;
        Ok(Self {
            log: parts.log,
            output,
            caller: parts.caller,
            idle_since: Instant::now(),
            api: parts.api,
            next: None,
            child,
            group,
            sidecars: parts.sidecars,
            keeper: parts.keeper,
            _slot: parts.slot,
        })
    }

    /// The programs beside the process.
    pub(crate) fn extensions(&self) -> &Arc<Extensions> {
        &self.api.extensions
    }

    /// Waits until the process and all its extensions ask for work.
    pub(crate) async fn ready(&mut self, until: Instant) -> Result<(), Failure> {
        loop {
            if let Some(failed) = self.api.extensions.failed() {
                return Err(Failure::Extension(failed));
            }
            if self.next.is_some() && self.api.extensions.are_ready() {
                return Ok(());
            }
            match self.event(until, None).await {
                Event::Happened(Happened::Next(sender)) => {
                    self.next = Some(sender);
                }
                Event::Happened(Happened::InitFailed(error)) => {
                    return Err(Failure::Reported(error));
                }
                Event::Happened(_) | Event::Extensions => {}
                Event::Exited(how) => return Err(Failure::Exited(how)),
                Event::OutOfMemory => return Err(Failure::OutOfMemory),
                Event::TimedOut => return Err(Failure::TimedOut),
            }
        }
    }

    /// Makes one call and waits for its answer, not for the process to be ready again.
    pub(crate) async fn call(
        &mut self,
        work: Work,
        until: Instant,
        memory_max_mb: Option<u32>,
    ) -> Result<Bytes, Failure> {
        self.api.expect(&work.request_id);
        self.api.extensions.invoke(&work);
        let mut work = Some(work);
        loop {
            if let (Some(next), Some(waiting)) = (self.next.take(), work.take()) {
                // A connection that was lost meanwhile gives the work back; the process will ask again or is dead.
                work = next.send(waiting).err();
            }
            let event = self.event(until, memory_max_mb).await;
            match event {
                Event::Happened(Happened::Answered(answer)) => return Ok(answer),
                Event::Happened(Happened::Failed(error)) => return Err(Failure::Reported(error)),
                Event::Happened(Happened::TooLarge) => return Err(Failure::TooLarge),
                Event::Happened(Happened::Next(sender)) => {
                    if work.is_none() {
                        // It wants more before it answered: nothing will answer this call now.
                        self.next = Some(sender);
                        self.api.expect_nothing();
                        let text =
                            "Runtime asked for the next invocation without answering this one";
                        return Err(Failure::Exited(text.to_owned()));
                    }
                    self.next = Some(sender);
                }
                Event::Happened(Happened::InitFailed(_)) => {}
                Event::Extensions => {
                    if let Some(failed) = self.api.extensions.failed() {
                        self.api.expect_nothing();
                        return Err(Failure::Extension(failed));
                    }
                }
                Event::Exited(how) => return Err(Failure::Exited(how)),
                Event::OutOfMemory => return Err(Failure::OutOfMemory),
                Event::TimedOut => {
                    self.api.expect_nothing();
                    return Err(Failure::TimedOut);
                }
            }
        }
    }

    async fn event(&mut self, until: Instant, memory_max_mb: Option<u32>) -> Event {
        let mut tick = tokio::time::interval_at(Instant::now() + MEMORY_TICK, MEMORY_TICK);
        loop {
            tokio::select! {
                biased;
                happened = self.api.happened.recv() => match happened {
                    Some(happened) => return Event::Happened(happened),
                    None => return Event::Exited("the Runtime API ended".to_owned()),
                },
                status = self.child.wait() => {
                    // What it said last may still be on its way through the server.
                    tokio::task::yield_now().await;
                    if let Ok(happened) = self.api.happened.try_recv()
                        && !matches!(happened, Happened::Next(_))
                    {
                        return Event::Happened(happened);
                    }
                    return Event::Exited(exit_text(&status));
                }
                () = self.sidecars.ended() => return Event::Extensions,
                () = self.api.extensions.change() => return Event::Extensions,
                () = sleep_until(until) => return Event::TimedOut,
                _ = tick.tick(), if memory_max_mb.is_some() => {
                    let used = self.memory_mb("VmRSS:");
                    if used.zip(memory_max_mb).is_some_and(|(used, max)| used > max) {
                        return Event::OutOfMemory;
                    }
                }
            }
        }
    }

    /// Whether the process is there and waits for work.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
            && self.next.as_ref().is_some_and(|next| !next.is_closed())
            && self.api.extensions.are_ready()
    }

    /// The most memory that the process had, in megabytes, as far as the system tells.
    pub(crate) fn memory_peak_mb(&self) -> Option<u32> {
        self.memory_mb("VmHWM:")
    }

    fn memory_mb(&self, field: &str) -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        let kilobytes: u32 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kilobytes.div_ceil(1024))
    }

    /// Kills the process with its children and waits, [`KILLED_MAX`] at most, until it is gone and its last words are
    /// in the log. Extensions are told before they are killed.
    pub(crate) async fn stop(&mut self, why: Why) {
        self.kill();
        if timeout(KILLED_MAX, self.child.wait()).await.is_err() {
            tracing::warn!("a function's process was killed and does not end");
        }
        self.output.flush().await;
        self.sidecars.stop(why).await;
    }

    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            self.keeper.end(group);
        }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Rule: the texts of Go's `os.ProcessState`, which Lambda's own start prints.
fn exit_text(status: &io::Result<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    let Ok(status) = status else { return "Runtime exited without providing a reason".to_owned() };
    match (status.code(), status.signal()) {
        (Some(0), _) => "Runtime exited without providing a reason".to_owned(),
        (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
        (None, Some(signal)) => {
            let name = match signal {
                4 => "illegal instruction",
                6 => "aborted",
                7 => "bus error",
                8 => "floating point exception",
                9 => "killed",
                11 => "segmentation fault",
                13 => "broken pipe",
                15 => "terminated",
                other => return format!("Runtime exited with error: signal: signal {other}"),
            };
            format!("Runtime exited with error: signal: {name}")
        }
        (None, None) => "Runtime exited without providing a reason".to_owned(),
    }
}
