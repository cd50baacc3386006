//! Datadog's span pointers: one name for an object or item, which both sides can work out.
//!
//! In:   what a request and its answer, or an event, say of an S3 object or a DynamoDB item.
//! Out:  a [`Receipt`] of carrier [`Carrier::Pointer`].
//! Rule: Datadog, "Span pointers": 32 hexadecimal digits of SHA-256 over parts joined by `|`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::carrier::Carrier;
use crate::receipt::{Direction, Receipt};

/// The attribute of a pointer's span link that names its hash.
pub const HASH_ATTRIBUTE: &str = "ptr.hash";
/// The attribute of a pointer's span link that names its kind.
pub const KIND_ATTRIBUTE: &str = "ptr.kind";
/// The attribute of a pointer's span link that is `d` (downstream, produced) or `u` (consumed).
pub const DIRECTION_ATTRIBUTE: &str = "ptr.dir";

const S3_KIND: &str = "aws.s3.object";
const DYNAMODB_KIND: &str = "aws.dynamodb.item";

/// A receipt of a pointer as a span link has it. `None` when the direction is neither `u` nor `d`.
#[must_use]
pub fn of_link(hash: &str, kind: &str, direction: &str) -> Option<Receipt> {
    let direction = match direction {
        "d" => Direction::Out,
        "u" => Direction::In,
        _ => return None,
    };
    Some(pointer(direction, kind, hash.to_owned()))
}

/// The pointer of an object: bucket, key as it is (not URL-encoded), and ETag without quotes.
#[must_use]
pub fn of_object(direction: Direction, bucket: &str, key: &str, etag: &str) -> Receipt {
    let hash = hash(&[bucket.as_bytes(), key.as_bytes(), etag.trim_matches('"').as_bytes()]);
    pointer(direction, S3_KIND, hash)
}

/// The pointer of an item: its table and its one or two keys, each `{"S"|"N"|"B": text}`.
/// `None` when the keys are not of that form.
#[must_use]
pub fn of_item(direction: Direction, table: &str, keys: &Map<String, Value>) -> Option<Receipt> {
    let mut sorted: Vec<(&String, &Value)> = keys.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    let mut parts = vec![table.as_bytes().to_vec()];
    for (name, value) in &sorted {
        parts.push(name.as_bytes().to_vec());
        parts.push(key_bytes(value)?);
    }
    match sorted.len() {
        1 => parts.extend([Vec::new(), Vec::new()]),
        2 => {}
        _ => return None,
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Some(pointer(direction, DYNAMODB_KIND, hash(&parts)))
}

fn pointer(direction: Direction, kind: &str, hash: String) -> Receipt {
    let mut receipt = Receipt::new(direction, Carrier::Pointer, hash);
    receipt.resource = Some(kind.to_owned());
    receipt
}

fn key_bytes(value: &Value) -> Option<Vec<u8>> {
    let (kind, text) = value.as_object()?.iter().next()?;
    match (kind.as_str(), text.as_str()?) {
        ("S" | "N", text) => Some(text.as_bytes().to_vec()),
        ("B", text) => STANDARD.decode(text).ok(),
        _ => None,
    }
}

fn hash(parts: &[&[u8]]) -> String {
    let digest = Sha256::digest(parts.join(&b'|'));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_has_one_name_on_both_sides() {
        let out = of_object(Direction::Out, "photos", "a b.png", "\"ab12\"");
        let into = of_object(Direction::In, "photos", "a b.png", "ab12");
        assert_eq!(out.key(), into.key());
        assert_eq!((into.id.len(), into.resource.as_deref()), (32, Some(S3_KIND)));
        // The published test vector of Datadog's own tracers.
        let known = of_object(Direction::Out, "some-bucket", "some-key.data", "ab12ef34");
        assert_eq!(known.id, "e721375466d4116ab551213fdea08413");
    }

    #[test]
    fn an_item_is_named_by_its_sorted_keys() {
        let keys = |value: Value| value.as_object().cloned().unwrap();
        let one = of_item(Direction::In, "t", &keys(json!({"id": {"S": "1"}}))).unwrap();
        let other = of_item(Direction::In, "t", &keys(json!({"id": {"N": "2"}}))).unwrap();
        assert_ne!(one.key(), other.key());
        let sorted =
            of_item(Direction::In, "t", &keys(json!({"b": {"B": "AQ=="}, "a": {"S": "x"}})));
        assert_eq!(sorted.unwrap().id, hash(&[b"t", b"a", b"x", b"b", b"\x01"]));
        for odd in [json!({}), json!({"a": 1}), json!({"a": {"M": {}}})] {
            assert_eq!(of_item(Direction::In, "t", &keys(odd)), None);
        }
    }

    #[test]
    fn a_link_says_which_way() {
        assert_eq!(of_link("ab", S3_KIND, "d").unwrap().direction, Direction::Out);
        assert_eq!(of_link("ab", S3_KIND, "u").unwrap().direction, Direction::In);
        assert_eq!(of_link("ab", S3_KIND, "x"), None);
    }
}
