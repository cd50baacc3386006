//! `throughline serve`: configuration, logs, signals, and the announcement.

use std::io::Write;

use anyhow::Context;
use serde_json::json;
use throughline_server::metrics::DoorName;
use throughline_server::{Addresses, Running, StartError};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Announce, ServeFlags};
use crate::config::{self, Resolved, flag_of};
use crate::failure::Failure;

/// Serves until a signal comes.
pub(crate) fn run(flags: &ServeFlags) -> Result<(), Failure> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let resolved = config::resolve(&config::layers(flags, &environment)?)?;
    start_logs(&resolved.log_filter, resolved.log_json);
    use_small_pages();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("throughline")
        .build()
        .context("cannot start threads")
        .map_err(Failure::Other)?;
    let result = runtime.block_on(serve(resolved, flags.announce));
    // What is left are queries whose callers are gone.
    runtime.shutdown_background();
    result
}

/// Asks the kernel for pages of their usual size. A huge one is cleared whole when its first byte is
/// written: that was a sixth of all CPU of taking spans in, and 75 MB of memory
/// (`docs/benchmarks.md`). Children would inherit it; a server has none.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(err) = nix::sys::prctl::set_thp_disable(true) {
        tracing::debug!(%err, "huge pages stay on");
    }
}

async fn serve(resolved: Resolved, announce: Option<Announce>) -> Result<(), Failure> {
    let signals = |kind| signal(kind).context("cannot listen for signals").map_err(Failure::Other);
    let (mut terminate, mut interrupt) =
        (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
    let running = throughline_server::serve(resolved.server).await.map_err(explain)?;
    tell(&running, announce)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::select! {
        () = running.stop() => Ok(()),
        // Someone is in a hurry. What was acknowledged is on disk already.
        _ = terminate.recv() => exit_at_once(143),
        _ = interrupt.recv() => exit_at_once(130),
    }
}

#[expect(clippy::disallowed_methods, reason = "a second signal asks for no farewell")]
fn exit_at_once(code: i32) -> ! {
    std::process::exit(code)
}

/// Logs to stderr from here on.
pub(crate) fn start_logs(filter: &str, json: bool) {
    let filter = tracing_subscriber::EnvFilter::new(filter);
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    if json {
        logs.json().init();
    } else {
        logs.with_ansi(colour).init();
    }
}

fn tell(running: &Running, announce: Option<Announce>) -> Result<(), Failure> {
    let addresses = running.addresses();
    let mut out = std::io::stdout().lock();
    match announce {
        Some(Announce::Json) => writeln!(out, "{}", announcement(&addresses))?,
        None => {
            if let Some(address) = addresses.http {
                writeln!(out, "throughline is ready: http://{address}")?;
            }
        }
    }
    Ok(out.flush()?)
}

/// One line with every bound address: by name for scripts, and as the list that `/api/v1/status`
/// has.
fn announcement(addresses: &Addresses) -> serde_json::Value {
    let mut line = json!({ "event": "ready", "pid": std::process::id() });
    let mut doors = Vec::new();
    for door in DoorName::ALL {
        if let Some(address) = addresses.of(door) {
            line[door.word()] = address.to_string().into();
            doors.push(json!({ "name": door.word(), "address": address.to_string() }));
        }
    }
    line["doors"] = doors.into();
    line
}

fn explain(err: StartError) -> Failure {
    match err {
        StartError::Bind { door, address, source } => {
            let flag = flag_of(match door {
                DoorName::Http => "listen.http",
                DoorName::OtlpHttp => "listen.otlp_http",
                DoorName::OtlpGrpc => "listen.otlp_grpc",
                DoorName::Xray => "listen.xray",
            });
            let port = address.port();
            let way_out = match source.kind() {
                std::io::ErrorKind::AddrInUse => format!(
                    "port {port} is in use, perhaps by another throughline or a collector. Stop it, \
                     or choose another address with `{flag} ADDR`, or `{flag} off`"
                ),
                std::io::ErrorKind::PermissionDenied => format!(
                    "port {port} needs rights that this user does not have; choose one above 1023 \
                     with `{flag} ADDR`"
                ),
                _ => format!("{source}; choose another address with `{flag} ADDR`"),
            };
            Failure::Other(anyhow::anyhow!("cannot listen on {address} ({flag}): {way_out}"))
        }
        StartError::Store(err) => {
            Failure::Other(anyhow::Error::new(err).context("cannot open the store (--data)"))
        }
        other => Failure::Other(other.into()),
    }
}
