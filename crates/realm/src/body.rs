//! What operations say. Each kind has a number that never changes; a body is canonical CBOR inside
//! a byte string, so that a kind from a later program can be kept without being understood.

use freehold_crypt::{BoxPublic, VerifyingKey};
use freehold_wire::{
    Bounded, BucketId, DecodeError, Digest, GrantId, KeyId, Millis, NodeId, OpId, PersonId, RealmId, Region,
    Regions, ServiceId, ZoneId,
};
use freehold_wire::{from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::op::Cosignature;
use crate::person::{Chain, Statement};
use crate::roles::{MemberRoles, NodeRoles};

mod net;

pub use net::{
    HOMES_MAX, LIST_MAX, NOBODY, NetSet, NodeNet, PHONE_GATEWAYS_MAX, PhoneAdd, PhoneEnd, Ports, Preset,
    Proto, ROUTES_MAX, RuleEnd, RuleFrom, RuleSet, RuleTo, ServiceEnd, ServiceSet,
};

/// The most bytes in a body.
pub const BODY_MAX: usize = 64 * 1024;

macro_rules! bodies {
    ($($(#[$doc:meta])* $number:literal $name:ident;)*) => {
        /// What an operation says.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Body {
            $($(#[$doc])* $name($name),)*
            /// A kind that a later program made: kept and passed on, not applied.
            Unknown(Unknown),
        }

        impl Body {
            /// The number of its kind.
            pub const fn kind(&self) -> u32 {
                match self { $(Self::$name(_) => $number,)* Self::Unknown(unknown) => unknown.kind }
            }

            /// The name of its kind, for people.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* Self::Unknown(_) => "Unknown" }
            }

            pub(crate) fn to_bytes(&self) -> Vec<u8> {
                match self { $(Self::$name(body) => to_canonical(body),)* Self::Unknown(unknown) => unknown.bytes.clone() }
            }

            pub(crate) fn read_known(kind: u32, bytes: &[u8]) -> Option<Result<Self, DecodeError>> {
                match kind { $($number => Some(from_canonical(bytes, BODY_MAX).map(Self::$name)),)* _ => None }
            }
        }

        $(impl From<$name> for Body {
            fn from(body: $name) -> Self {
                Self::$name(body)
            }
        })*
    };
}

bodies! {
    /// Founds the realm.
    0 Genesis;
    /// Makes a person a member.
    1 MemberAdd;
    /// Changes a member's roles.
    2 MemberChange;
    /// Ends a membership.
    3 MemberRemove;
    /// A member's new device.
    4 DeviceAdd;
    /// A member's device that is theirs no more.
    5 DeviceRemove;
    /// Takes rights away for a while.
    6 Suspend;
    /// Gives back what a suspension took.
    7 Lift;
    /// Replaces the guardians.
    8 GuardiansSet;
    /// Says that a guardian's phrase was typed back.
    9 GuardianTested;
    /// Guardians give the realm new admins.
    10 Recovery;
    /// Admins object to a recovery that waits.
    11 RecoveryVeto;
    /// Fixes the history before it.
    12 Checkpoint;
    /// Says which nodes may sign checkpoints.
    13 WitnessesSet;
    /// Says which keys sign system images.
    14 ImageKeysSet;
    /// Invites a machine.
    15 InvitationIssue;
    /// Takes an invitation back.
    16 InvitationCancel;
    /// A machine accepts an invitation.
    17 InvitationRedeem;
    /// Adds a node without an invitation.
    18 NodeAdd;
    /// Changes a node's roles.
    19 NodeChange;
    /// Ends a node, or the node leaves.
    20 NodeRemove;
    /// Offers a share of this realm to another.
    21 GrantOffer;
    /// Accepts what another realm offers.
    22 GrantAccept;
    /// Ends a grant, on either side.
    23 GrantRevoke;
    /// Makes or changes a bucket.
    24 BucketSet;
    /// Deletes a bucket.
    25 BucketDelete;
    /// Carries a co-signature to another operation.
    26 Endorse;
    /// Says where a node stands, and how much it is to do.
    27 NodeSet;
    /// Bounds what somebody may keep.
    28 QuotaSet;
    /// Erases a bucket: every node destroys its keys.
    29 BucketErase;
    /// Ends earlier keys of a bucket: every node destroys them, once it has sealed anew what lives.
    30 KeysErase;
    /// Erases a person: every node destroys the keys of what is theirs alone.
    31 PersonErase;
    /// Says how the realm's network is as a whole.
    40 NetSet;
    /// Says what part a node has in the network.
    41 NodeNet;
    /// Makes or changes a service.
    42 ServiceSet;
    /// Ends a service.
    43 ServiceEnd;
    /// Makes or changes a rule of who may reach whom.
    44 RuleSet;
    /// Ends such a rule.
    45 RuleEnd;
    /// Lets a phone into the network, or says so again.
    46 PhoneAdd;
    /// Shuts a phone out.
    47 PhoneEnd;
}

/// A body of a kind we do not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Its kind.
    pub kind: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The last sequence number of a key that still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct LastSeq {
    /// The key.
    #[n(0)]
    pub key: KeyId,
    /// Its last accepted sequence number; 0 for none.
    #[n(1)]
    pub seq: u64,
}

/// Keys of a revoked party with the last operation of each that still counts. A key that is not
/// listed keeps what the revocation has in its causal past.
pub type Cuts = Bounded<LastSeq, 256>;

/// A guardian, offline.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Guardian {
    /// The key that signs recoveries.
    #[n(0)]
    pub key: VerifyingKey,
    /// The key that the share is sealed to.
    #[n(1)]
    pub box_key: BoxPublic,
    /// This guardian's Shamir share of the recovery secret, sealed to `box_key`.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub share: Vec<u8>,
}

/// All guardians of a realm.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GuardianSet {
    /// How many must sign a recovery.
    #[n(0)]
    pub threshold: u8,
    /// The guardians, by ascending key bytes.
    #[n(1)]
    pub guardians: Bounded<Guardian, 16>,
    /// The public half of the recovery secret that the shares give back.
    #[n(2)]
    pub recovery: BoxPublic,
}

impl GuardianSet {
    /// Whether the threshold fits, keys are in order and shares are of a bearable size.
    pub fn fits(&self) -> bool {
        let n = self.guardians.len();
        let k = usize::from(self.threshold);
        let ordered = self.guardians.windows(2).all(|w| matches!(w, [a, b] if a.key < b.key));
        let lone = n < 2;
        ordered
            && k <= n
            && (lone || k >= 2)
            && (n == 0 || k >= 1)
            && self.guardians.iter().all(|g| g.share.len() <= 256)
    }
}

/// Founds a realm. Its author is the founder's first device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Genesis {
    /// Makes the realm's id unlike any other.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
    /// The founder, who is the first admin.
    #[n(1)]
    pub founder: Chain,
    /// The guardians.
    #[n(2)]
    pub guardians: GuardianSet,
    /// The hash of the directory's first key, which this operation vouches for.
    #[n(3)]
    pub directory: Digest,
}

/// Makes a person a member, or brings one back.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct MemberAdd {
    /// The person's statements about their devices.
    #[n(0)]
    pub chain: Chain,
    /// What they may do.
    #[n(1)]
    pub roles: MemberRoles,
}

/// Changes a member's roles.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct MemberChange {
    /// The member.
    #[n(0)]
    pub person: PersonId,
    /// What they may do from now on.
    #[n(1)]
    pub roles: MemberRoles,
    /// If they cease to be an admin: their keys' last accepted operations.
    #[n(2)]
    pub last: Cuts,
}

/// Ends a membership.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct MemberRemove {
    /// The member.
    #[n(0)]
    pub person: PersonId,
    /// Their keys' last accepted operations.
    #[n(1)]
    pub last: Cuts,
}

/// A member's new device; the author is an older one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeviceAdd {
    /// The person's statement.
    #[n(0)]
    pub statement: Statement,
}

/// A member's device that is theirs no more; the author is another device of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DeviceRemove {
    /// The person's statement.
    #[n(0)]
    pub statement: Statement,
    /// The device's last accepted operation.
    #[n(1)]
    pub last: u64,
}

/// What can be suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Target {
    /// A member with all devices.
    #[n(0)]
    Person(#[n(0)] PersonId),
    /// One device.
    #[n(1)]
    Device(#[n(0)] KeyId),
    /// A node.
    #[n(2)]
    Node(#[n(0)] NodeId),
    /// A grant.
    #[n(3)]
    Grant(#[n(0)] GrantId),
}

/// Takes rights away until it is lifted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Suspend {
    /// Whose.
    #[n(0)]
    pub target: Target,
    /// Their keys' last accepted operations; later ones are held until the suspension is lifted.
    #[n(1)]
    pub last: Cuts,
}

/// Lifts every suspension of the target that is in this operation's causal past.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Lift {
    /// Whose rights are given back.
    #[n(0)]
    pub target: Target,
}

/// Replaces the guardians.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GuardiansSet {
    /// The new ones.
    #[n(0)]
    pub guardians: GuardianSet,
}

/// A guardian's phrase was typed back; the guardian's key co-signs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GuardianTested {
    /// The guardian.
    #[n(0)]
    pub guardian: KeyId,
}

/// Guardians give the realm new admins. The author is a device of one of them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Recovery {
    /// The recovery or checkpoint it follows; none if it follows the genesis.
    #[n(0)]
    pub base: Option<OpId>,
    /// The admins from now on; those who were and are not listed cease to be members.
    #[n(1)]
    pub admins: Bounded<Chain, 16>,
    /// New guardians, if they change.
    #[n(2)]
    pub guardians: Option<GuardianSet>,
    /// The power operations since `base` that stand; others in its past are void for good.
    #[n(3)]
    pub standing: Bounded<OpId, 1024>,
}

/// Admins object to a recovery that waits.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RecoveryVeto {
    /// The recovery.
    #[n(0)]
    pub recovery: OpId,
}

/// Fixes its causal past: what was accepted there stays accepted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Checkpoint {
    /// The recovery or checkpoint it follows; none if it follows the genesis.
    #[n(0)]
    pub base: Option<OpId>,
    /// The power operations since `base` that stand; others in its past are void for good, so that
    /// a signature held back cannot complete one afterwards.
    #[n(1)]
    pub standing: Bounded<OpId, 1024>,
}

/// Says which nodes may sign checkpoints instead of the admins.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct WitnessesSet {
    /// The nodes, ascending.
    #[n(0)]
    pub nodes: Bounded<NodeId, 32>,
    /// How many must sign: more than half of them, or 0 with no nodes.
    #[n(1)]
    pub threshold: u8,
}

/// Says which keys sign system images.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ImageKeysSet {
    /// The keys.
    #[n(0)]
    pub keys: Bounded<VerifyingKey, 16>,
    /// How many must sign an image.
    #[n(1)]
    pub threshold: u8,
}

/// Invites a machine. The private half of `key` goes into the invitation's text.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct InvitationIssue {
    /// The one-time key.
    #[n(0)]
    pub key: VerifyingKey,
    /// The roles of the node that redeems it.
    #[n(1)]
    pub roles: NodeRoles,
    /// When it lapses.
    #[n(2)]
    pub expires: Millis,
    /// The inviting person's statement that lets the one-time key add one device of theirs.
    #[n(3)]
    pub device: Option<Statement>,
}

/// Takes an invitation back.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct InvitationCancel {
    /// The one-time key.
    #[n(0)]
    pub key: KeyId,
}

/// A machine accepts an invitation. The author is the one-time key, with sequence number 1; the
/// node's key co-signs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct InvitationRedeem {
    /// The node's key: Ed25519, which is also its address on the mesh.
    #[n(0)]
    pub node: VerifyingKey,
    /// Where secrets for the node are sealed to.
    #[n(1)]
    pub box_key: BoxPublic,
    /// The statement by which the one-time key adds a device of the inviting person.
    #[n(2)]
    pub device: Option<Statement>,
}

/// Adds a node without an invitation; the node's key co-signs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NodeAdd {
    /// The node's key: Ed25519, which is also its address on the mesh.
    #[n(0)]
    pub node: VerifyingKey,
    /// Where secrets for the node are sealed to.
    #[n(1)]
    pub box_key: BoxPublic,
    /// Its roles.
    #[n(2)]
    pub roles: NodeRoles,
}

/// Changes a node's roles.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NodeChange {
    /// The node.
    #[n(0)]
    pub node: NodeId,
    /// Its roles from now on.
    #[n(1)]
    pub roles: NodeRoles,
}

/// Ends a node, or the node leaves by itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NodeRemove {
    /// The node.
    #[n(0)]
    pub node: NodeId,
    /// Its last accepted operation.
    #[n(1)]
    pub last: u64,
}

/// Says where a node stands, and how much it is to do. What is absent stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NodeSet {
    /// The node.
    #[n(0)]
    pub node: NodeId,
    /// Its zone; [`ZoneId::NONE`] for none.
    #[n(1)]
    pub zone: Option<ZoneId>,
    /// Its region; [`Region::UNKNOWN`] if nobody is to say.
    #[n(2)]
    pub region: Option<Region>,
    /// Whether it is to be emptied: its copies do not count and it is given none.
    #[n(3)]
    pub draining: Option<bool>,
    /// Bytes of copies that it fetches in a second at most; 0 for as many as the line gives.
    #[n(4)]
    pub pace: Option<u64>,
}

/// Whose room is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum QuotaOf {
    /// All of the realm.
    #[n(0)]
    Realm,
    /// What is in the buckets of a member, and of the services that act for them.
    #[n(1)]
    Person(#[n(0)] PersonId),
    /// What is in one bucket.
    #[n(2)]
    Bucket(#[n(0)] BucketId),
    /// What is in the buckets of a service.
    #[n(3)]
    Service(#[n(0)] ServiceId),
}

/// Bounds what somebody may keep.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct QuotaSet {
    /// Whose.
    #[n(0)]
    pub of: QuotaOf,
    /// Sealed bytes at most, all copies together; absent for no bound.
    #[n(1)]
    pub bytes: Option<u64>,
}

/// What is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Resource {
    /// Room in the realm's depots.
    #[n(0)]
    Storage,
    /// Processor and memory for services.
    #[n(1)]
    Compute,
    /// A way in and out of the internet.
    #[n(2)]
    Gateway,
    /// Help with reaching each other.
    #[n(3)]
    Relay,
    /// The services that name the grant.
    #[n(4)]
    Services,
}

/// The most machines between which a grant is shared out.
pub const GRANT_HOMES_MAX: usize = 8;

/// What a grant may use at most; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(array)]
pub struct Ceilings {
    /// Bytes kept.
    #[n(0)]
    pub bytes: u64,
    /// Bytes sent out in a month.
    #[n(1)]
    pub egress: u64,
    /// Thousandths of a processor.
    #[n(2)]
    pub cpu_milli: u64,
    /// Bytes of memory.
    #[n(3)]
    pub memory: u64,
}

/// What a grant says, alike in the offer and in its acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Terms {
    /// What is lent.
    #[n(0)]
    pub resource: Resource,
    /// How much of it.
    #[n(1)]
    pub ceilings: Ceilings,
    /// From when.
    #[n(2)]
    pub from: Millis,
    /// Until when.
    #[n(3)]
    pub until: Millis,
    /// Days after a revocation in which data can still be fetched.
    #[n(4)]
    pub wind_down_days: u16,
}

/// Offers a share of this realm to another.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GrantOffer {
    /// The grant.
    #[n(0)]
    pub grant: GrantId,
    /// The realm that may use it.
    #[n(1)]
    pub to: RealmId,
    /// What is lent, how much and how long.
    #[n(2)]
    pub terms: Terms,
    /// Keys of the other realm that sign for its machines when they come under the grant; none if none come.
    #[n(3)]
    pub keys: Bounded<VerifyingKey, 4>,
    /// The machines that keep what is stored, ascending; the ceilings are shared out between them, so that none
    /// has to ask another. There for storage alone.
    #[n(4)]
    pub homes: Option<Bounded<NodeId, GRANT_HOMES_MAX>>,
}

/// Accepts, in the log of the realm that borrows, what another offered in its own log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GrantAccept {
    /// The grant.
    #[n(0)]
    pub grant: GrantId,
    /// The realm that lends.
    #[n(1)]
    pub from: RealmId,
    /// The offer in that realm's log.
    #[n(2)]
    pub offer: OpId,
    /// The terms as they were read.
    #[n(3)]
    pub terms: Terms,
}

/// Ends a grant, on either side.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GrantRevoke {
    /// The grant.
    #[n(0)]
    pub grant: GrantId,
}

/// Makes or changes a bucket. Its name is not here.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BucketSet {
    /// The bucket.
    #[n(0)]
    pub bucket: BucketId,
    /// On how many nodes each blob is kept; at least 1.
    #[n(1)]
    pub copies: u8,
    /// How many must confirm before a write is acknowledged; 1 to `copies`.
    #[n(2)]
    pub confirm: u8,
    /// Where the copies may lie; absent if anywhere will do.
    #[n(3)]
    pub rules: Option<Rules>,
}

/// Where the copies of a bucket may lie.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(array)]
pub struct Rules {
    /// In how many zones at least; up to `copies`, and 0 if that does not matter.
    #[n(0)]
    pub zones: u8,
    /// In which regions.
    #[n(1)]
    pub regions: Regions,
}

impl Rules {
    /// Nothing for [`BucketSet::rules`] if they say nothing.
    pub fn said(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

/// Deletes a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BucketDelete {
    /// The bucket.
    #[n(0)]
    pub bucket: BucketId,
}

/// Erases a bucket with all that is in it: whoever has keys of it destroys them. Nothing brings it back.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct BucketErase {
    /// The bucket, deleted before or not.
    #[n(0)]
    pub bucket: BucketId,
}

/// Ends a bucket's keys before one: whoever has them seals anew what lives, and destroys them. What was
/// deleted before is then erased wherever it lies.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeysErase {
    /// The bucket.
    #[n(0)]
    pub bucket: BucketId,
    /// The version of the key that stays, with those of later generations; the generation is in the high 16 bits.
    #[n(1)]
    pub kept: u32,
    /// Which object was deleted for it: a digest that tells its name to those who can read the bucket.
    #[n(2)]
    pub object: Option<Digest>,
    /// When it was deleted, by the clock that the bucket's entries follow: what is put later is another object.
    /// Absent for when this is said.
    #[n(3)]
    pub deleted: Option<Millis>,
}

/// Buckets at most that one [`PersonErase`] names.
pub const PERSON_BUCKETS_MAX: usize = 1024;

/// Erases a person, whose membership another operation ends: what they are called, and the buckets that are
/// theirs alone. Nothing brings it back.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PersonErase {
    /// The person, a member or once one.
    #[n(0)]
    pub person: PersonId,
    /// The buckets, deleted before or not; among them the one that says what the person is called.
    #[n(1)]
    pub buckets: Bounded<BucketId, PERSON_BUCKETS_MAX>,
}

/// Carries a signature that belongs to an operation in its causal past, so that signatures given
/// later travel like everything else.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Endorse {
    /// The operation that is signed.
    #[n(0)]
    pub op: OpId,
    /// The level that operation was written at.
    #[n(1)]
    pub level: u32,
    /// The signature, as it would stand in the operation itself.
    #[n(2)]
    pub signature: Cosignature,
}
