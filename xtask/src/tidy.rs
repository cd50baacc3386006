//! Rules that no compiler checks. Each finding says what, where, why, and where the rule lives.

mod files;
mod first_lines;
mod formats;
mod packages;
mod rooms;
mod text;

use std::process::ExitCode;

use anyhow::Context;
use cargo_metadata::MetadataCommand;

use crate::repository;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Writes the new hashes of sources into docs/formats, once the pages are right again
    #[arg(long)]
    bless: bool,
}

/// One broken rule.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    /// `path` or `path:line`.
    place: String,
    /// What is wrong there.
    what: String,
    /// Why it matters, and where the rule lives.
    why: &'static str,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let root = repository();
    let metadata = MetadataCommand::new()
        .current_dir(&root)
        .other_options(["--locked".to_owned()])
        .exec()
        .context("failed to ask cargo for the packages")?;
    let files = files::list(&root)?;
    let mut findings = Vec::new();
    match std::fs::read_to_string(root.join("ARCHITECTURE.md")) {
        Ok(page) => findings.extend(rooms::check(&page, &rooms::edges(&metadata))),
        Err(err) => findings.push(Finding {
            place: "ARCHITECTURE.md".to_owned(),
            what: format!("cannot be read: {err}"),
            why: rooms::WHY,
        }),
    }
    for file in &files {
        findings.extend(first_lines::check(file));
        findings.extend(text::check(file));
    }
    findings.extend(formats::check(&root, &files, options.bless)?);
    findings.extend(packages::check(&metadata));
    for finding in &findings {
        println!("{}: {}\n    why: {}", finding.place, finding.what, finding.why);
    }
    println!("tidy: {} files, {}", files.len(), packages::summary(&metadata));
    if findings.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("tidy: {} findings", findings.len());
    Ok(ExitCode::FAILURE)
}
