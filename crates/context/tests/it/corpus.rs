//! Replays what the fuzzer starts from and what it once found, without the fuzzer.

use std::path::Path;

use throughline_context::{
    Direction, Fields, Format, Reader, Receipt, Strictness, Writer, carriers, receipts_of_event,
};

/// The same as `fuzz/fuzz_targets/context.rs`.
#[test]
fn the_corpus_is_read_and_comes_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/context");
    let (mut files, mut contexts, mut receipts, mut events) = (0, 0, 0, 0);
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        files += 1;
        events += usize::from(receipts_of_event(&bytes).is_ok());
        let _ = carriers::envelope::open(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        for line in text.lines() {
            let Ok(receipt) = Receipt::parse(Direction::In, line) else { continue };
            let again = Receipt::parse(Direction::In, &receipt.to_string());
            assert_eq!(again.map(|again| again.key()), Ok(receipt.key()));
            receipts += 1;
        }
        let fields: Fields = text.lines().filter_map(|line| line.split_once(':')).collect();
        for strictness in [Strictness::Strict, Strictness::Lenient] {
            let read = Reader::new(&Format::ALL, strictness).read(&fields);
            let Some(context) = read.context else { continue };
            let headers = Writer::new(&Format::ALL).headers(&context, &read.baggage);
            let again = Reader::default().read(&headers.into_iter().collect());
            let got = again.context.unwrap();
            assert_eq!((got.trace_id, got.span_id), (context.trace_id, context.span_id));
            assert!(got.sampling >= context.sampling);
            contexts += 1;
        }
    }
    assert!(files >= 12 && contexts >= 12 && receipts >= 3 && events >= 5, "the corpus is there");
}
