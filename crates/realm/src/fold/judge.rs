//! Who may do what: an operation is judged by what its author could know, and void where a
//! revocation or a second operation with the same number says so.

use std::collections::BTreeSet;

use freehold_wire::{KeyId, Millis, NodeId, OpId, PersonId};

use crate::body::{Body, Recovery, Target};
use crate::reason::{Need, Reason, Thing};
use crate::roles::{MemberRoles, NodeRoles};
use crate::set::At;
use crate::world::{Backing, Cut, Holder, View};

use super::run::Run;

/// How long after it was written a power proposal can be completed, by the checkpoints' clock.
const PROPOSAL_LIFE: Millis = Millis::from_hours(14 * 24);

/// Who writes an operation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Actor {
    Device(PersonId, MemberRoles),
    Node(NodeId, NodeRoles),
    Invitation(KeyId),
}

/// Why a key's signature on an operation does not count.
pub(super) enum Void<'a> {
    Burned(OpId),
    Cut(&'a Cut),
}

impl Run<'_> {
    /// Judges an operation and, if it stands, writes down what it does.
    pub(super) fn judge(&mut self, at: At) -> Result<(), Reason> {
        let set = self.frame.set;
        let Some(entry) = set.entry(at) else { return Err(Reason::BrokenChain) };
        if !entry.chained {
            return Err(Reason::BrokenChain);
        }
        match entry.op.body() {
            Body::Genesis(b) => self.genesis(at, b),
            Body::Unknown(_) => self.unknown(at, entry.op.head().level),
            Body::Checkpoint(_) | Body::Recovery(_) => Err(self.not_the_base(at)),
            Body::MemberAdd(b) => self.member_add(at, b),
            Body::MemberChange(b) => self.member_change(at, b),
            Body::MemberRemove(b) => self.member_remove(at, b),
            Body::DeviceAdd(b) => self.device_add(at, b),
            Body::DeviceRemove(b) => self.device_remove(at, b),
            Body::Suspend(b) => self.suspend(at, b),
            Body::Lift(b) => self.lift(at, b),
            Body::GuardiansSet(b) => self.guardians_set(at, b),
            Body::GuardianTested(b) => self.guardian_tested(at, b),
            Body::RecoveryVeto(b) => self.recovery_veto(at, b),
            Body::WitnessesSet(b) => self.witnesses_set(at, b),
            Body::ImageKeysSet(b) => self.image_keys_set(at, b),
            Body::InvitationIssue(b) => self.invitation_issue(at, b),
            Body::InvitationCancel(b) => self.invitation_cancel(at, b),
            Body::InvitationRedeem(b) => self.invitation_redeem(at, b),
            Body::NodeAdd(b) => self.node_add(at, b),
            Body::NodeChange(b) => self.node_change(at, b),
            Body::NodeRemove(b) => self.node_remove(at, b),
            Body::NodeSet(b) => self.node_set(at, b),
            Body::QuotaSet(b) => self.quota_set(at, b),
            Body::GrantOffer(b) => self.grant_offer(at, b),
            Body::GrantAccept(b) => self.grant_accept(at, b),
            Body::GrantRevoke(b) => self.grant_revoke(at, b),
            Body::BucketSet(b) => self.bucket_set(at, b),
            Body::BucketDelete(b) => self.bucket_delete(at, b),
            Body::BucketErase(b) => self.bucket_erase(at, b),
            Body::KeysErase(b) => self.keys_erase(at, b),
            Body::PersonErase(b) => self.person_erase(at, b),
            Body::NetSet(b) => self.net_set(at, b),
            Body::NodeNet(b) => self.node_net(at, b),
            Body::ServiceSet(b) => self.service_set(at, b),
            Body::ServiceEnd(b) => self.service_end(at, b),
            Body::RuleSet(b) => self.rule_set(at, b),
            Body::RuleEnd(b) => self.rule_end(at, b),
            Body::PhoneAdd(b) => self.phone_add(at, b),
            Body::PhoneEnd(b) => self.phone_end(at, b),
            Body::Endorse(_) => self.actor(at).map(|_| ()),
        }
    }

    /// The author, if it may write anything at all at this point.
    pub(super) fn actor(&self, at: At) -> Result<Actor, Reason> {
        let Some(entry) = self.frame.set.entry(at) else { return Err(Reason::Stranger) };
        let (key, view) = (entry.author, self.view(at));
        let stranger =
            || self.world.void_keys.get(&key).map_or(Reason::Stranger, |of| Reason::Cascade { of: *of });
        let (actor, admin) = match self.world.keys.get(&key) {
            None => return Err(stranger()),
            Some(Holder::Device(_)) => {
                let person = view.person_of(&key).ok_or_else(stranger)?;
                let roles = view.roles(&person).ok_or_else(stranger)?;
                if view.is_suspended(&person, &key) {
                    return Err(Reason::Suspended);
                }
                (Actor::Device(person, roles), roles.contains(MemberRoles::ADMIN))
            }
            Some(Holder::Node(node)) => {
                let roles = view.node_roles(node).ok_or_else(stranger)?;
                if view.suspensions(&Target::Node(*node), false).next().is_some() {
                    return Err(Reason::Suspended);
                }
                (Actor::Node(*node, roles), false)
            }
            Some(Holder::Invitation) => {
                let issued = self.world.invitations.get(&key).is_some_and(|i| view.sees(i.issued));
                if !issued {
                    return Err(stranger());
                }
                (Actor::Invitation(key), false)
            }
        };
        match self.void(at, &key, Some(entry.op.head().seq), admin) {
            None => Ok(actor),
            Some(Void::Burned(proof)) => Err(Reason::Equivocation { proof }),
            Some(Void::Cut(cut)) if cut.suspension => Err(Reason::Held { by: self.id(cut.op) }),
            Some(Void::Cut(cut)) => Err(Reason::Revoked { by: self.id(cut.op) }),
        }
    }

    /// What voids a key's word in an operation although its author could not know. `seq` is the
    /// operation's number if the key is its author's; a co-signature has none, so it counts only in
    /// what the revocation has in its past.
    pub(super) fn void(&self, at: At, key: &KeyId, seq: Option<u64>, admin: bool) -> Option<Void<'_>> {
        // An invitation is taken up once: what contradicts that is judged there.
        if let Some((from, proof)) = self.world.burned.get(key)
            && self.world.keys.get(key) != Some(&Holder::Invitation)
            && seq.is_none_or(|seq| seq >= *from)
        {
            return Some(Void::Burned(*proof));
        }
        let set = self.frame.set;
        let own = (Target::Device(*key), admin);
        let whose = match self.world.keys.get(key)? {
            Holder::Device(person) => [Some(own), Some((Target::Person(*person), admin)), None],
            Holder::Node(node) => [Some((Target::Node(*node), admin)), None, None],
            // It falls with the admin who gave it.
            Holder::Invitation => {
                let row = self.world.invitations.get(key);
                let device = row.map(|row| (Target::Device(row.with), true));
                [Some(own), device, row.map(|row| (Target::Person(row.by), true))]
            }
        };
        let cuts = whose.into_iter().flatten().filter_map(|(target, admin)| {
            Some(self.world.cuts.get(&target)?.iter().map(move |cut| (cut, admin)))
        });
        let binding = cuts.flatten().filter(|(cut, admin)| {
            let known = cut.op == at || set.knows(at, cut.op);
            let lifted = cut.suspension && !cut.lifted.is_empty();
            let toothless = *admin && cut.backing == Backing::Lone;
            !(known || lifted || toothless)
        });
        let binding = binding.map(|(cut, _)| cut);
        let cutting = binding.filter(|cut| match (seq, cut.last.get(key)) {
            (Some(seq), Some(last)) => seq > *last,
            _ => !set.knows(cut.op, at),
        });
        // Of several, the one that leaves the least.
        cutting.min_by_key(|cut| (self.is_weak(cut, at), cut.suspension, self.id(cut.op))).map(Void::Cut)
    }

    /// Whether a revocation is by a device of the same person that knew the operation.
    fn is_weak(&self, cut: &Cut, at: At) -> bool {
        cut.backing == Backing::Own && self.frame.set.knows(cut.op, at)
    }

    /// An admin's device.
    pub(super) fn admin(&self, at: At) -> Result<PersonId, Reason> {
        match self.actor(at)? {
            Actor::Device(person, roles) if roles.contains(MemberRoles::ADMIN) => Ok(person),
            _ => Err(Reason::NotAllowed(Need::Admin)),
        }
    }

    /// Whether a strict majority of the admins that its author could know has signed an operation.
    pub(super) fn quorum(&self, at: At) -> Result<(), Reason> {
        let view = self.view(at);
        let counted: BTreeSet<&PersonId> = view.counted_admins().collect();
        let need = u32::try_from(counted.len() / 2 + 1).unwrap_or(u32::MAX);
        let (firm, weak) = self.admin_signers(at, &view);
        // What others agreed to is not undone by one of them revoking a device of their own.
        let all = if firm.is_empty() { firm } else { firm.union(&weak).copied().collect() };
        let have =
            u32::try_from(all.intersection(&counted.iter().map(|p| **p).collect()).count()).unwrap_or(0);
        if have >= need { Ok(()) } else { Err(Reason::TooFewSignatures { have, need }) }
    }

    /// Admins whose signature counts, and those whose signature was revoked by a device of their own
    /// that knew the operation.
    pub(super) fn admin_signers(&self, at: At, view: &View<'_>) -> (BTreeSet<PersonId>, BTreeSet<PersonId>) {
        let (mut firm, mut weak) = (BTreeSet::new(), BTreeSet::new());
        let Some(entry) = self.frame.set.entry(at) else { return (firm, weak) };
        for key in &entry.signers {
            let Some(person) = view.person_of(key).filter(|p| view.is_admin(p)) else { continue };
            if view.is_suspended(&person, key) {
                continue;
            }
            let seq = (*key == entry.author).then(|| entry.op.head().seq);
            match self.void(at, key, seq, true) {
                None => {
                    firm.insert(person);
                }
                Some(Void::Cut(cut)) if self.is_weak(cut, at) => {
                    weak.insert(person);
                }
                Some(_) => {}
            }
        }
        (firm, weak)
    }

    /// A power operation: in time, listed by the checkpoint that fixes it, and signed by a majority.
    pub(super) fn power(&mut self, at: At) -> Result<(), Reason> {
        self.timely(at)?;
        self.quorum(at)?;
        self.standing.push(at);
        Ok(())
    }

    /// Whether signatures collected for an operation can still complete it.
    pub(super) fn timely(&self, at: At) -> Result<(), Reason> {
        let set = self.frame.set;
        let Some(entry) = set.entry(at) else { return Err(Reason::Lapsed) };
        let head = entry.op.head();
        if self.world.newer.iter().any(|(newer, _)| !set.knows(*newer, at)) {
            return Err(Reason::NewerThanMe);
        }
        let known =
            self.world.bases.iter().rposition(|base| set.knows(at, *base)).map_or(0, |i| i as u64 + 1);
        if head.epoch > known {
            return Err(Reason::EpochAhead);
        }
        let late = self.base.is_some() && self.base_time > head.hlc.wall.plus(PROPOSAL_LIFE);
        if late || self.epoch >= head.epoch.saturating_add(2) {
            return Err(Reason::Lapsed);
        }
        match &self.listed {
            Some((by, list)) if !list.contains(&entry.op.id()) => Err(Reason::LeftOut { by: *by }),
            _ => Ok(()),
        }
    }

    /// Signed by one admin and one guardian: enough to suspend another admin.
    pub(super) fn guardian_and_admin(&mut self, at: At) -> Result<(), Reason> {
        self.timely(at)?;
        let view = self.view(at);
        let (admins, _) = self.admin_signers(at, &view);
        let then = self.guardians_signing(at, &view);
        let now = self.guardians_signing(at, &self.whole());
        let have = u32::from(!admins.is_empty()) + u32::from(then.intersection(&now).next().is_some());
        if have < 2 {
            return Err(Reason::TooFewSignatures { have, need: 2 });
        }
        self.standing.push(at);
        Ok(())
    }

    pub(super) fn guardians_signing(&self, at: At, view: &View<'_>) -> BTreeSet<KeyId> {
        let Some(entry) = self.frame.set.entry(at) else { return BTreeSet::new() };
        let guardians: BTreeSet<KeyId> =
            view.guardians().into_iter().flat_map(|set| set.guardians.iter().map(|g| g.key.id())).collect();
        entry.signers.iter().filter(|key| guardians.contains(key)).copied().collect()
    }

    /// Who stands behind taking rights from a person: an admin's are safe from a lone admin.
    pub(super) fn against(&mut self, at: At, person: &PersonId, guardian: bool) -> Result<Backing, Reason> {
        if self.view(at).is_admin(person) || self.whole().is_admin(person) {
            return match self.power(at) {
                Ok(()) => Ok(Backing::Quorum),
                Err(Reason::TooFewSignatures { .. }) if guardian && self.guardian_and_admin(at).is_ok() => {
                    Ok(Backing::Guardian)
                }
                Err(why) => Err(why),
            };
        }
        self.admin(at).map(|_| Backing::Lone)
    }

    fn unknown(&mut self, at: At, level: u32) -> Result<(), Reason> {
        if self.quorum(at).is_ok() {
            self.world.newer.push((at, level));
        }
        Err(Reason::UnknownKind)
    }

    fn not_the_base(&self, at: At) -> Reason {
        match (self.frame.candidates.get(at), self.invalid.get(&at)) {
            (None, _) => Reason::NoBase,
            (Some(_), Some(why)) => *why,
            (Some(_), None) => Reason::Overtaken,
        }
    }

    /// Whether a checkpoint or recovery holds, judged in its own past alone.
    pub(super) fn judge_base(&mut self, at: At) -> Result<(), Reason> {
        let set = self.frame.set;
        match set.entry(at).map(|e| e.op.body()) {
            Some(Body::Checkpoint(_)) => self.quorum(at).or_else(|why| self.witnessed(at).map_err(|()| why)),
            Some(Body::Recovery(b)) => {
                self.recovery_stands(at, b)?;
                self.recover(at, b)
            }
            _ => Err(Reason::NoBase),
        }
    }

    /// Signed by enough of the nodes that the admins delegated.
    fn witnessed(&self, at: At) -> Result<(), ()> {
        let (set, view) = (self.frame.set, self.view(at));
        let (Some(witnesses), Some(entry)) = (view.witnesses(), set.entry(at)) else { return Err(()) };
        let signed = |node: &&NodeId| {
            let Some(row) = self.world.nodes.get(node) else { return false };
            let key = row.key.id();
            let seq = (key == entry.author).then(|| entry.op.head().seq);
            entry.signers.contains(&key)
                && view.node_roles(node).is_some_and(|roles| roles.contains(NodeRoles::WITNESS))
                && view.suspensions(&Target::Node(**node), false).next().is_none()
                && self.void(at, &key, seq, false).is_none()
        };
        let have = witnesses.nodes.iter().filter(signed).count();
        if have > 0 && have >= usize::from(witnesses.threshold) { Ok(()) } else { Err(()) }
    }

    fn recovery_stands(&self, at: At, body: &Recovery) -> Result<(), Reason> {
        let view = self.view(at);
        let need = view.guardians().map_or(0, |g| u32::from(g.threshold));
        let have = u32::try_from(self.guardians_signing(at, &view).len()).unwrap_or(u32::MAX);
        if need == 0 {
            return Err(Reason::NoSuch(Thing::Guardian));
        }
        if have < need {
            return Err(Reason::TooFewSignatures { have, need });
        }
        let author = self.frame.set.entry(at).map(|e| e.author);
        let by_new_admin = body.admins.iter().any(|chain| {
            crate::person::read_chain(chain)
                .is_ok_and(|(_, devices)| author.is_some_and(|a| devices.contains_key(&a)))
        });
        if !by_new_admin {
            return Err(Reason::NotAllowed(Need::NewAdmin));
        }
        let held = self.frame.clock.matured.contains(&self.id(at));
        let countersigned = self.immediate.contains(&at) && !self.admin_signers(at, &view).0.is_empty();
        if held || countersigned { Ok(()) } else { Err(Reason::Waiting) }
    }

    /// After a walk without them: recoveries that present guardians and a present admin have signed,
    /// and that need not wait therefore.
    pub(super) fn countersigned_recoveries(&self) -> BTreeSet<At> {
        let whole = self.whole();
        let need = whole.guardians().map_or(usize::MAX, |g| usize::from(g.threshold));
        let ready = |at: &At| {
            !self.frame.clock.matured.contains(&self.id(*at))
                && self.guardians_signing(*at, &whole).len() >= need
                && !self.admin_signers(*at, &whole).0.is_empty()
        };
        self.frame.candidates.recoveries().filter(ready).collect()
    }
}
