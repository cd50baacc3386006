//! What is pushed down to spans, and that no wanted trace slips through.

use proptest::prelude::*;
use throughline_model::{SpanBatch, SpanKind, merge_pieces, xray};
use throughline_topology::xray::{Annotation, TraceView};

use super::generated;
use super::kit::{S, V, batch, segment, subsegment};
use crate::xray_filter::ast::{Expr, Flag, Literal, NodeSelector, Number, Op, Text};
use crate::xray_filter::candidates::NODE_KEYS;
use crate::xray_filter::{XrayFilter, parse};
use crate::{Query, row};

fn check(text: &str, expected: &str) {
    assert_eq!(parse(text).unwrap().candidates().to_string(), expected, "{text}");
}

#[test]
fn the_best_of_what_is_sure_is_pushed() {
    check("", "");
    check("ok", "");
    check("!fault", "");
    check("duration > 5", "");
    check("annotation.k", "exists span.annotation.k or exists span.k");
    check("annotation.k = \"v\"", "span.annotation.k = \"v\" or span.k = \"v\"");
    check("annotation.k > 2", "span.annotation.k > 2.0 or span.k > 2.0");
    check("annotation.k != 2", "exists span.annotation.k or exists span.k");
    check("user = \"alice\"", "span.enduser.id = \"alice\"");
    check("user = \"alice\" AND ok AND http.status = 200", "span.enduser.id = \"alice\"");
    check("user = \"alice\" OR ok", "");
    check(
        "user = \"alice\" OR user BEGINSWITH \"b.\"",
        "span.enduser.id = \"alice\" or span.enduser.id ~ \"(?s)b\\\\..*\"",
    );
    check("service(\"DynamoDB\")", "");
    check("service(id(type: \"AWS::Lambda\"))", "");
}

/// Whether the filter takes the trace; then a span of it must pass what was pushed down.
fn holds(filter: &XrayFilter, trace: &SpanBatch) -> bool {
    holds_as_pushed(filter, &filter.candidates(), trace)
}

fn holds_as_pushed(filter: &XrayFilter, pushed: &Query, trace: &SpanBatch) -> bool {
    let holds = filter.matches(&TraceView::of(trace));
    if let Some(pushed) = pushed.filter.as_ref().filter(|_| holds) {
        assert!(trace.spans().any(|span| row::matches(pushed, span)), "{filter}\n{pushed}");
    }
    holds
}

#[test]
fn a_node_that_only_its_caller_names_is_found_whatever_attribute_names_it() {
    let filter = parse("service(\"things\")").unwrap();
    let pushed = filter.candidates();
    let mut found = Vec::new();
    let others = [
        ("", V::B(true)),
        ("rpc.system", V::t("aws-api")),
        ("aws.service", V::t("Lambda")),
        ("aws.service", V::t("S3")),
        ("aws.service", V::t("SQS")),
        ("aws.service", V::t("DynamoDB")),
        ("aws.service", V::t("Kinesis")),
        ("aws.service", V::t("Firehose")),
        ("aws.service", V::t("EventBridge")),
        ("aws.service", V::t("SFN")),
        ("aws.service", V::t("SageMaker")),
    ];
    for key in NODE_KEYS {
        for value in ["things", "https://things/", "AWS::things", "a:function:things:1", "things/x"]
        {
            for (other, what) in &others {
                let call = S { xray: "", name: "call".to_owned(), ..segment(2, 1, "web", 5) };
                let call = call.of_kind(SpanKind::Client).with(other, what.clone());
                let trace = batch(&[segment(1, 0, "web", 9), call.with(key, V::t(value))]);
                if holds_as_pushed(&filter, &pushed, &trace) {
                    found.push(key);
                }
            }
            let lost = subsegment(2, 77, "", "call", 5).with(key, V::t(value));
            if holds_as_pushed(&filter, &pushed, &batch(&[lost])) {
                found.push(key);
            }
        }
    }
    found.dedup();
    // A host's address is no name, a function's ARN in a resource is none either.
    assert!(found.len() >= NODE_KEYS.len() - 5, "{found:?}");
}

#[test]
fn own_flags_and_those_of_a_status_are_found() {
    let fault = parse("fault").unwrap();
    let error = parse("error").unwrap();
    let throttle = parse("throttle").unwrap();
    let document = |key: &str| batch(&[segment(1, 0, "a", 5).with(key, V::B(true))]);
    let code = |code: V| {
        let span = S { xray: "", ..segment(1, 0, "a", 5) };
        batch(&[span.with("http.response.status_code", code)])
    };
    for (trace, expected) in [
        (document(xray::FAULT), [true, false, false]),
        (document(xray::ERROR), [false, true, false]),
        (document(xray::THROTTLE), [false, false, true]),
        (code(V::I(503)), [true, false, false]),
        (code(V::t("503")), [true, false, false]),
        (code(V::I(404)), [false, true, false]),
        (code(V::I(429)), [false, true, true]),
        (code(V::I(200)), [false, false, false]),
    ] {
        let found = [&fault, &error, &throttle].map(|filter| holds(filter, &trace));
        assert_eq!(found, expected);
    }
}

/// Filters that take the trace, for what it says.
fn filters_of(view: &TraceView<'_>) -> Vec<Expr> {
    let is = |text, value: &String| Expr::Text(text, Some((Op::Eq, value.clone())));
    let node = |name: &String| NodeSelector { name: Some(name.clone()), ..NodeSelector::default() };
    let any = || Box::new(Expr::ALL);
    let mut filters = Vec::new();
    for entity in &view.entities {
        for (key, value) in &entity.annotations {
            let literal = match value {
                Annotation::Text(text) => Literal::Text(text.clone()),
                Annotation::Number(number) => Literal::Number(*number),
                Annotation::Bool(flag) => Literal::Bool(*flag),
            };
            filters.push(Expr::Annotation(key.clone(), Some((Op::Eq, literal))));
        }
        filters.extend(entity.user.iter().map(|user| is(Text::User, user)));
        filters.extend(entity.resource_arns.iter().map(|arn| is(Text::ResourceArn, arn)));
        filters.extend(entity.instance_id.iter().map(|id| is(Text::InstanceId, id)));
        filters
            .extend(entity.availability_zone.iter().map(|zone| is(Text::AvailabilityZone, zone)));
    }
    for segment in view.segments.iter().map(|place| &view.entities[*place]) {
        let service = &segment.service;
        let names = service.names.iter().chain([&service.name]);
        filters.extend(names.map(|name| Expr::Service(Some(node(name)), any())));
        let mut facts: Vec<Expr> = [
            (Text::HttpUrl, &segment.http_url),
            (Text::HttpMethod, &segment.http_method),
            (Text::HttpUserAgent, &segment.user_agent),
            (Text::HttpClientIp, &segment.client_ip),
        ]
        .into_iter()
        .filter_map(|(text, value)| Some(is(text, value.as_ref()?)))
        .collect();
        let flags = [
            (Flag::Error, segment.error),
            (Flag::Throttle, segment.throttle),
            (Flag::Fault, segment.fault),
        ];
        facts.extend(flags.into_iter().filter(|(_, is)| *is).map(|(f, _)| Expr::Flag(f, true)));
        let status = segment.http_status.map(|code| code as f64);
        facts.extend(status.map(|code| Expr::Number(Number::HttpStatus, Some((Op::Eq, code)))));
        filters.extend(facts.into_iter().map(|fact| Expr::Service(None, Box::new(fact))));
    }
    for edge in &view.edges {
        let name = |place: usize| node(&view.entities[place].service.name);
        let nodes = Box::new((name(edge.from), name(edge.to)));
        filters.push(Expr::Edge(Some(nodes), any()));
    }
    filters
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_trace_slips_through_a_filter_made_of_what_it_says(
        spans in prop::collection::vec(generated::span(), 1..6),
    ) {
        let trace = merge_pieces(&[&batch(&spans)]);
        for expr in filters_of(&TraceView::of(&trace)) {
            let filter = XrayFilter::from(expr);
            prop_assert!(holds(&filter, &trace), "{filter}");
        }
    }

    #[test]
    fn no_wanted_trace_slips_through(
        expr in generated::expr(),
        spans in prop::collection::vec(generated::span(), 0..6),
    ) {
        let trace = merge_pieces(&[&batch(&spans)]);
        holds(&XrayFilter::from(expr), &trace);
    }
}
