//! Who may connect: nodes that the realm log admits, and a machine that guardians are bringing
//! back while its recovery waits.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, Weak};

use freehold_mesh::Gate;
use freehold_realm::Standing;
use freehold_wire::{Millis, NodeId};

use crate::clock;
use crate::log::View;
use crate::shared::Shared;

/// How long a machine with enough guardian phrases is let in to fetch what it needs.
pub const RECOVERY_VISIT: Millis = Millis::from_hours(100);

/// Machines that proved enough guardian phrases, until when.
#[derive(Debug, Default)]
pub struct Visitors {
    until: Mutex<BTreeMap<NodeId, Millis>>,
}

impl Visitors {
    /// Lets a machine in for a while.
    pub fn welcome(&self, node: NodeId, until: Millis) {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).insert(node, until);
    }

    /// Whether it is let in now.
    pub fn admits(&self, node: NodeId) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.get(&node).is_some_and(|until| *until > clock::wall())
    }

    /// All of them as bytes, for the store: a node that restarts must not shut the door on a
    /// recovery that waits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until
            .iter()
            .flat_map(|(node, until)| [&node.as_bytes()[..], &until.0.to_be_bytes()].concat())
            .collect()
    }

    /// Takes back what [`Self::to_bytes`] gave.
    pub fn restore(&self, bytes: &[u8]) {
        for row in bytes.as_chunks::<40>().0 {
            if let (Some(node), Some(until)) = (row.first_chunk::<32>(), row.last_chunk::<8>()) {
                self.welcome(NodeId::from_bytes(*node), Millis(u64::from_be_bytes(*until)));
            }
        }
    }

    /// All of them.
    pub fn list(&self) -> Vec<NodeId> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

/// Asks the newest state of the log.
#[derive(Debug)]
pub struct LogGate(pub Weak<Shared>);

impl Gate for LogGate {
    fn admits(&self, node: NodeId) -> bool {
        self.0.upgrade().is_some_and(|shared| admits(&shared.log.view(), &shared, node))
    }
}

/// Whether a node may connect.
pub fn admits(view: &View, shared: &Shared, node: NodeId) -> bool {
    if let Some(known) = view.state().nodes.get(&node) {
        return known.standing == Standing::Active;
    }
    // A machine that has just joined knows nobody but the one who let it in; that one proves
    // itself by its key.
    let contacts = &shared.identity.first_contacts;
    let newcomer = !view.state().nodes.contains_key(&shared.me());
    shared.visitors.admits(node) || (newcomer && contacts.iter().any(|contact| contact.node == node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_forgets_no_visitor() {
        let before = Visitors::default();
        let (one, two) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        before.welcome(one, clock::wall().plus(RECOVERY_VISIT));
        before.welcome(two, Millis(7));
        let after = Visitors::default();
        after.restore(&before.to_bytes());
        assert_eq!(after.list(), [one, two]);
        assert!(after.admits(one) && !after.admits(two), "the second one's time is over");
    }
}
