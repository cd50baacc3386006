//! Which part of a trace belongs to one message.
//!
//! In:   a whole trace, and a span of it that consumed messages.
//! Out:  the spans that are about one of them, and the messages that it led to.
//! Rule: a batch is not a family. Only what a message's own spans did is its doing, where they can
//!       be told apart; then what stands at its place; then what all of them share.

use ahash::{AHashMap, AHashSet};
use throughline_context::{Carrier, Direction, MessageKey};
use throughline_model::{SpanBatch, SpanId};

use super::edge::ReceiptAt;
use super::receipts::ReceiptReader;

/// A trace with its tree and its receipts.
pub(super) struct Loaded {
    pub(super) batch: SpanBatch,
    parents: Vec<Option<u32>>,
    children: Vec<Vec<u32>>,
    receipts: AHashMap<u32, Vec<ReceiptAt>>,
    rows: AHashMap<SpanId, u32>,
    holders: AHashMap<(SpanId, MessageKey, Direction), u32>,
}

/// Messages that came together, and what was done with them.
struct Reception {
    /// The spans that hold them.
    holders: Vec<u32>,
    /// Each message, under all its keys.
    slots: Vec<Vec<MessageKey>>,
    /// The spans that are about one of them only, by message.
    own: Vec<Vec<u32>>,
    /// The spans that are about all of them.
    common: Vec<u32>,
    /// The messages that all of them led to, each under all its keys.
    common_outs: Vec<Vec<(u32, MessageKey)>>,
}

/// How a message was told from the others of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Share {
    /// It came alone, or has spans of its own.
    Own,
    /// As many went out as came in, so the one at its place is its own.
    ByOrder,
    /// Fewer went out than came in: all that came led to all that went.
    Together,
    /// More went out than came in, and nothing tells which is whose.
    Unknown,
}

/// What belongs to one message in one trace.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The spans, ascending by row.
    pub(super) rows: Vec<u32>,
    /// The messages it led to.
    pub(super) outs: Vec<(u32, MessageKey)>,
    /// Those of them that are about all messages of the batch.
    pub(super) common: Vec<u32>,
    /// How many messages share these spans.
    pub(super) shared_by: u32,
    pub(super) share: Share,
}

/// What a span, or a message it produced, comes from.
pub(super) struct Cause {
    pub(super) scope: Scope,
    /// The messages, each with the span that consumed it and under all its keys.
    pub(super) messages: Vec<(u32, Vec<MessageKey>)>,
    /// Whether all of them led there, rather than one of them that cannot be told.
    pub(super) is_told: bool,
}

impl Scope {
    /// Spans of one message, or of whatever is asked about.
    pub(super) fn whole(rows: Vec<u32>, outs: Vec<(u32, MessageKey)>) -> Self {
        Self { rows, outs, common: Vec::new(), shared_by: 1, share: Share::Own }
    }
}

impl Loaded {
    pub(super) fn new(batch: SpanBatch) -> Self {
        let len = batch.len();
        let mut rows = AHashMap::with_capacity(len);
        for span in batch.spans() {
            rows.entry(span.span_id()).or_insert(span.row() as u32);
        }
        let parents: Vec<Option<u32>> = batch
            .spans()
            .map(|span| rows.get(&span.parent_id()).copied().filter(|p| *p != span.row() as u32))
            .collect();
        let mut children = vec![Vec::new(); len];
        for (row, parent) in parents.iter().enumerate() {
            if let Some(list) = parent.and_then(|parent| children.get_mut(parent as usize)) {
                list.push(row as u32);
            }
        }
        let reader = ReceiptReader::new(&batch);
        let mut receipts = AHashMap::new();
        let mut holders = AHashMap::new();
        for row in (0..len).filter(|row| reader.may_have(*row)) {
            let found = reader.at(row);
            for receipt in &found {
                let holder = (receipt.span_id, receipt.key, receipt.receipt.direction);
                holders.entry(holder).or_insert(row as u32);
            }
            if !found.is_empty() {
                receipts.insert(row as u32, found);
            }
        }
        Self { batch, parents, children, receipts, rows, holders }
    }

    /// The other end of a link to a span.
    pub(super) fn linked(&self, row: u32, carrier: Carrier, way: Direction) -> ReceiptAt {
        ReceiptReader::new(&self.batch).pointed_at(row as usize, carrier, way)
    }

    pub(super) fn row_of(&self, span: SpanId) -> Option<u32> {
        self.rows.get(&span).copied()
    }

    /// The row of a span that holds a receipt; of two spans of one id that which does.
    pub(super) fn holder(&self, span: SpanId, key: MessageKey, way: Direction) -> Option<u32> {
        self.holders.get(&(span, key, way)).copied().or_else(|| self.row_of(span))
    }

    pub(super) fn start(&self, row: u32) -> i64 {
        self.batch.starts().get(row as usize).copied().unwrap_or_default()
    }

    pub(super) fn all_rows(&self) -> Vec<u32> {
        (0..self.batch.len() as u32).collect()
    }

    /// The parent, its parent, and so on; a loop ends where it began.
    pub(super) fn ancestors(&self, row: u32) -> Vec<u32> {
        let mut seen = AHashSet::from([row]);
        let next = |row: &u32| self.parents.get(*row as usize).copied().flatten();
        std::iter::successors(next(&row), next).take_while(|row| seen.insert(*row)).collect()
    }

    /// A span and all below it, ascending by row.
    pub(super) fn subtree(&self, row: u32) -> Vec<u32> {
        let mut seen = AHashSet::from([row]);
        let mut open = vec![row];
        while let Some(row) = open.pop() {
            open.extend(self.children_of(row).iter().copied().filter(|child| seen.insert(*child)));
        }
        let mut rows: Vec<u32> = seen.into_iter().collect();
        rows.sort_unstable();
        rows
    }

    fn children_of(&self, row: u32) -> &[u32] {
        self.children.get(row as usize).map(Vec::as_slice).unwrap_or_default()
    }

    /// The receipts of a span that go one way.
    pub(super) fn receipts(&self, row: u32, way: Direction) -> impl Iterator<Item = &ReceiptAt> {
        let all = self.receipts.get(&row).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(move |at| at.receipt.direction == way)
    }

    fn consumes(&self, row: u32) -> bool {
        self.receipts(row, Direction::In).next().is_some()
    }

    fn same_service(&self, a: u32, b: u32) -> bool {
        let service = |row: u32| self.batch.span(row as usize).service();
        service(a) == service(b)
    }

    /// All spans that consumed something, ascending by row.
    pub(super) fn consumers(&self) -> Vec<u32> {
        let mut rows: Vec<u32> =
            self.receipts.keys().copied().filter(|row| self.consumes(*row)).collect();
        rows.sort_unstable();
        rows
    }

    /// The messages that some spans produced, in the order of their spans and then as they say.
    pub(super) fn outs(&self, rows: &[u32]) -> Vec<(u32, MessageKey)> {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| (self.start(*row), *row));
        let of = |row: u32| self.receipts(row, Direction::Out).map(move |at| (row, at.key));
        rows.into_iter().flat_map(of).collect()
    }

    /// The messages that a span consumed, each under all its keys: a notification inside a queue's
    /// message is one message with two.
    fn slots(&self, row: u32, way: Direction) -> Vec<Vec<MessageKey>> {
        let mut counts: AHashMap<Carrier, u32> = AHashMap::new();
        let mut slots: std::collections::BTreeMap<u32, Vec<MessageKey>> = Default::default();
        let by_hand = |at: &&ReceiptAt| at.receipt.carrier == Carrier::User;
        for at in self.receipts(row, way).filter(|at| !by_hand(at)) {
            let count = counts.entry(at.receipt.carrier).or_default();
            let place = at.receipt.index.unwrap_or(*count);
            *count += 1;
            slots.entry(place).or_default().push(at.key);
        }
        let mut slots: Vec<Vec<MessageKey>> = slots.into_values().collect();
        // What a person joined is the one message, or else one that none of the others is.
        for at in self.receipts(row, way).filter(by_hand) {
            match slots.as_mut_slice() {
                [only] => only.push(at.key),
                _ => slots.push(vec![at.key]),
            }
        }
        slots
    }

    fn reception(&self, holder: u32) -> Reception {
        let own = |rows| self.divide(vec![holder], rows);
        let parent = self.parents.get(holder as usize).copied().flatten();
        let (true, Some(parent)) = (self.children_of(holder).is_empty(), parent) else {
            return own(self.subtree(holder));
        };
        // A span that only takes: what is done with the message stands beside it, after it.
        let mut takers: Vec<u32> = self
            .children_of(parent)
            .iter()
            .copied()
            .filter(|row| self.children_of(*row).is_empty() && self.consumes(*row))
            .filter(|row| self.same_service(*row, holder))
            .collect();
        takers.sort_by_key(|row| (self.start(*row), *row));
        let (first, last) = (takers.first().copied(), takers.last().copied());
        let (first, last) = (first.unwrap_or(holder), last.unwrap_or(holder));
        let after: Vec<u32> = self
            .subtree(parent)
            .into_iter()
            .filter(|row| self.start(*row) >= self.start(first) && *row != parent)
            .filter(|row| !takers.contains(row) && self.same_service(*row, holder))
            .collect();
        let between = |row: &(u32, MessageKey)| self.start(row.0) < self.start(last);
        let in_turn = takers.len() == 1 || self.outs(&after).iter().any(between);
        if !in_turn {
            let rows = takers.iter().copied().chain(after).collect();
            return self.divide(takers, rows);
        }
        let begin = self.start(holder);
        let next = takers.iter().map(|row| self.start(*row)).find(|start| *start > begin);
        let turn = begin..next.unwrap_or(i64::MAX);
        let mine = after.into_iter().filter(|row| turn.contains(&self.start(*row)));
        own(std::iter::once(holder).chain(mine).collect())
    }

    /// Gives each message of some holders its own spans, and what is left to all.
    fn divide(&self, holders: Vec<u32>, mut rows: Vec<u32>) -> Reception {
        let slots: Vec<Vec<MessageKey>> =
            holders.iter().flat_map(|row| self.slots(*row, Direction::In)).collect();
        rows.sort_unstable();
        rows.dedup();
        if slots.len() <= 1 {
            let (own, common, common_outs) = (vec![rows], Vec::new(), Vec::new());
            return Reception { holders, slots, own, common, common_outs };
        }
        let slot_of: AHashMap<MessageKey, usize> = slots
            .iter()
            .enumerate()
            .flat_map(|(slot, keys)| keys.iter().map(move |key| (*key, slot)))
            .collect();
        let mut own = vec![Vec::new(); slots.len()];
        let mut owned = AHashSet::new();
        for row in rows.iter().filter(|row| !holders.contains(row)) {
            let slot = self.receipts(*row, Direction::In).find_map(|at| slot_of.get(&at.key));
            if let Some(list) = slot.and_then(|slot| own.get_mut(*slot)) {
                list.extend(self.subtree(*row).into_iter().filter(|row| owned.insert(*row)));
            }
        }
        rows.retain(|row| !owned.contains(row));
        let common_outs = self.out_slots(&rows);
        Reception { holders, slots, own, common: rows, common_outs }
    }

    /// What belongs to a message that a span consumed.
    pub(super) fn scope(&self, holder: u32, key: MessageKey) -> Scope {
        let reception = self.reception(holder);
        let slot = reception.slots.iter().position(|keys| keys.contains(&key));
        self.scope_of(&reception, slot)
    }

    /// What belongs to one message of a reception, or to all of them.
    fn scope_of(&self, reception: &Reception, slot: Option<usize>) -> Scope {
        let shared_by = reception.slots.len().max(1);
        let common = slot.map_or_else(Vec::new, |_| reception.common.clone());
        let mut rows = reception.common.clone();
        let mut outs = Vec::new();
        let mut share = Share::Own;
        match slot.and_then(|slot| Some((slot, reception.own.get(slot)?))) {
            None => {
                rows.extend(reception.own.iter().flatten());
                outs = self.outs(&rows);
            }
            Some((slot, own)) => {
                outs.extend(self.outs(own));
                rows.extend(own);
                let outs_of_all = &reception.common_outs;
                share = match outs_of_all.len() {
                    0 if !own.is_empty() => Share::Own,
                    count if count == shared_by => {
                        outs.extend(outs_of_all.get(slot).into_iter().flatten());
                        Share::ByOrder
                    }
                    count => {
                        outs.extend(outs_of_all.iter().flatten());
                        if count < shared_by { Share::Together } else { Share::Unknown }
                    }
                };
            }
        }
        rows.sort_unstable();
        Scope { rows, outs, common, shared_by: shared_by as u32, share }
    }

    /// The messages that some spans produced, in order, each under all its keys.
    fn out_slots(&self, rows: &[u32]) -> Vec<Vec<(u32, MessageKey)>> {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| (self.start(*row), *row));
        let mut seen = AHashSet::new();
        let mut all = Vec::new();
        for row in rows {
            for keys in self.slots(row, Direction::Out) {
                // A span and the call below it may both name the message.
                let new: Vec<_> = keys.into_iter().filter(|key| seen.insert(*key)).collect();
                if !new.is_empty() {
                    all.push(new.into_iter().map(|key| (row, key)).collect());
                }
            }
        }
        all
    }

    /// The message, or the messages, that a span is about: the nearest above it, or taken beside
    /// it before it began. With a message that the span produced, only those that led to it.
    pub(super) fn cause(&self, row: u32, out: Option<MessageKey>) -> Option<Cause> {
        let above = self.ancestors(row);
        let holder = std::iter::once(row)
            .chain(above.iter().copied())
            .find_map(|at| self.taker_at(at, row))?;
        let reception = self.reception(holder);
        let all = 0..reception.slots.len();
        let in_own = |slot: &usize| reception.own.get(*slot).is_some_and(|own| own.contains(&row));
        let place = |out: MessageKey| {
            let common = &reception.common_outs;
            let place = common.iter().position(|keys| keys.iter().any(|(_, key)| *key == out));
            place.filter(|_| common.len() == reception.slots.len())
        };
        let slot = all.clone().find(in_own).or_else(|| out.and_then(place));
        let scope = self.scope_of(&reception, slot);
        let slots = slot.map_or(all, |slot| slot..slot + 1);
        let messages = reception.slots.get(slots).unwrap_or_default().iter().map(|keys| {
            let holds =
                |row: &u32| self.receipts(*row, Direction::In).any(|r| keys.contains(&r.key));
            let holder = reception.holders.iter().copied().find(holds).unwrap_or(holder);
            (holder, keys.clone())
        });
        let messages = messages.collect();
        let is_told = slot.is_some() || reception.common_outs.len() <= reception.slots.len();
        Some(Cause { scope, messages, is_told })
    }

    fn taker_at(&self, at: u32, row: u32) -> Option<u32> {
        if self.consumes(at) {
            return Some(at);
        }
        let began = self.start(row);
        self.children_of(at)
            .iter()
            .copied()
            .filter(|child| self.children_of(*child).is_empty() && self.consumes(*child))
            .filter(|child| self.start(*child) <= began && self.same_service(*child, row))
            .max_by_key(|child| (self.start(*child), *child))
    }
}
