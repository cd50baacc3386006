//! What the server counts, and `/metrics` in Prometheus' text form.
//!
//! Rule: what we receive is what we store plus what we reject plus what we drop, each with a
//! reason, for every protocol; while nothing is in flight the four families add up exactly.
//! Rule: Prometheus exposition format 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use throughline_store::StoreStats;
use throughline_wire::otlp::Signal;

/// One family of numbers: its name with the unit last, its kind and what it means.
#[derive(Debug)]
pub struct Family {
    /// Name, with the unit at the end.
    pub name: &'static str,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    /// The unit of its values.
    pub unit: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells, for `# HELP`.
    pub meaning: &'static str,
}

macro_rules! families {
    ($($id:ident = $name:literal $kind:ident $unit:literal [$($label:literal),*] $meaning:literal;)*) => {
        $(const $id: Family = Family {
            name: $name, kind: stringify!($kind), unit: $unit, labels: &[$($label),*], meaning: $meaning,
        };)*
        /// Every family that `/metrics` shows, in its order.
        pub const FAMILIES: &[&Family] = &[$(&$id),*];
    };
}

families! {
    SPANS_RECEIVED = "throughline_spans_received_total" counter "spans" ["protocol"]
        "Spans that arrived in a body we could read.";
    SPANS_STORED = "throughline_spans_stored_total" counter "spans" ["protocol"]
        "Spans that are on disk and were acknowledged.";
    SPANS_REJECTED = "throughline_spans_rejected_total" counter "spans" ["protocol", "reason"]
        "Spans that we could not keep because of what they were; the sender was told.";
    SPANS_DROPPED = "throughline_spans_dropped_total" counter "spans" ["protocol", "reason"]
        "Good spans that we could not take now; the sender was told to try again.";
    SPAN_WARNINGS = "throughline_span_warnings_total" counter "warnings" ["protocol", "warning"]
        "Doubtful things about spans that were kept all the same.";
    LOGS_RECEIVED = "throughline_log_records_received_total" counter "records" ["protocol"]
        "Log records that arrived in a body we could read.";
    LOGS_STORED = "throughline_log_records_stored_total" counter "records" ["protocol"]
        "Log records that are on disk and were acknowledged.";
    LOGS_REJECTED = "throughline_log_records_rejected_total" counter "records" ["protocol", "reason"]
        "Log records that we could not keep because of what they were, such as those of no trace.";
    LOGS_DROPPED = "throughline_log_records_dropped_total" counter "records" ["protocol", "reason"]
        "Good log records that we could not take now; the sender was told to try again.";
    LOG_WARNINGS = "throughline_log_record_warnings_total" counter "warnings" ["protocol", "warning"]
        "Doubtful things about log records that were kept all the same.";
    REQUESTS_REFUSED = "throughline_requests_refused_total" counter "requests" ["protocol", "reason"]
        "Export requests that were refused whole, before any span was seen.";
    KERNEL_DROPS = "throughline_udp_kernel_drops_total" counter "datagrams" ["protocol"]
        "Datagrams that the kernel dropped because its buffer was full; no span of them was seen.";
    BODY_BYTES = "throughline_request_body_bytes_total" counter "bytes" ["protocol"]
        "Bytes of export requests as sent.";
    REQUESTS = "throughline_http_requests_total" counter "requests" ["door", "status"]
        "Answered HTTP requests.";
    GRPC_REQUESTS = "throughline_grpc_requests_total" counter "requests" ["code"]
        "Answered gRPC calls by gRPC status code.";
    CONNECTIONS = "throughline_connections" gauge "connections" ["door"]
        "Open connections.";
    INTAKE_BYTES = "throughline_intake_bytes" gauge "bytes" []
        "Bytes of export requests that wait for their acknowledgement.";
    PANICS = "throughline_panics_total" counter "panics" []
        "Handlers that broke an invariant. Please report any.";
    STORE_SPANS = "throughline_store_spans" gauge "spans" []
        "Spans held.";
    STORE_TRACES = "throughline_store_traces" gauge "traces" []
        "Traces held, approximately.";
    STORE_MEMTABLE_SPANS = "throughline_store_memtable_spans" gauge "spans" []
        "Spans held in memory and in the log, not yet in a block.";
    STORE_MESSAGE_INDEX_BYTES = "throughline_store_message_index_bytes" gauge "bytes" []
        "Bytes of memory that the index of messages takes, of those that no block holds yet.";
    STORE_LOGS = "throughline_store_log_records" gauge "records" []
        "Log records held.";
    STORE_LOGS_BYTES = "throughline_store_log_records_bytes" gauge "bytes" []
        "Bytes on disk of log records, with all sidecars.";
    STORE_BLOCKS = "throughline_store_blocks" gauge "blocks" []
        "Blocks on disk.";
    STORE_BYTES = "throughline_store_bytes" gauge "bytes" []
        "Bytes on disk with all sidecars.";
    STORE_LOG_BYTES = "throughline_store_log_bytes" gauge "bytes" []
        "Bytes of the log.";
    STORE_FLUSHES = "throughline_store_flushes_total" counter "flushes" []
        "Blocks written from memory.";
    STORE_COMPACTIONS = "throughline_store_compactions_total" counter "compactions" []
        "Times that blocks were merged.";
    STORE_EXPIRED_BLOCKS = "throughline_store_expired_blocks_total" counter "blocks" []
        "Blocks removed because they were too old or too many.";
    STORE_HEALTHY = "throughline_store_healthy" gauge "bool" []
        "1 while the store takes spans.";
    START_TIME = "throughline_start_time_seconds" gauge "seconds" []
        "When the server started, since the epoch.";
    BUILD_INFO = "throughline_build_info" gauge "info" ["version"]
        "Always 1; the label has the version.";
}

/// What spans come in by. The word is the label, and the word of `/api/v1/rejected`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// OTLP over HTTP, protobuf or JSON.
    OtlpHttp,
    /// OTLP over gRPC.
    OtlpGrpc,
    /// X-Ray segment documents as datagrams, to the daemon's port.
    XrayUdp,
    /// X-Ray segment documents in `PutTraceSegments`.
    XrayHttp,
    /// Receipts of messages, at `/api/v1/receipts`.
    Receipts,
    /// An invented system, at `/api/v1/sample`.
    Sample,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Self; 6] = [
        Self::OtlpHttp,
        Self::OtlpGrpc,
        Self::XrayUdp,
        Self::XrayHttp,
        Self::Receipts,
        Self::Sample,
    ];

    /// The word of labels and the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::OtlpHttp => "otlp_http",
            Self::OtlpGrpc => "otlp_grpc",
            Self::XrayUdp => "xray_udp",
            Self::XrayHttp => "xray_http",
            Self::Receipts => "receipts",
            Self::Sample => "sample",
        }
    }
}

/// A listening door. The word is the label, and the word of `/api/v1/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorName {
    /// The main port.
    Http,
    /// The port for OTLP over HTTP.
    OtlpHttp,
    /// The port for OTLP over gRPC.
    OtlpGrpc,
    /// The port of the X-Ray daemon: TCP and UDP.
    Xray,
}

impl DoorName {
    /// All doors.
    pub const ALL: [Self; 4] = [Self::Http, Self::OtlpHttp, Self::OtlpGrpc, Self::Xray];

    /// The word of labels, the API and the announcement.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::OtlpHttp => "otlp_http",
            Self::OtlpGrpc => "otlp_grpc",
            Self::Xray => "xray",
        }
    }
}

/// The counters of one protocol that every request touches.
#[derive(Debug, Default)]
struct ProtocolCounters {
    received: AtomicU64,
    stored: AtomicU64,
}

/// The counters of one door.
#[derive(Debug)]
struct DoorCounters {
    by_status: [AtomicU64; 600],
    connections: AtomicI64,
}

impl Default for DoorCounters {
    fn default() -> Self {
        Self {
            by_status: std::array::from_fn(|_| AtomicU64::new(0)),
            connections: AtomicI64::new(0),
        }
    }
}

type ByReason = Mutex<BTreeMap<(Protocol, &'static str), u64>>;

/// What became of spans, or of log records.
#[derive(Debug, Default)]
pub struct Taken {
    protocols: [ProtocolCounters; Protocol::ALL.len()],
    // Rejections are rare, and their reasons are `wire`'s, so these may lock.
    rejected: ByReason,
    dropped: ByReason,
    warnings: ByReason,
}

impl Taken {
    /// So many arrived in a readable body.
    pub fn received(&self, protocol: Protocol, count: u64) {
        self.protocols[protocol as usize].received.fetch_add(count, Ordering::Relaxed);
    }

    /// So many are on disk.
    pub fn stored(&self, protocol: Protocol, count: u64) {
        self.protocols[protocol as usize].stored.fetch_add(count, Ordering::Relaxed);
    }

    /// So many were kept although doubtful.
    pub fn warned(&self, protocol: Protocol, warning: &'static str, count: u64) {
        add(&self.warnings, protocol, warning, count);
    }

    /// So many could not be kept because of what they were.
    pub fn rejected(&self, protocol: Protocol, reason: &'static str, count: u64) {
        add(&self.rejected, protocol, reason, count);
    }

    /// So many good ones could not be taken now.
    pub fn dropped(&self, protocol: Protocol, reason: &'static str, count: u64) {
        add(&self.dropped, protocol, reason, count);
    }

    fn render(&self, page: &mut Page, families: [&Family; 5]) {
        let [received, stored, rejected, dropped, warnings] = families;
        for (family, value) in [
            (received, (|p| &p.received) as fn(&ProtocolCounters) -> &AtomicU64),
            (stored, |p| &p.stored),
        ] {
            page.family(family);
            for protocol in Protocol::ALL {
                let value = value(&self.protocols[protocol as usize]).load(Ordering::Relaxed);
                page.value(family, &[protocol.word()], value as f64);
            }
        }
        page.by_reason(rejected, &self.rejected);
        page.by_reason(dropped, &self.dropped);
        page.by_reason(warnings, &self.warnings);
    }
}

/// All counters of the server.
#[derive(Debug, Default)]
pub struct Metrics {
    spans: Taken,
    logs: Taken,
    body_bytes: [AtomicU64; Protocol::ALL.len()],
    refused: ByReason,
    doors: [DoorCounters; DoorName::ALL.len()],
    grpc_codes: [AtomicU64; 17],
    kernel_drops: AtomicU64,
    panics: AtomicU64,
}

impl Metrics {
    /// What became of spans, or of log records.
    pub fn of(&self, signal: Signal) -> &Taken {
        match signal {
            Signal::Traces => &self.spans,
            Signal::Logs => &self.logs,
        }
    }

    /// What became of spans.
    pub fn spans(&self) -> &Taken {
        &self.spans
    }

    /// A body of this size was read.
    pub fn body_bytes(&self, protocol: Protocol, bytes: u64) {
        self.body_bytes[protocol as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    /// A whole export request was refused.
    pub fn refused(&self, protocol: Protocol, reason: &'static str) {
        add(&self.refused, protocol, reason, 1);
    }

    /// A request was answered.
    pub fn answered(&self, door: DoorName, status: u16) {
        if let Some(count) = self.doors[door as usize].by_status.get(usize::from(status)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A gRPC call was answered.
    pub fn grpc_answered(&self, code: i32) {
        let code = usize::try_from(code).ok().and_then(|code| self.grpc_codes.get(code));
        if let Some(count) = code {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection opened (1) or closed (-1).
    pub fn connections(&self, door: DoorName, change: i64) {
        self.doors[door as usize].connections.fetch_add(change, Ordering::Relaxed);
    }

    /// The kernel dropped datagrams for X-Ray before we saw them.
    pub fn kernel_dropped(&self, datagrams: u64) {
        self.kernel_drops.fetch_add(datagrams, Ordering::Relaxed);
    }

    /// Datagrams that the kernel dropped.
    pub fn kernel_drops(&self) -> u64 {
        self.kernel_drops.load(Ordering::Relaxed)
    }

    /// A handler panicked.
    pub fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Spans received over all protocols.
    pub fn received_spans(&self) -> u64 {
        self.spans.protocols.iter().map(|p| p.received.load(Ordering::Relaxed)).sum()
    }

    /// Spans rejected over all protocols.
    pub fn rejected_spans(&self) -> u64 {
        locked(&self.spans.rejected).values().sum()
    }

    /// The text of `/metrics`.
    pub fn render(&self, now: &Surroundings) -> String {
        let mut page = Page(String::with_capacity(8 << 10));
        let families =
            [&SPANS_RECEIVED, &SPANS_STORED, &SPANS_REJECTED, &SPANS_DROPPED, &SPAN_WARNINGS];
        self.spans.render(&mut page, families);
        let families = [&LOGS_RECEIVED, &LOGS_STORED, &LOGS_REJECTED, &LOGS_DROPPED, &LOG_WARNINGS];
        self.logs.render(&mut page, families);
        page.by_reason(&REQUESTS_REFUSED, &self.refused);
        page.family(&BODY_BYTES);
        for protocol in Protocol::ALL {
            let bytes = self.body_bytes[protocol as usize].load(Ordering::Relaxed);
            page.value(&BODY_BYTES, &[protocol.word()], bytes as f64);
        }
        page.family(&KERNEL_DROPS);
        page.value(&KERNEL_DROPS, &[Protocol::XrayUdp.word()], self.kernel_drops() as f64);
        self.render_requests(&mut page);
        render_store(&mut page, now);
        page.0
    }

    fn render_requests(&self, page: &mut Page) {
        page.family(&REQUESTS);
        for door in DoorName::ALL {
            for (status, count) in self.doors[door as usize].by_status.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    page.value(&REQUESTS, &[door.word(), &status.to_string()], count as f64);
                }
            }
        }
        page.family(&GRPC_REQUESTS);
        for (code, count) in self.grpc_codes.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                page.value(&GRPC_REQUESTS, &[&code.to_string()], count as f64);
            }
        }
        page.family(&CONNECTIONS);
        for door in DoorName::ALL {
            let open = self.doors[door as usize].connections.load(Ordering::Relaxed);
            page.value(&CONNECTIONS, &[door.word()], open as f64);
        }
        page.single(&PANICS, self.panics.load(Ordering::Relaxed) as f64);
    }
}

/// What `/metrics` shows besides the counters.
#[derive(Debug)]
pub struct Surroundings {
    /// Numbers of the store of spans.
    pub store: StoreStats,
    /// Numbers of the store of log records.
    pub logs: StoreStats,
    /// Whether the store takes spans.
    pub store_healthy: bool,
    /// Bytes of bodies that wait for their acknowledgement.
    pub intake_bytes: u64,
    /// When the server started, nanoseconds since the epoch.
    pub started_unix_nano: i64,
}

fn render_store(page: &mut Page, now: &Surroundings) {
    let store = &now.store;
    page.single(&INTAKE_BYTES, now.intake_bytes as f64);
    page.single(&STORE_SPANS, store.spans as f64);
    page.single(&STORE_TRACES, store.traces as f64);
    page.single(&STORE_MEMTABLE_SPANS, store.memtable_spans as f64);
    page.single(&STORE_MESSAGE_INDEX_BYTES, store.message_index_bytes as f64);
    page.single(&STORE_LOGS, now.logs.spans as f64);
    page.single(&STORE_LOGS_BYTES, now.logs.bytes_on_disk as f64);
    page.single(&STORE_BLOCKS, store.blocks as f64);
    page.single(&STORE_BYTES, store.bytes_on_disk as f64);
    page.single(&STORE_LOG_BYTES, store.log_bytes as f64);
    page.single(&STORE_FLUSHES, store.flushes as f64);
    page.single(&STORE_COMPACTIONS, store.compactions as f64);
    page.single(&STORE_EXPIRED_BLOCKS, store.expired_blocks as f64);
    page.single(&STORE_HEALTHY, f64::from(u8::from(now.store_healthy)));
    page.single(&START_TIME, now.started_unix_nano as f64 / 1e9);
    page.family(&BUILD_INFO);
    page.value(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
}

fn add(counts: &ByReason, protocol: Protocol, reason: &'static str, count: u64) {
    if count > 0 {
        *locked(counts).entry((protocol, reason)).or_default() += count;
    }
}

fn locked(counts: &ByReason) -> std::sync::MutexGuard<'_, BTreeMap<(Protocol, &'static str), u64>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text being written. Writing to a `String` cannot fail.
struct Page(String);

impl Page {
    fn family(&mut self, family: &Family) {
        let Family { name, kind, meaning, .. } = family;
        let _ = write!(self.0, "# HELP {name} {meaning}\n# TYPE {name} {kind}\n");
    }

    fn by_reason(&mut self, family: &Family, counts: &ByReason) {
        self.family(family);
        for ((protocol, reason), count) in locked(counts).iter() {
            self.value(family, &[protocol.word(), reason], *count as f64);
        }
    }

    fn single(&mut self, family: &Family, value: f64) {
        self.family(family);
        self.value(family, &[], value);
    }

    fn value(&mut self, family: &Family, labels: &[&str], value: f64) {
        self.0.push_str(family.name);
        for (at, (name, label)) in family.labels.iter().zip(labels).enumerate() {
            let _ = write!(self.0, "{}{name}=\"{label}\"", if at == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &Metrics) -> String {
        metrics.render(&Surroundings {
            store: StoreStats::default(),
            logs: StoreStats::default(),
            store_healthy: true,
            intake_bytes: 0,
            started_unix_nano: 1_500_000_000,
        })
    }

    #[test]
    fn counters_show_with_their_labels() {
        let metrics = Metrics::default();
        metrics.spans().received(Protocol::OtlpGrpc, 7);
        metrics.spans().rejected(Protocol::OtlpGrpc, "zero_trace_id", 2);
        metrics.of(Signal::Logs).stored(Protocol::OtlpHttp, 3);
        metrics.answered(DoorName::OtlpHttp, 415);
        let text = text(&metrics);
        for line in [
            "throughline_spans_received_total{protocol=\"otlp_grpc\"} 7",
            "throughline_spans_received_total{protocol=\"otlp_http\"} 0",
            "throughline_spans_rejected_total{protocol=\"otlp_grpc\",reason=\"zero_trace_id\"} 2",
            "throughline_log_records_stored_total{protocol=\"otlp_http\"} 3",
            "throughline_http_requests_total{door=\"otlp_http\",status=\"415\"} 1",
            "throughline_start_time_seconds 1.5",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn every_family_of_the_table_is_shown_once() {
        let text = text(&Metrics::default());
        for family in FAMILIES {
            let line = format!("# TYPE {} {}", family.name, family.kind);
            assert_eq!(text.lines().filter(|l| **l == line).count(), 1, "{line}");
        }
    }
}
