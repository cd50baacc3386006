//! Extensions of layers, as programs of their own, and what the Telemetry API tells them.

use std::time::{Duration, Instant};

use throughline_local::lambda::{LambdaConfig, LayerMapping, Settings};

use super::support::{Lab, until, value, write_files};

const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:layer:watcher:1";
const HANDLER: &str =
    "exports.handler = async (event) => { console.log('the function speaks'); return event; };";

/// Registers, subscribes, and says on its output what it is told.
const EXTENSION: &str = r#"#!/usr/bin/env python3
import json, os, sys, threading, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"]


def say(*words):
    print(*words, flush=True)


def ask(method, path, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(api + path, data, headers, method=method)) as answer:
            return answer.headers, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        say("REFUSED", error.code, path, json.loads(error.read())["errorType"])
        raise


class Telemetry(BaseHTTPRequestHandler):
    def do_POST(self):
        for event in json.loads(self.rfile.read(int(self.headers["content-length"]))):
            record = event["record"]
            say("TOLD", event["type"], record.strip() if isinstance(record, str) else record.get("status", ""))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if os.environ.get("HANDLER_IS_HIDDEN") or "_HANDLER" in os.environ:
    say("the environment is wrong")
headers, about = ask("POST", "/2020-01-01/extension/register", {"events": ["INVOKE", "SHUTDOWN"]},
                     Lambda_Extension_Name="watcher", Lambda_Extension_Accept_Feature="accountId")
me = headers["Lambda-Extension-Identifier"]
say("REGISTERED", about["functionName"], about["functionVersion"], about["handler"], about["accountId"])
server = HTTPServer((os.environ.get("LISTEN", "sandbox.localdomain"), 0), Telemetry)
threading.Thread(target=server.serve_forever, daemon=True).start()
ask("PUT", "/2022-07-01/telemetry", {
    "schemaVersion": "2022-12-13", "types": ["platform", "function"], "buffering": {"timeoutMs": 25},
    "destination": {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{server.server_port}/"},
}, Lambda_Extension_Identifier=me)
while True:
    headers, event = ask("GET", "/2020-01-01/extension/event/next", Lambda_Extension_Identifier=me)
    say("EVENT", event["eventType"], event.get("requestId", ""), event.get("shutdownReason", ""))
    assert headers["Lambda-Extension-Event-Identifier"]
    if event["eventType"] == "SHUTDOWN":
        say("GOODBYE")
        sys.exit(0)
"#;

/// A service whose functions can have a layer with this extension.
async fn lab_with(extension: &str, config: LambdaConfig) -> (Lab, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), &[("extensions/watcher", extension)]);
    let layers = vec![LayerMapping { arn: ARN.to_owned(), path: folder.path().to_owned() }];
    let lab = Lab::with(LambdaConfig { layers, ..config });
    let settings =
        Settings { layers: Some(vec![ARN.to_owned()]), timeout: Some(5), ..Settings::default() };
    lab.create("f", "nodejs20.x", &[("index.js", HANDLER)], settings).await;
    (lab, folder)
}

/// Without a mount there is no `sandbox.localdomain`.
fn on_this_machine() -> String {
    EXTENSION.replace("os.environ.get(\"LISTEN\", \"sandbox.localdomain\")", "\"127.0.0.1\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_lives_beside_the_function_and_is_told_what_happens() {
    let (lab, _folder) = lab_with(&on_this_machine(), LambdaConfig::default()).await;
    let answer = lab.call("1").await;
    assert_eq!(value(&answer), 1);
    let id = answer.request_id;
    lab.logs.after(&id).await;
    let second = lab.call("2").await;
    assert_eq!(value(&second), 2);
    lab.logs.after(&second.request_id).await;
    let has = |text: &str| lab.logs.text().contains(text);
    for told in [
        "platform.initStart",
        "platform.initRuntimeDone success",
        "platform.initReport success",
        "platform.telemetrySubscription",
        "platform.extension",
        "platform.start",
        "platform.runtimeDone success",
        "platform.report success",
    ] {
        until(told, || has(&format!("TOLD {told}"))).await;
    }
    until("the function's own line", || {
        lab.logs
            .lines()
            .iter()
            .any(|line| line.starts_with("TOLD function ") && line.contains("speaks"))
    })
    .await;
    let log = lab.logs.text();
    assert!(log.contains("REGISTERED f $LATEST index.handler 000000000000\n"), "{log}");
    assert!(
        log.contains("EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n"),
        "{log}"
    );
    assert!(log.contains(&format!("EVENT INVOKE {id} \n")), "{log}");
    assert_eq!(log.matches("INIT_START").count(), 1, "the second call was warm: {log}");
    assert!(!log.contains("the environment is wrong"), "{log}");
    let logs = std::sync::Arc::clone(&lab.logs);
    lab.stop().await;
    let log = logs.text();
    assert!(log.contains("EVENT SHUTDOWN  spindown\nGOODBYE\n"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_listen_under_lambdas_own_name_where_it_can_be_mounted() {
    let mounted = std::process::Command::new("unshare")
        .args(["--mount", "--", "mount", "--bind", "/tmp", "/opt"])
        .stderr(std::process::Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        return; // an ordinary user's namespaces may be off; then extensions listen on 127.0.0.1
    }
    let (lab, _folder) = lab_with(EXTENSION, LambdaConfig::default()).await;
    assert_eq!(value(&lab.call("1").await), 1);
    until("telemetry", || lab.logs.text().contains("TOLD platform.runtimeDone success")).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_over_when_every_extension_is_ready_and_its_answer_comes_before() {
    let slow = on_this_machine().replace(
        "    assert headers",
        "    import threading; threading.Event().wait(0.7)\n    assert headers",
    );
    let (lab, _folder) = lab_with(&slow, LambdaConfig::default()).await;
    value(&lab.call("1").await);
    let before = Instant::now();
    let answer = lab.call("2").await;
    assert_eq!(value(&answer), 2);
    let answered = before.elapsed();
    lab.logs.after(&answer.request_id).await;
    assert!(before.elapsed() > answered, "the report comes after the extension");
    assert!(before.elapsed() > Duration::from_millis(700), "{:?}", before.elapsed());
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn extensions_that_fail_fail_the_function() {
    for (source, error_type, text) in [
        ("#!/bin/sh\nexit 3\n", "Extension.Crash", "extension watcher ended: exit status: 3"),
        ("#!/no/such/interpreter\n", "Extension.", "extension watcher"),
    ] {
        let (lab, _folder) = lab_with(source, LambdaConfig::default()).await;
        let (found, message, _) = lab.failing("1").await;
        assert!(found.starts_with(error_type), "{found}: {message}");
        assert!(message.contains(text), "{message}");
        lab.stop().await;
    }
    let giving_up = on_this_machine().replace(
        "server = HTTPServer",
        "ask(\"POST\", \"/2020-01-01/extension/init/error\", {}, Lambda_Extension_Identifier=me, \
         Lambda_Extension_Function_Error_Type=\"Watcher.NoKey\")\nserver = HTTPServer",
    );
    let (lab, _folder) = lab_with(&giving_up, LambdaConfig::default()).await;
    let (found, message, _) = lab.failing("1").await;
    assert_eq!(found, "Extension.InitError");
    assert!(message.contains("extension watcher: Watcher.NoKey"), "{message}");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_never_registers_is_a_start_that_takes_too_long() {
    let config = LambdaConfig { init_ms_max: 200, ..LambdaConfig::default() };
    let (lab, _folder) = lab_with("#!/bin/sh\nexec sleep 600\n", config).await;
    let (_, message, _) = lab.failing("1").await;
    assert!(message.contains("Task timed out after 5.00 seconds"), "{message}");
    lab.stop().await;
}
