//! What operations about machines, grants and buckets do.

use std::collections::BTreeMap;

use freehold_crypt::{BoxPublic, VerifyingKey};
use freehold_wire::{GrantId, Hlc, KeyId, Millis, NodeId, OpId, PersonId, RealmId};

use crate::body::{
    BucketDelete, BucketErase, BucketSet, GrantAccept, GrantOffer, GrantRevoke, InvitationCancel,
    InvitationIssue, InvitationRedeem, KeysErase, NodeAdd, NodeChange, NodeRemove, NodeSet, PersonErase,
    QuotaOf, QuotaSet, Resource, Target, Terms,
};
use crate::person::{Change, Statement};
use crate::reason::{Need, Reason, Thing};
use crate::roles::{MemberRoles, NodeRoles};
use crate::set::{At, is_mere_store};
use crate::state::{Bucket, Ended, Grant, NodeNetwork, Side, Site};
use crate::world::{Backing, Holder, InvitationRow, NodeRow, Sponsor};

use super::judge::Actor;
use super::run::{Effect, Run};

/// So many generations after the last one that was said to stay another one may be at most: more than a
/// bucket's key has followers between two erasures.
const GENERATIONS_AT_ONCE: u32 = 4096;

impl Run<'_> {
    pub(super) fn invitation_issue(&mut self, at: At, body: &InvitationIssue) -> Result<(), Reason> {
        let by = self.admin(at)?;
        let key = body.key.id();
        if self.world.keys.contains_key(&key) {
            return Err(Reason::InUse(Thing::Key));
        }
        if let Some(statement) = &body.device {
            self.delegation(at, key, statement)?;
        }
        self.secrets_need_power(at, body.roles, NodeRoles::NONE)?;
        if let (Some(statement), Some(row)) = (&body.device, self.world.persons.get_mut(&by)) {
            row.chain.push(statement.clone());
        }
        let Some(with) = self.frame.set.entry(at).map(|e| e.author) else { return Err(Reason::Stranger) };
        self.world.keys.insert(key, Holder::Invitation);
        let row = InvitationRow {
            issue: body.clone(),
            by,
            with,
            issued: at,
            cancelled: false,
            redeemed: None,
            contradicted: false,
        };
        self.world.invitations.insert(key, row);
        Ok(())
    }

    /// Giving a node secrets to hold takes a majority.
    fn secrets_need_power(&mut self, at: At, gives: NodeRoles, has: NodeRoles) -> Result<(), Reason> {
        if gives.contains(NodeRoles::SECRETS) && !has.contains(NodeRoles::SECRETS) {
            self.power(at)
        } else {
            Ok(())
        }
    }

    pub(super) fn invitation_cancel(&mut self, at: At, body: &InvitationCancel) -> Result<(), Reason> {
        self.admin(at)?;
        let row = self.world.invitations.get_mut(&body.key).ok_or(Reason::NoSuch(Thing::Invitation))?;
        row.cancelled = true;
        self.revoke(at, Target::Device(body.key), BTreeMap::new(), Backing::Lone, false);
        Ok(())
    }

    pub(super) fn invitation_redeem(&mut self, at: At, body: &InvitationRedeem) -> Result<(), Reason> {
        let Actor::Invitation(key) = self.actor(at)? else {
            return Err(Reason::NotAllowed(Need::Invitation));
        };
        let wall = self.frame.set.entry(at).map_or(Millis(u64::MAX), |e| e.op.head().hlc.wall);
        let Some(row) = self.world.invitations.get(&key) else {
            return Err(Reason::NoSuch(Thing::Invitation));
        };
        let (roles, by, expires) = (row.issue.roles, row.by, row.issue.expires);
        let view = self.view(at);
        if view.person_of(&row.with) != Some(by) || !view.is_admin(&by) || view.is_suspended(&by, &row.with) {
            return Err(Reason::NotAllowed(Need::Inviter));
        }
        // The redeemer's clock is theirs to set, so the newest checkpoint's is looked at as well.
        if wall > expires || self.base_time > expires {
            return Err(Reason::InvitationLapsed);
        }
        let sponsor = self.sponsor(at).ok_or(Reason::NotAllowed(Need::Door))?;
        self.not_rivalled(at, key, sponsor)?;
        let node = self.fresh_node(&body.node)?;
        if let Some(statement) = &body.device {
            self.invited_device(at, key, statement)?;
        }
        self.add_node(at, node, (&body.node, body.box_key), roles, Some(by));
        if let (Some(Change::Add { key, .. }), Some(row)) =
            (body.device.as_ref().map(Statement::change), self.world.nodes.get_mut(&node))
        {
            row.brought = Some(key.id());
        }
        if let Some(row) = self.world.invitations.get_mut(&key) {
            (row.redeemed, row.contradicted) = (Some((node, at, sponsor)), false);
        }
        Ok(())
    }

    /// Who opened the door to a newcomer: without anybody of the realm, an invitation that leaks after
    /// its use would contradict the redemption by which a node came in.
    fn sponsor(&self, at: At) -> Option<Sponsor> {
        let view = self.view(at);
        if !self.admin_signers(at, &view).0.is_empty() {
            return Some(Sponsor::Admin);
        }
        let opens = |key: &KeyId| {
            let Some(Holder::Node(node)) = self.world.keys.get(key) else { return false };
            view.node_roles(node).is_some_and(|roles| !is_mere_store(roles))
                && view.suspensions(&Target::Node(*node), false).next().is_none()
                && self.void(at, key, None, false).is_none()
        };
        self.frame.set.entry(at)?.signers.iter().any(opens).then_some(Sponsor::Node)
    }

    /// Two redemptions that do not know each other, both with somebody who let the newcomer in: the one
    /// with an admin's signature stands, and neither if that does not tell them apart.
    fn not_rivalled(&mut self, at: At, key: KeyId, sponsor: Sponsor) -> Result<(), Reason> {
        let contradicts = |(rival, other): &(At, Sponsor)| {
            *rival != at && *other >= sponsor && !self.frame.set.knows(*rival, at)
        };
        // The lowest id: the places depend on the order of arrival.
        let proof = self.rivals(key).filter(contradicts).map(|(rival, _)| self.id(rival)).min();
        let Some(row) = self.world.invitations.get_mut(&key) else { return Ok(()) };
        if let Some(proof) = proof {
            // Unless one was taken up: then it is settled who came in.
            row.contradicted = row.redeemed.is_none();
            return Err(Reason::Equivocation { proof });
        }
        let Some((_, first, other)) = row.redeemed else { return Ok(()) };
        if self.is_open(first) && !self.frame.set.knows(at, first) && sponsor >= other {
            let both =
                [(first, other), (at, sponsor)].into_iter().filter(|(_, by)| *by >= other.max(sponsor));
            self.effect = Some(Effect::Rivals(key, both.collect()));
        }
        Err(Reason::InUse(Thing::Invitation))
    }

    /// A node's id, if the key can be a node's and is nobody else's.
    fn fresh_node(&self, key: &VerifyingKey) -> Result<NodeId, Reason> {
        let node = NodeId::from_bytes(key.ed25519_bytes().ok_or(Reason::Numbers)?);
        let id = key.id();
        let returns = match self.world.keys.get(&id) {
            // An invitation's key need not be the issuer's own, so it reserves nothing.
            None | Some(Holder::Invitation) => true,
            Some(holder) => *holder == Holder::Node(node) && !self.world.burned.contains_key(&id),
        };
        if !returns {
            return Err(Reason::InUse(Thing::Key));
        }
        if self.whole().node_roles(&node).is_some() { Err(Reason::InUse(Thing::Node)) } else { Ok(node) }
    }

    fn add_node(
        &mut self,
        at: At,
        node: NodeId,
        (key, box_key): (&VerifyingKey, BoxPublic),
        roles: NodeRoles,
        by: Option<PersonId>,
    ) {
        let seniority = self.world.next_seniority;
        self.world.next_seniority += 1;
        self.world.keys.insert(key.id(), Holder::Node(node));
        let row = self.world.nodes.entry(node).or_insert_with(|| NodeRow {
            key: *key,
            box_key,
            by,
            admitted: at,
            roles: Vec::new(),
            site: Site::default(),
            network: NodeNetwork::default(),
            brought: None,
            seniority,
        });
        (row.box_key, row.by, row.admitted, row.site) = (box_key, by, at, Site::default());
        (row.network, row.brought) = (NodeNetwork::default(), None);
        row.roles.push((at, Some(roles)));
    }

    pub(super) fn node_add(&mut self, at: At, body: &NodeAdd) -> Result<(), Reason> {
        let by = self.admin(at)?;
        let node = self.fresh_node(&body.node)?;
        self.secrets_need_power(at, body.roles, NodeRoles::NONE)?;
        self.add_node(at, node, (&body.node, body.box_key), body.roles, Some(by));
        Ok(())
    }

    pub(super) fn node_change(&mut self, at: At, body: &NodeChange) -> Result<(), Reason> {
        self.admin(at)?;
        let has = self.whole().node_roles(&body.node).ok_or(Reason::NoSuch(Thing::Node))?;
        self.secrets_need_power(at, body.roles, has)?;
        // What it wrote later would count for ever: nothing names its last entry that does.
        if has.contains(NodeRoles::SECRETS) && !body.roles.contains(NodeRoles::SECRETS) {
            return Err(Reason::KeepsSecrets);
        }
        if let Some(row) = self.world.nodes.get_mut(&body.node) {
            row.roles.push((at, Some(body.roles)));
        }
        Ok(())
    }

    pub(super) fn node_remove(&mut self, at: At, body: &NodeRemove) -> Result<(), Reason> {
        let backing = match self.actor(at)? {
            Actor::Node(node, _) if node == body.node => Backing::Own,
            Actor::Device(_, roles) if roles.contains(MemberRoles::ADMIN) => Backing::Lone,
            _ => return Err(Reason::NotAllowed(Need::NodeOrAdmin)),
        };
        self.whole().node_roles(&body.node).ok_or(Reason::NoSuch(Thing::Node))?;
        let Some(row) = self.world.nodes.get_mut(&body.node) else { return Err(Reason::NoSuch(Thing::Node)) };
        row.roles.push((at, None));
        let key = row.key.id();
        self.revoke(at, Target::Node(body.node), BTreeMap::from([(key, body.last)]), backing, false);
        Ok(())
    }

    pub(super) fn node_set(&mut self, at: At, body: &NodeSet) -> Result<(), Reason> {
        self.admin(at)?;
        self.whole().node_roles(&body.node).ok_or(Reason::NoSuch(Thing::Node))?;
        if let Some(row) = self.world.nodes.get_mut(&body.node) {
            let Site { zone, region, draining, pace } = row.site;
            row.site = Site {
                zone: body.zone.unwrap_or(zone),
                region: body.region.unwrap_or(region),
                draining: body.draining.unwrap_or(draining),
                pace: body.pace.unwrap_or(pace),
            };
        }
        Ok(())
    }

    pub(super) fn quota_set(&mut self, at: At, body: &QuotaSet) -> Result<(), Reason> {
        self.admin(at)?;
        match (body.of, body.bytes) {
            (QuotaOf::Person(person), Some(_)) if self.whole().roles(&person).is_none() => {
                return Err(Reason::NoSuch(Thing::Member));
            }
            (QuotaOf::Bucket(bucket), Some(_))
                if self.world.buckets.get(&bucket).is_none_or(|bucket| bucket.deleted) =>
            {
                return Err(Reason::NoSuch(Thing::Bucket));
            }
            (of, Some(bytes)) => drop(self.world.quotas.insert(of, bytes)),
            (of, None) => drop(self.world.quotas.remove(&of)),
        }
        Ok(())
    }

    /// A grant as it is at first.
    fn grant(
        &mut self,
        at: At,
        id: GrantId,
        (side, other, offer): (Side, RealmId, OpId),
        (terms, keys, homes): (Terms, Vec<VerifyingKey>, Vec<NodeId>),
    ) -> Result<(), Reason> {
        self.admin(at)?;
        let (said_in, suspended, standing_in) = (self.id(at), false, None);
        let (revoked, ended) = (false, None);
        let grant =
            Grant { side, other, offer, said_in, terms, keys, homes, revoked, ended, suspended, standing_in };
        let Terms { from, until, .. } = grant.terms;
        if from >= until {
            return Err(Reason::Numbers);
        }
        if self.world.grants.contains_key(&id) {
            return Err(Reason::InUse(Thing::Grant));
        }
        self.world.grants.insert(id, grant);
        Ok(())
    }

    pub(super) fn grant_offer(&mut self, at: At, body: &GrantOffer) -> Result<(), Reason> {
        let whose = (Side::Lends, body.to, self.id(at));
        self.admin(at)?;
        let homes = body.homes.as_ref().map(|homes| homes.to_vec());
        if let Some(homes) = &homes {
            let ascend = !homes.is_empty() && homes.is_sorted_by(|a, b| a < b);
            if !ascend || body.terms.resource != Resource::Storage {
                return Err(Reason::Numbers);
            }
            if !homes.iter().all(|home| self.world.nodes.contains_key(home)) {
                return Err(Reason::NoSuch(Thing::Node));
            }
        }
        self.grant(at, body.grant, whose, (body.terms, body.keys.to_vec(), homes.unwrap_or_default()))
    }

    pub(super) fn grant_accept(&mut self, at: At, body: &GrantAccept) -> Result<(), Reason> {
        let whose = (Side::Borrows, body.from, body.offer);
        self.grant(at, body.grant, whose, (body.terms, Vec::new(), Vec::new()))
    }

    pub(super) fn grant_revoke(&mut self, at: At, body: &GrantRevoke) -> Result<(), Reason> {
        self.admin(at)?;
        let by = self.id(at);
        let said = self.frame.set.entry(at).map(|entry| entry.op.head().hlc.wall).unwrap_or_default();
        let grant = self.world.grants.get_mut(&body.grant).ok_or(Reason::NoSuch(Thing::Grant))?;
        grant.revoked = true;
        // Who ends it twice ends it no earlier and no later.
        grant.ended.get_or_insert(said);
        grant.standing_in.get_or_insert(by);
        Ok(())
    }

    /// Whoever may make and delete buckets.
    pub(super) fn operator(&self, at: At) -> Result<(), Reason> {
        let may = match self.actor(at)? {
            Actor::Device(_, roles) => {
                roles.contains(MemberRoles::ADMIN) || roles.contains(MemberRoles::OPERATOR)
            }
            Actor::Node(_, roles) => roles.contains(NodeRoles::GATEWAY),
            Actor::Invitation(_) => false,
        };
        if may { Ok(()) } else { Err(Reason::NotAllowed(Need::Operator)) }
    }

    pub(super) fn bucket_set(&mut self, at: At, body: &BucketSet) -> Result<(), Reason> {
        self.operator(at)?;
        let rules = body.rules.clone().unwrap_or_default();
        let silent = body.rules.is_some() && rules.clone().said().is_none();
        let odd = rules.zones > body.copies || !rules.regions.fits() || silent;
        if body.copies == 0 || body.confirm == 0 || body.confirm > body.copies || odd {
            return Err(Reason::Numbers);
        }
        let Some(entry) = self.frame.set.entry(at) else { return Err(Reason::Stranger) };
        let known = self.world.buckets.get(&body.bucket);
        if known.is_some_and(|bucket| bucket.deleted) {
            return Err(Reason::NoSuch(Thing::Bucket));
        }
        let moves = known.is_some_and(|bucket| bucket.rules != rules);
        if moves && matches!(self.actor(at)?, Actor::Node(..)) {
            return Err(Reason::NotAllowed(Need::Person));
        }
        let bucket = self.world.buckets.entry(body.bucket).or_insert_with(|| Bucket {
            copies: body.copies,
            confirm: body.confirm,
            rules: rules.clone(),
            created_by: entry.author,
            created_in: entry.op.id(),
            deleted: false,
            erased: None,
            ended: Vec::new(),
        });
        (bucket.copies, bucket.confirm, bucket.rules) = (body.copies, body.confirm, rules);
        Ok(())
    }

    pub(super) fn bucket_delete(&mut self, at: At, body: &BucketDelete) -> Result<(), Reason> {
        self.operator(at)?;
        let bucket = self.world.buckets.get_mut(&body.bucket).filter(|bucket| !bucket.deleted);
        bucket.ok_or(Reason::NoSuch(Thing::Bucket))?.deleted = true;
        Ok(())
    }

    /// No gateway may: it destroys what is in it on every node.
    pub(super) fn bucket_erase(&mut self, at: At, body: &BucketErase) -> Result<(), Reason> {
        self.admin(at)?;
        let id = self.id(at);
        let bucket = self.world.buckets.get_mut(&body.bucket).filter(|bucket| bucket.erased.is_none());
        let bucket = bucket.ok_or(Reason::NoSuch(Thing::Bucket))?;
        (bucket.deleted, bucket.erased) = (true, Some(id));
        Ok(())
    }

    /// The same of several buckets. Those that were erased before stay so by what erased them.
    pub(super) fn person_erase(&mut self, at: At, body: &PersonErase) -> Result<(), Reason> {
        self.admin(at)?;
        if !self.world.persons.contains_key(&body.person) {
            return Err(Reason::NoSuch(Thing::Member));
        }
        if body.buckets.iter().any(|bucket| !self.world.buckets.contains_key(bucket)) {
            return Err(Reason::NoSuch(Thing::Bucket));
        }
        let id = self.id(at);
        for bucket in &body.buckets {
            if let Some(bucket) = self.world.buckets.get_mut(bucket) {
                (bucket.deleted, bucket.erased) = (true, bucket.erased.or(Some(id)));
            }
        }
        self.world.quotas.remove(&QuotaOf::Person(body.person));
        self.world.erased.insert(id, body.person);
        Ok(())
    }

    /// The same. Of two that were said apart, and name keys of one generation, both count: the key with the
    /// higher version is the one that stays. A leap would use the generations up.
    pub(super) fn keys_erase(&mut self, at: At, body: &KeysErase) -> Result<(), Reason> {
        self.admin(at)?;
        let erasure = self.id(at);
        let said = self.frame.set.entry(at).map(|entry| entry.op.head().hlc.wall).unwrap_or_default();
        let bucket = self.world.buckets.get_mut(&body.bucket).filter(|bucket| bucket.erased.is_none());
        let bucket = bucket.ok_or(Reason::NoSuch(Thing::Bucket))?;
        let generation = |version: u32| version >> 16;
        let last = bucket.ended.last().map_or(0, |ended| generation(ended.kept));
        if !(last.max(1)..=last.saturating_add(GENERATIONS_AT_ONCE)).contains(&generation(body.kept)) {
            return Err(Reason::Numbers);
        }
        let at = body.deleted.map_or(said, |deleted| deleted.min(said.plus(Hlc::DRIFT_MAX)));
        bucket.ended.push(Ended { erasure, kept: body.kept, object: body.object, at });
        Ok(())
    }
}
