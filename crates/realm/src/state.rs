//! What the log says at present: plain data that a fold gives, with accessors for readers.

use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::{BoxPublic, VerifyingKey};
use freehold_wire::{
    BucketId, Digest, GrantId, KeyId, Millis, NodeId, OpId, PersonId, PhoneId, RealmId, Region, RuleId,
    ServiceId, ZoneId,
};

use crate::body::{GuardianSet, QuotaOf, Rules, Terms};
use crate::person::Statement;
use crate::roles::{MemberRoles, NodeRoles};

mod net;

pub use net::{Network, NodeNetwork, Phone, Rule, Said, Service, network_of, own_range};

/// Whether a party's rights hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// They do.
    Active,
    /// Taken away until lifted.
    Suspended,
    /// Its key signed two operations with one number: it was copied or stolen.
    Burned,
}

/// The derived state of a realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The realm.
    pub realm: RealmId,
    /// How many checkpoints and recoveries lie behind.
    pub epoch: u64,
    /// The newest of them.
    pub base: Option<OpId>,
    /// Wall time named by the newest of them.
    pub base_time: Millis,
    /// The hash of the directory's first key; none before the genesis was heard.
    pub directory: Option<Digest>,
    /// Members and their devices.
    pub persons: BTreeMap<PersonId, Person>,
    /// The guardians.
    pub guardians: GuardianSet,
    /// Guardians whose phrase was typed back.
    pub guardians_tested: BTreeSet<KeyId>,
    /// Nodes, without those that were removed.
    pub nodes: BTreeMap<NodeId, Node>,
    /// Invitations by their one-time key, open and used.
    pub invitations: BTreeMap<KeyId, Invitation>,
    /// Grants, given and taken.
    pub grants: BTreeMap<GrantId, Grant>,
    /// Buckets, deleted ones included.
    pub buckets: BTreeMap<BucketId, Bucket>,
    /// What somebody may keep at most, in bytes.
    pub quotas: BTreeMap<QuotaOf, u64>,
    /// Who was erased, by the operation that said so.
    pub erased_persons: BTreeMap<OpId, PersonId>,
    /// How the network is as a whole.
    pub network: Network,
    /// Services, ended ones included.
    pub services: BTreeMap<ServiceId, Service>,
    /// Rules of who may reach whom, ended ones included.
    pub rules: BTreeMap<RuleId, Rule>,
    /// Phones, those that were shut out included.
    pub phones: BTreeMap<PhoneId, Phone>,
    /// Nodes that may sign checkpoints.
    pub witnesses: BTreeSet<NodeId>,
    /// How many of them must.
    pub witness_threshold: u8,
    /// Keys that sign system images.
    pub image_keys: Vec<VerifyingKey>,
    /// How many of them must.
    pub image_threshold: u8,
    /// The level of an operation that a majority signed and this program does not understand.
    pub newer_than_me: Option<u32>,
    /// What people should look at.
    pub alarms: Vec<Alarm>,
}

/// Something that people should look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// A key signed two operations with one number.
    Equivocation {
        /// The key.
        key: KeyId,
        /// The number.
        seq: u64,
        /// The operations.
        ops: Vec<OpId>,
    },
    /// Two valid-looking checkpoints of one epoch: somebody signed both, or two groups did not know
    /// of each other. A checkpoint that has both in its past settles it.
    ConflictingCheckpoints {
        /// The one in force.
        kept: OpId,
        /// The other.
        other: OpId,
    },
    /// Guardians want to give the realm new admins.
    RecoveryWaits {
        /// The recovery.
        recovery: OpId,
        /// Whether a majority of admins objected.
        vetoed: bool,
    },
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What they may do.
    pub roles: MemberRoles,
    /// The operation that says so.
    pub roles_in: OpId,
    /// Whether they may do it at present.
    pub standing: Standing,
    /// If not, the operation by which they may not.
    pub standing_in: Option<OpId>,
    /// Their devices.
    pub devices: BTreeMap<KeyId, Device>,
    /// Their statements, oldest first: to be shown to another realm.
    pub chain: Vec<Statement>,
    /// The lower, the longer they are here.
    pub seniority: u32,
}

/// A member's device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its key.
    pub key: VerifyingKey,
    /// Where secrets for it are sealed to.
    pub box_key: BoxPublic,
    /// Whether it may sign for its person.
    pub standing: Standing,
    /// If not, the operation by which it may not.
    pub standing_in: Option<OpId>,
}

/// A machine of the realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it does.
    pub roles: NodeRoles,
    /// The operation that says so.
    pub roles_in: OpId,
    /// Its key.
    pub key: VerifyingKey,
    /// Where secrets for it are sealed to.
    pub box_key: BoxPublic,
    /// Who let it in.
    pub admitted_by: Option<PersonId>,
    /// The operation that let it in.
    pub admitted_in: OpId,
    /// The lower, the longer it is here.
    pub seniority: u32,
    /// The device that came in with it, as its owner's.
    pub brought: Option<KeyId>,
    /// Whether its rights hold.
    pub standing: Standing,
    /// If not, the operation by which they do not.
    pub standing_in: Option<OpId>,
    /// Where it stands, and how much it is to do.
    pub site: Site,
    /// Its part in the network.
    pub network: NodeNetwork,
}

/// Where a node stands, and how much it is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Site {
    /// Its zone, or [`ZoneId::NONE`].
    pub zone: ZoneId,
    /// Its region, or [`Region::UNKNOWN`].
    pub region: Region,
    /// Whether it is to be emptied.
    pub draining: bool,
    /// Bytes of copies that it fetches in a second at most; 0 for no limit.
    pub pace: u64,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The one-time key.
    pub key: VerifyingKey,
    /// The roles of the node that redeems it.
    pub roles: NodeRoles,
    /// When it lapses.
    pub expires: Millis,
    /// Who invites.
    pub by: PersonId,
    /// With which of their devices.
    pub with: KeyId,
    /// Whether it also brings a device of theirs.
    pub device: bool,
    /// The node that redeemed it.
    pub redeemed: Option<NodeId>,
    /// Whether it was taken back.
    pub cancelled: bool,
}

/// Which side of a grant this realm is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// It lends.
    Lends,
    /// It borrows.
    Borrows,
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Which side this realm is on.
    pub side: Side,
    /// The other realm.
    pub other: RealmId,
    /// The offer's operation, in the lending realm's log.
    pub offer: OpId,
    /// The operation in this realm's log that says so.
    pub said_in: OpId,
    /// What is lent, how much and how long.
    pub terms: Terms,
    /// Keys that sign for the other realm's machines when they come under it.
    pub keys: Vec<VerifyingKey>,
    /// The machines of this realm that keep what is stored under it, ascending.
    pub homes: Vec<NodeId>,
    /// Whether it was ended.
    pub revoked: bool,
    /// When it was ended, as whoever did it says.
    pub ended: Option<Millis>,
    /// Whether it is suspended.
    pub suspended: bool,
    /// The operation that ended it, or else the one that suspends it.
    pub standing_in: Option<OpId>,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// On how many nodes each blob is kept.
    pub copies: u8,
    /// How many must confirm before a write is acknowledged.
    pub confirm: u8,
    /// Where the copies may lie.
    pub rules: Rules,
    /// The key that made it.
    pub created_by: KeyId,
    /// The operation that made it.
    pub created_in: OpId,
    /// Whether it was deleted.
    pub deleted: bool,
    /// The operation that erased it: no node keeps any of its keys.
    pub erased: Option<OpId>,
    /// How its earlier keys ended, one after the other: none keeps a key of an earlier generation than the one
    /// before.
    pub ended: Vec<Ended>,
}

/// Earlier keys of a bucket that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The operation that ended them.
    pub erasure: OpId,
    /// The version of the key that stays, with those of later generations.
    pub kept: u32,
    /// Which object was deleted for it.
    pub object: Option<Digest>,
    /// When it was deleted, or else when that was said, as its author says.
    pub at: Millis,
}

impl State {
    /// The admins, suspended ones included.
    pub fn admins(&self) -> impl Iterator<Item = (&PersonId, &Person)> {
        self.persons.iter().filter(|(_, p)| p.roles.contains(MemberRoles::ADMIN))
    }

    /// Admins whose rights hold.
    pub fn active_admins(&self) -> impl Iterator<Item = (&PersonId, &Person)> {
        self.admins().filter(|(_, p)| p.standing == Standing::Active)
    }

    /// The person that a device key signs for, and the device.
    pub fn device(&self, key: &KeyId) -> Option<(PersonId, &Device)> {
        self.persons.iter().find_map(|(id, p)| p.devices.get(key).map(|d| (*id, d)))
    }

    /// Buckets that are not deleted.
    pub fn live_buckets(&self) -> impl Iterator<Item = (&BucketId, &Bucket)> {
        self.buckets.iter().filter(|(_, b)| !b.deleted)
    }

    /// Buckets that were erased, and by which operation: of several, if a person was erased.
    pub fn erased(&self) -> impl Iterator<Item = (BucketId, OpId)> {
        self.buckets.iter().filter_map(|(id, bucket)| Some((*id, bucket.erased?)))
    }

    /// Of the keys of a bucket that were said to stay, the one that does, with those of later generations.
    pub fn kept(&self, bucket: &BucketId) -> Option<u32> {
        self.buckets.get(bucket)?.ended.iter().map(|ended| ended.kept).max()
    }

    /// Buckets whose earlier keys ended, and how.
    pub fn ended(&self) -> impl Iterator<Item = (BucketId, &Ended)> {
        self.buckets.iter().flat_map(|(id, bucket)| bucket.ended.iter().map(move |ended| (*id, ended)))
    }

    /// Services that have not ended.
    pub fn live_services(&self) -> impl Iterator<Item = (&ServiceId, &Service)> {
        self.services.iter().filter(|(_, service)| service.ended.is_none())
    }

    /// Rules that have not been ended; some may have lapsed.
    pub fn live_rules(&self) -> impl Iterator<Item = (&RuleId, &Rule)> {
        self.rules.iter().filter(|(_, rule)| rule.ended.is_none())
    }

    /// Phones that were not shut out; some may have lapsed.
    pub fn live_phones(&self) -> impl Iterator<Item = (&PhoneId, &Phone)> {
        self.phones.iter().filter(|(_, phone)| phone.ended.is_none())
    }

    /// Invitations that can still be redeemed at `now`: none outlives the rights of who gave it.
    pub fn open_invitations(&self, now: Millis) -> impl Iterator<Item = (&KeyId, &Invitation)> {
        self.invitations.iter().filter(move |(_, i)| {
            i.redeemed.is_none() && !i.cancelled && now <= i.expires && self.stands_behind(i)
        })
    }

    /// Whether the device that gave an invitation is still that of an admin whose rights hold.
    fn stands_behind(&self, invitation: &Invitation) -> bool {
        let person = self.persons.get(&invitation.by);
        person.is_some_and(|p| {
            p.roles.contains(MemberRoles::ADMIN)
                && p.standing == Standing::Active
                && p.devices.get(&invitation.with).is_some_and(|d| d.standing == Standing::Active)
        })
    }

    /// Whether enough guardians typed their phrase back for a recovery to work.
    pub fn guardians_proven(&self) -> bool {
        let need = usize::from(self.guardians.threshold);
        need > 0 && self.guardians_tested.len() >= need
    }
}
