//! Writing the next operation: sequence number, predecessor, parents, epoch and clock are filled in
//! from what the replica holds, so that an honest program cannot contradict itself.

use std::collections::BTreeSet;

use freehold_crypt::{BoxPublic, SigningKey, VerifyingKey};
use freehold_wire::{Bounded, Digest, Hlc, KeyId, Millis, NodeId, OpId, PersonId};

use crate::body::{self, Body, Cuts, Endorse, GuardianSet, LastSeq, Target};
use crate::checkpoint::Proposal;
use crate::fold::Folded;
use crate::op::{Cosignature, Head, LEVEL, Op, OpError, PARENTS_MAX};
use crate::person::{Change, Statement};
use crate::roles::{MemberRoles, NodeRoles};
use crate::set::OpSet;
use crate::state::{Alarm, Node, State};

/// Why an operation cannot be drafted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The set has no operation at all yet, not even the genesis.
    #[error("this replica has not heard the realm's log yet")]
    NothingHeard,
    /// The key has signed two operations with one number.
    #[error("this key was used on two machines: revoke it and make a new one")]
    Burned,
    /// The realm uses a newer program.
    #[error("the realm uses format level {0}; update this program first")]
    NewerThanMe(u32),
    /// Two checkpoints contradict each other.
    #[error("two checkpoints contradict each other: settle that with a checkpoint first")]
    Conflict,
    /// The operation to co-sign is not here.
    #[error("operation {} is not here", .0.short())]
    Unknown(OpId),
    /// The proposal lies too far back, or claims another time.
    #[error("proposal {} is stale or names a wrong time: make a new one", .0.short())]
    Stale(OpId),
    /// This key signed another checkpoint of the same base, which may still be completed.
    #[error("this key signed checkpoint {} already; wait for it, or have it signed", .0.short())]
    SignedOther(OpId),
    /// More power operations stand than one checkpoint can list.
    #[error("too many power operations since the last checkpoint")]
    TooMany,
    /// The parts do not make an operation.
    #[error("drafting: {0}")]
    Shape(OpError),
}

/// The genesis of a new realm. `device` is the founder's first; `nonce` is random; `directory` is the
/// hash of the directory's first key.
///
/// # Errors
/// [`DraftError::Shape`] if the guardians do not fit their threshold.
pub fn genesis(
    device: &SigningKey,
    device_box: BoxPublic,
    nonce: [u8; 32],
    guardians: GuardianSet,
    directory: Digest,
    now: Millis,
) -> Result<Op, DraftError> {
    let mut person_nonce = [0; 16];
    let hashed = freehold_crypt::hash::digest("freehold 2026 founder nonce", &nonce);
    person_nonce.iter_mut().zip(hashed).for_each(|(to, from)| *to = from);
    let founder = Statement::found(person_nonce, device, device_box);
    let founder = Bounded::fill(&mut [founder].into_iter());
    let body = body::Genesis { nonce, founder, guardians, directory };
    let head = Head {
        realm: None,
        level: LEVEL,
        author: device.verifying(),
        seq: 1,
        prev: None,
        parents: Bounded::new(),
        epoch: 0,
        hlc: Hlc { wall: now, count: 0 },
    };
    Op::sign(head, body.into(), device).map_err(DraftError::Shape)
}

/// The next operation of `key`, after everything this replica knows.
///
/// # Errors
/// [`DraftError`].
pub fn draft(
    set: &OpSet,
    state: &State,
    key: &SigningKey,
    body: impl Into<Body>,
    now: Millis,
) -> Result<Op, DraftError> {
    draft_after(set, state, key, body.into(), now, (set.heads(), state.base.as_ref()))
}

/// A checkpoint that comes after what [`crate::checkpoint::due`] chose, not after everything.
///
/// # Errors
/// [`DraftError`].
pub fn propose_checkpoint(
    set: &OpSet,
    state: &State,
    key: &SigningKey,
    proposal: Proposal,
    now: Millis,
) -> Result<Op, DraftError> {
    let after = (&proposal.heads, state.base.as_ref());
    draft_after(set, state, key, proposal.body.into(), now, after)
}

/// The next operation after `heads`; `known` is in its past even if there are more heads than an
/// operation can name.
fn draft_after(
    set: &OpSet,
    state: &State,
    key: &SigningKey,
    body: Body,
    now: Millis,
    (after, known): (&BTreeSet<OpId>, Option<&OpId>),
) -> Result<Op, DraftError> {
    check_may_decide(state, &body)?;
    if set.is_empty() {
        return Err(DraftError::NothingHeard);
    }
    let author = key.verifying();
    if let Body::Checkpoint(proposed) = &body {
        keep_promise(set, &author, proposed.base, None, now)?;
    }
    let (seq, prev) = match set.newest_of(&author) {
        Some((_, true)) => return Err(DraftError::Burned),
        Some((last, false)) => (last.head().seq.saturating_add(1), Some(last.id())),
        None => (1, None),
    };
    let mut heads: Vec<OpId> = after.iter().copied().filter(|head| Some(*head) != prev).collect();
    if heads.len() >= PARENTS_MAX {
        // The deepest ones cover the most; the rest is picked up by the next operation.
        heads.sort_by_key(|head| std::cmp::Reverse(set.at(head).map_or(0, |at| set.weight(at))));
        heads.truncate(PARENTS_MAX - 2);
        heads.extend(known.filter(|id| !heads.iter().any(|head| head == *id || set.is_before(id, head))));
    }
    heads.extend(prev.filter(|prev| after.contains(prev) || heads.is_empty()));
    heads.sort();
    heads.dedup();
    let heard = Hlc::default().hear(set.newest_hlc(), now);
    let head = Head {
        realm: Some(set.realm()),
        level: LEVEL,
        author,
        seq,
        prev,
        parents: Bounded::fill(&mut heads.into_iter()),
        epoch: state.epoch,
        hlc: heard.tick(now),
    };
    Op::sign(head, body, key).map_err(DraftError::Shape)
}

/// Bodies that take a majority are not to be proposed in a state we do not understand.
fn is_power(state: &State, body: &Body) -> bool {
    let admin = |person: &PersonId| state.admins().any(|(id, _)| id == person);
    match body {
        Body::GuardiansSet(_) | Body::WitnessesSet(_) | Body::ImageKeysSet(_) | Body::Lift(_) => true,
        Body::MemberAdd(b) => b.roles.contains(MemberRoles::ADMIN),
        Body::MemberChange(b) => b.roles.contains(MemberRoles::ADMIN) || admin(&b.person),
        Body::MemberRemove(b) => admin(&b.person),
        Body::NodeAdd(b) => b.roles.contains(NodeRoles::SECRETS),
        Body::NodeChange(b) => b.roles.contains(NodeRoles::SECRETS),
        Body::InvitationIssue(b) => b.roles.contains(NodeRoles::SECRETS),
        _ => false,
    }
}

fn check_may_decide(state: &State, body: &Body) -> Result<(), DraftError> {
    if !is_power(state, body) {
        return Ok(());
    }
    match state.newer_than_me {
        Some(level) => Err(DraftError::NewerThanMe(level)),
        None if state.alarms.iter().any(|a| matches!(a, Alarm::ConflictingCheckpoints { .. })) => {
            Err(DraftError::Conflict)
        }
        None => Ok(()),
    }
}

/// How far a proposal's clock may be from ours when we co-sign it.
pub(crate) const PROPOSAL_AGE_MAX: Millis = Millis::from_hours(14 * 24);

/// Co-signs operation `target` with `signer`, as an operation of `carrier` (the same key, or that of
/// the machine at which a guardian types a phrase) that brings the signature to every replica.
///
/// # Errors
/// [`DraftError`], in particular if the signature would contradict an earlier one.
pub fn cosign(
    set: &OpSet,
    state: &State,
    target: &OpId,
    signer: &SigningKey,
    carrier: &SigningKey,
    now: Millis,
) -> Result<Op, DraftError> {
    let at = set.at(target).ok_or(DraftError::Unknown(*target))?;
    let op = set.entry(at).map(|e| &e.op).ok_or(DraftError::Unknown(*target))?;
    check_may_decide(state, op.body())?;
    let time = op.head().hlc.wall;
    let ahead = time > now.plus(Hlc::DRIFT_MAX);
    if ahead || time.plus(PROPOSAL_AGE_MAX) < now || op.head().epoch.saturating_add(2) <= state.epoch {
        return Err(DraftError::Stale(*target));
    }
    if let Body::Checkpoint(proposed) = op.body() {
        if proposed.base != state.base {
            return Err(DraftError::Stale(*target));
        }
        keep_promise(set, &signer.verifying(), proposed.base, Some(target), now)?;
    }
    let signature = Cosignature { key: signer.verifying(), signature: signer.sign(&op.message()) };
    let body = Endorse { op: *target, level: op.head().level, signature };
    draft_after(set, state, carrier, body.into(), now, (set.heads(), Some(target)))
}

/// How long a signer waits for the others before turning to another proposal.
pub(crate) const PATIENCE: Millis = Millis::from_hours(72);

/// To sign a checkpoint is to promise not to sign another one of that base: who relied on the first
/// must not see it dropped. Proposals can still block each other, so the promise ends after a while,
/// and then in favour of the one that would outrank the other.
pub(crate) fn keep_promise(
    set: &OpSet,
    key: &VerifyingKey,
    base: Option<OpId>,
    target: Option<&OpId>,
    now: Millis,
) -> Result<(), DraftError> {
    let weight = |id: &OpId| (set.at(id).map_or(0, |at| set.weight(at)), std::cmp::Reverse(*id));
    let other = set.iter().find(|other| {
        let Body::Checkpoint(body) = other.body() else { return false };
        let signed = other.signatures().iter().any(|s| s.key == *key);
        let outranked = target.is_none_or(|target| weight(target) > weight(&other.id()));
        let over = outranked && other.head().hlc.wall.plus(PATIENCE) <= now;
        body.base == base && Some(&other.id()) != target && signed && !over
    });
    other.map_or(Ok(()), |other| Err(DraftError::SignedOther(other.id())))
}

/// The body of a checkpoint of everything this replica knows.
///
/// # Errors
/// [`DraftError::TooMany`].
pub fn checkpoint(folded: &Folded) -> Result<body::Checkpoint, DraftError> {
    Ok(body::Checkpoint { base: folded.state.base, standing: standing(folded)? })
}

/// The body of a recovery: the chains of the new admins, and new guardians if they change. It is
/// signed by a device of one of them and co-signed by guardians.
///
/// # Errors
/// [`DraftError::TooMany`].
pub fn recovery(
    folded: &Folded,
    admins: impl IntoIterator<Item = Vec<Statement>>,
    guardians: Option<GuardianSet>,
) -> Result<body::Recovery, DraftError> {
    let admins = admins.into_iter().map(|chain| Bounded::fill(&mut chain.into_iter()));
    Ok(body::Recovery {
        base: folded.state.base,
        admins: Bounded::from_vec(admins.collect()).map_err(|_| DraftError::TooMany)?,
        guardians,
        standing: standing(folded)?,
    })
}

fn standing(folded: &Folded) -> Result<Bounded<OpId, 1024>, DraftError> {
    let ops: BTreeSet<OpId> = folded.standing.iter().copied().collect();
    Bounded::from_vec(ops.into_iter().collect()).map_err(|_| DraftError::TooMany)
}

/// The last operations of a member's devices, as this replica has them.
fn cuts_of_person(set: &OpSet, state: &State, person: &PersonId) -> Cuts {
    let devices = state.persons.get(person).into_iter().flat_map(|p| p.devices.keys());
    Bounded::fill(&mut devices.map(|key| LastSeq { key: *key, seq: set.last_seq(key) }))
}

/// The last operation of a node, as this replica has it.
fn last_of_node(set: &OpSet, state: &State, node: &NodeId) -> u64 {
    state.nodes.get(node).map_or(0, |n| set.last_seq(&n.key.id()))
}

/// Suspends a target, accepting all that this replica knows of it.
pub fn suspend(set: &OpSet, state: &State, target: Target) -> body::Suspend {
    let last = match target {
        Target::Person(person) => cuts_of_person(set, state, &person),
        Target::Device(key) => one(key, set.last_seq(&key)),
        Target::Node(node) => state
            .nodes
            .get(&node)
            .map_or_else(Cuts::new, |n| one(n.key.id(), last_of_node(set, state, &node))),
        Target::Grant(_) => Cuts::new(),
    };
    body::Suspend { target, last }
}

/// The device that is on the same machine as a node: the one that its person added the node with,
/// or that came in by the same invitation.
pub fn device_on(set: &OpSet, node: &Node) -> Option<KeyId> {
    let admission = set.get(&node.admitted_in)?;
    match admission.body() {
        Body::NodeAdd(_) => Some(admission.head().author.id()),
        Body::InvitationRedeem(redeem) => match redeem.device.as_ref()?.change() {
            Change::Add { key, .. } => Some(key.id()),
            _ => None,
        },
        _ => None,
    }
}

fn one(key: KeyId, seq: u64) -> Cuts {
    Bounded::fill(&mut [LastSeq { key, seq }].into_iter())
}

/// A new device of the person that `device` signs for. None if `by` is not a device of a member.
pub fn add_device(
    state: &State,
    by: &SigningKey,
    device: &SigningKey,
    device_box: BoxPublic,
) -> Option<body::DeviceAdd> {
    let (person, prev) = chain_end(state, &by.verifying())?;
    Some(body::DeviceAdd { statement: Statement::add(person, prev, by, device, device_box) })
}

/// Removes a device of the same person. None if `by` is not a device of a member.
pub fn remove_device(
    set: &OpSet,
    state: &State,
    by: &SigningKey,
    device: KeyId,
) -> Option<body::DeviceRemove> {
    let (person, prev) = chain_end(state, &by.verifying())?;
    Some(body::DeviceRemove {
        statement: Statement::remove(person, prev, by, device),
        last: set.last_seq(&device),
    })
}

/// The statement by which `by` lets an invitation's key add a device of the same person.
pub fn delegate_device(state: &State, by: &SigningKey, invitation: VerifyingKey) -> Option<Statement> {
    let (person, prev) = chain_end(state, &by.verifying())?;
    Some(Statement::delegate(person, prev, by, invitation))
}

/// The statement by which an invitation's key adds `device`. None if that invitation brings none.
pub fn invited_device(
    state: &State,
    invitation: &SigningKey,
    device: &SigningKey,
    device_box: BoxPublic,
) -> Option<Statement> {
    let key = invitation.verifying();
    let statement = state
        .persons
        .values()
        .flat_map(|p| &p.chain)
        .find(|s| matches!(s.change(), Change::Delegate { key: delegate } if *delegate == key))?;
    Some(Statement::add(statement.person(), statement.id(), invitation, device, device_box))
}

fn chain_end(state: &State, device: &VerifyingKey) -> Option<(PersonId, Digest)> {
    let (person, _) = state.device(&device.id())?;
    let end = crate::person::end_for(&state.persons.get(&person)?.chain, device)?;
    Some((person, end))
}
