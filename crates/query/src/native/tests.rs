use proptest::prelude::*;
use throughline_model::{SpanId, SpanKind, StatusCode, TraceId};

use super::parse;
use crate::ast::{AttrScope, CompareOp, Expr, FILTER_DEPTH_MAX, Field, Literal, Order, Query};
use crate::pattern::Pattern;

#[test]
fn every_case_of_the_file_holds() {
    let mut cases = 0;
    for line in include_str!("cases.txt").lines().filter(|line| !line.starts_with('#')) {
        cases += 1;
        if let Some((text, expected)) = line.split_once(" !! ") {
            let err = parse(text).expect_err(text);
            assert_eq!(format!("{} {}", err.at, err.message), expected, "{text}");
            continue;
        }
        let (text, expected) = line.split_once(" => ").expect(line);
        let query = parse(text).unwrap_or_else(|err| panic!("{text}: {err}"));
        assert_eq!(query.to_string(), expected, "{text}");
        assert_eq!(parse(expected).unwrap(), query, "{expected}");
    }
    assert!(cases > 90, "{cases}");
}

#[test]
fn places_are_counted_in_characters() {
    assert_eq!(parse("name = \u{e9}\u{e9} x").unwrap_err().at, 10);
}

#[test]
fn depth_and_length_are_limited() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}a.b = 1{}", open.repeat(depth), close.repeat(depth))
    };
    for (open, close) in [("(", ")"), ("not ", ""), ("!", ""), ("!(", ")")] {
        let levels = if open.len() == 2 { FILTER_DEPTH_MAX / 2 } else { FILTER_DEPTH_MAX };
        assert!(parse(&nested(open, close, levels)).is_ok());
        let err = parse(&nested(open, close, levels + 1)).unwrap_err();
        assert!(err.message.contains("nests deeper"), "{err}");
        assert!(parse(&nested(open, close, 4000 / open.len())).is_err());
    }
    let wide = vec!["a.b=1"; 900].join(" and ");
    assert!(parse(&wide).is_ok());
    assert!(parse(&" ".repeat(10_001)).unwrap_err().message.contains("longer than"));
    assert!(parse(&" ".repeat(10_000)).is_ok());
}

fn field() -> impl Strategy<Value = Field> {
    let key = prop_oneof![
        "[a-z]{1,6}(\\.[a-z_]{1,8}){0,2}",
        "[ -~]{1,12}",
        "\\PC{1,6}",
        prop::sample::select(vec!["status", "and", "span.a", "event.name", "name", "500ms", "a:b"])
            .prop_map(str::to_owned),
    ];
    let scope = prop::sample::select(vec![
        AttrScope::Any,
        AttrScope::Span,
        AttrScope::Resource,
        AttrScope::Event,
        AttrScope::Link,
    ]);
    let named = prop::sample::select(Field::NAMED.map(|(_, field)| field).to_vec());
    prop_oneof![named, (scope, key).prop_map(|(scope, key)| Field::Attribute(scope, key))]
}

fn literal(field: &Field) -> BoxedStrategy<Literal> {
    let text = prop_oneof!["[a-z0-9]{0,6}", "(?s).{0,8}"].prop_map(Literal::Str);
    match field {
        Field::Kind => prop::sample::select(SpanKind::ALL.to_vec()).prop_map(Literal::Kind).boxed(),
        Field::Status => {
            (0..3u8).prop_map(|number| Literal::Status(StatusCode::from_number(number))).boxed()
        }
        Field::Duration => prop_oneof![any::<i64>(), (-99..99i64).prop_map(|n| n * 60_000_000_000)]
            .prop_map(Literal::Duration)
            .boxed(),
        Field::Trace => any::<[u8; 16]>().prop_map(|id| Literal::Trace(TraceId(id))).boxed(),
        Field::Span | Field::Parent => {
            any::<[u8; 8]>().prop_map(|id| Literal::Span(SpanId(id))).boxed()
        }
        Field::Root | Field::Entry => any::<bool>().prop_map(Literal::Bool).boxed(),
        Field::Attribute(..) => prop_oneof![
            text,
            any::<i64>().prop_map(Literal::Int),
            any::<f64>().prop_filter("finite", |d| d.is_finite()).prop_map(Literal::Double),
            any::<bool>().prop_map(Literal::Bool),
        ]
        .boxed(),
        _ => text.boxed(),
    }
}

fn condition() -> impl Strategy<Value = Expr> {
    let compare =
        field().prop_flat_map(|field| {
            let op = match field {
                Field::Duration => {
                    prop::sample::select(vec![CompareOp::Lt, CompareOp::Eq, CompareOp::Ge])
                }
                _ => prop::sample::select(vec![CompareOp::Eq, CompareOp::Ne]),
            };
            (Just(field.clone()), op, literal(&field))
                .prop_map(|(field, op, literal)| Expr::Compare { field, op, literal })
        });
    let any_of = field().prop_flat_map(|field| {
        (Just(field.clone()), prop::collection::vec(literal(&field), 1..4))
            .prop_map(|(field, literals)| Expr::In { field, literals })
    });
    let regex = (field(), "[a-z./\"\\\\]{0,8}", any::<bool>()).prop_filter_map(
        "text and a pattern",
        |(field, pattern, negated)| {
            let text = matches!(field, Field::Attribute(..) | Field::Service | Field::Name);
            let pattern = Pattern::new(&pattern).ok().filter(|_| text)?;
            Some(Expr::Regex { field, pattern, negated })
        },
    );
    prop_oneof![compare, any_of, regex, field().prop_map(Expr::Exists)]
}

fn expr() -> impl Strategy<Value = Expr> {
    condition().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #[test]
    fn any_tree_prints_as_text_that_parses_to_it(
        filter in prop::option::of(expr()),
        order in prop::sample::select(vec![Order::Newest, Order::Oldest, Order::Longest, Order::Shortest]),
        limit in prop::option::of(1..=1000usize),
    ) {
        let query = Query { filter, order, limit };
        let text = query.to_string();
        prop_assume!(text.chars().count() <= 10_000);
        prop_assert_eq!(parse(&text).map_err(|err| format!("{err} in {text}")), Ok(query));
    }

    #[test]
    fn no_text_panics(text in "(?s).{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_near_query_panics_and_what_parses_prints_the_same(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "service", "status", "duration", "http.route", "=", "!=", "~", ">", "(", ")", "and", "or",
            "not", "!", "in", ",", "exists", "\"x\"", "'y'", "500ms", "12", "-1.5", "error", "order",
            "by", "limit", "desc", "span.", "event.name", "\\", "\"", "\u{e9}", "true", "&&", "|",
        ]), 0..24),
        gap in prop::sample::select(vec!["", " "]),
    ) {
        let text = pieces.join(gap);
        match parse(&text) {
            Ok(query) => prop_assert_eq!(parse(&query.to_string()), Ok(query)),
            Err(err) => prop_assert!(err.at <= text.chars().count(), "{} {}", err, text),
        }
    }
}
