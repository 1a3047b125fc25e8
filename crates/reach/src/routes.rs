//! Over which line a packet goes, and over which it may come.

use std::collections::BTreeMap;
use std::net::IpAddr;

use freehold_realm::{State, network_of};
use freehold_wire::{NodeId, PhoneId, Prefix, ServiceId};

use crate::party::Party;
use crate::table::{Spot, Table, exits_of, gateways_of, homes_of, routes_of};

/// What this machine has chosen to use of what others offer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// The node through which it goes to the internet.
    pub exit: Option<NodeId>,
    /// The networks behind other nodes that it uses.
    pub routes: Accepted,
}

/// Whose networks a machine uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Accepted {
    /// Nobody's.
    #[default]
    None,
    /// Those behind these nodes.
    Of(Vec<NodeId>),
    /// Everybody's.
    All,
}

impl Accepted {
    fn has(&self, node: &NodeId) -> bool {
        match self {
            Self::None => false,
            Self::Of(nodes) => nodes.contains(node),
            Self::All => true,
        }
    }
}

/// The ways of one realm's packets.
#[derive(Debug, Clone)]
pub(crate) struct Routes {
    /// What the realm's own addresses are in.
    own: [Prefix; 2],
    prefixes: Vec<(Prefix, NodeId)>,
    exits: Vec<NodeId>,
    homes: BTreeMap<ServiceId, Vec<NodeId>>,
    gateways: BTreeMap<PhoneId, Vec<NodeId>>,
}

impl Routes {
    pub(crate) fn of(state: &State) -> Self {
        Self {
            own: [network_of(&state.realm), state.network.range],
            prefixes: routes_of(state),
            exits: exits_of(state),
            homes: state.live_services().map(|(id, _)| (*id, homes_of(state, id))).collect(),
            gateways: state.live_phones().map(|(id, _)| (*id, gateways_of(state, id))).collect(),
        }
    }

    /// Whether an address is one of the realm's.
    pub(crate) fn is_own(&self, at: IpAddr) -> bool {
        self.own.iter().any(|own| own.contains(at))
    }

    fn homes(&self, service: &ServiceId) -> &[NodeId] {
        self.homes.get(service).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn gateways(&self, phone: &PhoneId) -> &[NodeId] {
        self.gateways.get(phone).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a service answers at a node.
    pub(crate) fn is_home(&self, service: &ServiceId, node: &NodeId) -> bool {
        self.homes(service).contains(node)
    }

    /// Whether an address is in a network behind a node.
    pub(crate) fn is_behind(&self, node: &NodeId, at: IpAddr) -> bool {
        self.prefixes.iter().any(|(prefix, of)| of == node && prefix.contains(at))
    }

    /// The node that a packet goes to; none if it is for this one, or for nobody.
    pub(crate) fn via(&self, table: &Table, me: &NodeId, to: IpAddr, wish: &Wish) -> Option<NodeId> {
        let next = |nodes: &[NodeId]| if nodes.contains(me) { None } else { nodes.first().copied() };
        match table.at(to) {
            Some(Spot::Party(Party::Node(node) | Party::Guest(_, node))) => return next(&[node]),
            Some(Spot::Party(Party::Phone(phone))) => return next(self.gateways(&phone)),
            Some(Spot::Service(service)) => return next(self.homes(&service)),
            Some(Spot::Party(Party::Lan)) => return None,
            None if self.is_own(to) => return None,
            None => {}
        }
        let behind: Vec<&(Prefix, NodeId)> =
            self.prefixes.iter().filter(|(prefix, _)| prefix.contains(to)).collect();
        if behind.iter().any(|(_, node)| node == me) {
            return None;
        }
        let route = behind.iter().find(|(_, node)| wish.routes.has(node)).map(|(_, node)| *node);
        let exit = wish.exit.filter(|exit| exit != me && self.exits.contains(exit) && is_world(to));
        route.or(exit)
    }

    /// Whether what comes over a node's line from this address may be the answer to something: a service
    /// answers with its own address, what lies behind a node with theirs.
    pub(crate) fn answers(&self, table: &Table, line: &NodeId, source: IpAddr) -> bool {
        match table.at(source) {
            Some(Spot::Service(service)) => self.is_home(&service, line),
            Some(Spot::Party(_)) => false,
            None if self.is_own(source) => false,
            None => self.is_behind(line, source) || (self.exits.contains(line) && is_world(source)),
        }
    }
}

/// Whether an address is one of the internet. An exit leads there, and not into the house it stands in.
pub(crate) fn is_world(at: IpAddr) -> bool {
    let private = Prefix::around(at, u8::MAX).is_private();
    match at {
        IpAddr::V4(at) => {
            let special = matches!(at.octets(), [0 | 127 | 224.., ..]) || at.is_link_local();
            !(private || special)
        }
        // Only what was given out as unicast: neither link-local nor a name for an IPv4 address.
        IpAddr::V6(at) => matches!(at.segments(), [0x2000..=0x3fff, ..]),
    }
}
