//! What a resource says of its service: type in X-Ray's words, and account.

use throughline_model::{AttrValue, ResourceRef, xray};

/// What X-Ray calls the type of a service: the segment's `origin`, or what the resource's cloud
/// platform stands for; empty when neither is known.
pub(crate) fn service_type(resource: ResourceRef<'_>) -> &str {
    let text = |key: &str| resource.attributes().value(key).and_then(AttrValue::as_str);
    if let Some(origin) = text(xray::ORIGIN) {
        return origin;
    }
    if text("cloud.provider").is_some_and(|provider| provider != "aws") {
        return "";
    }
    let launch_type = text("aws.ecs.launchtype").unwrap_or("");
    text("cloud.platform").and_then(|p| xray::origin_of(p, launch_type)).unwrap_or("")
}

/// The account that a service runs in; `None` for the one of this machine.
pub(crate) fn account(resource: ResourceRef<'_>) -> Option<&str> {
    let account = resource.attributes().value("cloud.account.id").and_then(AttrValue::as_str);
    account.filter(|account| !account.is_empty() && *account != xray::ACCOUNT_HERE)
}
