//! What the executor adds to a function: `scripts/measure-labs`.
//!
//! Cold: from the call to the answer, against the bare interpreter from its start to the first byte that the same file
//! prints. Warm: a call of a handler that does nothing. Stream: from a put to the first line of the handler.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for the terminal of a developer"
)]

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use throughline_local::lambda::receipts::Sink;
use throughline_local::lambda::{
    CodeChange, CodeSource, CreateFunction, EventSourceSpec, Functions, InvokeOptions,
    LambdaConfig, Settings, Surroundings,
};
use throughline_local::seams::{
    Answer, Blobs, LogEvent, LogSink, Position, Read, RecordBody, StreamError, StreamRecord,
    Streams,
};
use tokio::sync::watch;

const COLD_ROUNDS: usize = 15;
const WARM_ROUNDS: usize = 1000;
const STREAM_ROUNDS: usize = 50;
const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";

#[tokio::main]
async fn main() {
    let quiet = Arc::new(Around::default());
    let functions = Functions::start(Surroundings {
        config: LambdaConfig::default(),
        region: "us-east-1".to_owned(),
        account: "000000000000".to_owned(),
        data: None,
        endpoint: "http://127.0.0.1:4566".to_owned(),
        xray_daemon: SocketAddr::from((Ipv4Addr::LOCALHOST, 2000)),
        logs: Arc::clone(&quiet) as Arc<dyn LogSink>,
        blobs: Arc::clone(&quiet) as Arc<dyn Blobs>,
        streams: Arc::clone(&quiet) as Arc<dyn Streams>,
        receipts: Sink::none(),
    })
    .unwrap();
    let node = "exports.handler = async () => { process.stdout.write('x\\n'); return 1; };";
    let python = "def handler(event, context):\n    print('x')\n    return 1\n";
    for (runtime, file, source, interpreter) in
        [("nodejs20.x", "index.js", node, "node"), ("python3.11", "index.py", python, "python3")]
    {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join(file);
        let ready =
            if runtime.starts_with('n') { "console.log(1)" } else { "print(1, flush=True)" };
        std::fs::write(&script, format!("{source}\n{ready}\n")).unwrap();
        create(&functions, runtime, file, source).await;
        let (mut bare, mut cold) = (Vec::new(), Vec::new());
        // In turn, so that a busy machine is as busy for both.
        for round in 0..COLD_ROUNDS {
            let begun = Instant::now();
            // As clean an environment as a function's: a variable of the developer's can slow an interpreter down.
            let mut command = Command::new(interpreter);
            command.arg(&script).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
            let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut output = process.stdout.take().unwrap();
            output.read_exact(&mut [0]).unwrap();
            bare.push(begun.elapsed());
            output.read_to_end(&mut Vec::new()).unwrap();
            process.wait().unwrap();
            let comment = if runtime.starts_with('n') { "//" } else { "#" };
            let code = CodeSource::Zip(zip_of(file, &format!("{source}\n{comment} {round}\n")));
            functions.update_code("f", code, CodeChange::default()).await.unwrap();
            cold.push(timed_call(&functions).await);
        }
        let mut warm = Vec::new();
        for _ in 0..WARM_ROUNDS {
            warm.push(timed_call(&functions).await);
        }
        let (bare, cold) = (middle(bare), middle(cold));
        println!(
            "{runtime}: bare start {bare:.1?}, cold call {cold:.1?}, so {:.1?} more",
            cold.saturating_sub(bare)
        );
        warm.sort();
        println!(
            "{runtime}: warm call {:.2?} (p99 {:.2?})",
            warm[WARM_ROUNDS / 2],
            warm[WARM_ROUNDS * 99 / 100]
        );
        if runtime.starts_with('n') {
            println!("{runtime}: put to handler {:.2?}", stream(&functions, &quiet).await);
        }
        functions.delete("f", None).await.unwrap();
    }
    functions.stop().await;
}

async fn create(functions: &Arc<Functions>, runtime: &str, file: &str, source: &str) {
    let settings = Settings {
        runtime: Some(runtime.to_owned()),
        handler: Some("index.handler".to_owned()),
        memory_size: Some(512),
        ..Settings::default()
    };
    let code = CodeSource::Zip(zip_of(file, source));
    let name = "f".to_owned();
    let create = CreateFunction { name, code, settings, tags: BTreeMap::new(), publish: false };
    functions.create(create).await.unwrap();
}

async fn timed_call(functions: &Arc<Functions>) -> Duration {
    let begun = Instant::now();
    let answer =
        functions.invoke("f", Bytes::from_static(b"{}"), InvokeOptions::default()).await.unwrap();
    assert_eq!(&answer.payload[..], b"1");
    begun.elapsed()
}

/// From a put to the line that the handler writes; the function is warm.
async fn stream(functions: &Arc<Functions>, around: &Around) -> Duration {
    let spec = EventSourceSpec {
        event_source_arn: Some(STREAM.to_owned()),
        function_name: Some("f".to_owned()),
        starting_position: Some("TRIM_HORIZON".to_owned()),
        ..EventSourceSpec::default()
    };
    let mapping = functions.create_event_source(&spec).unwrap();
    let mut all = Vec::new();
    for _ in 0..STREAM_ROUNDS {
        let mut lines = around.lines.subscribe();
        lines.borrow_and_update();
        let begun = Instant::now();
        around.put();
        lines.changed().await.unwrap();
        all.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    functions.delete_event_source(&mapping.uuid).await.unwrap();
    middle(all)
}

fn middle(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

fn zip_of(file: &str, source: &str) -> Bytes {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(file, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(source.as_bytes()).unwrap();
    writer.finish().unwrap().into_inner().into()
}

/// Nothing around the service, but a stream of one shard and a count of lines.
struct Around {
    records: Mutex<Vec<StreamRecord>>,
    puts: watch::Sender<u64>,
    lines: watch::Sender<u64>,
}

impl Default for Around {
    fn default() -> Self {
        Self { records: Mutex::default(), puts: watch::channel(0).0, lines: watch::channel(0).0 }
    }
}

impl Around {
    fn put(&self) {
        let mut records = self.records.lock().unwrap();
        let sequence = (records.len() + 1).to_string();
        let body = RecordBody::Kinesis {
            partition_key: "p".to_owned(),
            data_base64: "e30=".to_owned(),
            arrival_s: 0.0,
        };
        records.push(StreamRecord { sequence, body });
        drop(records);
        self.puts.send_modify(|count| *count += 1);
    }
}

impl LogSink for Around {
    fn put(&self, _group: &str, _stream: &str, events: Vec<LogEvent>) {
        if events.iter().any(|event| event.message == "x\n") {
            self.lines.send_modify(|count| *count += 1);
        }
    }
}

impl Blobs for Around {
    fn get(&self, _bucket: &str, _key: &str) -> Option<Bytes> {
        None
    }
}

impl Streams for Around {
    fn shards<'a>(&'a self, _stream_arn: &'a str) -> Answer<'a, Result<Vec<String>, StreamError>> {
        Box::pin(async { Ok(vec!["shardId-000000000000".to_owned()]) })
    }

    fn read<'a>(
        &'a self,
        _stream_arn: &'a str,
        _shard: &'a str,
        from: Position,
        records_max: usize,
    ) -> Answer<'a, Result<Read, StreamError>> {
        Box::pin(async move {
            let records = self.records.lock().unwrap();
            let start = match from {
                Position::Iterator(sequence) | Position::After(sequence) => {
                    sequence.parse().unwrap()
                }
                _ => 0,
            };
            let read: Vec<StreamRecord> =
                records.iter().skip(start).take(records_max).cloned().collect();
            let next = Some(Position::Iterator((start + read.len()).to_string()));
            Ok(Read { records: read, next })
        })
    }

    fn puts(&self) -> watch::Receiver<u64> {
        self.puts.subscribe()
    }
}
