//! Which systems there are, and how much of one is made.

use throughline_model::{SpanBatch, TraceId};

use crate::made::{self, Made};
use crate::{Rng, large, ride, shop};

/// The systems there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// A shop of some sixty services with databases, caches, outside APIs and brokers. One outside API
    /// fails at times, one service is slow at times, and a stream loses the context of its messages.
    Shop,
    /// Requests for a ride: four services, two stores, some fifty spans a request; a look-up fails at
    /// times.
    Ride,
    /// One trace as large as wanted, seven of whose spans failed.
    Large,
}

impl System {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Shop, Self::Ride, Self::Large];

    /// Its word in commands and the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Ride => "ride",
            Self::Large => "large",
        }
    }

    /// The system of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|system| system.word() == word)
    }

    /// How many requests are made where nobody says how many; of the large trace, how many spans.
    pub fn usual_count(self) -> usize {
        match self {
            Self::Shop => 900,
            Self::Ride => 40,
            Self::Large => 20_000,
        }
    }

    /// The most that [`make`] makes: some 100 000 spans.
    pub fn count_max(self) -> usize {
        match self {
            Self::Shop => 2_000,
            Self::Ride => 2_000,
            Self::Large => 100_000,
        }
    }
}

/// What to make.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which system.
    pub system: System,
    /// Requests, or spans of the large trace; at most [`System::count_max`] are made.
    pub count: usize,
    /// The same seed makes the same spans.
    pub seed: u64,
    /// When the newest request was about to end, nanoseconds since the epoch.
    pub until_unix_nano: i64,
    /// Over how many minutes before that the requests are spread.
    pub minutes: u32,
    /// `deployment.environment.name` of all spans.
    pub environment: String,
}

impl Wanted {
    /// A system as it is where nobody says more: the requests of the last 58 minutes.
    pub fn of(system: System, seed: u64, until_unix_nano: i64) -> Self {
        let count = system.usual_count();
        let environment = "sample".to_owned();
        Self { system, count, seed, until_unix_nano, minutes: 58, environment }
    }
}

/// What was made.
#[derive(Debug)]
pub struct Sample {
    spans: Vec<Made>,
    environment: String,
    /// The traces, newest first. What a message began in a trace of its own stands after the request.
    pub traces: Vec<TraceId>,
}

impl Sample {
    /// How many spans there are.
    pub fn span_count(&self) -> usize {
        self.spans.len()
    }

    /// The spans, in batches as exporters send them.
    pub fn batches(&self) -> impl Iterator<Item = SpanBatch> {
        self.spans.chunks(made::BATCH_SPANS).map(|spans| made::batch(spans, &self.environment))
    }
}

/// Makes a system's spans.
///
/// ```
/// use throughline_sample::{System, Wanted, make};
/// let wanted = Wanted { count: 10, ..Wanted::of(System::Shop, 7, 1_800_000_000_000_000_000) };
/// let sample = make(&wanted);
/// assert!(sample.span_count() > 10);
/// assert_eq!(sample.batches().map(|batch| batch.len()).sum::<usize>(), sample.span_count());
/// ```
pub fn make(wanted: &Wanted) -> Sample {
    let wanted =
        &Wanted { count: wanted.count.clamp(1, wanted.system.count_max()), ..wanted.clone() };
    let (spans, traces) = match wanted.system {
        System::Shop => shop::make(wanted),
        System::Ride => ride::make(wanted),
        System::Large => large::make(wanted),
    };
    Sample { spans, environment: wanted.environment.clone(), traces }
}

/// When the request of a number began: evenly over the minutes, the first the newest, which has a
/// minute to end.
pub(crate) fn begin(wanted: &Wanted, number: usize, rng: &mut Rng) -> i64 {
    let range = f64::from(wanted.minutes) * 60e9;
    let age = (number as f64 + rng.share()) / wanted.count as f64 * range;
    wanted.until_unix_nano - age as i64 - 60_000_000_000
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use throughline_model::{SpanKind, StatusCode};

    use super::*;

    const NOW: i64 = 1_800_000_000_000_000_000;

    fn wanted(system: System, count: usize) -> Wanted {
        Wanted { count, ..Wanted::of(system, 7, NOW) }
    }

    #[test]
    fn the_same_seed_makes_the_same_spans_and_another_one_others() {
        for system in System::ALL {
            let ids = |seed| {
                let sample = make(&Wanted { seed, ..wanted(system, 30) });
                let batches = sample.batches().flat_map(|batch| {
                    batch.spans().map(|s| (s.span_id(), s.name().to_owned())).collect::<Vec<_>>()
                });
                batches.collect::<Vec<_>>()
            };
            assert_eq!(ids(1), ids(1), "{system:?}");
            assert_ne!(ids(1), ids(2), "{system:?}");
            assert_eq!(System::from_word(system.word()), Some(system));
        }
    }

    #[test]
    fn every_span_ends_before_now_and_its_parent_is_there() {
        for (system, count) in [(System::Shop, 200), (System::Ride, 20), (System::Large, 5_000)] {
            let sample = make(&wanted(system, count));
            let batches: Vec<SpanBatch> = sample.batches().collect();
            let spans = || batches.iter().flat_map(|batch| batch.spans());
            let ids: HashSet<_> = spans().map(|span| (span.trace_id(), span.span_id())).collect();
            assert_eq!(ids.len(), sample.span_count());
            for span in spans() {
                assert!(span.duration_nano().is_some_and(|length| length >= 0), "{}", span.name());
                assert!(span.end_unix_nano() < NOW, "{}", span.name());
                let parent = span.parent_id();
                assert!(parent.is_zero() || ids.contains(&(span.trace_id(), parent)));
                assert_eq!(span.resource().environment(), Some("sample"));
            }
            let traces: HashSet<_> = spans().map(|span| span.trace_id()).collect();
            assert_eq!(traces, sample.traces.iter().copied().collect());
        }
    }

    #[test]
    fn a_large_trace_has_the_spans_asked_for_and_seven_that_failed() {
        for count in [40, 20_000] {
            let sample = make(&wanted(System::Large, count));
            let batches: Vec<SpanBatch> = sample.batches().collect();
            let failed = batches.iter().flat_map(|batch| batch.statuses().iter());
            let failed = failed.filter(|status| **status == StatusCode::Error as u8).count();
            assert_eq!((sample.span_count(), failed, sample.traces.len()), (count, 7, 1));
        }
    }

    #[test]
    fn the_shop_has_its_services_its_trouble_and_a_stream_that_loses_context() {
        let sample = make(&wanted(System::Shop, 900));
        let batches: Vec<SpanBatch> = sample.batches().collect();
        let spans = || batches.iter().flat_map(|batch| batch.spans());
        let services: HashSet<_> = spans().map(|span| span.service()).collect();
        assert!(services.len() > 40, "{}", services.len());
        assert!(services.contains("payments") && services.contains("etl"));
        let failing = spans().filter(|span| span.status() == StatusCode::Error).count();
        assert!(failing * 100 > sample.span_count() && failing * 5 < sample.span_count());

        let id = |kind, name: &'static str| {
            let of = spans().filter(move |span| span.kind() == kind && span.name() == name);
            of.filter_map(|span| {
                let id = span.attribute("messaging.message.id")?.as_str()?.to_owned();
                Some((id, span.trace_id()))
            })
            .collect::<std::collections::HashMap<_, _>>()
        };
        let sent = id(SpanKind::Producer, "send lab-stream");
        let taken = id(SpanKind::Consumer, "process lab-stream");
        assert!(sent.len() > 5);
        assert!(taken.iter().all(|(id, trace)| sent.get(id).is_some_and(|other| other != trace)));
        assert_eq!(sent.len(), taken.len());
    }

    #[test]
    fn no_more_is_made_than_there_may_be() {
        let sample = make(&wanted(System::Ride, usize::MAX / 2));
        assert!(sample.traces.len() <= System::Ride.count_max());
        assert_eq!(make(&wanted(System::Ride, 0)).traces.len(), 1);
    }
}
