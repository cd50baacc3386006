//! The real propagators of Python and Node, each as caller and as callee of each other.
//!
//! `pairings.json` is what `tests/clients/propagation/pairings.py --record` wrote: three calls of
//! each pairing, with the ids that the SDKs gave. The doctor knows neither headers nor settings.

use std::collections::BTreeMap;

use serde_json::Value;
use throughline_model::{SpanId, SpanKind, TraceId};
use throughline_testkit::{Span, span};
use throughline_topology::doctor::{Kind, Report};

use crate::world::World;

/// The callee's and the caller's side of every recorded call.
fn recorded() -> Vec<[Span; 2]> {
    let calls: Vec<Value> = serde_json::from_str(include_str!("pairings.json")).unwrap();
    calls.iter().map(sides).collect()
}

fn sides(call: &Value) -> [Span; 2] {
    let text = |side: &str, key: &str| call[side][key].as_str().unwrap().to_owned();
    let side = |side: &str, kind: SpanKind| {
        let start = text(side, "start").parse().unwrap();
        let mut span = span("GET")
            .service(text(side, "service"))
            .environment("propagation")
            .kind(kind)
            .at(start)
            .lasting(text(side, "end").parse::<i64>().unwrap() - start)
            .attr("http.request.method", "GET")
            .attr("server.address", "127.0.0.1")
            .attr("server.port", call["port"].as_i64().unwrap());
        span.trace_id = TraceId::parse(&text(side, "traceId")).unwrap();
        span.span_id = SpanId::parse(&text(side, "spanId")).unwrap();
        span
    };
    let mut callee = side("callee", SpanKind::Server);
    let parent = text("callee", "parentId");
    if !parent.is_empty() {
        callee.parent_id = SpanId::parse(&parent).unwrap();
    }
    [side("caller", SpanKind::Client), callee]
}

/// Calls that lost and that kept their context, by caller and callee.
type Hops = BTreeMap<(String, String), (usize, usize)>;

fn report() -> (Report, Hops) {
    let calls = recorded();
    let mut hops = Hops::new();
    let service = |span: &Span| {
        let batch = throughline_testkit::batch(std::slice::from_ref(span));
        batch.span(0).service().to_owned()
    };
    for [caller, callee] in &calls {
        let hop = hops.entry((service(caller), service(callee))).or_default();
        let is_kept = caller.trace_id == callee.trace_id;
        (hop.0, hop.1) = (hop.0 + usize::from(!is_kept), hop.1 + usize::from(is_kept));
    }
    let last = calls.iter().flatten().map(|span| span.start_unix_nano).max().unwrap();
    let spans: Vec<Span> = calls.into_iter().flatten().collect();
    (World::of(&spans).report_at(last + 600_000_000_000), hops)
}

#[test]
fn every_mixed_pairing_of_real_propagators_is_named_and_no_whole_one() {
    let (report, hops) = report();
    let named: BTreeMap<_, _> = report
        .findings
        .iter()
        .map(|f| ((f.hop.from.clone().unwrap(), f.hop.to.clone().unwrap()), f))
        .collect();
    assert_eq!(named.len(), report.findings.len(), "one finding a hop");
    let mixed = hops.iter().filter(|(_, (lost, _))| *lost > 0);
    assert!(mixed.clone().count() > 30 && hops.values().any(|(_, kept)| *kept > 0));
    for (hop, (lost, kept)) in &hops {
        match named.get(hop) {
            Some(finding) => {
                assert_eq!((finding.count, *kept), (*lost, 0), "{hop:?}");
                assert_eq!(finding.kind, Kind::MixedFormats, "{hop:?}");
                assert!(finding.fix.iter().all(|fix| fix.code.starts_with("OTEL_PROPAGATORS=")));
            }
            None => assert_eq!(*lost, 0, "{hop:?}"),
        }
    }
}
