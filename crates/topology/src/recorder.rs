//! Writes counts into a part, in the linker's numbers.

use ahash::{AHashMap, AHashSet};

use crate::kind::{EdgeKind, Evidence, Side};
use crate::names::{Names, OTHER};
use crate::part::{EdgeKey, MapPart, NodeKey, NodeName, OperationKey, Sample};
use crate::tables::{Record, flag};

/// A part that is being written, with the numbers it gave to the linker's names.
pub(crate) struct Recorder {
    pub(crate) part: MapPart,
    /// Node and string numbers of the part plus one, by the linker's node and origin numbers.
    nodes: Vec<u32>,
    environments: Vec<u32>,
    /// The span names of each service, by string numbers, as far as they may be told apart.
    operations: AHashMap<u32, AHashSet<u32>>,
    operations_max: usize,
    /// How many operations became [`OTHER`].
    pub(crate) folded: u64,
}

impl Recorder {
    pub(crate) fn new(part: MapPart, operations_max: usize) -> Self {
        Self {
            part,
            nodes: Vec::new(),
            environments: Vec::new(),
            operations: AHashMap::new(),
            operations_max,
            folded: 0,
        }
    }

    /// The part's number for a string.
    pub(crate) fn string(&mut self, text: &str) -> u32 {
        self.part.intern(text)
    }

    /// Counts a span among the operations of its service; strings by the part's numbers.
    pub(crate) fn operation(&mut self, mut key: OperationKey, sample: Sample) {
        if let Some(stats) = self.part.operation_stats.get_mut(&key) {
            return stats.add(sample);
        }
        let known = self.operations.entry(key.service).or_default();
        if known.len() < self.operations_max {
            known.insert(key.name);
        } else if !known.contains(&key.name) {
            self.folded += 1;
            key.name = self.part.intern(OTHER);
        }
        self.part.operation_stats.entry(key).or_default().add(sample);
    }

    /// Counts a span at a node; `count` is -1 to take it back.
    pub(crate) fn node(&mut self, names: &Names, span: &Record, node: u32, count: i64) {
        let environment = self.environment_number(names, span.origin);
        let node = self.node_number(names, node);
        let key = NodeKey { minute: span.minute, environment, node };
        self.part.node_stats.entry(key).or_default().add(span.sample(count));
    }

    /// Counts a span at an edge, on its own side.
    pub(crate) fn edge(&mut self, names: &Names, span: &Record, edge: EdgeEnds, count: i64) {
        self.edge_seen_by(names, span, edge, Side::Callee, span.sample(count));
    }

    /// Counts a span at an edge, as one side saw it.
    pub(crate) fn edge_seen_by(
        &mut self,
        names: &Names,
        span: &Record,
        edge: EdgeEnds,
        side: Side,
        sample: Sample,
    ) {
        let environment = self.environment_number(names, span.origin);
        let (from, to) = (self.node_number(names, edge.from), self.node_number(names, edge.to));
        let EdgeEnds { kind, evidence, .. } = edge;
        let key = EdgeKey { minute: span.minute, environment, from, to, kind, evidence, side };
        self.part.edge_stats.entry(key).or_default().add(sample);
    }

    fn node_number(&mut self, names: &Names, node: u32) -> u32 {
        if self.nodes.len() < names.node_count() {
            self.nodes.resize(names.node_count(), 0);
        }
        let known = &mut self.nodes[node as usize];
        if *known == 0 {
            let entry = names.entry(node);
            let [name, system, account] =
                [&entry.name, &entry.system, &entry.account].map(|text| self.part.intern(text));
            *known = self.part.node(NodeName { kind: entry.kind, name, system, account }) + 1;
        }
        *known - 1
    }

    pub(crate) fn environment_number(&mut self, names: &Names, origin: u32) -> u32 {
        if self.environments.len() < names.origin_count() {
            self.environments.resize(names.origin_count(), 0);
        }
        let known = &mut self.environments[origin as usize];
        if *known == 0 {
            *known = self.part.intern(names.environment(origin)) + 1;
        }
        *known - 1
    }
}

/// An edge in the linker's node numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EdgeEnds {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) kind: EdgeKind,
    pub(crate) evidence: Evidence,
}

impl Record {
    /// What it weighs; `count` is -1 to take it back.
    pub(crate) fn sample(&self, count: i64) -> Sample {
        let (failed, outcome) = (self.is(flag::FAILED), self.outcome());
        Sample { count, failed, outcome, nanos: self.duration as i64 }
    }
}
