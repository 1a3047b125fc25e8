//! What is said in the one exchange that a machine may have with another realm's, and with its own realm's signers.
//! One question, one answer, both bounded.

use freehold_wire::{
    Bounded, DecodeError, GrantId, Millis, NodeId, ServiceId, Text, from_canonical, to_canonical,
};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// The longest question, in bytes.
const ASKED_MAX: usize = 8 << 10;
/// The longest answer, in bytes.
const ANSWER_MAX: usize = 64 << 10;
/// The most services that are told of.
pub const SERVICES_MAX: usize = 64;
/// The most names that a machine wants to be reached by.
pub const HOSTS_MAX: usize = 16;
/// The longest reason.
pub const WORDS_MAX: usize = 256;
/// The most machines that are told of.
const CONTACTS_MAX: usize = 64;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Call {
    /// Of a signer of one's own realm: a pass under a grant that is borrowed.
    #[n(0)]
    Pass(#[n(0)] GrantId),
    /// Of the realm that lends: to be let in.
    #[n(1)]
    Visit(#[n(0)] Shown),
    /// Says that passes count no longer.
    #[n(2)]
    Recall(#[n(0)] ByteVec),
}

/// Who wants to be let in.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Shown {
    /// A [`crate::Pass`].
    #[n(0)]
    pub pass: ByteVec,
    /// Where it is reached, as the mesh writes it.
    #[n(1)]
    pub addresses: ByteVec,
    /// The names by which it wants to be reached from outside, and for which service of its own.
    #[n(2)]
    pub hosts: Bounded<Host, HOSTS_MAX>,
}

/// A name of the internet that leads to a service of the borrower's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Host {
    /// The name, in lower case.
    #[n(0)]
    pub name: Text<256>,
    /// The service.
    #[n(1)]
    pub service: ServiceId,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// A [`crate::Pass`].
    #[n(0)]
    Pass(#[n(0)] ByteVec),
    /// Let in.
    #[n(1)]
    Welcome(#[n(0)] Welcome),
    /// Noted.
    #[n(2)]
    Noted,
    /// Not done, and why.
    #[n(3)]
    Refused(#[n(0)] Text<WORDS_MAX>),
    /// What was kept under the grant is deleted: a [`crate::Receipt`].
    #[n(4)]
    Deleted(#[n(0)] ByteVec),
}

/// What whoever was let in is told.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Welcome {
    /// What the realm's zone is called.
    #[n(0)]
    pub zone: Text<128>,
    /// Until when it is let in.
    #[n(1)]
    pub until: Millis,
    /// The services that the grant opens.
    #[n(2)]
    pub services: Bounded<Offered, SERVICES_MAX>,
    /// The gateways that take names in, or the machines that keep what is stored.
    #[n(3)]
    pub gateways: Bounded<NodeId, CONTACTS_MAX>,
    /// Where the machines are that services and gateways are at.
    #[n(4)]
    pub contacts: Bounded<Contact, CONTACTS_MAX>,
    /// The names that this machine does not take, and why.
    #[n(5)]
    pub refused: Bounded<Told, HOSTS_MAX>,
}

/// A service that a grant opens.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Offered {
    /// The service.
    #[n(0)]
    pub service: ServiceId,
    /// Its label in the realm's zone.
    #[n(1)]
    pub label: Text<64>,
    /// The machine at which it answers.
    #[n(2)]
    pub home: NodeId,
}

/// Where a machine is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Contact {
    /// The machine.
    #[n(0)]
    pub node: NodeId,
    /// The mesh's own encoding of its addresses.
    #[n(1)]
    pub addresses: ByteVec,
}

/// A name, and what was said of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Told {
    /// The name.
    #[n(0)]
    pub name: Text<256>,
    /// Why not.
    #[n(1)]
    pub why: Text<WORDS_MAX>,
}

impl Call {
    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads a question.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, ASKED_MAX)
    }
}

impl Answer {
    /// Not done, and why.
    pub fn refused(why: &str) -> Self {
        let why: String = why.chars().take(WORDS_MAX / 4).collect();
        Self::Refused(Text::new(why).unwrap_or_default())
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, ANSWER_MAX)
    }
}
