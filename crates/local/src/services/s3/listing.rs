//! ListObjects and ListObjectsV2: keys in order, by prefix and delimiter, page by page.

use std::ops::Bound;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Bucket, Object};
use crate::http::Request;
use crate::ids;
use crate::xml::Xml;

/// What `encoding-type=url` leaves as it is.
const IN_KEYS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
const KEYS_MAX: usize = 1_000;

enum Item<'a> {
    Object(&'a str, &'a Object),
    Prefix(String),
}

/// The inside of `ListBucketResult`.
pub(super) fn list(name: &str, bucket: &Bucket, request: &Request) -> Xml {
    let value = |parameter: &str| request.query_value(parameter).unwrap_or_default();
    let version_2 = value("list-type") == "2";
    let (prefix, delimiter) = (value("prefix"), value("delimiter"));
    let keys_max = value("max-keys").parse().unwrap_or(KEYS_MAX).min(KEYS_MAX);
    let after = if version_2 {
        let token = value("continuation-token");
        if token.is_empty() { value("start-after") } else { token }
    } else {
        value("marker")
    };
    let encoded = value("encoding-type") == "url";
    let key = |text: &str| {
        if encoded { utf8_percent_encode(text, IN_KEYS).to_string() } else { text.to_owned() }
    };

    let (items, next) = page(bucket, &prefix, &delimiter, &after, keys_max);
    let mut xml = Xml::new().text("Name", name).text("Prefix", key(&prefix));
    if version_2 {
        xml = xml.text("KeyCount", items.len().to_string());
    } else {
        xml = xml.text("Marker", key(&after));
    }
    xml = xml.text("MaxKeys", keys_max.to_string());
    if !delimiter.is_empty() {
        xml = xml.text("Delimiter", key(&delimiter));
    }
    if encoded {
        xml = xml.text("EncodingType", "url");
    }
    xml = xml.text("IsTruncated", if next.is_some() { "true" } else { "false" });
    if let Some(next) = next {
        xml = xml.text(if version_2 { "NextContinuationToken" } else { "NextMarker" }, next);
    }
    for item in &items {
        if let Item::Object(name, object) = item {
            let contents = Xml::new()
                .text("Key", key(name))
                .text("LastModified", ids::iso(object.modified_ms))
                .text("ETag", &object.etag)
                .text("Size", object.body.len().to_string())
                .text("StorageClass", "STANDARD");
            xml = xml.element("Contents", contents);
        }
    }
    for item in &items {
        if let Item::Prefix(prefix) = item {
            xml = xml.element("CommonPrefixes", Xml::new().text("Prefix", key(prefix)));
        }
    }
    xml
}

fn page<'a>(
    bucket: &'a Bucket,
    prefix: &str,
    delimiter: &str,
    after: &str,
    keys_max: usize,
) -> (Vec<Item<'a>>, Option<String>) {
    let mut items: Vec<Item<'a>> = Vec::new();
    let mut last = String::new();
    let start = if after >= prefix { Bound::Excluded(after) } else { Bound::Included(prefix) };
    for (key, object) in bucket.objects.range::<str, _>((start, Bound::Unbounded)) {
        let Some(rest) = key.strip_prefix(prefix) else { break };
        let common = if delimiter.is_empty() { None } else { rest.split_once(delimiter) };
        let item = match common {
            None => Item::Object(key, object),
            Some((head, _)) => {
                let common = format!("{prefix}{head}{delimiter}");
                if after.starts_with(&common) || last == common {
                    continue;
                }
                Item::Prefix(common)
            }
        };
        if items.len() == keys_max {
            return (items, Some(last));
        }
        last = match &item {
            Item::Object(key, _) => (*key).to_owned(),
            Item::Prefix(common) => common.clone(),
        };
        items.push(item);
    }
    (items, None)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn bucket() -> Bucket {
        let mut bucket = Bucket::default();
        for key in ["a/1", "a/2", "b", "c/x/1", "d"] {
            let object = Object {
                body: Bytes::new(),
                sha256: String::new(),
                etag: String::new(),
                modified_ms: 0,
                headers: Vec::new(),
            };
            bucket.objects.insert(key.to_owned(), object);
        }
        bucket
    }

    fn check(
        prefix: &str,
        delimiter: &str,
        after: &str,
        max: usize,
        expected: &[&str],
        next: Option<&str>,
    ) {
        let bucket = bucket();
        let (items, token) = page(&bucket, prefix, delimiter, after, max);
        let names: Vec<String> = items
            .into_iter()
            .map(|item| match item {
                Item::Object(key, _) => key.to_owned(),
                Item::Prefix(prefix) => prefix,
            })
            .collect();
        assert_eq!(names, expected);
        assert_eq!(token.as_deref(), next);
    }

    #[test]
    fn pages_meet_and_prefixes_come_once() {
        check("", "", "", 2, &["a/1", "a/2"], Some("a/2"));
        check("", "", "a/2", 9, &["b", "c/x/1", "d"], None);
        check("", "/", "", 9, &["a/", "b", "c/", "d"], None);
        check("", "/", "", 1, &["a/"], Some("a/"));
        check("", "/", "a/", 2, &["b", "c/"], Some("c/"));
        check("a/", "", "", 9, &["a/1", "a/2"], None);
        check("z", "", "", 9, &[], None);
    }
}
