//! Layers: published here, or standing in for those of other accounts.
//!
//! In:   zips, and ARNs that functions name.
//! Out:  folders that are laid over each other at `/opt`.
//! Rule: an ARN that is neither published here nor mapped ([`super::LayerMapping`]) is refused by name.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::code::Code;
use super::config::LayerMapping;
use super::error::LambdaError;
use super::functions::Functions;
use super::registry::{Registry, Version, is_function_name, shortened};
use super::types::{CodeSource, LayerOfFunction};
use crate::ids;

/// What a layer version is made from.
#[derive(Clone, Debug)]
pub struct PublishLayer {
    /// Its name, or its ARN without version.
    pub name: String,
    /// Its zip.
    pub content: CodeSource,
    /// What it is.
    pub description: String,
    /// Runtimes it is for; kept, not enforced.
    pub compatible_runtimes: Vec<String>,
    /// Kept.
    pub license: String,
}

/// A layer version, as the API gives it back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "members of the API, in its own words")]
pub struct LayerVersion {
    pub layer_arn: String,
    pub layer_version_arn: String,
    pub version: u64,
    pub description: String,
    pub created_date: String,
    pub compatible_runtimes: Vec<String>,
    pub license_info: String,
}

/// A layer version with its code.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct StoredLayer {
    pub(crate) version: LayerVersion,
    pub(crate) code: Code,
}

/// Where a layer's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LayerPlace {
    /// Published here: the SHA-256 of its zip.
    Code(String),
    /// A folder of this machine.
    Folder(PathBuf),
    /// A zip on this machine.
    Zip(PathBuf),
}

impl Functions {
    /// Publishes a layer version.
    pub async fn publish_layer(
        self: &Arc<Self>,
        layer: PublishLayer,
    ) -> Result<(LayerVersion, Code), LambdaError> {
        let name = layer.name.rsplit(":layer:").next().unwrap_or_default().to_owned();
        if !is_function_name(&name) {
            return Err(LambdaError::Validation(format!(
                "1 validation error detected: Value '{}' at 'layerName' failed to satisfy constraint",
                shortened(&layer.name)
            )));
        }
        let code = self.take_code(layer.content, "").await?;
        let mut registry = self.registry_mut();
        let versions = registry.layers.entry(name.clone()).or_default();
        let number = versions.last().map_or(0, |last| last.version.version) + 1;
        let arn =
            format!("arn:aws:lambda:{}:{}:layer:{name}", self.around.region, self.around.account);
        let version = LayerVersion {
            layer_version_arn: format!("{arn}:{number}"),
            layer_arn: arn,
            version: number,
            description: layer.description,
            created_date: ids::iso(ids::now_ms()).replace('Z', "+0000"),
            compatible_runtimes: layer.compatible_runtimes,
            license_info: layer.license,
        };
        versions.push(StoredLayer { version: version.clone(), code: code.clone() });
        Ok((version, code))
    }

    /// A layer version by its full ARN, or by name and number.
    pub fn layer_version(
        &self,
        name: &str,
        number: u64,
    ) -> Result<(LayerVersion, Code), LambdaError> {
        let name = name.rsplit(":layer:").next().unwrap_or_default();
        let registry = self.registry();
        let versions = registry.layers.get(name).map(Vec::as_slice).unwrap_or_default();
        let found = versions.iter().find(|layer| layer.version.version == number);
        found.map(|layer| (layer.version.clone(), layer.code.clone())).ok_or_else(|| {
            LambdaError::ResourceNotFound("The resource you requested does not exist.".to_owned())
        })
    }

    /// All layer versions, or those of one name; oldest first.
    pub fn list_layer_versions(&self, name: Option<&str>) -> Vec<LayerVersion> {
        let registry = self.registry();
        let layers = registry.layers.iter();
        layers
            .filter(|(key, _)| name.is_none_or(|name| name.rsplit(":layer:").next() == Some(key)))
            .flat_map(|(_, versions)| versions.iter().map(|layer| layer.version.clone()))
            .collect()
    }

    /// Removes a layer version; functions that name it keep it until they change. Unknown ones are no error.
    pub fn delete_layer_version(&self, name: &str, number: u64) {
        let name = name.rsplit(":layer:").next().unwrap_or_default();
        if let Some(versions) = self.registry_mut().layers.get_mut(name) {
            versions.retain(|layer| layer.version.version != number);
        }
    }

    /// The folders of a version's layers, in their order.
    pub(crate) fn layer_places(&self, version: &Version) -> Result<Vec<LayerPlace>, LambdaError> {
        let registry = self.registry();
        let mappings = &self.around.config.layers;
        let arns = version.configuration.layers.iter().map(|layer| layer.arn.as_str());
        arns.map(|arn| Ok(resolve(arn, &registry, mappings)?.1)).collect()
    }

    /// Layers as a function names them; one that is unknown is an error.
    pub(crate) fn find_layers(
        &self,
        registry: &Registry,
        arns: &[String],
    ) -> Result<Vec<LayerOfFunction>, LambdaError> {
        let mappings = &self.around.config.layers;
        arns.iter().map(|arn| Ok(resolve(arn, registry, mappings)?.0)).collect()
    }
}

/// Finds a layer by the ARN that a function names.
pub(crate) fn resolve(
    arn: &str,
    registry: &Registry,
    mappings: &[LayerMapping],
) -> Result<(LayerOfFunction, LayerPlace), LambdaError> {
    let published = registry.layers.values().flatten();
    if let Some(layer) = published.into_iter().find(|layer| layer.version.layer_version_arn == arn)
    {
        let named = LayerOfFunction { arn: arn.to_owned(), code_size: layer.code.size_bytes };
        return Ok((named, LayerPlace::Code(layer.code.hex.clone())));
    }
    let Some(mapping) = mappings.iter().find(|mapping| fits(&mapping.arn, arn)) else {
        return Err(LambdaError::InvalidParameterValue(format!(
            "Layer version {} does not exist. The local cloud cannot fetch layers of other accounts: publish it here, \
             or map its ARN to a folder or zip of this machine.",
            shortened(arn)
        )));
    };
    let named = LayerOfFunction { arn: arn.to_owned(), code_size: 0 };
    if mapping.path.is_dir() {
        Ok((named, LayerPlace::Folder(mapping.path.clone())))
    } else if mapping.path.is_file() {
        Ok((named, LayerPlace::Zip(mapping.path.clone())))
    } else {
        Err(LambdaError::InvalidParameterValue(format!(
            "Layer version {} is mapped to {}, which does not exist.",
            shortened(arn),
            mapping.path.display()
        )))
    }
}

/// Whether `arn` begins with the parts of `pattern`, where `*` is any text within a part.
fn fits(pattern: &str, arn: &str) -> bool {
    let mut parts = arn.split(':');
    pattern.split(':').all(|wanted| {
        parts.next().is_some_and(|part| match wanted.split_once('*') {
            Some((start, end)) => {
                part.len() >= start.len() + end.len()
                    && part.starts_with(start)
                    && part.ends_with(end)
            }
            None => part == wanted,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPLUNK: &str = "arn:aws:lambda:us-east-1:254067382080:layer:splunk-apm:70";

    fn check_fits(pattern: &str, expected: bool) {
        assert_eq!(fits(pattern, SPLUNK), expected, "{pattern}");
    }

    #[test]
    fn a_mapping_names_one_version_or_all_or_any_region() {
        check_fits(SPLUNK, true);
        check_fits("arn:aws:lambda:us-east-1:254067382080:layer:splunk-apm", true);
        check_fits("arn:aws:lambda:*:254067382080:layer:splunk-apm*", true);
        check_fits("arn:aws:lambda:us-east-1:254067382080:layer:splunk", false);
        check_fits("arn:aws:lambda:eu-west-1:254067382080:layer:splunk-apm", false);
        check_fits("arn:aws:lambda:us-east-1:254067382080:layer:splunk-apm:71", false);
        check_fits(&format!("{SPLUNK}:more"), false);
    }

    #[test]
    fn an_unknown_layer_is_an_error_that_says_what_to_do() {
        let err = resolve(SPLUNK, &Registry::default(), &[]).unwrap_err();
        assert_eq!(err.code(), "InvalidParameterValueException");
        assert!(err.to_string().contains("map its ARN"), "{err}");

        let gone = LayerMapping { arn: SPLUNK.to_owned(), path: PathBuf::from("/no/such/folder") };
        let err = resolve(SPLUNK, &Registry::default(), &[gone]).unwrap_err();
        assert!(err.to_string().contains("/no/such/folder"), "{err}");
    }

    #[test]
    fn a_mapped_folder_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let mapping = LayerMapping {
            arn: "arn:aws:lambda:*:*:layer:splunk-apm".to_owned(),
            path: dir.path().to_owned(),
        };
        let (named, place) = resolve(SPLUNK, &Registry::default(), &[mapping]).unwrap();
        assert_eq!(named.arn, SPLUNK);
        assert_eq!(place, LayerPlace::Folder(dir.path().to_owned()));
    }
}
