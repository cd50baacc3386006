//! Handlers, modules and zips that go wrong.

use serde_json::Value;
use throughline_local::lambda::{
    CodeSource, CreateFunction, InvocationType, InvokeOptions, LambdaConfig, Settings,
};

use super::support::{Lab, until, value, variables, zip_of};

const NODE: &str = r#"
exports.handler = async (event) => {
  switch (event.how) {
    case "throw": throw new TypeError("no");
    case "reject": return Promise.reject("plain");
    case "late": await new Promise(() => setTimeout(() => {}, 60000));
    case "exit": process.exit(3);
    case "bye": process.exit(0);
    case "uncaught": setTimeout(() => { throw new RangeError("later"); }, 1); await new Promise(() => setTimeout(() => {}, 5000));
    case "unhandled": Promise.reject(new Error("nobody")); await new Promise(() => setTimeout(() => {}, 5000));
    case "large": return "x".repeat(7 * 1024 * 1024);
    case "circular": { const a = {}; a.a = a; return a; }
    case "memory": { const all = []; for (;;) { all.push(Buffer.alloc(8e6, 1)); await new Promise((r) => setTimeout(r, 2)); } }
  }
  return "well";
};"#;

async fn check(lab: &Lab, how: &str, kind: &str, text: &str) -> Value {
    let (found, message, error) = lab.failing(&format!(r#"{{"how":"{how}"}}"#)).await;
    assert_eq!(found, kind, "{how}: {message}");
    assert!(message.contains(text), "{how}: {message}");
    let after = lab.call("{}").await;
    assert_eq!(value(&after), "well", "the next call works after {how}");
    error
}

/// Only here is the timeout short: a busy machine may need a second for anything else.
async fn check_late(lab: &Lab) {
    let set = |timeout: u32| {
        let settings = Settings { timeout: Some(timeout), ..Settings::default() };
        lab.functions.update_configuration("f", &settings).unwrap();
    };
    set(1);
    let (kind, text, _) = lab.failing(r#"{"how":"late"}"#).await;
    assert_eq!(kind, "Sandbox.Timedout");
    assert!(text.ends_with("Task timed out after 1.00 seconds"), "{text}");
    set(20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_handler_fails_in_lambdas_words() {
    let lab = Lab::start();
    lab.create("f", "nodejs20.x", &[("index.js", NODE)], Settings::default()).await;
    let error = check(&lab, "throw", "TypeError", "no").await;
    assert_eq!(error["trace"][0], "TypeError: no");
    check(&lab, "reject", "string", "plain").await;
    check_late(&lab).await;
    check(&lab, "exit", "Runtime.ExitError", "Error: Runtime exited with error: exit status 3")
        .await;
    check(&lab, "bye", "Runtime.ExitError", "Runtime exited without providing a reason").await;
    check(&lab, "uncaught", "RangeError", "later").await;
    check(&lab, "unhandled", "Runtime.UnhandledPromiseRejection", "Error: nobody").await;
    check(&lab, "large", "Function.ResponseSizeTooLarge", "6291556 bytes").await;
    check(&lab, "circular", "Runtime.MarshalError", "circular").await;

    let text = lab.logs.text();
    for line in [
        "\tERROR\tInvoke Error \t{\"errorType\":\"TypeError\",\"errorMessage\":\"no\"",
        " Task timed out after 1.00 seconds\n\n",
        "\tStatus: timeout\t\n",
        "Error: Runtime exited with error: exit status 3\nRuntime.ExitError\n",
        "\tStatus: error\tError Type: Runtime.ExitError\t\n",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_outgrows_its_memory_is_killed() {
    let lab = Lab::start();
    let settings = Settings { memory_size: Some(256), timeout: Some(20), ..Settings::default() };
    lab.create("f", "nodejs20.x", &[("index.js", NODE)], settings).await;
    check(&lab, "memory", "Runtime.ExitError", "signal: killed").await;
    assert!(lab.logs.text().contains("Error Type: Runtime.OutOfMemory"), "{}", lab.logs.text());
    lab.stop().await;
}

const PYTHON: &str = r#"
import sys, threading
def handler(event, context):
    how = event.get("how")
    if how == "throw": raise KeyError("no")
    if how == "late": threading.Event().wait(60)
    if how == "exit": sys.exit(3)
    if how == "large": return "x" * (7 * 1024 * 1024)
    if how == "bytes": return b"\xff"
    return "well"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_python_handler_fails_in_lambdas_words() {
    let lab = Lab::start();
    lab.create("f", "python3.11", &[("index.py", PYTHON)], Settings::default()).await;
    let error = check(&lab, "throw", "KeyError", "'no'").await;
    let frame = error["stackTrace"][0].as_str().unwrap();
    assert!(frame.contains("index.py\", line 5, in handler"), "{frame}");
    assert!(
        lab.logs.text().contains("[ERROR] KeyError: 'no'\nTraceback (most recent call last):\n")
    );
    check_late(&lab).await;
    check(&lab, "exit", "Runtime.ExitError", "exit status 3").await;
    check(&lab, "large", "Function.ResponseSizeTooLarge", "6291556").await;
    check(&lab, "bytes", "Runtime.MarshalError", "bytes is not JSON serializable").await;
    lab.stop().await;
}

async fn check_start(runtime: &str, files: &[(&str, &str)], handler: &str, kind: &str, text: &str) {
    let lab = Lab::start();
    let settings = Settings { handler: Some(handler.to_owned()), ..Settings::default() };
    lab.create("f", runtime, files, settings).await;
    let (found, message, _) = lab.failing("{}").await;
    assert_eq!(found, kind, "{message}");
    assert!(message.contains(text), "{message}");
    let log = lab.logs.text();
    assert!(log.contains(&format!("\tPhase: init\tStatus: error\tError Type: {kind}\n")), "{log}");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_cannot_start_says_why() {
    let node = "nodejs20.x";
    let import = "Runtime.ImportModuleError";
    check_start(node, &[("a.js", "")], "index.handler", import, "Cannot find module 'index'").await;
    check_start(
        node,
        &[("index.js", "require('uuid')")],
        "index.handler",
        import,
        "Cannot find module 'uuid'",
    )
    .await;
    check_start(
        node,
        &[("index.js", "require('aws-sdk')")],
        "index.handler",
        import,
        "npm install aws-sdk@2",
    )
    .await;
    let found = "Runtime.HandlerNotFound";
    check_start(
        node,
        &[("index.js", "")],
        "index.handler",
        found,
        "index.handler is undefined or not exported",
    )
    .await;
    check_start(
        node,
        &[("index.js", "exports.handler = 1")],
        "index.handler",
        found,
        "not a function",
    )
    .await;
    let syntax = "Runtime.UserCodeSyntaxError";
    check_start(
        node,
        &[("index.js", "exports.handler = (")],
        "index.handler",
        syntax,
        "SyntaxError",
    )
    .await;
    check_start(
        node,
        &[("index.js", "process.exit(9)")],
        "index.handler",
        "Runtime.ExitError",
        "exit status 9",
    )
    .await;
    check_start(
        node,
        &[("index.js", "throw new Error('early')")],
        "index.handler",
        "Error",
        "early",
    )
    .await;
    let malformed = "Runtime.MalformedHandlerName";
    check_start(node, &[("index.js", "")], "../x/index.handler", malformed, "Bad handler").await;

    let python = "python3.11";
    check_start(
        python,
        &[("a.py", "")],
        "index.handler",
        import,
        "Unable to import module 'index'",
    )
    .await;
    check_start(
        python,
        &[("index.py", "x = (")],
        "index.handler",
        syntax,
        "Syntax error in module 'index'",
    )
    .await;
    check_start(
        python,
        &[("index.py", "")],
        "index.handler",
        found,
        "Handler 'handler' missing on module 'index'",
    )
    .await;
    let entry = "Runtime.InvalidEntrypoint";
    check_start("provided.al2", &[("a", "")], "x", entry, "Couldn't find valid bootstrap(s)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interpreter_that_is_not_there_is_named() {
    let lab = Lab::with(LambdaConfig { node: "/no/such/node".into(), ..LambdaConfig::default() });
    lab.node("").await;
    let (kind, text, _) = lab.failing("{}").await;
    assert_eq!(kind, "Runtime.InvalidEntrypoint");
    assert!(text.contains("/no/such/node"), "{text}");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_code_and_bad_settings_make_no_function() {
    let lab = Lab::start();
    let attempt = |code: CodeSource, settings: Settings| {
        let create = CreateFunction {
            name: "bad".to_owned(),
            code,
            settings: Settings {
                runtime: settings.runtime.or_else(|| Some("nodejs20.x".to_owned())),
                handler: Some("index.handler".to_owned()),
                ..settings
            },
            tags: Default::default(),
            publish: false,
        };
        let functions = &lab.functions;
        async move { functions.create(create).await.unwrap_err().to_string() }
    };
    let good = || CodeSource::Zip(zip_of(&[("index.js", "")]));
    let plain = Settings::default;
    let err = attempt(CodeSource::Zip("no zip".into()), plain()).await;
    assert!(err.contains("Could not unzip uploaded file"), "{err}");
    let err = attempt(CodeSource::Zip(zip_of(&[("../../evil", "x")])), plain()).await;
    assert!(err.contains("leads out of its folder"), "{err}");
    assert!(!lab.dir.path().join("evil").exists());
    let err =
        attempt(CodeSource::S3 { bucket: "b".to_owned(), key: "k".to_owned() }, plain()).await;
    assert!(err.contains("NoSuchKey"), "{err}");
    let err = attempt(good(), Settings { runtime: Some("cobol".to_owned()), ..plain() }).await;
    assert!(err.contains("Value cobol at 'runtime'"), "{err}");
    let layers = Some(vec!["arn:aws:lambda:us-east-1:254067382080:layer:splunk-apm:70".to_owned()]);
    let err = attempt(good(), Settings { layers, ..plain() }).await;
    assert!(err.contains("splunk-apm:70 does not exist"), "{err}");
    let environment = variables(&[("AWS_LAMBDA_RUNTIME_API", "x")]);
    let err = attempt(good(), Settings { environment, ..plain() }).await;
    assert!(err.contains("reserved keys"), "{err}");
    assert!(lab.functions.list().is_empty());
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_tried_three_times_under_one_id() {
    let config = LambdaConfig { event_retry_ms: [1, 1], ..LambdaConfig::default() };
    let lab = Lab::with(config);
    lab.node("exports.handler = async () => { throw new Error('again'); };").await;
    let options = InvokeOptions { kind: InvocationType::Event, ..InvokeOptions::default() };
    let answer = lab.call_with("{}", options).await;
    assert_eq!((answer.status, answer.payload.len()), (202, 0));
    let start = format!("START RequestId: {} ", answer.request_id);
    let end = format!("REPORT RequestId: {}", answer.request_id);
    let count =
        |prefix: &str| lab.logs.lines().iter().filter(|line| line.starts_with(prefix)).count();
    until("three reports", || count(&end) == 3).await;
    assert_eq!(count(&start), 3);

    let options = InvokeOptions { kind: InvocationType::DryRun, ..InvokeOptions::default() };
    assert_eq!(lab.call_with("{}", options).await.status, 204);
    lab.stop().await;
}
