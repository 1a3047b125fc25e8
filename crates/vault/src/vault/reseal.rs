//! Sealing anew, with the newest key of a bucket, what was sealed with earlier ones. Blobs stay as they
//! are: what changes is the payload that holds an object's name and its wrapped key.

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_crypt::WrapError;
use freehold_disk::{EntryRow, EntryTxn, OsEntropy};
use freehold_index::{Index, Stamp};
use freehold_placement::{BLOBS_MAX, BlobRef, Entry};
use freehold_seal::{Blinding, BucketKey, Content, Resealed};
use freehold_wire::{Bounded, BucketId};
use tokio::sync::oneshot;

use super::read::{Original, Said};
use super::rebuild::Heard;
use super::{Inner, Vault, after};
use crate::{GetError, PutError};

/// Entries written in one transaction.
const BATCH: usize = 256;

/// What sealing anew came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Entries sealed anew.
    pub done: u64,
    /// Entries that stay as they were, because they are not here, nobody is known to hold their blobs, or they
    /// would not fit.
    pub left: u64,
    /// Whether there are more.
    pub more: bool,
}

/// An entry to be sealed anew.
struct Old {
    stamp: Stamp,
    content: Content,
    blinding: Blinding,
    blobs: Bounded<BlobRef, BLOBS_MAX>,
}

/// An entry inside the transaction.
struct Written {
    entry: Entry,
    payload: Vec<u8>,
    said: Said,
}

impl Vault {
    /// Seals with the bucket's newest key whatever is sealed with one of an earlier generation, until
    /// it has done so with `most` entries. No blob is touched. The entries that are replaced go as overwritten ones do.
    ///
    /// # Errors
    /// [`PutError`]; what was done stays done.
    pub async fn renew(&self, bucket: &BucketId, most: u64) -> Result<Renewed, PutError> {
        let inner = &self.inner;
        let (_, key) = inner.bucket_to_write(bucket, "any")?;
        inner.may_write_now(bucket).await?;
        let generation = u16::try_from(key.generation()).unwrap_or(u16::MAX);
        let old = inner.index().sealed_before(bucket, generation);
        inner.seal_anew(bucket, &key, &old, most).await
    }

    /// How many living versions of a bucket are sealed with keys of which generation, from 1.
    pub fn generations(&self, bucket: &BucketId) -> BTreeMap<u16, u64> {
        self.inner.index().generations(bucket)
    }
}

impl Inner {
    pub(super) async fn seal_anew(
        self: &Arc<Self>,
        bucket: &BucketId,
        key: &BucketKey,
        old: &[Stamp],
        most: u64,
    ) -> Result<Renewed, PutError> {
        let mut renewed = Renewed::default();
        for stamps in old.chunks(BATCH) {
            let (some, left) = self.read_old(bucket, stamps, key).await?;
            renewed.left += left;
            let mut here = Vec::with_capacity(some.len());
            for old in some {
                // Somebody must have them; whoever has not does not say so.
                if self.are_held(&old.blobs).await? { here.push(old) } else { renewed.left += 1 }
            }
            renewed.done += self.commit_renewed(*bucket, here, key.clone()).await?;
            if renewed.done >= most {
                renewed.more = true;
                break;
            }
        }
        Ok(renewed)
    }

    /// Seals anew once more what only one sealed anew whose rights were taken away: who joins later would not get
    /// it. Where this node may not write, or has not the blobs, another one does.
    pub(crate) async fn seal_borrowed_anew(self: &Arc<Self>) {
        let all = self.index().all_borrowed();
        for (bucket, stamps) in all {
            let Ok((_, key)) = self.bucket_to_write(&bucket, "any") else { continue };
            let sealed = match self.may_write_now(&bucket).await {
                Ok(()) => self.seal_anew(&bucket, &key, &stamps, u64::MAX).await,
                Err(error) => Err(error),
            };
            match sealed {
                Ok(Renewed { done, left, .. }) => {
                    tracing::info!(bucket = %bucket.short(), done, left, "what a node without rights sealed anew was again");
                }
                Err(error) => {
                    tracing::warn!(bucket = %bucket.short(), %error, "what a node without rights sealed anew stays so");
                }
            }
        }
    }

    /// What takes the place of a key that ended while something was under way that it was to seal.
    pub(super) fn in_place_of(&self, bucket: &BucketId, sealing: &BucketKey) -> Option<BucketKey> {
        let keys = &self.shared.keys;
        keys.is_ending(bucket, sealing.version()).then(|| keys.current(bucket)).flatten()
    }

    /// Wraps what is wrapped in content with another key.
    pub(super) fn wrap_anew(
        &self,
        bucket: &BucketId,
        content: &mut Content,
        [before, next]: [&BucketKey; 2],
    ) -> Result<(), WrapError> {
        let Content::Manifest(manifest) = content else { return Ok(()) };
        let binding = manifest.binding(self.config.realm, *bucket);
        if let Some(stored) = &mut manifest.stored {
            let object = before.unwrap(&binding, &stored.key)?;
            stored.key = next.wrap(&binding, &object, &mut OsEntropy);
        }
        Ok(())
    }

    /// Whether each of some blobs is here, or on another node.
    async fn are_held(&self, blobs: &[BlobRef]) -> Result<bool, PutError> {
        for blob in blobs {
            let here = self.shared.depot.len(blob.name).await.map_err(PutError::Depot)? == Some(blob.len);
            if !here && !self.shared.replication.is_elsewhere(blob).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn read_old(
        self: &Arc<Self>,
        bucket: &BucketId,
        stamps: &[Stamp],
        key: &BucketKey,
    ) -> Result<(Vec<Old>, u64), PutError> {
        let (inner, bucket, stamps, key) = (Arc::clone(self), *bucket, stamps.to_vec(), key.clone());
        let read = tokio::task::spawn_blocking(move || {
            let (mut some, mut left) = (Vec::with_capacity(stamps.len()), 0);
            for stamp in stamps {
                match inner.old(&bucket, stamp, &key) {
                    Ok(old) => some.extend(old),
                    Err(GetError::Store(error)) => return Err(PutError::of_store(error)),
                    Err(error) => {
                        tracing::warn!(bucket = %bucket.short(), seq = stamp.seq, %error, "an entry is not sealed anew");
                        left += 1;
                    }
                }
            }
            Ok((some, left))
        });
        read.await.map_err(|_| PutError::Closing)?
    }

    /// What an entry says, with its object's key wrapped anew; nothing if it need not be.
    fn old(&self, bucket: &BucketId, stamp: Stamp, key: &BucketKey) -> Result<Option<Old>, GetError> {
        let (at, counts) = {
            let index = self.index();
            let first = stamp.locator(*bucket);
            (index.place_of(first), !index.is_borrowed(&first))
        };
        let row = self.shared.entries.entry(&at.bucket, &at.origin, at.seq).map_err(GetError::Store)?;
        let row = row.ok_or(GetError::Missing)?;
        let entry = Entry::decode(&row.entry).map_err(|_| GetError::Tampered)?;
        // Erased meanwhile: it was overwritten.
        let Some(payload) = row.payload.as_deref() else { return Ok(None) };
        let said = self.open_payload(&entry, payload)?;
        let ends = self.shared.keys.is_ending(bucket, said.key.version());
        if said.key.generation() >= key.generation() && !ends && counts {
            return Ok(None);
        }
        let place = self.place(at.bucket, at.origin, at.seq);
        let blinding = said.of.map_or_else(|| Blinding::of(&said.key, &place), |original| original.blinding);
        let mut content = said.content;
        let wrapped = self.wrap_anew(bucket, &mut content, [&said.key, key]);
        wrapped.map_err(|WrapError| GetError::Tampered)?;
        Ok(Some(Old { stamp, content, blinding, blobs: entry.blobs.clone() }))
    }

    async fn commit_renewed(
        self: &Arc<Self>,
        bucket: BucketId,
        old: Vec<Old>,
        key: BucketKey,
    ) -> Result<u64, PutError> {
        if old.is_empty() {
            return Ok(0);
        }
        let (tell, told) = oneshot::channel();
        let (inner, after) = (Arc::clone(self), Arc::clone(self));
        let job = move |txn: &mut EntryTxn<'_>| {
            let origin = inner.config.node;
            let mut seq = txn.last_seq(&bucket, &origin)?;
            let mut written = Vec::with_capacity(old.len());
            for old in old {
                let Some(one) = inner.renewed(bucket, seq.saturating_add(1), old, &key) else { continue };
                seq = seq.saturating_add(1);
                let (entry, payload) = (one.entry.to_bytes(), Some(one.payload.clone()));
                txn.insert(&EntryRow { bucket, origin, seq, entry, payload })?;
                written.push(one);
            }
            Ok(written)
        };
        // As for any entry: called in the order of commits.
        let done = move |result: Result<Vec<Written>, _>| {
            let result = result.map_err(PutError::of_store).map(|written| {
                let count = written.len() as u64;
                for one in written {
                    after.show_renewed(&one);
                    after.shared.replication.committed(&one.entry, &one.payload);
                }
                count
            });
            drop(after);
            drop(tell.send(result));
        };
        self.shared.entries.submit(job, done);
        told.await.unwrap_or(Err(PutError::Closing))
    }

    /// Nothing if it would not fit: then it stays as it is.
    fn renewed(&self, bucket: BucketId, seq: u64, old: Old, key: &BucketKey) -> Option<Written> {
        let Old { stamp, content, blinding, blobs } = old;
        let Stamp { hlc, origin, seq: number } = stamp;
        let resealed =
            Resealed { hlc, origin, seq: number, content: content.to_bytes(), blinding: blinding.clone() };
        let place = self.place(bucket, self.config.node, seq);
        let payload = Content::Resealed(resealed).seal(key, &place, &mut OsEntropy).ok()?;
        let entry = self.sign(bucket, seq, after(self.tick(), Some(hlc)), blobs, &payload, None);
        let of = Some(Original { stamp, blinding });
        Some(Written { entry, payload, said: Said { content, key: key.clone(), of } })
    }

    fn show_renewed(&self, one: &Written) {
        if let Some(heard) = Heard::of(&one.said, &one.entry, false) {
            self.take_in(&mut self.index_mut(), one.entry.bucket, heard, Index::apply);
        }
    }
}
