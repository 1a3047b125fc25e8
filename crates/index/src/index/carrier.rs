//! Entries whose content another entry carries, sealed anew with a newer key of the bucket. All else in
//! the index goes on as if the first one were there.

use std::collections::BTreeMap;

use freehold_wire::{BucketId, Millis};

use super::{Due, Index, Of, Overtaken};
use crate::{Locator, Stamp};

/// Who carries what an entry said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Carrier {
    /// The generation of the key that it is sealed with, and the entry that carries it.
    by: (u16, Stamp),
    since: Millis,
    /// Whether the first entry's payload was erased.
    gone: bool,
}

impl Index {
    /// Takes in that an entry of a bucket was sealed anew by another one.
    pub fn carried(
        &mut self,
        bucket: BucketId,
        original: Stamp,
        (generation, carrier): (u16, Stamp),
        since: Millis,
    ) {
        let at = original.locator(bucket);
        let by = (generation, carrier);
        let before = self.resealed.get(&at).copied();
        let over = match before {
            Some(before) if before.by == by => return,
            Some(before) if before.by > by => Some(carrier),
            _ => {
                let gone = before.is_some_and(|before| before.gone);
                self.resealed.insert(at, Carrier { by, since, gone });
                before.map(|before| before.by.1)
            }
        };
        if let Some(over) = over {
            let overtaken = Overtaken { of: Of::Resealed(at), since };
            self.superseded.insert(over.locator(bucket), overtaken);
        }
    }

    /// Where what an entry said is to be read.
    pub fn place_of(&self, at: Locator) -> Locator {
        self.carrier_of(&at).unwrap_or(at)
    }

    /// Whether an entry may go only because another one says the same: that one names its blobs.
    pub fn is_renewed(&self, at: &Locator) -> bool {
        match self.superseded.get(at) {
            Some(overtaken) => matches!(overtaken.of, Of::Resealed(_)),
            None => self.resealed.contains_key(at),
        }
    }

    pub(super) fn carrier_of(&self, at: &Locator) -> Option<Locator> {
        self.resealed.get(at).map(|carrier| carrier.by.1.locator(at.bucket))
    }

    /// The first entries that are not needed beside those that carry what they said.
    pub(super) fn originals_due(&self, now: Millis, grace: Millis) -> impl Iterator<Item = Due> {
        let due = self.resealed.iter().filter(move |(at, carrier)| {
            !carrier.gone && now.since(carrier.since) >= grace && !self.superseded.contains_key(at)
        });
        due.map(|(at, carrier)| (*at, Some(carrier.by.1.locator(at.bucket))))
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

    pub(super) fn hide_carriers(&mut self, bucket: &BucketId, is_out: impl Fn(&Stamp) -> bool) -> bool {
        let before = self.resealed.len();
        self.resealed.retain(|at, carrier| at.bucket != *bucket || !is_out(&carrier.by.1));
        self.resealed.len() < before
    }

    /// How many living versions of a bucket are sealed with keys of which generation.
    pub fn generations(&self, bucket: &BucketId) -> BTreeMap<u16, u64> {
        let mut all = BTreeMap::new();
        let states = self.buckets.get(bucket).into_iter().flat_map(|index| index.keys.values());
        for living in states.flat_map(super::State::living) {
            let at = living.row.stamp.locator(*bucket);
            let generation = self.resealed.get(&at).map_or(living.row.generation, |carrier| carrier.by.0);
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
            let renewed = self.resealed.get(&at).is_some_and(|carrier| carrier.by.0 >= generation);
            !renewed && !self.superseded.contains_key(&at)
        };
        objects.chain(settings).filter(needed).collect()
    }
}
