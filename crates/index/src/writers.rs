//! Whose entries count in a bucket. Whoever has a key of it, also an earlier one, can seal what opens for
//! everybody else: that does not make it count.

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::NodeId;

/// Whose entries count in a bucket: nobody else's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writers {
    /// Nodes of which all counts.
    pub all: BTreeSet<NodeId>,
    /// Of nodes that may not write any more, the number of the last entry that counts.
    pub until: BTreeMap<NodeId, u64>,
}

impl Writers {
    /// Whether an entry counts.
    pub fn lets(&self, origin: &NodeId, seq: u64) -> bool {
        self.all.contains(origin) || self.until.get(origin).is_some_and(|last| seq <= *last)
    }

    /// Whether something counts that did not by what was known before.
    pub fn let_more_than(&self, before: &Self) -> bool {
        let more = |(node, last): (&NodeId, &u64)| !before.lets(node, *last);
        !self.all.is_subset(&before.all) || self.until.iter().any(more)
    }
}
