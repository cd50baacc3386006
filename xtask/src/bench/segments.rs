//! `cargo xtask bench-xray`: a steady flood of segment documents by UDP, counted at both ends.
//!
//! The documents are those that the X-Ray SDKs sent in the recorded sign-up workshop, with ids made
//! fresh for every copy of a trace and times moved to now.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde_json::Value;
use throughline_testkit::Server;

use super::process;

/// One datagram's first line. Rule: X-Ray developer guide, "Sending segment documents to the daemon".
const HEADER: &str = "{\"format\":\"json\",\"version\":1}\n";

/// How long the server may take for what its socket still holds.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Documents a second
    #[arg(long, default_value_t = 20_000)]
    rate: u32,
    /// For how many seconds
    #[arg(long, default_value_t = 30)]
    seconds: u32,
    /// The binary to measure, instead of the release build
    #[arg(long)]
    binary: Option<PathBuf>,
    /// A file with one document a line, instead of the recorded sign-up workshop
    #[arg(long)]
    documents: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let binary = options.binary.clone().map_or_else(|| crate::binary("release"), Ok)?;
    let recorded = crate::repository().join("testdata/xray/signup-lab-node/segments.jsonl");
    let recorded = options.documents.clone().unwrap_or(recorded);
    let text = std::fs::read_to_string(&recorded)
        .with_context(|| format!("failed to read {}", recorded.display()))?;
    let mut flood = Flood::new(&text)?;

    let scratch = tempfile::tempdir().context("failed to make a folder for the data")?;
    let server = Server::start(&binary, &scratch.path().join("data"), &[])?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server.address("xray"))?;

    let cpu_before = process::cpu_seconds(server.pid())?;
    let clock = Instant::now();
    let total = u64::from(options.rate) * u64::from(options.seconds);
    let (mut spans, mut bytes) = (0, 0);
    for sent in 0..total {
        let due = Duration::from_secs_f64(sent as f64 / f64::from(options.rate));
        // Twenty documents at a time: a finer clock would be spent on sleeping.
        if sent % 20 == 0
            && let Some(early) = due.checked_sub(clock.elapsed())
        {
            std::thread::sleep(early);
        }
        let document = flood.next();
        spans += document.spans;
        bytes += socket.send(document.datagram.as_bytes())?;
    }
    let wall = clock.elapsed();
    while metric(&server, "stored_total")? < spans as f64 && clock.elapsed() < wall + DRAIN_LIMIT {
        std::thread::sleep(Duration::from_millis(50));
    }
    let cpu = process::cpu_seconds(server.pid())? - cpu_before;
    let stored = metric(&server, "stored_total")?;
    let dropped = metric(&server, "dropped_total")?;
    let (_, metrics) = server.get("/metrics");
    let kernel = sum(&metrics, "throughline_udp_kernel_drops_total");
    let memory = process::memory_bytes(server.pid(), "VmHWM")? / 1_000_000;
    anyhow::ensure!(server.stop()?.success(), "the server did not stop cleanly");

    let seconds = wall.as_secs_f64();
    println!("on {}, {}", process::machine(), process::today());
    println!(
        "documents sent, in {seconds:.1} s          {total} ({:.0} a second)",
        total as f64 / seconds
    );
    println!("bytes a document                    {:.0}", bytes as f64 / total as f64);
    println!("spans in them; stored; dropped      {spans}; {stored:.0}; {dropped:.0}");
    println!("datagrams that the kernel dropped   {kernel:.0}");
    println!("server CPU, microseconds a document {:.1}", cpu * 1e6 / total as f64);
    println!("server CPU, share of one core       {:.0} %", cpu / seconds * 100.0);
    println!("resident memory, most               {memory} MB");
    let whole = stored == spans as f64 && kernel == 0.0;
    println!("{}", if whole { "nothing was lost" } else { "LOST some" });
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The spans that came by UDP and were counted under a name.
fn metric(server: &Server, what: &str) -> anyhow::Result<f64> {
    let (status, metrics) = server.get("/metrics");
    anyhow::ensure!(status == 200, "/metrics answered {status}");
    let own = metrics.lines().filter(|line| line.contains("protocol=\"xray_udp\""));
    Ok(sum(&own.collect::<Vec<_>>().join("\n"), &format!("throughline_spans_{what}")))
}

fn sum(metrics: &str, name: &str) -> f64 {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.rsplit_once(' ')?.1.parse::<f64>().ok()
    });
    values.sum()
}

/// The recorded documents, over and over, with fresh ids.
struct Flood {
    documents: Vec<Document>,
    at: usize,
    round: u64,
}

struct Document {
    spans: u64,
    datagram: String,
    /// Where ids stand in the datagram: the place, its digits, and which id it is.
    ids: Vec<(usize, usize, u64)>,
}

impl Flood {
    fn new(text: &str) -> anyhow::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        let mut values: Vec<Value> =
            text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        anyhow::ensure!(!values.is_empty(), "there is no document to send");
        let starts = values.iter().filter_map(|value| value["start_time"].as_f64());
        let shift = now - starts.fold(f64::INFINITY, f64::min);
        let mut known = Vec::new();
        for value in &mut values {
            prepare(value, shift, &mut known);
        }
        known.sort();
        known.dedup();
        let documents = values.iter().map(|value| Document::new(value, &known)).collect();
        Ok(Self { documents, at: 0, round: 0 })
    }

    fn next(&mut self) -> &Document {
        if self.at == self.documents.len() {
            (self.at, self.round) = (0, self.round + 1);
        }
        let document = &mut self.documents[self.at];
        self.at += 1;
        for (place, digits, id) in &document.ids {
            let fresh = format!("{:016x}{:08x}", mix(self.round << 16 | id), self.round as u32);
            document.datagram.replace_range(*place..place + digits, &fresh[..*digits]);
        }
        document
    }
}

impl Document {
    fn new(value: &Value, known: &[String]) -> Self {
        let datagram = format!("{HEADER}{value}");
        let mut ids = Vec::new();
        for (number, id) in known.iter().enumerate() {
            let quoted = |(place, _): (usize, &str)| (place, id.len(), number as u64);
            ids.extend(datagram.match_indices(id.as_str()).map(quoted));
        }
        Self { spans: spans(value), datagram, ids }
    }
}

/// A segment and all its subsegments.
fn spans(value: &Value) -> u64 {
    let below = value["subsegments"].as_array().map_or(0, |all| all.iter().map(spans).sum());
    1 + below
}

/// Moves times and collects ids: those of spans, and the random part of trace ids.
fn prepare(value: &mut Value, shift: f64, known: &mut Vec<String>) {
    let Some(members) = value.as_object_mut() else { return };
    for (key, value) in members.iter_mut() {
        match (key.as_str(), &*value) {
            ("start_time" | "end_time", Value::Number(time)) => {
                *value = (time.as_f64().unwrap_or_default() + shift).into();
            }
            ("id" | "parent_id", Value::String(id)) => known.push(id.clone()),
            ("trace_id", Value::String(id)) => {
                known.extend(id.rsplit('-').next().map(str::to_owned));
            }
            ("subsegments", _) => {
                let below = value.as_array_mut().into_iter().flatten();
                below.for_each(|value| prepare(value, shift, known));
            }
            _ => {}
        }
    }
}

/// SplitMix64: neighbours get numbers that look unlike.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_ids_of_its_own_and_keeps_who_belongs_to_whom() {
        let text = r#"{"trace_id":"1-00000001-000000000000000000000abc","id":"00000000000000aa","start_time":1.5,"subsegments":[{"id":"00000000000000bb","start_time":1.6}]}
{"trace_id":"1-00000001-000000000000000000000abc","id":"00000000000000cc","parent_id":"00000000000000bb","start_time":1.7}"#;
        let mut flood = Flood::new(text).unwrap();
        let mut read = || {
            let document = flood.next();
            let value: Value =
                serde_json::from_str(document.datagram.strip_prefix(HEADER).unwrap()).unwrap();
            (document.spans, value)
        };
        let ((two, first), (one, second), (_, later)) = (read(), read(), read());
        assert_eq!((two, one), (2, 1));
        assert_eq!(first["trace_id"], second["trace_id"]);
        assert_eq!(first["subsegments"][0]["id"], second["parent_id"]);
        assert_ne!(first["trace_id"], later["trace_id"]);
        assert_ne!(first["id"], later["id"]);
    }
}
