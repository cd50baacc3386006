//! What a span costs the store: CPU by step, bytes on disk, and the time of a look-up.
//!
//! `cargo run --release -p throughline-store --example store_speed [SPANS]`
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use throughline_store::{Column, Store, StoreOptions};
use throughline_testkit::{Load, batch};
use throughline_topology::{MapFilter, MapTotal};

fn main() {
    let wanted: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(500_000);
    let mut load = Load::new(1, 1_700_000_000_000_000_000);
    let (mut batches, mut ids, mut spans) = (Vec::new(), Vec::new(), 0);
    while spans < wanted {
        let mut rows = Vec::new();
        while rows.len() < 512 {
            ids.push(load.trace(&mut rows));
        }
        spans += rows.len();
        batches.push(batch(&rows));
    }
    let bytes: usize = batches.iter().map(|b| b.memory_size_bytes()).sum();
    println!("{spans} spans, {} B/span in memory", bytes / spans);

    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(StoreOptions::new(directory.path())).expect("a new store opens");
    let (done, answers) = channel();
    let before = cpu();
    let wall = Instant::now();
    for chunk in batches.chunks(8) {
        for batch in chunk {
            let done = done.clone();
            store.append(batch.clone(), move |r| done.send(r).expect("the receiver lives"));
        }
        for _ in chunk {
            answers.recv().expect("the store answers").expect("the disk is good");
        }
    }
    let acked = cpu();
    println!("append: {} ns/span CPU, {:?}", per(acked - before, spans), wall.elapsed());
    store.flush();
    store.flush();
    println!("settled: {} ns/span CPU", per(cpu() - before, spans));
    let stats = store.stats();
    println!("{:.1} B/span, {stats:?}", stats.bytes_on_disk as f64 / spans as f64);

    let snapshot = store.snapshot();
    let mut times: Vec<Duration> = ids
        .iter()
        .step_by(ids.len() / 300)
        .map(|id| {
            let start = Instant::now();
            let found = snapshot.trace(*id).expect("blocks are whole");
            assert!(!found.is_empty());
            start.elapsed()
        })
        .collect();
    times.drain(..100);
    times.sort();
    println!(
        "trace by id: p50 {:?}, p95 {:?}",
        times[times.len() / 2],
        times[times.len() * 95 / 100]
    );
    let start = Instant::now();
    let chunks = snapshot.chunks(i64::MIN, i64::MAX);
    for chunk in &chunks {
        chunk.read(&[Column::Service, Column::Name, Column::Duration]).expect("blocks are whole");
    }
    println!("3 columns of {} chunks: {:?}", chunks.len(), start.elapsed());
    let start = Instant::now();
    let map = snapshot.map(MapTotal::of_minutes(&MapFilter::ALL));
    println!("map: {:?}, {} bytes", start.elapsed(), map.encode().len());
}

fn per(time: Duration, spans: usize) -> u128 {
    time.as_nanos() / spans as u128
}

/// CPU time of this process so far, from the kernel, in ticks of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has /proc");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}
