//! How long `observe` takes a span: `cargo run --release -p throughline-topology --example observe_speed`.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::Instant;

use throughline_model::{AttrValue, SpanBatch, SpanBatchBuilder, SpanId, SpanKind, TraceId};
use throughline_topology::{Linker, MapPart};

const TRACES_PER_ROUND: u64 = 500;
const ROUNDS: u64 = 400;

/// Services of a trace, each with a server span, two internal ones, a database call and a call on.
const SERVICES: u64 = 4;

fn main() {
    let mut builder = SpanBatchBuilder::default();
    let batches: Vec<Vec<SpanBatch>> = (0..ROUNDS)
        .map(|round| (0..SERVICES).map(|service| batch(&mut builder, round, service)).collect())
        .collect();
    let spans: usize = batches.iter().flatten().map(SpanBatch::len).sum();
    for order in ["callers first", "callees first"] {
        let mut linker = Linker::default();
        let mut all = MapPart::default();
        let (begin, cpu) = (Instant::now(), cpu_nanos());
        for round in &batches {
            let mut refs: Vec<&SpanBatch> = round.iter().collect();
            if order == "callees first" {
                refs.reverse();
            }
            all.merge(&linker.observe(&refs));
        }
        let nanos = begin.elapsed().as_nanos() / spans as u128;
        let cpu = (cpu_nanos() - cpu) / spans as u64;
        println!("observe and merge, {order}: {nanos} ns/span, {cpu} on the CPU, of {spans}");

        let refs: Vec<&SpanBatch> = batches[0].iter().collect();
        let begin = Instant::now();
        let preview = linker.preview(&refs);
        println!("preview of one round, linker full: {:?}", begin.elapsed());
        println!("entries {} + {}", all.entry_count(), preview.entry_count());
        let begin = Instant::now();
        let bytes = all.encode();
        println!("encode: {} bytes in {:?}", bytes.len(), begin.elapsed());
    }
}

/// Time this thread had a CPU, for machines that are shared; 0 where the system does not say.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// All spans that one service sent in one round, trace after trace.
fn batch(builder: &mut SpanBatchBuilder, round: u64, service: u64) -> SpanBatch {
    let name = format!("service-{service}");
    builder.start_resource();
    builder.attribute("service.name", AttrValue::Str(&name));
    builder.attribute("deployment.environment.name", AttrValue::Str("production"));
    builder.end_resource("", 0);
    builder.start_scope("bench", "1");
    builder.end_scope("", 0);
    for trace in round * TRACES_PER_ROUND..(round + 1) * TRACES_PER_ROUND {
        let random = (trace + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let id =
            |span: u64| SpanId((random ^ span.wrapping_mul(0xff51_afd7_ed55_8ccd)).to_be_bytes());
        let mut trace_id = [0; 16];
        trace_id[..8].copy_from_slice(&random.to_be_bytes());
        let start = 1_700_000_000_000_000_000 + trace as i64 * 1_000_000;
        let first = service * 10 + 1;
        let parent = if service == 0 { SpanId::ZERO } else { id(first - 10 + 4) };
        let spans = [
            (0, parent, SpanKind::Server, "GET /orders/{id}"),
            (1, id(first), SpanKind::Internal, "load"),
            (2, id(first), SpanKind::Internal, "render"),
            (3, id(first + 1), SpanKind::Client, "SELECT orders"),
            (4, id(first + 2), SpanKind::Client, "GET"),
        ];
        for (number, parent, kind, name) in spans {
            builder.start_span(TraceId(trace_id), id(first + number));
            builder.parent_id(parent);
            builder.name(name);
            builder.kind(kind);
            builder.times(start + number as i64, 1_000_000 + (random >> 44) as i64);
            builder.flags(1);
            attributes(builder, number, trace as i64);
            builder.end_span();
        }
    }
    builder.finish()
}

fn attributes(builder: &mut SpanBatchBuilder, number: u64, trace: i64) {
    let texts: &[(&str, &str)] = match number {
        0 => &[
            ("http.request.method", "GET"),
            ("url.path", "/orders/17"),
            ("http.route", "/orders/{id}"),
            ("url.scheme", "https"),
            ("network.protocol.version", "1.1"),
        ],
        3 => &[
            ("db.system.name", "postgresql"),
            ("db.namespace", "orders"),
            ("db.query.text", "SELECT * FROM orders WHERE id = $1"),
            ("db.operation.name", "SELECT"),
            ("server.address", "orders-db.example.com"),
        ],
        4 => &[
            ("http.request.method", "GET"),
            ("url.full", "https://next.example.com/orders/17"),
            ("server.address", "next.example.com"),
            ("network.protocol.version", "1.1"),
        ],
        _ => &[("code.function.name", "work")],
    };
    for (key, value) in texts {
        builder.attribute(key, AttrValue::Str(value));
    }
    builder.attribute("thread.id", AttrValue::Int(trace % 8));
}
