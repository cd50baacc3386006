//! The map of real spans: two Lambda functions and a Kinesis stream (testdata/kinesis-lab).

#![allow(clippy::unwrap_used, reason = "a recording that cannot be read fails the test")]

mod support;

use support::{ALWAYS, lines};
use throughline_model::{AttrValue, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, TraceId};
use throughline_topology::{Linker, MapFilter, MapPart};

#[track_caller]
fn check(variant: &str, files: usize, expected: &[&str]) {
    let directory = format!("{}/../../testdata/kinesis-lab/{variant}", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pb"))
        .collect();
    paths.sort();
    assert_eq!(paths.len(), files);
    let batches: Vec<SpanBatch> = paths.iter().map(|p| read(&std::fs::read(p).unwrap())).collect();
    let mut linker = Linker::default();
    let mut sum = MapPart::default();
    batches.iter().rev().for_each(|batch| sum.merge(&linker.observe(&[batch])));
    assert_eq!(lines(&sum.view(&ALWAYS)), expected);
    assert_eq!(sum.environments(&MapFilter::ALL), ["lab-apm-lambda"]);
}

#[test]
fn a_stream_stands_between_the_functions_where_the_context_went_along() {
    check(
        "manual",
        6,
        &[
            "service:AWS::Lambda::Function:consumer-lambda 6/0",
            "service:AWS::Lambda::Function:producer-lambda 3/0",
            "stream:aws_kinesis:lab-eventStream 3/0",
            "service:AWS::Lambda::Function:producer-lambda -> stream:aws_kinesis:lab-eventStream async 3/0 inferred",
            "stream:aws_kinesis:lab-eventStream -> service:AWS::Lambda::Function:consumer-lambda async 3/0 parent",
        ],
    );
}

#[test]
fn the_consumer_stands_alone_where_the_context_was_lost() {
    check(
        "auto",
        6,
        &[
            "service:AWS::Lambda::Function:consumer-lambda 3/0",
            "service:AWS::Lambda::Function:producer-lambda 3/0",
            "stream:aws_kinesis:lab-eventStream 3/0",
            "service:AWS::Lambda::Function:producer-lambda -> stream:aws_kinesis:lab-eventStream async 3/0 inferred",
        ],
    );
    check(
        "auto-ingest-token",
        2,
        &[
            "service:AWS::Lambda::Function:consumer-lambda 1/0",
            "service:AWS::Lambda::Function:producer-lambda 1/0",
            "stream:aws_kinesis:lab-eventStream 1/0",
            "service:AWS::Lambda::Function:producer-lambda -> stream:aws_kinesis:lab-eventStream async 1/0 inferred",
        ],
    );
}

/// As much of OTLP as the map needs. Rule: opentelemetry-proto, `trace.proto`, `common.proto`.
fn read(bytes: &[u8]) -> SpanBatch {
    let mut builder = SpanBatchBuilder::default();
    for resource_spans in messages(bytes, 1) {
        builder.start_resource();
        messages(resource_spans, 1).for_each(|r| attributes(&mut builder, r, 1));
        builder.end_resource("", 0);
        for scope_spans in messages(resource_spans, 2) {
            builder.start_scope("", "");
            builder.end_scope("", 0);
            messages(scope_spans, 2).for_each(|s| read_span(&mut builder, s));
        }
    }
    builder.finish()
}

fn read_span(builder: &mut SpanBatchBuilder, span: &[u8]) {
    let bytes = |number| messages(span, number).next().unwrap_or_default();
    let number = |wanted| {
        fields(span).find(|(n, ..)| *n == wanted).map_or(0, |(_, number, _)| number).cast_signed()
    };
    builder
        .start_span(TraceId::from_slice(bytes(1)).unwrap(), SpanId::from_slice(bytes(2)).unwrap());
    builder.parent_id(SpanId::from_slice(bytes(4)).unwrap_or_default());
    builder.name(std::str::from_utf8(bytes(5)).unwrap());
    builder.kind(SpanKind::from_number(number(6) as u8));
    builder.times(number(7), number(8) - number(7));
    builder.flags(number(16) as u32);
    attributes(builder, span, 9);
    builder.end_span();
}

fn attributes(builder: &mut SpanBatchBuilder, message: &[u8], number: u64) {
    for pair in messages(message, number) {
        let key = messages(pair, 1).next().unwrap_or_default();
        let value = messages(pair, 2).next().unwrap_or_default();
        let text = messages(value, 1).next().map(|text| std::str::from_utf8(text).unwrap());
        let value = match text {
            Some(text) => AttrValue::Str(text),
            None => AttrValue::Int(fields(value).next().map_or(0, |f| f.1).cast_signed()),
        };
        builder.attribute(std::str::from_utf8(key).unwrap(), value);
    }
}

fn messages(message: &[u8], wanted: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).filter(move |(number, ..)| *number == wanted).map(|(_, _, bytes)| bytes)
}

/// Number, integer and bytes of each field of a message.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, u64, &[u8])> {
    std::iter::from_fn(move || {
        if message.is_empty() {
            return None;
        }
        let tag = varint(&mut message);
        Some(match tag & 7 {
            0 => (tag >> 3, varint(&mut message), &[][..]),
            2 => {
                let length = varint(&mut message) as usize;
                (tag >> 3, 0, message.split_off(..length).unwrap())
            }
            wire => {
                let bytes = message.split_off(..if wire == 1 { 8 } else { 4 }).unwrap();
                let number = bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                (tag >> 3, number, &[][..])
            }
        })
    })
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first().unwrap();
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}
