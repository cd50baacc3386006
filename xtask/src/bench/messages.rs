//! What joins cost of whole ingest: one load under two names.
//!
//! In:   how many in a hundred spans say which message they sent or took.
//! Out:  the server's CPU with ids that are read and with the same bytes that are not, in turns, and
//!       the memory of the index.
//! Rule: the spans are of equal length and have the same attributes, but for one letter of one name.

use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use serde_json::json;
use throughline_testkit::{Rng, Server, Span};

use super::{Options, process, requests, send};

/// The name of the id, and one that nobody reads.
const NAMES: [&str; 2] = ["messaging.message.id", "massaging.message.id"];

/// One of the two.
#[derive(Clone, Copy, Default)]
struct Sum {
    cpu_acknowledged: f64,
    cpu_settled: f64,
    spans: usize,
    memory_max: u64,
    disk_bytes: u64,
    /// What the index took in memory, at its most.
    index_bytes: u64,
}

pub(super) fn run(
    options: &Options,
    percent: u8,
    binary: &Path,
    parent: &Path,
) -> anyhow::Result<ExitCode> {
    let mut sums = [Sum::default(); 2];
    let mut named = 0;
    for round in 0..options.rounds.max(1) {
        // In turns: a machine that warms up or fills favours neither.
        for which in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            eprintln!("round {}: {}", round + 1, NAMES[which]);
            named = measure(options, percent, binary, parent, which, &mut sums[which])?;
        }
    }
    print(options, percent, named, &sums);
    Ok(ExitCode::SUCCESS)
}

/// Sends the load to a new server; gives how many spans named a message.
fn measure(
    options: &Options,
    percent: u8,
    binary: &Path,
    parent: &Path,
    which: usize,
    sum: &mut Sum,
) -> anyhow::Result<usize> {
    let scratch = tempfile::tempdir_in(parent).context("failed to make a folder for the data")?;
    let data = scratch.path().join("data");
    let start = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as i64 - 1_200_000_000_000;
    let mut marker = Marker::new(options.seed, percent, NAMES[which]);
    let mark = &mut |span: &mut Span| marker.mark(span);
    let (requests, _) = requests::make(options.seed, start, options.spans, options.batch, mark);
    let server = Server::start(binary, &data, &[])?;
    let (mut most, on) = (0, &server);
    let ingest = std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let watch = scope.spawn(move || watch(on, &stopped));
        let ingest = send(on, requests, options.connections);
        drop(stop);
        most = watch.join().map_err(|_| anyhow::anyhow!("the watch broke"))??;
        ingest
    })?;
    ensure!(ingest.stored == ingest.spans as u64, "{} of {} stored", ingest.stored, ingest.spans);
    sum.cpu_acknowledged += ingest.cpu_acknowledged;
    sum.cpu_settled += ingest.cpu_settled;
    sum.spans += ingest.spans;
    sum.index_bytes = sum.index_bytes.max(most);
    sum.memory_max = sum.memory_max.max(process::memory_bytes(server.pid(), "VmHWM")?);
    server.kill();
    sum.disk_bytes = process::folder_bytes(&data)?;
    Ok(marker.named)
}

/// The most that the index took in memory, looked at four times a second until it is stopped.
fn watch(server: &Server, stopped: &std::sync::mpsc::Receiver<()>) -> anyhow::Result<u64> {
    const EVERY: std::time::Duration = std::time::Duration::from_millis(250);
    let mut most = 0;
    loop {
        let (_, page) = server.get("/metrics");
        let name = "throughline_store_message_index_bytes ";
        let bytes = page.lines().find_map(|line| line.strip_prefix(name));
        let bytes: f64 = bytes.context("/metrics lacks the index of messages")?.parse()?;
        most = most.max(bytes as u64);
        match stopped.recv_timeout(EVERY) {
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            _ => return Ok(most),
        }
    }
}

/// Gives spans the ids of messages: what one sends a later one takes.
struct Marker {
    rng: Rng,
    percent: u64,
    name: &'static str,
    /// Sent and not yet taken.
    open: Vec<String>,
    named: usize,
}

impl Marker {
    fn new(seed: u64, percent: u8, name: &'static str) -> Self {
        let rng = Rng::new(seed ^ 0x006d_7367);
        Self { rng, percent: percent.into(), name, open: Vec::new(), named: 0 }
    }

    fn mark(&mut self, span: &mut Span) {
        if self.rng.below(100) >= self.percent {
            return;
        }
        self.named += 1;
        let takes = self.rng.below(2) == 0;
        let (operation, id) = match self.open.pop().filter(|_| takes) {
            Some(id) => ("process", id),
            None => {
                let id = format!("{:016x}-{:016x}", self.rng.next_u64(), self.rng.next_u64());
                self.open.push(id.clone());
                ("publish", id)
            }
        };
        for (key, value) in [
            ("messaging.system", "aws_sqs".to_owned()),
            ("messaging.destination.name", "orders".to_owned()),
            ("messaging.operation.type", operation.to_owned()),
            (self.name, id),
        ] {
            span.attributes.push((key.into(), value.into()));
        }
    }
}

fn print(options: &Options, percent: u8, named: usize, [read, unread]: &[Sum; 2]) {
    let micros = |sum: &Sum, cpu: f64| cpu * 1e6 / sum.spans.max(1) as f64;
    let share = |a: f64, b: f64| if b > 0.0 { (a - b) / b * 100.0 } else { 0.0 };
    let rows = [
        ("acknowledged", read.cpu_acknowledged, unread.cpu_acknowledged),
        ("settled", read.cpu_settled, unread.cpu_settled),
    ];
    if options.json {
        let cpu = rows.map(|(name, a, b)| {
            json!({
                "until": name, "microsecondsReadPerSpan": micros(read, a),
                "microsecondsUnreadPerSpan": micros(unread, b), "morePercent": share(a, b),
            })
        });
        println!(
            "{:#}",
            json!({
                "messagesPercent": percent, "spansPerRun": read.spans / options.rounds.max(1),
                "spansNamed": named, "rounds": options.rounds, "cpu": cpu,
                "indexBytesMax": read.index_bytes,
                "memoryMaxRead": read.memory_max, "memoryMaxUnread": unread.memory_max,
                "diskBytesRead": read.disk_bytes, "diskBytesUnread": unread.disk_bytes,
            })
        );
        return;
    }
    println!(
        "{} spans a run, {named} of them ({percent} %) name a message, {} rounds",
        read.spans / options.rounds.max(1),
        options.rounds
    );
    for (name, a, b) in rows {
        println!(
            "CPU a span, {name:<13} {:>7.2} us read  {:>7.2} us unread  {:>+6.1} %",
            micros(read, a),
            micros(unread, b),
            share(a, b)
        );
    }
    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    println!(
        "memory at most {:.0} MiB read, {:.0} MiB unread; of it the index of messages {:.1} MiB",
        mib(read.memory_max),
        mib(unread.memory_max),
        mib(read.index_bytes)
    );
    println!(
        "disk {:.1} MiB read, {:.1} MiB unread: {:.1} bytes a message",
        mib(read.disk_bytes),
        mib(unread.disk_bytes),
        (read.disk_bytes as f64 - unread.disk_bytes as f64) / named.max(1) as f64
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_loads_are_alike_but_for_one_letter() {
        assert_eq!(NAMES[0].len(), NAMES[1].len());
        let made = NAMES.map(|name| {
            let mut marker = Marker::new(1, 15, name);
            let mark = &mut |span: &mut Span| marker.mark(span);
            // Into how many requests they fall depends on where their resources lie in memory.
            let (_, sample) = requests::make(1, 0, 20_000, 512, mark);
            (sample.spans, marker.named, marker.open.len())
        });
        assert_eq!(made[0], made[1]);
        let (spans, named, open) = &made[0];
        let percent = *named as f64 / *spans as f64 * 100.0;
        assert!((14.0..16.0).contains(&percent), "{percent}");
        assert!(*open < named / 4, "most messages are taken too: {open} of {named}");
    }
}
