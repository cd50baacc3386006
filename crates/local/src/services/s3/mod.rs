//! S3: buckets and objects in memory, by path (`/bucket/key`) or by host (`bucket.s3...`).
//!
//! Rule: Amazon S3 API reference, 2006-03-01. Versions, encryption and access lists are accepted and not kept.

pub(crate) mod answers;
mod chunked;
mod listing;
mod multipart;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use crate::http::Failure;
use crate::ids;
use crate::seams::{Blobs, Kept};
use crate::sync::lock;

/// All objects together, in bytes: they are held in memory.
const BYTES_MAX: usize = 1 << 30;
const BUCKETS_MAX: usize = 1_000;
const OBJECTS_PER_BUCKET_MAX: usize = 100_000;
/// User metadata of one object (S3 allows 2 KB; the system headers come on top).
const METADATA_BYTES_MAX: usize = 8 << 10;

/// One object.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Object {
    /// Read back from its own file.
    #[serde(skip)]
    body: Bytes,
    /// Names the file with the body.
    sha256: String,
    etag: String,
    modified_ms: i64,
    /// `content-type`, `x-amz-meta-..` and the like, as they came.
    headers: Vec<(String, String)>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Bucket {
    created_ms: i64,
    objects: BTreeMap<String, Object>,
    policy: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    buckets: BTreeMap<String, Bucket>,
    uploads: BTreeMap<String, multipart::Upload>,
    bytes: usize,
}

/// The account's buckets.
pub(crate) struct S3 {
    region: String,
    state: Mutex<State>,
    changes: AtomicU64,
    directory: Option<PathBuf>,
}

impl S3 {
    /// No buckets yet. Bodies are kept in `directory` when it is given.
    pub(crate) fn new(region: &str, directory: Option<PathBuf>) -> Self {
        let changes = AtomicU64::new(0);
        Self { region: region.to_owned(), state: Mutex::default(), changes, directory }
    }

    /// Creates a bucket. The own bucket again is no error in us-east-1; it is told by `Ok(false)`.
    pub(crate) fn create_bucket(&self, name: &str) -> Result<bool, Failure> {
        if !is_bucket_name(name) {
            return Err(Failure::new(
                400,
                "InvalidBucketName",
                "The specified bucket is not valid.",
            ));
        }
        let mut state = lock(&self.state);
        if state.buckets.contains_key(name) {
            return Ok(false);
        }
        if state.buckets.len() >= BUCKETS_MAX {
            return Err(Failure::new(
                400,
                "TooManyBuckets",
                "You have attempted to create more buckets than allowed.",
            ));
        }
        let bucket = Bucket { created_ms: ids::now_ms(), ..Bucket::default() };
        state.buckets.insert(name.to_owned(), bucket);
        self.changed();
        Ok(true)
    }

    /// Deletes an empty bucket.
    pub(crate) fn delete_bucket(&self, name: &str) -> Result<(), Failure> {
        let mut state = lock(&self.state);
        let bucket = state.buckets.get(name).ok_or_else(no_such_bucket)?;
        if !bucket.objects.is_empty() {
            let problem = "The bucket you tried to delete is not empty";
            return Err(Failure::new(409, "BucketNotEmpty", problem));
        }
        state.buckets.remove(name);
        self.changed();
        Ok(())
    }

    /// Remembers a bucket's policy, which nothing enforces; `None` takes it away.
    pub(crate) fn set_policy(&self, bucket: &str, policy: Option<String>) -> Result<(), Failure> {
        lock(&self.state).buckets.get_mut(bucket).ok_or_else(no_such_bucket)?.policy = policy;
        self.changed();
        Ok(())
    }

    /// Whether there is such a bucket.
    pub(crate) fn has_bucket(&self, name: &str) -> bool {
        lock(&self.state).buckets.contains_key(name)
    }

    /// Stores an object and gives back its entity tag, with quotes.
    fn put(
        &self,
        bucket: &str,
        key: &str,
        body: Bytes,
        headers: Vec<(String, String)>,
        etag: Option<String>,
    ) -> Result<String, Failure> {
        if key.is_empty() || key.len() > 1024 {
            return Err(Failure::new(400, "KeyTooLongError", "Your key is too long"));
        }
        if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            > METADATA_BYTES_MAX
        {
            let problem = "Your metadata headers exceed the maximum allowed metadata size";
            return Err(Failure::new(400, "MetadataTooLarge", problem));
        }
        let etag = etag.unwrap_or_else(|| format!("\"{}\"", ids::hex(&Md5::digest(&body))));
        let sha256 = ids::hex(&<Sha256 as sha2::Digest>::digest(&body));
        let mut state = lock(&self.state);
        let State { buckets, bytes, .. } = &mut *state;
        let objects = &mut buckets.get_mut(bucket).ok_or_else(no_such_bucket)?.objects;
        let before = objects.get(key).map_or(0, |object| object.body.len());
        if *bytes - before + body.len() > BYTES_MAX || objects.len() >= OBJECTS_PER_BUCKET_MAX {
            return Err(Failure::new(
                503,
                "SlowDown",
                "the local cloud holds no more objects in memory",
            ));
        }
        *bytes = *bytes - before + body.len();
        let modified_ms = ids::now_ms();
        let object = Object { body, sha256, etag: etag.clone(), modified_ms, headers };
        objects.insert(key.to_owned(), object);
        self.changed();
        Ok(etag)
    }

    /// Deletes an object; one that is not there is no error (DeleteObject).
    fn delete(&self, bucket: &str, key: &str) -> Result<(), Failure> {
        let mut state = lock(&self.state);
        let State { buckets, bytes, .. } = &mut *state;
        let objects = &mut buckets.get_mut(bucket).ok_or_else(no_such_bucket)?.objects;
        if let Some(object) = objects.remove(key) {
            *bytes -= object.body.len();
            self.changed();
        }
        Ok(())
    }

    fn object(&self, bucket: &str, key: &str) -> Result<Object, Failure> {
        let state = lock(&self.state);
        let objects = &state.buckets.get(bucket).ok_or_else(no_such_bucket)?.objects;
        objects
            .get(key)
            .cloned()
            .ok_or_else(|| Failure::new(404, "NoSuchKey", "The specified key does not exist."))
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

fn no_such_bucket() -> Failure {
    Failure::new(404, "NoSuchBucket", "The specified bucket does not exist")
}

/// Three to 63 lower-case letters, digits, dots and hyphens ("Bucket naming rules").
fn is_bucket_name(name: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    (3..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with(['.', '-'])
        && !name.ends_with(['.', '-'])
        && !name.contains("..")
}

impl Blobs for S3 {
    fn get(&self, bucket: &str, key: &str) -> Option<Bytes> {
        self.object(bucket, key).ok().map(|object| object.body)
    }
}

impl Kept for S3 {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn save(&self) -> Value {
        let (saved, bodies) = {
            let state = lock(&self.state);
            let objects = state.buckets.values().flat_map(|bucket| bucket.objects.values());
            let bodies: BTreeMap<String, Bytes> =
                objects.map(|object| (object.sha256.clone(), object.body.clone())).collect();
            (serde_json::to_value(&state.buckets).unwrap_or_default(), bodies)
        };
        if let Some(directory) = &self.directory
            && let Err(err) = write_bodies(directory, &bodies)
        {
            tracing::error!(%err, "cannot keep the objects of S3");
        }
        saved
    }

    fn load(&self, saved: Value) -> Result<(), String> {
        let mut buckets: BTreeMap<String, Bucket> =
            serde_json::from_value(saved).map_err(|err| err.to_string())?;
        let Some(directory) = &self.directory else { return Ok(()) };
        let mut bytes = 0;
        for object in buckets.values_mut().flat_map(|bucket| bucket.objects.values_mut()) {
            if !object.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(format!("{:?} names no object file", object.sha256));
            }
            let path = directory.join(&object.sha256);
            let body = std::fs::read(&path).map_err(|err| format!("{}: {err}", path.display()))?;
            bytes += body.len();
            object.body = Bytes::from(body);
        }
        let mut state = lock(&self.state);
        state.buckets = buckets;
        state.bytes = bytes;
        Ok(())
    }
}

/// Writes the bodies that have no file yet. Files of the snapshot before stay until the next start
/// has read a newer one, so a snapshot never names a file that is gone.
fn write_bodies(
    directory: &std::path::Path,
    bodies: &BTreeMap<String, Bytes>,
) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for (name, body) in bodies {
        let path = directory.join(name);
        if path.exists() {
            continue;
        }
        let unfinished = directory.join(format!("{name}.part"));
        std::fs::write(&unfinished, body)?;
        std::fs::rename(&unfinished, &path)?;
    }
    Ok(())
}

impl S3 {
    /// Removes files that no object names. Called once, after loading.
    pub(crate) fn sweep(&self) {
        let Some(directory) = &self.directory else { return };
        let state = lock(&self.state);
        let objects = state.buckets.values().flat_map(|bucket| bucket.objects.values());
        let known: std::collections::BTreeSet<&str> = objects.map(|o| o.sha256.as_str()).collect();
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_none_or(|name| !known.contains(name)) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules() {
        for good in ["abc", "lab-lambda-lab-dev-serverlessdeploymentbucket-b05de7a3401db", "a.b.c"]
        {
            assert!(is_bucket_name(good), "{good}");
        }
        for bad in ["ab", "Abc", "-abc", "a..b", "a/b", &"a".repeat(64)] {
            assert!(!is_bucket_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_bucket_with_objects_stays() {
        let s3 = S3::new("us-east-1", None);
        s3.create_bucket("bucket").unwrap();
        s3.put("bucket", "k", Bytes::from_static(b"v"), Vec::new(), None).unwrap();
        assert_eq!(s3.delete_bucket("bucket").unwrap_err().code, "BucketNotEmpty");
        s3.delete("bucket", "k").unwrap();
        s3.delete_bucket("bucket").unwrap();
        assert_eq!(lock(&s3.state).bytes, 0);
    }

    #[test]
    fn objects_survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let before = S3::new("us-east-1", Some(directory.path().to_owned()));
        before.create_bucket("bucket").unwrap();
        let headers = vec![("x-amz-meta-a".to_owned(), "b".to_owned())];
        before.put("bucket", "k", Bytes::from_static(b"v"), headers.clone(), None).unwrap();
        let saved = before.save();
        let after = S3::new("us-east-1", Some(directory.path().to_owned()));
        after.load(saved).unwrap();
        after.sweep();
        let object = after.object("bucket", "k").unwrap();
        assert_eq!((object.body.as_ref(), object.headers), (b"v".as_slice(), headers));
    }
}
