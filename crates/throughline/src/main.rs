//! The binary: commands, configuration, the terminal. It has no meaning of its own.
//!
//! `serve` starts `throughline_server`, where `pipeline.rs` is the file to read next; every other
//! command asks a running server over its native API.

mod bytes_and_times;
mod cli;
mod client;
mod commands;
mod config;
mod failure;
mod rewrite;
mod serve;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(flags) => serve::run(&flags),
        Command::Config(command) => commands::config::run(&command),
        Command::Trace(command) => commands::trace::run(&command),
        Command::Logs(command) => commands::logs::run(&command),
        Command::Doctor(command) => commands::doctor::run(&command),
        Command::Journey(command) => commands::journey::run(&command),
        Command::Join(command) => commands::join::run(&command),
        Command::Journeys(command) => commands::journeys::run(&command),
        Command::Search(command) => commands::search::run(&command),
        Command::Map(command) => commands::map::run(&command),
        Command::Local(command) => commands::local::run(&command),
        Command::Lab(command) => commands::lab::run(&command),
        Command::Sample(command) => commands::sample::run(&command),
        Command::Import(command) => commands::import::run(&command),
        Command::Export(command) => commands::export::run(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
