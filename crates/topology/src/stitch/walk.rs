//! The walk of a journey: up from the focus to its origin, then down along what it led to.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash as _, Hasher as _};

use ahash::{AHashMap, AHashSet};
use throughline_context::{Carrier, Direction, MessageKey};
use throughline_model::{SpanId, TraceId};

use super::edge::{JoinEdge, ReceiptAt};
use super::joins::{Refused, joins};
use super::journey::{Budget, Focus, Gap, Limit, Source, Step};
use super::pointers::{link_receipt, target};
use super::scope::{Loaded, Scope};

mod follow;

/// Spans above one that are kept with it, nearest first.
const ABOVE_MAX: usize = 16;

/// Refused pairs that are kept.
const REFUSED_MAX: usize = 64;

/// A message and the span that produced it.
type Out = (u32, MessageKey);

pub(super) struct Walk<'s, S> {
    source: &'s S,
    pub(super) budget: &'s Budget,
    /// Every trace that was looked for.
    pub(super) loaded: AHashMap<TraceId, Option<Loaded>>,
    pub(super) parts: AHashMap<TraceId, Part>,
    /// By edge id.
    pub(super) steps: BTreeMap<u128, Step>,
    pub(super) grouped: BTreeMap<(TraceId, Carrier, Option<String>, Limit), Vec<JoinEdge>>,
    pub(super) origins: BTreeSet<TraceId>,
    pub(super) truncated: BTreeSet<Limit>,
    pub(super) gaps: BTreeSet<Gap>,
    pub(super) refused: Vec<Refused>,
    keys_left: usize,
    /// Spans that must be shown so far.
    needed: usize,
    followed: AHashSet<(TraceId, MessageKey)>,
    linked: AHashSet<(TraceId, u32)>,
    /// What is to be followed, surest and nearest first.
    open: BTreeMap<(u32, u32, usize), Onward>,
    opened: usize,
}

/// What is shown of a trace.
#[derive(Default)]
pub(super) struct Part {
    /// Spans that a step begins or ends at, and those above them.
    pub(super) needed: BTreeSet<u32>,
    /// All that belong to the journey.
    pub(super) rows: BTreeSet<u32>,
    pub(super) hops: i32,
    pub(super) on_path: bool,
    pub(super) shared_by: u32,
}

/// A place to find the origin of.
pub(super) struct Up {
    trace: TraceId,
    row: u32,
    /// The message that it produced, on the way to the focus.
    out: Option<MessageKey>,
    hops: u32,
    /// Who took from where, on the way here.
    way: Vec<u64>,
    /// Whether what led here is only counted.
    counts: bool,
}

/// A place to follow messages from.
struct Onward {
    trace: TraceId,
    scope: Scope,
    hops: u32,
    /// Times that a message could not be told from the others of its batch.
    doubts: u32,
    /// Who took from where, on the way here.
    way: Vec<u64>,
}

impl Up {
    fn first(trace: TraceId, row: u32, out: Option<MessageKey>) -> Self {
        Self { trace, row, out, hops: 0, way: Vec::new(), counts: false }
    }

    /// As [`Step::hops`] counts, which is down.
    fn hops_up(&self) -> i32 {
        -i32::try_from(self.hops).unwrap_or(i32::MAX)
    }
}

impl<'s, S: Source> Walk<'s, S> {
    pub(super) fn new(source: &'s S, budget: &'s Budget) -> Self {
        Self {
            source,
            budget,
            loaded: AHashMap::new(),
            parts: AHashMap::new(),
            steps: BTreeMap::new(),
            grouped: BTreeMap::new(),
            origins: BTreeSet::new(),
            truncated: BTreeSet::new(),
            gaps: BTreeSet::new(),
            refused: Vec::new(),
            keys_left: budget.keys_max,
            needed: 0,
            followed: AHashSet::new(),
            linked: AHashSet::new(),
            open: BTreeMap::new(),
            opened: 0,
        }
    }

    pub(super) fn begin(&mut self, focus: Focus) -> Result<(), S::Error> {
        match focus {
            Focus::Trace(trace) => self.begin_at_trace(trace)?,
            Focus::Span(trace, span) => {
                self.load(trace)?;
                match self.known(trace).and_then(|loaded| loaded.row_of(span)) {
                    Some(row) => self.begin_at_span(trace, row)?,
                    None => self.begin_at_trace(trace)?,
                }
            }
            Focus::Message(key) => self.begin_at_message(key)?,
        }
        self.go_on()
    }

    fn begin_at_trace(&mut self, trace: TraceId) -> Result<(), S::Error> {
        if !self.load(trace)? {
            return Ok(());
        }
        let Some(loaded) = self.known(trace) else { return Ok(()) };
        let rows = loaded.all_rows();
        let top = rows.first().copied();
        let consumers = loaded.consumers();
        let outs = loaded.outs(&rows);
        let scope = Scope::whole(rows, outs);
        self.show(trace, 0, true, &scope, &top.into_iter().collect::<Vec<_>>());
        let takers = if consumers.is_empty() { top.into_iter().collect() } else { consumers };
        let ways = takers.into_iter().map(|row| Up::first(trace, row, None)).collect();
        self.climb(ways)?;
        self.push(Onward { trace, scope, hops: 0, doubts: 0, way: Vec::new() });
        Ok(())
    }

    fn begin_at_span(&mut self, trace: TraceId, row: u32) -> Result<(), S::Error> {
        let Some(loaded) = self.known(trace) else { return Ok(()) };
        let sent = loaded.outs(&[row]);
        if let Some((_, first)) = sent.first().copied() {
            self.climb(vec![Up::first(trace, row, Some(first))])?;
            let scope = Scope::whole(vec![row], sent);
            self.push(Onward { trace, scope, hops: 0, doubts: 0, way: Vec::new() });
            return Ok(());
        }
        let Some(cause) = loaded.cause(row, None) else { return self.begin_at_trace(trace) };
        self.climb(vec![Up::first(trace, row, None)])?;
        self.push(Onward { trace, scope: cause.scope, hops: 0, doubts: 0, way: Vec::new() });
        Ok(())
    }

    fn begin_at_message(&mut self, key: MessageKey) -> Result<(), S::Error> {
        let mut senders = self.source.holders(&[key], Direction::Out)?;
        let mut takers = self.source.holders(&[key], Direction::In)?;
        let latest = senders.iter().max_by_key(|at| at.rank());
        let Some(latest) = latest.or_else(|| takers.iter().max_by_key(|at| at.rank())) else {
            self.gaps.insert(Gap::MessageNotFound { key });
            return Ok(());
        };
        let home = (latest.environment.clone(), latest.tenant.clone());
        let is_home = |at: &ReceiptAt| (&at.environment, &at.tenant) == (&home.0, &home.1);
        let holders = senders.iter().chain(&takers).filter(|at| !is_home(at)).count();
        if holders > 0 {
            self.gaps.insert(Gap::OtherEnvironments { key, holders });
        }
        senders.retain(is_home);
        takers.retain(is_home);
        // Of several that say they sent it, those that a join says did.
        let edges = joins(&senders, &takers).edges;
        let sent: BTreeSet<_> = match edges.is_empty() {
            true => senders.iter().map(ReceiptAt::span).collect(),
            false => edges.iter().map(|edge| edge.from).collect(),
        };
        let mut ways = Vec::new();
        for (trace, span) in sent.into_iter().take(self.budget.origins_max) {
            if self.load(trace)?
                && let Some(row) =
                    self.known(trace).and_then(|l| l.holder(span, key, Direction::Out))
            {
                ways.push(Up::first(trace, row, Some(key)));
                let scope = Scope::whole(Vec::new(), vec![(row, key)]);
                self.push(Onward { trace, scope, hops: 0, doubts: 0, way: Vec::new() });
            }
        }
        // Without a producer the consumers are all there is.
        let takers = if ways.is_empty() { takers } else { Vec::new() };
        for taker in takers.iter().take(self.budget.origins_max) {
            if self.load(taker.trace_id)?
                && let Some(loaded) = self.known(taker.trace_id)
                && let Some(row) = loaded.holder(taker.span_id, key, Direction::In)
            {
                let (trace, scope) = (taker.trace_id, loaded.scope(row, key));
                ways.push(Up::first(trace, row, None));
                self.push(Onward { trace, scope, hops: 0, doubts: 0, way: Vec::new() });
            }
        }
        self.climb(ways)
    }

    /// Reads a trace unless it is known; says whether it is held.
    fn load(&mut self, trace: TraceId) -> Result<bool, S::Error> {
        if let Some(known) = self.loaded.get(&trace) {
            return Ok(known.is_some());
        }
        let loaded = self.source.trace(trace)?.filter(|batch| !batch.is_empty()).map(Loaded::new);
        let is_held = loaded.is_some();
        if !is_held {
            self.gaps.insert(Gap::TraceNotHeld { trace_id: trace });
        }
        self.loaded.insert(trace, loaded);
        Ok(is_held)
    }

    fn known(&self, trace: TraceId) -> Option<&Loaded> {
        self.loaded.get(&trace)?.as_ref()
    }

    /// Makes spans of a trace part of the journey; `ends` are those that a step begins or ends at.
    fn show(&mut self, trace: TraceId, hops: i32, on_path: bool, scope: &Scope, ends: &[u32]) {
        let Some(Some(loaded)) = self.loaded.get(&trace) else { return };
        let first = Part { hops, shared_by: scope.shared_by, ..Part::default() };
        let part = self.parts.entry(trace).or_insert(first);
        let before = part.needed.len();
        for row in ends {
            let above = loaded.ancestors(*row).into_iter().take(ABOVE_MAX);
            let rows: Vec<u32> = std::iter::once(*row).chain(above).collect();
            let here = part.needed.len() - before;
            if self.needed + here + rows.len() > self.budget.spans_max {
                self.truncated.insert(Limit::Spans);
                break;
            }
            part.needed.extend(rows);
        }
        self.needed += part.needed.len() - before;
        part.on_path |= on_path;
        part.shared_by = part.shared_by.min(scope.shared_by);
        part.rows.extend(scope.rows.iter().copied());
        let needed = &part.needed;
        part.rows.extend(needed);
    }

    /// The joins of some messages, with receipts that no index has. Links are no messages: who
    /// asks for theirs has both their ends.
    fn edges(
        &mut self,
        keys: &[MessageKey],
        mut outs: Vec<ReceiptAt>,
        mut ins: Vec<ReceiptAt>,
    ) -> Result<Vec<JoinEdge>, S::Error> {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys.dedup();
        if keys.len() > self.keys_left {
            self.truncated.insert(Limit::Keys);
            keys.truncate(self.keys_left);
        }
        self.keys_left -= keys.len();
        if !keys.is_empty() {
            outs.extend(self.source.holders(&keys, Direction::Out)?);
            ins.extend(self.source.holders(&keys, Direction::In)?);
        }
        let joined = joins(&outs, &ins);
        let left = REFUSED_MAX.saturating_sub(self.refused.len());
        self.refused.extend(joined.refused.into_iter().take(left));
        Ok(joined.edges)
    }

    /// The far ends of links: receipts of the spans that links name, which no index has.
    fn far_ends(&mut self, links: &[ReceiptAt]) -> Result<Vec<ReceiptAt>, S::Error> {
        let mut ends = Vec::new();
        for link in links {
            let Some((trace, span)) = target(&link.receipt) else { continue };
            let is_new = !self.loaded.contains_key(&trace);
            if is_new && self.loaded.len() >= self.budget.traces_max {
                self.truncated.insert(Limit::Traces);
                continue;
            }
            if self.load(trace)?
                && let Some(loaded) = self.known(trace)
                && let Some(row) = loaded.row_of(span)
            {
                let way = match link.receipt.direction {
                    Direction::In => Direction::Out,
                    Direction::Out => Direction::In,
                };
                ends.push(loaded.linked(row, link.receipt.carrier, way));
            }
        }
        Ok(ends)
    }

    /// Links that others have to some spans of a trace, and the ends of these links here. `way` is
    /// that of the others.
    fn links_to(
        &mut self,
        trace: TraceId,
        rows: &[u32],
        way: Direction,
    ) -> Result<(Vec<ReceiptAt>, Vec<ReceiptAt>), S::Error> {
        // Only a consumer is told whom a person joined it to.
        let carriers: &[Carrier] = match way {
            Direction::In => &[Carrier::Link, Carrier::User],
            Direction::Out => &[Carrier::Link],
        };
        let key = |carrier: &Carrier| link_receipt(*carrier, way, (trace, SpanId::ZERO)).key();
        let keys: Vec<MessageKey> = carriers.iter().map(key).collect();
        let others = self.source.holders(&keys, way)?;
        let Some(loaded) = self.known(trace) else { return Ok(Default::default()) };
        let end_way = match way {
            Direction::In => Direction::Out,
            Direction::Out => Direction::In,
        };
        let mut spans: Vec<(Carrier, SpanId)> = others
            .iter()
            .filter_map(|other| Some((other.receipt.carrier, target(&other.receipt)?.1)))
            .collect();
        spans.sort_unstable();
        spans.dedup();
        let end = |(carrier, span): (Carrier, SpanId)| {
            let row = loaded.row_of(span).filter(|row| rows.binary_search(row).is_ok())?;
            Some(loaded.linked(row, carrier, end_way))
        };
        let ends = spans.into_iter().filter_map(end).collect();
        Ok((others, ends))
    }

    fn push(&mut self, onward: Onward) {
        self.opened += 1;
        self.open.insert((onward.doubts, onward.hops, self.opened), onward);
    }

    fn group(&mut self, trace: TraceId, edge: JoinEdge, reason: Limit) {
        self.truncated.insert(reason);
        let place = (trace, edge.carrier, edge.resource.clone(), reason);
        self.grouped.entry(place).or_default().push(edge);
    }

    /// Who took from where: what comes again and again in a circle.
    fn turn(&self, edge: &JoinEdge) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        if let Some(loaded) = self.known(edge.to.0)
            && let Some(row) = loaded.row_of(edge.to.1)
        {
            let span = loaded.batch.span(row as usize);
            (span.service(), span.name()).hash(&mut hasher);
        }
        (edge.carrier, &edge.resource).hash(&mut hasher);
        hasher.finish()
    }
}
