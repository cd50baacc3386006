//! What receipts and joins cost: `cargo run --release -p throughline-topology --example receipts_speed`.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::Instant;

use throughline_model::{SpanBatch, SpanKind};
use throughline_testkit::{Load, Plan, Rng, Span, batch, journey_batch, journeys};
use throughline_topology::stitch::{Direction, ReceiptAt, ReceiptReader, joins};
use throughline_topology::{Linker, MapPart};

const TRACES: usize = 30_000;
const SPANS_PER_BATCH: usize = 1_000;
const MESSAGES_PERCENT: u64 = 15;

fn main() {
    let batches = load();
    let spans: usize = batches.iter().map(SpanBatch::len).sum();
    println!("{spans} spans, {MESSAGES_PERCENT} in a hundred name a message");
    for round in 0..3 {
        let (mut keys, mut sum) = (0_u64, 0_u128);
        let nanos = measured(spans, || {
            for batch in &batches {
                let reader = ReceiptReader::new(batch);
                for row in 0..batch.len() {
                    reader.of(row, |receipt| {
                        keys += 1;
                        sum ^= receipt.key().0;
                    });
                }
            }
        });
        println!("round {round}: receipts and keys {nanos} ns/span, {keys} receipts, {}", sum & 1);
        let mut may_have = 0;
        let nanos = measured(spans, || {
            for batch in &batches {
                let reader = ReceiptReader::new(batch);
                may_have += (0..batch.len()).filter(|row| reader.may_have(*row)).count();
            }
        });
        println!("round {round}: the test alone {nanos} ns/span, {may_have} pass");
        let mut linker = Linker::default();
        let mut all = MapPart::default();
        let nanos = measured(spans, || {
            for batch in &batches {
                linker.observe_into(&mut all, &[batch]);
            }
        });
        println!("round {round}: the map's linker {nanos} ns/span, {} entries", all.entry_count());
    }
    let plan = Plan {
        seed: 1,
        origins: 2_000,
        messages_max: 3,
        batch_max: 10,
        hops: 3,
        own_spans: None,
        faults: true,
    };
    let made = journeys(&plan);
    let batch = journey_batch(&made.spans);
    let reader = ReceiptReader::new(&batch);
    let (outs, ins): (Vec<ReceiptAt>, Vec<_>) = (0..batch.len())
        .flat_map(|row| reader.at(row))
        .partition(|at| at.receipt.direction == Direction::Out);
    let edges = joins(&outs, &ins).edges.len().max(1);
    let nanos = measured(edges, || drop(joins(&outs, &ins)));
    println!("joins: {nanos} ns an edge, {edges} edges");
}

/// Nanoseconds on the CPU for each of some spans.
fn measured(spans: usize, mut work: impl FnMut()) -> u64 {
    let (begin, cpu) = (Instant::now(), cpu_nanos());
    work();
    let wall = begin.elapsed().as_nanos() as u64;
    let cpu = cpu_nanos().saturating_sub(cpu);
    (if cpu > 0 { cpu } else { wall }) / spans as u64
}

/// Time this thread had a CPU, for machines that are shared; 0 where the system does not say.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// The benchmarks' load, of which some spans name a queue's message.
fn load() -> Vec<SpanBatch> {
    let mut load = Load::new(1, 1_700_000_000_000_000_000);
    let mut rng = Rng::new(2);
    let mut spans: Vec<Span> = Vec::new();
    let mut batches = Vec::new();
    for _ in 0..TRACES {
        load.trace(&mut spans);
        if spans.len() < SPANS_PER_BATCH {
            continue;
        }
        for span in &mut spans {
            if rng.below(100) >= MESSAGES_PERCENT {
                continue;
            }
            let is_producer = rng.below(2) == 0;
            span.kind = if is_producer { SpanKind::Producer } else { SpanKind::Consumer };
            let id = format!("{:016x}-{:016x}", rng.next_u64(), rng.next_u64());
            let url = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders";
            *span = span
                .clone()
                .attr("messaging.system", "aws_sqs")
                .attr("messaging.operation.type", if is_producer { "send" } else { "process" })
                .attr("messaging.message.id", id)
                .attr("aws.sqs.queue.url", url);
        }
        batches.push(batch(&std::mem::take(&mut spans)));
    }
    batches
}
