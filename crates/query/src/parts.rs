//! What a service's requests are made of: its entry spans by the values of a field.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use throughline_store::{Column, Snapshot};

use crate::found::{Fact, each, entries, wanted};
use crate::groups::{Counted, GroupBy, Value, Values, largest, percentiles};
use crate::{RunError, SearchOptions};

/// Values of one service that have a part of their own.
pub const PARTS_MAX: usize = 10;

/// The entry spans of one service that have one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The value; `None` for spans without one, and for the rest.
    pub value: Option<String>,
    /// Whether these are the spans of all further values.
    pub rest: bool,
    /// How many there are.
    pub requests: u64,
    /// Those with the status "error".
    pub errors: u64,
    /// Median, 95th and 99th percentile of their durations, in nanoseconds.
    pub percentiles: [i64; 3],
}

/// The parts of every service, by the id of its node on the map, the largest first, at most [`PARTS_MAX`] and the rest, and whether
/// all spans of the range were looked at. Of the options, the limit does not count.
pub fn parts(
    snapshot: &Snapshot,
    by: &GroupBy,
    options: &SearchOptions,
) -> Result<(BTreeMap<String, Vec<Part>>, bool), RunError> {
    let (mut services, mut values) = (Values::default(), Values::default());
    let mut spans: HashMap<Value, Vec<Counted>, ahash::RandomState> = HashMap::default();
    let columns = |chunk: &_| [vec![Column::ServiceNode], by.columns(chunk)].concat();
    let wanted = wanted(Some(&entries()), options);
    let complete = each(snapshot, &wanted, columns, |found| {
        let homes = services.of_column(found, &Column::ServiceNode)?;
        let of_each = values.of(found, by)?;
        for ((fact, home), value) in found.facts()?.zip(homes).zip(of_each) {
            spans.entry(home).or_default().push(Counted { value, fact });
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let of_service = |(home, spans): (Value, Vec<Counted>)| {
        let groups = largest(spans, &values, PARTS_MAX).into_iter();
        let parts = groups.filter_map(|(value, facts)| part(&values, value, &facts));
        Some((services.text(home)?.to_owned(), parts.collect()))
    };
    Ok((spans.into_iter().filter_map(of_service).collect(), complete))
}

fn part(values: &Values, value: Value, facts: &[Fact]) -> Option<Part> {
    let mut durations: Vec<i64> = facts.iter().map(|fact| fact.duration).collect();
    Some(Part {
        value: values.text(value).map(str::to_owned),
        rest: value == Value::Rest,
        requests: facts.len() as u64,
        errors: facts.iter().filter(|fact| fact.failed).count() as u64,
        percentiles: percentiles(&mut durations)?,
    })
}
