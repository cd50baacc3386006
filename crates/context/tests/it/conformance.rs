//! The example service over real sockets, asked as the public W3C harness asks.
//!
//! Rule: W3C Trace Context Level 2. Each test has its own service on a free port; the headers are
//! written byte by byte, so that case, order, repetition and white space are those of the test.

#[path = "../../examples/conformance/service.rs"]
mod service;

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const TRACE: &str = "12345678901234567890123456789012";
const SPAN: &str = "1234567890123456";
const PATIENCE: Duration = Duration::from_secs(10);

/// What the service sent to a callback.
struct Called {
    version: String,
    trace: String,
    span: String,
    flags: u8,
    tracestate: Vec<(String, String)>,
}

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Sends headers to a new service with an order of `count` callbacks, and gives back what those
/// callbacks got.
fn ask(headers: Headers<'_>, count: usize) -> Vec<Called> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    let called = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, service::router()).await });
        let harness = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/callback", harness.local_addr().unwrap());
        let body = vec![json!({"url": url, "arguments": [1, {"two": null}]}); count];
        let mut request =
            format!("POST /test HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}:{value}\r\n"));
        }
        let body = serde_json::Value::from(body).to_string();
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let (called, answer) =
            tokio::join!(callbacks(&harness, count), exchange(address, &request));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        called
    });
    runtime.shutdown_background();
    called
}

async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

async fn callbacks(harness: &TcpListener, count: usize) -> Vec<Called> {
    let mut called = Vec::new();
    for _ in 0..count {
        let (mut socket, _) = timeout(PATIENCE, harness.accept()).await.unwrap().unwrap();
        let mut request = Vec::new();
        let head = loop {
            assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0, "cut off");
            let text = str::from_utf8(&request).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = header(head, "content-length").remove(0).parse::<usize>().unwrap();
            if body.len() == length {
                assert_eq!(body, "[1,{\"two\":null}]");
                break head.to_owned();
            }
        };
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        socket.write_all(answer.as_bytes()).await.unwrap();
        called.push(parse(&head));
    }
    called
}

fn header(head: &str, name: &str) -> Vec<String> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let same = lines.filter(|(other, _)| other.eq_ignore_ascii_case(name));
    same.map(|(_, value)| value.trim().to_owned()).collect()
}

/// Checks what every answer must have: one traceparent, in form.
fn parse(head: &str) -> Called {
    let parents = header(head, "traceparent");
    assert_eq!(parents.len(), 1, "{head}");
    let parts: Vec<String> = parents[0].split('-').map(str::to_owned).collect();
    let [version, trace, span, flags] = &parts[..] else { panic!("{head}") };
    assert_eq!((version.len(), trace.len(), span.len(), flags.len()), (2, 32, 16, 2), "{head}");
    assert!(parents[0].bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{head}");
    assert!(trace.bytes().any(|b| b != b'0') && span.bytes().any(|b| b != b'0'), "{head}");
    let members = header(head, "tracestate").join(",");
    let members = members.split(',').filter(|member| !member.is_empty());
    Called {
        version: version.clone(),
        trace: trace.clone(),
        span: span.clone(),
        flags: u8::from_str_radix(flags, 16).unwrap(),
        tracestate: members
            .map(|member| member.split_once('=').unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
    }
}

fn ask_once(headers: Headers<'_>) -> Called {
    ask(headers, 1).remove(0)
}

/// The trace goes on, under a new span.
#[track_caller]
fn check_kept(traceparent: &str) {
    let called = ask_once(&[("traceparent", traceparent)]);
    assert_eq!((called.trace.as_str(), called.version.as_str()), (TRACE, "00"), "{traceparent:?}");
    assert_ne!(called.span, SPAN);
}

/// A new trace begins, and the tracestate of the old one is gone.
#[track_caller]
fn check_new(headers: Headers<'_>) {
    let mut all = headers.to_vec();
    all.push(("tracestate", "foo=1"));
    let called = ask_once(&all);
    assert!(!called.trace.contains("2345678901234567890123456789"), "{headers:?} {}", called.trace);
    assert!(called.tracestate.is_empty(), "{headers:?}");
}

fn parent(middle: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{middle}")
}

/// The tracestate that goes out for these tracestate headers, beside a good traceparent.
fn tracestate(values: &[&str]) -> Vec<(String, String)> {
    let traceparent = parent("00");
    let mut headers = vec![("traceparent", traceparent.as_str())];
    headers.extend(values.iter().map(|value| ("tracestate", *value)));
    let called = ask_once(&headers);
    assert_eq!(called.trace, TRACE, "{values:?}");
    called.tracestate
}

#[track_caller]
fn check_tracestate(values: &[&str], expected: &[(&str, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    assert_eq!(tracestate(values), expected, "{values:?}");
}

#[test]
fn without_headers_a_trace_begins() {
    let called = ask_once(&[]);
    assert_eq!((called.version.as_str(), called.tracestate.len()), ("00", 0));
    assert_eq!(called.flags & 2, 2, "an id that is random says so");
}

#[test]
fn a_traceparent_alone_goes_on() {
    check_kept(&parent("01"));
}

#[test]
fn two_traceparents_are_none() {
    let other = format!("00-12345678901234567890123456789011-{SPAN}-01");
    let same = parent("01");
    check_new(&[("traceparent", &other), ("traceparent", &same)]);
    check_new(&[("traceparent", &same), ("traceparent", &same)]);
}

#[test]
fn the_name_is_exact_but_for_its_case() {
    let value = parent("01");
    for name in ["trace-parent", "trace.parent"] {
        check_new(&[(name, &value)]);
    }
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        assert_eq!(ask_once(&[(name, &value)]).trace, TRACE, "{name}");
    }
}

#[test]
fn version_00_has_nothing_behind_its_flags() {
    check_new(&[("traceparent", &parent("01."))]);
    check_new(&[("traceparent", &parent("01-what-the-future-will-be-like"))]);
    check_new(&[("traceparent", &parent("01-"))]);
}

#[test]
fn a_version_of_the_future_is_read_as_we_know_it() {
    for rest in ["01", "01-what-the-future-will-be-like"] {
        check_kept(&format!("cc-{TRACE}-{SPAN}-{rest}"));
    }
    for version in ["01", "02", "fe"] {
        check_kept(&format!("{version}-{TRACE}-{SPAN}-00"));
    }
    check_new(&[("traceparent", &format!("cc-{TRACE}-{SPAN}-01.what"))]);
    check_new(&[("traceparent", &format!("ff-{TRACE}-{SPAN}-01"))]);
}

#[test]
fn a_version_is_two_digits() {
    for version in [".0", "0.", "000", "0000", "0", ""] {
        check_new(&[("traceparent", &format!("{version}-{TRACE}-{SPAN}-01"))]);
    }
}

#[test]
fn a_trace_id_is_32_digits_and_not_zero() {
    for trace in [
        "00000000000000000000000000000000",
        ".2345678901234567890123456789012",
        "1234567890123456789012345678901.",
        "123456789012345678901234567890123",
        "1234567890123456789012345678901",
        "1234567890123456789012345678901A",
    ] {
        check_new(&[("traceparent", &format!("00-{trace}-{SPAN}-01"))]);
    }
}

#[test]
fn a_span_id_is_16_digits_and_not_zero() {
    for span in [
        "0000000000000000",
        ".234567890123456",
        "123456789012345.",
        "12345678901234567",
        "123456789012345",
        "123456789012345A",
    ] {
        check_new(&[("traceparent", &format!("00-{TRACE}-{span}-01"))]);
    }
}

#[test]
fn flags_are_two_digits() {
    for flags in [".0", "0.", "001", "1", "0A", ""] {
        check_new(&[("traceparent", &parent(flags))]);
    }
}

#[test]
fn the_random_flag_goes_on_as_it_came() {
    for flags in ["00", "01", "02", "03"] {
        let called = ask_once(&[("traceparent", &parent(flags))]);
        assert_eq!(format!("{:02x}", called.flags), flags);
    }
    // Bits that have no meaning yet are not sent on.
    assert_eq!(ask_once(&[("traceparent", &parent("ff"))]).flags, 3);
}

#[test]
fn white_space_around_a_traceparent_is_none_of_it() {
    let value = parent("01");
    for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
        check_kept(&format!("{before}{value}{after}"));
    }
}

#[test]
fn a_tracestate_without_a_traceparent_is_nothing() {
    assert!(ask_once(&[("tracestate", "foo=1")]).tracestate.is_empty());
    assert!(ask_once(&[("tracestate", "foo=1,bar=2")]).tracestate.is_empty());
}

#[test]
fn a_tracestate_goes_on_in_order() {
    check_tracestate(&["foo=1,bar=2"], &[("foo", "1"), ("bar", "2")]);
    check_tracestate(
        &["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
        &[("foo", "1"), ("bar", "2"), ("rojo", "1"), ("congo", "2"), ("baz", "3")],
    );
}

#[test]
fn the_name_of_a_tracestate_is_exact_but_for_its_case() {
    let value = parent("00");
    for (name, count) in [
        ("trace-state", 0),
        ("trace.state", 0),
        ("TraceState", 1),
        ("TrAcEsTaTe", 1),
        ("TRACESTATE", 1),
    ] {
        let called = ask_once(&[("traceparent", &value), (name, "foo=1")]);
        assert_eq!((called.trace.as_str(), called.tracestate.len()), (TRACE, count), "{name}");
    }
}

#[test]
fn an_empty_tracestate_costs_its_neighbour_nothing() {
    check_tracestate(&[""], &[]);
    check_tracestate(&["foo=1", ""], &[("foo", "1")]);
    check_tracestate(&["", "foo=1"], &[("foo", "1")]);
    check_tracestate(&["foo=1,", ",bar=2,,"], &[("foo", "1"), ("bar", "2")]);
}

#[test]
fn a_key_counts_once() {
    for values in [&["foo=1,foo=1"][..], &["foo=1,foo=2"], &["foo=1", "foo=1"], &["foo=1", "foo=2"]]
    {
        check_tracestate(values, &[("foo", "1")]);
    }
}

#[test]
fn every_allowed_character_goes_on() {
    let value: String = (' '..='~').filter(|c| !",=".contains(*c)).collect();
    let plain = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    for key in [plain.to_owned(), format!("{plain}@a-z0-9_-*/")] {
        // The value begins with a space, which is its own.
        assert_eq!(tracestate(&[&format!("{key}={value}")]), [(key, value.clone())]);
    }
}

#[test]
fn white_space_around_members_is_none_of_them() {
    let three = [("foo", "1"), ("bar", "2"), ("baz", "3")];
    check_tracestate(&["foo=1 \t , \t bar=2, \t baz=3"], &three);
    check_tracestate(&["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], &three);
    for value in [" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"] {
        check_tracestate(&[value], &[("foo", "1")]);
    }
}

#[test]
fn keys_follow_the_grammar_of_level_2() {
    for key in ["foo ", "FOO", "foo.bar", "@foo", ""] {
        check_tracestate(&[&format!("{key}=1,bar=2")], &[]);
    }
    for key in ["foo@", "foo@@bar", "foo@bar@baz", "0foo"] {
        check_tracestate(&[&format!("{key}=1,bar=2")], &[(key, "1"), ("bar", "2")]);
    }
    let repeated = |letter: &str, count| letter.repeat(count);
    // Level 1 had lengths of their own for what is before and behind the `@`.
    for key in [
        repeated("z", 256),
        format!("{}@{}", repeated("t", 241), repeated("v", 14)),
        format!("{}@v", repeated("t", 242)),
        format!("t@{}", repeated("v", 15)),
    ] {
        check_tracestate(&["foo=1", &format!("{key}=1")], &[("foo", "1"), (&key, "1")]);
    }
    for key in [repeated("z", 257), format!("{}@v", repeated("t", 255))] {
        check_tracestate(&["foo=1", &format!("{key}=1")], &[]);
    }
}

#[test]
fn values_follow_the_grammar() {
    for bad in ["foo=bar=baz", "foo=,bar=3", "foo", "foo=\u{e9}"] {
        check_tracestate(&[bad], &[]);
    }
    let (longest, longer) = ("z".repeat(256), "z".repeat(257));
    check_tracestate(&[&format!("foo={longest}")], &[("foo", &longest)]);
    check_tracestate(&[&format!("foo={longer}")], &[]);
}

#[test]
fn there_may_be_32_members() {
    let member = |i: usize| format!("bar{i:02}={i:02}");
    let list = |from: usize, to: usize| (from..=to).map(member).collect::<Vec<_>>().join(",");
    assert_eq!(tracestate(&[&list(1, 10), &list(11, 32)]).len(), 32);
    let four = [list(1, 10), list(11, 20), list(21, 30), list(31, 32)];
    assert_eq!(tracestate(&four.each_ref().map(String::as_str)).len(), 32);
    assert_eq!(tracestate(&[&list(1, 10), &list(11, 33)]).len(), 0);
}

#[test]
fn several_calls_of_one_request_are_spans_of_one_trace() {
    let good = parent("01");
    let zero = format!("00-00000000000000000000000000000000-{SPAN}-01");
    for (headers, trace) in [
        (&[("traceparent", good.as_str())][..], Some(TRACE)),
        (&[], None),
        (&[("traceparent", &zero)], None),
    ] {
        let called = ask(headers, 3);
        let first = trace.unwrap_or(&called[0].trace);
        assert!(called.iter().all(|call| call.trace == first));
        let spans: std::collections::BTreeSet<_> = called.iter().map(|call| &call.span).collect();
        assert_eq!(spans.len(), 3);
    }
}
