//! Uploads in parts, as clients make them of files beyond 8 MB.
//!
//! Rule: CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload. The tag of a
//!       whole is the MD5 of its parts' MD5s and their number.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};

use super::{BYTES_MAX, S3};
use crate::http::{DECLARATION, Failure, Request, Response, response, set_header};
use crate::ids;
use crate::sync::lock;
use crate::xml::Xml;

/// Uploads that were begun and neither completed nor aborted.
const UPLOADS_MAX: usize = 100;
/// S3's own limit.
const PARTS_MAX: u32 = 10_000;

/// A begun upload.
#[derive(Debug)]
pub(super) struct Upload {
    bucket: String,
    key: String,
    headers: Vec<(String, String)>,
    parts: BTreeMap<u32, Bytes>,
}

impl S3 {
    pub(super) fn begin_upload(
        &self,
        bucket: &str,
        key: &str,
        headers: Vec<(String, String)>,
    ) -> Result<Response, Failure> {
        if !self.has_bucket(bucket) {
            return Err(super::no_such_bucket());
        }
        let id = ids::uuid().replace('-', "");
        let mut state = lock(&self.state);
        if state.uploads.len() >= UPLOADS_MAX {
            return Err(Failure::new(503, "SlowDown", "too many unfinished uploads"));
        }
        let upload = Upload {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            headers,
            parts: BTreeMap::new(),
        };
        state.uploads.insert(id.clone(), upload);
        let xml = Xml::new().text("Bucket", bucket).text("Key", key).text("UploadId", id);
        Ok(whole("InitiateMultipartUploadResult", xml))
    }

    pub(super) fn put_part(
        &self,
        id: &str,
        number: &str,
        body: Bytes,
    ) -> Result<Response, Failure> {
        let number = number.parse().ok().filter(|number| (1..=PARTS_MAX).contains(number));
        let number = number.ok_or_else(|| {
            let problem = "Part number must be an integer between 1 and 10000, inclusive";
            Failure::new(400, "InvalidArgument", problem)
        })?;
        let etag = format!("\"{}\"", ids::hex(&Md5::digest(&body)));
        let mut state = lock(&self.state);
        let parts = state.uploads.values().flat_map(|upload| upload.parts.values());
        if state.bytes + parts.map(Bytes::len).sum::<usize>() + body.len() > BYTES_MAX {
            return Err(Failure::new(
                503,
                "SlowDown",
                "the local cloud holds no more objects in memory",
            ));
        }
        let upload = state.uploads.get_mut(id).ok_or_else(no_such_upload)?;
        upload.parts.insert(number, body);
        let mut answer = response(200, "", "");
        set_header(&mut answer, "etag", &etag);
        Ok(answer)
    }

    pub(super) fn complete_upload(&self, id: &str, request: &Request) -> Result<Response, Failure> {
        let wanted = part_numbers(&request.body)?;
        let upload = lock(&self.state).uploads.remove(id).ok_or_else(no_such_upload)?;
        let mut body = BytesMut::new();
        let mut digests = Md5::new();
        for number in &wanted {
            let Some(part) = upload.parts.get(number) else {
                let problem = "One or more of the specified parts could not be found.";
                return Err(Failure::new(400, "InvalidPart", problem));
            };
            digests.update(Md5::digest(part));
            body.extend_from_slice(part);
        }
        let etag = format!("\"{}-{}\"", ids::hex(&digests.finalize()), wanted.len());
        let Upload { bucket, key, headers, .. } = upload;
        let etag = self.put(&bucket, &key, body.freeze(), headers, Some(etag))?;
        let xml = Xml::new().text("Bucket", bucket).text("Key", key).text("ETag", etag);
        Ok(whole("CompleteMultipartUploadResult", xml))
    }

    pub(super) fn abort_upload(&self, id: &str) -> Result<Response, Failure> {
        lock(&self.state).uploads.remove(id).ok_or_else(no_such_upload)?;
        Ok(response(204, "", ""))
    }
}

fn part_numbers(body: &[u8]) -> Result<Vec<u32>, Failure> {
    let malformed = || {
        let problem = "The XML you provided was not well-formed or did not validate against our published schema";
        Failure::new(400, "MalformedXML", problem)
    };
    let text = std::str::from_utf8(body).map_err(|_| malformed())?;
    let document = roxmltree::Document::parse(text).map_err(|_| malformed())?;
    let numbers: Vec<u32> = document
        .descendants()
        .filter(|node| node.tag_name().name() == "PartNumber")
        .filter_map(|node| node.text()?.trim().parse().ok())
        .collect();
    if numbers.is_empty() || !numbers.is_sorted() { Err(malformed()) } else { Ok(numbers) }
}

fn no_such_upload() -> Failure {
    let problem = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    Failure::new(404, "NoSuchUpload", problem)
}

fn whole(name: &str, xml: Xml) -> Response {
    let body = format!(
        "{DECLARATION}<{name} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}</{name}>",
        xml.into_string()
    );
    response(200, "application/xml", body)
}
