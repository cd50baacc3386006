//! Prints what one span costs from OTLP bytes to the bytes of the write-ahead log.
//!
//! `cargo run --release -p throughline-wire --example decode_speed`
//!
//! The spans are of the size that `design/storage.md` 5.4 measured with: about 500 bytes, ten
//! attributes, one event in ten spans. Each line is the best of several rounds, on one core.
#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

use std::time::{Duration, Instant};

use throughline_model::{AttrValue, SpanBatchBuilder, SpanId, TraceId, encode_batch};
use throughline_wire::{otlp, xray};

const SPANS: u32 = 500;
const ROUNDS: u32 = if cfg!(debug_assertions) { 3 } else { 400 };

fn main() {
    let body = body();
    println!("{SPANS} spans a request, {} bytes a span", body.len() / SPANS as usize);
    let mut builder = SpanBatchBuilder::default();
    let decode = |body: &[u8], builder: &mut SpanBatchBuilder| {
        otlp::decode_protobuf(body, builder).expect("we read what we write").batch
    };
    let batch = decode(&body, &mut builder);
    let text = otlp::encode_json(&batch);
    report("decode_protobuf", || decode(&body, &mut builder).len());
    report("decode_protobuf, new builder", || {
        decode(&body, &mut SpanBatchBuilder::default()).len()
    });
    let mut out = Vec::new();
    report("encode_batch", || {
        out.clear();
        encode_batch(&batch, &mut out);
        out.len()
    });
    report("encode_protobuf", || otlp::encode_protobuf(&batch).len());
    report("decode_json", || {
        let decoded = otlp::decode_json(text.as_bytes(), &mut builder);
        decoded.expect("we read what we write").batch.len()
    });
    report("encode_json", || otlp::encode_json(&batch).len());
    println!("one segment document with one subsegment, {} bytes", SEGMENT.len());
    report("xray::decode", || {
        for _ in 0..SPANS {
            xray::decode(SEGMENT.as_bytes(), &xray::Options::default(), &mut builder);
        }
        builder.finish().len()
    });
    xray::decode(SEGMENT.as_bytes(), &xray::Options::default(), &mut builder);
    let segment = builder.finish();
    report("xray::encode", || (0..SPANS).map(|_| xray::encode(segment.span(0)).len()).sum());
}

/// What the X-Ray SDK for Python sends of a small request.
const SEGMENT: &str = r#"{"id": "fdacb07ac0b4d807", "name": "shop", "start_time": 1795248545.8125002,
 "in_progress": false, "http": {"request": {"url": "http://127.0.0.1:18081/signup", "method": "POST",
 "user_agent": "curl/7.88.1", "client_ip": "127.0.0.1"}, "response": {"status": 201, "content_length": 12}},
 "annotations": {"theme": "dark"}, "aws": {"xray": {"sdk": "X-Ray for Python", "sdk_version": "2.15.0"},
 "elastic_beanstalk": {"deployment_id": 1, "version_label": "app-v1", "environment_name": "signup-env"}},
 "subsegments": [{"id": "b5641476e75eb585", "name": "lambda", "start_time": 1795248545.8129287,
 "parent_id": "fdacb07ac0b4d807", "in_progress": false, "http": {"response": {"status": 200}},
 "aws": {"operation": "Invoke", "region": "us-east-1", "request_id": null, "function_name": "F",
 "status_code": 200}, "trace_id": "1-6b0151a1-ab1f201910b47cc251073e63", "type": "subsegment",
 "namespace": "aws", "end_time": 1795248547.0869188}], "trace_id": "1-6b0151a1-ab1f201910b47cc251073e63",
 "origin": "AWS::ElasticBeanstalk::Environment", "service": {"runtime": "CPython",
 "runtime_version": "3.11.7"}, "end_time": 1795248547.0874996}"#;

fn report(what: &str, mut work: impl FnMut() -> usize) {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        std::hint::black_box(work());
        best = best.min(start.elapsed());
    }
    println!("{what:30} {:6} ns/span", best.as_nanos() / u128::from(SPANS));
}

fn body() -> Vec<u8> {
    let mut builder = SpanBatchBuilder::default();
    builder.start_resource();
    builder.attribute("service.name", AttrValue::Str("checkout"));
    builder.attribute("deployment.environment.name", AttrValue::Str("production"));
    builder.attribute("host.name", AttrValue::Str("ip-10-0-3-17.eu-central-1.compute.internal"));
    builder.end_resource("https://opentelemetry.io/schemas/1.27.0", 0);
    builder.start_scope("@opentelemetry/instrumentation-http", "0.57.0");
    builder.end_scope("", 0);
    for number in 0..SPANS {
        write_span(&mut builder, number);
    }
    otlp::encode_protobuf(&builder.finish())
}

fn write_span(builder: &mut SpanBatchBuilder, number: u32) {
    let mixed = u64::from(number).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut trace_id = [7; 16];
    trace_id[..8].copy_from_slice(&mixed.rotate_left(number % 8).to_be_bytes());
    builder.start_span(TraceId(trace_id), SpanId(mixed.to_be_bytes()));
    builder.parent_id(SpanId([9; 8]));
    builder.name(["GET /orders/{id}", "POST /orders", "SELECT orders"][number as usize % 3]);
    builder.kind(
        [throughline_model::SpanKind::Server, throughline_model::SpanKind::Client]
            [number as usize % 2],
    );
    builder.times(1_790_000_000_000_000_000 + i64::from(number) * 1_000, 1_250_000);
    builder.flags(0x101);
    let path = format!("/orders/{mixed:016x}");
    for (key, value) in [
        ("http.request.method", AttrValue::Str("GET")),
        ("http.response.status_code", AttrValue::Int(200)),
        ("http.route", AttrValue::Str("/orders/{id}")),
        ("url.path", AttrValue::Str(&path)),
        ("url.scheme", AttrValue::Str("https")),
        ("server.address", AttrValue::Str("orders.internal.example")),
        ("server.port", AttrValue::Int(8443)),
        ("client.address", AttrValue::Str("10.0.3.44")),
        ("user_agent.original", AttrValue::Str("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101")),
        ("app.cart.total", AttrValue::Double(f64::from(number) * 1.25)),
    ] {
        builder.attribute(key, value);
    }
    if number.is_multiple_of(10) {
        builder.start_event(1_790_000_000_000_100_000, "exception", 0);
        builder.attribute("exception.type", AttrValue::Str("TimeoutError"));
    }
    builder.end_span();
}
