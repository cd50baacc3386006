//! Every bad protobuf input by name, each next to a good neighbour that must stay.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};
use prost::Message;
use prost::encoding::encode_varint;
use throughline_model::{AttrValue, NO_END, SpanBatchBuilder, SpanId, SpanKind, SpanRef};
use throughline_wire::{DecodeError, Decoded, RejectReason, Warning, otlp};

use crate::content::protobuf;

pub(crate) fn good() -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "good".into(),
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 3_000,
        ..Span::default()
    }
}

pub(crate) fn framed(field: u8, message: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    encode_varint(message.len() as u64, &mut out);
    out.extend_from_slice(message);
    out
}

/// A request of these spans, each given by its bytes.
pub(crate) fn body(spans: &[Vec<u8>]) -> Vec<u8> {
    let scope_spans: Vec<u8> = spans.iter().flat_map(|span| framed(2, span)).collect();
    framed(1, &framed(2, &scope_spans))
}

/// Decodes `span` between two good ones, which must be there whatever becomes of it.
pub(crate) fn between_good_ones(span: &[u8]) -> Decoded {
    let decoded = protobuf(&body(&[good().encode_to_vec(), span.to_vec(), good().encode_to_vec()]));
    let last = decoded.batch.len() - 1;
    for row in [0, last] {
        assert_eq!(decoded.batch.span(row).name(), "good");
        assert_eq!(decoded.batch.span(row).duration_nano(), Some(2_000));
    }
    assert_eq!(decoded.batch.len() as u64 + decoded.rejected.total(), 3);
    decoded
}

fn rejected(span: &[u8], reason: RejectReason) {
    let decoded = between_good_ones(span);
    assert_eq!(decoded.rejected.counts().collect::<Vec<_>>(), [(reason, 1)]);
    assert!(decoded.rejected.details()[0].detail.starts_with("span 1: "));
    assert!(decoded.warnings.is_empty(), "a rejected span leaves no warning");
}

fn kept(span: &[u8], warning: Option<Warning>, check: impl FnOnce(SpanRef<'_>)) {
    let decoded = between_good_ones(span);
    assert!(decoded.rejected.is_empty(), "{}", decoded.rejected);
    let expected: Vec<_> = warning.into_iter().map(|warning| (warning, 1)).collect();
    assert_eq!(decoded.warnings.counts().collect::<Vec<_>>(), expected);
    check(decoded.batch.span(1));
}

fn refused(body: &[u8]) {
    let mut builder = SpanBatchBuilder::default();
    let refused = otlp::decode_protobuf(body, &mut builder);
    assert!(matches!(refused, Err(DecodeError::Protobuf { .. })), "{body:02x?}");
    assert!(builder.is_empty() && builder.finish().is_empty(), "nothing may stay behind");
}

fn with(change: impl FnOnce(&mut Span)) -> Vec<u8> {
    let mut span = good();
    change(&mut span);
    span.encode_to_vec()
}

/// A good span with more bytes behind it.
fn and(more: &[u8]) -> Vec<u8> {
    [good().encode_to_vec(), more.to_vec()].concat()
}

#[test]
fn an_empty_body_is_an_empty_request() {
    assert!(protobuf(b"").batch.is_empty());
    assert!(protobuf(b"").rejected.is_empty());
    assert!(protobuf(&framed(1, b"")).batch.is_empty());
}

#[test]
fn an_envelope_that_cannot_be_walked_is_refused_whole() {
    let good = body(&[good().encode_to_vec()]);
    for cut in 1..4 {
        refused(&good[..good.len() - cut]);
    }
    refused(&[good.clone(), vec![0xff]].concat());
    refused(&[good.clone(), framed(1, &[0xff; 10])].concat());
    refused(&[good.clone(), framed(1, &framed(2, b"\x12\x7f"))].concat());
    refused(&[good.clone(), b"\x08\x01".to_vec()].concat());
    refused(&[good, b"\x0b\x0c".to_vec()].concat());
    refused(b"{\"resourceSpans\":[]}");
}

#[test]
fn a_resource_or_scope_that_cannot_be_walked_is_refused_whole() {
    let spans = framed(2, &framed(2, &good().encode_to_vec()));
    refused(&framed(1, &[framed(1, b"\x0a\x7f"), spans.clone()].concat()));
    refused(&framed(1, &[spans, framed(1, b"\x0a\x7f")].concat()));
    let spans = framed(2, &good().encode_to_vec());
    refused(&framed(1, &framed(2, &[spans, framed(1, b"\x1a\x7f")].concat())));
}

#[test]
fn the_error_says_where() {
    let mut builder = SpanBatchBuilder::default();
    let error = otlp::decode_protobuf(b"\x0a\x04\x12\x02\x12\x7f", &mut builder).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected a protobuf ExportTraceServiceRequest, but at byte 6 a field ends past its message"
    );
}

#[test]
fn zero_and_missing_ids_are_rejected() {
    rejected(&with(|s| s.trace_id = vec![0; 16]), RejectReason::ZeroTraceId);
    rejected(&with(|s| s.trace_id = vec![]), RejectReason::ZeroTraceId);
    rejected(&with(|s| s.span_id = vec![0; 8]), RejectReason::ZeroSpanId);
    rejected(&with(|s| s.span_id = vec![]), RejectReason::ZeroSpanId);
    rejected(b"", RejectReason::ZeroTraceId);
}

#[test]
fn an_id_that_is_sent_empty_is_a_missing_one() {
    rejected(&and(&framed(1, b"")), RejectReason::ZeroTraceId);
    rejected(&and(&framed(2, b"")), RejectReason::ZeroSpanId);
    kept(&and(&framed(4, b"")), None, |span| assert!(span.parent_id().is_zero()));
}

#[test]
fn a_rejected_span_leaves_no_warning() {
    rejected(&and(&[framed(5, b"\xff"), framed(4, b"x")].concat()), RejectReason::BadId);
}

#[test]
fn ids_of_a_wrong_length_are_rejected() {
    for length in [1, 15, 17, 32] {
        rejected(&with(|s| s.trace_id = vec![1; length]), RejectReason::BadId);
    }
    for length in [1, 7, 9, 16] {
        rejected(&with(|s| s.span_id = vec![1; length]), RejectReason::BadId);
        rejected(&with(|s| s.parent_span_id = vec![1; length]), RejectReason::BadId);
    }
}

#[test]
fn a_zero_parent_is_a_root() {
    for parent in [vec![], vec![0; 8]] {
        kept(&with(|s| s.parent_span_id = parent), None, |span| {
            assert_eq!(span.parent_id(), SpanId::ZERO);
        });
    }
}

#[test]
fn a_malformed_span_costs_only_itself() {
    rejected(b"\xff", RejectReason::Malformed);
    rejected(&and(b"\x2a\x7f"), RejectReason::Malformed);
    rejected(&and(b"\x39\x00"), RejectReason::Malformed);
    rejected(&and(b"\x85\x01\x00"), RejectReason::Malformed);
    rejected(&and(&[&[0x30][..], &[0xff; 11]].concat()), RejectReason::Malformed);
    for field in [9, 11, 13, 15] {
        rejected(&and(&framed(field, b"\x0a\x7f")), RejectReason::Malformed);
    }
    rejected(&and(&framed(9, &framed(2, b"\x0a\x7f"))), RejectReason::Malformed);
    rejected(&and(&framed(11, &framed(3, b"\x0a\x7f"))), RejectReason::Malformed);
    rejected(&and(&framed(13, &framed(4, b"\x0a\x7f"))), RejectReason::Malformed);
}

#[test]
fn groups_field_zero_and_wrong_wire_types_are_malformed() {
    rejected(&and(b"\xa3\x06\xa4\x06"), RejectReason::Malformed);
    rejected(&and(b"\xa6\x06"), RejectReason::Malformed);
    rejected(&and(b"\x02\x00"), RejectReason::Malformed);
    rejected(&and(b"\xfa\xff\xff\xff\xff\x01\x00"), RejectReason::Malformed);
    rejected(&and(b"\x28\x01"), RejectReason::Malformed);
    rejected(&and(b"\x38\x01"), RejectReason::Malformed);
    rejected(&and(&framed(15, b"\x1a\x00")), RejectReason::Malformed);
    rejected(&and(&framed(9, &framed(2, b"\x18"))), RejectReason::Malformed);
    rejected(&and(&framed(9, &framed(2, b"\x12\x01x"))), RejectReason::Malformed);
}

#[test]
fn unknown_fields_are_skipped() {
    let unknown = b"\xa2\x06\x03abc\xa8\x06\x05\xad\x06\x01\x02\x03\x04\xa9\x06\x01\x02\x03\x04\x05\x06\x07\x08";
    kept(&[&unknown[..], &good().encode_to_vec()].concat(), None, |span| {
        assert_eq!(span.name(), "good");
    });
    // The old status code of OTLP 0.x, and the profiles' index of an attribute's text.
    kept(&and(&framed(15, b"\x08\x02\x18\x02")), None, |span| assert_eq!(span.status() as u8, 2));
    kept(&and(&framed(9, &[framed(1, b"k"), framed(2, b"\x40\x05")].concat())), None, |span| {
        assert_eq!(span.attribute("k"), Some(AttrValue::Empty));
    });
    let body = [&unknown[..], &body(&[good().encode_to_vec()])].concat();
    assert_eq!(protobuf(&body).batch.len(), 1);
}

#[test]
fn times_beyond_63_bits_are_rejected() {
    let late = i64::MAX as u64 + 1;
    rejected(&with(|s| s.start_time_unix_nano = late), RejectReason::TimeOutOfRange);
    rejected(&with(|s| s.end_time_unix_nano = late), RejectReason::TimeOutOfRange);
    rejected(&with(|s| s.end_time_unix_nano = u64::MAX), RejectReason::TimeOutOfRange);
    kept(&with(|s| s.end_time_unix_nano = late - 1), None, |span| {
        assert_eq!(span.end_unix_nano(), i64::MAX);
    });
}

#[test]
fn a_span_without_end_is_in_progress() {
    kept(&with(|s| s.end_time_unix_nano = 0), None, |span| {
        assert_eq!(span.duration_nano(), None);
        assert_eq!(span.batch().durations()[span.row()], NO_END);
    });
    let none = with(|s| (s.start_time_unix_nano, s.end_time_unix_nano) = (0, 0));
    kept(&none, None, |span| assert_eq!(span.duration_nano(), Some(0)));
}

#[test]
fn an_end_before_its_start_is_kept_with_a_warning() {
    kept(&with(|s| s.end_time_unix_nano = 400), Some(Warning::EndBeforeStart), |span| {
        assert_eq!(span.duration_nano(), Some(-600));
    });
}

#[test]
fn text_that_is_no_utf8_is_kept_with_replacement_characters() {
    kept(&and(&framed(5, b"caf\xe9")), Some(Warning::InvalidUtf8), |span| {
        assert_eq!(span.name(), "caf\u{fffd}");
    });
    let attribute = [framed(1, b"k"), framed(2, &framed(1, b"a\xffb"))].concat();
    kept(&and(&framed(9, &attribute)), Some(Warning::InvalidUtf8), |span| {
        assert_eq!(span.attribute("k"), Some(AttrValue::Str("a\u{fffd}b")));
    });
}

#[test]
fn bad_text_inside_a_list_is_repaired_for_whoever_reads_it_next() {
    let list = framed(5, &framed(1, &framed(1, b"a\xffb")));
    let span = and(&framed(9, &[framed(1, b"k"), framed(2, &list)].concat()));
    kept(&span, Some(Warning::InvalidUtf8), |span| {
        let Some(AttrValue::Array(bytes)) = span.attribute("k") else { panic!("no list") };
        assert_eq!(bytes, framed(1, &framed(1, "a\u{fffd}b".as_bytes())));
    });
    let batch = between_good_ones(&span).batch;
    ExportTraceServiceRequest::decode(&otlp::encode_protobuf(&batch)[..]).unwrap();
}

#[test]
fn kinds_and_status_codes_we_do_not_know_are_the_default() {
    for kind in [-1, 6, 261, i32::MAX] {
        kept(&with(|s| s.kind = kind), None, |span| {
            assert_eq!(span.kind(), SpanKind::Unspecified);
        });
    }
    kept(&and(&framed(15, b"\x18\x09")), None, |span| assert_eq!(span.status() as u8, 0));
}

#[test]
fn an_event_out_of_time_and_a_link_with_a_bad_id_cost_only_themselves() {
    let event = |time| span::Event { time_unix_nano: time, name: "e".into(), ..Default::default() };
    let span = with(|s| s.events = vec![event(1), event(u64::MAX), event(2)]);
    kept(&span, Some(Warning::EventTimeOutOfRange), |span| {
        assert_eq!(span.events().map(|e| e.time_unix_nano()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(span.dropped(), [0, 1, 0]);
    });
    let link = |length| span::Link { trace_id: vec![7; length], ..Default::default() };
    let span = with(|s| s.links = vec![link(16), link(5), link(0)]);
    kept(&span, Some(Warning::BadLinkId), |span| {
        assert_eq!(span.links().len(), 2);
        assert_eq!(span.dropped(), [0, 0, 1]);
    });
}

#[test]
fn a_message_that_comes_twice_is_merged() {
    let attribute = |key: &str| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(any_value::Value::IntValue(7)) }),
        ..KeyValue::default()
    };
    let resource = |key: &str, dropped| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![attribute(key)],
            dropped_attributes_count: dropped,
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans { spans: vec![good()], ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    let message = [resource("a", 3).encode_to_vec(), resource("b", 5).encode_to_vec()].concat();
    let decoded = protobuf(&framed(1, &message));
    assert_eq!(decoded.batch.len(), 2);
    for span in decoded.batch.spans() {
        let keys: Vec<_> = span.resource().attributes().map(|(key, _)| key).collect();
        assert_eq!((keys, span.resource().dropped()), (vec!["a", "b"], 5));
    }
    let twice = and(&[framed(15, b"\x12\x01m"), framed(15, b"\x18\x02")].concat());
    kept(&twice, None, |span| {
        assert_eq!((span.status() as u8, span.status_message()), (2, "m"));
    });
}
