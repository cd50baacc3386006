//! The store from outside: what it promises, on a good disk and on a bad one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod contract;
mod faults;
mod messages;
mod recovery;
mod support;
