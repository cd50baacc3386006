//! `AWS::Logs::LogGroup`.

use super::{Kind, Made, Reason, Services, Updated, Wish, reason, unless_gone};
use crate::services::cloudformation::stack::Record;

pub(super) const KINDS: &[Kind] = &[Kind {
    name: "AWS::Logs::LogGroup",
    properties: &["LogGroupName", "RetentionInDays"],
    inert: &["KmsKeyId", "LogGroupClass", "Tags"],
}];

pub(super) fn create(services: &Services, wish: &Wish<'_>) -> Result<Made, Reason> {
    let name = wish.name("LogGroupName", 512);
    let made = services.logs.create_group(&name, wish.number("RetentionInDays"));
    made.map_err(|failure| reason(&failure))?;
    let arn = services.place.arn("logs", &format!("log-group:{name}:*"));
    Ok(Made::new(name).with("Arn", arn))
}

pub(super) fn update(
    services: &Services,
    wish: &Wish<'_>,
    record: &Record,
) -> Result<Updated, Reason> {
    if wish.changed(record, "LogGroupName") {
        return Ok(Updated::Replace);
    }
    let set = services.logs.set_retention(&record.physical, wish.number("RetentionInDays"));
    set.map_err(|failure| reason(&failure))?;
    Ok(Updated::InPlace(Made::same(record)))
}

pub(super) fn delete(services: &Services, record: &Record) -> Result<(), Reason> {
    unless_gone(services.logs.delete_group(&record.physical))
}
