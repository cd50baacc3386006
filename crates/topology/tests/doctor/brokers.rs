//! Messages without context.

use throughline_model::SpanKind;
use throughline_testkit::{Span, span};
use throughline_topology::doctor::{Kind, Options, State, diagnose};

use crate::world::{MILLISECOND, NOW, SECOND, START, World, hop, kinds, one, trace_number};

fn sent(number: u64, receipt: &str) -> Span {
    span("PutRecord")
        .service("producer-fn")
        .resource_attr("telemetry.sdk.language", "nodejs")
        .in_trace(trace_number(3, number))
        .id(3_000_000 + number)
        .kind(SpanKind::Producer)
        .at(START + number as i64 * SECOND)
        .lasting(20 * MILLISECOND)
        .attr("stitch.out", receipt.to_owned())
}

fn taken(number: u64, receipt: &str) -> Span {
    span("handler")
        .service("consumer-fn")
        .resource_attr("telemetry.sdk.language", "python")
        .in_trace(trace_number(4, number))
        .id(4_000_000 + number)
        .kind(SpanKind::Consumer)
        .at(START + number as i64 * SECOND + 300 * MILLISECOND)
        .lasting(40 * MILLISECOND)
        .attr("stitch.in", receipt.to_owned())
}

fn kinesis(number: u64) -> String {
    format!("kinesis|us-east-1|lab-stream|49590338271490256608{number}")
}

fn lost(count: u64) -> Vec<Span> {
    (0..count).flat_map(|n| [sent(n, &kinesis(n)), taken(n, &kinesis(n))]).collect()
}

#[test]
fn a_stream_that_carries_no_context_is_named_with_the_lines_to_change() {
    let finding = one(&lost(5), Kind::LostAtBroker);
    assert_eq!(hop(&finding), "producer-fn -> consumer-fn over kinesis");
    assert_eq!(finding.hop.resource.as_deref(), Some("lab-stream"));
    assert_eq!((finding.count, finding.good, finding.share_permille), (5, 0, 1_000));
    assert_eq!(finding.first_seen_unix_nano, START + 300 * MILLISECOND);
    assert_eq!(finding.last_seen_unix_nano, START + 4 * SECOND + 300 * MILLISECOND);
    assert_eq!(finding.state, State::Open);
    assert_eq!(finding.seen.len(), 3, "the newest three");
    let newest = &finding.seen[0];
    let (from, to) = (newest.from.as_ref().unwrap(), newest.to.as_ref().unwrap());
    assert_eq!(from.trace_id.0, trace_number(3, 4).to_be_bytes());
    assert_eq!(to.trace_id.0, trace_number(4, 4).to_be_bytes());
    let id = |shown: &[(String, String)], key: &str| {
        shown.iter().find(|(k, _)| k == key).map(|(_, value)| value.clone())
    };
    assert_eq!(id(&from.shown, "stitch.out"), id(&to.shown, "stitch.in"), "side by side");
    let fix = |service: &str| {
        finding.fix.iter().find(|fix| fix.service.as_deref() == Some(service)).unwrap()
    };
    assert_eq!(fix("producer-fn").language, "nodejs");
    assert!(fix("producer-fn").code.contains("propagation.inject"));
    assert_eq!(fix("consumer-fn").language, "python");
    assert!(fix("consumer-fn").code.contains("propagate.extract"));
}

#[test]
fn each_carrier_and_language_gets_its_own_line() {
    for (carrier, code) in [
        ("sqs|us-east-1|jobs", "MessageAttributes"),
        ("sns|us-east-1|news", "MessageAttributes"),
        ("eventbridge|us-east-1|bus", "detail.tracecontext"),
        ("kafka||orders", "message.headers"),
    ] {
        let receipt = |n: u64| format!("{carrier}|0:{n}");
        let spans: Vec<Span> =
            (0..3).flat_map(|n| [sent(n, &receipt(n)), taken(n, &receipt(n))]).collect();
        let finding = one(&spans, Kind::LostAtBroker);
        assert!(finding.fix.iter().any(|fix| fix.code.contains(code)), "{:?}", finding.fix);
    }
}

#[test]
fn a_consumer_that_links_or_goes_on_in_the_trace_has_lost_nothing() {
    let (from, to) = (sent(0, &kinesis(0)), taken(0, &kinesis(0)));
    let linked = to.clone().linked_to(&from);
    assert!(kinds(&[from.clone(), linked]).is_empty());
    let child = to.child_of(&from);
    assert!(kinds(&[from, child]).is_empty());
}

#[test]
fn the_other_side_is_asked_for_where_it_is_not_among_the_traces() {
    let spans = lost(3);
    let world = World::of(&spans);
    let of_producer =
        |batch: &&throughline_model::SpanBatch| batch.span(0).service() == "producer-fn";
    let report = diagnose(world.batches().filter(of_producer), &world, &Options::at(NOW)).unwrap();
    assert_eq!(report.findings.len(), 1);
    let finding = &report.findings[0];
    assert_eq!(finding.count, 3);
    assert_eq!(finding.seen[0].to.as_ref().unwrap().service, "consumer-fn");
    assert_eq!(report.looked_at.traces, 3);
}

#[test]
fn the_first_good_trace_turns_it_green() {
    let mut spans = lost(5);
    let from = sent(10, &kinesis(10));
    let to = taken(10, &kinesis(10)).linked_to(&from);
    spans.extend([from, to]);
    let finding = one(&spans, Kind::LostAtBroker);
    assert_eq!((finding.state, finding.count, finding.good), (State::Healed, 5, 1));
    assert_eq!(finding.last_good_unix_nano, Some(START + 10 * SECOND + 300 * MILLISECOND));
    spans.extend([sent(11, &kinesis(11)), taken(11, &kinesis(11))]);
    assert_eq!(one(&spans, Kind::LostAtBroker).state, State::Open, "it came again");
}

#[test]
fn a_consumer_that_takes_the_context_out_by_hand_has_lost_nothing() {
    // Its function's span stays in a trace of its own, and names the message.
    let by_hand = |number: u64| {
        let sent = sent(number, &kinesis(number));
        let record = span("getRecord").service("consumer-fn").in_trace(trace_number(3, number));
        let record = record.child_of(&sent).id(5_000_000 + number);
        let at = START + number as i64 * SECOND + 310 * MILLISECOND;
        [sent, taken(number, &kinesis(number)), record.at(at).lasting(MILLISECOND)]
    };
    let spans: Vec<Span> = (0..5).flat_map(by_hand).collect();
    assert!(kinds(&spans).is_empty());
}

#[test]
fn what_came_a_moment_ago_is_not_judged() {
    let world = World::of(&lost(3));
    assert!(world.report_at(START + 10 * SECOND).findings.is_empty());
}
