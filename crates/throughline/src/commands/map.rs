//! `throughline map`.

use std::collections::HashMap;

use owo_colors::OwoColorize;
use serde::Deserialize;

use crate::bytes_and_times::show_duration;
use crate::cli::MapCommand;
use crate::client::Client;
use crate::failure::Failure;
use crate::terminal::{Align, clean, print, print_json, table};

#[derive(Debug, Deserialize)]
struct MapAnswer {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    name: String,
    kind: String,
    system: Option<String>,
    #[serde(flatten)]
    numbers: Numbers,
}

#[derive(Debug, Deserialize)]
struct Edge {
    from: String,
    to: String,
    kind: String,
    evidence: Vec<String>,
    #[serde(flatten)]
    numbers: Numbers,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Numbers {
    requests: u64,
    errors: u64,
    p50_nano: i64,
    p95_nano: i64,
    p99_nano: i64,
}

/// Prints the nodes and the edges.
pub(crate) fn run(command: &MapCommand) -> Result<(), Failure> {
    let client = Client::new(&command.asking.url);
    let mut params =
        vec![("from", command.window.from.as_str()), ("to", command.window.to.as_str())];
    if let Some(environment) = &command.environment {
        params.push(("environment", environment));
    }
    let body = client.ask("map", &params)?;
    let map: MapAnswer = serde_json::from_slice(&body)
        .map_err(|err| Failure::Server(format!("the server's answer cannot be read: {err}")))?;
    if command.asking.json {
        print_json(&body)?;
    }
    if map.nodes.is_empty() {
        let window = &command.window;
        let text = format!("no service was called from {} to {}", window.from, window.to);
        return Err(Failure::Nothing(text));
    }
    if command.asking.json { Ok(()) } else { print(&render(&map)) }
}

fn render(map: &MapAnswer) -> String {
    let numbers = [
        ("REQUESTS", Align::Right),
        ("ERRORS", Align::Right),
        ("P50", Align::Right),
        ("P95", Align::Right),
        ("P99", Align::Right),
    ];
    let name_of: HashMap<&str, &str> =
        map.nodes.iter().map(|node| (node.id.as_str(), node.name.as_str())).collect();
    let nodes = map.nodes.iter().map(|node| {
        let kind = match &node.system {
            Some(system) => format!("{} ({system})", node.kind),
            None => node.kind.clone(),
        };
        row(&[node.name.clone(), kind], &node.numbers, String::new())
    });
    let edges = map.edges.iter().map(|edge| {
        let name = |id: &str| name_of.get(id).map_or(id, |name| name).to_owned();
        let arrow = if edge.kind == "async" { "~>" } else { "->" };
        let call = format!("{} {arrow} {}", name(&edge.from), name(&edge.to));
        row(&[call, edge.kind.clone()], &edge.numbers, edge.evidence.join(", "))
    });
    let columns = |what| {
        let mut columns = vec![(what, Align::Left), ("KIND", Align::Left)];
        columns.extend(numbers);
        columns.push(("", Align::Left));
        columns
    };
    let mut text = table(&columns("NODE"), &nodes.collect::<Vec<_>>());
    text.push('\n');
    let edges: Vec<_> = edges.collect();
    match edges.is_empty() {
        true => text.push_str(&format!("{}\n", "no calls between them".dimmed())),
        false => text.push_str(&table(&columns("CALL"), &edges)),
    }
    text
}

fn row(names: &[String; 2], numbers: &Numbers, last: String) -> Vec<String> {
    let mut row: Vec<String> = names.iter().map(|name| clean(name)).collect();
    row.extend([
        numbers.requests.to_string(),
        numbers.errors.to_string(),
        show_duration(numbers.p50_nano),
        show_duration(numbers.p95_nano),
        show_duration(numbers.p99_nano),
        last,
    ]);
    row
}
