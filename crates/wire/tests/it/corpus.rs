//! Replays what the fuzzer starts from and what it once found, without the fuzzer.

use std::path::Path;

use throughline_model::SpanBatchBuilder;
use throughline_wire::{otlp, xray};

use crate::content::{json, protobuf, sorted};

fn each(target: &str, mut check: impl FnMut(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        check(&std::fs::read(file.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files >= 12, "only {files} files for {target}");
}

/// The same as `fuzz/fuzz_targets/otlp_protobuf.rs`.
#[test]
fn the_protobuf_corpus_is_read_or_refused() {
    let mut builder = SpanBatchBuilder::default();
    each("otlp_protobuf", |body| {
        let Ok(decoded) = otlp::decode_protobuf(body, &mut builder) else { return };
        let again = protobuf(&otlp::encode_protobuf(&decoded.batch));
        assert_eq!(sorted(&again.batch), sorted(&decoded.batch));
    });
}

/// The same as `fuzz/fuzz_targets/otlp_json.rs`.
#[test]
fn the_json_corpus_is_read_or_refused() {
    let mut builder = SpanBatchBuilder::default();
    each("otlp_json", |body| {
        let Ok(decoded) = otlp::decode_json(body, &mut builder) else { return };
        let again = json(&otlp::encode_json(&decoded.batch));
        assert_eq!(sorted(&again.batch), sorted(&decoded.batch));
    });
}

/// The same as `fuzz/fuzz_targets/xray.rs`.
#[test]
fn the_xray_corpus_is_read_or_refused() {
    let mut builder = SpanBatchBuilder::default();
    each("xray", |bytes| {
        let document = xray::datagram(bytes).unwrap_or(bytes);
        let strict = xray::decode(document, &xray::Options { strict: true }, &mut builder);
        builder.clear();
        let outcome = xray::decode(document, &xray::Options::default(), &mut builder);
        assert!(strict.spans <= outcome.spans);
        let batch = builder.finish();
        assert_eq!(batch.len() as u64, outcome.spans);
        for span in batch.spans() {
            let text = serde_json::Value::from(xray::encode(span)).to_string();
            let again = xray::decode(text.as_bytes(), &xray::Options::default(), &mut builder);
            assert_eq!(again.spans, 1, "we read what we write");
            let again = builder.finish();
            assert_eq!(serde_json::Value::from(xray::encode(again.span(0))).to_string(), text);
        }
    });
}
