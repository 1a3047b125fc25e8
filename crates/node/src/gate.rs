//! Who may connect: nodes that the realm log admits, and a machine that guardians are bringing
//! back while its recovery waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError, Weak};

use freehold_mesh::Gate;
use freehold_realm::Standing;
use freehold_wire::{Millis, NodeId, OpId};

use crate::clock;
use crate::log::View;
use crate::shared::Shared;

/// How long a machine with enough guardian phrases is let in to fetch what it needs.
pub const RECOVERY_VISIT: Millis = Millis::from_hours(100);

/// Machines that proved enough guardian phrases: which recovery each brought, and until when it is
/// let in.
#[derive(Debug, Default)]
pub struct Visitors {
    until: Mutex<BTreeMap<(NodeId, OpId), Millis>>,
}

impl Visitors {
    /// Lets a machine in for a while, unless its recovery is stopped.
    pub fn welcome(&self, node: NodeId, recovery: OpId, until: Millis) {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).insert((node, recovery), until);
    }

    /// Whether it is let in now: its time is not over, and no admin stopped what it brought.
    pub fn admits(&self, node: NodeId, view: &View) -> bool {
        self.of(node).any(|(recovery, until)| until > clock::wall() && !view.is_stopped(&recovery))
    }

    /// Whether an admin stopped what a machine brought while it would still be let in.
    pub fn is_stopped(&self, node: NodeId, view: &View) -> bool {
        !self.admits(node, view) && self.of(node).any(|(_, until)| until > clock::wall())
    }

    fn of(&self, node: NodeId) -> impl Iterator<Item = (OpId, Millis)> {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let of = until.iter().filter(|((visitor, _), _)| *visitor == node);
        of.map(|((_, recovery), until)| (*recovery, *until)).collect::<Vec<_>>().into_iter()
    }

    /// All of them as bytes, for the store: a node that restarts must not shut the door on a
    /// recovery that waits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until
            .iter()
            .flat_map(|((node, recovery), until)| {
                [&node.as_bytes()[..], recovery.as_bytes(), &until.0.to_be_bytes()].concat()
            })
            .collect()
    }

    /// Takes back what [`Self::to_bytes`] gave.
    pub fn restore(&self, bytes: &[u8]) {
        for row in bytes.as_chunks::<72>().0 {
            let recovery = row.get(32..).and_then(|rest| rest.first_chunk::<32>());
            if let (Some(node), Some(recovery), Some(until)) =
                (row.first_chunk::<32>(), recovery, row.last_chunk::<8>())
            {
                let (node, recovery) = (NodeId::from_bytes(*node), OpId::from_bytes(*recovery));
                self.welcome(node, recovery, Millis(u64::from_be_bytes(*until)));
            }
        }
    }

    /// Those that are let in now.
    pub fn list(&self, view: &View) -> BTreeSet<NodeId> {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let all: BTreeSet<NodeId> = until.keys().map(|(node, _)| *node).collect();
        drop(until);
        all.into_iter().filter(|node| self.admits(*node, view)).collect()
    }
}

/// Asks the newest state of the log.
#[derive(Debug)]
pub struct LogGate(pub Weak<Shared>);

impl Gate for LogGate {
    fn admits(&self, node: NodeId) -> bool {
        self.0.upgrade().is_some_and(|shared| admits(&shared.log.view(), &shared, node))
    }

    fn admits_line(&self, node: NodeId) -> bool {
        self.0.upgrade().is_some_and(|shared| {
            let view = shared.log.view();
            let is_guest = || shared.strangers.admits_line(node, view.state(), clock::wall());
            admits(&view, &shared, node) || is_guest()
        })
    }

    fn admits_relay(&self, node: NodeId) -> bool {
        self.0.upgrade().is_some_and(|shared| {
            let view = shared.log.view();
            let comes = || shared.strangers.admits_relay(node, view.state(), clock::wall());
            admits(&view, &shared, node) || comes()
        })
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
    shared.visitors.admits(node, view) || (newcomer && contacts.iter().any(|contact| contact.node == node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_forgets_no_visitor() {
        let before = Visitors::default();
        let (one, two) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let recovery = OpId::from_bytes([3; 32]);
        before.welcome(one, recovery, clock::wall().plus(RECOVERY_VISIT));
        before.welcome(two, recovery, Millis(7));
        let after = Visitors::default();
        after.restore(&before.to_bytes());
        assert_eq!(*after.until.lock().unwrap(), *before.until.lock().unwrap());
        assert_eq!(after.until.lock().unwrap().len(), 2);
    }
}
