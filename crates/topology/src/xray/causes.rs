//! Which way the trouble of a trace came.
//!
//! AWS does not tell how it finds root causes. For faults and errors we follow, from the entry, the
//! child that leads deepest into the same trouble; for response times the child that took longest,
//! while it took at least half of the root's.

use super::{CauseKind, Entity, RootCause, RootCauseEntity, RootCauseService, TraceView};

/// The most root causes of one kind that a trace has.
const CAUSES_MAX: usize = 10;
/// The most entities on the way of one cause; of longer ways the middle is left out.
const PATH_LENGTH_MAX: usize = 1_000;
/// The share of the root's time from which on a child explains it.
const COVERAGE_MIN: f64 = 0.5;

impl TraceView<'_> {
    /// What explains this trouble of the trace; nothing when it has none.
    ///
    /// A failure that its caller survived is a cause that impacts no client.
    /// **Source:** X-Ray API reference, `FaultRootCause`, `ErrorRootCause`, `ResponseTimeRootCause`.
    pub fn root_causes(&self, kind: CauseKind) -> Vec<RootCause> {
        match kind {
            CauseKind::Fault => self.failures(|entity| entity.fault),
            CauseKind::Error => self.failures(|entity| entity.error || entity.throttle),
            CauseKind::ResponseTime => self.slowness().into_iter().collect(),
        }
    }

    fn failures(&self, has_failed: impl Fn(&Entity<'_>) -> bool) -> Vec<RootCause> {
        if !self.entities.iter().any(&has_failed) {
            return Vec::new();
        }
        let order = self.top_down();
        // How far the failure goes down from each entity, itself included; 0 where it has none.
        // A local subsegment that hides the failure below it does not break the way.
        let mut depths = vec![0_usize; self.entities.len()];
        for place in order.iter().rev() {
            let entity = &self.entities[*place];
            let below = entity.children.iter().map(|child| depths[*child]).max().unwrap_or(0);
            let is_local = !entity.is_segment && entity.namespace.is_none();
            if has_failed(entity) || (is_local && below > 0) {
                depths[*place] = below + 1;
            }
        }
        let mut is_below_failure = vec![false; self.entities.len()];
        let mut causes = Vec::new();
        for place in order {
            let entity = &self.entities[place];
            let is_explained = entity.parent.is_some_and(|parent| is_below_failure[parent]);
            is_below_failure[place] = is_explained || depths[place] > 0;
            if is_explained || depths[place] == 0 || causes.len() == CAUSES_MAX {
                continue;
            }
            let mut path = self.way_to(place);
            let is_impacting = path.first().is_some_and(|top| has_failed(&self.entities[*top]));
            let mut at = place;
            while let Some(next) = self.deepest(at, &depths) {
                path.push(next);
                at = next;
            }
            let mut cause = self.cause(&path, |_| 0.0, true);
            cause.client_impacting = is_impacting;
            causes.push(cause);
        }
        causes
    }

    /// The child into which the failure goes deepest; of equals the first.
    fn deepest(&self, at: usize, depths: &[usize]) -> Option<usize> {
        let children = self.entities[at].children.iter().copied();
        let failed = children.filter(|child| depths[*child] > 0);
        failed.rev().max_by_key(|child| depths[*child])
    }

    fn slowness(&self) -> Option<RootCause> {
        let root = self.root_entity()?;
        let total = root.duration_nano();
        if total == 0 {
            return None;
        }
        let coverage = |place: usize| {
            let entity = &self.entities[place];
            let start = entity.start_unix_nano.max(root.start_unix_nano);
            let end = entity.end_unix_nano.min(root.end_unix_nano);
            (end.saturating_sub(start).max(0) as f64 / total as f64).min(1.0)
        };
        let mut path = vec![self.root?];
        let mut at = self.root?;
        loop {
            let children = self.entities[at].children.iter().copied().rev();
            let longest = children.max_by(|a, b| coverage(*a).total_cmp(&coverage(*b)));
            match longest.filter(|child| coverage(*child) >= COVERAGE_MIN) {
                Some(child) => at = child,
                None => break,
            }
            path.push(at);
        }
        let mut cause = self.cause(&path, coverage, false);
        cause.client_impacting = true;
        Some(cause)
    }

    /// All places, parents before their children.
    pub(super) fn top_down(&self) -> Vec<usize> {
        let is_top = |place: &usize| self.entities[*place].parent.is_none();
        let mut order: Vec<usize> = (0..self.entities.len()).filter(is_top).collect();
        let mut next = 0;
        while let Some(place) = order.get(next) {
            order.extend(&self.entities[*place].children);
            next += 1;
        }
        order
    }

    /// The places from the top down to this one.
    fn way_to(&self, place: usize) -> Vec<usize> {
        let mut way = vec![place];
        let mut at = place;
        while let Some(parent) = self.entities[at].parent {
            way.push(parent);
            at = parent;
        }
        way.reverse();
        way
    }

    /// A way in words: a service for every segment on it.
    fn cause(
        &self,
        path: &[usize],
        coverage: impl Fn(usize) -> f64,
        with_exceptions: bool,
    ) -> RootCause {
        let half = PATH_LENGTH_MAX / 2;
        let is_middle = |at: usize| at >= half && at + half < path.len();
        let mut services: Vec<RootCauseService> = Vec::new();
        let mut segment = None;
        for (_, place) in path.iter().enumerate().filter(|(at, _)| !is_middle(*at)) {
            let entity = &self.entities[*place];
            if segment != Some(entity.segment) {
                segment = Some(entity.segment);
                services.push(RootCauseService {
                    service: entity.service.clone(),
                    inferred: self.entities[entity.segment].inferred,
                    entities: Vec::new(),
                });
            }
            let exceptions = if with_exceptions { entity.exceptions.clone() } else { Vec::new() };
            if let Some(service) = services.last_mut() {
                service.entities.push(RootCauseEntity {
                    name: entity.name.clone(),
                    exceptions,
                    coverage: coverage(*place),
                    remote: entity.namespace.is_some(),
                });
            }
        }
        RootCause { services, client_impacting: false }
    }
}
