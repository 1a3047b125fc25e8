//! The tables that a fold fills: who was given or denied what, and by which operation, so that any
//! operation can be judged by what its author could know.

use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::{BoxPublic, VerifyingKey};
use freehold_wire::{BucketId, Digest, GrantId, KeyId, NodeId, OpId, PersonId, PhoneId, RuleId, ServiceId};

use crate::body::{GuardianSet, ImageKeysSet, InvitationIssue, NetSet, QuotaOf, Target, WitnessesSet};
use crate::person::Statement;
use crate::roles::{MemberRoles, NodeRoles};
use crate::set::{At, OpSet};
use crate::state::{Bucket, Grant, NodeNetwork, Phone, Rule, Service, Site};

/// Whose key it is. A key is for one purpose only, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Device(PersonId),
    Node(NodeId),
    Invitation,
}

/// Who stands behind a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backing {
    /// One admin: does not bind an admin.
    Lone,
    /// Another device of the same person.
    Own,
    /// One admin and one guardian: the suspended admin still counts for majorities.
    Guardian,
    /// A majority, or guardians by recovery.
    Quorum,
}

/// A revocation: operations of the target's keys that its author did not accept are void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) op: At,
    pub(crate) last: BTreeMap<KeyId, u64>,
    pub(crate) suspension: bool,
    pub(crate) backing: Backing,
    /// Accepted operations that lift it.
    pub(crate) lifted: Vec<At>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct PersonRow {
    /// Roles from an operation on; none when the membership ended.
    pub(crate) roles: Vec<(At, Option<MemberRoles>)>,
    pub(crate) devices: BTreeMap<KeyId, DeviceRow>,
    pub(crate) chain: Vec<Statement>,
    pub(crate) seniority: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct DeviceRow {
    pub(crate) key: VerifyingKey,
    pub(crate) box_key: BoxPublic,
    /// Whether it is the person's, from an operation on.
    pub(crate) theirs: Vec<(At, bool)>,
}

#[derive(Debug, Clone)]
pub(crate) struct NodeRow {
    pub(crate) key: VerifyingKey,
    pub(crate) box_key: BoxPublic,
    pub(crate) by: Option<PersonId>,
    pub(crate) admitted: At,
    pub(crate) roles: Vec<(At, Option<NodeRoles>)>,
    pub(crate) site: Site,
    pub(crate) network: NodeNetwork,
    /// The device that came in with it.
    pub(crate) brought: Option<KeyId>,
    pub(crate) seniority: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct InvitationRow {
    pub(crate) issue: InvitationIssue,
    pub(crate) by: PersonId,
    /// The device of theirs that signed it.
    pub(crate) with: KeyId,
    pub(crate) issued: At,
    pub(crate) cancelled: bool,
    /// The node that redeemed it, by which operation, and who let it in.
    pub(crate) redeemed: Option<(NodeId, At, Sponsor)>,
    /// Whether redemptions contradicted each other.
    pub(crate) contradicted: bool,
}

/// Who let a newcomer in; an admin's word outranks a node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sponsor {
    Node,
    Admin,
}

/// All tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) persons: BTreeMap<PersonId, PersonRow>,
    pub(crate) ever_admins: BTreeSet<PersonId>,
    pub(crate) keys: BTreeMap<KeyId, Holder>,
    pub(crate) nodes: BTreeMap<NodeId, NodeRow>,
    pub(crate) invitations: BTreeMap<KeyId, InvitationRow>,
    pub(crate) directory: Option<Digest>,
    pub(crate) guardians: Vec<(At, GuardianSet)>,
    pub(crate) tested: BTreeSet<KeyId>,
    pub(crate) witnesses: Vec<(At, WitnessesSet)>,
    pub(crate) image_keys: Option<ImageKeysSet>,
    pub(crate) grants: BTreeMap<GrantId, Grant>,
    pub(crate) buckets: BTreeMap<BucketId, Bucket>,
    pub(crate) quotas: BTreeMap<QuotaOf, u64>,
    /// Who was erased, and by which operation.
    pub(crate) erased: BTreeMap<OpId, PersonId>,
    pub(crate) network: Option<(NetSet, OpId)>,
    pub(crate) services: BTreeMap<ServiceId, Service>,
    pub(crate) rules: BTreeMap<RuleId, Rule>,
    pub(crate) phones: BTreeMap<PhoneId, Phone>,
    pub(crate) cuts: BTreeMap<Target, Vec<Cut>>,
    /// Burned from this number on, with a proof.
    pub(crate) burned: BTreeMap<KeyId, (u64, OpId)>,
    /// Keys that a void operation would have let in.
    pub(crate) void_keys: BTreeMap<KeyId, OpId>,
    /// Recoveries that a majority objected to, and where.
    pub(crate) vetoed: BTreeMap<OpId, At>,
    /// Operations of a higher level that a majority signed.
    pub(crate) newer: Vec<(At, u32)>,
    /// Checkpoints and recoveries in force, oldest first, with their epochs counted from 1.
    pub(crate) bases: Vec<At>,
    pub(crate) next_seniority: u32,
}

/// The tables as the author of one operation could know them; or all of them.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) set: &'a OpSet,
    pub(crate) world: &'a World,
    /// None: everything.
    pub(crate) at: Option<At>,
}

impl<'a> View<'a> {
    pub(crate) fn sees(&self, op: At) -> bool {
        self.at.is_none_or(|at| self.set.knows(at, op))
    }

    /// The newest row that is seen.
    fn newest<T>(&self, rows: &'a [(At, T)]) -> Option<&'a T> {
        rows.iter().rev().find(|(op, _)| self.sees(*op)).map(|(_, row)| row)
    }

    fn newest_at<T>(&self, rows: &[(At, T)]) -> Option<At> {
        rows.iter().rev().map(|(op, _)| *op).find(|op| self.sees(*op))
    }

    /// A member's roles.
    pub(crate) fn roles(&self, person: &PersonId) -> Option<MemberRoles> {
        *self.newest(&self.world.persons.get(person)?.roles)?
    }

    pub(crate) fn is_admin(&self, person: &PersonId) -> bool {
        self.roles(person).is_some_and(|roles| roles.contains(MemberRoles::ADMIN))
    }

    /// The operation that says what roles a member has.
    pub(crate) fn roles_in(&self, person: &PersonId) -> Option<At> {
        self.newest_at(&self.world.persons.get(person)?.roles)
    }

    /// The same of a node.
    pub(crate) fn node_roles_in(&self, node: &NodeId) -> Option<At> {
        self.newest_at(&self.world.nodes.get(node)?.roles)
    }

    /// A node's roles.
    pub(crate) fn node_roles(&self, node: &NodeId) -> Option<NodeRoles> {
        *self.newest(&self.world.nodes.get(node)?.roles)?
    }

    /// The person that a device key signs for; whether either is suspended is another question.
    pub(crate) fn person_of(&self, key: &KeyId) -> Option<PersonId> {
        let Some(Holder::Device(person)) = self.world.keys.get(key) else { return None };
        let device = self.world.persons.get(person)?.devices.get(key)?;
        (*self.newest(&device.theirs)?).then_some(*person)
    }

    pub(crate) fn guardians(&self) -> Option<&'a GuardianSet> {
        self.newest(&self.world.guardians)
    }

    pub(crate) fn witnesses(&self) -> Option<&'a WitnessesSet> {
        self.newest(&self.world.witnesses)
    }

    /// The suspensions of a target that are seen and not seen lifted. One by a lone admin does not
    /// bind an admin.
    pub(crate) fn suspensions(&self, target: &Target, admin: bool) -> impl Iterator<Item = &'a Cut> {
        let view = *self;
        self.world.cuts.get(target).into_iter().flatten().filter(move |cut| {
            cut.suspension
                && view.sees(cut.op)
                && !cut.lifted.iter().any(|lift| view.sees(*lift))
                && !(admin && cut.backing == Backing::Lone)
        })
    }

    /// Whether a person or this device of theirs is suspended.
    pub(crate) fn is_suspended(&self, person: &PersonId, key: &KeyId) -> bool {
        let admin = self.is_admin(person);
        self.suspensions(&Target::Person(*person), admin).next().is_some()
            || self.suspensions(&Target::Device(*key), admin).next().is_some()
    }

    /// Admins that count for majorities: all but those that a majority suspended.
    pub(crate) fn counted_admins(&self) -> impl Iterator<Item = &'a PersonId> {
        let view = *self;
        self.world.ever_admins.iter().filter(move |person| {
            view.is_admin(person)
                && !view
                    .suspensions(&Target::Person(**person), true)
                    .any(|cut| cut.backing == Backing::Quorum)
        })
    }
}
