//! Which service a request is for.
//!
//! In:   headers, path and host. Nothing is trusted: a signature's scope is read, not checked.
//! Rule: SigV4 "credential scope" (`KEY/DATE/REGION/SERVICE/aws4_request`); the endpoints of each service.

use crate::http::{Request, decode};
use crate::lambda::http::is_lambda_path;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A service by the name in its scope, and the operation in `X-Amz-Target`, if it has one.
    Service {
        /// `kinesis`.
        name: String,
        /// `PutRecord`; empty for protocols that say it elsewhere.
        operation: String,
    },
    /// S3, with the bucket that the host names.
    Bucket(Option<String>),
    /// A deployed API.
    Api {
        /// Its id.
        api: String,
        /// The stage.
        stage: String,
        /// What follows the stage, decoded.
        path: Vec<String>,
    },
    /// Whether we are ready.
    Health,
    /// Nobody knows.
    Unknown,
}

/// Prefixes of `X-Amz-Target` and whose they are.
const TARGETS: [(&str, &str); 5] = [
    ("Kinesis_20131202", "kinesis"),
    ("DynamoDB_20120810", "dynamodb"),
    ("DynamoDBStreams_20120810", "dynamodb"),
    ("Logs_20140328", "logs"),
    ("AmazonEC2ContainerRegistry_V20150921", "ecr"),
];

/// Decides.
pub(crate) fn route(request: &Request) -> Target {
    if let Some(target) = api(request) {
        return target;
    }
    if request.path == "/_local/health" {
        return Target::Health;
    }
    let (prefix, operation) = request.header("x-amz-target").split_once('.').unwrap_or_default();
    if let Some((_, name)) = TARGETS.iter().find(|(known, _)| *known == prefix) {
        return Target::Service { name: (*name).to_owned(), operation: operation.to_owned() };
    }
    let service = scope(request).and_then(|scope| scope.split('/').nth(3).map(str::to_owned));
    match service.as_deref() {
        Some("s3" | "s3express") => Target::Bucket(bucket_of_host(request)),
        Some(name) => Target::Service { name: name.to_owned(), operation: operation.to_owned() },
        None => unsigned(request),
    }
}

/// The access key id of the signature, if there is one.
pub(crate) fn access_key_id(request: &Request) -> Option<String> {
    scope(request)?.split('/').next().map(str::to_owned)
}

/// `KEY/DATE/REGION/SERVICE/aws4_request`, of the header or of a presigned address.
fn scope(request: &Request) -> Option<String> {
    let header = request.header("authorization");
    if let Some((_, credential)) = header.split_once("Credential=") {
        let end = credential.find([',', ' ']).unwrap_or(credential.len());
        return credential.get(..end).map(str::to_owned);
    }
    request.query_value("X-Amz-Credential")
}

fn host(request: &Request) -> &str {
    let host = request.header("host");
    host.rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(host, _)| host)
}

/// `bucket.s3.localhost`, `bucket.s3.us-east-1.amazonaws.com`: all before `.s3.` or `.s3-`.
fn bucket_of_host(request: &Request) -> Option<String> {
    let host = host(request);
    let (bucket, _) = host.split_once(".s3.").or_else(|| host.split_once(".s3-"))?;
    Some(bucket.to_owned())
}

/// `ID.execute-api.localhost/STAGE/..`, `/_api/ID/STAGE/..` or `/restapis/ID/STAGE/_user_request_/..`.
fn api(request: &Request) -> Option<Target> {
    let path = request.path.trim_start_matches('/');
    let mut segments = path.split('/');
    let api = match host(request).split_once(".execute-api.") {
        Some((api, _)) => api.to_owned(),
        None if path.starts_with("_api/") => {
            segments.next();
            segments.next()?.to_owned()
        }
        None if path.starts_with("restapis/") && path.contains("/_user_request_") => {
            segments.next();
            let api = segments.next()?.to_owned();
            let stage = decode(segments.next()?);
            segments.next();
            return Some(Target::Api { api, stage, path: decoded(segments) });
        }
        None => return None,
    };
    let stage = decode(segments.next().unwrap_or(""));
    Some(Target::Api { api, stage, path: decoded(segments) })
}

/// Empty segments, as a slash at the end makes one, are none.
fn decoded<'a>(segments: impl Iterator<Item = &'a str>) -> Vec<String> {
    segments.filter(|segment| !segment.is_empty()).map(decode).collect()
}

/// Requests without signature: functions' own clients sign, people with curl do not.
fn unsigned(request: &Request) -> Target {
    let service = |name: &str| Target::Service { name: name.to_owned(), operation: String::new() };
    let path = request.path.as_str();
    if is_lambda_path(path) {
        return service("lambda");
    }
    if path == "/restapis" || path.starts_with("/restapis/") {
        return service("apigateway");
    }
    match bucket_of_host(request) {
        Some(bucket) => Target::Bucket(Some(bucket)),
        None if path.len() > 1 => Target::Bucket(None),
        None => Target::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    use super::*;

    fn request(path: &str, headers: &[(&'static str, &str)]) -> Request {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        Request {
            method: Method::POST,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: map,
            body: Bytes::new(),
            request_id: String::new(),
        }
    }

    fn service(name: &str, operation: &str) -> Target {
        Target::Service { name: name.to_owned(), operation: operation.to_owned() }
    }

    #[test]
    fn targets_and_scopes_name_the_service() {
        let signed = "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/cloudformation/aws4_request, SignedHeaders=host";
        let request_1 = request("/", &[("authorization", signed)]);
        assert_eq!(route(&request_1), service("cloudformation", ""));
        assert_eq!(access_key_id(&request_1).as_deref(), Some("AKID"));
        let put = request("/", &[("x-amz-target", "Kinesis_20131202.PutRecord")]);
        assert_eq!(route(&put), service("kinesis", "PutRecord"));
        let presigned =
            request("/b/k?X-Amz-Credential=AKID%2F20261121%2Fus-east-1%2Fs3%2Faws4_request", &[]);
        assert_eq!(route(&presigned), Target::Bucket(None));
        let queue = "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/sqs/aws4_request";
        assert_eq!(route(&request("/", &[("authorization", queue)])), service("sqs", ""));
    }

    #[test]
    fn apis_are_called_by_host_or_path() {
        let expected = Target::Api {
            api: "abc123".to_owned(),
            stage: "dev".to_owned(),
            path: vec!["producer".to_owned(), "a b".to_owned()],
        };
        let by_host =
            request("/dev/producer/a%20b", &[("host", "abc123.execute-api.localhost:4566")]);
        assert_eq!(route(&by_host), expected);
        assert_eq!(route(&request("/_api/abc123/dev/producer/a%20b/", &[])), expected);
        let old = request("/restapis/abc123/dev/_user_request_/producer/a%20b", &[]);
        assert_eq!(route(&old), expected);
    }

    #[test]
    fn buckets_are_named_by_host_or_path() {
        let by_host = request("/k", &[("host", "b.s3.localhost:4566")]);
        assert_eq!(route(&by_host), Target::Bucket(Some("b".to_owned())));
        assert_eq!(route(&request("/b/k", &[("host", "127.0.0.1:4566")])), Target::Bucket(None));
        assert_eq!(route(&request("/", &[("host", "127.0.0.1:4566")])), Target::Unknown);
        assert_eq!(route(&request("/2015-03-31/functions/f", &[])), service("lambda", ""));
    }
}
