//! The project's own commands: `cargo xtask tidy`, `openapi`, `bench` and `bench-xray`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command answers in the terminal")]

mod bench;
mod openapi;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

/// The project's own commands.
#[derive(Parser)]
enum Command {
    /// Checks what compilers do not: rooms, first lines, text, formats, licences
    Tidy(tidy::Options),
    /// Writes ui/openapi.json from the server's own description
    Openapi(openapi::Options),
    /// Measures the release binary under generated load
    Bench(bench::Options),
    /// Sends X-Ray documents by UDP at a steady rate and counts what arrives
    BenchXray(bench::segments::Options),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Tidy(options) => tidy::run(&options),
        Command::Openapi(options) => openapi::run(&options),
        Command::Bench(_) | Command::BenchXray(_) if cfg!(debug_assertions) => in_release(),
        Command::Bench(options) => bench::run(&options),
        Command::BenchXray(options) => bench::segments::run(&options),
    };
    match done {
        Ok(code) => code,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the repository: this crate's parent.
///
/// Asked when it runs, not when it is compiled: two clones may share a target folder, and then the
/// one that cargo compiled this for may be gone.
fn repository() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    own.as_deref().and_then(Path::parent).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Runs the same command with our own release build: a debug build would measure its own slowness,
/// in the load that it makes and in the yardstick.
fn in_release() -> anyhow::Result<ExitCode> {
    let program = built("release", "xtask")?;
    let status = std::process::Command::new(&program).args(std::env::args_os().skip(1)).status();
    let status = status.with_context(|| format!("failed to run {}", program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The built binary of a profile: `debug` or `release`.
fn binary(profile: &str) -> anyhow::Result<PathBuf> {
    built(profile, "throughline")
}

fn built(profile: &str, name: &str) -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| repository().join("target"), PathBuf::from);
    let path = target.join(profile).join(name);
    anyhow::ensure!(
        path.exists(),
        "{} is not built; run cargo build --workspace{}",
        path.display(),
        if profile == "release" { " --release" } else { "" }
    );
    Ok(path)
}
