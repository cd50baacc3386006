//! Calls about layers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::code::Code;
use super::super::error::LambdaError;
use super::super::functions::Functions;
use super::super::layers::{LayerVersion, PublishLayer};
use super::function_calls::CodeBody;
use super::{Answer, Asked, page, unknown};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PublishBody {
    content: CodeBody,
    description: String,
    compatible_runtimes: Vec<String>,
    license_info: String,
}

pub(super) async fn route(
    functions: &Arc<Functions>,
    asked: &Asked,
    path: &[&str],
) -> Result<Answer, LambdaError> {
    match (asked.method.as_str(), path) {
        ("GET", ["layers"]) if asked.query("find") == Some("LayerVersion") => {
            by_arn(functions, asked)
        }
        ("GET", ["layers"]) => Ok(list(functions, asked)),
        ("GET", ["layers-by-arn"]) => by_arn(functions, asked),
        ("POST", ["layers", name, "versions"]) => {
            let body: PublishBody = asked.json()?;
            let layer = PublishLayer {
                name: (*name).to_owned(),
                content: body.content.source()?,
                description: body.description,
                compatible_runtimes: body.compatible_runtimes,
                license: body.license_info,
            };
            let (version, code) = functions.publish_layer(layer).await?;
            Ok(Answer::json(201, &with_content(functions, &version, &code)))
        }
        ("GET", ["layers", name, "versions"]) => {
            let mut versions = functions.list_layer_versions(Some(name));
            versions.reverse();
            let versions =
                versions.iter().filter_map(|one| serde_json::to_value(one).ok()).collect();
            let (page, next) = page(asked, versions);
            Ok(Answer::json(200, &json!({ "LayerVersions": page, "NextMarker": next })))
        }
        ("GET", ["layers", name, "versions", number]) => {
            let (version, code) = functions.layer_version(name, parse(number)?)?;
            Ok(Answer::json(200, &with_content(functions, &version, &code)))
        }
        ("DELETE", ["layers", name, "versions", number]) => {
            functions.delete_layer_version(name, parse(number)?);
            Ok(Answer::empty(204))
        }
        _ => Err(unknown(asked)),
    }
}

fn by_arn(functions: &Functions, asked: &Asked) -> Result<Answer, LambdaError> {
    let arn = asked.query("Arn").unwrap_or_default();
    let (name, number) = arn.rsplit_once(':').unwrap_or_default();
    let (version, code) = functions.layer_version(name, parse(number)?)?;
    Ok(Answer::json(200, &with_content(functions, &version, &code)))
}

fn list(functions: &Functions, asked: &Asked) -> Answer {
    let mut newest: BTreeMap<String, LayerVersion> = BTreeMap::new();
    for version in functions.list_layer_versions(None) {
        newest.insert(version.layer_arn.clone(), version);
    }
    let layers = newest.values().map(|version| {
        let name = version.layer_arn.rsplit(':').next();
        json!({ "LayerName": name, "LayerArn": version.layer_arn, "LatestMatchingVersion": version })
    });
    let (page, next) = page(asked, layers.collect());
    Answer::json(200, &json!({ "Layers": page, "NextMarker": next }))
}

fn with_content(functions: &Functions, version: &LayerVersion, code: &Code) -> Value {
    let mut body = serde_json::to_value(version).unwrap_or_default();
    body["Content"] = json!({
        "CodeSha256": code.sha256_base64,
        "CodeSize": code.size_bytes,
        "Location": super::code_location(functions, &code.hex)["Location"],
    });
    body
}

fn parse(number: &str) -> Result<u64, LambdaError> {
    number.parse().map_err(|_| {
        LambdaError::InvalidParameterValue("a layer version is named by its number".to_owned())
    })
}
