//! Ending earlier keys of a bucket: what lives is sealed anew with the one that stays. Once every node has done
//! that, what they sealed and nobody needs is erased, and they can be destroyed, and what was deleted with them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};

use freehold_disk::{EntryRow, EntryTxn};
use freehold_index::{Living, Locator, Stamp, may_remove};
use freehold_placement::Entry;
use freehold_seal::{PayloadHeader, ends_before};
use freehold_wire::{BlobName, BucketId, Millis, NodeId};

use super::{Inner, Vault, bucket_of, end_upload, now};
use crate::sweep::blocking;
use crate::{DeleteRequest, GetError, PutError, UploadId};

/// Who seals anew what, and what ended before.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// The key that stays.
    pub kept: u32,
    /// Whether this node may write in the bucket.
    pub writes: bool,
    /// Nodes that seal anew by themselves what they wrote.
    pub leave_to: &'a BTreeSet<NodeId>,
    /// The key before which others ended here before: what they sealed and is left is no matter any more.
    pub ended: Option<u32>,
}

/// How far a bucket is from needing none of the keys that are to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Entries sealed anew.
    pub renewed: u64,
    /// Entries that live and are sealed with such a key still.
    pub left: u64,
    /// Of them, those which this node tried to seal anew and could not: nobody is known to hold their blobs.
    pub away: u64,
    /// Entries that another one took the place of which is not yet on as many nodes.
    pub waiting: u64,
    /// Nodes' last words on settings that are sealed with such a key.
    pub words: u64,
    /// Whether one of this node's own is among them.
    pub own_word: bool,
    /// Entries that count and are sealed with keys that are not here, so that nobody here can tell.
    pub unknown: u64,
    /// Others of which it cannot be told here whether they live: they do not count now, or are of a later format.
    /// They stay.
    pub unread: u64,
}

impl Ended {
    /// Whether nothing that lives, and that this node knows of, needs such a key.
    pub const fn is_ready(&self) -> bool {
        self.left == 0 && self.waiting == 0
    }
}

/// Versions of an object from before it was erased.
#[derive(Debug, Clone, Default)]
pub struct Outlived {
    /// How many must be kept.
    pub locked: u64,
    /// What deletes the others.
    pub removals: Vec<DeleteRequest>,
}

/// What is sealed with keys that end.
#[derive(Default)]
struct Sealed {
    living: Vec<Stamp>,
    /// What nobody needs, and the entry that took its place.
    rest: Vec<(Locator, Option<Locator>)>,
    /// The blobs of the rest.
    blobs: BTreeSet<BlobName>,
    told: Ended,
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

    /// Versions of objects that are meant from before `when`: something kept them from being deleted, or they came
    /// since.
    pub fn outlived(&self, bucket: &BucketId, when: Millis, is_meant: impl Fn(&str) -> bool) -> Outlived {
        let index = self.inner.index();
        let mut outlived = Outlived::default();
        let keys = index.bucket(bucket).into_iter().flat_map(freehold_index::BucketIndex::keys);
        let older = |living: &Living<'_>| living.row.is_write() && living.row.stamp.hlc.wall < when;
        for (key, state) in keys.filter(|(key, state)| state.living().any(|one| older(&one)) && is_meant(key))
        {
            for Living { row, .. } in state.living().filter(older) {
                if may_remove(&state.locks(row, now()), now(), false).is_err() {
                    outlived.locked += 1;
                } else {
                    let (key, version) = (key.to_string(), Some(row.version()));
                    outlived.removals.push(DeleteRequest { key, version, ..DeleteRequest::default() });
                }
            }
        }
        outlived
    }

    /// Seals anew what lives and is sealed with a key of the bucket that is to end, and says how far that is.
    /// Nothing is erased.
    ///
    /// # Errors
    /// [`PutError`]; what was done stays done.
    pub async fn renew_ending(&self, bucket: &BucketId, how: Ending<'_>) -> Result<Ended, PutError> {
        let inner = &self.inner;
        if !inner.shared.keys.keeps(bucket, how.kept) {
            return Err(PutError::NoBucketKey);
        }
        // What was under way is sealed anew on its way in; what came in before is seen from here on.
        inner.store(|_| Ok(())).await?;
        let mut sealed = inner.sealed_with_ending(*bucket, how.ended).await?;
        let ours = sealed.living.iter().filter(|stamp| !how.leave_to.contains(&stamp.origin));
        let ours: Vec<Stamp> = ours.copied().collect();
        let (mut renewed, mut away) = (0, 0);
        if how.writes && !ours.is_empty() {
            let (_, key) = inner.bucket_to_write(bucket, "any")?;
            inner.may_write_now(bucket).await?;
            let done = inner.seal_anew(bucket, &key, &ours, u64::MAX).await?;
            (renewed, away) = (done.done, done.left);
            sealed = inner.sealed_with_ending(*bucket, how.ended).await?;
        }
        let waiting = inner.not_copied(bucket, &sealed.rest).await;
        Ok(Ended { renewed, away, waiting, left: sealed.living.len() as u64, ..sealed.told })
    }

    /// This node's own entries that are sealed with a key from before one and do not count, because the bucket was
    /// taken away from it: nobody else seals them anew, and they count if it is given back.
    ///
    /// # Errors
    /// [`PutError`] if they cannot be read.
    pub async fn own_passed_over(&self, bucket: &BucketId, kept: u32) -> Result<u64, PutError> {
        let own = self.inner.config.node;
        self.inner
            .count_sealed(*bucket, move |inner, at, version| {
                at.origin == own && ends_before(version, kept) && !inner.is_heard(at)
            })
            .await
    }

    /// Entries of a bucket that count and are sealed with keys that are not here: what they say of others cannot be
    /// known.
    ///
    /// # Errors
    /// [`PutError`] if they cannot be read.
    pub async fn unopened(&self, bucket: &BucketId) -> Result<u64, PutError> {
        self.inner
            .count_sealed(*bucket, |inner, at, version| {
                inner.shared.keys.version(&at.bucket, version).is_none() && inner.is_heard(at)
            })
            .await
    }

    /// Erases what is sealed with keys that are to end and nobody needs, with its blobs. Every node has said that it
    /// is ready; whoever calls it has just asked [`Self::renew_ending`], and destroys the keys next.
    ///
    /// # Errors
    /// [`PutError`]; what was done stays done.
    pub async fn erase_ended(&self, bucket: &BucketId) -> Result<u64, PutError> {
        let sealed = self.inner.sealed_with_ending(*bucket, None).await?;
        self.inner.erase_ended(*bucket, sealed).await
    }
}

impl Inner {
    async fn sealed_with_ending(
        self: &Arc<Self>,
        bucket: BucketId,
        ended: Option<u32>,
    ) -> Result<Sealed, PutError> {
        let inner = Arc::clone(self);
        let read = blocking(move || {
            let mut look = Look::new(&inner, bucket, ended);
            let see = |row: EntryRow| {
                look.see(&row);
                ControlFlow::Continue(())
            };
            inner.shared.entries.scan_bucket(&bucket, see).map_err(GetError::Store)?;
            Ok(look.sealed)
        });
        read.await.map_err(of_get)
    }

    async fn count_sealed(
        self: &Arc<Self>,
        bucket: BucketId,
        is: impl Fn(&Self, &Locator, u32) -> bool + Send + 'static,
    ) -> Result<u64, PutError> {
        let inner = Arc::clone(self);
        let counted = blocking(move || {
            let mut count = 0;
            let see = |row: EntryRow| {
                let header = row.payload.as_deref().and_then(|payload| PayloadHeader::decode(payload).ok());
                let at = Locator { bucket, origin: row.origin, seq: row.seq };
                count += u64::from(header.is_some_and(|header| is(&inner, &at, header.key_version)));
                ControlFlow::Continue(())
            };
            inner.shared.entries.scan_bucket(&bucket, see).map_err(GetError::Store)?;
            Ok(count)
        });
        counted.await.map_err(of_get)
    }

    /// Of entries, those whose winner is not on as many nodes, or as many as the bucket asks for.
    async fn not_copied(&self, bucket: &BucketId, rest: &[(Locator, Option<Locator>)]) -> u64 {
        let wanted = self.bucket(bucket).map_or(1, |info| info.copies);
        let pairs: Vec<_> = rest.iter().filter_map(|(at, winner)| Some((at, winner.as_ref()?))).collect();
        let mut lacking = 0;
        for some in pairs.chunks(1000) {
            let asked = some.iter().flat_map(|(at, winner)| [at, winner]).map(|at| (at.origin, at.seq));
            let held = self.shared.replication.copies(bucket, asked.collect()).await;
            let there = held.as_chunks::<2>().0.iter().filter(|[old, new]| *new >= (*old).min(wanted));
            lacking += some.len().saturating_sub(there.count()) as u64;
        }
        lacking
    }

    async fn erase_ended(self: &Arc<Self>, bucket: BucketId, sealed: Sealed) -> Result<u64, PutError> {
        // What took nothing's place nobody tells of later: then its entry is gone. The others' turn comes with
        // the next sweep, once what took their place is on as many nodes.
        let gone = sealed.rest.iter().filter(|(_, winner)| winner.is_none()).map(|(at, _)| *at);
        let gone: Vec<Locator> = gone.collect();
        for some in gone.chunks(1000) {
            self.tell_released(some).await?;
        }
        let all: Vec<Locator> = sealed.rest.iter().map(|(at, _)| *at).collect();
        let mut erased = 0;
        for some in all.chunks(1000) {
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
        let uploads = self.blobs_of_uploads().await.map_err(of_get)?;
        match self.blobs_of_entries().await {
            Ok(named) => {
                let is_loose = |name: &&BlobName| !named.live.contains(*name) && !uploads.contains(*name);
                let loose: Vec<BlobName> = sealed.blobs.iter().filter(is_loose).copied().collect();
                self.shared.depot.delete_all(&loose).await.map_err(PutError::Depot)?;
            }
            // Their keys go: the next sweep that can removes them.
            Err(error) => tracing::warn!(%error, "the blobs of what was erased stay until the next sweep"),
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

    /// Whether an entry counts, and its node may write.
    fn is_heard(&self, at: &Locator) -> bool {
        let writers = self.writers.read().unwrap_or_else(PoisonError::into_inner);
        let lets = writers.get(&at.bucket).is_none_or(|writers| writers.lets(&at.origin, at.seq));
        lets && self.counts(&at.bucket, &at.origin, at.seq)
    }
}

/// What each entry of a bucket comes to that is sealed with a key that ends.
struct Look<'a> {
    inner: &'a Inner,
    bucket: BucketId,
    ended: Option<u32>,
    living: BTreeMap<Locator, Stamp>,
    /// What the index knows to be needed no longer.
    over: BTreeMap<Locator, Option<Locator>>,
    sealed: Sealed,
}

impl<'a> Look<'a> {
    fn new(inner: &'a Inner, bucket: BucketId, ended: Option<u32>) -> Self {
        let index = inner.index();
        let needed = index.sealed_before(&bucket, u16::MAX).into_iter();
        let living = needed.map(|stamp| (index.place_of(stamp.locator(bucket)), stamp)).collect();
        let over = index.due(now(), Millis(0)).into_iter().filter(|(at, _)| at.bucket == bucket).collect();
        drop(index);
        Self { inner, bucket, ended, living, over, sealed: Sealed::default() }
    }

    fn see(&mut self, row: &EntryRow) {
        let header = row.payload.as_deref().and_then(|payload| PayloadHeader::decode(payload).ok());
        let keys = &self.inner.shared.keys;
        let Some(version) = header.map(|header| header.key_version) else { return };
        if !keys.is_ending(&self.bucket, version) {
            return;
        }
        let at = Locator { bucket: self.bucket, origin: row.origin, seq: row.seq };
        let told = &mut self.sealed.told;
        if let Some(stamp) = self.living.get(&at) {
            self.sealed.living.push(*stamp);
        } else if let Some(winner) = self.over.get(&at) {
            self.sealed.rest.push((at, *winner));
            let entry = Entry::decode(&row.entry).ok();
            self.sealed.blobs.extend(entry.iter().flat_map(|entry| entry.blobs.iter().map(|b| b.name)));
        } else if self.inner.index().is_word(&at) {
            told.words += 1;
            told.own_word |= row.origin == self.inner.config.node;
        } else if keys.version(&self.bucket, version).is_none()
            && !self.ended.is_some_and(|ended| ends_before(version, ended))
            && self.inner.is_heard(&at)
        {
            told.unknown += 1;
        } else {
            told.unread += 1;
        }
    }
}

fn of_get(error: GetError) -> PutError {
    match error {
        GetError::Store(error) => PutError::of_store(error),
        GetError::Depot(error) => PutError::Depot(error),
        _ => PutError::Closing,
    }
}
