//! A function's log as CloudWatch has it: stream names, and the lines that Lambda itself writes.
//!
//! Rule: AWS Lambda developer guide, "Sending Lambda function logs to CloudWatch Logs"; the tools read these lines,
//!       so tabs and line feeds are part of them.

use std::fmt::Write as _;
use std::sync::Arc;

use super::executor::telemetry::{Kind, Telemetry};
use super::lines::Line;
use super::receipts::Sink;
use crate::ids;
use crate::seams::{LogEvent, LogSink};

/// What `LogType: Tail` gives.
const TAIL_BYTES_MAX: usize = 4096;

/// The stream of one process.
pub(crate) struct Log {
    sink: Arc<dyn LogSink>,
    pub(crate) group: String,
    pub(crate) stream: String,
    tail: Vec<u8>,
    /// Who hears of the lines of the function and its extensions.
    telemetry: Option<Arc<Telemetry>>,
    /// Where the lines of calls are told, by which function, and the call of now.
    told: Option<(Sink, String)>,
    request_id: Option<String>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("group", &self.group)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl Log {
    pub(crate) fn new(sink: Arc<dyn LogSink>, group: String, stream: String) -> Self {
        let (tail, telemetry, told, request_id) = (Vec::new(), None, None, None);
        Self { sink, group, stream, tail, telemetry, told, request_id }
    }

    /// From now on, what is said is told there too.
    pub(crate) fn tell(&mut self, telemetry: Arc<Telemetry>) {
        self.telemetry = Some(telemetry);
    }

    /// From now on, what the function says during a call is told there as well.
    pub(crate) fn tell_of_calls(&mut self, told: Sink, function_name: &str) {
        self.told = Some((told, function_name.to_owned()));
    }

    /// What is said from now on belongs to this call.
    pub(crate) fn during(&mut self, request_id: &str) {
        self.request_id = Some(request_id.to_owned());
    }

    /// Appends lines that a process has written.
    pub(crate) fn say(&mut self, kind: Kind, lines: Vec<String>) {
        if let Some(telemetry) = &self.telemetry {
            telemetry.tell_lines(kind, &lines);
        }
        if kind == Kind::Function {
            lines.iter().for_each(|line| self.tell_line(line, false));
        }
        self.write(lines);
    }

    /// Appends what Lambda says of a call that failed.
    pub(crate) fn fail(&mut self, line: String) {
        if !line.is_empty() {
            self.tell_line(&line, true);
            self.write(vec![line]);
        }
    }

    fn tell_line(&self, text: &str, is_failure: bool) {
        if let (Some((told, function_name)), Some(request_id)) = (&self.told, &self.request_id) {
            told.say(Line {
                time_unix_nano: ids::now_unix_nano(),
                request_id: request_id.clone(),
                function_name: function_name.clone(),
                group: self.group.clone(),
                stream: self.stream.clone(),
                text: Line::cut(text),
                is_failure,
            });
        }
    }

    /// Appends lines, each with its line feed, under the present time.
    pub(crate) fn write(&mut self, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        let time_ms = ids::now_ms();
        for line in &lines {
            self.tail.extend_from_slice(line.as_bytes());
        }
        let excess = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..excess);
        let event = |message| LogEvent { time_ms, message };
        self.sink.put(&self.group, &self.stream, lines.into_iter().map(event).collect());
    }

    /// Begins a new tail and gives back the old one.
    pub(crate) fn take_tail(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.tail)
    }
}

/// `2026/11/21/[$LATEST]` and 32 hexadecimal digits.
pub(crate) fn stream_name(version: &str, time_ms: i64) -> String {
    let day = ids::iso(time_ms).get(..10).unwrap_or("1970-01-01").replace('-', "/");
    format!("{day}/[{version}]{:016x}{:016x}", ids::random_u64(), ids::random_u64())
}

/// The first line of a process.
pub(crate) fn init_start(runtime: &str, region: &str) -> String {
    format!(
        "INIT_START Runtime Version: {}.v1\tRuntime Version ARN: arn:aws:lambda:{region}::runtime:local\n",
        runtime
            .trim_end_matches(".x")
            .replacen("nodejs", "nodejs:", 1)
            .replacen("python", "python:", 1)
    )
}

/// An extension that is ready, and the events that it wants.
pub(crate) fn extension(name: &str, events: &[&str]) -> String {
    format!("EXTENSION\tName: {name}\tState: Ready\tEvents: [{}]\n", events.join(", "))
}

/// That a start failed, and how.
pub(crate) fn init_report(init_ms: f64, status: &str) -> String {
    format!("INIT_REPORT Init Duration: {init_ms:.2} ms\tPhase: init\tStatus: {status}\n")
}

/// The line before a call.
pub(crate) fn start(request_id: &str, version: &str) -> String {
    format!("START RequestId: {request_id} Version: {version}\n")
}

/// The line after a call.
pub(crate) fn end(request_id: &str) -> String {
    format!("END RequestId: {request_id}\n")
}

/// What a call took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) duration_ms: f64,
    pub(crate) memory_size_mb: u32,
    pub(crate) memory_used_mb: u32,
    /// Only of the call that waited for the start.
    pub(crate) init_ms: Option<f64>,
    /// `timeout`, or `error` and the type of error.
    pub(crate) status: Option<Status<'a>>,
    /// Trace and segment, when a segment was sent.
    pub(crate) traced: Option<(&'a str, &'a str)>,
}

/// How a call ended that did not end well.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Status<'a> {
    Timeout,
    Error(&'a str),
}

/// The last line of a call.
pub(crate) fn report(report: &Report<'_>) -> String {
    let mut line = format!(
        "REPORT RequestId: {}\tDuration: {:.2} ms\tBilled Duration: {:.0} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
        report.request_id,
        report.duration_ms,
        report.duration_ms.ceil().max(1.0),
        report.memory_size_mb,
        report.memory_used_mb
    );
    if let Some(init_ms) = report.init_ms {
        let _ = write!(line, "Init Duration: {init_ms:.2} ms\t");
    }
    match report.status {
        Some(Status::Timeout) => line.push_str("Status: timeout\t"),
        Some(Status::Error(kind)) => {
            let _ = write!(line, "Status: error\tError Type: {kind}\t");
        }
        None => {}
    }
    line.push('\n');
    if let Some((trace_id, segment_id)) = report.traced {
        let _ =
            writeln!(line, "XRAY TraceId: {trace_id}\tSegmentId: {segment_id}\tSampled: true\t");
    }
    line
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::sync::lock;

    /// A sink that keeps what it gets.
    #[derive(Default)]
    pub(crate) struct Collected(Mutex<Vec<LogEvent>>);

    impl Collected {
        pub(crate) fn messages(&self) -> Vec<String> {
            lock(&self.0).iter().map(|event| event.message.clone()).collect()
        }
    }

    impl LogSink for Collected {
        fn put(&self, _group: &str, _stream: &str, events: Vec<LogEvent>) {
            lock(&self.0).extend(events);
        }
    }

    pub(crate) fn log_to(collected: &Arc<Collected>) -> Arc<Mutex<Log>> {
        let sink: Arc<dyn LogSink> = Arc::<Collected>::clone(collected);
        Arc::new(Mutex::new(Log::new(sink, "g".to_owned(), "s".to_owned())))
    }

    #[test]
    fn a_report_is_what_the_tools_read() {
        let cold = Report {
            request_id: "r-1",
            duration_ms: 1.504,
            memory_size_mb: 128,
            memory_used_mb: 36,
            init_ms: Some(113.911),
            ..Report::default()
        };
        assert_eq!(
            report(&cold),
            "REPORT RequestId: r-1\tDuration: 1.50 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\t\
             Max Memory Used: 36 MB\tInit Duration: 113.91 ms\t\n"
        );
        let traced = Report { init_ms: None, traced: Some(("1-5e", "0b")), ..cold.clone() };
        assert!(
            report(&traced)
                .ends_with("36 MB\t\nXRAY TraceId: 1-5e\tSegmentId: 0b\tSampled: true\t\n")
        );
        let late = Report { status: Some(Status::Timeout), init_ms: None, ..cold };
        assert!(report(&late).ends_with("36 MB\tStatus: timeout\t\n"));
    }

    #[test]
    fn the_runtime_of_a_process_is_its_first_line() {
        assert!(
            init_start("nodejs20.x", "us-east-1")
                .starts_with("INIT_START Runtime Version: nodejs:20.v1\t")
        );
        assert!(init_start("provided.al2023", "us-east-1").contains(" provided.al2023.v1\t"));
    }

    #[test]
    fn a_stream_is_named_by_day_and_version() {
        let name = stream_name("$LATEST", 1_795_248_138_701);
        assert!(name.starts_with("2026/11/21/[$LATEST]"), "{name}");
        assert_eq!(name.len(), "2026/11/21/[$LATEST]".len() + 32);
    }

    #[test]
    fn the_tail_is_bounded() {
        let log = log_to(&Arc::default());
        lock(&log).write(vec!["a".repeat(5000), "end\n".to_owned()]);
        let tail = lock(&log).take_tail();
        assert_eq!(tail.len(), TAIL_BYTES_MAX);
        assert!(tail.ends_with(b"aend\n"));
    }
}
