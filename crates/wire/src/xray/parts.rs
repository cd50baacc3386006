//! Taking a document apart and putting it together: what is taken is gone, what is left is extra.

use serde_json::{Map, Number, Value};
use throughline_model::{AttrValue, SpanBatchBuilder, nested_array_from_json, nested_to_json};

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// Takes a member that is an object with something in it. What is left goes back by [`put_back`].
pub(super) fn take_object(object: &mut Object, key: &str) -> Option<Object> {
    match object.get_mut(key) {
        Some(Value::Object(inner)) if !inner.is_empty() => Some(std::mem::take(inner)),
        _ => None,
    }
}

/// Puts back what is left of a member that was taken by [`take_object`].
pub(super) fn put_back(object: &mut Object, key: &str, left: Object) {
    if left.is_empty() {
        object.remove(key);
    } else if let Some(member) = object.get_mut(key) {
        *member = Value::Object(left);
    }
}

/// Takes a member that is text.
pub(super) fn take_text(object: &mut Object, key: &str) -> Option<String> {
    if !object.get(key)?.is_string() {
        return None;
    }
    match object.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Takes a member that is a truth value.
pub(super) fn take_bool(object: &mut Object, key: &str) -> Option<bool> {
    let flag = object.get(key)?.as_bool()?;
    object.remove(key);
    Some(flag)
}

/// Takes a member that is an integer.
pub(super) fn take_int(object: &mut Object, key: &str) -> Option<i64> {
    let int = object.get(key)?.as_i64()?;
    object.remove(key);
    Some(int)
}

/// Takes the members that `wanted` says, gives each as an attribute to `write` and forgets it.
///
/// A member that no attribute can hold stays.
pub(super) fn take_members(
    object: &mut Object,
    wanted: impl Fn(&str, &Value) -> bool,
    mut write: impl FnMut(&str, AttrValue<'_>),
) {
    object.retain(|key, value| {
        if !wanted(key, value) {
            return true;
        }
        if let Some(plain) = scalar(value) {
            write(key, plain);
            return false;
        }
        match value {
            Value::Array(items) if items.iter().all(Value::is_string) => {
                write(key, AttrValue::Array(&nested_array_from_json(items)));
                false
            }
            _ => true,
        }
    });
}

/// Text, a truth value or a number, as an attribute's value.
pub(super) fn scalar(value: &Value) -> Option<AttrValue<'_>> {
    match value {
        Value::String(text) => Some(AttrValue::Str(text)),
        Value::Bool(flag) => Some(AttrValue::Bool(*flag)),
        Value::Number(number) => match number.as_i64() {
            Some(int) => Some(AttrValue::Int(int)),
            None if number.is_f64() => number.as_f64().map(AttrValue::Double),
            None => None,
        },
        _ => None,
    }
}

/// Whether [`take_members`] can take a member, when it is wanted.
pub(super) fn fits_an_attribute(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(Value::is_string),
        _ => scalar(value).is_some(),
    }
}

/// The JSON of an attribute's value; a double that JSON has no number for becomes text.
pub(super) fn json(value: AttrValue<'_>) -> Value {
    match value {
        AttrValue::Bool(flag) => flag.into(),
        AttrValue::Int(int) => int.into(),
        AttrValue::Double(double) => {
            Number::from_f64(double).map_or_else(|| double.to_string().into(), Value::Number)
        }
        AttrValue::Array(_) | AttrValue::Map(_) => nested_to_json(value).unwrap_or_default(),
        AttrValue::Empty => Value::Null,
        AttrValue::Str(_) | AttrValue::Bytes(_) => value.text().into_owned().into(),
    }
}

/// The object at `key`, made if there is none.
pub(super) fn object_at<'o>(object: &'o mut Object, key: &str) -> Option<&'o mut Object> {
    let member = object.entry(key).or_insert_with(|| Value::Object(Object::new()));
    if !member.is_object() {
        *member = Value::Object(Object::new());
    }
    member.as_object_mut()
}

/// Sets the member at a path of keys.
pub(super) fn put(object: &mut Object, path: &[&str], value: Value) {
    match path {
        [] => {}
        [key] => {
            object.insert((*key).to_owned(), value);
        }
        [key, rest @ ..] => {
            if let Some(inner) = object_at(object, key) {
                put(inner, rest, value);
            }
        }
    }
}

/// Lays `over` on top of `object`: objects unite, everything else replaces what is there.
pub(super) fn lay_over(object: &mut Object, over: Object) {
    for (key, value) in over {
        match (object.get_mut(&key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => lay_over(under, over),
            (_, value) => {
                object.insert(key, value);
            }
        }
    }
}

/// Writes an attribute whose key is a prefix and a name of the document.
pub(super) fn write_prefixed(
    builder: &mut SpanBatchBuilder,
    prefix: &str,
    key: &str,
    value: AttrValue<'_>,
) {
    builder.attribute(&format!("{prefix}{key}"), value);
}
