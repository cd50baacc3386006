//! The store from outside: what it promises, on a good disk and on a bad one.

mod contract;
mod faults;
mod recovery;
mod support;
