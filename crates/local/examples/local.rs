//! The local cloud by itself, for trying tools against it.
//!
//! `cargo run -p throughline-local --example local -- 127.0.0.1:4566 [--data DIR] [--upstream URL]
//!  [--throughline URL] [--layer ARN=PATH] ... [--node-runtime DIR]`; ends with its standard input.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::io::Read;

use throughline_local::lambda::LayerMapping;
use throughline_local::{LocalConfig, run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = LocalConfig::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--data" => config.data = Some(value()?.into()),
            "--upstream" => config.upstream = Some(value()?),
            "--throughline" => config.throughline = Some(value()?),
            "--node-runtime" => config.lambda.node_runtime = Some(value()?.into()),
            "--layer" => {
                let value = value()?;
                let (arn, path) = value.split_once('=').ok_or("--layer is ARN=PATH")?;
                config.lambda.layers.push(LayerMapping { arn: arn.to_owned(), path: path.into() });
            }
            address => config.listen = address.parse()?,
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let running = runtime.block_on(run(config))?;
    println!("{}", running.endpoint());
    // Whoever started us closes the pipe, or dies, which closes it too.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    runtime.block_on(running.stop());
    Ok(())
}
