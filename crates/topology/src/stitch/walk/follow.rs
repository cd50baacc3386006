//! The two ways of a walk: up to the origin, and down to what came of it.

use std::cmp::Reverse;

use ahash::{AHashMap, AHashSet};
use throughline_context::{Carrier, Direction, MessageKey};
use throughline_model::{SpanId, TraceId};

use super::super::edge::{JoinEdge, ReceiptAt};
use super::super::journey::{Gap, Limit, Source, Step};
use super::super::pointers::is_pointing;
use super::super::scope::{Scope, Share};
use super::{Onward, Out, Up, Walk};

/// Places with messages that nobody took, named for each trace.
const UNREAD_MAX: usize = 64;

impl<S: Source> Walk<'_, S> {
    /// Goes up from some places, each along the message that led to it.
    pub(super) fn climb(&mut self, mut ways: Vec<Up>) -> Result<(), S::Error> {
        let mut seen = AHashSet::new();
        // Ways to an origin, of which each place that several messages led to adds some.
        let mut branches = ways.len().min(self.budget.origins_max);
        ways.iter_mut().skip(branches).for_each(|way| way.counts = true);
        ways.reverse();
        while let Some(at) = ways.pop() {
            if !seen.insert((at.trace, at.row, at.out)) {
                continue;
            }
            let Some(loaded) = self.known(at.trace) else { continue };
            let Some(cause) = loaded.cause(at.row, at.out) else {
                self.show_all(&at);
                let edges = self.links_into(&at)?;
                if edges.is_empty() {
                    self.note_origin(&at);
                }
                let mut next = self.follow_up(&at, edges, Share::Own, 1, &mut branches)?;
                ways.append(&mut next);
                continue;
            };
            let mut ends = vec![at.row];
            let holders = cause.messages.iter().map(|(holder, _)| *holder);
            ends.extend(holders.take(self.budget.origins_max));
            if at.counts {
                ends.clear();
            }
            self.show(at.trace, at.hops_up(), true, &cause.scope, &ends);
            let count = cause.messages.len() as u32;
            let share = match (count, at.out) {
                (0 | 1, _) | (_, None) => cause.scope.share,
                _ if cause.is_told => Share::Together,
                _ => Share::Unknown,
            };
            if share == Share::Unknown {
                self.gaps.insert(Gap::OneOfMany { trace_id: at.trace, messages: count });
            }
            let mut edges = Vec::new();
            for (holder, keys) in cause.messages {
                let found = self.edges_to(at.trace, holder, &keys)?;
                if found.is_empty() {
                    self.note_lost(at.trace, holder, &keys);
                }
                // Of several producers only those that are as sure as the surest.
                let surest = found.iter().map(|edge| edge.confidence_permille).max();
                edges.extend(found.into_iter().map(|edge| {
                    let is_surest = Some(edge.confidence_permille) == surest;
                    (edge, is_surest)
                }));
            }
            if edges.is_empty() {
                self.note_origin(&at);
            }
            let mut next = self.follow_up(&at, edges, share, count.max(1), &mut branches)?;
            ways.append(&mut next);
        }
        Ok(())
    }

    /// Follows messages to those who produced them; gives where to go on, the first one last.
    fn follow_up(
        &mut self,
        at: &Up,
        edges: Vec<(JoinEdge, bool)>,
        share: Share,
        shared_by: u32,
        branches: &mut usize,
    ) -> Result<Vec<Up>, S::Error> {
        let mut next = Vec::new();
        let mut fan = 0;
        for (edge, is_surest) in edges {
            let is_sure =
                is_surest && edge.confidence_permille >= self.budget.confidence_permille_min;
            let turn = self.turn(&edge);
            let repeats = at.way.iter().filter(|earlier| **earlier == turn).count();
            let reason = if fan >= self.budget.fan_max {
                Some(Limit::Fan)
            } else if !is_sure {
                None
            } else if repeats >= self.budget.repeats_max {
                Some(Limit::Loop)
            } else if at.hops >= self.budget.depth_max {
                Some(Limit::Depth)
            } else if at.counts || !next.is_empty() && *branches >= self.budget.origins_max {
                Some(Limit::Origins)
            } else {
                self.no_room(edge.from.0)
            };
            if let Some(reason) = reason {
                self.group(at.trace, edge, reason);
                continue;
            }
            let (trace, span) = edge.from;
            let is_held = is_sure && self.load(trace)?;
            let loaded = self.known(trace).filter(|_| is_held);
            let row = loaded.and_then(|l| l.holder(span, edge.key, Direction::Out));
            if let Some(row) = row {
                let way = at.way.iter().copied().chain([turn]).collect();
                *branches += usize::from(!next.is_empty());
                let out = Some(edge.key);
                next.push(Up { trace, row, out, hops: at.hops + 1, way, counts: false });
            }
            let (hops, followed) = (at.hops_up() - 1, row.is_some());
            let step = Step { hops, share, shared_by, followed, edge };
            self.steps.entry(step.edge.id).or_insert(step);
            fan += 1;
        }
        next.reverse();
        Ok(next)
    }

    /// Shows all of a trace that no message of its own led to.
    fn show_all(&mut self, at: &Up) {
        let Some(loaded) = self.known(at.trace) else { return };
        let scope = Scope::whole(loaded.all_rows(), Vec::new());
        self.show(at.trace, at.hops_up(), true, &scope, &[at.row]);
    }

    fn note_origin(&mut self, at: &Up) {
        self.origins.insert(at.trace);
        self.note_parent(at.trace, at.row);
    }

    /// Links of others that go on at a span or above it, or, from its top, anywhere in the trace.
    fn links_into(&mut self, at: &Up) -> Result<Vec<(JoinEdge, bool)>, S::Error> {
        let Some(loaded) = self.known(at.trace) else { return Ok(Vec::new()) };
        let mut rows = loaded.ancestors(at.row);
        if rows.is_empty() {
            rows = loaded.all_rows();
        } else {
            rows.push(at.row);
            rows.sort_unstable();
        }
        let (others, ends) = self.links_to(at.trace, &rows, Direction::Out)?;
        let edges = self.edges(&[], others, ends)?;
        Ok(edges.into_iter().map(|edge| (edge, true)).collect())
    }

    /// The edges to a span that consumed a message under some keys, or to one inside it.
    fn edges_to(
        &mut self,
        trace: TraceId,
        row: u32,
        keys: &[MessageKey],
    ) -> Result<Vec<JoinEdge>, S::Error> {
        let Some(loaded) = self.known(trace) else { return Ok(Vec::new()) };
        let own: Vec<ReceiptAt> = loaded
            .receipts(row, Direction::In)
            .filter(|at| keys.contains(&at.key))
            .cloned()
            .collect();
        let span = loaded.batch.span(row as usize).span_id();
        let mut outs = self.far_ends(&own)?;
        let mut ins = own;
        let (mut others, ends) = self.links_to(trace, &[row], Direction::Out)?;
        outs.append(&mut others);
        let mut wanted = keys.to_vec();
        wanted.extend(ends.iter().map(|end| end.key));
        ins.extend(ends);
        let messages: Vec<MessageKey> =
            ins.iter().filter(|at| !is_pointing(at.receipt.carrier)).map(|at| at.key).collect();
        let mut edges = self.edges(&messages, outs, ins)?;
        edges.retain(|edge| edge.to.0 == trace && wanted.contains(&edge.key));
        if edges.iter().any(|edge| edge.to.1 == span) {
            edges.retain(|edge| edge.to.1 == span);
        }
        Ok(edges)
    }

    /// Follows what is open, surest first, until nothing is.
    pub(super) fn go_on(&mut self) -> Result<(), S::Error> {
        while let Some((_, onward)) = self.open.pop_first() {
            let edges = self.edges_from(&onward)?;
            let mut fan = 0;
            for edge in edges {
                let Some(reason) = self.follow(&onward, &edge, &mut fan)? else { continue };
                self.group(onward.trace, edge, reason);
            }
        }
        Ok(())
    }

    /// The edges of the messages that a scope led to, in the order they were sent.
    fn edges_from(&mut self, onward: &Onward) -> Result<Vec<JoinEdge>, S::Error> {
        let trace = onward.trace;
        let outs: Vec<Out> = onward
            .scope
            .outs
            .iter()
            .copied()
            .filter(|(_, key)| self.followed.insert((trace, *key)))
            .collect();
        let linked: Vec<u32> = onward
            .scope
            .rows
            .iter()
            .copied()
            .filter(|row| self.linked.insert((trace, *row)))
            .collect();
        let Some(loaded) = self.known(trace) else { return Ok(Vec::new()) };
        let held = |(row, key): &Out| {
            loaded.receipts(*row, Direction::Out).find(|at| at.key == *key).cloned()
        };
        let own: Vec<ReceiptAt> = outs.iter().filter_map(held).collect();
        let mut ins = self.far_ends(&own)?;
        let keys: Vec<MessageKey> =
            own.iter().filter(|at| !is_pointing(at.receipt.carrier)).map(|at| at.key).collect();
        let places: AHashMap<MessageKey, usize> =
            keys.iter().enumerate().rev().map(|(place, key)| (*key, place)).collect();
        let mut sent = own.clone();
        let mut wanted: AHashSet<MessageKey> = own.iter().map(|at| at.key).collect();
        if !linked.is_empty() {
            let (others, ends) = self.links_to(trace, &linked, Direction::In)?;
            wanted.extend(ends.iter().map(|end| end.key));
            ins.extend(others);
            sent.extend(ends);
        }
        let mut edges = self.edges(&keys, sent, ins)?;
        edges.retain(|edge| edge.from.0 == trace && wanted.contains(&edge.key));
        edges.sort_by_cached_key(|edge| {
            let place = places.get(&edge.key).copied().unwrap_or(usize::MAX);
            (Reverse(edge.confidence_permille), place, edge.attempt, edge.wait_nano)
        });
        let arrived: AHashSet<MessageKey> = edges.iter().map(|edge| edge.key).collect();
        self.note_unread(trace, &own, &arrived);
        Ok(edges)
    }

    /// Follows one message; says why it does not. A message that is known already is no reason.
    fn follow(
        &mut self,
        from: &Onward,
        edge: &JoinEdge,
        fan: &mut usize,
    ) -> Result<Option<Limit>, S::Error> {
        let known = self.steps.contains_key(&edge.id);
        let is_sure = edge.confidence_permille >= self.budget.confidence_permille_min;
        let share = self.share(from, edge);
        let doubts = from.doubts + u32::from(share == Share::Unknown);
        let repeats = |turn| from.way.iter().filter(|earlier| **earlier == turn).count();
        if !known && *fan >= self.budget.fan_max {
            return Ok(Some(Limit::Fan));
        }
        if !known && is_sure {
            if doubts > 1 {
                return Ok(Some(Limit::Ambiguous));
            }
            if from.hops >= self.budget.depth_max {
                return Ok(Some(Limit::Depth));
            }
            if let Some(reason) = self.no_room(edge.to.0) {
                return Ok(Some(reason));
            }
        }
        let (trace, span) = edge.to;
        let is_held = is_sure && self.load(trace)?;
        let turn = self.turn(edge);
        if is_held && !known && repeats(turn) >= self.budget.repeats_max {
            return Ok(Some(Limit::Loop));
        }
        let loaded = self.known(trace).filter(|_| is_held);
        let row = loaded.and_then(|loaded| loaded.holder(span, edge.key, Direction::In));
        let hops = i32::try_from(from.hops).unwrap_or(i32::MAX).saturating_add(1);
        let scope = loaded.zip(row).map(|(loaded, row)| loaded.scope(row, edge.key));
        if !known {
            let step = Step {
                edge: edge.clone(),
                hops,
                share,
                shared_by: from.scope.shared_by,
                followed: scope.is_some(),
            };
            self.steps.insert(edge.id, step);
            *fan += 1;
        }
        let (Some(scope), Some(row)) = (scope, row) else { return Ok(None) };
        let sender = self.known(from.trace);
        let sent = sender.and_then(|l| l.holder(edge.from.1, edge.key, Direction::Out));
        self.show(from.trace, hops - 1, false, &from.scope, &sent.into_iter().collect::<Vec<_>>());
        self.show(trace, hops, false, &scope, &[row]);
        let mut way = from.way.clone();
        way.push(turn);
        self.push(Onward { trace, scope, hops: from.hops + 1, doubts, way });
        Ok(None)
    }

    /// How the message was told from the others of the batch it came out of. A link from a span
    /// that is about all of them does not say which it was for.
    fn share(&self, from: &Onward, edge: &JoinEdge) -> Share {
        let sent = self.known(from.trace).and_then(|loaded| loaded.row_of(edge.from.1));
        let is_common = sent.is_some_and(|row| from.scope.common.contains(&row));
        match (is_common, edge.carrier) {
            (_, Carrier::User) => Share::Own,
            (true, Carrier::Link) => Share::Unknown,
            (true, _) => from.scope.share,
            (false, _) => Share::Own,
        }
    }

    /// Why no step to a trace has room.
    fn no_room(&self, trace: TraceId) -> Option<Limit> {
        if !self.loaded.contains_key(&trace) && self.loaded.len() >= self.budget.traces_max {
            return Some(Limit::Traces);
        }
        // A step needs its two ends and what is above them.
        let worst = 2 * (super::ABOVE_MAX + 1);
        (self.needed + worst > self.budget.spans_max).then_some(Limit::Spans)
    }

    /// Messages that nobody says he consumed, where the carrier has consumers that say so.
    fn note_unread(&mut self, trace: TraceId, own: &[ReceiptAt], arrived: &AHashSet<MessageKey>) {
        let mut counts = std::collections::BTreeMap::new();
        // A message under several keys arrived when it did under any.
        let read_at: AHashSet<_> = own
            .iter()
            .filter(|at| arrived.contains(&at.key))
            .map(|at| (at.span_id, at.receipt.index))
            .collect();
        for at in own {
            let place = (at.span_id, at.receipt.index);
            if has_consumers(at.receipt.carrier) && !read_at.contains(&place) {
                let to = (at.receipt.carrier, at.receipt.resource.clone());
                *counts.entry(to).or_insert(0_usize) += 1;
            }
        }
        for ((carrier, resource), messages) in counts.into_iter().take(UNREAD_MAX) {
            self.gaps.insert(Gap::ConsumerNotFound {
                trace_id: trace,
                carrier,
                resource,
                messages,
            });
        }
    }

    /// A message that nobody says he produced.
    fn note_lost(&mut self, trace: TraceId, row: u32, keys: &[MessageKey]) {
        let Some(loaded) = self.known(trace) else { return };
        let lost = loaded
            .receipts(row, Direction::In)
            .filter(|at| keys.contains(&at.key))
            .find(|at| has_consumers(at.receipt.carrier))
            .map(|at| (at.receipt.carrier, at.receipt.resource.clone()));
        if let Some((carrier, resource)) = lost {
            self.gaps.insert(Gap::ProducerNotFound { trace_id: trace, carrier, resource });
        }
    }

    /// A topmost span whose parent somebody else holds, or nobody.
    fn note_parent(&mut self, trace: TraceId, row: u32) {
        let Some(loaded) = self.known(trace) else { return };
        let top = loaded.ancestors(row).last().copied().unwrap_or(row);
        let parent_id = loaded.batch.span(top as usize).parent_id();
        if parent_id != SpanId::ZERO && loaded.row_of(parent_id).is_none() {
            self.gaps.insert(Gap::ParentNotHeld { trace_id: trace, parent_id });
        }
    }
}

/// Whether somebody who takes from this carrier usually says so; an object may never be read, and
/// a function is called by many who are not traced.
fn has_consumers(carrier: Carrier) -> bool {
    !matches!(
        carrier,
        Carrier::S3
            | Carrier::DynamoDb
            | Carrier::Lambda
            | Carrier::ApiGateway
            | Carrier::StepFunctions
            | Carrier::Http
            | Carrier::Pointer
            | Carrier::Link
            | Carrier::User
    )
}
