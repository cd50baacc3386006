//! Traces as X-Ray sees them: what lies in what, and what is put in for callees that said nothing.

mod xray_support;

use proptest::prelude::*;
use throughline_model::SpanKind::{Client, Consumer, Internal, Producer, Server};
use throughline_model::{AttrValue, merge_pieces};
use throughline_topology::xray::{Annotation, TraceView, adopt_services, inferred_service};
use xray_support::{
    Doc, Value, batch, call, check_tree, id, segment, signup, span, subsegment, tree,
};

#[test]
fn the_signup_lab_is_one_tree_with_a_table_and_a_topic_that_sent_nothing() {
    check_tree(
        &signup(),
        &[
            "signup-app = signup-app (AWS::ElasticBeanstalk::Environment)",
            "  Lambda",
            "    signup = signup (AWS::Lambda)",
            "      signup = signup (AWS::Lambda::Function)",
            "        write entry",
            "          DynamoDB",
            "            DynamoDB = signups (AWS::DynamoDB::Table) inferred",
            "        SNS",
            "          SNS = SNS (AWS::SNS) inferred",
        ],
    );
}

#[test]
fn entities_stand_by_segment_and_refer_to_each_other_by_place() {
    let batch = batch(&signup());
    let view = TraceView::of(&batch);
    assert_eq!(view.root, Some(0));
    assert!(view.segments.iter().all(|at| view.entities[*at].segment == *at));
    for (at, entity) in view.entities.iter().enumerate() {
        assert!(entity.children.iter().all(|child| view.entities[*child].parent == Some(at)));
        if !entity.is_segment {
            assert!(at > entity.segment);
            assert_eq!(entity.service, view.entities[entity.segment].service);
        }
    }
    assert_eq!(view.edges.len(), 4);
    let to_function = view.edges.iter().find(|e| view.entities[e.to].id == id(4)).unwrap();
    assert_eq!(to_function.observed, to_function.to, "its parent is a segment");
    assert_eq!(view.entities[to_function.from].id, id(3));
    let table = view.edges.iter().find(|e| view.entities[e.to].service.name == "signups").unwrap();
    assert_eq!(view.entities[table.observed].id, id(6));
    assert_eq!(view.entities[table.from].service.kind, "AWS::Lambda::Function");
    assert_eq!(view.entities[table.from].service.account, None, "an emulator's account is none");
    assert_eq!(view.duration_nano(), 100 * xray_support::MILLI);
    assert_eq!(view.response_time_nano(), 100 * xray_support::MILLI);
    assert!(!view.is_partial());
}

#[test]
fn an_inferred_segment_has_the_same_id_at_every_reading_and_another_for_every_caller() {
    let docs = [signup(), vec![call("remote", "example.com", 9, 4)]].concat();
    let read = || {
        let batch = batch(&docs);
        let view = TraceView::of(&batch);
        let inferred = view.entities.iter().filter(|e| e.inferred);
        inferred.map(|e| e.id.to_string()).collect::<Vec<_>>()
    };
    let mut ids = read();
    assert_eq!(ids, read());
    assert_eq!(ids.len(), 3);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_callee_that_comes_late_replaces_the_inferred_one() {
    let early = [segment("web", 1, 0), call("remote", "api.example.com", 2, 1)];
    check_tree(
        &early,
        &[
            "web = web ()",
            "  api.example.com",
            "    api.example.com = api.example.com (remote) inferred",
        ],
    );
    check_tree(
        &[&early[..], &[segment("api", 3, 2)]].concat(),
        &["web = web ()", "  api.example.com", "    api = api ()"],
    );
}

#[test]
fn subsegments_of_a_function_that_sends_no_segment_hang_below_one_made_for_it() {
    let leaf = call("aws", "dynamodb", 6, 5).with("aws.table_name", "signups");
    let lost = |parent| subsegment("## write entry", 5, parent).at(0, 50);
    check_tree(
        &[leaf.clone(), lost(4), call("aws", "sns", 7, 4).at(60, 5)],
        &[
            "facade = facade (AWS::Lambda::Function) synthetic",
            "  ## write entry",
            "    dynamodb",
            "      dynamodb = signups (AWS::DynamoDB::Table) inferred",
            "  sns",
            "    sns = SNS (AWS::SNS) inferred",
        ],
    );
    let docs = [leaf.clone()];
    let batch = batch(&docs);
    let view = TraceView::of(&batch);
    let facade = view.root_entity().unwrap();
    assert_eq!((facade.id, facade.synthetic, facade.span.is_none()), (id(5), true, true));
    // The real one comes: nothing of the stand-in is left.
    check_tree(
        &[leaf, lost(4), segment("signup", 4, 0).origin("AWS::Lambda::Function").at(0, 100)],
        &[
            "signup = signup (AWS::Lambda::Function)",
            "  ## write entry",
            "    dynamodb",
            "      dynamodb = signups (AWS::DynamoDB::Table) inferred",
        ],
    );
}

#[test]
fn the_one_function_without_a_segment_answers_the_one_invocation_without_a_function() {
    let docs: Vec<Doc> = signup().into_iter().filter(|doc| ![3, 4].contains(&doc.id)).collect();
    check_tree(
        &docs,
        &[
            "signup-app = signup-app (AWS::ElasticBeanstalk::Environment)",
            "  Lambda",
            "    Lambda = signup (AWS::Lambda) inferred",
            "      signup = signup (AWS::Lambda::Function) synthetic",
            "        write entry",
            "          DynamoDB",
            "            DynamoDB = signups (AWS::DynamoDB::Table) inferred",
            "        SNS",
            "          SNS = SNS (AWS::SNS) inferred",
        ],
    );
    // A function that invokes another is not its own callee.
    check_tree(
        &[call("aws", "Lambda", 2, 9).with("aws.function_name", "next")],
        &[
            "facade = facade (AWS::Lambda::Function) synthetic",
            "  Lambda",
            "    Lambda = next (AWS::Lambda) inferred",
        ],
    );
}

#[test]
fn a_function_made_here_is_named_by_what_its_subsegments_know() {
    let arn = "arn:aws:lambda:us-east-1:1:function:resize:7";
    check_tree(
        &[subsegment("work", 2, 9).with("aws.function_arn", arn)],
        &["resize = resize (AWS::Lambda::Function) synthetic", "  work"],
    );
    // A span of OpenTelemetry below the same parent knows the function's name and lies in it.
    check_tree(
        &[subsegment("work", 2, 9), span("resize", Internal, 3, 9).of("faas.name", "resize")],
        &["resize = resize (AWS::Lambda::Function) synthetic", "  work", "  internal"],
    );
}

#[test]
fn a_finished_document_wins_over_the_same_in_progress() {
    let open = segment("web", 1, 0).open();
    check_tree(std::slice::from_ref(&open), &["web = web () open"]);
    check_tree(&[open, segment("web", 1, 0).at(0, 20)], &["web = web ()"]);
    let embedded = Doc { kind: Internal, ..call("aws", "SNS", 2, 1).open() };
    check_tree(
        &[segment("web", 1, 0), embedded, call("aws", "SNS", 2, 1)],
        &["web = web ()", "  SNS", "    SNS = SNS (AWS::SNS) inferred"],
    );
}

#[test]
fn an_inferred_segment_that_was_sent_is_the_resource_it_names() {
    let sent = segment("DynamoDB", 3, 2)
        .origin("AWS::DynamoDB::Table")
        .with("xray.inferred", true)
        .with("aws.table_name", "signups");
    check_tree(
        &[segment("web", 1, 0), call("aws", "DynamoDB", 2, 1), sent],
        &["web = web ()", "  DynamoDB", "    DynamoDB = signups (AWS::DynamoDB::Table) inferred"],
    );
    let api = segment("api", 3, 2).with("xray.inferred", true);
    check_tree(
        &[segment("web", 1, 0), call("remote", "api", 2, 1), api],
        &["web = web ()", "  api", "    api = api (remote) inferred"],
    );
}

#[test]
fn parents_that_go_round_are_cut_once() {
    check_tree(
        &[segment("a", 1, 2).at(0, 9), segment("b", 2, 3).at(1, 9), segment("c", 3, 1).at(2, 9)],
        &["a = a ()", "  c = c ()", "    b = b ()"],
    );
    // Where the way comes in from outside, the loop still opens at its earliest.
    check_tree(
        &[
            segment("a", 1, 2).at(1, 9),
            segment("b", 2, 3).at(2, 9),
            segment("c", 3, 1).at(3, 9),
            segment("d", 4, 2).at(0, 9),
        ],
        &["a = a ()", "  c = c ()", "    b = b ()", "      d = d ()"],
    );
    check_tree(&[subsegment("a", 1, 1)], &["a = a ()"]);
    check_tree(
        &[subsegment("a", 1, 2).at(0, 9), subsegment("b", 2, 1).at(1, 9)],
        &["a = a ()", "  b"],
    );
}

#[test]
fn spans_of_opentelemetry_start_segments_where_a_service_is_entered() {
    check_tree(
        &[
            span("web", Server, 1, 0).at(0, 100),
            span("web", Internal, 2, 1).at(1, 90),
            span("web", Client, 3, 2).with("server.address", "api").at(2, 80),
            span("api", Server, 4, 3).of("cloud.platform", "aws_ec2").at(3, 70),
            span("api", Client, 5, 4)
                .with("db.system.name", "postgresql")
                .with("db.namespace", "orders")
                .with("server.address", "db.local")
                .at(4, 10),
            span("api", Producer, 6, 4).with("messaging.destination.name", "paid").at(20, 1),
            span("mail", Internal, 7, 4).at(30, 1),
            span("api", Consumer, 8, 4).of("cloud.platform", "aws_ec2").at(40, 1),
        ],
        &[
            "web = web ()",
            "  internal",
            "    api",
            "      api = api (AWS::EC2::Instance)",
            "        orders@db.local",
            "          orders@db.local = orders@db.local (Database::SQL) inferred",
            "        paid",
            "          paid = paid (remote) inferred",
            "        mail = mail ()",
            "        api = api (AWS::EC2::Instance)",
        ],
    );
}

#[test]
fn a_span_of_opentelemetry_whose_parent_is_lost_is_a_segment() {
    let docs = [span("web", Internal, 2, 99)];
    check_tree(&docs, &["web = web ()"]);
    let batch = batch(&docs);
    assert!(TraceView::of(&batch).is_partial());
}

#[test]
fn a_span_below_a_document_of_the_same_service_lies_in_it() {
    check_tree(
        &[segment("fn", 1, 0).at(0, 9), span("fn", Internal, 2, 1), span("db", Internal, 3, 1)],
        &["fn = fn ()", "  internal", "  db = db ()"],
    );
}

#[test]
fn both_sides_of_a_shared_id_are_caller_and_callee() {
    check_tree(
        &[
            span("web", Server, 1, 0).at(0, 9),
            span("web", Client, 2, 1).with("peer.service", "api").at(1, 8),
            span("api", Server, 2, 1).at(2, 5),
            span("api", Internal, 3, 2).at(3, 1),
        ],
        &["web = web ()", "  api", "    api = api ()", "      internal"],
    );
}

#[track_caller]
fn check_flags(doc: Doc, expected: &str) {
    check_tree(&[doc], &[expected]);
}

#[test]
fn the_http_code_of_a_span_wins_over_its_status() {
    let server = |code: i64| span("s", Server, 1, 0).with("http.response.status_code", code);
    check_flags(server(200), "s = s ()");
    check_flags(server(404).failed(), "s = s () error");
    check_flags(server(429), "s = s () error throttle");
    check_flags(server(503), "s = s () fault");
    check_flags(span("s", Server, 1, 0).with("http.status_code", "500"), "s = s () fault");
    check_flags(span("s", Server, 1, 0).failed(), "s = s () fault");
    check_flags(segment("s", 1, 0).with("xray.error", true).failed(), "s = s () error");
}

#[track_caller]
fn check_callee(doc: Doc, expected: &str) {
    let batch = batch(&[doc]);
    let callee = inferred_service(batch.span(0));
    let text = callee.map(|c| format!("{} {} {:?}", c.kind, c.names.join(" "), c.resource_names));
    assert_eq!(text.as_deref().unwrap_or("none"), expected);
}

#[test]
fn a_call_tells_the_resource_it_goes_to() {
    let aws = |name: &str| call("aws", name, 2, 1);
    let url = "http://127.0.0.1:12566/123456789012/orders";
    let tables = |names: &[&'static str]| Value::Texts(names.to_vec());
    check_callee(aws("dynamodb").with("aws.table_name", "t"), "AWS::DynamoDB::Table t [\"t\"]");
    check_callee(
        aws("DynamoDB").with("aws.table_names", tables(&["t"])),
        "AWS::DynamoDB::Table t [\"t\"]",
    );
    check_callee(
        aws("AmazonDynamoDBv2").with("aws.table_names", tables(&["t", "u"])),
        "AWS::DynamoDB DynamoDB []",
    );
    check_callee(aws("S3").with("aws.bucket_name", "b"), "AWS::S3::Bucket b [\"b\"]");
    check_callee(aws("sns").with("aws.topic_arn", "arn:aws:sns:r:1:t"), "AWS::SNS SNS []");
    check_callee(
        aws("sqs").with("aws.queue_url", url),
        &format!("AWS::SQS::Queue orders {url} [\"orders\"]"),
    );
    check_callee(aws("SQS"), "AWS::SQS SQS []");
    check_callee(aws("lambda").with("aws.function_name", "f"), "AWS::Lambda f [\"f\"]");
    check_callee(aws("EventBridge"), "AWS::Events Events []");
    check_callee(aws("monitoring"), "AWS::monitoring monitoring []");
    check_callee(call("remote", "example.com", 2, 1), "remote example.com []");
    check_callee(
        call("remote", "shop@db", 2, 1).with("db.system.name", "mysql"),
        "Database::SQL shop@db []",
    );
    check_callee(subsegment("q", 2, 1).with("db.query.text", "select"), "Database::SQL q []");
    check_callee(call("local", "work", 2, 1), "none");
    check_callee(segment("web", 1, 0), "none");
    let client = |key: &str, value: &str| span("s", Client, 1, 0).with(key, value);
    check_callee(
        client("rpc.system", "aws-api")
            .with("rpc.service", "DynamoDB")
            .with("aws.dynamodb.table_names", tables(&["t"])),
        "AWS::DynamoDB::Table t [\"t\"]",
    );
    check_callee(client("url.full", "https://API.example.com/v1"), "remote api.example.com []");
    check_callee(client("db.system", "redis"), "remote redis []");
    check_callee(span("s", Internal, 1, 0), "none");
    check_callee(span("s", Server, 1, 0).with("peer.service", "x"), "none");
}

#[test]
fn an_entity_says_what_its_document_said() {
    let docs = [segment("web", 1, 0)
        .of("aws.ec2.instance_id", "i-1")
        .of("aws.ec2.availability_zone", "eu-1a")
        .of("cloud.account.id", "123456789012")
        .with("annotation.plan", "gold")
        .with("annotation.size", 3)
        .with("enduser.id", "eve")
        .with("xray.resource_arn", "arn:x")
        .with("http.request.method", "GET")
        .with("url.full", "http://web/")];
    let batch = batch(&docs);
    let view = TraceView::of(&batch);
    let web = view.root_entity().unwrap();
    assert_eq!(web.instance_id.as_deref(), Some("i-1"));
    assert_eq!(web.availability_zone.as_deref(), Some("eu-1a"));
    assert_eq!(web.service.account.as_deref(), Some("123456789012"));
    assert_eq!(web.annotations["plan"], Annotation::Text("gold".into()));
    assert_eq!(web.annotations["size"], Annotation::Number(3.0));
    assert_eq!(web.annotations.len(), 2);
    assert_eq!((web.user.as_deref(), &web.resource_arns[..]), (Some("eve"), &["arn:x".into()][..]));
    assert_eq!(
        (web.http_method.as_deref(), web.http_url.as_deref()),
        (Some("GET"), Some("http://web/"))
    );
}

#[test]
fn subsegments_sent_alone_adopt_the_resource_of_their_segment() {
    let adopted = adopt_services(&batch(&signup()));
    let services: Vec<_> = adopted.spans().map(|span| span.service()).collect();
    assert_eq!(services[0..4], ["signup-app", "signup-app", "signup", "signup"]);
    assert_eq!(services[4..], ["signup", "signup", "signup"]);
    let origin = adopted.span(5).resource().attributes().value("xray.origin");
    assert_eq!(origin, Some(AttrValue::Str("AWS::Lambda::Function")));
    let docs = [subsegment("work", 5, 4), call("aws", "S3", 6, 5)];
    let adopted = adopt_services(&batch(&docs));
    assert!(adopted.spans().all(|span| span.service() == "facade"));
    let again = TraceView::of(&adopted);
    assert_eq!(tree(&again), tree(&TraceView::of(&batch(&docs))));
    let plain = batch(&[segment("web", 1, 0)]);
    assert_eq!(adopt_services(&plain).resource_count(), plain.resource_count());
}

#[test]
fn a_chain_and_a_fan_of_many_spans_are_read() {
    const COUNT: u64 = 100_000;
    let chain: Vec<Doc> = (1..=COUNT).map(|n| call("remote", "x", n, n - 1)).collect();
    let chain = batch(&[&[segment("top", COUNT + 1, 0)][..], &chain[1..]].concat());
    let view = TraceView::of(&chain);
    assert_eq!(view.entities.len(), 2 * COUNT as usize);
    let views = [view];
    assert_eq!(throughline_topology::xray::trace_graph(&views).services.len(), 5);
    const FEWER: u64 = 20_000;
    let fan: Vec<Doc> = (2..=FEWER).map(|n| call("remote", "x", n, 1)).collect();
    let fan = batch(&[&[segment("top", 1, 0)][..], &fan].concat());
    assert_eq!(TraceView::of(&fan).entities.len(), 2 * FEWER as usize - 1);
    let segments: Vec<Doc> = (1..=FEWER).map(|n| segment("x", n, n - 1)).collect();
    let segments = batch(&segments);
    let view = TraceView::of(&segments);
    assert_eq!(view.edges.len(), FEWER as usize - 1);
    let kind = throughline_topology::xray::CauseKind::ResponseTime;
    assert_eq!(view.root_causes(kind).len(), 1);
}

/// Any documents and spans, with few ids so that they meet.
fn docs() -> impl Strategy<Value = Vec<Doc>> {
    let doc = (0..7_u8, 1..9_u64, 0..12_u64, 0..40_i64, 0..3_i64).prop_map(
        |(what, id, parent, start, length)| {
            let doc = match what {
                0 => segment("web", id, parent),
                1 => segment("fn", id, parent).origin("AWS::Lambda"),
                2 => subsegment("work", id, parent),
                3 => call("aws", "Lambda", id, parent).with("aws.function_name", "fn"),
                4 => call("remote", "api", id, parent),
                5 => span("web", Client, id, parent).with("peer.service", "api"),
                _ => span("api", Server, id, parent),
            };
            let doc = doc.at(start, length);
            if length == 0 { doc.open() } else { doc }
        },
    );
    proptest::collection::vec(doc, 0..16)
}

proptest! {
    #[test]
    fn any_order_of_spans_gives_the_same_view(docs in docs(), seed in any::<u64>()) {
        let whole = merge_pieces(&[&batch(&docs)]);
        let view = TraceView::of(&whole);
        // The pieces once more, shuffled: each is found by its row.
        let mut order: Vec<usize> = (0..whole.len()).collect();
        let mut state = seed;
        for at in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            order.swap(at, (state >> 33) as usize % (at + 1));
        }
        let mut builder = throughline_model::SpanBatchBuilder::default();
        let mut owners = throughline_model::Owners::default();
        for row in order {
            owners.make_current(whole.span(row), &mut builder);
            builder.copy_span(whole.span(row));
        }
        let shuffled = builder.finish();
        let again = TraceView::of(&shuffled);
        prop_assert_eq!(tree(&again), tree(&view));
        prop_assert_eq!(&again.edges, &view.edges);
        prop_assert_eq!(&again.segments, &view.segments);
        prop_assert_eq!(again.root, view.root);
        // Nothing is lost, nothing is in two places, and all of it hangs together.
        prop_assert_eq!(tree(&view).len(), view.entities.len());
        prop_assert!(view.entities.iter().all(|e| view.entities[e.segment].is_segment));
        let graph = |view: TraceView<'_>| throughline_topology::xray::trace_graph(&[view]);
        prop_assert_eq!(graph(view), graph(again));
        let adopted = adopt_services(&whole);
        prop_assert_eq!(adopted.len(), whole.len());
    }
}
