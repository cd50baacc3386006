//! The HTTP API, as the recorded calls have it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use throughline_local::lambda::http::{handle, is_lambda_path};

use super::support::{Lab, zip_of};

struct Api(Lab);

impl Api {
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value, Response<Bytes>) {
        self.ask_with(Request::builder().method(method).uri(path), body).await
    }

    async fn ask_with(
        &self,
        request: http::request::Builder,
        body: &str,
    ) -> (u16, Value, Response<Bytes>) {
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        assert!(is_lambda_path(request.uri().path()), "{}", request.uri());
        let response = handle(&Arc::clone(&self.0.functions), request).await;
        let value = serde_json::from_slice(response.body()).unwrap_or_default();
        (response.status().as_u16(), value, response)
    }
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

fn create_body(source: &str) -> String {
    json!({
        "FunctionName": "XrayReinventBuilderLambda", "Runtime": "nodejs20.x", "Role": "arn:aws:iam::000000000000:role/x",
        "Handler": "index.handler", "Timeout": 10, "MemorySize": 256, "TracingConfig": { "Mode": "PassThrough" },
        "Environment": { "Variables": { "TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:signup-topic" } },
        "Code": { "ZipFile": STANDARD.encode(zip_of(&[("index.js", source)])) }, "Tags": { "a": "1" },
    })
    .to_string()
}

const FUNCTION: &str = "/2015-03-31/functions/XrayReinventBuilderLambda";

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_calls_of_the_sign_up_workshop_work() {
    let api = Api(Lab::start());
    let (status, error, response) = api.ask("GET", FUNCTION, "").await;
    assert_eq!(status, 404);
    assert_eq!(header(&response, "x-amzn-errortype"), "ResourceNotFoundException");
    let text = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:XrayReinventBuilderLambda";
    assert_eq!(error["Message"], text);
    assert_eq!(error["Type"], "User");

    let body = create_body("exports.handler = async (e) => ({ ok: true, email: e.email });");
    let (status, made, _) = api.ask("POST", "/2015-03-31/functions", &body).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["Version"], "$LATEST");
    assert_eq!(made["State"], "Active");
    assert_eq!(made["CodeSha256"].as_str().unwrap().len(), 44);
    let (status, _, response) = api.ask("POST", "/2015-03-31/functions", &body).await;
    assert_eq!((status, header(&response, "x-amzn-errortype")), (409, "ResourceConflictException"));

    let request = Request::builder()
        .method("POST")
        .uri(format!("{FUNCTION}/invocations"))
        .header("X-Amz-Log-Type", "Tail")
        .header(
            "X-Amzn-Trace-Id",
            "Root=1-6b01519c-b7daea33e6586a4c635229fa;Parent=2bcbf692715bab40;Sampled=1",
        );
    let (status, answer, response) = api.ask_with(request, r#"{"email":"ada@x.io"}"#).await;
    assert_eq!((status, answer), (200, json!({ "ok": true, "email": "ada@x.io" })));
    assert_eq!(header(&response, "x-amz-executed-version"), "$LATEST");
    assert_eq!(header(&response, "x-amz-function-error"), "");
    assert!(header(&response, "x-amzn-trace-id").starts_with("Root=1-6b01519c"));
    let tail = STANDARD.decode(header(&response, "x-amz-log-result")).unwrap();
    let id = header(&response, "x-amzn-requestid");
    assert!(String::from_utf8(tail).unwrap().contains(&format!("END RequestId: {id}\n")));

    let zip = STANDARD.encode(zip_of(&[(
        "index.js",
        "exports.handler = async () => { throw new Error('dup'); };",
    )]));
    let (status, updated, _) =
        api.ask("PUT", &format!("{FUNCTION}/code"), &json!({ "ZipFile": zip }).to_string()).await;
    assert_eq!((status, &updated["LastUpdateStatus"]), (200, &json!("Successful")));
    assert_ne!(updated["RevisionId"], made["RevisionId"]);
    let (status, error, response) = api.ask("POST", &format!("{FUNCTION}/invocations"), "{}").await;
    assert_eq!((status, &error["errorMessage"]), (200, &json!("dup")));
    assert_eq!(header(&response, "x-amz-function-error"), "Unhandled");

    let (_, described, _) = api.ask("GET", FUNCTION, "").await;
    assert_eq!(described["Tags"], json!({ "a": "1" }));
    let location = described["Code"]["Location"].as_str().unwrap();
    let (status, _, response) =
        api.ask("GET", location.strip_prefix("http://127.0.0.1:4566").unwrap(), "").await;
    assert_eq!((status, STANDARD.encode(response.body())), (200, zip));
    api.0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_calls_answer_as_aws() {
    let api = Api(Lab::start());
    api.ask("POST", "/2015-03-31/functions", &create_body("exports.handler = async () => 1;"))
        .await;
    let (status, page, _) = api.ask("GET", "/2015-03-31/functions/", "").await;
    assert_eq!((status, page["Functions"].as_array().map(Vec::len)), (200, Some(1)));
    let (status, version, _) = api.ask("POST", &format!("{FUNCTION}/versions"), "{}").await;
    assert_eq!((status, &version["Version"]), (201, &json!("1")));
    let permission = json!({ "StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com" });
    let (status, added, _) =
        api.ask("POST", &format!("{FUNCTION}/policy"), &permission.to_string()).await;
    assert_eq!(status, 201);
    assert!(added["Statement"].as_str().unwrap().contains("apigateway.amazonaws.com"));
    assert_eq!(
        api.ask("POST", &format!("{FUNCTION}/policy"), &permission.to_string()).await.0,
        409
    );
    assert_eq!(api.ask("GET", &format!("{FUNCTION}/policy"), "").await.0, 200);
    assert_eq!(api.ask("DELETE", &format!("{FUNCTION}/policy/s"), "").await.0, 204);
    assert_eq!(api.ask("GET", &format!("{FUNCTION}/policy"), "").await.0, 404);
    let (status, changed, _) =
        api.ask("PUT", &format!("{FUNCTION}/configuration"), r#"{"Timeout":12}"#).await;
    assert_eq!(
        (status, &changed["Timeout"], &changed["MemorySize"]),
        (200, &json!(12), &json!(256))
    );
    let (status, reserved, _) = api
        .ask(
            "PUT",
            "/2017-10-31/functions/XrayReinventBuilderLambda/concurrency",
            r#"{"ReservedConcurrentExecutions":2}"#,
        )
        .await;
    assert_eq!((status, reserved), (200, json!({ "ReservedConcurrentExecutions": 2 })));

    let layer =
        json!({ "Content": { "ZipFile": STANDARD.encode(zip_of(&[("x", "1")])) } }).to_string();
    let (status, layer, _) = api.ask("POST", "/2018-10-31/layers/own/versions", &layer).await;
    assert_eq!((status, &layer["Version"]), (201, &json!(1)), "{layer}");
    let arn = layer["LayerVersionArn"].as_str().unwrap();
    let (status, found, _) =
        api.ask("GET", &format!("/2018-10-31/layers?find=LayerVersion&Arn={arn}"), "").await;
    assert_eq!((status, &found["LayerVersionArn"]), (200, &json!(arn)));

    for (method, path, body, expected) in [
        ("POST", "/2015-03-31/functions", "{", 400),
        ("POST", "/2015-03-31/functions", "{}", 400),
        ("POST", "/2015-03-31/functions/a%2F..%2Fb/invocations", "{}", 400),
        ("POST", &format!("{FUNCTION}/invocations"), "{", 400),
        ("GET", "/2015-03-31/functions/x/nothing", "", 404),
        ("GET", "/_lambda/code/..%2F..%2Fetc%2Fpasswd", "", 404),
        ("GET", "/2015-03-31/event-source-mappings/none", "", 404),
        ("DELETE", FUNCTION, "", 204),
        ("DELETE", FUNCTION, "", 404),
    ] {
        assert_eq!(api.ask(method, path, body).await.0, expected, "{method} {path} {body}");
    }
    api.0.stop().await;
}
