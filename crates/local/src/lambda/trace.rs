//! The trace header of a call, and the two segments that only Lambda itself sends.
//!
//! In:   `X-Amzn-Trace-Id` of the caller, whether the function traces actively.
//! Out:  the header for the function, and X-Ray documents as UDP datagrams.
//! Rule: AWS X-Ray developer guide, "AWS Lambda and AWS X-Ray" and "Segment documents"; a decision in the header is
//!       respected, and without one every call of an active function is sampled.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::ids;

/// A header is a line; ours is some 120 bytes.
const HEADER_BYTES_MAX: usize = 1024;
/// What a datagram begins with.
const DATAGRAM_HEAD: &str = "{\"format\":\"json\",\"version\":1}\n";

/// What a call knows of its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallTrace {
    /// For the function: `Lambda-Runtime-Trace-Id`, `_X_AMZN_TRACE_ID`.
    pub(crate) header: String,
    /// `1-8hex-24hex`.
    pub(crate) trace_id: String,
    /// What is to be sent; `None`: nothing.
    pub(crate) segments: Option<SegmentIds>,
}

/// The ids of Lambda's own segments, made before the function runs below them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentIds {
    caller: Option<String>,
    service: String,
    pub(crate) function: String,
    invocation: String,
}

/// The trace of a new call.
pub(crate) fn of_call(header: Option<&str>, active: bool) -> CallTrace {
    let found = header.and_then(parse);
    let Some(Header { root, parent, sampled, rest }) = found else {
        return fresh(active);
    };
    if !active || sampled == Some(false) {
        let mut text = format!("Root={root}");
        if let Some(parent) = &parent {
            let _ = write!(text, ";Parent={parent}");
        }
        if let Some(sampled) = sampled {
            let _ = write!(text, ";Sampled={}", u8::from(sampled));
        }
        return CallTrace { header: text + &rest, trace_id: root, segments: None };
    }
    active_trace(root, parent, &rest)
}

fn fresh(active: bool) -> CallTrace {
    let now = u32::try_from(ids::now_ms() / 1000).unwrap_or_default();
    let random = ids::random_u64();
    let root = format!("1-{now:08x}-{random:016x}{:08x}", ids::random_u64() >> 32);
    if active {
        return active_trace(root, None, "");
    }
    let header = format!("Root={root};Parent={};Sampled=0", segment_id());
    CallTrace { header, trace_id: root, segments: None }
}

fn active_trace(root: String, caller: Option<String>, rest: &str) -> CallTrace {
    let segments = SegmentIds {
        caller,
        service: segment_id(),
        function: segment_id(),
        invocation: segment_id(),
    };
    let header = format!("Root={root};Parent={};Sampled=1{rest}", segments.invocation);
    CallTrace { header, trace_id: root, segments: Some(segments) }
}

fn segment_id() -> String {
    format!("{:016x}", ids::random_u64().max(1))
}

struct Header {
    root: String,
    parent: Option<String>,
    sampled: Option<bool>,
    /// `;Lineage=...` and whatever else there is.
    rest: String,
}

fn parse(text: &str) -> Option<Header> {
    if text.len() > HEADER_BYTES_MAX || !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return None;
    }
    let (mut root, mut parent, mut sampled, mut rest) = (None, None, None, String::new());
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("Root", value)) => root = Some(value).filter(|value| is_trace_id(value)),
            Some(("Parent", value)) => parent = Some(value).filter(|value| is_hex(value, 16)),
            Some(("Sampled", "1")) => sampled = Some(true),
            Some(("Sampled", "0")) => sampled = Some(false),
            Some(("Sampled" | "Self", _)) => {}
            _ => {
                rest.push(';');
                rest.push_str(part);
            }
        }
    }
    let (root, parent) = (root?.to_owned(), parent.map(str::to_owned));
    Some(Header { root, parent, sampled, rest })
}

fn is_trace_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), ["1", time, random] if is_hex(time, 8) && is_hex(random, 24))
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// When what happened, in seconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Times {
    /// The call came in.
    pub(crate) received_s: f64,
    /// The process was being started, from and to; only of a cold call.
    pub(crate) init_s: Option<(f64, f64)>,
    /// The call was handed to the process.
    pub(crate) begun_s: f64,
    /// The process answered.
    pub(crate) answered_s: f64,
    /// The process was ready again.
    pub(crate) settled_s: f64,
}

/// What the segments tell of a call.
#[derive(Clone, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) trace_id: &'a str,
    pub(crate) ids: &'a SegmentIds,
    pub(crate) times: Times,
    pub(crate) function_name: &'a str,
    pub(crate) function_arn: &'a str,
    pub(crate) account: &'a str,
    pub(crate) log_group: &'a str,
    pub(crate) request_id: &'a str,
    /// Of the HTTP answer: 200, or 202 for an `Event`.
    pub(crate) status: u16,
    /// The type and text of the function's error.
    pub(crate) fault: Option<(String, String)>,
}

/// The two documents.
pub(crate) fn documents(told: &Told<'_>) -> [Value; 2] {
    let Told { ids, times, .. } = told;
    let mut service = json!({
        "id": ids.service,
        "trace_id": told.trace_id,
        "name": told.function_name,
        "origin": "AWS::Lambda",
        "start_time": times.received_s,
        "end_time": times.answered_s.max(times.received_s),
        "http": { "response": { "status": told.status } },
        "aws": { "request_id": told.request_id },
        "resource_arn": told.function_arn,
    });
    let mut invocation = json!({
        "id": ids.invocation,
        "name": "Invocation",
        "start_time": times.begun_s,
        "end_time": times.answered_s,
    });
    let mut parts = Vec::new();
    if let Some((from, to)) = times.init_s {
        let id = segment_id();
        parts.push(
            json!({ "id": id, "name": "Initialization", "start_time": from, "end_time": to }),
        );
    }
    let cause = told.fault.as_ref().map(|(kind, text)| {
        json!({ "exceptions": [{ "id": segment_id(), "type": kind, "message": text }] })
    });
    let mut function = json!({
        "id": ids.function,
        "trace_id": told.trace_id,
        "parent_id": ids.service,
        "name": told.function_name,
        "origin": "AWS::Lambda::Function",
        "start_time": times.begun_s,
        "end_time": times.settled_s,
        "aws": {
            "account_id": told.account,
            "function_arn": told.function_arn,
            "resource_names": [told.function_name],
            "request_id": told.request_id,
            "cloudwatch_logs": [{ "log_group": told.log_group }],
        },
    });
    set(&mut service, "parent_id", ids.caller.clone().map(Value::from));
    if cause.is_some() {
        set(&mut service, "fault", Some(true.into()));
        set(&mut invocation, "fault", Some(true.into()));
        set(&mut function, "fault", Some(true.into()));
        set(&mut function, "cause", cause);
    }
    parts.push(invocation);
    let (from, to) = (times.answered_s, times.settled_s);
    let id = segment_id();
    parts.push(json!({ "id": id, "name": "Overhead", "start_time": from, "end_time": to }));
    set(&mut function, "subsegments", Some(Value::Array(parts)));
    [service, function]
}

fn set(document: &mut Value, key: &str, value: Option<Value>) {
    let fields: Option<&mut Map<String, Value>> = document.as_object_mut();
    if let (Some(fields), Some(value)) = (fields, value) {
        fields.insert(key.to_owned(), value);
    }
}

/// Sends documents, one a datagram. Nobody listening is no error: so it is with the daemon.
pub(crate) fn send(daemon: SocketAddr, documents: &[Value]) {
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) else { return };
    let _ = socket.set_write_timeout(Some(Duration::from_millis(100)));
    for document in documents {
        let _ = socket.send_to(format!("{DATAGRAM_HEAD}{document}").as_bytes(), daemon);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "1-6b01519c-b7daea33e6586a4c635229fa";

    #[test]
    fn an_active_function_runs_below_its_invocation() {
        let header = format!("Root={ROOT};Parent=2bcbf692715bab40;Sampled=1;Lineage=a:0");
        let trace = of_call(Some(&header), true);
        let ids = trace.segments.unwrap();
        assert_eq!(ids.caller.as_deref(), Some("2bcbf692715bab40"));
        assert_eq!(trace.trace_id, ROOT);
        assert_eq!(
            trace.header,
            format!("Root={ROOT};Parent={};Sampled=1;Lineage=a:0", ids.invocation)
        );
    }

    #[test]
    fn a_decision_against_sampling_is_respected() {
        let header = format!("Root={ROOT};Parent=2bcbf692715bab40;Sampled=0");
        let trace = of_call(Some(&header), true);
        assert_eq!((trace.header, trace.segments), (header, None));
    }

    #[test]
    fn a_passive_function_gets_what_came() {
        for header in
            [format!("Root={ROOT};Parent=2bcbf692715bab40;Sampled=1"), format!("Root={ROOT}")]
        {
            let trace = of_call(Some(&header), false);
            assert_eq!((trace.header, trace.segments), (header, None));
        }
    }

    #[test]
    fn a_call_without_a_trace_begins_one() {
        for broken in [None, Some(""), Some("Root=1-2-3"), Some("Root=\r\nx"), Some("garbage;;=")] {
            let trace = of_call(broken, true);
            assert!(is_trace_id(&trace.trace_id), "{trace:?}");
            assert!(trace.header.ends_with(";Sampled=1") && trace.segments.is_some());
            let trace = of_call(broken, false);
            assert!(trace.header.ends_with(";Sampled=0") && trace.segments.is_none());
        }
    }

    #[test]
    fn two_documents_tell_of_a_cold_call_that_failed() {
        let trace = of_call(Some(&format!("Root={ROOT};Parent=2bcbf692715bab40;Sampled=1")), true);
        let ids = trace.segments.unwrap();
        let told = Told {
            trace_id: &trace.trace_id,
            ids: &ids,
            times: Times {
                received_s: 10.0,
                init_s: Some((10.0, 10.25)),
                begun_s: 10.5,
                answered_s: 11.0,
                settled_s: 11.5,
            },
            function_name: "f",
            function_arn: "arn:f",
            account: "000000000000",
            log_group: "/aws/lambda/f",
            request_id: "r-1",
            status: 200,
            fault: Some(("TypeError".to_owned(), "no".to_owned())),
        };
        let [service, function] = documents(&told);
        assert_eq!(service["parent_id"], "2bcbf692715bab40");
        assert_eq!(service["origin"], "AWS::Lambda");
        assert_eq!(service["fault"], true);
        assert_eq!(function["parent_id"], service["id"]);
        assert_eq!(function["cause"]["exceptions"][0]["type"], "TypeError");
        let names: Vec<&str> = function["subsegments"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|part| part["name"].as_str())
            .collect();
        assert_eq!(names, ["Initialization", "Invocation", "Overhead"]);
        assert!(trace.header.contains(function["subsegments"][1]["id"].as_str().unwrap()));
    }
}
