//! Elastic Beanstalk: an environment is one process on this machine.
//!
//! Comes in:   application versions (bundles in S3) and environments that run one.
//! Rule: Elastic Beanstalk API reference, 2010-12-01; the members that the EB CLI reads without asking.

mod calls;
mod deploy;
mod packages;
mod process;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ids;
use crate::place::Place;
use crate::seams::{Kept, LogSink};
use crate::services::s3::S3;
use crate::sync::lock;

/// An environment keeps its newest events.
const EVENTS_MAX: usize = 500;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Account {
    applications: BTreeMap<String, Application>,
    environments: BTreeMap<String, Environment>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Application {
    description: String,
    created_ms: i64,
    versions: BTreeMap<String, Version>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Version {
    description: String,
    bucket: String,
    key: String,
    created_ms: i64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Environment {
    id: String,
    application: String,
    version: Option<String>,
    stack: String,
    status: String,
    health: String,
    created_ms: i64,
    updated_ms: i64,
    deployments: u64,
    port: u16,
    /// Namespace and name to value.
    options: Vec<(String, String, String)>,
    events: Vec<Event>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Event {
    time_ms: i64,
    message: String,
    severity: String,
    request_id: String,
    version: Option<String>,
}

/// The account's applications, and the processes of their environments.
pub(crate) struct Beanstalk {
    place: Arc<Place>,
    s3: Arc<S3>,
    logs: Arc<dyn LogSink>,
    xray_daemon: SocketAddr,
    folder: PathBuf,
    /// Whether the folder goes when we stop.
    temporary: bool,
    state: Mutex<Account>,
    changes: AtomicU64,
    running: Mutex<BTreeMap<String, CancellationToken>>,
    /// The environments that ended last, [`GONE_MAX`] at most: the EB CLI asks for their events.
    gone: Mutex<VecDeque<(String, Environment)>>,
    tasks: TaskTracker,
}

const GONE_MAX: usize = 16;

impl Beanstalk {
    /// Nothing runs yet. Bundles are unpacked in `folder`, or in a temporary one.
    pub(crate) fn new(
        place: Arc<Place>,
        s3: Arc<S3>,
        logs: Arc<dyn LogSink>,
        xray_daemon: SocketAddr,
        folder: Option<PathBuf>,
    ) -> Self {
        let temporary = folder.is_none();
        let folder = folder.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("throughline-beanstalk-{}", ids::uuid()))
        });
        Self {
            place,
            s3,
            logs,
            xray_daemon,
            folder,
            temporary,
            state: Mutex::default(),
            changes: AtomicU64::new(0),
            running: Mutex::default(),
            gone: Mutex::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Starts again what ran before.
    pub(crate) fn resume(self: &Arc<Self>) {
        let names: Vec<String> = lock(&self.state)
            .environments
            .iter()
            .filter(|(_, environment)| environment.version.is_some())
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.deploy(&name, &ids::uuid(), deploy::UPDATED.to_owned());
        }
    }

    /// Ends every process and waits until they are gone.
    pub(crate) async fn stop(&self) {
        for stop in lock(&self.running).values() {
            stop.cancel();
        }
        self.tasks.close();
        self.tasks.wait().await;
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    /// Changes an environment; one that is not there stays so.
    fn change(&self, name: &str, change: impl FnOnce(&mut Environment)) {
        if let Some(environment) = lock(&self.state).environments.get_mut(name) {
            environment.updated_ms = ids::now_ms();
            change(environment);
        }
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self, name: &str, severity: &str, request_id: &str, message: &str) {
        self.change(name, |environment| {
            if environment.events.len() >= EVENTS_MAX {
                environment.events.remove(0);
            }
            environment.events.push(Event {
                time_ms: ids::now_ms(),
                message: message.to_owned(),
                severity: severity.to_owned(),
                request_id: request_id.to_owned(),
                version: environment.version.clone(),
            });
        });
    }
}

impl Kept for Beanstalk {
    fn name(&self) -> &'static str {
        "beanstalk"
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn save(&self) -> Value {
        serde_json::to_value(&*lock(&self.state)).unwrap_or_default()
    }

    fn load(&self, saved: Value) -> Result<(), String> {
        *lock(&self.state) = serde_json::from_value(saved).map_err(|err| err.to_string())?;
        Ok(())
    }
}
