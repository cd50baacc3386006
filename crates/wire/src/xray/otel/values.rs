//! Attributes, of which those that found a place in the document are ticked off.

use std::borrow::Cow;

use serde_json::Value;
use throughline_model::{AttrValue, Attributes, nested_to_json};

/// The attributes of a span or a resource.
pub(super) struct Values<'a> {
    pairs: Vec<(&'a str, AttrValue<'a>, bool)>,
}

impl<'a> Values<'a> {
    pub(super) fn new(attributes: Attributes<'a>) -> Self {
        Self { pairs: attributes.map(|(key, value)| (key, value, false)).collect() }
    }

    /// The text of a key, when it has some.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(k, ..)| *k == key)?.1.as_str().filter(|text| !text.is_empty())
    }

    /// The text of the first of `keys` that has some.
    pub(super) fn first_text(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.text(key))
    }

    /// As [`Values::first_text`], and ticks that key off.
    pub(super) fn take_text(&mut self, keys: &[&str]) -> Option<&'a str> {
        let key = keys.iter().find(|key| self.text(key).is_some())?;
        let text = self.text(key);
        self.tick(key);
        text
    }

    /// As [`Values::take_text`], of a scalar of any type.
    pub(super) fn take_scalar(&mut self, keys: &[&str]) -> Option<Cow<'a, str>> {
        let scalar = |value: AttrValue<'a>| match value {
            AttrValue::Str(_) | AttrValue::Int(_) | AttrValue::Double(_) | AttrValue::Bool(_) => {
                Some(value.text()).filter(|text| !text.is_empty())
            }
            _ => None,
        };
        self.take(keys, scalar)
    }

    /// The integer of the first of `keys` that has one, also as text, and ticks that key off.
    pub(super) fn take_int(&mut self, keys: &[&str]) -> Option<i64> {
        self.take(keys, |value| match value {
            AttrValue::Int(int) => Some(int),
            AttrValue::Str(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// The texts of the first of `keys` that has a list of them, or one text, and ticks it off.
    pub(super) fn take_texts(&mut self, keys: &[&str]) -> Option<Vec<String>> {
        self.take(keys, texts)
    }

    /// What `read` makes of the first of `keys` that it can read.
    fn take<T>(&mut self, keys: &[&str], read: impl Fn(AttrValue<'a>) -> Option<T>) -> Option<T> {
        for key in keys {
            let found = self.pairs.iter().find(|(k, ..)| k == key);
            if let Some(read) = found.and_then(|(_, value, _)| read(*value)) {
                self.tick(key);
                return Some(read);
            }
        }
        None
    }

    /// Says that a key has its place in the document.
    pub(super) fn tick(&mut self, key: &str) {
        for (_, _, ticked) in self.pairs.iter_mut().filter(|(k, ..)| *k == key) {
            *ticked = true;
        }
    }

    /// Keys and values that have no place yet.
    pub(super) fn left(&self) -> impl Iterator<Item = (&'a str, AttrValue<'a>)> {
        self.pairs.iter().filter(|(_, _, ticked)| !ticked).map(|(key, value, _)| (*key, *value))
    }
}

fn texts(value: AttrValue<'_>) -> Option<Vec<String>> {
    let list = match value {
        AttrValue::Str(text) if !text.is_empty() => vec![text.to_owned()],
        AttrValue::Array(_) => match nested_to_json(value)? {
            Value::Array(items) => {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(list).filter(|list| !list.is_empty())
}
