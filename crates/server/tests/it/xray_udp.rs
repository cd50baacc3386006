//! Datagrams on the daemon's port.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::TestServer;
use crate::xray::trace_id;

const HEADER: &str = "{\"format\": \"json\", \"version\": 1}\n";

fn segment(trace: u32, id: u64) -> String {
    json!({
        "name": "shop", "id": format!("{id:016x}"), "trace_id": trace_id(trace),
        "start_time": 1.7e9, "end_time": 1.7e9 + 1.0,
    })
    .to_string()
}

struct Sender<'a> {
    server: &'a TestServer,
    socket: UdpSocket,
}

impl<'a> Sender<'a> {
    fn to(server: &'a TestServer) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server.xray()).unwrap();
        Self { server, socket }
    }

    fn send(&self, bytes: &[u8]) {
        self.socket.send(bytes).unwrap();
    }

    fn sum(&self, name: &str) -> u64 {
        let family = format!("throughline_spans_{name}_total");
        self.server.metric_sum(&family, "protocol=\"xray_udp\"")
    }

    /// Datagrams have no answer, so the counters have to be watched.
    fn wait_for(&self, what: &str, expected: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.sum(what) != expected {
            assert!(Instant::now() < deadline, "{what} is {}, not {expected}", self.sum(what));
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_datagram_is_stored_and_udp_and_tcp_share_a_port() {
    let server = TestServer::start();
    let sender = Sender::to(&server);
    sender.send(format!("{HEADER}{}", segment(1, 1)).as_bytes());
    sender.wait_for("stored", 1);
    let traces = server.ask("/Traces", &json!({ "TraceIds": [trace_id(1)] }));
    assert_eq!(traces["Traces"][0]["Segments"][0]["Id"], "0000000000000001");
}

#[test]
fn bad_datagrams_are_counted_and_shown_and_cost_no_neighbour() {
    let server = TestServer::start();
    let sender = Sender::to(&server);
    let mut large = format!("{HEADER}{{\"name\":\"").into_bytes();
    large.resize(65_507, b'x');
    let bad: [&[u8]; 8] = [
        b"",
        b"no line feed",
        b"{\"format\":\"json\",\"version\":1}\n",
        b"{\"format\":\"json\",\"version\":2}\n{}",
        b"\xff\n{}",
        b"{\"format\":\"json\",\"version\":1}\nnonsense",
        b"{\"format\":\"json\",\"version\":1}\n{\"name\":\"a\"}",
        &large,
    ];
    for (at, datagram) in bad.iter().enumerate() {
        sender.send(datagram);
        sender.send(format!("{HEADER}{}", segment(1, at as u64 + 1)).as_bytes());
    }
    sender.wait_for("stored", bad.len() as u64);
    sender.wait_for("rejected", bad.len() as u64);
    assert_eq!(sender.sum("received"), 2 * bad.len() as u64);
    let rejected = server.get("/api/v1/rejected").json();
    let reasons: Vec<_> = rejected["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["reason"].as_str().unwrap(), r["protocol"].as_str().unwrap()))
        .collect();
    assert_eq!(reasons.len(), bad.len(), "{rejected}");
    assert!(reasons.contains(&("datagram_header", "xray_udp")), "{rejected}");
    assert!(reasons.contains(&("datagram_without_body", "xray_udp")), "{rejected}");
    assert_eq!(server.get("/api/v1/status").json()["kernelDroppedDatagrams"], 0);
}

#[test]
fn a_large_document_fits_a_datagram() {
    let server = TestServer::start();
    let sender = Sender::to(&server);
    let mut datagram = format!("{HEADER}{}", segment(1, 1));
    datagram.truncate(datagram.len() - 1);
    datagram.push_str(",\"metadata\":{\"default\":{\"text\":\"");
    let end = "\"}}}";
    datagram.push_str(&"x".repeat(65_507 - datagram.len() - end.len()));
    datagram.push_str(end);
    assert_eq!(datagram.len(), 65_507);
    sender.send(datagram.as_bytes());
    sender.wait_for("stored", 1);
}

#[test]
fn what_was_sent_before_a_stop_is_stored() {
    // Few enough for the buffer that the kernel gives to everyone.
    const DOCUMENTS: u64 = 200;
    let mut server = TestServer::start();
    {
        let sender = Sender::to(&server);
        for id in 1..=DOCUMENTS {
            sender.send(format!("{HEADER}{}", segment(1, id)).as_bytes());
        }
    }
    server.restart();
    let view = server.get(&format!("/api/v1/traces/{}/view", trace_id(1))).json();
    assert_eq!(view["spanCount"], DOCUMENTS, "{view:.300}");
}
