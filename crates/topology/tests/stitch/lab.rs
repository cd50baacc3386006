//! Two recorded Lambda functions and a Kinesis stream (testdata/kinesis-lab): where the context was
//! lost, what a layer sees on each side makes it whole again.

use serde_json::Value;
use throughline_model::{AttrValue, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, TraceId};
use throughline_topology::stitch::{
    Budget, Carrier, Class, Focus, Gap, MessageKey, Receipt, journey,
};

use crate::memory::{Memory, line};

/// The sequence number of the recorded event, and two like it.
const SEQUENCES: [&str; 3] = [
    "000000017952480130000000000001",
    "000000017952480137000000000002",
    "000000017952480143920000000010",
];

/// Reads a recording. `receipts` adds to each call that put a record `stitch.out`, and to each
/// invocation of the consumer `stitch.in`, in the order of their starts.
fn read(variant: &str, receipts: bool) -> Vec<SpanBatch> {
    let directory = format!("{}/../../testdata/kinesis-lab/{variant}", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with("_traces.json"))
        .collect();
    paths.sort();
    assert_eq!(paths.len(), 6);
    let (mut sent, mut taken) = (0, 0);
    let mut text_of = |span: &Value, service: &str| {
        let count = match (span["name"].as_str().unwrap(), service) {
            ("Kinesis.PutRecord", _) => &mut sent,
            ("lab-lambda-lab-dev-consumer", "consumer-lambda") => &mut taken,
            _ => return None,
        };
        *count += 1;
        let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/lab-eventStream";
        let sequence = SEQUENCES[*count - 1];
        Some(match service {
            "producer-lambda" => {
                ("stitch.out", format!("kinesis|us-east-1|lab-eventStream|{sequence}"))
            }
            _ => ("stitch.in", format!("kinesis||{stream}|{sequence}|0")),
        })
    };
    let mut batches = Vec::new();
    for path in paths {
        let body: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut builder = SpanBatchBuilder::default();
        for group in body["resourceSpans"].as_array().unwrap() {
            builder.start_resource();
            attributes(&mut builder, &group["resource"]);
            builder.end_resource("", 0);
            let find = |a: &&Value| a["key"] == "service.name";
            let service = group["resource"]["attributes"].as_array().unwrap().iter().find(find);
            let service = service.unwrap()["value"]["stringValue"].as_str().unwrap();
            for scope in group["scopeSpans"].as_array().unwrap() {
                builder.start_scope("", "");
                builder.end_scope("", 0);
                for span in scope["spans"].as_array().unwrap() {
                    let text = text_of(span, service).filter(|_| receipts);
                    write(&mut builder, span, text);
                }
            }
        }
        batches.push(builder.finish());
    }
    batches
}

fn write(builder: &mut SpanBatchBuilder, span: &Value, receipt: Option<(&str, String)>) {
    let id = |key: &str| SpanId::parse(span[key].as_str().unwrap_or("0000000000000000")).unwrap();
    let nanos = |key: &str| span[key].as_str().unwrap().parse::<i64>().unwrap();
    builder.start_span(TraceId::parse(span["traceId"].as_str().unwrap()).unwrap(), id("spanId"));
    builder.parent_id(id("parentSpanId"));
    builder.name(span["name"].as_str().unwrap());
    builder.kind(match span["kind"].as_str().unwrap() {
        "SPAN_KIND_SERVER" => SpanKind::Server,
        "SPAN_KIND_CLIENT" => SpanKind::Client,
        _ => SpanKind::Internal,
    });
    let start = nanos("startTimeUnixNano");
    builder.times(start, nanos("endTimeUnixNano") - start);
    attributes(builder, span);
    if let Some((key, text)) = receipt {
        builder.attribute(key, AttrValue::Str(&text));
    }
    builder.end_span();
}

fn attributes(builder: &mut SpanBatchBuilder, of: &Value) {
    for attribute in of["attributes"].as_array().into_iter().flatten() {
        let value = &attribute["value"];
        let key = attribute["key"].as_str().unwrap();
        if let Some(text) = value["stringValue"].as_str() {
            builder.attribute(key, AttrValue::Str(text));
        } else if let Some(number) = value["intValue"].as_str() {
            builder.attribute(key, AttrValue::Int(number.parse().unwrap()));
        }
    }
}

fn key(text: &str) -> MessageKey {
    Receipt::parse(throughline_topology::stitch::Direction::Out, text).unwrap().key()
}

#[test]
fn stock_spans_of_a_stream_do_not_join() {
    let memory = Memory::new(&read("auto", false));
    assert_eq!(memory.joined().edges, []);
    for (trace, _) in memory.traces() {
        let found = journey(&memory, Focus::Trace(*trace), &Budget::default()).unwrap();
        assert_eq!(found.traces.len(), 1);
        assert_eq!(found.steps.len(), 0);
    }
}

#[test]
fn two_receipts_make_two_traces_one_journey() {
    let memory = Memory::new(&read("auto", true));
    let joined = memory.joined();
    let lines: Vec<_> = joined.edges.iter().map(line).collect();
    assert_eq!(lines, ["kinesis lab-eventStream E2 980 attempt 1"; 3]);
    assert_eq!(joined.refused, []);
    for edge in &joined.edges {
        for focus in [
            Focus::Trace(edge.from.0),
            Focus::Trace(edge.to.0),
            Focus::Span(edge.from.0, edge.from.1),
            Focus::Span(edge.to.0, edge.to.1),
            Focus::Message(edge.key),
        ] {
            let found = journey(&memory, focus, &Budget::default()).unwrap();
            let traces: Vec<_> = found.traces.iter().map(|member| member.trace_id).collect();
            assert_eq!(traces, [edge.from.0, edge.to.0], "{focus:?}");
            assert_eq!(found.origins, [edge.from.0], "{focus:?}");
            assert_eq!(found.steps.len(), 1);
            assert_eq!(found.steps[0].edge.class, Class::MessageId);
            assert!(found.is_complete(), "{:?} {:?}", found.gaps, found.truncated);
            assert_eq!(found.waits[0].carrier, Carrier::Kinesis);
            assert!(found.waits[0].max_nano > 0);
            let whole: usize = found.traces.iter().map(|member| member.batch.len()).sum();
            assert_eq!(found.span_count(), whole, "every span of both traces");
        }
    }
    let real = key(&format!("kinesis||lab-eventStream|{}", SEQUENCES[2]));
    let found = journey(&memory, Focus::Message(real), &Budget::default()).unwrap();
    assert_eq!(found.traces.len(), 2);
}

#[test]
fn one_side_alone_says_what_is_missing() {
    let batches = read("auto", true);
    let is_producer = |batch: &&SpanBatch| batch.span(0).service() == "producer-lambda";
    let producers: Vec<_> = batches.iter().filter(is_producer).cloned().collect();
    let consumers: Vec<_> = batches.iter().filter(|b| !is_producer(b)).cloned().collect();
    let stream = || Some("lab-eventStream".to_owned());
    for (batches, is_producer) in [(producers, true), (consumers, false)] {
        let trace_id = batches[0].span(0).trace_id();
        let memory = Memory::new(&batches);
        let found = journey(&memory, Focus::Trace(trace_id), &Budget::default()).unwrap();
        let (carrier, resource) = (Carrier::Kinesis, stream());
        let expected = match is_producer {
            true => Gap::ConsumerNotFound { trace_id, carrier, resource, messages: 1 },
            false => Gap::ProducerNotFound { trace_id, carrier, resource },
        };
        assert_eq!(found.gaps, [expected]);
        assert!(!found.is_complete());
    }
}

#[test]
fn one_trace_where_the_context_went_along() {
    for receipts in [false, true] {
        let memory = Memory::new(&read("manual", receipts));
        let producer = memory
            .traces()
            .find(|(_, batch)| batch.spans().any(|span| span.name() == "Kinesis.getRecord"))
            .unwrap();
        let found = journey(&memory, Focus::Trace(*producer.0), &Budget::default()).unwrap();
        let services: std::collections::BTreeSet<_> =
            producer.1.spans().map(|span| span.service().to_owned()).collect();
        assert_eq!(services.len(), 2, "the trace alone has both sides");
        // The invocation itself began a trace of its own, which only a receipt knows of.
        assert_eq!(found.traces.len(), if receipts { 2 } else { 1 });
    }
}
