//! Ending earlier keys of a bucket: what lives is sealed anew with the one that stays, everything else that they
//! sealed is erased. Then they can be destroyed, and what was deleted with them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use freehold_disk::{EntryRow, EntryTxn};
use freehold_index::{Living, Locator, Stamp, may_remove};
use freehold_placement::Entry;
use freehold_seal::PayloadHeader;
use freehold_wire::{BlobName, BucketId, Millis};

use super::{Inner, Vault, bucket_of, end_upload, now};
use crate::sweep::blocking;
use crate::{DeleteRequest, GetError, PutError, UploadId};

/// What ending earlier keys came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Entries sealed anew.
    pub renewed: u64,
    /// Entries that live and are sealed with such a key still: they, or their blobs, are not here, or this
    /// node may not write. As long as there are any, nothing is erased.
    pub left: u64,
    /// Payloads erased.
    pub erased: u64,
}

/// What is sealed with keys that end.
#[derive(Default)]
struct Sealed {
    living: Vec<Stamp>,
    rest: Vec<Locator>,
    /// The blobs of the rest.
    blobs: BTreeSet<BlobName>,
}

impl Vault {
    /// Deletes every version of an object for good, unless one of them is locked. Says how many there were.
    ///
    /// # Errors
    /// [`PutError`]; [`PutError::Locked`] with nothing deleted.
    pub async fn delete_all(&self, bucket: &BucketId, key: &str, bypass: bool) -> Result<u64, PutError> {
        let requests = self.deletions(bucket, key, bypass)?;
        for done in self.delete_many(bucket, &requests).await? {
            done?;
        }
        Ok(requests.len() as u64)
    }

    fn deletions(&self, bucket: &BucketId, key: &str, bypass: bool) -> Result<Vec<DeleteRequest>, PutError> {
        let index = self.inner.index();
        let mut requests = Vec::new();
        if let Some(state) = index.state(bucket, key) {
            for Living { row, .. } in state.living() {
                may_remove(&state.locks(row, now()), now(), bypass).map_err(PutError::Locked)?;
                let version = Some(row.version());
                requests.push(DeleteRequest {
                    key: key.to_owned(),
                    version,
                    bypass,
                    ..DeleteRequest::default()
                });
            }
        }
        Ok(requests)
    }

    /// Living versions of an object, markers among them, and their bytes.
    ///
    /// # Errors
    /// [`PutError::Locked`] if one of them may not be deleted.
    pub fn to_delete(&self, bucket: &BucketId, key: &str, bypass: bool) -> Result<(u64, u64), PutError> {
        let versions = self.deletions(bucket, key, bypass)?.len() as u64;
        let index = self.inner.index();
        let living = index.state(bucket, key).into_iter().flat_map(freehold_index::State::living);
        Ok((versions, living.map(|living| living.row.size).sum()))
    }

    /// Whether anything was ever heard of an object.
    pub fn knows(&self, bucket: &BucketId, key: &str) -> bool {
        self.inner.index().state(bucket, key).is_some()
    }

    /// Whether an object that is meant lives in a version from before `when`: something kept it from being
    /// deleted.
    pub fn outlived(&self, bucket: &BucketId, when: Millis, is_meant: impl Fn(&str) -> bool) -> bool {
        let index = self.inner.index();
        let keys = index.bucket(bucket).into_iter().flat_map(freehold_index::BucketIndex::keys);
        keys.filter(|(_, state)| {
            state.living().any(|living| living.row.is_write() && living.row.stamp.hlc.wall <= when)
        })
        .any(|(key, _)| is_meant(key))
    }

    /// Seals anew what lives and is sealed with a key of the bucket that ends, and, once nothing of that is
    /// left, erases all else that such keys sealed, with its blobs.
    ///
    /// # Errors
    /// [`PutError`]; what was done stays done.
    pub async fn end_keys(&self, bucket: &BucketId) -> Result<Ended, PutError> {
        let inner = &self.inner;
        // What was under way is sealed anew on its way in; what came in before is seen from here on.
        inner.store(|_| Ok(())).await?;
        let mut ended = Ended::default();
        let sealed = inner.sealed_with_ending(*bucket).await?;
        let living = sealed.living.len() as u64;
        if living > 0 {
            ended.left = living;
            let Ok((_, key)) = inner.bucket_to_write(bucket, "any") else { return Ok(ended) };
            inner.may_write_now(bucket).await?;
            ended.renewed = inner.seal_anew(bucket, &key, &sealed.living, u64::MAX).await?.done;
        }
        let sealed = inner.sealed_with_ending(*bucket).await?;
        ended.left = sealed.living.len() as u64;
        if ended.left == 0 {
            ended.erased = inner.erase_ended(*bucket, sealed).await?;
        }
        Ok(ended)
    }
}

impl Inner {
    /// Erases what came later and is sealed with keys that are no more: who wrote it seals it anew.
    pub(crate) async fn erase_late(self: &Arc<Self>) -> Result<(), GetError> {
        for bucket in self.shared.keys.ended() {
            let sealed = self.sealed_with_ending(bucket).await.map_err(of_put)?;
            if !sealed.rest.is_empty() {
                self.erase_ended(bucket, sealed).await.map_err(of_put)?;
            }
        }
        Ok(())
    }

    async fn sealed_with_ending(self: &Arc<Self>, bucket: BucketId) -> Result<Sealed, PutError> {
        let inner = Arc::clone(self);
        let read = blocking(move || {
            let living: BTreeMap<Locator, Stamp> = {
                let index = inner.index();
                let needed = index.sealed_before(&bucket, u16::MAX).into_iter();
                needed.map(|stamp| (index.place_of(stamp.locator(bucket)), stamp)).collect()
            };
            let mut sealed = Sealed::default();
            let see = |row: EntryRow| {
                let header = row.payload.as_deref().and_then(|payload| PayloadHeader::decode(payload).ok());
                if header.is_some_and(|header| inner.shared.keys.is_ending(&bucket, header.key_version)) {
                    let at = Locator { bucket, origin: row.origin, seq: row.seq };
                    if let Some(stamp) = living.get(&at) {
                        sealed.living.push(*stamp);
                    } else {
                        sealed.rest.push(at);
                        let entry = Entry::decode(&row.entry).ok();
                        sealed
                            .blobs
                            .extend(entry.iter().flat_map(|entry| entry.blobs.iter().map(|b| b.name)));
                    }
                }
                ControlFlow::Continue(())
            };
            inner.shared.entries.scan_bucket(&bucket, see).map_err(GetError::Store)?;
            Ok(sealed)
        });
        read.await.map_err(of_get)
    }

    async fn erase_ended(self: &Arc<Self>, bucket: BucketId, sealed: Sealed) -> Result<u64, PutError> {
        let rest: BTreeSet<Locator> = sealed.rest.iter().copied().collect();
        // What took nothing's place nobody tells of later: then its entry is gone. The others' turn comes with
        // the next sweep, once what took their place is on as many nodes.
        let gone: Vec<Locator> = {
            let index = self.index();
            let due = index.due(now(), Millis(0)).into_iter();
            due.filter(|(at, winner)| winner.is_none() && rest.contains(at)).map(|(at, _)| at).collect()
        };
        for some in gone.chunks(1000) {
            self.tell_released(some).await?;
        }
        let mut erased = 0;
        for some in sealed.rest.chunks(1000) {
            let (inner, some) = (Arc::clone(self), some.to_vec());
            erased += blocking(move || inner.erase_payloads(&some)).await.map_err(of_get)?;
        }
        {
            let mut index = self.index_mut();
            for at in &gone {
                index.erased(at);
            }
        }
        self.end_uploads(bucket).await?;
        let live = self.blobs_of_entries().await.map_err(of_get)?.live;
        let uploads = self.blobs_of_uploads().await.map_err(of_get)?;
        for name in sealed.blobs.iter().filter(|name| !live.contains(*name) && !uploads.contains(*name)) {
            self.shared.depot.delete(*name).await.map_err(PutError::Depot)?;
        }
        Ok(erased)
    }

    /// Uploads whose records are sealed with a key that ends have to be begun anew.
    async fn end_uploads(self: &Arc<Self>, bucket: BucketId) -> Result<(), PutError> {
        let inner = Arc::clone(self);
        let end = blocking(move || {
            for upload in inner.shared.entries.uploads().map_err(GetError::Store)? {
                let sealed = bucket_of(&upload.record).filter(|(of, _)| *of == bucket);
                let header = sealed.and_then(|(_, sealed)| PayloadHeader::decode(sealed).ok());
                if header.is_some_and(|header| inner.shared.keys.is_ending(&bucket, header.key_version)) {
                    let end = move |txn: &mut EntryTxn<'_>| end_upload(txn, UploadId(upload.id));
                    inner.shared.entries.write(end).map_err(GetError::Store)?;
                    inner.rooms().remove(&upload.id);
                }
            }
            Ok(())
        });
        end.await.map_err(of_get)
    }
}

fn of_get(error: GetError) -> PutError {
    match error {
        GetError::Store(error) => PutError::of_store(error),
        GetError::Depot(error) => PutError::Depot(error),
        _ => PutError::Closing,
    }
}

fn of_put(error: PutError) -> GetError {
    match error {
        PutError::Store(error) => GetError::Store(error),
        PutError::Depot(error) => GetError::Depot(error),
        _ => GetError::Closing,
    }
}
