//! What a node wrote after its rights were taken away does not count: it is hidden here, and what
//! it hid shows again. It counts again if the rights are given back.

use std::sync::{Arc, PoisonError};

use freehold_disk::StoreError;
use freehold_placement::{Cuts, is_cut_off};
use freehold_wire::{BucketId, NodeId};

use super::{Inner, Vault};

impl Vault {
    /// Says what counts of nodes whose rights were taken away.
    ///
    /// # Errors
    /// [`StoreError`] if the entry store cannot be read.
    pub async fn set_cuts(&self, cuts: Cuts) -> Result<(), StoreError> {
        let cuts = Arc::new(cuts);
        let before = {
            let mut known = self.inner.cuts.write().unwrap_or_else(PoisonError::into_inner);
            if *known == cuts {
                return Ok(());
            }
            std::mem::replace(&mut *known, Arc::clone(&cuts))
        };
        let done = self.cut(&cuts).await;
        if done.is_err() {
            // So that it is done when it is said again.
            *self.inner.cuts.write().unwrap_or_else(PoisonError::into_inner) = before;
        }
        done
    }

    async fn cut(&self, cuts: &Cuts) -> Result<(), StoreError> {
        let buckets: Vec<BucketId> = self.inner.index().buckets().map(|(bucket, _)| *bucket).collect();
        for bucket in buckets {
            self.inner.index_mut().hide(&bucket, cuts);
            self.reopen(&bucket).await?;
        }
        Ok(())
    }
}

impl Inner {
    /// Whether an entry counts.
    pub(super) fn counts(&self, bucket: &BucketId, origin: &NodeId, seq: u64) -> bool {
        let cuts = self.cuts.read().unwrap_or_else(PoisonError::into_inner);
        !is_cut_off(&cuts, bucket, origin, seq)
    }
}
