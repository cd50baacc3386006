//! Log records, with `prost` and OpenTelemetry's own messages as the oracle.

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use throughline_model::{LogRef, NO_END, SpanBatch, SpanBatchBuilder, log_trace_of_invocation};
use throughline_wire::otlp::{self, Signal};
use throughline_wire::{Decoded, RejectReason};

use crate::content::{Owner, Pairs, Value, of_owner, pairs, proto_owner, proto_pairs, proto_value};
use crate::generate::{attributes, id, resource, scope, text, time, value};

const RECEIVED: i64 = 1_795_000_000_000_000_000;

/// Everything a record says.
#[derive(Debug, PartialEq)]
struct Content {
    owner: Owner,
    ids: (Vec<u8>, Vec<u8>),
    times: (i64, i64),
    severity: (i64, String),
    event_name: String,
    flags: u32,
    dropped: u32,
    attributes: Pairs,
    body: Option<Value>,
}

fn of_batch(batch: &SpanBatch) -> Vec<Content> {
    let content = |record: LogRef<'_>| {
        let (row, head) = (record.row(), record.head());
        assert_eq!(row.duration_nano().unwrap_or(NO_END), NO_END);
        Content {
            owner: of_owner(row),
            ids: (row.trace_id().0.into(), row.span_id().0.into()),
            times: (head.time_unix_nano, head.observed_unix_nano),
            severity: (head.severity_number, head.severity_text.into()),
            event_name: row.name().into(),
            flags: row.flags(),
            dropped: row.dropped()[0],
            attributes: pairs(row.attributes()),
            body: record.body().map(crate::content::value),
        }
    };
    batch.spans().map(|row| content(LogRef::new(row))).collect()
}

/// What `prost` reads, held to our rules: the records to keep, and why the others go.
fn of_request(request: &ExportLogsServiceRequest) -> (Vec<Content>, Vec<RejectReason>) {
    let (mut kept, mut rejected) = (Vec::new(), Vec::new());
    for group in &request.resource_logs {
        for scoped in &group.scope_logs {
            let owner = proto_owner(
                (group.resource.as_ref(), &group.schema_url),
                (scoped.scope.as_ref(), &scoped.schema_url),
            );
            for record in &scoped.log_records {
                match of_record(record) {
                    Err(reason) => rejected.push(reason),
                    Ok(content) => kept.push(Content { owner: owner.clone(), ..content }),
                }
            }
        }
    }
    (kept, rejected)
}

fn of_record(record: &LogRecord) -> Result<Content, RejectReason> {
    let right = |id: &[u8], length| id.is_empty() || id.len() == length;
    if !right(&record.trace_id, 16) || !right(&record.span_id, 8) {
        return Err(RejectReason::BadId);
    }
    let attributes = proto_pairs(&record.attributes);
    let mut trace_id = record.trace_id.clone();
    if trace_id.iter().all(|byte| *byte == 0) {
        let named = attributes.iter().find_map(|(key, value)| match value {
            Value::Str(id) if key == "faas.invocation_id" => Some(id),
            _ => None,
        });
        let named = named.filter(|id| !id.is_empty()).ok_or(RejectReason::ZeroTraceId)?;
        trace_id = log_trace_of_invocation(named).0.into();
    }
    let read = |time: u64| i64::try_from(time).map_err(|_| RejectReason::TimeOutOfRange);
    let (time, observed) = (read(record.time_unix_nano)?, read(record.observed_time_unix_nano)?);
    let (time, observed) = match (time, observed) {
        (0, 0) => (RECEIVED, RECEIVED),
        (0, observed) => (observed, observed),
        (time, 0) => (time, time),
        both => both,
    };
    let span_id = Some(record.span_id.clone()).filter(|id| !id.is_empty());
    Ok(Content {
        owner: Owner::default(),
        ids: (trace_id, span_id.unwrap_or(vec![0; 8])),
        times: (time, observed),
        severity: (i64::from(record.severity_number.clamp(0, 24)), record.severity_text.clone()),
        event_name: record.event_name.clone(),
        flags: record.flags,
        dropped: record.dropped_attributes_count,
        attributes,
        body: record.body.clone().map(|body| proto_value(Some(body))),
    })
}

fn request() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope_logs = (scope(), vec(record(), 0..4), text())
        .prop_map(|(scope, log_records, schema_url)| ScopeLogs { scope, log_records, schema_url });
    let resource_logs = (resource(), vec(scope_logs, 0..3), text()).prop_map(
        |(resource, scope_logs, schema_url)| ResourceLogs { resource, scope_logs, schema_url },
    );
    vec(resource_logs, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

fn record() -> impl Strategy<Value = LogRecord> {
    let fields = (id(16), id(8), time(), time(), -1..30i32, text());
    let rest = (text(), any::<u32>(), any::<u32>());
    let body = proptest::option::of(value());
    let invocation = proptest::option::weighted(0.3, text());
    (fields, rest, attributes(), body, invocation).prop_map(
        |(fields, rest, mut attributes, body, invocation)| {
            attributes.extend(invocation.map(crate::generate::invocation));
            LogRecord {
                trace_id: fields.0,
                span_id: fields.1,
                time_unix_nano: fields.2,
                observed_time_unix_nano: fields.3,
                severity_number: fields.4,
                severity_text: fields.5,
                event_name: rest.0,
                flags: rest.1,
                dropped_attributes_count: rest.2,
                attributes,
                body,
            }
        },
    )
}

fn protobuf(body: &[u8]) -> Decoded {
    let mut builder = SpanBatchBuilder::default();
    otlp::decode_logs_protobuf(body, &mut builder, RECEIVED).expect("a sound envelope")
}

fn json(body: &str) -> Decoded {
    let mut builder = SpanBatchBuilder::default();
    otlp::decode_logs_json(body.as_bytes(), &mut builder, RECEIVED).expect("a sound envelope")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn protobuf_is_read_as_prost_reads_it(request in request()) {
        let decoded = protobuf(&request.encode_to_vec());
        let (kept, rejected) = of_request(&request);
        prop_assert_eq!(of_batch(&decoded.batch), kept);
        let reasons: Vec<_> = decoded.rejected.details().iter().map(|one| one.reason).collect();
        prop_assert_eq!(reasons, rejected);
    }

    #[test]
    fn no_prefix_and_no_flipped_byte_panics(
        request in request(),
        cut in any::<Index>(),
        flips in vec((any::<Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = request.encode_to_vec();
        if !bytes.is_empty() {
            for (at, mask) in &flips {
                *at.get_mut(&mut bytes[..]) ^= mask;
            }
            bytes.truncate(cut.index(bytes.len() * 2));
        }
        let mut builder = SpanBatchBuilder::default();
        if let Ok(decoded) = otlp::decode_logs_protobuf(&bytes, &mut builder, RECEIVED) {
            prop_assert_eq!(of_batch(&decoded.batch).len(), decoded.batch.len());
        }
    }
}

/// As the examples of opentelemetry-proto have it, with ProtoJSON's liberties.
#[test]
fn json_is_read_with_all_its_fields() {
    let decoded = json(
        r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]},
          "scope_logs":[{"scope":{"name":"my.library","version":"1.0.0"},"logRecords":[
            {"timeUnixNano":"1544712660300000000","observedTimeUnixNano":1544712660300000001,
             "severityNumber":10,"severityText":"Information","traceId":"5B8EFFF798038103D269B633813FC60C",
             "spanId":"EEE19B7EC3C1B174","body":{"stringValue":"Example log record"},"eventName":"e",
             "attributes":[{"key":"map","value":{"kvlistValue":{"values":[{"key":"k","value":{"intValue":"1"}}]}}}],
             "droppedAttributesCount":2,"flags":1},
            {"severityNumber":"SEVERITY_NUMBER_ERROR2","body":{"kvlistValue":{"values":[]}},
             "attributes":[{"key":"faas.invocation_id","value":{"stringValue":"r-1"}}]},
            {"body":{"stringValue":"of no trace"}},
            {"traceId":"12","body":{"stringValue":"of a bad one"}}]}]}]}"#,
    );
    let records = of_batch(&decoded.batch);
    assert_eq!(records.len(), 2);
    let [first, second] = &records[..] else { unreachable!() };
    assert_eq!(first.owner.resource.0, [("service.name".into(), Value::Str("my.service".into()))]);
    assert_eq!(first.times, (1_544_712_660_300_000_000, 1_544_712_660_300_000_001));
    assert_eq!(first.severity, (10, "Information".into()));
    assert_eq!(first.ids.1, [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74]);
    assert_eq!(first.body, Some(Value::Str("Example log record".into())));
    assert_eq!((first.event_name.as_str(), first.dropped, first.flags), ("e", 2, 1));
    assert_eq!(first.owner.scope.0, "my.library");
    assert_eq!(second.severity, (18, String::new()));
    assert_eq!(second.times, (RECEIVED, RECEIVED));
    assert_eq!(second.ids.0, log_trace_of_invocation("r-1").0);
    assert_eq!(second.body, Some(Value::Map(Vec::new())));
    assert_eq!(
        decoded.rejected.to_string(),
        "1 zero_trace_id, 1 bad_id; first: log record 2: its trace id is missing or all zero: only \
         logs of traces are kept"
    );
}

#[test]
fn what_is_no_request_is_refused_by_its_name() {
    let mut builder = SpanBatchBuilder::default();
    for (body, expected) in [
        ("null", "expected a JSON ExportLogsServiceRequest, but the body is null"),
        ("[]", "expected a JSON ExportLogsServiceRequest, but invalid type: sequence"),
    ] {
        let refused = otlp::decode_logs_json(body.as_bytes(), &mut builder, RECEIVED).unwrap_err();
        assert!(refused.to_string().starts_with(expected), "{refused}");
    }
    let refused = otlp::decode_logs_protobuf(&[0x0a, 9, 1], &mut builder, RECEIVED).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.starts_with("expected a protobuf ExportLogsServiceRequest, but at byte"),
        "{text}"
    );
}

#[test]
fn the_answer_counts_records() {
    let bytes = otlp::response_protobuf(3, "why");
    let read = ExportLogsServiceResponse::decode(&bytes[..]).unwrap();
    let expected =
        ExportLogsPartialSuccess { rejected_log_records: 3, error_message: "why".into() };
    assert_eq!(read.partial_success, Some(expected));
    assert_eq!(
        otlp::response_json(Signal::Logs, 3, "why"),
        r#"{"partialSuccess":{"errorMessage":"why","rejectedLogRecords":"3"}}"#
    );
}
