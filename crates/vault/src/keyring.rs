//! The bucket keys this node has been given, in memory only.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use freehold_seal::{BucketKey, KeyOf, KeyRing};
use freehold_wire::BucketId;

/// The key rings of the buckets that this node may read. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    rings: Arc<RwLock<BTreeMap<BucketId, KeyRing>>>,
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

    /// Whether all keys of a ring are here, and the one to seal with is the same.
    pub fn has_all(&self, ring: &KeyRing) -> bool {
        let KeyOf::Bucket(bucket) = ring.of() else { return false };
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        let known = rings.get(&bucket);
        known.is_some_and(|known| {
            known.current() == ring.current() && ring.iter().all(|key| known.get(key.version()) == Some(key))
        })
    }

    /// Whether only those hold a bucket's keys who are named.
    pub fn is_private(&self, bucket: &BucketId) -> bool {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        rings.get(bucket).is_some_and(KeyRing::is_private)
    }

    /// Whether there is a key of a bucket.
    pub(crate) fn has(&self, bucket: &BucketId) -> bool {
        let rings = self.rings.read().unwrap_or_else(PoisonError::into_inner);
        rings.get(bucket).is_some_and(|ring| ring.iter().next().is_some())
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
