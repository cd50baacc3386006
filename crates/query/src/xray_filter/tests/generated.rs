//! Filters and traces of all kinds, from few names and values so that they often meet.

use proptest::prelude::*;
use proptest::sample::select;
use throughline_model::{SpanKind, StatusCode, xray};
use throughline_topology::xray::CauseKind;

use super::kit::{S, V};
use crate::xray_filter::ast::{Expr, Flag, GroupBy, Literal, NodeSelector, Number, Op, Part, Text};

const TEXTS: [&str; 14] = [
    "a",
    "shop",
    "Shop",
    "orders",
    "DynamoDB",
    "facade",
    "db@host",
    "arn:aws:lambda:eu:1:function:shop:3",
    "http://shop/a",
    "https://queue/1/orders",
    "500",
    "+0404",
    "with \"quotes\" \\",
    "",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![9 => select(TEXTS.to_vec()).prop_map(str::to_owned), 1 => "(?s).{0,5}"]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        select(vec![0.0, 1.0, -1.5, 200.0, 404.0, 429.0, 500.0, 503.0, 9_007_199_254_740_992.0]),
        any::<f64>().prop_filter("finite", |number| number.is_finite()),
    ]
}

fn op_of_numbers() -> impl Strategy<Value = Op> {
    select(vec![Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge])
}

fn op_of_texts() -> impl Strategy<Value = Op> {
    select(vec![Op::Eq, Op::Ne, Op::Contains, Op::BeginsWith, Op::EndsWith])
}

fn node() -> impl Strategy<Value = NodeSelector> {
    let kinds = select(vec!["", "AWS::DynamoDB", "AWS::DynamoDB::Table", "remote", "client"]);
    let rest = (
        prop::option::weighted(0.2, kinds.prop_map(str::to_owned)),
        prop::option::weighted(0.1, text()),
    );
    (prop::option::weighted(0.9, text()), rest).prop_map(|(name, (kind, account))| {
        let name =
            if kind.is_none() && account.is_none() { name.or(Some("a".into())) } else { name };
        NodeSelector { name, kind, account }
    })
}

fn term() -> impl Strategy<Value = Expr> {
    let words = |words: &[(&'static str, Text)]| words.iter().map(|(_, w)| *w).collect::<Vec<_>>();
    let flags = Flag::WORDS.map(|(_, flag)| flag).to_vec();
    let numbers = Number::WORDS.map(|(_, number)| number).to_vec();
    let key = prop_oneof![
        select(vec!["k", "enduser.id", "annotation.k", "a b"]).prop_map(str::to_owned),
        "\\PC{1,4}"
    ];
    let annotation_test = prop_oneof![
        (prop_oneof![op_of_texts(), op_of_numbers()], text())
            .prop_map(|(op, text)| (op, Literal::Text(text))),
        (op_of_numbers(), number()).prop_map(|(op, number)| (op, Literal::Number(number))),
        (select(vec![Op::Eq, Op::Ne]), any::<bool>()).prop_map(|(op, b)| (op, Literal::Bool(b))),
    ];
    prop_oneof![
        3 => (select(flags), any::<bool>()).prop_map(|(flag, wanted)| Expr::Flag(flag, wanted)),
        2 => (select(numbers), prop::option::of((op_of_numbers(), number())))
            .prop_map(|(number, test)| Expr::Number(number, test)),
        4 => (select(words(&Text::WORDS)), prop::option::of((op_of_texts(), text())))
            .prop_map(|(text, test)| Expr::Text(text, test)),
        3 => (key, prop::option::of(annotation_test))
            .prop_map(|(key, test)| Expr::Annotation(key, test)),
        3 => prop::option::of(node()).prop_map(|node| Expr::Service(node, Box::new(Expr::ALL))),
        1 => (select(vec![GroupBy::Name, GroupBy::Arn]), text(), any::<bool>())
            .prop_map(|(by, name, wanted)| Expr::Group(by, name, wanted)),
        1 => (prop::option::of(kind()), any::<bool>()).prop_map(|(kind, wanted)| {
            let cause = serde_json::json!({"Services": [{"Name": "shop"}], "ClientImpacting": true});
            Expr::CauseJson(kind, vec![cause], wanted)
        }),
    ]
}

fn kind() -> impl Strategy<Value = CauseKind> {
    select(vec![CauseKind::Fault, CauseKind::Error, CauseKind::ResponseTime])
}

pub(super) fn expr() -> impl Strategy<Value = Expr> {
    term().prop_recursive(4, 24, 4, |inner| {
        let part = select(vec![Part::Service, Part::Entity, Part::Exception]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
            (prop::option::of(node()), inner.clone())
                .prop_map(|(node, inner)| Expr::Service(node, Box::new(inner))),
            (prop::option::of((node(), node())), inner.clone())
                .prop_map(|(nodes, inner)| Expr::Edge(nodes.map(Box::new), Box::new(inner))),
            (kind(), part, inner).prop_map(|(kind, part, inner)| Expr::Cause(
                kind,
                part,
                Box::new(inner)
            )),
        ]
    })
}

/// Keys that something is read from, and a few more.
const KEYS: [&str; 48] = [
    "k",
    "annotation.k",
    xray::ERROR,
    xray::FAULT,
    xray::THROTTLE,
    xray::INFERRED,
    xray::NAMESPACE,
    xray::NAMESPACE,
    xray::RESOURCE_ARN,
    "enduser.id",
    "http.response.status_code",
    "http.status_code",
    "url.full",
    "http.url",
    "url.path",
    "url.scheme",
    "http.target",
    "http.host",
    "http.request.method",
    "user_agent.original",
    "client.address",
    "network.peer.address",
    "aws.table_name",
    "aws.table_names",
    "aws.bucket_name",
    "aws.queue_url",
    "aws.function_name",
    "aws.function_arn",
    "aws.state_machine_arn",
    "aws.lambda.invoked_arn",
    "aws.remote.service",
    "aws.service",
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "peer.service",
    "service.peer.name",
    "server.address",
    "net.peer.name",
    "db.system.name",
    "db.namespace",
    "db.query.text",
    "messaging.system",
    "messaging.destination.name",
    "faas.name",
    "faas.invoked_name",
    "faas.invoked_provider",
    "messaging.destination.template",
];

const RESOURCE_KEYS: [&str; 9] = [
    xray::ORIGIN,
    "cloud.account.id",
    "cloud.platform",
    "cloud.resource_id",
    "faas.name",
    "faas.id",
    "host.id",
    "aws.ec2.instance_id",
    "cloud.availability_zone",
];

fn value() -> impl Strategy<Value = V> {
    let words = vec![
        "aws",
        "remote",
        "local",
        "aws-api",
        "AWS::Lambda",
        "aws_ec2",
        "mysql",
        "aws_sqs",
        "dynamodb",
        "AWS.SDK.SQS",
    ];
    prop_oneof![
        5 => text().prop_map(V::T),
        4 => select(words).prop_map(V::t),
        3 => select(vec![0, 1, 200, 404, 429, 500, i64::MAX, (1 << 53) + 1]).prop_map(V::I),
        1 => number().prop_map(V::D),
        2 => any::<bool>().prop_map(V::B),
        1 => prop::collection::vec(text(), 0..3).prop_map(V::L),
    ]
}

/// One span of the trace `1`; its parent is one of a few, or nobody.
pub(super) fn span() -> impl Strategy<Value = S> {
    let attrs = |keys: Vec<&'static str>, most: usize| {
        prop::collection::vec((select(keys).prop_map(str::to_owned), value()), 0..most)
    };
    let sent = select(vec!["segment", "subsegment", "subsegment", "", ""]);
    let times = (0..100_i64, -20..100_i64);
    (
        (1..6_u8, prop_oneof![Just(0), 0..8_u8], sent, text(), text()),
        (0..6_u8, 0..3_u8, times),
        (attrs(KEYS.to_vec(), 8), attrs(RESOURCE_KEYS.to_vec(), 3)),
        select(vec![vec![], vec![("Oops", "500")]]),
    )
        .prop_map(
            |((id, parent, xray, name, service), (kind, status, times), attrs, thrown)| S {
                trace: 1,
                id,
                parent,
                xray,
                name,
                service,
                kind: SpanKind::from_number(kind),
                status: StatusCode::from_number(status),
                start: times.0,
                took: times.1,
                attrs: attrs.0,
                resource: attrs.1,
                thrown,
            },
        )
}
