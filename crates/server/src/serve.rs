//! Opens the store and every door, and closes them in the right order.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use throughline_store::{OpenError, Store, StoreOptions};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::xray::{OpenSettingsError, XrayState};
use crate::app::{App, Stores};
use crate::config::{DoorAddress, ServerConfig};
use crate::doors::xray_udp;
use crate::metrics::DoorName;
use crate::{listener, routes};

/// Where log records are kept, in the data directory.
const LOGS_DIRECTORY: &str = "log-records";
/// Log records have a quarter of what spans have: of memory, and beside them of the disk.
const LOGS_SHARE: usize = 4;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A door's address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which door.
        door: DoorName,
        /// Where it should have been.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What was set through the X-Ray API cannot be read.
    #[error(transparent)]
    Settings(#[from] OpenSettingsError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The store's thread could not run.
    #[error("cannot open the store in {}: it panicked", .directory.display())]
    StorePanicked {
        /// The data directory.
        directory: PathBuf,
    },
}

/// Where the doors are, with the ports that were really bound. `None` is a door that is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The main port.
    pub http: Option<SocketAddr>,
    /// OTLP over HTTP.
    pub otlp_http: Option<SocketAddr>,
    /// OTLP over gRPC.
    pub otlp_grpc: Option<SocketAddr>,
    /// The X-Ray daemon's port, TCP and UDP.
    pub xray: Option<SocketAddr>,
}

impl Addresses {
    /// The address of a door.
    pub fn of(&self, name: DoorName) -> Option<SocketAddr> {
        match name {
            DoorName::Http => self.http,
            DoorName::OtlpHttp => self.otlp_http,
            DoorName::OtlpGrpc => self.otlp_grpc,
            DoorName::Xray => self.xray,
        }
    }
}

/// A server whose doors are open.
pub struct Running {
    app: Arc<App>,
    addresses: Addresses,
    doors: JoinSet<()>,
    datagrams: Option<JoinHandle<()>>,
    stop: CancellationToken,
}

/// Opens the store, then binds every door, then serves. Nothing stays open when it fails.
pub async fn serve(config: ServerConfig) -> Result<Running, StartError> {
    // The doors are bound first, for a taken port is the commonest mistake and opening a large
    // store takes a moment; nothing is accepted before the store is open.
    let http = bind(DoorName::Http, config.http).await?;
    let otlp_http = bind(DoorName::OtlpHttp, config.otlp_http).await?;
    let otlp_grpc = bind(DoorName::OtlpGrpc, config.otlp_grpc).await?;
    let (xray, xray_udp) = bind_xray(config.xray).await?.unzip();
    let stores = open_stores(&config).await?;
    // The store holds the directory's lock by now.
    let xray_state = XrayState::open(&config.data_directory)?;

    let address = |door: &Option<TcpListener>| door.as_ref().and_then(|l| l.local_addr().ok());
    let addresses = Addresses {
        http: address(&http),
        otlp_http: address(&otlp_http),
        otlp_grpc: address(&otlp_grpc),
        xray: address(&xray),
    };
    let limits = config.limits.clone();
    let app = Arc::new(App::new(config, stores, xray_state));
    let stop = CancellationToken::new();
    let datagrams = match xray_udp {
        Some(socket) => {
            let segments = Arc::clone(&app.segments);
            let started = xray_udp::spawn(socket, segments, stop.clone(), limits.stop_timeout);
            Some(started.map_err(StartError::Thread)?)
        }
        None => None,
    };
    let mut doors = JoinSet::new();
    for (name, door) in [
        (DoorName::Http, http),
        (DoorName::OtlpHttp, otlp_http),
        (DoorName::OtlpGrpc, otlp_grpc),
        (DoorName::Xray, xray),
    ] {
        let (Some(door), Some(address)) = (door, addresses.of(name)) else { continue };
        tracing::info!(door = name.word(), %address, "listening");
        if !address.ip().is_loopback() {
            tracing::warn!(door = name.word(), %address, "reachable from other machines");
        }
        let router = routes::of_door(name, address, &app);
        let metrics = Arc::clone(&app.metrics);
        doors.spawn(listener::run(name, door, router, limits.clone(), metrics, stop.clone()));
    }
    let _ = app.addresses.set(addresses);
    Ok(Running { app, addresses, doors, datagrams, stop })
}

async fn bind(door: DoorName, address: DoorAddress) -> Result<Option<TcpListener>, StartError> {
    match address {
        DoorAddress::Off => Ok(None),
        DoorAddress::Listen(address) => match TcpListener::bind(address).await {
            Ok(listener) => Ok(Some(listener)),
            Err(source) => Err(StartError::Bind { door, address, source }),
        },
    }
}

/// TCP and UDP on one port. Where any port will do, one has to be found that is free for both.
async fn bind_xray(address: DoorAddress) -> Result<Option<(TcpListener, UdpSocket)>, StartError> {
    const TRIES_MAX: usize = 20;
    let DoorAddress::Listen(wanted) = address else { return Ok(None) };
    let mut tries = 0;
    loop {
        tries += 1;
        let Some(listener) = bind(DoorName::Xray, address).await? else { return Ok(None) };
        let bound = listener.local_addr().unwrap_or(wanted);
        match xray_udp::bind(bound) {
            Ok(socket) => return Ok(Some((listener, socket))),
            Err(_) if wanted.port() == 0 && tries < TRIES_MAX => {}
            Err(source) => {
                return Err(StartError::Bind { door: DoorName::Xray, address: bound, source });
            }
        }
    }
}

/// Spans, and beside them log records in a store of the same make: ADR-0012.
async fn open_stores(config: &ServerConfig) -> Result<Stores, StartError> {
    let directory = config.data_directory.clone();
    let mut spans = StoreOptions::new(&directory);
    spans.retention_ms = config.retention.map(milliseconds);
    spans.retention_bytes = config.retention_size_bytes_max;
    let mut logs = StoreOptions { directory: directory.join(LOGS_DIRECTORY), ..spans.clone() };
    logs.holds_spans = false;
    logs.memtable_bytes_max /= LOGS_SHARE;
    logs.retention_bytes = spans.retention_bytes.map(|max| max / LOGS_SHARE as u64);
    let open = move || -> Result<Stores, OpenError> {
        // The first one takes the directory's lock.
        let spans = Store::open(spans)?;
        Ok(Stores { spans: Arc::new(spans), logs: Arc::new(Store::open(logs)?) })
    };
    let opened = tokio::task::spawn_blocking(open).await;
    Ok(opened.map_err(|_| StartError::StorePanicked { directory })??)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Running {
    /// Where the doors are.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Stops accepting, lets open requests end, writes the store out and closes it.
    pub async fn stop(mut self) {
        tracing::info!("stopping");
        self.app.stopping.store(true, Ordering::Relaxed);
        self.stop.cancel();
        while self.doors.join_next().await.is_some() {}
        if let Some(datagrams) = self.datagrams.take() {
            let ended = tokio::task::spawn_blocking(move || datagrams.join()).await;
            if !matches!(ended, Ok(Ok(()))) {
                tracing::error!("the thread for datagrams panicked");
            }
        }
        let app = Arc::clone(&self.app);
        let closed = tokio::task::spawn_blocking(move || {
            app.store.close();
            app.logs.close();
        })
        .await;
        if closed.is_err() {
            tracing::error!("the store panicked while closing");
        }
        tracing::info!("stopped");
    }
}
