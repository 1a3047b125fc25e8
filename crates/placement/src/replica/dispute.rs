//! Blobs of which two entries say different things. The entry that was durable here first is
//! believed: else whoever may write could name somebody's blob with another hash, and have repair
//! put bytes of its own in the genuine one's place.

use std::collections::btree_map::Entry::Vacant;

use freehold_wire::{BlobName, Millis};

use super::{Dispute, Event, Key, Output, Place, Replica};
use crate::{BlobRef, Entry};

impl Replica {
    /// Notes which blobs a durable entry refers to.
    pub(super) fn refer(&mut self, key: Key, number: u32, entry: &Entry) {
        for blob in &entry.blobs {
            let first = self.first_ref(&blob.name);
            self.blobs.insert((blob.name, number, entry.seq));
            let Some((by, kept)) = first.filter(|(_, kept)| kept != blob) else { continue };
            if let Vacant(vacant) = self.disputed.entry(blob.name) {
                vacant.insert(kept);
                let other = Place { bucket: key.0, origin: key.1, seq: entry.seq };
                self.out.push_back(Output::Tell(Event::Disputed(Dispute { kept, by, other })));
            }
        }
    }

    /// Some entry that refers to a blob, and what is believed of it.
    fn first_ref(&self, name: &BlobName) -> Option<(Place, BlobRef)> {
        let (_, number, seq) = self.blobs.range((*name, 0, 0)..=(*name, u32::MAX, u64::MAX)).next()?;
        let key = self.keys.get(usize::try_from(*number).ok()?)?;
        let record = self.streams.get(key)?.record(*seq)?;
        let said = record.blobs.iter().find(|blob| blob.name == *name)?;
        let kept = self.disputed.get(name).unwrap_or(said);
        Some((Place { bucket: key.0, origin: key.1, seq: *seq }, *kept))
    }

    /// Whether nothing else is believed of the blob.
    pub(super) fn is_believed(&self, blob: &BlobRef) -> bool {
        self.disputed.get(&blob.name).is_none_or(|kept| kept == blob)
    }

    /// Whether bytes of this length and hash may be put under the blob's name.
    pub fn is_wanted(&self, blob: &BlobRef) -> bool {
        self.first_ref(&blob.name).is_some_and(|(_, kept)| kept == *blob)
    }

    /// The entries that say exactly this of a blob.
    pub(super) fn entries_with(&self, blob: &BlobRef) -> Vec<(Key, u64)> {
        let mut entries = self.entries_of(&blob.name);
        entries.retain(|(key, seq)| {
            let record = self.streams.get(key).and_then(|stream| stream.record(*seq));
            record.is_some_and(|record| record.blobs.contains(blob))
        });
        entries
    }

    /// What is said of each blob in dispute, after [`Self::restore`]: which of it is true of the
    /// bytes that are here decides, with [`Self::decide`].
    pub fn disputes(&self) -> Vec<BlobRef> {
        self.disputed.keys().flat_map(|name| self.said_of(name)).collect()
    }

    fn said_of(&self, name: &BlobName) -> Vec<BlobRef> {
        let records = self.entries_of(name).into_iter();
        let records = records.filter_map(|(key, seq)| self.streams.get(&key)?.record(seq));
        let mut said: Vec<BlobRef> =
            records.flat_map(|record| record.blobs.iter()).filter(|b| b.name == *name).copied().collect();
        said.sort_unstable();
        said.dedup();
        said
    }

    /// The blob is here, and is this.
    pub fn decide(&mut self, now: Millis, blob: &BlobRef) {
        if self.disputed.get(&blob.name).is_none_or(|kept| kept == blob) {
            return;
        }
        self.disputed.insert(blob.name, *blob);
        self.review(now, &blob.name);
        self.fetched(now, blob);
    }

    /// An entry that referred to a blob is erased; others may be believed now.
    pub(super) fn settle(&mut self, now: Millis, name: &BlobName) {
        let Some(kept) = self.disputed.get(name).copied() else { return };
        let said = self.said_of(name);
        if said.len() < 2 {
            self.disputed.remove(name);
        } else if let Some(next) = said.first().filter(|_| !said.contains(&kept)) {
            self.disputed.insert(*name, *next);
        }
        if !said.contains(&kept) {
            self.review(now, name);
        }
    }

    /// Something else is believed of a blob: who refers to it holds it no longer, and may want it.
    fn review(&mut self, now: Millis, name: &BlobName) {
        let entries = self.entries_of(name);
        for (key, seq) in &entries {
            let blobs = self.streams.get(key).and_then(|stream| stream.record(*seq)).map(|r| r.blobs.clone());
            self.unwant(now, *key, *seq, &blobs.unwrap_or_default());
            self.stream_mut(*key).mine.set(*seq, false);
            self.recount(now, *key, *seq);
        }
        for (key, seq) in &entries {
            self.want_or_not(now, *key, *seq);
        }
        self.tell_holds(now, &entries);
    }
}
