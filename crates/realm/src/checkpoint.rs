//! When a checkpoint is due, and what an admin's device does about it. What a checkpoint has in its
//! past is final, so one that nobody asked for fixes only what has been here for a day: whoever finds
//! their key stolen has that long to revoke what the thief did.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::VerifyingKey;
use freehold_wire::{Hlc, KeyId, Millis, OpId, PersonId};

use crate::body::{self, Body};
use crate::draft::{self, DraftError, PROPOSAL_AGE_MAX};
use crate::fold::{Clock, Folded, Pending, fold};
use crate::op::PARENTS_MAX;
use crate::set::{At, OpSet};
use crate::state::{Alarm, Standing};

/// How long an operation must have been here before a checkpoint that nobody asked for fixes it.
pub const SETTLING: Millis = Millis::from_hours(24);
/// Operations after which one is made although nothing took a majority.
const OPERATIONS: usize = 1000;
/// How long after the last one, if there is anything new at all.
const EVERY: Millis = Millis::from_hours(30 * 24);

/// What an admin's device knows when it asks whether a checkpoint is due.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// All operations.
    pub set: &'a OpSet,
    /// What they fold to.
    pub folded: &'a Folded,
    /// With which clock.
    pub clock: &'a Clock,
    /// When this replica first had each operation, or a signature that made it count.
    pub first_seen: &'a BTreeMap<OpId, Millis>,
    /// The device.
    pub me: &'a VerifyingKey,
    /// Whether an admin asks for one now: then nothing has to settle first.
    pub asked: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Propose one: [`draft::propose_checkpoint`].
    Propose(Proposal),
    /// Sign what another admin proposed: [`draft::cosign`].
    Cosign(OpId),
}

/// A checkpoint to be, and the operations it comes after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What it says.
    pub body: body::Checkpoint,
    /// The newest operations that it fixes.
    pub(crate) heads: BTreeSet<OpId>,
}

/// Why nothing is to be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wait {
    /// Only admins' devices make checkpoints.
    #[error("this machine is not the device of an admin")]
    NotAdmin,
    /// Nothing has happened that is worth one.
    #[error("nothing new has happened since the last checkpoint")]
    NothingNew,
    /// What is new has not been here for long enough.
    #[error("what is new has not been here for {} hours", SETTLING.0 / 3_600_000)]
    Settling,
    /// A proposal waits for signatures; a checkpoint would end it.
    #[error("operation {} waits for signatures, which a checkpoint would end", .0.short())]
    Open(OpId),
    /// Signed already; others have to.
    #[error("checkpoint {} is signed here and waits for other admins", .0.short())]
    Signed(OpId),
    /// Guardians give the realm new admins, or checkpoints contradict each other: people decide.
    #[error("the realm's people have something to decide first: freehold status")]
    People,
    /// Cannot be drafted.
    #[error("{0}")]
    Draft(DraftError),
}

/// Whether a checkpoint is due, and what this device does about it.
///
/// # Errors
/// [`Wait`]: why it does nothing.
pub fn due(known: &Known<'_>) -> Result<Step, Wait> {
    let Some((person, rank)) = known.rank() else { return Err(Wait::NotAdmin) };
    let state = &known.folded.state;
    if let Some(level) = state.newer_than_me {
        return Err(Wait::Draft(DraftError::NewerThanMe(level)));
    }
    let decided = |alarm: &Alarm| {
        matches!(alarm, Alarm::Equivocation { .. } | Alarm::RecoveryWaits { vetoed: true, .. })
    };
    if !known.asked && !state.alarms.iter().all(decided) {
        return Err(Wait::People);
    }
    let settled = known.settled();
    if let Some(step) = known.sign_other(&person, &settled)? {
        return Ok(Step::Cosign(step));
    }
    if !known.is_time(rank, &settled) {
        return Err(Wait::NothingNew);
    }
    known.propose(&settled).map(Step::Propose)
}

impl Known<'_> {
    /// Whose device this is, and its place among all that could make the checkpoint alone or first.
    fn rank(&self) -> Option<(PersonId, u64)> {
        let state = &self.folded.state;
        let mut devices: Vec<(u32, KeyId, PersonId)> = Vec::new();
        for (id, admin) in state.active_admins() {
            let active = admin.devices.iter().filter(|(_, device)| device.standing == Standing::Active);
            devices.extend(active.map(|(key, _)| (admin.seniority, *key, *id)));
        }
        devices.sort();
        let me = self.me.id();
        (0..).zip(devices).find(|(_, (_, key, _))| *key == me).map(|(rank, (.., person))| (person, rank))
    }

    fn seen_before(&self, id: &OpId, age: Millis) -> bool {
        self.asked || self.first_seen.get(id).is_some_and(|seen| seen.plus(age) <= self.clock.now)
    }

    /// By place: operations that have been here for long enough, as has all that they stand on and
    /// every signature that was brought to them.
    fn settled(&self) -> Vec<bool> {
        let mut settled: Vec<bool> = Vec::with_capacity(self.set.len());
        let mut fresh: BTreeSet<OpId> = BTreeSet::new();
        for op in self.set.iter() {
            if let Body::Endorse(endorse) = op.body()
                && !self.seen_before(&op.id(), SETTLING)
            {
                fresh.insert(endorse.op);
            }
        }
        for op in self.set.iter() {
            let id = op.id();
            let below = op.parents().all(|parent| is_in(&settled, self.set.at(&parent)));
            settled.push(below && !fresh.contains(&id) && self.seen_before(&id, SETTLING));
        }
        settled
    }

    /// Another's proposal that this device can sign, or what it waits for.
    fn sign_other(&self, person: &PersonId, settled: &[bool]) -> Result<Option<OpId>, Wait> {
        let (state, now) = (&self.folded.state, self.clock.now);
        let live = self.folded.pending.iter().filter_map(|(id, pending)| {
            let (at, op) = (self.set.at(id)?, self.set.get(id)?);
            let Body::Checkpoint(body) = op.body() else { return None };
            let wall = op.head().hlc.wall;
            let timely = wall <= now.plus(Hlc::DRIFT_MAX) && now <= wall.plus(PROPOSAL_AGE_MAX);
            let open = is_begun(pending) && body.base == state.base;
            (timely && open).then_some((at, op))
        });
        let mut live: Vec<_> = live.collect();
        live.sort_by_key(|(at, op)| Reverse((self.set.weight(*at), Reverse(op.id()))));
        let mut unsettled = false;
        for (_, op) in live {
            let id = op.id();
            let mine = |key: &VerifyingKey| state.device(&key.id()).is_some_and(|(by, _)| by == *person);
            if op.signatures().iter().any(|sig| mine(&sig.key)) {
                return Err(Wait::Signed(id));
            }
            if !op.parents().all(|parent| is_in(settled, self.set.at(&parent))) {
                unsettled = true;
                continue;
            }
            let past = self.past(&op.parents().collect());
            let below = fold(&past, self.clock);
            let says = draft::checkpoint(&below).map_err(Wait::Draft)?;
            if matches!(op.body(), Body::Checkpoint(body) if *body == says) && self.agrees(&past, &below) {
                draft::keep_promise(self.set, self.me, says.base, Some(&id), now).map_err(Wait::Draft)?;
                return Ok(Some(id));
            }
        }
        if unsettled { Err(Wait::Settling) } else { Ok(None) }
    }

    /// Whether there is reason enough. Each device waits a day longer than the one before it, so that
    /// two that do not hear each other do not both make one.
    fn is_time(&self, rank: u64, settled: &[bool]) -> bool {
        let state = &self.folded.state;
        let patience = Millis(SETTLING.0.saturating_mul(rank.saturating_add(1)));
        let base = state.base.and_then(|base| self.set.at(&base));
        let is_new = |at: At| base.is_none_or(|base| at != base && !self.set.knows(base, at));
        let counts =
            |body: &Body| !matches!(body, Body::Endorse(_) | Body::Checkpoint(_) | Body::Recovery(_));
        let new = self.set.all().filter(|(at, entry)| is_new(*at) && counts(entry.op.body()));
        let new = new.filter(|(at, _)| is_in(settled, Some(*at)));
        let new = new.filter(|(_, entry)| self.seen_before(&entry.op.id(), patience)).count();
        if new == 0 || self.asked {
            return new > 0;
        }
        let power = self.folded.standing.iter().any(|id| self.seen_before(id, patience));
        let recovered =
            base.and_then(|at| self.set.entry(at)).is_some_and(|e| matches!(e.op.body(), Body::Recovery(_)));
        let genesis = self.set.iter().next().map_or(Millis(0), |op| op.head().hlc.wall);
        let last = if base.is_some() { state.base_time } else { genesis };
        let late = last.plus(EVERY).plus(patience) <= self.clock.now;
        power || recovered || late || new >= OPERATIONS
    }

    fn propose(&self, settled: &[bool]) -> Result<Proposal, Wait> {
        let state = &self.folded.state;
        let prev = match self.set.newest_of(self.me) {
            Some((_, true)) => return Err(Wait::Draft(DraftError::Burned)),
            newest => newest.map(|(op, _)| op.id()),
        };
        let fixed = |id: &Option<OpId>| id.is_none_or(|id| is_in(settled, self.set.at(&id)));
        if !fixed(&prev) || !fixed(&state.base) {
            return Err(Wait::Settling);
        }
        let now = self.clock.now;
        let open = self.folded.pending.iter().find(|(id, pending)| {
            let op = self.set.get(id).filter(|op| !matches!(op.body(), Body::Checkpoint(_)));
            let wall = op.map(|op| op.head().hlc.wall);
            is_begun(pending)
                && is_in(settled, self.set.at(id))
                && wall.is_some_and(|at| at <= now.plus(Hlc::DRIFT_MAX) && now <= at.plus(PROPOSAL_AGE_MAX))
        });
        if let (Some((id, _)), false) = (open, self.asked) {
            return Err(Wait::Open(*id));
        }
        draft::keep_promise(self.set, self.me, state.base, None, self.clock.now).map_err(Wait::Draft)?;
        let heads = self.heads(settled);
        let past = self.past(&heads.iter().chain(&prev).copied().collect());
        let below = fold(&past, self.clock);
        if below.state.base != state.base || !self.agrees(&past, &below) {
            return Err(Wait::Settling);
        }
        let body = draft::checkpoint(&below).map_err(Wait::Draft)?;
        Ok(Proposal { body, heads })
    }

    /// Settled operations that no settled one follows; no more than one operation can name.
    fn heads(&self, settled: &[bool]) -> BTreeSet<OpId> {
        let mut followed = vec![false; settled.len()];
        for (_, entry) in self.set.all().filter(|(at, _)| is_in(settled, Some(*at))) {
            for parent in entry.op.parents().filter_map(|parent| self.set.at(&parent)) {
                if let Some(slot) = followed.get_mut(parent as usize) {
                    *slot = true;
                }
            }
        }
        let mut heads: Vec<(u64, OpId)> = self
            .set
            .all()
            .filter(|(at, _)| is_in(settled, Some(*at)) && !is_in(&followed, Some(*at)))
            .map(|(at, entry)| (self.set.weight(at), entry.op.id()))
            .collect();
        heads.sort_by_key(|(weight, id)| (Reverse(*weight), *id));
        // Room for the base and for this device's own last operation.
        heads.truncate(PARENTS_MAX - 2);
        let mut heads: BTreeSet<OpId> = heads.into_iter().map(|(_, id)| id).collect();
        if let Some(base) = self.folded.state.base
            && !heads.iter().any(|head| *head == base || self.set.is_before(&base, head))
        {
            heads.insert(base);
        }
        heads
    }

    /// These operations and all that they stand on.
    fn past(&self, newest: &BTreeSet<OpId>) -> OpSet {
        let ends: Vec<At> = newest.iter().filter_map(|id| self.set.at(id)).collect();
        let mut past = OpSet::new(self.set.realm());
        for (at, entry) in self.set.all() {
            if ends.iter().any(|end| *end == at || self.set.knows(*end, at)) {
                // What is in a set already is taken again.
                drop(past.restore(entry.op.clone()));
            }
        }
        past
    }

    /// Whether all that stands or falls in the past still does: a revocation that has not settled
    /// must not be outrun.
    fn agrees(&self, past: &OpSet, below: &Folded) -> bool {
        past.iter().map(crate::Op::id).all(|id| {
            below.refused.contains_key(&id) == self.folded.refused.contains_key(&id)
                && below.pending.contains_key(&id) == self.folded.pending.contains_key(&id)
        })
    }
}

/// Whether an admin's signature is on it: what none has signed, whoever wrote it, concerns nobody.
const fn is_begun(pending: &Pending) -> bool {
    matches!(pending, Pending::Signatures { have: 1.., .. })
}

fn is_in(flags: &[bool], at: Option<At>) -> bool {
    at.and_then(|at| flags.get(at as usize)).copied().unwrap_or(false)
}
