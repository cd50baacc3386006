//! What a server can be told. Reading files, environment and flags is the binary's work.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where a door listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorAddress {
    /// The door stays shut.
    Off,
    /// Port 0 takes any free port; [`crate::Addresses`] says which.
    Listen(SocketAddr),
}

/// Everything a server needs to know before it starts.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where spans are kept. Made when missing; one server at a time may hold it.
    pub data_directory: PathBuf,
    /// The page, the APIs, metrics and OTLP over HTTP and gRPC.
    pub http: DoorAddress,
    /// OTLP over HTTP, on the port that exporters use by default.
    pub otlp_http: DoorAddress,
    /// OTLP over gRPC, on the port that exporters use by default.
    pub otlp_grpc: DoorAddress,
    /// How old spans may become before they expire; `None` keeps them.
    pub retention: Option<Duration>,
    /// How much disk spans may take before the oldest expire; `None` sets no limit.
    pub retention_size_bytes_max: Option<u64>,
    /// Whether `POST /api/v1/reset` empties the store.
    pub allow_reset: bool,
    /// Names besides loopback ones that a `Host` header may have; see `host_guard`.
    pub allowed_hosts: Vec<String>,
    /// What clients may cost.
    pub limits: Limits,
}

impl ServerConfig {
    /// A server on free loopback ports with the data in `data_directory`.
    pub fn on_free_ports(data_directory: PathBuf) -> Self {
        let any = DoorAddress::Listen(SocketAddr::from(([127, 0, 0, 1], 0)));
        Self {
            data_directory,
            http: any,
            otlp_http: any,
            otlp_grpc: any,
            retention: None,
            retention_size_bytes_max: None,
            allow_reset: false,
            allowed_hosts: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// What clients may cost. Every queue, body and wait of the server is in this list.
#[derive(Clone, Debug)]
pub struct Limits {
    /// One request's body as sent, in bytes.
    pub body_size_bytes_max: usize,
    /// One request's body after inflating, in bytes.
    pub inflated_size_bytes_max: usize,
    /// All bodies between their first byte and their acknowledgement, in bytes. Beyond it clients
    /// are told to come back.
    pub intake_size_bytes_max: usize,
    /// Queries that run at once. Each may hold a core.
    pub queries_max: usize,
    /// Queries that wait for their turn. Beyond it callers are told to come back.
    pub queries_waiting_max: usize,
    /// Open connections of one door. Further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// How long the headers of a request may take.
    pub header_timeout: Duration,
    /// How long a request's body may stand still.
    pub body_timeout: Duration,
    /// How long a whole body may take.
    pub body_total_timeout: Duration,
    /// How long a connection may stay silent, and an answer unread.
    pub idle_timeout: Duration,
    /// How long open requests may take once the server stops.
    pub stop_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_size_bytes_max: 64 << 20,
            inflated_size_bytes_max: 64 << 20,
            intake_size_bytes_max: 256 << 20,
            queries_max: 8,
            queries_waiting_max: 64,
            connections_max: 1024,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            body_total_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(300),
            stop_timeout: Duration::from_secs(10),
        }
    }
}
