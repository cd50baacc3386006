//! The trace header and the two segments of Lambda's own.

use serde_json::json;
use throughline_local::lambda::{InvokeOptions, Settings};

use super::support::{Lab, active, value};

const ROOT: &str = "1-6b01519c-b7daea33e6586a4c635229fa";
const TELL: &str = "exports.handler = async (e) => { if (e.bad) throw new TypeError('no'); return process.env._X_AMZN_TRACE_ID; };";

fn from(header: &str) -> InvokeOptions {
    InvokeOptions { trace_header: Some(header.to_owned()), ..InvokeOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_active_function_is_two_segments() {
    let lab = Lab::start();
    let settings = Settings { tracing_config: active(), ..Settings::default() };
    lab.create("f", "nodejs20.x", &[("index.js", TELL)], settings).await;
    let header = format!("Root={ROOT};Parent=2bcbf692715bab40;Sampled=1");
    let answer = lab.call_with("{}", from(&header)).await;
    let (service, function) = (lab.segment(), lab.segment());
    assert_eq!(service["trace_id"], ROOT);
    assert_eq!(service["parent_id"], "2bcbf692715bab40");
    assert_eq!(service["origin"], "AWS::Lambda");
    assert_eq!(service["aws"]["request_id"], answer.request_id);
    assert_eq!(function["origin"], "AWS::Lambda::Function");
    assert_eq!(function["parent_id"], service["id"]);
    let parts = function["subsegments"].as_array().unwrap();
    let names: Vec<_> = parts.iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Initialization", "Invocation", "Overhead"]);
    let parent = parts[1]["id"].as_str().unwrap();
    assert_eq!(value(&answer), format!("Root={ROOT};Parent={parent};Sampled=1"));
    for part in parts {
        assert!(part["start_time"].as_f64() <= part["end_time"].as_f64(), "{part}");
    }
    let lines = lab.logs.after(&answer.request_id).await;
    let report = lines.last().unwrap();
    let traced = format!(
        "\nXRAY TraceId: {ROOT}\tSegmentId: {}\tSampled: true\t\n",
        function["id"].as_str().unwrap()
    );
    assert!(report.ends_with(&traced), "{report}");

    // Warm, failing, and the first of its trace.
    let failing = lab.call(r#"{"bad":true}"#).await;
    let (service, function) = (lab.segment(), lab.segment());
    assert_eq!(failing.function_error, Some("Unhandled"));
    assert_eq!(service.get("parent_id"), None);
    assert_eq!(service["fault"], true);
    assert_eq!(function["cause"]["exceptions"][0]["type"], "TypeError");
    assert_eq!(function["subsegments"].as_array().unwrap().len(), 2);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_sends_nothing() {
    let lab = Lab::start();
    let settings = Settings { tracing_config: active(), ..Settings::default() };
    lab.create("f", "nodejs20.x", &[("index.js", TELL)], settings).await;
    let header = format!("Root={ROOT};Parent=2bcbf692715bab40;Sampled=0");
    assert_eq!(value(&lab.call_with("{}", from(&header)).await), header);
    let marker = lab.call("{}").await;
    assert_eq!(lab.segment()["aws"]["request_id"], marker.request_id, "the first that is sent");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passive_function_gets_the_header_and_sends_nothing() {
    let lab = Lab::start();
    lab.create(
        "f",
        "python3.11",
        &[("index.py", "import os\ndef handler(e, c): return os.environ['_X_AMZN_TRACE_ID']")],
        Settings::default(),
    )
    .await;
    let header = format!("Root={ROOT};Parent=2bcbf692715bab40;Sampled=1");
    assert_eq!(value(&lab.call_with("{}", from(&header)).await), json!(header));
    assert!(value(&lab.call("{}").await).as_str().unwrap().ends_with(";Sampled=0"));
    lab.xray.set_nonblocking(true).unwrap();
    assert!(lab.xray.recv(&mut [0; 16]).is_err());
    lab.stop().await;
}
