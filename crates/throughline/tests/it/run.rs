//! Runs the binary to its end.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use throughline_testkit::{Server, Span, span};

pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_throughline"))
}

pub(crate) fn serve(data: &Path, more: &[&str]) -> Server {
    Server::start(binary(), data, more).unwrap_or_else(|err| panic!("{err}"))
}

pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command that ends by itself, without our own environment.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    let output: Output = Command::new(binary())
        .args(arguments)
        .env_remove("THROUGHLINE_URL")
        .env("COLUMNS", "120")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64
}

/// A request of `shop` that fails in `bank`, a moment ago.
pub(crate) fn failing_trace(trace: u128) -> Vec<Span> {
    use throughline_model::SpanKind;
    let start = now() - 2_000_000_000;
    let root = span("POST /buy").in_trace(trace).id(1).service("shop").kind(SpanKind::Server);
    let root = root.at(start).lasting(50_000_000);
    let pay = span("pay").in_trace(trace).child_of(&root).id(2).service("bank");
    let pay = pay.kind(SpanKind::Server).at(start + 5_000_000).lasting(40_000_000);
    vec![root, pay.failing("card refused\u{1b}[2J")]
}
