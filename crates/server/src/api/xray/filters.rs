//! Filter expressions with the groups that they name.

use throughline_query::xray_filter::{self, XrayFilter};

use super::Call;
use super::error::XrayError;
use super::groups;
use super::resource_of_arn;
use super::settings::Settings;

/// Whether a text is a filter expression.
pub(super) fn check(text: &str) -> Result<(), XrayError> {
    xray_filter::parse(text)?;
    Ok(())
}

/// The filter of an expression; an empty one takes every trace.
pub(super) fn filter(call: &Call, text: &str) -> Result<XrayFilter, XrayError> {
    Ok(resolved(text, &call.settings().read(), call.account())?)
}

/// As [`filter`], for callers with errors of their own.
pub(super) fn resolved(
    text: &str,
    settings: &Settings,
    account: &str,
) -> Result<XrayFilter, throughline_query::QueryError> {
    let filter = xray_filter::parse(text)?.of_account(account);
    if !filter.names_groups() {
        return Ok(filter);
    }
    filter.resolve(&|name| group(name, settings))
}

/// The filter of a group, by its name or its ARN.
fn group(named: &str, settings: &Settings) -> Option<XrayFilter> {
    let resource = resource_of_arn(named);
    if named == super::settings::DEFAULT_NAME || resource == Some(groups::DEFAULT_RESOURCE) {
        return Some(XrayFilter::all());
    }
    let is_it = |group: &&super::settings::Group| {
        group.name == named || resource == Some(&groups::resource(group))
    };
    let group = settings.groups.iter().find(is_it)?;
    // It was read when it was set.
    xray_filter::parse(group.filter.as_deref().unwrap_or_default()).ok()
}
