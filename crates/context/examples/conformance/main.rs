//! A service that carries W3C trace context on, to be driven by a conformance harness.
//!
//! `cargo run -p throughline-context --example conformance -- 127.0.0.1:5000`, then
//! `POST http://127.0.0.1:5000/test` with `[{"url": ..., "arguments": ...}]`. Port 0 takes a free
//! one; the first line of output says which.
#![allow(clippy::print_stdout, reason = "the address is this program's output")]

mod service;

use std::error::Error;

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5000".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("listening on http://{}/test", listener.local_addr()?);
    axum::serve(listener, service::router()).await?;
    Ok(())
}
