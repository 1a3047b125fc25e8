//! What a node wrote after its rights were taken away does not count, nor what one wrote that may not
//! write the bucket: it is hidden here, and what it hid shows again. It counts again if the rights are
//! given back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use freehold_disk::StoreError;
use freehold_index::Writers;
use freehold_placement::{Cuts, is_cut_off};
use freehold_wire::{BucketId, NodeId};

use super::{Inner, Vault, now};

impl Vault {
    /// Says what counts of nodes whose rights were taken away.
    ///
    /// # Errors
    /// [`StoreError`] if the entry store cannot be read. Saying it again tries again.
    pub async fn set_cuts(&self, cuts: Cuts) -> Result<(), StoreError> {
        let cuts = Arc::new(cuts);
        let is_news = {
            let mut known = self.inner.cuts.write().unwrap_or_else(PoisonError::into_inner);
            let is_news = *known != cuts;
            *known = Arc::clone(&cuts);
            is_news
        };
        let failed = self.inner.uncounted().clone();
        let mut buckets: Vec<BucketId> = self.inner.index().buckets().map(|(bucket, _)| *bucket).collect();
        buckets.retain(|bucket| is_news || failed.contains(bucket));
        let writers = Arc::clone(&self.inner.writers.read().unwrap_or_else(PoisonError::into_inner));
        for bucket in &buckets {
            // Before the first is read: that takes long, and meanwhile nothing of the last may go.
            self.inner.index_mut().begin_hiding(bucket, &cuts, writers.get(bucket));
        }
        let mut outcome = Ok(());
        for bucket in &buckets {
            outcome = self.count_anew(bucket, &cuts, writers.get(bucket)).await.and(outcome);
        }
        outcome
    }

    /// Says whose entries count, bucket by bucket. In a bucket that is not there everybody's do.
    ///
    /// # Errors
    /// [`StoreError`] if the entry store cannot be read. Saying it again tries again.
    pub async fn set_writers(&self, writers: BTreeMap<BucketId, Writers>) -> Result<(), StoreError> {
        let writers = Arc::new(writers);
        let before = {
            let mut known = self.inner.writers.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *known, Arc::clone(&writers))
        };
        let cuts = Arc::clone(&self.inner.cuts.read().unwrap_or_else(PoisonError::into_inner));
        let failed = self.inner.uncounted().clone();
        let mut all: BTreeSet<&BucketId> = before.keys().chain(writers.keys()).collect();
        all.retain(|bucket| failed.contains(*bucket) || before.get(bucket) != writers.get(bucket));
        let mut due = Vec::new();
        for bucket in all {
            let (was, now) = (before.get(bucket), writers.get(bucket));
            let more = was.is_some_and(|was| now.is_none_or(|now| now.let_more_than(was)));
            // Reading all anew takes long, and most newcomers have not written yet.
            let more = more && self.inner.passed_over().remove(bucket);
            let less = self.inner.index_mut().begin_hiding(bucket, &cuts, now);
            if more || less || failed.contains(bucket) {
                due.push((bucket, now));
            }
        }
        let mut outcome = Ok(());
        for (bucket, now) in due {
            outcome = self.count_anew(bucket, &cuts, now).await.and(outcome);
        }
        outcome
    }

    /// Reads a bucket anew. What does not count any more goes in the moment in which what it hid shows.
    async fn count_anew(
        &self,
        bucket: &BucketId,
        cuts: &Cuts,
        writers: Option<&Writers>,
    ) -> Result<(), StoreError> {
        self.inner.uncounted().insert(*bucket);
        loop {
            self.reopen(bucket).await?;
            let mut index = self.inner.index_mut();
            // Else something came in between that counted when it came.
            if index.end_hiding(bucket, cuts, writers, now()) {
                self.inner.uncounted().remove(bucket);
                return Ok(());
            }
            index.begin_hiding(bucket, cuts, writers);
        }
    }
}

impl Inner {
    /// Whether an entry counts.
    pub(super) fn counts(&self, bucket: &BucketId, origin: &NodeId, seq: u64) -> bool {
        let cuts = self.cuts.read().unwrap_or_else(PoisonError::into_inner);
        !is_cut_off(&cuts, bucket, origin, seq)
    }

    /// Whether its node may write the bucket, or might when it wrote it.
    pub(super) fn may_say(&self, bucket: &BucketId, origin: &NodeId, seq: u64) -> bool {
        let writers = self.writers.read().unwrap_or_else(PoisonError::into_inner);
        let may = writers.get(bucket).is_none_or(|writers| writers.lets(origin, seq));
        if !may {
            // Under the lock: whoever says next who may write finds it.
            self.passed_over().insert(*bucket);
        }
        may
    }

    fn passed_over(&self) -> MutexGuard<'_, BTreeSet<BucketId>> {
        self.passed_over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Buckets of which it is still to be found out what counts.
    fn uncounted(&self) -> MutexGuard<'_, BTreeSet<BucketId>> {
        self.uncounted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
