//! Start, stop, restart, and the mistakes on the way.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::Value;
use throughline_testkit::otlp_request;

use crate::run::{binary, failing_trace, run, serve};

fn spans_held(server: &throughline_testkit::Server, trace: u128) -> u64 {
    let (status, body) = server.get(&format!("/api/v1/traces/{trace:032x}/view"));
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["spanCount"].as_u64().unwrap()
}

#[test]
fn the_announcement_is_one_line_with_every_address() {
    let data = tempfile::tempdir().unwrap();
    let mut child = Command::new(binary())
        .args(["serve", "--announce", "json", "--listen", "127.0.0.1:0", "--otlp-grpc", "off"])
        .args([
            "--otlp-http",
            "127.0.0.1:0",
            "--xray",
            "127.0.0.1:0",
            "--zipkin",
            "off",
            "--jaeger",
            "off",
        ])
        .args(["--jaeger-grpc", "off", "--tempo", "off", "--data"])
        .arg(data.path().join("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(line["event"], "ready");
    assert_eq!(line["pid"], child.id());
    assert!(line["otlp_grpc"].is_null());
    for door in ["http", "otlp_http", "xray"] {
        assert!(TcpStream::connect(line[door].as_str().unwrap()).is_ok(), "{line}");
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(lines.next().is_none());
}

#[test]
fn a_graceful_stop_and_a_kill_both_keep_what_was_acknowledged() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("data");
    let server = serve(&data, &[]);
    assert_eq!(server.export(&otlp_request(&failing_trace(1))).0, 200);
    assert_eq!(server.stop().unwrap().code(), Some(0));

    let server = serve(&data, &[]);
    assert_eq!(spans_held(&server, 1), 2);
    assert_eq!(server.export(&otlp_request(&failing_trace(2))).0, 200);
    server.kill();

    let server = serve(&data, &[]);
    assert_eq!((spans_held(&server, 1), spans_held(&server, 2)), (2, 2));
    let map = server.get_json("/api/v1/map");
    assert_eq!(map["edges"][0]["requests"], 2, "{map}");
}

#[test]
fn a_stop_lets_an_open_request_end() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("data");
    let server = serve(&data, &[]);
    let body = otlp_request(&failing_trace(1));
    let mut stream = TcpStream::connect(server.address("otlp_http")).unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\
         Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    // The server has begun to read this request.
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 100"), "{line}");
    let stopping = std::thread::spawn(move || server.stop().unwrap());
    stream.write_all(&body).unwrap();
    let answer = reader.lines().map_while(Result::ok).find(|line| line.starts_with("HTTP/1.1"));
    assert_eq!(answer.as_deref(), Some("HTTP/1.1 200 OK"));
    assert_eq!(stopping.join().unwrap().code(), Some(0));
    assert_eq!(spans_held(&serve(&data, &[]), 1), 2);
}

#[test]
fn two_servers_never_share_a_directory() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().join("data");
    let _first = serve(&data, &[]);
    let path = data.display().to_string();
    let free = "127.0.0.1:0";
    let second = run(&[
        "serve",
        "--data",
        &path,
        "--listen",
        free,
        "--otlp-grpc",
        free,
        "--otlp-http",
        free,
        "--xray",
        free,
    ]);
    assert_eq!(second.code, 1);
    assert!(second.err.contains("in use by another throughline"), "{}", second.err);
}

#[test]
fn a_taken_port_names_the_flag_and_the_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("data").display().to_string();
    let flags = ["--listen", "--otlp-grpc", "--otlp-http", "--xray"];
    for flag in flags {
        let free = flags.into_iter().filter(|f| *f != flag);
        let mut arguments = vec!["serve", "--data", &path, flag, &address];
        arguments.extend(free.flat_map(|flag| [flag, "127.0.0.1:0"]));
        let ended = run(&arguments);
        assert_eq!(ended.code, 1);
        assert!(ended.err.contains("is in use"), "{}", ended.err);
        assert!(ended.err.contains(&format!("`{flag} off`")), "{}", ended.err);
    }
}

#[test]
fn doors_of_later_versions_are_refused_clearly() {
    for flag in ["--zipkin", "--jaeger", "--jaeger-grpc", "--tempo"] {
        let ended = run(&["serve", flag, "127.0.0.1:0"]);
        assert_eq!(ended.code, 2);
        assert!(ended.err.contains("not in this version yet"), "{}", ended.err);
    }
}

#[test]
fn the_configuration_shows_where_each_value_comes_from() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("throughline.toml");
    std::fs::write(&file, "[store]\nretention = \"5d\"\n").unwrap();
    let file = file.display().to_string();
    let shown = run(&["config", "show", "--json", "--config", &file, "--listen", "off"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(shown["store.retention"]["value"], "5d");
    assert_eq!(shown["store.retention"]["origin"], format!("{file}:2"));
    assert_eq!(shown["listen.http"]["origin"], "--listen");
    assert_eq!(shown["listen.otlp_grpc"]["origin"], "default");

    assert_eq!(run(&["config", "check", "--config", &file]).code, 0);
    std::fs::write(&file, "[store]\nretenshun = \"5d\"\n").unwrap();
    let checked = run(&["config", "check", "--config", &file]);
    assert_eq!(checked.code, 2);
    assert!(checked.err.contains("did you mean store.retention?"), "{}", checked.err);
}
