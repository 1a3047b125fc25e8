//! Who is at which address.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use freehold_realm::State;
use freehold_wire::{Millis, NodeId, PhoneId, Prefix, ServiceId};

use crate::address;
use crate::party::{Guest, Party, active_gateway, active_node, class};

/// The most parties: what comes later has no address here.
pub(crate) const PARTIES_MAX: usize = 4096;

/// What is at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    Party(Party),
    Service(ServiceId),
}

/// Addresses, ascending, of everybody whose rights hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    spots: Vec<(IpAddr, Spot)>,
    /// Addresses that two have: the one that was here first keeps it.
    pub(crate) twice: Vec<IpAddr>,
    /// Parties for which there was no room.
    pub(crate) left_out: usize,
}

impl Table {
    pub(crate) fn of(state: &State, guests: &BTreeMap<NodeId, Guest>, now: Millis) -> Self {
        let realm = &state.realm;
        let mut nodes: Vec<(u32, NodeId, Option<Ipv4Addr>)> = Vec::new();
        for (id, node) in &state.nodes {
            if class(state, now, Party::Node(*id)).is_ok() {
                nodes.push((node.seniority, *id, node.network.v4.as_ref().map(|said| said.what)));
            }
        }
        // Where two keys have one address, the older keeps it.
        nodes.sort_unstable();
        let mut spots: Vec<(IpAddr, Spot)> = Vec::new();
        for (_, id, v4) in nodes {
            let spot = Spot::Party(Party::Node(id));
            spots.push((address::of_node(realm, &id).into(), spot));
            spots.extend(v4.map(|v4| (v4.into(), spot)));
        }
        for (id, _) in state.live_phones() {
            if class(state, now, Party::Phone(*id)).is_ok() {
                spots.push((address::of_phone(realm, id).into(), Spot::Party(Party::Phone(*id))));
            }
        }
        for (id, _) in state.live_services() {
            spots.push((address::of_service(realm, id).into(), Spot::Service(*id)));
        }
        for (node, guest) in guests.iter().filter(|(_, guest)| now <= guest.until) {
            let party = Party::Guest(guest.grant, *node);
            if let (Some(grant), Ok(_)) = (state.grants.get(&guest.grant), class(state, now, party)) {
                spots.push((address::of_node(&grant.other, node).into(), Spot::Party(party)));
            }
        }
        Self::sorted(spots)
    }

    fn sorted(mut spots: Vec<(IpAddr, Spot)>) -> Self {
        let left_out = spots.len().saturating_sub(PARTIES_MAX);
        spots.truncate(PARTIES_MAX);
        // Stable: of those with one address, the first stays first.
        spots.sort_by_key(|(at, _)| *at);
        let twice = spots.windows(2).filter_map(|pair| match pair {
            [(first, _), (second, _)] if first == second => Some(*first),
            _ => None,
        });
        let twice = twice.collect();
        spots.dedup_by_key(|(at, _)| *at);
        Self { spots, twice, left_out }
    }

    /// The services and where they are.
    pub(crate) fn services(&self) -> impl Iterator<Item = (IpAddr, ServiceId)> {
        self.spots.iter().filter_map(|(at, spot)| match spot {
            Spot::Service(service) => Some((*at, *service)),
            Spot::Party(_) => None,
        })
    }

    pub(crate) fn at(&self, at: IpAddr) -> Option<Spot> {
        let found = self.spots.binary_search_by_key(&at, |(at, _)| *at).ok()?;
        self.spots.get(found).map(|(_, spot)| *spot)
    }
}

/// The addresses of a party: the one from its key, and the one that the log gives it.
pub(crate) fn addresses(state: &State, party: Party) -> Option<(Ipv6Addr, Option<Ipv4Addr>)> {
    match party {
        Party::Node(id) => {
            let v4 = state.nodes.get(&id).and_then(|node| node.network.v4.as_ref());
            Some((address::of_node(&state.realm, &id), v4.map(|said| said.what)))
        }
        Party::Phone(id) => Some((address::of_phone(&state.realm, &id), None)),
        Party::Guest(grant, node) => {
            let other = state.grants.get(&grant)?.other;
            Some((address::of_node(&other, &node), None))
        }
        Party::Lan => None,
    }
}

/// The gateways by which a phone is reached.
pub(crate) fn gateways_of(state: &State, phone: &PhoneId) -> Vec<NodeId> {
    let gateways = state.phones.get(phone).map(|phone| phone.gateways.as_slice()).unwrap_or_default();
    gateways.iter().filter(|node| active_gateway(state, node)).copied().collect()
}

/// The nodes at which a service answers, the oldest first.
pub(crate) fn homes_of(state: &State, service: &ServiceId) -> Vec<NodeId> {
    let homes = state.services.get(service).map(|service| service.homes.as_slice()).unwrap_or_default();
    let mut homes: Vec<(u32, NodeId)> =
        homes.iter().filter_map(|home| Some((active_node(state, home)?.seniority, *home))).collect();
    homes.sort_unstable();
    homes.into_iter().map(|(_, home)| home).collect()
}

/// The networks behind nodes whose rights hold, the narrowest first.
pub(crate) fn routes_of(state: &State) -> Vec<(Prefix, NodeId)> {
    let mut routes = Vec::new();
    for (id, node) in &state.nodes {
        if active_node(state, id).is_some() {
            let said = node.network.routes.iter().flat_map(|said| &said.what);
            routes.extend(said.map(|route| (*route, *id)));
        }
    }
    routes.sort_by_key(|(route, _)| (std::cmp::Reverse(route.bits()), *route));
    routes
}

/// Nodes that offer a way to the internet.
pub(crate) fn exits_of(state: &State) -> Vec<NodeId> {
    let offers = |id: &NodeId| active_node(state, id).is_some_and(|node| node.network.exit.is_some());
    state.nodes.keys().filter(|id| offers(id)).copied().collect()
}
