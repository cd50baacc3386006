//! A Lambda service with nothing real around it but processes.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Write as _};
use std::net::UdpSocket;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;
use throughline_local::lambda::receipts::Sink;
use throughline_local::lambda::{
    CodeSource, CreateFunction, Environment, Functions, InvokeAnswer, InvokeOptions, LambdaConfig,
    Settings, Surroundings, TracingConfig,
};
use throughline_local::seams::{
    Answer, Blobs, LogEvent, LogSink, Position, Read, RecordBody, StreamError, StreamRecord,
    Streams,
};
use tokio::sync::watch;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Everything a test needs; stop it at the end.
pub(crate) struct Lab {
    pub(crate) functions: Arc<Functions>,
    pub(crate) logs: Arc<Logs>,
    pub(crate) blobs: Arc<Objects>,
    pub(crate) streams: Arc<OneStream>,
    pub(crate) xray: UdpSocket,
    pub(crate) dir: TempDir,
}

impl Lab {
    pub(crate) fn start() -> Self {
        Self::with(LambdaConfig::default())
    }

    pub(crate) fn with(config: LambdaConfig) -> Self {
        Self::with_receipts(config, Sink::none())
    }

    pub(crate) fn with_receipts(config: LambdaConfig, receipts: Sink) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let xray = UdpSocket::bind("127.0.0.1:0").unwrap();
        xray.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (logs, blobs, streams) = <(Arc<Logs>, Arc<Objects>, Arc<OneStream>)>::default();
        let functions = Functions::start(Surroundings {
            config,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            data: Some(dir.path().to_owned()),
            endpoint: "http://127.0.0.1:4566".to_owned(),
            xray_daemon: xray.local_addr().unwrap(),
            logs: Arc::clone(&logs) as Arc<dyn LogSink>,
            blobs: Arc::clone(&blobs) as Arc<dyn Blobs>,
            streams: Arc::clone(&streams) as Arc<dyn Streams>,
            receipts,
        });
        Self { functions: functions.unwrap(), logs, blobs, streams, xray, dir }
    }

    /// A function `f` of one file.
    pub(crate) async fn node(&self, source: &str) {
        self.create("f", "nodejs20.x", &[("index.js", source)], Settings::default()).await;
    }

    pub(crate) async fn create(
        &self,
        name: &str,
        runtime: &str,
        files: &[(&str, &str)],
        settings: Settings,
    ) {
        let create = CreateFunction {
            name: name.to_owned(),
            code: CodeSource::Zip(zip_of(files)),
            settings: Settings {
                runtime: Some(runtime.to_owned()),
                handler: settings.handler.or_else(|| Some("index.handler".to_owned())),
                memory_size: settings.memory_size.or(Some(512)),
                timeout: settings.timeout.or(Some(20)),
                ..settings
            },
            tags: BTreeMap::new(),
            publish: false,
        };
        self.functions.create(create).await.unwrap();
    }

    pub(crate) async fn call(&self, payload: &str) -> InvokeAnswer {
        self.call_with(payload, InvokeOptions::default()).await
    }

    pub(crate) async fn call_with(&self, payload: &str, options: InvokeOptions) -> InvokeAnswer {
        let payload = Bytes::from(payload.to_owned());
        let answer = self.functions.invoke("f", payload, options);
        // A call that hangs is a failure, not a test run without an end.
        tokio::time::timeout(Duration::from_secs(90), answer).await.unwrap().unwrap()
    }

    /// Calls `f` and gives its error: type, text, everything.
    pub(crate) async fn failing(&self, payload: &str) -> (String, String, Value) {
        let answer = self.call(payload).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.function_error, Some("Unhandled"), "{answer:?}");
        let error: Value = serde_json::from_slice(&answer.payload).unwrap();
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (text("errorType"), text("errorMessage"), error.clone())
    }

    /// The next document that is sent to the X-Ray daemon.
    pub(crate) fn segment(&self) -> Value {
        let mut datagram = [0; 65_536];
        let length = self.xray.recv(&mut datagram).unwrap();
        let text = std::str::from_utf8(&datagram[..length]).unwrap();
        let (head, document) = text.split_once('\n').unwrap();
        assert_eq!(head, r#"{"format":"json","version":1}"#);
        serde_json::from_str(document).unwrap()
    }

    pub(crate) async fn stop(self) {
        self.functions.stop().await;
    }
}

pub(crate) fn value(answer: &InvokeAnswer) -> Value {
    assert_eq!(answer.function_error, None, "{answer:?}");
    serde_json::from_slice(&answer.payload).unwrap()
}

pub(crate) fn variables(all: &[(&str, &str)]) -> Option<Environment> {
    let variables =
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Some(Environment { variables })
}

pub(crate) fn active() -> Option<TracingConfig> {
    Some(TracingConfig { mode: "Active".to_owned() })
}

/// A zip whose files can be executed.
pub(crate) fn zip_of(files: &[(&str, &str)]) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755)).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner().into()
}

/// Writes files that can be executed below a folder.
pub(crate) fn write_files(folder: &Path, files: &[(&str, &str)]) {
    use std::os::unix::fs::PermissionsExt as _;
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Waits until something is so, at most ten seconds.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        tick.tick().await;
    }
    panic!("not so after ten seconds: {what}");
}

/// Whether a process is there and no zombie.
pub(crate) fn is_alive(pid: u64) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

/// Keeps all lines.
#[derive(Default)]
pub(crate) struct Logs(Mutex<Vec<(String, String, LogEvent)>>);

impl Logs {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(_, _, event)| event.message.clone()).collect()
    }

    pub(crate) fn text(&self) -> String {
        self.lines().concat()
    }

    pub(crate) fn places(&self) -> Vec<(String, String)> {
        let all = self.0.lock().unwrap();
        all.iter().map(|(group, stream, _)| (group.clone(), stream.clone())).collect()
    }

    /// Waits for the report of a call, and gives all lines.
    pub(crate) async fn after(&self, request_id: &str) -> Vec<String> {
        let report = format!("REPORT RequestId: {request_id}");
        until("a report", || self.lines().iter().any(|line| line.starts_with(&report))).await;
        self.lines()
    }
}

impl LogSink for Logs {
    fn put(&self, group: &str, stream: &str, events: Vec<LogEvent>) {
        let mut all = self.0.lock().unwrap();
        all.extend(events.into_iter().map(|event| (group.to_owned(), stream.to_owned(), event)));
    }
}

/// Objects by bucket and key.
#[derive(Default)]
pub(crate) struct Objects(pub(crate) Mutex<HashMap<(String, String), Bytes>>);

impl Blobs for Objects {
    fn get(&self, bucket: &str, key: &str) -> Option<Bytes> {
        self.0.lock().unwrap().get(&(bucket.to_owned(), key.to_owned())).cloned()
    }
}

/// A stream of one shard.
pub(crate) struct OneStream {
    records: Mutex<Vec<StreamRecord>>,
    puts: watch::Sender<u64>,
}

impl Default for OneStream {
    fn default() -> Self {
        Self { records: Mutex::default(), puts: watch::channel(0).0 }
    }
}

pub(crate) const STREAM: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/lab-eventStream";

impl OneStream {
    /// Puts a record whose data is `text`; its sequence number counts from 1.
    pub(crate) fn put(&self, text: &str) {
        use base64::Engine as _;
        let mut records = self.records.lock().unwrap();
        let sequence = format!("{:020}", records.len() + 1);
        records.push(StreamRecord {
            sequence,
            body: RecordBody::Kinesis {
                partition_key: "p".to_owned(),
                data_base64: base64::engine::general_purpose::STANDARD.encode(text),
                arrival_s: 1_795_248_014.392,
            },
        });
        drop(records);
        self.puts.send_modify(|count| *count += 1);
    }

    fn slice(&self, from: &Position, max: usize) -> Result<Read, StreamError> {
        let records = self.records.lock().unwrap();
        let start = match from {
            Position::TrimHorizon | Position::AtTimestamp(_) => 0,
            Position::Latest => records.len(),
            Position::After(sequence) | Position::Iterator(sequence) => {
                sequence.parse::<usize>().unwrap()
            }
        };
        let read: Vec<StreamRecord> = records.iter().skip(start).take(max).cloned().collect();
        let next = start + read.len();
        Ok(Read { records: read, next: Some(Position::Iterator(next.to_string())) })
    }
}

impl Streams for OneStream {
    fn shards<'a>(&'a self, stream_arn: &'a str) -> Answer<'a, Result<Vec<String>, StreamError>> {
        Box::pin(async move {
            if stream_arn == STREAM {
                Ok(vec!["shardId-000000000000".to_owned()])
            } else {
                Err(StreamError::NoSuchStream(stream_arn.to_owned()))
            }
        })
    }

    fn read<'a>(
        &'a self,
        _stream_arn: &'a str,
        _shard: &'a str,
        from: Position,
        records_max: usize,
    ) -> Answer<'a, Result<Read, StreamError>> {
        Box::pin(async move { self.slice(&from, records_max) })
    }

    fn puts(&self) -> watch::Receiver<u64> {
        self.puts.subscribe()
    }
}
