//! Which traces the expressions of the developer guide choose.

use throughline_model::{SpanBatch, xray};
use throughline_topology::xray::{
    CauseKind, Exception, RootCause, RootCauseEntity, RootCauseService, ServiceId, TraceView,
};

use super::kit::{S, V, batch, segment, subsegment};
use crate::xray_filter::{eval, parse};

const API: &str = "api.example.com";
const BACKEND: &str = "backend.example.com";

/// A request that went well in half a second.
fn good() -> SpanBatch {
    batch(&[segment(1, 0, API, 500)
        .with("http.response.status_code", V::I(200))
        .with("url.full", V::t("http://api.example.com/v2/api/game/7"))
        .with("enduser.id", V::t("alice"))
        .with("annotation.gameid", V::t("817DL6VO"))
        .with("annotation.age", V::I(35))
        .on(xray::ORIGIN, V::t("AWS::EC2::Instance"))])
}

/// A slow one that failed because the backend refused a call.
fn bad() -> SpanBatch {
    batch(&[
        segment(1, 0, API, 6_000)
            .with("http.response.status_code", V::I(500))
            .with("url.full", V::t("http://api.example.com/v1/x"))
            .with(xray::FAULT, V::B(true))
            .with("annotation.age", V::I(29)),
        subsegment(2, 1, API, BACKEND, 5_000)
            .with(xray::NAMESPACE, V::t("remote"))
            .with("http.response.status_code", V::I(404))
            .with(xray::ERROR, V::B(true)),
        segment(3, 2, BACKEND, 4_000)
            .with("http.response.status_code", V::I(404))
            .with(xray::ERROR, V::B(true)),
    ])
}

/// A fault further down that the entry survived. A table and a queue that send nothing.
fn survived() -> SpanBatch {
    batch(&[
        segment(1, 0, "web", 7_000)
            .with("http.response.status_code", V::I(302))
            .with("enduser.id", V::t("bob"))
            .with("annotation.account", V::t("12345")),
        subsegment(2, 1, "web", "a", 3_000).with(xray::NAMESPACE, V::t("remote")),
        segment(3, 2, "a", 2_600).with(xray::FAULT, V::B(true)),
        subsegment(4, 3, "a", "DynamoDB", 2_000)
            .with(xray::NAMESPACE, V::t("aws"))
            .with("aws.table_name", V::t("traces"))
            .with(xray::FAULT, V::B(true)),
    ])
}

/// A function of an account of its own, still at work.
fn function() -> SpanBatch {
    batch(&[
        segment(1, 0, "f", 900)
            .with(xray::ERROR, V::B(true))
            .on(xray::ORIGIN, V::t("AWS::Lambda"))
            .on("cloud.account.id", V::t("X")),
        segment(2, 1, "f", -1).on(xray::ORIGIN, V::t("AWS::Lambda::Function")),
    ])
}

/// Which of the four traces an expression chooses, by their letters.
fn check(text: &str, expected: &str) {
    let filter = parse(text).unwrap_or_else(|err| panic!("{text}: {err}"));
    let traces = [("g", good()), ("b", bad()), ("s", survived()), ("f", function())];
    let chosen: String = traces
        .iter()
        .filter(|(_, trace)| filter.matches(&TraceView::of(trace)))
        .map(|(letter, _)| *letter)
        .collect();
    assert_eq!(chosen, expected, "{text}");
}

#[test]
fn the_whole_trace() {
    check("", "gbsf");
    check("responsetime > 5", "bs");
    check("duration >= 5 AND duration <= 6", "b");
    check("ok", "g");
    check("!ok", "bsf");
    check("ok = false", "bsf");
    check("ok !partial duration <3", "g");
    check("partial", "f");
    check("error", "f");
    check("fault", "b");
    check("http.status != 200", "bs");
    check("!http.status", "f");
    check("http.url CONTAINS \"/api/game/\"", "g");
    check("http.url AND responseTime > 2", "b");
    check("user CONTAINS \"\"", "gs");
    check("user", "gs");
    check("inferred", "s");
    check("type = \"AWS::Lambda::Function\"", "f");
    check("name = web", "s");
    check(
        "http.url BEGINSWITH \"http://api.example.com/\" AND http.url CONTAINS \"/v2/\" AND !service(\"api.example.com\")",
        "",
    );
    check("http.url ENDSWITH \"/x\" OR service(\"f\")", "bf");
    check("index = 0 OR first OR last OR coverage >= 0", "");
}

#[test]
fn annotations() {
    check("annotation.gameid = \"817DL6VO\"", "g");
    check("annotation.age", "gb");
    check("!annotation.age", "sf");
    check("annotation.age > 29", "g");
    check("annotation.age = \"35\"", "");
    check("annotation.age != \"35\"", "gb");
    check("annotation[\"account\"] = \"12345\"", "s");
    check(
        "service(\"a\") { fault = true OR responsetime > 2.5 } AND annotation.account = \"12345\"",
        "s",
    );
    check("service(\"web\") { annotation.account BEGINSWITH 12 }", "s");
    check("service(\"a\") { annotation.account }", "");
}

#[test]
fn nodes() {
    check("service(\"api.example.com\") { fault }", "b");
    check("service() { fault }", "bs");
    check("service(\"API.example.com\")", "");
    check("service(id(name:\"f\", type:\"AWS::Lambda::Function\")) { error }", "");
    check("service(id(name:\"f\", type:\"AWS::Lambda\")) { error }", "f");
    check("service(id(type:\"AWS::Lambda::Function\"))", "f");
    check("service(id(account.id:\"X\")) OR service(id(account.id:\"Y\"))", "f");
    check("service(id(account.id:\"000000000000\"))", "gbsf");
    check("service(\"api.example.com\") {root = true and fault = true}", "b");
    check("service(\"a\") {root = true and fault = true}", "");
    check("service(\"traces\") { inferred fault }", "s");
    check("service(id(name: \"traces\", type: \"AWS::DynamoDB\"))", "s");
    check("service(id(name: \"traces\", type: \"AWS::DynamoDB::Table\"))", "s");
    check("service(id(name: \"traces\", type: \"AWS::Dynamo\"))", "");
    check("service(\"a\") { remote }", "s");
    check("service() { error ok }", "");
    check("service(\"web\") { service(\"a\") { fault } }", "s");
    check("service(\"web\") { !service(\"a\") }", "");
    check("service(\"a\") { fault", "s");
}

#[test]
fn nodes_without_an_account_are_of_the_servers_own() {
    let check = |text: &str, own: &str, expected: bool| {
        let filter = parse(text).unwrap().of_account(own);
        assert_eq!(filter.matches(&TraceView::of(&good())), expected, "{text} {own}");
    };
    check("service(id(account.id: \"123456789012\"))", "123456789012", true);
    check("service(id(account.id: \"000000000000\"))", "123456789012", false);
    check("account.id = \"000000000000\"", "000000000000", true);
    check("account.id BEGINSWITH 12", "123456789012", true);
}

#[test]
fn calls() {
    check("edge(\"api.example.com\",\"backend.example.com\") { error }", "b");
    check("edge(\"api.example.com\",\"backend.example.com\") { fault }", "");
    check("edge(\"api.example.com\",\"backend.example.com\") { responsetime > 4.5 }", "b");
    check("edge(\"backend.example.com\",\"api.example.com\")", "");
    check("edge()", "bsf");
    check("edge() { ok }", "sf");
    check("edge() { inferred AND type = \"AWS::DynamoDB::Table\" }", "s");
    check("edge(\"a\", \"traces\") { fault remote }", "s");
    check("edge() { root AND http.status = 404 }", "b");
    // The client's node bears the entry's name, so this is what a click on its edge asks for.
    check("edge(\"api.example.com\", \"api.example.com\")", "gb");
    check("edge(id(name: \"web\", type: \"client\"), \"web\") { ok = false }", "s");
}

#[test]
fn groups_that_were_not_resolved_take_nothing() {
    check("group.name = \"high_response_time\" AND user = \"alice\"", "");
    let high =
        |name: &str| parse("responseTime > 0.3").ok().filter(|_| name == "high_response_time");
    let filter = parse("group.name = \"high_response_time\" AND user = \"alice\"").unwrap();
    let filter = filter.resolve(&high).unwrap();
    assert!(filter.matches(&TraceView::of(&good())));
    assert!(!filter.matches(&TraceView::of(&survived())));
}

fn service(name: &str, kind: &str, entities: Vec<RootCauseEntity>) -> RootCauseService {
    let id = ServiceId {
        name: name.to_owned(),
        names: vec![name.to_owned()],
        kind: kind.to_owned(),
        account: None,
    };
    RootCauseService { service: id, inferred: kind.starts_with("AWS::"), entities }
}

fn entity(name: &str, coverage: f64) -> RootCauseEntity {
    RootCauseEntity { name: name.to_owned(), coverage, ..RootCauseEntity::default() }
}

/// What a filter says of root causes given by hand.
fn check_cause(text: &str, expected: bool) {
    let thrown = Exception {
        name: "AccessDenied".to_owned(),
        message: "Access Denied for account_id: 1234567890".to_owned(),
    };
    let thrower = RootCauseEntity { exceptions: vec![thrown], ..entity("deserialize", 0.0) };
    let call = RootCauseEntity { remote: true, ..entity("traces", 0.8) };
    let fault = RootCause {
        services: vec![
            service("GetWeatherData", "", vec![entity("GetWeatherData", 1.0), call]),
            service("traces", "AWS::DynamoDB::Table", vec![entity("DynamoDB", 0.5), thrower]),
        ],
        client_impacting: true,
    };
    let causes = |kind: CauseKind| match kind {
        CauseKind::Error => Vec::new(),
        CauseKind::Fault | CauseKind::ResponseTime => vec![fault.clone()],
    };
    let filter = parse(text).unwrap_or_else(|err| panic!("{text}: {err}"));
    let trace = good();
    assert_eq!(eval::holds(&filter.expr, &TraceView::of(&trace), &causes), expected, "{text}");
}

#[test]
fn elements_of_root_causes() {
    check_cause("rootcause.fault.entity { last and name = \"deserialize\" }", true);
    check_cause("rootcause.fault.entity { first and name = \"deserialize\" }", false);
    check_cause("rootcause.error.entity", false);
    check_cause(
        "rootcause.responsetime.entity { remote and coverage > 0.7 and name = \"traces\" }",
        true,
    );
    check_cause("rootcause.responsetime.entity { remote and coverage > 0.9 }", false);
    check_cause(
        "rootcause.fault.service { inferred and name = traces and type = \"AWS::DynamoDB\" }",
        true,
    );
    check_cause("rootcause.fault.service { index > 5 }", false);
    check_cause("rootcause.fault.service { index = 1 last !first }", true);
    check_cause("rootcause.fault.service { index = 2 }", false);
    check_cause(
        "rootcause.fault.exception { last and message = \"Access Denied for account_id: 1234567890\" }",
        true,
    );
    check_cause("rootcause.fault.exception { name = AccessDenied first }", true);
    check_cause("rootcause.fault.entity { message CONTAINS Denied AND name = DynamoDB }", false);
    check_cause("rootcause.fault.entity { ok OR error OR http.status = 200 OR user }", false);
    check_cause("rootcause.fault.service { service(\"api.example.com\") { ok } }", true);
}

#[test]
fn root_causes_as_json() {
    let path = |name: &str, more: &str| {
        format!(
            "rootcause.json = #[{{\"Services\": [{{\"Name\": \"GetWeatherData\"}}, {{\"Name\": \"{name}\"{more}}}]}}]"
        )
    };
    check_cause(&path("traces", ""), true);
    check_cause(
        &path(
            "traces",
            ", \"EntityPath\": [{\"Name\": \"DynamoDB\"}, {\"Name\": \"deserialize\"}]",
        ),
        true,
    );
    check_cause(&path("traces", ", \"EntityPath\": [{\"Name\": \"DynamoDB\"}]"), false);
    check_cause(&path("traces", ", \"Inferred\": true, \"AccountId\": null"), true);
    check_cause(&path("orders", ""), false);
    check_cause("rootcause.json = #[{\"Services\": [{\"Name\": \"traces\"}]}]", false);
    check_cause("rootcause.fault.json = #[{\"ClientImpacting\": true}]", true);
    check_cause("rootcause.fault.json != #[{\"ClientImpacting\": true}]", false);
    check_cause("rootcause.error.json = #[{\"ClientImpacting\": true}]", false);
    check_cause(
        "rootcause.json = #[{\"ClientImpacting\": true}, {\"ClientImpacting\": false}]",
        false,
    );
}

#[test]
fn root_causes_of_a_whole_trace() {
    check("rootcause.fault.service { name = traces inferred }", "s");
    check("rootcause.fault.entity { last and name = \"DynamoDB\" }", "s");
    check("rootcause.error.service { last and name = \"backend.example.com\" }", "b");
    check("rootcause.responsetime.service { first and name = web }", "s");
}

#[test]
fn blocks_in_blocks_cost_no_power_of_the_trace() {
    let spans: Vec<S> =
        (1..=250).map(|id| segment(id, id.saturating_sub(1), &format!("s{id}"), 5)).collect();
    let deep = format!("{}fault{}", "service() { ".repeat(60), " }".repeat(60));
    assert!(!parse(&deep).unwrap().matches(&TraceView::of(&batch(&spans))));
}
