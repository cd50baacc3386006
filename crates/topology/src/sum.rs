//! The map of a long time: by minute, and by hour once more, so that a day is the sum of 24 hours
//! and not of 1 440 minutes.
//!
//! In:   parts.
//! Out:  one part for a range of time, everything of it added up in one minute.

use std::ops::RangeInclusive;

use crate::part::{MapPart, Tables};
use crate::view::{MapFilter, minute_of};

const HOUR_MINUTES: u32 = 60;

/// Parts, added up.
#[derive(Clone, Debug, Default)]
pub struct MapSum {
    minutes: MapPart,
    /// Each hour stands at its first minute.
    hours: MapPart,
}

impl MapSum {
    /// Adds all that `part` says.
    pub fn merge(&mut self, part: &MapPart) {
        self.minutes.merge(part);
        let hour = |minute| Some(minute - minute % HOUR_MINUTES);
        self.hours.add(part, Tables::All, hour);
    }
}

/// What is asked of a map: some tables of some minutes, mostly added up in the first of them, which
/// is the minute that the filter chooses.
#[derive(Debug)]
pub struct MapTotal {
    total: MapPart,
    tables: Tables,
    minutes: RangeInclusive<u32>,
    /// Whether each minute stays what it is.
    by_minute: bool,
}

impl MapTotal {
    /// Nodes and edges of the minutes of a filter.
    pub fn of_calls(filter: &MapFilter<'_>) -> Self {
        Self::of(Tables::Calls, filter)
    }

    /// As [`MapTotal::of_calls`], nodes and edges minute by minute.
    pub fn of_minutes(filter: &MapFilter<'_>) -> Self {
        Self { by_minute: true, ..Self::of(Tables::Calls, filter) }
    }

    /// As [`MapTotal::of_calls`], the operations of services.
    pub fn of_operations(filter: &MapFilter<'_>) -> Self {
        Self::of(Tables::Operations, filter)
    }

    fn of(tables: Tables, filter: &MapFilter<'_>) -> Self {
        let last = minute_of(filter.to_unix_nano.saturating_sub(1));
        let minutes = minute_of(filter.from_unix_nano)..=last;
        Self { total: MapPart::default(), tables, minutes, by_minute: false }
    }

    /// Adds what a part says of these minutes.
    pub fn add(&mut self, part: &MapPart) {
        let (minutes, by_minute) = (self.minutes.clone(), self.by_minute);
        let first = *minutes.start();
        let standing = |minute| if by_minute { minute } else { first };
        let chosen = |minute| minutes.contains(&minute).then(|| standing(minute));
        self.total.add(part, self.tables, chosen);
    }

    /// Adds what a sum says of these minutes: whole hours as such, the others minute by minute.
    pub fn add_sum(&mut self, sum: &MapSum) {
        if self.by_minute {
            return self.add(&sum.minutes);
        }
        let minutes = self.minutes.clone();
        let (first, end) = (*minutes.start(), minutes.end().saturating_add(1));
        let from = first.div_ceil(HOUR_MINUTES).saturating_mul(HOUR_MINUTES);
        let to = end / HOUR_MINUTES * HOUR_MINUTES;
        let in_hours = |minute: u32| (from..to).contains(&minute);
        self.total.add(&sum.hours, self.tables, |hour| in_hours(hour).then_some(first));
        let beside = |minute| minutes.contains(&minute) && !in_hours(minute);
        self.total.add(&sum.minutes, self.tables, |minute| beside(minute).then_some(first));
    }

    /// The sum.
    pub fn finish(self) -> MapPart {
        self.total
    }
}
