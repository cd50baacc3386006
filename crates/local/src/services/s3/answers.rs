//! Which operation a request is, and how its answer looks.

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::{Object, S3, chunked, listing, no_such_bucket};
use crate::http::{
    DECLARATION, Failure, Protocol, Request, Response, decode, response, set_header,
};
use crate::ids;
use crate::sync::lock;
use crate::xml::Xml;

/// Headers that are kept with an object and given back with it.
const KEPT_HEADERS: [&str; 6] = [
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "expires",
];
/// Sub-resources of a bucket that are accepted and not kept.
const ACCEPTED: [&str; 13] = [
    "acl",
    "accelerate",
    "cors",
    "encryption",
    "lifecycle",
    "logging",
    "notification",
    "ownershipControls",
    "publicAccessBlock",
    "replication",
    "tagging",
    "versioning",
    "website",
];

impl S3 {
    /// Answers a call. `host_bucket` is the bucket that the host named.
    pub(crate) fn answer(&self, host_bucket: Option<&str>, request: &Request) -> Response {
        let path = request.path.trim_start_matches('/');
        let (bucket, key) = match host_bucket {
            Some(bucket) => (bucket.to_owned(), decode(path)),
            None => {
                let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
                (decode(bucket), decode(key))
            }
        };
        let answer = if bucket.is_empty() {
            self.list_buckets(request)
        } else if key.is_empty() {
            self.bucket_call(&bucket, request)
        } else {
            self.object_call(&bucket, &key, request)
        };
        let mut answer = answer
            .unwrap_or_else(|failure| Protocol::RestXml.failure(&failure, &request.request_id));
        if request.method == Method::HEAD {
            // A HEAD answer has no body, and so its error has no code: clients go by the status.
            *answer.body_mut() = Bytes::new();
        }
        set_header(&mut answer, "x-amz-request-id", &request.request_id);
        set_header(&mut answer, "x-amz-id-2", &request.request_id);
        answer
    }

    fn list_buckets(&self, request: &Request) -> Result<Response, Failure> {
        if request.method != Method::GET {
            return Err(not_allowed());
        }
        let state = lock(&self.state);
        let buckets = state.buckets.iter().fold(Xml::new(), |list, (name, bucket)| {
            let item =
                Xml::new().text("Name", name).text("CreationDate", ids::iso(bucket.created_ms));
            list.element("Bucket", item)
        });
        let owner = Xml::new().text("ID", "local").text("DisplayName", "local");
        Ok(xml(
            "ListAllMyBucketsResult",
            Xml::new().element("Owner", owner).element("Buckets", buckets),
        ))
    }

    fn bucket_call(&self, bucket: &str, request: &Request) -> Result<Response, Failure> {
        let has = |name: &str| request.query_pairs().iter().any(|(key, _)| key == name);
        if let Some(sub) = ACCEPTED.iter().find(|sub| has(sub)) {
            return self.sub_resource(bucket, sub, request);
        }
        match request.method {
            Method::PUT if has("policy") => {
                let policy = String::from_utf8_lossy(&request.body).into_owned();
                self.set_policy(bucket, Some(policy))?;
                Ok(response(204, "", ""))
            }
            Method::GET if has("policy") => {
                let state = lock(&self.state);
                let policy = state.buckets.get(bucket).ok_or_else(no_such_bucket)?.policy.clone();
                let policy = policy.ok_or_else(|| {
                    Failure::new(404, "NoSuchBucketPolicy", "The bucket policy does not exist")
                })?;
                Ok(response(200, "application/json", policy))
            }
            Method::DELETE if has("policy") => {
                self.set_policy(bucket, None)?;
                Ok(response(204, "", ""))
            }
            Method::PUT => {
                self.create_bucket(bucket)?;
                let mut answer = response(200, "", "");
                set_header(&mut answer, "location", &format!("/{bucket}"));
                Ok(answer)
            }
            Method::DELETE => self.delete_bucket(bucket).map(|()| response(204, "", "")),
            Method::HEAD if self.has_bucket(bucket) => {
                let mut answer = response(200, "application/xml", "");
                set_header(&mut answer, "x-amz-bucket-region", &self.region);
                Ok(answer)
            }
            Method::HEAD => Err(no_such_bucket()),
            Method::GET if has("location") => {
                if !self.has_bucket(bucket) {
                    return Err(no_such_bucket());
                }
                // us-east-1 is told by an empty element (GetBucketLocation).
                let region = if self.region == "us-east-1" { "" } else { &self.region };
                let body = format!(
                    "{DECLARATION}<LocationConstraint xmlns=\"{NAMESPACE}\">{region}</LocationConstraint>"
                );
                Ok(response(200, "application/xml", body))
            }
            Method::GET => {
                let state = lock(&self.state);
                let contents = state.buckets.get(bucket).ok_or_else(no_such_bucket)?;
                Ok(xml("ListBucketResult", listing::list(bucket, contents, request)))
            }
            Method::POST if has("delete") => self.delete_many(bucket, request),
            _ => Err(not_allowed()),
        }
    }

    /// What is set is taken and forgotten; what is asked for was never set.
    fn sub_resource(
        &self,
        bucket: &str,
        sub: &str,
        request: &Request,
    ) -> Result<Response, Failure> {
        if !self.has_bucket(bucket) {
            return Err(no_such_bucket());
        }
        match (&request.method, sub) {
            (&Method::PUT, _) => Ok(response(200, "", "")),
            (&Method::DELETE, _) => Ok(response(204, "", "")),
            (&Method::GET, "versioning") => Ok(xml("VersioningConfiguration", Xml::new())),
            (&Method::GET, "tagging") => {
                Err(Failure::new(404, "NoSuchTagSet", "The TagSet does not exist"))
            }
            _ => Err(not_allowed()),
        }
    }

    fn delete_many(&self, bucket: &str, request: &Request) -> Result<Response, Failure> {
        if !self.has_bucket(bucket) {
            return Err(no_such_bucket());
        }
        let malformed = || {
            let problem = "The XML you provided was not well-formed or did not validate against our published schema";
            Failure::new(400, "MalformedXML", problem)
        };
        let body = body(request)?;
        let text = std::str::from_utf8(&body).map_err(|_| malformed())?;
        let document = roxmltree::Document::parse(text).map_err(|_| malformed())?;
        let quiet = document
            .descendants()
            .any(|node| node.tag_name().name() == "Quiet" && node.text() == Some("true"));
        let mut answer = Xml::new();
        for node in document.descendants().filter(|node| node.tag_name().name() == "Key") {
            let key = node.text().unwrap_or("");
            self.delete(bucket, key)?;
            if !quiet {
                answer = answer.element("Deleted", Xml::new().text("Key", key));
            }
        }
        Ok(xml("DeleteResult", answer))
    }

    fn object_call(&self, bucket: &str, key: &str, request: &Request) -> Result<Response, Failure> {
        let value = |name: &str| request.query_value(name);
        match request.method {
            Method::POST if value("uploads").is_some() => {
                self.begin_upload(bucket, key, kept_headers(request))
            }
            Method::POST => match value("uploadId") {
                Some(id) => self.complete_upload(&id, request),
                None => Err(not_allowed()),
            },
            Method::PUT => match (value("uploadId"), value("partNumber")) {
                (Some(id), Some(number)) => self.put_part(&id, &number, body(request)?),
                _ if value("acl").is_some() || value("tagging").is_some() => {
                    Ok(response(200, "", ""))
                }
                _ => self.put_object(bucket, key, request),
            },
            Method::DELETE => match value("uploadId") {
                Some(id) => self.abort_upload(&id),
                None => self.delete(bucket, key).map(|()| response(204, "", "")),
            },
            Method::GET | Method::HEAD => get_object(&self.object(bucket, key)?, request),
            _ => Err(not_allowed()),
        }
    }

    fn put_object(&self, bucket: &str, key: &str, request: &Request) -> Result<Response, Failure> {
        let source = request.header("x-amz-copy-source");
        if source.is_empty() {
            let etag = self.put(bucket, key, body(request)?, kept_headers(request), None)?;
            let mut answer = response(200, "", "");
            set_header(&mut answer, "etag", &etag);
            return Ok(answer);
        }
        let source = decode(source.split('?').next().unwrap_or(source));
        let (from, name) = source.trim_start_matches('/').split_once('/').ok_or_else(|| {
            Failure::new(
                400,
                "InvalidArgument",
                "Copy Source must mention the source bucket and key",
            )
        })?;
        let copied = self.object(from, name)?;
        let replaced = request.header("x-amz-metadata-directive").eq_ignore_ascii_case("REPLACE");
        let headers = if replaced { kept_headers(request) } else { copied.headers };
        let etag = self.put(bucket, key, copied.body, headers, Some(copied.etag))?;
        let result = Xml::new().text("LastModified", ids::iso(ids::now_ms())).text("ETag", etag);
        Ok(xml("CopyObjectResult", result))
    }
}

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

fn xml(name: &str, inner: Xml) -> Response {
    let inner = inner.into_string();
    let body = format!("{DECLARATION}<{name} xmlns=\"{NAMESPACE}\">{inner}</{name}>");
    response(200, "application/xml", body)
}

fn not_allowed() -> Failure {
    Failure::new(
        405,
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
    )
}

/// The body without the frames of `aws-chunked`.
fn body(request: &Request) -> Result<Bytes, Failure> {
    let framed = request.header("x-amz-content-sha256").starts_with("STREAMING-")
        || request.header("content-encoding").contains("aws-chunked");
    if !framed {
        return Ok(request.body.clone());
    }
    chunked::decode(&request.body).ok_or_else(|| {
        Failure::new(400, "IncompleteBody", "The request body terminated unexpectedly")
    })
}

fn kept_headers(request: &Request) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (name, value) in &request.headers {
        let name = name.as_str();
        let Ok(value) = value.to_str() else { continue };
        if !KEPT_HEADERS.contains(&name) && !name.starts_with("x-amz-meta-") {
            continue;
        }
        let value = if name == "content-encoding" {
            let codings = value.split(',').map(str::trim).filter(|coding| *coding != "aws-chunked");
            codings.collect::<Vec<_>>().join(", ")
        } else {
            value.to_owned()
        };
        if !value.is_empty() {
            headers.push((name.to_owned(), value));
        }
    }
    headers
}

fn get_object(object: &Object, request: &Request) -> Result<Response, Failure> {
    let unchanged = request.header("if-none-match");
    if !unchanged.is_empty() && unchanged == object.etag {
        return Ok(response(304, "", ""));
    }
    let length = object.body.len();
    let range = range(request.header("range"), length);
    let (status, from, to) = match range {
        Range::Whole => (200, 0, length),
        Range::Part(from, to) => (206, from, to),
        Range::Outside => {
            return Err(Failure::new(
                416,
                "InvalidRange",
                "The requested range is not satisfiable",
            ));
        }
    };
    let part =
        if request.method == Method::HEAD { Bytes::new() } else { object.body.slice(from..to) };
    let mut answer = response(status, "", part);
    for (name, value) in &object.headers {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        let value = http::HeaderValue::from_str(value);
        if let (Ok(name), Ok(value)) = (name, value) {
            answer.headers_mut().insert(name, value);
        }
    }
    if !answer.headers().contains_key("content-type") {
        set_header(&mut answer, "content-type", "binary/octet-stream");
    }
    if status == 206 {
        let range = format!("bytes {from}-{}/{length}", to.saturating_sub(1));
        set_header(&mut answer, "content-range", &range);
    }
    if request.method == Method::HEAD {
        set_header(&mut answer, "content-length", &(to - from).to_string());
    }
    set_header(&mut answer, "accept-ranges", "bytes");
    set_header(&mut answer, "etag", &object.etag);
    set_header(&mut answer, "last-modified", &ids::http_date(object.modified_ms));
    Ok(answer)
}

#[derive(Debug, PartialEq)]
enum Range {
    Whole,
    /// From, inclusive, to, exclusive.
    Part(usize, usize),
    Outside,
}

/// One range of bytes (RFC 9110, section 14.1.2); several are answered by the whole.
fn range(header: &str, length: usize) -> Range {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|spec| spec.split_once('-'))
    else {
        return Range::Whole;
    };
    match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), _) if first >= length => Range::Outside,
        (Ok(first), Ok(last)) if last >= first => {
            Range::Part(first, length.min(last.saturating_add(1)))
        }
        (Ok(first), Err(_)) if last.is_empty() => Range::Part(first, length),
        (Err(_), Ok(0)) if first.is_empty() => Range::Outside,
        (Err(_), Ok(count)) if first.is_empty() => {
            Range::Part(length.saturating_sub(count), length)
        }
        _ => Range::Whole,
    }
}

/// The bucket and key that a template's address names: `https://s3.amazonaws.com/BUCKET/KEY`,
/// `https://BUCKET.s3.REGION.amazonaws.com/KEY` or this front door's own.
pub(crate) fn bucket_and_key(url: &str) -> Option<(String, String)> {
    let rest = url.split_once("://")?.1;
    let (host, path) = rest.split_once('/')?;
    let path = path.split('?').next().unwrap_or(path);
    if let Some((bucket, _)) = host.split_once(".s3.").or_else(|| host.split_once(".s3-")) {
        return Some((bucket.to_owned(), decode(path)));
    }
    let (bucket, key) = path.split_once('/')?;
    Some((decode(bucket), decode(key)))
}

/// A JSON policy as text, whether it came as text or as an object.
pub(crate) fn policy_text(policy: &Value) -> String {
    policy.as_str().map_or_else(|| policy.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_object() {
        assert_eq!(range("", 10), Range::Whole);
        assert_eq!(range("bytes=0-3", 10), Range::Part(0, 4));
        assert_eq!(range("bytes=4-", 10), Range::Part(4, 10));
        assert_eq!(range("bytes=-3", 10), Range::Part(7, 10));
        assert_eq!(range("bytes=5-99", 10), Range::Part(5, 10));
        assert_eq!(range("bytes=10-", 10), Range::Outside);
        assert_eq!(range("bytes=0-18446744073709551615", 10), Range::Part(0, 10));
        assert_eq!(range("bytes=x-y", 10), Range::Whole);
    }

    #[test]
    fn addresses_of_templates_name_bucket_and_key() {
        let check = |url: &str| {
            let (bucket, key) = bucket_and_key(url).unwrap();
            assert_eq!(
                (bucket.as_str(), key.as_str()),
                ("b", "a/2026-11-21T08:02:18.412Z/t.json"),
                "{url}"
            );
        };
        check("https://s3.amazonaws.com/b/a/2026-11-21T08%3A02%3A18.412Z/t.json");
        check("https://s3.us-east-1.amazonaws.com/b/a/2026-11-21T08:02:18.412Z/t.json?x=1");
        check("https://b.s3.us-east-1.amazonaws.com/a/2026-11-21T08:02:18.412Z/t.json");
        check("http://127.0.0.1:4566/b/a/2026-11-21T08:02:18.412Z/t.json");
        assert!(bucket_and_key("nonsense").is_none());
    }
}
