//! One trace as large as wanted.

use std::collections::VecDeque;

use throughline_model::{SpanId, SpanKind, TraceId};

use crate::made::{Attributes, MS, Made};
use crate::{Rng, Wanted};

const TOTAL: f64 = 4_820_000_000.0;
/// In how many pieces most of its spans hang.
const PARTS: usize = 14;
/// How deep they are nested.
const DEPTH_MAX: u32 = 14;

/// What a service does, and whom it calls in turn.
struct Step {
    service: &'static str,
    names: &'static [&'static str],
    calls: &'static [usize],
}

/// `calls` are places in this list. The first four are where a piece begins.
const STEPS: [Step; 8] = [
    Step {
        service: "catalog",
        names: &["Catalog.batchGet", "cache.get", "SELECT items"],
        calls: &[5, 6],
    },
    Step { service: "recommend", names: &["Recommend.rank", "cache.get"], calls: &[0] },
    Step {
        service: "inventory",
        names: &["Inventory.reserve", "Inventory.release", "SELECT stock"],
        calls: &[4],
    },
    Step { service: "fraud", names: &["Fraud.score", "features.get"], calls: &[7] },
    Step { service: "warehouse", names: &["Warehouse.plan", "optimise"], calls: &[] },
    Step { service: "pricing", names: &["Pricing.quote", "SELECT prices"], calls: &[] },
    Step { service: "media", names: &["Media.resize", "GET object"], calls: &[] },
    Step { service: "payments", names: &["load payment method", "SELECT methods"], calls: &[] },
];

pub(crate) fn make(wanted: &Wanted) -> (Vec<Made>, Vec<TraceId>) {
    let mut rng = Rng::new(wanted.seed ^ wanted.count as u64);
    let trace = TraceId(rng.trace_id());
    let start = wanted.until_unix_nano - 90_000 * MS;
    let mut large = Large { rng, trace, start, spans: Vec::new() };
    large.fill(wanted.count);
    // Of a trace smaller than its frame, what there is room for.
    large.spans.truncate(wanted.count);
    (large.spans, vec![trace])
}

struct Large {
    rng: Rng,
    trace: TraceId,
    start: i64,
    spans: Vec<Made>,
}

impl Large {
    fn fill(&mut self, count: usize) {
        use SpanKind::{Client, Producer, Server};
        let declined = Some("payment declined");
        let root =
            self.put("api-gateway", "POST /checkout", Server, SpanId::ZERO, (0.0, 1.0), declined);
        self.more(vec![("http.response.status_code", 500.into())]);
        let bff = self.put("bff-web", "POST /checkout", Server, root, (0.01, 0.985), declined);
        let place = self.put("checkout", "Checkout.place", Server, bff, (0.48, 0.9), declined);
        let charge = self.put("payments", "Payments.charge", Server, place, (0.62, 0.88), declined);
        for attempt in 0..3_i64 {
            let from = 0.65 + attempt as f64 * 0.075;
            let failed = Some("503 Service Unavailable");
            let between = (from, from + 0.06);
            self.put("payments", "POST /v1/charges", Client, charge, between, failed);
            self.more(vec![
                ("http.request.method", "POST".into()),
                ("url.full", "https://api.stripe.example/v1/charges".into()),
                ("http.response.status_code", 503.into()),
                ("http.request.resend_count", attempt.into()),
                ("server.address", "api.stripe.example".into()),
            ]);
            if let Some(span) = self.spans.last_mut() {
                span.exception_at = Some(span.end - MS);
            }
        }
        self.put("auth", "POST /token", Client, bff, (0.012, 0.03), None);
        self.put("notify", "Notify.enqueue", Producer, bff, (0.91, 0.915), None);
        self.more(vec![
            ("messaging.system", "kafka".into()),
            ("messaging.destination.name", "payment-events".into()),
        ]);
        for part in 0..PARTS {
            let step = self.rng.below(4) as usize;
            let left = count.saturating_sub(self.spans.len());
            let usual = count as f64 / PARTS as f64 * (0.4 + self.rng.share());
            let room = if part == PARTS - 1 { left } else { left.min(usual as usize) };
            if room == 0 {
                continue;
            }
            // The first ten under the page's own service, the others while the order is placed.
            let (parent, from) = match part {
                0..10 => (bff, 0.035 + part as f64 * 0.044),
                _ => (place, 0.485 + (part - 10) as f64 * 0.033),
            };
            self.grow(parent, step, from, room);
        }
    }

    /// A subtree of exactly `room` spans.
    fn grow(&mut self, parent: SpanId, step: usize, from: f64, room: usize) {
        let length = 0.03;
        let Step { service, names, .. } = &STEPS[step];
        let top =
            self.put(service, names[0], SpanKind::Server, parent, (from, from + length), None);
        let mut open = VecDeque::from([(top, step, from, length, 0)]);
        let mut left = room - 1;
        while left > 0 {
            let at = self.rng.below(open.len().min(24) as u64) as usize;
            let (parent, step, from, length, depth) = open[at];
            let many = left.min(1 + self.rng.below(6) as usize);
            let share = length * 0.94 / many as f64;
            let mut clock = from + length * 0.02;
            for _ in 0..many {
                let took = share * (0.3 + self.rng.share() * 0.6);
                let calls = STEPS[step].calls;
                let leaves = !calls.is_empty() && self.rng.share() < 0.12;
                let to = if leaves { *self.rng.pick(calls) } else { step };
                let Step { service, names, .. } = &STEPS[to];
                let name = *self.rng.pick(names);
                let is_call = self.rng.share() < 0.3;
                let kind = if is_call { SpanKind::Client } else { SpanKind::Internal };
                let id = self.put(service, name, kind, parent, (clock, clock + took), None);
                if depth < DEPTH_MAX {
                    open.push_back((id, to, clock, took, depth + 1));
                }
                clock += share;
            }
            left -= many;
            if open.len() > 200 {
                open.drain(..20);
            }
        }
    }

    /// Writes a span between two shares of the whole, and gives its id.
    fn put(
        &mut self,
        service: &'static str,
        name: &'static str,
        kind: SpanKind,
        parent_id: SpanId,
        (from, to): (f64, f64),
        failed: Option<&'static str>,
    ) -> SpanId {
        let span_id = SpanId(self.rng.span_id());
        self.spans.push(Made {
            service,
            name: name.into(),
            kind,
            trace_id: self.trace,
            span_id,
            parent_id,
            start: self.start + (from * TOTAL) as i64,
            end: self.start + (to * TOTAL) as i64,
            attributes: vec![("tenant.id", "acme-eu".into())],
            failed,
            exception_at: None,
        });
        span_id
    }

    /// Attributes of the span that was written last.
    fn more(&mut self, attributes: Attributes) {
        if let Some(span) = self.spans.last_mut() {
            span.attributes.extend(attributes);
        }
    }
}
