//! The names a linker remembers: nodes, and who sends spans.
//!
//! Records hold numbers into these tables. The tables are bounded: names that no record uses any
//! more are dropped by [`Names::keep`], and beyond the bound all new names become [`OTHER`].

use ahash::AHashMap;

use crate::NodeKind;
use crate::view::id_of;

/// What stands for all names beyond a bound.
pub const OTHER: &str = "(other)";

/// The node number that means "no node".
pub(crate) const NO_NODE: u32 = 0;

/// Nodes and origins by number. The key of a node is its text: `kind system NUL account NUL name`.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    nodes: Vec<Entry>,
    node_numbers: AHashMap<Box<[u8]>, u32>,
    origins: Vec<Origin>,
    origin_numbers: AHashMap<(u32, Box<str>), u32>,
    scratch: Vec<u8>,
    names_max: usize,
    /// How many names became [`OTHER`].
    pub(crate) folded: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: NodeKind,
    pub(crate) name: Box<str>,
    pub(crate) system: Box<str>,
    pub(crate) account: Box<str>,
}

/// Who sends spans.
#[derive(Clone, Debug)]
struct Origin {
    /// The service's node.
    service: u32,
    /// The node of the clients that start requests at the service.
    client: u32,
    environment: Box<str>,
}

/// What a sender says of itself: its name, its type in X-Ray's words, its account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender<'a> {
    pub(crate) service: &'a str,
    pub(crate) system: &'a str,
    pub(crate) account: &'a str,
    pub(crate) environment: &'a str,
}

/// New numbers by old number; `u32::MAX` where a name was dropped.
pub(crate) struct Renumbered {
    nodes: Vec<u32>,
    origins: Vec<u32>,
}

impl Names {
    pub(crate) fn new(names_max: usize) -> Self {
        let mut names = Self {
            nodes: Vec::new(),
            node_numbers: AHashMap::new(),
            origins: Vec::new(),
            origin_numbers: AHashMap::new(),
            scratch: Vec::new(),
            names_max,
            folded: 0,
        };
        names.clear();
        names
    }

    fn clear(&mut self) {
        self.nodes.clear();
        self.node_numbers.clear();
        self.origins.clear();
        self.origin_numbers.clear();
        // Takes number 0, which no span can name.
        let empty = || Box::<str>::from("");
        let kind = NodeKind::External;
        let nobody = Entry { kind, name: empty(), system: empty(), account: empty() };
        self.nodes.push(nobody);
    }

    /// The number of a node, new if need be.
    pub(crate) fn node(&mut self, kind: NodeKind, name: &str, system: &str) -> u32 {
        self.node_in(kind, name, system, "")
    }

    fn node_in(&mut self, kind: NodeKind, name: &str, system: &str, account: &str) -> u32 {
        let (name, system, account) = (clipped(name), clipped(system), clipped(account));
        self.scratch.clear();
        self.scratch.push(kind as u8);
        self.scratch.extend_from_slice(system.as_bytes());
        self.scratch.push(0);
        self.scratch.extend_from_slice(account.as_bytes());
        self.scratch.push(0);
        self.scratch.extend_from_slice(name.as_bytes());
        if let Some(number) = self.node_numbers.get(self.scratch.as_slice()) {
            return *number;
        }
        if self.nodes.len() >= self.names_max && name != OTHER {
            self.folded += 1;
            return self.node_in(kind, OTHER, "", "");
        }
        let number = self.nodes.len() as u32;
        self.node_numbers.insert(self.scratch.as_slice().into(), number);
        let (name, system, account) = (name.into(), system.into(), account.into());
        self.nodes.push(Entry { kind, name, system, account });
        number
    }

    /// The number of a sender, new if need be.
    pub(crate) fn origin(&mut self, sender: Sender<'_>) -> u32 {
        let Sender { service, system, account, environment } = sender;
        let node = self.node_in(NodeKind::Service, service, system, account);
        let mut key: (u32, Box<str>) = (node, clipped(environment).into());
        if let Some(number) = self.origin_numbers.get(&key) {
            return *number;
        }
        if self.origins.len() >= self.names_max && &*key.1 != OTHER {
            self.folded += 1;
            key = (node, OTHER.into());
            if let Some(number) = self.origin_numbers.get(&key) {
                return *number;
            }
        }
        let number = self.origins.len() as u32;
        let client = self.node_in(NodeKind::Client, service, system, account);
        self.origins.push(Origin { service: node, client, environment: key.1.clone() });
        self.origin_numbers.insert(key, number);
        number
    }

    /// The number of a node by its id, as in [`crate::Node::id`].
    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        let is_it =
            |entry: &Entry| id_of(entry.kind, &entry.system, &entry.account, &entry.name) == id;
        // Number 0 is nobody.
        let found = self.nodes.iter().skip(1).position(is_it)?;
        u32::try_from(found + 1).ok()
    }

    pub(crate) fn entry(&self, node: u32) -> &Entry {
        &self.nodes[node as usize]
    }

    /// The service node of a sender.
    pub(crate) fn service(&self, origin: u32) -> u32 {
        self.origins[origin as usize].service
    }

    /// The node of the clients of a sender.
    pub(crate) fn client(&self, origin: u32) -> u32 {
        self.origins[origin as usize].client
    }

    pub(crate) fn environment(&self, origin: u32) -> &str {
        &self.origins[origin as usize].environment
    }

    pub(crate) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn origin_count(&self) -> usize {
        self.origins.len()
    }

    /// Whether it is time to ask which names are still used.
    pub(crate) fn nearly_full(&self) -> bool {
        self.nodes.len().max(self.origins.len()) * 4 > self.names_max * 3
    }

    /// Drops all names but those marked; `nodes` and `origins` have one flag a number.
    pub(crate) fn keep(&mut self, nodes: &mut [bool], origins: &[bool]) -> Renumbered {
        let old_nodes = std::mem::take(&mut self.nodes);
        let old_origins = std::mem::take(&mut self.origins);
        self.clear();
        for (origin, _) in old_origins.iter().zip(origins).filter(|(_, used)| **used) {
            nodes[origin.service as usize] = true;
            nodes[origin.client as usize] = true;
        }
        let mut renumbered = Renumbered { nodes: vec![NO_NODE], origins: Vec::new() };
        for (entry, used) in old_nodes.iter().zip(&*nodes).skip(1) {
            let Entry { kind, name, system, account } = entry;
            let number = if *used { self.node_in(*kind, name, system, account) } else { u32::MAX };
            renumbered.nodes.push(number);
        }
        for (origin, used) in old_origins.iter().zip(origins) {
            let Entry { name: service, system, account, .. } = &old_nodes[origin.service as usize];
            let environment = &origin.environment;
            let sender = Sender { service, system, account, environment };
            let number = if *used { self.origin(sender) } else { u32::MAX };
            renumbered.origins.push(number);
        }
        renumbered
    }
}

impl Renumbered {
    pub(crate) fn node(&self, old: u32) -> u32 {
        self.nodes[old as usize]
    }

    pub(crate) fn origin(&self, old: u32) -> u32 {
        self.origins[old as usize]
    }
}

/// A name no longer than anyone reads, cut at a character.
pub(crate) fn clipped(name: &str) -> &str {
    const NAME_BYTES_MAX: usize = 256;
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_become_other_until_unused_ones_are_dropped() {
        let mut names = Names::new(5);
        let a = names.node(NodeKind::External, "a", "");
        let web = Sender { service: "web", system: "", account: "", environment: "prod" };
        let origin = names.origin(web);
        names.node(NodeKind::External, "b", "");
        let beyond = names.node(NodeKind::External, "c", "");
        assert_eq!((&*names.entry(beyond).name, names.folded), (OTHER, 1));
        assert_eq!(names.node(NodeKind::External, "a", ""), a);

        let mut used = vec![false; names.node_count()];
        let renumbered = names.keep(&mut used, &[true]);
        assert_eq!(names.environment(renumbered.origin(origin)), "prod");
        let c = names.node(NodeKind::External, "c", "");
        assert_eq!(&*names.entry(c).name, "c");
    }
}
