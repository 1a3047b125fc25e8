//! Whose operations are taken into the set at all. Judged by an operation and its causal past alone,
//! so that every replica keeps the same ones; far more generous than the fold, which decides what
//! has an effect. It keeps a machine that merely stores from filling every other machine's disk.

use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::VerifyingKey;
use freehold_wire::{KeyId, OpId, PersonId};

use crate::body::{Body, GuardianSet};
use crate::op::Op;
use crate::person::{Change, Statement, read_chain};
use crate::roles::{MemberRoles, NodeRoles};

use super::{At, InsertError, OpSet};

/// The most operations of a key that has hardly anything to say: a store's, a guest's, a guardian's.
pub(crate) const QUIET_OPS: u64 = 256;
/// The most devices of a person whose keys have hardly anything to say.
const QUIET_DEVICES: usize = 16;
/// The most bytes of such an operation.
const QUIET_BYTES: usize = 4096;
/// Operations of one key with one number: two prove that it was copied, more prove nothing.
const TWINS: usize = 2;

/// What a key is for, if the operation that says so is by somebody who may say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Whether an admin or a speaker said so, or only a quiet key of the same person.
    Device(PersonId, bool),
    Node(NodeRoles),
    Invitation(NodeRoles, Option<PersonId>),
    Guardian,
}

/// How much a key may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Voice {
    None,
    /// Only operations that take an invitation up.
    Invitation,
    /// Little: [`QUIET_OPS`].
    Quiet,
    /// What a gateway or an operator says about buckets has no bound.
    Speaker,
    Admin,
}

/// Which keys were given a place, and by which operations, be they accepted or not.
#[derive(Debug, Clone, Default)]
pub(super) struct Voices {
    claims: BTreeMap<KeyId, Vec<(At, Claim)>>,
    persons: BTreeMap<PersonId, Vec<(At, MemberRoles)>>,
    /// Lists of guardians: how many must sign, and their keys.
    guardians: Vec<(At, usize, Vec<KeyId>)>,
}

impl Voices {
    pub(super) const fn new() -> Self {
        Self { claims: BTreeMap::new(), persons: BTreeMap::new(), guardians: Vec::new() }
    }

    fn claim(&mut self, key: KeyId, at: At, claim: Claim) {
        let claims = self.claims.entry(key).or_default();
        if !claims.contains(&(at, claim)) {
            claims.push((at, claim));
        }
    }

    fn claims(&self, key: &KeyId, sees: &impl Fn(At) -> bool) -> impl Iterator<Item = Claim> {
        let claims = self.claims.get(key).into_iter().flatten();
        claims.filter(|(at, _)| sees(*at)).map(|(_, claim)| *claim)
    }

    fn voice(&self, key: &KeyId, sees: &impl Fn(At) -> bool) -> Voice {
        let of = |claim| match claim {
            Claim::Device(person, _) => {
                let roles = self.persons.get(&person).into_iter().flatten().filter(|(at, _)| sees(*at));
                let roles = roles.fold(MemberRoles::NONE, |all, (_, roles)| all.with(*roles));
                match (roles.contains(MemberRoles::ADMIN), roles.contains(MemberRoles::OPERATOR)) {
                    (true, _) => Voice::Admin,
                    (false, true) => Voice::Speaker,
                    (false, false) => Voice::Quiet,
                }
            }
            Claim::Node(roles) if is_mere_store(roles) => Voice::Quiet,
            Claim::Node(_) => Voice::Speaker,
            Claim::Invitation(..) => Voice::Invitation,
            Claim::Guardian => Voice::Quiet,
        };
        self.claims(key, sees).map(of).max().unwrap_or(Voice::None)
    }

    /// Whether as many guardians of one list that is seen have signed as it asks for.
    fn is_guarded(&self, op: &Op, sees: &impl Fn(At) -> bool) -> bool {
        let signed = |key: &&KeyId| op.signatures().iter().any(|s| s.key.id() == **key);
        let enough = |keys: &[KeyId], need: usize| need > 0 && keys.iter().filter(signed).count() >= need;
        self.guardians.iter().any(|(at, need, keys)| sees(*at) && enough(keys, *need))
    }

    /// Whether a quiet device may bring another one: not if a quiet one brought it, and not too many.
    fn may_bring(&self, key: &KeyId, person: PersonId, sees: &impl Fn(At) -> bool) -> bool {
        let first =
            self.claims(key, sees).any(|claim| matches!(claim, Claim::Device(p, true) if p == person));
        let of = |claims: &[(At, Claim)]| {
            claims.iter().any(|(at, claim)| matches!(claim, Claim::Device(p, _) if *p == person) && sees(*at))
        };
        first && self.claims.values().filter(|claims| of(claims)).count() < QUIET_DEVICES
    }

    /// Whether a key had enough standing that a checkpoint with its signature is worth a look.
    pub(super) fn may_propose(&self, key: &KeyId, sees: &impl Fn(At) -> bool) -> bool {
        self.voice(key, sees) == Voice::Admin
            || self.claims(key, sees).any(|claim| matches!(claim, Claim::Node(r) if !is_mere_store(r)))
    }

    /// Whether a key was given a place by an operation that is seen.
    pub(super) fn is_known(&self, key: &KeyId, sees: &impl Fn(At) -> bool) -> bool {
        self.claims(key, sees).next().is_some()
    }

    /// Whether a key was ever given a place in which what it says has no bound.
    fn is_loud(&self, key: &KeyId) -> bool {
        self.voice(key, &|_| true) >= Voice::Speaker
    }
}

/// Whether a node has no role but to keep data: it opens no door, and has hardly anything to say.
pub(crate) const fn is_mere_store(roles: NodeRoles) -> bool {
    NodeRoles::STORAGE.contains(roles)
}

impl OpSet {
    /// Whether an operation whose parents are all here may be taken in.
    ///
    /// # Errors
    /// [`InsertError`] says why not.
    pub fn hear(&self, op: &Op) -> Result<(), InsertError> {
        let parents: Vec<At> = op.parents().filter_map(|p| self.at(&p)).collect();
        let sees = |at: At| parents.iter().any(|parent| *parent == at || self.knows(*parent, at));
        let (id, author) = (op.id(), op.head().author.id());
        let signed = |wanted: &dyn Fn(&KeyId) -> bool| op.signatures().iter().any(|s| wanted(&s.key.id()));
        match op.body() {
            Body::Genesis(_) => return lets_itself_in(op),
            Body::Recovery(_) => {
                lets_itself_in(op)?;
                let guarded = self.voices.is_guarded(op, &sees);
                return if guarded { Ok(()) } else { Err(InsertError::Stranger(id)) };
            }
            _ => {}
        }
        let voice = self.voices.voice(&author, &sees);
        let backed = voice == Voice::Admin || signed(&|key| self.voices.voice(key, &sees) == Voice::Admin);
        match (voice, op.body()) {
            (Voice::None, _) => return Err(InsertError::Stranger(id)),
            (_, Body::InvitationRedeem(_)) => {
                // By a door of the realm, so that an invitation that leaks later lets nobody in.
                let door = signed(&|key| self.voices.voice(key, &sees) >= Voice::Speaker);
                return if door { Ok(()) } else { Err(InsertError::Unheard(id)) };
            }
            (Voice::Invitation, _) => return Err(InsertError::Unheard(id)),
            (_, Body::Unknown(_)) if !backed => return Err(InsertError::Unheard(id)),
            _ => {}
        }
        if backed {
            return Ok(());
        }
        if voice == Voice::Quiet
            && (op.head().seq > QUIET_OPS || !self.follows(op) || op.to_bytes().len() > QUIET_BYTES)
        {
            return Err(InsertError::Unheard(id));
        }
        if self.is_surplus(op) { Err(InsertError::Surplus(id)) } else { Ok(()) }
    }

    /// Whether a signature by `key` on an operation is kept: the key had a place in its causal past.
    pub fn may_sign(&self, op: &OpId, key: &KeyId) -> bool {
        self.at(op).is_some_and(|at| self.voices.is_known(key, &|earlier| self.knows(at, earlier)))
    }

    /// Whether anything ever gave the key a place.
    pub fn has_heard_of(&self, key: &KeyId) -> bool {
        self.voices.is_known(key, &|_| true)
    }

    /// Whether `prev` is the author's operation with the number before.
    pub(super) fn follows(&self, op: &Op) -> bool {
        let Some(prev) = op.head().prev else { return true };
        let before = self.at(&prev).and_then(|at| self.entry(at));
        before.is_some_and(|e| {
            e.op.head().author == op.head().author && e.op.head().seq.checked_add(1) == Some(op.head().seq)
        })
    }

    /// Whether the key signed two others with this number, and nobody who counts built on this one.
    fn is_surplus(&self, op: &Op) -> bool {
        let same = self.by_author.get(&op.head().author.id()).and_then(|ops| ops.get(&op.head().seq));
        same.is_some_and(|ops| ops.len() >= TWINS) && !self.spared.contains(&op.id()) && !self.is_awaited(op)
    }

    /// Whether something that waits, and builds on the operation, vouches for it.
    fn is_awaited(&self, op: &Op) -> bool {
        let (mut seen, mut open) = (BTreeSet::new(), vec![op.id()]);
        while let Some(id) = open.pop() {
            for child in self.wanted.get(&id).into_iter().flatten() {
                if self.waiting.get(child).is_some_and(|child| self.vouches(op, child)) {
                    return true;
                }
                open.extend(seen.insert(*child).then_some(*child));
            }
        }
        false
    }

    /// Whether somebody else whose word has no bound built on the operation. A key of which few
    /// operations are kept, or an invitation's, says nothing for others: it may be the same owner's.
    fn vouches(&self, op: &Op, after: &Op) -> bool {
        after.head().author != op.head().author && self.voices.is_loud(&after.head().author.id())
    }

    /// Notes that `after`, which waits, builds on `op`: if it vouches for it, `op` is taken in although
    /// its author signed two others with its number.
    pub fn spare(&mut self, op: &Op, after: &Op) {
        if self.vouches(op, after) {
            self.spared.insert(op.id());
        }
    }

    /// Whether a checkpoint was signed by anybody who may ask for one.
    pub(crate) fn is_backed(&self, at: At) -> bool {
        let sees = |op: At| self.knows(at, op);
        self.entry(at).is_some_and(|e| e.signers.iter().any(|key| self.voices.may_propose(key, &sees)))
    }

    /// Notes the places that an operation gives, if it is by, or signed by, somebody who may.
    pub(super) fn introduce(&mut self, at: At) {
        let Some(entry) = self.entry(at) else { return };
        let sees = |op: At| self.knows(at, op);
        let voices = &self.voices;
        let is_admin = |key: &KeyId| voices.voice(key, &sees) == Voice::Admin;
        let backed = || is_admin(&entry.author) || entry.signers.iter().any(is_admin);
        let mut found = Found::default();
        match entry.op.body() {
            Body::Genesis(b) => {
                found.chain(&b.founder, MemberRoles::ADMIN);
                found.guardians(&b.guardians);
            }
            Body::Recovery(b) => {
                b.admins.iter().for_each(|chain| found.chain(chain, MemberRoles::ADMIN));
                b.guardians.iter().for_each(|set| found.guardians(set));
            }
            Body::MemberAdd(b) if backed() => found.chain(&b.chain, b.roles),
            Body::MemberChange(b) if backed() => found.roles.push((b.person, b.roles)),
            Body::DeviceAdd(b) => {
                let person = b.statement.person();
                let own = |claim| matches!(claim, Claim::Device(p, _) if p == person);
                let loud = backed() || voices.voice(&entry.author, &sees) >= Voice::Speaker;
                let may = loud || voices.may_bring(&entry.author, person, &sees);
                if may && voices.claims(&entry.author, &sees).any(own) {
                    found.device(&b.statement, loud);
                }
            }
            Body::InvitationIssue(b) if backed() => {
                let person = b.device.as_ref().map(Statement::person);
                found.claims.push((b.key.id(), Claim::Invitation(b.roles, person)));
            }
            Body::InvitationRedeem(b) => {
                for claim in voices.claims(&entry.author, &sees) {
                    let Claim::Invitation(roles, person) = claim else { continue };
                    found.node(&b.node, roles);
                    let device = b.device.iter().filter(|s| Some(s.person()) == person);
                    device.for_each(|statement| found.device(statement, true));
                }
            }
            Body::NodeAdd(b) if backed() => found.node(&b.node, b.roles),
            Body::NodeChange(b) if backed() => {
                found.claims.push((VerifyingKey::id_of_ed25519(b.node.as_bytes()), Claim::Node(b.roles)));
            }
            Body::GuardiansSet(b) if backed() => found.guardians(&b.guardians),
            _ => {}
        }
        self.voices.take(at, found);
    }
}

/// A genesis or a recovery speaks for devices that it brings itself.
fn lets_itself_in(op: &Op) -> Result<(), InsertError> {
    let key = op.head().author.id();
    let own = crate::person::admitted_keys(op.body()).contains(&key);
    if own { Ok(()) } else { Err(InsertError::Stranger(op.id())) }
}

/// What one operation introduces.
#[derive(Default)]
struct Found {
    claims: Vec<(KeyId, Claim)>,
    roles: Vec<(PersonId, MemberRoles)>,
    guardians: Vec<(usize, Vec<KeyId>)>,
}

impl Found {
    fn chain(&mut self, chain: &[Statement], roles: MemberRoles) {
        let Ok((person, devices)) = read_chain(chain) else { return };
        self.claims.extend(devices.into_keys().map(|key| (key, Claim::Device(person, true))));
        self.roles.push((person, roles));
    }

    fn device(&mut self, statement: &Statement, loud: bool) {
        if let Change::Add { key, .. } = statement.change() {
            self.claims.push((key.id(), Claim::Device(statement.person(), loud)));
        }
    }

    fn node(&mut self, key: &VerifyingKey, roles: NodeRoles) {
        self.claims.push((key.id(), Claim::Node(roles)));
    }

    fn guardians(&mut self, set: &GuardianSet) {
        let keys: Vec<KeyId> = set.guardians.iter().map(|g| g.key.id()).collect();
        self.claims.extend(keys.iter().map(|key| (*key, Claim::Guardian)));
        self.guardians.push((set.threshold.into(), keys));
    }
}

impl Voices {
    fn take(&mut self, at: At, found: Found) {
        for (key, claim) in found.claims {
            self.claim(key, at, claim);
        }
        for (person, roles) in found.roles {
            let rows = self.persons.entry(person).or_default();
            if !rows.iter().any(|(known, _)| *known == at) {
                rows.push((at, roles));
            }
        }
        for (need, keys) in found.guardians {
            if !self.guardians.iter().any(|(known, ..)| *known == at) {
                self.guardians.push((at, need, keys));
            }
        }
    }
}
