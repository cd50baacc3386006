//! What every door and every answer shares.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use throughline_query::MessageCache;
use throughline_store::Store;

use crate::api::xray::XrayState;
use crate::clock::now_unix_nano;
use crate::doors::body::{Budget, ReadLimits};
use crate::metrics::{DoorName, Metrics, Surroundings};
use crate::pipeline::Pipeline;
use crate::places::PlacesFile;
use crate::query_pool::QueryPool;
use crate::rejected::RejectedRing;
use crate::segments::Segments;
use crate::{Addresses, ServerConfig};

/// What a server keeps.
pub(crate) struct Stores {
    pub(crate) spans: Arc<Store>,
    pub(crate) logs: Arc<Store>,
}

/// The shared state of one server.
pub(crate) struct App {
    pub(crate) config: ServerConfig,
    pub(crate) store: Arc<Store>,
    /// Log records.
    pub(crate) logs: Arc<Store>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rejected: Arc<RejectedRing>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) xray: XrayState,
    pub(crate) places: PlacesFile,
    /// What spans say of messages, as far as questions have read it.
    pub(crate) messages: Arc<MessageCache>,
    pub(crate) queries: QueryPool,
    pub(crate) intake: Budget,
    pub(crate) started_unix_nano: i64,
    /// Known once every door is open.
    pub(crate) addresses: OnceLock<Addresses>,
    pub(crate) stopping: AtomicBool,
}

impl App {
    pub(crate) fn new(config: ServerConfig, stores: Stores, xray: XrayState) -> Self {
        let Stores { spans: store, logs } = stores;
        let metrics = Arc::<Metrics>::default();
        let rejected = Arc::<RejectedRing>::default();
        let limits = &config.limits;
        let pipeline = Arc::new(Pipeline::new(
            Stores { spans: Arc::clone(&store), logs: Arc::clone(&logs) },
            Arc::clone(&metrics),
            Arc::clone(&rejected),
            limits.inflated_size_bytes_max,
        ));
        let segments = Arc::new(Segments::new(
            Arc::clone(&store),
            Arc::clone(&metrics),
            Arc::clone(&rejected),
            config.xray_api.strict_documents,
        ));
        Self {
            queries: QueryPool::new(limits.queries_max, limits.queries_waiting_max),
            intake: Budget::new(limits.intake_size_bytes_max),
            // The store holds the directory's lock by now.
            places: PlacesFile::open(&config.data_directory),
            messages: Arc::default(),
            config,
            store,
            logs,
            metrics,
            rejected,
            pipeline,
            segments,
            xray,
            started_unix_nano: now_unix_nano(),
            addresses: OnceLock::new(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Whether spans are taken and questions answered, or why not.
    pub(crate) fn readiness(&self) -> Result<(), String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err("stopping".to_owned());
        }
        if self.addresses.get().is_none() {
            return Err("starting: not every door is open yet".to_owned());
        }
        let unhealthy = |what| move |reason| format!("the store{what} is not healthy: {reason}");
        self.store.is_healthy().map_err(unhealthy(""))?;
        self.logs.is_healthy().map_err(unhealthy(" of log records"))
    }

    /// How long and how large a request's body may be.
    pub(crate) fn read_limits(&self) -> ReadLimits {
        let limits = &self.config.limits;
        ReadLimits {
            size_bytes_max: limits.body_size_bytes_max,
            still: limits.body_timeout,
            total: limits.body_total_timeout,
        }
    }

    /// The text of `/metrics`.
    pub(crate) fn render_metrics(&self) -> String {
        self.metrics.render(&Surroundings {
            store: self.store.stats(),
            logs: self.logs.stats(),
            store_healthy: self.store.is_healthy().is_ok(),
            intake_bytes: self.intake.taken_bytes(),
            started_unix_nano: self.started_unix_nano,
        })
    }

    /// The open doors and where they are.
    pub(crate) fn doors(&self) -> Vec<(DoorName, String)> {
        let Some(addresses) = self.addresses.get() else { return Vec::new() };
        DoorName::ALL
            .into_iter()
            .filter_map(|name| Some((name, addresses.of(name)?.to_string())))
            .collect()
    }
}
