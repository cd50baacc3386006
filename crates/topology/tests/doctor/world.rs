//! Some traces, a source that holds them, and the doctor's words on them.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;

use throughline_model::{SpanBatch, SpanKind, TraceId};
use throughline_testkit::{Span, batch, span};
use throughline_topology::doctor::{Finding, Kind, Options, Report, diagnose};
use throughline_topology::stitch::{Direction, MessageKey, ReceiptAt, ReceiptReader, Source};

pub(crate) const MILLISECOND: i64 = 1_000_000;
pub(crate) const SECOND: i64 = 1_000 * MILLISECOND;
/// When the first request of each test begins.
pub(crate) const START: i64 = 1_700_000_000 * SECOND;
/// When the doctor looks: long after.
pub(crate) const NOW: i64 = START + 7_200 * SECOND;

#[derive(Default)]
pub(crate) struct World {
    traces: BTreeMap<TraceId, SpanBatch>,
    index: HashMap<(MessageKey, Direction), Vec<ReceiptAt>>,
}

impl World {
    pub(crate) fn of(spans: &[Span]) -> Self {
        let mut by_trace: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
        for span in spans {
            by_trace.entry(span.trace_id).or_default().push(span.clone());
        }
        Self::of_batches(by_trace.into_values().map(|spans| batch(&spans)))
    }

    pub(crate) fn of_batches(batches: impl Iterator<Item = SpanBatch>) -> Self {
        let mut world = Self::default();
        for batch in batches {
            let reader = ReceiptReader::new(&batch);
            for at in (0..batch.len()).flat_map(|row| reader.at(row)) {
                world.index.entry((at.key, at.receipt.direction)).or_default().push(at);
            }
            world.traces.insert(batch.span(0).trace_id(), batch);
        }
        world
    }

    pub(crate) fn batches(&self) -> impl Iterator<Item = &SpanBatch> {
        self.traces.values()
    }

    pub(crate) fn report(&self) -> Report {
        self.report_at(NOW)
    }

    pub(crate) fn report_at(&self, now: i64) -> Report {
        diagnose(self.batches(), self, &Options::at(now)).unwrap()
    }
}

impl Source for World {
    type Error = Infallible;

    fn trace(&self, id: TraceId) -> Result<Option<SpanBatch>, Infallible> {
        Ok(self.traces.get(&id).cloned())
    }

    fn holders(
        &self,
        keys: &[MessageKey],
        direction: Direction,
    ) -> Result<Vec<ReceiptAt>, Infallible> {
        let list = |key: &MessageKey| self.index.get(&(*key, direction)).cloned();
        Ok(keys.iter().filter_map(list).flatten().collect())
    }
}

/// The kinds that are found in some spans.
pub(crate) fn kinds(spans: &[Span]) -> Vec<Kind> {
    World::of(spans).report().findings.iter().map(|finding| finding.kind).collect()
}

/// The one finding of a kind.
#[track_caller]
pub(crate) fn one(spans: &[Span], kind: Kind) -> Finding {
    let report = World::of(spans).report();
    let mut found: Vec<_> = report.findings.iter().filter(|f| f.kind == kind).cloned().collect();
    assert_eq!(found.len(), 1, "{:?}", report.findings);
    found.remove(0)
}

/// What a hop is called in a test: `web -> api over http`.
pub(crate) fn hop(finding: &Finding) -> String {
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "?".to_owned());
    let hop = &finding.hop;
    format!("{} -> {} over {}", name(&hop.from), name(&hop.to), hop.over)
}

/// A call of `path` on `host`, one second after the one before.
pub(crate) fn call(number: u64, service: &'static str, host: &'static str) -> Span {
    span("GET")
        .service(service)
        .resource_attr("telemetry.sdk.language", "nodejs")
        .in_trace(trace_number(1, number))
        .id(1_000_000 + number)
        .kind(SpanKind::Client)
        .at(START + number as i64 * SECOND)
        .lasting(100 * MILLISECOND)
        .attr("http.request.method", "GET")
        .attr("server.address", host)
        .attr("server.port", 8080_i64)
        .attr("url.full", format!("http://{host}:8080/orders?token=secret"))
}

/// The server's side of the call of that number, in a trace of its own.
pub(crate) fn answer(number: u64, service: &'static str, host: &'static str) -> Span {
    span("GET /orders")
        .service(service)
        .resource_attr("telemetry.sdk.language", "python")
        .in_trace(trace_number(2, number))
        .id(2_000_000 + number)
        .kind(SpanKind::Server)
        .at(START + number as i64 * SECOND + 5 * MILLISECOND)
        .lasting(80 * MILLISECOND)
        .attr("http.request.method", "GET")
        .attr("server.address", host)
        .attr("server.port", 8080_i64)
        .attr("url.path", "/orders")
}

/// Ids with digits of all kinds, as random ones have.
pub(crate) fn trace_number(kind: u128, number: u64) -> u128 {
    let low = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0x0afe_b17c_0000_0000 | kind) << 64 | u128::from(low)
}
