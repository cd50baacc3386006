//! A borrowed view of one span, for whoever thinks in rows.

use crate::{AttrRange, AttrValue, SpanBatch, SpanId, SpanKind, StatusCode, TraceId};

/// One span of a batch, borrowed.
#[derive(Clone, Copy)]
pub struct SpanRef<'a> {
    pub(crate) batch: &'a SpanBatch,
    pub(crate) row: usize,
}

/// What makes two records pieces of one span.
///
/// The kind belongs to it because the two sides of one Zipkin call may share an id (ADR-0004).
pub type SpanKey = (TraceId, SpanId, SpanKind);

impl<'a> SpanRef<'a> {
    /// The batch this span is in.
    pub fn batch(self) -> &'a SpanBatch {
        self.batch
    }

    /// The row in its batch.
    pub fn row(self) -> usize {
        self.row
    }

    /// The key under which pieces of one span merge.
    pub fn key(self) -> SpanKey {
        (self.trace_id(), self.span_id(), self.kind())
    }

    /// The id of its trace.
    pub fn trace_id(self) -> TraceId {
        TraceId::from_slice(&self.batch.trace_ids[self.row * 16..self.row * 16 + 16])
            .unwrap_or_default()
    }

    /// Its own id.
    pub fn span_id(self) -> SpanId {
        id_at(&self.batch.span_ids, self.row)
    }

    /// The id of its parent, zero for a root.
    pub fn parent_id(self) -> SpanId {
        id_at(&self.batch.parent_ids, self.row)
    }

    /// Start, nanoseconds since the epoch.
    pub fn start_unix_nano(self) -> i64 {
        self.batch.starts[self.row]
    }

    /// Duration in nanoseconds; `None` while no end has been sent, negative when a clock lied.
    pub fn duration_nano(self) -> Option<i64> {
        Some(self.batch.durations[self.row]).filter(|d| *d != crate::NO_END)
    }

    /// End, nanoseconds since the epoch, or the start while no end has been sent.
    pub fn end_unix_nano(self) -> i64 {
        self.start_unix_nano().saturating_add(self.duration_nano().unwrap_or(0))
    }

    /// Its kind.
    pub fn kind(self) -> SpanKind {
        SpanKind::from_number(self.batch.kinds[self.row])
    }

    /// Its status.
    pub fn status(self) -> StatusCode {
        StatusCode::from_number(self.batch.statuses[self.row])
    }

    /// The text sent with its status.
    pub fn status_message(self) -> &'a str {
        self.batch.string(self.batch.status_messages[self.row])
    }

    /// Its name.
    pub fn name(self) -> &'a str {
        self.batch.string(self.batch.names[self.row])
    }

    /// W3C trace state, as sent.
    pub fn trace_state(self) -> &'a str {
        self.batch.string(self.batch.trace_states[self.row])
    }

    /// W3C trace flags in the low byte, OTLP's "remote" bits above.
    pub fn flags(self) -> u32 {
        self.batch.flags[self.row]
    }

    /// Attributes of the span.
    pub fn attributes(self) -> Attributes<'a> {
        Attributes::new(self.batch, self.batch.span_attrs(self.row))
    }

    /// One attribute of the span; the first when a key was sent twice.
    pub fn attribute(self, key: &str) -> Option<AttrValue<'a>> {
        self.attributes().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// One attribute of the span by its key's string number, which is quicker in a loop.
    pub fn attribute_by_number(self, key: u32) -> Option<AttrValue<'a>> {
        let range = self.batch.span_attrs(self.row);
        let keys = &self.batch.attr_keys[range.start as usize..range.end as usize];
        let at = keys.iter().position(|k| *k == key)?;
        Some(self.batch.attr_value(range.start + at as u32))
    }

    /// All values of one key, by the key's string number; more than one when it was sent twice.
    pub fn attributes_of(self, key: u32) -> impl Iterator<Item = AttrValue<'a>> {
        let batch = self.batch;
        let range = batch.span_attrs(self.row);
        range
            .filter(move |index| batch.attr_key(*index) == key)
            .map(|index| batch.attr_value(index))
    }

    /// Who sent it.
    pub fn resource(self) -> ResourceRef<'a> {
        ResourceRef { batch: self.batch, number: self.batch.resources[self.row] as usize }
    }

    /// Which library made it.
    pub fn scope(self) -> ScopeRef<'a> {
        ScopeRef { batch: self.batch, number: self.batch.scopes[self.row] as usize }
    }

    /// `service.name`, or `unknown_service` when the sender gave none.
    ///
    /// **Rule:** OpenTelemetry semantic conventions, resource, `service.name`.
    pub fn service(self) -> &'a str {
        self.resource().service()
    }

    /// Its events, in the order sent.
    pub fn events(self) -> impl ExactSizeIterator<Item = EventRef<'a>> {
        let offsets = &self.batch.event_offsets;
        let range = offsets[self.row] as usize..offsets[self.row + 1] as usize;
        let batch = self.batch;
        range.map(move |index| EventRef { batch, index })
    }

    /// Its links, in the order sent.
    pub fn links(self) -> impl ExactSizeIterator<Item = LinkRef<'a>> {
        let offsets = &self.batch.link_offsets;
        let range = offsets[self.row] as usize..offsets[self.row + 1] as usize;
        let batch = self.batch;
        range.map(move |index| LinkRef { batch, index })
    }

    /// Attributes, events and links that were dropped before they reached the store.
    pub fn dropped(self) -> [u32; 3] {
        let dropped = &self.batch.dropped;
        match dropped.binary_search_by_key(&(self.row as u32), |(row, _)| *row) {
            Ok(at) => dropped[at].1,
            Err(_) => [0; 3],
        }
    }
}

fn id_at(ids: &[u8], row: usize) -> SpanId {
    SpanId::from_slice(&ids[row * 8..row * 8 + 8]).unwrap_or_default()
}

/// Attributes as pairs of key and value, in the order sent.
#[derive(Clone)]
pub struct Attributes<'a> {
    batch: &'a SpanBatch,
    range: AttrRange,
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(batch: &'a SpanBatch, range: AttrRange) -> Self {
        Self { batch, range }
    }

    /// Where they stand in the batch's attribute table.
    pub fn range(&self) -> AttrRange {
        self.range.clone()
    }

    /// The value of a key; the first when a key was sent twice.
    pub fn value(mut self, key: &str) -> Option<AttrValue<'a>> {
        self.find(|(k, _)| *k == key).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, AttrValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.range.next()?;
        Some((self.batch.string(self.batch.attr_key(index)), self.batch.attr_value(index)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl ExactSizeIterator for Attributes<'_> {}

/// A resource of a batch, borrowed.
#[derive(Clone, Copy)]
pub struct ResourceRef<'a> {
    pub(crate) batch: &'a SpanBatch,
    pub(crate) number: usize,
}

impl<'a> ResourceRef<'a> {
    /// Its number in the batch.
    pub fn number(self) -> usize {
        self.number
    }

    /// Its attributes.
    pub fn attributes(self) -> Attributes<'a> {
        Attributes::new(self.batch, self.batch.resource_attrs(self.number))
    }

    /// `service.name`, or `unknown_service`.
    pub fn service(self) -> &'a str {
        match self.attributes().value("service.name") {
            Some(AttrValue::Str(name)) if !name.is_empty() => name,
            _ => "unknown_service",
        }
    }

    /// The environment: `deployment.environment.name`, else the older `deployment.environment`.
    ///
    /// **Rule:** OpenTelemetry semantic conventions, resource, `deployment.environment.name`.
    pub fn environment(self) -> Option<&'a str> {
        let attributes = self.attributes();
        ["deployment.environment.name", "deployment.environment"]
            .into_iter()
            .find_map(|key| attributes.clone().value(key).and_then(AttrValue::as_str))
            .filter(|name| !name.is_empty())
    }

    /// The schema that its attributes follow, as sent.
    pub fn schema_url(self) -> &'a str {
        self.batch.string(self.batch.resource_rows[self.number].schema_url)
    }

    /// Attributes dropped by the sender.
    pub fn dropped(self) -> u32 {
        self.batch.resource_rows[self.number].dropped
    }
}

/// An instrumentation scope of a batch, borrowed.
#[derive(Clone, Copy)]
pub struct ScopeRef<'a> {
    pub(crate) batch: &'a SpanBatch,
    pub(crate) number: usize,
}

impl<'a> ScopeRef<'a> {
    /// Its number in the batch.
    pub fn number(self) -> usize {
        self.number
    }

    /// Its name.
    pub fn name(self) -> &'a str {
        self.batch.string(self.batch.scope_rows[self.number].name)
    }

    /// Its version.
    pub fn version(self) -> &'a str {
        self.batch.string(self.batch.scope_rows[self.number].version)
    }

    /// The schema that its spans follow, as sent.
    pub fn schema_url(self) -> &'a str {
        self.batch.string(self.batch.scope_rows[self.number].schema_url)
    }

    /// Its attributes.
    pub fn attributes(self) -> Attributes<'a> {
        let row = &self.batch.scope_rows[self.number];
        Attributes::new(self.batch, row.attr_start..row.attr_end)
    }

    /// Attributes dropped by the sender.
    pub fn dropped(self) -> u32 {
        self.batch.scope_rows[self.number].dropped
    }
}

/// An event of a span, borrowed.
#[derive(Clone, Copy)]
pub struct EventRef<'a> {
    batch: &'a SpanBatch,
    index: usize,
}

impl<'a> EventRef<'a> {
    /// When, nanoseconds since the epoch.
    pub fn time_unix_nano(self) -> i64 {
        self.batch.event_times[self.index]
    }

    /// Its name.
    pub fn name(self) -> &'a str {
        self.batch.string(self.batch.event_names[self.index])
    }

    /// Its attributes.
    pub fn attributes(self) -> Attributes<'a> {
        let range =
            self.batch.event_attr_starts[self.index]..self.batch.event_attr_ends[self.index];
        Attributes::new(self.batch, range)
    }

    /// Attributes dropped by the sender.
    pub fn dropped(self) -> u32 {
        self.batch.event_dropped[self.index]
    }
}

/// A link of a span, borrowed.
#[derive(Clone, Copy)]
pub struct LinkRef<'a> {
    batch: &'a SpanBatch,
    index: usize,
}

impl<'a> LinkRef<'a> {
    /// The trace that is linked to.
    pub fn trace_id(self) -> TraceId {
        self.batch.link_rows[self.index].trace_id
    }

    /// The span that is linked to.
    pub fn span_id(self) -> SpanId {
        self.batch.link_rows[self.index].span_id
    }

    /// Its W3C trace state.
    pub fn trace_state(self) -> &'a str {
        self.batch.string(self.batch.link_rows[self.index].trace_state)
    }

    /// W3C trace flags, and OTLP's "remote" bits above them.
    pub fn flags(self) -> u32 {
        self.batch.link_rows[self.index].flags
    }

    /// Its attributes.
    pub fn attributes(self) -> Attributes<'a> {
        let row = &self.batch.link_rows[self.index];
        Attributes::new(self.batch, row.attr_start..row.attr_end)
    }

    /// Attributes dropped by the sender.
    pub fn dropped(self) -> u32 {
        self.batch.link_rows[self.index].dropped
    }
}
