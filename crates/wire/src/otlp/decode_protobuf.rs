//! OTLP protobuf to spans: one walk over the bytes, straight into the batch.
//!
//! In:   the body of `POST /v1/traces` with `application/x-protobuf`, or one gRPC message.
//! Out:  [`Decoded`], the spans we could read and why we rejected the others.
//! Rule: opentelemetry-proto, `trace.proto`, `common.proto`, `resource.proto`. Fields come in any
//!       order; a field that may occur once and comes twice: the last wins, and the attributes of
//!       a message that comes twice are united, as protobuf's merging has it.

use std::borrow::Cow;

use throughline_model::{AttrValue, SpanBatchBuilder, SpanId, StatusCode, TraceId};

use super::Signal;
use super::nested::{Nest, checked};
use super::protobuf::{
    Malformed, Reader, any, event, key_value, link, request, resource, resource_spans, scope,
    scope_spans, span, status,
};
use super::rules::{self, ATTRIBUTES_MAX, Bad, EVENTS_MAX, LINKS_MAX, excess, text};
use crate::{DecodeError, Decoded, RejectReason, Rejections, Warning, Warnings};

/// Reads every span of an `ExportTraceServiceRequest`; one bad span never costs its neighbours.
///
/// Fails only when the frames around the spans (request, resource, scope) cannot be walked, for
/// then no span can be told from another, or from whom it came. Then nothing is kept.
/// The builder is emptied first: use one for many bodies, so that it keeps its room.
///
/// **Rule:** OTLP specification, "OTLP/HTTP", "Binary Protobuf Encoding" and "Bad Data".
pub fn decode_protobuf(
    body: &[u8],
    builder: &mut SpanBatchBuilder,
) -> Result<Decoded, DecodeError> {
    decode(Items::Spans, body, builder)
}

/// Walks a request of either signal.
pub(super) fn decode(
    items: Items,
    body: &[u8],
    builder: &mut SpanBatchBuilder,
) -> Result<Decoded, DecodeError> {
    rules::check_size(body)?;
    builder.clear();
    let mut decoder = Decoder {
        body,
        items,
        builder,
        events: Vec::new(),
        links: Vec::new(),
        scratch: Vec::new(),
        rejected: Rejections::default(),
        warnings: Warnings::default(),
    };
    if let Err(malformed) = decoder.request(body) {
        decoder.builder.clear();
        let (request, at) = (items.signal().request(), malformed.at(body));
        return Err(DecodeError::Protobuf { request, at, what: malformed.what });
    }
    let Decoder { builder, rejected, warnings, .. } = decoder;
    Ok(Decoded { batch: builder.finish(), rejected, warnings })
}

pub(super) struct Decoder<'a, 'b> {
    body: &'a [u8],
    items: Items,
    pub(super) builder: &'b mut SpanBatchBuilder,
    /// Events and links of the span being read: the builder wants them after its attributes.
    events: Vec<&'a [u8]>,
    links: Vec<&'a [u8]>,
    pub(super) scratch: Vec<u8>,
    rejected: Rejections,
    pub(super) warnings: Warnings,
}

/// What the request carries.
#[derive(Clone, Copy)]
pub(super) enum Items {
    Spans,
    /// Records without a time get this one.
    LogRecords {
        received_unix_nano: i64,
    },
}

impl Items {
    pub(super) fn signal(self) -> Signal {
        match self {
            Self::Spans => Signal::Traces,
            Self::LogRecords { .. } => Signal::Logs,
        }
    }
}

/// What is wrong with a span or record, and where if that is known.
#[derive(Debug)]
pub(super) enum Detail {
    What(&'static str),
    Where(Malformed),
}

impl From<&'static str> for Detail {
    fn from(what: &'static str) -> Self {
        Self::What(what)
    }
}

impl From<Malformed> for Bad<Detail> {
    fn from(malformed: Malformed) -> Self {
        Self { reason: RejectReason::Malformed, detail: Detail::Where(malformed) }
    }
}

impl<'a> Decoder<'a, '_> {
    fn request(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                request::RESOURCE_SPANS => self.resource_spans(reader.bytes()?)?,
                _ => reader.skip(key, request::KNOWN)?,
            }
        }
        Ok(())
    }

    /// Walks twice: the resource may stand behind the spans that it owns.
    fn resource_spans(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        let (mut schema_url, mut dropped, mut kept) = (&[][..], 0, 0);
        self.builder.start_resource();
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                resource_spans::RESOURCE => {
                    self.resource(reader.bytes()?, &mut dropped, &mut kept)?;
                }
                resource_spans::SCOPE_SPANS => drop(reader.bytes()?),
                resource_spans::SCHEMA_URL => schema_url = reader.bytes()?,
                _ => reader.skip(key, resource_spans::KNOWN)?,
            }
        }
        let dropped = self.dropped_attributes(dropped, kept);
        self.builder.end_resource(&text(schema_url, &mut self.warnings), dropped);

        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                resource_spans::SCOPE_SPANS => self.scope_spans(reader.bytes()?)?,
                resource_spans::RESOURCE | resource_spans::SCHEMA_URL => drop(reader.bytes()?),
                _ => reader.skip(key, resource_spans::KNOWN)?,
            }
        }
        Ok(())
    }

    fn resource(
        &mut self,
        message: &'a [u8],
        dropped: &mut u32,
        sent: &mut usize,
    ) -> Result<(), Malformed> {
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                resource::ATTRIBUTES => self.attribute(reader.bytes()?, sent)?,
                resource::DROPPED => *dropped = reader.uint32()?,
                _ => reader.skip(key, resource::KNOWN)?,
            }
        }
        Ok(())
    }

    /// Walks twice, as [`Self::resource_spans`].
    fn scope_spans(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        let mut schema_url = &[][..];
        let mut scope = Scope::default();
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                scope_spans::SCOPE => scope.read(reader.bytes()?)?,
                scope_spans::SPANS => drop(reader.bytes()?),
                scope_spans::SCHEMA_URL => schema_url = reader.bytes()?,
                _ => reader.skip(key, scope_spans::KNOWN)?,
            }
        }
        self.scope(message, &scope, schema_url)?;

        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                scope_spans::SPANS => self.item(reader.bytes()?),
                scope_spans::SCOPE | scope_spans::SCHEMA_URL => drop(reader.bytes()?),
                _ => reader.skip(key, scope_spans::KNOWN)?,
            }
        }
        Ok(())
    }

    fn scope(
        &mut self,
        scope_spans: &'a [u8],
        fields: &Scope<'a>,
        schema_url: &[u8],
    ) -> Result<(), Malformed> {
        let name = text(fields.name, &mut self.warnings);
        self.builder.start_scope(&name, &text(fields.version, &mut self.warnings));
        let mut sent = 0;
        if fields.has_attributes {
            let mut reader = Reader::new(scope_spans);
            while let Some(key) = reader.key()? {
                if key != scope_spans::SCOPE {
                    // Known to be sound: the first walk came by.
                    skip_any(&mut reader, key)?;
                    continue;
                }
                self.attributes(reader.bytes()?, scope::ATTRIBUTES, &mut sent)?;
            }
        }
        let dropped = self.dropped_attributes(fields.dropped, sent);
        self.builder.end_scope(&text(schema_url, &mut self.warnings), dropped);
        Ok(())
    }

    /// Reads the attributes of `message` and steps over everything else.
    fn attributes(
        &mut self,
        message: &'a [u8],
        attributes: u32,
        sent: &mut usize,
    ) -> Result<(), Malformed> {
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            if key == attributes {
                self.attribute(reader.bytes()?, sent)?;
            } else {
                skip_any(&mut reader, key)?;
            }
        }
        Ok(())
    }

    fn item(&mut self, message: &'a [u8]) {
        let before = self.warnings;
        self.builder.start_span(TraceId::ZERO, SpanId::ZERO);
        let read = match self.items {
            Items::Spans => self.span_fields(message),
            Items::LogRecords { received_unix_nano } => {
                self.record_fields(message, received_unix_nano)
            }
        };
        match read {
            Ok(()) => self.builder.end_span(),
            Err(bad) => self.reject(&bad, before),
        }
    }

    #[cold]
    fn reject(&mut self, bad: &Bad<Detail>, warnings_before: Warnings) {
        self.builder.abort_span();
        self.warnings = warnings_before;
        let (body, index) = (self.body, self.builder.len() as u64 + self.rejected.total());
        let item = self.items.signal().item();
        self.rejected.push(bad.reason, || match bad.detail {
            Detail::What(what) => format!("{item} {index}: {what}"),
            Detail::Where(at) => format!("{item} {index}: at byte {} {}", at.at(body), at.what),
        });
    }

    fn span_fields(&mut self, message: &'a [u8]) -> Result<(), Bad<Detail>> {
        self.events.clear();
        self.links.clear();
        let (mut trace_id, mut span_id) = (TraceId::ZERO, SpanId::ZERO);
        let (mut start, mut end) = (Some(0), Some(0));
        let (mut code, mut status_message) = (StatusCode::Unset, &[][..]);
        let (mut attributes, mut events, mut links) = (0, 0, 0);
        let mut dropped = [0u32; 3];
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                span::TRACE_ID => trace_id = TraceId(id(reader.bytes()?).ok_or(BAD_TRACE_ID)?),
                span::SPAN_ID => span_id = SpanId(id(reader.bytes()?).ok_or(BAD_SPAN_ID)?),
                span::TRACE_STATE => {
                    self.builder.trace_state(&text(reader.bytes()?, &mut self.warnings));
                }
                span::PARENT_SPAN_ID => {
                    let parent_id = id(reader.bytes()?).ok_or(BAD_PARENT_ID)?;
                    self.builder.parent_id(SpanId(parent_id));
                }
                span::NAME => self.builder.name(&text(reader.bytes()?, &mut self.warnings)),
                span::KIND => self.builder.kind(rules::kind(reader.enumeration()?)),
                span::START => start = reader.time()?,
                span::END => end = reader.time()?,
                span::ATTRIBUTES => self.attribute(reader.bytes()?, &mut attributes)?,
                span::DROPPED_ATTRIBUTES => dropped[0] = reader.uint32()?,
                span::EVENTS => {
                    events += 1;
                    keep_up_to(EVENTS_MAX, &mut self.events, reader.bytes()?);
                }
                span::DROPPED_EVENTS => dropped[1] = reader.uint32()?,
                span::LINKS => {
                    links += 1;
                    keep_up_to(LINKS_MAX, &mut self.links, reader.bytes()?);
                }
                span::DROPPED_LINKS => dropped[2] = reader.uint32()?,
                span::STATUS => read_status(reader.bytes()?, &mut code, &mut status_message)?,
                span::FLAGS => self.builder.flags(reader.fixed32()?),
                _ => reader.skip(key, span::KNOWN)?,
            }
        }
        rules::check_ids::<Detail>(trace_id, span_id)?;
        self.builder.ids(trace_id, span_id);
        let (start, duration) =
            rules::start_and_duration::<Detail>(start, end, &mut self.warnings)?;
        self.builder.times(start, duration);
        if code != StatusCode::Unset || !status_message.is_empty() {
            self.builder.status(code, &text(status_message, &mut self.warnings));
        }
        dropped[0] = self.dropped_attributes(dropped[0], attributes);
        dropped[1] = self.events(dropped[1], events)?;
        dropped[2] = self.links(dropped[2], links)?;
        let [attributes, events, links] = dropped;
        self.builder.dropped(attributes, events, links);
        Ok(())
    }

    /// Reads the events put aside; gives how many were dropped, here or before.
    fn events(&mut self, dropped: u32, sent: usize) -> Result<u32, Malformed> {
        let mut dropped = dropped.saturating_add(excess(sent, EVENTS_MAX));
        if sent > EVENTS_MAX {
            self.warnings.add(Warning::TooManyEvents);
        }
        let events = std::mem::take(&mut self.events);
        for message in &events {
            if !self.event(message)? {
                self.warnings.add(Warning::EventTimeOutOfRange);
                dropped = dropped.saturating_add(1);
            }
        }
        self.events = events;
        Ok(dropped)
    }

    /// Walks twice: the builder wants name and time before the attributes. False when dropped.
    fn event(&mut self, message: &'a [u8]) -> Result<bool, Malformed> {
        let (mut time, mut name, mut dropped, mut sent) = (Some(0), &[][..], 0, 0);
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                event::TIME => time = reader.time()?,
                event::NAME => name = reader.bytes()?,
                event::ATTRIBUTES => {
                    reader.bytes()?;
                    sent += 1;
                }
                event::DROPPED => dropped = reader.uint32()?,
                _ => reader.skip(key, event::KNOWN)?,
            }
        }
        let Some(time) = time else { return Ok(false) };
        let dropped = self.dropped_attributes(dropped, sent);
        self.builder.start_event(time, &text(name, &mut self.warnings), dropped);
        if sent > 0 {
            self.attributes(message, event::ATTRIBUTES, &mut 0)?;
        }
        Ok(true)
    }

    /// Reads the links put aside; gives how many were dropped, here or before.
    fn links(&mut self, dropped: u32, sent: usize) -> Result<u32, Malformed> {
        let mut dropped = dropped.saturating_add(excess(sent, LINKS_MAX));
        if sent > LINKS_MAX {
            self.warnings.add(Warning::TooManyLinks);
        }
        let links = std::mem::take(&mut self.links);
        for message in &links {
            if !self.link(message)? {
                self.warnings.add(Warning::BadLinkId);
                dropped = dropped.saturating_add(1);
            }
        }
        self.links = links;
        Ok(dropped)
    }

    /// As [`Self::event`].
    fn link(&mut self, message: &'a [u8]) -> Result<bool, Malformed> {
        let (mut trace_id, mut span_id) = (Some([0; 16]), Some([0; 8]));
        let (mut trace_state, mut flags, mut dropped, mut sent) = (&[][..], 0, 0, 0);
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                link::TRACE_ID => trace_id = id(reader.bytes()?),
                link::SPAN_ID => span_id = id(reader.bytes()?),
                link::TRACE_STATE => trace_state = reader.bytes()?,
                link::ATTRIBUTES => {
                    reader.bytes()?;
                    sent += 1;
                }
                link::DROPPED => dropped = reader.uint32()?,
                link::FLAGS => flags = reader.fixed32()?,
                _ => reader.skip(key, link::KNOWN)?,
            }
        }
        let (Some(trace_id), Some(span_id)) = (trace_id, span_id) else { return Ok(false) };
        let dropped = self.dropped_attributes(dropped, sent);
        let trace_state = text(trace_state, &mut self.warnings);
        self.builder.start_link(TraceId(trace_id), SpanId(span_id), &trace_state, flags, dropped);
        if sent > 0 {
            self.attributes(message, link::ATTRIBUTES, &mut 0)?;
        }
        Ok(true)
    }

    /// The sender's dropped count and ours, with a warning when we dropped any.
    pub(super) fn dropped_attributes(&mut self, dropped: u32, sent: usize) -> u32 {
        if sent > ATTRIBUTES_MAX {
            self.warnings.add(Warning::TooManyAttributes);
        }
        dropped.saturating_add(excess(sent, ATTRIBUTES_MAX))
    }

    /// Reads one `KeyValue` into whatever the builder has begun, unless that is full.
    #[inline]
    pub(super) fn attribute(
        &mut self,
        message: &'a [u8],
        sent: &mut usize,
    ) -> Result<(), Malformed> {
        *sent += 1;
        if *sent > ATTRIBUTES_MAX {
            return Ok(());
        }
        let (mut name, mut value) = (&[][..], Value::Empty);
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                key_value::KEY => name = reader.bytes()?,
                key_value::VALUE => value = read_any(reader.bytes()?)?,
                _ => reader.skip(key, key_value::KNOWN)?,
            }
        }
        let (scratch, warnings) = (&mut self.scratch, &mut self.warnings);
        let mut lossy = Cow::Borrowed("");
        let value = sound(value, &mut lossy, scratch, warnings)?;
        if !self.builder.attribute_as_before(name, value) {
            self.builder.attribute(&text(name, warnings), value);
        }
        Ok(())
    }
}

pub(super) const BAD_TRACE_ID: Bad<Detail> = bad_id("its trace id is not 16 bytes long");
pub(super) const BAD_SPAN_ID: Bad<Detail> = bad_id("its span id is not 8 bytes long");
const BAD_PARENT_ID: Bad<Detail> = bad_id("its parent's span id is not 8 bytes long");

const fn bad_id(what: &'static str) -> Bad<Detail> {
    Bad { reason: RejectReason::BadId, detail: Detail::What(what) }
}

/// An id of its one right length; none sent at all is zero.
#[inline]
pub(super) fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    if bytes.is_empty() { Some([0; N]) } else { bytes.try_into().ok() }
}

fn keep_up_to<'a>(max: usize, kept: &mut Vec<&'a [u8]>, message: &'a [u8]) {
    if kept.len() < max {
        kept.push(message);
    }
}

/// Steps over a field whatever its number, in a message that was walked before.
fn skip_any(reader: &mut Reader<'_>, key: u32) -> Result<(), Malformed> {
    reader.skip(key, 0)
}

#[derive(Default)]
struct Scope<'a> {
    name: &'a [u8],
    version: &'a [u8],
    dropped: u32,
    has_attributes: bool,
}

impl<'a> Scope<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(message);
        while let Some(key) = reader.key()? {
            match key {
                scope::NAME => self.name = reader.bytes()?,
                scope::VERSION => self.version = reader.bytes()?,
                scope::ATTRIBUTES => {
                    reader.bytes()?;
                    self.has_attributes = true;
                }
                scope::DROPPED => self.dropped = reader.uint32()?,
                _ => reader.skip(key, scope::KNOWN)?,
            }
        }
        Ok(())
    }
}

fn read_status<'a>(
    bytes: &'a [u8],
    code: &mut StatusCode,
    message: &mut &'a [u8],
) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    while let Some(key) = reader.key()? {
        match key {
            status::MESSAGE => *message = reader.bytes()?,
            status::CODE => *code = rules::status_code(reader.enumeration()?),
            _ if key >> 3 == status::DEPRECATED => reader.skip(key, 0)?,
            _ => reader.skip(key, status::KNOWN)?,
        }
    }
    Ok(())
}

/// An `AnyValue` whose text and lists are not looked into yet.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Str(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    Array(&'a [u8]),
    Map(&'a [u8]),
    Empty,
}

#[inline]
pub(super) fn read_any(message: &[u8]) -> Result<Value<'_>, Malformed> {
    let mut value = Value::Empty;
    let mut reader = Reader::new(message);
    while let Some(key) = reader.key()? {
        value = match key {
            any::STRING => Value::Str(reader.bytes()?),
            any::BOOL => Value::Bool(reader.varint()? != 0),
            any::INT => Value::Int(reader.varint()?.cast_signed()),
            any::DOUBLE => Value::Double(f64::from_bits(reader.fixed64()?)),
            any::ARRAY => Value::Array(reader.bytes()?),
            any::MAP => Value::Map(reader.bytes()?),
            any::BYTES => Value::Bytes(reader.bytes()?),
            _ => {
                reader.skip(key, any::KNOWN)?;
                value
            }
        };
    }
    Ok(value)
}

/// Looks into text, lists and maps: bad UTF-8 and too deep nesting are repaired in `lossy` and
/// `scratch`.
#[inline]
pub(super) fn sound<'v, 's>(
    value: Value<'v>,
    lossy: &'s mut Cow<'v, str>,
    scratch: &'s mut Vec<u8>,
    warnings: &mut Warnings,
) -> Result<AttrValue<'s>, Malformed>
where
    'v: 's,
{
    Ok(match value {
        Value::Str(bytes) => {
            *lossy = text(bytes, warnings);
            AttrValue::Str(lossy)
        }
        Value::Bool(value) => AttrValue::Bool(value),
        Value::Int(value) => AttrValue::Int(value),
        Value::Double(value) => AttrValue::Double(value),
        Value::Bytes(bytes) => AttrValue::Bytes(bytes),
        Value::Array(bytes) => AttrValue::Array(checked(Nest::Array, bytes, scratch, warnings)?),
        Value::Map(bytes) => AttrValue::Map(checked(Nest::Map, bytes, scratch, warnings)?),
        Value::Empty => AttrValue::Empty,
    })
}
