//! Counts which attributes spans inside and outside a box have, and says where the two differ.
//!
//! Nothing is known of the attributes beforehand. What cannot tell the two apart is dropped while
//! counting: keys with a value of its own for nearly every span, such as ids.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use throughline_model::{AttrType, AttrValue, Attributes, SpanBatch, SpanRef};

/// Different keys that are counted; further ones are named as skipped.
const KEYS_MAX: usize = 2_000;
/// Different values of a key; a key with more is skipped.
const VALUES_PER_KEY_MAX: usize = 1_000;
/// Different values of all keys.
const VALUES_MAX: usize = 100_000;
/// Longer values are not counted, in bytes.
const VALUE_BYTES_MAX: usize = 1_024;
/// Durations that are kept of each value and side.
const DURATIONS_MAX: usize = 1_000;
/// Durations that are kept of all values: 64 MB.
const DURATIONS_OF_ALL_MAX: usize = 8_000_000;
/// Events and links of a span that are looked at.
const ITEMS_MAX: usize = 128;
/// A key that was met so often is skipped when most of its values differ.
const MET_MIN: u64 = 5;
/// Keys that are named as skipped.
const SKIPPED_MAX: usize = 100;
/// What a field of ours says already.
const SAID_BY_FIELDS: [&str; 3] =
    ["service.name", "deployment.environment", "deployment.environment.name"];

/// Where an attribute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// No attribute: a field of ours, such as `service` or `name`.
    Field,
    /// On the span.
    Span,
    /// On the resource.
    Resource,
    /// On an event of the span.
    Event,
    /// On a link of the span.
    Link,
}

impl Place {
    const ALL: [Self; 5] = [Self::Field, Self::Span, Self::Resource, Self::Event, Self::Link];

    /// Its word, as in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::Span => "span",
            Self::Resource => "resource",
            Self::Event => "event",
            Self::Link => "link",
        }
    }
}

/// A value that is more frequent, or slower, on one side.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where its key stands.
    pub place: Place,
    /// The key.
    pub key: String,
    /// The value, as text.
    pub value: String,
    /// The value's type.
    pub kind: AttrType,
    /// How many of those inside have it.
    pub inside: u64,
    /// How many of those outside have it.
    pub outside: u64,
    /// `inside` as a share of all inside, from 0 to 1.
    pub inside_share: f64,
    /// `outside` as a share of all outside.
    pub outside_share: f64,
    /// Median duration of the spans inside that have it, in nanoseconds.
    pub inside_p50_nano: Option<i64>,
    /// Median duration of the spans outside that have it, in nanoseconds.
    pub outside_p50_nano: Option<i64>,
}

/// The counts so far. Index 0 is inside, 1 outside.
#[derive(Default)]
pub(crate) struct Tally {
    keys: [HashMap<String, Key, ahash::RandomState>; 5],
    key_count: usize,
    values: Vec<Counts>,
    /// Traces, or spans, on each side.
    units: [u64; 2],
    /// Of all values.
    durations: usize,
    skipped: BTreeSet<String>,
}

#[derive(Default)]
struct Key {
    values: HashMap<String, Vec<(AttrType, u32)>, ahash::RandomState>,
    value_count: usize,
    skipped: bool,
}

#[derive(Default)]
struct Counts {
    sides: [u64; 2],
    durations: [Vec<i64>; 2],
    /// The last trace, or span, that was counted; from 1.
    last: u64,
}

/// One span, or one trace, that is being counted.
#[derive(Clone, Copy)]
struct Unit {
    number: u64,
    side: usize,
}

impl Tally {
    /// Counts spans that are one thing together: a trace.
    pub(crate) fn add_together(&mut self, spans: &SpanBatch, inside: bool) {
        let unit = self.unit(inside);
        let mut owners = HashMap::default();
        spans.spans().for_each(|span| self.add(span, unit, &mut owners));
    }

    /// Counts spans of which each is a thing of its own.
    pub(crate) fn add_each(&mut self, spans: &SpanBatch, inside: bool) {
        let mut owners = HashMap::default();
        for span in spans.spans() {
            let unit = self.unit(inside);
            self.add(span, unit, &mut owners);
        }
    }

    /// How many traces, or spans, are inside and outside.
    pub(crate) fn units(&self) -> [u64; 2] {
        self.units
    }

    fn unit(&mut self, inside: bool) -> Unit {
        let side = usize::from(!inside);
        self.units.iter_mut().skip(side).take(1).for_each(|count| *count += 1);
        Unit { number: self.units.iter().sum(), side }
    }

    /// `owners` keeps what was found out about resources of the span's batch.
    fn add(
        &mut self,
        span: SpanRef<'_>,
        unit: Unit,
        owners: &mut HashMap<usize, Vec<u32>, ahash::RandomState>,
    ) {
        let duration = span.duration_nano();
        let fields = [
            ("service", span.service()),
            ("name", span.name()),
            ("kind", span.kind().word()),
            ("status", span.status().word()),
            ("status.message", span.status_message()),
            ("environment", span.resource().environment().unwrap_or_default()),
            ("scope.name", span.scope().name()),
        ];
        let mut found: Vec<u32> = Vec::new();
        for (key, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
            found.extend(self.find(Place::Field, key, AttrValue::Str(text)));
        }
        self.find_all(Place::Span, span.attributes(), &mut found);
        for event in span.events().take(ITEMS_MAX) {
            if !event.name().is_empty() {
                found.extend(self.find(Place::Field, "event.name", AttrValue::Str(event.name())));
            }
            self.find_all(Place::Event, event.attributes(), &mut found);
        }
        for link in span.links().take(ITEMS_MAX) {
            self.find_all(Place::Link, link.attributes(), &mut found);
        }
        let of_resource = owners.entry(span.resource().number()).or_insert_with(|| {
            let mut found = Vec::new();
            self.find_all(Place::Resource, span.resource().attributes(), &mut found);
            found
        });
        found.extend(of_resource.iter());
        // An event may say twice what counts once.
        found.sort_unstable();
        found.dedup();
        for number in found {
            let duration = duration.filter(|_| self.durations < DURATIONS_OF_ALL_MAX);
            if let Some(counts) = self.values.get_mut(number as usize) {
                self.durations += counts.add(unit, duration);
            }
        }
    }

    fn find_all(&mut self, place: Place, attributes: Attributes<'_>, found: &mut Vec<u32>) {
        for (key, value) in attributes {
            if place != Place::Resource || !SAID_BY_FIELDS.contains(&key) {
                found.extend(self.find(place, key, value));
            }
        }
    }

    /// The number of a value, unless it is not counted.
    fn find(&mut self, place: Place, key: &str, value: AttrValue<'_>) -> Option<u32> {
        let keys = self.keys.get_mut(place as usize)?;
        if !keys.contains_key(key) {
            if self.key_count >= KEYS_MAX {
                if self.skipped.len() < SKIPPED_MAX {
                    self.skipped.insert(key.to_owned());
                }
                return None;
            }
            self.key_count += 1;
            keys.insert(key.to_owned(), Key::default());
        }
        let entry = keys.get_mut(key).filter(|entry| !entry.skipped)?;
        let (kind, text) = (value.kind(), value.text());
        if let Some(numbers) = entry.values.get(text.as_ref())
            && let Some((_, number)) = numbers.iter().find(|(known, _)| *known == kind)
        {
            return Some(*number);
        }
        if text.len() > VALUE_BYTES_MAX {
            return None;
        }
        if entry.value_count >= VALUES_PER_KEY_MAX || self.values.len() >= VALUES_MAX {
            entry.skipped = true;
            return None;
        }
        let number = self.values.len() as u32;
        entry.value_count += 1;
        entry.values.entry(text.into_owned()).or_default().push((kind, number));
        self.values.push(Counts::default());
        Some(number)
    }

    /// The differences, the largest first, at most `limit`, and the keys that were skipped.
    pub(crate) fn finish(mut self, limit: usize) -> (Vec<Difference>, Vec<String>) {
        let mut found = Vec::new();
        let keys = std::mem::take(&mut self.keys);
        for (place, keys) in Place::ALL.into_iter().zip(keys) {
            for (key, entry) in keys {
                let all = || entry.values.values().flatten();
                let met: u64 = all()
                    .filter_map(|(_, number)| self.values.get(*number as usize))
                    .map(|counts| counts.sides.iter().sum::<u64>())
                    .sum();
                let own = entry.value_count as u64 * 10 >= met * 8;
                if entry.skipped || (met >= MET_MIN && own && entry.value_count > 1) {
                    self.skipped.insert(key);
                    continue;
                }
                for (value, numbers) in entry.values {
                    for (kind, number) in numbers {
                        let Some(counts) = self.values.get_mut(number as usize) else { continue };
                        let counts = std::mem::take(counts);
                        found.push(difference((place, &key), (&value, kind), counts, self.units));
                    }
                }
            }
        }
        found.retain(|found| distance(found) > 0.0 || shift(found) > 0.0);
        found.sort_by(rank);
        found.truncate(limit);
        (found, self.skipped.into_iter().take(SKIPPED_MAX).collect())
    }
}

impl Counts {
    /// Says how many durations more it keeps.
    fn add(&mut self, unit: Unit, duration: Option<i64>) -> usize {
        if std::mem::replace(&mut self.last, unit.number) != unit.number {
            self.sides.iter_mut().skip(unit.side).take(1).for_each(|count| *count += 1);
        }
        match (self.durations.get_mut(unit.side), duration) {
            (Some(durations), Some(duration)) if durations.len() < DURATIONS_MAX => {
                durations.push(duration);
                1
            }
            _ => 0,
        }
    }
}

fn difference(
    (place, key): (Place, &str),
    (value, kind): (&str, AttrType),
    counts: Counts,
    [all_inside, all_outside]: [u64; 2],
) -> Difference {
    let share = |count: u64, all: u64| if all == 0 { 0.0 } else { count as f64 / all as f64 };
    let median = |mut durations: Vec<i64>| {
        durations.sort_unstable();
        durations.get(durations.len().saturating_sub(1) / 2).copied()
    };
    let ([inside, outside], [durations_inside, durations_outside]) =
        (counts.sides, counts.durations);
    Difference {
        place,
        key: key.to_owned(),
        value: value.to_owned(),
        kind,
        inside,
        outside,
        inside_share: share(inside, all_inside),
        outside_share: share(outside, all_outside),
        inside_p50_nano: median(durations_inside),
        outside_p50_nano: median(durations_outside),
    }
}

fn distance(found: &Difference) -> f64 {
    (found.inside_share - found.outside_share).abs()
}

/// How many times slower, or faster, as a logarithm; 0 where one side has no duration.
fn shift(found: &Difference) -> f64 {
    match (found.inside_p50_nano, found.outside_p50_nano) {
        (Some(inside), Some(outside)) => (inside.max(1) as f64 / outside.max(1) as f64).ln().abs(),
        _ => 0.0,
    }
}

fn rank(a: &Difference, b: &Difference) -> Ordering {
    // Shares that print alike count as alike, so that the latency decides between them.
    let rounded = |found: &Difference| (distance(found) * 1_000.0).round();
    rounded(b)
        .total_cmp(&rounded(a))
        .then_with(|| shift(b).total_cmp(&shift(a)))
        .then_with(|| (a.place, &a.key, &a.value).cmp(&(b.place, &b.key, &b.value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use throughline_model::{SpanBatchBuilder, SpanId, TraceId};

    fn trace(attributes: &[(String, String)]) -> SpanBatch {
        let mut builder = SpanBatchBuilder::default();
        builder.start_resource();
        builder.end_resource("", 0);
        builder.start_scope("", "");
        builder.end_scope("", 0);
        for id in 1..=2 {
            builder.start_span(TraceId([1; 16]), SpanId([id; 8]));
            builder.times(0, 10);
            for (key, value) in attributes {
                builder.attribute(key, AttrValue::Str(value));
            }
            builder.end_span();
        }
        builder.finish()
    }

    fn pairs(pairs: impl Iterator<Item = (usize, usize)>) -> Vec<(String, String)> {
        pairs.map(|(key, value)| (format!("k{key:05}"), format!("v{value}"))).collect()
    }

    #[test]
    fn a_trace_has_a_value_once_however_many_of_its_spans_say_so() {
        let mut tally = Tally::default();
        tally.add_together(&trace(&pairs([(1, 1)].into_iter())), true);
        tally.add_each(&trace(&pairs([(1, 1)].into_iter())), false);
        assert_eq!(tally.units(), [1, 2]);
        let (found, skipped) = tally.finish(10);
        // The shares and durations are alike, so nothing differs.
        assert_eq!((found, skipped), (vec![], vec![]));
    }

    #[test]
    fn keys_and_values_beyond_the_limits_are_left_out_and_named() {
        let mut tally = Tally::default();
        for value in 0..=VALUES_PER_KEY_MAX {
            // Often enough to be no id, but too many.
            let batch = trace(&pairs([(1, value)].into_iter()));
            (0..3).for_each(|_| tally.add_together(&batch, true));
        }
        tally.add_together(&trace(&pairs((2..KEYS_MAX + 9).map(|key| (key, 7)))), true);
        tally.add_together(&trace(&[("long".to_owned(), "x".repeat(2_000))]), false);
        let (found, skipped) = tally.finish(10_000);
        assert!(skipped.contains(&"k00001".to_owned()), "{skipped:?}");
        assert!(skipped.len() <= SKIPPED_MAX && skipped.iter().any(|key| key.as_str() > "k02000"));
        assert!(found.iter().any(|found| found.key == "k00002"));
        assert!(found.iter().all(|found| found.key != "k00001" && found.key != "long"));
    }
}
