//! What the map shows for a few spans; every case also span by span and in reverse.

mod support;

use SpanKind::{Client, Consumer, Internal, Producer, Server};
use support::{ALWAYS, MINUTE, START, Span, batch, check, lines, observed, span};
use throughline_model::SpanKind;
use throughline_topology::{Linker, MapFilter, MapPart};

#[test]
fn a_call_is_an_edge_from_the_client_to_the_server() {
    check(
        &[
            span("web", Server, 1, 0),
            span("web", Client, 2, 1).with("server.address", "api.example.com"),
            span("api", Server, 3, 2),
        ],
        &["service:api 1/0", "service:web 1/0", "service:web -> service:api sync 1/0 parent"],
    );
}

#[test]
fn a_database_is_inferred_from_its_client() {
    check(
        &[
            span("api", Server, 1, 0),
            span("api", Client, 2, 1)
                .with("db.system.name", "postgresql")
                .with("db.namespace", "orders")
                .with("server.address", "db.example.com")
                .failed(),
        ],
        &[
            "database:postgresql:orders@db.example.com 1/1",
            "service:api 1/0",
            "service:api -> database:postgresql:orders@db.example.com sync 1/1 inferred",
        ],
    );
}

#[test]
fn a_late_server_takes_the_inferred_edge_back() {
    let client = span("web", Client, 2, 0).with("server.address", "api.example.com");
    let mut linker = Linker::default();
    let mut sum = linker.observe(&[&batch(&[client])]);
    let before = [
        "external:api.example.com 1/0",
        "service:web 1/0",
        "service:web -> external:api.example.com sync 1/0 inferred",
    ];
    assert_eq!(lines(&sum.view(&ALWAYS)), before);
    let late = batch(&[span("api", Server, 3, 2)]);
    let preview = linker.preview(&[&late]);
    assert_eq!(preview.encode(), linker.preview(&[&late]).encode(), "a preview leaves no trace");
    let delta = linker.observe(&[&late]);
    assert_eq!(delta.encode(), preview.encode());
    sum.merge(&delta);
    let after =
        ["service:api 1/0", "service:web 1/0", "service:web -> service:api sync 1/0 parent"];
    assert_eq!(lines(&sum.view(&ALWAYS)), after);
    assert!(linker.observe(&[&late]).is_empty(), "a copy of a span counts nothing");
}

fn kafka(service: &'static str, id: u8, parent: u8) -> Span {
    span(service, Producer, id, parent)
        .with("messaging.system", "kafka")
        .with("messaging.destination.name", "orders")
}

#[test]
fn a_topic_stands_between_a_producer_and_its_child() {
    check(
        &[kafka("shop", 1, 0), span("mail", Consumer, 2, 1).failed()],
        &[
            "service:mail 1/1",
            "service:shop 1/0",
            "topic:kafka:orders 1/0",
            "service:shop -> topic:kafka:orders async 1/0 inferred",
            "topic:kafka:orders -> service:mail async 1/1 parent",
        ],
    );
}

#[test]
fn a_topic_stands_between_a_producer_and_the_consumers_that_link_to_it() {
    check(
        &[
            kafka("shop", 1, 0),
            kafka("shop", 2, 0),
            // A batch of two messages is one request.
            span("mail", Consumer, 3, 0).in_trace(7).linked_to(1, 1).linked_to(1, 2),
        ],
        &[
            "service:mail 1/0",
            "service:shop 2/0",
            "topic:kafka:orders 2/0",
            "service:shop -> topic:kafka:orders async 2/0 inferred",
            "topic:kafka:orders -> service:mail async 1/0 link",
        ],
    );
}

#[test]
fn a_consumer_that_has_both_parent_and_link_counts_once() {
    check(
        &[kafka("shop", 1, 0), span("mail", Consumer, 3, 1).linked_to(1, 1)],
        &[
            "service:mail 1/0",
            "service:shop 1/0",
            "topic:kafka:orders 1/0",
            "service:shop -> topic:kafka:orders async 1/0 inferred",
            "topic:kafka:orders -> service:mail async 1/0 parent",
        ],
    );
}

#[test]
fn a_producer_that_names_no_destination_is_tied_to_its_consumer_directly() {
    check(
        &[
            span("shop", Producer, 1, 0).with("server.address", "broker.example.com"),
            span("mail", Consumer, 2, 1),
            span("bill", Consumer, 3, 0).in_trace(2).linked_to(1, 1),
        ],
        &[
            "service:bill 1/0",
            "service:mail 1/0",
            "service:shop 1/0",
            "service:shop -> service:bill async 1/0 link",
            "service:shop -> service:mail async 1/0 parent",
        ],
    );
}

#[test]
fn a_consumer_that_knows_its_queue_but_not_its_sender_hangs_on_the_queue() {
    check(
        &[
            kafka("shop", 1, 0),
            span("mail", Consumer, 2, 0)
                .in_trace(2)
                .with("messaging.system", "kafka")
                .with("messaging.destination.name", "orders"),
        ],
        &[
            "service:mail 1/0",
            "service:shop 1/0",
            "topic:kafka:orders 1/0",
            "service:shop -> topic:kafka:orders async 1/0 inferred",
            "topic:kafka:orders -> service:mail async 1/0 inferred",
        ],
    );
}

#[test]
fn a_service_may_take_its_own_messages_but_a_call_to_itself_is_no_edge() {
    check(
        &[
            span("shop", Client, 1, 0).with("server.address", "shop.example.com"),
            span("shop", Server, 2, 1),
            kafka("shop", 3, 2),
            span("shop", Consumer, 4, 3),
        ],
        &[
            "service:shop 3/0",
            "topic:kafka:orders 1/0",
            "service:shop -> topic:kafka:orders async 1/0 inferred",
            "topic:kafka:orders -> service:shop async 1/0 parent",
        ],
    );
}

#[test]
fn only_entry_spans_are_requests_of_a_service() {
    check(
        &[
            span("api", Server, 1, 0).failed(),
            span("api", Internal, 2, 1).failed(),
            span("api", Client, 3, 2).failed(),
            span("job", Internal, 4, 0).failed(),
            span("api", Internal, 5, 4),
            // The parent was never sent: an entry, unless the sender says that it is local.
            span("job", Internal, 6, 99),
            span("job", Internal, 7, 99).flagged(0x101),
        ],
        &["service:api 2/1", "service:job 2/1", "service:job -> service:api sync 1/0 parent"],
    );
}

#[test]
fn the_outer_of_two_nested_callers_names_the_peer() {
    check(
        &[
            span("api", Client, 1, 0).with("rpc.system", "grpc").with("rpc.service", "shop.Cart"),
            span("api", Client, 2, 1).with("server.address", "cart.example.com"),
        ],
        &[
            "rpc:grpc:shop.Cart 1/0",
            "service:api 1/0",
            "service:api -> rpc:grpc:shop.Cart sync 1/0 inferred",
        ],
    );
}

#[test]
fn an_answer_to_the_inner_of_two_nested_callers_is_one_to_the_outer() {
    check(
        &[
            span("api", Client, 1, 0).with("rpc.system", "grpc").with("rpc.service", "shop.Cart"),
            span("api", Client, 2, 1).with("server.address", "cart.example.com"),
            span("cart", Server, 3, 2),
        ],
        &["service:api 1/0", "service:cart 1/0", "service:api -> service:cart sync 1/0 parent"],
    );
}

#[test]
fn both_sides_of_a_call_may_share_an_id() {
    check(
        &[
            span("web", Client, 2, 1).with("server.address", "api.example.com"),
            span("web", Server, 1, 0),
            span("api", Server, 2, 1),
            span("store", Server, 3, 2),
        ],
        &[
            "service:api 1/0",
            "service:store 1/0",
            "service:web 1/0",
            "service:api -> service:store sync 1/0 parent",
            "service:web -> service:api sync 1/0 parent",
        ],
    );
}

#[test]
fn both_sides_of_a_call_may_share_an_id_that_has_no_parent() {
    check(
        &[span("web", Client, 2, 0), span("api", Server, 2, 0)],
        &["service:api 1/0", "service:web 1/0", "service:web -> service:api sync 1/0 parent"],
    );
}

#[test]
fn a_piece_without_an_end_counts_nothing_but_may_be_a_parent() {
    let open = span("web", Server, 1, 0).open();
    check(
        &[open.clone(), span("api", Server, 2, 1)],
        &["service:api 1/0", "service:web 0/0", "service:web -> service:api sync 1/0 parent"],
    );
    check(
        &[open, span("api", Server, 2, 1), span("web", Server, 1, 0)],
        &["service:api 1/0", "service:web 1/0", "service:web -> service:api sync 1/0 parent"],
    );
}

#[test]
fn both_names_of_the_environment_are_read_and_the_newer_wins() {
    let part = observed(&[&[
        span("a", Server, 1, 0).of_environment("deployment.environment", "staging"),
        span("a", Server, 2, 0)
            .of_environment("deployment.environment", "old")
            .of_environment("deployment.environment.name", "production"),
        span("a", Server, 3, 0),
    ]]);
    assert_eq!(part.environments(&MapFilter::ALL), ["production", "staging"]);
    let services = part.services(&ALWAYS);
    assert_eq!((services.len(), services[0].requests), (1, 3));
    assert_eq!(services[0].environments, ["production", "staging"]);
    let only = |environment| MapFilter { environment: Some(environment), ..ALWAYS };
    assert_eq!(lines(&part.view(&only("staging"))), ["service:a 1/0"]);
    assert_eq!(lines(&part.view(&only(""))), ["service:a 1/0"]);
    assert_eq!(lines(&part.view(&only("old"))), [""; 0]);
}

#[test]
fn an_edge_between_environments_belongs_to_the_childs() {
    let part = observed(&[&[
        span("web", Client, 1, 0).of_environment("deployment.environment.name", "blue"),
        span("api", Server, 2, 1).of_environment("deployment.environment.name", "green"),
    ]]);
    let only = |environment| MapFilter { environment: Some(environment), ..ALWAYS };
    assert_eq!(lines(&part.view(&only("blue"))), ["service:web 1/0"]);
    let green =
        ["service:api 1/0", "service:web 0/0", "service:web -> service:api sync 1/0 parent"];
    assert_eq!(lines(&part.view(&only("green"))), green);
}

#[test]
fn a_view_shows_the_minutes_asked_for() {
    let spans: Vec<Span> =
        (0..3).map(|i| span("a", Server, i + 1, 0).at(START + i64::from(i) * MINUTE)).collect();
    let part = observed(&[&spans]);
    let requests = |from, to| {
        let filter = MapFilter { from_unix_nano: from, to_unix_nano: to, environment: None };
        part.services(&filter).first().map_or(0, |service| service.requests)
    };
    assert_eq!(requests(START, START + 3 * MINUTE), 3);
    assert_eq!(requests(START + MINUTE, START + 2 * MINUTE), 1);
    assert_eq!(requests(START + MINUTE - 1, START + MINUTE + 1), 2);
    assert_eq!(requests(START, START), 0);
    assert_eq!(requests(i64::MIN, i64::MAX), 3);
}

#[test]
fn every_ended_span_counts_as_an_operation() {
    let part = observed(&[&[
        span("api", Server, 1, 0).named("GET /").lasting(1_000_000),
        span("api", Server, 2, 0).named("GET /").lasting(3_000_000).failed(),
        span("api", Internal, 3, 1).named("load"),
        span("api", Internal, 4, 1).named("load").open(),
        span("web", Internal, 5, 1).named("other service"),
    ]]);
    let operations = part.operations("api", &ALWAYS);
    let short: Vec<_> =
        operations.iter().map(|o| (o.name.as_str(), o.kind, o.requests, o.errors)).collect();
    assert_eq!(short, [("GET /", Server, 2, 1), ("load", Internal, 1, 0)]);
    assert!((operations[0].p50_nano - 1_000_000).abs() <= 20_000);
    assert!((operations[0].p99_nano - 3_000_000).abs() <= 60_000);
    assert!(part.operations("nobody", &ALWAYS).is_empty());
}

#[test]
fn span_names_beyond_the_cap_are_counted_together() {
    use throughline_topology::{LinkerLimits, OTHER};
    let mut linker = Linker::new(LinkerLimits { operations_max: 2, ..LinkerLimits::default() });
    let spans: Vec<Span> =
        (1..=9).map(|i| span("a", Server, i, 0).named(&format!("GET /{}", i % 5))).collect();
    let part = linker.observe(&[&batch(&spans)]);
    let operations = part.operations("a", &ALWAYS);
    let names: Vec<&str> = operations.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, [OTHER, "GET /1", "GET /2"]);
    assert_eq!(operations.iter().map(|o| o.requests).sum::<u64>(), 9);
    assert_eq!(linker.overflow().operations_folded, 5);
}

#[test]
fn a_full_linker_forgets_the_oldest_and_says_so() {
    use throughline_topology::LinkerLimits;
    let limits = LinkerLimits { spans_max: 64, ..LinkerLimits::default() };
    let mut linker = Linker::new(limits);
    let mut sum = MapPart::default();
    for round in 0..100u8 {
        // 25 pairs a round, so a pair is always within reach.
        let pairs = (1..=25u8).flat_map(|i| {
            [span("web", Client, i * 2, 0), span("api", Server, i * 2 + 1, i * 2)]
                .map(|s| s.in_trace(round + 1))
        });
        sum.merge(&linker.observe(&[&batch(&pairs.collect::<Vec<_>>())]));
    }
    let expected = [
        "service:api 2500/0",
        "service:web 2500/0",
        "service:web -> service:api sync 2500/0 parent",
    ];
    assert_eq!(lines(&sum.view(&ALWAYS)), expected);
    assert_eq!(linker.overflow().spans_forgotten, 5_000 - 64);
    // The first trace is long gone: its client's late server finds nobody.
    let late = linker.observe(&[&batch(&[span("late", Server, 200, 2)])]);
    assert_eq!(lines(&late.view(&ALWAYS)), ["service:late 1/0"]);
}

#[test]
fn names_that_no_remembered_span_uses_make_room() {
    use throughline_topology::LinkerLimits;
    let limits = LinkerLimits { spans_max: 8, names_max: 64, ..LinkerLimits::default() };
    let mut linker = Linker::new(limits);
    let hosts: Vec<&'static str> =
        (0..500).map(|i| &*String::leak(format!("host-{i}.example.com"))).collect();
    let mut sum = MapPart::default();
    for (i, host) in hosts.into_iter().enumerate() {
        let call = span("web", Client, (i % 250 + 1) as u8, 0).with("server.address", host);
        sum.merge(&linker.observe(&[&batch(&[call.in_trace((i / 250 + 1) as u8)])]));
    }
    assert_eq!(linker.overflow().names_folded, 0);
    let map = sum.view(&ALWAYS);
    assert_eq!((map.nodes.len(), map.edges.len()), (501, 500));
}

#[test]
fn the_map_is_written_in_the_words_of_the_api() {
    let part = observed(&[&[kafka("shop", 1, 0), span("mail", Consumer, 2, 1)]]);
    let map = part.view(&ALWAYS);
    assert_eq!(map.nodes[2].system.as_deref(), Some("kafka"));
    assert_eq!((map.nodes[2].kind.word(), map.nodes[2].inferred), ("topic", true));
    assert_eq!((map.nodes[0].kind.word(), map.nodes[0].inferred), ("service", false));
}
