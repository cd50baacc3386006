//! Spans to OTLP/JSON, with every value as it was sent.

use std::fmt::{Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use throughline_model::{
    AttrValue, Attributes, EventRef, LinkRef, NESTED_DEPTH_MAX, SpanBatch, SpanRef,
};

use super::protobuf::{Malformed, Reader, any, key_value};
use super::rules::{grouped, same_resource, same_scope, start_and_end};

/// Writes the spans as `{"resourceSpans":[...]}`: grouped by resource, then scope, otherwise in
/// row order.
///
/// Ids are lower-case hex, 64-bit integers are strings, enums are integers, bytes are base64, and
/// what is empty or zero is left out, except times. A span without end has an end of `"0"`.
///
/// **Rule:** OTLP specification, "JSON Protobuf Encoding"; protobuf.dev, "ProtoJSON Format".
pub fn encode_json(batch: &SpanBatch) -> String {
    let mut json = Json { out: String::with_capacity(batch.memory_size_bytes() * 2) };
    json.object(|json| {
        json.key("resourceSpans");
        json.list(grouped(batch).chunk_by(same_resource), Json::resource_spans);
    });
    json.out
}

/// Appends JSON. A comma goes before whatever does not stand first.
struct Json {
    out: String,
}

impl Json {
    fn resource_spans(&mut self, spans: &[SpanRef<'_>]) {
        let Some(owner) = spans.first().map(|span| span.resource()) else { return };
        self.object(|json| {
            json.key("resource");
            json.object(|json| {
                json.attributes(owner.attributes());
                json.count("droppedAttributesCount", owner.dropped());
            });
            json.key("scopeSpans");
            json.list(spans.chunk_by(same_scope), Self::scope_spans);
            json.text("schemaUrl", owner.schema_url());
        });
    }

    fn scope_spans(&mut self, spans: &[SpanRef<'_>]) {
        let Some(owner) = spans.first().map(|span| span.scope()) else { return };
        self.object(|json| {
            json.key("scope");
            json.object(|json| {
                json.text("name", owner.name());
                json.text("version", owner.version());
                json.attributes(owner.attributes());
                json.count("droppedAttributesCount", owner.dropped());
            });
            json.key("spans");
            json.list(spans.iter().copied(), Self::span);
            json.text("schemaUrl", owner.schema_url());
        });
    }

    fn span(&mut self, span: SpanRef<'_>) {
        self.object(|json| {
            json.quoted("traceId", span.trace_id());
            json.quoted("spanId", span.span_id());
            json.text("traceState", span.trace_state());
            if !span.parent_id().is_zero() {
                json.quoted("parentSpanId", span.parent_id());
            }
            json.count("flags", span.flags());
            json.text("name", span.name());
            json.count("kind", span.kind() as u32);
            let (start, end) = start_and_end(span);
            json.quoted("startTimeUnixNano", start);
            json.quoted("endTimeUnixNano", end);
            json.attributes(span.attributes());
            let [attributes, events, links] = span.dropped();
            json.count("droppedAttributesCount", attributes);
            if span.events().len() > 0 {
                json.key("events");
                json.list(span.events(), Self::event);
            }
            json.count("droppedEventsCount", events);
            if span.links().len() > 0 {
                json.key("links");
                json.list(span.links(), Self::link);
            }
            json.count("droppedLinksCount", links);
            json.key("status");
            json.object(|json| {
                json.text("message", span.status_message());
                json.count("code", span.status() as u32);
            });
        });
    }

    fn event(&mut self, event: EventRef<'_>) {
        self.object(|json| {
            json.quoted("timeUnixNano", event.time_unix_nano().max(0));
            json.text("name", event.name());
            json.attributes(event.attributes());
            json.count("droppedAttributesCount", event.dropped());
        });
    }

    fn link(&mut self, link: LinkRef<'_>) {
        self.object(|json| {
            json.quoted("traceId", link.trace_id());
            json.quoted("spanId", link.span_id());
            json.text("traceState", link.trace_state());
            json.attributes(link.attributes());
            json.count("droppedAttributesCount", link.dropped());
            json.count("flags", link.flags());
        });
    }

    fn attributes(&mut self, attributes: Attributes<'_>) {
        if attributes.len() == 0 {
            return;
        }
        self.key("attributes");
        self.list(attributes, |json, (key, value)| {
            json.object(|json| {
                json.key("key");
                json.string(key);
                json.key("value");
                json.object(|json| json.any(value, 0));
            });
        });
    }

    /// The one member of an `AnyValue`.
    fn any(&mut self, value: AttrValue<'_>, depth: usize) {
        match value {
            AttrValue::Str(text) => {
                self.key("stringValue");
                self.string(text);
            }
            AttrValue::Bool(flag) => {
                self.key("boolValue");
                self.append(flag);
            }
            AttrValue::Int(int) => self.quoted("intValue", int),
            AttrValue::Double(double) => self.double(double),
            AttrValue::Bytes(bytes) => {
                self.key("bytesValue");
                self.out.push('"');
                STANDARD.encode_string(bytes, &mut self.out);
                self.out.push('"');
            }
            AttrValue::Array(list) => {
                self.key("arrayValue");
                self.values(list, |json, item| json.object(|json| json.nested(item, depth + 1)));
            }
            AttrValue::Map(map) => {
                self.key("kvlistValue");
                self.values(map, |json, item| json.object(|json| json.pair(item, depth + 1)));
            }
            AttrValue::Empty => {}
        }
    }

    /// Rust writes the shortest digits that read back as the same double.
    fn double(&mut self, double: f64) {
        self.key("doubleValue");
        if double.is_finite() {
            self.append(format_args!("{double:?}"));
        } else if double.is_nan() {
            self.out.push_str("\"NaN\"");
        } else {
            self.out.push_str(if double > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
        }
    }

    fn values(&mut self, bytes: &[u8], write: impl FnMut(&mut Self, &[u8])) {
        let items = items(bytes);
        self.object(|json| {
            json.key("values");
            json.list(items.into_iter(), write);
        });
    }

    fn pair(&mut self, bytes: &[u8], depth: usize) {
        let (name, value) = pair(bytes).unwrap_or_default();
        self.key("key");
        self.string(&String::from_utf8_lossy(name));
        self.key("value");
        self.object(|json| json.nested(value, depth));
    }

    fn nested(&mut self, bytes: &[u8], depth: usize) {
        match last_member(bytes) {
            Ok(Some(member)) if depth <= NESTED_DEPTH_MAX => match member {
                Member::Text(bytes) => {
                    self.any(AttrValue::Str(&String::from_utf8_lossy(bytes)), depth);
                }
                Member::Value(value) => self.any(value, depth),
            },
            // The decoders keep sound bytes only; what else may be there has no JSON.
            _ => {}
        }
    }

    fn object(&mut self, write: impl FnOnce(&mut Self)) {
        self.out.push('{');
        write(self);
        self.out.push('}');
    }

    fn list<T>(&mut self, items: impl Iterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.out.push('[');
        for item in items {
            self.comma();
            write(self, item);
        }
        self.out.push(']');
    }

    fn comma(&mut self) {
        if !self.out.ends_with(['{', '[']) {
            self.out.push(',');
        }
    }

    fn key(&mut self, key: &str) {
        self.comma();
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
    }

    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.key(key);
            self.string(text);
        }
    }

    fn count(&mut self, key: &str, count: u32) {
        if count != 0 {
            self.key(key);
            self.append(count);
        }
    }

    fn quoted(&mut self, key: &str, value: impl Display) {
        self.key(key);
        self.append(format_args!("\"{value}\""));
    }

    fn append(&mut self, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.out, "{value}");
    }

    /// **Rule:** RFC 8259, section 7: quotes, backslashes and controls are escaped.
    fn string(&mut self, text: &str) {
        self.out.push('"');
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') {
            let (plain, special) = rest.split_at(at);
            self.out.push_str(plain);
            let mut chars = special.chars();
            match chars.next() {
                Some('"') => self.out.push_str("\\\""),
                Some('\\') => self.out.push_str("\\\\"),
                Some('\n') => self.out.push_str("\\n"),
                Some('\r') => self.out.push_str("\\r"),
                Some('\t') => self.out.push_str("\\t"),
                Some(control) => self.append(format_args!("\\u{:04x}", u32::from(control))),
                None => {}
            }
            rest = chars.as_str();
        }
        self.out.push_str(rest);
        self.out.push('"');
    }
}

/// The `values` of an `ArrayValue` or `KeyValueList`, up to where the bytes stop making sense.
fn items(bytes: &[u8]) -> Vec<&[u8]> {
    let mut items = Vec::new();
    let mut reader = Reader::new(bytes);
    while let Ok(Some(key)) = reader.key() {
        if key == any::VALUES {
            let Ok(item) = reader.bytes() else { break };
            items.push(item);
        } else if reader.skip(key, any::VALUES_KNOWN).is_err() {
            break;
        }
    }
    items
}

fn pair(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (mut name, mut value) = (&[][..], &[][..]);
    let mut reader = Reader::new(bytes);
    while let Some(key) = reader.key()? {
        match key {
            key_value::KEY => name = reader.bytes()?,
            key_value::VALUE => value = reader.bytes()?,
            _ => reader.skip(key, key_value::KNOWN)?,
        }
    }
    Ok((name, value))
}

enum Member<'a> {
    Text(&'a [u8]),
    Value(AttrValue<'a>),
}

/// The member of the `oneof` that was sent last, which is the one that holds.
fn last_member(bytes: &[u8]) -> Result<Option<Member<'_>>, Malformed> {
    let mut last = None;
    let mut reader = Reader::new(bytes);
    while let Some(key) = reader.key()? {
        last = Some(match key {
            any::STRING => Member::Text(reader.bytes()?),
            any::BOOL => Member::Value(AttrValue::Bool(reader.varint()? != 0)),
            any::INT => Member::Value(AttrValue::Int(reader.varint()?.cast_signed())),
            any::DOUBLE => Member::Value(AttrValue::Double(f64::from_bits(reader.fixed64()?))),
            any::BYTES => Member::Value(AttrValue::Bytes(reader.bytes()?)),
            any::ARRAY => Member::Value(AttrValue::Array(reader.bytes()?)),
            any::MAP => Member::Value(AttrValue::Map(reader.bytes()?)),
            _ => {
                reader.skip(key, any::KNOWN)?;
                continue;
            }
        });
    }
    Ok(last)
}
