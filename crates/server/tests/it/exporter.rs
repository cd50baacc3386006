//! The official Rust exporter as a real client.

use std::time::Duration;

use opentelemetry::trace::{Span as _, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::harness::TestServer;

/// Makes a trace of two spans with the SDK, and gives its id.
fn make_trace(provider: &SdkTracerProvider) -> String {
    let tracer = provider.tracer("real client");
    let root = tracer.start("root");
    let id = root.span_context().trace_id().to_string();
    let context = Context::current_with_span(root);
    let mut child = tracer.start_with_context("child", &context);
    child.set_attribute(KeyValue::new("answer", 42));
    child.add_event("done", Vec::new());
    child.end();
    context.span().end();
    id
}

fn check(server: &TestServer, id: &str) {
    let view = server.get(&format!("/api/v1/traces/{id}/view")).json();
    assert_eq!(view["spanCount"], 2, "{view}");
    assert_eq!((&view["rootService"], &view["rootName"]), (&"real".into(), &"root".into()));
    assert_eq!(view["spans"]["parent"], serde_json::json!([-1, 0]));
}

#[test]
fn over_http() {
    let server = TestServer::start();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("http://{}/v1/traces", server.otlp_http()))
        .with_timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder_empty().with_service_name("real").build())
        .with_simple_exporter(exporter)
        .build();
    let id = make_trace(&provider);
    provider.shutdown().unwrap();
    check(&server, &id);
    server.check_conservation("otlp_http", 2, 2);
}

#[test]
fn over_grpc() {
    let server = TestServer::start();
    let _inside = server.runtime().enter();
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{}", server.otlp_grpc()))
        .with_timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder_empty().with_service_name("real").build())
        .with_batch_exporter(exporter)
        .build();
    let id = make_trace(&provider);
    provider.shutdown().unwrap();
    check(&server, &id);
    server.check_conservation("otlp_grpc", 2, 2);
}
