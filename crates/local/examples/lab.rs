//! A workshop by itself, against a running throughline.
//!
//! `cargo run -p throughline-local --example lab -- auto|manual|kinesis|signup HTTP OTLP_HTTP XRAY [--cache DIR]
//!  [--front-door URL] [--prefix WORD] [--requests N] [--stay]`, where HTTP and OTLP_HTTP are `http://host:port` and
//! XRAY is `host:port`. Ends with exit code 1 when a promise does not hold; with `--stay`, on Ctrl-C.
//!
//! `... --example lab -- cloud HTTP OTLP_HTTP XRAY [--cache DIR]` only opens a front door that knows the labs' layer
//! and runtime, prints its address and the folder of `sls` as a line of JSON, and ends with its standard input.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::process::ExitCode;

use throughline_local::LocalConfig;
use throughline_local::lab::{
    Lab, LabError, LabOptions, Line, Report, Say, Throughline, Variant, default_cache, run, toolbox,
};
use tokio_util::sync::CancellationToken;

struct Plain;

impl Say for Plain {
    fn say(&mut self, line: Line<'_>) {
        match line {
            Line::Step(text) => println!("\n== {text}"),
            Line::Command(text) => println!("$ {text}"),
            Line::Output(text) => println!("{}", text.trim_end()),
            Line::Progress { what, elapsed } => {
                println!("   \u{2026} {what}, {} s", elapsed.as_secs());
            }
            Line::Look { text, link } => println!("-> {text}\n   {link}"),
            Line::Checked(check) => {
                let word = if check.passed { "ok" } else { "NOT" };
                println!("[{word}] {}: {}", check.what, check.seen);
            }
            Line::Note(text) => println!("({text})"),
        }
    }
}

/// Whose output a script reads.
struct Silent;

impl Say for Silent {
    fn say(&mut self, _: Line<'_>) {}
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |name: &str| arguments.next().ok_or_else(|| format!("{name} is missing"));
    let lab = match next("a workshop")?.as_str() {
        "auto" => Some(Lab::Kinesis(Variant::Auto)),
        "manual" => Some(Lab::Kinesis(Variant::Manual)),
        "kinesis" => Some(Lab::Kinesis(Variant::Both)),
        "signup" => Some(Lab::Signup),
        "cloud" => None,
        other => return Err(format!("{other} is no workshop").into()),
    };
    let throughline = Throughline {
        http: next("HTTP")?,
        otlp_http: next("OTLP_HTTP")?,
        xray: next("XRAY")?.parse()?,
    };
    let mut options = LabOptions {
        throughline,
        front_door: None,
        cache: default_cache().ok_or("no home folder is known: name a --cache")?,
        prefix: "lab".to_owned(),
        requests: 5,
        stay: false,
        stop: CancellationToken::new(),
    };
    while let Some(flag) = arguments.next() {
        if flag == "--stay" {
            options.stay = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--cache" => options.cache = value.into(),
            "--front-door" => options.front_door = Some(value),
            "--prefix" => options.prefix = value,
            "--requests" => options.requests = value.parse()?,
            other => return Err(format!("{other} is no flag").into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let Some(lab) = lab else {
        runtime.block_on(cloud(&options))?;
        return Ok(ExitCode::SUCCESS);
    };
    let report = runtime.block_on(until_stopped(lab, &options))?;
    let failed = report.checks.iter().filter(|check| !check.passed).count();
    println!("\n{} checks, {failed} failed", report.checks.len());
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn cloud(options: &LabOptions) -> Result<(), Box<dyn std::error::Error>> {
    let Throughline { http, otlp_http, xray } = &options.throughline;
    let tools = toolbox(&options.cache, otlp_http, &mut Silent).await?;
    let mut config = LocalConfig {
        listen: "127.0.0.1:0".parse()?,
        throughline: Some(http.clone()),
        xray_daemon: *xray,
        ..LocalConfig::default()
    };
    config.lambda.node_runtime = Some(tools.node_runtime);
    config.lambda.layers = tools.layers;
    let running = throughline_local::run(config).await?;
    println!("{}", serde_json::json!({ "endpoint": running.endpoint(), "bin": tools.bin }));
    let end = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
    end.await??;
    running.stop().await;
    Ok(())
}

async fn until_stopped(lab: Lab, options: &LabOptions) -> Result<Report, LabError> {
    let stop = options.stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    run(lab, options, &mut Plain).await
}
