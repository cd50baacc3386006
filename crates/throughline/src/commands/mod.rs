//! One file a command. Each asks, then prints.

pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod join;
pub(crate) mod journey;
pub(crate) mod journeys;
pub(crate) mod lab;
pub(crate) mod local;
pub(crate) mod logs;
pub(crate) mod map;
pub(crate) mod sample;
pub(crate) mod search;
pub(crate) mod trace;
