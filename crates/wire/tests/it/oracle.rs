//! `prost` with OpenTelemetry's own messages is the oracle.

use std::cmp::Reverse;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_varint, skip_field,
};
use throughline_model::SpanBatchBuilder;
use throughline_wire::{Decoded, RejectReason, otlp};

use crate::content::{json, of_batch, of_request, protobuf, sorted};
use crate::generate::request;

fn reasons(decoded: &Decoded) -> Vec<RejectReason> {
    decoded.rejected.details().iter().map(|rejected| rejected.reason).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn protobuf_is_read_as_prost_reads_it(request in request()) {
        let decoded = protobuf(&request.encode_to_vec());
        let (kept, rejected) = of_request(&request);
        prop_assert_eq!(of_batch(&decoded.batch), kept);
        prop_assert_eq!(reasons(&decoded), rejected);
    }

    #[test]
    fn the_order_of_fields_does_not_matter(request in request()) {
        let decoded = protobuf(&backwards(&request.encode_to_vec(), &REQUEST));
        prop_assert_eq!(of_batch(&decoded.batch), of_request(&request).0);
    }

    #[test]
    fn protobuf_round_trips_and_prost_reads_it(request in request()) {
        let batch = protobuf(&request.encode_to_vec()).batch;
        let encoded = otlp::encode_protobuf(&batch);
        let again = protobuf(&encoded);
        prop_assert!(again.rejected.is_empty());
        prop_assert_eq!(sorted(&again.batch), sorted(&batch));
        prop_assert_eq!(otlp::encode_protobuf(&again.batch), encoded.clone());
        let by_prost = ExportTraceServiceRequest::decode(&encoded[..]).unwrap();
        let mut by_prost = of_request(&by_prost).0;
        by_prost.sort();
        prop_assert_eq!(by_prost, sorted(&batch));
    }

    #[test]
    fn json_round_trips_and_says_the_same_as_protobuf(request in request()) {
        let batch = protobuf(&request.encode_to_vec()).batch;
        let text = otlp::encode_json(&batch);
        let again = json(&text);
        prop_assert!(again.rejected.is_empty(), "{}", again.rejected);
        prop_assert_eq!(sorted(&again.batch), sorted(&batch));
        prop_assert_eq!(otlp::encode_json(&again.batch), text);
        prop_assert_eq!(otlp::encode_protobuf(&again.batch), otlp::encode_protobuf(&batch));
    }

    #[test]
    fn no_prefix_and_no_flipped_byte_panics(
        request in request(),
        cut in any::<Index>(),
        flips in proptest::collection::vec((any::<Index>(), any::<u8>()), 0..4),
    ) {
        let batch = protobuf(&request.encode_to_vec()).batch;
        for mut bytes in [request.encode_to_vec(), otlp::encode_json(&batch).into_bytes()] {
            if !bytes.is_empty() {
                for (at, mask) in &flips {
                    *at.get_mut(&mut bytes[..]) ^= mask;
                }
                bytes.truncate(cut.index(bytes.len() * 2));
            }
            let mut builder = SpanBatchBuilder::default();
            let read = [
                otlp::decode_protobuf(&bytes, &mut builder),
                otlp::decode_json(&bytes, &mut builder),
            ];
            for decoded in read.into_iter().flatten() {
                let text = otlp::encode_json(&decoded.batch);
                prop_assert_eq!(sorted(&json(&text).batch).len(), decoded.batch.len());
                let again = protobuf(&otlp::encode_protobuf(&decoded.batch));
                prop_assert_eq!(sorted(&again.batch), sorted(&decoded.batch));
            }
        }
    }
}

/// Which fields of a message are messages, and of what.
struct Shape(&'static [(u32, &'static Self)]);

const LEAF: Shape = Shape(&[]);
const PAIR: Shape = Shape(&[(2, &LEAF)]);
const SPAN: Shape =
    Shape(&[(9, &PAIR), (11, &Shape(&[(3, &PAIR)])), (13, &Shape(&[(4, &PAIR)])), (15, &LEAF)]);
const SCOPE_SPANS: Shape = Shape(&[(1, &Shape(&[(3, &PAIR)])), (2, &SPAN)]);
const RESOURCE_SPANS: Shape = Shape(&[(1, &Shape(&[(1, &PAIR)])), (2, &SCOPE_SPANS)]);
const REQUEST: Shape = Shape(&[(1, &RESOURCE_SPANS)]);

/// The same message with its fields from the highest number to the lowest.
fn backwards(message: &[u8], shape: &Shape) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let field = rest;
        let (number, wire) = decode_key(&mut rest).unwrap();
        let value = rest;
        skip_field(wire, number, &mut rest, DecodeContext::default()).unwrap();
        let inner = shape.0.iter().find(|(inner, _)| *inner == number);
        let bytes = match inner {
            Some((_, shape)) if wire == WireType::LengthDelimited => {
                let mut value = &value[..value.len() - rest.len()];
                decode_varint(&mut value).unwrap();
                let inner = backwards(value, shape);
                let mut bytes = Vec::new();
                prost::encoding::encode_key(number, wire, &mut bytes);
                encode_varint(inner.len() as u64, &mut bytes);
                bytes.extend(inner);
                bytes
            }
            _ => field[..field.len() - rest.len()].to_vec(),
        };
        fields.push((number, bytes));
    }
    fields.sort_by_key(|(number, _)| Reverse(*number));
    fields.into_iter().flat_map(|(_, bytes)| bytes).collect()
}
