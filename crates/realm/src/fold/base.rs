//! Which checkpoint or recovery everything else stands on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::{KeyId, OpId};

use crate::body::Body;
use crate::fold::Clock;
use crate::reason::Reason;
use crate::set::{At, OpSet};

/// What does not change while a fold tries one chain after another.
pub(super) struct Frame<'a> {
    pub(super) set: &'a OpSet,
    pub(super) clock: &'a Clock,
    pub(super) candidates: Candidates,
    /// Keys that signed two operations with one number.
    pub(super) forks: Vec<(KeyId, u64, Vec<At>)>,
}

impl<'a> Frame<'a> {
    pub(super) fn new(set: &'a OpSet, clock: &'a Clock) -> Self {
        let forks = set.forks().map(|(key, seq, ops)| (*key, seq, ops.to_vec())).collect();
        Self { set, clock, candidates: Candidates::of(set), forks }
    }
}

/// A checkpoint or recovery that names a predecessor of its own kind in its past.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) base: Option<At>,
    pub(super) epoch: u64,
    pub(super) recovery: bool,
    /// Recoveries in its chain, itself included.
    recoveries: u64,
    weight: u64,
    id: OpId,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Candidates(BTreeMap<At, Link>);

impl Candidates {
    fn of(set: &OpSet) -> Self {
        let mut links: BTreeMap<At, Link> = BTreeMap::new();
        for (at, entry) in set.all() {
            let (base, recovery) = match entry.op.body() {
                Body::Checkpoint(c) => (c.base, false),
                Body::Recovery(r) => (r.base, true),
                _ => continue,
            };
            let before = match base {
                None => None,
                Some(base) => match set.at(&base).filter(|base| set.knows(at, *base)) {
                    Some(base) if links.contains_key(&base) => Some(base),
                    _ => continue,
                },
            };
            let link = before.and_then(|base| links.get(&base));
            let (epoch, recoveries) = link.map_or((0, 0), |l| (l.epoch, l.recoveries));
            // Nobody who counts asks for it: it is not worth a walk.
            if !recovery && !set.is_backed(at) {
                continue;
            }
            if !entry.chained || entry.op.head().epoch != epoch {
                continue;
            }
            let recoveries = recoveries + u64::from(recovery);
            let (weight, id) = (set.weight(at), entry.op.id());
            links.insert(at, Link { base: before, epoch: epoch + 1, recovery, recoveries, weight, id });
        }
        Self(links)
    }

    pub(super) fn get(&self, at: At) -> Option<&Link> {
        self.0.get(&at)
    }

    pub(super) fn recoveries(&self) -> impl Iterator<Item = At> {
        self.0.iter().filter(|(_, link)| link.recovery).map(|(at, _)| *at)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (At, &Link)> {
        self.0.iter().map(|(at, link)| (*at, link))
    }

    /// The chain that outranks all others without an invalid member: the one with more recoveries,
    /// then the longer one, then the one that fixes more, then the lower id.
    pub(super) fn best(&self, invalid: &BTreeMap<At, Reason>) -> Vec<At> {
        let mut alive: BTreeSet<At> = BTreeSet::new();
        for (at, link) in &self.0 {
            // A base stands before what follows it, so it was looked at already.
            if !invalid.contains_key(at) && link.base.is_none_or(|base| alive.contains(&base)) {
                alive.insert(*at);
            }
        }
        let rank = |at: &At| self.0.get(at).map(|l| (l.recoveries, l.epoch, l.weight, Reverse(l.id)));
        let mut chain = Vec::new();
        let mut next = alive.iter().copied().max_by_key(rank);
        while let Some(at) = next {
            chain.push(at);
            next = self.0.get(&at).and_then(|link| link.base);
        }
        chain.reverse();
        chain
    }
}
