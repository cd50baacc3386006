//! A fixed work beside the measurement, so that runs on machines of different speed, and on one
//! machine whose speed changes, can be compared.
//!
//! The work is what a server without decoders of its own would begin with: prost decodes the same
//! requests into its tree of Rust values, which is dropped. design/storage.md 5.4 measured the
//! decoders on one machine, and there this took 2 197 ns a span.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use super::process;
use super::requests::Request;

/// Requests that are decoded over and over: a few megabytes, more than the caches hold.
const REQUESTS: usize = 40;
/// As long as the whole run must not take much longer, and the kernel's clock ticks a hundred
/// times a second.
const SECONDS: f64 = 2.0;

/// Some of the requests that are sent.
pub(super) struct Yardstick {
    bodies: Vec<Vec<u8>>,
    spans: usize,
}

impl Yardstick {
    pub(super) fn new(requests: &[Request]) -> Self {
        let some = requests.iter().take(REQUESTS);
        let spans = some.clone().map(|request| request.spans).sum();
        Self { bodies: some.map(|request| request.body.clone()).collect(), spans }
    }

    /// CPU time of prost for one span, now.
    pub(super) fn measure(&self) -> anyhow::Result<Duration> {
        let me = std::process::id();
        let (before, mut spans, mut seconds) = (process::cpu_seconds(me)?, 0, 0.0);
        while seconds < SECONDS {
            for body in &self.bodies {
                let request = ExportTraceServiceRequest::decode(body.as_slice());
                drop(std::hint::black_box(request.context("a request that prost cannot read")?));
            }
            spans += self.spans;
            seconds = process::cpu_seconds(me)? - before;
        }
        Ok(Duration::from_secs_f64(seconds / spans as f64))
    }
}
