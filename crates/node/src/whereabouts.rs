//! Where the other nodes are, as far as their word counts for it. A node that says by which relay it
//! is reached makes everybody else call there; so that counts only of relays that the realm lets nodes
//! run, and of those that another realm lends it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use freehold_mesh::{Addresses, RelayUrl};
use freehold_realm::{NodeRoles, Standing};
use freehold_wire::NodeId;

use crate::clock;
use crate::shared::Shared;

/// Where the active nodes of the realm say that they are, without this one.
pub(crate) fn of_others(shared: &Shared) -> BTreeMap<NodeId, Addresses> {
    let (view, me) = (shared.log.view(), shared.me());
    let directory = shared.directory();
    let active = view.state().nodes.iter().filter(|(_, node)| node.standing == Standing::Active);
    let said = active.filter(|(id, _)| **id != me).filter_map(|(id, node)| {
        let at = Addresses::from_str(&directory.addresses(*id)?.join(",")).ok()?;
        Some((*id, (at, node.roles.contains(NodeRoles::RELAY))))
    });
    let said: BTreeMap<_, _> = said.collect();
    drop(directory);
    let own = shared.mesh.get().and_then(|mesh| mesh.addresses().serves().cloned());
    believed(said, own.into_iter().chain(shared.strangers.relays(view.state(), clock::wall())))
}

/// What counts of what each node said; with each, whether it may be a relay. `more` are this node's own, and what is lent.
fn believed(
    said: BTreeMap<NodeId, (Addresses, bool)>,
    more: impl Iterator<Item = RelayUrl>,
) -> BTreeMap<NodeId, Addresses> {
    let served = said.values().filter(|(_, may_relay)| *may_relay).filter_map(|(at, _)| at.serves().cloned());
    let relays: BTreeSet<_> = served.chain(more).collect();
    let kept = said.into_iter().map(|(id, (at, may_relay))| {
        let at = at.reached_only_by(&relays);
        (id, if may_relay { at } else { at.without_relay_service() })
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relays_of_the_realm_are_called() {
        let node = |number| NodeId::from_bytes([number; 32]);
        let said = [
            (1, "192.0.2.1:1,http://192.0.2.1:2,+http://192.0.2.1:2", true),
            (2, "192.0.2.2:1,http://127.0.0.1:24999,http://192.0.2.1:2,http://192.0.2.9:2", false),
            (3, "http://192.0.2.3:2,+http://192.0.2.3:2", false),
        ];
        let said = said.map(|(number, at, may_relay)| (node(number), (at.parse().unwrap(), may_relay)));
        let believed = believed(said.into(), ["http://192.0.2.9:2".parse().unwrap()].into_iter());
        let shown: Vec<_> = believed.values().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "192.0.2.1:1,http://192.0.2.1:2,+http://192.0.2.1:2",
                "192.0.2.2:1,http://192.0.2.1:2,http://192.0.2.9:2",
                ""
            ]
        );
    }
}
