//! Keeps ui/openapi.json the same as what the server says of itself.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use throughline_testkit::Server;

use crate::{binary, repository};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only compare, and fail when the file is old
    #[arg(long)]
    check: bool,
    /// The profile whose built binary is asked
    #[arg(long, default_value = "debug")]
    profile: String,
}

/// Asks the built binary, so that xtask itself never needs the heavy crates.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let binary = binary(&options.profile)?;
    let scratch = tempfile::tempdir()?;
    let server = Server::start(&binary, &scratch.path().join("data"), &[])?;
    let (status, text) = server.get("/api/v1/openapi.json");
    ensure!(status == 200, "GET /api/v1/openapi.json: {status} {text}");
    let fresh: serde_json::Value = serde_json::from_str(&text)?;
    let fresh = format!("{}\n", serde_json::to_string_pretty(&fresh)?);
    let path = repository().join("ui/openapi.json");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    if old == fresh {
        println!("ui/openapi.json is fresh");
        return Ok(ExitCode::SUCCESS);
    }
    if options.check {
        println!("ui/openapi.json differs from the server: run `cargo xtask openapi`, then");
        println!("let ui/src/api/schema.ts follow by hand, and commit both.");
        return Ok(ExitCode::FAILURE);
    }
    std::fs::write(&path, fresh).with_context(|| format!("failed to write {}", path.display()))?;
    println!("wrote ui/openapi.json; ui/src/api/schema.ts follows it by hand");
    Ok(ExitCode::SUCCESS)
}
