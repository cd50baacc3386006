//! OTLP/JSON to spans.
//!
//! In:   the body of `POST /v1/traces` with `application/json`.
//! Out:  [`Decoded`], the spans we could read and why we rejected the others.
//! Rule: OTLP specification, "JSON Protobuf Encoding", which changes ProtoJSON: ids are hex, enums
//!       are integers, unknown names are ignored.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::Error as _;
use throughline_model::{AttrValue, NESTED_DEPTH_MAX, SpanBatchBuilder, SpanId, TraceId};

use super::Signal;
use super::json_shapes::{
    AnyValue, ArrayValue, Event, Int, KeyValue, KeyValueList, Link, List, Object, Request,
    Resource, Scope, Span, double,
};
use super::nested::put_fallible;
use super::protobuf::{any, key_value, put_bytes, put_fixed64, put_number, put_text};
use super::rules::{self, ATTRIBUTES_MAX, Bad, EVENTS_MAX, LINKS_MAX, bad, excess};
use crate::{DecodeError, Decoded, RejectReason, Rejections, Warning, Warnings};

pub(super) type BadItem = Bad<Cow<'static, str>>;

/// Reads every span of a JSON `ExportTraceServiceRequest`; one bad span never costs its neighbours.
///
/// Fails only when `body` is no JSON text, or when what is around the spans (request, resource,
/// scope) has another shape than OTLP's. Then nothing is kept.
/// The builder is emptied first: use one for many bodies, so that it keeps its room.
///
/// **Rule:** OTLP specification, "JSON Protobuf Encoding"; protobuf.dev, "ProtoJSON Format".
pub fn decode_json(body: &[u8], builder: &mut SpanBatchBuilder) -> Result<Decoded, DecodeError> {
    decode(Signal::Traces, body, builder, |text, decoder| {
        let request: Request<'_> = whole(text)?;
        for Object(resource_spans) in &request.resource_spans.0 {
            decoder.resource(&resource_spans.resource.0, &resource_spans.schema_url.0)?;
            for Object(scope_spans) in &resource_spans.scope_spans.0 {
                decoder.scope(&scope_spans.scope.0, &scope_spans.schema_url.0)?;
                for raw in &scope_spans.spans.0 {
                    decoder.item(raw.get(), |decoder, span: Span<'_>| decoder.span_fields(&span));
                }
            }
        }
        Ok(())
    })
}

/// Reads a request of either signal: `walk` gets its text.
pub(super) fn decode(
    signal: Signal,
    body: &[u8],
    builder: &mut SpanBatchBuilder,
    walk: impl FnOnce(&str, &mut Decoder<'_>) -> Result<(), serde_json::Error>,
) -> Result<Decoded, DecodeError> {
    rules::check_size(body)?;
    builder.clear();
    let mut warnings = Warnings::default();
    let text = rules::text(body, &mut warnings);
    let rejected = Rejections::default();
    let mut decoder = Decoder { signal, builder, scratch: Vec::new(), rejected, warnings };
    if let Err(source) = walk(&text, &mut decoder) {
        decoder.builder.clear();
        return Err(DecodeError::Json { request: signal.request(), source });
    }
    let Decoder { builder, rejected, warnings, .. } = decoder;
    Ok(Decoded { batch: builder.finish(), rejected, warnings })
}

/// A request as it is written.
pub(super) fn whole<'t, T: Default + Deserialize<'t>>(
    text: &'t str,
) -> Result<T, serde_json::Error> {
    // Elsewhere `null` is an empty message, but a whole body of it is a sender's mistake.
    match serde_json::from_str(text)? {
        Some(Object(request)) => Ok(request),
        None => Err(serde_json::Error::custom("the body is null")),
    }
}

pub(super) struct Decoder<'b> {
    signal: Signal,
    pub(super) builder: &'b mut SpanBatchBuilder,
    scratch: Vec<u8>,
    rejected: Rejections,
    warnings: Warnings,
}

impl From<serde_json::Error> for BadItem {
    fn from(err: serde_json::Error) -> Self {
        bad(RejectReason::Malformed, err.to_string())
    }
}

impl Decoder<'_> {
    pub(super) fn resource(
        &mut self,
        resource: &Resource<'_>,
        schema_url: &str,
    ) -> Result<(), serde_json::Error> {
        self.builder.start_resource();
        let dropped = self.attributes(&resource.attributes, resource.dropped_attributes_count)?;
        self.builder.end_resource(schema_url, dropped);
        Ok(())
    }

    pub(super) fn scope(
        &mut self,
        scope: &Scope<'_>,
        schema_url: &str,
    ) -> Result<(), serde_json::Error> {
        self.builder.start_scope(&scope.name.0, &scope.version.0);
        let dropped = self.attributes(&scope.attributes, scope.dropped_attributes_count)?;
        self.builder.end_scope(schema_url, dropped);
        Ok(())
    }

    /// Reads one span or record, and keeps it unless it is bad.
    pub(super) fn item<'t, T: Default + Deserialize<'t>>(
        &mut self,
        text: &'t str,
        fields: impl FnOnce(&mut Self, T) -> Result<(), BadItem>,
    ) {
        let before = self.warnings;
        self.builder.start_span(TraceId::ZERO, SpanId::ZERO);
        let read = serde_json::from_str::<Object<T>>(text).map_err(BadItem::from);
        match read.and_then(|Object(item)| fields(self, item)) {
            Ok(()) => self.builder.end_span(),
            Err(bad) => {
                self.builder.abort_span();
                self.warnings = before;
                let index = self.builder.len() as u64 + self.rejected.total();
                let item = self.signal.item();
                self.rejected.push(bad.reason, || format!("{item} {index}: {}", bad.detail));
            }
        }
    }

    fn span_fields(&mut self, span: &Span<'_>) -> Result<(), BadItem> {
        let trace_id = trace_id(&span.trace_id.0).ok_or_else(|| bad_id("trace id", 32))?;
        let span_id_ = span_id(&span.span_id.0).ok_or_else(|| bad_id("span id", 16))?;
        let parent_id =
            span_id(&span.parent_span_id.0).ok_or_else(|| bad_id("parent's span id", 16))?;
        rules::check_ids::<Cow<'static, str>>(trace_id, span_id_)?;
        let (start, duration) = rules::start_and_duration::<Cow<'static, str>>(
            time(span.start_time_unix_nano),
            time(span.end_time_unix_nano),
            &mut self.warnings,
        )?;
        self.builder.ids(trace_id, span_id_);
        self.builder.parent_id(parent_id);
        self.builder.times(start, duration);
        self.builder.trace_state(&span.trace_state.0);
        self.builder.flags(uint32(span.flags)?);
        self.builder.name(&span.name.0);
        self.builder.kind(rules::kind(span.kind.0));
        let status = &span.status.0;
        self.builder.status(rules::status_code(status.code.0), &status.message.0);
        let attributes = self.attributes(&span.attributes, span.dropped_attributes_count)?;
        let events = self.events(&span.events, span.dropped_events_count)?;
        let links = self.links(&span.links, span.dropped_links_count)?;
        self.builder.dropped(attributes, events, links);
        Ok(())
    }

    /// Writes events; gives how many were dropped, here or before.
    fn events(
        &mut self,
        events: &List<Object<Event<'_>>>,
        dropped: Int,
    ) -> Result<u32, serde_json::Error> {
        let mut dropped = uint32(dropped)?.saturating_add(excess(events.0.len(), EVENTS_MAX));
        if events.0.len() > EVENTS_MAX {
            self.warnings.add(Warning::TooManyEvents);
        }
        for Object(event) in events.0.iter().take(EVENTS_MAX) {
            let Some(time) = time(event.time_unix_nano) else {
                self.warnings.add(Warning::EventTimeOutOfRange);
                dropped = dropped.saturating_add(1);
                continue;
            };
            let own = self.dropped_attributes(&event.attributes, event.dropped_attributes_count)?;
            self.builder.start_event(time, &event.name.0, own);
            self.attributes_only(&event.attributes)?;
        }
        Ok(dropped)
    }

    /// Writes links; gives how many were dropped, here or before.
    fn links(
        &mut self,
        links: &List<Object<Link<'_>>>,
        dropped: Int,
    ) -> Result<u32, serde_json::Error> {
        let mut dropped = uint32(dropped)?.saturating_add(excess(links.0.len(), LINKS_MAX));
        if links.0.len() > LINKS_MAX {
            self.warnings.add(Warning::TooManyLinks);
        }
        for Object(link) in links.0.iter().take(LINKS_MAX) {
            let ids = (trace_id(&link.trace_id.0), span_id(&link.span_id.0));
            let (Some(trace_id), Some(span_id)) = ids else {
                self.warnings.add(Warning::BadLinkId);
                dropped = dropped.saturating_add(1);
                continue;
            };
            let (state, flags) = (&link.trace_state.0, uint32(link.flags)?);
            let own = self.dropped_attributes(&link.attributes, link.dropped_attributes_count)?;
            self.builder.start_link(trace_id, span_id, state, flags, own);
            self.attributes_only(&link.attributes)?;
        }
        Ok(dropped)
    }

    /// Writes attributes; gives how many were dropped, here or before.
    pub(super) fn attributes(
        &mut self,
        attributes: &List<Object<KeyValue<'_>>>,
        dropped: Int,
    ) -> Result<u32, serde_json::Error> {
        self.attributes_only(attributes)?;
        self.dropped_attributes(attributes, dropped)
    }

    pub(super) fn dropped_attributes(
        &mut self,
        attributes: &List<Object<KeyValue<'_>>>,
        dropped: Int,
    ) -> Result<u32, serde_json::Error> {
        if attributes.0.len() > ATTRIBUTES_MAX {
            self.warnings.add(Warning::TooManyAttributes);
        }
        Ok(uint32(dropped)?.saturating_add(excess(attributes.0.len(), ATTRIBUTES_MAX)))
    }

    pub(super) fn attributes_only(
        &mut self,
        attributes: &List<Object<KeyValue<'_>>>,
    ) -> Result<(), serde_json::Error> {
        for Object(attribute) in attributes.0.iter().take(ATTRIBUTES_MAX) {
            self.attribute(&attribute.key.0, &attribute.value.0)?;
        }
        Ok(())
    }

    fn attribute(&mut self, key: &str, value: &AnyValue<'_>) -> Result<(), serde_json::Error> {
        self.value(value, |builder, value| builder.attribute(key, value))
    }

    /// Gives a value to what writes it.
    pub(super) fn value(
        &mut self,
        value: &AnyValue<'_>,
        write: impl FnOnce(&mut SpanBatchBuilder, AttrValue<'_>),
    ) -> Result<(), serde_json::Error> {
        self.scratch.clear();
        let mut too_deep = false;
        let value = match value {
            AnyValue { string_value: Some(text), .. } => AttrValue::Str(&text.0),
            AnyValue { bool_value: Some(flag), .. } => AttrValue::Bool(*flag),
            AnyValue { int_value: Some(int), .. } => AttrValue::Int(int64(*int)?),
            AnyValue { double_value: Some(raw), .. } => AttrValue::Double(double(raw)?),
            AnyValue { array_value: Some(raw), .. } => {
                put_array(raw.get(), 0, &mut self.scratch, &mut too_deep)?;
                AttrValue::Array(&self.scratch)
            }
            AnyValue { kvlist_value: Some(raw), .. } => {
                put_map(raw.get(), 0, &mut self.scratch, &mut too_deep)?;
                AttrValue::Map(&self.scratch)
            }
            AnyValue { bytes_value: Some(text), .. } => {
                self.scratch = bytes(&text.0)?;
                AttrValue::Bytes(&self.scratch)
            }
            _ => AttrValue::Empty,
        };
        write(self.builder, value);
        if too_deep {
            self.warnings.add(Warning::NestedTooDeep);
        }
        Ok(())
    }
}

/// Writes a JSON `ArrayValue` as its protobuf bytes.
fn put_array(
    text: &str,
    depth: usize,
    out: &mut Vec<u8>,
    too_deep: &mut bool,
) -> Result<(), serde_json::Error> {
    let Object(list) = serde_json::from_str::<Object<ArrayValue<'_>>>(text)?;
    for Object(item) in &list.values.0 {
        put_fallible(out, any::VALUES, |out| put_any(item, depth + 1, out, too_deep))?;
    }
    Ok(())
}

/// Writes a JSON `KeyValueList` as its protobuf bytes.
fn put_map(
    text: &str,
    depth: usize,
    out: &mut Vec<u8>,
    too_deep: &mut bool,
) -> Result<(), serde_json::Error> {
    let Object(map) = serde_json::from_str::<Object<KeyValueList<'_>>>(text)?;
    for Object(pair) in &map.values.0 {
        put_fallible(out, any::VALUES, |out| {
            put_text(out, key_value::KEY, &pair.key.0);
            let value = &pair.value.0;
            put_fallible(out, key_value::VALUE, |out| put_any(value, depth + 1, out, too_deep))
        })?;
    }
    Ok(())
}

fn put_any(
    value: &AnyValue<'_>,
    depth: usize,
    out: &mut Vec<u8>,
    too_deep: &mut bool,
) -> Result<(), serde_json::Error> {
    match value {
        AnyValue { string_value: Some(text), .. } => {
            put_bytes(out, any::STRING, text.0.as_bytes());
        }
        AnyValue { bool_value: Some(flag), .. } => put_number(out, any::BOOL, u64::from(*flag)),
        AnyValue { int_value: Some(int), .. } => {
            put_number(out, any::INT, int64(*int)?.cast_unsigned());
        }
        AnyValue { double_value: Some(raw), .. } => {
            put_fixed64(out, any::DOUBLE, double(raw)?.to_bits());
        }
        AnyValue { array_value: Some(_), .. } | AnyValue { kvlist_value: Some(_), .. }
            if depth >= NESTED_DEPTH_MAX =>
        {
            *too_deep = true;
        }
        AnyValue { array_value: Some(raw), .. } => {
            put_fallible(out, any::ARRAY, |out| put_array(raw.get(), depth, out, too_deep))?;
        }
        AnyValue { kvlist_value: Some(raw), .. } => {
            put_fallible(out, any::MAP, |out| put_map(raw.get(), depth, out, too_deep))?;
        }
        AnyValue { bytes_value: Some(text), .. } => put_bytes(out, any::BYTES, &bytes(&text.0)?),
        _ => {}
    }
    Ok(())
}

pub(super) fn bad_id(what: &str, digits: usize) -> BadItem {
    bad(RejectReason::BadId, format!("its {what} is not {digits} hex digits"))
}

/// 32 hex digits; none sent at all is zero.
pub(super) fn trace_id(text: &str) -> Option<TraceId> {
    match text.len() {
        0 => Some(TraceId::ZERO),
        32 => TraceId::parse(text).ok(),
        _ => None,
    }
}

/// 16 hex digits; none sent at all is zero.
pub(super) fn span_id(text: &str) -> Option<SpanId> {
    if text.is_empty() { Some(SpanId::ZERO) } else { SpanId::parse(text).ok() }
}

/// Nanoseconds since the epoch, `None` when they do not fit 63 bits.
pub(super) fn time(number: Int) -> Option<i64> {
    i64::try_from(number.0).ok().filter(|time| *time >= 0)
}

pub(super) fn uint32(number: Int) -> Result<u32, serde_json::Error> {
    let number = u32::try_from(number.0);
    number.map_err(|_| serde_json::Error::custom("a count or flag does not fit 32 bits"))
}

fn int64(number: Int) -> Result<i64, serde_json::Error> {
    let number = i64::try_from(number.0);
    number.map_err(|_| serde_json::Error::custom("an integer value does not fit 64 bits"))
}

/// **Rule:** protobuf.dev, "ProtoJSON Format", `bytes`: either alphabet, with or without padding.
fn bytes(text: &str) -> Result<Vec<u8>, serde_json::Error> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);
    let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    engine.decode(text).map_err(serde_json::Error::custom)
}
