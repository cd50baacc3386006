//! Reads the shards of a stream and calls the function with what is there.
//!
//! In:   a mapping, and how far it has read.
//! Out:  one call after another for each shard, in its order.
//! Rule: AWS Lambda developer guide, "Event source mappings" and "Error handling" for streams: a batch that fails
//!       holds its shard up until it works, is too old, or was tried often enough.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::super::error::LambdaError;
use super::super::functions::Functions;
use super::super::invoke::Inside;
use super::events::{self, Source};
use super::mappings::StoredMapping;
use super::types::EventSourceMapping;
use crate::ids;
use crate::seams::{Position, StreamError, StreamRecord};

/// How often new shards are looked for.
const SHARDS_WAIT: Duration = Duration::from_secs(5);
/// The longest that a put could go unnoticed, if its notice got lost.
const PUT_WAIT: Duration = Duration::from_secs(1);
/// Between attempts of a batch: doubles from the first to the second.
const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Polls until `end`.
pub(crate) async fn poll(functions: Arc<Functions>, stored: StoredMapping, end: CancellationToken) {
    let mut known: HashSet<String> = HashSet::new();
    let mut shards = JoinSet::new();
    let stream = stored.mapping.event_source_arn.clone();
    let mut first = stored.positions.is_empty();
    while !end.is_cancelled() {
        match functions.around.streams.shards(&stream).await {
            Ok(found) => {
                for shard in found {
                    if known.insert(shard.clone()) {
                        let from = start(&stored, &shard, first);
                        let reader = Reader {
                            functions: Arc::clone(&functions),
                            mapping: stored.mapping.clone(),
                            shard,
                            end: end.clone(),
                        };
                        shards.spawn(reader.read_all(from));
                    }
                }
                first = false;
            }
            Err(err) => functions.pollers.result(&stored.mapping.uuid, format!("PROBLEM: {err}")),
        }
        tokio::select! {
            () = sleep(SHARDS_WAIT) => {}
            () = end.cancelled() => {}
        }
    }
    while shards.join_next().await.is_some() {}
}

/// Where a shard is begun: where it was left, or as the mapping says. A shard that a split made is read whole.
fn start(stored: &StoredMapping, shard: &str, first: bool) -> Position {
    if let Some(sequence) = stored.positions.get(shard) {
        return Position::After(sequence.clone());
    }
    match stored.mapping.starting_position.as_str() {
        "LATEST" if first => Position::Latest,
        "AT_TIMESTAMP" => {
            let seconds = stored.mapping.starting_position_timestamp.unwrap_or_default();
            Position::AtTimestamp((seconds * 1000.0) as i64)
        }
        _ => Position::TrimHorizon,
    }
}

struct Reader {
    functions: Arc<Functions>,
    mapping: EventSourceMapping,
    shard: String,
    end: CancellationToken,
}

impl Reader {
    async fn read_all(self, mut from: Position) {
        let streams = Arc::clone(&self.functions.around.streams);
        let mut puts = streams.puts();
        let mut last: Option<String> = None;
        let batch_max = self.mapping.batch_size as usize;
        while !self.end.is_cancelled() {
            puts.borrow_and_update();
            let read = streams
                .read(&self.mapping.event_source_arn, &self.shard, from.clone(), batch_max)
                .await;
            let read = match read {
                Ok(read) => read,
                Err(StreamError::Expired) => {
                    from = last.clone().map_or(Position::TrimHorizon, Position::After);
                    continue;
                }
                Err(err) => {
                    self.functions.pollers.result(&self.mapping.uuid, format!("PROBLEM: {err}"));
                    self.pause(PUT_WAIT).await;
                    continue;
                }
            };
            let mut records = read.records;
            let mut next = read.next;
            if records.is_empty() {
                let Some(next) = next else { return };
                from = next;
                tokio::select! {
                    // A put of anything anywhere; an error says that there will be none, so the clock is left.
                    put = puts.changed() => if put.is_err() { self.pause(PUT_WAIT).await },
                    () = self.pause(PUT_WAIT) => {}
                }
                continue;
            }
            let window =
                Duration::from_secs(u64::from(self.mapping.maximum_batching_window_in_seconds));
            let until = Instant::now() + window;
            while records.len() < batch_max && Instant::now() < until && !self.end.is_cancelled() {
                let Some(position) = next.clone() else { break };
                let _ = timeout(until - Instant::now(), puts.changed()).await;
                let wanted = batch_max - records.len();
                match streams
                    .read(&self.mapping.event_source_arn, &self.shard, position, wanted)
                    .await
                {
                    Ok(more) => {
                        records.extend(more.records);
                        next = more.next;
                    }
                    Err(_) => break,
                }
            }
            last = records.last().map(|record| record.sequence.clone());
            if !self.deliver(records).await {
                return;
            }
            match next {
                Some(next) => from = next,
                None => return,
            }
        }
    }

    /// Calls the function until every record is done with. `false`: the poller ends before that.
    async fn deliver(&self, records: Vec<StreamRecord>) -> bool {
        let pollers = &self.functions.pollers;
        // Parts of the batch, in order, each with the attempts it had.
        let mut parts = VecDeque::from([(records, 0_i64)]);
        while let Some((mut records, attempts)) = parts.pop_front() {
            if self.end.is_cancelled() {
                return false;
            }
            self.drop_old(&mut records);
            let Some(last) = records.last().map(|record| record.sequence.clone()) else { continue };
            let attempt = self.attempt(&records).await;
            let done = match attempt {
                Attempt::Throttled => 0,
                Attempt::Done(done) => done,
            };
            if done == records.len() {
                pollers.done(&self.mapping.uuid, &self.shard, &last);
                pollers.result(&self.mapping.uuid, "OK".to_owned());
                continue;
            }
            pollers.result(&self.mapping.uuid, "PROBLEM: Function call failed".to_owned());
            let rest = records.split_off(done);
            if let Some(before) = records.last() {
                pollers.done(&self.mapping.uuid, &self.shard, &before.sequence);
            }
            if matches!(attempt, Attempt::Throttled) {
                parts.push_front((rest, attempts));
                self.pause(RETRY_MIN).await;
                continue;
            }
            if done == 0 && self.mapping.bisect_batch_on_function_error && rest.len() > 1 {
                let mut first = rest;
                let second = first.split_off(first.len() / 2);
                parts.push_front((second, attempts));
                parts.push_front((first, attempts));
                continue;
            }
            let max = self.mapping.maximum_retry_attempts;
            if max >= 0 && attempts >= max {
                tracing::warn!(
                    function = self.mapping.function_arn,
                    records = rest.len(),
                    "records were given up after their last attempt"
                );
                pollers.done(&self.mapping.uuid, &self.shard, &last);
                continue;
            }
            parts.push_front((rest, attempts + 1));
            let doubled = RETRY_MIN.saturating_mul(1 << attempts.clamp(0, 10));
            self.pause(doubled.min(RETRY_MAX)).await;
        }
        true
    }

    async fn attempt(&self, records: &[StreamRecord]) -> Attempt {
        let functions = &self.functions;
        let Ok(version) = functions.version(&self.mapping.function_arn, None) else {
            return Attempt::Throttled;
        };
        let source = Source {
            stream_arn: &self.mapping.event_source_arn,
            shard: &self.shard,
            region: &functions.around.region,
            role: &version.configuration.role,
        };
        let payload = events::event(&source, records).to_string().into();
        let inside = Inside {
            request_id: ids::uuid(),
            status: 200,
            // A shard's batches come one after the other: the next one is for the same process.
            until_ready: true,
            ..Inside::default()
        };
        let outcome = tokio::select! {
            outcome = functions.call_inside(&version, payload, &inside) => outcome,
            () = self.end.cancelled() => return Attempt::Throttled,
        };
        if matches!(outcome, Err(LambdaError::TooManyRequests { .. })) {
            return Attempt::Throttled;
        }
        let name = &version.configuration.function_name;
        for receipt in events::receipts(&source, records, name, &inside.request_id) {
            functions.around.receipts.put(receipt);
        }
        match outcome {
            Ok(outcome) if outcome.is_error => Attempt::Done(0),
            Ok(outcome) => {
                let types = &self.mapping.function_response_types;
                if types.iter().any(|kind| kind == "ReportBatchItemFailures") {
                    Attempt::Done(events::done_by_answer(&outcome.payload, records).unwrap_or(0))
                } else {
                    Attempt::Done(records.len())
                }
            }
            Err(_) => Attempt::Done(0),
        }
    }

    fn drop_old(&self, records: &mut Vec<StreamRecord>) {
        let Ok(age_s) = u64::try_from(self.mapping.maximum_record_age_in_seconds) else { return };
        let age_nano = i64::try_from(age_s).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
        let oldest = ids::now_ms().saturating_mul(1_000_000).saturating_sub(age_nano);
        records
            .retain(|record| events::arrival_unix_nano(record).is_none_or(|came| came >= oldest));
    }

    async fn pause(&self, how_long: Duration) {
        tokio::select! {
            () = sleep(how_long) => {}
            () = self.end.cancelled() => {}
        }
    }
}

enum Attempt {
    /// No call was made.
    Throttled,
    /// This many records from the start are done.
    Done(usize),
}
