//! What a span counts for, given the spans around it.
//!
//! [`Rules::wanted`] is the whole rule: a function of a span, its parent, and three facts that
//! its neighbours leave on it (answered, sends to, has links). A span remembers what it counts for;
//! whenever a neighbour comes or changes, the difference is written. So the sum of all parts is
//! the rule applied to all spans, whatever their order.

use throughline_model::SpanKind;

use crate::kind::{EdgeKind, Evidence, Side};
use crate::names::{NO_NODE, Names};
use crate::part::Sample;
use crate::recorder::{EdgeEnds, Recorder};
use crate::tables::{FullId, MANY, Record, Seq, SlotAt, Tables, flag};
use crate::xray::Outcome;

/// One round of linking and counting.
pub(crate) struct Rules<'a> {
    tables: &'a mut Tables,
    names: &'a Names,
    recorder: &'a mut Recorder,
    /// Spans to count anew; each has [`flag::DIRTY`].
    dirty: Vec<Changed>,
    /// Callers of which it was just learnt that they were answered.
    answered: Vec<Seq>,
}

/// A span to be counted anew, and the slots of its id and its parent's where they are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed {
    seq: Seq,
    at: SlotAt,
    parent_at: SlotAt,
}

const UNKNOWN: SlotAt = SlotAt::MAX;

impl Changed {
    /// A span whose slots are known.
    pub(crate) fn at(seq: Seq, at: SlotAt, parent_at: Option<SlotAt>) -> Self {
        Self { seq, at, parent_at: parent_at.unwrap_or(UNKNOWN) }
    }

    fn somewhere(seq: Seq) -> Self {
        Self { seq, at: UNKNOWN, parent_at: UNKNOWN }
    }

    fn slot(&self, tables: &Tables, span: &Record) -> Option<SlotAt> {
        if self.at == UNKNOWN { tables.slot(span.full_id()) } else { Some(self.at) }
    }

    fn parent_slot(&self, tables: &Tables, span: &Record) -> Option<SlotAt> {
        let parent = span.full_parent()?;
        if self.parent_at == UNKNOWN { tables.slot(parent) } else { Some(self.parent_at) }
    }
}

/// What a span counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Wanted {
    is_entry: bool,
    is_call: bool,
    /// The node that an edge to the span's service comes from, or [`NO_NODE`].
    edge_from: u32,
    edge_is_async: bool,
    edge_is_inferred: bool,
    /// How long the caller waited, in nanoseconds, and how that ended for it.
    caller: (f32, Outcome),
}

impl<'a> Rules<'a> {
    pub(crate) fn new(
        tables: &'a mut Tables,
        names: &'a Names,
        recorder: &'a mut Recorder,
    ) -> Self {
        Self { tables, names, recorder, dirty: Vec::new(), answered: Vec::new() }
    }

    /// Links the changed spans to their neighbours and counts whom that concerns. The spans have
    /// [`flag::DIRTY`]; their slots are those of `generation`. `longer`
    /// holds spans that are known, and what a copy that lasts longer says. Gives the vector back,
    /// empty, to be used again.
    pub(crate) fn count(
        &mut self,
        mut changed: Vec<Changed>,
        longer: Vec<(Seq, Record)>,
        generation: u64,
    ) -> Vec<Changed> {
        if self.tables.generation != generation {
            changed.iter_mut().for_each(|span| *span = Changed::somewhere(span.seq));
        }
        self.dirty = changed;
        for (seq, record) in longer {
            if self.tables.has_span(seq) {
                self.take_back(seq);
                self.tables.span_mut(seq).become_longer(record);
                self.mark(seq);
            }
        }
        if self.tables.has_homeless {
            for at in 0..self.dirty.len() {
                self.find_home(self.dirty[at]);
            }
        }
        for at in 0..self.dirty.len() {
            self.meet_neighbours(self.dirty[at]);
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        for span in dirty.drain(..) {
            if self.tables.has_span(span.seq) {
                self.tables.span_mut(span.seq).set(flag::DIRTY, false);
                self.recount(span);
            }
        }
        dirty
    }

    /// Gives a span without a service that of its parent, and its children that of the span.
    fn find_home(&mut self, changed: Changed) {
        if !self.tables.has_span(changed.seq) {
            return;
        }
        let span = *self.tables.span(changed.seq);
        if span.is_homeless() {
            let parent_at = changed.parent_slot(self.tables, &span);
            let Some(parent) = self.parent_of(changed, &span, parent_at) else {
                return self.stand_in(&span, parent_at);
            };
            let parent = self.tables.span(parent);
            if parent.is_homeless() {
                return;
            }
            let origin = parent.origin;
            self.move_in(changed.seq, origin);
        }
        let origin = self.tables.span(changed.seq).origin;
        let mut parents = vec![span.full_id()];
        while let Some(id) = parents.pop() {
            let mut next = self.tables.slot(id).and_then(|at| self.tables.first_child(at));
            while let Some(child) = next {
                next = self.tables.next_sibling(child);
                self.mark(child);
                if self.tables.span(child).is_homeless() {
                    self.move_in(child, origin);
                    parents.push(self.tables.span(child).full_id());
                }
            }
        }
    }

    /// Puts somebody in the place of a parent that did not come, at the first of the minutes in
    /// which it is missed.
    fn stand_in(&mut self, span: &Record, parent_at: Option<SlotAt>) {
        let Some(parent_at) = parent_at else { return };
        match self.tables.first_span(parent_at) {
            None => {
                let seq = self.tables.push_stand_in(parent_at, span);
                self.mark(seq);
            }
            Some(seq) if self.tables.span(seq).minute > span.minute => {
                self.take_back(seq);
                self.tables.span_mut(seq).minute = span.minute;
                self.mark(seq);
            }
            Some(_) => {}
        }
    }

    /// Takes back all that a span counted for.
    fn take_back(&mut self, seq: Seq) {
        let span = *self.tables.span(seq);
        self.write(&span, &Wanted::counted(&span), &Wanted::default(), -1);
        self.remember(seq, &Wanted::default());
    }

    /// Gives a span that had no service one.
    fn move_in(&mut self, seq: Seq, origin: u32) {
        self.take_back(seq);
        let span = self.tables.span_mut(seq);
        span.origin = origin;
        span.set(flag::ADOPTED, true);
        self.mark(seq);
    }

    /// Tells a span and its neighbours of each other.
    fn meet_neighbours(&mut self, changed: Changed) {
        let seq = changed.seq;
        if !self.tables.has_span(seq) {
            return;
        }
        let span = *self.tables.span(seq);
        if let Some(at) = changed.slot(self.tables, &span) {
            let mut next = self.tables.first_span(at);
            while let Some(partner) = next {
                next = self.tables.next_same_id(partner);
                if partner != seq {
                    self.mark(partner);
                    self.meet(partner, seq);
                    self.meet(seq, partner);
                }
            }
            let mut next = self.tables.first_child(at);
            while let Some(child) = next {
                next = self.tables.next_sibling(child);
                self.mark(child);
                self.meet(seq, child);
            }
            let mut next = self.tables.first_link(at);
            while let Some(link) = next {
                next = self.tables.next_link(link);
                let consumer = self.tables.link(link).consumer;
                if self.tables.has_span(consumer) {
                    self.mark(consumer);
                }
            }
        }
        if let Some(at) = changed.parent_slot(self.tables, &span) {
            let mut next = self.tables.first_span(at);
            while let Some(parent) = next {
                next = self.tables.next_same_id(parent);
                self.meet(parent, seq);
            }
        }
    }

    /// Leaves on a caller that it was answered, and on a parent what its child sends to.
    fn meet(&mut self, parent: Seq, child: Seq) {
        if parent == child {
            return;
        }
        let (above, below) = (self.tables.span(parent), self.tables.span(child));
        if above.is(flag::STAND_IN) || below.is(flag::STAND_IN) {
            return;
        }
        let same_service = self.same_service(above, below);
        let is_child = below.full_parent() == Some(above.full_id());
        let answered = below.is_called()
            || is_child && (!same_service || below.is_caller() && below.is(flag::PAIRED));
        let sends = is_child && same_service && below.is(flag::SENDS);
        let peer = below.peer;
        if above.is_caller() && answered {
            self.set_paired(parent);
        }
        if sends {
            self.add_sent(parent, peer);
        }
    }

    /// Marks a caller as answered, and the callers of its own service around it.
    fn set_paired(&mut self, caller: Seq) {
        self.answered.push(caller);
        while let Some(seq) = self.answered.pop() {
            let span = *self.tables.span(seq);
            if span.is(flag::PAIRED) {
                continue;
            }
            self.tables.span_mut(seq).set(flag::PAIRED, true);
            self.mark(seq);
            let at = span.full_parent().and_then(|parent| self.tables.slot(parent));
            let mut next = at.and_then(|at| self.tables.first_span(at));
            while let Some(around) = next {
                next = self.tables.next_same_id(around);
                let above = self.tables.span(around);
                if above.is_caller() && self.same_service(above, &span) {
                    self.answered.push(around);
                }
            }
        }
    }

    fn add_sent(&mut self, parent: Seq, destination: u32) {
        let span = self.tables.span_mut(parent);
        let sent = match span.sent {
            NO_NODE => destination,
            known if known == destination => known,
            _ => MANY,
        };
        if sent == span.sent {
            return;
        }
        span.sent = sent;
        let id = span.full_id();
        let mut next = self.tables.slot(id).and_then(|at| self.tables.first_child(at));
        while let Some(child) = next {
            next = self.tables.next_sibling(child);
            self.mark(child);
        }
    }

    fn mark(&mut self, seq: Seq) {
        let span = self.tables.span_mut(seq);
        if !span.is(flag::DIRTY) {
            span.set(flag::DIRTY, true);
            self.dirty.push(Changed::somewhere(seq));
        }
    }

    /// Writes the difference between what a span counted for and what it should.
    fn recount(&mut self, changed: Changed) {
        let seq = changed.seq;
        let span = *self.tables.span(seq);
        if !span.is(flag::ENDED) {
            return;
        }
        let parent_at = changed.parent_slot(self.tables, &span);
        let parent = self.parent_of(changed, &span, parent_at).map(|seq| self.tables.span(seq));
        let mut wanted = if span.is(flag::STAND_IN) {
            self.wanted_of_stand_in(seq, &span)
        } else {
            self.wanted(&span, parent)
        };
        wanted.is_call = self.is_call(&span, parent_at);
        let has_linked = span.is(flag::HAS_LINKS)
            && !span.is_homeless()
            && self.recount_links(seq, &span, &wanted);
        let is_guess =
            wanted.edge_is_inferred || wanted.edge_from == self.names.client(span.origin);
        if has_linked && is_guess {
            wanted.edge_from = NO_NODE;
            (wanted.edge_is_async, wanted.edge_is_inferred) = (false, false);
        }
        let counted = Wanted::counted(&span);
        if wanted == counted {
            return;
        }
        self.write(&span, &counted, &wanted, -1);
        self.write(&span, &wanted, &counted, 1);
        self.remember(seq, &wanted);
    }

    /// Notes on a span what it counts for now.
    fn remember(&mut self, seq: Seq, wanted: &Wanted) {
        let span = self.tables.span_mut(seq);
        span.edge_from = wanted.edge_from;
        span.caller_duration = wanted.caller.0;
        span.set_outcome(wanted.caller.1, flag::CALLER_OUTCOME_SHIFT);
        span.set(flag::IS_ENTRY, wanted.is_entry);
        span.set(flag::IS_CALL, wanted.is_call);
        span.set(flag::EDGE_ASYNC, wanted.edge_is_async);
        span.set(flag::EDGE_INFERRED, wanted.edge_is_inferred);
    }

    /// Counts what `this` has and `other` has not.
    fn write(&mut self, span: &Record, this: &Wanted, other: &Wanted, count: i64) {
        let service = self.names.service(span.origin);
        if this.is_entry && !other.is_entry {
            self.recorder.node(self.names, span, service, count);
        }
        if this.is_call && !other.is_call {
            let kind = if span.is(flag::ASYNC) { EdgeKind::Async } else { EdgeKind::Sync };
            let evidence = Evidence::Inferred;
            let edge = EdgeEnds { from: service, to: span.peer, kind, evidence };
            self.recorder.node(self.names, span, span.peer, count);
            self.recorder.edge(self.names, span, edge, count);
        }
        if this.edge_from == NO_NODE {
            return;
        }
        let edge = EdgeEnds {
            from: this.edge_from,
            to: service,
            kind: if this.edge_is_async { EdgeKind::Async } else { EdgeKind::Sync },
            evidence: if this.edge_is_inferred { Evidence::Inferred } else { Evidence::Parent },
        };
        if this.edge() != other.edge() {
            self.recorder.edge(self.names, span, edge, count);
        }
        let has_caller = !this.edge_is_inferred && edge.from != self.names.client(span.origin);
        if has_caller && (this.edge(), this.caller) != (other.edge(), other.caller) {
            let (nanos, outcome) = (this.caller.0 as i64, this.caller.1);
            let sample = Sample { count, failed: outcome != Outcome::Ok, outcome, nanos };
            self.recorder.edge_seen_by(self.names, span, edge, Side::Caller, sample);
        }
    }

    /// A stand-in is a request of its function until somebody with its id comes.
    fn wanted_of_stand_in(&self, seq: Seq, span: &Record) -> Wanted {
        if self.tables.spans_at(self.tables.slot(span.full_id())).any(|other| other != seq) {
            return Wanted::default();
        }
        let edge_from = self.names.client(span.origin);
        Wanted { is_entry: true, edge_from, ..Wanted::default() }
    }

    /// The rule for entries and edges. `span` has ended.
    fn wanted(&self, span: &Record, parent: Option<&Record>) -> Wanted {
        if span.is_homeless() {
            return Wanted::default();
        }
        let mut wanted = Wanted {
            is_entry: span.is_called()
                || match parent {
                    Some(parent) => !self.same_service(parent, span),
                    None => !(span.is(flag::PARENT_IS_LOCAL) && span.full_parent().is_some()),
                },
            ..Wanted::default()
        };
        let Some(parent) = parent else {
            // A consumer whose sender we do not hold, but whose queue we know.
            if span.kind() == SpanKind::Consumer && span.peer != NO_NODE {
                wanted.edge_from = span.peer;
                (wanted.edge_is_async, wanted.edge_is_inferred) = (true, true);
            } else if wanted.is_entry && span.kind() != SpanKind::Consumer {
                wanted.edge_from = self.names.client(span.origin);
            }
            return wanted;
        };
        if self.same_service(parent, span) {
            if parent.is(flag::SENDS) && span.kind() == SpanKind::Consumer {
                (wanted.edge_from, wanted.edge_is_async) = (parent.peer, true);
            }
        } else if parent.is(flag::SENDS) {
            (wanted.edge_from, wanted.edge_is_async) = (parent.peer, true);
        } else if !parent.is_caller()
            && !matches!(parent.sent, NO_NODE | MANY)
            && matches!(
                span.kind(),
                SpanKind::Internal | SpanKind::Unspecified | SpanKind::Consumer
            )
        {
            // The context went with the message from the span around the one that sent it, as a
            // program does that carries the context by hand (testdata/kinesis-lab/manual).
            (wanted.edge_from, wanted.edge_is_async) = (parent.sent, true);
        } else {
            wanted.edge_from = self.names.service(parent.origin);
            wanted.edge_is_async =
                span.kind() == SpanKind::Consumer || parent.kind() == SpanKind::Producer;
        }
        if wanted.edge_from != NO_NODE {
            let waits = parent.is_caller() && parent.is(flag::ENDED);
            let observed = if waits { parent } else { span };
            wanted.caller = (observed.duration, observed.outcome());
        }
        wanted
    }

    /// Whether a span is a call to the peer it names: always when it sends to a destination, else
    /// only while nobody has answered it. The outermost of nested callers speaks for them all.
    fn is_call(&self, span: &Record, parent_at: Option<SlotAt>) -> bool {
        if !span.is_caller() || span.peer == NO_NODE {
            return false;
        }
        if span.is(flag::PAIRED) && !span.is(flag::SENDS) {
            return false;
        }
        let speaks_for = |above: &Record| {
            above.is_caller() && above.peer != NO_NODE && self.same_service(above, span)
        };
        !self.tables.spans_at(parent_at).any(|seq| speaks_for(self.tables.span(seq)))
    }

    /// The span that caused this one: the calling side of the same id (as Zipkin's shared spans
    /// have it), else the parent, that of its own service first.
    ///
    /// **Rule:** openzipkin/b3-propagation, "shared spans"; ADR-0004.
    fn parent_of(&self, changed: Changed, span: &Record, parent_at: Option<SlotAt>) -> Option<Seq> {
        if span.is_called() {
            let shared = self.tables.spans_at(changed.slot(self.tables, span));
            let callers = shared.filter(|s| self.tables.span(*s).is_caller());
            if let Some(caller) = callers.min_by_key(|s| self.tables.span(*s).kind()) {
                return Some(caller);
            }
        }
        let is_sent = |s: &Seq| *s != changed.seq && !self.tables.span(*s).is(flag::STAND_IN);
        let parents = self.tables.spans_at(parent_at).filter(is_sent);
        parents.min_by_key(|s| {
            let parent = self.tables.span(*s);
            let distance = match parent.kind() {
                SpanKind::Server => 0,
                SpanKind::Consumer => 1,
                SpanKind::Internal => 2,
                SpanKind::Unspecified => 3,
                SpanKind::Producer => 4,
                SpanKind::Client => 5,
            };
            (!self.same_service(parent, span), distance)
        })
    }

    /// Counts the edges that a consumer's links make, each once; says whether there are any.
    fn recount_links(&mut self, seq: Seq, span: &Record, wanted: &Wanted) -> bool {
        let mut seen: Vec<u32> = Vec::new();
        if !wanted.edge_is_inferred {
            // What the parent shows already needs no link.
            seen.push(wanted.edge_from);
        }
        let mut any = false;
        for link_seq in self.tables.links_from(seq) {
            let link = *self.tables.link(link_seq);
            let (found, age) = self.linked_from(span, link.target);
            any |= found != NO_NODE;
            let from = if found == NO_NODE || seen.contains(&found) { NO_NODE } else { found };
            seen.push(found);
            if (from, age) == (link.edge_from, link.age) {
                continue;
            }
            for (from, age, count) in [(link.edge_from, link.age, -1), (from, age, 1)] {
                if from != NO_NODE {
                    let (kind, evidence) = (EdgeKind::Async, Evidence::Link);
                    let to = self.names.service(span.origin);
                    let edge = EdgeEnds { from, to, kind, evidence };
                    let (failed, outcome) = (false, Outcome::Ok);
                    let sample = Sample { count, failed, outcome, nanos: age as i64 };
                    self.recorder.edge(self.names, span, edge, count);
                    self.recorder.edge_seen_by(self.names, span, edge, Side::Caller, sample);
                }
            }
            let link = self.tables.link_mut(link_seq);
            (link.edge_from, link.age) = (from, age);
        }
        any
    }

    /// The node that a link's target stands for: its destination, else its service if another;
    /// and how old its message was when the span began, in nanoseconds.
    fn linked_from(&self, span: &Record, target: FullId) -> (u32, f32) {
        let sender = self
            .tables
            .spans_at(self.tables.slot(target))
            .map(|seq| self.tables.span(seq))
            .filter(|s| s.kind() == SpanKind::Producer || s.is(flag::SENDS))
            .max_by_key(|s| s.kind());
        let Some(sender) = sender else { return (NO_NODE, 0.0) };
        let age = span.micros_after(sender) * 1_000.0 - f64::from(sender.duration);
        let from = match sender {
            sender if sender.is(flag::SENDS) => sender.peer,
            sender if !self.same_service(sender, span) => self.names.service(sender.origin),
            _ => return (NO_NODE, 0.0),
        };
        (from, age.max(0.0) as f32)
    }

    /// Whether they belong together. Who has no service yet belongs to whoever is near.
    fn same_service(&self, a: &Record, b: &Record) -> bool {
        a.is_homeless()
            || b.is_homeless()
            || self.names.service(a.origin) == self.names.service(b.origin)
    }
}

impl Wanted {
    /// What a span counts for now.
    fn counted(span: &Record) -> Self {
        Self {
            is_entry: span.is(flag::IS_ENTRY),
            is_call: span.is(flag::IS_CALL),
            edge_from: span.edge_from,
            edge_is_async: span.is(flag::EDGE_ASYNC),
            edge_is_inferred: span.is(flag::EDGE_INFERRED),
            caller: (span.caller_duration, span.caller_outcome()),
        }
    }

    fn edge(&self) -> (u32, bool, bool) {
        (self.edge_from, self.edge_is_async, self.edge_is_inferred)
    }
}
