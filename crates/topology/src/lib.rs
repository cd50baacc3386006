//! Draws the service map: who calls whom, how often, how well.
//!
//! Comes in:   batches of spans, each span once, in any order; time comes from the spans.
//! Goes out:   `MapPart`s, counts that add up, and views of them: map, services, operations.
//! May touch:  `model`, `context`. Never: disk, network, clock, protocol words.

mod codec;
pub mod doctor;
mod host;
mod keys;
mod kind;
mod linker;
mod names;
mod part;
mod peer;
mod recorder;
mod rules;
mod sender;
mod sketch;
pub mod stitch;
mod sum;
mod tables;
mod view;
pub mod xray;
mod xray_map;

pub use codec::DecodePartError;
pub use kind::{EdgeKind, Evidence, NodeKind};
pub use linker::{CountedSpan, Linker, LinkerLimits, LinkerOverflow};
pub use names::OTHER;
pub use part::MapPart;
pub use sum::{MapSum, MapTotal};
pub use view::{Edge, MapFilter, Node, OperationStats, ServiceMap, ServiceStats, service_node_id};
