//! Work that left its request inside one process.

use throughline_model::{SpanId, SpanKind};
use throughline_testkit::{Span, span};
use throughline_topology::doctor::{Kind, State};

use crate::world::{MILLISECOND, SECOND, START, answer, kinds, one, trace_number};

fn work(number: u64, after: i64) -> Span {
    span("send mail")
        .service("shop")
        .resource_attr("telemetry.sdk.language", "java")
        .in_trace(trace_number(5, number))
        .id(5_000_000 + number)
        .kind(SpanKind::Internal)
        .at(START + number as i64 * SECOND + after)
        .lasting(10 * MILLISECOND)
}

fn request(number: u64) -> Span {
    answer(number, "shop", "shop.local")
}

#[test]
fn work_that_always_begins_right_after_a_request_lost_it() {
    let spans: Vec<Span> = (0..20).flat_map(|n| [request(n), work(n, 90 * MILLISECOND)]).collect();
    let finding = one(&spans, Kind::LostInProcess);
    assert_eq!(finding.hop.resource.as_deref(), Some("send mail"));
    assert_eq!((finding.count, finding.state), (20, State::Open));
    let pair = &finding.seen[0];
    assert_eq!(pair.from.as_ref().unwrap().name, "GET /orders");
    let fix = finding.fix.iter().find(|fix| fix.service.as_deref() == Some("shop")).unwrap();
    assert_eq!(fix.language, "java", "of the span that left");
}

#[test]
fn a_job_of_its_own_is_not_a_part_of_requests() {
    // Every 700 ms beside a request a second.
    let job = |n: u64| work(n, 0).at(START + n as i64 * 700 * MILLISECOND);
    let spans: Vec<Span> = (0..30).flat_map(|n| [request(n), job(n)]).collect();
    assert!(kinds(&spans).is_empty());
    // Right after requests of another instance.
    let spans: Vec<Span> = (0..20)
        .flat_map(|n| {
            let here = work(n, 90 * MILLISECOND).resource_attr("service.instance.id", "a");
            [request(n).resource_attr("service.instance.id", "b"), here]
        })
        .collect();
    assert!(kinds(&spans).is_empty());
}

#[test]
fn work_that_stays_in_its_request_again_heals_it() {
    let mut spans: Vec<Span> =
        (0..20).flat_map(|n| [request(n), work(n, 90 * MILLISECOND)]).collect();
    let entry = request(30);
    let child = work(30, 50 * MILLISECOND).child_of(&entry);
    assert_ne!(child.parent_id, SpanId::ZERO);
    spans.extend([entry, child]);
    let finding = one(&spans, Kind::LostInProcess);
    assert_eq!((finding.state, finding.good), (State::Healed, 1));
}
