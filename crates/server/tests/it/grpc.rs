//! OTLP over gRPC, with tonic's own client and prost's messages.

use std::net::SocketAddr;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use throughline_testkit::otlp_request;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};

use crate::harness::{TestServer, spans, trace_id};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

fn call(
    server: &TestServer,
    door: SocketAddr,
    path: &'static str,
    packing: Option<CompressionEncoding>,
    body: &[u8],
) -> Result<ExportTraceServiceResponse, Status> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    server.unary(door, path, packing, request)
}

#[test]
fn spans_come_in_packed_or_not_through_both_doors() {
    let server = TestServer::start();
    let packings = [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)];
    for (trace, packing) in (1..).zip(packings) {
        for door in [server.otlp_grpc(), server.http()] {
            let body = otlp_request(&spans(trace, 3));
            let response = call(&server, door, EXPORT, packing, &body).unwrap();
            assert!(response.partial_success.is_none(), "{response:?}");
        }
        let view = server.get(&format!("/api/v1/traces/{}/view", trace_id(trace))).json();
        assert_eq!(view["spanCount"], 3);
    }
    server.check_conservation("otlp_grpc", 18, 18);
    assert_eq!(server.metric("throughline_grpc_requests_total{code=\"0\"}"), 6);
}

#[test]
fn a_bad_span_does_not_cost_its_neighbour() {
    let server = TestServer::start();
    let mut bad = spans(1, 3);
    bad[0].trace_id = Default::default();
    let body = otlp_request(&bad);
    let response = call(&server, server.otlp_grpc(), EXPORT, None, &body).unwrap();
    let partial = response.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.contains("zero_trace_id"));
    server.check_conservation("otlp_grpc", 3, 2);
}

#[test]
fn other_calls_are_unimplemented() {
    let server = TestServer::start();
    for door in [server.otlp_grpc(), server.http()] {
        let path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
        let status = call(&server, door, path, None, b"").unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    }
}

#[test]
fn too_large_is_final_and_busy_says_when_to_come_back() {
    let server = TestServer::start_with(|config| {
        config.limits.body_size_bytes_max = 10_000;
        config.limits.inflated_size_bytes_max = 10_000;
    });
    let large = otlp_request(&spans(1, 1_000));
    for packing in [None, Some(CompressionEncoding::Gzip)] {
        let status = call(&server, server.otlp_grpc(), EXPORT, packing, &large).unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert!(status.details().is_empty());
    }

    let server = TestServer::start_with(|config| config.limits.intake_size_bytes_max = 1_024);
    let status = call(&server, server.otlp_grpc(), EXPORT, None, &large).unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert!(details.contains("type.googleapis.com/google.rpc.RetryInfo"), "{details:?}");
}

#[test]
fn what_cannot_be_decoded_is_an_invalid_argument() {
    let server = TestServer::start();
    // `string` where a message should be: prost as a client would not send it, so a raw message.
    let foreign = Foreign { resource_spans: "\u{7f}\u{7f}\u{7f}".to_owned() };
    let answer: Result<ExportTraceServiceResponse, _> =
        server.unary(server.otlp_grpc(), EXPORT, None, foreign);
    let status = answer.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    server.check_conservation("otlp_grpc", 0, 0);
}

#[derive(Clone, PartialEq, Message)]
struct Foreign {
    #[prost(string, tag = "1")]
    resource_spans: String,
}
