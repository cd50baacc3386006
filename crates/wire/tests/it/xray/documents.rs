//! Nothing is lost: what was sent comes back, whatever it was.

use proptest::prelude::*;
use serde_json::{Value, json};
use throughline_wire::xray::{Options, datagram};

use super::generate::document;
use super::{assert_comes_back, decode, lenient, normal, rebuild, same};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_document_comes_back_as_it_was(document in document()) {
        let (outcome, batch) = lenient(&document);
        prop_assert_eq!(&outcome.rejected, &[]);
        let documents = rebuild(&batch);
        prop_assert_eq!(documents.len(), 1);
        let expected = normal(&document);
        prop_assert!(same(&documents[0], &expected), "found {}\nexpected {expected}", documents[0]);
    }

    #[test]
    fn a_document_decoded_from_what_we_wrote_is_written_the_same(document in document()) {
        let (_, batch) = lenient(&document);
        let once = rebuild(&batch).remove(0);
        let (outcome, batch) = lenient(&once);
        prop_assert_eq!(&outcome.rejected, &[]);
        prop_assert!(same(&rebuild(&batch)[0], &once));
    }

    #[test]
    fn strict_keeps_all_or_nothing(document in document()) {
        let text = document.to_string();
        let (strict, batch) = decode(text.as_bytes(), Options { strict: true });
        let (lenient, _) = decode(text.as_bytes(), Options::default());
        if lenient.doubts.is_empty() {
            prop_assert_eq!(strict, lenient);
        } else {
            prop_assert_eq!(batch.len(), 0);
            prop_assert_eq!(strict.rejected_spans(), lenient.spans);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        document in document(),
        cut in any::<prop::sample::Index>(),
        flip in any::<u8>(),
    ) {
        let _ = datagram(&bytes);
        decode(&bytes, Options::default());
        let mut text = document.to_string().into_bytes();
        let at = cut.index(text.len());
        prop_assert_eq!(decode(&text[..at], Options::default()).0.rejected_spans(), 1);
        text[at] = flip;
        let (outcome, batch) = decode(&text, Options::default());
        prop_assert!(outcome.spans + outcome.rejected_spans() > 0 || text[0] == b'[');
        rebuild(&batch);
    }
}

fn segment(more: Value) -> Value {
    let mut document = json!({
        "trace_id": "1-5b8efff7-98038103d269b633813fc60c",
        "id": "53995c3f42cd8ad8",
        "name": "shop",
        "start_time": 1_795_248_539.786,
        "end_time": 1_795_248_545.812_500_2,
    });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document
}

#[test]
fn numbers_come_back_to_the_last_digit() {
    let metadata = json!({"n": [0.1, 1e300, 5e-324, u64::MAX, i64::MIN, -0.0, 1795248540.4134002]});
    let annotations = json!({"big": u64::MAX, "int": 5, "double": 5.5, "edge": i64::MAX});
    let document = segment(json!({"metadata": {"m": metadata}, "annotations": annotations}));
    let (_, batch) = assert_comes_back(&document);
    assert_eq!(batch.span(0).start_unix_nano(), 1_795_248_539_786_000_000);
    assert_eq!(batch.span(0).end_unix_nano(), 1_795_248_545_812_500_200);
}

#[test]
fn an_odd_spelling_of_an_id_is_echoed() {
    let odd = [
        json!({"trace_id": "5b8efff798038103d269b633813fc60c"}),
        json!({"trace_id": "1-5B8EFFF7-98038103d269b633813fc60c"}),
        json!({"trace_id": "1-0-abc"}),
        json!({"id": "53995C3F42CD8AD8"}),
        json!({"parent_id": "53995C3F42CD8ADF"}),
    ];
    for odd in odd {
        assert_comes_back(&segment(odd));
    }
}

#[test]
fn what_is_deep_comes_back_and_what_is_too_deep_is_refused() {
    let nested = |depth: usize| {
        let inside = (0..depth).fold(String::new(), |inside, at| {
            let list = if inside.is_empty() {
                String::new()
            } else {
                format!(",\"subsegments\":[{inside}]")
            };
            format!(
                "{{\"id\":\"{:016x}\",\"name\":\"n\",\"start_time\":1,\"end_time\":2{list}}}",
                at + 1
            )
        });
        let mut document = segment(json!({"subsegments": []})).to_string();
        document.truncate(document.rfind("[]").unwrap());
        // Members come in the order of their names, so nothing but the ids of the trace follows.
        format!("{document}[{inside}],\"trace_id\":\"1-5b8efff7-98038103d269b633813fc60c\"}}")
    };
    let (outcome, batch) = decode(nested(60).as_bytes(), Options::default());
    assert_eq!((outcome.spans, outcome.rejected_spans()), (61, 0));
    assert_eq!(rebuild(&batch).len(), 1);
    let (outcome, _) = decode(nested(5_000).as_bytes(), Options::default());
    assert_eq!((outcome.spans, outcome.rejected_spans()), (0, 1));
}

#[test]
fn a_list_of_documents_is_read_one_by_one() {
    let other =
        segment(json!({"id": "53995c3f42cd8ad9", "name": "other", "origin": "AWS::EC2::Instance"}));
    let list = json!([segment(json!({})), 5, other, {"id": "x"}]);
    let (outcome, batch) = lenient(&list);
    assert_eq!((outcome.spans, outcome.rejected_spans()), (2, 2));
    let services: Vec<_> = batch.spans().map(|span| span.service()).collect();
    assert_eq!(services, ["shop", "other"]);
    assert_eq!(lenient(&json!([])).0, Default::default());
}
