//! A small realm with people called by letters.

use std::collections::BTreeSet;

use freehold_crypt::{Algorithm, BoxPublic, BoxSecret, Secret, SigningKey, hash};
use freehold_wire::{Bounded, BucketId, Digest, Hlc, KeyId, Millis, NodeId, OpId, PersonId, Region, ZoneId};

use crate::body::{self, Body, Guardian, GuardianSet, LastSeq, Target};
use crate::fold::{Clock, Folded, fold};
use crate::op::{Head, LEVEL, Op};
use crate::person::Statement;
use crate::roles::{MemberRoles, NodeRoles};
use crate::set::{InsertError, Inserted, OpSet};
use crate::state::Standing;

pub(crate) const DAY: u64 = 24 * 3600 * 1000;
pub(crate) const START: u64 = 1_800_000_000_000;

fn seed(name: &str) -> Secret {
    Secret::from_bytes(hash::digest("freehold test key", name.as_bytes()))
}

/// The signing key of whoever is called so; names that begin with `p` have P-256 keys.
pub(crate) fn key(name: &str) -> SigningKey {
    let algorithm = if name.starts_with('p') { Algorithm::P256 } else { Algorithm::Ed25519 };
    SigningKey::from_seed(algorithm, &seed(name))
}

pub(crate) fn key_id(name: &str) -> KeyId {
    key(name).verifying().id()
}

pub(crate) fn box_key(name: &str) -> BoxPublic {
    BoxSecret::from_seed(&seed(name)).public()
}

pub(crate) fn founding(name: &str) -> Statement {
    let mut nonce = [0; 16];
    nonce.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    Statement::found(nonce, &key(name), box_key(name))
}

pub(crate) fn person(name: &str) -> PersonId {
    founding(name).person()
}

pub(crate) fn node_id(name: &str) -> NodeId {
    NodeId::from_bytes(key(name).verifying().ed25519_bytes().unwrap())
}

pub(crate) fn bucket(n: u8) -> BucketId {
    BucketId::from_bytes([n; 32])
}

pub(crate) fn list<T, const N: usize>(items: impl IntoIterator<Item = T>) -> Bounded<T, N> {
    Bounded::from_vec(items.into_iter().collect()).unwrap()
}

pub(crate) fn guardians(names: &[&str], threshold: u8) -> GuardianSet {
    let mut all: Vec<_> = names
        .iter()
        .map(|n| Guardian { key: key(n).verifying(), box_key: box_key(n), share: vec![7; 81] })
        .collect();
    all.sort_by_key(|g| g.key);
    GuardianSet { threshold, guardians: list(all), recovery: box_key("recovery") }
}

pub(crate) fn set_bucket(n: u8) -> Body {
    body::BucketSet { bucket: bucket(n), copies: 2, confirm: 1, rules: None }.into()
}

pub(crate) fn add_admin(name: &str) -> Body {
    body::MemberAdd { chain: list([founding(name)]), roles: MemberRoles::ADMIN }.into()
}

pub(crate) fn add_member(name: &str) -> Body {
    body::MemberAdd { chain: list([founding(name)]), roles: MemberRoles::MEMBER }.into()
}

pub(crate) fn add_node(name: &str, roles: NodeRoles) -> Body {
    body::NodeAdd { node: key(name).verifying(), box_key: box_key(name), roles }.into()
}

pub(crate) fn zone(n: u8) -> ZoneId {
    ZoneId::from_bytes([n; 16])
}

pub(crate) fn region(name: &str) -> Region {
    name.parse().unwrap()
}

/// Says nothing of a node.
pub(crate) fn nowhere() -> body::NodeSet {
    body::NodeSet { node: NodeId::from_bytes([0; 32]), zone: None, region: None, draining: None, pace: None }
}

pub(crate) fn move_node(name: &str, to: body::NodeSet) -> Body {
    body::NodeSet { node: node_id(name), ..to }.into()
}

fn last(name: &str, seq: u64) -> Bounded<LastSeq, 256> {
    list([LastSeq { key: key_id(name), seq }])
}

pub(crate) fn remove(name: &str, seq: u64) -> Body {
    body::MemberRemove { person: person(name), last: last(name, seq) }.into()
}

pub(crate) fn suspend(name: &str, seq: u64) -> Body {
    body::Suspend { target: Target::Person(person(name)), last: last(name, seq) }.into()
}

pub(crate) fn lift(name: &str) -> Body {
    body::Lift { target: Target::Person(person(name)) }.into()
}

#[derive(Debug, Clone)]
pub(crate) struct Lab {
    pub(crate) set: OpSet,
    pub(crate) clock: Clock,
    pub(crate) now: u64,
    /// What the set did not take.
    pub(crate) kept_out: Vec<Op>,
}

impl Lab {
    /// A realm whose admins are these, with guardians g1 to g3 of whom two are needed.
    pub(crate) fn new(admins: &[&str]) -> Self {
        let founder = admins.first().unwrap();
        let nonce = hash::digest("freehold test realm", admins.concat().as_bytes());
        let body = body::Genesis {
            nonce,
            founder: list([founding(founder)]),
            guardians: guardians(&["g1", "g2", "g3"], 2),
            directory: Digest::from_bytes(hash::digest("freehold test directory", &nonce)),
        };
        let head = Head {
            realm: None,
            level: LEVEL,
            author: key(founder).verifying(),
            seq: 1,
            prev: None,
            parents: Bounded::new(),
            epoch: 0,
            hlc: Hlc { wall: Millis(START), count: 0 },
        };
        let genesis = Op::sign(head, body.into(), &key(founder)).unwrap();
        let mut lab =
            Self { set: OpSet::new(genesis.realm()), clock: Clock::default(), now: START, kept_out: vec![] };
        lab.take(genesis);
        for (at, admin) in admins.iter().enumerate().skip(1) {
            lab.say(founder, add_admin(admin), &admins[..at]);
        }
        assert_eq!(lab.admins(), admins.iter().map(|a| person(a)).collect());
        lab
    }

    pub(crate) fn take(&mut self, op: Op) -> OpId {
        let id = op.id();
        assert_ne!(self.set.insert(op).unwrap(), Inserted::Known);
        id
    }

    /// An operation that the set must not take.
    pub(crate) fn offer(&mut self, op: Op) -> InsertError {
        let why = self.set.insert(op.clone()).unwrap_err();
        self.kept_out.push(op);
        why
    }

    /// An invitation by `admin`.
    pub(crate) fn invite(&mut self, admin: &str, name: &str, roles: NodeRoles) -> OpId {
        let (key, expires) = (key(name).verifying(), Millis(START + DAY));
        self.say(admin, body::InvitationIssue { key, roles, expires, device: None }, &[])
    }

    /// A redemption of an invitation by a node, which `doors` let in, as if nobody knew more than
    /// `parents`.
    pub(crate) fn redemption(&self, parents: &[OpId], name: &str, node: &str, doors: &[&str]) -> Op {
        let body =
            body::InvitationRedeem { node: key(node).verifying(), box_key: box_key(node), device: None };
        let signers: Vec<&str> = doors.iter().copied().chain([node]).collect();
        self.op(name, body.into(), &signers, |h| (h.seq, h.prev, h.parents) = (1, None, sorted(parents)))
    }

    pub(crate) fn fold(&self) -> Folded {
        fold(&self.set, &self.clock)
    }

    /// The next operation of `author`, as an honest program writes it, before `tweak`.
    pub(crate) fn op(
        &self,
        author: &str,
        body: Body,
        cosigners: &[&str],
        tweak: impl FnOnce(&mut Head),
    ) -> Op {
        let key_of_author = key(author);
        let newest = self.set.newest_of(&key_of_author.verifying()).map(|(op, _)| op);
        let mut head = Head {
            realm: Some(self.set.realm()),
            level: LEVEL,
            author: key_of_author.verifying(),
            seq: newest.map_or(1, |op| op.head().seq + 1),
            prev: newest.map(Op::id),
            parents: list(self.set.heads().iter().copied().take(crate::PARENTS_MAX)),
            epoch: self.fold().state.epoch,
            hlc: Hlc { wall: Millis(self.now), count: 0 },
        };
        tweak(&mut head);
        let mut op = Op::sign(head, body, &key_of_author).unwrap();
        for cosigner in cosigners {
            op.add_signature(&key(cosigner));
        }
        op
    }

    pub(crate) fn say(&mut self, author: &str, body: impl Into<Body>, cosigners: &[&str]) -> OpId {
        self.now += 1000;
        let op = self.op(author, body.into(), cosigners, |_| {});
        self.take(op)
    }

    /// As if the author knew nothing but `parents` (and their own operations).
    pub(crate) fn say_from(
        &mut self,
        parents: &[OpId],
        author: &str,
        body: impl Into<Body>,
        co: &[&str],
    ) -> OpId {
        self.now += 1000;
        let base = self.fold().state.base;
        let op = self.op(author, body.into(), co, |head| {
            head.parents = sorted(parents);
            let knows = |id: &OpId| base.is_some_and(|base| base == *id || self.set.is_before(&base, id));
            head.epoch = if parents.iter().any(knows) || head.prev.as_ref().is_some_and(knows) {
                head.epoch
            } else {
                0
            };
        });
        self.take(op)
    }

    pub(crate) fn sign(&mut self, op: &OpId, signers: &[&str]) {
        let mut op = self.set.get(op).unwrap().clone();
        for signer in signers {
            op.add_signature(&key(signer));
        }
        assert_eq!(self.set.insert(op).unwrap(), Inserted::MoreSignatures);
    }

    pub(crate) fn checkpoint(&mut self, author: &str, cosigners: &[&str]) -> OpId {
        let body = crate::draft::checkpoint(&self.fold()).unwrap();
        self.say(author, body, cosigners)
    }

    pub(crate) fn recovery(&mut self, admins: &[&str], guardians: &[&str]) -> OpId {
        let chains = admins.iter().map(|name| vec![founding(name)]);
        let body = crate::draft::recovery(&self.fold(), chains, None).unwrap();
        self.say(admins[0], body, guardians)
    }

    pub(crate) fn heads(&self) -> Vec<OpId> {
        self.set.heads().iter().copied().collect()
    }

    pub(crate) fn admins(&self) -> BTreeSet<PersonId> {
        self.fold().state.admins().map(|(id, _)| *id).collect()
    }

    pub(crate) fn is_admins(&self, names: &[&str]) {
        assert_eq!(self.admins(), names.iter().map(|n| person(n)).collect(), "admins should be {names:?}");
    }

    pub(crate) fn is_suspended(&self, names: &[&str]) {
        let state = self.fold().state;
        let suspended: BTreeSet<_> = state
            .persons
            .iter()
            .filter(|(_, p)| p.standing == Standing::Suspended)
            .map(|(id, _)| *id)
            .collect();
        assert_eq!(suspended, names.iter().map(|n| person(n)).collect(), "suspended should be {names:?}");
    }

    pub(crate) fn buckets(&self) -> Vec<u8> {
        self.fold().state.live_buckets().map(|(id, _)| id.as_bytes()[0]).collect()
    }

    pub(crate) fn code(&self, op: &OpId) -> &'static str {
        let folded = self.fold();
        match (folded.refused.get(op), folded.pending.contains_key(op)) {
            (Some(why), _) => why.code(),
            (None, true) => "pending",
            (None, false) => "ok",
        }
    }
}

pub(crate) fn sorted(ids: &[OpId]) -> Bounded<OpId, { crate::op::PARENTS_MAX }> {
    list(ids.iter().copied().collect::<BTreeSet<_>>())
}
