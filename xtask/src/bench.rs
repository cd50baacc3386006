//! Measures the release binary: what it costs to take spans, keep them and answer.
//!
//! The load is testkit's, made before the clock starts; it comes over 4 connections in requests of
//! 512 spans, as the peers of docs/benchmarks.md were measured. Costs are the server's own CPU
//! seconds, which a busy machine changes less than it changes the wall clock.

mod messages;
mod process;
mod queries;
mod report;
mod requests;
pub(crate) mod segments;
mod yardstick;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use throughline_testkit::Server;

use report::{Ingest, Report};
use requests::Requests;
use yardstick::Yardstick;

/// How long the server must rest before we say that flush and compaction have settled.
const REST: Duration = Duration::from_secs(3);
const SETTLE_LIMIT: Duration = Duration::from_secs(300);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many spans to send
    #[arg(long, default_value_t = 2_000_000)]
    spans: usize,
    /// Connections that send at once
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Spans in one request
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// The seed of the load
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Measures what joins cost: the same load twice, so many in a hundred of its spans with the
    /// id of a message, under the name that is read and under one of the same length that is not
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    messages: Option<u8>,
    /// How often, with --messages
    #[arg(long, default_value_t = 2, requires = "messages")]
    rounds: usize,
    /// The binary to measure, instead of the release build
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Where the data goes while measuring, instead of the system's temporary folder
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Prints JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Prints the section for docs/benchmarks.md
    #[arg(long, conflicts_with = "messages")]
    markdown: bool,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let binary = options.binary.clone().map_or_else(|| crate::binary("release"), Ok)?;
    let parent = options.directory.clone().unwrap_or_else(std::env::temp_dir);
    if let Some(percent) = options.messages {
        return messages::run(options, percent, &binary, &parent);
    }
    let scratch = tempfile::tempdir_in(parent).context("failed to make a folder for the data")?;
    let data = scratch.path().join("data");

    eprintln!("making {} spans", options.spans);
    // Twenty minutes ago: "the last hour", which queries ask for, holds all of it.
    let start = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as i64 - 1_200_000_000_000;
    let (requests, sample) =
        requests::make(options.seed, start, options.spans, options.batch, &mut |_| {});

    let clock = Instant::now();
    let server = Server::start(&binary, &data, &[])?;
    let start_empty = clock.elapsed();
    let idle_memory = process::memory_bytes(server.pid(), "VmRSS")?;

    eprintln!("sending {} requests over {} connections", requests.len(), options.connections);
    let yardstick = Yardstick::new(&requests);
    let before = yardstick.measure()?;
    let ingest = send(&server, requests, options.connections)?;
    let prost = [before, yardstick.measure()?];
    eprintln!("asking");
    let queries = queries::run(&server, &sample)?;
    let memory_max = process::memory_bytes(server.pid(), "VmHWM")?;

    server.kill();
    let clock = Instant::now();
    let server = Server::start(&binary, &data, &[])?;
    let start_full = clock.elapsed();
    ensure!(server.stop()?.success(), "the server did not stop cleanly");
    let report = Report {
        spans: sample.spans,
        traces: sample.traces,
        body_bytes: sample.body_bytes,
        ingest,
        prost,
        disk_bytes: process::folder_bytes(&data)?,
        start_empty,
        start_full,
        idle_memory,
        memory_max,
        queries,
    };
    report.print(options.json, options.markdown);
    Ok(if report.all_right() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sends everything and waits until the server rests.
fn send(server: &Server, requests: Requests, connections: usize) -> anyhow::Result<Ingest> {
    let spans = requests.iter().map(|request| request.spans).sum::<usize>();
    let cpu_before = process::cpu_seconds(server.pid())?;
    let clock = Instant::now();
    let queue = Mutex::new(requests.into_iter());
    let retries = std::thread::scope(|scope| {
        let senders: Vec<_> =
            (0..connections).map(|_| scope.spawn(|| requests::send_all(server, &queue))).collect();
        senders
            .into_iter()
            .map(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender broke"))?)
            .sum::<anyhow::Result<u64>>()
    })?;
    let wall = clock.elapsed();
    let cpu_acknowledged = process::cpu_seconds(server.pid())? - cpu_before;
    let (mut last, mut since) = (0.0, Instant::now());
    while since.elapsed() < REST && clock.elapsed() < wall + SETTLE_LIMIT {
        std::thread::sleep(Duration::from_millis(200));
        let now = process::cpu_seconds(server.pid())?;
        // A server that only looks at its timers uses less than 5 % of a core. Spans in memory
        // have their flush still to come.
        let busy = now - last > since.elapsed().as_secs_f64() * 0.05 + 0.02;
        if busy || spans_in_memory(server)? > 0.0 {
            (last, since) = (now, Instant::now());
        }
    }
    let status = server.get_json("/api/v1/status");
    Ok(Ingest {
        spans,
        wall,
        cpu_acknowledged,
        cpu_settled: last.max(cpu_before + cpu_acknowledged) - cpu_before,
        settled_after: since.duration_since(clock).saturating_sub(wall),
        retries,
        blocks: status["blocks"].as_u64().unwrap_or(0),
        stored: status["spans"].as_u64().unwrap_or(0),
    })
}

/// The spans that no block holds yet.
fn spans_in_memory(server: &Server) -> anyhow::Result<f64> {
    let (_, metrics) = server.get("/metrics");
    let line = metrics.lines().find_map(|l| l.strip_prefix("throughline_store_memtable_spans "));
    Ok(line.context("/metrics lacks throughline_store_memtable_spans")?.parse()?)
}
