//! Any bytes are a document that comes back as it was written, or refused.
//!
//! Run with `cargo +nightly fuzz run xray`; see `otlp_protobuf.rs` for what to do with finds. The
//! input is read as a datagram too: what is behind a header must never panic either.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throughline_model::SpanBatchBuilder;
use throughline_wire::xray::{self, Options};

fuzz_target!(|bytes: &[u8]| {
    let document = xray::datagram(bytes).unwrap_or(bytes);
    let mut builder = SpanBatchBuilder::default();
    let strict = xray::decode(document, &Options { strict: true }, &mut builder);
    builder.clear();
    let outcome = xray::decode(document, &Options::default(), &mut builder);
    assert!(strict.spans <= outcome.spans);
    let batch = builder.finish();
    assert_eq!(batch.len() as u64, outcome.spans);
    for span in batch.spans() {
        let text = serde_json::Value::from(xray::encode(span)).to_string();
        let again = xray::decode(text.as_bytes(), &Options::default(), &mut builder);
        assert_eq!(again.spans, 1, "we read what we write");
        let again = builder.finish();
        assert_eq!(serde_json::Value::from(xray::encode(again.span(0))).to_string(), text);
    }
});
