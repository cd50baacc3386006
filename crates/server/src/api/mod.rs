//! Answers. One folder a dialect.

pub mod native;
