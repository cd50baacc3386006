//! Streams and topics that call functions.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use throughline_local::lambda::receipts::Sink;
use throughline_local::lambda::{EventSourceSpec, LambdaConfig, Settings, SnsMessage};
use throughline_local::seams::Kept as _;

use super::support::{Lab, STREAM, until};

/// Says what it got, and fails on what is told to fail.
const CONSUMER: &str = r#"
exports.handler = async (event) => {
  const texts = event.Records.map((r) => Buffer.from(r.kinesis.data, "base64").toString());
  process.stdout.write(`GOT ${JSON.stringify(texts)}\n`);
  const bad = event.Records.find((r, i) => texts[i].startsWith("bad"));
  if (bad && process.env.REPORT) return { batchItemFailures: [{ itemIdentifier: bad.kinesis.sequenceNumber }] };
  if (bad) throw new Error("bad");
};"#;

fn spec() -> EventSourceSpec {
    EventSourceSpec {
        event_source_arn: Some(STREAM.to_owned()),
        function_name: Some("f".to_owned()),
        starting_position: Some("TRIM_HORIZON".to_owned()),
        batch_size: Some(10),
        ..EventSourceSpec::default()
    }
}

fn got(lab: &Lab) -> Vec<Value> {
    let lines = lab.logs.lines();
    let got = lines.iter().filter_map(|line| line.strip_prefix("GOT "));
    got.map(|text| serde_json::from_str(text).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_arrive_in_order_soon_after_they_are_put() {
    let lab = Lab::start();
    lab.node(CONSUMER).await;
    lab.streams.put("a");
    lab.streams.put("b");
    let mapping = lab.functions.create_event_source(&spec()).unwrap();
    until("the first batch", || !got(&lab).is_empty()).await;
    assert_eq!(got(&lab), [json!(["a", "b"])]);
    lab.streams.put("c");
    until("the second batch", || got(&lab).len() == 2).await;
    until("it is known how far it has read", || {
        lab.functions.save()["mappings"][&mapping.uuid]["positions"]["shardId-000000000000"]
            == "00000000000000000003"
    })
    .await;
    let mapping = lab.functions.event_source(&mapping.uuid).unwrap();
    assert_eq!(mapping.last_processing_result, "OK");

    // A restart goes on where it was.
    let saved = lab.functions.save();
    lab.functions.delete_event_source(&mapping.uuid).await.unwrap();
    lab.streams.put("d");
    lab.functions.load(saved).unwrap();
    lab.functions.resume();
    until("the third batch", || got(&lab).len() == 3).await;
    assert_eq!(got(&lab)[2], json!(["d"]));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_shard_needs_one_process_however_late_it_is_ready_again() {
    // After its answer the process is busy, for longer than another caller would wait for it.
    let late = format!(
        "{CONSUMER}
const {{ handler }} = exports;
exports.handler = async (event) => {{
  setTimeout(() => {{ const end = Date.now() + 400; while (Date.now() < end); }}, 20);
  return handler(event);
}};"
    );
    let lab = Lab::start();
    lab.node(&late).await;
    for text in ["a", "b", "c"] {
        lab.streams.put(text);
    }
    let spec = EventSourceSpec { batch_size: Some(1), ..spec() };
    lab.functions.create_event_source(&spec).unwrap();
    until("three batches", || got(&lab).len() == 3).await;
    let starts = lab.logs.lines().iter().filter(|line| line.starts_with("INIT_START")).count();
    assert_eq!(starts, 1, "{}", lab.logs.text());
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_begins_with_what_comes_next() {
    let lab = Lab::start();
    lab.node(CONSUMER).await;
    lab.streams.put("old");
    let starting_position = Some("LATEST".to_owned());
    lab.functions.create_event_source(&EventSourceSpec { starting_position, ..spec() }).unwrap();
    // Nothing says when the position was taken, so new records are put until one is seen.
    until("a record", || {
        lab.streams.put("new");
        !got(&lab).is_empty()
    })
    .await;
    assert!(!got(&lab).concat_texts().contains("old"));
    lab.stop().await;
}

trait Texts {
    fn concat_texts(&self) -> String;
}

impl Texts for Vec<Value> {
    fn concat_texts(&self) -> String {
        self.iter().map(Value::to_string).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_is_found_by_halves_and_given_up() {
    let lab = Lab::start();
    lab.node(CONSUMER).await;
    for text in ["a", "b", "bad", "c"] {
        lab.streams.put(text);
    }
    let spec = EventSourceSpec {
        bisect_batch_on_function_error: Some(true),
        maximum_retry_attempts: Some(1),
        ..spec()
    };
    lab.functions.create_event_source(&spec).unwrap();
    until("the last part", || got(&lab).last() == Some(&json!(["c"]))).await;
    let expected = [
        json!(["a", "b", "bad", "c"]),
        json!(["a", "b"]),
        json!(["bad", "c"]),
        json!(["bad"]),
        json!(["bad"]),
        json!(["c"]),
    ];
    assert_eq!(got(&lab), expected);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_may_say_which_record_failed() {
    let lab = Lab::start();
    let environment = super::support::variables(&[("REPORT", "1")]);
    let settings = Settings { environment, ..Settings::default() };
    lab.create("f", "nodejs20.x", &[("index.js", CONSUMER)], settings).await;
    for text in ["a", "bad", "c"] {
        lab.streams.put(text);
    }
    let spec = EventSourceSpec {
        function_response_types: Some(vec!["ReportBatchItemFailures".to_owned()]),
        maximum_retry_attempts: Some(1),
        ..spec()
    };
    lab.functions.create_event_source(&spec).unwrap();
    until("two attempts", || got(&lab).len() == 2).await;
    assert_eq!(got(&lab), [json!(["a", "bad", "c"]), json!(["bad", "c"])]);
    lab.streams.put("d");
    until("what comes after", || got(&lab).last() == Some(&json!(["d"]))).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mappings_are_checked_and_changed() {
    let lab = Lab::start();
    lab.node(CONSUMER).await;
    let refused =
        |spec: EventSourceSpec| lab.functions.create_event_source(&spec).unwrap_err().to_string();
    let err = refused(EventSourceSpec { function_name: Some("g".to_owned()), ..spec() });
    assert!(err.contains("Function not found"), "{err}");
    let err =
        refused(EventSourceSpec { event_source_arn: Some("arn:aws:sqs:x".to_owned()), ..spec() });
    assert!(err.contains("Kinesis streams and DynamoDB Streams"), "{err}");
    let err = refused(EventSourceSpec { starting_position: None, ..spec() });
    assert!(err.contains("StartingPosition"), "{err}");
    let mapping = lab.functions.create_event_source(&spec()).unwrap();
    assert!(refused(spec()).contains(&mapping.uuid));
    let change = EventSourceSpec { enabled: Some(false), ..EventSourceSpec::default() };
    let changed = lab.functions.update_event_source(&mapping.uuid, &change).await.unwrap();
    assert_eq!(changed.state, "Disabled");
    assert_eq!(lab.functions.event_sources(Some("f"), None).unwrap().len(), 1);
    assert_eq!(lab.functions.event_sources(None, Some("arn:other")).unwrap().len(), 0);
    lab.functions.delete_event_source(&mapping.uuid).await.unwrap();
    assert_eq!(lab.functions.event_source(&mapping.uuid).unwrap_err().status(), 404);
    lab.stop().await;
}

/// What throughline was told.
#[derive(Default)]
struct Told {
    receipts: Mutex<Vec<Value>>,
    /// The records of `POST /v1/logs`.
    records: Mutex<Vec<Value>>,
}

fn take_requests(stream: std::net::TcpStream, received: &Told) {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or(0) > 0 {
        if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
        if line == "\r\n" {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            match serde_json::from_slice(&body).unwrap() {
                Value::Array(receipts) => received.receipts.lock().unwrap().extend(receipts),
                logs => {
                    let resources = logs["resourceLogs"].as_array().unwrap().iter();
                    let records = resources.flat_map(|resource| {
                        resource["scopeLogs"][0]["logRecords"].as_array().unwrap().clone()
                    });
                    received.records.lock().unwrap().extend(records);
                }
            }
            let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
            reader.get_mut().write_all(answer).unwrap();
        }
        line.clear();
    }
}

/// Takes receipts and log records as throughline does.
fn throughline() -> (String, Arc<Told>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let all: Arc<Told> = Arc::default();
    let received = Arc::clone(&all);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let received = Arc::clone(&received);
            std::thread::spawn(move || take_requests(stream, &received));
        }
    });
    (base, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_leaves_a_receipt_that_names_the_call() {
    let (base, told) = throughline();
    let lab = Lab::with_receipts(LambdaConfig::default(), Sink::to(&base).unwrap());
    lab.node(CONSUMER).await;
    lab.streams.put("a");
    lab.streams.put("b");
    lab.functions.create_event_source(&spec()).unwrap();
    until("two receipts", || told.receipts.lock().unwrap().len() == 2).await;
    let receipts = told.receipts.lock().unwrap().clone();
    let start = lab.logs.lines().into_iter().find(|line| line.starts_with("START ")).unwrap();
    let id = receipts[1]["functionRequestId"].as_str().unwrap();
    assert!(start.contains(id), "{start}");
    assert_eq!(receipts[1]["functionName"], "f");
    assert_eq!(receipts[1]["id"], "00000000000000000002");
    assert_eq!(receipts[1]["direction"], "in");
    assert_eq!((&receipts[1]["index"], &receipts[1]["batchSize"]), (&json!(1), &json!(2)));
    until("the line", || !told.records.lock().unwrap().is_empty()).await;
    let record = told.records.lock().unwrap()[0].clone();
    assert_eq!(record["body"]["stringValue"], r#"GOT ["a","b"]"#);
    assert_eq!(record["attributes"][0]["key"], "faas.invocation_id");
    assert_eq!(record["attributes"][0]["value"]["stringValue"], id);
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_calls_a_function_without_waiting_for_it() {
    let (base, told) = throughline();
    let lab = Lab::with_receipts(LambdaConfig::default(), Sink::to(&base).unwrap());
    lab.node("exports.handler = async (e) => { process.stdout.write(`GOT ${JSON.stringify(e.Records[0].Sns.Message)}\\n`); };").await;
    let message = SnsMessage {
        message_id: "m-1".to_owned(),
        topic_arn: "arn:aws:sns:us-east-1:000000000000:signup-topic".to_owned(),
        message: "hello".to_owned(),
        time_ms: 1_795_248_138_701,
        ..SnsMessage::default()
    };
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    lab.functions.deliver_sns(arn, &message).await.unwrap();
    until("the message", || got(&lab) == [json!("hello")]).await;
    until("its receipt", || !told.receipts.lock().unwrap().is_empty()).await;
    let receipt = told.receipts.lock().unwrap()[0].clone();
    assert_eq!(
        (&receipt["carrier"], &receipt["resource"], &receipt["id"]),
        (&json!("sns"), &json!("signup-topic"), &json!("m-1"))
    );
    lab.stop().await;
}
