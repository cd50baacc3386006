//! The questions people ask, each asked often enough for a p95, each answer checked.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use throughline_model::TraceId;
use throughline_testkit::Server;

use super::requests::{Known, Sample};

/// How often each question is asked, but for those by trace id.
const ASKED: usize = 60;

/// One question and how long its answers took, shortest first.
pub(super) struct Timed {
    pub(super) what: &'static str,
    pub(super) times: Vec<Duration>,
    pub(super) wrong: usize,
}

impl Timed {
    /// The time that this share of the answers, in percent, did not exceed.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let at = (self.times.len() * percent).div_ceil(100).saturating_sub(1);
        self.times.get(at).copied().unwrap_or_default()
    }
}

/// Asks everything, one question after the other.
pub(super) fn run(server: &Server, sample: &Sample) -> anyhow::Result<Vec<Timed>> {
    let mut rng = sample.rng.clone();
    let unknown: Vec<TraceId> = (0..200).map(|_| TraceId(rng.trace_id())).collect();
    let (from, to) = sample.range;
    let range = format!("from={from}&to={to}");
    let search = |q: &str| format!("/api/v1/search?limit=20&{range}&q={}", encode(q));
    let some = |count: usize| move |answer: &Value| traces(answer) == count.min(20);
    let few: Vec<&Known> = sample.known.iter().take(ASKED).collect();
    let full = vec![(); ASKED];
    let (source, target) = busiest_call(&server.get_json(&format!("/api/v1/map?{range}")))
        .context("no service of the map calls another")?;

    let timed = vec![
        // What a question costs that asks nothing: the client's and the socket's share of the rest.
        ask(server, "nothing", &full, |()| ("/ready".to_owned(), 200, |_: &Value| true)),
        ask(server, "trace by id", &sample.known, |known| {
            let spans = known.spans;
            let right = move |answer: &Value| span_count(answer) == spans;
            (format!("/api/v1/traces/{}", known.id), 200, right)
        }),
        ask(server, "trace by unknown id", &unknown, |id| {
            (format!("/api/v1/traces/{id}"), 404, |_: &Value| true)
        }),
        ask(server, "attribute equals, one match", &few, |known| {
            (search(&format!("request.id = \"{}\"", known.request)), 200, some(1))
        }),
        ask(server, "attribute equals, some matches", &few, |known| {
            let count = sample.users.get(&known.user).copied().unwrap_or(0);
            (search(&format!("user.id = \"{}\"", known.user)), 200, some(count))
        }),
        ask(server, "service, operation and duration", &full, |()| {
            let q = "service = \"checkout\" and name = \"/api/v1/orders\" and duration > 20ms";
            (search(q), 200, some(20))
        }),
        ask(server, "errors", &full, |()| (search("status = error"), 200, some(20))),
        ask(server, "service map", &full, |()| {
            let right =
                |answer: &Value| answer["nodes"].as_array().is_some_and(|nodes| nodes.len() >= 20);
            (format!("/api/v1/map?{range}"), 200, right)
        }),
        ask(server, "what its busiest call is made of", &full, |()| {
            let right = |answer: &Value| answer["calls"][0]["spanId"].is_string();
            let ends = format!("source={}&target={}", encode(&source), encode(&target));
            (format!("/api/v1/map/edge?{range}&{ends}"), 200, right)
        }),
    ];
    ensure!(timed.iter().all(|timed| !timed.times.is_empty()), "nothing was asked");
    Ok(timed)
}

/// The ends of the edge with the most requests among those between services.
fn busiest_call(map: &Value) -> Option<(String, String)> {
    let edges = map["edges"].as_array()?.iter().filter_map(|edge| {
        let (from, to) = (edge["from"].as_str()?, edge["to"].as_str()?);
        let is_call = from.starts_with("service:") && to.starts_with("service:");
        is_call.then(|| (edge["requests"].as_u64(), (from.to_owned(), to.to_owned())))
    });
    edges.max().map(|(_, ends)| ends)
}

fn ask<T, R: Fn(&Value) -> bool>(
    server: &Server,
    what: &'static str,
    items: &[T],
    question: impl Fn(&T) -> (String, u16, R),
) -> Timed {
    let (mut times, mut wrong) = (Vec::new(), 0);
    for item in items {
        let (path, expected, right) = question(item);
        let clock = Instant::now();
        let (status, body) = server.get(&path);
        times.push(clock.elapsed());
        let answer = serde_json::from_str(&body).unwrap_or_default();
        if status != expected || !right(&answer) {
            if wrong == 0 {
                let start = body.chars().take(200).collect::<String>();
                eprintln!("wrong answer {status} to {path}: {start}");
            }
            wrong += 1;
        }
    }
    times.sort();
    Timed { what, times, wrong }
}

fn traces(answer: &Value) -> usize {
    answer["traces"].as_array().map_or(0, Vec::len)
}

fn span_count(answer: &Value) -> usize {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    list(answer, "resourceSpans")
        .iter()
        .flat_map(|resource| list(resource, "scopeSpans"))
        .map(|scope| list(&scope, "spans").len())
        .sum()
}

/// Percent-encodes what may not stand in a query string.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = (1..=20).map(Duration::from_millis).collect();
        let timed = Timed { what: "x", times, wrong: 0 };
        assert_eq!(timed.percentile(50), Duration::from_millis(10));
        assert_eq!(timed.percentile(95), Duration::from_millis(19));
    }

    #[test]
    fn queries_survive_the_address_line() {
        assert_eq!(encode("a = \"b\""), "a%20%3D%20%22b%22");
    }
}
