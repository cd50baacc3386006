//! Lists and maps inside attributes, kept as the bytes of OTLP's `ArrayValue` and `KeyValueList`.
//!
//! We keep them encoded because they are rare, and because an encoded value costs one slice while
//! a tree costs an allocation for every leaf (ADR-0003).
//! Rule: opentelemetry-proto, `common.proto`, messages `AnyValue`, `ArrayValue`, `KeyValueList`.

use serde_json::{Map, Number, Value};

use crate::AttrValue;

/// How deep lists and maps may nest before the inner ones are dropped.
pub const NESTED_DEPTH_MAX: usize = 32;

/// Reads a list or map as JSON; `None` when `value` is neither or its bytes are malformed.
///
/// Integers that a double cannot hold become strings, bytes become lower-case hex.
pub fn nested_to_json(value: AttrValue<'_>) -> Option<Value> {
    match value {
        AttrValue::Array(bytes) => read_array(bytes, 0),
        AttrValue::Map(bytes) => read_map(bytes, 0),
        _ => None,
    }
}

fn read_array(bytes: &[u8], depth: usize) -> Option<Value> {
    let mut items = Vec::new();
    for field in Fields(bytes) {
        let field = field?;
        if field.number == 1 {
            items.push(read_any(field.bytes()?, depth + 1)?);
        }
    }
    Some(Value::Array(items))
}

fn read_map(bytes: &[u8], depth: usize) -> Option<Value> {
    let mut map = Map::new();
    for field in Fields(bytes) {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        let (mut key, mut value) = (String::new(), Value::Null);
        for part in Fields(field.bytes()?) {
            let part = part?;
            match part.number {
                1 => key = String::from_utf8_lossy(part.bytes()?).into_owned(),
                2 => value = read_any(part.bytes()?, depth + 1)?,
                _ => {}
            }
        }
        map.insert(key, value);
    }
    Some(Value::Object(map))
}

fn read_any(bytes: &[u8], depth: usize) -> Option<Value> {
    if depth > NESTED_DEPTH_MAX {
        return None;
    }
    let mut value = Value::Null;
    for field in Fields(bytes) {
        let field = field?;
        value = match field.number {
            1 => Value::String(String::from_utf8_lossy(field.bytes()?).into_owned()),
            2 => Value::Bool(field.number_value()? != 0),
            3 => integer(field.number_value()?.cast_signed()),
            4 => Number::from_f64(f64::from_bits(field.number_value()?))
                .map_or(Value::Null, Value::Number),
            5 => read_array(field.bytes()?, depth)?,
            6 => read_map(field.bytes()?, depth)?,
            7 => Value::String(AttrValue::Bytes(field.bytes()?).text().into_owned()),
            _ => value,
        };
    }
    Some(value)
}

fn integer(value: i64) -> Value {
    const EXACT_MAX: u64 = 1 << 53;
    if value.unsigned_abs() <= EXACT_MAX { value.into() } else { value.to_string().into() }
}

/// Writes a JSON array as the bytes of an `ArrayValue`.
pub fn nested_array_from_json(items: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for item in items {
        put_bytes(&mut out, 1, &any_from_json(item, 1));
    }
    out
}

/// Writes a JSON object as the bytes of a `KeyValueList`.
pub fn nested_map_from_json(map: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in map {
        put_bytes(&mut out, 1, &key_value(key, value, 1));
    }
    out
}

fn key_value(key: &str, value: &Value, depth: usize) -> Vec<u8> {
    let mut pair = Vec::new();
    put_bytes(&mut pair, 1, key.as_bytes());
    put_bytes(&mut pair, 2, &any_from_json(value, depth));
    pair
}

fn any_from_json(value: &Value, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    if depth > NESTED_DEPTH_MAX {
        return out;
    }
    match value {
        Value::Null => {}
        Value::String(text) => put_bytes(&mut out, 1, text.as_bytes()),
        Value::Bool(flag) => put_varint_field(&mut out, 2, u64::from(*flag)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => put_varint_field(&mut out, 3, int.cast_unsigned()),
            (None, Some(double)) => {
                put_varint(&mut out, 4 << 3 | 1);
                out.extend_from_slice(&double.to_bits().to_le_bytes());
            }
            _ => {}
        },
        Value::Array(items) => {
            let mut inner = Vec::new();
            for item in items {
                put_bytes(&mut inner, 1, &any_from_json(item, depth + 1));
            }
            put_bytes(&mut out, 5, &inner);
        }
        Value::Object(map) => {
            let mut inner = Vec::new();
            for (key, item) in map {
                put_bytes(&mut inner, 1, &key_value(key, item, depth + 1));
            }
            put_bytes(&mut out, 6, &inner);
        }
    }
    out
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_varint_field(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

fn put_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The fields of one protobuf message; yields `None` once and stops when the bytes are malformed.
struct Fields<'a>(&'a [u8]);

struct Field<'a> {
    number: u64,
    payload: Payload<'a>,
}

enum Payload<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(&self) -> Option<&'a [u8]> {
        match self.payload {
            Payload::Bytes(bytes) => Some(bytes),
            Payload::Number(_) => None,
        }
    }

    fn number_value(&self) -> Option<u64> {
        match self.payload {
            Payload::Number(number) => Some(number),
            Payload::Bytes(_) => None,
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<Field<'a>> {
        let tag = self.varint()?;
        let payload = match tag & 7 {
            0 => Payload::Number(self.varint()?),
            1 => Payload::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Payload::Bytes(self.take(length)?)
            }
            5 => Payload::Number(u64::from(u32::from_le_bytes(self.take(4)?.try_into().ok()?))),
            _ => return None,
        };
        Some(Field { number: tag >> 3, payload })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in 0..10 {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << (shift * 7);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_values_read_back_as_written() {
        let value = json!([1, "two", {"three": [3.5, null, true], "four": {}}]);
        let bytes = nested_array_from_json(value.as_array().unwrap());
        assert_eq!(nested_to_json(AttrValue::Array(&bytes)), Some(value));
    }

    #[test]
    fn any_prefix_of_the_bytes_is_read_without_a_panic() {
        let value = json!({"a": [1, 2, {"b": "c"}], "d": -9.25});
        let bytes = nested_map_from_json(value.as_object().unwrap());
        for end in 0..bytes.len() {
            let _ = nested_to_json(AttrValue::Map(&bytes[..end]));
        }
    }

    #[test]
    fn what_nests_too_deep_is_dropped_not_followed() {
        let mut value = json!("leaf");
        for _ in 0..NESTED_DEPTH_MAX * 4 {
            value = json!([value]);
        }
        let bytes = nested_array_from_json(value.as_array().unwrap());
        assert!(bytes.len() < 1000);
        let _ = nested_to_json(AttrValue::Array(&bytes));
    }
}
