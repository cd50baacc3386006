//! A shop: who calls whom, what they use and what they send, and the requests that run through it.

use throughline_model::{SpanId, SpanKind, TraceId};

use crate::made::{Attributes, MS, Made};
use crate::system::begin;
use crate::{Rng, Wanted};

/// How deep calls go.
const DEPTH_MAX: u32 = 12;
/// One request in how many is slow, and in one in how many the outside API fails.
const SLOW: f64 = 0.03;
const BROKEN: f64 = 0.09;
const FAILING_API: &str = "api.stripe.example";

struct Service {
    name: &'static str,
    /// How many of the requests begin here, beside the others; of most none do.
    entry: f64,
    /// Service, operation, in which share of requests.
    calls: &'static [(&'static str, &'static str, f64)],
    /// Kind, name, the usual milliseconds.
    uses: &'static [(&'static str, &'static str, f64)],
    sends: &'static [Sends],
}

/// A broker and who takes from it.
struct Sends {
    broker: Broker,
    name: &'static str,
    to: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Broker {
    Topic,
    Queue,
    /// Its records carry no context: who takes one begins a trace of its own.
    Stream,
    /// A queue that is emptied now and then, by one who does not read the context of its messages.
    SlowQueue,
}

impl Broker {
    fn system(self) -> &'static str {
        match self {
            Self::Topic => "kafka",
            Self::Queue => "rabbitmq",
            Self::Stream => "aws_kinesis",
            Self::SlowQueue => "aws_sqs",
        }
    }

    fn loses_context(self) -> bool {
        matches!(self, Self::Stream | Self::SlowQueue)
    }

    fn usual_wait_ms(self) -> f64 {
        match self {
            Self::Queue => 400.0,
            Self::Topic | Self::Stream => 60.0,
            Self::SlowQueue => 2_500.0,
        }
    }
}

const fn service(name: &'static str) -> Service {
    Service { name, entry: 0.0, calls: &[], uses: &[], sends: &[] }
}

const fn topic(name: &'static str, to: &'static [&'static str]) -> Sends {
    Sends { broker: Broker::Topic, name, to }
}

const fn queue(name: &'static str, to: &'static [&'static str]) -> Sends {
    Sends { broker: Broker::Queue, name, to }
}

const fn slow_queue(name: &'static str, to: &'static [&'static str]) -> Sends {
    Sends { broker: Broker::SlowQueue, name, to }
}

const fn stream(name: &'static str, to: &'static [&'static str]) -> Sends {
    Sends { broker: Broker::Stream, name, to }
}

const SHOP: &[Service] = &[
    Service { entry: 1.0, calls: &[("api-gateway", "GET /m", 0.95)], ..service("mobile-app") },
    Service {
        entry: 2.0,
        calls: &[("api-gateway", "GET /", 0.95), ("signup-web", "GET /signup", 0.08)],
        ..service("web-storefront")
    },
    Service {
        entry: 0.4,
        calls: &[("api-gateway", "GET /partner", 1.0)],
        ..service("partner-portal")
    },
    Service { calls: &[("signup-fn", "POST /signup", 0.9)], ..service("signup-web") },
    Service {
        uses: &[("dynamodb", "signup-table", 12.0)],
        sends: &[topic("signup-topic", &["consumer-fn", "crm-sync"])],
        ..service("signup-fn")
    },
    Service { entry: 0.3, sends: &[stream("lab-stream", &["etl"])], ..service("producer-fn") },
    Service {
        calls: &[
            ("bff-mobile", "GET /mobile/home", 0.4),
            ("bff-web", "GET /home", 0.55),
            ("auth", "POST /token", 0.5),
            ("rate-limiter", "POST /check", 0.4),
        ],
        ..service("api-gateway")
    },
    Service { uses: &[("redis", "limits-redis", 1.0)], ..service("rate-limiter") },
    Service {
        calls: &[
            ("checkout", "POST /checkout", 0.4),
            ("search", "GET /search", 0.3),
            ("recommend", "GET /recommend", 0.3),
            ("profile", "GET /me", 0.4),
        ],
        ..service("bff-mobile")
    },
    Service {
        calls: &[
            ("checkout", "POST /checkout", 0.45),
            ("search", "GET /search", 0.4),
            ("recommend", "GET /recommend", 0.4),
            ("catalog", "GET /items", 0.6),
            ("cms", "GET /page", 0.3),
        ],
        ..service("bff-web")
    },
    Service {
        uses: &[("redis", "session-cache", 1.2), ("postgresql", "users-db", 6.0)],
        ..service("auth")
    },
    Service { uses: &[("mongodb", "profiles", 8.0)], ..service("profile") },
    Service { uses: &[("external", "api.contentful.example", 60.0)], ..service("cms") },
    Service { uses: &[("elasticsearch", "search-index", 22.0)], ..service("search") },
    Service {
        calls: &[("catalog", "GET /items", 0.5), ("features", "GET /features", 0.7)],
        ..service("recommend")
    },
    Service { uses: &[("redis", "feature-store", 2.0)], ..service("features") },
    Service {
        calls: &[
            ("payments", "POST /charge", 0.9),
            ("orders", "POST /orders", 0.9),
            ("cart", "GET /cart", 0.9),
            ("tax", "POST /tax", 0.5),
        ],
        ..service("checkout")
    },
    Service { uses: &[("external", "tax.avalara.example", 45.0)], ..service("tax") },
    Service {
        calls: &[("ledger", "POST /entries", 0.9), ("fraud", "POST /score", 0.8)],
        uses: &[("postgresql", "payments-db", 9.0), ("external", "api.stripe.example", 160.0)],
        sends: &[topic("payment-events", &["invoice", "analytics"])],
        ..service("payments")
    },
    Service { uses: &[("postgresql", "ledger-db", 7.0)], ..service("ledger") },
    Service {
        calls: &[("ml-scoring", "POST /predict", 0.5)],
        uses: &[("redis", "fraud-features", 3.0)],
        ..service("fraud")
    },
    service("ml-scoring"),
    Service {
        uses: &[("postgresql", "orders-db", 11.0)],
        sends: &[topic("order-events", &["warehouse", "notify", "analytics", "loyalty"])],
        ..service("orders")
    },
    Service {
        calls: &[("catalog", "GET /items", 0.3), ("pricing", "POST /quote", 0.5)],
        uses: &[("redis", "cart-redis", 2.0)],
        ..service("cart")
    },
    Service {
        calls: &[
            ("media", "GET /media", 0.4),
            ("pricing", "POST /quote", 0.4),
            ("reviews", "GET /reviews", 0.3),
        ],
        uses: &[("mysql", "catalog-db", 10.0)],
        ..service("catalog")
    },
    Service { uses: &[("external", "media.s3.example", 30.0)], ..service("media") },
    Service {
        calls: &[("promo", "GET /promo", 0.4), ("currency", "GET /rates", 0.3)],
        uses: &[("postgresql", "pricing-db", 5.0)],
        ..service("pricing")
    },
    service("promo"),
    Service { uses: &[("redis", "rates-cache", 1.0)], ..service("currency") },
    Service { uses: &[("cassandra", "reviews-db", 9.0)], ..service("reviews") },
    Service {
        calls: &[("inventory", "POST /reserve", 0.9)],
        sends: &[queue("pick-queue", &["picker"])],
        ..service("warehouse")
    },
    Service { uses: &[("postgresql", "inventory-db", 14.0)], ..service("inventory") },
    Service {
        calls: &[("shipping", "POST /ship", 0.8), ("inventory", "POST /release", 0.2)],
        ..service("picker")
    },
    Service {
        uses: &[("external", "api.carrier.example", 70.0)],
        sends: &[topic("ship-events", &["tracking", "notify"])],
        ..service("shipping")
    },
    Service { uses: &[("mongodb", "tracking-db", 6.0)], ..service("tracking") },
    Service {
        sends: &[queue("email-queue", &["email-sender"]), queue("push-queue", &["push-sender"])],
        ..service("notify")
    },
    Service { uses: &[("external", "email.ses.example", 40.0)], ..service("email-sender") },
    Service { uses: &[("external", "push.fcm.example", 35.0)], ..service("push-sender") },
    Service { uses: &[("external", "invoices.s3.example", 33.0)], ..service("invoice") },
    Service { uses: &[("clickhouse", "events-dw", 18.0)], ..service("analytics") },
    Service { uses: &[("postgresql", "loyalty-db", 8.0)], ..service("loyalty") },
    Service { uses: &[("dynamodb", "welcome-table", 9.0)], ..service("consumer-fn") },
    Service { uses: &[("external", "api.crm.example", 90.0)], ..service("crm-sync") },
    Service {
        uses: &[("snowflake", "warehouse-dw", 140.0)],
        sends: &[slow_queue("load-queue", &["loader"])],
        ..service("etl")
    },
    Service {
        uses: &[("postgresql", "reports-db", 240.0)],
        calls: &[("reporting", "POST /refresh", 0.5)],
        ..service("loader")
    },
    Service { entry: 0.3, uses: &[("redis", "bids", 1.0)], ..service("ad-bidder") },
    Service { entry: 0.15, calls: &[("pricing", "POST /quote", 1.0)], ..service("price-crawler") },
    Service {
        entry: 0.2,
        calls: &[("orders", "POST /orders", 0.4), ("reporting", "GET /report", 0.6)],
        ..service("backoffice")
    },
    Service { uses: &[("clickhouse", "events-dw", 60.0)], ..service("reporting") },
];

pub(crate) fn make(wanted: &Wanted) -> (Vec<Made>, Vec<TraceId>) {
    let mut rng = Rng::new(wanted.seed);
    let whole: f64 = SHOP.iter().map(|service| service.entry).sum();
    let (mut spans, mut traces) = (Vec::new(), Vec::new());
    for number in 0..wanted.count {
        let mut pick = rng.share() * whole;
        let entry = SHOP.iter().find(|service| {
            pick -= service.entry;
            service.entry > 0.0 && pick <= 0.0
        });
        let start = begin(wanted, number, &mut rng);
        let request = Request::new(&mut rng, &mut spans, &mut traces);
        request.run(entry.unwrap_or(&SHOP[0]), start);
    }
    (spans, traces)
}

/// One request, and what messages of it set off.
struct Request<'a> {
    trace: TraceId,
    tenant: &'static str,
    is_slow: bool,
    is_broken: bool,
    rng: &'a mut Rng,
    spans: &'a mut Vec<Made>,
    traces: &'a mut Vec<TraceId>,
}

/// How the work of a service ended.
struct Done {
    end: i64,
    failed: Option<&'static str>,
}

/// What made a service work.
#[derive(Clone, Copy)]
enum Cause<'a> {
    /// A call: method and path.
    Call(&'a str),
    /// A message, by its id where it has lost its context.
    Message(&'static Sends, Option<&'a str>),
}

impl<'a> Request<'a> {
    fn new(rng: &'a mut Rng, spans: &'a mut Vec<Made>, traces: &'a mut Vec<TraceId>) -> Self {
        let trace = TraceId(rng.trace_id());
        traces.push(trace);
        let tenant = *rng.pick(&["acme-eu", "acme-us", "globex", "initech"]);
        let (is_slow, is_broken) = (rng.share() < SLOW, rng.share() < BROKEN);
        Self { trace, tenant, is_slow, is_broken, rng, spans, traces }
    }

    fn run(mut self, entry: &'static Service, start: i64) {
        let name = match entry.name {
            "mobile-app" => "tap home",
            "web-storefront" => "page view",
            _ => "run",
        };
        let version = if self.rng.share() < 0.5 { "4.2.0" } else { "4.2.1" };
        let attributes = vec![("app.version", version.into())];
        let root = self.put(entry, name.to_owned(), SpanKind::Internal, None, start, attributes);
        let cause = format!("GET /{}", entry.name);
        let done = self.work(entry, Some(root), Cause::Call(&cause), start + 1_000, 1);
        self.spans[root].end = done.end + 1_000;
        self.spans[root].failed = done.failed;
    }

    /// The work of one service for one request.
    fn work(
        &mut self,
        service: &'static Service,
        parent: Option<usize>,
        cause: Cause<'_>,
        start: i64,
        depth: u32,
    ) -> Done {
        let own = self.begin_work(service, parent, cause, start);
        let mut clock = start + self.ns(0.6);
        let mut failed = None;
        for &(kind, peer, usual) in service.uses {
            let in_trouble = peer == FAILING_API && self.is_broken;
            for _ in 0..if in_trouble { 3 } else { 1 } {
                clock = self.use_peer(service, own, (kind, peer, usual), clock, in_trouble);
            }
            if in_trouble {
                failed = Some("payment declined: upstream returned 503 after 3 attempts");
            }
        }
        let mut latest = clock;
        for &(to, operation, share) in service.calls {
            if failed.is_some() || depth > DEPTH_MAX || self.rng.share() > share {
                continue;
            }
            let done = self.call(service, own, (to, operation), clock, depth);
            if to != "recommend" {
                failed = done.failed;
            }
            // Some calls are made beside the next one.
            if self.rng.share() >= 0.3 {
                clock = done.end + self.ns(0.3);
            }
            latest = latest.max(clock).max(done.end);
        }
        let unlucky = if service.name == "tracking" { 0.028 } else { 0.002 };
        if failed.is_none() && self.rng.share() < unlucky {
            failed = Some("deadline exceeded");
            self.spans[own].exception_at = Some(latest);
        }
        let end = latest + self.ns(0.5);
        self.spans[own].end = end;
        self.spans[own].failed = failed;
        if matches!(cause, Cause::Call(_)) {
            let status = if failed.is_some() { 500 } else { 200 };
            self.spans[own].attributes.push(("http.response.status_code", status.into()));
        }
        if failed.is_none() {
            for sends in service.sends {
                self.send(service, own, sends, end, depth);
            }
        }
        Done { end, failed }
    }

    /// Writes the span that a service's work is, which knows its end later.
    fn begin_work(
        &mut self,
        service: &'static Service,
        parent: Option<usize>,
        cause: Cause<'_>,
        start: i64,
    ) -> usize {
        match cause {
            Cause::Message(Sends { broker, name, .. }, id) => {
                let mut attributes: Attributes = vec![
                    ("messaging.operation.type", "process".into()),
                    ("messaging.destination.name", (*name).into()),
                    ("messaging.system", broker.system().into()),
                ];
                attributes.extend(id.map(|id| ("messaging.message.id", id.to_owned().into())));
                let name = format!("process {name}");
                self.put(service, name, SpanKind::Consumer, parent, start, attributes)
            }
            Cause::Call(operation) => {
                let (method, path) = operation.split_once(' ').unwrap_or(("POST", operation));
                let user = format!("user-{}", self.rng.below(900));
                let attributes = vec![
                    ("http.request.method", method.to_owned().into()),
                    ("http.route", path.to_owned().into()),
                    ("url.path", path.to_owned().into()),
                    ("user.id", user.into()),
                ];
                let name = operation.to_owned();
                self.put(service, name, SpanKind::Server, parent, start, attributes)
            }
        }
    }

    /// Asks a store or an outside API, and gives when it is done.
    fn use_peer(
        &mut self,
        service: &'static Service,
        own: usize,
        (kind, peer, usual_ms): (&'static str, &'static str, f64),
        start: i64,
        in_trouble: bool,
    ) -> i64 {
        let end = start + self.ns(usual_ms * if in_trouble { 2.6 } else { 1.0 });
        let (name, attributes): (String, Attributes) = match kind {
            "external" => (
                "POST".to_owned(),
                vec![
                    ("http.request.method", "POST".into()),
                    ("server.address", peer.into()),
                    ("url.full", format!("https://{peer}/v1/charges").into()),
                    ("http.response.status_code", if in_trouble { 503 } else { 200 }.into()),
                ],
            ),
            _ => {
                let (verb, text) = match kind {
                    "redis" => ("GET", "GET key:?"),
                    _ if self.rng.share() < 0.8 => ("SELECT", "SELECT * FROM items WHERE id = ?"),
                    _ => ("INSERT", "INSERT INTO items WHERE id = ?"),
                };
                let attributes = vec![
                    ("db.system.name", kind.into()),
                    ("db.namespace", peer.into()),
                    ("db.query.text", text.into()),
                    ("server.address", format!("{peer}.internal").into()),
                ];
                (format!("{verb} {peer}"), attributes)
            }
        };
        let span = self.put(service, name, SpanKind::Client, Some(own), start, attributes);
        self.spans[span].end = end;
        if in_trouble {
            self.spans[span].failed = Some("503 Service Unavailable");
            self.spans[span].exception_at = Some(end - 2 * MS);
        }
        end + self.ns(0.4)
    }

    /// Calls another service, both sides of it.
    fn call(
        &mut self,
        service: &'static Service,
        own: usize,
        (to, operation): (&'static str, &'static str),
        start: i64,
        depth: u32,
    ) -> Done {
        let method = operation.split(' ').next().unwrap_or_default();
        let attributes: Attributes =
            vec![("http.request.method", method.into()), ("server.address", to.into())];
        let name = operation.to_owned();
        let client = self.put(service, name, SpanKind::Client, Some(own), start, attributes);
        let begun = start + self.ns(0.5);
        let done = self.work(named(to), Some(client), Cause::Call(operation), begun, depth + 1);
        let end = done.end + self.ns(0.4);
        let status = if done.failed.is_some() { 502 } else { 200 };
        let span = &mut self.spans[client];
        span.end = end;
        span.attributes.push(("http.response.status_code", status.into()));
        span.failed = done.failed.map(|_| "502 Bad Gateway");
        Done { end, failed: done.failed }
    }

    /// Sends a message, and has everyone who takes it work.
    fn send(
        &mut self,
        service: &'static Service,
        own: usize,
        sends: &'static Sends,
        end: i64,
        depth: u32,
    ) {
        let Sends { broker, name, to } = sends;
        // Its number or id, which is all that joins the two sides of what has lost its context.
        let id = broker
            .loses_context()
            .then(|| format!("4966{:020}{:020}", self.rng.next_u64(), self.rng.next_u64()));
        let mut attributes: Attributes = vec![
            ("messaging.system", broker.system().into()),
            ("messaging.destination.name", (*name).into()),
            ("messaging.operation.type", "send".into()),
        ];
        attributes.extend(id.clone().map(|id| ("messaging.message.id", id.into())));
        let start = end - self.ns(0.3);
        let span = format!("send {name}");
        let sent = self.put(service, span, SpanKind::Producer, Some(own), start, attributes);
        self.spans[sent].end = end;
        for consumer in *to {
            let begun = end + self.ns(broker.usual_wait_ms());
            let own_trace = self.trace;
            let parent = match id {
                None => Some(sent),
                Some(_) => {
                    self.trace = TraceId(self.rng.trace_id());
                    self.traces.push(self.trace);
                    None
                }
            };
            let cause = Cause::Message(sends, id.as_deref());
            self.work(named(consumer), parent, cause, begun, depth + 1);
            self.trace = own_trace;
        }
    }

    /// Writes a span of no length and gives its place.
    fn put(
        &mut self,
        service: &Service,
        name: String,
        kind: SpanKind,
        parent: Option<usize>,
        start: i64,
        attributes: Attributes,
    ) -> usize {
        let mut all: Attributes = vec![("tenant.id", self.tenant.into())];
        all.extend(attributes);
        let parent_id = parent.map_or(SpanId::ZERO, |place| self.spans[place].span_id);
        self.spans.push(Made {
            service: service.name,
            name: name.into(),
            kind,
            trace_id: self.trace,
            span_id: SpanId(self.rng.span_id()),
            parent_id,
            start,
            end: start,
            attributes: all,
            failed: None,
            exception_at: None,
        });
        self.spans.len() - 1
    }

    /// About so many milliseconds, as nanoseconds: half of it to three times as much, and four times
    /// that in a slow request.
    fn ns(&mut self, usual_ms: f64) -> i64 {
        let spread = 0.5 + self.rng.share() * self.rng.share() * 3.0;
        let slow = if self.is_slow { 4.0 } else { 1.0 };
        (usual_ms * spread * slow * MS as f64) as i64
    }
}

fn named(name: &str) -> &'static Service {
    SHOP.iter().find(|service| service.name == name).expect("whoever is called is of the shop")
}
