//! Prints which messages a Lambda event brought, and the contexts in them.
//!
//! `cargo run -p throughline-context --example event < event.json`
#![allow(clippy::print_stdout, reason = "the receipts are this program's output")]

use std::error::Error;
use std::io::Read as _;

use throughline_context::events::EVENT_MAX_BYTES;
use throughline_context::receipts_of_event;

fn main() -> Result<(), Box<dyn Error>> {
    let mut bytes = Vec::new();
    // One byte more than is read, so that a larger event is refused and not cut.
    std::io::stdin().take(EVENT_MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let event = receipts_of_event(&bytes)?;
    println!("{:?}: {} receipts", event.kind, event.receipts.len());
    for receipt in &event.receipts {
        println!("{receipt}  key {:032x}", receipt.key().0);
    }
    for found in &event.contexts {
        let Some(context) = &found.read.context else { continue };
        let at = found.index.map_or(String::new(), |index| format!("record {index}, "));
        println!("{at}{:?}: trace {} span {}", found.place, context.trace_id, context.span_id);
    }
    Ok(())
}
