//! `throughline lab kinesis|signup`: a workshop, live, from its start to its end.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use owo_colors::OwoColorize;
use serde::Deserialize;
use throughline_local::lab::{
    Check, Lab, LabError, LabOptions, Line, Say, Sdk, Throughline, Variant, default_cache,
    run as follow,
};
use tokio_util::sync::CancellationToken;

use crate::bytes_and_times::show_duration;
use crate::cli::{LabCommand, LabFlags, LabKind, LabSdk, LabVariant};
use crate::client::Client;
use crate::failure::Failure;

/// Does a workshop against a running server.
pub(crate) fn run(command: &LabCommand) -> Result<(), Failure> {
    let (lab, flags) = match &command.kind {
        LabKind::Kinesis { variant, flags } => {
            let variant = match variant {
                LabVariant::Auto => Variant::Auto,
                LabVariant::Manual => Variant::Manual,
                LabVariant::Both => Variant::Both,
                LabVariant::Rust => Variant::Rust,
            };
            (Lab::Kinesis(variant), flags)
        }
        LabKind::Signup { sdk, flags } => {
            let sdk = match sdk {
                LabSdk::Node => Sdk::Node,
                LabSdk::Python => Sdk::Python,
            };
            (Lab::Signup(sdk), flags)
        }
    };
    let doors = Doors::ask(&Client::new(&flags.url))?;
    let cache = flags.cache.clone().or_else(default_cache).ok_or_else(|| {
        Failure::Usage("no home folder is known: name a folder for tools with --cache".to_owned())
    })?;
    let options = LabOptions {
        throughline: Throughline {
            http: flags.url.trim_end_matches('/').to_owned(),
            otlp_http: doors.otlp_http,
            xray: doors.xray,
        },
        front_door: flags.front_door.clone(),
        cache,
        prefix: flags.prefix.clone(),
        repository: flags.repository.clone(),
        rust_folder: flags.rust_folder.clone(),
        requests: flags.requests,
        stay: flags.stay,
        stop: CancellationToken::new(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")
        .map_err(Failure::Other)?;
    runtime.block_on(done(lab, &options, flags))
}

async fn done(lab: Lab, options: &LabOptions, flags: &LabFlags) -> Result<(), Failure> {
    let stop = options.stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    let report = follow(lab, options, &mut Printer).await.map_err(|err| match err {
        LabError::Stopped => Failure::Nothing("stopped; everything was cleaned up".to_owned()),
        err => Failure::Other(err.into()),
    })?;
    let mut out = anstream::stdout().lock();
    if flags.json {
        let checks: Vec<_> = report
            .checks
            .iter()
            .map(|check| {
                serde_json::json!({
                    "what": check.what, "passed": check.passed, "seen": check.seen,
                })
            })
            .collect();
        let links: Vec<_> = report
            .links
            .iter()
            .map(|(text, link)| serde_json::json!({ "text": text, "link": link }))
            .collect();
        writeln!(out, "{}", serde_json::json!({ "checks": checks, "links": links }))?;
    }
    let failed = report.checks.iter().filter(|check| !check.passed).count();
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Nothing(format!("{failed} of the workshop's promises did not hold"))),
    }
}

/// Says what goes on, on stderr: stdout is for what programs read.
pub(crate) struct Printer;

impl Say for Printer {
    fn say(&mut self, line: Line<'_>) {
        let mut err = anstream::stderr().lock();
        // With stderr gone there is nobody left to tell.
        let _ = match line {
            Line::Step(text) => writeln!(err, "\n{}", text.bold()),
            Line::Command(text) => writeln!(err, "  {} {}", "$".dimmed(), text.cyan()),
            Line::Output(text) => writeln!(err, "    {}", text.dimmed()),
            Line::Progress { what, elapsed } => {
                let elapsed = show_duration(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX));
                writeln!(err, "    {}", format!("{what} ({elapsed})").dimmed())
            }
            Line::Look { text, link } => writeln!(err, "  {} {text}: {}", ">".green(), link.blue()),
            Line::Checked(Check { what, passed: true, seen }) => {
                writeln!(err, "  {} {what}: {seen}", "ok".green())
            }
            Line::Checked(Check { what, passed: false, seen }) => {
                writeln!(err, "  {} {what}: {seen}", "NO".red().bold())
            }
            Line::Note(text) => writeln!(err, "  {text}"),
        };
    }
}

/// Where a server takes spans and segments.
pub(crate) struct Doors {
    pub(crate) otlp_http: String,
    pub(crate) xray: SocketAddr,
}

impl Default for Doors {
    fn default() -> Self {
        Self {
            otlp_http: "http://127.0.0.1:4318".to_owned(),
            xray: (Ipv4Addr::LOCALHOST, 2000).into(),
        }
    }
}

impl Doors {
    /// The doors that a running server says it has.
    pub(crate) fn ask(client: &Client) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Status {
            doors: Vec<Door>,
        }
        #[derive(Deserialize)]
        struct Door {
            name: String,
            address: String,
        }
        let status: Status = client.ask_for("status", &[])?;
        let door = |name: &str| {
            let found = status.doors.iter().find(|door| door.name == name);
            found.map(|door| door.address.clone())
        };
        let otlp = door("otlp_http").or_else(|| door("http")).unwrap_or_default();
        let xray = door("xray").and_then(|address| address.parse().ok());
        let missing = || {
            let text = "the server has no X-Ray door, which the workshops need: start it without \
                        `--xray off`";
            Failure::Usage(text.to_owned())
        };
        Ok(Self { otlp_http: format!("http://{otlp}"), xray: xray.ok_or_else(missing)? })
    }
}
