//! Any text is read or refused, and what is read comes back from both encodings.
//!
//! Run with `cargo +nightly fuzz run otlp_json`; see `otlp_protobuf.rs` for what to do with finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throughline_model::SpanBatchBuilder;
use throughline_wire::otlp;

fuzz_target!(|body: &[u8]| {
    let mut builder = SpanBatchBuilder::default();
    let Ok(decoded) = otlp::decode_json(body, &mut builder) else { return };
    let text = otlp::encode_json(&decoded.batch);
    let again = otlp::decode_json(text.as_bytes(), &mut builder).expect("we read what we write");
    assert!(again.rejected.is_empty());
    assert_eq!(otlp::encode_json(&again.batch), text);
    let encoded = otlp::encode_protobuf(&decoded.batch);
    let again = otlp::decode_protobuf(&encoded, &mut builder).expect("we read what we write");
    assert_eq!(again.batch.len(), decoded.batch.len());
});
