//! What a segment says about where it runs: the span's resource, there and back.

use serde_json::Value;
use throughline_model::{AttrValue, ResourceRef, SpanBatchBuilder, xray};

use super::parts::{
    Object, json, put, put_back, scalar, take_members, take_object, take_text, write_prefixed,
};

const SERVICE_PREFIX: &str = "xray.service.";
const AWS_PREFIX: &str = "aws.";

/// Members of `service` that OpenTelemetry has a name for.
const SERVICE: [(&str, &str); 3] = [
    ("version", "service.version"),
    ("runtime", "process.runtime.name"),
    ("runtime_version", "process.runtime.version"),
];

/// Writes the resource of a segment and takes from its document what is said there.
pub(super) fn write_segments(document: &mut Object, builder: &mut SpanBatchBuilder) {
    builder.start_resource();
    if let Some(name) = document.get("name").and_then(Value::as_str).filter(|n| !n.is_empty()) {
        builder.attribute("service.name", AttrValue::Str(name));
    }
    if let Some(origin) = take_text(document, "origin") {
        builder.attribute(xray::ORIGIN, AttrValue::Str(&origin));
    }
    if let Some(mut aws) = take_object(document, "aws") {
        if let Some(account) = take_text(&mut aws, "account_id") {
            builder.attribute("cloud.account.id", AttrValue::Str(&account));
        }
        blocks(&mut aws, builder);
        put_back(document, "aws", aws);
    }
    if let Some(mut service) = take_object(document, "service") {
        for (key, name) in SERVICE {
            if let Some(text) = take_text(&mut service, key) {
                builder.attribute(name, AttrValue::Str(&text));
            }
        }
        let others = |key: &str, value: &Value| {
            scalar(value).is_some() && !SERVICE.iter().any(|(known, _)| *known == key)
        };
        take_members(&mut service, others, |key, value| {
            write_prefixed(builder, SERVICE_PREFIX, key, value);
        });
        put_back(document, "service", service);
    }
    builder.end_resource("", 0);
}

/// Writes the resource of a subsegment that came alone: nothing is known of its service yet.
pub(super) fn write_unknown(builder: &mut SpanBatchBuilder) {
    builder.start_resource();
    builder.end_resource("", 0);
}

/// The scalars of `aws.ec2`, `aws.ecs`, `aws.xray` and the like.
fn blocks(aws: &mut Object, builder: &mut SpanBatchBuilder) {
    aws.retain(|name, value| {
        let Value::Object(block) = value else { return true };
        // A name with a dot could not be told from a block and its key when written back.
        if block.is_empty() || name.contains('.') {
            return true;
        }
        take_members(
            block,
            |_, value| scalar(value).is_some(),
            |key, value| builder.attribute(&format!("{AWS_PREFIX}{name}.{key}"), value),
        );
        !block.is_empty()
    });
}

/// Writes back what [`write_segments`] took, but the name.
pub(super) fn encode(resource: ResourceRef<'_>, document: &mut Object) {
    for (key, value) in resource.attributes() {
        let path = match key {
            xray::ORIGIN => vec!["origin"],
            "cloud.account.id" => vec!["aws", "account_id"],
            _ => match SERVICE.iter().find(|(_, name)| *name == key) {
                Some((known, _)) => vec!["service", known],
                None => match (key.strip_prefix(SERVICE_PREFIX), key.strip_prefix(AWS_PREFIX)) {
                    (Some(name), _) => vec!["service", name],
                    (None, Some(rest)) => match rest.split_once('.') {
                        Some((block, key)) => vec!["aws", block, key],
                        None => continue,
                    },
                    (None, None) => continue,
                },
            },
        };
        put(document, &path, json(value));
    }
}
