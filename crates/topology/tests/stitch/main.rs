//! Joins and journeys, on made and on recorded spans.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod edges;
mod lab;
mod lineage;
mod memory;
mod order;
mod receipts;
mod score;
mod shapes;
