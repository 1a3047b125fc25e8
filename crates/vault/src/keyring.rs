//! The bucket keys this node has been given, in memory only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use freehold_seal::{BucketKey, KeyOf, KeyRing};
use freehold_wire::BucketId;

/// The key rings of the buckets that this node may read. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    rings: Arc<RwLock<BTreeMap<BucketId, KeyRing>>>,
    /// Buckets whose entries could not be read with the keys that have come.
    unread: Arc<RwLock<BTreeSet<BucketId>>>,
}

impl Keyring {
    /// Takes a bucket's ring in, in the place of the one that was there. Follow it with
    /// [`crate::Vault::reopen`], so that entries that came before their key are opened.
    pub fn set(&self, ring: KeyRing) {
        if let KeyOf::Bucket(bucket) = ring.of() {
            self.rings.write().unwrap_or_else(PoisonError::into_inner).insert(bucket, ring);
        }
    }

    /// Forgets all keys of a bucket: what they sealed is not readable here any more.
    pub fn remove(&self, bucket: &BucketId) {
        self.rings.write().unwrap_or_else(PoisonError::into_inner).remove(bucket);
    }

    /// Whether this very ring is here.
    pub fn has_all(&self, ring: &KeyRing) -> bool {
        let KeyOf::Bucket(bucket) = ring.of() else { return false };
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        rings.get(&bucket).is_some_and(|known| known.is_same(ring))
    }

    /// Notes whether a bucket's entries were read with the keys that came last.
    pub fn note_read(&self, bucket: BucketId, was_read: bool) {
        let mut unread = self.unread.write().unwrap_or_else(PoisonError::into_inner);
        if was_read {
            unread.remove(&bucket)
        } else {
            unread.insert(bucket)
        };
    }

    /// Whether they were.
    pub fn is_read(&self, bucket: &BucketId) -> bool {
        !self.unread.read().unwrap_or_else(PoisonError::into_inner).contains(bucket)
    }

    /// Whether only those hold a bucket's keys who are named.
    pub fn is_private(&self, bucket: &BucketId) -> bool {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        rings.get(bucket).is_some_and(KeyRing::is_private)
    }

    /// Whether there is a key of a bucket that opens anything.
    pub fn has(&self, bucket: &BucketId) -> bool {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        rings.get(bucket).is_some_and(|ring| ring.sealing().next().is_some())
    }

    /// Whether a version of a bucket's key is to be destroyed, or was.
    pub(crate) fn is_ending(&self, bucket: &BucketId, version: u32) -> bool {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        rings.get(bucket).is_some_and(|ring| ring.is_ending(version))
    }

    /// Whether a version is the one of a bucket's keys that stays, and here: then nothing is sealed any more with
    /// those that end before it.
    pub(crate) fn keeps(&self, bucket: &BucketId, version: u32) -> bool {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        let kept = rings.get(bucket).and_then(KeyRing::kept);
        kept.is_some_and(|kept| kept.version() == version)
    }

    /// The key that seals what is new.
    pub fn current(&self, bucket: &BucketId) -> Option<BucketKey> {
        self.rings.read().unwrap_or_else(PoisonError::into_inner).get(bucket)?.current().cloned()
    }

    /// The key of one version.
    pub fn version(&self, bucket: &BucketId, version: u32) -> Option<BucketKey> {
        self.rings.read().unwrap_or_else(PoisonError::into_inner).get(bucket)?.get(version).cloned()
    }
}
