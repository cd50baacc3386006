//! The sign-up workshop's calls of AWS, made to the front door.
//!
//! Rule: the API references of DynamoDB, SNS and Lambda. The front door reads a signature's scope and checks no
//!       signature, so none is made.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::LabError;
use super::super::calls::{self, Answer, encoded};
use super::super::ground::Made;

const REGION: &str = "us-east-1";
const TABLE: &str = "signups";
const TOPIC: &str = "signup-topic";
const FUNCTIONS_PATH: &str = "2015-03-31/functions";
/// Lambda's limit of an unpacked function.
const ZIP_BYTES_MAX: u64 = 250 << 20;
/// How DynamoDB says that a table is there; Lambda says 409.
const TABLE_TAKEN: &str = "ResourceInUseException";

/// What was set up.
pub(super) struct Settings {
    pub(super) region: String,
    pub(super) table: String,
    pub(super) topic: String,
}

/// The front door.
pub(super) struct Cloud {
    endpoint: String,
}

impl Cloud {
    pub(super) fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned() }
    }

    /// Makes table, topic and function, and adds to `made` what was not there before.
    pub(super) async fn set_up(
        &self,
        function: &str,
        zip_base64: &str,
        made: &mut Vec<Made>,
    ) -> Result<Settings, LabError> {
        let table = json!({
            "TableName": TABLE, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "email", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "email", "KeyType": "HASH" }],
        });
        if is_new(&self.dynamodb("CreateTable", &table).await?)? {
            // A topic is made or found by the same call: it goes with the table.
            made.extend([Made::Table, Made::Topic]);
        }
        let topic = self.sns(&[("Action", "CreateTopic"), ("Name", TOPIC)]).await?;
        let arn =
            between(&topic.body, "<TopicArn>", "</TopicArn>").ok_or_else(|| topic.unexpected())?;
        let wanted = json!({
            "FunctionName": function, "Runtime": "nodejs20.x", "Handler": "index.handler", "Timeout": 10,
            "Role": "arn:aws:iam::000000000000:role/signup",
            "Code": { "ZipFile": zip_base64 },
        });
        if is_new(&self.lambda("POST", "", &wanted).await?)? {
            made.push(Made::Function);
        }
        // Also when it was there: its table and topic may have been others.
        let variables = json!({ "TABLE_NAME": TABLE, "TOPIC_ARN": arn });
        let environment = json!({ "Environment": { "Variables": variables } });
        self.lambda("PUT", &format!("/{function}/configuration"), &environment).await?.json()?;
        Ok(Settings { region: REGION.to_owned(), table: TABLE.to_owned(), topic: TOPIC.to_owned() })
    }

    /// `aws lambda update-function-code`; gives the new configuration.
    pub(super) async fn update_code(
        &self,
        function: &str,
        zip_base64: &str,
    ) -> Result<Value, LabError> {
        let code = json!({ "ZipFile": zip_base64 });
        self.lambda("PUT", &format!("/{function}/code"), &code).await?.json()
    }

    /// Turns active tracing on; gives the new configuration.
    pub(super) async fn trace_actively(&self, function: &str) -> Result<Value, LabError> {
        let change = json!({ "TracingConfig": { "Mode": "Active" } });
        self.lambda("PUT", &format!("/{function}/configuration"), &change).await?.json()
    }

    /// Takes away what a run made; gives what could not be, and why.
    pub(super) async fn tear_down(
        &self,
        function: &str,
        made: &[Made],
    ) -> Result<Vec<String>, LabError> {
        let mut left = Vec::new();
        for one in made.iter().rev() {
            let answer = match one {
                Made::Function => {
                    self.lambda("DELETE", &format!("/{function}"), &Value::Null).await?
                }
                Made::Topic => {
                    let arn = format!("arn:aws:sns:{REGION}:000000000000:{TOPIC}");
                    self.sns(&[("Action", "DeleteTopic"), ("TopicArn", &arn)]).await?
                }
                Made::Table => self.dynamodb("DeleteTable", &json!({ "TableName": TABLE })).await?,
            };
            if !(200..300).contains(&answer.status) {
                left.push(answer.unexpected().to_string());
            }
        }
        Ok(left)
    }

    async fn dynamodb(&self, operation: &str, body: &Value) -> Result<Answer, LabError> {
        let target = format!("DynamoDB_20120810.{operation}");
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", &target),
            ("authorization", &scope("dynamodb")),
        ];
        calls::post(&self.endpoint, &headers, body.to_string()).await
    }

    async fn sns(&self, fields: &[(&str, &str)]) -> Result<Answer, LabError> {
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let form = std::iter::once("Version=2010-03-31".to_owned()).chain(pairs);
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("authorization", &*scope("sns")),
        ];
        calls::post(&self.endpoint, &headers, form.collect::<Vec<_>>().join("&")).await
    }

    async fn lambda(&self, method: &str, path: &str, body: &Value) -> Result<Answer, LabError> {
        let url = format!("{}/{FUNCTIONS_PATH}{path}", self.endpoint);
        let request = http::Request::builder().method(method).uri(url);
        let request = request.header("content-type", "application/json");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        calls::call(request.header("authorization", scope("lambda")), body).await
    }
}

/// A signature's scope, and no signature.
fn scope(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=local/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// Whether a call made something; `false`: it was there before.
fn is_new(answer: &Answer) -> Result<bool, LabError> {
    match answer.status {
        200..300 => Ok(true),
        409 => Ok(false),
        _ if answer.body.contains(TABLE_TAKEN) => Ok(false),
        _ => Err(answer.unexpected()),
    }
}

fn between<'a>(body: &'a str, start: &str, end: &str) -> Option<&'a str> {
    Some(body.split_once(start)?.1.split_once(end)?.0)
}

/// A folder as a zip, in base64. Works on a thread of its own.
pub(super) async fn zipped(folder: PathBuf) -> Result<String, LabError> {
    let shown = folder.clone();
    let made = tokio::task::spawn_blocking(move || {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let mut bytes_left = ZIP_BYTES_MAX;
        add(&folder, Path::new(""), &mut zip, &mut bytes_left)?;
        let bytes = zip.finish().map_err(std::io::Error::other)?.into_inner();
        Ok(STANDARD.encode(bytes))
    });
    let made = made.await.map_err(std::io::Error::other).and_then(|made| made);
    made.map_err(LabError::io(shown))
}

fn add(
    folder: &Path,
    name: &Path,
    zip: &mut ZipWriter<Cursor<Vec<u8>>>,
    bytes_left: &mut u64,
) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), name.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            add(&path, &name, zip, bytes_left)?;
        } else if kind.is_file() {
            let bytes = fs::read(&path)?;
            *bytes_left = bytes_left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| std::io::Error::other("too large for a function"))?;
            zip.start_file_from_path(&name, SimpleFileOptions::default())
                .map_err(std::io::Error::other)?;
            zip.write_all(&bytes)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[tokio::test]
    async fn a_zip_has_every_file_by_its_place() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("node_modules/x")).unwrap();
        fs::write(dir.path().join("index.js"), "one").unwrap();
        fs::write(dir.path().join("node_modules/x/index.js"), "two").unwrap();
        let bytes = STANDARD.decode(zipped(dir.path().to_owned()).await.unwrap()).unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(zip.len(), 2);
        let mut text = String::new();
        zip.by_name("node_modules/x/index.js").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "two");
    }
}
