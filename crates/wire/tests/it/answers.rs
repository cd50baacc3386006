//! The responses, as clients read them.

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use throughline_wire::otlp::{self, Signal};

/// `google.rpc.Status`, which the oracle's crate does not have.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

#[test]
fn full_success_is_an_empty_answer() {
    assert_eq!(otlp::response_protobuf(0, ""), b"");
    assert_eq!(otlp::response_json(Signal::Traces, 0, ""), "{}");
}

#[test]
fn partial_success_says_how_many_and_why() {
    for (rejected, message) in [(3, "1 bad_id, 2 malformed"), (u64::MAX >> 1, ""), (0, "beware")] {
        let bytes = otlp::response_protobuf(rejected, message);
        let read = ExportTraceServiceResponse::decode(&bytes[..]).unwrap();
        let expected = ExportTracePartialSuccess {
            rejected_spans: rejected as i64,
            error_message: message.into(),
        };
        assert_eq!(read.partial_success, Some(expected));
    }
    assert_eq!(
        otlp::response_json(Signal::Traces, 3, "a \"b\""),
        r#"{"partialSuccess":{"errorMessage":"a \"b\"","rejectedSpans":"3"}}"#
    );
    assert_eq!(
        otlp::response_json(Signal::Traces, 0, "x"),
        r#"{"partialSuccess":{"errorMessage":"x"}}"#
    );
}

#[test]
fn a_status_reads_as_google_rpc_has_it() {
    for (code, message) in [(3, "bad"), (0, ""), (-7, "negative")] {
        let read = RpcStatus::decode(&otlp::status_protobuf(code, message)[..]).unwrap();
        assert_eq!((read.code, read.message.as_str()), (code, message));
    }
    assert_eq!(otlp::status_json(14, "try later"), r#"{"code":14,"message":"try later"}"#);
}
