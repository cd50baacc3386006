//! Messages that start a trace of their own: found by the links between traces.
//!
//! **Rule:** X-Ray developer guide, "Tracing linked traces", and the attributes that AWS writes on
//! links (`aws.xray.reserved.*`); a span link of OpenTelemetry points from consumer to producer.

use std::borrow::Cow;

use ahash::{AHashMap, AHashSet};
use throughline_model::{AttrValue, LinkRef, SpanId, TraceId};

use super::inferred::texts;
use super::{Outcome, ServiceId, TraceView};

/// A message that was sent in one trace and received in another.
pub(super) struct LinkCall<'a> {
    pub(super) from: Cow<'a, ServiceId>,
    pub(super) to: Cow<'a, ServiceId>,
    /// View and place of the segment that received it.
    pub(super) consumer: Option<(usize, usize)>,
    pub(super) start_unix_nano: i64,
    pub(super) end_unix_nano: i64,
    pub(super) outcome: Outcome,
    /// From the end of sending to the start of receiving.
    pub(super) age_nano: Option<i64>,
}

/// View and place of an entity.
type At = (usize, usize);

/// The messages that links of these traces tell of, each once though both sides may tell.
///
/// Where only one side is given, the link itself must say who the other is.
pub(super) fn link_calls<'a>(views: &'a [TraceView<'_>]) -> Vec<LinkCall<'a>> {
    let has_links = |view: &TraceView<'_>| {
        view.entities.iter().any(|e| e.span.is_some_and(|span| span.links().len() > 0))
    };
    if !views.iter().any(has_links) {
        return Vec::new();
    }
    let reader = Reader::new(views);
    let mut seen = AHashSet::new();
    let mut calls = Vec::new();
    for (number, view) in views.iter().enumerate() {
        for (place, entity) in view.entities.iter().enumerate() {
            for link in entity.span.into_iter().flat_map(|span| span.links()) {
                if let Some((key, call)) = reader.read((number, place), link)
                    && seen.insert(key)
                {
                    calls.push(call);
                }
            }
        }
    }
    calls
}

/// Who sent and who received, by ids.
type LinkKey = [(TraceId, SpanId); 2];

struct Reader<'a, 'v> {
    views: &'a [TraceView<'v>],
    places: AHashMap<(TraceId, SpanId), At>,
    /// The segment that a caller's call goes to, an inferred one first.
    callees: AHashMap<At, usize>,
}

impl<'a, 'v> Reader<'a, 'v> {
    fn new(views: &'a [TraceView<'v>]) -> Self {
        let mut places = AHashMap::new();
        let mut callees = AHashMap::new();
        for (number, view) in views.iter().enumerate() {
            for (place, entity) in view.entities.iter().enumerate() {
                places.entry((view.trace_id, entity.id)).or_insert((number, place));
            }
            for edge in &view.edges {
                let callee = &view.entities[edge.to];
                let Some(caller) = callee.parent else { continue };
                let at = (number, caller);
                if callee.inferred || (edge.observed == caller && !callees.contains_key(&at)) {
                    callees.insert(at, edge.to);
                }
            }
        }
        Self { views, places, callees }
    }

    fn read(&self, at: At, link: LinkRef<'_>) -> Option<(LinkKey, LinkCall<'a>)> {
        let reference = text(link, "reference_type");
        let other = self.places.get(&(link.trace_id(), link.span_id())).copied();
        let (producer, consumer) = match reference {
            Some("child") => (Some(at), other),
            _ => (other, Some(at)),
        };
        let consumer =
            consumer.map(|(view, place)| (view, self.views[view].entities[place].segment));
        // Without a word on the other side, only what we hold can be drawn.
        let named = || if reference.is_some() { named_node(link) } else { None };
        let from = match producer {
            Some(at) => Cow::Borrowed(self.destination(at)),
            None => Cow::Owned(named()?),
        };
        let to = match consumer {
            Some(at) => Cow::Borrowed(&self.entity(at).service),
            None => Cow::Owned(named()?),
        };
        if let (Some(sent), Some(received)) = (producer, consumer) {
            let is_child = sent.0 == received.0 && self.entity(received).parent == Some(sent.1);
            if is_child || sent == received {
                return None;
            }
        }
        let target = (link.trace_id(), link.span_id());
        let ids = |at: Option<At>| at.map_or(target, |at| self.ids(at));
        let sent_end = producer.map(|at| self.entity(at).end_unix_nano);
        let received = consumer.map(|at| self.entity(at));
        let start = received.map(|e| e.start_unix_nano).or_else(|| received_unix_nano(link));
        let start = start.or(sent_end).unwrap_or_default();
        let is_known = received.is_some() || received_unix_nano(link).is_some();
        let age_nano = sent_end.filter(|_| is_known).map(|end| start.saturating_sub(end).max(0));
        let call = LinkCall {
            from,
            to,
            consumer,
            start_unix_nano: start,
            end_unix_nano: received.map_or(start, |e| e.end_unix_nano),
            outcome: received.map_or(Outcome::Ok, super::Entity::outcome),
            age_nano,
        };
        Some(([ids(producer), ids(consumer)], call))
    }

    fn entity(&self, (view, place): At) -> &'a super::Entity<'v> {
        &self.views[view].entities[place]
    }

    fn ids(&self, at: At) -> (TraceId, SpanId) {
        (self.views[at.0].trace_id, self.entity(at).id)
    }

    /// Where a producer's message went: the queue where one is known, else the producer itself.
    fn destination(&self, at: At) -> &'a ServiceId {
        let callee = self.callees.get(&at).map(|place| (at.0, *place));
        &self.entity(callee.unwrap_or(at)).service
    }
}

/// The node that a link's own attributes name.
fn named_node(link: LinkRef<'_>) -> Option<ServiceId> {
    let names = texts(link.attributes().value("aws.xray.reserved.names")?);
    let names: Vec<String> = names.iter().take(10).map(|name| super::facts::short(name)).collect();
    let kind = text(link, "type").map(super::facts::short).unwrap_or_default();
    Some(ServiceId { name: names.first()?.clone(), names, kind, account: None })
}

fn text<'a>(link: LinkRef<'a>, word: &str) -> Option<&'a str> {
    let key = format!("aws.xray.reserved.{word}");
    link.attributes().value(&key).and_then(AttrValue::as_str)
}

/// When the consumer had received the message, nanoseconds since the epoch.
fn received_unix_nano(link: LinkRef<'_>) -> Option<i64> {
    let seconds = match link.attributes().value("aws.xray.reserved.received_event_end_time")? {
        AttrValue::Double(seconds) => seconds,
        AttrValue::Int(seconds) => seconds as f64,
        AttrValue::Str(text) => text.parse().ok()?,
        _ => return None,
    };
    // A double holds seconds of today to a microsecond at best; more digits would be invented.
    Some(((seconds * 1e6).round() as i64).saturating_mul(1_000))
}
