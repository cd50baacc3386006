//! The commands that ask a running server.

use std::io::Write;
use std::net::TcpListener;

use serde_json::Value;
use throughline_model::SpanKind;
use throughline_testkit::{Server, otlp_request, span};

use crate::run::{Ended, failing_trace, now, run, serve};

struct Asked {
    server: Server,
    directory: tempfile::TempDir,
}

impl Asked {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { server: serve(&directory.path().join("data"), &[]), directory }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let url = self.server.url("");
        run(&[arguments, &["--url", &url]].concat())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn search_map_and_trace_draw_what_was_sent() {
    let asked = Asked::start();
    assert_eq!(asked.server.export(&otlp_request(&failing_trace(0xabc))).0, 200);
    let id = format!("{:032x}", 0xabc);

    let search = asked.run(&["search", "status = error"]);
    assert_eq!(search.code, 0, "{}", search.err);
    assert!(search.out.contains(&id) && search.out.contains("shop: POST /buy"), "{}", search.out);
    assert!(search.out.contains("card refused"), "{}", search.out);
    assert!(
        !search.out.contains('\u{1b}'),
        "colours or worse without a terminal: {:?}",
        search.out
    );

    let map = asked.run(&["map"]);
    assert!(map.out.contains("shop -> bank"), "{}", map.out);

    let trace = asked.run(&["trace", "abc"]);
    assert_eq!(trace.code, 0, "{}", trace.err);
    let lines: Vec<&str> = trace.out.lines().collect();
    assert!(lines[0].starts_with(&id) && lines[0].contains("2 spans, 1 failed"), "{}", trace.out);
    assert!(lines[1].starts_with("shop POST /buy") && lines[1].contains("50.0ms"), "{}", trace.out);
    assert!(lines[2].starts_with("  ! bank pay") && lines[2].contains("40.0ms"), "{}", trace.out);
    assert!(lines[3].trim().starts_with("card refused"), "{}", trace.out);
    assert!(!trace.out.contains('\u{1b}'));

    for command in [&["search", "status = error"][..], &["map"], &["trace", "abc"]] {
        let json = asked.run(&[command, &["--json"]].concat());
        assert!(serde_json::from_str::<Value>(&json.out).is_ok(), "{command:?}: {}", json.out);
    }
}

#[test]
fn a_journey_shows_both_sides_of_a_queue_and_how_it_knows() {
    let asked = Asked::start();
    let message = "kinesis|eu-west-1|orders|4959";
    let start = now() - 5_000_000_000;
    let sent = span("accept").in_trace(1).id(1).service("shop").kind(SpanKind::Producer);
    let sent = sent.at(start).lasting(1_000_000).attr("stitch.out", message);
    let taken = span("ship").in_trace(2).id(2).service("store").kind(SpanKind::Consumer);
    let taken = taken.at(start + 2_000_000_000).lasting(1_000_000).attr("stitch.in", message);
    assert_eq!(asked.server.export(&otlp_request(&[sent, taken])).0, 200);

    let journey = asked.run(&["journey", "1"]);
    assert_eq!(journey.code, 0, "{}", journey.err);
    for part in [
        "2 traces, 1 message\n",
        "waited 2.00s",
        "shop accept",
        "store ship",
        "kinesis orders",
        "by E2",
        "4959",
    ] {
        assert!(journey.out.contains(part), "{part}: {}", journey.out);
    }
    let json: Value = serde_json::from_str(&asked.run(&["journey", "2", "--json"]).out).unwrap();
    assert_eq!(json["joins"].as_array().unwrap().len(), 1);
    let list = asked.run(&["journeys", "name = \"ship\"", "--min-wait", "1s"]);
    assert_eq!(list.code, 0, "{}", list.err);
    let line = list.out.lines().nth(1).unwrap();
    for part in [&format!("{:032x}", 1)[..], "2.00s", "kinesis", "0.98 E2", "shop: accept > store"]
    {
        assert!(line.contains(part), "{part}: {}", list.out);
    }
    assert_eq!(asked.run(&["journeys", "--min-wait", "1h"]).code, 1);
    assert_eq!(asked.run(&["journeys", "--min-wait", "soon"]).code, 2);
    let json: Value = serde_json::from_str(&asked.run(&["journeys", "--json"]).out).unwrap();
    assert_eq!(json["journeys"].as_array().unwrap().len(), 1);
    assert_eq!(asked.run(&["journey", "77"]).code, 1);
    assert_eq!(asked.run(&["journey", "x y"]).code, 2);
}

#[test]
fn a_person_joins_two_traces_says_no_and_takes_it_back() {
    let asked = Asked::start();
    let start = now() - 5_000_000_000;
    let side = |trace: u64, kind, at| {
        let span = span("orders").in_trace(trace.into()).id(trace).service("shop").kind(kind);
        let span = span.at(at).lasting(1_000_000).attr("messaging.system", "kafka");
        span.attr("messaging.destination.name", "orders")
    };
    let (sent, taken) =
        (side(1, SpanKind::Producer, start), side(2, SpanKind::Consumer, start + 1));
    assert_eq!(asked.server.export(&otlp_request(&[sent, taken])).0, 200);
    let journey = |flags: &[&str]| asked.run(&[&["journey", "1"], flags].concat()).out;
    assert!(journey(&[]).contains("1 trace, 0 messages"), "{}", journey(&[]));
    let guessed = journey(&["--guesses"]);
    assert!(guessed.contains("1 trace, 0 messages") && guessed.contains("0.70 by E5"), "{guessed}");

    let join = |flags: &[&str]| asked.run(&[&["join", "1", "2", "--by", "Ada"], flags].concat());
    let said = join(&["--note", "seen in the broker's log"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("belong together\n") && said.out.contains("Ada"), "{}", said.out);
    assert!(journey(&[]).contains("2 traces, 1 message\n"), "{}", journey(&[]));
    assert!(join(&["--reject"]).out.contains("do not belong together"));
    assert!(journey(&[]).contains("1 trace, 0 messages"), "{}", journey(&[]));
    assert_eq!(join(&["--forget"]).code, 0);
    let span = format!("1/{:016x}", 1);
    assert_eq!(asked.run(&["join", &span, "77", "--by", "Ada"]).code, 1);
    assert_eq!(asked.run(&["join", "1/x", "2", "--by", "Ada"]).code, 2);
    assert_eq!(asked.run(&["join", "1", "2", "--by", "Ada", "--reject", "--forget"]).code, 2);
}

#[test]
fn exit_codes_tell_scripts_what_happened() {
    let asked = Asked::start();
    assert_eq!(asked.run(&["search", "service = \"nobody\""]).code, 1);
    assert_eq!(asked.run(&["trace", "5b8efff798038103d269b633813fc60c"]).code, 1);
    assert_eq!(asked.run(&["map"]).code, 1);
    assert_eq!(asked.run(&["trace", "no id"]).code, 2);
    assert_eq!(asked.run(&["search", "--from", "yesterday"]).code, 2);
    assert_eq!(asked.run(&["import", "/no/such/file"]).code, 2);
    let bad = asked.run(&["search", "service = and"]);
    assert_eq!(bad.code, 2);
    let lines: Vec<&str> = bad.err.lines().collect();
    let column = |text: &str, wanted: &str| text.find(wanted).unwrap();
    assert_eq!(column(lines[2], "^"), column(lines[1], "and"), "{}", bad.err);

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for command in [&["search"][..], &["map"], &["trace", "1"], &["export"]] {
        let nobody = run(&[command, &["--url", &format!("http://{free}")]].concat());
        assert_eq!(nobody.code, 3, "{command:?} {}", nobody.err);
        assert!(nobody.err.contains("throughline serve"), "{}", nobody.err);
    }
}

#[test]
fn every_kind_of_file_is_imported_and_exports_read_back() {
    let asked = Asked::start();
    let protobuf = otlp_request(&failing_trace(1));
    let files = [
        asked.file("a.pb", &protobuf),
        asked.file("b.pb.gz", &gzip(&otlp_request(&failing_trace(2)))),
    ];
    let import = asked.run(&["import", &files[0], &files[1], "--json"]);
    assert_eq!(import.code, 0, "{}", import.err);
    let counts: Value = serde_json::from_str(&import.out).unwrap();
    assert_eq!((&counts["spans"], &counts["rejected"]), (&4.into(), &0.into()));

    let lines = asked.directory.path().join("out.jsonl").display().to_string();
    let export = asked.run(&["export", "-o", &lines]);
    assert_eq!(export.code, 0, "{}", export.err);
    let text = std::fs::read_to_string(&lines).unwrap();
    assert_eq!(text.lines().count(), 2);

    let other = Asked::start();
    let one = other.file("one.json", text.lines().next().unwrap().as_bytes());
    let packed = other.file("all.jsonl.gz", &gzip(text.as_bytes()));
    assert_eq!(other.run(&["import", &one, &packed]).code, 0);
    for trace in [1, 2] {
        let path = format!("/api/v1/traces/{trace:032x}");
        assert_eq!(other.server.get_json(&path), asked.server.get_json(&path));
    }
    let single = asked.run(&["export", "--trace", "2"]);
    assert_eq!(single.out.lines().count(), 1);
    assert_eq!(asked.run(&["export", "--trace", "3"]).code, 1);
}

#[test]
fn a_recording_is_played_again_under_new_ids_and_now() {
    let asked = Asked::start();
    let mut old = failing_trace(1);
    for span in &mut old {
        span.start_unix_nano -= 400 * 86_400 * 1_000_000_000;
    }
    // Two files of one trace: new ids must agree between them.
    let files = [
        asked.file("1.pb", &otlp_request(&old[..1])),
        asked.file("2.pb", &otlp_request(&old[1..])),
    ];
    let import = ["import", &files[0], &files[1], "--shift-to-now", "--fresh-ids"];
    for _ in 0..2 {
        assert_eq!(asked.run(&import).code, 0);
    }
    let search = asked.run(&["search", "--from", "-1m", "--json"]);
    let search: Value = serde_json::from_str(&search.out).unwrap();
    let traces = search["traces"].as_array().unwrap();
    assert_eq!(traces.len(), 2, "{search}");
    for trace in traces {
        assert_eq!(trace["spanCount"], 2);
        assert_eq!(trace["durationNano"], 50_000_000);
        let view = format!("/api/v1/traces/{}/view", trace["traceId"].as_str().unwrap());
        let view = asked.server.get_json(&view);
        assert_eq!(view["spans"]["parent"], serde_json::json!([-1, 0]));
    }
}

#[test]
fn a_sample_fills_the_server_and_says_where_to_look() {
    let asked = Asked::start();
    let made =
        asked.run(&["sample", "ride", "--count", "3", "--seed", "5", "--environment", "toy"]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(made.out.contains("of 3 traces are in the environment toy"), "{}", made.out);
    assert!(made.out.contains("/map?env=toy"), "{}", made.out);
    let map = asked.run(&["map", "--environment", "toy"]);
    assert!(map.out.contains("frontend -> customer"), "{}", map.out);

    let large = asked.run(&["sample", "large", "--count", "60", "--json"]);
    let large: Value = serde_json::from_str(&large.out).unwrap();
    assert_eq!((&large["spanCount"], &large["environment"]), (&60.into(), &"sample".into()));

    let refused = asked.run(&["sample", "--count", "0"]);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("count: expected 1 to 2000 of shop"), "{}", refused.err);
    assert_eq!(asked.run(&["sample", "bank"]).code, 2);
}
