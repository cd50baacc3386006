//! Invented systems, made from a seed: to look at before there are spans of one's own, and for tests.
//!
//! Comes in:   which system, how large, when it ends, a seed.
//! Goes out:   its spans as `SpanBatch`es, and the ids of its traces.
//! May touch:  model. Pure: the clock and the seed are the caller's.

mod large;
mod made;
mod ride;
mod rng;
mod shop;
mod system;

pub use rng::Rng;
pub use system::{Sample, System, Wanted, make};
