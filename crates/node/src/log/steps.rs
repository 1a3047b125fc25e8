//! Since when each connected node has not had exactly this node's log. Heads are told every half
//! minute; so whoever stays apart for minutes takes something that the other refuses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use freehold_wire::{Millis, NodeId};

/// A long log, over a slow line, is in step by then.
const APART_MAX: Millis = Millis::from_secs(5 * 60);

/// For each connected node, when it was last known to have the same log; at first, when it came.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps(Arc<Mutex<BTreeMap<NodeId, Millis>>>);

impl Steps {
    /// A node is connected, or has what is here.
    pub(super) fn together(&self, node: NodeId, now: Millis) {
        self.since().insert(node, now);
    }

    /// A node has gone.
    pub(super) fn gone(&self, node: NodeId) {
        self.since().remove(&node);
    }

    /// Those that stay apart, and for how long.
    pub(super) fn apart(&self, now: Millis) -> Vec<(NodeId, Millis)> {
        let since = self.since();
        let apart = since.iter().map(|(node, since)| (*node, now.since(*since)));
        apart.filter(|(_, apart)| *apart >= APART_MAX).collect()
    }

    fn since(&self) -> MutexGuard<'_, BTreeMap<NodeId, Millis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connected_node_that_stays_apart_shows() {
        let (steps, node) = (Steps::default(), NodeId::from_bytes([1; 32]));
        let at = Millis::from_secs;
        steps.together(node, at(10));
        assert!(steps.apart(at(300)).is_empty(), "it has time to catch up");
        assert_eq!(steps.apart(at(310)), [(node, APART_MAX)]);
        steps.together(node, at(320));
        assert!(steps.apart(at(600)).is_empty());
        steps.gone(node);
        assert!(steps.apart(at(9999)).is_empty(), "that it is away is told elsewhere");
    }
}
