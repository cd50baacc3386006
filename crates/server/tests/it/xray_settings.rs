//! Rules, groups, policies, tags: their limits, and that they outlive a restart.

use serde_json::{Value, json};

use crate::harness::TestServer;

fn rule(name: &str) -> Value {
    json!({ "SamplingRule": {
        "RuleName": name, "ResourceARN": "*", "Priority": 10, "FixedRate": 0.5,
        "ReservoirSize": 6, "ServiceName": "shop", "ServiceType": "*", "Host": "*",
        "HTTPMethod": "GET", "URLPath": "/buy/*", "Version": 1,
    } })
}

fn refused(server: &TestServer, path: &str, body: &Value) -> String {
    let answer = server.call(path, body);
    assert_eq!(answer.status, 400, "{path} {body}: {}", answer.json());
    answer.header("x-amzn-errortype").to_owned()
}

const INVALID: &str = "InvalidRequestException";

#[test]
fn the_default_rule_is_what_every_sdk_takes() {
    let server = TestServer::start();
    let rules = server.ask("/GetSamplingRules", &json!({}));
    let record = &rules["SamplingRuleRecords"][0];
    assert_eq!((&record["CreatedAt"], &record["ModifiedAt"]), (&json!(0.0), &json!(0.0)));
    let expected = json!({
        "RuleName": "Default", "ResourceARN": "*", "Priority": 10_000, "FixedRate": 0.05,
        "ReservoirSize": 1, "ServiceName": "*", "ServiceType": "*", "Host": "*",
        "HTTPMethod": "*", "URLPath": "*", "Version": 1, "Attributes": {},
        "RuleARN": "arn:aws:xray:us-east-1:000000000000:sampling-rule/Default",
    });
    assert_eq!(record["SamplingRule"], expected);
    refused(&server, "/DeleteSamplingRule", &json!({ "RuleName": "Default" }));
    let update = |member: &str, value: Value| json!({ "SamplingRuleUpdate": { "RuleName": "Default", member: value } });
    refused(&server, "/UpdateSamplingRule", &update("Host", json!("a")));
    refused(&server, "/UpdateSamplingRule", &update("Priority", json!(5)));
    let updated = server.ask("/UpdateSamplingRule", &update("FixedRate", json!(1)));
    assert_eq!(updated["SamplingRuleRecord"]["SamplingRule"]["FixedRate"], 1.0);
}

#[test]
fn rules_have_the_models_limits() {
    let server = TestServer::start();
    server.ask("/CreateSamplingRule", &rule("a"));
    assert_eq!(refused(&server, "/CreateSamplingRule", &rule("a")), INVALID);
    for (member, value) in [
        ("Priority", json!(0)),
        ("Priority", json!(10_000)),
        ("FixedRate", json!(1.5)),
        ("FixedRate", json!(-0.1)),
        ("ReservoirSize", json!(-1)),
        ("Version", json!(2)),
        ("RuleName", json!("x".repeat(33))),
        ("RuleName", json!("")),
        ("HTTPMethod", json!("x".repeat(11))),
        ("Host", Value::Null),
        ("Attributes", json!({ "a": "", })),
        ("ServiceName", json!(7)),
    ] {
        let mut body = rule("b");
        body["SamplingRule"][member] = value;
        assert_eq!(refused(&server, "/CreateSamplingRule", &body), INVALID, "{body}");
    }
    for n in 1..25 {
        server.ask("/CreateSamplingRule", &rule(&format!("rule {n}")));
    }
    let limit = refused(&server, "/CreateSamplingRule", &rule("one more"));
    assert_eq!(limit, "RuleLimitExceededException");
    let both = json!({ "RuleName": "a", "RuleARN": "arn:aws:xray:x:0:sampling-rule/a" });
    assert_eq!(refused(&server, "/DeleteSamplingRule", &both), INVALID);
    let arn = json!({ "RuleARN": "arn:aws:xray:eu-west-1:9:sampling-rule/a" });
    let deleted = server.ask("/DeleteSamplingRule", &arn);
    assert_eq!(deleted["SamplingRuleRecord"]["SamplingRule"]["RuleName"], "a");
}

#[test]
fn clients_share_a_rules_reservoir_and_unknown_rules_are_named() {
    let server = TestServer::start();
    server.ask("/CreateSamplingRule", &rule("shop"));
    let report = |rule: &str, client: u32, requests: u32| {
        json!({
            "RuleName": rule, "ClientID": format!("{client:024X}"), "Timestamp": 1_767_323_045,
            "RequestCount": requests, "SampledCount": 1, "BorrowCount": 1,
        })
    };
    let ask = |documents: Vec<Value>| {
        server.ask("/SamplingTargets", &json!({ "SamplingStatisticsDocuments": documents }))
    };
    let first = ask(vec![report("shop", 1, 20)]);
    assert_eq!(first["SamplingTargetDocuments"][0]["ReservoirQuota"], 6);
    let both = ask(vec![report("shop", 1, 20), report("shop", 2, 10), report("none", 1, 1)]);
    let quotas: Vec<_> = both["SamplingTargetDocuments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| {
            assert_eq!(target["Interval"], 10);
            assert_eq!(target["FixedRate"], 0.5);
            assert!(target["ReservoirQuotaTTL"].is_number());
            target["ReservoirQuota"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(quotas, [4, 2]);
    assert!(both["LastRuleModification"].as_f64().unwrap() > 1.7e9, "{both}");
    assert_eq!(both["UnprocessedStatistics"][0]["RuleName"], "none");
    let summaries = server.ask("/SamplingStatisticSummaries", &json!({}));
    let windows = summaries["SamplingStatisticSummaries"].as_array().unwrap();
    let requests: u64 = windows.iter().map(|w| w["RequestCount"].as_u64().unwrap()).sum();
    assert_eq!(requests, 50, "{summaries}");
}

#[test]
fn groups_have_rules_and_default_has_no_expression() {
    let server = TestServer::start();
    let groups = server.ask("/Groups", &json!({}));
    assert_eq!(groups["Groups"][0]["GroupName"], "Default");
    assert!(groups["Groups"][0].get("FilterExpression").is_none(), "{groups}");
    let default = "arn:aws:xray:us-east-1:000000000000:group/Default";
    assert_eq!(groups["Groups"][0]["GroupARN"], default);
    for name in ["Default", "", "a b", &"x".repeat(33), "\u{e9}"] {
        assert_eq!(refused(&server, "/CreateGroup", &json!({ "GroupName": name })), INVALID);
    }
    let created = server
        .ask("/CreateGroup", &json!({ "GroupName": "slow", "FilterExpression": "duration > 1" }));
    let arn = created["Group"]["GroupARN"].as_str().unwrap().to_owned();
    assert!(arn.starts_with("arn:aws:xray:us-east-1:000000000000:group/slow/"), "{arn}");
    assert_eq!(refused(&server, "/CreateGroup", &json!({ "GroupName": "slow" })), INVALID);
    let group = server.ask("/GetGroup", &json!({ "GroupARN": arn }));
    assert_eq!(group["Group"]["FilterExpression"], "duration > 1");
    assert_eq!(refused(&server, "/GetGroup", &json!({ "GroupName": "Slow" })), INVALID);
    assert_eq!(refused(&server, "/GetGroup", &json!({})), INVALID);
    assert_eq!(refused(&server, "/DeleteGroup", &json!({ "GroupName": "Default" })), INVALID);
    let body = json!({ "GroupName": "Default", "FilterExpression": "fault" });
    assert_eq!(refused(&server, "/UpdateGroup", &body), INVALID);
    let body =
        json!({ "GroupName": "Default", "InsightsConfiguration": { "InsightsEnabled": true } });
    let updated = server.ask("/UpdateGroup", &body);
    assert_eq!(updated["Group"]["InsightsConfiguration"]["InsightsEnabled"], true);
}

#[test]
fn policies_count_their_revisions() {
    let server = TestServer::start();
    let document = r#"{"Statement":[{"Effect":"Allow","Action":"xray:*","Resource":"*"}]}"#;
    let put = |name: &str, document: &str, revision: Value| json!({ "PolicyName": name, "PolicyDocument": document, "PolicyRevisionId": revision });
    let first = server.ask("/PutResourcePolicy", &put("a", document, json!("0")));
    assert_eq!(first["ResourcePolicy"]["PolicyRevisionId"], "1");
    for revision in ["0", "2", "x"] {
        let body = put("a", document, json!(revision));
        let word = refused(&server, "/PutResourcePolicy", &body);
        assert_eq!(word, "InvalidPolicyRevisionIdException");
    }
    let second = server.ask("/PutResourcePolicy", &put("a", document, json!("1")));
    assert_eq!(second["ResourcePolicy"]["PolicyRevisionId"], "2");
    let deny = r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"xray:*"}}"#;
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(6_000));
    for (document, word) in [
        ("nonsense", "MalformedPolicyDocumentException"),
        ("{}", "MalformedPolicyDocumentException"),
        (deny, "LockoutPreventionException"),
        (&large, "PolicySizeLimitExceededException"),
    ] {
        let body = put("b", document, Value::Null);
        assert_eq!(refused(&server, "/PutResourcePolicy", &body), word);
    }
    for n in 2..=5 {
        server.ask("/PutResourcePolicy", &put(&format!("p{n}"), document, Value::Null));
    }
    let word = refused(&server, "/PutResourcePolicy", &put("p6", document, Value::Null));
    assert_eq!(word, "PolicyCountLimitExceededException");
    let stale = json!({ "PolicyName": "a", "PolicyRevisionId": "1" });
    let word = refused(&server, "/DeleteResourcePolicy", &stale);
    assert_eq!(word, "InvalidPolicyRevisionIdException");
    server.ask("/DeleteResourcePolicy", &json!({ "PolicyName": "a" }));
    let held = server.ask("/ListResourcePolicies", &json!({}));
    assert_eq!(held["ResourcePolicies"].as_array().unwrap().len(), 4);
}

#[test]
fn tags_belong_to_what_exists() {
    let server = TestServer::start();
    let arn = "arn:aws:xray:us-east-1:000000000000:group/Default";
    let tag = |key: &str| json!([{ "Key": key, "Value": "v" }]);
    server.ask("/TagResource", &json!({ "ResourceARN": arn, "Tags": tag("a") }));
    server.ask("/TagResource", &json!({ "ResourceARN": arn, "Tags": tag("b") }));
    server.ask("/UntagResource", &json!({ "ResourceARN": arn, "TagKeys": ["a", "none"] }));
    let tags = server.ask("/ListTagsForResource", &json!({ "ResourceARN": arn }));
    assert_eq!(tags["Tags"], tag("b"));
    let body = json!({ "ResourceARN": arn, "Tags": tag("aws:x") });
    assert_eq!(refused(&server, "/TagResource", &body), INVALID);
    let many: Vec<_> = (0..50).map(|n| json!({ "Key": n.to_string(), "Value": "" })).collect();
    let body = json!({ "ResourceARN": arn, "Tags": many });
    assert_eq!(refused(&server, "/TagResource", &body), "TooManyTagsException");
    for arn in ["arn:aws:xray:us-east-1:000000000000:group/none/X", "arn:aws:s3:::b", "x"] {
        let answer = server.call("/ListTagsForResource", &json!({ "ResourceARN": arn }));
        assert_eq!(answer.status, 404);
        assert_eq!(answer.json()["ResourceName"], arn);
    }
}

#[test]
fn settings_outlive_a_restart() {
    let mut server = TestServer::start();
    server.ask("/CreateSamplingRule", &rule("kept"));
    let group = json!({
        "GroupName": "kept", "FilterExpression": "fault", "Tags": [{ "Key": "k", "Value": "v" }],
    });
    let created = server.ask("/CreateGroup", &group);
    let arn = created["Group"]["GroupARN"].clone();
    server.ask("/PutEncryptionConfig", &json!({ "Type": "KMS", "KeyId": "alias/a" }));
    let rule = json!({ "Probabilistic": { "DesiredSamplingPercentage": 12.5 } });
    server.ask("/UpdateIndexingRule", &json!({ "Name": "Default", "Rule": rule }));
    server.ask("/UpdateTraceSegmentDestination", &json!({ "Destination": "CloudWatchLogs" }));
    let paths = [
        "/GetSamplingRules",
        "/Groups",
        "/EncryptionConfig",
        "/GetIndexingRules",
        "/GetTraceSegmentDestination",
    ];
    let before: Vec<Value> = paths.iter().map(|path| server.ask(path, &json!({}))).collect();
    let tags = server.ask("/ListTagsForResource", &json!({ "ResourceARN": arn }));
    server.restart();
    let after: Vec<Value> = paths.iter().map(|path| server.ask(path, &json!({}))).collect();
    assert_eq!(before, after);
    assert_eq!(server.ask("/ListTagsForResource", &json!({ "ResourceARN": arn })), tags);
    assert_eq!(after[0]["SamplingRuleRecords"][0]["SamplingRule"]["RuleName"], "kept");
    assert_eq!(after[2]["EncryptionConfig"]["KeyId"], "alias/a");
}
