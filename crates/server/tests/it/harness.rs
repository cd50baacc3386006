//! A server on free ports with a data directory of its own, and a plain client.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;
use serde_json::Value;
use throughline_server::{Running, ServerConfig, serve};
use throughline_testkit::{Span, span};
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;

pub(crate) const PROTOBUF: &str = "application/x-protobuf";
pub(crate) const JSON: &str = "application/json";

pub(crate) struct TestServer {
    runtime: tokio::runtime::Runtime,
    running: Option<Running>,
    data: tempfile::TempDir,
    agent: ureq::Agent,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|err| {
            panic!("{err}: {} {}", self.status, String::from_utf8_lossy(&self.body))
        })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl TestServer {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::on_free_ports(data.path().join("data"));
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let running = runtime.block_on(serve(config)).unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Self { runtime, running: Some(running), data, agent }
    }

    /// Stops the server and starts one on the same data.
    pub(crate) fn restart(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
        let config = ServerConfig::on_free_ports(self.data.path().join("data"));
        self.running = Some(self.runtime.block_on(serve(config)).unwrap());
    }

    pub(crate) fn runtime(&self) -> &tokio::runtime::Runtime {
        &self.runtime
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.running().addresses().http.unwrap()
    }

    pub(crate) fn otlp_http(&self) -> SocketAddr {
        self.running().addresses().otlp_http.unwrap()
    }

    pub(crate) fn otlp_grpc(&self) -> SocketAddr {
        self.running().addresses().otlp_grpc.unwrap()
    }

    pub(crate) fn xray(&self) -> SocketAddr {
        self.running().addresses().xray.unwrap()
    }

    /// Calls an operation of the X-Ray API on the daemon's port.
    pub(crate) fn call(&self, path: &str, body: &Value) -> Answer {
        self.post_to(self.xray(), path, &[("content-type", JSON)], body.to_string().as_bytes())
    }

    /// As above, when it has to succeed.
    pub(crate) fn ask(&self, path: &str, body: &Value) -> Value {
        let answer = self.call(path, body);
        assert_eq!(answer.status, 200, "{path} {body}: {}", answer.json());
        answer.json()
    }

    /// Sends documents with `PutTraceSegments`, all of which have to be kept.
    pub(crate) fn put(&self, documents: &[Value]) {
        let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
        let body = serde_json::json!({ "TraceSegmentDocuments": texts });
        let answer = self.ask("/TraceSegments", &body);
        assert_eq!(answer, serde_json::json!({ "UnprocessedTraceSegments": [] }));
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        answer(self.agent.get(format!("http://{}{path}", self.http())).call())
    }

    pub(crate) fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        let request = self.agent.get(format!("http://{}{path}", self.http()));
        answer(request.header(name, value).call())
    }

    /// POSTs to the OTLP door.
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.post_to(self.otlp_http(), path, headers, body)
    }

    pub(crate) fn post_to(
        &self,
        door: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = self.agent.post(format!("http://{door}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.send(body))
    }

    /// PUTs to the main port.
    pub(crate) fn put_json(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = self.agent.put(format!("http://{}{path}", self.http()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.send(body))
    }

    pub(crate) fn export(&self, content_type: &str, body: &[u8]) -> Answer {
        self.post("/v1/traces", &[("content-type", content_type)], body)
    }

    /// Calls a gRPC method at a door.
    pub(crate) fn unary<Q, A>(
        &self,
        door: SocketAddr,
        path: &'static str,
        packing: Option<CompressionEncoding>,
        request: Q,
    ) -> Result<A, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.runtime.block_on(async {
            let channel = Endpoint::new(format!("http://{door}")).unwrap().connect().await.unwrap();
            let mut client = tonic::client::Grpc::new(channel);
            if let Some(packing) = packing {
                client = client.send_compressed(packing);
            }
            client.ready().await.unwrap();
            let path = http::uri::PathAndQuery::from_static(path);
            let codec = ProstCodec::<Q, A>::default();
            Ok(client.unary(tonic::Request::new(request), path, codec).await?.into_inner())
        })
    }

    /// The value of one line of `/metrics`; 0 when there is none.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let page = String::from_utf8(self.get("/metrics").body).unwrap();
        let value = page.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// The sum of all lines of a family that have this label.
    pub(crate) fn metric_sum(&self, family: &str, label: &str) -> u64 {
        let page = String::from_utf8(self.get("/metrics").body).unwrap();
        let lines = page.lines().filter(|l| {
            l.strip_prefix(family).is_some_and(|rest| rest.starts_with('{')) && l.contains(label)
        });
        lines.map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// What was received is what was stored plus what was rejected plus what was dropped.
    pub(crate) fn check_conservation(&self, protocol: &str, received: u64, stored: u64) {
        let label = format!("protocol=\"{protocol}\"");
        let sum = |name: &str| self.metric_sum(&format!("throughline_spans_{name}_total"), &label);
        assert_eq!(sum("received"), received, "received by {protocol}");
        assert_eq!(sum("stored"), stored, "stored by {protocol}");
        assert_eq!(sum("received"), sum("stored") + sum("rejected") + sum("dropped"), "{protocol}");
    }

    /// Sends bytes to a door as they are, and reads until the server closes.
    pub(crate) fn raw(&self, door: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(door).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut text = Vec::new();
        if let Err(err) = stream.read_to_end(&mut text) {
            // A reset is a close too.
            assert_eq!(err.kind(), ErrorKind::ConnectionReset, "the server did not close");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

fn answer(result: Result<http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = result.unwrap();
    let headers = response.headers().iter();
    let headers =
        headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap_or_default().to_owned())).collect();
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
    Answer { status, headers, body }
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64
}

/// `count` spans of one trace that ended a moment ago.
pub(crate) fn spans(trace: u128, count: u64) -> Vec<Span> {
    let start = now() - 1_000_000_000;
    let spans = (1..=count).map(|n| {
        let span = span(format!("work {n}")).in_trace(trace).id(n).at(start).lasting(1_000_000);
        span.service("shop").attr("n", n as i64)
    });
    spans.collect()
}

/// One span as OTLP JSON, with the fields given.
pub(crate) fn json_request(spans: &[Value]) -> Vec<u8> {
    let service = serde_json::json!([{"key": "service.name", "value": {"stringValue": "shop"}}]);
    serde_json::json!({"resourceSpans": [{
        "resource": {"attributes": service},
        "scopeSpans": [{"spans": spans}],
    }]})
    .to_string()
    .into_bytes()
}

/// The fields of a good span.
pub(crate) fn json_span(trace: u128, id: u64) -> Value {
    let start = now() - 1_000_000_000;
    serde_json::json!({
        "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"), "name": "work",
        "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + 1_000_000).to_string(),
    })
}

pub(crate) fn trace_id(trace: u128) -> String {
    format!("{trace:032x}")
}
