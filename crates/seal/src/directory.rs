//! Rows of the directory: everything personal that the realm log must not hold.

mod filter;
mod grant;

use freehold_crypt::{BoxPublic, Entropy};
use freehold_wire::{
    Bounded, BucketId, Digest, GrantId, Name, NodeId, OpId, PhoneId, RuleId, ServiceId, Text, ZoneId,
};
use minicbor::{Decode, Encode};

use crate::payload::{self, PayloadError};
use crate::{BucketKey, Erased, PayloadPlace, PublicAuthority, Published};

pub use self::filter::{
    FilterGroup, FilterHours, FilterKey, FilterList, FilterMember, FilterName, FilterRow,
};
pub use self::grant::{GrantContact, KnownGrant};

pub(crate) const SORT: u8 = 2;
/// The most buckets in a [`DirectoryRow::Cut`]: with them all it stays below a payload's bound.
const CUT_MAX: usize = 4096;

/// One row. The newest for a [`RowKey`] holds; `None` takes back what was said before.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum DirectoryRow {
    /// What people call the realm.
    #[n(0)]
    RealmName(#[n(0)] Option<Name>),
    /// What people call a node.
    #[n(1)]
    NodeName(#[n(0)] NodeId, #[n(1)] Option<Name>),
    /// A bucket's name.
    #[n(2)]
    BucketName(#[n(0)] BucketId, #[n(1)] Option<Name>),
    /// Where a node is reached: socket addresses and relay URLs. Only a node itself may say so.
    #[n(4)]
    Addresses(#[n(0)] NodeId, #[n(1)] Bounded<Text<256>, 32>),
    /// The last numbers of a node that count, bucket by bucket (the directory is one), now that its
    /// rights were taken away: what it wrote beyond is void. Nothing counts in a bucket that is
    /// not listed. Absent when the rights are given back. Never from the node itself.
    #[n(5)]
    Cut(#[n(0)] NodeId, #[n(1)] Option<Bounded<(BucketId, u64), CUT_MAX>>),
    /// What people call a zone.
    #[n(6)]
    ZoneName(#[n(0)] ZoneId, #[n(1)] Option<Name>),
    /// Which service an id in the realm log stands for, as policies name it.
    #[n(7)]
    ServiceName(#[n(0)] ServiceId, #[n(1)] Option<Name>),
    /// The key that a node opens boxes with now, in place of that in the realm log. Only the node itself
    /// may say so.
    #[n(8)]
    BoxKey(#[n(0)] NodeId, #[n(1)] BoxPublic),
    /// A node has carried out an erasure. Only the node itself may say so.
    #[n(9)]
    Erased(#[n(0)] Erased),
    /// What people call a service of the network, which is also its label in the realm's zone.
    #[n(10)]
    NetService(#[n(0)] ServiceId, #[n(1)] Option<Name>),
    /// What people call a rule of who may reach whom.
    #[n(11)]
    NetRule(#[n(0)] RuleId, #[n(1)] Option<Name>),
    /// A node is ready for keys of a bucket to end. Only the node itself may say so.
    #[n(16)]
    Ready(#[n(0)] NodeId, #[n(1)] BucketId, #[n(2)] Ready),
    /// How a service of the network is published.
    #[n(17)]
    Published(#[n(0)] ServiceId, #[n(1)] Option<Published>),
    /// The authority that certifies the names of published services.
    #[n(21)]
    PublicAuthority(#[n(0)] Option<PublicAuthority>),
    /// What people call a phone.
    #[n(20)]
    PhoneName(#[n(0)] PhoneId, #[n(1)] Option<Name>),
    /// Where a gateway takes phones in. Only the node itself may say so.
    #[n(22)]
    PhoneDoor(#[n(0)] NodeId, #[n(1)] Option<PhoneDoor>),
    /// What is known of a grant beside the log.
    #[n(23)]
    Grant(#[n(0)] GrantId, #[n(1)] Option<KnownGrant>),
    /// Something of the filter of names.
    #[n(18)]
    Filter(#[n(0)] FilterKey, #[n(1)] Option<FilterRow>),
}

/// Where a gateway takes phones in, by WireGuard.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct PhoneDoor {
    /// Its WireGuard key.
    #[n(0)]
    pub key: BoxPublic,
    /// The address and port, or name and port, that phones send to.
    #[n(1)]
    pub endpoint: Text<256>,
}

/// A node's word that the keys of a bucket may end before one: nothing that it can read lives on them alone,
/// and it seals nothing with them any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Ready {
    /// The version of the key that stays.
    #[n(0)]
    pub kept: u32,
    /// The number of its last entry in the bucket: what it sealed anew comes before.
    #[n(1)]
    pub last: u64,
    /// Whether it has all keys that end, so that nothing is here of which it could not tell.
    #[n(2)]
    pub whole: bool,
}

/// What a row is about: rows with the same key replace each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKey {
    /// The realm's name.
    RealmName,
    /// A node's name.
    NodeName(NodeId),
    /// A bucket's name.
    BucketName(BucketId),
    /// A node's addresses.
    Addresses(NodeId),
    /// What counts of a node.
    Cut(NodeId),
    /// A zone's name.
    ZoneName(ZoneId),
    /// A service's name.
    ServiceName(ServiceId),
    /// A node's box key.
    BoxKey(NodeId),
    /// An erasure on a node.
    Erased(OpId, NodeId),
    /// A name of a service of the network.
    NetService(ServiceId),
    /// A name of a rule of the network.
    NetRule(RuleId),
    /// Whether a node is ready for a bucket's keys to end.
    Ready(BucketId, NodeId),
    /// How a service is published.
    Published(ServiceId),
    /// The authority for names outside.
    PublicAuthority,
    /// A phone's name.
    PhoneName(PhoneId),
    /// Where a node takes phones in.
    PhoneDoor(NodeId),
    /// What is known of a grant.
    Grant(GrantId),
    /// Something of the filter of names, by the hash of what it is.
    Filter(Digest),
}

impl DirectoryRow {
    /// What it is about.
    pub fn key(&self) -> RowKey {
        match self {
            Self::RealmName(_) => RowKey::RealmName,
            Self::NodeName(node, _) => RowKey::NodeName(*node),
            Self::BucketName(bucket, _) => RowKey::BucketName(*bucket),
            Self::Addresses(node, _) => RowKey::Addresses(*node),
            Self::Cut(node, _) => RowKey::Cut(*node),
            Self::ZoneName(zone, _) => RowKey::ZoneName(*zone),
            Self::ServiceName(service, _) => RowKey::ServiceName(*service),
            Self::BoxKey(node, _) => RowKey::BoxKey(*node),
            Self::Erased(erased) => RowKey::Erased(erased.erasure, erased.node),
            Self::NetService(service, _) => RowKey::NetService(*service),
            Self::NetRule(rule, _) => RowKey::NetRule(*rule),
            Self::Ready(node, bucket, _) => RowKey::Ready(*bucket, *node),
            Self::Published(service, _) => RowKey::Published(*service),
            Self::PublicAuthority(_) => RowKey::PublicAuthority,
            Self::PhoneName(phone, _) => RowKey::PhoneName(*phone),
            Self::PhoneDoor(node, _) => RowKey::PhoneDoor(*node),
            Self::Grant(grant, _) => RowKey::Grant(*grant),
            Self::Filter(key, _) => RowKey::Filter(filter::digest(key)),
        }
    }

    /// Whether `origin` may say this at all: nobody tells the addresses of another node. Readers
    /// check [`Self::needs_keeper`] as well.
    pub fn may_come_from(&self, origin: NodeId) -> bool {
        match self {
            Self::Addresses(node, _)
            | Self::BoxKey(node, _)
            | Self::Ready(node, ..)
            | Self::PhoneDoor(node, _) => *node == origin,
            Self::Erased(erased) => erased.node == origin,
            Self::Cut(node, _) => *node != origin,
            Self::RealmName(_)
            | Self::NodeName(..)
            | Self::BucketName(..)
            | Self::ZoneName(..)
            | Self::ServiceName(..)
            | Self::NetService(..)
            | Self::NetRule(..)
            | Self::Published(..)
            | Self::PublicAuthority(_)
            | Self::PhoneName(..)
            | Self::Grant(..)
            | Self::Filter(..) => true,
        }
    }

    /// Whether `origin` may say this only if the realm log lets it manage the realm (an admin's or
    /// operator's node, or a gateway). Every node holds the directory's key; without this check
    /// a mere store could swap the names of two buckets and have one written in place of the other.
    pub fn needs_keeper(&self, origin: NodeId) -> bool {
        match self {
            Self::Addresses(node, _)
            | Self::NodeName(node, _)
            | Self::BoxKey(node, _)
            | Self::Ready(node, ..)
            | Self::PhoneDoor(node, _) => *node != origin,
            Self::Erased(erased) => erased.node != origin,
            Self::RealmName(_)
            | Self::BucketName(..)
            | Self::Cut(..)
            | Self::ZoneName(..)
            | Self::ServiceName(..)
            | Self::NetService(..)
            | Self::NetRule(..)
            | Self::Published(..)
            | Self::PublicAuthority(_)
            | Self::PhoneName(..)
            | Self::Grant(..)
            | Self::Filter(..) => true,
        }
    }

    /// Seals it for the directory entry at `place`.
    ///
    /// # Errors
    /// [`PayloadError::TooLarge`].
    pub fn seal(
        &self,
        key: &BucketKey,
        place: &PayloadPlace,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, PayloadError> {
        payload::seal_value(SORT, self, key, place, entropy)
    }

    /// Opens what [`Self::seal`] sealed.
    ///
    /// # Errors
    /// [`PayloadError`].
    pub fn open(key: &BucketKey, place: &PayloadPlace, payload: &[u8]) -> Result<Self, PayloadError> {
        payload::open_value(SORT, key, place, payload)
    }

    /// Reads opened content, for those who opened the payload themselves.
    ///
    /// # Errors
    /// [`PayloadError::Content`] or [`PayloadError::Fields`].
    pub fn decode(content: &[u8]) -> Result<Self, PayloadError> {
        payload::value_of(SORT, content)
    }
}

#[cfg(test)]
mod tests;
