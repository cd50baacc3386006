//! What the Lambda service is told, and what surrounds it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::receipts;
use crate::seams::{Blobs, LogSink, Streams};

/// Settings of the Lambda service. [`LambdaConfig::default`] suits a laptop.
#[derive(Clone, Debug)]
pub struct LambdaConfig {
    /// The interpreter of every `nodejs*` runtime: a path, or a name that `PATH` finds.
    pub node: PathBuf,
    /// The interpreter of every `python*` runtime.
    pub python: PathBuf,
    /// A folder with the `node_modules` that the Node runtime brings along (`aws-sdk` v2). `None`: there are none.
    pub node_runtime: Option<PathBuf>,
    /// A folder with the packages that the Python runtime brings along (`boto3`). `None`: the interpreter's own.
    pub python_runtime: Option<PathBuf>,
    /// Layers of other accounts that stand on this machine. The first that fits is taken.
    pub layers: Vec<LayerMapping>,
    /// Whether layers may be mounted at `/opt` in a namespace of the function's own, where the kernel allows it.
    pub namespaces: bool,
    /// Whether a process that outgrows its function's memory is killed, as Lambda does.
    pub memory_enforced: bool,
    /// How long a process may take to start without being charged to its function's timeout, in milliseconds.
    ///
    /// A start that takes longer is begun once more, within the timeout, as Lambda does after its 10 s. A laptop that
    /// compiles at the same time needs more: a second start would be as slow, and then be charged.
    pub init_ms_max: u64,
    /// How long a process is kept that nobody calls, in milliseconds.
    pub idle_ms_max: u64,
    /// How many function processes may run at once, over all functions. More is a throttle (429).
    pub processes_max: usize,
    /// How long `Event` invocations wait before their second and third attempt, in milliseconds.
    ///
    /// Lambda waits one and two minutes; nobody at a laptop wants to.
    pub event_retry_ms: [u64; 2],
}

impl Default for LambdaConfig {
    fn default() -> Self {
        Self {
            node: PathBuf::from("node"),
            python: PathBuf::from("python3"),
            node_runtime: None,
            python_runtime: None,
            layers: Vec::new(),
            namespaces: true,
            memory_enforced: true,
            init_ms_max: 30_000,
            idle_ms_max: 600_000,
            processes_max: 32,
            event_retry_ms: [1_000, 2_000],
        }
    }
}

/// A layer that stands in for an ARN.
#[derive(Clone, Debug)]
pub struct LayerMapping {
    /// The ARN with its version, or the start of ARNs: `arn:aws:lambda:us-east-1:254067382080:layer:splunk-apm`.
    /// `*` stands for any text within one part between colons.
    pub arn: String,
    /// A folder that has what `/opt` shall have, or a zip of it.
    pub path: PathBuf,
}

/// Everything around the Lambda service.
#[derive(Clone)]
pub struct Surroundings {
    /// Its own settings.
    pub config: LambdaConfig,
    /// The region of every ARN.
    pub region: String,
    /// The twelve digits of the account.
    pub account: String,
    /// Where state is kept; `lambda/` in it is ours. `None`: a temporary folder, removed at the end.
    pub data: Option<PathBuf>,
    /// The front door as functions shall call it: `http://127.0.0.1:4566`.
    pub endpoint: String,
    /// Where X-Ray segments are sent, and what functions find in `AWS_XRAY_DAEMON_ADDRESS`.
    pub xray_daemon: SocketAddr,
    /// Where function output goes.
    pub logs: Arc<dyn LogSink>,
    /// Where code comes from when it is not in the request.
    pub blobs: Arc<dyn Blobs>,
    /// What event source mappings read.
    pub streams: Arc<dyn Streams>,
    /// Where each hop is told.
    pub receipts: receipts::Sink,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
