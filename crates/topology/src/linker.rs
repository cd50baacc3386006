//! From spans to map parts: every span once, each with what came before it in mind.

use std::collections::HashSet;
use std::ops::Range;

use throughline_model::{
    NOTE_SCOPE, ResourceRef, SpanBatch, SpanId, SpanKind, StatusCode, TraceId, xray,
};

use crate::keys::BatchKeys;
use crate::names::{NO_NODE, Names, Sender};
use crate::part::{MINUTE_NANOS, MapPart, OperationKey};
use crate::peer::peer_of;
use crate::recorder::Recorder;
use crate::rules::{Changed, Rules};
use crate::sender;
use crate::tables::{FullId, MANY, Record, Seq, Tables, flag};
use crate::view::minute_of;
use crate::xray::Outcome;

/// How much a [`Linker`] remembers.
#[derive(Clone, Copy, Debug)]
pub struct LinkerLimits {
    /// Spans, those that wait for a parent among them: 76 bytes each, and as much for the index.
    pub spans_max: usize,
    /// Links of consumers to producers; about 60 bytes each.
    pub links_max: usize,
    /// Names of nodes, and as many pairs of service and environment.
    pub names_max: usize,
    /// Span names told apart per service and part; all others count as [`crate::OTHER`].
    pub operations_max: usize,
}

impl Default for LinkerLimits {
    fn default() -> Self {
        Self { spans_max: 262_144, links_max: 65_536, names_max: 32_768, operations_max: 1_000 }
    }
}

/// What did not fit into a [`Linker`]'s limits since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkerOverflow {
    /// Spans forgotten for newer ones: what belongs to them and comes later is not linked.
    pub spans_forgotten: u64,
    /// Links forgotten, or never looked at because their span had more than 64.
    pub links_forgotten: u64,
    /// Times a new name of a node or environment became [`crate::OTHER`].
    pub names_folded: u64,
    /// Times a new span name became [`crate::OTHER`].
    pub operations_folded: u64,
}

/// A span that counts on the map: two of one id, as Zipkin's shared spans are, differ by their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CountedSpan {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// Its kind.
    pub kind: SpanKind,
}

impl CountedSpan {
    fn of(span: &Record) -> Self {
        let (trace_id, span_id) = span.full_id();
        Self { trace_id: TraceId(trace_id), span_id: SpanId(span_id), kind: span.kind() }
    }
}

/// Sees every span once and says what it changes on the map.
///
/// Within its limits the sum of all parts depends on the set of spans only, not on how they were
/// split into batches nor on their order. Two copies of a span count once, a piece without an end
/// counts nothing but may be a parent.
#[derive(Clone, Debug)]
pub struct Linker {
    limits: LinkerLimits,
    tables: Tables,
    names: Names,
    links_cut: u64,
    operations_folded: u64,
    /// Spans of this round that are new or have got their end, and where the slots were.
    changed: Vec<Changed>,
    /// Spans of this round that had ended, and what a longer copy says.
    longer: Vec<(Seq, Record)>,
    generation: u64,
    /// Hashes of id and parent id of the rows that were warmed.
    hashes: Vec<[u32; 2]>,
}

impl Default for Linker {
    fn default() -> Self {
        Self::new(LinkerLimits::default())
    }
}

/// Spans taken before they are linked and counted: small enough to be in the cache still, large
/// enough that most parents come along with their children.
const ROUND_ROWS_MAX: usize = 2048;

/// Spans whose places in the table are fetched at once.
const WARM_ROWS_MAX: usize = 128;

/// Links of one consumer that are looked at.
const LINKS_PER_SPAN_MAX: usize = 64;

impl Linker {
    /// A linker that has seen nothing. It grows to its limits as spans come.
    pub fn new(limits: LinkerLimits) -> Self {
        Self {
            limits,
            tables: Tables::new(limits.spans_max, limits.links_max),
            names: Names::new(limits.names_max),
            links_cut: 0,
            operations_folded: 0,
            changed: Vec::new(),
            longer: Vec::new(),
            generation: 0,
            hashes: Vec::new(),
        }
    }

    /// Takes spans in; gives back what they add to the map and what they take back.
    pub fn observe(&mut self, batches: &[&SpanBatch]) -> MapPart {
        let mut part = MapPart::default();
        self.observe_into(&mut part, batches);
        part.drop_zeros();
        part
    }

    /// As [`Linker::observe`], added to `part` at once, which costs less than merging.
    pub fn observe_into(&mut self, part: &mut MapPart, batches: &[&SpanBatch]) {
        self.drop_unused_names();
        let mut recorder = Recorder::new(std::mem::take(part), self.limits.operations_max);
        let round_rows_max = ROUND_ROWS_MAX.min(self.limits.spans_max.div_ceil(2)).max(1);
        let mut rows_left = round_rows_max;
        for batch in batches {
            let mut door = BatchDoor::new(batch, &mut self.names);
            let mut row = 0;
            while row < batch.len() {
                let end = batch.len().min(row + rows_left.min(WARM_ROWS_MAX));
                self.warm(batch, row..end);
                (row..end).for_each(|at| self.take(&mut door, at, at - row, &mut recorder));
                rows_left -= end - row;
                row = end;
                if rows_left == 0 {
                    self.end_round(&mut recorder);
                    rows_left = round_rows_max;
                }
            }
        }
        self.end_round(&mut recorder);
        self.operations_folded += recorder.folded;
        *part = recorder.part;
    }

    /// What [`Linker::observe`] would give back, with nothing remembered.
    ///
    /// Works on a copy of the tables, up to 40 MB with the default limits: milliseconds, so a
    /// caller that asks often keeps the answer until there are new spans.
    pub fn preview(&self, batches: &[&SpanBatch]) -> MapPart {
        self.clone().observe(batches)
    }

    /// The remembered spans that count at the edges between two nodes, whose ids are as in
    /// [`crate::Node::id`]: spans of `to` that `from` caused, calls by `from` where `to` is inferred.
    pub fn spans_at_edge(&self, from: &str, to: &str) -> HashSet<CountedSpan> {
        let (Some(from), Some(to)) = (self.names.find(from), self.names.find(to)) else {
            return HashSet::new();
        };
        let calls = self.tables.spans().iter().filter(|span| {
            let service = self.names.service(span.origin);
            let is_called = span.edge_from == from && service == to;
            is_called || span.is(flag::IS_CALL) && service == from && span.peer == to
        });
        let consumed = self.tables.consumed().filter(|(link, consumer)| {
            link.edge_from == from && self.names.service(consumer.origin) == to
        });
        calls.chain(consumed.map(|(_, consumer)| consumer)).map(CountedSpan::of).collect()
    }

    /// What did not fit so far.
    pub fn overflow(&self) -> LinkerOverflow {
        LinkerOverflow {
            spans_forgotten: self.tables.spans_forgotten,
            links_forgotten: self.tables.links_forgotten + self.links_cut,
            names_folded: self.names.folded,
            operations_folded: self.operations_folded,
        }
    }

    fn end_round(&mut self, recorder: &mut Recorder) {
        let changed = std::mem::take(&mut self.changed);
        let longer = std::mem::take(&mut self.longer);
        let mut rules = Rules::new(&mut self.tables, &self.names, recorder);
        self.changed = rules.count(changed, longer, self.generation);
        self.tables.renew_when_worn();
    }

    /// Hashes the ids of some rows and fetches their places in the table.
    fn warm(&mut self, batch: &SpanBatch, rows: Range<usize>) {
        self.tables.reserve(rows.len() * 2);
        self.hashes.clear();
        for row in rows {
            let span = batch.span(row);
            let (trace, parent) = (span.trace_id().0, span.parent_id().0);
            let parent_hash = self.tables.hash((trace, parent));
            self.hashes.push([self.tables.hash((trace, span.span_id().0)), parent_hash]);
        }
        self.tables.warm(self.hashes.iter().flatten().copied());
    }

    /// Remembers a span if it is new, or its end if that is new. `warm` is its place among the
    /// rows that were warmed.
    fn take(&mut self, door: &mut BatchDoor<'_>, row: usize, warm: usize, recorder: &mut Recorder) {
        let [hash, parent_hash] = self.hashes[warm];
        let batch = door.batch;
        if door.has_notes && batch.span(row).is_note() {
            return;
        }
        let span = batch.span(row);
        let (trace, id) = (span.trace_id().0, span.span_id().0);
        let kind = span.kind();
        let duration = span.duration_nano();
        self.tables.reserve(2);
        if self.changed.is_empty() {
            self.generation = self.tables.generation;
        }
        let at = self.tables.claim((trace, id), hash);
        let known = self.tables.find(at, kind);
        let had_ended = known.is_some_and(|known| self.tables.span(known).is(flag::ENDED));
        if let Some(known) = known {
            // Of two that have ended, the one that lasts longer says more, as where pieces merge.
            let lasts = duration.map(|duration| duration.max(0) as f32);
            let is_news = match lasts {
                None => false,
                Some(lasts) => !had_ended || lasts > self.tables.span(known).duration,
            };
            if !is_news {
                return;
            }
        }
        let resource = batch.resources()[row] as usize;
        let mut record = Record::new(trace, id, span.parent_id().0, kind as u8);
        record.origin = door.origins[resource];
        record.minute = minute_of(span.start_unix_nano());
        record.start_micros = micros_in_minute(span.start_unix_nano());
        record.set(flag::PARENT_IS_LOCAL, has_local_parent(span.flags()));
        record.set(flag::ADOPTS, door.homeless[resource]);
        if let Some(duration) = duration {
            let failed = span.status() == StatusCode::Error;
            record.duration = duration.max(0) as f32;
            record.set(flag::ENDED, true);
            record.set(flag::FAILED, failed);
            let outcome = match kind {
                SpanKind::Internal | SpanKind::Unspecified if failed => Outcome::Fault,
                SpanKind::Internal | SpanKind::Unspecified => Outcome::Ok,
                _ => self.read_attributes(door, row, kind, &mut record),
            };
            record.set_outcome(outcome, flag::OUTCOME_SHIFT);
            if had_ended {
                return self.replace(known.unwrap_or_default(), record);
            }
            let sample = record.sample(1);
            let key = OperationKey {
                minute: record.minute,
                environment: recorder.environment_number(&self.names, record.origin),
                service: door.service(resource, &self.names, recorder),
                name: door.name(row, recorder),
                kind: kind as u8,
            };
            recorder.operation(key, sample);
        }
        let (seq, parent_at) = match known {
            None => self.tables.push_span(at, record, parent_hash),
            Some(seq) => {
                self.tables.span_mut(seq).become_ended(record);
                let parent = self.tables.span(seq).full_parent();
                (seq, parent.and_then(|parent| self.tables.slot(parent)))
            }
        };
        let may_take = kind == SpanKind::Consumer || span.scope().name() == xray::SCOPE;
        if may_take && duration.is_some() {
            self.take_links(seq, batch, row);
        }
        if !self.tables.span(seq).is(flag::DIRTY) {
            self.tables.span_mut(seq).set(flag::DIRTY, true);
            self.changed.push(Changed::at(seq, at, parent_at));
        }
    }

    /// Keeps what a longer copy of a span says, to be counted at the end of the round. Among the
    /// operations the first stays.
    fn replace(&mut self, seq: Seq, record: Record) {
        match self.longer.iter_mut().find(|(known, _)| *known == seq) {
            Some((_, known)) if known.duration < record.duration => *known = record,
            Some(_) => {}
            None => self.longer.push((seq, record)),
        }
    }

    /// Names the peer of a span, and says how it ended.
    fn read_attributes(
        &mut self,
        door: &BatchDoor<'_>,
        row: usize,
        kind: SpanKind,
        record: &mut Record,
    ) -> Outcome {
        let attributes = door.keys.attributes(door.batch, row);
        let outcome = attributes.outcome(record.is(flag::FAILED));
        if kind == SpanKind::Server {
            return outcome;
        }
        let Some(peer) = peer_of(kind, &attributes) else { return outcome };
        if kind == SpanKind::Consumer && !peer.is_destination {
            return outcome;
        }
        record.peer = self.names.node(peer.kind, &peer.name, &peer.system);
        if kind != SpanKind::Consumer {
            record.set(flag::ASYNC, peer.sends);
            record.set(flag::SENDS, peer.sends && peer.is_destination);
        }
        outcome
    }

    fn take_links(&mut self, seq: Seq, batch: &SpanBatch, row: usize) {
        let links = batch.span(row).links();
        if links.len() == 0 {
            return;
        }
        self.links_cut += links.len().saturating_sub(LINKS_PER_SPAN_MAX) as u64;
        let mut targets: Vec<FullId> = links
            .take(LINKS_PER_SPAN_MAX)
            .map(|link| (link.trace_id().0, link.span_id().0))
            .collect();
        targets.sort_unstable();
        targets.dedup();
        self.tables.push_links(seq, &targets);
    }

    /// Forgets the names that no remembered span uses, before new ones would not fit.
    fn drop_unused_names(&mut self) {
        if !self.names.nearly_full() {
            return;
        }
        let mut nodes = vec![false; self.names.node_count()];
        let mut origins = vec![false; self.names.origin_count()];
        let (spans, links) = self.tables.entries_mut();
        for span in spans.iter() {
            origins[span.origin as usize] = true;
            for node in [span.peer, span.sent, span.edge_from] {
                if node != MANY {
                    nodes[node as usize] = true;
                }
            }
        }
        links.iter().for_each(|link| nodes[link.edge_from as usize] = true);
        let renumbered = self.names.keep(&mut nodes, &origins);
        let node = |old: u32| match old {
            NO_NODE | MANY => old,
            _ => renumbered.node(old),
        };
        for span in spans {
            span.origin = renumbered.origin(span.origin);
            span.peer = node(span.peer);
            span.sent = node(span.sent);
            span.edge_from = node(span.edge_from);
        }
        links.iter_mut().for_each(|link| link.edge_from = node(link.edge_from));
    }
}

/// The moment within its minute, in microseconds.
fn micros_in_minute(unix_nano: i64) -> u32 {
    (unix_nano.max(0) % MINUTE_NANOS / 1_000) as u32
}

/// Whether the sender says that the parent is in the same process.
///
/// **Rule:** opentelemetry-proto, `trace.proto`, enum `SpanFlags`, the two masks "is remote".
fn has_local_parent(flags: u32) -> bool {
    const HAS_IS_REMOTE: u32 = 0x100;
    const IS_REMOTE: u32 = 0x200;
    flags & (HAS_IS_REMOTE | IS_REMOTE) == HAS_IS_REMOTE
}

fn sender_of(resource: ResourceRef<'_>) -> Sender<'_> {
    Sender {
        service: resource.service(),
        system: sender::service_type(resource),
        account: sender::account(resource).unwrap_or(""),
        environment: resource.environment().unwrap_or(""),
    }
}

/// Whoever sent subsegments of a function whose own segment we do not hold.
///
/// **Rule:** the X-Ray SDKs call it so in a Lambda function, and never send it.
const FACADE: Sender<'static> =
    Sender { service: "facade", system: xray::LAMBDA_FUNCTION, account: "", environment: "" };

/// A batch and what is looked up once for all its spans.
struct BatchDoor<'a> {
    batch: &'a SpanBatch,
    keys: BatchKeys,
    /// Whether some rows are no spans.
    has_notes: bool,
    /// Origin by resource number.
    origins: Vec<u32>,
    /// By resource number: an X-Ray subsegment's, which names no service.
    homeless: Vec<bool>,
    /// The part's string numbers plus one, by resource and by string number.
    services: Vec<u32>,
    names: Vec<u32>,
}

impl<'a> BatchDoor<'a> {
    fn new(batch: &'a SpanBatch, names: &mut Names) -> Self {
        let mut origins = vec![u32::MAX; batch.resource_count()];
        let mut homeless = vec![false; origins.len()];
        for (row, resource) in batch.resources().iter().enumerate() {
            let origin = &mut origins[*resource as usize];
            if *origin == u32::MAX {
                let span = batch.span(row);
                let resource_is_empty = span.resource().attributes().len() == 0;
                let sender = if resource_is_empty && span.scope().name() == xray::SCOPE {
                    homeless[*resource as usize] = true;
                    FACADE
                } else {
                    sender_of(span.resource())
                };
                *origin = names.origin(sender);
            }
        }
        let mut scopes = (0..batch.scope_count()).map(|number| batch.scope(number).name());
        let has_notes = scopes.any(|name| name == NOTE_SCOPE);
        Self {
            has_notes,
            batch,
            keys: BatchKeys::of(batch),
            services: vec![0; origins.len()],
            origins,
            homeless,
            names: vec![0; batch.string_count()],
        }
    }

    fn service(&mut self, resource: usize, names: &Names, recorder: &mut Recorder) -> u32 {
        let known = &mut self.services[resource];
        if *known == 0 {
            let service = names.service(self.origins[resource]);
            *known = recorder.string(&names.entry(service).name) + 1;
        }
        *known - 1
    }

    fn name(&mut self, row: usize, recorder: &mut Recorder) -> u32 {
        let number = self.batch.names()[row];
        let known = &mut self.names[number as usize];
        if *known == 0 {
            *known = recorder.string(self.batch.string(number)) + 1;
        }
        *known - 1
    }
}
