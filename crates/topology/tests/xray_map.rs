//! X-Ray's graph, read from the map's counts.

mod support;

use proptest::prelude::*;
use support::{ALWAYS, MINUTE, START, Span, batch, lines, observed, span};
use throughline_model::SpanKind::{Client, Consumer, Internal, Producer, Server};
use throughline_model::{SpanKind, xray};
use throughline_topology::xray::{Graph, State, Statistics};
use throughline_topology::{Linker, MapPart};

const APP: (&str, &str) = (xray::ORIGIN, "AWS::ElasticBeanstalk::Environment");
const LAMBDA: (&str, &str) = (xray::ORIGIN, "AWS::Lambda");
const FUNCTION: (&str, &str) = (xray::ORIGIN, "AWS::Lambda::Function");
const MS: i64 = 1_000_000;

/// One sign-up, as the workshop's recordings have it: the function's subsegments came alone.
fn sign_up(fails: bool) -> Vec<Span> {
    let of = |span: Span, (key, value): (&'static str, &'static str)| {
        span.of_environment(key, value).named("s")
    };
    let status = if fails { "400" } else { "200" };
    let mut put = span("", Client, 6, 5)
        .with("rpc.system", "aws-api")
        .with("rpc.service", "DynamoDB")
        .with("aws.table_name", "signups")
        .with("http.response.status_code", status)
        .lasting(44 * MS);
    put.failed = fails;
    vec![
        of(span("app", Server, 1, 0).lasting(550 * MS), APP),
        of(span("app", Client, 2, 1), APP)
            .with("rpc.system", "aws-api")
            .with("rpc.service", "Lambda")
            .with("aws.function_name", "sign-up")
            .lasting(461 * MS),
        of(span("sign-up", Server, 3, 2).lasting(419 * MS), LAMBDA),
        of(span("sign-up", Server, 4, 3).lasting(69 * MS), FUNCTION),
        span("", Internal, 5, 4).lasting(54 * MS),
        put,
        span("", Client, 7, 4)
            .with("rpc.system", "aws-api")
            .with("rpc.service", "SNS")
            .with("rpc.method", "Publish")
            .with("aws.topic_arn", "arn:aws:sns:us-east-1:000000000000:topic")
            .lasting(9 * MS),
    ]
}

fn counts(s: &Statistics) -> String {
    let Statistics { ok, errors, throttles, faults, .. } = s;
    let total = s.total_response_nano as f64 / 1e6;
    let histogram: u64 = s.response_times.values().sum();
    assert_eq!(histogram, s.total());
    format!("{ok}/{errors}/{throttles}/{faults} {total:.0}ms")
}

fn text(graph: &Graph) -> Vec<String> {
    let mut lines = Vec::new();
    for service in &graph.services {
        let name =
            |at: usize| format!("{} {}", graph.services[at].id.kind, graph.services[at].id.name);
        let me = format!("{} {}", service.id.kind, service.id.name);
        let root = if service.root { " root" } else { "" };
        let state = if service.state == State::Active { " active" } else { "" };
        let statistics = service.statistics.as_ref().map_or("-".to_owned(), counts);
        lines.push(format!("{me}{root}{state} {statistics}"));
        for edge in &service.edges {
            let link = if edge.is_link { " link" } else { "" };
            lines.push(format!("{me} -> {}{link} {}", name(edge.to), counts(&edge.statistics)));
        }
    }
    lines.sort();
    lines
}

#[test]
fn the_sign_up_has_its_five_nodes_and_the_callers_numbers_on_its_edges() {
    let spans = sign_up(false);
    let expected = [
        "AWS::DynamoDB::Table signups 1/0/0/0 44ms",
        "AWS::ElasticBeanstalk::Environment app -> AWS::Lambda sign-up 1/0/0/0 461ms",
        "AWS::ElasticBeanstalk::Environment app root active 1/0/0/0 550ms",
        "AWS::Lambda sign-up -> AWS::Lambda::Function sign-up 1/0/0/0 69ms",
        "AWS::Lambda sign-up active 1/0/0/0 419ms",
        "AWS::Lambda::Function sign-up -> AWS::DynamoDB::Table signups 1/0/0/0 44ms",
        "AWS::Lambda::Function sign-up -> AWS::SNS SNS 1/0/0/0 9ms",
        "AWS::Lambda::Function sign-up active 1/0/0/0 69ms",
        "AWS::SNS SNS 1/0/0/0 9ms",
        "client app -",
        "client app -> AWS::ElasticBeanstalk::Environment app 1/0/0/0 550ms",
    ];
    assert_eq!(text(&observed(&[&spans]).xray_graph(&ALWAYS)), expected);
    let one_by_one: Vec<&[Span]> = spans.chunks(1).collect();
    assert_eq!(text(&observed(&one_by_one).xray_graph(&ALWAYS)), expected, "one by one");
    let reverse: Vec<&[Span]> = spans.chunks(1).rev().collect();
    let reversed = observed(&reverse);
    assert_eq!(text(&reversed.xray_graph(&ALWAYS)), expected, "in reverse");
    // What was said of the function before its segment came is taken back.
    let map = lines(&reversed.view(&ALWAYS));
    assert!(!map.iter().any(|line| line.contains("facade") || line.contains("client")), "{map:?}");
}

#[test]
fn a_failed_call_is_an_error_of_the_caller_and_a_fault_of_the_callee() {
    let graph = observed(&[&sign_up(true)]).xray_graph(&ALWAYS);
    let table = text(&graph).into_iter().find(|line| line.contains("DynamoDB")).unwrap();
    assert_eq!(table, "AWS::DynamoDB::Table signups 0/1/0/0 44ms");
    let status = |status| {
        let server = span("a", Server, 1, 0).with("http.response.status_code", status);
        text(&observed(&[&[server]]).xray_graph(&ALWAYS))[0].clone()
    };
    assert_eq!(status("429"), " a root active 0/0/1/0 0ms");
    assert_eq!(status("503"), " a root active 0/0/0/1 0ms");
    let unset = span("a", Internal, 1, 0).failed();
    assert_eq!(text(&observed(&[&[unset]]).xray_graph(&ALWAYS))[0], " a root active 0/0/0/1 0ms");
}

#[test]
fn subsegments_whose_function_never_came_still_show_what_they_called() {
    let expected = [
        "AWS::DynamoDB::Table signups 1/0/0/0 44ms",
        "AWS::Lambda::Function facade -> AWS::DynamoDB::Table signups 1/0/0/0 44ms",
        "AWS::Lambda::Function facade -> AWS::SNS SNS 1/0/0/0 9ms",
        "AWS::Lambda::Function facade root active 1/0/0/0 0ms",
        "AWS::SNS SNS 1/0/0/0 9ms",
        "client facade -",
        "client facade -> AWS::Lambda::Function facade 1/0/0/0 0ms",
    ];
    let orphans = &sign_up(false)[4..];
    assert_eq!(text(&observed(&[orphans]).xray_graph(&ALWAYS)), expected);
    let reverse: Vec<&[Span]> = orphans.chunks(1).rev().collect();
    assert_eq!(text(&observed(&reverse).xray_graph(&ALWAYS)), expected);
}

#[test]
fn an_event_has_an_age_where_a_link_leads_to_its_sender() {
    let send = span("shop", Producer, 1, 0)
        .with("messaging.system", "kafka")
        .with("messaging.destination.name", "orders")
        .with("messaging.operation.type", "send")
        .lasting(20 * MS);
    let take = span("mail", Consumer, 2, 0).in_trace(2).linked_to(1, 1);
    let take = take.at(START + MINUTE + 50 * MS);
    for spans in [[send.clone(), take.clone()], [take, send]] {
        let lines = text(&observed(&[&spans[..1], &spans[1..]]).xray_graph(&ALWAYS));
        let edge = lines.iter().find(|line| line.contains("link")).unwrap();
        assert_eq!(edge, "remote orders ->  mail link 1/0/0/0 60030ms");
    }
}

#[test]
fn a_time_series_has_a_graph_for_every_period_with_requests() {
    let spans: Vec<Span> = (0..4u8)
        .map(|n| span("a", Server, n + 1, 0).at(START + i64::from(n) * 2 * MINUTE))
        .collect();
    let series = observed(&[&spans]).xray_time_series(&ALWAYS, 300);
    let totals: Vec<(i64, u64)> = series
        .iter()
        .map(|(start, graph)| {
            let of_a = graph.services.iter().find_map(|service| service.statistics.as_ref());
            (*start % (5 * MINUTE), of_a.unwrap().total())
        })
        .collect();
    assert_eq!(totals.iter().map(|(_, total)| total).sum::<u64>(), 4);
    assert!(totals.len() >= 2 && totals.iter().all(|(start, _)| *start == 0), "{totals:?}");
}

/// Spans with an id each, some without a service of their own.
fn forest() -> impl Strategy<Value = Vec<Span>> {
    let one = (0..3usize, 0..6u8, 0..12u8, any::<bool>(), 0..9_000_000i64, 0..3i64);
    prop::collection::vec(one, 1..10).prop_map(|rows| {
        let of = |((service, kind, parent, calls, duration, minute), id): (_, u8)| {
            let service = ["web", "api", ""][service];
            let mut span = span(service, SpanKind::from_number(kind), id, parent);
            if calls {
                span = span.with("aws.table_name", "t").with("http.response.status_code", "429");
            }
            Span { duration, start: START + minute * MINUTE, ..span }
        };
        rows.into_iter().zip(1u8..).map(of).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..Default::default() })]

    #[test]
    fn who_has_no_service_finds_it_in_any_order(
        (one, other) in forest().prop_flat_map(|f| (Just(f.clone()).prop_shuffle(), Just(f).prop_shuffle())),
        cut in 1..4usize,
    ) {
        let together = observed(&[&one]);
        let apart = observed(&other.chunks(cut).collect::<Vec<_>>());
        prop_assert_eq!(text(&together.xray_graph(&ALWAYS)), text(&apart.xray_graph(&ALWAYS)));
        prop_assert_eq!(together.encode(), apart.encode());
        let read = MapPart::decode(&together.encode()).unwrap();
        prop_assert_eq!(text(&read.xray_graph(&ALWAYS)), text(&together.xray_graph(&ALWAYS)));
        prop_assert_eq!(Linker::default().preview(&[&batch(&one)]).encode(), together.encode());
    }
}

#[test]
fn of_two_finished_copies_the_longer_one_counts() {
    let first = span("a", Server, 1, 0).lasting(1_000 * MS);
    let second = span("a", Server, 1, 0).failed().lasting(3_000 * MS);
    let expected = [" a root active 0/0/0/1 3000ms", "client a -", "client a ->  a 0/0/0/1 3000ms"];
    for spans in [[first.clone(), second.clone()], [second, first]] {
        assert_eq!(text(&observed(&[&spans]).xray_graph(&ALWAYS)), expected);
        let apart = observed(&[&spans[..1], &spans[1..]]);
        assert_eq!(text(&apart.xray_graph(&ALWAYS)), expected);
    }
}
