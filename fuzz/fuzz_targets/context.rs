//! Any bytes are headers that come back in every format, an event, receipts, or nothing.
//!
//! Run with `cargo +nightly fuzz run context`; see `otlp_protobuf.rs` for what to do with finds.
//! `crates/context/tests/it/corpus.rs` makes the same checks without the fuzzer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use throughline_context::{
    Direction, Fields, Format, Reader, Receipt, Strictness, Writer, carriers, receipts_of_event,
};

fuzz_target!(|bytes: &[u8]| {
    let _ = receipts_of_event(bytes);
    let _ = carriers::envelope::open(bytes);
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        let Ok(receipt) = Receipt::parse(Direction::In, line) else { continue };
        let again = Receipt::parse(Direction::In, &receipt.to_string());
        assert_eq!(again.map(|again| again.key()), Ok(receipt.key()));
    }
    let fields: Fields = text.lines().filter_map(|line| line.split_once(':')).collect();
    for strictness in [Strictness::Strict, Strictness::Lenient] {
        let read = Reader::new(&Format::ALL, strictness).read(&fields);
        let Some(context) = read.context else { continue };
        let headers = Writer::new(&Format::ALL).headers(&context, &read.baggage);
        let again = Reader::default().read(&headers.into_iter().collect());
        let got = again.context.expect("we read what we write");
        assert_eq!((got.trace_id, got.span_id), (context.trace_id, context.span_id));
        assert!(got.sampling >= context.sampling, "no decision is turned into a lesser one");
    }
});
