//! Names the causes of lost context, from stored traces.
//!
//! A trace that is cut in two looks whole in each half. What was lost shows only where two traces
//! are held against each other: a call that nobody answered beside a root that answers such calls,
//! a message that two traces name, ids that differ by a known damage. Each rule is a function
//! from all spans to cases; [`diagnose`] makes a [`Finding`] of the cases of one kind and hop, with
//! the good cases of that hop against them.

mod broker_fixes;
mod brokers;
mod case;
mod corpus;
mod diagnose;
mod fixes;
mod good;
mod headers;
mod http;
mod ids;
mod in_process;
mod parents;
mod report;
mod texts;

pub use diagnose::{Options, diagnose};
pub use report::{Finding, Fix, Hop, Kind, LookedAt, Pair, Report, Severity, Sight, State};
