//! What the linker remembers: the last spans, by their own id, their parent's, and their links.
//!
//! Spans and links lie in two rings, so the oldest goes when a ring is full. One hash table of
//! 16-byte slots finds them: the slot of an id heads three lists (spans with that id, children
//! that name it as their parent, links that name it). Lists run from new to old, so a list ends
//! where its ring has forgotten the rest, and nothing is ever unlinked.

use ahash::{AHashMap, RandomState};
use throughline_model::SpanKind;

use crate::names::NO_NODE;
use crate::xray::Outcome;

/// A number of a span or link in its ring; rises with time, 0 is none.
pub(crate) type Seq = u32;

/// Where a slot is, until slots move.
pub(crate) type SlotAt = u32;

/// A trace id and a span id.
pub(crate) type FullId = ([u8; 16], [u8; 8]);

/// What is remembered of a span, 76 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) trace: [u8; 16],
    pub(crate) id: [u8; 8],
    pub(crate) parent: [u8; 8],
    /// Minute of its start.
    pub(crate) minute: u32,
    /// Who sent it.
    pub(crate) origin: u32,
    /// The node it names as its peer, or [`NO_NODE`].
    pub(crate) peer: u32,
    /// The one destination that its children send to, [`NO_NODE`] or [`MANY`].
    pub(crate) sent: u32,
    /// The node of the edge that it counts for now, or [`NO_NODE`].
    pub(crate) edge_from: u32,
    next_same_id: Seq,
    next_sibling: Seq,
    /// Its start within its minute, in microseconds.
    pub(crate) start_micros: u32,
    /// Its duration in nanoseconds, rounded to 24 bits.
    pub(crate) duration: f32,
    /// The duration that it counts for on its caller's side now.
    pub(crate) caller_duration: f32,
    /// Kind in the low three bits, then the bits of [`flag`].
    pub(crate) flags: u32,
}

const _: () = assert!(size_of::<Record>() == 76);

/// The children of a span send to more than one destination.
pub(crate) const MANY: u32 = u32::MAX;

/// Bits of [`Record::flags`].
pub(crate) mod flag {
    /// Its end is known.
    pub(crate) const ENDED: u32 = 1 << 3;
    /// Its status is "error".
    pub(crate) const FAILED: u32 = 1 << 4;
    /// Its sender says that the parent is in the same process.
    pub(crate) const PARENT_IS_LOCAL: u32 = 1 << 5;
    /// It hands over a message to the destination that is its peer.
    pub(crate) const SENDS: u32 = 1 << 6;
    /// It does not wait for its peer.
    pub(crate) const ASYNC: u32 = 1 << 7;
    /// Somebody answered it: its peer is a service we know.
    pub(crate) const PAIRED: u32 = 1 << 8;
    /// It has links in the ring of links.
    pub(crate) const HAS_LINKS: u32 = 1 << 9;
    /// It waits to be counted anew.
    pub(crate) const DIRTY: u32 = 1 << 10;
    /// It counts as a request of its service now.
    pub(crate) const IS_ENTRY: u32 = 1 << 11;
    /// It counts as a call to its peer now.
    pub(crate) const IS_CALL: u32 = 1 << 12;
    /// The edge it counts for now is async.
    pub(crate) const EDGE_ASYNC: u32 = 1 << 13;
    /// The edge it counts for now is inferred.
    pub(crate) const EDGE_INFERRED: u32 = 1 << 14;
    /// It has no service of its own: it belongs to its parent's, once that is known.
    pub(crate) const ADOPTS: u32 = 1 << 15;
    /// It found its service.
    pub(crate) const ADOPTED: u32 = 1 << 16;
    /// Nobody sent it: it stands in for the parent of spans without a service.
    pub(crate) const STAND_IN: u32 = 1 << 21;
    /// Two bits: how it ended, an [`Outcome`] by number.
    pub(crate) const OUTCOME_SHIFT: u32 = 17;
    /// Two bits: the outcome that it counts for on its caller's side now.
    pub(crate) const CALLER_OUTCOME_SHIFT: u32 = 19;
}

impl Record {
    pub(crate) fn new(trace: [u8; 16], id: [u8; 8], parent: [u8; 8], kind: u8) -> Self {
        let flags = u32::from(SpanKind::from_number(kind) as u8);
        Self {
            trace,
            id,
            parent,
            minute: 0,
            origin: 0,
            peer: NO_NODE,
            sent: NO_NODE,
            edge_from: NO_NODE,
            next_same_id: 0,
            next_sibling: 0,
            start_micros: 0,
            duration: 0.0,
            caller_duration: 0.0,
            flags,
        }
    }

    pub(crate) fn kind(&self) -> SpanKind {
        SpanKind::from_number((self.flags & 7) as u8)
    }

    pub(crate) fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn set(&mut self, flag: u32, value: bool) {
        if value { self.flags |= flag } else { self.flags &= !flag }
    }

    /// How it ended.
    pub(crate) fn outcome(&self) -> Outcome {
        outcome_of(self.flags >> flag::OUTCOME_SHIFT)
    }

    /// The outcome that it counts for on its caller's side now.
    pub(crate) fn caller_outcome(&self) -> Outcome {
        outcome_of(self.flags >> flag::CALLER_OUTCOME_SHIFT)
    }

    pub(crate) fn set_outcome(&mut self, outcome: Outcome, shift: u32) {
        self.flags = self.flags & !(3 << shift) | (outcome as u32) << shift;
    }

    /// How long after the start of another span this one started, in microseconds.
    pub(crate) fn micros_after(&self, other: &Self) -> f64 {
        const MINUTE_MICROS: f64 = 60e6;
        let minutes = f64::from(self.minute) - f64::from(other.minute);
        minutes * MINUTE_MICROS + f64::from(self.start_micros) - f64::from(other.start_micros)
    }

    /// Whether its service is still to be learnt from its parent.
    pub(crate) fn is_homeless(&self) -> bool {
        self.flags & (flag::ADOPTS | flag::ADOPTED) == flag::ADOPTS
    }

    /// Whether it stands for a call or message that leaves its service.
    pub(crate) fn is_caller(&self) -> bool {
        matches!(self.kind(), SpanKind::Client | SpanKind::Producer)
    }

    /// Whether it stands for a call or message that came in.
    pub(crate) fn is_called(&self) -> bool {
        matches!(self.kind(), SpanKind::Server | SpanKind::Consumer)
    }

    pub(crate) fn full_id(&self) -> FullId {
        (self.trace, self.id)
    }

    pub(crate) fn full_parent(&self) -> Option<FullId> {
        (self.parent != [0; 8]).then_some((self.trace, self.parent))
    }

    /// Takes over the times and the end of a copy that lasts longer.
    pub(crate) fn become_longer(&mut self, longer: Self) {
        self.become_ended(longer);
        self.set(flag::FAILED, longer.is(flag::FAILED));
        self.set_outcome(longer.outcome(), flag::OUTCOME_SHIFT);
    }

    /// Takes over what is known since the end came. Ids, lists and what it counts for stay.
    pub(crate) fn become_ended(&mut self, ended: Self) {
        let Self { minute, start_micros, peer, duration, .. } = ended;
        (self.minute, self.start_micros) = (minute, start_micros);
        (self.peer, self.duration) = (peer, duration);
        if !self.is(flag::ADOPTED) {
            self.origin = ended.origin;
        }
        self.flags = self.flags & !flag::PARENT_IS_LOCAL | ended.flags;
    }
}

fn outcome_of(bits: u32) -> Outcome {
    match bits & 3 {
        0 => Outcome::Ok,
        1 => Outcome::Error,
        2 => Outcome::Throttle,
        _ => Outcome::Fault,
    }
}

/// A link of a consumer to the span that sent what it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) target: FullId,
    pub(crate) consumer: Seq,
    /// The node of the edge that it counts for now, or [`NO_NODE`].
    pub(crate) edge_from: u32,
    /// The age of the message that it counts for now, in nanoseconds.
    pub(crate) age: f32,
    next_same_target: Seq,
}

/// The heads of the lists of one id. All zero: never used. All forgotten: free to be used again.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: u32,
    spans: Seq,
    children: Seq,
    links: Seq,
}

/// Entries by number; the oldest goes when the ring is full.
#[derive(Clone, Debug)]
struct Ring<T> {
    entries: Vec<T>,
    next: Seq,
    entries_max: u32,
}

impl<T> Ring<T> {
    fn new(entries_max: usize) -> Self {
        let entries_max = u32::try_from(entries_max).unwrap_or(1 << 30).clamp(1, 1 << 30);
        Self { entries: Vec::new(), next: 1, entries_max }
    }

    fn has(&self, seq: Seq) -> bool {
        // Wraps to a huge number below the oldest, also for 0.
        let count = self.entries.len() as u32;
        seq.wrapping_sub(self.next - count) < count
    }

    fn place(&self, seq: Seq) -> usize {
        ((seq - 1) % self.entries_max) as usize
    }

    fn push(&mut self, entry: T) -> (Seq, Option<T>) {
        let seq = self.next;
        self.next += 1;
        let place = self.place(seq);
        match self.entries.get_mut(place) {
            Some(old) => (seq, Some(std::mem::replace(old, entry))),
            None => {
                self.entries.push(entry);
                (seq, None)
            }
        }
    }
}

/// The rings and the table that finds what lies in them.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    spans: Ring<Record>,
    links: Ring<Link>,
    /// Where the links of a consumer begin, and how many they are.
    links_of: AHashMap<Seq, (Seq, u32)>,
    slots: Vec<Slot>,
    slots_used: usize,
    /// Changes when slots move.
    pub(crate) generation: u64,
    hasher: RandomState,
    /// Whether any span ever came without a service of its own.
    pub(crate) has_homeless: bool,
    /// Spans that were forgotten to make room.
    pub(crate) spans_forgotten: u64,
    /// Links that were forgotten to make room.
    pub(crate) links_forgotten: u64,
}

const SLOTS_MIN: usize = 1024;

impl Tables {
    pub(crate) fn new(spans_max: usize, links_max: usize) -> Self {
        Self {
            spans: Ring::new(spans_max),
            links: Ring::new(links_max),
            links_of: AHashMap::new(),
            slots: vec![Slot::default(); SLOTS_MIN],
            slots_used: 0,
            generation: 0,
            hasher: RandomState::new(),
            has_homeless: false,
            spans_forgotten: 0,
            links_forgotten: 0,
        }
    }

    pub(crate) fn span(&self, seq: Seq) -> &Record {
        &self.spans.entries[self.spans.place(seq)]
    }

    pub(crate) fn span_mut(&mut self, seq: Seq) -> &mut Record {
        let place = self.spans.place(seq);
        &mut self.spans.entries[place]
    }

    /// Whether a span is still remembered.
    pub(crate) fn has_span(&self, seq: Seq) -> bool {
        self.spans.has(seq)
    }

    pub(crate) fn link(&self, seq: Seq) -> &Link {
        &self.links.entries[self.links.place(seq)]
    }

    pub(crate) fn link_mut(&mut self, seq: Seq) -> &mut Link {
        let place = self.links.place(seq);
        &mut self.links.entries[place]
    }

    /// All that is remembered, for those who renumber names.
    pub(crate) fn entries_mut(&mut self) -> (&mut [Record], &mut [Link]) {
        (&mut self.spans.entries, &mut self.links.entries)
    }

    /// Every span that is remembered, stand-ins among them.
    pub(crate) fn spans(&self) -> &[Record] {
        &self.spans.entries
    }

    /// Every link that is remembered, and the consumer that has it.
    pub(crate) fn consumed(&self) -> impl Iterator<Item = (&Link, &Record)> {
        let links = self.links.entries.iter().filter(|link| self.has_span(link.consumer));
        links.map(|link| (link, self.span(link.consumer)))
    }

    /// The span with this kind at a slot.
    pub(crate) fn find(&self, at: SlotAt, kind: SpanKind) -> Option<Seq> {
        let is_it = |span: &Record| span.kind() == kind && !span.is(flag::STAND_IN);
        self.spans_at(Some(at)).find(|seq| is_it(self.span(*seq)))
    }

    /// Remembers a stand-in for the parent of a span, at the slot of the parent.
    pub(crate) fn push_stand_in(&mut self, at: SlotAt, child: &Record) -> Seq {
        let mut record = Record::new(child.trace, child.parent, [0; 8], SpanKind::Server as u8);
        (record.minute, record.origin) = (child.minute, child.origin);
        record.set(flag::ENDED, true);
        record.set(flag::STAND_IN, true);
        self.push(at, record)
    }

    fn push(&mut self, at: SlotAt, record: Record) -> Seq {
        let (seq, forgotten) = self.spans.push(record);
        if let Some(old) = forgotten {
            self.spans_forgotten += 1;
            if old.is(flag::HAS_LINKS) {
                self.links_of.remove(&(seq - self.spans.entries_max));
            }
        }
        let next = std::mem::replace(&mut self.slots[at as usize].spans, seq);
        self.span_mut(seq).next_same_id = next;
        seq
    }

    /// The spans with the id of a slot, at most one of each kind, from new to old.
    pub(crate) fn spans_at(&self, at: Option<SlotAt>) -> impl Iterator<Item = Seq> + '_ {
        let head = at.map_or(0, |at| self.slots[at as usize].spans);
        std::iter::successors(self.known(head), |seq| self.known(self.span(*seq).next_same_id))
    }

    /// The newest span with the id of a slot; [`Tables::next_same_id`] has the others.
    pub(crate) fn first_span(&self, at: SlotAt) -> Option<Seq> {
        self.known(self.slots[at as usize].spans)
    }

    pub(crate) fn next_same_id(&self, seq: Seq) -> Option<Seq> {
        self.known(self.span(seq).next_same_id)
    }

    /// The newest span that names the id of a slot as its parent; [`Tables::next_sibling`] has
    /// the others.
    pub(crate) fn first_child(&self, at: SlotAt) -> Option<Seq> {
        self.known(self.slots[at as usize].children)
    }

    pub(crate) fn next_sibling(&self, seq: Seq) -> Option<Seq> {
        self.known(self.span(seq).next_sibling)
    }

    /// The newest link that names the id of a slot; [`Tables::next_link`] has the others.
    pub(crate) fn first_link(&self, at: SlotAt) -> Option<Seq> {
        Some(self.slots[at as usize].links).filter(|seq| self.links.has(*seq))
    }

    pub(crate) fn next_link(&self, seq: Seq) -> Option<Seq> {
        Some(self.link(seq).next_same_target).filter(|seq| self.links.has(*seq))
    }

    fn known(&self, seq: Seq) -> Option<Seq> {
        self.spans.has(seq).then_some(seq)
    }

    /// The links of a consumer that are still remembered, in the order sent.
    pub(crate) fn links_from(&self, consumer: Seq) -> impl Iterator<Item = Seq> + use<> {
        let (first, count) = self.links_of.get(&consumer).copied().unwrap_or((1, 0));
        let oldest = self.links.next - self.links.entries.len() as u32;
        first.max(oldest)..(first + count).max(oldest)
    }

    /// Remembers a span at the slot that [`Tables::claim`] gave for its id. Gives the slot of its
    /// parent, too. The caller made sure that none of its id and kind is there.
    pub(crate) fn push_span(
        &mut self,
        at: SlotAt,
        record: Record,
        parent_hash: u32,
    ) -> (Seq, Option<SlotAt>) {
        let parent = record.full_parent();
        self.has_homeless |= record.is(flag::ADOPTS);
        let seq = self.push(at, record);
        let parent_at = parent.map(|parent| self.claim(parent, parent_hash));
        let next_sibling = match parent_at {
            Some(at) => std::mem::replace(&mut self.slots[at as usize].children, seq),
            None => 0,
        };
        self.span_mut(seq).next_sibling = next_sibling;
        (seq, parent_at)
    }

    /// Remembers the links of a span that has none yet.
    pub(crate) fn push_links(&mut self, consumer: Seq, targets: &[FullId]) {
        self.reserve(targets.len());
        self.links_of.insert(consumer, (self.links.next, targets.len() as u32));
        self.span_mut(consumer).set(flag::HAS_LINKS, true);
        for target in targets {
            let target = *target;
            let link = Link { target, consumer, edge_from: NO_NODE, age: 0.0, next_same_target: 0 };
            let (seq, forgotten) = self.links.push(link);
            self.links_forgotten += u64::from(forgotten.is_some());
            let at = self.claim(target, self.hash(target)) as usize;
            let next = std::mem::replace(&mut self.slots[at].links, seq);
            self.link_mut(seq).next_same_target = next;
        }
    }

    /// Starts anew before the numbers run out, once in four billion spans.
    pub(crate) fn renew_when_worn(&mut self) {
        const SEQ_MAX: Seq = u32::MAX - (1 << 26);
        if self.spans.next.max(self.links.next) > SEQ_MAX {
            let forgotten = self.spans_forgotten + self.spans.entries.len() as u64;
            let links_forgotten = self.links_forgotten + self.links.entries.len() as u64;
            let (spans_max, links_max) = (self.spans.entries_max, self.links.entries_max);
            let has_homeless = self.has_homeless;
            *self = Self::new(spans_max as usize, links_max as usize);
            self.has_homeless = has_homeless;
            (self.spans_forgotten, self.links_forgotten) = (forgotten, links_forgotten);
        }
    }
}

/// The hash table.
impl Tables {
    /// The hash of an id.
    pub(crate) fn hash(&self, id: FullId) -> u32 {
        self.hasher.hash_one((u128::from_ne_bytes(id.0), u64::from_ne_bytes(id.1))) as u32
    }

    /// The slot of an id.
    pub(crate) fn slot(&self, id: FullId) -> Option<SlotAt> {
        let hash = self.hash(id);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot.is_unused() {
                return None;
            }
            if slot.hash == hash && self.id_of(slot) == Some(id) {
                return Some(at as SlotAt);
            }
            at = (at + 1) & mask;
        }
    }

    /// Brings the slots of many ids into the cache, while their loads can still overlap.
    pub(crate) fn warm(&self, hashes: impl Iterator<Item = u32>) {
        let mask = self.slots.len() - 1;
        let sum = hashes
            .fold(0, |sum: u32, hash| sum.wrapping_add(self.slots[hash as usize & mask].hash));
        std::hint::black_box(sum);
    }

    /// The slot of an id, a fresh one if need be. [`Tables::reserve`] made room; whoever claims a
    /// fresh one puts a span or link there before the next claim.
    pub(crate) fn claim(&mut self, id: FullId, hash: u32) -> SlotAt {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        let mut free = None;
        loop {
            let slot = &self.slots[at];
            if slot.is_unused() {
                break;
            }
            if slot.hash == hash && self.id_of(slot) == Some(id) {
                return at as SlotAt;
            }
            if free.is_none() && !self.is_live(slot) {
                free = Some(at);
            }
            at = (at + 1) & mask;
        }
        let at = free.unwrap_or_else(|| {
            self.slots_used += 1;
            at
        });
        self.slots[at] = Slot { hash, ..Slot::default() };
        at as SlotAt
    }

    /// The id that a slot stands for, read from any entry of its lists.
    fn id_of(&self, slot: &Slot) -> Option<FullId> {
        if self.spans.has(slot.spans) {
            Some(self.span(slot.spans).full_id())
        } else if self.spans.has(slot.children) {
            self.span(slot.children).full_parent()
        } else if self.links.has(slot.links) {
            Some(self.link(slot.links).target)
        } else {
            None
        }
    }

    fn is_live(&self, slot: &Slot) -> bool {
        self.spans.has(slot.spans) || self.spans.has(slot.children) || self.links.has(slot.links)
    }

    /// Makes room for more ids: half of the slots stay unused, so searches are short.
    /// May move all slots, and says so by a new [`Tables::generation`].
    pub(crate) fn reserve(&mut self, more: usize) {
        if (self.slots_used + more) * 2 <= self.slots.len() {
            return;
        }
        let live: Vec<Slot> =
            self.slots.iter().filter(|slot| self.is_live(slot)).copied().collect();
        let length = ((live.len() + more) * 3).next_power_of_two().max(SLOTS_MIN);
        self.slots = vec![Slot::default(); length];
        self.slots_used = live.len();
        self.generation += 1;
        for slot in live {
            let mut at = slot.hash as usize & (length - 1);
            while !self.slots[at].is_unused() {
                at = (at + 1) & (length - 1);
            }
            self.slots[at] = slot;
        }
    }
}

impl Slot {
    fn is_unused(&self) -> bool {
        self.spans | self.children | self.links == 0
    }
}
