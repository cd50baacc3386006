//! A piece of the map: counts that add up, whatever the order.
//!
//! Everything is keyed by the minute of the span's start and by environment, so that a view may
//! choose both later. Strings are numbers into the part's own table.

use std::sync::Arc;

use ahash::AHashMap;

use crate::NodeKind;
use crate::kind::{EdgeKind, Evidence};
use crate::sketch::Sketch;

/// Nanoseconds of a minute, the grain of time of the map.
pub(crate) const MINUTE_NANOS: i64 = 60_000_000_000;

/// Additive counts of nodes, edges and operations, by minute and environment.
///
/// A part may be a delta with negative counts, which take back what an earlier part said. Merging
/// is commutative and associative; two parts that say the same encode to the same bytes.
#[derive(Clone, Debug, Default)]
pub struct MapPart {
    pub(crate) strings: Vec<Arc<str>>,
    string_numbers: AHashMap<Arc<str>, u32>,
    pub(crate) nodes: Vec<NodeName>,
    node_numbers: AHashMap<NodeName, u32>,
    pub(crate) node_stats: AHashMap<NodeKey, Stats>,
    pub(crate) edge_stats: AHashMap<EdgeKey, Stats>,
    pub(crate) operation_stats: AHashMap<OperationKey, Stats>,
}

/// What a node is called, by string numbers. `system` is the empty string when there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeName {
    pub(crate) kind: NodeKind,
    pub(crate) name: u32,
    pub(crate) system: u32,
}

/// `node` is a node number, `environment` a string number, `minute` counts from the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeKey {
    pub(crate) minute: u32,
    pub(crate) environment: u32,
    pub(crate) node: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EdgeKey {
    pub(crate) minute: u32,
    pub(crate) environment: u32,
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) kind: EdgeKind,
    pub(crate) evidence: Evidence,
}

/// `service` and `name` are string numbers, `kind` is a span kind's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OperationKey {
    pub(crate) minute: u32,
    pub(crate) environment: u32,
    pub(crate) service: u32,
    pub(crate) name: u32,
    pub(crate) kind: u8,
}

/// What is counted of a node, an edge or an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) requests: i64,
    pub(crate) errors: i64,
    pub(crate) durations: Sketch,
}

/// One span's weight: `count` is 1, or -1 to take it back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) count: i64,
    pub(crate) failed: bool,
    pub(crate) bucket: u16,
}

impl Stats {
    pub(crate) fn add(&mut self, sample: Sample) {
        self.requests = self.requests.wrapping_add(sample.count);
        if sample.failed {
            self.errors = self.errors.wrapping_add(sample.count);
        }
        self.durations.add(i32::from(sample.bucket), sample.count);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests = self.requests.wrapping_add(other.requests);
        self.errors = self.errors.wrapping_add(other.errors);
        self.durations.merge(&other.durations);
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.requests == 0 && self.errors == 0 && self.durations.buckets().next().is_none()
    }
}

impl MapPart {
    /// Adds all that `other` says.
    pub fn merge(&mut self, other: &Self) {
        let strings: Vec<u32> = other.strings.iter().map(|s| self.intern_shared(s)).collect();
        let nodes: Vec<u32> = other
            .nodes
            .iter()
            .map(|n| self.node(n.kind, strings[n.name as usize], strings[n.system as usize]))
            .collect();
        for (key, stats) in &other.node_stats {
            let environment = strings[key.environment as usize];
            let key = NodeKey { environment, node: nodes[key.node as usize], ..*key };
            self.node_stats.entry(key).or_default().merge(stats);
        }
        for (key, stats) in &other.edge_stats {
            let (from, to) = (nodes[key.from as usize], nodes[key.to as usize]);
            let environment = strings[key.environment as usize];
            let key = EdgeKey { environment, from, to, ..*key };
            self.edge_stats.entry(key).or_default().merge(stats);
        }
        for (key, stats) in &other.operation_stats {
            let environment = strings[key.environment as usize];
            let (service, name) = (strings[key.service as usize], strings[key.name as usize]);
            let key = OperationKey { environment, service, name, ..*key };
            self.operation_stats.entry(key).or_default().merge(stats);
        }
    }

    /// Forgets what was counted and taken back again.
    pub(crate) fn drop_zeros(&mut self) {
        self.node_stats.retain(|_, stats| !stats.is_zero());
        self.edge_stats.retain(|_, stats| !stats.is_zero());
    }

    /// Whether the part says nothing: adding it changes no map.
    pub fn is_empty(&self) -> bool {
        self.node_stats.values().all(Stats::is_zero)
            && self.edge_stats.values().all(Stats::is_zero)
            && self.operation_stats.values().all(Stats::is_zero)
    }

    /// How many counted entries the part holds, for those who bound caches.
    pub fn entry_count(&self) -> usize {
        self.node_stats.len() + self.edge_stats.len() + self.operation_stats.len()
    }

    pub(crate) fn string(&self, number: u32) -> &str {
        &self.strings[number as usize]
    }

    pub(crate) fn string_number(&self, text: &str) -> Option<u32> {
        self.string_numbers.get(text).copied()
    }

    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        match self.string_numbers.get(text) {
            Some(number) => *number,
            None => self.intern_shared(&Arc::from(text)),
        }
    }

    fn intern_shared(&mut self, text: &Arc<str>) -> u32 {
        *self.string_numbers.entry(Arc::clone(text)).or_insert_with(|| {
            self.strings.push(Arc::clone(text));
            self.strings.len() as u32 - 1
        })
    }

    pub(crate) fn node(&mut self, kind: NodeKind, name: u32, system: u32) -> u32 {
        let name = NodeName { kind, name, system };
        *self.node_numbers.entry(name).or_insert_with(|| {
            self.nodes.push(name);
            self.nodes.len() as u32 - 1
        })
    }
}
