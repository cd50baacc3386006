//! Every bad document by name: what is kept of it, what AWS would say, and that neighbours stay.

use serde_json::{Value, json};
use throughline_model::SpanBatch;
use throughline_wire::xray::{self, Code, DETAILS_MAX, Options, Outcome, SPANS_MAX};

use super::{decode, lenient, rebuild};

fn good() -> Value {
    json!({
        "trace_id": "1-5b8efff7-98038103d269b633813fc60c",
        "id": "53995c3f42cd8ad8",
        "name": "shop",
        "start_time": 1.5,
        "end_time": 2.5,
        "subsegments": [
            {"id": "53995c3f42cd8ad9", "name": "before", "start_time": 1.5, "end_time": 2},
            {"id": "53995c3f42cd8ada", "name": "DynamoDB", "start_time": 1.5, "end_time": 2,
             "namespace": "aws", "subsegments": [
                {"id": "53995c3f42cd8adb", "name": "inner", "start_time": 1.5, "end_time": 2}]},
            {"id": "53995c3f42cd8adc", "name": "after", "start_time": 1.5, "end_time": 2},
        ],
    })
}

/// A good document of five with one member changed; `null` takes it out.
fn with(path: &str, value: Value) -> Value {
    let mut document = good();
    let (parent, key) = path.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(key);
    } else {
        parent.insert(key.to_owned(), value);
    }
    document
}

fn strict(document: &Value) -> Outcome {
    let (outcome, batch) = decode(document.to_string().as_bytes(), Options { strict: true });
    assert!(batch.is_empty());
    outcome
}

fn names(batch: &SpanBatch) -> Vec<&str> {
    batch.spans().map(|span| span.name()).collect()
}

/// A document of which `lost` (sub)segments cannot be kept.
#[track_caller]
fn rejected(document: &Value, lost: u64, code: Code, id: Option<&str>) -> SpanBatch {
    let (outcome, batch) = lenient(document);
    let found = outcome.rejected.iter().map(|r| (r.code, r.id.as_deref(), r.spans));
    assert_eq!(found.collect::<Vec<_>>(), [(code, id, lost)], "{document}");
    assert_eq!(outcome.spans + lost, 5, "{document}");
    let strict = strict(document);
    let found = strict.rejected.iter().map(|r| (r.code, r.id.as_deref(), r.spans));
    assert_eq!(found.collect::<Vec<_>>(), [(code, id, 5)], "{document}");
    batch
}

/// A document that is kept whole although AWS refuses it.
#[track_caller]
fn doubted(document: &Value, code: Code, id: &str) -> SpanBatch {
    let (outcome, batch) = lenient(document);
    assert_eq!((outcome.spans, outcome.rejected_spans()), (5, 0), "{document}");
    let found = outcome.doubts.iter().map(|doubt| (doubt.code, doubt.id.as_deref()));
    assert_eq!(found.collect::<Vec<_>>(), [(code, Some(id))], "{document}");
    let strict = strict(document);
    let found = strict.rejected.iter().map(|r| (r.code, r.id.as_deref(), r.spans));
    assert_eq!(found.collect::<Vec<_>>(), [(code, Some(id), 5)], "{document}");
    batch
}

const SEGMENT: &str = "53995c3f42cd8ad8";
const CALL: &str = "53995c3f42cd8ada";

#[test]
fn a_good_document_is_kept_by_both() {
    let text = good().to_string();
    for options in [Options::default(), Options { strict: true }] {
        let (outcome, batch) = decode(text.as_bytes(), options);
        assert_eq!(outcome, Outcome { spans: 5, ..Outcome::default() });
        assert_eq!(names(&batch), ["shop", "before", "DynamoDB", "inner", "after"]);
    }
}

#[test]
fn what_is_no_document_is_rejected() {
    for text in ["", " ", "{", "nul", "{}x", "\"\\ud800\"", "[1e999]", "{\"a\":1,}"] {
        let (outcome, _) = decode(text.as_bytes(), Options::default());
        assert_eq!(outcome.rejected[0].code, Code::InvalidSegment, "{text}");
        assert!(outcome.rejected[0].reason.starts_with("it is not JSON: "), "{text}");
        assert_eq!((outcome.rejected[0].spans, &outcome.rejected[0].id), (1, &None));
    }
    for document in [json!(null), json!(5), json!("x"), json!([[good()]])] {
        let (outcome, _) = lenient(&document);
        assert_eq!(outcome.rejected[0].code, Code::InvalidSegment, "{document}");
        assert_eq!(outcome.spans, 0);
    }
}

#[test]
fn a_bad_trace_id_costs_the_document() {
    for bad in [json!(null), json!(5), json!(""), json!("1-x-y"), json!("463ac35c9f6413ad")] {
        rejected(&with("/trace_id", bad), 5, Code::InvalidTraceId, Some(SEGMENT));
    }
    let zero = json!("1-00000000-000000000000000000000000");
    rejected(&with("/trace_id", zero), 5, Code::InvalidTraceId, Some(SEGMENT));
    doubted(
        &with("/trace_id", json!("5b8efff798038103d269b633813fc60c")),
        Code::InvalidTraceId,
        SEGMENT,
    );
}

#[test]
fn a_bad_segment_costs_only_itself() {
    let batch = rejected(&with("/id", json!(null)), 1, Code::MissingId, None);
    assert_eq!(names(&batch), ["before", "DynamoDB", "inner", "after"]);
    assert!(batch.spans().all(|span| span.service() == "shop"));
    assert!(batch.span(0).parent_id().is_zero());
    assert_eq!(batch.span(2).parent_id(), batch.span(1).span_id());
    rejected(&with("/id", json!("xyz")), 1, Code::InvalidId, Some("xyz"));
    rejected(&with("/id", json!(5)), 1, Code::InvalidId, None);
    rejected(&with("/id", json!("0000000000000000")), 1, Code::InvalidId, Some("0000000000000000"));
    for bad in [json!(null), json!("x"), json!(-1), json!(1_795_248_539_786u64), json!([])] {
        rejected(&with("/start_time", bad), 1, Code::InvalidSegment, Some(SEGMENT));
    }
}

#[test]
fn a_bad_subsegment_costs_only_itself_and_its_children_hang_on_its_parent() {
    for (path, value, code, id) in [
        ("/subsegments/1/id", json!(null), Code::MissingId, None),
        ("/subsegments/1/id", json!("x"), Code::InvalidId, Some("x")),
        ("/subsegments/1/start_time", json!(null), Code::InvalidSegment, Some(CALL)),
    ] {
        let batch = rejected(&with(path, value), 1, code, id);
        assert_eq!(names(&batch), ["shop", "before", "inner", "after"]);
        assert_eq!(batch.span(2).parent_id(), batch.span(0).span_id());
        assert_eq!(rebuild(&batch)[0]["subsegments"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn a_subsegment_that_is_no_object_costs_only_itself() {
    let mut document = good();
    document["subsegments"][1] = json!("x");
    let (outcome, batch) = lenient(&document);
    assert_eq!((outcome.rejected_spans(), names(&batch)), (1, vec!["shop", "before", "after"]));
    assert_eq!(strict(&document).rejected_spans(), 4);
}

#[test]
fn odd_names_are_kept() {
    for (path, id) in [("/name", SEGMENT), ("/subsegments/1/name", CALL)] {
        for name in [json!(null), json!(""), json!(5), json!("a?b"), json!("\u{e9}".repeat(201))] {
            doubted(&with(path, name), Code::InvalidName, id);
        }
        let fine = with(path, json!(format!("{}_.:/%&#=+\\-@ 1", "\u{e9}".repeat(180))));
        assert_eq!(lenient(&fine).0.doubts, []);
    }
}

#[test]
fn a_missing_end_is_in_progress() {
    for (path, id, row) in [("/end_time", SEGMENT, 0), ("/subsegments/1/end_time", CALL, 2)] {
        for end in [json!(null), json!("soon"), json!(false), json!(-1)] {
            let batch = doubted(&with(path, end), Code::MissingEndTime, id);
            assert_eq!(batch.span(row).duration_nano(), None);
        }
    }
    let document = with("/in_progress", json!(true));
    let (outcome, batch) = lenient(&document);
    assert_eq!((outcome.doubts, batch.span(0).duration_nano()), (vec![], None));
}

#[test]
fn times_as_text_are_read() {
    let batch = doubted(&with("/start_time", json!("1.25")), Code::InvalidSegment, SEGMENT);
    assert_eq!(batch.span(0).start_unix_nano(), 1_250_000_000);
    let batch = doubted(&with("/end_time", json!("2.75")), Code::InvalidSegment, SEGMENT);
    assert_eq!(batch.span(0).duration_nano(), Some(1_250_000_000));
}

#[test]
fn an_end_before_its_start_is_kept() {
    let (outcome, batch) = lenient(&with("/end_time", json!(0.5)));
    assert_eq!((outcome.rejected_spans(), outcome.doubts), (0, vec![]));
    assert_eq!(batch.span(0).duration_nano(), Some(-1_000_000_000));
}

#[test]
fn a_bad_parent_makes_a_root() {
    for bad in [json!("x"), json!(""), json!(5)] {
        let batch = doubted(&with("/parent_id", bad), Code::InvalidSegment, SEGMENT);
        assert!(batch.span(0).parent_id().is_zero());
    }
    doubted(&with("/type", json!("subsegment")), Code::InvalidSegment, SEGMENT);
    // Nesting wins over what is said.
    let other = with("/subsegments/1/parent_id", json!("53995c3f42cd8ad1"));
    let batch = doubted(&other, Code::InvalidSegment, CALL);
    assert_eq!(batch.span(2).parent_id(), batch.span(0).span_id());
    assert_eq!(xray::encode(batch.span(2))["parent_id"], SEGMENT);
}

#[test]
fn bad_text_is_repaired() {
    let mut text = good().to_string().into_bytes();
    let at = text.windows(4).position(|four| four == b"shop").unwrap();
    text[at] = 0xff;
    let (outcome, batch) = decode(&text, Options::default());
    assert_eq!((outcome.spans, batch.span(0).name()), (5, "\u{fffd}hop"));
}

#[test]
fn a_document_of_too_many_subsegments_loses_the_rest() {
    let many = |count: usize| {
        let inside: Vec<_> = (1..=count)
            .map(|id| json!({"id": format!("{id:016x}"), "name": "n", "start_time": 1, "end_time": 2}))
            .collect();
        with("/subsegments", json!(inside))
    };
    let (outcome, _) = lenient(&many(SPANS_MAX - 1));
    assert_eq!((outcome.spans, outcome.rejected_spans()), (SPANS_MAX as u64, 0));
    let (outcome, _) = lenient(&many(SPANS_MAX + 500));
    assert_eq!((outcome.spans, outcome.rejected_spans()), (SPANS_MAX as u64, 501));
    assert_eq!(outcome.rejected.len(), DETAILS_MAX);
    let two = json!([many(SPANS_MAX - 1), many(3)]);
    let (outcome, _) = lenient(&two);
    assert_eq!((outcome.spans, outcome.rejected_spans()), (SPANS_MAX as u64, 4));
}

#[test]
fn codes_are_x_rays_own() {
    assert_eq!(Code::InvalidTraceId.message(), "Invalid segment. ErrorCode: InvalidTraceId");
    let mut words = Code::ALL.map(Code::word).to_vec();
    words.dedup();
    assert_eq!(words.len(), Code::ALL.len());
}

#[test]
fn a_reason_never_tells_what_the_document_said() {
    let secret = "s3cret";
    for path in ["/trace_id", "/id", "/name", "/start_time", "/parent_id"] {
        let (outcome, _) = lenient(&with(path, json!(format!("{secret}?"))));
        let reasons = outcome.rejected.iter().map(|r| &r.reason);
        for reason in reasons.chain(outcome.doubts.iter().map(|doubt| &doubt.reason)) {
            assert!(!reason.contains(secret), "{reason}");
        }
    }
}
