//! The recorded events of the Kinesis workshop.

use std::path::Path;

use serde_json::Value;
use throughline_context::events::Place;
use throughline_context::{EventKind, Reader, receipts_of_invocation, receipts_of_value};

/// Headers and event of one recorded invocation.
fn recorded(variant: &str, function: &str) -> (Value, Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/kinesis-lab");
    let file = folder.join(variant).join(format!("event-lab-lambda-lab-dev-{function}.json"));
    let mut whole: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    (whole["headers"].take(), whole["event"].take())
}

#[test]
fn the_consumers_record_is_known_by_its_sequence_number() {
    for variant in ["auto", "auto-ingest-token", "manual"] {
        let (_, event) = recorded(variant, "consumer");
        let read = receipts_of_value(&event, &Reader::default());
        let sequence = event["Records"][0]["kinesis"]["sequenceNumber"].as_str().unwrap();
        assert_eq!(read.kind, EventKind::Kinesis);
        let text = format!("kinesis|us-east-1|lab-eventStream|{sequence}|0");
        assert_eq!(read.receipts.iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
        assert_eq!(read.receipts[0].account.as_deref(), Some("000000000000"));
        assert_eq!(read.contexts.len(), usize::from(variant == "manual"));
    }
}

#[test]
fn the_manual_variant_carries_the_producers_context_in_its_envelope() {
    let read = receipts_of_value(&recorded("manual", "consumer").1, &Reader::default());
    let found = &read.contexts[0];
    assert_eq!((found.index, found.place), (Some(0), Place::Payload));
    let context = found.read.context.as_ref().unwrap();
    assert_eq!(context.trace_id.to_string(), "2856fc4d96fa8706a7bd66320d26a478");
    assert_eq!(context.span_id.to_string(), "333ed6543dbbed3a");
}

#[test]
fn the_producer_was_asked_through_api_gateway() {
    let (headers, event) = recorded("auto", "producer");
    let read = receipts_of_value(&event, &Reader::default());
    assert_eq!(read.kind, EventKind::RestApi);
    assert_eq!(
        read.receipts[0].to_string(),
        "apigateway||51a84fca|60757ede-ee5a-402a-a113-1ce58b3e98f1"
    );
    assert_eq!(read.receipts.len(), 1, "the extended id is the same");
    let text = |name: &str| headers[name].as_str().unwrap();
    let invocation = receipts_of_invocation(
        [
            ("lambda-runtime-aws-request-id", text("x-amzn-lambda-request-id")),
            ("lambda-runtime-invoked-function-arn", text("x-amzn-lambda-function-arn")),
        ],
        &Reader::default(),
    );
    let id = text("x-amzn-lambda-request-id");
    assert_eq!(
        invocation.receipts[0].to_string(),
        format!("lambda|us-east-1|lab-lambda-lab-dev-producer|{id}")
    );
}
