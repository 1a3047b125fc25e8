//! When keys of a bucket may end on a node. A key that ends takes with it whatever lives on it alone, and not every
//! node can tell what does: so each waits for the word of all that can.

use std::collections::{BTreeMap, BTreeSet};

use freehold_seal::Ready;
use freehold_wire::NodeId;

/// What a node knows of the others when it asks whether keys of a bucket may end before one.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    /// The key that stays.
    pub(super) kept: u32,
    /// Nodes whose rights hold, and whether they have the role `secrets`.
    pub(super) active: BTreeMap<NodeId, bool>,
    /// Every node that the log was ever to let in, also where that was refused later.
    pub(super) named: BTreeSet<NodeId>,
    /// Nodes that such a key was boxed to, by themselves or by a keeper; and whether by a keeper.
    pub(super) boxed: BTreeMap<NodeId, bool>,
    /// Who is ready.
    pub(super) said: BTreeMap<NodeId, Ready>,
    /// The number of each node's last entry in the bucket that is here.
    pub(super) here: BTreeMap<NodeId, u64>,
    /// Whether a keeper boxed the key that stays for the guardians: so it is an ordinary bucket's, and whatever
    /// becomes of its holders, somebody opens what they sealed anew.
    pub(super) for_guardians: bool,
}

/// What has to come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wait {
    /// The box for the guardians.
    Guardians,
    /// What the log says of a node that has such a key.
    Log,
    /// The word of these nodes.
    Words(BTreeSet<NodeId>),
    /// What these nodes wrote before they were ready.
    Entries(BTreeSet<NodeId>),
    /// Somebody with rights who has all those keys.
    Whole,
}

impl Scene {
    /// Those whose word is needed: all that may have such a key and have rights. Who has lost them said what it has
    /// to say to whoever took them away.
    pub(super) fn asked(&self) -> impl Iterator<Item = &NodeId> {
        let active = self.active.iter();
        active.filter(|(node, keeps)| **keeps || self.boxed.contains_key(node)).map(|(node, _)| node)
    }

    /// What a node that is ready has said.
    pub(super) fn ready(&self, node: &NodeId) -> Option<&Ready> {
        self.said.get(node).filter(|said| said.kept >= self.kept)
    }

    /// Whether keys may end.
    pub(super) fn may_end(&self) -> Result<(), Wait> {
        if !self.for_guardians {
            return Err(Wait::Guardians);
        }
        // A keeper gives keys to those alone whom the log lets in; what each boxes for itself proves nothing.
        if self.boxed.iter().any(|(node, by_keeper)| *by_keeper && !self.named.contains(node)) {
            return Err(Wait::Log);
        }
        let silent: BTreeSet<NodeId> =
            self.asked().filter(|node| self.ready(node).is_none()).copied().collect();
        if !silent.is_empty() {
            return Err(Wait::Words(silent));
        }
        let is_behind = |node: &&NodeId| {
            let last = self.ready(node).map_or(0, |ready| ready.last);
            self.here.get(*node).copied().unwrap_or_default() < last
        };
        let behind: BTreeSet<NodeId> = self.asked().filter(is_behind).copied().collect();
        if !behind.is_empty() {
            return Err(Wait::Entries(behind));
        }
        let whole = self.asked().any(|node| self.ready(node).is_some_and(|ready| ready.whole));
        if whole { Ok(()) } else { Err(Wait::Whole) }
    }
}

#[cfg(test)]
mod tests;
