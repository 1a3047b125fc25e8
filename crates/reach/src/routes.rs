//! Over which line a packet goes, and over which it may come.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

    /// Whether a node says that it leads to the internet.
    pub(crate) fn is_exit(&self, node: &NodeId) -> bool {
        self.exits.contains(node)
    }

    /// The networks behind a node.
    pub(crate) fn behind(&self, node: &NodeId) -> impl Iterator<Item = Prefix> {
        self.prefixes.iter().filter(move |(_, of)| of == node).map(|(prefix, _)| *prefix)
    }

    /// The networks behind others that are used, and not behind this node as well.
    pub(crate) fn accepted(&self, me: &NodeId, wish: &Wish) -> BTreeSet<Prefix> {
        let mine = |prefix: &Prefix| self.behind(me).any(|own| own.covers(prefix));
        let used = self.prefixes.iter().filter(|(_, of)| of != me && wish.routes.has(of));
        used.map(|(prefix, _)| *prefix).filter(|prefix| !mine(prefix)).collect()
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
    world().iter().any(|world| world.contains(at)) && !apart().iter().any(|apart| apart.contains(at))
}

/// What of IPv4 and of IPv6 has the internet's addresses in it, besides those [`apart`]. Of IPv6 it is what was
/// given out as unicast: neither a link's own addresses nor names for those of IPv4.
pub fn world() -> [Prefix; 2] {
    let v6 = IpAddr::V6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0));
    [Prefix::around(Ipv4Addr::UNSPECIFIED.into(), 0), Prefix::around(v6, 3)]
}

/// The networks in [`world`] that are not the internet: people's own, this machine's, a link's, groups, and
/// what was kept for later.
pub fn apart() -> [Prefix; 8] {
    let four = |a, b, bits| Prefix::around(IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), bits);
    [
        four(0, 0, 8),
        four(10, 0, 8),
        four(100, 64, 10),
        four(127, 0, 8),
        four(169, 254, 16),
        four(172, 16, 12),
        four(192, 168, 16),
        four(224, 0, 3),
    ]
}
