//! Layers, wrappers, and what the runtime itself brings along.

use serde_json::json;
use throughline_local::lambda::{CodeSource, LambdaConfig, LayerMapping, PublishLayer, Settings};

use super::support::{Lab, value, variables, write_files, zip_of};

/// What a tracing layer does: a script that adds a preload and becomes the interpreter.
const WRAPPER: &str = "#!/bin/bash\nsource /opt/defaults\nexport NODE_OPTIONS=\"${NODE_OPTIONS} --require /opt/wrapper.js\"\necho \"wrapping $1\"\nexec \"$@\"\n";
const PRELOAD: &str = "
const http = require('http');
const { request } = http;
globalThis.traced = [];
http.request = (...all) => { globalThis.traced.push('http'); return request(...all); };
const net = require('net');
const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function (...all) { globalThis.traced.push('net'); return connect.apply(this, all); };
";
const HANDLER: &str = "
const dep = require('dep');
exports.handler = async () => ({ dep, traced: globalThis.traced, from: process.env.FROM_LAYER, sees: require('fs').existsSync('/opt/wrapper.js') });
";
const ARN: &str = "arn:aws:lambda:us-east-1:254067382080:layer:splunk-apm:70";

fn layer_files() -> [(&'static str, &'static str); 4] {
    [
        ("nodejs-otel-handler", WRAPPER),
        ("defaults", "export FROM_LAYER=yes\n"),
        ("wrapper.js", PRELOAD),
        ("nodejs/node_modules/dep/index.js", "module.exports = 'of the layer';"),
    ]
}

async fn check_wrapped(namespaces: bool) {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), &layer_files());
    let lab = Lab::with(LambdaConfig {
        namespaces,
        layers: vec![LayerMapping {
            arn: "arn:aws:lambda:*:254067382080:layer:splunk-apm".to_owned(),
            path: folder.path().to_owned(),
        }],
        ..LambdaConfig::default()
    });
    let settings = Settings {
        layers: Some(vec![ARN.to_owned()]),
        environment: variables(&[("AWS_LAMBDA_EXEC_WRAPPER", "/opt/nodejs-otel-handler")]),
        ..Settings::default()
    };
    lab.create("f", "nodejs16.x", &[("index.js", HANDLER)], settings).await;
    for _ in 0..2 {
        let told = value(&lab.call("{}").await);
        assert_eq!(told["dep"], "of the layer");
        assert_eq!(told["from"], "yes");
        assert_eq!(told["traced"], json!([]), "the client's own calls are not traced");
        assert!(told["sees"] == json!(true) || !namespaces || !can_mount());
    }
    assert!(lab.logs.text().contains("wrapping /"), "{}", lab.logs.text());
    lab.stop().await;
}

/// Whether this machine lets us mount; where it does not, paths are rewritten and the same must hold.
fn can_mount() -> bool {
    ["--mount", "--user --map-root-user --mount"].iter().any(|flags| {
        let mut unshare = std::process::Command::new("unshare");
        unshare.args(flags.split(' ')).args(["sh", "-c", "mount --bind /tmp /opt"]);
        unshare.output().is_ok_and(|output| output.status.success())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapper_of_a_mapped_layer_starts_the_interpreter() {
    check_wrapped(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_without_a_mount_namespace() {
    check_wrapped(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapper_that_is_not_there_is_named() {
    let lab = Lab::start();
    let environment = variables(&[("AWS_LAMBDA_EXEC_WRAPPER", "/opt/nodejs-otel-handler")]);
    let settings = Settings { environment, ..Settings::default() };
    lab.create("f", "nodejs20.x", &[("index.js", "")], settings).await;
    let (kind, text, _) = lab.failing("{}").await;
    assert_eq!(kind, "Runtime.ExitError");
    assert!(text.ends_with("exit status 127"), "{text}");
    assert!(lab.logs.text().contains("/opt/nodejs-otel-handler: does not exist\n"));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn published_layers_cover_each_other_in_order() {
    let lab = Lab::start();
    let mut arns = Vec::new();
    for (name, files) in [
        ("first", [("python/dep.py", "X = 'first'"), ("python/only_first.py", "Y = 1")]),
        ("second", [("python/dep.py", "X = 'second'"), ("python/other.py", "Z = 2")]),
    ] {
        let layer = PublishLayer {
            name: name.to_owned(),
            content: CodeSource::Zip(zip_of(&files)),
            description: String::new(),
            compatible_runtimes: Vec::new(),
            license: String::new(),
        };
        let (version, _) = lab.functions.publish_layer(layer).await.unwrap();
        assert_eq!(version.version, 1);
        arns.push(version.layer_version_arn);
    }
    let source =
        "import dep, only_first, other\ndef handler(e, c): return [dep.X, only_first.Y, other.Z]";
    let settings = Settings { layers: Some(arns), ..Settings::default() };
    lab.create("f", "python3.11", &[("index.py", source)], settings).await;
    assert_eq!(value(&lab.call("{}").await), json!(["second", 1, 2]));
    lab.stop().await;
}

/// Stands in for aws-sdk v2: what matters is how it is found and told where to send.
const SDK: [(&str, &str); 3] = [
    ("node_modules/aws-sdk/package.json", r#"{"name":"aws-sdk","main":"lib/aws.js"}"#),
    (
        "node_modules/aws-sdk/lib/core.js",
        "const config = {}; exports.config = { config, update: (more) => Object.assign(config, more) };",
    ),
    ("node_modules/aws-sdk/lib/aws.js", "module.exports = require('./core');"),
];

#[tokio::test(flavor = "multi_thread")]
async fn aws_sdk_v2_comes_with_the_runtime_and_calls_the_front_door() {
    let runtime = tempfile::tempdir().unwrap();
    write_files(runtime.path(), &SDK);
    let lab = Lab::with(LambdaConfig {
        node_runtime: Some(runtime.path().to_owned()),
        ..LambdaConfig::default()
    });
    lab.node("const AWS = require('aws-sdk'); exports.handler = async () => AWS.config.config;")
        .await;
    let expected = json!({ "endpoint": "http://127.0.0.1:4566", "s3ForcePathStyle": true });
    assert_eq!(value(&lab.call("{}").await), expected);
    lab.stop().await;
}
