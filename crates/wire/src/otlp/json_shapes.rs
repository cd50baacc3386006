//! The shapes of OTLP/JSON, and the scalars of ProtoJSON that plain serde reads differently.
//!
//! Rule: OTLP specification, "JSON Protobuf Encoding"; protobuf.dev, "ProtoJSON Format": names in
//!       camelCase or as in the `.proto` file, `null` is the default, unknown names are ignored,
//!       64-bit integers are strings or numbers.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de::Error as _};
use serde_json::value::RawValue;

/// `ExportTraceServiceRequest`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Request<'a> {
    #[serde(borrow, alias = "resource_spans")]
    pub(super) resource_spans: List<Object<ResourceSpans<'a>>>,
}

/// `ResourceSpans`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ResourceSpans<'a> {
    #[serde(borrow)]
    pub(super) resource: Object<Resource<'a>>,
    #[serde(borrow, alias = "scope_spans")]
    pub(super) scope_spans: List<Object<ScopeSpans<'a>>>,
    #[serde(borrow, alias = "schema_url")]
    pub(super) schema_url: Text<'a>,
}

/// `Resource`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Resource<'a> {
    #[serde(borrow)]
    pub(super) attributes: List<Object<KeyValue<'a>>>,
    #[serde(alias = "dropped_attributes_count")]
    pub(super) dropped_attributes_count: Int,
}

/// `ScopeSpans`. The spans stay text here, so that a bad one is told from the others.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ScopeSpans<'a> {
    #[serde(borrow)]
    pub(super) scope: Object<Scope<'a>>,
    #[serde(borrow)]
    pub(super) spans: List<&'a RawValue>,
    #[serde(borrow, alias = "schema_url")]
    pub(super) schema_url: Text<'a>,
}

/// `InstrumentationScope`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Scope<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) version: Text<'a>,
    #[serde(borrow)]
    pub(super) attributes: List<Object<KeyValue<'a>>>,
    #[serde(alias = "dropped_attributes_count")]
    pub(super) dropped_attributes_count: Int,
}

/// `Span`. Ids are hex, unlike ProtoJSON's base64.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Span<'a> {
    #[serde(borrow, alias = "trace_id")]
    pub(super) trace_id: Text<'a>,
    #[serde(borrow, alias = "span_id")]
    pub(super) span_id: Text<'a>,
    #[serde(borrow, alias = "trace_state")]
    pub(super) trace_state: Text<'a>,
    #[serde(borrow, alias = "parent_span_id")]
    pub(super) parent_span_id: Text<'a>,
    pub(super) flags: Int,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    pub(super) kind: Enum,
    #[serde(alias = "start_time_unix_nano")]
    pub(super) start_time_unix_nano: Int,
    #[serde(alias = "end_time_unix_nano")]
    pub(super) end_time_unix_nano: Int,
    #[serde(borrow)]
    pub(super) attributes: List<Object<KeyValue<'a>>>,
    #[serde(alias = "dropped_attributes_count")]
    pub(super) dropped_attributes_count: Int,
    #[serde(borrow)]
    pub(super) events: List<Object<Event<'a>>>,
    #[serde(alias = "dropped_events_count")]
    pub(super) dropped_events_count: Int,
    #[serde(borrow)]
    pub(super) links: List<Object<Link<'a>>>,
    #[serde(alias = "dropped_links_count")]
    pub(super) dropped_links_count: Int,
    #[serde(borrow)]
    pub(super) status: Object<Status<'a>>,
}

/// `ExportLogsServiceRequest`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct LogsRequest<'a> {
    #[serde(borrow, alias = "resource_logs")]
    pub(super) resource_logs: List<Object<ResourceLogs<'a>>>,
}

/// `ResourceLogs`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ResourceLogs<'a> {
    #[serde(borrow)]
    pub(super) resource: Object<Resource<'a>>,
    #[serde(borrow, alias = "scope_logs")]
    pub(super) scope_logs: List<Object<ScopeLogs<'a>>>,
    #[serde(borrow, alias = "schema_url")]
    pub(super) schema_url: Text<'a>,
}

/// `ScopeLogs`. The records stay text here, as the spans of [`ScopeSpans`].
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ScopeLogs<'a> {
    #[serde(borrow)]
    pub(super) scope: Object<Scope<'a>>,
    #[serde(borrow, alias = "log_records")]
    pub(super) log_records: List<&'a RawValue>,
    #[serde(borrow, alias = "schema_url")]
    pub(super) schema_url: Text<'a>,
}

/// `LogRecord`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct LogRecord<'a> {
    #[serde(alias = "time_unix_nano")]
    pub(super) time_unix_nano: Int,
    #[serde(alias = "observed_time_unix_nano")]
    pub(super) observed_time_unix_nano: Int,
    #[serde(alias = "severity_number")]
    pub(super) severity_number: Enum,
    #[serde(borrow, alias = "severity_text")]
    pub(super) severity_text: Text<'a>,
    #[serde(borrow)]
    pub(super) body: Option<Object<AnyValue<'a>>>,
    #[serde(borrow)]
    pub(super) attributes: List<Object<KeyValue<'a>>>,
    #[serde(alias = "dropped_attributes_count")]
    pub(super) dropped_attributes_count: Int,
    pub(super) flags: Int,
    #[serde(borrow, alias = "trace_id")]
    pub(super) trace_id: Text<'a>,
    #[serde(borrow, alias = "span_id")]
    pub(super) span_id: Text<'a>,
    #[serde(borrow, alias = "event_name")]
    pub(super) event_name: Text<'a>,
}

/// `Span.Event`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Event<'a> {
    #[serde(alias = "time_unix_nano")]
    pub(super) time_unix_nano: Int,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) attributes: List<Object<KeyValue<'a>>>,
    #[serde(alias = "dropped_attributes_count")]
    pub(super) dropped_attributes_count: Int,
}

/// `Span.Link`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Link<'a> {
    #[serde(borrow, alias = "trace_id")]
    pub(super) trace_id: Text<'a>,
    #[serde(borrow, alias = "span_id")]
    pub(super) span_id: Text<'a>,
    #[serde(borrow, alias = "trace_state")]
    pub(super) trace_state: Text<'a>,
    #[serde(borrow)]
    pub(super) attributes: List<Object<KeyValue<'a>>>,
    #[serde(alias = "dropped_attributes_count")]
    pub(super) dropped_attributes_count: Int,
    pub(super) flags: Int,
}

/// `Status` of a span.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status<'a> {
    #[serde(borrow)]
    pub(super) message: Text<'a>,
    pub(super) code: Enum,
}

/// `KeyValue`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct KeyValue<'a> {
    #[serde(borrow)]
    pub(super) key: Text<'a>,
    #[serde(borrow)]
    pub(super) value: Object<AnyValue<'a>>,
}

/// `AnyValue`. Lists and maps stay text here, so that no nesting grows the stack unasked.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AnyValue<'a> {
    #[serde(borrow, alias = "string_value")]
    pub(super) string_value: Option<Text<'a>>,
    #[serde(alias = "bool_value")]
    pub(super) bool_value: Option<bool>,
    #[serde(alias = "int_value")]
    pub(super) int_value: Option<Int>,
    #[serde(borrow, alias = "double_value")]
    pub(super) double_value: Option<&'a RawValue>,
    #[serde(borrow, alias = "array_value")]
    pub(super) array_value: Option<&'a RawValue>,
    #[serde(borrow, alias = "kvlist_value")]
    pub(super) kvlist_value: Option<&'a RawValue>,
    #[serde(borrow, alias = "bytes_value")]
    pub(super) bytes_value: Option<Text<'a>>,
}

/// `ArrayValue`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ArrayValue<'a> {
    #[serde(borrow)]
    pub(super) values: List<Object<AnyValue<'a>>>,
}

/// `KeyValueList`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyValueList<'a> {
    #[serde(borrow)]
    pub(super) values: List<Object<KeyValue<'a>>>,
}

/// A repeated field; `null` is empty.
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::deserialize(deserializer)?.unwrap_or_default()))
    }
}

/// A message; `null` is an empty one. Serde alone would also take a list of its fields' values.
#[derive(Default)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }
}

/// Text, borrowed when it has no escapes; `null` is empty.
#[derive(Default)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(""))
    }
}

/// An integer of any protobuf type, as number or string; `null` is zero.
#[derive(Clone, Copy, Default)]
pub(super) struct Int(pub(super) i128);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IntVisitor).map(Self)
    }
}

struct IntVisitor;

impl Visitor<'_> for IntVisitor {
    type Value = i128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer, or a string with one")
    }

    fn visit_u64<E>(self, number: u64) -> Result<i128, E> {
        Ok(i128::from(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<i128, E> {
        Ok(i128::from(number))
    }

    /// `1e3` and `5.0` are integers to ProtoJSON.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<i128, E> {
        whole(number).ok_or_else(|| E::invalid_value(de::Unexpected::Float(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<i128, E> {
        let read = text.parse().ok().or_else(|| whole(text.parse().ok()?));
        read.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_unit<E>(self) -> Result<i128, E> {
        Ok(0)
    }
}

fn whole(number: f64) -> Option<i128> {
    // Twice the range of any protobuf integer: what is checked against a type comes later.
    const MAX: f64 = (1u128 << 65) as f64;
    if number.fract() != 0.0 || number.abs() > MAX {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range, as checked above")]
    Some(number as i128)
}

/// An enum: its number (as OTLP wants it) or its name (as ProtoJSON has it); `null` is zero.
#[derive(Clone, Copy, Default)]
pub(super) struct Enum(pub(super) i64);

impl<'de> Deserialize<'de> for Enum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnumVisitor).map(Self)
    }
}

struct EnumVisitor;

impl Visitor<'_> for EnumVisitor {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number or name of an enum's member")
    }

    fn visit_u64<E>(self, number: u64) -> Result<i64, E> {
        Ok(i64::try_from(number).unwrap_or(-1))
    }

    fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_f64<E>(self, number: f64) -> Result<i64, E> {
        Ok(whole(number).and_then(|n| i64::try_from(n).ok()).unwrap_or(-1))
    }

    /// An unknown name is an unknown number: the default, as in protobuf.
    fn visit_str<E>(self, name: &str) -> Result<i64, E> {
        Ok(match name {
            "SPAN_KIND_INTERNAL" | "STATUS_CODE_OK" => 1,
            "SPAN_KIND_SERVER" | "STATUS_CODE_ERROR" => 2,
            "SPAN_KIND_CLIENT" => 3,
            "SPAN_KIND_PRODUCER" => 4,
            "SPAN_KIND_CONSUMER" => 5,
            _ => match name.strip_prefix("SEVERITY_NUMBER_") {
                Some(severity) => severity_number(severity),
                None => name.parse().unwrap_or(0),
            },
        })
    }

    fn visit_unit<E>(self) -> Result<i64, E> {
        Ok(0)
    }
}

/// The number of a severity by its name: `INFO` is 9, `INFO2` 10.
///
/// **Rule:** `logs.proto`, `SeverityNumber`.
fn severity_number(name: &str) -> i64 {
    let names = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let found = names.iter().zip((1..).step_by(4)).find_map(|(stem, first)| {
        let step = match name.strip_prefix(stem)? {
            "" => 0,
            "2" => 1,
            "3" => 2,
            "4" => 3,
            _ => return None,
        };
        Some(first + step)
    });
    found.unwrap_or(0)
}

/// A double: a number, or a string with one, or `"NaN"`, `"Infinity"`, `"-Infinity"`.
///
/// Read from its text, for `serde_json` may miss the nearest double by one bit.
pub(super) fn double(raw: &RawValue) -> Result<f64, serde_json::Error> {
    let text: Text<'_> = match raw.get() {
        quoted if quoted.starts_with('"') => serde_json::from_str(quoted)?,
        plain => Text(Cow::Borrowed(plain)),
    };
    match text.0.as_ref() {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        digits => digits
            .parse()
            .ok()
            .filter(|double: &f64| double.is_finite())
            .ok_or_else(|| serde_json::Error::custom("expected a double, or a string with one")),
    }
}
