//! The shape of the log: which operation has which parents, numbered so that parents come before
//! children. It answers what a peer lacks without walking what both have.

use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::hash;
use freehold_wire::OpId;

/// An operation's number.
type At = u32;

#[derive(Debug, Clone)]
struct Place {
    id: OpId,
    parents: Box<[At]>,
    /// Hash of its id and signers, so that different ones show.
    mark: u64,
}

/// The operations admitted, by number.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    places: Vec<Place>,
    index: BTreeMap<OpId, At>,
    heads: BTreeSet<At>,
    sums: Vec<u64>,
}

const WANTED: u8 = 1;
const HAD: u8 = 2;

impl Graph {
    pub(crate) fn new() -> Self {
        Self { places: Vec::new(), index: BTreeMap::new(), heads: BTreeSet::new(), sums: vec![0; 256] }
    }

    /// Adds an operation; `false` if a parent is not here.
    pub(crate) fn add(&mut self, id: OpId, parents: &[OpId], mark: &[u8]) -> bool {
        if self.index.contains_key(&id) {
            return true;
        }
        let Some(parents) = parents.iter().map(|p| self.index.get(p).copied()).collect::<Option<Box<[At]>>>()
        else {
            return false;
        };
        let Ok(at) = At::try_from(self.places.len()) else { return false };
        for parent in &parents {
            self.heads.remove(parent);
        }
        self.heads.insert(at);
        self.index.insert(id, at);
        self.places.push(Place { id, parents, mark: 0 });
        self.mark(&id, mark);
        true
    }

    /// Notes that an operation has this mark now.
    pub(crate) fn mark(&mut self, id: &OpId, mark: &[u8]) {
        let mark = mark_of(mark);
        let place = self.index.get(id).and_then(|at| self.places.get_mut(*at as usize));
        if let (Some(place), Some(sum)) = (place, self.sums.get_mut(bucket(id))) {
            *sum = sum.wrapping_sub(place.mark).wrapping_add(mark);
            place.mark = mark;
        }
    }

    pub(crate) fn contains(&self, id: &OpId) -> bool {
        self.index.contains_key(id)
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The heads, newest first.
    pub(crate) fn heads(&self) -> impl Iterator<Item = OpId> {
        self.heads.iter().rev().filter_map(|at| self.id(*at))
    }

    pub(crate) fn head_count(&self) -> usize {
        self.heads.len()
    }

    /// Sums of the marks by the first byte of the id.
    pub(crate) fn sums(&self) -> &[u64] {
        &self.sums
    }

    pub(crate) fn sum(&self) -> u64 {
        self.sums.iter().fold(0, |all, sum| all.wrapping_add(*sum))
    }

    /// Operations at growing distances from the newest back: 1, 2, 4 and so on.
    pub(crate) fn samples(&self) -> impl Iterator<Item = OpId> {
        let len = self.places.len();
        let steps = (0..usize::BITS).map_while(move |power| len.checked_sub(1 << power));
        steps.filter_map(|at| self.places.get(at)).map(|place| place.id)
    }

    /// The operations whose ids begin with one of these bytes.
    pub(crate) fn beginning_with(&self, first: &BTreeSet<u8>) -> Vec<OpId> {
        let mut found = Vec::new();
        for byte in first {
            let (mut low, mut high) = ([0; 32], [0xff; 32]);
            low[0] = *byte;
            high[0] = *byte;
            let range = OpId::from_bytes(low)..=OpId::from_bytes(high);
            found.extend(self.index.range(range).map(|(_, at)| *at));
        }
        found.sort_unstable();
        found.into_iter().filter_map(|at| self.id(at)).collect()
    }

    /// Everything that is not in the causal past of `have`, parents before children. Ids that are
    /// not here are passed over.
    pub(crate) fn beyond(&self, have: &[OpId]) -> Vec<OpId> {
        // What is still to be looked at, the newest last. A number is looked at after all its
        // children, so its flags are final then.
        let mut open: BTreeMap<At, u8> = self.heads.iter().map(|at| (*at, WANTED)).collect();
        for id in have {
            if let Some(at) = self.index.get(id) {
                *open.entry(*at).or_default() |= HAD;
            }
        }
        let mut wanted = open.values().filter(|flags| **flags == WANTED).count();
        let mut found = Vec::new();
        while wanted > 0 {
            let Some((at, flags)) = open.pop_last() else { break };
            let Some(place) = self.places.get(at as usize) else { break };
            if flags == WANTED {
                wanted -= 1;
                found.push(place.id);
            }
            let flags = if flags & HAD == 0 { WANTED } else { HAD };
            for parent in &place.parents {
                let before = open.get(parent).copied().unwrap_or_default();
                let after = before | flags;
                open.insert(*parent, after);
                wanted = wanted + usize::from(after == WANTED) - usize::from(before == WANTED);
            }
        }
        found.reverse();
        found
    }

    fn id(&self, at: At) -> Option<OpId> {
        self.places.get(at as usize).map(|place| place.id)
    }
}

/// The first byte of an id, which says to which of the 256 sums it counts.
fn bucket(id: &OpId) -> usize {
    let [first, ..] = id.as_bytes();
    usize::from(*first)
}

fn mark_of(bytes: &[u8]) -> u64 {
    let digest = hash::digest("freehold 2026 sync mark", bytes);
    digest.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests;
