//! The traces that a filter takes, newest first, a page at a time.
//!
//! The order is by the start of the trace, the latest first, then by its id. Spans lie in chunks
//! that overlap in time, so all chunks are walked at once, from their latest rows down, the way a
//! merge of sorted lists does. Each chunk gives one place to a trace: the earliest start that its
//! rows have. A trace therefore has a place at its very start, in one of the chunks; when the walk
//! has passed a time, every trace that began later is known. That is what makes a page's end a
//! mark that loses nothing: the next page goes on behind it, whatever made this one stop.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use throughline_model::{SpanBatch, TraceId};
use throughline_store::{Chunk, Column, Snapshot};
use throughline_topology::xray::TraceView;

use super::XrayFilter;
use crate::ast::LIMIT_MAX;
use crate::run::Stride;
use crate::scan::{Wanted, candidates};
use crate::{Query, RunError};

/// How long before the time asked a trace may have begun to be found by what it did in that time,
/// in nanoseconds: an hour. Without a bound, each page would look through all that was ever stored.
const LOOK_BACK_NANO: i64 = 3_600_000_000_000;

/// What one page may cost. A page that reaches a bound is shorter than asked, and has a successor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Traces that are read.
    pub(super) reads: usize,
    /// Spans that are read with them.
    pub(super) spans: usize,
    /// Chunks that are walked.
    pub(super) chunks: usize,
    /// Chunks that lie behind the time asked and may hold later spans of its traces. Where there
    /// are more, the filter is asked of every trace instead.
    pub(super) later_chunks: usize,
    /// Spans of found traces that are held while it is not yet their turn; others are read again.
    pub(super) held_spans: usize,
}

const BOUNDS: Bounds =
    Bounds { reads: 2_000, spans: 500_000, chunks: 1_000, later_chunks: 500, held_spans: 200_000 };

/// What it means for a trace to lie in a time range.
///
/// **Source:** X-Ray API reference, `TimeRangeType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XrayTime {
    /// It began in the range. X-Ray reads that from the trace id; we look at the spans, for ids of
    /// OpenTelemetry hold no time.
    #[default]
    TraceId,
    /// It was active in the range, and began at most an hour before.
    Event,
    /// One of its segments ended in the range, and it began at most an hour before.
    Service,
}

/// Where and how much to search.
#[derive(Clone, Debug)]
pub struct XraySearchOptions {
    /// The beginning of the range, nanoseconds since the epoch.
    pub from: i64,
    /// The end of the range, not part of it.
    pub to: i64,
    /// What has to lie in the range.
    pub time: XrayTime,
    /// How many traces at most: 1 to [`LIMIT_MAX`].
    pub limit: usize,
    /// Where the page before ended; `None` for the first.
    pub after: Option<XrayCursor>,
    /// The share of the traces that are looked at, from 0 to 1; the same ones each time.
    pub sampling: Option<f64>,
}

/// A place in the order of traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XrayCursor {
    /// The start of a trace, nanoseconds since the epoch.
    pub start_unix_nano: i64,
    /// Its id.
    pub trace_id: TraceId,
}

/// What a page came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XrayAnswer {
    /// How many traces were looked at, by the filter or by what we know of their spans.
    pub scanned: u64,
    /// Where to go on; `None` when there is no more. A page may be empty and have a successor.
    pub next: Option<XrayCursor>,
}

/// A place, ordered as traces are: smaller comes first.
type Place = (Reverse<i64>, TraceId);

/// Gives the traces that `filter` takes, merged and viewed, to `visit`.
///
/// Groups that the filter names must have been resolved. Pages taken from a store that does not
/// change neither repeat a trace nor lose one; what arrives meanwhile is found where it belongs, so
/// on a later page or not at all. The start of a trace is that of its earliest piece.
pub fn xray_search(
    snapshot: &Snapshot,
    filter: &XrayFilter,
    options: &XraySearchOptions,
    visit: impl FnMut(&SpanBatch, &TraceView<'_>),
) -> Result<XrayAnswer, RunError> {
    search_within(snapshot, filter, options, BOUNDS, visit)
}

pub(super) fn search_within(
    snapshot: &Snapshot,
    filter: &XrayFilter,
    options: &XraySearchOptions,
    bounds: Bounds,
    visit: impl FnMut(&SpanBatch, &TraceView<'_>),
) -> Result<XrayAnswer, RunError> {
    let earliest = match options.time {
        XrayTime::TraceId => options.from,
        XrayTime::Event | XrayTime::Service => options.from.saturating_sub(LOOK_BACK_NANO),
    };
    let after = options.after.map(|after| (Reverse(after.start_unix_nano), after.trace_id));
    let latest = match after {
        Some((Reverse(start), _)) => start.min(options.to.saturating_sub(1)),
        None => options.to.saturating_sub(1),
    };
    if earliest > latest || options.to <= options.from {
        return Ok(XrayAnswer::default());
    }
    let limit = options.limit.clamp(1, LIMIT_MAX);
    let mut walk = Walk::new(snapshot, filter, options, (earliest, latest), bounds)?;
    let mut page = Page {
        snapshot,
        filter,
        options,
        bounds,
        earliest,
        known: HashSet::default(),
        ahead: HashMap::new(),
        stride: Stride::default(),
        found: BTreeMap::new(),
        held_spans: 0,
        reads: 0,
        spans: 0,
        visited: 0,
        last: None,
        visit,
    };
    let mut passed: Option<Place> = None;
    loop {
        let place = walk.next()?;
        // All traces before the next place are known by now.
        page.give_out(place, limit)?;
        let more = place.is_some() || !page.found.is_empty();
        let next = match place {
            _ if page.visited == limit => page.last.filter(|_| more),
            None => None,
            Some(_) if passed.is_some() && (page.is_spent() || walk.is_spent()) => passed,
            Some(place) => {
                if after.is_none_or(|after| place > after) {
                    walk.meet(place.1);
                    if is_sampled(place.1, options.sampling) && walk.may_match(place) {
                        page.look_at(place, &mut walk)?;
                    }
                    passed = Some(place);
                }
                continue;
            }
        };
        return Ok(XrayAnswer { scanned: walk.met.len() as u64, next: next.map(cursor) });
    }
}

fn cursor((Reverse(start_unix_nano), trace_id): Place) -> XrayCursor {
    XrayCursor { start_unix_nano, trace_id }
}

/// Whether a trace is among the share that is looked at.
fn is_sampled(id: TraceId, share: Option<f64>) -> bool {
    // 53 bits are what a double holds, so the quotient stays below 1.
    share.is_none_or(|share| (hash(id) >> 11) as f64 / 2_f64.powi(53) < share)
}

/// The same in every process, so that pages of a sample fit together.
fn hash(id: TraceId) -> u64 {
    // SplitMix64's finalizer over both halves: ids may be random in one half only.
    let number = u128::from_be_bytes(id.0);
    let halves = [(number >> 64) as u64, number as u64];
    halves.into_iter().fold(0x9e37_79b9_7f4a_7c15, |hash, half| {
        let hash = (hash ^ half).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    })
}

/// Traces, as hashes of their ids: where one is taken for another, it is only read in vain.
type Ids = HashSet<u64, ahash::RandomState>;

/// The most traces that a set may hold; a larger one is given up, and then says yes to all.
const IDS_MAX: usize = 4_000_000;

/// The places of all traces, first to last.
struct Walk {
    earliest: i64,
    latest: i64,
    from: i64,
    /// Chunks that are still closed, the one with the latest start last.
    closed: Vec<Chunk>,
    /// For each open chunk its places to come, the first last.
    open: Vec<Vec<Place>>,
    /// The first place of each open chunk, and which chunk that is.
    heads: BinaryHeap<Reverse<(Place, usize)>>,
    /// What to look for in spans.
    wanted: Option<Wanted>,
    /// Traces with a span that is wanted; `None` when all are to be read. Whole for a trace when
    /// the walk has come to its start: all its spans lie in chunks that are open by then.
    candidates: Option<Ids>,
    /// As above, traces with a span that was active at `from` or later. Only where that is asked.
    active: Option<Ids>,
    met: Ids,
    /// Places that were looked at before their turn, the first first.
    ahead: VecDeque<Place>,
    chunks_left: usize,
    has_begun: bool,
}

impl Walk {
    fn new(
        snapshot: &Snapshot,
        filter: &XrayFilter,
        options: &XraySearchOptions,
        (earliest, latest): (i64, i64),
        bounds: Bounds,
    ) -> Result<Self, RunError> {
        let Query { filter, .. } = filter.candidates();
        let mut chunks = snapshot.chunks(earliest, i64::MAX);
        chunks.reverse();
        let (closed, later): (Vec<_>, Vec<_>) =
            chunks.into_iter().partition(|chunk| chunk.min_start() <= latest);
        let too_many = later.len() > bounds.later_chunks;
        let filter = filter.filter(|_| !too_many);
        let asks_activity = options.time != XrayTime::TraceId && !too_many;
        let mut walk = Self {
            earliest,
            latest,
            from: options.from,
            closed,
            open: Vec::new(),
            heads: BinaryHeap::new(),
            candidates: filter.is_some().then(Ids::default),
            wanted: filter.map(|filter| Wanted {
                filter: Some(filter),
                from: earliest,
                to: i64::MAX,
            }),
            active: asks_activity.then(Ids::default),
            met: Ids::default(),
            ahead: VecDeque::new(),
            chunks_left: bounds.chunks,
            has_begun: false,
        };
        for chunk in &later {
            walk.look_into(chunk)?;
            if walk.active.is_some() {
                walk.places(chunk)?;
            }
        }
        Ok(walk)
    }

    fn next(&mut self) -> Result<Option<Place>, RunError> {
        match self.ahead.pop_front() {
            Some(place) => Ok(Some(place)),
            None => self.advance(),
        }
    }

    /// Up to `count` places that are to come, without opening more chunks than a page may.
    fn look_ahead(&mut self, count: usize) -> Result<impl Iterator<Item = Place>, RunError> {
        while self.ahead.len() < count
            && !self.is_spent()
            && let Some(place) = self.advance()?
        {
            self.ahead.push_back(place);
        }
        Ok(self.ahead.iter().copied().take(count))
    }

    fn advance(&mut self) -> Result<Option<Place>, RunError> {
        let first = |heads: &BinaryHeap<Reverse<(Place, usize)>>| heads.peek().map(|head| head.0.0);
        while let Some(chunk) = self.closed.pop_if(|chunk| {
            first(&self.heads).is_none_or(|(Reverse(start), _)| chunk.max_start() >= start)
        }) {
            self.look_into(&chunk)?;
            let mut places = self.places(&chunk)?;
            if let Some(head) = places.pop() {
                self.heads.push(Reverse((head, self.open.len())));
                self.open.push(places);
            }
            self.chunks_left = self.chunks_left.saturating_sub(usize::from(self.has_begun));
        }
        self.has_begun = true;
        let Some(Reverse((place, chunk))) = self.heads.pop() else { return Ok(None) };
        if let Some(next) = self.open.get_mut(chunk).and_then(Vec::pop) {
            self.heads.push(Reverse((next, chunk)));
        }
        Ok(Some(place))
    }

    /// Learns which traces have a wanted span in the chunk.
    fn look_into(&mut self, chunk: &Chunk) -> Result<(), RunError> {
        let (Some(wanted), Some(ids)) = (&self.wanted, &mut self.candidates) else { return Ok(()) };
        ids.extend(candidates(chunk, wanted)?.into_iter().map(|one| hash(one.trace_id)));
        if ids.len() > IDS_MAX {
            self.candidates = None;
        }
        Ok(())
    }

    /// The places of a chunk's traces, the first last. Learns which traces were active as well.
    fn places(&mut self, chunk: &Chunk) -> Result<Vec<Place>, RunError> {
        let rows = chunk.read(&[Column::TraceId, Column::Start, Column::Duration])?;
        let ids = rows.column(0).as_fixed_size_binary();
        let starts = rows.column(1).as_primitive::<Int64Type>();
        let durations = rows.column(2).as_primitive::<Int64Type>();
        let mut places: Vec<(TraceId, i64)> = Vec::new();
        for row in 0..rows.num_rows() {
            let id = TraceId::from_slice(ids.value(row)).unwrap_or_default();
            let start = starts.value(row);
            // An unfinished row has no duration; its value is then not meant, and 0 will do.
            let duration = if durations.is_valid(row) { durations.value(row) } else { 0 };
            if let Some(active) = &mut self.active
                && start.saturating_add(duration) >= self.from
            {
                active.insert(hash(id));
            }
            if (self.earliest..=self.latest).contains(&start) {
                places.push((id, start));
            }
        }
        if self.active.as_ref().is_some_and(|active| active.len() > IDS_MAX) {
            self.active = None;
        }
        places.sort_unstable();
        places.dedup_by_key(|(id, _)| *id);
        let mut places: Vec<Place> =
            places.into_iter().map(|(id, start)| (Reverse(start), id)).collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        Ok(places)
    }

    fn meet(&mut self, id: TraceId) {
        if self.met.len() < IDS_MAX {
            self.met.insert(hash(id));
        }
    }

    /// Whether a trace with a place here may be wanted; certain only when it says no, and only of
    /// the place that is the start of the trace.
    fn may_match(&self, (Reverse(start), id): Place) -> bool {
        let is_in = |ids: &Option<Ids>| ids.as_ref().is_none_or(|ids| ids.contains(&hash(id)));
        is_in(&self.candidates) && (start >= self.from || is_in(&self.active))
    }

    fn is_spent(&self) -> bool {
        self.chunks_left == 0 && self.ahead.is_empty()
    }
}

/// The traces of one page, those given out and those whose turn has not come.
struct Page<'a, V> {
    snapshot: &'a Snapshot,
    filter: &'a XrayFilter,
    options: &'a XraySearchOptions,
    bounds: Bounds,
    earliest: i64,
    /// Traces that were read, whatever came of it.
    known: HashSet<TraceId, ahash::RandomState>,
    /// Traces that were read together with one before them.
    ahead: HashMap<TraceId, SpanBatch>,
    stride: Stride,
    /// Traces that are wanted and begin at a place that the walk has not come to.
    found: BTreeMap<Place, Option<SpanBatch>>,
    held_spans: usize,
    reads: usize,
    spans: usize,
    visited: usize,
    last: Option<Place>,
    visit: V,
}

impl<V: FnMut(&SpanBatch, &TraceView<'_>)> Page<'_, V> {
    /// Looks at the trace that has a place here, unless that was done.
    fn look_at(&mut self, place: Place, walk: &mut Walk) -> Result<(), RunError> {
        if !self.known.insert(place.1) {
            return Ok(());
        }
        if !self.ahead.contains_key(&place.1) {
            self.read(place, walk)?;
        }
        let Some(merged) = self.ahead.remove(&place.1) else { return Ok(()) };
        self.reads += 1;
        self.spans += merged.len();
        let start = merged.spans().map(|span| span.start_unix_nano()).min().unwrap_or_default();
        if start < self.earliest {
            return Ok(());
        }
        let view = TraceView::of(&merged);
        if !self.is_in_time(start, &view) || !self.filter.matches(&view) {
            return Ok(());
        }
        let own = (Reverse(start), place.1);
        if own == place {
            self.visited += 1;
            self.last = Some(own);
            (self.visit)(&merged, &view);
            return Ok(());
        }
        let fits = self.held_spans + merged.len() <= self.bounds.held_spans;
        self.held_spans += if fits { merged.len() } else { 0 };
        self.found.insert(own, fits.then_some(merged));
        Ok(())
    }

    /// Reads the trace that has a place here, and with it some that will be looked at soon.
    fn read(&mut self, place: Place, walk: &mut Walk) -> Result<(), RunError> {
        let mut ids = vec![place.1];
        let places: Vec<_> = walk.look_ahead(self.stride.traces() - 1)?.collect();
        let wanted = places.into_iter().filter(|place| {
            let id = place.1;
            is_sampled(id, self.options.sampling)
                && walk.may_match(*place)
                && !self.known.contains(&id)
                && !self.ahead.contains_key(&id)
        });
        ids.extend(wanted.map(|place| place.1));
        let traces = crate::run::traces(self.snapshot, &ids)?;
        self.stride.add(&traces);
        self.ahead.extend(traces);
        Ok(())
    }

    fn is_in_time(&self, start: i64, view: &TraceView<'_>) -> bool {
        let XraySearchOptions { from, to, .. } = *self.options;
        match self.options.time {
            XrayTime::TraceId => (from..to).contains(&start),
            XrayTime::Event => start < to && view.end_unix_nano() >= from,
            XrayTime::Service => view.segments.iter().any(|place| {
                let segment = view.entities.get(*place).filter(|segment| !segment.in_progress);
                segment.is_some_and(|segment| (from..to).contains(&segment.end_unix_nano))
            }),
        }
    }

    /// Gives out what was found before `place`, or everything, while the page is not full.
    fn give_out(&mut self, place: Option<Place>, limit: usize) -> Result<(), RunError> {
        while self.visited < limit
            && let Some(entry) = self.found.first_entry()
            && place.is_none_or(|place| *entry.key() < place)
        {
            let (own, held) = entry.remove_entry();
            let merged = match held {
                Some(merged) => {
                    self.held_spans = self.held_spans.saturating_sub(merged.len());
                    merged
                }
                None => crate::run::trace(self.snapshot, own.1)?.unwrap_or_default(),
            };
            self.visited += 1;
            self.last = Some(own);
            (self.visit)(&merged, &TraceView::of(&merged));
        }
        Ok(())
    }

    fn is_spent(&self) -> bool {
        self.reads >= self.bounds.reads || self.spans >= self.bounds.spans
    }
}
