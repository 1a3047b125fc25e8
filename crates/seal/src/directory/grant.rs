//! What the directory knows of a grant: names, and where the other realm is found.

use freehold_wire::{Bounded, Name, NodeId, Text};
use minicbor::{Decode, Encode};

/// What is known of a grant beside the log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KnownGrant {
    /// What people call it here.
    #[n(0)]
    pub name: Name,
    /// What the other realm calls itself.
    #[n(1)]
    pub realm: Name,
    /// Where the other realm is found; none if this one lends.
    #[n(2)]
    pub contacts: Bounded<GrantContact, 8>,
    /// The machines of this realm whose keys the grant names; none if this one lends.
    #[n(3)]
    pub signers: Bounded<NodeId, 4>,
}

/// Where a machine of another realm is found.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct GrantContact {
    /// The machine.
    #[n(0)]
    pub node: NodeId,
    /// Socket addresses and relay URLs.
    #[n(1)]
    pub addresses: Bounded<Text<256>, 32>,
}
