//! What the log says about the network at present, and in which operations.

use std::net::{IpAddr, Ipv4Addr};

use freehold_crypt::{BoxPublic, hash};
use freehold_wire::{GrantId, KeyId, Millis, NodeId, OpId, PersonId, Prefix, RealmId};

use crate::body::{Ports, Preset, RuleFrom, RuleTo};

/// Something, with the operation that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said<T> {
    /// What is said.
    pub what: T,
    /// Where.
    pub by: OpId,
}

/// The realm's network as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Where nodes have IPv4 addresses, if they have any.
    pub range: Prefix,
    /// Whether guests may use exits, too.
    pub guests_exit: bool,
    /// Whether even one's own laptop reaches only what a service or a rule opens.
    pub strict: bool,
    /// The operation that says so; none if nobody said anything.
    pub said_in: Option<OpId>,
}

/// A node's part in the network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeNetwork {
    /// Its IPv4 address.
    pub v4: Option<Said<Ipv4Addr>>,
    /// Where it is said that others may reach the internet through it.
    pub exit: Option<OpId>,
    /// The networks behind it that others may reach.
    pub routes: Option<Said<Vec<Prefix>>>,
    /// Whose machine it is, if that was said.
    pub owner: Option<Said<PersonId>>,
    /// Where it is said that it takes in what the internet sends to published services.
    pub ingress: Option<OpId>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Where it runs.
    pub homes: Vec<NodeId>,
    /// On which ports.
    pub ports: Vec<Ports>,
    /// Who may use it.
    pub preset: Preset,
    /// Under which grants others may, too.
    pub grants: Vec<GrantId>,
    /// Which gateways take it to the outside.
    pub gateways: Vec<NodeId>,
    /// Whether a gateway lets in only who has signed on.
    pub sign_on: bool,
    /// The operation that says so.
    pub said_in: OpId,
    /// The operation that ended it.
    pub ended: Option<OpId>,
}

/// A rule of who may reach whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Any of these.
    pub from: Vec<RuleFrom>,
    /// May reach any of these.
    pub to: Vec<RuleTo>,
    /// On any of these ports; services have their own.
    pub ports: Vec<Ports>,
    /// Until then.
    pub until: Option<Millis>,
    /// The operation that says so.
    pub said_in: OpId,
    /// The operation that ended it.
    pub ended: Option<OpId>,
}

/// A machine without this program that gateways let into the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// Its WireGuard key.
    pub key: BoxPublic,
    /// Whose it is.
    pub person: PersonId,
    /// The device that let it in, or said so again. It counts no longer than that one's rights: or else
    /// whoever has a stolen laptop for an hour has a phone for good.
    pub given_by: KeyId,
    /// The gateways that serve it.
    pub gateways: Vec<NodeId>,
    /// Until then.
    pub until: Option<Millis>,
    /// The operation that says so.
    pub said_in: OpId,
    /// The operation that ended it.
    pub ended: Option<OpId>,
}

/// The network of a realm: what its machines' addresses begin with, 48 bits.
pub fn network_of(realm: &RealmId) -> Prefix {
    let hash = hash::digest("freehold 2026 network prefix", realm.as_bytes());
    let mut first = [0; 16];
    first.iter_mut().zip([0xfd].into_iter().chain(hash)).for_each(|(to, from)| *to = from);
    Prefix::around(IpAddr::from(first), 48)
}

/// Where a realm's nodes have IPv4 addresses, if they have any and nobody has said anything else: one of
/// the 1,024 parts of what carriers use for their customers, so that two realms seldom have the same.
pub fn own_range(realm: &RealmId) -> Prefix {
    let [a, b, ..] = hash::digest("freehold 2026 network range", realm.as_bytes());
    Prefix::around(Ipv4Addr::new(100, 64 | a & 63, b, 0).into(), 20)
}
