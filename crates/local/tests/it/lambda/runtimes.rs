//! Node, Python and a bootstrap of one's own.

use serde_json::{Value, json};
use throughline_local::lambda::{InvokeOptions, Settings};

use super::support::{Lab, value, variables};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_handler_may_answer_in_every_way() {
    let lab = Lab::start();
    lab.node(
        r#"
        exports.handler = (event, context, callback) => {
          switch (event.way) {
            case "promise": return Promise.resolve({ way: "promise" });
            case "callback": return void setTimeout(() => callback(null, { way: "callback" }), 5);
            case "done": return void context.succeed({ way: "done" });
            case "nothing": return undefined;
            case "at-once": context.callbackWaitsForEmptyEventLoop = false; setInterval(() => {}, 60000).ref();
              return void callback(null, { way: "at-once" });
            default: return (async () => event)();
          }
        };"#,
    )
    .await;
    for way in ["promise", "callback", "done", "other"] {
        let answer = lab.call(&json!({ "way": way }).to_string()).await;
        assert_eq!(value(&answer), json!({ "way": way }));
    }
    assert_eq!(value(&lab.call(r#"{"way":"nothing"}"#).await), Value::Null);
    assert_eq!(value(&lab.call(r#"{"way":"at-once"}"#).await), json!({ "way": "at-once" }));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_are_found_in_modules_of_both_kinds() {
    let lab = Lab::start();
    let files = [
        ("esm/package.json", r#"{"type":"module"}"#),
        (
            "esm/main.js",
            "import os from 'os'; export const run = async () => ['esm', typeof os.cpus];",
        ),
        ("m.mjs", "export default { inner: { run: async () => ['mjs'] } };"),
        ("c.cjs", "exports.run = async () => ['cjs'];"),
        ("node_modules/dep/index.js", "module.exports = 'dep';"),
        ("src/with.dep.js", ""),
        ("src/index.js", "exports.run = async () => [require('dep')];"),
    ];
    for (name, handler, expected) in [
        ("a", "esm/main.run", "esm"),
        ("b", "m.inner.run", "mjs"),
        ("c", "c.run", "cjs"),
        ("d", "src/index.run", "dep"),
    ] {
        let settings = Settings { handler: Some(handler.to_owned()), ..Settings::default() };
        lab.create(name, "nodejs20.x", &files, settings).await;
        let answer = lab.functions.invoke(name, "".into(), InvokeOptions::default()).await.unwrap();
        assert_eq!(value(&answer)[0], expected, "{handler}");
    }
    lab.stop().await;
}

const TELLS_ALL: &str = r#"
import os
import logging
def handler(event, context):
    logging.getLogger().warning("two\nlines %s", event["n"])
    print("plain", flush=False)
    return {"env": dict(os.environ), "left": context.get_remaining_time_in_millis(),
            "id": context.aws_request_id, "client": context.client_context.custom["k"]}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_python_handler_sees_what_lambda_gives_and_nothing_of_the_user() {
    let lab = Lab::start();
    let settings = Settings { environment: variables(&[("MINE", "1")]), ..Settings::default() };
    lab.create("f", "python3.11", &[("index.py", TELLS_ALL)], settings).await;
    let options = InvokeOptions {
        client_context: Some(r#"{"custom":{"k":"v"}}"#.to_owned()),
        log_tail: true,
        ..InvokeOptions::default()
    };
    let answer = lab.call_with(r#"{"n":7}"#, options).await;
    let told = value(&answer);
    assert_eq!(told["id"], answer.request_id);
    assert_eq!(told["client"], "v");
    assert!((1..=20_000).contains(&told["left"].as_u64().unwrap()));
    let env = told["env"].as_object().unwrap();
    for (name, expected) in [
        ("MINE", "1"),
        ("_HANDLER", "index.handler"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11"),
    ] {
        assert_eq!(env[name], expected, "{name}");
    }
    assert!(env["AWS_ACCESS_KEY_ID"].as_str().unwrap().starts_with("ASIA"));
    let of_user = std::env::var("HOME").unwrap_or_default();
    assert_ne!(env["HOME"], of_user.as_str());
    assert!(
        std::env::var_os("CARGO_MANIFEST_DIR").is_some() && !env.contains_key("CARGO_MANIFEST_DIR")
    );

    let tail = String::from_utf8(answer.log_tail.unwrap()).unwrap();
    assert!(tail.contains("two\nlines 7\nplain\n"), "{tail}");
    let warning = tail.lines().find(|line| line.starts_with("[WARNING]\t")).unwrap();
    assert!(warning.contains(&format!("Z\t{}\t", answer.request_id)), "{warning}");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn console_lines_are_formatted_as_lambda_does() {
    let lab = Lab::start();
    lab.node(
        "console.log('loaded'); exports.handler = async () => { console.error('a %s\\nb', 1); };",
    )
    .await;
    let answer = lab.call("{}").await;
    let lines = lab.logs.after(&answer.request_id).await;
    let id = &answer.request_id;
    assert!(lines[0].starts_with("INIT_START Runtime Version: nodejs:20"), "{lines:?}");
    assert!(lines[1].ends_with("Z\tundefined\tINFO\tloaded\n"), "{lines:?}");
    assert_eq!(lines[2], format!("START RequestId: {id} Version: $LATEST\n"));
    assert!(lines[3].ends_with(&format!("Z\t{id}\tERROR\ta 1\nb\n")), "{lines:?}");
    assert_eq!(lines[4], format!("END RequestId: {id}\n"));
    let report = &lines[5];
    assert!(report.starts_with(&format!("REPORT RequestId: {id}\tDuration: ")), "{report}");
    for part in [
        " ms\tBilled Duration: ",
        " ms\tMemory Size: 512 MB\tMax Memory Used: ",
        " MB\tInit Duration: ",
    ] {
        assert!(report.contains(part), "{report}");
    }
    let (group, stream) = lab.logs.places()[0].clone();
    assert_eq!(group, "/aws/lambda/f");
    assert!(stream.contains("/[$LATEST]"), "{stream}");
    lab.stop().await;
}

/// A runtime of ten lines: what a compiled `bootstrap` does, without a compiler.
const BOOTSTRAP: &str = r#"#!/usr/bin/python3
import http.client, os
host = os.environ["AWS_LAMBDA_RUNTIME_API"]
while True:
    api = http.client.HTTPConnection(host)
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    work = api.getresponse()
    event, call = work.read(), work.getheader("Lambda-Runtime-Aws-Request-Id")
    api.request("POST", f"/2018-06-01/runtime/invocation/{call}/response", b'{"got":' + event + b"}")
    api.getresponse().read()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_is_run_as_it_is() {
    let lab = Lab::start();
    lab.create("f", "provided.al2023", &[("bootstrap", BOOTSTRAP)], Settings::default()).await;
    for _ in 0..2 {
        assert_eq!(value(&lab.call("[1]").await), json!({ "got": [1] }));
    }
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_is_no_text_is_still_a_log() {
    let lab = Lab::start();
    lab.node(
        "exports.handler = async () => { process.stdout.write(Buffer.from([0xff, 0xfe, 0x00, 0x80, 0x0a])); \
         process.stdout.write('x'.repeat(300000)); return Buffer.from([1, 2]).toString('latin1'); };",
    )
    .await;
    let answer = lab.call("{}").await;
    assert_eq!(value(&answer), "\u{1}\u{2}");
    let lines = lab.logs.after(&answer.request_id).await;
    assert!(lines.iter().any(|line| line.starts_with('\u{fffd}')), "no replaced bytes");
    assert_eq!(
        lines.iter().filter(|line| line.starts_with('x')).map(String::len).sum::<usize>(),
        300_000
    );
    lab.stop().await;
}
