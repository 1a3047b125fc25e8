//! Keys of what was erased: none is taken in again, what brings one is to be erased as well, and the key that
//! opened earlier boxes is renewed.

use std::collections::BTreeSet;

use freehold_crypt::BoxSecret;
use freehold_seal::{Envelope, KeyOf, KeyRing, Recipient, open_envelope};
use freehold_wire::{BucketId, NodeId};

use super::Directory;

/// Boxes that came with keys of erased buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unwanted {
    /// How many.
    pub boxes: u64,
    /// How many of them this reader could open, and found such a key in: as long as it has the key that
    /// opened them, a copy of its disk brings back what was erased.
    pub opened: u64,
}

impl Directory {
    /// Forgets the keys of erased buckets, and those that were to end.
    pub(super) fn drop_erased(&mut self) {
        let trust = &self.trust;
        let is_erased = |of: &KeyOf| matches!(of, KeyOf::Bucket(bucket) if trust.erased.contains(bucket));
        self.rings.retain(|of, _| !is_erased(of));
        for (bucket, kept) in &trust.kept {
            let Some(ring) = self.rings.get_mut(&KeyOf::Bucket(*bucket)) else { continue };
            ring.keep(*kept);
            if let Some(ended) = trust.ended.get(bucket) {
                ring.forget_before(*ended);
            }
        }
        let goes = |of: &KeyOf, version| trust.is_unwanted(of, version);
        let gone: Vec<_> = self.envelopes.extract_if(.., |(of, version, ..), _| goes(of, *version)).collect();
        for ((.., origin), envelope) in gone {
            self.refuse(origin, &envelope);
        }
    }

    /// Forgets the keys of a bucket that end before one, now that nothing lives that they sealed; takes none of
    /// them in again.
    pub fn end_keys(&mut self, bucket: BucketId, kept: u32) {
        self.trust.kept.insert(bucket, kept);
        self.trust.ended.insert(bucket, kept);
        self.drop_erased();
    }

    /// Nodes that were given keys of a bucket, by somebody who had them: a keeper, or themselves.
    pub fn had_keys(&self, bucket: &BucketId) -> BTreeSet<NodeId> {
        let of = KeyOf::Bucket(*bucket);
        let boxes = self.envelopes.keys().filter(|(boxed, ..)| *boxed == of);
        let given = boxes.filter_map(|(_, _, to, _, origin)| match to {
            Recipient::Node(node) if node == origin || self.trust.keepers.contains(origin) => Some(*node),
            Recipient::Node(_) | Recipient::Recovery => None,
        });
        given.collect()
    }

    /// Notes a box that is not taken in.
    pub(super) fn refuse(&mut self, origin: NodeId, envelope: &Envelope) {
        let opened = self.brings_back(origin, envelope);
        self.unwanted.boxes = self.unwanted.boxes.saturating_add(1);
        self.unwanted.opened = self.unwanted.opened.saturating_add(opened.into());
    }

    /// Whether a box that this reader opens has a key of the bucket in it. Anybody can box noise: of a later
    /// key nothing is left that tells the genuine one, and the word of those counts who could have it.
    fn brings_back(&self, origin: NodeId, envelope: &Envelope) -> bool {
        let counts = self.me == Recipient::Node(origin) || self.trust.keepers.contains(&origin);
        if !counts && envelope.version != 1 {
            return false;
        }
        let Ok(key) = open_envelope(self.realm, envelope, self.me, &self.secret) else { return false };
        let of = |bucket| [key.bucket(), key.private_bucket()].contains(bucket);
        match &envelope.key_of {
            KeyOf::Bucket(bucket) if envelope.version == 1 => of(bucket),
            _ => counts,
        }
    }

    /// Opens boxes with another key from now on, which `settle` puts in force; unless there are keys that
    /// `boxed` does not name, which nothing boxes to it yet: then gives back their rings.
    ///
    /// # Errors
    /// What `settle` says.
    pub fn change_secret<E>(
        &mut self,
        boxed: &BTreeSet<(KeyOf, u32)>,
        settle: impl FnOnce() -> Result<Option<BoxSecret>, E>,
    ) -> Result<Vec<KeyRing>, E> {
        let lacks = |ring: &&KeyRing| ring.iter().any(|key| !boxed.contains(&(ring.of(), key.version())));
        let lacking: Vec<KeyRing> = self.rings().filter(lacks).cloned().collect();
        if lacking.is_empty()
            && let Some(secret) = settle()?
        {
            self.set_secret(secret);
        }
        Ok(lacking)
    }

    /// Opens boxes with another key from now on.
    pub fn set_secret(&mut self, secret: BoxSecret) {
        self.secret = secret;
        let boxed: BTreeSet<KeyOf> = self.envelopes.keys().map(|(of, ..)| *of).collect();
        for of in boxed {
            self.open_all(of);
        }
    }

    /// Such boxes that nothing was done about yet.
    pub const fn unwanted(&self) -> Unwanted {
        self.unwanted
    }

    /// Takes in that something was done about so many.
    pub const fn settle_unwanted(&mut self, done: Unwanted) {
        self.unwanted.boxes = self.unwanted.boxes.saturating_sub(done.boxes);
        self.unwanted.opened = self.unwanted.opened.saturating_sub(done.opened);
    }
}

#[cfg(test)]
mod tests;
