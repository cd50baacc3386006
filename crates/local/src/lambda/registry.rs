//! What functions there are: names, versions, layers, mappings. Plain data, saved and loaded whole.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::code::Code;
use super::error::LambdaError;
use super::layers::StoredLayer;
use super::sources::StoredMapping;
use super::types::{FunctionConfiguration, Permission};

/// The word for what is not published.
pub(crate) const LATEST: &str = "$LATEST";

/// Everything the service knows.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Registry {
    pub(crate) functions: BTreeMap<String, Function>,
    /// Name to versions, oldest first.
    pub(crate) layers: BTreeMap<String, Vec<StoredLayer>>,
    /// By UUID.
    pub(crate) mappings: BTreeMap<String, StoredMapping>,
}

/// One function.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Function {
    pub(crate) latest: Arc<Version>,
    pub(crate) published: BTreeMap<u64, Arc<Version>>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) permissions: BTreeMap<String, Permission>,
    /// How many processes it may have at once; `None` leaves it to the service.
    pub(crate) reserved: Option<u32>,
}

/// Code with settings: what a process is started from. Never changed, only replaced.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Version {
    pub(crate) configuration: FunctionConfiguration,
    pub(crate) code: Code,
}

impl Version {
    /// Tells processes of one state of a version from those of another.
    pub(crate) fn key(&self) -> String {
        format!("{}:{}", self.configuration.function_arn, self.configuration.revision_id)
    }
}

impl Registry {
    /// The SHA-256 of every zip that is still of use.
    pub(crate) fn code_in_use(&self) -> HashSet<String> {
        let versions = self.functions.values().flat_map(|function| {
            std::iter::once(&function.latest).chain(function.published.values())
        });
        let layers = self.layers.values().flatten();
        versions
            .map(|version| version.code.hex.clone())
            .chain(layers.map(|layer| layer.code.hex.clone()))
            .collect()
    }

    pub(crate) fn function(&self, place: &Place) -> Result<&Function, LambdaError> {
        self.functions.get(&place.name).ok_or_else(|| place.not_found())
    }

    pub(crate) fn function_mut(&mut self, place: &Place) -> Result<&mut Function, LambdaError> {
        self.functions.get_mut(&place.name).ok_or_else(|| place.not_found())
    }

    pub(crate) fn version(&self, place: &Place) -> Result<Arc<Version>, LambdaError> {
        let function = self.function(place)?;
        let version = match place.qualifier.as_deref() {
            None | Some(LATEST) => Some(&function.latest),
            Some(number) => {
                number.parse().ok().and_then(|number: u64| function.published.get(&number))
            }
        };
        version.cloned().ok_or_else(|| place.not_found())
    }
}

/// What a caller may write for a function: a name, an ARN, a part of one, with or without a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) qualifier: Option<String>,
    arn: String,
}

impl Place {
    /// Rule: AWS Lambda API reference, `FunctionName`: name, `ACCOUNT:function:NAME`, ARN; each may end in `:QUALIFIER`.
    pub(crate) fn parse(
        text: &str,
        qualifier: Option<&str>,
        region: &str,
        account: &str,
    ) -> Result<Self, LambdaError> {
        let rest = match text.split_once(":function:") {
            Some((_, rest)) => rest,
            None => text.strip_prefix("function:").unwrap_or(text),
        };
        let (name, own) = match rest.split_once(':') {
            Some((name, own)) => (name, Some(own)),
            None => (rest, None),
        };
        if !is_function_name(name) {
            return Err(LambdaError::Validation(format!(
                "1 validation error detected: Value '{}' at 'functionName' failed to satisfy constraint: Member must \
                 satisfy regular expression pattern: \
                 (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{{2}}(-gov)?-[a-z]+-\\d{{1}}:)?(\\d{{12}}:)?(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?",
                shortened(text)
            )));
        }
        let qualifier = qualifier.or(own).map(str::to_owned);
        let mut arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
        if let Some(qualifier) = &qualifier {
            arn.push(':');
            arn.push_str(qualifier);
        }
        Ok(Self { name: name.to_owned(), qualifier, arn })
    }

    pub(crate) fn not_found(&self) -> LambdaError {
        LambdaError::ResourceNotFound(format!("Function not found: {}", self.arn))
    }
}

/// 1 to 64 letters, digits, `-` and `_`.
pub(crate) fn is_function_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

/// A stranger's text, short enough for a message.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_place(text: &str, name: &str, qualifier: Option<&str>) {
        let place = Place::parse(text, None, "us-east-1", "000000000000").unwrap();
        assert_eq!((place.name.as_str(), place.qualifier.as_deref()), (name, qualifier), "{text}");
    }

    #[test]
    fn functions_are_named_in_many_ways() {
        check_place("producer", "producer", None);
        check_place("producer:3", "producer", Some("3"));
        check_place("function:producer", "producer", None);
        check_place("000000000000:function:producer", "producer", None);
        check_place("arn:aws:lambda:us-east-1:000000000000:function:producer", "producer", None);
        check_place(
            "arn:aws:lambda:us-east-1:000000000000:function:producer:$LATEST",
            "producer",
            Some("$LATEST"),
        );
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "a b", "../x", "a/b", &"x".repeat(65), "\u{e9}"] {
            let err = Place::parse(text, None, "us-east-1", "0").unwrap_err();
            assert_eq!(err.code(), "ValidationException", "{text:?}");
        }
    }
}
