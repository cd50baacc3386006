//! Makes the spans that tests and benchmarks send, and runs the real server for them.
//!
//! Comes in:   a seed, or the few fields a test cares about; the path of a binary.
//! Goes out:   [`Span`]s as a `SpanBatch` or as OTLP bytes; a running [`Server`].
//! May touch:  model. It starts processes and opens loopback sockets, so only tests may use it.

mod journey_span;
mod journeys;
mod load;
mod protobuf;
mod server;
mod span;

pub use journey_span::{JourneyLink, JourneySpan, journey_batch};
pub use journeys::{Journeys, Lane, Message, Plan, TrueEdge, journeys};
pub use load::{Load, OPERATIONS, SERVICES};
pub use protobuf::otlp_request;
pub use server::{Server, StartError};
pub use throughline_sample::Rng;

pub use span::{Event, Resource, Span, Value, batch, resource, span};
