//! Whole queries against a real store: the same answer wherever the spans lie.

mod answers;
mod counted;
mod kit;
mod naive;
mod same;
