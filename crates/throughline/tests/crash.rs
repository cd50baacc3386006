//! `kill -9` under full load, ten times: what was acknowledged is there afterwards, once. Each span
//! has a log record, which goes first: a span counts when both were acknowledged.
//!
//! Four threads export without a pause. After a random number of acknowledgements and a random
//! moment more, the server is killed, then started again on the same data. Ten kills more come
//! while the server stops, when it writes blocks and changes the catalogue. The seed is printed;
//! `THROUGHLINE_CRASH_SEED` repeats a run as far as threads allow.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use throughline_model::{SpanId, TraceId};
use throughline_testkit::{Rng, Server, Span, otlp_request, span};

/// Kills of each kind.
const KILLS: usize = 10;
const SENDERS: u64 = 4;
const SPANS_PER_TRACE: usize = 8;
/// Traces looked at after each restart; all of them are looked at in the end.
const SAMPLE: u64 = 30;

/// How a server dies: at once, or this long after it was asked to stop.
#[derive(Clone, Copy, Debug)]
enum Death {
    UnderLoad,
    WhileStopping(Duration),
}

/// The spans of each trace that the server acknowledged.
type Acknowledged = BTreeMap<TraceId, BTreeSet<SpanId>>;

#[test]
fn acknowledged_spans_survive_kills_and_none_is_doubled() {
    let seed = std::env::var("THROUGHLINE_CRASH_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(Rng::fresh_seed);
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut acknowledged = Acknowledged::new();

    for round in 0..2 * KILLS {
        let server = start(&data);
        check_some(&server, &acknowledged, &mut rng);
        let acks = 5 + rng.below(40);
        let more = Duration::from_micros(rng.below(30_000));
        let death = match round % 2 {
            0 => Death::UnderLoad,
            _ => Death::WhileStopping(Duration::from_micros(rng.below(400_000))),
        };
        let new = load_and_kill(&server, &mut rng, acks, more, death);
        let spans: usize = new.values().map(BTreeSet::len).sum();
        println!("{death:?} after {acks} requests and {more:?}, {spans} spans acknowledged");
        assert!(spans > 0);
        for (trace, spans) in new {
            acknowledged.entry(trace).or_default().extend(spans);
        }
    }

    let server = start(&data);
    for (trace, spans) in &acknowledged {
        check_trace(&server, *trace, spans);
    }
    let total: usize = acknowledged.values().map(BTreeSet::len).sum();
    println!("{total} acknowledged spans of {} traces are there", acknowledged.len());
    assert!(server.stop().unwrap().success());
}

fn start(data: &Path) -> Server {
    Server::start(Path::new(env!("CARGO_BIN_EXE_throughline")), data, &[]).unwrap()
}

/// Sends until `acks` requests are acknowledged and `more` time has passed, then kills.
fn load_and_kill(
    server: &Server,
    rng: &mut Rng,
    acks: u64,
    more: Duration,
    death: Death,
) -> Acknowledged {
    let seeds: Vec<u64> = (0..SENDERS).map(|_| rng.next_u64()).collect();
    let (done, acknowledgements) = mpsc::channel();
    let mut all = Acknowledged::new();
    std::thread::scope(|scope| {
        for seed in seeds {
            let done = done.clone();
            scope.spawn(move || send_until_it_dies(server, Rng::new(seed), &done));
        }
        drop(done);
        let mut keep = |spans: Vec<Span>| {
            for span in spans {
                all.entry(span.trace_id).or_default().insert(span.span_id);
            }
        };
        for _ in 0..acks {
            keep(acknowledgements.recv().expect("senders go on until the server dies"));
        }
        keep_for(&acknowledgements, more, &mut keep);
        if let Death::WhileStopping(after) = death {
            server.ask_to_stop();
            keep_for(&acknowledgements, after, &mut keep);
        }
        server.strike();
        // What was acknowledged while the signal was on its way counts too.
        acknowledgements.iter().for_each(keep);
    });
    all
}

/// Keeps what is acknowledged until the time has passed.
fn keep_for(
    acknowledgements: &mpsc::Receiver<Vec<Span>>,
    time: Duration,
    keep: &mut impl FnMut(Vec<Span>),
) {
    let until = Instant::now() + time;
    let (_quiet, silence) = mpsc::channel::<()>();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        match acknowledgements.recv_timeout(left) {
            Ok(spans) => keep(spans),
            // Every sender has given up because the doors are shut: only the time is left to wait
            // for, on a channel that nobody sends to.
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                silence.recv_timeout(left).ok();
            }
            Err(mpsc::RecvTimeoutError::Timeout) => return,
        }
    }
}

fn send_until_it_dies(server: &Server, mut rng: Rng, done: &mpsc::Sender<Vec<Span>>) {
    // One trace that grows by a span with every request, so that pieces of it lie everywhere.
    let long = TraceId(rng.trace_id());
    loop {
        let mut spans = vec![one(&mut rng, long)];
        for _ in 0..1 + rng.below(24) {
            let trace = TraceId(rng.trace_id());
            spans.extend((0..SPANS_PER_TRACE).map(|_| one(&mut rng, trace)));
        }
        let logs = server.post_json("/v1/logs", &log_request(&spans)).0;
        let status = if logs == 200 { server.export(&otlp_request(&spans)).0 } else { logs };
        match status {
            200 => {
                if done.send(spans).is_err() {
                    return;
                }
            }
            // Pushed back: send something new.
            429 | 503 => {}
            _ => return,
        }
    }
}

/// A record for each span.
fn log_request(spans: &[Span]) -> serde_json::Value {
    let record = |span: &Span| {
        json!({"traceId": span.trace_id.to_string(), "spanId": span.span_id.to_string(),
               "timeUnixNano": "1795000000000000000", "body": {"stringValue": "worked"}})
    };
    let records: Vec<_> = spans.iter().map(record).collect();
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})
}

fn one(rng: &mut Rng, trace: TraceId) -> Span {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    let mut span = span("work").service("crash").at(now).lasting(1_000).attr("n", 1_i64);
    span.trace_id = trace;
    span.span_id = SpanId(rng.span_id());
    span
}

fn check_some(server: &Server, acknowledged: &Acknowledged, rng: &mut Rng) {
    let traces: Vec<_> = acknowledged.iter().collect();
    for _ in 0..SAMPLE.min(traces.len() as u64) {
        let (trace, spans) = rng.pick(&traces);
        check_trace(server, **trace, spans);
    }
}

/// Every acknowledged span is in the answer, and no span twice.
fn check_trace(server: &Server, trace: TraceId, acknowledged: &BTreeSet<SpanId>) {
    let answer = server.get_json(&format!("/api/v1/traces/{trace}"));
    let mut found = Vec::new();
    for resource in answer["resourceSpans"].as_array().unwrap() {
        for scope in resource["scopeSpans"].as_array().unwrap() {
            for span in scope["spans"].as_array().unwrap() {
                found.push(span["spanId"].as_str().unwrap().to_owned());
            }
        }
    }
    let once: BTreeSet<&String> = found.iter().collect();
    assert_eq!(once.len(), found.len(), "a span of {trace} is there twice");
    for span in acknowledged {
        assert!(once.contains(&span.to_string()), "span {span} of {trace} is lost");
    }
    let answer = server.get_json(&format!("/api/v1/traces/{trace}/logs"));
    let records = answer["records"].as_array().unwrap().iter();
    let mut told: Vec<&str> = records.map(|record| record["spanId"].as_str().unwrap()).collect();
    let count = told.len();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), count, "a log record of {trace} is there twice");
    for span in acknowledged {
        let span = span.to_string();
        assert!(
            told.binary_search(&&*span).is_ok(),
            "the record of span {span} of {trace} is lost"
        );
    }
}
