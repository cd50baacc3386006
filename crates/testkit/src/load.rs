//! Endless realistic load from a seed: the shop of twenty services that the benchmarks measure.
//!
//! A trace is a tree of calls, about 13 spans: a server span for each call taken, client spans for
//! calls and databases, internal work, now and then a message. A span carries 12 attributes and
//! its resource 5, about 540 bytes as OTLP, which is the load the peers were measured with.

use std::borrow::Cow;
use std::sync::Arc;

use throughline_model::{SpanId, SpanKind, StatusCode, TraceId};

use crate::{Event, Resource, Rng, Span, Value};

/// The services, callers before those they call.
pub const SERVICES: [&str; 20] = [
    "gateway",
    "web",
    "mobile-api",
    "checkout",
    "cart",
    "catalog",
    "search",
    "recommend",
    "account",
    "auth",
    "payment",
    "fraud",
    "shipping",
    "inventory",
    "pricing",
    "tax",
    "email",
    "notify",
    "reviews",
    "audit",
];

/// The operations each service answers.
pub const OPERATIONS: [(&str, &str); 6] = [
    ("GET", "/api/v1/items/{id}"),
    ("GET", "/api/v1/items"),
    ("POST", "/api/v1/orders"),
    ("PUT", "/api/v1/orders/{id}"),
    ("DELETE", "/api/v1/carts/{id}"),
    ("GET", "/api/v1/users/{id}/profile"),
];

const DATABASES: [(&str, &str); 3] =
    [("postgresql", "orders"), ("redis", "sessions"), ("dynamodb", "stock")];
const FUNCTIONS: [&str; 5] = ["validate", "render", "rank", "price", "serialize"];
const ERRORS: [&str; 4] =
    ["connection refused", "deadline exceeded", "no such item", "payment declined"];

/// The names of the spans that databases and functions give, made once: a name is no allocation.
const DATABASE_NAMES: [&str; 3] = ["SELECT orders", "GET sessions", "Query stock"];

/// A seeded source of traces.
pub struct Load {
    rng: Rng,
    resources: Vec<Arc<Resource>>,
    clock_unix_nano: i64,
    step_nano: u64,
}

/// What the spans of one trace share.
struct Trace {
    id: TraceId,
    user: String,
    request: String,
    spans_left: u32,
}

impl Load {
    /// A load that starts at a time and begins a new trace every 0 to 8 milliseconds of its own
    /// clock, so that two million spans cover about ten minutes.
    pub fn new(seed: u64, start_unix_nano: i64) -> Self {
        let resources = SERVICES.into_iter().enumerate().map(service_resource).collect();
        Self {
            rng: Rng::new(seed),
            resources,
            clock_unix_nano: start_unix_nano,
            step_nano: 8_000_000,
        }
    }

    /// Appends the spans of one trace, parents first, and gives the trace's id.
    pub fn trace(&mut self, out: &mut Vec<Span>) -> TraceId {
        self.clock_unix_nano += self.rng.below(self.step_nano).cast_signed();
        let mut trace = Trace {
            id: TraceId(self.rng.trace_id()),
            user: format!("user-{}", self.rng.below(20_000)),
            request: format!("{:016x}", self.rng.next_u64()),
            spans_left: 4 + self.rng.below(24) as u32,
        };
        let duration = 2_000_000 + self.rng.below(400_000_000).cast_signed();
        self.call(out, &mut trace, SpanId::default(), 0, (self.clock_unix_nano, duration));
        trace.id
    }

    /// Writes the server span of a call, then what the service does to answer it.
    fn call(
        &mut self,
        out: &mut Vec<Span>,
        trace: &mut Trace,
        parent: SpanId,
        service: usize,
        (start, duration): (i64, i64),
    ) {
        let (method, route) = *self.rng.pick(&OPERATIONS);
        let own = self.push(out, trace, parent, service, SpanKind::Server, (start, duration));
        self.describe_server(&mut out[own], trace, service, method, route);
        let id = out[own].span_id;
        // Work runs one after the other inside the server span.
        let mut at = start + duration / 20;
        let end = start + duration;
        while trace.spans_left > 0 && at < end - 10_000 {
            let share = (end - at) / 2;
            let length = share / 4 + self.rng.below(share.cast_unsigned().max(4)).cast_signed() / 2;
            let callee = service + 1 + self.rng.below(5) as usize;
            match self.rng.below(10) {
                0..=4 if callee < SERVICES.len() && trace.spans_left > 1 => {
                    let client = self.push(out, trace, id, service, SpanKind::Client, (at, length));
                    self.describe_client(&mut out[client], callee);
                    let client = out[client].span_id;
                    let inside = (at + length / 10, length * 8 / 10);
                    self.call(out, trace, client, callee, inside);
                }
                5..=7 => {
                    let row = self.push(out, trace, id, service, SpanKind::Client, (at, length));
                    self.describe_database(&mut out[row], trace);
                }
                8 => {
                    let row = self.push(out, trace, id, service, SpanKind::Producer, (at, length));
                    self.describe_producer(&mut out[row], trace);
                }
                _ => {
                    let row = self.push(out, trace, id, service, SpanKind::Internal, (at, length));
                    self.describe_internal(&mut out[row], trace);
                }
            }
            at += length + 1_000;
            if self.rng.below(6) == 0 {
                break;
            }
        }
    }

    /// Adds a bare span and gives its place in `out`.
    fn push(
        &mut self,
        out: &mut Vec<Span>,
        trace: &mut Trace,
        parent_id: SpanId,
        service: usize,
        kind: SpanKind,
        (start_unix_nano, duration_nano): (i64, i64),
    ) -> usize {
        trace.spans_left = trace.spans_left.saturating_sub(1);
        out.push(Span {
            trace_id: trace.id,
            span_id: SpanId(self.rng.span_id()),
            parent_id,
            resource: Arc::clone(&self.resources[service]),
            name: Cow::Borrowed(""),
            kind,
            start_unix_nano,
            duration_nano,
            status: StatusCode::Unset,
            status_message: Cow::Borrowed(""),
            attributes: Vec::with_capacity(12),
            events: Vec::new(),
            links: Vec::new(),
        });
        out.len() - 1
    }

    fn describe_server(
        &mut self,
        span: &mut Span,
        trace: &Trace,
        service: usize,
        method: &'static str,
        route: &'static str,
    ) {
        let failed = self.rng.below(64) == 0;
        let number = self.rng.below(50_000).to_string();
        span.name = route.into();
        span.attributes.extend([
            attr("http.request.method", method),
            attr("http.route", route),
            attr("url.path", route.replace("{id}", &number)),
            attr("url.scheme", "https"),
            attr("server.address", SERVICES[service]),
            attr("server.port", 8443_i64),
            attr("http.response.status_code", if failed { 500_i64 } else { 200 }),
            attr("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"),
            attr("client.address", format!("10.2.{}.7", self.rng.below(250))),
            attr("network.protocol.version", "1.1"),
            attr("user.id", trace.user.clone()),
            attr("request.id", trace.request.clone()),
        ]);
        if failed {
            let message = *self.rng.pick(&ERRORS);
            span.status = StatusCode::Error;
            span.status_message = message.into();
            span.events.push(Event {
                time_unix_nano: span.start_unix_nano + span.duration_nano / 2,
                name: "exception".into(),
                attributes: vec![
                    attr("exception.type", "shop.Error"),
                    attr("exception.message", message),
                ],
            });
        }
    }

    fn describe_client(&mut self, span: &mut Span, callee: usize) {
        let (method, route) = *self.rng.pick(&OPERATIONS);
        let number = self.rng.below(50_000).to_string();
        let path = route.replace("{id}", &number);
        span.name = method.into();
        span.attributes.extend([
            attr("http.request.method", method),
            attr("url.full", format!("https://{}.shop.internal:8443{path}", SERVICES[callee])),
            attr("server.address", format!("{}.shop.internal", SERVICES[callee])),
            attr("server.port", 8443_i64),
            attr("http.response.status_code", 200_i64),
            attr("network.peer.address", format!("10.1.{callee}.{}", self.rng.below(8))),
            attr("network.peer.port", 8443_i64),
            attr("network.protocol.version", "1.1"),
            attr("network.transport", "tcp"),
            attr("peer.service", SERVICES[callee]),
            attr("thread.id", self.rng.below(64).cast_signed()),
            attr("thread.name", "worker-pool"),
        ]);
    }

    fn describe_database(&mut self, span: &mut Span, trace: &Trace) {
        let which = self.rng.below(3) as usize;
        let (system, namespace) = DATABASES[which];
        span.name = DATABASE_NAMES[which].into();
        span.attributes.extend([
            attr("db.system.name", system),
            attr("db.namespace", namespace),
            attr("db.operation.name", "SELECT"),
            attr("db.collection.name", namespace),
            attr("db.query.text", "SELECT id, state, total FROM orders WHERE id = ? LIMIT 50"),
            attr("server.address", format!("{system}.shop.internal")),
            attr("server.port", 5432_i64),
            attr("network.peer.address", format!("10.3.{which}.2")),
            attr("thread.id", self.rng.below(64).cast_signed()),
            attr("thread.name", "worker-pool"),
            attr("db.response.returned_rows", self.rng.below(50).cast_signed()),
            attr("user.id", trace.user.clone()),
        ]);
    }

    fn describe_producer(&mut self, span: &mut Span, trace: &Trace) {
        span.name = "send order-events".into();
        span.attributes.extend([
            attr("messaging.system", "kafka"),
            attr("messaging.destination.name", "order-events"),
            attr("messaging.operation.type", "send"),
            attr("messaging.operation.name", "send"),
            attr("messaging.message.id", format!("{:016x}", self.rng.next_u64())),
            attr("messaging.message.body.size", self.rng.below(4_000).cast_signed()),
            attr("messaging.destination.partition.id", self.rng.below(12).to_string()),
            attr("messaging.client.id", "producer-1"),
            attr("server.address", "kafka.shop.internal"),
            attr("server.port", 9092_i64),
            attr("thread.id", self.rng.below(64).cast_signed()),
            attr("user.id", trace.user.clone()),
        ]);
    }

    fn describe_internal(&mut self, span: &mut Span, trace: &Trace) {
        let function = *self.rng.pick(&FUNCTIONS);
        span.name = function.into();
        span.attributes.extend([
            attr("code.function.name", function),
            attr("code.file.path", "src/domain/orders/service.rs"),
            attr("code.line.number", self.rng.below(400).cast_signed()),
            attr("thread.id", self.rng.below(64).cast_signed()),
            attr("thread.name", "worker-pool"),
            attr("app.feature", "dynamic-pricing"),
            attr("app.tenant", format!("tenant-{}", self.rng.below(40))),
            attr("app.cache.hit", self.rng.below(3) > 0),
            attr("app.items", self.rng.below(30).cast_signed()),
            attr("app.amount", self.rng.below(100_000) as f64 / 100.0),
            attr("user.id", trace.user.clone()),
            attr("request.id", trace.request.clone()),
        ]);
    }
}

fn attr(key: &'static str, value: impl Into<Value>) -> (Cow<'static, str>, Value) {
    (Cow::Borrowed(key), value.into())
}

fn service_resource((number, name): (usize, &'static str)) -> Arc<Resource> {
    Arc::new(Resource {
        attributes: vec![
            attr("service.name", name),
            attr("service.version", format!("1.{number}.0")),
            attr("service.instance.id", format!("{name}-7c9d8f-{number}")),
            attr("deployment.environment.name", "production"),
            attr("telemetry.sdk.language", "rust"),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp_request;

    #[test]
    fn the_load_has_the_shape_that_the_peers_were_measured_with() {
        let mut load = Load::new(1, 0);
        let mut spans = Vec::new();
        for _ in 0..2_000 {
            load.trace(&mut spans);
        }
        let per_trace = spans.len() / 2_000;
        assert!((8..=18).contains(&per_trace), "{per_trace} spans a trace");
        assert!(spans.iter().all(|span| span.attributes.len() == 12));
        let bytes = otlp_request(&spans).len() / spans.len();
        assert!((420..=620).contains(&bytes), "{bytes} bytes a span");
        let failed = spans.iter().filter(|span| span.status == StatusCode::Error).count();
        assert!(failed > 0 && failed < spans.len() / 50, "{failed} failed");
    }

    #[test]
    fn every_parent_comes_before_its_children() {
        let mut load = Load::new(2, 0);
        let mut spans = Vec::new();
        load.trace(&mut spans);
        for (row, span) in spans.iter().enumerate().skip(1) {
            assert!(spans[..row].iter().any(|parent| parent.span_id == span.parent_id));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_load() {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        Load::new(3, 5).trace(&mut a);
        Load::new(3, 5).trace(&mut b);
        assert_eq!(otlp_request(&a), otlp_request(&b));
    }
}
