//! Rates, errors and percentiles over time, of all spans or by the values of a field.

use std::ops::ControlFlow;

use throughline_model::{SpanRef, StatusCode};
use throughline_store::Snapshot;

use crate::found::{Fact, Selection, each, each_xray, entries, wanted};
use crate::groups::{Counted, GroupBy, Value, Values, largest, percentiles};
use crate::{RunError, SearchOptions};

/// What to count, and how finely.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesOptions {
    /// Which range and environment; the limit does not count.
    pub search: SearchOptions,
    /// How many buckets the range is cut into; at least one.
    pub points: usize,
    /// By what spans are put together; `None` for one series of all.
    pub by: Option<GroupBy>,
    /// How many values have a series of their own.
    pub values: usize,
}

/// Series of one length.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SeriesAnswer {
    /// Where the first bucket begins, nanoseconds since the epoch.
    pub start_unix_nano: i64,
    /// How long each is, in nanoseconds.
    pub step_nano: i64,
    /// The largest first; the rest, where there is one, last.
    pub series: Vec<Series>,
    /// How many spans were counted.
    pub spans: u64,
    /// Whether a limit was reached: then the oldest spans are missing.
    pub truncated: bool,
}

/// The spans of one value, bucket by bucket.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Series {
    /// The value; `None` for spans without one, and for the rest.
    pub value: Option<String>,
    /// Whether these are the spans of all further values.
    pub rest: bool,
    /// Spans that began in each bucket.
    pub requests: Vec<u64>,
    /// Those with the status "error".
    pub errors: Vec<u64>,
    /// Median, 95th and 99th percentile of their durations, in nanoseconds; `None` where no span
    /// began.
    pub percentiles: Vec<Option<[i64; 3]>>,
}

/// Counts spans over time. A span counts where it began.
pub fn series(
    snapshot: &Snapshot,
    selection: &Selection,
    options: &SeriesOptions,
) -> Result<SeriesAnswer, RunError> {
    let mut values = Values::default();
    let mut spans: Vec<Counted> = Vec::new();
    let by = options.by.as_ref();
    let complete = match selection {
        Selection::Native(query) => {
            let entries = entries();
            let wanted = wanted(query.filter.as_ref().or(Some(&entries)), &options.search);
            let columns = |chunk: &_| by.map(|by| by.columns(chunk)).unwrap_or_default();
            each(snapshot, &wanted, columns, |found| {
                let of_each = match by {
                    Some(by) => values.of(found, by)?,
                    None => vec![Value::None; found.rows.len()],
                };
                let counted = found.facts()?.zip(of_each);
                spans.extend(counted.map(|(fact, value)| Counted { value, fact }));
                Ok(ControlFlow::Continue(()))
            })?
        }
        Selection::Xray(filter) => {
            let entries = entries();
            let wanted = wanted(Some(&entries), &options.search);
            each_xray(snapshot, filter, &options.search, |trace| {
                for span in trace.spans().filter(|span| wanted.takes(*span)) {
                    let Some(fact) = fact(span) else { continue };
                    let text = by.and_then(|by| by.value(span));
                    let value = text.map_or(Value::None, |text| values.number(&text));
                    spans.push(Counted { value, fact });
                }
            })?
        }
    };
    let count = spans.len() as u64;
    let buckets = Buckets::new(options);
    let groups = match by {
        Some(_) => largest(spans, &values, options.values),
        None => vec![(Value::None, spans.into_iter().map(|span| span.fact).collect())],
    };
    let series = groups.into_iter().map(|(value, facts)| Series {
        value: values.text(value).map(str::to_owned),
        rest: value == Value::Rest,
        ..buckets.series(&facts)
    });
    Ok(SeriesAnswer {
        start_unix_nano: options.search.from,
        step_nano: buckets.step,
        series: series.collect(),
        spans: count,
        truncated: !complete,
    })
}

/// What counts of a span that has ended.
pub(crate) fn fact(span: SpanRef<'_>) -> Option<Fact> {
    Some(Fact {
        start: span.start_unix_nano(),
        duration: span.duration_nano()?,
        failed: span.status() == StatusCode::Error,
    })
}

struct Buckets {
    from: i64,
    step: i64,
    count: usize,
}

impl Buckets {
    fn new(options: &SeriesOptions) -> Self {
        let (from, count) = (options.search.from, options.points.max(1));
        // Both ends belong to the range.
        let length = i128::from(options.search.to) - i128::from(from) + 1;
        let step = length.max(1) as u128;
        let step = step.div_ceil(count as u128);
        Self { from, step: i64::try_from(step).unwrap_or(i64::MAX), count }
    }

    fn series(&self, facts: &[Fact]) -> Series {
        let mut durations: Vec<Vec<i64>> = vec![Vec::new(); self.count];
        let mut errors = vec![0; self.count];
        for fact in facts {
            let after = (i128::from(fact.start) - i128::from(self.from)).max(0);
            let at = usize::try_from(after / i128::from(self.step)).unwrap_or(usize::MAX);
            let at = at.min(self.count - 1);
            if let (Some(durations), Some(errors)) = (durations.get_mut(at), errors.get_mut(at)) {
                durations.push(fact.duration);
                *errors += u64::from(fact.failed);
            }
        }
        Series {
            requests: durations.iter().map(|durations| durations.len() as u64).collect(),
            percentiles: durations.iter_mut().map(|durations| percentiles(durations)).collect(),
            errors,
            ..Series::default()
        }
    }
}
