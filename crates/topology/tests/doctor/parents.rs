//! Spans whose parent is nowhere.

use throughline_model::{AttrValue, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, TraceId};
use throughline_testkit::Span;
use throughline_topology::doctor::{Kind, Severity};

use crate::world::{MILLISECOND, SECOND, START, World, answer, call, hop, kinds, one};

fn orphan(number: u64) -> Span {
    let span = answer(number, "shop", "shop.local");
    Span { parent_id: SpanId(*b"\x01nowhere"), ..span }
}

fn of_xray(span: Span) -> Span {
    let mut id = span.trace_id.0;
    let seconds = u32::try_from(span.start_unix_nano / SECOND).unwrap();
    id[..4].copy_from_slice(&seconds.to_be_bytes());
    Span { trace_id: TraceId(id), ..span }
}

#[test]
fn an_xray_parent_that_nobody_sent_won() {
    let span = of_xray(orphan(0)).resource_attr("cloud.platform", "aws_lambda");
    let finding = one(std::slice::from_ref(&span), Kind::XrayParentWon);
    assert_eq!(hop(&finding), "? -> shop over http");
    assert!(finding.fix.iter().any(|fix| fix.code == "OTEL_PROPAGATORS=tracecontext,baggage"));
    let is_named = |span: &Span| kinds(std::slice::from_ref(span)).contains(&Kind::XrayParentWon);
    assert!(!is_named(&of_xray(orphan(0))), "not in Lambda");
    assert!(!is_named(&orphan(0).resource_attr("cloud.platform", "aws_lambda")), "no time");
    assert!(!is_named(&Span { parent_id: SpanId::ZERO, ..span.clone() }), "no parent");
    let late = span.clone().at(span.start_unix_nano + 7_200 * SECOND);
    assert!(!is_named(&late), "another hour");
}

#[test]
fn a_young_trace_still_arrives_and_nobody_is_told_to_try_once_more() {
    let world = World::of(&[orphan(0)]);
    let report = world.report_at(START + 10 * SECOND);
    let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!((finding.kind, finding.severity), (Kind::StillArriving, Severity::Note));
    assert!(finding.why.contains("by itself"));
    assert_eq!(kinds(&[orphan(0)]), [Kind::MissingParent], "an old one does not");
}

#[test]
fn the_header_that_arrived_says_that_the_parent_is_not_sampled() {
    let header = |flags: &str| {
        let span = orphan(0);
        let text = format!("00-{}-{}-{flags}", span.trace_id, span.parent_id);
        span.attr("http.request.header.traceparent", text)
    };
    assert_eq!(kinds(&[header("00")]), [Kind::UnsampledParent]);
    assert_eq!(kinds(&[header("01")]), [Kind::MissingParent]);
}

#[test]
fn the_flags_of_the_span_say_that_it_is_not_sampled() {
    let batch = |flags| -> SpanBatch {
        let mut builder = SpanBatchBuilder::default();
        builder.start_resource();
        builder.attribute("service.name", AttrValue::Str("shop"));
        builder.end_resource("", 0);
        builder.start_scope("test", "1");
        builder.end_scope("", 0);
        builder.start_span(TraceId([0xa7; 16]), SpanId([0xb7; 8]));
        builder.parent_id(SpanId([0xc7; 8]));
        builder.kind(SpanKind::Server);
        builder.name("GET /");
        builder.flags(flags);
        builder.times(START, SECOND);
        builder.end_span();
        builder.finish()
    };
    let kind = |flags| World::of_batches(std::iter::once(batch(flags))).report().findings[0].kind;
    assert_eq!(kind(0x300), Kind::UnsampledParent);
    assert_eq!(kind(0x301), Kind::MissingParent);
    assert_eq!(kind(0), Kind::MissingParent, "old senders set no flags");
}

/// Requests of which `is_missing` lost their caller.
fn requests(count: u64, is_missing: impl Fn(u64) -> bool) -> Vec<Span> {
    (0..count)
        .flat_map(|n| {
            let call = call(n, "web", "shop.local");
            let answer = answer(n, "shop", "shop.local").child_of(&call).lasting(MILLISECOND);
            if is_missing(n) { vec![answer] } else { vec![call, answer] }
        })
        .collect()
}

#[test]
fn a_constant_share_is_sampling_and_a_changing_one_is_a_fault() {
    let rate = one(&requests(200, |n| n % 5 != 0), Kind::UnsampledParent);
    assert_eq!((rate.count, rate.good, rate.share_permille), (160, 40, 800));
    assert!(rate.fix.iter().any(|fix| fix.code.contains("parentbased")));
    let fault = one(&requests(200, |n| n > 120 && n % 2 == 0), Kind::MissingParent);
    assert!(fault.why.contains("changes over time"));
    let never = one(&requests(60, |_| true), Kind::MissingParent);
    assert!(never.why.contains("no caller of this service has ever sent"));
    assert!(kinds(&requests(60, |_| false)).is_empty());
}
