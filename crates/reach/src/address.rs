//! Addresses that follow from keys and ids, so that nobody hands them out.

use std::net::Ipv6Addr;

use freehold_crypt::hash::Hasher;
use freehold_realm::network_of;
use freehold_wire::{NodeId, PhoneId, RealmId, ServiceId};

/// What has an address; its two bits of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Kind {
    Node = 0,
    Phone = 1,
    Service = 2,
}

/// A node's address.
pub fn of_node(realm: &RealmId, node: &NodeId) -> Ipv6Addr {
    of(realm, Kind::Node, node.as_bytes())
}

/// A phone's address.
pub fn of_phone(realm: &RealmId, phone: &PhoneId) -> Ipv6Addr {
    of(realm, Kind::Phone, phone.as_bytes())
}

/// The address of a service, at which one of its homes answers.
pub fn of_service(realm: &RealmId, service: &ServiceId) -> Ipv6Addr {
    of(realm, Kind::Service, service.as_bytes())
}

/// 48 bits of the realm's network, two of the kind, 78 of the hash.
fn of(realm: &RealmId, kind: Kind, id: &[u8; 32]) -> Ipv6Addr {
    let mut hasher = Hasher::new("freehold 2026 network address");
    let hash = hasher.update(realm.as_bytes()).update(&[kind as u8]).update(id).finish();
    let network = match network_of(realm).first() {
        std::net::IpAddr::V6(first) => first.to_bits(),
        std::net::IpAddr::V4(_) => 0,
    };
    let own = hash.iter().take(10).fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
    let own = own & (u128::MAX >> 50) | u128::from(kind as u8) << 78;
    Ipv6Addr::from_bits(network | own)
}
