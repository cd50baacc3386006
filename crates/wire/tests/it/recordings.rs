//! What real exporters sent, recorded.

use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use throughline_model::SpanBatchBuilder;
use throughline_wire::otlp;

use crate::content::{json, of_batch, of_request, protobuf};

fn recordings() -> Vec<PathBuf> {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/kinesis-lab");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(lab).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "pb") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() >= 12, "only {} recordings", found.len());
    found
}

#[test]
fn recordings_are_read_as_prost_reads_them() {
    for path in recordings() {
        let body = std::fs::read(&path).unwrap();
        let decoded = protobuf(&body);
        assert!(decoded.rejected.is_empty() && decoded.warnings.is_empty(), "{}", path.display());
        assert!(!decoded.batch.is_empty());
        let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        assert_eq!(of_batch(&decoded.batch), of_request(&request).0, "{}", path.display());
    }
}

#[test]
fn recordings_in_json_say_the_same() {
    let mut pairs = 0;
    for path in recordings() {
        let Ok(text) = std::fs::read_to_string(path.with_extension("json")) else { continue };
        let (ours, theirs) = (protobuf(&std::fs::read(&path).unwrap()), json(&text));
        assert!(theirs.rejected.is_empty() && theirs.warnings.is_empty(), "{}", theirs.rejected);
        assert_eq!(of_batch(&theirs.batch), of_batch(&ours.batch), "{}", path.display());
        pairs += 1;
    }
    assert!(pairs >= 12, "only {pairs} recordings have JSON");
}

#[test]
fn spans_are_written_under_their_resource_even_when_rows_alternate() {
    let [a, b] = ["a", "b"].map(|name| {
        let text = format!(
            r#"{{"resourceSpans":[{{"schemaUrl":"{name}","scopeSpans":[{{"spans":[
                {{"traceId":"{}","spanId":"{}"}}]}}]}}]}}"#,
            "01".repeat(16),
            "02".repeat(8),
        );
        otlp::encode_protobuf(&json(&text).batch)
    });
    let alternating = protobuf(&[&a[..], &b, &a].concat()).batch;
    let encoded = otlp::encode_protobuf(&alternating);
    let written = ExportTraceServiceRequest::decode(&encoded[..]).unwrap();
    let spans = |at: usize| written.resource_spans[at].scope_spans[0].spans.len();
    assert_eq!((written.resource_spans.len(), spans(0), spans(1)), (2, 2, 1));
    assert_eq!(otlp::encode_json(&alternating).matches("scopeSpans").count(), 2);
}

#[test]
fn any_prefix_of_a_recording_is_read_or_refused() {
    let mut builder = SpanBatchBuilder::default();
    for path in recordings().into_iter().step_by(3) {
        let body = std::fs::read(&path).unwrap();
        let text = otlp::encode_json(&protobuf(&body).batch);
        for end in 0..body.len() {
            let whole = otlp::decode_protobuf(&body[..end], &mut builder);
            assert!(whole.is_err() || end == 0, "{end} of {}", path.display());
        }
        for end in (0..text.len()).step_by(7) {
            assert!(otlp::decode_json(&text.as_bytes()[..end], &mut builder).is_err());
        }
    }
}
