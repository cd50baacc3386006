//! `throughline sample`: an invented system to look at, made by the server.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cli::SampleCommand;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal::{clean, print, print_json};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    environment: String,
    span_count: usize,
    trace_count: usize,
    trace_ids: Vec<String>,
}

/// Has it made, and prints where to look.
pub(crate) fn run(command: &SampleCommand) -> Result<(), Failure> {
    let wanted = [
        ("system", Some(json!(command.system))),
        ("count", command.count.map(|count| json!(count))),
        ("environment", Some(json!(command.environment))),
        ("until", command.until.as_ref().map(|until| json!(until))),
        ("minutes", command.minutes.map(|minutes| json!(minutes))),
        ("seed", command.seed.map(|seed| json!(seed))),
    ];
    let body: Map<String, Value> =
        wanted.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    let answer = Client::new(&command.asking.url).post("sample", &Value::Object(body))?;
    if command.asking.json {
        return print_json(&answer);
    }
    let made: Made = serde_json::from_slice(&answer)
        .map_err(|err| Failure::Server(format!("the server's answer cannot be read: {err}")))?;
    let url = command.asking.url.trim_end_matches('/');
    let place = match &made.trace_ids[..] {
        [only] => format!("{url}/t/{}", clean(only)),
        _ => format!("{url}/map?env={}", clean(&made.environment)),
    };
    print(&format!(
        "{} spans of {} traces are in the environment {}\n  {place}\n",
        made.span_count,
        made.trace_count,
        clean(&made.environment)
    ))
}
