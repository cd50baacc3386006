//! The words of X-Ray's answers, as plain values. Times are nanoseconds since the epoch.

use std::collections::BTreeMap;

use throughline_model::{AttrValue, SpanId, SpanRef, TraceId};

/// What X-Ray calls a service: a node of its graph.
///
/// **Source:** X-Ray API reference, `ServiceId` and `Service`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId {
    /// The node's name: that of its segments, or of the resource that was called.
    pub name: String,
    /// The name first, then its aliases.
    pub names: Vec<String>,
    /// Such as `AWS::Lambda::Function`, `remote`, `client`; empty when nothing is known.
    pub kind: String,
    /// The account of AWS, where a segment named one that is not the server's own.
    pub account: Option<String>,
}

/// How a request ended, each in exactly one way: fault before throttle before error before ok.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// None of the others.
    #[default]
    Ok,
    /// The caller's mistake, 4xx.
    Error,
    /// Too many requests, 429.
    Throttle,
    /// The callee's mistake, 5xx.
    Fault,
}

/// One segment or subsegment of a trace.
#[derive(Clone)]
pub struct Entity<'a> {
    /// The span it was made of; `None` when it was inferred from its caller, or put in place of a
    /// function's segment that never came.
    pub span: Option<SpanRef<'a>>,
    /// Its id; a stable one when it was made here.
    pub id: SpanId,
    /// The id of the parent as sent, zero for a root.
    pub parent_id: SpanId,
    /// The parent's place in [`TraceView::entities`], when it is held.
    pub parent: Option<usize>,
    /// The children's places, by start.
    pub children: Vec<usize>,
    /// Whether it stands alone: a segment. Else it lies within the segment [`Entity::segment`].
    pub is_segment: bool,
    /// The segment that it lies in; itself for a segment.
    pub segment: usize,
    /// Made here from the caller's subsegment, because the callee sent nothing.
    pub inferred: bool,
    /// Made here in place of a parent that several orphans name and that was not sent.
    pub synthetic: bool,
    /// Whether its end is not known yet.
    pub in_progress: bool,
    /// As sent (`DynamoDB`), not the node's name (the table).
    pub name: String,
    /// `aws`, `remote` or another word; `None` where a subsegment is local, or for a segment.
    pub namespace: Option<String>,
    /// `origin` of a segment, sent or inferred.
    pub origin: Option<String>,
    /// The node it counts for; that of its segment for subsegments.
    pub service: ServiceId,
    /// Start.
    pub start_unix_nano: i64,
    /// End; the start while in progress.
    pub end_unix_nano: i64,
    /// The flags as sent, or derived from status and HTTP code: more than one may be set.
    pub error: bool,
    /// See [`Entity::error`].
    pub fault: bool,
    /// See [`Entity::error`].
    pub throttle: bool,
    /// `http.request.method`.
    pub http_method: Option<String>,
    /// `http.request.url`.
    pub http_url: Option<String>,
    /// `http.response.status`.
    pub http_status: Option<i64>,
    /// `http.request.user_agent`.
    pub user_agent: Option<String>,
    /// `http.request.client_ip`.
    pub client_ip: Option<String>,
    /// `user`.
    pub user: Option<String>,
    /// Resources: `resource_arn`, function ARN.
    pub resource_arns: Vec<String>,
    /// `aws.ec2.instance_id`.
    pub instance_id: Option<String>,
    /// `aws.ec2.availability_zone` or that of ECS.
    pub availability_zone: Option<String>,
    /// Annotations by key. For OTLP spans every scalar attribute of the span counts as one.
    pub annotations: BTreeMap<String, Annotation>,
    /// What was thrown.
    pub exceptions: Vec<Exception>,
}

/// The value of an annotation.
#[derive(Clone, Debug, PartialEq)]
pub enum Annotation {
    /// Text.
    Text(String),
    /// A number.
    Number(f64),
    /// A truth value.
    Bool(bool),
}

impl Annotation {
    /// The annotation of an attribute's value; `None` for lists and the like.
    pub fn of(value: AttrValue<'_>) -> Option<Self> {
        match value {
            AttrValue::Str(text) => Some(Self::Text(text.to_owned())),
            AttrValue::Int(number) => Some(Self::Number(number as f64)),
            AttrValue::Double(number) => Some(Self::Number(number)),
            AttrValue::Bool(truth) => Some(Self::Bool(truth)),
            _ => None,
        }
    }
}

/// Something thrown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// Its type.
    pub name: String,
    /// Its message.
    pub message: String,
}

/// A call from one node to another, as its caller saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The segment entity of the caller.
    pub from: usize,
    /// The segment entity of the callee, inferred or real.
    pub to: usize,
    /// The entity whose times and flags are the edge's: the caller's subsegment, or the callee
    /// itself where the parent is a segment.
    pub observed: usize,
}

/// A trace as X-Ray sees it.
#[derive(Clone)]
pub struct TraceView<'a> {
    /// Which trace.
    pub trace_id: TraceId,
    /// Everything in it. Segments by start, each followed by what lies in it.
    pub entities: Vec<Entity<'a>>,
    /// The places of the segments, by start; inferred and synthetic ones among them.
    pub segments: Vec<usize>,
    /// The segment that the trace began with: the first without a parent, else the first.
    pub root: Option<usize>,
    /// Calls between segments.
    pub edges: Vec<Edge>,
}

/// Which trouble a root cause explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CauseKind {
    /// A fault.
    Fault,
    /// An error.
    Error,
    /// The time it took.
    ResponseTime,
}

/// The way from the entry of a trace to what caused its trouble.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RootCause {
    /// From the entry to the culprit.
    pub services: Vec<RootCauseService>,
    /// Whether the caller of the trace noticed.
    pub client_impacting: bool,
}

/// One service on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RootCauseService {
    /// The node.
    pub service: ServiceId,
    /// Whether only its caller told of it.
    pub inferred: bool,
    /// The segment, then the subsegments down to the next service or the cause. Never empty.
    pub entities: Vec<RootCauseEntity>,
}

/// One segment or subsegment on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RootCauseEntity {
    /// Its name.
    pub name: String,
    /// What it threw; for faults and errors.
    pub exceptions: Vec<Exception>,
    /// Its share of the root segment's response time, from 0 to 1; for response times.
    pub coverage: f64,
    /// Whether it is a call to somewhere else.
    pub remote: bool,
}

/// A service graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Nodes; edges name them by place.
    pub services: Vec<GraphService>,
}

/// A node of a service graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphService {
    /// Who it is.
    pub id: ServiceId,
    /// Whether requests enter the system here.
    pub root: bool,
    /// Whether it sent segments itself.
    pub state: State,
    /// Start of its first segment.
    pub start_unix_nano: i64,
    /// End of its last segment.
    pub end_unix_nano: i64,
    /// Calls to others.
    pub edges: Vec<GraphEdge>,
    /// `None` for client nodes, which have none.
    pub statistics: Option<Statistics>,
}

/// Where a node was heard of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// From itself.
    Active,
    /// From its callers, or it is a client.
    #[default]
    Unknown,
}

/// Calls from one node to another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GraphEdge {
    /// The callee's place in [`Graph::services`].
    pub to: usize,
    /// Start of the first call.
    pub start_unix_nano: i64,
    /// End of the last call.
    pub end_unix_nano: i64,
    /// As the caller saw it.
    pub statistics: Statistics,
    /// A link between traces: [`Statistics::response_times`] holds the age of the events instead.
    pub is_link: bool,
}

/// Requests, how they ended and how long they took. Add up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Requests by outcome.
    pub ok: u64,
    /// Errors that are no throttles.
    pub errors: u64,
    /// Throttles.
    pub throttles: u64,
    /// Faults.
    pub faults: u64,
    /// The sum of the response times, in nanoseconds.
    pub total_response_nano: i64,
    /// Response time in nanoseconds (rounded to a millisecond, or to the resolution of the map),
    /// and how many requests took so long.
    pub response_times: BTreeMap<i64, u64>,
    /// As above, work after the response included.
    pub durations: BTreeMap<i64, u64>,
}

impl Statistics {
    /// All requests.
    pub fn total(&self) -> u64 {
        self.ok + self.errors + self.throttles + self.faults
    }

    /// Counts requests that ended in one way.
    pub fn count(&mut self, outcome: Outcome, requests: u64) {
        match outcome {
            Outcome::Ok => self.ok += requests,
            Outcome::Error => self.errors += requests,
            Outcome::Throttle => self.throttles += requests,
            Outcome::Fault => self.faults += requests,
        }
    }
}

impl Entity<'_> {
    /// The one outcome that counts.
    pub fn outcome(&self) -> Outcome {
        if self.fault {
            Outcome::Fault
        } else if self.throttle {
            Outcome::Throttle
        } else if self.error {
            Outcome::Error
        } else {
            Outcome::Ok
        }
    }

    /// How long it took, in nanoseconds; 0 while in progress and when clocks put the end first.
    pub fn duration_nano(&self) -> i64 {
        self.end_unix_nano.saturating_sub(self.start_unix_nano).max(0)
    }
}
