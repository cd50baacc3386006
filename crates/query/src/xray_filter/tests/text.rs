//! What is a filter expression, what is none, and where it stops being one.

use proptest::prelude::*;

use super::generated::expr;
use crate::ast::FILTER_DEPTH_MAX;
use crate::xray_filter::{XrayFilter, parse, selector};

/// Parses, and prints as `expected`, which parses to the same.
fn check(text: &str, expected: &str) {
    let filter = parse(text).unwrap_or_else(|err| panic!("{text}: {err}"));
    assert_eq!(filter.to_string(), expected, "{text}");
    assert_eq!(parse(expected).as_ref(), Ok(&filter), "{expected}");
}

fn check_refused(text: &str, at: usize, message: &str) {
    let err = parse(text).expect_err(text);
    assert_eq!((err.at, err.message.as_str()), (at, message), "{text}");
}

#[test]
fn keywords_have_no_case_and_values_have() {
    check("responseTime > 5", "responsetime > 5.0");
    check("OK and !Partial", "ok AND !partial");
    check("user beginswith Al", "user BEGINSWITH \"Al\"");
    check("Annotation.Age>29", "annotation.Age > 29.0");
    check("ROOTCAUSE.Fault.Entity { LAST }", "rootcause.fault.entity { last }");
}

#[test]
fn what_follows_is_joined_as_by_and_which_binds_more_than_or() {
    check("ok !partial duration <3", "ok AND !partial AND duration < 3.0");
    check("ok OR error fault", "ok OR (error AND fault)");
    check("(ok OR error) fault", "(ok OR error) AND fault");
    check("!(ok OR error)fault", "!(ok OR error) AND fault");
    check("service(\"a\"){fault}error", "service(\"a\") { fault } AND error");
    check("ok = false error", "ok = false AND error");
    check("ok != false", "ok");
}

#[test]
fn spaces_do_not_matter() {
    check(" service ( \"a\" ) { fault=true } ", "service(\"a\") { fault }");
    check("http.url AND(ok)", "http.url AND ok");
}

#[test]
fn strings_may_lack_quotes_and_the_last_block_its_end() {
    check("name = traces", "name = \"traces\"");
    check("service(api)", "service(\"api\")");
    check("type = AWS::DynamoDB::Table", "type = \"AWS::DynamoDB::Table\"");
    check("user = 12", "user = \"12\"");
    check("service(\"a\") { fault", "service(\"a\") { fault }");
    check(
        "service(\"a\") { edge(\"a\", \"b\") { ok",
        "service(\"a\") { edge(\"a\", \"b\") { ok } }",
    );
    check("service(\"a\") {", "service(\"a\")");
    check("service() {}", "service()");
    check(r#"user = "a\"b\\c\d""#, r#"user = "a\"b\\c\\d""#);
    check("user = \"a\nb\u{e9}\"", "user = \"a\nb\u{e9}\"");
    check("user CONTAINS \"\"", "user CONTAINS \"\"");
}

#[test]
fn annotations_are_typed_as_written() {
    check("annotation.a = \"12\"", "annotation.a = \"12\"");
    check("annotation.a = -1.5e2", "annotation.a = -150.0");
    check("annotation.a = TRUE", "annotation.a = true");
    check("annotation.a != yes", "annotation.a != \"yes\"");
    check("annotation.a CONTAINS 12", "annotation.a CONTAINS \"12\"");
    check("annotation[a.b-c]", "annotation[\"a.b-c\"]");
    check("annotation.a.b-c", "annotation[\"a.b-c\"]");
    check("annotation[\"a b\"] = 1", "annotation[\"a b\"] = 1.0");
}

#[test]
fn nodes_and_groups_and_root_causes() {
    check("edge ( id(type:\"t\", name:\"a\") , b )", "edge(id(name: \"a\", type: \"t\"), \"b\")");
    check("service(id(account.id:\"X\"))", "service(id(account.id: \"X\"))");
    check("service(id(name: \"a\"))", "service(\"a\")");
    check("edge()", "edge()");
    check("group.name != \"g\"", "group.name != \"g\"");
    check("group.ARN = \"arn:aws:x\"", "group.arn = \"arn:aws:x\"");
    check("rootcause.responsetime.exception", "rootcause.responsetime.exception");
    check(
        "rootcause.json = #[ { \"Services\" : [ { \"Name\" : \"]\" } ] } ] ok",
        "rootcause.json = #[{\"Services\":[{\"Name\":\"]\"}]}] AND ok",
    );
    check("rootcause.fault.json != #[]", "rootcause.fault.json != #[]");
    check("", "");
    check(" \n", "");
}

#[test]
fn what_is_no_expression_is_refused_with_its_place() {
    check_refused("servce(\"a\")", 0, "unknown keyword `servce`: did you mean `service`?");
    check_refused("ok AND", 6, "expected a condition, for example service(\"api\")");
    check_refused("AND ok", 0, "expected a condition, got `AND`");
    check_refused("ok )", 3, "expected no `)`, none is open, got `)`");
    check_refused("(ok", 3, "expected `)` for the `(` at 0");
    check_refused("(ok }", 4, "expected `)` for the `(` at 0, got `}`");
    check_refused("service(\"a\") { (fault", 21, "expected `)` for the `(` at 15");
    check_refused("user = \"a", 7, "expected a closing \"");
    check_refused(
        "user = AND",
        7,
        "expected a value after `=`; quote the word if it is one: \"AND\"",
    );
    check_refused("duration > fast", 11, "expected a number after `>`, got `fast`");
    check_refused("duration > 1e999", 11, "expected a number after `>`, got `1e999`");
    check_refused("duration > nan", 11, "expected a number after `>`, got `nan`");
    check_refused("ok = 1", 5, "expected true or false, got `1`");
    check_refused(
        "http.status CONTAINS 5",
        12,
        "`http.status` is a number, so CONTAINS cannot look into it",
    );
    check_refused(
        "user > 5",
        5,
        "`user` is text, so `>` cannot compare it: use =, !=, CONTAINS, BEGINSWITH or ENDSWITH",
    );
    check_refused("annotation.a > true", 15, "`>` cannot compare true and false");
    check_refused("annotation.", 11, "expected a key after `annotation.`");
    check_refused("annotation", 10, "expected annotation.KEY or annotation[KEY]");
    check_refused("annotation[a", 12, "expected `]`");
    check_refused("service", 7, "expected `(` after service, as in service(\"api\")");
    check_refused("service(\"a\"", 11, "expected `)`");
    check_refused("edge(\"a\")", 8, "expected `,` and the node that is called, got `)`");
    check_refused(
        "service(id(color:\"a\"))",
        11,
        "expected name:, type: or account.id:, got `color`",
    );
    check_refused("service(id())", 11, "expected name:, type: or account.id:, got `)`");
    check_refused("service(id(name:a, name:b))", 19, "expected `name` only once, got `name`");
    check_refused("ok && error", 3, "unexpected `&`: write AND");
    check_refused("user = 'a'", 7, "unexpected `'`: text stands in double quotes");
    check_refused("rootcause.json = [1]", 17, "expected #[{...}], got `[`");
    check_refused("rootcause.json = #{}", 18, "expected a JSON array after `#`, as in #[{...}]");
    check_refused("rootcause.json = #[{]", 18, "expected a closing ] of the JSON array");
    check_refused("rootcause.json = #[{\"Colour\": 1}]", 17, "a root cause has no member `Colour`");
    assert_eq!(parse("rootcause.json = #[{]]").unwrap_err().at, 17);
    assert_eq!(parse("rootcause.fault.colour").unwrap_err().at, 0);
    assert_eq!(parse("user = \u{e9}\u{e9} )").unwrap_err().at, 10);
}

#[test]
fn depth_and_length_are_limited() {
    for (open, close) in [("(", ")"), ("!", ""), ("service(){", "}"), ("service(){", "")] {
        let nested = |depth: usize| format!("{}ok{}", open.repeat(depth), close.repeat(depth));
        assert!(parse(&nested(FILTER_DEPTH_MAX)).is_ok());
        let err = parse(&nested(FILTER_DEPTH_MAX + 1)).unwrap_err();
        assert!(err.message.contains("nests deeper"), "{err}");
        assert!(parse(&nested(9_000 / (open.len() + close.len()))).is_err());
    }
    assert!(parse(&"ok ".repeat(3_333)).is_ok());
    assert!(parse(&" ".repeat(10_000)).is_ok());
    assert!(parse(&" ".repeat(10_001)).unwrap_err().message.contains("longer than"));
    assert!(parse(&format!("user = \"{}\"", "x".repeat(9_991))).is_ok());
    assert!(parse(&format!("rootcause.json = #{}", "[".repeat(9_000))).is_err());
    let deep = format!("rootcause.json = #{}{}", "[".repeat(4_000), "]".repeat(4_000));
    assert!(parse(&deep).is_err());
}

#[test]
fn groups_are_put_in_their_place() {
    let groups = |name: &str| match name {
        "slow" => parse("responsetime > 3").ok(),
        "both" => parse("group.name = slow AND ok").ok(),
        "circle" => parse("group.name = circle").ok(),
        "wide" => parse(&"group.name = wider ".repeat(500)).ok(),
        "wider" => parse(&"group.name = slow ".repeat(500)).ok(),
        _ => None,
    };
    let check = |text: &str, expected: Result<&str, &str>| {
        let resolved = parse(text).unwrap().resolve(&groups);
        let resolved = resolved.map(|filter| filter.to_string()).map_err(|err| err.message);
        assert_eq!(resolved.as_deref().map_err(String::as_str), expected, "{text}");
    };
    check("group.name = \"slow\"", Ok("responsetime > 3.0"));
    check("group.name != \"slow\" error", Ok("!responsetime > 3.0 AND error"));
    check("service() { group.name = both }", Ok("service() { responsetime > 3.0 AND ok }"));
    check("group.name = Default", Ok(""));
    check("group.name = other", Err("there is no group `other`"));
    check("group.name = circle", Err("the groups lead in a circle at `circle`"));
    check("group.name = wide", Err("the groups make the filter too long"));
    assert!(parse("!service() { group.name = slow }").unwrap().names_groups());
    assert!(!parse("service() { ok }").unwrap().names_groups());
}

#[test]
fn two_filters_make_one() {
    let both = |a: &str, b: &str| parse(a).unwrap().and(parse(b).unwrap()).to_string();
    assert_eq!(both("ok OR error", "fault"), "(ok OR error) AND fault");
    assert_eq!(both("", "fault"), "fault");
    assert_eq!(both("fault", ""), "fault");
    assert_eq!(XrayFilter::all(), parse("").unwrap());
}

#[test]
fn selectors_are_one_scope_or_one_node() {
    use throughline_topology::xray::ServiceId;
    let id = |name: &str, kind: &str| ServiceId {
        name: name.to_owned(),
        names: vec![name.to_owned(), "alias".to_owned()],
        kind: kind.to_owned(),
        account: None,
    };
    let nodes = |text: &str| {
        let selector = selector(text).unwrap();
        let all = [("a", "t"), ("a", "u"), ("b", "t")];
        all.map(|(name, kind)| selector.matches_service(&id(name, kind)))
    };
    assert_eq!(nodes("service(\"a\")"), [true, true, false]);
    assert_eq!(nodes("service(id(name: \"a\", type: \"t\"))"), [true, false, false]);
    assert_eq!(nodes("id(type: \"t\")"), [true, false, true]);
    assert_eq!(nodes("id(account.id: \"000000000000\")"), [true; 3]);
    assert_eq!(nodes("service(alias)"), [true; 3]);
    assert_eq!(nodes("service()"), [true; 3]);
    assert_eq!(nodes("edge()"), [false; 3]);
    let edge = selector("edge(\"a\", id(type: \"u\"))").unwrap();
    assert!(edge.is_edge() && edge.matches_edge(&id("a", "t"), &id("b", "u")));
    assert!(!edge.matches_edge(&id("b", "t"), &id("b", "u")));
    assert!(selector("").unwrap().matches_edge(&id("a", ""), &id("b", "")));
    assert!(!selector("service()").unwrap().matches_edge(&id("a", ""), &id("b", "")));
    for bad in ["service(\"a\") { fault }", "fault", "id()", "edge(a)", "service(a) service(a)"] {
        assert!(selector(bad).is_err(), "{bad}");
    }
    assert!(selector(&format!("service(\"{}\")", "x".repeat(500))).is_err());
}

proptest! {
    #[test]
    fn any_tree_prints_as_text_that_parses_to_it(expr in expr()) {
        let filter = XrayFilter::from(expr);
        let text = filter.to_string();
        prop_assume!(text.chars().count() <= 10_000);
        prop_assert_eq!(parse(&text).map_err(|err| format!("{err} in {text}")), Ok(filter));
    }

    #[test]
    fn no_text_panics(text in "(?s).{0,200}") {
        let _ = parse(&text);
        let _ = selector(&text);
    }

    #[test]
    fn no_near_expression_panics_and_what_parses_prints_the_same(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "service", "edge", "(", ")", "{", "}", "\"a\"", "id", "name", "type", ":", ",", "AND",
            "OR", "!", "=", "!=", "<", ">=", "CONTAINS", "ok", "fault", "user", "duration", "3",
            "-1.5e3", "true", "annotation.k", "annotation", "[", "]", "rootcause.fault.entity",
            "rootcause.json", "#", "#[{}]", "group.name", "\"", "\\", "\u{e9}", "::", "&", "word",
        ]), 0..24),
        gap in prop::sample::select(vec!["", " "]),
    ) {
        let text = pieces.join(gap);
        match parse(&text) {
            Ok(filter) => prop_assert_eq!(parse(&filter.to_string()), Ok(filter), "{}", text),
            Err(err) => prop_assert!(err.at <= text.chars().count(), "{} {}", err, text),
        }
    }
}
