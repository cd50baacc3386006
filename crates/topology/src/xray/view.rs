//! A trace as X-Ray sees it: from spans in any order to segments and the calls between them.
//!
//! Everything here is a loop, never a recursion: a trace may have 100 000 spans in one chain. The
//! time is that of sorting the spans.

use throughline_model::{SpanBatch, SpanKind, SpanRef, TraceId};

use super::facts::{self, Attrs, ResourceFacts, is_xray};
use super::{Entity, LAMBDA, LAMBDA_FUNCTION, ServiceId, TraceView, inferred_service};
use super::{arrange, graft};

impl<'a> TraceView<'a> {
    /// Reads a trace whose pieces were merged (`throughline_model::merge_pieces`).
    ///
    /// The order of its spans does not matter. Subsegments lie in the segment above them; calls
    /// that no segment answers get an inferred one; subsegments whose parent was never sent get a
    /// function's segment in its place, as the functions of Lambda need where Lambda sends nothing.
    /// **Rule:** X-Ray developer guide, "Segment documents" and "Sending trace data".
    pub fn of(trace: &'a SpanBatch) -> Self {
        let Some(trace_id) = trace.spans().next().map(SpanRef::trace_id) else {
            return Self {
                trace_id: TraceId::ZERO,
                entities: Vec::new(),
                segments: Vec::new(),
                root: None,
                edges: Vec::new(),
            };
        };
        let spans = graft::chosen(trace, trace_id);
        let mut draft = Draft {
            trace_id,
            entities: spans.iter().map(|span| facts::entity(*span)).collect(),
            resources: (0..trace.resource_count())
                .map(|number| ResourceFacts::of(trace.resource(number)))
                .collect(),
            children: Vec::new(),
        };
        graft::find_parents(&mut draft);
        draft.find_segments();
        draft.infer_callees();
        draft.join_lone_function();
        arrange::arrange(draft)
    }

    /// Start of the earliest entity, nanoseconds since the epoch.
    pub fn start_unix_nano(&self) -> i64 {
        self.entities.iter().map(|entity| entity.start_unix_nano).min().unwrap_or_default()
    }

    /// End of the latest entity, nanoseconds since the epoch.
    pub fn end_unix_nano(&self) -> i64 {
        self.entities.iter().map(|entity| entity.end_unix_nano).max().unwrap_or_default()
    }

    /// From the earliest start to the latest end, in nanoseconds.
    pub fn duration_nano(&self) -> i64 {
        self.end_unix_nano().saturating_sub(self.start_unix_nano()).max(0)
    }

    /// How long the root segment took, in nanoseconds.
    pub fn response_time_nano(&self) -> i64 {
        self.root_entity().map_or(0, Entity::duration_nano)
    }

    /// The segment that the trace began with.
    pub fn root_entity(&self) -> Option<&Entity<'a>> {
        self.entities.get(self.root?)
    }

    /// Whether something is missing: an end, or a segment that another names as its parent.
    pub fn is_partial(&self) -> bool {
        let is_missing =
            |entity: &Entity<'_>| entity.parent.is_none() && !entity.parent_id.is_zero();
        self.entities.iter().any(|entity| entity.in_progress || is_missing(entity))
    }

    /// Whether any entity was refused for being one too many.
    pub fn has_throttle(&self) -> bool {
        self.entities.iter().any(|entity| entity.throttle)
    }

    /// Whether the root segment failed by its own fault.
    pub fn has_fault(&self) -> bool {
        self.root_entity().is_some_and(|root| root.fault)
    }

    /// Whether the root segment failed by its caller's mistake.
    pub fn has_error(&self) -> bool {
        self.root_entity().is_some_and(|root| root.error)
    }
}

/// A view in the making. Places do not change until [`arrange::arrange`].
pub(super) struct Draft<'a> {
    pub(super) trace_id: TraceId,
    pub(super) entities: Vec<Entity<'a>>,
    /// By the number of the resource in its batch.
    pub(super) resources: Vec<ResourceFacts>,
    /// By place, once parents are known.
    pub(super) children: Vec<Vec<usize>>,
}

impl<'a> Draft<'a> {
    /// What the sender of an entity says of itself.
    pub(super) fn facts(&self, at: usize) -> Option<&ResourceFacts> {
        self.resources.get(self.entities[at].span?.resource().number())
    }

    /// All places, parents before their children.
    pub(super) fn top_down(&self) -> Vec<usize> {
        let is_root = |at: &usize| self.entities[*at].parent.is_none();
        let mut order: Vec<usize> = (0..self.entities.len()).filter(is_root).collect();
        let mut next = 0;
        while let Some(at) = order.get(next) {
            order.extend(&self.children[*at]);
            next += 1;
        }
        order
    }

    /// Decides what stands alone, and gives everything its segment and node.
    fn find_segments(&mut self) {
        for at in self.top_down() {
            let above = self.entities[at].parent.map(|parent| self.entities[parent].segment);
            match above {
                Some(segment) if !self.stands_alone(at, segment) => {
                    self.entities[at].segment = segment;
                    self.entities[at].service = self.entities[segment].service.clone();
                }
                _ => {
                    let Draft { entities, resources, .. } = self;
                    let entity = &mut entities[at];
                    entity.segment = at;
                    if let Some(span) = entity.span
                        && let Some(facts) = resources.get(span.resource().number())
                    {
                        facts::stand_alone(entity, facts);
                    }
                }
            }
        }
    }

    /// Whether an entity below `segment` is a segment of its own.
    ///
    /// **Rule:** X-Ray exporter, `segment.go`; we add consumers, and whatever crosses from one
    /// service to another, for those are nodes of the map.
    fn stands_alone(&self, at: usize, segment: usize) -> bool {
        let entity = &self.entities[at];
        let Some(span) = entity.span else { return true };
        if is_xray(span) {
            return entity.is_segment;
        }
        matches!(span.kind(), SpanKind::Server | SpanKind::Consumer)
            || self.entities[segment].name != facts::short(span.service())
    }

    /// Gives every call that no segment answers the segment that its callee would have sent.
    fn infer_callees(&mut self) {
        for at in 0..self.entities.len() {
            let caller = &self.entities[at];
            let Some(span) = caller.span else { continue };
            let is_answered = self.children[at].iter().any(|c| self.entities[*c].is_segment);
            let is_document = caller.is_segment && is_xray(span);
            if is_answered || is_document {
                continue;
            }
            let Some(callee) = inferred_service(span) else { continue };
            let service = ServiceId {
                name: facts::short(&callee.name),
                names: callee.names.iter().map(|name| facts::short(name)).collect(),
                kind: callee.kind,
                account: facts::account(&Attrs::of(span), "aws.account_id"),
            };
            let place = self.entities.len();
            let inferred = Entity {
                id: graft::id_of_inferred(self.trace_id, caller.id),
                parent_id: caller.id,
                parent: Some(at),
                is_segment: true,
                segment: place,
                inferred: true,
                in_progress: caller.in_progress,
                name: callee.called,
                origin: callee.origin,
                service,
                start_unix_nano: caller.start_unix_nano,
                end_unix_nano: caller.end_unix_nano,
                error: caller.error,
                fault: caller.fault,
                throttle: caller.throttle,
                http_method: caller.http_method.clone(),
                http_url: caller.http_url.clone(),
                http_status: caller.http_status,
                ..facts::blank()
            };
            self.entities.push(inferred);
            self.children.push(Vec::new());
            self.children[at].push(place);
        }
    }

    /// Puts the one function whose segment never came below the one invocation that has none.
    ///
    /// Emulators of Lambda send no segments and hand the function a new parent, so that nothing
    /// but the numbers tells which call it answers: one and one.
    fn join_lone_function(&mut self) {
        let is_lone = |at: &usize| {
            let entity = &self.entities[*at];
            entity.synthetic && entity.parent.is_none()
        };
        let mut functions = (0..self.entities.len()).filter(is_lone);
        let (Some(function), None) = (functions.next(), functions.next()) else { return };
        let mut is_below = vec![false; self.entities.len()];
        let mut below = vec![function];
        while let Some(at) = below.pop() {
            is_below[at] = true;
            below.extend(&self.children[at]);
        }
        let start = self.entities[function].start_unix_nano;
        let is_function = |at: &usize| {
            let origin = self.entities[*at].origin.as_deref();
            origin == Some(LAMBDA_FUNCTION)
        };
        let mut invocations = (0..self.entities.len()).filter(|at| {
            let entity = &self.entities[*at];
            entity.origin.as_deref() == Some(LAMBDA)
                && entity.start_unix_nano <= start
                && !is_below[*at]
                && !self.children[*at].iter().any(is_function)
        });
        let (Some(invocation), None) = (invocations.next(), invocations.next()) else { return };
        let (id, name) =
            (self.entities[invocation].id, self.entities[invocation].service.name.clone());
        let entity = &mut self.entities[function];
        if entity.name != graft::FACADE && entity.name != name {
            return;
        }
        (entity.parent, entity.parent_id) = (Some(invocation), id);
        self.children[invocation].push(function);
        if entity.name != name {
            self.rename_function(function, &name);
        }
    }

    /// Gives a function made here, and all that lies in it, the name found for it.
    fn rename_function(&mut self, function: usize, name: &str) {
        let entity = &mut self.entities[function];
        name.clone_into(&mut entity.name);
        name.clone_into(&mut entity.service.name);
        entity.service.names = vec![name.to_owned()];
        let service = entity.service.clone();
        for entity in &mut self.entities {
            if entity.segment == function {
                entity.service = service.clone();
            }
        }
    }
}
