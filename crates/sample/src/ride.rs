//! Requests for a ride, as the demonstration that many tracers come with has them: a page asks who the
//! customer is, who is near, and the ways of ten drivers, three at a time.

use throughline_model::{SpanId, SpanKind, TraceId};

use crate::made::{Attributes, MS, Made};
use crate::system::begin;
use crate::{Rng, Wanted};

const CUSTOMERS: [&str; 4] =
    ["Rachel's Floral Designs", "Trom Chocolatier", "Japanese Desserts", "Amazing Coffee Roasters"];
const DRIVERS: usize = 10;
const LANES: usize = 3;

pub(crate) fn make(wanted: &Wanted) -> (Vec<Made>, Vec<TraceId>) {
    let mut rng = Rng::new(wanted.seed);
    let mut spans = Vec::new();
    let traces = (0..wanted.count).map(|number| {
        let start = begin(wanted, number, &mut rng);
        let trace = TraceId(rng.trace_id());
        Ride { rng: &mut rng, spans: &mut spans, trace }.make(start);
        trace
    });
    let traces = traces.collect();
    (spans, traces)
}

struct Ride<'a> {
    rng: &'a mut Rng,
    spans: &'a mut Vec<Made>,
    trace: TraceId,
}

impl Ride<'_> {
    fn make(&mut self, start: i64) {
        let customer = *self.rng.pick(&CUSTOMERS);
        let attributes =
            vec![("http.route", "/dispatch".into()), ("ride.customer", customer.into())];
        let server = SpanKind::Server;
        let root =
            self.put("frontend", "GET /dispatch", server, SpanId::ZERO, (start, start), attributes);
        let parent = self.spans[root].span_id;
        let asked = |ride: &mut Self, server, at| ride.customer(server, at);
        let clock = self.call("customer", "GET /customer", parent, start + MS, asked);
        let near = "driver.DriverService/FindNearest";
        let clock =
            self.call("driver", near, parent, clock, |ride, server, at| ride.near(server, at));
        let mut lanes = [clock; LANES];
        for _ in 0..DRIVERS {
            let Some(lane) = lanes.iter_mut().min() else { break };
            let routed = |ride: &mut Self, _, at| at + ride.about(50);
            *lane = self.call("route", "GET /route", parent, *lane, routed);
        }
        self.spans[root].end = lanes.into_iter().max().unwrap_or(clock) + MS;
    }

    fn customer(&mut self, server: SpanId, at: i64) -> i64 {
        let end = at + self.about(300);
        let attributes = vec![
            ("db.system.name", "mysql".into()),
            ("db.namespace", "customers".into()),
            ("db.query.text", "SELECT * FROM customer WHERE customer_id=?".into()),
        ];
        self.put("customer", "SELECT customers", SpanKind::Client, server, (at, end), attributes);
        end
    }

    /// Who is near, one look-up for each; one in a few is slow, fails and is made again.
    fn near(&mut self, server: SpanId, from: i64) -> i64 {
        let redis = || {
            vec![("db.system.name", "redis".into()), ("db.namespace", "drivers".into())]
                as Attributes
        };
        let client = SpanKind::Client;
        let mut at = from + self.about(18);
        self.put("driver", "FindDriverIDs", client, server, (from, at), redis());
        for _ in 0..DRIVERS {
            if self.rng.share() < 0.12 {
                let end = at + self.about(34);
                let slow = self.put("driver", "GetDriver", client, server, (at, end), redis());
                self.spans[slow].failed = Some("redis timeout");
                at = end;
            }
            let end = at + self.about(9);
            self.put("driver", "GetDriver", client, server, (at, end), redis());
            at = end;
        }
        at
    }

    /// A call from the page to a service, which is done when `work` says.
    fn call(
        &mut self,
        to: &'static str,
        name: &'static str,
        parent: SpanId,
        at: i64,
        work: impl FnOnce(&mut Self, SpanId, i64) -> i64,
    ) -> i64 {
        let attributes = vec![("server.address", to.into())];
        let client = self.put("frontend", name, SpanKind::Client, parent, (at, at), attributes);
        let parent = self.spans[client].span_id;
        let begun = at + MS / 4;
        let server = self.put(to, name, SpanKind::Server, parent, (begun, begun), Vec::new());
        let own = self.spans[server].span_id;
        let end = work(self, own, at + MS / 2);
        self.spans[server].end = end + MS / 4;
        self.spans[client].end = end + MS / 2;
        end + MS / 2
    }

    /// Writes a span and gives its place.
    fn put(
        &mut self,
        service: &'static str,
        name: &'static str,
        kind: SpanKind,
        parent_id: SpanId,
        (start, end): (i64, i64),
        attributes: Attributes,
    ) -> usize {
        let span_id = SpanId(self.rng.span_id());
        let trace_id = self.trace;
        let (failed, exception_at) = (None, None);
        let name = name.into();
        self.spans.push(Made {
            service,
            name,
            kind,
            trace_id,
            span_id,
            parent_id,
            start,
            end,
            attributes,
            failed,
            exception_at,
        });
        self.spans.len() - 1
    }

    /// Some milliseconds, as nanoseconds, give or take a third.
    fn about(&mut self, usual_ms: i64) -> i64 {
        (usual_ms as f64 * MS as f64 * (0.7 + self.rng.share() * 0.6)) as i64
    }
}
