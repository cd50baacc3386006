//! Answers. One folder a dialect.

pub mod native;
pub(crate) mod xray;
