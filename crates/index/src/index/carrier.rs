//! Entries whose content another entry carries, sealed anew with a newer key of the bucket. All else in
//! the index goes on as if the first one were there.

use std::collections::{BTreeMap, BTreeSet};

use freehold_wire::{BucketId, Millis};

use super::{Due, Index, Of, Overtaken};
use crate::{Locator, Stamp};

/// An entry that carries what another one said. Of several the last in this order does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Carried {
    /// Whether its own node may write. It says the same if not, but others may not have it, and nothing goes
    /// because of it.
    pub counts: bool,
    /// The generation of the key that it is sealed with.
    pub generation: u16,
    /// The entry.
    pub stamp: Stamp,
}

/// Who carries what an entry said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Carrier {
    by: Carried,
    since: Millis,
    /// Whether the first entry's payload was erased.
    gone: bool,
    /// Whether it cannot be read for another reason.
    alone: bool,
}

impl Carrier {
    /// Whether it is borrowed from one who does not count.
    const fn is_borrowed(&self) -> bool {
        !self.by.counts
    }
}

impl Index {
    /// Takes in that an entry of a bucket was sealed anew by another one; `alone` if the first cannot be read.
    pub fn carried(&mut self, bucket: BucketId, original: Stamp, by: Carried, alone: bool, since: Millis) {
        let at = original.locator(bucket);
        let before = self.resealed.get(&at).copied();
        let over = match before {
            Some(before) if before.by.stamp == by.stamp => {
                self.resealed.insert(at, Carrier { by, alone, ..before });
                None
            }
            Some(before) if before.by > by => Some(by.stamp),
            _ => {
                let gone = before.is_some_and(|before| before.gone);
                self.resealed.insert(at, Carrier { by, since, gone, alone });
                before.map(|before| before.by.stamp)
            }
        };
        if let Some(over) = over {
            let overtaken = Overtaken { of: Of::Resealed(at), since };
            self.superseded.insert(over.locator(bucket), overtaken);
        }
    }

    /// Where what an entry said is to be read.
    pub fn place_of(&self, at: Locator) -> Locator {
        let carrier = self.resealed.get(&at);
        let carrier = carrier.filter(|carrier| !carrier.is_borrowed() || carrier.gone || carrier.alone);
        carrier.map_or(at, |carrier| carrier.by.stamp.locator(at.bucket))
    }

    /// Whether what an entry said is carried by one that does not count: it is to be sealed anew again.
    pub fn is_borrowed(&self, at: &Locator) -> bool {
        self.resealed.get(at).is_some_and(Carrier::is_borrowed)
    }

    /// Whether an entry may go only because another one says the same: that one names its blobs.
    pub fn is_renewed(&self, at: &Locator) -> bool {
        match self.superseded.get(at) {
            Some(overtaken) => matches!(overtaken.of, Of::Resealed(_)),
            None => self.resealed.contains_key(at),
        }
    }

    pub(super) fn carrier_of(&self, at: &Locator) -> Option<Locator> {
        self.resealed.get(at).map(|carrier| carrier.by.stamp.locator(at.bucket))
    }

    /// The first entries that are not needed beside those that carry what they said.
    pub(super) fn originals_due(&self, now: Millis, grace: Millis) -> impl Iterator<Item = Due> {
        let due = self.resealed.iter().filter(move |(at, carrier)| {
            !carrier.gone
                && !carrier.is_borrowed()
                && now.since(carrier.since) >= grace
                && !self.superseded.contains_key(at)
        });
        due.map(|(at, carrier)| (*at, Some(carrier.by.stamp.locator(at.bucket))))
    }

    /// Takes in which entries have no payload any more.
    pub fn are_erased<'a>(&mut self, entries: impl IntoIterator<Item = &'a Locator>) {
        entries.into_iter().for_each(|at| self.original_is_gone(at));
    }

    pub(super) fn original_is_gone(&mut self, at: &Locator) {
        if let Some(carrier) = self.resealed.get_mut(at) {
            carrier.gone = true;
        }
    }

    /// Finds out anew which count; says whether that has changed.
    pub(super) fn hide_carriers(&mut self, bucket: &BucketId, is_out: impl Fn(&Stamp) -> bool) -> bool {
        let mut changed = false;
        for (_, carrier) in self.resealed.iter_mut().filter(|(at, _)| at.bucket == *bucket) {
            let counts = !is_out(&carrier.by.stamp);
            changed |= counts != carrier.by.counts;
            carrier.by.counts = counts;
        }
        changed
    }

    /// The entries that are needed of which nothing is left but what one sealed anew who does not count, by bucket.
    /// Who joins later does not get that.
    pub fn all_borrowed(&self) -> BTreeMap<BucketId, Vec<Stamp>> {
        let lone = |carrier: &Carrier| carrier.is_borrowed() && (carrier.gone || carrier.alone);
        let buckets: BTreeSet<BucketId> =
            self.resealed.iter().filter(|(_, carrier)| lone(carrier)).map(|(at, _)| at.bucket).collect();
        let of = |bucket: BucketId| {
            let mut stamps = self.sealed_before(&bucket, 0);
            stamps.retain(|stamp| self.resealed.get(&stamp.locator(bucket)).is_some_and(lone));
            (bucket, stamps)
        };
        buckets.into_iter().map(of).collect()
    }

    /// How many living versions of a bucket are sealed with keys of which generation.
    pub fn generations(&self, bucket: &BucketId) -> BTreeMap<u16, u64> {
        let mut all = BTreeMap::new();
        let states = self.buckets.get(bucket).into_iter().flat_map(|index| index.keys.values());
        for living in states.flat_map(super::State::living) {
            let at = living.row.stamp.locator(*bucket);
            let carrier = self.resealed.get(&at).filter(|carrier| !carrier.is_borrowed());
            let generation = carrier.map_or(living.row.generation, |carrier| carrier.by.generation);
            *all.entry(generation).or_default() += 1;
        }
        all
    }

    /// The entries of a bucket that are needed, but for those that were sealed anew with a key of this
    /// generation or a later one.
    pub fn sealed_before(&self, bucket: &BucketId, generation: u16) -> Vec<Stamp> {
        let Some(index) = self.buckets.get(bucket) else { return Vec::new() };
        let objects = index.keys.values().flat_map(super::State::entries);
        let settings = index.settings.entries();
        let needed = |stamp: &Stamp| {
            let at = stamp.locator(*bucket);
            let carrier = self.resealed.get(&at).filter(|carrier| !carrier.is_borrowed());
            carrier.is_none_or(|carrier| carrier.by.generation < generation)
                && !self.superseded.contains_key(&at)
        };
        objects.chain(settings).filter(needed).collect()
    }
}
