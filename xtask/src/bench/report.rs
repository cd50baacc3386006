//! What was measured, as a table, as JSON, and as the section of docs/benchmarks.md.

use std::time::Duration;

use serde_json::json;

use super::process;
use super::queries::Timed;

/// What it took to take the spans.
pub(super) struct Ingest {
    pub(super) spans: usize,
    pub(super) wall: Duration,
    /// Server CPU seconds until the last acknowledgement.
    pub(super) cpu_acknowledged: f64,
    /// Server CPU seconds until flush and compaction had settled too.
    pub(super) cpu_settled: f64,
    /// How long after the last acknowledgement that was.
    pub(super) settled_after: Duration,
    /// How often the server said "try again".
    pub(super) retries: u64,
    pub(super) blocks: u64,
    pub(super) stored: u64,
}

/// Everything measured in one run.
pub(super) struct Report {
    pub(super) spans: usize,
    pub(super) traces: usize,
    pub(super) body_bytes: usize,
    pub(super) ingest: Ingest,
    /// CPU time of prost for one span of the same requests, before and after.
    pub(super) prost: [Duration; 2],
    pub(super) disk_bytes: u64,
    pub(super) start_empty: Duration,
    pub(super) start_full: Duration,
    pub(super) idle_memory: u64,
    pub(super) memory_max: u64,
    pub(super) queries: Vec<Timed>,
}

impl Report {
    /// Whether every span was stored and every answer right.
    pub(super) fn all_right(&self) -> bool {
        self.ingest.stored == self.spans as u64 && self.queries.iter().all(|q| q.wrong == 0)
    }

    pub(super) fn print(&self, json: bool, markdown: bool) {
        if json {
            println!("{:#}", self.json());
        } else if markdown {
            print!("{}", self.markdown());
        } else {
            for (what, value) in self.rows() {
                println!("{what:<49} {value}");
            }
            if !self.all_right() {
                println!("NOT ALL RIGHT: {} of {} spans stored", self.ingest.stored, self.spans);
            }
        }
    }

    /// Server CPU a span, acknowledged and settled, in decodings of the span by prost.
    fn in_decodings(&self) -> [f64; 2] {
        let [before, after] = self.prost.map(|time| time.as_secs_f64());
        let all = self.ingest.spans as f64 * (before + after) / 2.0;
        [self.ingest.cpu_acknowledged / all, self.ingest.cpu_settled / all]
    }

    fn rows(&self) -> Vec<(String, String)> {
        let ingest = &self.ingest;
        let spans = ingest.spans as f64;
        let [acknowledged, settled] = self.in_decodings();
        let [before, after] = self.prost.map(|time| time.as_nanos());
        let mut rows = vec![
            ("spans, traces".to_owned(), format!("{}, {}", self.spans, self.traces)),
            (
                "bytes a span, sent".to_owned(),
                format!("{:.0}", self.body_bytes as f64 / self.spans as f64),
            ),
            (
                "spans per server CPU-second, acknowledged".to_owned(),
                format!("{:.0} k", spans / ingest.cpu_acknowledged / 1e3),
            ),
            (
                "spans per server CPU-second, settled".to_owned(),
                format!("{:.0} k", spans / ingest.cpu_settled / 1e3),
            ),
            (
                "prost decoding a span here, before; after".to_owned(),
                format!("{before}; {after} ns"),
            ),
            (
                "server CPU a span in such, acknowledged; settled".to_owned(),
                format!("{acknowledged:.2}; {settled:.2}"),
            ),
            (
                "spans per second, load generator included".to_owned(),
                format!("{:.0} k", spans / ingest.wall.as_secs_f64() / 1e3),
            ),
            (
                "settled after; blocks; pushed back".to_owned(),
                format!(
                    "{:.1} s; {}; {}",
                    ingest.settled_after.as_secs_f64(),
                    ingest.blocks,
                    ingest.retries
                ),
            ),
            (
                "bytes a span, on disk, all files".to_owned(),
                format!("{:.1}", self.disk_bytes as f64 / self.spans as f64),
            ),
            (
                "resident memory, idle; most".to_owned(),
                format!("{} MB; {} MB", self.idle_memory / 1_000_000, self.memory_max / 1_000_000),
            ),
            (
                "start to ready, empty; after kill -9".to_owned(),
                format!(
                    "{:.3} s; {:.3} s",
                    self.start_empty.as_secs_f64(),
                    self.start_full.as_secs_f64()
                ),
            ),
        ];
        rows.extend(self.queries.iter().map(|query| {
            let milliseconds = |percent| query.percentile(percent).as_secs_f64() * 1e3;
            let wrong = match query.wrong {
                0 => String::new(),
                wrong => format!(", {wrong} of {} WRONG", query.times.len()),
            };
            let value = format!("{:.1} / {:.1} ms{wrong}", milliseconds(50), milliseconds(95));
            (format!("{}, p50 / p95", query.what), value)
        }));
        rows
    }

    fn markdown(&self) -> String {
        let rows: String =
            self.rows().iter().map(|(what, value)| format!("| {what} | {value} |\n")).collect();
        format!(
            "## {}\n\n{}; release build; `cargo xtask bench --spans {}`.\n\n| | |\n|---|---|\n{rows}",
            process::today(),
            process::machine(),
            self.spans
        )
    }

    fn json(&self) -> serde_json::Value {
        let ingest = &self.ingest;
        let spans = ingest.spans as f64;
        let queries = self.queries.iter().map(|query| {
            json!({
                "what": query.what,
                "asked": query.times.len(),
                "wrong": query.wrong,
                "p50Seconds": query.percentile(50).as_secs_f64(),
                "p95Seconds": query.percentile(95).as_secs_f64(),
            })
        });
        json!({
            "date": process::today(),
            "machine": process::machine(),
            "spans": self.spans,
            "traces": self.traces,
            "storedSpans": ingest.stored,
            "sentBytesPerSpan": self.body_bytes as f64 / self.spans as f64,
            "diskBytesPerSpan": self.disk_bytes as f64 / self.spans as f64,
            "spansPerCpuSecondAcknowledged": spans / ingest.cpu_acknowledged,
            "spansPerCpuSecondSettled": spans / ingest.cpu_settled,
            "prostNanosPerSpan": self.prost.map(|time| time.as_nanos() as u64),
            "cpuPerSpanInProstDecodings": self.in_decodings(),
            "spansPerSecond": spans / ingest.wall.as_secs_f64(),
            "settledAfterSeconds": ingest.settled_after.as_secs_f64(),
            "retries": ingest.retries,
            "blocks": ingest.blocks,
            "idleMemoryBytes": self.idle_memory,
            "mostMemoryBytes": self.memory_max,
            "startEmptySeconds": self.start_empty.as_secs_f64(),
            "startFullSeconds": self.start_full.as_secs_f64(),
            "queries": queries.collect::<Vec<_>>(),
        })
    }
}
