//! What operations say about the network: addresses, services, rules, phones.

use std::net::Ipv4Addr;

use freehold_crypt::BoxPublic;
use freehold_wire::{Bounded, GrantId, Millis, NodeId, PersonId, PhoneId, Prefix, RuleId, ServiceId};
use minicbor::{Decode, Encode};

use crate::roles::{MemberRoles, NodeRoles};

/// The most networks behind one node.
pub const ROUTES_MAX: usize = 32;
/// The most machines that one service runs on, and the most gateways that stand before it.
pub const HOMES_MAX: usize = 8;
/// The most parties, targets, grants and ranges of ports in one list.
pub const LIST_MAX: usize = 16;
/// The most gateways of one phone.
pub const PHONE_GATEWAYS_MAX: usize = 4;

/// In [`NodeNet::owner`]: nobody. No person has this id, which is a hash.
pub const NOBODY: PersonId = PersonId::from_bytes([0; 32]);

/// Says how the realm's network is as a whole. What it does not say is as at the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct NetSet {
    /// Where nodes have IPv4 addresses, if they have any; absent for the range that is the realm's own.
    #[n(0)]
    pub range: Option<Prefix>,
    /// Whether guests may use exits, too.
    #[n(1)]
    pub guests_exit: bool,
    /// Whether even one's own laptop reaches only what a service or a rule opens.
    #[n(2)]
    pub strict: bool,
}

/// Says what part a node has in the network. What is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NodeNet {
    /// The node.
    #[n(0)]
    pub node: NodeId,
    /// Its IPv4 address within the range; 0.0.0.0 for none.
    #[n(1)]
    pub v4: Option<Ipv4Addr>,
    /// Whether others may reach the internet through it.
    #[n(2)]
    pub exit: Option<bool>,
    /// The networks behind it that others may reach, ascending.
    #[n(3)]
    pub routes: Option<Bounded<Prefix, ROUTES_MAX>>,
    /// Whose machine it is; [`NOBODY`] for nobody's.
    #[n(4)]
    pub owner: Option<PersonId>,
    /// Whether it takes in what the internet sends to published services.
    #[n(5)]
    pub ingress: Option<bool>,
}

impl NodeNet {
    /// Says nothing of a node yet.
    pub const fn of(node: NodeId) -> Self {
        Self { node, v4: None, exit: None, routes: None, owner: None, ingress: None }
    }
}

/// What carries a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Proto {
    /// Any protocol, be it one with ports or without.
    #[n(0)]
    Any = 0,
    /// TCP.
    #[n(6)]
    Tcp = 6,
    /// UDP.
    #[n(17)]
    Udp = 17,
}

/// Ports of one protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Ports {
    /// The protocol.
    #[n(0)]
    pub proto: Proto,
    /// From this port.
    #[n(1)]
    pub first: u16,
    /// To this one.
    #[n(2)]
    pub last: u16,
}

impl Ports {
    /// Everything that can be sent.
    pub const ALL: Self = Self { proto: Proto::Any, first: 0, last: u16::MAX };

    /// One port.
    pub const fn one(proto: Proto, port: u16) -> Self {
        Self { proto, first: port, last: port }
    }

    /// Whether its numbers fit each other: there is no port 0, and without a protocol there are no ports.
    pub fn fits(&self) -> bool {
        *self == Self::ALL || (self.proto != Proto::Any && self.first > 0 && self.first <= self.last)
    }

    /// Whether a packet of this protocol to this port is among it.
    pub fn contain(&self, proto: u8, port: u16) -> bool {
        let same = match self.proto {
            Proto::Any => true,
            Proto::Tcp => proto == 6,
            Proto::Udp => proto == 17,
        };
        same && (self.first..=self.last).contains(&port)
    }
}

/// Who may use a service, grants and rules apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Preset {
    /// Members, and nodes with a role besides storage; not guests.
    #[n(0)]
    Realm,
    /// The machines of whoever owns the one that it runs on, and the network that this one stands in.
    #[n(1)]
    Lan,
    /// Everybody in the world, by gateways.
    #[n(2)]
    Public,
}

/// Makes or changes a service. Its name is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ServiceSet {
    /// The service.
    #[n(0)]
    pub service: ServiceId,
    /// Where it runs, ascending.
    #[n(1)]
    pub homes: Bounded<NodeId, HOMES_MAX>,
    /// On which ports, ascending.
    #[n(2)]
    pub ports: Bounded<Ports, LIST_MAX>,
    /// Who may use it.
    #[n(3)]
    pub preset: Preset,
    /// Under which grants others may, too; ascending.
    #[n(4)]
    pub grants: Bounded<GrantId, LIST_MAX>,
    /// Which gateways take it to the outside, ascending.
    #[n(5)]
    pub gateways: Bounded<NodeId, HOMES_MAX>,
    /// Whether a gateway lets in only who has signed on.
    #[n(6)]
    pub sign_on: bool,
}

/// Ends a service for good.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ServiceEnd {
    /// The service.
    #[n(0)]
    pub service: ServiceId,
}

/// Who a rule lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum RuleFrom {
    /// A member's laptops, which are machines without a role, and phones.
    #[n(0)]
    Person(#[n(0)] PersonId),
    /// The same of all members with one of these roles.
    #[n(1)]
    Members(#[n(0)] MemberRoles),
    /// Nodes with one of these roles.
    #[n(2)]
    Nodes(#[n(0)] NodeRoles),
    /// One node.
    #[n(3)]
    Node(#[n(0)] NodeId),
    /// One phone.
    #[n(4)]
    Phone(#[n(0)] PhoneId),
    /// Another realm's machines under a grant.
    #[n(5)]
    Grant(#[n(0)] GrantId),
}

/// What a rule lets them reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum RuleTo {
    /// Every node.
    #[n(0)]
    All,
    /// One node.
    #[n(1)]
    Node(#[n(0)] NodeId),
    /// A service, on the service's own ports.
    #[n(2)]
    Service(#[n(0)] ServiceId),
}

/// Makes or changes a rule of who may reach whom.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RuleSet {
    /// The rule.
    #[n(0)]
    pub rule: RuleId,
    /// Any of these, ascending.
    #[n(1)]
    pub from: Bounded<RuleFrom, LIST_MAX>,
    /// May reach any of these, ascending.
    #[n(2)]
    pub to: Bounded<RuleTo, LIST_MAX>,
    /// On any of these ports, ascending; none if it names services alone, which have their own.
    #[n(3)]
    pub ports: Bounded<Ports, LIST_MAX>,
    /// Until then.
    #[n(4)]
    pub until: Option<Millis>,
}

/// Ends a rule for good.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RuleEnd {
    /// The rule.
    #[n(0)]
    pub rule: RuleId,
}

/// Lets a machine without this program into the network, by WireGuard through gateways, or says so again:
/// by another device, or for other gateways, or longer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PhoneAdd {
    /// The phone.
    #[n(0)]
    pub phone: PhoneId,
    /// Its WireGuard key. The secret half never leaves it.
    #[n(1)]
    pub key: BoxPublic,
    /// Whose it is.
    #[n(2)]
    pub person: PersonId,
    /// The gateways that serve it, ascending; at least one.
    #[n(3)]
    pub gateways: Bounded<NodeId, PHONE_GATEWAYS_MAX>,
    /// Until then.
    #[n(4)]
    pub until: Option<Millis>,
}

/// Shuts a phone out for good.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PhoneEnd {
    /// The phone.
    #[n(0)]
    pub phone: PhoneId,
}
