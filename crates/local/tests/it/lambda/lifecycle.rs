//! Processes: kept, replaced, counted, ended.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use throughline_local::lambda::{
    CodeChange, CodeSource, InvokeOptions, LambdaConfig, LambdaError, Settings,
};
use throughline_local::seams::Kept as _;

use super::support::{Lab, is_alive, until, value, variables, zip_of};

const PID: &str = "let calls = 0; exports.handler = async (event) => {\
    if (event.ms) await new Promise((r) => setTimeout(r, event.ms)); \
    return { pid: process.pid, calls: ++calls, v: process.env.V }; };";

async fn pid(lab: &Lab) -> u64 {
    value(&lab.call("{}").await)["pid"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_answers_call_after_call() {
    let lab = Lab::start();
    lab.node(PID).await;
    let first = value(&lab.call("{}").await);
    for calls in 2..50 {
        let next = value(&lab.call("{}").await);
        assert_eq!(next, json!({ "pid": first["pid"], "calls": calls }));
    }
    let text = lab.logs.text();
    assert_eq!(text.matches("Init Duration").count(), 1);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_code_and_new_settings_get_a_new_process() {
    let lab = Lab::start();
    lab.node(PID).await;
    let old = pid(&lab).await;
    let code = CodeSource::Zip(zip_of(&[("index.js", "exports.handler = async () => 'new';")]));
    let before = lab.functions.get("f", None).unwrap();
    let after = lab.functions.update_code("f", code, CodeChange::default()).await.unwrap();
    assert_ne!((before.code_sha256, before.revision_id), (after.code_sha256, after.revision_id));
    assert_eq!(after.last_update_status, "Successful");
    assert_eq!(value(&lab.call("{}").await), "new");
    until("the old process is gone", || !is_alive(old)).await;

    let code = CodeSource::Zip(zip_of(&[("index.js", PID)]));
    lab.functions.update_code("f", code, CodeChange::default()).await.unwrap();
    let second = pid(&lab).await;
    let settings = Settings { environment: variables(&[("V", "2")]), ..Settings::default() };
    lab.functions.update_configuration("f", &settings).unwrap();
    assert_eq!(value(&lab.call("{}").await)["v"], "2");
    until("the second process is gone", || !is_alive(second)).await;

    let third = pid(&lab).await;
    lab.functions.delete("f", None).await.unwrap();
    until("the third process is gone", || !is_alive(third)).await;
    let gone = lab.functions.invoke("f", "{}".into(), InvokeOptions::default()).await.unwrap_err();
    let text = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:f";
    assert_eq!(gone, LambdaError::ResourceNotFound(text.to_owned()));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_version_stays_as_it_was() {
    let lab = Lab::start();
    lab.node("exports.handler = async () => 1;").await;
    let one = lab.functions.publish_version("f", None, None).unwrap();
    assert_eq!(one.version, "1");
    assert_eq!(lab.functions.publish_version("f", None, None).unwrap().version, "1");
    let code = CodeSource::Zip(zip_of(&[("index.js", "exports.handler = async () => 2;")]));
    lab.functions
        .update_code("f", code, CodeChange { publish: true, ..CodeChange::default() })
        .await
        .unwrap();
    for (qualifier, expected) in [(Some("1"), 1), (Some("2"), 2), (Some("$LATEST"), 2), (None, 2)] {
        let qualifier = qualifier.map(str::to_owned);
        let answer =
            lab.call_with("{}", InvokeOptions { qualifier, ..InvokeOptions::default() }).await;
        assert_eq!(value(&answer), expected);
    }
    assert_eq!(lab.functions.list_versions("f").unwrap().len(), 3);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_the_same_time_get_processes_of_their_own() {
    let lab = Lab::start();
    lab.node(PID).await;
    let calls = (0..4).map(|_| {
        let functions = std::sync::Arc::clone(&lab.functions);
        tokio::spawn(async move {
            let payload = r#"{"ms":400}"#.into();
            functions.invoke("f", payload, InvokeOptions::default()).await.unwrap()
        })
    });
    let mut pids = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        pids.push(value(&call.await.unwrap())["pid"].as_u64().unwrap());
    }
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 4);

    lab.functions.set_reserved_concurrency("f", Some(0)).unwrap();
    let err = lab.functions.invoke("f", "{}".into(), InvokeOptions::default()).await.unwrap_err();
    assert_eq!((err.code(), err.status()), ("TooManyRequestsException", 429));
    lab.stop().await;
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
}

/// Its answer is there before it waits for work again: then the service ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_has_just_answered_is_gone_when_the_service_is() {
    for _ in 0..5 {
        let lab = Lab::start();
        lab.node(PID).await;
        let answer = lab.functions.invoke("f", "{}".into(), InvokeOptions::default());
        let pid = value(&answer.await.unwrap())["pid"].as_u64().unwrap();
        lab.stop().await;
        assert!(!is_alive(pid));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_has_a_limit_and_ends_idle_processes_for_it() {
    let lab = Lab::with(LambdaConfig { processes_max: 1, ..LambdaConfig::default() });
    lab.node(PID).await;
    lab.create("g", "nodejs20.x", &[("index.js", PID)], Settings::default()).await;
    let first = pid(&lab).await;
    let functions = std::sync::Arc::clone(&lab.functions);
    let long = tokio::spawn(async move {
        functions.invoke("g", r#"{"ms":1500}"#.into(), InvokeOptions::default()).await.unwrap()
    });
    until("room was made", || !is_alive(first)).await;
    until("g runs", || lab.logs.text().matches("\nSTART").count() == 2).await;
    let err = lab.functions.invoke("f", "{}".into(), InvokeOptions::default()).await.unwrap_err();
    assert_eq!(err.code(), "TooManyRequestsException");
    value(&long.await.unwrap());
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_nobody_calls_is_ended() {
    let lab = Lab::with(LambdaConfig { idle_ms_max: 50, ..LambdaConfig::default() });
    lab.node(PID).await;
    let pid = pid(&lab).await;
    until("it is gone", || !is_alive(pid)).await;
    value(&lab.call("{}").await);
    lab.stop().await;
}

const FAMILY: &str = "const { spawn } = require('child_process'); let child; exports.handler = async () => {\
    child ??= spawn('sleep', ['600'], { stdio: 'inherit' }); return [process.pid, child.pid]; };";

#[tokio::test(flavor = "multi_thread")]
async fn a_process_dies_with_its_children() {
    let lab = Lab::start();
    lab.node(FAMILY).await;
    let family = value(&lab.call("{}").await);
    let pids: Vec<u64> = family.as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    assert!(pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
    lab.stop().await;
    until("all are gone", || !pids.iter().any(|pid| is_alive(*pid))).await;
}

/// The test below runs this test again, in a process of its own, and kills it.
#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle() {
    if std::env::var_os("THROUGHLINE_TEST_KILLED").is_none() {
        return;
    }
    let lab = Lab::start();
    lab.node(FAMILY).await;
    let family = value(&lab.call("{}").await);
    println!("\nfamily {family}");
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_service_leaves_no_process() {
    use std::io::{BufRead as _, BufReader};
    let mut service = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--nocapture",
            "--test-threads=1",
            "lambda::lifecycle::killed_in_the_middle",
        ])
        .env("THROUGHLINE_TEST_KILLED", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(service.stdout.take().unwrap()).lines();
    let family =
        lines.map_while(Result::ok).find_map(|line| Some(line.strip_prefix("family ")?.to_owned()));
    let family: Vec<u64> =
        serde_json::from_str(&family.expect("the service says its processes")).unwrap();
    assert!(family.iter().all(|pid| is_alive(*pid)), "{family:?}");
    service.kill().unwrap();
    service.wait().unwrap();
    until("all are gone", || !family.iter().any(|pid| is_alive(*pid))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn init_is_not_charged_to_the_timeout() {
    let lab = Lab::start();
    let slow =
        "const end = Date.now() + 1300; while (Date.now() < end); exports.handler = async () => 1;";
    let settings = Settings { timeout: Some(1), ..Settings::default() };
    lab.create("f", "nodejs20.x", &[("index.js", slow)], settings).await;
    let before = Instant::now();
    assert_eq!(value(&lab.call("{}").await), 1);
    assert!(before.elapsed() > Duration::from_millis(1300));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_too_long_is_begun_again_within_the_timeout() {
    let lab = Lab::with(LambdaConfig { init_ms_max: 5, ..LambdaConfig::default() });
    lab.node("exports.handler = async () => 1;").await;
    assert_eq!(value(&lab.call("{}").await), 1);
    let log = lab.logs.text();
    assert!(log.contains("\tPhase: init\tStatus: timeout\n"), "{log}");

    let slow = "const end = Date.now() + 60000; while (Date.now() < end);";
    let settings = Settings { timeout: Some(1), ..Settings::default() };
    lab.create("g", "nodejs20.x", &[("index.js", slow)], settings).await;
    let answer = lab.functions.invoke("g", "{}".into(), InvokeOptions::default()).await.unwrap();
    assert!(String::from_utf8_lossy(&answer.payload).contains("Task timed out after 1.00 seconds"));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_key_of_a_process_leads_to_its_call() {
    let lab = Lab::start();
    lab.node("exports.handler = async () => process.env.AWS_ACCESS_KEY_ID;").await;
    let answer = lab.call("{}").await;
    let key = value(&answer);
    let caller = lab.functions.caller(key.as_str().unwrap()).unwrap();
    assert_eq!(caller.function_name, "f");
    assert_eq!(caller.request_id, Some(answer.request_id));
    assert_eq!(lab.functions.caller("AKIAIOSFODNN7EXAMPLE"), None);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_survive_a_restart() {
    let lab = Lab::start();
    lab.node("exports.handler = async () => 'kept';").await;
    let changes = lab.functions.changes();
    let saved = lab.functions.save();
    lab.functions.delete("f", None).await.unwrap();
    assert_ne!(lab.functions.changes(), changes);
    assert!(lab.functions.load(saved.clone()).unwrap_err().contains("is not in the data folder"));
    lab.node("exports.handler = async () => 'kept';").await;
    lab.functions.load(saved).unwrap();
    assert_eq!(value(&lab.call("{}").await), "kept");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_may_come_from_a_bucket() {
    let lab = Lab::start();
    lab.node("exports.handler = async () => 'old';").await;
    let place = ("bucket".to_owned(), "code.zip".to_owned());
    let zip = zip_of(&[("index.js", "exports.handler = async () => 'of the bucket';")]);
    lab.blobs.0.lock().unwrap().insert(place.clone(), zip);
    let code = CodeSource::S3 { bucket: place.0, key: place.1 };
    lab.functions.update_code("f", code, CodeChange::default()).await.unwrap();
    assert_eq!(value(&lab.call("{}").await), "of the bucket");
    lab.stop().await;
}
