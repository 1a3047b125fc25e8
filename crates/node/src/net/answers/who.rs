//! Who asks for a name.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use freehold_names::PolicyParty;
use freehold_reach::{Party, owner_of_node};
use freehold_realm::State;
use freehold_wire::{NodeId, PersonId, PhoneId, Prefix};

use crate::net::Snapshot;
use crate::net::near::Near;

/// What tells who asks from where.
#[derive(Debug)]
pub(crate) struct Who {
    now: Arc<Snapshot>,
    me: NodeId,
    owners: BTreeMap<NodeId, PersonId>,
    holders: BTreeMap<PhoneId, PersonId>,
    near: Near,
    /// Networks that somebody has named: those in them are neighbours as well.
    named: Vec<Prefix>,
}

impl Who {
    pub(crate) fn of(now: Arc<Snapshot>, me: NodeId, state: &State, near: Near, named: Vec<Prefix>) -> Self {
        let owners =
            state.nodes.keys().filter_map(|node| Some((*node, owner_of_node(state, node)?))).collect();
        let holders = state.live_phones().map(|(id, phone)| (*id, phone.person)).collect();
        Self { now, me, owners, holders, near, named }
    }

    /// Whose question it is: this machine's, one of the realm's, or one of somebody in the network around; a
    /// stranger's is refused.
    pub(crate) fn party(&self, from: IpAddr) -> Option<PolicyParty> {
        let from = from.to_canonical();
        if from.is_loopback() {
            return Some(self.node(self.me));
        }
        match self.now.net.party_of(from) {
            Some(Party::Node(node)) => Some(self.node(node)),
            Some(Party::Phone(phone)) => Some(self.phone(phone)),
            // Who has no rights in the realm is no neighbour by an address of it.
            None if self.is_near(from) => Some(PolicyParty { address: Some(from), ..PolicyParty::default() }),
            Some(Party::Guest(..) | Party::Lan) | None => None,
        }
    }

    fn is_near(&self, at: IpAddr) -> bool {
        let is_ours = self.now.own.iter().any(|own| own.contains(at));
        !is_ours && (self.near.has(at) || self.named.iter().any(|network| network.contains(at)))
    }

    /// A machine, and whoever it belongs to.
    pub(crate) fn node(&self, node: NodeId) -> PolicyParty {
        let person = self.owners.get(&node).copied();
        PolicyParty { node: Some(node), person, ..PolicyParty::default() }
    }

    /// A phone, and whoever holds it.
    pub(crate) fn phone(&self, phone: PhoneId) -> PolicyParty {
        let person = self.holders.get(&phone).copied();
        PolicyParty { phone: Some(*phone.as_bytes()), person, ..PolicyParty::default() }
    }
}
