//! `throughline local`: the part of AWS that the workshops need, on this machine.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use throughline_local::lab::{
    default_cache, is_installed, python_runtime, python_runtime_there, toolbox,
};
use throughline_local::lambda::LayerMapping;
use throughline_local::{LocalConfig, Running, run as open};
use tokio::signal::unix::{SignalKind, signal};

use super::lab::{Doors, Printer};
use crate::cli::{Announce, LocalCommand};
use crate::client::Client;
use crate::failure::Failure;

/// Serves until a signal comes.
pub(crate) fn run(command: &LocalCommand) -> Result<(), Failure> {
    crate::serve::start_logs("info,ferrokinesis=warn,dynoxide=warn", false);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("throughline")
        .build()
        .context("cannot start threads")
        .map_err(Failure::Other)?;
    let result = runtime.block_on(serve(command));
    runtime.shutdown_background();
    result
}

async fn serve(command: &LocalCommand) -> Result<(), Failure> {
    if command.print_tools {
        let (_, tools) = config(command).await?;
        let tools = tools.ok_or_else(|| {
            Failure::Usage("no home folder is known: name a folder with --cache".to_owned())
        })?;
        return Ok(writeln!(std::io::stdout(), "{}", tools.display())?);
    }
    let signals = |kind| signal(kind).context("cannot listen for signals").map_err(Failure::Other);
    let (mut terminate, mut interrupt) =
        (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
    let (config, tools) = config(command).await?;
    let running = open(config).await.map_err(|err| Failure::Other(err.into()))?;
    tell(&running, tools.as_deref(), command.announce)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    running.stop().await;
    Ok(())
}

/// What was asked for, and the folder of the workshop's commands where they are installed.
async fn config(command: &LocalCommand) -> Result<(LocalConfig, Option<PathBuf>), Failure> {
    let address = |text: &str, flag: &str| {
        text.parse::<SocketAddr>()
            .map_err(|_| Failure::Usage(format!("{flag}: expected HOST:PORT, got {text:?}")))
    };
    let doors = Doors::of(&command.url);
    let mut config = LocalConfig {
        listen: address(&command.listen, "--listen")?,
        data: command.data.clone(),
        upstream: command.upstream.clone(),
        throughline: Some(command.url.clone()),
        ..LocalConfig::default()
    };
    if let Some(region) = &command.region {
        config.region.clone_from(region);
    }
    if let Some(account) = &command.account {
        config.account.clone_from(account);
    }
    config.xray_daemon = match &command.xray {
        Some(text) => address(text, "--xray")?,
        None => doors.xray,
    };
    for layer in &command.layer {
        let (arn, path) = layer.split_once('=').ok_or_else(|| {
            Failure::Usage(format!("--layer: expected ARN=FOLDER, got {layer:?}"))
        })?;
        config.lambda.layers.push(LayerMapping { arn: arn.to_owned(), path: path.into() });
    }
    config.lambda.node_runtime.clone_from(&command.node_runtime);
    config.lambda.python_runtime.clone_from(&command.python_runtime);
    let cache = command.cache.clone().or_else(default_cache);
    let install = command.install || command.print_tools;
    if let Some(cache) = cache.filter(|cache| install || is_installed(cache)) {
        let tools = toolbox(&cache, &doors.otlp_http, &mut Printer).await;
        let tools = tools.map_err(|err| Failure::Other(err.into()))?;
        config.lambda.layers.extend(tools.layers);
        config.lambda.node_runtime.get_or_insert(tools.node_runtime);
        if config.lambda.python_runtime.is_none() {
            config.lambda.python_runtime = match command.install {
                true => python_runtime(&cache, &mut Printer).await,
                false => python_runtime_there(&cache),
            };
        }
        return Ok((config, Some(tools.bin)));
    }
    Ok((config, None))
}

fn tell(
    running: &Running,
    tools: Option<&Path>,
    announce: Option<Announce>,
) -> Result<(), Failure> {
    let (address, endpoint) = (running.address(), running.endpoint());
    let mut out = std::io::stdout().lock();
    match announce {
        Some(Announce::Json) => {
            let line = json!({
                "event": "ready", "pid": std::process::id(), "local": address.to_string(),
                "endpoint": endpoint, "tools": tools,
            });
            writeln!(out, "{line}")?;
        }
        None => {
            writeln!(out, "AWS on this machine is ready: {endpoint}")?;
            writeln!(
                out,
                "  export AWS_ENDPOINT_URL={endpoint} AWS_REGION=us-east-1 \
                 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test"
            )?;
            match tools {
                Some(tools) => writeln!(
                    out,
                    "  export PATH={}:$PATH   # sls, as the Kinesis workshop has it",
                    tools.display()
                )?,
                None => writeln!(
                    out,
                    "  For the Kinesis workshop (its layer, aws-sdk 2, sls) start it once with --install."
                )?,
            }
        }
    }
    Ok(out.flush()?)
}

impl Doors {
    /// The doors of the server at a URL; the usual ones while it does not answer.
    fn of(url: &str) -> Self {
        Self::ask(&Client::new(url)).unwrap_or_default()
    }
}
