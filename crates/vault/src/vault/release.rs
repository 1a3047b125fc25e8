//! Telling nodes that keep a bucket's blobs and cannot read it what they may let go.

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_disk::{EntryRow, EntryTxn};
use freehold_index::Locator;
use freehold_placement::{Entry, Own};
use freehold_seal::{PayloadKind, Release, Released, payload_kind};
use freehold_wire::{Bounded, BucketId, Millis, NodeId};
use tokio::sync::oneshot;

use super::Inner;
use crate::PutError;

/// Whether a payload is a release.
pub(crate) fn is_release(payload: &[u8]) -> bool {
    payload_kind(payload) == Some(PayloadKind::Release)
}

impl Inner {
    /// Hears what is not needed any more. Who reads the bucket knows better by itself.
    pub(super) fn hear_release(&self, entry: &Entry, payload: &[u8], since: Millis) {
        if self.shared.keys.has(&entry.bucket) {
            return;
        }
        match Release::decode(payload) {
            Ok(release) => {
                let mut index = self.index_mut();
                for (origin, seq) in release.entries() {
                    index.release(Locator { bucket: entry.bucket, origin, seq }, since);
                }
            }
            Err(error) => {
                tracing::warn!(bucket = %entry.bucket.short(), seq = entry.seq, %error, "a release is passed over");
            }
        }
    }

    /// Tells of what is about to be erased here, where others need to be told. At most as many
    /// as one release holds.
    ///
    /// # Errors
    /// [`PutError`]; then it must not be erased yet, or nobody would ever tell.
    pub(crate) async fn tell_released(self: &Arc<Self>, due: &[Locator]) -> Result<(), PutError> {
        let mut tell: BTreeMap<BucketId, BTreeMap<NodeId, Vec<u64>>> = BTreeMap::new();
        for at in due {
            // Of a private bucket nobody needs to be told by name: whoever stores it cannot read it.
            let own = self.shared.keys.is_private(&at.bucket) && at.origin == self.config.node;
            let releases = own || self.shared.replication.releases(&at.bucket, &at.origin);
            if self.shared.keys.has(&at.bucket) && releases {
                tell.entry(at.bucket).or_default().entry(at.origin).or_default().push(at.seq);
            }
        }
        for (bucket, of) in tell {
            self.shared.replication.listened(&bucket).await;
            let own = self.shared.replication.own(&bucket);
            if own == Own::Behind {
                return Err(PutError::CatchingUp);
            }
            // Else nobody listens to it.
            if !matches!(own, Own::Sure | Own::Unheard | Own::Listening) {
                continue;
            }
            let released = of.into_iter().map(|(origin, numbers)| Released {
                origin,
                numbers: Bounded::fill(&mut numbers.into_iter()),
            });
            self.commit_release(bucket, &Release(Bounded::fill(&mut released.into_iter()))).await?;
        }
        Ok(())
    }

    async fn commit_release(self: &Arc<Self>, bucket: BucketId, release: &Release) -> Result<(), PutError> {
        let payload = release.to_bytes();
        let (inner, after) = (Arc::clone(self), Arc::clone(self));
        let job = move |txn: &mut EntryTxn<'_>| {
            let origin = inner.config.node;
            let seq = txn.last_seq(&bucket, &origin)?.saturating_add(1);
            let entry = inner.sign(bucket, seq, inner.tick(), Bounded::new(), &payload, None);
            let row = EntryRow { bucket, origin, seq, entry: entry.to_bytes(), payload: Some(payload) };
            txn.insert(&row)?;
            Ok((entry, row.payload.unwrap_or_default()))
        };
        let (tell, told) = oneshot::channel();
        // As for any entry: called in the order of commits.
        let done = move |result: Result<(Entry, Vec<u8>), _>| {
            let result = result.map_err(PutError::of_store);
            if let Ok((entry, payload)) = &result {
                after.shared.replication.committed(entry, payload);
            }
            drop(after);
            drop(tell.send(result.map(drop)));
        };
        self.shared.entries.submit(job, done);
        told.await.unwrap_or(Err(PutError::Closing))
    }
}
