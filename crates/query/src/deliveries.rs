//! Messages that only their consumers' receipts tell of, for the map.
//!
//! A queue whose consumer's spans do not name it has no edge to it: spans alone cannot know. What
//! somebody saw of the hop is a note, and names both. The newest notes of the range are counted.

use std::collections::{BTreeMap, HashSet};

use throughline_model::{NOTE_SCOPE, StatusCode, TraceId};
use throughline_store::{Scope, Snapshot};
use throughline_topology::stitch::{Carrier, Direction, ReceiptReader, Source};

use crate::ast::{CompareOp, Expr, Field, Literal};
use crate::journeys::Stored;
use crate::scan::{Wanted, candidates};
use crate::{RunError, SearchOptions};

/// Notes that are looked at, the newest of the range.
const NOTES_MAX: usize = 1_000;

/// What one service took out of one queue, topic or stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Messages that were consumed.
    pub messages: u64,
    /// Those whose consumer failed.
    pub failed: u64,
    /// How long the consumers took, in nanoseconds, sorted.
    pub durations_nano: Vec<i64>,
    /// How long messages waited, in nanoseconds, sorted; of those whose carrier told when it took
    /// them.
    pub waits_nano: Vec<i64>,
}

/// What took a message, and out of what: carrier, resource and consuming service.
pub type DeliveryKey = (Carrier, String, String);

/// Messages that notes tell of, by where they came from and who took them. Of the options, the
/// limit does not count.
pub fn deliveries(
    snapshot: &Snapshot,
    options: &SearchOptions,
) -> Result<BTreeMap<DeliveryKey, Delivery>, RunError> {
    let filter = Expr::Compare {
        field: Field::ScopeName,
        op: CompareOp::Eq,
        literal: Literal::Str(NOTE_SCOPE.to_owned()),
    };
    let wanted = Wanted { filter: Some(filter), from: options.from, to: options.to };
    let mut ids: HashSet<TraceId> = HashSet::new();
    for chunk in snapshot.chunks(options.from, options.to) {
        // Receipts are events of notes, so most chunks are ruled out by their keys.
        if ids.len() < NOTES_MAX && !chunk.attribute_types(Scope::Event, "stitch.in").is_empty() {
            ids.extend(candidates(&chunk, &wanted)?.into_iter().map(|note| note.trace_id));
        }
    }
    let stored = Stored::new(snapshot);
    let mut homes = HashSet::new();
    for id in ids.into_iter().take(NOTES_MAX) {
        homes.extend(stored.homes(id)?);
    }
    let mut found: BTreeMap<DeliveryKey, Delivery> = BTreeMap::new();
    for id in homes.into_iter().take(NOTES_MAX) {
        let Some(batch) = stored.trace(id)? else { continue };
        let reader = ReceiptReader::new(&batch);
        for row in (0..batch.len()).filter(|row| reader.may_have(*row)) {
            let span = batch.span(row);
            let environment = span.resource().environment();
            let is_asked = options.environment.as_deref().is_none_or(|e| environment == Some(e));
            if !is_asked || !span.events().any(|event| event.name() == "receipt") {
                continue;
            }
            for at in reader.at(row) {
                let receipt = &at.receipt;
                let (Direction::In, Some(resource)) = (receipt.direction, &receipt.resource) else {
                    continue;
                };
                // An invocation is what its function is, and no queue.
                if receipt.carrier == Carrier::Lambda {
                    continue;
                }
                let key = (receipt.carrier, resource.clone(), at.service.to_string());
                let delivery = found.entry(key).or_default();
                delivery.messages += 1;
                delivery.failed += u64::from(span.status() == StatusCode::Error);
                delivery.durations_nano.extend(span.duration_nano());
                let wait = receipt.time_unix_nano.map(|time| span.start_unix_nano() - time);
                delivery.waits_nano.extend(wait.filter(|wait| *wait >= 0));
            }
        }
    }
    for delivery in found.values_mut() {
        delivery.durations_nano.sort_unstable();
        delivery.waits_nano.sort_unstable();
    }
    Ok(found)
}
