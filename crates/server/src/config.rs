//! What a server can be told. Reading files, environment and flags is the binary's work.

use std::collections::BTreeMap;
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
    /// The X-Ray daemon's port: documents over UDP, the whole X-Ray API over TCP.
    pub xray: DoorAddress,
    /// What the X-Ray API says of itself, and whom it believes.
    pub xray_api: XrayApi,
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
            xray: any,
            xray_api: XrayApi::default(),
            retention: None,
            retention_size_bytes_max: None,
            allow_reset: false,
            allowed_hosts: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// How the X-Ray API behaves where AWS would ask the account that called.
#[derive(Clone, Debug)]
pub struct XrayApi {
    /// The account of answers and ARNs.
    pub account_id: String,
    /// The region of ARNs for callers who sign nothing; others name theirs in the signature.
    pub region: String,
    /// Key ids and secrets. When there are any, every call must be signed with one of them, but for
    /// the two that the SDKs cannot sign. Empty: everything is taken, however it is signed.
    pub keys: BTreeMap<String, String>,
    /// Refuse documents that AWS would refuse, instead of keeping what can be read of them.
    pub strict_documents: bool,
}

impl Default for XrayApi {
    fn default() -> Self {
        Self {
            account_id: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            keys: BTreeMap::new(),
            strict_documents: false,
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
