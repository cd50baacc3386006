//! What deployment tools were seen to call is answered with the same statuses and shapes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::{Answer, TestCloud, elements, zip};

const HANDLER: &str = "
exports.producer = async (event) => ({ statusCode: 200, body: JSON.stringify({ message: 'Message placed in the Event Stream: lab-eventStream' }) });
exports.consumer = async (event) => { console.log(JSON.stringify(event)); };
";

/// Members of the emulator's answers that AWS does not give, or gives only when there is something to say.
const NOT_AWS: [&str; 23] = [
    "CausingEntity",
    "Name",
    "PolicyAction",
    "EncryptionType",
    "StatusReason",
    "ResourceStatusReason",
    "StackStatusReason",
    "PhysicalResourceId",
    "Scope",
    "Details",
    "Description",
    "Quiet",
    "TableId",
    "DeletionProtectionEnabled",
    "WarmThroughput",
    "ReadUnitsPerSecond",
    "WriteUnitsPerSecond",
    "Status",
    "version",
    "minimumCompressionSize",
    "policy",
    "apiStatus",
    "Types",
];

struct Replay {
    cloud: TestCloud,
    zip: Vec<u8>,
    /// What the recording says, and what it is called here.
    names: Vec<(String, String)>,
}

#[test]
fn serverless_3_deploys_looks_and_removes() {
    replay("serverless-3.40.0.jsonl");
}

#[test]
fn osls_deploys_twice_invokes_and_removes() {
    replay("osls-4.3.1.jsonl");
}

#[test]
fn the_sign_up_function_is_set_up_and_called() {
    replay("signup.jsonl");
}

fn replay(file: &str) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/aws-api-calls").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let zip = zip("handler.js", HANDLER);
    let mut replay = Replay { cloud: TestCloud::start(), zip, names: Vec::new() };
    for (number, line) in text.lines().enumerate() {
        let call: Value = serde_json::from_str(line).unwrap();
        replay.one(number + 1, &call);
    }
}

impl Replay {
    fn one(&mut self, number: usize, call: &Value) {
        let text = |field: &str| call[field].as_str().unwrap_or("");
        let (service, operation) = (text("service"), text("op"));
        let url = self.renamed(text("url"));
        let what = format!("{number}: {service} {operation} {} {url}", text("method"));
        let mut body = self.renamed(text("req")).into_bytes();
        if url.contains("lab-lambda-lab.zip") && text("method") == "PUT" {
            body.clone_from(&self.zip);
        } else if url.contains("compiled-cloudformation-template") && text("method") == "PUT" {
            body = self.with_own_sum(&body);
        }
        let mut headers = vec![("content-type", text("ct"))];
        if operation.contains('.') {
            headers.push(("x-amz-target", operation));
        }
        let is_put = service == "s3" && text("method") == "PUT";
        if is_put {
            headers.push(("x-amz-meta-filesha256", "c29tZSBzdW0="));
        }
        let wanted = u16::try_from(call["status"].as_u64().unwrap()).unwrap();
        let answer = self.until_logged(operation, || {
            self.cloud.send(service, text("method"), &url, &headers, &body)
        });
        assert_eq!(answer.status, wanted, "{what}: {}", answer.text());
        if service == "s3" && text("method") == "HEAD" && url.contains(".zip") {
            assert_eq!(answer.header("x-amz-meta-filesha256"), "c29tZSBzdW0=", "{what}");
            assert_eq!(answer.header("content-length"), self.zip.len().to_string(), "{what}");
        }
        let recorded = text("resp");
        if operation == "ExecuteChangeSet" || operation == "DeleteStack" {
            let stack = form_value(&body, "StackName");
            let status = self.cloud.settled(&stack);
            assert!(
                ["CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"]
                    .contains(&status.as_str()),
                "{what}: {status} {:?}",
                self.cloud.events(&stack)
            );
        }
        if !recorded.is_empty() {
            self.compare(&what, recorded, &answer);
        }
    }

    fn renamed(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (theirs, ours) in &self.names {
            let encode =
                |name: &str| form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>();
            text = text.replace(theirs, ours).replace(&encode(theirs), &encode(ours));
        }
        text
    }

    /// The sum of our own zip in place of the recorded one.
    fn with_own_sum(&self, template: &[u8]) -> Vec<u8> {
        let mut template: Value = serde_json::from_slice(template).unwrap();
        let sum = STANDARD.encode(Sha256::digest(&self.zip));
        for resource in template["Resources"].as_object_mut().unwrap().values_mut() {
            if let Some(recorded) = resource.pointer_mut("/Properties/CodeSha256") {
                *recorded = sum.clone().into();
            }
        }
        template.to_string().into_bytes()
    }

    /// Functions write their logs when they are done.
    fn until_logged(&self, operation: &str, send: impl Fn() -> Answer) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = send();
            let is_empty = operation.ends_with("DescribeLogStreams")
                && answer.json()["logStreams"].as_array().is_none_or(Vec::is_empty);
            if !is_empty {
                return answer;
            }
            // Nobody called the function in the recording's time: do so.
            let path = "/2015-03-31/functions/lab-lambda-lab-dev-producer/invocations";
            self.cloud.send("lambda", "POST", path, &[], b"{}");
            assert!(begun.elapsed() < Duration::from_secs(20), "no logs");
        }
    }

    fn compare(&mut self, what: &str, recorded: &str, answer: &Answer) {
        let ours = answer.text();
        if recorded.starts_with('<') {
            let (recorded, ours) = (recorded_elements(recorded), elements(&ours));
            self.learn(&recorded, &ours);
            let names = |list: &[(String, String)]| {
                list.iter().map(|(n, _)| n.clone()).collect::<BTreeSet<_>>()
            };
            let missing: Vec<String> = names(&recorded)
                .difference(&names(&ours))
                .filter(|n| !NOT_AWS.contains(&n.as_str()))
                .cloned()
                .collect();
            assert!(missing.is_empty(), "{what}: without {missing:?} in {ours:?}");
            for name in ["Code", "Message"] {
                let of = |list: &[(String, String)]| {
                    list.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
                };
                let recorded = of(&recorded).map(|value| self.renamed(&value));
                assert_eq!(of(&ours), recorded, "{what}");
            }
        } else if let Ok(recorded) = serde_json::from_str::<Value>(recorded) {
            let ours: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            if let Some(code) = recorded["__type"].as_str() {
                let named = ours["__type"].as_str().unwrap_or(answer.header("x-amzn-errortype"));
                assert!(named.ends_with(code), "{what}: {named} is not {code}");
                return;
            }
            if let (Some(theirs), Some(ours)) =
                (recorded["logStreams"][0]["logStreamName"].as_str(), ours["logStreams"].as_array())
            {
                let ours: Vec<&str> =
                    ours.iter().filter_map(|s| s["logStreamName"].as_str()).collect();
                // The next call names all of the recorded ones.
                for stream in recorded["logStreams"].as_array().unwrap() {
                    let name = stream["logStreamName"].as_str().unwrap().to_owned();
                    self.names.push((name, ours[0].to_owned()));
                }
                assert!(!theirs.is_empty());
            }
            check_members(what, &recorded, &ours);
        }
    }

    /// Names that are made up differ; both lists have them at the same places.
    fn learn(&mut self, recorded: &[(String, String)], ours: &[(String, String)]) {
        for name in ["StackId", "PhysicalResourceId"] {
            let first = |list: &[(String, String)]| {
                list.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
            };
            if let (Some(theirs), Some(ours)) = (first(recorded), first(ours))
                && !self.names.iter().any(|(known, _)| *known == theirs)
                && theirs != ours
            {
                self.names.push((theirs, ours));
            }
        }
    }
}

/// Every `<Name>text</Name>`, in order: long answers were cut off when they were recorded.
fn recorded_elements(xml: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in xml.split('<') {
        let Some((name, text)) = part.split_once('>') else { continue };
        if !text.is_empty() && xml.contains(&format!("<{name}>{text}</{name}>")) {
            found.push((name.to_owned(), text.to_owned()));
        }
    }
    found
}

fn check_members(what: &str, recorded: &Value, ours: &Value) {
    match (recorded, ours) {
        (Value::Object(recorded), Value::Object(given)) => {
            for (name, value) in
                recorded.iter().filter(|(name, _)| !NOT_AWS.contains(&name.as_str()))
            {
                let own = given.get(name);
                assert!(own.is_some(), "{what}: without {name} in {ours}");
                if name != "tags" {
                    check_members(what, value, own.unwrap());
                }
            }
        }
        (Value::Array(recorded), Value::Array(given)) => {
            if let (Some(recorded), Some(given)) = (recorded.first(), given.first()) {
                check_members(what, recorded, given);
            }
        }
        _ => {}
    }
}

fn form_value(body: &[u8], name: &str) -> String {
    let mut pairs = form_urlencoded::parse(body);
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap()
}
