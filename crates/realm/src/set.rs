//! The set of operations a replica holds, and the order among them: which operation is in which
//! other's causal past. Nothing here depends on the order of arrival but the internal numbering.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use freehold_crypt::VerifyingKey;
use freehold_wire::{Hlc, KeyId, OpId, RealmId};

use crate::body::Body;
use crate::op::{Cosignature, Op, VerifyError};

mod voices;

#[cfg(test)]
pub(crate) use voices::QUIET_OPS;
use voices::Voices;
pub(crate) use voices::is_mere_store;

/// The most operations kept while their parents are missing.
pub(crate) const WAITING_MAX: usize = 20_000;

/// An operation's place in the set, for the fold.
pub(crate) type At = u32;

/// What became of an operation handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It was not there before.
    New,
    /// It was there, with the same signatures.
    Known,
    /// It was there, and now has signatures it did not have.
    MoreSignatures,
}

/// Why an operation is not taken into the set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// It belongs to another realm.
    #[error("an operation of realm {theirs}, but this is realm {ours}", theirs = .theirs.short(), ours = .ours.short())]
    OtherRealm {
        /// The realm of the operation.
        theirs: RealmId,
        /// The realm of this set.
        ours: RealmId,
    },
    /// Its signatures cannot be believed.
    #[error("operation {}: {why}", .op.short())]
    Verify {
        /// The operation.
        op: OpId,
        /// What is wrong.
        why: VerifyError,
    },
    /// Nothing in its causal past ever gave its author a place in the realm.
    #[error("operation {}: nobody before it let its author in", .0.short())]
    Stranger(OpId),
    /// Its author may not say such a thing, or not so much.
    #[error("operation {}: not for its author to say, or too much", .0.short())]
    Unheard(OpId),
    /// Its author signed two others with its number.
    #[error("operation {}: its author signed two others with its number already", .0.short())]
    Surplus(OpId),
    /// Too many operations wait for parents.
    #[error("{WAITING_MAX} operations wait for their parents already; fetch those first")]
    Waiting,
}

impl InsertError {
    /// The operation, where it is known which.
    pub const fn operation(&self) -> Option<OpId> {
        match self {
            Self::Verify { op, .. } | Self::Stranger(op) | Self::Unheard(op) | Self::Surplus(op) => Some(*op),
            Self::OtherRealm { .. } | Self::Waiting => None,
        }
    }

    /// What is wrong, without saying with which operation.
    pub fn why(&self) -> String {
        match self {
            Self::Verify { why, .. } => why.to_string(),
            Self::Stranger(_) => "nobody before it let its author in".to_owned(),
            Self::Unheard(_) => "not for its author to say, or too much".to_owned(),
            Self::Surplus(_) => "its author signed two others with its number already".to_owned(),
            Self::OtherRealm { .. } | Self::Waiting => self.to_string(),
        }
    }
}

/// An operation whose whole causal past is in the set.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) op: Op,
    pub(crate) author: KeyId,
    pub(crate) signers: Vec<KeyId>,
    /// One more than the deepest parent's.
    pub(crate) depth: u32,
    /// Whether `prev` is this author's operation with the number before.
    pub(crate) chained: bool,
    lane: u32,
    pos: u32,
    /// For each lane with operations in the causal past (itself included): how many. Ascending.
    seen: Box<[(u32, u32)]>,
}

/// The operations of one realm, with verified signatures.
#[derive(Debug, Clone)]
pub struct OpSet {
    realm: RealmId,
    /// Shared with copies of the set: an operation is judged on one before it is said.
    entries: Vec<Arc<Entry>>,
    index: BTreeMap<OpId, At>,
    /// Chains in the partial order: an operation joins a lane whose newest it has in its past, so
    /// there are about as many lanes as operations were ever concurrent.
    lanes: Vec<u32>,
    by_author: BTreeMap<KeyId, BTreeMap<u64, Vec<At>>>,
    heads: BTreeSet<OpId>,
    voices: Voices,
    /// Taken in because somebody else's operation names them.
    spared: BTreeSet<OpId>,
    waiting: BTreeMap<OpId, Op>,
    /// Missing operation -> those that wait for it.
    wanted: BTreeMap<OpId, BTreeSet<OpId>>,
    newest: Hlc,
}

impl OpSet {
    /// An empty set for a realm, for whoever knows its id and will hear the rest.
    pub const fn new(realm: RealmId) -> Self {
        Self {
            realm,
            entries: Vec::new(),
            index: BTreeMap::new(),
            lanes: Vec::new(),
            by_author: BTreeMap::new(),
            heads: BTreeSet::new(),
            voices: Voices::new(),
            spared: BTreeSet::new(),
            waiting: BTreeMap::new(),
            wanted: BTreeMap::new(),
            newest: Hlc { wall: freehold_wire::Millis(0), count: 0 },
        }
    }

    /// The realm.
    pub const fn realm(&self) -> RealmId {
        self.realm
    }

    /// Takes in an operation from outside after checking its signatures.
    ///
    /// # Errors
    /// [`InsertError`]; the set is unchanged then.
    pub fn insert(&mut self, op: Op) -> Result<Inserted, InsertError> {
        self.check_realm(&op)?;
        if self.weigh(&op) == Inserted::Known {
            return Ok(Inserted::Known);
        }
        op.verify().map_err(|why| InsertError::Verify { op: op.id(), why })?;
        self.admit(op, false)
    }

    /// Takes in an operation whose signatures were checked already.
    ///
    /// # Errors
    /// [`InsertError`], except for signatures.
    pub fn take_in(&mut self, op: Op) -> Result<Inserted, InsertError> {
        self.check_realm(&op)?;
        self.admit(op, false)
    }

    /// Takes in an operation from this replica's own store: it was taken in before.
    ///
    /// # Errors
    /// [`InsertError`], except for signatures.
    pub fn restore(&mut self, op: Op) -> Result<Inserted, InsertError> {
        self.check_realm(&op)?;
        self.admit(op, true)
    }

    /// What taking in this operation would change, if its signatures are good. Signatures that
    /// cannot matter are not news, or replicas would pass them on to each other for ever.
    pub fn weigh(&self, op: &Op) -> Inserted {
        let Some(here) = self.get(&op.id()) else { return Inserted::New };
        let at = self.at(&op.id());
        let news = op.signatures().iter().any(|sig| {
            // Another one by the same key says nothing new: its holder can make them without end.
            let fresh = !here.signatures().iter().any(|s| s.key == sig.key);
            fresh && at.is_none_or(|at| self.counts(at, sig))
        });
        if news { Inserted::MoreSignatures } else { Inserted::Known }
    }

    /// The operation with the signatures of this copy and of the one here, as far as they matter.
    #[must_use]
    pub fn merged(&self, op: &Op) -> Op {
        let Some(here) = self.get(&op.id()) else { return op.clone() };
        let mut both = here.clone();
        let at = self.at(&op.id());
        both.merge_signatures(op, |sig| at.is_none_or(|at| self.counts(at, sig)));
        both
    }

    fn check_realm(&self, op: &Op) -> Result<(), InsertError> {
        let (ours, theirs) = (self.realm, op.realm());
        if ours == theirs { Ok(()) } else { Err(InsertError::OtherRealm { theirs, ours }) }
    }

    fn admit(&mut self, op: Op, ours: bool) -> Result<Inserted, InsertError> {
        let id = op.id();
        if let Some(at) = self.index.get(&id).copied() {
            let mut copy = op;
            copy.keep_signatures(|sig| self.counts(at, sig));
            let changed = self.entry_mut(at).is_some_and(|e| e.merge(&copy));
            if changed {
                self.introduce(at);
            }
            return Ok(if changed { Inserted::MoreSignatures } else { Inserted::Known });
        }
        if let Some(waiting) = self.waiting.get_mut(&id) {
            return Ok(if waiting.merge_signatures(&op, |_| true) {
                Inserted::MoreSignatures
            } else {
                Inserted::Known
            });
        }
        let missing: Vec<OpId> = op.parents().filter(|p| !self.index.contains_key(p)).collect();
        if missing.is_empty() {
            match self.hear(&op) {
                Ok(()) => {}
                Err(InsertError::Surplus(_)) if ours => {}
                Err(why) => {
                    self.forget_after(id);
                    return Err(why);
                }
            }
            self.spared.remove(&id);
            self.place(op);
            self.wake(id);
        } else {
            if self.waiting.len() >= WAITING_MAX {
                return Err(InsertError::Waiting);
            }
            for parent in missing {
                self.wanted.entry(parent).or_default().insert(id);
            }
            self.waiting.insert(id, op);
        }
        Ok(Inserted::New)
    }

    /// Places the operations that waited for `arrived`, and those that waited for them.
    fn wake(&mut self, arrived: OpId) {
        let mut arrived = vec![arrived];
        while let Some(id) = arrived.pop() {
            for child in self.wanted.remove(&id).unwrap_or_default() {
                let ready = self
                    .waiting
                    .get(&child)
                    .is_some_and(|op| op.parents().all(|p| self.index.contains_key(&p)));
                if ready && let Some(op) = self.waiting.remove(&child) {
                    if self.hear(&op).is_err() {
                        self.forget_after(child);
                        continue;
                    }
                    self.place(op);
                    arrived.push(child);
                }
            }
        }
    }

    /// Drops what waits for an operation that will never come in.
    fn forget_after(&mut self, id: OpId) {
        let mut gone = vec![id];
        while let Some(id) = gone.pop() {
            for child in self.wanted.remove(&id).unwrap_or_default() {
                self.waiting.remove(&child);
                self.wanted.retain(|_, children| !children.remove(&child) || !children.is_empty());
                gone.push(child);
            }
        }
    }

    fn place(&mut self, op: Op) {
        let parents: Vec<At> = op.parents().filter_map(|p| self.index.get(&p).copied()).collect();
        let author = op.head().author.id();
        let chained = self.follows(&op);
        let mut depth = 0;
        let mut seen: Vec<(u32, u32)> = Vec::new();
        for parent in parents.iter().filter_map(|at| self.entry(*at)) {
            depth = depth.max(parent.depth + 1);
            seen = join(&seen, &parent.seen);
        }
        let free = seen.iter().position(|(lane, count)| self.lanes.get(*lane as usize) == Some(count));
        let (lane, pos) = if let Some((lane, count)) = free.and_then(|i| seen.get_mut(i)) {
            *count += 1;
            (*lane, *count)
        } else {
            let lane = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX);
            self.lanes.push(0);
            seen.push((lane, 1));
            (lane, 1)
        };
        if let Some(count) = self.lanes.get_mut(lane as usize) {
            *count = pos;
        }
        let at = At::try_from(self.entries.len()).unwrap_or(At::MAX);
        for parent in op.parents() {
            self.heads.remove(&parent);
        }
        self.heads.insert(op.id());
        self.index.insert(op.id(), at);
        self.by_author.entry(author).or_default().entry(op.head().seq).or_default().push(at);
        self.newest = self.newest.max(op.head().hlc);
        let mut entry = Entry {
            op,
            author,
            signers: Vec::new(),
            depth,
            chained,
            lane,
            pos,
            seen: seen.into_boxed_slice(),
        };
        // Whoever signs without a place in the realm only takes room from those who have one.
        entry.list_signers();
        self.entries.push(Arc::new(entry));
        self.introduce(at);
        let wanted: Vec<Cosignature> = self.entry(at).map_or(Vec::new(), |e| e.op.signatures().to_vec());
        let wanted: Vec<Cosignature> = wanted.into_iter().filter(|sig| self.counts(at, sig)).collect();
        if let Some(entry) = self.entry_mut(at)
            && wanted.len() < entry.op.signatures().len()
        {
            entry.op.keep_signatures(|sig| wanted.contains(sig));
            entry.list_signers();
        }
        self.carry_signature(at);
    }

    /// Whether a signature can matter: its key has a place in the operation's causal past.
    fn counts(&self, at: At, sig: &Cosignature) -> bool {
        let needed = self.entry(at).is_some_and(|e| e.op.needs(&sig.key));
        needed || self.voices.is_known(&sig.key.id(), &|op| self.knows(at, op))
    }

    /// Puts the signature that an endorsement carries where it belongs. Only what is in its causal
    /// past is found whatever the order of arrival.
    fn carry_signature(&mut self, at: At) {
        let Some(Body::Endorse(endorse)) = self.entry(at).map(|e| e.op.body()) else { return };
        let (id, level, signature) = (endorse.op, endorse.level, endorse.signature);
        let Some(at) = self.at(&id).filter(|target| self.knows(at, *target)) else { return };
        if self.counts(at, &signature)
            && let Some(target) = self.entry_mut(at)
            && target.op.head().level == level
        {
            target.sign(&signature);
            self.introduce(at);
        }
    }

    /// Whether the operation is here, be it that it waits for its parents.
    pub fn contains(&self, id: &OpId) -> bool {
        self.index.contains_key(id) || self.waiting.contains_key(id)
    }

    /// An operation, be it that it waits for its parents.
    pub fn get(&self, id: &OpId) -> Option<&Op> {
        match self.index.get(id) {
            Some(at) => self.entry(*at).map(|e| &e.op),
            None => self.waiting.get(id),
        }
    }

    /// The operations that no other one here names as a parent.
    pub const fn heads(&self) -> &BTreeSet<OpId> {
        &self.heads
    }

    /// Every operation whose causal past is complete, parents before children.
    pub fn iter(&self) -> impl Iterator<Item = &Op> {
        self.entries.iter().map(|e| &e.op)
    }

    /// The operations that wait for parents.
    pub fn waiting(&self) -> impl Iterator<Item = &Op> {
        self.waiting.values()
    }

    /// How many operations have their causal past complete.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `earlier` is in the causal past of `later`.
    pub fn is_before(&self, earlier: &OpId, later: &OpId) -> bool {
        match (self.index.get(earlier), self.index.get(later)) {
            (Some(a), Some(b)) => self.knows(*b, *a),
            _ => false,
        }
    }

    /// The newest operation of a key, and whether the key has signed two with one number.
    pub fn newest_of(&self, key: &VerifyingKey) -> Option<(&Op, bool)> {
        let ops = self.by_author.get(&key.id())?;
        let (_, at) = ops.last_key_value()?;
        let forked = ops.values().any(|ops| ops.len() > 1);
        Some((&self.entry(*at.first()?)?.op, forked))
    }

    /// The last sequence number of a key here; 0 if it has said nothing.
    pub fn last_seq(&self, key: &KeyId) -> u64 {
        self.by_author.get(key).and_then(|ops| ops.last_key_value()).map_or(0, |(seq, _)| *seq)
    }

    /// The newest clock reading in any operation.
    pub const fn newest_hlc(&self) -> Hlc {
        self.newest
    }

    pub(crate) fn entry(&self, at: At) -> Option<&Entry> {
        self.entries.get(at as usize).map(AsRef::as_ref)
    }

    fn entry_mut(&mut self, at: At) -> Option<&mut Entry> {
        self.entries.get_mut(at as usize).map(Arc::make_mut)
    }

    pub(crate) fn at(&self, id: &OpId) -> Option<At> {
        self.index.get(id).copied()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (At, &Entry)> {
        (0..).zip(self.entries.iter().map(AsRef::as_ref))
    }

    /// The operations of a key from a number on.
    pub(crate) fn authored(&self, key: &KeyId, from: u64) -> impl Iterator<Item = At> {
        self.by_author
            .get(key)
            .into_iter()
            .flat_map(move |ops| ops.range(from..))
            .flat_map(|(_, at)| at.iter().copied())
    }

    /// Keys that signed two operations with one number, the number, and those operations.
    pub(crate) fn forks(&self) -> impl Iterator<Item = (&KeyId, u64, &[At])> {
        self.by_author.iter().flat_map(|(key, ops)| {
            ops.iter().filter(|(_, at)| at.len() > 1).map(move |(seq, at)| (key, *seq, at.as_slice()))
        })
    }

    /// Whether `earlier` is strictly in the causal past of `later`.
    pub(crate) fn knows(&self, later: At, earlier: At) -> bool {
        let (Some(later), Some(earlier)) = (self.entry(later), self.entry(earlier)) else { return false };
        let seen = later.seen.binary_search_by_key(&earlier.lane, |(lane, _)| *lane);
        let upto = seen.ok().and_then(|i| later.seen.get(i)).map_or(0, |(_, count)| *count);
        earlier.pos <= upto && (later.lane, later.pos) != (earlier.lane, earlier.pos)
    }

    /// How many operations are in the causal past, itself included.
    pub(crate) fn weight(&self, at: At) -> u64 {
        self.entry(at).map_or(0, |e| e.seen.iter().map(|(_, count)| u64::from(*count)).sum())
    }
}

impl Entry {
    fn merge(&mut self, op: &Op) -> bool {
        let changed = self.op.merge_signatures(op, |_| true);
        self.list_signers();
        changed
    }

    fn sign(&mut self, sig: &Cosignature) {
        self.op.merge_signature(sig);
        self.list_signers();
    }

    fn list_signers(&mut self) {
        self.signers = self.op.signatures().iter().map(|s| s.key.id()).collect();
    }
}

/// The larger count of each lane.
fn join(a: &[(u32, u32)], b: &[(u32, u32)]) -> Vec<(u32, u32)> {
    if a.is_empty() {
        return b.to_vec();
    }
    let mut out = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    loop {
        match (a.peek().copied(), b.peek().copied()) {
            (Some(x), Some(y)) => {
                if x.0 <= y.0 {
                    a.next();
                }
                if y.0 <= x.0 {
                    b.next();
                }
                out.push(match x.0.cmp(&y.0) {
                    std::cmp::Ordering::Less => x,
                    std::cmp::Ordering::Greater => y,
                    std::cmp::Ordering::Equal => (x.0, x.1.max(y.1)),
                });
            }
            (Some(x), None) => {
                a.next();
                out.push(x);
            }
            (None, Some(y)) => {
                b.next();
                out.push(y);
            }
            (None, None) => return out,
        }
    }
}
