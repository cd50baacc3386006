//! User, annotations, and metadata: the place of everything that has no other.

use std::collections::HashSet;

use serde_json::Value;
use throughline_model::AttrValue;

use super::Said;
use crate::xray::parts::{Object, json, put, scalar};

const ANNOTATIONS: &str = "aws.xray.annotations";
const METADATA_PREFIX: &str = "aws.xray.metadata.";

/// **Rule:** `awsxrayexporter`, `segment.go`, `makeXRayAttributes`.
pub(super) fn write(said: &mut Said<'_>, document: &mut Object) {
    if let Some(user) = said.own.take_text(&["enduser.id"]) {
        put(document, &["user"], user.into());
    }
    // The segment's name says it.
    said.resource.tick("service.name");
    let annotated: HashSet<String> =
        said.own.take_texts(&[ANNOTATIONS]).unwrap_or_default().into_iter().collect();
    for (key, value) in said.own.left() {
        if let Some(namespace) = key.strip_prefix(METADATA_PREFIX) {
            put(document, &["metadata", namespace], metadata(value));
        }
    }
    for (key, value) in said.own.left().filter(|(key, _)| !key.starts_with(METADATA_PREFIX)) {
        let value = json(value);
        if annotated.contains(key) && scalar(&value).is_some() {
            put(document, &["annotations", &annotation_key(key)], value);
        } else {
            put(document, &["metadata", "default", key], value);
        }
    }
    if said.is_segment {
        for (key, value) in said.resource.left() {
            let key = format!("otel.resource.{key}");
            put(document, &["metadata", "default", &key], json(value));
        }
    }
}

/// A namespace of metadata as JSON text; other text stands for itself.
fn metadata(value: AttrValue<'_>) -> Value {
    match value {
        AttrValue::Str(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        other => json(other),
    }
}

/// **Rule:** `awsxrayexporter`, `segment.go`, `fixAnnotationKey`.
fn annotation_key(key: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    key.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}
