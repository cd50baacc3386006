//! The one way to make a batch: decoders write rows, field by field.
//!
//! No call allocates once the builder is warm: strings that repeat are interned, values are copied
//! into one heap, and a finished batch is a copy of exactly the bytes used, so the builder keeps
//! its room for the next request.

use std::sync::Arc;

use ahash::RandomState;
use arrow::buffer::{Buffer, ScalarBuffer};

use crate::{
    AttrValue, Attributes, LinkRow, ResourceRow, ScopeRow, SpanBatch, SpanId, SpanKind, SpanRef,
    StatusCode, TraceId,
};

/// Writes spans row by row. Use one for many batches.
///
/// The order of calls is the order of the tree: a resource with its attributes, a scope with its
/// attributes, then spans. Inside a span: its fields and attributes in any order, then its events,
/// each followed by its attributes, then its links, each followed by its attributes.
///
/// ```
/// use throughline_model::{AttrValue, SpanBatchBuilder, SpanId, TraceId};
/// let mut builder = SpanBatchBuilder::default();
/// builder.start_resource();
/// builder.attribute("service.name", AttrValue::Str("checkout"));
/// builder.end_resource("", 0);
/// builder.start_scope("my.library", "1.0");
/// builder.end_scope("", 0);
/// builder.start_span(TraceId([1; 16]), SpanId([2; 8]));
/// builder.name("POST /orders");
/// builder.times(1_000, 500);
/// builder.attribute("http.route", AttrValue::Str("/orders"));
/// builder.end_span();
/// let batch = builder.finish();
/// assert_eq!(batch.span(0).service(), "checkout");
/// ```
#[derive(Default)]
pub struct SpanBatchBuilder {
    trace_ids: Vec<u8>,
    span_ids: Vec<u8>,
    parent_ids: Vec<u8>,
    starts: Vec<i64>,
    durations: Vec<i64>,
    kinds: Vec<u8>,
    statuses: Vec<u8>,
    flags: Vec<u32>,
    names: Vec<u32>,
    status_messages: Vec<u32>,
    trace_states: Vec<u32>,
    resources: Vec<u32>,
    scopes: Vec<u32>,
    attr_starts: Vec<u32>,
    attr_ends: Vec<u32>,
    event_ends: Vec<u32>,
    link_ends: Vec<u32>,
    dropped: Vec<(u32, [u32; 3])>,

    event_times: Vec<i64>,
    event_names: Vec<u32>,
    event_attr_starts: Vec<u32>,
    event_attr_ends: Vec<u32>,
    event_dropped: Vec<u32>,
    links: Vec<LinkRow>,

    attr_keys: Vec<u32>,
    attr_types: Vec<u8>,
    attr_values: Vec<u64>,
    heap: Vec<u8>,

    strings: Strings,
    resource_rows: Vec<ResourceRow>,
    scope_rows: Vec<ScopeRow>,
    resource_now: u32,
    scope_now: u32,
    group_start: u32,
    span: Open,
}

/// What is known of the span being written.
#[derive(Default)]
struct Open {
    trace_id: TraceId,
    span_id: SpanId,
    parent_id: SpanId,
    start: i64,
    duration: i64,
    kind: u8,
    status: u8,
    flags: u32,
    name: u32,
    status_message: u32,
    trace_state: u32,
    attr_start: u32,
    attr_end: Option<u32>,
    dropped: [u32; 3],
    heap_start: usize,
    event_start: usize,
    link_start: usize,
    /// Position in the span's keys, for the guess of [`Strings::intern_key`].
    in_event: bool,
    in_link: bool,
}

impl SpanBatchBuilder {
    /// The number of spans written so far.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether no span was written so far.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Begins a resource; attributes that follow are its own.
    pub fn start_resource(&mut self) {
        self.group_start = self.attr_keys.len() as u32;
    }

    /// Ends the resource. Spans that follow belong to it. Returns its number.
    ///
    /// An equal resource of the same batch is found again instead of kept twice.
    pub fn end_resource(&mut self, schema_url: &str, dropped: u32) -> u32 {
        let row = ResourceRow {
            attr_start: self.group_start,
            attr_end: self.attr_keys.len() as u32,
            dropped,
            schema_url: self.strings.intern(schema_url),
        };
        // Few resources a batch: a linear search from the newest beats a hash of all attributes.
        let same = searched(&self.resource_rows).iter().rposition(|old| {
            (old.dropped, old.schema_url) == (row.dropped, row.schema_url)
                && self.same_attributes(old.attr_start, old.attr_end)
        });
        self.resource_now = match same {
            Some(found) => {
                self.truncate_attributes(row.attr_start);
                found as u32
            }
            None => {
                self.resource_rows.push(row);
                self.resource_rows.len() as u32 - 1
            }
        };
        self.resource_now
    }

    /// Begins a scope; attributes that follow are its own.
    pub fn start_scope(&mut self, name: &str, version: &str) {
        self.group_start = self.attr_keys.len() as u32;
        let (name, version) = (self.strings.intern(name), self.strings.intern(version));
        let attr_start = self.group_start;
        self.scope_rows.push(ScopeRow { name, version, attr_start, ..ScopeRow::default() });
    }

    /// Ends the scope. Spans that follow belong to it. Returns its number.
    pub fn end_scope(&mut self, schema_url: &str, dropped: u32) -> u32 {
        let schema_url = self.strings.intern(schema_url);
        let end = self.attr_keys.len() as u32;
        let Some(mut row) = self.scope_rows.pop() else { return 0 };
        row = ScopeRow { attr_end: end, dropped, schema_url, ..row };
        let same = searched(&self.scope_rows).iter().rposition(|old| {
            (old.name, old.version, old.dropped, old.schema_url)
                == (row.name, row.version, row.dropped, row.schema_url)
                && self.same_attributes(old.attr_start, old.attr_end)
        });
        self.scope_now = match same {
            Some(found) => {
                self.truncate_attributes(row.attr_start);
                found as u32
            }
            None => {
                self.scope_rows.push(row);
                self.scope_rows.len() as u32 - 1
            }
        };
        self.scope_now
    }

    /// Says which resource the spans that follow belong to, by the number that
    /// [`SpanBatchBuilder::end_resource`] gave.
    pub fn use_resource(&mut self, number: u32) {
        self.resource_now = number;
    }

    /// Says which scope the spans that follow belong to.
    pub fn use_scope(&mut self, number: u32) {
        self.scope_now = number;
    }

    fn same_attributes(&self, old_start: u32, old_end: u32) -> bool {
        let new_start = self.group_start as usize;
        let (old_start, old_end) = (old_start as usize, old_end as usize);
        old_end - old_start == self.attr_keys.len() - new_start
            && self.attr_keys[old_start..old_end] == self.attr_keys[new_start..]
            && self.attr_types[old_start..old_end] == self.attr_types[new_start..]
            && (old_start..old_end).zip(new_start..).all(|(a, b)| self.same_value(a, b))
    }

    fn same_value(&self, a: usize, b: usize) -> bool {
        let (left, right) = (self.attr_values[a], self.attr_values[b]);
        match self.attr_types[a] {
            1 | 5 | 6 | 7 => heap_slice(&self.heap, left) == heap_slice(&self.heap, right),
            _ => left == right,
        }
    }

    fn truncate_attributes(&mut self, start: u32) {
        let start = start as usize;
        self.attr_keys.truncate(start);
        self.attr_types.truncate(start);
        self.attr_values.truncate(start);
    }

    /// Begins a span of the current resource and scope.
    pub fn start_span(&mut self, trace_id: TraceId, span_id: SpanId) {
        if self.resource_rows.is_empty() {
            self.resource_rows.push(ResourceRow::default());
        }
        if self.scope_rows.is_empty() {
            self.scope_rows.push(ScopeRow::default());
        }
        self.strings.restart_guess();
        self.span = Open {
            trace_id,
            span_id,
            attr_start: self.attr_keys.len() as u32,
            heap_start: self.heap.len(),
            event_start: self.event_times.len(),
            link_start: self.links.len(),
            ..Open::default()
        };
    }

    /// Sets the ids, for decoders that read them after other fields.
    pub fn ids(&mut self, trace_id: TraceId, span_id: SpanId) {
        self.span.trace_id = trace_id;
        self.span.span_id = span_id;
    }

    /// Sets the parent.
    pub fn parent_id(&mut self, parent_id: SpanId) {
        self.span.parent_id = parent_id;
    }

    /// Sets the name.
    pub fn name(&mut self, name: &str) {
        self.span.name = self.strings.intern(name);
    }

    /// Sets start (nanoseconds since the epoch) and duration (nanoseconds, or [`crate::NO_END`]).
    pub fn times(&mut self, start_unix_nano: i64, duration_nano: i64) {
        self.span.start = start_unix_nano;
        self.span.duration = duration_nano;
    }

    /// Sets the kind.
    pub fn kind(&mut self, kind: SpanKind) {
        self.span.kind = kind as u8;
    }

    /// Sets the status and its text.
    pub fn status(&mut self, code: StatusCode, message: &str) {
        self.span.status = code as u8;
        self.span.status_message = self.strings.intern(message);
    }

    /// Sets W3C trace state.
    pub fn trace_state(&mut self, trace_state: &str) {
        self.span.trace_state = self.strings.intern(trace_state);
    }

    /// Sets W3C trace flags and OTLP's "remote" bits.
    pub fn flags(&mut self, flags: u32) {
        self.span.flags = flags;
    }

    /// Says how many attributes, events and links were dropped before.
    pub fn dropped(&mut self, attributes: u32, events: u32, links: u32) {
        self.span.dropped = [attributes, events, links];
    }

    /// Adds an attribute whose key stood at this place in the span before, and says whether it did.
    ///
    /// For decoders: the bytes equal a key that is known to be text, so they need no check.
    pub fn attribute_as_before(&mut self, key: &[u8], value: AttrValue<'_>) -> bool {
        let Some(key) = self.strings.guess_key(key) else { return false };
        self.push_attribute(key, value);
        true
    }

    /// Adds an attribute to what was begun last: resource, scope, span, event or link.
    pub fn attribute(&mut self, key: &str, value: AttrValue<'_>) {
        let key = self.strings.intern_key(key);
        self.push_attribute(key, value);
    }

    fn push_attribute(&mut self, key: u32, value: AttrValue<'_>) {
        let raw = match value {
            AttrValue::Str(text) => self.put(text.as_bytes()),
            AttrValue::Bytes(b) | AttrValue::Array(b) | AttrValue::Map(b) => self.put(b),
            AttrValue::Bool(flag) => u64::from(flag),
            AttrValue::Int(int) => int.cast_unsigned(),
            AttrValue::Double(double) => double.to_bits(),
            AttrValue::Empty => 0,
        };
        self.attr_keys.push(key);
        self.attr_types.push(value.kind() as u8);
        self.attr_values.push(raw);
    }

    fn put(&mut self, bytes: &[u8]) -> u64 {
        let offset = self.heap.len() as u64;
        self.heap.extend_from_slice(bytes);
        offset << 32 | bytes.len() as u64
    }

    /// Begins an event of the span; attributes that follow are its own.
    pub fn start_event(&mut self, time_unix_nano: i64, name: &str, dropped: u32) {
        self.close_group();
        self.span.in_event = true;
        self.event_times.push(time_unix_nano);
        let name = self.strings.intern(name);
        self.event_names.push(name);
        self.event_attr_starts.push(self.attr_keys.len() as u32);
        self.event_dropped.push(dropped);
    }

    /// Begins a link of the span; attributes that follow are its own.
    pub fn start_link(
        &mut self,
        trace_id: TraceId,
        span_id: SpanId,
        trace_state: &str,
        flags: u32,
        dropped: u32,
    ) {
        self.close_group();
        self.span.in_link = true;
        let trace_state = self.strings.intern(trace_state);
        let attr_start = self.attr_keys.len() as u32;
        let attr_end = attr_start;
        let row = LinkRow { trace_id, span_id, trace_state, flags, attr_start, attr_end, dropped };
        self.links.push(row);
    }

    fn close_group(&mut self) {
        let end = self.attr_keys.len() as u32;
        if self.span.attr_end.is_none() {
            self.span.attr_end = Some(end);
        }
        if std::mem::take(&mut self.span.in_event) {
            self.event_attr_ends.push(end);
        }
        if std::mem::take(&mut self.span.in_link)
            && let Some(link) = self.links.last_mut()
        {
            link.attr_end = end;
        }
    }

    /// Ends the span and keeps it.
    pub fn end_span(&mut self) {
        self.close_group();
        let row = self.starts.len() as u32;
        let span = &self.span;
        self.trace_ids.extend_from_slice(&span.trace_id.0);
        self.span_ids.extend_from_slice(&span.span_id.0);
        self.parent_ids.extend_from_slice(&span.parent_id.0);
        self.starts.push(span.start);
        self.durations.push(span.duration);
        self.kinds.push(span.kind);
        self.statuses.push(span.status);
        self.flags.push(span.flags);
        self.names.push(span.name);
        self.status_messages.push(span.status_message);
        self.trace_states.push(span.trace_state);
        self.resources.push(self.resource_now);
        self.scopes.push(self.scope_now);
        self.attr_starts.push(span.attr_start);
        self.attr_ends.push(span.attr_end.unwrap_or(span.attr_start));
        self.event_ends.push(self.event_times.len() as u32);
        self.link_ends.push(self.links.len() as u32);
        if span.dropped != [0; 3] {
            self.dropped.push((row, span.dropped));
        }
    }

    /// Forgets the span being written, for a decoder that finds it bad half way.
    pub fn abort_span(&mut self) {
        let start = self.span.attr_start;
        self.truncate_attributes(start);
        self.heap.truncate(self.span.heap_start);
        self.event_times.truncate(self.span.event_start);
        self.event_names.truncate(self.span.event_start);
        self.event_attr_starts.truncate(self.span.event_start);
        self.event_attr_ends.truncate(self.span.event_start);
        self.event_dropped.truncate(self.span.event_start);
        self.links.truncate(self.span.link_start);
        self.span = Open::default();
    }

    /// Copies all of `attributes` to what was begun last.
    pub fn attributes(&mut self, attributes: Attributes<'_>) {
        for (key, value) in attributes {
            self.attribute(key, value);
        }
    }

    /// Copies a resource, which becomes the current one, and gives its number.
    pub fn copy_resource(&mut self, resource: crate::ResourceRef<'_>) -> u32 {
        self.start_resource();
        self.attributes(resource.attributes());
        self.end_resource(resource.schema_url(), resource.dropped())
    }

    /// Copies a scope, which becomes the current one, and gives its number.
    pub fn copy_scope(&mut self, scope: crate::ScopeRef<'_>) -> u32 {
        self.start_scope(scope.name(), scope.version());
        self.attributes(scope.attributes());
        self.end_scope(scope.schema_url(), scope.dropped())
    }

    /// Copies a span whole, under the current resource and scope.
    pub fn copy_span(&mut self, span: SpanRef<'_>) {
        self.start_span(span.trace_id(), span.span_id());
        self.copy_fields(span);
        self.attributes(span.attributes());
        for event in span.events() {
            self.copy_event(event);
        }
        for link in span.links() {
            self.copy_link(link);
        }
        self.end_span();
    }

    pub(crate) fn copy_fields(&mut self, span: SpanRef<'_>) {
        self.parent_id(span.parent_id());
        self.name(span.name());
        self.times(span.start_unix_nano(), span.duration_nano().unwrap_or(crate::NO_END));
        self.kind(span.kind());
        self.status(span.status(), span.status_message());
        self.trace_state(span.trace_state());
        self.flags(span.flags());
        self.span.dropped = span.dropped();
    }

    /// Copies an event with its attributes.
    pub fn copy_event(&mut self, event: crate::EventRef<'_>) {
        self.start_event(event.time_unix_nano(), event.name(), event.dropped());
        self.attributes(event.attributes());
    }

    /// Copies a link with its attributes.
    pub fn copy_link(&mut self, link: crate::LinkRef<'_>) {
        let (trace, span) = (link.trace_id(), link.span_id());
        self.start_link(trace, span, link.trace_state(), link.flags(), link.dropped());
        self.attributes(link.attributes());
    }

    /// Gives the batch and empties the builder, which keeps its room for the next batch.
    pub fn finish(&mut self) -> SpanBatch {
        let batch = SpanBatch {
            trace_ids: Buffer::from(&self.trace_ids[..]),
            span_ids: Buffer::from(&self.span_ids[..]),
            parent_ids: Buffer::from(&self.parent_ids[..]),
            starts: ScalarBuffer::from(self.starts.clone()),
            durations: ScalarBuffer::from(self.durations.clone()),
            kinds: ScalarBuffer::from(self.kinds.clone()),
            statuses: ScalarBuffer::from(self.statuses.clone()),
            flags: ScalarBuffer::from(self.flags.clone()),
            names: ScalarBuffer::from(self.names.clone()),
            status_messages: ScalarBuffer::from(self.status_messages.clone()),
            trace_states: ScalarBuffer::from(self.trace_states.clone()),
            resources: ScalarBuffer::from(self.resources.clone()),
            scopes: ScalarBuffer::from(self.scopes.clone()),
            attr_starts: ScalarBuffer::from(self.attr_starts.clone()),
            attr_ends: ScalarBuffer::from(self.attr_ends.clone()),
            event_offsets: offsets(&self.event_ends),
            link_offsets: offsets(&self.link_ends),
            dropped: Arc::new(self.dropped.clone()),
            event_times: ScalarBuffer::from(self.event_times.clone()),
            event_names: ScalarBuffer::from(self.event_names.clone()),
            event_attr_starts: ScalarBuffer::from(self.event_attr_starts.clone()),
            event_attr_ends: ScalarBuffer::from(self.event_attr_ends.clone()),
            event_dropped: ScalarBuffer::from(self.event_dropped.clone()),
            link_rows: Arc::new(self.links.clone()),
            attr_keys: ScalarBuffer::from(self.attr_keys.clone()),
            attr_types: ScalarBuffer::from(self.attr_types.clone()),
            attr_values: ScalarBuffer::from(self.attr_values.clone()),
            string_offsets: ScalarBuffer::from(self.strings.offsets.clone()),
            string_bytes: Buffer::from(&self.strings.bytes[..]),
            heap: Buffer::from(&self.heap[..]),
            resource_rows: Arc::new(self.resource_rows.clone()),
            scope_rows: Arc::new(self.scope_rows.clone()),
        };
        self.clear();
        batch
    }

    /// Forgets everything written so far.
    pub fn clear(&mut self) {
        let Self {
            trace_ids,
            span_ids,
            parent_ids,
            starts,
            durations,
            kinds,
            statuses,
            flags,
            names,
            status_messages,
            trace_states,
            resources,
            scopes,
            attr_starts,
            attr_ends,
            event_ends,
            link_ends,
            dropped,
            event_times,
            event_names,
            event_attr_starts,
            event_attr_ends,
            event_dropped,
            links,
            attr_keys,
            attr_types,
            attr_values,
            heap,
            strings,
            resource_rows,
            scope_rows,
            resource_now,
            scope_now,
            group_start,
            span,
        } = self;
        for bytes in [trace_ids, span_ids, parent_ids, kinds, statuses, attr_types, heap] {
            clear_but_bounded(bytes);
        }
        for numbers in [starts, durations, event_times] {
            clear_but_bounded(numbers);
        }
        for numbers in [
            flags,
            names,
            status_messages,
            trace_states,
            resources,
            scopes,
            attr_starts,
            attr_ends,
            event_ends,
            link_ends,
            event_names,
            event_attr_starts,
            event_attr_ends,
            event_dropped,
            attr_keys,
        ] {
            clear_but_bounded(numbers);
        }
        clear_but_bounded(attr_values);
        clear_but_bounded(links);
        dropped.clear();
        resource_rows.clear();
        scope_rows.clear();
        strings.clear();
        (*resource_now, *scope_now, *group_start) = (0, 0, 0);
        *span = Open::default();
    }
}

/// Keeps the room of ordinary requests, but gives back what one giant request took.
fn clear_but_bounded<T>(column: &mut Vec<T>) {
    const KEPT_BYTES_MAX: usize = 4 << 20;
    column.clear();
    column.shrink_to(KEPT_BYTES_MAX / size_of::<T>());
}

/// The rows to look through for an equal one: none of a batch with so many that every next search
/// would cost more than the copy it saves. A hostile request can have millions.
fn searched<T>(rows: &[T]) -> &[T] {
    const SEARCHED_MAX: usize = 4096;
    if rows.len() < SEARCHED_MAX { rows } else { &[] }
}

fn offsets(ends: &[u32]) -> ScalarBuffer<u32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.extend_from_slice(ends);
    ScalarBuffer::from(offsets)
}

fn heap_slice(heap: &[u8], raw: u64) -> &[u8] {
    let (offset, length) = ((raw >> 32) as usize, (raw & 0xffff_ffff) as usize);
    &heap[offset..offset + length]
}

/// The strings of a batch, each once. Number 0 is the empty string.
struct Strings {
    offsets: Vec<u32>,
    bytes: Vec<u8>,
    /// Open addressing: string number plus one, or 0 where free. The length is a power of two.
    slots: Vec<u32>,
    hasher: RandomState,
    /// The keys in the order of the last span: the next span most often has the same.
    guess: Vec<u32>,
    guess_at: usize,
}

impl Default for Strings {
    fn default() -> Self {
        let mut strings = Self {
            offsets: vec![0],
            bytes: Vec::new(),
            slots: vec![0; 256],
            hasher: RandomState::new(),
            guess: Vec::new(),
            guess_at: 0,
        };
        strings.intern("");
        strings
    }
}

impl Strings {
    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        &self.bytes[self.offsets[number] as usize..self.offsets[number + 1] as usize]
    }

    fn restart_guess(&mut self) {
        self.guess_at = 0;
    }

    /// The number of the key that stood here in the span before, when it is this one.
    fn guess_key(&mut self, key: &[u8]) -> Option<u32> {
        let number = *self.guess.get(self.guess_at)?;
        let same = self.get(number) == key;
        self.guess_at += usize::from(same);
        same.then_some(number)
    }

    /// As [`Strings::intern`], but first tries the key that stood here in the span before.
    fn intern_key(&mut self, key: &str) -> u32 {
        const GUESSES_MAX: usize = 256;
        let at = self.guess_at;
        self.guess_at += 1;
        if let Some(&number) = self.guess.get(at)
            && self.get(number) == key.as_bytes()
        {
            return number;
        }
        let number = self.intern(key);
        if let Some(slot) = self.guess.get_mut(at) {
            *slot = number;
        } else if at < GUESSES_MAX {
            // Keys come in order, so `at` is the next free place.
            self.guess.push(number);
        }
        number
    }

    fn intern(&mut self, text: &str) -> u32 {
        let text = text.as_bytes();
        let mask = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(text) as usize & mask;
        loop {
            match self.slots[slot] {
                0 => break,
                number if self.get(number - 1) == text => return number - 1,
                _ => slot = (slot + 1) & mask,
            }
        }
        let number = self.len() as u32;
        self.bytes.extend_from_slice(text);
        self.offsets.push(self.bytes.len() as u32);
        self.slots[slot] = number + 1;
        if self.len() * 2 > self.slots.len() {
            self.grow();
        }
        number
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![0; mask + 1];
        for number in 0..self.len() as u32 {
            let mut slot = self.hasher.hash_one(self.get(number)) as usize & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = number + 1;
        }
        self.slots = slots;
    }

    fn clear(&mut self) {
        const SLOTS_KEPT_MAX: usize = 1 << 14;
        self.offsets.truncate(1);
        clear_but_bounded(&mut self.bytes);
        self.slots.truncate(SLOTS_KEPT_MAX);
        self.slots.shrink_to_fit();
        self.slots.fill(0);
        self.guess.clear();
        self.guess_at = 0;
        self.intern("");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(builder: &mut SpanBatchBuilder, id: u8, keys: &[&str]) {
        builder.start_span(TraceId([1; 16]), SpanId([id; 8]));
        builder.name("work");
        for key in keys {
            builder.attribute(key, AttrValue::Int(i64::from(id)));
        }
        builder.end_span();
    }

    #[test]
    fn an_aborted_span_leaves_no_trace() {
        let mut builder = SpanBatchBuilder::default();
        span(&mut builder, 1, &["a", "b"]);
        builder.start_span(TraceId([1; 16]), SpanId([9; 8]));
        builder.attribute("gone", AttrValue::Str("gone"));
        builder.start_event(5, "gone", 0);
        builder.attribute("gone", AttrValue::Str("gone"));
        builder.abort_span();
        span(&mut builder, 2, &["b", "c"]);
        let batch = builder.finish();
        assert_eq!(batch.len(), 2);
        assert_eq!(batch.span(1).attribute("c"), Some(AttrValue::Int(2)));
        assert_eq!(batch.span(1).events().len(), 0);
        assert_eq!(batch.span(1).attributes().len(), 2);
    }

    #[test]
    fn equal_resources_are_kept_once_and_others_apart() {
        let mut builder = SpanBatchBuilder::default();
        for name in ["a", "b", "a"] {
            builder.start_resource();
            builder.attribute("service.name", AttrValue::Str(name));
            builder.end_resource("", 0);
            builder.start_scope("s", "1");
            builder.end_scope("", 0);
            span(&mut builder, 1, &[]);
        }
        let batch = builder.finish();
        assert_eq!(batch.resource_count(), 2);
        assert_eq!(batch.scope_count(), 1);
        let services: Vec<_> = batch.spans().map(SpanRef::service).collect();
        assert_eq!(services, ["a", "b", "a"]);
    }

    #[test]
    fn a_builder_serves_many_batches() {
        let mut builder = SpanBatchBuilder::default();
        for round in 0..3 {
            for id in 1..200 {
                let own = format!("key{round}-{id}");
                span(&mut builder, id, &["a", &own]);
            }
            let batch = builder.finish();
            assert_eq!(batch.len(), 199);
            assert_eq!(batch.span(7).attribute(&format!("key{round}-8")), Some(AttrValue::Int(8)));
        }
    }
}
