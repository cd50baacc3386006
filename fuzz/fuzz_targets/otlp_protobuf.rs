//! Any bytes are read or refused, and what is read comes back from both encodings.
//!
//! Run with `cargo +nightly fuzz run otlp_protobuf` in this folder's parent. Put what it finds,
//! made small with `cargo fuzz tmin`, into `corpus/otlp_protobuf`: a test of `crates/wire` replays
//! that folder.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throughline_model::SpanBatchBuilder;
use throughline_wire::otlp;

fuzz_target!(|body: &[u8]| {
    let mut builder = SpanBatchBuilder::default();
    let Ok(decoded) = otlp::decode_protobuf(body, &mut builder) else { return };
    let encoded = otlp::encode_protobuf(&decoded.batch);
    let again = otlp::decode_protobuf(&encoded, &mut builder).expect("we read what we write");
    assert!(again.rejected.is_empty());
    assert_eq!(otlp::encode_protobuf(&again.batch), encoded);
    let text = otlp::encode_json(&decoded.batch);
    let again = otlp::decode_json(text.as_bytes(), &mut builder).expect("we read what we write");
    assert_eq!(again.batch.len(), decoded.batch.len());
});
