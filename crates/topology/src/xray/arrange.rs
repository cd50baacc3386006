//! The last step of a view: everything in its final order, by which others find it.

use ahash::AHashMap;
use throughline_model::{AttrValue, SpanId, xray};

use super::facts::is_xray;
use super::view::Draft;
use super::{Edge, Entity, Exception, TraceView};

/// The most characters of an exception's message that entities around the thrower repeat.
const REPEATED_MESSAGE_LENGTH_MAX: usize = 200;

/// Orders a draft: segments by start, each followed by what lies in it.
pub(super) fn arrange(draft: Draft<'_>) -> TraceView<'_> {
    let order = order(&draft);
    let Draft { trace_id, entities: drafted, children, .. } = draft;
    let mut places = vec![0; drafted.len()];
    for (place, old) in order.iter().enumerate() {
        places[*old] = place;
    }
    let mut drafted: Vec<Option<Entity<'_>>> = drafted.into_iter().map(Some).collect();
    let mut children = children;
    let mut entities = Vec::with_capacity(drafted.len());
    for old in order {
        let Some(mut entity) = drafted[old].take() else { continue };
        entity.parent = entity.parent.map(|parent| places[parent]);
        entity.segment = places[entity.segment];
        entity.children = std::mem::take(&mut children[old]);
        entity.children.iter_mut().for_each(|child| *child = places[*child]);
        entities.push(entity);
    }
    sort_children(&mut entities);
    explain_failures(&mut entities);
    let segments: Vec<usize> =
        (0..entities.len()).filter(|place| entities[*place].is_segment).collect();
    let is_entry = |place: &&usize| {
        let entity = &entities[**place];
        entity.parent.is_none() && entity.parent_id.is_zero()
    };
    let is_top = |place: &&usize| entities[**place].parent.is_none();
    let root = segments
        .iter()
        .find(is_entry)
        .or_else(|| segments.iter().find(is_top))
        .or(segments.first())
        .copied();
    let edges = edges(&entities, &segments);
    TraceView { trace_id, entities, segments, root, edges }
}

/// The old places in the new order.
fn order(draft: &Draft<'_>) -> Vec<usize> {
    let entities = &draft.entities;
    let mut depths = vec![0_u32; entities.len()];
    for at in draft.top_down() {
        depths[at] = entities[at].parent.map_or(0, |parent| depths[parent].saturating_add(1));
    }
    let by_start = |at: &usize| (entities[*at].start_unix_nano, depths[*at], entities[*at].id, *at);
    let mut segments: Vec<usize> =
        (0..entities.len()).filter(|at| entities[*at].is_segment).collect();
    segments.sort_unstable_by_key(by_start);
    let mut order = Vec::with_capacity(entities.len());
    let mut waiting = Vec::new();
    for segment in segments {
        waiting.push(segment);
        while let Some(at) = waiting.pop() {
            order.push(at);
            let first = waiting.len();
            let children = draft.children[at].iter().copied();
            waiting.extend(children.filter(|child| !entities[*child].is_segment));
            waiting[first..].sort_unstable_by_key(|at| std::cmp::Reverse(by_start(at)));
        }
    }
    order
}

fn sort_children(entities: &mut [Entity<'_>]) {
    for at in 0..entities.len() {
        let mut children = std::mem::take(&mut entities[at].children);
        children.sort_unstable_by_key(|child| {
            (entities[*child].start_unix_nano, entities[*child].id, *child)
        });
        entities[at].children = children;
    }
}

fn edges(entities: &[Entity<'_>], segments: &[usize]) -> Vec<Edge> {
    let edge = |to: &usize| {
        let parent = entities[*to].parent?;
        let observed = if entities[parent].is_segment { *to } else { parent };
        Some(Edge { from: entities[parent].segment, to: *to, observed })
    };
    segments.iter().filter_map(edge).collect()
}

/// Gives an entity that only refers to an exception told elsewhere that exception.
///
/// **Rule:** X-Ray developer guide, "Segment documents", `cause`: text is the id of an exception;
/// the SDK for Node sends an object with the id of the subsegment that threw.
fn explain_failures(entities: &mut [Entity<'_>]) {
    let mut exceptions: AHashMap<&str, (usize, usize)> = AHashMap::new();
    let mut places: AHashMap<SpanId, usize> = AHashMap::new();
    for (place, entity) in entities.iter().enumerate() {
        let Some(span) = entity.span.filter(|span| is_xray(*span)) else { continue };
        places.insert(entity.id, place);
        let events = span.events().filter(|event| event.name() == "exception");
        for (number, event) in events.enumerate() {
            let id = event.attributes().value("xray.exception.id").and_then(AttrValue::as_str);
            if let Some(id) = id {
                exceptions.entry(id).or_insert((place, number));
            }
        }
    }
    // Children stand behind their parents, so what a child refers to is found before it is asked.
    for place in (0..entities.len()).rev() {
        let entity = &entities[place];
        let Some(span) = entity.span.filter(|span| is_xray(*span)) else { continue };
        if !entity.exceptions.is_empty() || !(entity.error || entity.fault || entity.throttle) {
            continue;
        }
        let cause = span.attribute(xray::CAUSE).and_then(AttrValue::as_str);
        let Some(id) = cause.and_then(id_of_cause) else { continue };
        let (thrower, number) = match (exceptions.get(id), SpanId::parse(id)) {
            (Some(found), _) => *found,
            (None, Ok(id)) => match places.get(&id) {
                Some(thrower) => (*thrower, 0),
                None => continue,
            },
            _ => continue,
        };
        let Some(thrown) = entities[thrower].exceptions.get(number) else { continue };
        let short = |text: &str| text.chars().take(REPEATED_MESSAGE_LENGTH_MAX).collect();
        let repeated = Exception { name: short(&thrown.name), message: short(&thrown.message) };
        entities[place].exceptions.push(repeated);
    }
    for place in 0..entities.len() {
        let entity = &entities[place];
        if entity.inferred
            && entity.span.is_none()
            && let Some(caller) = entity.parent
        {
            entities[place].exceptions = entities[caller].exceptions.clone();
        }
    }
}

/// The id in a cause that is text, or an object that lists no exception of its own.
fn id_of_cause(json: &str) -> Option<&str> {
    let json = json.trim();
    if let Some(text) = json.strip_prefix('"') {
        return text.strip_suffix('"');
    }
    let (_, behind) = json.split_once("\"id\"")?;
    let behind = behind.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    behind.split('"').next()
}
