//! `AWS::Kinesis::Stream`.

use serde_json::Value;

use super::{Kind, Made, Reason, Services, Updated, Wish, reason, unless_gone};
use crate::services::cloudformation::stack::Record;

pub(super) const KINDS: &[Kind] = &[Kind {
    name: "AWS::Kinesis::Stream",
    properties: &["Name", "ShardCount", "RetentionPeriodHours", "StreamModeDetails"],
    inert: &["StreamEncryption", "Tags"],
}];

pub(super) async fn create(services: &Services, wish: &Wish<'_>) -> Result<Made, Reason> {
    let name = wish.name("Name", 128);
    let made = services.kinesis.create(&name, shards(wish)?, retention(wish)).await;
    made.map_err(|failure| reason(&failure))?;
    let arn = services.kinesis.arn(&name);
    Ok(Made::new(name).with("Arn", arn))
}

pub(super) async fn update(
    services: &Services,
    wish: &Wish<'_>,
    record: &Record,
) -> Result<Updated, Reason> {
    if wish.changed(record, "Name") {
        return Ok(Updated::Replace);
    }
    let updated = services.kinesis.update(&record.physical, shards(wish)?, retention(wish)).await;
    updated.map_err(|failure| reason(&failure))?;
    Ok(Updated::InPlace(Made::same(record)))
}

pub(super) async fn delete(services: &Services, record: &Record) -> Result<(), Reason> {
    unless_gone(services.kinesis.delete(&record.physical).await)
}

fn retention(wish: &Wish<'_>) -> i64 {
    wish.number("RetentionPeriodHours").unwrap_or(24)
}

/// The given number; on-demand streams begin with four.
fn shards(wish: &Wish<'_>) -> Result<u32, Reason> {
    let mode = wish.get("StreamModeDetails").and_then(|mode| mode.get("StreamMode"));
    let on_demand = mode.and_then(Value::as_str) == Some("ON_DEMAND");
    match wish.number("ShardCount") {
        None if on_demand => Ok(4),
        None => Ok(1),
        Some(count) => {
            u32::try_from(count).ok().filter(|count| (1..=100).contains(count)).ok_or_else(|| {
                format!("ShardCount {count} is not between 1 and 100, the most of the local cloud")
            })
        }
    }
}
