//! `throughline export`: one line of OTLP JSON a trace.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use throughline_model::TraceId;

use crate::cli::ExportCommand;
use crate::client::Client;
use crate::commands::search::SearchAnswer;
use crate::failure::Failure;
use crate::terminal::print;

/// Writes traces.
pub(crate) fn run(command: &ExportCommand) -> Result<(), Failure> {
    let client = Client::new(&command.asking.url);
    let ids = match &command.trace {
        Some(id) => {
            vec![TraceId::parse(id).map_err(|err| Failure::Usage(err.to_string()))?.to_string()]
        }
        None => found(command, &client)?,
    };
    let mut out: Box<dyn Write> = match &command.output {
        Some(path) => {
            let file = File::create(path)
                .map_err(|err| Failure::Usage(format!("cannot write {}: {err}", path.display())))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(BufWriter::new(io::stdout().lock())),
    };
    let mut written = 0;
    for id in &ids {
        let line = match client.ask(&format!("traces/{id}"), &[]) {
            Ok(line) => line,
            // It expired since it was found.
            Err(Failure::Nothing(_)) if command.trace.is_none() => continue,
            Err(err) => return Err(err),
        };
        out.write_all(&line)?;
        out.write_all(b"\n")?;
        written += 1;
    }
    out.flush()?;
    drop(out);
    match &command.output {
        Some(_) if command.asking.json => print(&format!("{{\"traces\":{written}}}\n")),
        Some(path) => print(&format!("{written} traces written to {}\n", path.display())),
        None => Ok(()),
    }
}

fn found(command: &ExportCommand, client: &Client) -> Result<Vec<String>, Failure> {
    let limit = command.limit.to_string();
    let params = [
        ("q", command.query.as_deref().unwrap_or_default()),
        ("from", command.window.from.as_str()),
        ("to", command.window.to.as_str()),
        ("limit", &limit),
    ];
    let answer: SearchAnswer = client.ask_for("search", &params)?;
    if answer.traces.is_empty() {
        return Err(Failure::Nothing("no trace matches".to_owned()));
    }
    if answer.truncated {
        let limit = command.limit;
        let text = format!("more than {limit} traces match; only the newest are written");
        writeln!(anstream::stderr(), "{text}")?;
    }
    Ok(answer.traces.into_iter().map(|trace| trace.trace_id).collect())
}
