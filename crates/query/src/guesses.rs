//! What may belong to a journey too, where no id and no context says so: only when asked.
//!
//! In:   a journey, and the store around the times of its spans.
//! Out:  edges that are guesses, to spans of other traces. They are never followed.
//! Rule: a span that is joined is not guessed about. Limits bound how many are looked for.

use std::collections::{BTreeMap, HashSet};

use throughline_model::TraceId;
use throughline_store::Snapshot;
use throughline_topology::stitch::{
    Direction, GUESS_WINDOW_NANO, JoinEdge, Journey, PLACE_ATTRIBUTES, SKEW_MAX_NANO, Side, Source,
    guesses as guess, sides,
};

use crate::RunError;
use crate::ast::{AttrScope, CompareOp, Expr, Field, Literal};
use crate::journeys::Stored;
use crate::scan::{Wanted, candidates};

/// Spans of a journey whose other side is guessed.
const SIDES_MAX: usize = 20;
/// Traces that are looked at for one of them.
const TRACES_MAX: usize = 100;

/// Guesses about the spans of a journey that nothing joins, surest first.
///
/// # Errors
///
/// When the store cannot be read.
pub fn guesses(snapshot: &Snapshot, journey: &Journey) -> Result<Vec<JoinEdge>, RunError> {
    let stored = Stored::new(snapshot);
    let joined: HashSet<_> =
        journey.steps.iter().flat_map(|step| [step.edge.from, step.edge.to]).collect();
    let mut found: BTreeMap<u128, JoinEdge> = BTreeMap::new();
    let open = journey.traces.iter().flat_map(|member| {
        let shown: HashSet<_> =
            member.rows.iter().map(|row| member.batch.span(*row as usize).span_id()).collect();
        sides(&member.batch).into_iter().filter(move |side| shown.contains(&side.at.1))
    });
    for side in open.filter(|side| !joined.contains(&side.at)).take(SIDES_MAX) {
        let others = others(snapshot, &stored, &side)?;
        for mut edge in guess(&side, &others) {
            let end = if side.direction == Direction::Out { edge.to } else { edge.from };
            let Some(other) = others.iter().find(|other| other.at == end) else { continue };
            // Seen from there others may fit as well, or better.
            let back = guess(other, &self::others(snapshot, &stored, other)?);
            let Some(back) = back.into_iter().find(|one| one.id == edge.id) else { continue };
            edge.confidence_permille = edge.confidence_permille.min(back.confidence_permille);
            found.insert(edge.id, edge);
        }
    }
    let mut found: Vec<JoinEdge> = found.into_values().collect();
    found.sort_by_key(|edge| (std::cmp::Reverse(edge.confidence_permille), edge.id));
    Ok(found)
}

/// The sides of other traces at the same place around the same time.
fn others(snapshot: &Snapshot, stored: &Stored<'_>, side: &Side) -> Result<Vec<Side>, RunError> {
    let (from, to) = match side.direction {
        Direction::Out => (-SKEW_MAX_NANO, GUESS_WINDOW_NANO),
        Direction::In => (-GUESS_WINDOW_NANO, SKEW_MAX_NANO),
    };
    let named = PLACE_ATTRIBUTES.map(|key| Expr::Compare {
        field: Field::Attribute(AttrScope::Span, key.to_owned()),
        op: CompareOp::Eq,
        literal: Literal::Str(side.resource.clone()),
    });
    let start = side.start_unix_nano;
    let wanted = Wanted {
        filter: Some(Expr::Or(named.to_vec())),
        from: start.saturating_add(from),
        to: start.saturating_add(to),
    };
    let mut ids: HashSet<TraceId> = HashSet::new();
    for chunk in snapshot.chunks(wanted.from, wanted.to) {
        for one in candidates(&chunk, &wanted)? {
            ids.insert(one.trace_id);
        }
        if ids.len() > TRACES_MAX {
            // So busy a place makes every guess a bad one.
            return Ok(Vec::new());
        }
    }
    let ids: Vec<TraceId> = ids.into_iter().collect();
    stored.read(&ids)?;
    let mut found = Vec::new();
    for id in ids {
        if let Some(batch) = stored.trace(id)? {
            found.extend(sides(&batch));
        }
    }
    found.sort_by_key(|side| side.at);
    Ok(found)
}
