//! Graphs of whole traces: nodes, edges, clients and links, each request counted once.

mod xray_support;

use throughline_model::SpanKind::{Client, Consumer, Producer, Server};
use throughline_topology::xray::{CauseKind, RootCause, TraceView};
use xray_support::{
    Doc, MILLI, START, Value, Words, batch, call, check_graph, graph, segment, signup, span,
    subsegment,
};

#[test]
fn the_signup_lab_is_client_app_two_nodes_of_lambda_table_and_topic() {
    check_graph(
        &signup(),
        &[
            "SNS (AWS::SNS) 1/0/0/0",
            "signup (AWS::Lambda) 1/0/0/0 active",
            "-> signup (AWS::Lambda::Function) 1/0/0/0",
            "signup (AWS::Lambda::Function) 1/0/0/0 active",
            "-> SNS (AWS::SNS) 1/0/0/0",
            "-> signups (AWS::DynamoDB::Table) 1/0/0/0",
            "signup-app (AWS::ElasticBeanstalk::Environment) 1/0/0/0 root active",
            "-> signup (AWS::Lambda) 1/0/0/0",
            "signup-app (client)",
            "-> signup-app (AWS::ElasticBeanstalk::Environment) 1/0/0/0",
            "signups (AWS::DynamoDB::Table) 1/0/0/0",
        ],
    );
}

#[test]
fn the_edge_of_a_client_says_what_its_root_says() {
    let web = |n: u64, length: i64, flag: &str| {
        segment("web", n, 0).in_trace(n as u8).at(n as i64, length).with(flag, true)
    };
    let docs = [
        web(1, 100, ""),
        web(2, 100, "xray.error"),
        web(3, 40, "xray.fault").with("xray.error", true),
        web(4, 7, "xray.throttle").with("xray.error", true),
    ];
    check_graph(&docs, &["web () 1/1/1/1 root active", "web (client)", "-> web () 1/1/1/1"]);
    let graph = graph(&docs);
    let (root, client) = (&graph.services[0], &graph.services[1]);
    assert_eq!(Some(&client.edges[0].statistics), root.statistics.as_ref());
    let statistics = root.statistics.as_ref().unwrap();
    assert_eq!(statistics.total(), 4);
    assert_eq!(statistics.total_response_nano, 247 * MILLI);
    let times: Vec<_> = statistics.response_times.clone().into_iter().collect();
    assert_eq!(times, [(7 * MILLI, 1), (40 * MILLI, 1), (100 * MILLI, 2)]);
    assert_eq!((root.start_unix_nano, root.end_unix_nano), (START + MILLI, START + 102 * MILLI));
}

#[test]
fn a_late_callee_counts_instead_of_the_inferred_one_and_the_edge_stays_the_callers() {
    let early = [segment("web", 1, 0), call("remote", "api", 2, 1).at(0, 50)];
    check_graph(
        &early,
        &[
            "api (remote) 1/0/0/0",
            "web () 1/0/0/0 root active",
            "-> api (remote) 1/0/0/0",
            "web (client)",
            "-> web () 1/0/0/0",
        ],
    );
    let late = segment("api", 3, 2).at(10, 20).with("xray.fault", true);
    let docs = [&early[..], &[late]].concat();
    check_graph(
        &docs,
        &[
            "api () 0/0/0/1 active",
            "web () 1/0/0/0 root active",
            "-> api () 1/0/0/0",
            "web (client)",
            "-> web () 1/0/0/0",
        ],
    );
    let graph = graph(&docs);
    assert_eq!(graph.services[0].statistics.as_ref().unwrap().total_response_nano, 20 * MILLI);
    assert_eq!(graph.services[1].edges[0].statistics.total_response_nano, 50 * MILLI);
}

#[test]
fn orphans_of_a_function_give_one_connected_graph() {
    check_graph(
        &[
            call("aws", "dynamodb", 6, 5).with("aws.table_name", "signups"),
            subsegment("## write entry", 5, 4),
        ],
        &[
            "facade (AWS::Lambda::Function) 1/0/0/0 root active",
            "-> signups (AWS::DynamoDB::Table) 1/0/0/0",
            "facade (client)",
            "-> facade (AWS::Lambda::Function) 1/0/0/0",
            "signups (AWS::DynamoDB::Table) 1/0/0/0",
        ],
    );
}

#[test]
fn a_request_in_progress_is_drawn_but_not_counted() {
    check_graph(
        &[segment("web", 1, 0).open()],
        &["web () 0/0/0/0 root active", "web (client)", "-> web () 0/0/0/0"],
    );
}

#[track_caller]
fn check_calls(parts: &[Doc], expected: &str) {
    let docs = [&[segment("web", 1, 0).at(0, 1_000)][..], parts].concat();
    let graph = graph(&docs);
    let web = graph.services.iter().find(|s| s.root).expect("a root");
    let calls = web.edges.iter().map(|edge| {
        let (id, total) = (&graph.services[edge.to].id, edge.statistics.total_response_nano);
        format!("{} {}x {}ms", id.name, edge.statistics.total(), total / MILLI)
    });
    assert_eq!(calls.collect::<Vec<_>>().join(", "), expected);
}

#[test]
fn the_parts_of_one_http_request_are_one_call() {
    let http = |id, parent, method: &str, status: i64, at, length| {
        let doc = call("remote", "api", id, parent).at(at, length);
        let doc = doc.with("http.request.method", method).with("url.full", "http://api/x");
        if status == 0 { doc } else { doc.with("http.response.status_code", status) }
    };
    let parts = |parent| {
        vec![
            http(11, parent, "GET", 0, 1, 5),
            http(12, parent, "GET", 200, 6, 30),
            http(13, parent, "READ", 200, 36, 2),
            http(14, parent, "READ", 200, 38, 2),
        ]
    };
    check_calls(&parts(1), "api 1x 30ms");
    // Two requests are two.
    let second = [http(21, 1, "GET", 0, 51, 5), http(22, 1, "GET", 200, 56, 10)];
    check_calls(&[&parts(1)[..], &second].concat(), "api 2x 40ms");
    // Around them the call of another library, for itself or answered.
    let around = http(10, 1, "GET", 200, 0, 50);
    check_calls(&[&parts(10)[..], std::slice::from_ref(&around)].concat(), "api 1x 50ms");
    let answer = segment("api-service", 30, 10);
    check_calls(&[&parts(10)[..], &[around, answer]].concat(), "api-service 1x 50ms");
    // One that never got an answer is a call all the same.
    check_calls(&[http(11, 1, "GET", 0, 1, 5)], "api 1x 5ms");
    check_calls(&[http(13, 1, "READ", 200, 36, 2)], "");
}

#[test]
fn the_outermost_of_nested_spans_speaks_for_the_call() {
    let aws = span("web", Client, 2, 1).with("rpc.system", "aws-api").with("rpc.service", "S3");
    let http = span("web", Client, 3, 2).with("server.address", "s3.amazonaws.com");
    let web = span("web", Server, 1, 0);
    let counted = [
        "S3 (AWS::S3) 1/0/0/0",
        "web () 1/0/0/0 root active",
        "-> S3 (AWS::S3) 1/0/0/0",
        "web (client)",
        "-> web () 1/0/0/0",
    ];
    check_graph(&[web.clone(), aws, http.clone()], &counted);
    let around = span("web", Client, 2, 1).with("peer.service", "files");
    check_graph(
        &[web, around, http, span("files", Server, 4, 3)],
        &[
            "files () 1/0/0/0 active",
            "web () 1/0/0/0 root active",
            "-> files () 1/0/0/0",
            "web (client)",
            "-> web () 1/0/0/0",
        ],
    );
}

#[test]
fn more_than_a_hundred_response_times_keep_three_digits() {
    let docs: Vec<Doc> = (1..=200).map(|n| segment("web", n, 0).at(0, 1_000 + n as i64)).collect();
    let graph = graph(&docs);
    let statistics = graph.services[0].statistics.as_ref().unwrap();
    assert_eq!(statistics.response_times.len(), 21);
    assert_eq!(statistics.response_times.values().sum::<u64>(), 200);
    assert!(statistics.response_times.keys().all(|nanos| nanos % (10 * MILLI) == 0));
    let exact = (1..=200).map(|n| 1_000 + n).sum::<i64>() * MILLI;
    assert_eq!(statistics.total_response_nano, exact);
}

fn reserved(kind: &'static str) -> Words {
    let received = (START + 500 * MILLI) as f64 / 1e9;
    vec![
        ("reference_type", kind.into()),
        ("type", "AWS::Lambda".into()),
        ("names", Value::Texts(vec!["consumer"])),
        ("received_event_end_time", Value::Double(received)),
    ]
}

fn producer() -> [Doc; 2] {
    let sends = call("aws", "SQS", 2, 1).with("aws.queue_url", "http://sqs/1/orders").at(10, 10);
    [segment("shop", 1, 0), sends]
}

#[test]
fn a_link_leads_from_the_queue_to_the_consumer_once_though_both_sides_tell() {
    let [shop, sends] = producer();
    let consumer = segment("consumer", 5, 0).in_trace(2).origin("AWS::Lambda").at(500, 30);
    let tells = |links: [bool; 2]| {
        let (sends, consumer) = (sends.clone(), consumer.clone());
        let sends = if links[0] { sends.linked(2, 5, &reserved("child")) } else { sends };
        let consumer = if links[1] { consumer.linked(1, 2, &reserved("parent")) } else { consumer };
        [shop.clone(), sends, consumer]
    };
    for docs in [tells([true, false]), tells([false, true]), tells([true, true])] {
        check_graph(
            &docs,
            &[
                "consumer (AWS::Lambda) 1/0/0/0 active",
                "orders (AWS::SQS::Queue) 1/0/0/0",
                "-> consumer (AWS::Lambda) 1/0/0/0 link",
                "shop () 1/0/0/0 root active",
                "-> orders (AWS::SQS::Queue) 1/0/0/0",
                "shop (client)",
                "-> shop () 1/0/0/0",
            ],
        );
        let graph = graph(&docs);
        let age: Vec<_> = graph.services[1].edges[0].statistics.response_times.iter().collect();
        assert_eq!(age, [(&(480 * MILLI), &1)]);
    }
}

#[test]
fn a_link_to_a_trace_that_is_not_given_names_the_consumer_itself() {
    let [shop, sends] = producer();
    let docs = [shop, sends.linked(2, 5, &reserved("child"))];
    let graph = graph(&docs);
    let link = graph.services.iter().flat_map(|s| &s.edges).find(|e| e.is_link).unwrap();
    let consumer = &graph.services[link.to];
    assert_eq!((&*consumer.id.name, &*consumer.id.kind), ("consumer", "AWS::Lambda"));
    let age: Vec<_> = link.statistics.response_times.iter().collect();
    assert_eq!(age, [(&(480 * MILLI), &1)]);
}

#[test]
fn a_span_link_points_from_the_consumer_to_the_producer() {
    check_graph(
        &[
            span("shop", Producer, 1, 0).with("messaging.destination.name", "orders"),
            span("mail", Consumer, 2, 0).in_trace(2).linked(1, 1, &[]),
        ],
        &[
            "mail () 1/0/0/0 active",
            "orders (remote) 1/0/0/0",
            "-> mail () 1/0/0/0 link",
            "shop () 1/0/0/0 root active",
            "-> orders (remote) 1/0/0/0",
            "shop (client)",
            "-> shop () 1/0/0/0",
        ],
    );
}

fn ways(causes: &[RootCause]) -> Vec<String> {
    let way = |cause: &RootCause| {
        let services = cause.services.iter().map(|service| {
            let entities: Vec<_> = service.entities.iter().map(|e| e.name.as_str()).collect();
            let inferred = if service.inferred { "?" } else { "" };
            format!("{}{inferred}[{}]", service.service.name, entities.join(" "))
        });
        let impact = if cause.client_impacting { "!" } else { "" };
        format!("{}{impact}", services.collect::<Vec<_>>().join(" "))
    };
    causes.iter().map(way).collect()
}

#[test]
fn a_root_cause_is_the_way_to_the_deepest_of_the_same_trouble() {
    let fault = |doc: Doc| doc.with("xray.fault", true);
    let docs = [
        fault(segment("web", 1, 0)),
        fault(call("remote", "api", 2, 1)).with("xray.cause", "{\"id\": \"0000000000000005\"}"),
        fault(segment("api", 3, 2)),
        subsegment("load", 4, 3),
        fault(call("aws", "dynamodb", 5, 4)).with("aws.table_name", "t").throwing(
            "e1",
            "Busy",
            "try later",
        ),
        fault(call("remote", "other", 6, 1)),
    ];
    let batch = batch(&docs);
    let view = TraceView::of(&batch);
    let causes = view.root_causes(CauseKind::Fault);
    assert_eq!(ways(&causes), ["web[web api] api[api load dynamodb] t?[dynamodb]!"]);
    let table = &causes[0].services[2].entities[0];
    assert_eq!(table.exceptions[0].message, "try later");
    assert_eq!(causes[0].services[0].entities[1].exceptions[0].name, "Busy", "by reference");
    assert!(causes[0].services[0].entities[1].remote);
    assert!(view.root_causes(CauseKind::Error).is_empty());
}

#[test]
fn a_failure_that_the_root_survived_impacts_no_client() {
    let docs = [segment("web", 1, 0), call("aws", "sns", 2, 1).with("xray.error", true)];
    let batch = batch(&docs);
    let causes = TraceView::of(&batch).root_causes(CauseKind::Error);
    assert_eq!(ways(&causes), ["web[web sns] SNS?[sns]"]);
}

#[test]
fn slowness_follows_whoever_took_at_least_half() {
    let docs = [
        segment("web", 1, 0).at(0, 100),
        call("remote", "api", 2, 1).at(5, 80),
        segment("api", 3, 2).at(10, 70),
        subsegment("quick", 4, 3).at(11, 5),
        call("remote", "other", 5, 1).at(5, 10),
    ];
    let batch = batch(&docs);
    let causes = TraceView::of(&batch).root_causes(CauseKind::ResponseTime);
    assert_eq!(ways(&causes), ["web[web api] api[api]!"]);
    let coverage = |at: usize| causes[0].services[at].entities.last().unwrap().coverage;
    assert_eq!((coverage(0), coverage(1)), (0.8, 0.7));
}
