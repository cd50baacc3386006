//! The server in this process, driven through its sockets.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod api;
mod exporter;
mod grpc;
mod guesses;
mod harness;
mod http;
mod journey_list;
mod journeys;
mod logs;
mod map_messages;
mod page;
mod page_api;
mod sample;
mod verdicts;
mod xray;
mod xray_bad_input;
mod xray_settings;
mod xray_udp;
