//! Runs functions as processes.
//!
//! In:   a [`Call`] of a version.
//! Out:  an [`Outcome`]; lines in its log; two segments, if it traces.
//! Rule: a call that was begun is brought to its end, also when its caller went away.

mod callers;
mod command;
mod drive;
mod environment;
mod extensions;
mod failure;
mod keeper;
mod opt;
mod output;
mod platform;
mod pool;
mod runtime_api;
mod sidecars;
pub(crate) mod telemetry;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::callers::Callers;
use self::environment::Environment;
use self::extensions::Why;
use self::keeper::Keeper;
use self::opt::Mounting;
use self::pool::Pool;
use super::config::Surroundings;
use super::error::LambdaError;
use super::registry::Version;
use super::trace::CallTrace;
use super::types::Caller;
use crate::sync::lock;

/// Rule: "Lambda Telemetry API": a subscriber listens on `sandbox.localdomain`.
const HOSTS: &str = "127.0.0.1 localhost sandbox.localdomain sandbox\n::1 localhost\n";
/// How long a new process waits for the room of one that has answered and is about to be idle.
const SLOT_WAIT: Duration = Duration::from_millis(100);
/// Processes have this long to end when the service stops: twice what extensions are granted, and more.
const STOP_MAX: Duration = Duration::from_secs(15);
const SLOT_PAUSE: Duration = Duration::from_millis(2);

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) version: Arc<Version>,
    /// The folders of its layers, in their order.
    pub(crate) layers: Vec<PathBuf>,
    /// Its unpacked code.
    pub(crate) task: PathBuf,
    pub(crate) request_id: String,
    pub(crate) payload: Bytes,
    pub(crate) trace: CallTrace,
    pub(crate) client_context: Option<String>,
    /// Whether the end of the log is wanted; then the answer waits for the report.
    pub(crate) log_tail: bool,
    /// Whether the answer waits until the process can take another call: for callers that make one call after the
    /// other and need no second process.
    pub(crate) until_ready: bool,
    /// How many calls of the function may run at once.
    pub(crate) busy_max: Option<u32>,
    /// The HTTP status that the caller sees, for the segment.
    pub(crate) status: u16,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) payload: Bytes,
    pub(crate) is_error: bool,
    pub(crate) log_tail: Option<Vec<u8>>,
}

/// All processes of all functions.
#[derive(Debug)]
pub(crate) struct Executor {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    around: Surroundings,
    /// By ARN: versions have their own.
    pools: Mutex<HashMap<String, Arc<Pool>>>,
    slots: Arc<Semaphore>,
    keeper: Arc<Keeper>,
    callers: Callers,
    mounting: Mounting,
    folders: Folders,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("folders", &self.folders).finish_non_exhaustive()
    }
}

/// Where the executor has its files.
#[derive(Debug)]
struct Folders {
    runtimes: PathBuf,
    opt: PathBuf,
    home: PathBuf,
    /// For `/etc/hosts`, with the names under which extensions listen.
    hosts: PathBuf,
}

impl Executor {
    /// Writes the runtime clients below `root` and starts the keeper. `temporary` says that `root` ends with us.
    pub(crate) fn open(root: &Path, around: &Surroundings, temporary: bool) -> io::Result<Self> {
        let folders = Folders {
            runtimes: root.join("runtimes"),
            opt: root.join("opt"),
            home: root.join("home"),
            hosts: root.join("hosts"),
        };
        // What was laid together for processes that are gone.
        if folders.opt.is_dir() {
            fs::remove_dir_all(&folders.opt)?;
        }
        for folder in [&folders.runtimes, &folders.opt, &folders.home] {
            fs::create_dir_all(folder)?;
        }
        write_runtimes(&folders.runtimes)?;
        fs::write(&folders.hosts, HOSTS)?;
        Ok(Self {
            inner: Arc::new(Inner {
                around: around.clone(),
                pools: Mutex::default(),
                slots: Arc::new(Semaphore::new(around.config.processes_max)),
                keeper: Arc::new(Keeper::start(temporary.then_some(root))?),
                callers: Callers::default(),
                mounting: Mounting::default(),
                folders,
                tasks: TaskTracker::new(),
                stop: CancellationToken::new(),
            }),
        })
    }

    /// Makes a call and waits for its answer. Fails when there is no room for another process.
    pub(crate) async fn run(&self, call: Call) -> Result<Outcome, LambdaError> {
        let inner = Arc::clone(&self.inner);
        if inner.stop.is_cancelled() {
            return Err(LambdaError::Service("the local cloud is ending".to_owned()));
        }
        inner.start_reaper();
        let (answer, answered) = oneshot::channel();
        self.inner.tasks.spawn(drive::drive(inner, call, answer));
        answered.await.map_err(|_| LambdaError::Service("the call was cut off".to_owned()))?
    }

    pub(crate) fn caller(&self, access_key_id: &str) -> Option<Caller> {
        self.inner.callers.find(access_key_id)
    }

    /// Ends the processes of a function; those that are busy end after their call.
    pub(crate) async fn retire(&self, function_name: &str) {
        let ours = |pool: &Arc<Pool>| pool.version.configuration.function_name == function_name;
        let closed: Vec<Arc<Pool>> = {
            let mut pools = lock(&self.inner.pools);
            let (closed, kept) =
                std::mem::take(&mut *pools).into_iter().partition(|(_, pool)| ours(pool));
            *pools = kept;
            let closed: HashMap<String, Arc<Pool>> = closed;
            closed.into_values().collect()
        };
        end_all(closed.iter().flat_map(|pool| pool.close()).collect()).await;
    }

    /// Kills every process and waits until they are gone, [`STOP_MAX`] at most.
    pub(crate) async fn stop(&self) {
        self.inner.stop.cancel();
        let pools: Vec<Arc<Pool>> = lock(&self.inner.pools).drain().map(|(_, pool)| pool).collect();
        self.inner.tasks.close();
        let ended = tokio::time::timeout(STOP_MAX, async {
            end_all(pools.iter().flat_map(|pool| pool.close()).collect()).await;
            self.inner.tasks.wait().await;
        });
        if ended.await.is_err() {
            tracing::warn!("some functions did not end in time; they are killed with the service");
        }
    }
}

impl Inner {
    /// The pool of a version as it is now; that of an earlier state is closed.
    fn pool(&self, version: &Arc<Version>) -> (Arc<Pool>, Vec<Environment>) {
        let mut pools = lock(&self.pools);
        let arn = &version.configuration.function_arn;
        let known = pools.get(arn).filter(|pool| pool.version.key() == version.key());
        if let Some(pool) = known {
            return (Arc::clone(pool), Vec::new());
        }
        let pool = Pool::new(Arc::clone(version));
        let old = pools.insert(arn.clone(), Arc::clone(&pool));
        (pool, old.map(|old| old.close()).unwrap_or_default())
    }

    /// Room for one more process, if need be by ending one that waits.
    async fn slot(&self) -> Result<OwnedSemaphorePermit, LambdaError> {
        let until = Instant::now() + SLOT_WAIT;
        loop {
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                return Ok(slot);
            }
            let (idle, settling) = {
                let pools = lock(&self.pools);
                let idle = pools.values().find_map(|pool| pool.take_idle());
                (idle, pools.values().any(|pool| pool.is_settling()))
            };
            match idle {
                Some(idle) => end_all(vec![idle]).await,
                // One that has answered waits in a moment.
                None if settling && Instant::now() < until => tokio::time::sleep(SLOT_PAUSE).await,
                None => {
                    return Err(LambdaError::TooManyRequests {
                        message: "Rate Exceeded.".to_owned(),
                        reason: "ConcurrentInvocationLimitExceeded",
                    });
                }
            }
        }
    }

    /// One task that ends what nobody calls any more.
    fn start_reaper(self: &Arc<Self>) {
        if !self.tasks.is_empty() {
            return;
        }
        let inner = Arc::clone(self);
        self.tasks.spawn(async move {
            let idle_max = Duration::from_millis(inner.around.config.idle_ms_max.max(1));
            let mut tick = tokio::time::interval((idle_max / 4).max(Duration::from_millis(10)));
            loop {
                tokio::select! {
                    () = inner.stop.cancelled() => return,
                    _ = tick.tick() => {}
                }
                let Some(before) = Instant::now().checked_sub(idle_max) else { continue };
                let mut old = Vec::new();
                lock(&inner.pools).retain(|_, pool| {
                    old.extend(pool.idle_since(Some(before)));
                    !pool.is_empty()
                });
                end_all(old).await;
            }
        });
    }
}

/// Ends processes that nobody needs any more; all at once, for extensions take their time.
async fn end_all(environments: Vec<Environment>) {
    let mut ending = JoinSet::new();
    for mut environment in environments {
        ending.spawn(async move { environment.stop(Why::Spindown).await });
    }
    while ending.join_next().await.is_some() {}
}

/// The clients are part of the program: nothing else has to be installed.
fn write_runtimes(folder: &Path) -> io::Result<()> {
    const FILES: [(&str, &str); 3] = [
        ("node/first.js", include_str!("../../../runtimes/node/first.js")),
        ("node/client.js", include_str!("../../../runtimes/node/client.js")),
        ("python/client.py", include_str!("../../../runtimes/python/client.py")),
    ];
    for (name, text) in FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}
