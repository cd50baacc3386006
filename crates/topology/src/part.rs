//! A piece of the map: counts that add up, whatever the order.
//!
//! Everything is keyed by the minute of the span's start and by environment, so that a view may
//! choose both later. Strings are numbers into the part's own table.

use std::sync::Arc;

use ahash::AHashMap;

use crate::NodeKind;
use crate::kind::{EdgeKind, Evidence, Side};
use crate::sketch::{Sketch, bucket_of};
use crate::xray::Outcome;

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

/// What a node is called, by string numbers; the empty string where there is nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeName {
    pub(crate) kind: NodeKind,
    pub(crate) name: u32,
    pub(crate) system: u32,
    pub(crate) account: u32,
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
    pub(crate) side: Side,
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
    /// Those that ended in [`Outcome::Error`], [`Outcome::Throttle`], [`Outcome::Fault`].
    pub(crate) outcomes: [i64; 3],
    /// The sum of the durations, in nanoseconds.
    pub(crate) total_nano: i64,
    pub(crate) durations: Sketch,
}

/// Which tables of a part are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    All,
    /// Nodes and edges.
    Calls,
    Operations,
}

/// One span's weight: `count` is 1, or -1 to take it back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) count: i64,
    pub(crate) failed: bool,
    pub(crate) outcome: Outcome,
    pub(crate) nanos: i64,
}

impl Stats {
    pub(crate) fn add(&mut self, sample: Sample) {
        self.requests = self.requests.wrapping_add(sample.count);
        if sample.failed {
            self.errors = self.errors.wrapping_add(sample.count);
        }
        if sample.outcome != Outcome::Ok {
            let sum = &mut self.outcomes[sample.outcome as usize - 1];
            *sum = sum.wrapping_add(sample.count);
        }
        self.total_nano = self.total_nano.wrapping_add(sample.nanos.wrapping_mul(sample.count));
        self.durations.add(bucket_of(sample.nanos), sample.count);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests = self.requests.wrapping_add(other.requests);
        self.errors = self.errors.wrapping_add(other.errors);
        for (sum, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum = sum.wrapping_add(more);
        }
        self.total_nano = self.total_nano.wrapping_add(other.total_nano);
        self.durations.merge(&other.durations);
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.requests == 0
            && self.errors == 0
            && self.outcomes == [0; 3]
            && self.total_nano == 0
            && self.durations.buckets().next().is_none()
    }
}

impl MapPart {
    /// Adds all that `other` says.
    pub fn merge(&mut self, other: &Self) {
        self.add(other, Tables::All, Some);
    }

    /// Adds what some tables of `other` say, each minute to the one that stands for it; what has
    /// none is left out.
    pub(crate) fn add(
        &mut self,
        other: &Self,
        tables: Tables,
        minute_for: impl Fn(u32) -> Option<u32>,
    ) {
        let strings: Vec<u32> = other.strings.iter().map(|s| self.intern_shared(s)).collect();
        let nodes: Vec<u32> = other
            .nodes
            .iter()
            .map(|n| {
                let [name, system, account] =
                    [n.name, n.system, n.account].map(|text| strings[text as usize]);
                self.node(NodeName { kind: n.kind, name, system, account })
            })
            .collect();
        if tables != Tables::Operations {
            for (key, stats) in &other.node_stats {
                let Some(minute) = minute_for(key.minute) else { continue };
                let environment = strings[key.environment as usize];
                let key = NodeKey { minute, environment, node: nodes[key.node as usize] };
                self.node_stats.entry(key).or_default().merge(stats);
            }
            for (key, stats) in &other.edge_stats {
                let Some(minute) = minute_for(key.minute) else { continue };
                let (from, to) = (nodes[key.from as usize], nodes[key.to as usize]);
                let environment = strings[key.environment as usize];
                let key = EdgeKey { minute, environment, from, to, ..*key };
                self.edge_stats.entry(key).or_default().merge(stats);
            }
        }
        if tables != Tables::Calls {
            for (key, stats) in &other.operation_stats {
                let Some(minute) = minute_for(key.minute) else { continue };
                let environment = strings[key.environment as usize];
                let (service, name) = (strings[key.service as usize], strings[key.name as usize]);
                let key = OperationKey { minute, environment, service, name, ..*key };
                self.operation_stats.entry(key).or_default().merge(stats);
            }
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

    pub(crate) fn node(&mut self, name: NodeName) -> u32 {
        *self.node_numbers.entry(name).or_insert_with(|| {
            self.nodes.push(name);
            self.nodes.len() as u32 - 1
        })
    }
}
