//! Ids with a known damage.

use throughline_model::{SpanId, SpanKind, TraceId};
use throughline_testkit::Span;
use throughline_topology::doctor::{Kind, Options, Severity, diagnose};
use throughline_topology::stitch::Class;

use crate::world::{NOW, World, answer, call, hop, kinds, one};

fn half(id: TraceId) -> TraceId {
    let mut bytes = id.0;
    bytes[..8].fill(0);
    TraceId(bytes)
}

#[test]
fn half_a_trace_id_is_the_same_request() {
    let from = call(0, "web", "shop.local");
    let to = Span {
        trace_id: half(from.trace_id),
        parent_id: from.span_id,
        ..answer(0, "shop", "shop.local")
    };
    let finding = one(&[from.clone(), to.clone()], Kind::TruncatedTraceId);
    assert_eq!(hop(&finding), "web -> shop over http");
    assert_eq!(finding.class, Class::RepairedId);
    assert!(finding.fix.iter().any(|fix| fix.code.contains("128")));
    // Without the parent the halves alone say it.
    let root = Span { parent_id: SpanId::ZERO, ..to.clone() };
    assert_eq!(hop(&one(&[from.clone(), root], Kind::TruncatedTraceId)), "web -> shop over http");
    // Another upper half is another trace.
    let mut other = to.trace_id.0;
    other[0] = 1;
    let other = Span { trace_id: TraceId(other), parent_id: SpanId::ZERO, ..to };
    assert!(!kinds(&[from, other]).contains(&Kind::TruncatedTraceId));
}

#[test]
fn the_other_half_is_asked_for_where_it_is_not_among_the_traces() {
    let from = call(0, "web", "shop.local");
    let to = Span { trace_id: half(from.trace_id), ..answer(0, "shop", "shop.local") };
    let world = World::of(&[from.clone(), to]);
    let of_web = world.batches().filter(|batch| batch.span(0).service() == "web");
    let report = diagnose(of_web, &world, &Options::at(NOW)).unwrap();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(hop(&report.findings[0]), "web -> shop over http");
}

#[test]
fn a_parent_in_another_trace_was_rewritten() {
    let from = call(0, "web", "shop.local");
    let to = Span { parent_id: from.span_id, ..answer(0, "shop", "shop.local") };
    let finding = one(&[from.clone(), to.clone()], Kind::RewrittenTraceId);
    assert_eq!(hop(&finding), "web -> shop over http");
    let kinds_of = |spans: &[Span]| kinds(spans).contains(&Kind::RewrittenTraceId);
    // Hours later it is another request that happens to have the id.
    let later = to.clone().at(to.start_unix_nano + 3_600_000_000_000);
    assert!(!kinds_of(&[from.clone(), later]));
    // An id that two traces have is no id.
    let twin = Span { trace_id: TraceId([7; 16]), ..from.clone() };
    assert!(!kinds_of(&[from.clone(), twin, to.clone()]));
    let apart = to.environment("test");
    assert!(!kinds_of(&[from.environment("prod"), apart]));
}

#[test]
fn one_id_for_both_sides_is_told_and_nothing_is_lost() {
    let from = call(0, "web", "shop.local");
    let to = Span { span_id: from.span_id, ..answer(0, "shop", "shop.local").child_of(&from) };
    let to = Span { parent_id: SpanId::ZERO, ..to };
    let finding = one(&[from.clone(), to.clone()], Kind::SharedSpanId);
    assert_eq!(hop(&finding), "web -> shop over http");
    assert_eq!(finding.severity, Severity::Note);
    assert_eq!(kinds(&[from.clone(), to]), [Kind::SharedSpanId], "it answers the call");
    let other = answer(0, "shop", "shop.local").child_of(&from);
    assert!(kinds(&[from, other]).is_empty());
}

#[test]
fn ids_that_are_texts_or_decimal_numbers_are_malformed() {
    let root = |id: [u8; 16], number| Span {
        trace_id: TraceId(id),
        ..answer(number, "shop", "shop.local")
    };
    let text = one(&[root(*b"4bf92f3577b34da6", 0)], Kind::MalformedId);
    assert!(text.why.contains("letters of a hexadecimal text"));
    let decimal = |n: u8| {
        root(
            [
                0x12, 0x34, 0x56, 0x78, 0x90, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
                0, n,
            ],
            u64::from(n),
        )
    };
    let finding = one(&[decimal(1), decimal(2), decimal(3)], Kind::MalformedId);
    assert!(finding.why.contains("decimal"));
    assert_eq!(finding.count, 3);
    assert!(
        kinds(&[decimal(1), answer(5, "shop", "shop.local"), answer(6, "shop", "shop.local")])
            .is_empty()
    );
    let server = |n| answer(n, "shop", "shop.local").kind(SpanKind::Server);
    assert!(kinds(&(0..50).map(server).collect::<Vec<_>>()).is_empty());
}
