//! Calls about functions: made, changed, listed, published, permitted, tagged.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::error::LambdaError;
use super::super::functions::{CodeChange, Functions};
use super::super::types::{CodeSource, CreateFunction, Permission, Settings};
use super::{Answer, Asked, code_location, configurations, page, unknown};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CreateBody {
    function_name: String,
    code: CodeBody,
    tags: BTreeMap<String, String>,
    publish: bool,
}

/// The code as `CreateFunction`, `UpdateFunctionCode` and `PublishLayerVersion` have it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct CodeBody {
    zip_file: Option<String>,
    s3_bucket: Option<String>,
    s3_key: Option<String>,
    image_uri: Option<String>,
}

impl CodeBody {
    pub(super) fn source(self) -> Result<CodeSource, LambdaError> {
        if let Some(text) = self.zip_file {
            let zip = STANDARD.decode(text).map_err(|_| {
                LambdaError::InvalidParameterValue(
                    "Could not unzip uploaded file. Please check your file, then try to upload again.".to_owned(),
                )
            })?;
            return Ok(CodeSource::Zip(zip.into()));
        }
        if let (Some(bucket), Some(key)) = (self.s3_bucket, self.s3_key) {
            return Ok(CodeSource::S3 { bucket, key });
        }
        let text = match self.image_uri {
            Some(_) => "the local cloud runs no container images: give the code as a zip",
            None => "Please provide a source for function code.",
        };
        Err(LambdaError::InvalidParameterValue(text.to_owned()))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CodeChangeBody {
    publish: bool,
    dry_run: bool,
    revision_id: Option<String>,
    architectures: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PublishBody {
    description: Option<String>,
    code_sha256: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ConcurrencyBody {
    reserved_concurrent_executions: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TagsBody {
    tags: BTreeMap<String, String>,
}

pub(super) async fn route(
    functions: &Arc<Functions>,
    asked: &Asked,
    path: &[&str],
) -> Result<Answer, LambdaError> {
    let qualifier = asked.query("Qualifier");
    match (asked.method.as_str(), path) {
        ("POST", ["functions"]) => create(functions, asked).await,
        ("GET", ["functions"]) => {
            let (page, next) = page(asked, configurations(&functions.list()));
            Ok(Answer::json(200, &json!({ "Functions": page, "NextMarker": next })))
        }
        ("GET", ["functions", name]) => describe(functions, name, qualifier),
        ("DELETE", ["functions", name]) => {
            functions.delete(name, qualifier).await?;
            Ok(Answer::empty(204))
        }
        ("GET", ["functions", name, "configuration"]) => {
            Ok(Answer::of(200, &functions.get(name, qualifier)?))
        }
        ("PUT", ["functions", name, "configuration"]) => {
            let settings: Settings = asked.json()?;
            Ok(Answer::of(200, &functions.update_configuration(name, &settings)?))
        }
        ("PUT", ["functions", name, "code"]) => {
            let source = asked.json::<CodeBody>()?.source()?;
            let body: CodeChangeBody = asked.json()?;
            let change = CodeChange {
                publish: body.publish,
                dry_run: body.dry_run,
                revision_id: body.revision_id,
                architectures: body.architectures,
            };
            Ok(Answer::of(200, &functions.update_code(name, source, change).await?))
        }
        ("GET", ["functions", name, "versions"]) => {
            let (page, next) = page(asked, configurations(&functions.list_versions(name)?));
            Ok(Answer::json(200, &json!({ "Versions": page, "NextMarker": next })))
        }
        ("POST", ["functions", name, "versions"]) => {
            let body: PublishBody = asked.json()?;
            let published = functions.publish_version(
                name,
                body.description.as_deref(),
                body.code_sha256.as_deref().filter(|sha| !sha.is_empty()),
            )?;
            Ok(Answer::of(201, &published))
        }
        ("GET", ["functions", name, "aliases"]) => {
            functions.get(name, None)?;
            Ok(Answer::json(200, &json!({ "Aliases": [] })))
        }
        ("GET", ["functions", name, "code-signing-config"]) => {
            let name = functions.get(name, None)?.function_name;
            Ok(Answer::json(200, &json!({ "FunctionName": name, "CodeSigningConfigArn": "" })))
        }
        ("GET" | "PUT" | "DELETE", ["functions", name, "concurrency"]) => {
            concurrency(functions, asked, name)
        }
        ("GET" | "POST" | "DELETE", ["functions", name, "policy", ..]) => {
            policy(functions, asked, name, path.get(3).copied())
        }
        ("GET", ["tags", arn]) => Ok(Answer::json(200, &json!({ "Tags": functions.tags(arn)? }))),
        ("POST", ["tags", arn]) => {
            functions.tag(arn, asked.json::<TagsBody>()?.tags)?;
            Ok(Answer::empty(204))
        }
        ("DELETE", ["tags", arn]) => {
            functions
                .untag(arn, asked.query.get("tagKeys").map(Vec::as_slice).unwrap_or_default())?;
            Ok(Answer::empty(204))
        }
        _ => Err(unknown(asked)),
    }
}

async fn create(functions: &Arc<Functions>, asked: &Asked) -> Result<Answer, LambdaError> {
    let body: CreateBody = asked.json()?;
    let settings: Settings = asked.json()?;
    let create = CreateFunction {
        name: functions.place(&body.function_name, None)?.name,
        code: body.code.source()?,
        settings,
        tags: body.tags,
        publish: body.publish,
    };
    Ok(Answer::of(201, &functions.create(create).await?))
}

fn describe(
    functions: &Functions,
    name: &str,
    qualifier: Option<&str>,
) -> Result<Answer, LambdaError> {
    let version = functions.version(name, qualifier)?;
    let mut body = json!({
        "Configuration": version.configuration,
        "Code": code_location(functions, &version.code.hex),
    });
    let tags = functions.tags(name)?;
    if !tags.is_empty() {
        body["Tags"] = json!(tags);
    }
    if let Some(reserved) = functions.reserved_concurrency(name)? {
        body["Concurrency"] = json!({ "ReservedConcurrentExecutions": reserved });
    }
    Ok(Answer::json(200, &body))
}

fn concurrency(functions: &Functions, asked: &Asked, name: &str) -> Result<Answer, LambdaError> {
    match asked.method.as_str() {
        "PUT" => {
            let body: ConcurrencyBody = asked.json()?;
            functions.set_reserved_concurrency(name, Some(body.reserved_concurrent_executions))?;
        }
        "DELETE" => {
            functions.set_reserved_concurrency(name, None)?;
            return Ok(Answer::empty(204));
        }
        _ => {}
    }
    let body = match functions.reserved_concurrency(name)? {
        Some(reserved) => json!({ "ReservedConcurrentExecutions": reserved }),
        None => json!({}),
    };
    Ok(Answer::json(200, &body))
}

fn policy(
    functions: &Functions,
    asked: &Asked,
    name: &str,
    statement: Option<&str>,
) -> Result<Answer, LambdaError> {
    match (asked.method.as_str(), statement) {
        ("POST", None) => {
            let statement: Value = functions.add_permission(name, asked.json::<Permission>()?)?;
            Ok(Answer::json(201, &json!({ "Statement": statement.to_string() })))
        }
        ("GET", None) => {
            let policy = functions.policy(name)?.to_string();
            let revision = functions.get(name, None)?.revision_id;
            Ok(Answer::json(200, &json!({ "Policy": policy, "RevisionId": revision })))
        }
        ("DELETE", Some(statement)) => {
            functions.remove_permission(name, statement)?;
            Ok(Answer::empty(204))
        }
        _ => Err(unknown(asked)),
    }
}
