//! What becomes of a bucket that is erased.

use freehold_wire::{BucketId, Millis};

use super::Index;
use crate::State;

impl Index {
    /// Forgets a bucket.
    pub fn forget(&mut self, bucket: &BucketId) {
        self.buckets.remove(bucket);
        self.superseded.retain(|at, _| at.bucket != *bucket);
        self.resealed.retain(|at, _| at.bucket != *bucket);
        self.hiding.remove(bucket);
    }

    /// How many versions of a bucket must be kept at `now`, whoever says otherwise: those under
    /// COMPLIANCE, and those that are held.
    pub fn must_stay(&self, bucket: &BucketId, now: Millis) -> u64 {
        let states = self.buckets.get(bucket).into_iter().flat_map(|index| index.keys.values());
        let must = |state: &State| {
            let locked = state.living().filter(|living| {
                let locks = state.locks(living.row, now);
                let until = locks.retention.and_then(crate::Retention::compliance);
                locks.hold || until.is_some_and(|until| until > now)
            });
            locked.count() as u64
        };
        states.map(must).sum()
    }
}
