//! The realm's zone: machines and services with their addresses, and the names of those addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use freehold_names::{Data, Domain, Row, reverse};
use freehold_reach::{Net, Party, address};
use freehold_realm::{State, network_of};
use freehold_wire::{NodeId, Prefix};

use super::called::{Called, Thing};

/// How long others may remember what is answered, in seconds: names and addresses seldom change, and what
/// was taken away is to be gone soon.
const TTL: u32 = 60;

/// What this node answers about its realm. Who has no rights has no address, and keeps its name.
pub(crate) fn rows(state: &State, net: &Net, called: &Called, me: NodeId, serial: u32) -> Vec<Row> {
    let Ok(apex) = called.zone().parse::<Domain>() else { return Vec::new() };
    let own = called.domain(Thing::Node(me)).parse().unwrap_or_else(|_| apex.clone());
    let zones = std::iter::once(apex.clone()).chain(reversed(state)).map(|apex| Row::Zone {
        apex,
        server: own.clone(),
        serial,
    });
    let mut rows: Vec<Row> = zones.collect();
    for (thing, label) in called.labels() {
        let Ok(name) = apex.child(label.as_bytes()) else { continue };
        let (v6, v4) = match thing {
            Thing::Node(id) => match net.addresses(Party::Node(id)) {
                Some(addresses) => addresses,
                None => continue,
            },
            Thing::Service(id) => (address::of_service(&state.realm, &id), None),
            _ => continue,
        };
        rows.extend(of_one(&name, v6, v4));
    }
    rows
}

fn of_one(name: &Domain, v6: Ipv6Addr, v4: Option<Ipv4Addr>) -> impl Iterator<Item = Row> {
    let row = |name: Domain, data| Row::Record { name, ttl: TTL, data };
    let addresses = std::iter::once(IpAddr::V6(v6)).chain(v4.map(IpAddr::V4));
    addresses.flat_map(move |at| {
        let data = match at {
            IpAddr::V6(at) => Data::V6(at),
            IpAddr::V4(at) => Data::V4(at),
        };
        [row(name.clone(), data), row(reverse::name_of(at), Data::Pointer(name.clone()))]
    })
}

/// The zones of the names of the realm's addresses.
fn reversed(state: &State) -> impl Iterator<Item = Domain> {
    let prefixes: [Prefix; 2] = [network_of(&state.realm), state.network.range];
    let zones = prefixes.into_iter().filter_map(|of| reverse::zones_of(of.first(), of.bits()));
    zones.flatten()
}

#[cfg(test)]
mod tests;
