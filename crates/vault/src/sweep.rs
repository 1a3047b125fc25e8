//! Removing what nothing refers to any more, in two looks that are a grace period apart: a blob
//! that seems loose at the first look may belong to a write that is under way.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};

use freehold_disk::{EntryRow, EntryTxn};
use freehold_index::Locator;
use freehold_placement::{Entry, Own};
use freehold_wire::{BlobName, BucketId, Millis};
use futures::TryStreamExt as _;

use crate::vault::{Inner, Vault, blob_of_part, bucket_of, end_upload};
use crate::{GetError, Held, UploadId};

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Overwritten or deleted versions whose keys were erased: they are unreadable from now on.
    pub erased: u64,
    /// Uploads that had rested too long.
    pub uploads_ended: u64,
    /// Versions that the rules of their buckets removed, or put a delete marker before.
    pub expired: u64,
    /// Blobs that were seen to be loose for the first time.
    pub marked: u64,
    /// Blobs removed.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that no entry ever named, so many that rather the entries are missing: they stay.
    pub strange: u64,
}

impl Vault {
    /// Removes what was overwritten or deleted, what aborted writes left, and uploads that rest.
    /// The node calls it soon after the start and every hour.
    ///
    /// # Errors
    /// [`GetError`] if the depot or the entry store fails; what was done stays done.
    pub async fn sweep(&self, now: Millis) -> Result<Swept, GetError> {
        let inner = &self.inner;
        let mut swept = Swept { uploads_ended: inner.end_resting_uploads(now).await?, ..Swept::default() };
        swept.expired = inner.run_lifecycles(now).await;
        swept.erased = inner.erase_superseded(now).await?;
        inner.seal_borrowed_anew().await;
        // Uploads before entries: one that completes in between is then seen at least once.
        let uploads = inner.blobs_of_uploads().await?;
        let mut named = inner.blobs_of_entries().await?;
        named.live.extend(uploads);
        inner.sweep_blobs(now, &named, &mut swept).await?;
        Ok(swept)
    }
}

impl Vault {
    /// Removes, with its blobs, what was overwritten or deleted in some buckets longer than `grace`
    /// ago: for those whose old versions nobody asks for, and which have many of them. Between two
    /// sweeps, which do the rest. Says how many versions went.
    ///
    /// # Errors
    /// [`GetError`] if the depot or the entry store fails; what was done stays done.
    pub async fn sweep_replaced(
        &self,
        buckets: &BTreeSet<BucketId>,
        now: Millis,
        grace: Millis,
    ) -> Result<u64, GetError> {
        let inner = &self.inner;
        let mut due = inner.index().due(now, grace);
        // The blobs of what was sealed anew are those of the entry that took its place.
        due.retain(|(at, _)| buckets.contains(&at.bucket) && !inner.index().is_renewed(at));
        let due = inner.replaced(due).await;
        let mut erased = 0;
        for some in due.chunks(1000) {
            if let Err(error) = inner.tell_released(some).await {
                tracing::warn!(%error, "overwritten versions stay until others can be told");
                continue;
            }
            let blobs = inner.blobs_of(some).await?;
            let (of, some) = (Arc::clone(inner), some.to_vec());
            erased += blocking(move || of.erase(&some)).await?;
            // Without their keys they are noise: there is nothing to wait for.
            inner.shared.depot.delete_all(&blobs).await.map_err(GetError::Depot)?;
        }
        Ok(erased)
    }
}

impl Vault {
    /// Erases all that is here of a bucket, now that its keys are no more: payloads, uploads and blobs.
    /// Says how many payloads there were.
    ///
    /// # Errors
    /// [`GetError`] if the depot or the entry store fails; what was done stays done.
    pub async fn erase_bucket(&self, bucket: BucketId) -> Result<u64, GetError> {
        let (inner, of) = (&self.inner, Arc::clone(&self.inner));
        let (erased, blobs) = blocking(move || of.erase_all(bucket)).await?;
        inner.index_mut().forget(&bucket);
        let live = inner.blobs_of_entries().await?.live;
        let loose: Vec<BlobName> = blobs.difference(&live).copied().collect();
        inner.shared.depot.delete_all(&loose).await.map_err(GetError::Depot)?;
        Ok(erased)
    }

    /// Erases what came of buckets after they were erased.
    ///
    /// # Errors
    /// [`GetError`] if the depot or the entry store fails; what was done stays done.
    pub async fn erase_late_in(&self, buckets: impl IntoIterator<Item = BucketId>) -> Result<u64, GetError> {
        let mut erased = 0;
        for bucket in buckets {
            let inner = Arc::clone(&self.inner);
            let any = blocking(move || {
                let mut any = false;
                let see = |row: EntryRow| {
                    any |= row.payload.is_some();
                    if any { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                inner.shared.entries.scan_bucket(&bucket, see).map_err(GetError::Store)?;
                Ok(any)
            });
            if any.await? {
                erased += self.erase_bucket(bucket).await?;
            }
        }
        Ok(erased)
    }

    /// How many versions of a bucket must be kept at `now`, as far as this node can read it.
    pub fn must_stay(&self, bucket: &BucketId, now: Millis) -> u64 {
        self.inner.index().must_stay(bucket, now)
    }
}

/// Blobs that entries and uploads speak of.
#[derive(Default)]
pub(crate) struct Named {
    pub(crate) live: BTreeSet<BlobName>,
    /// An erased payload takes its object key with it: these are noise.
    dead: BTreeSet<BlobName>,
}

impl Inner {
    async fn end_resting_uploads(self: &Arc<Self>, now: Millis) -> Result<u64, GetError> {
        let inner = Arc::clone(self);
        blocking(move || {
            let mut ended = 0;
            for upload in inner.shared.entries.uploads().map_err(GetError::Store)? {
                let id = upload.id;
                let touched = inner.last_touched(UploadId(id), &upload.record);
                let rests = now.since(touched) > inner.config.upload_grace;
                let given_up = || {
                    let of = inner.upload_of(UploadId(id), &upload.record);
                    of.is_some_and(|(bucket, key, begun)| inner.gives_up(&bucket, &key, begun, now))
                };
                if rests || given_up() {
                    let end = move |txn: &mut EntryTxn<'_>| end_upload(txn, UploadId(id));
                    inner.shared.entries.write(end).map_err(GetError::Store)?;
                    inner.rooms().remove(&id);
                    ended += 1;
                }
            }
            let long_ago = Millis(now.since(inner.config.upload_grace).0);
            let forget = move |txn: &mut EntryTxn<'_>| txn.forget_completed(long_ago);
            inner.shared.entries.write(forget).map_err(GetError::Store)?;
            Ok(ended)
        })
        .await
    }

    async fn erase_superseded(self: &Arc<Self>, now: Millis) -> Result<u64, GetError> {
        let due = self.index().due(now, self.config.grace);
        let due = self.replaced(due).await;
        let mut erased = 0;
        for some in due.chunks(1000) {
            if let Err(error) = self.tell_released(some).await {
                tracing::warn!(%error, "overwritten versions stay until others can be told");
                continue;
            }
            let (inner, some) = (Arc::clone(self), some.to_vec());
            erased += blocking(move || inner.erase(&some)).await?;
        }
        Ok(erased)
    }

    /// The blobs that entries name.
    async fn blobs_of(self: &Arc<Self>, entries: &[Locator]) -> Result<Vec<BlobName>, GetError> {
        let (inner, entries) = (Arc::clone(self), entries.to_vec());
        blocking(move || {
            let mut names = Vec::new();
            for at in entries {
                let row = inner.shared.entries.entry(&at.bucket, &at.origin, at.seq);
                let Some(row) = row.map_err(GetError::Store)? else { continue };
                let entry = Entry::decode(&row.entry).map_err(|_| GetError::Tampered)?;
                names.extend(entry.blobs.iter().map(|blob| blob.name));
            }
            Ok(names)
        })
        .await
    }

    /// Erases payloads; says how many were there.
    fn erase(&self, entries: &[Locator]) -> Result<u64, GetError> {
        let erased = self.erase_payloads(entries)?;
        let mut index = self.index_mut();
        for at in entries {
            index.erased(at);
        }
        Ok(erased)
    }

    /// The same, and nothing that is needed no longer is forgotten.
    pub(crate) fn erase_payloads(&self, entries: &[Locator]) -> Result<u64, GetError> {
        let each = entries.to_vec();
        let erase = self.shared.entries.write(move |txn| {
            let erased = each.iter().map(|at| txn.erase_payload(&at.bucket, &at.origin, at.seq));
            erased.collect::<Result<Vec<bool>, _>>()
        });
        let erased = erase.map_err(GetError::Store)?;
        for (at, erased) in entries.iter().zip(&erased) {
            if *erased {
                self.shared.replication.erased(&at.bucket, &at.origin, at.seq);
            }
        }
        Ok(erased.into_iter().filter(|erased| *erased).count() as u64)
    }

    /// Erases every payload and upload of a bucket, and says how many payloads there were, and whose blobs.
    fn erase_all(&self, bucket: BucketId) -> Result<(u64, BTreeSet<BlobName>), GetError> {
        let store = &self.shared.entries;
        let (mut places, mut blobs) = (Vec::new(), BTreeSet::new());
        let see = |row: EntryRow| {
            let entry = Entry::decode(&row.entry).ok();
            blobs.extend(entry.iter().flat_map(|entry| entry.blobs.iter().map(|blob| blob.name)));
            places.extend(row.payload.map(|_| Locator { bucket, origin: row.origin, seq: row.seq }));
            ControlFlow::Continue(())
        };
        store.scan_bucket(&bucket, see).map_err(GetError::Store)?;
        for upload in store.uploads().map_err(GetError::Store)? {
            if bucket_of(&upload.record).is_some_and(|(of, _)| of == bucket) {
                let parts = store.parts(&upload.id).map_err(GetError::Store)?;
                blobs.extend(parts.iter().filter_map(|part| blob_of_part(&part.record)));
                let end = move |txn: &mut EntryTxn<'_>| end_upload(txn, UploadId(upload.id));
                store.write(end).map_err(GetError::Store)?;
            }
        }
        let mut erased = 0;
        for some in places.chunks(1000) {
            erased += self.erase(some)?;
        }
        Ok((erased, blobs))
    }

    /// Those that a newer version on as many nodes has replaced, or a deletion. Others stay: were
    /// the one node lost that holds what overwrote them, they would be all there is.
    async fn replaced(&self, due: Vec<(Locator, Option<Locator>)>) -> Vec<Locator> {
        let mut replaced = Vec::with_capacity(due.len());
        for some in due.chunk_by(|(a, _), (b, _)| a.bucket == b.bucket) {
            let Some((first, _)) = some.first() else { continue };
            let pairs = some.iter().filter_map(|(at, winner)| Some((at, winner.as_ref()?)));
            let asked = pairs.flat_map(|(at, winner)| [at, winner]).map(|at| (at.origin, at.seq)).collect();
            let held = self.shared.replication.copies(&first.bucket, asked).await;
            let mut held = held.as_chunks::<2>().0.iter();
            replaced.extend(some.iter().filter_map(|(at, winner)| match winner {
                None => Some(*at),
                Some(_) => held.next().filter(|[old, new]| new >= old).map(|_| *at),
            }));
        }
        replaced
    }

    pub(crate) async fn blobs_of_uploads(self: &Arc<Self>) -> Result<BTreeSet<BlobName>, GetError> {
        let inner = Arc::clone(self);
        blocking(move || {
            let mut live = BTreeSet::new();
            for upload in inner.shared.entries.uploads().map_err(GetError::Store)? {
                let parts = inner.shared.entries.parts(&upload.id).map_err(GetError::Store)?;
                live.extend(parts.iter().filter_map(|part| blob_of_part(&part.record)));
            }
            Ok(live)
        })
        .await
    }

    pub(crate) async fn blobs_of_entries(self: &Arc<Self>) -> Result<Named, GetError> {
        let inner = Arc::clone(self);
        blocking(move || {
            let mut named = Named::default();
            let mut damaged = None;
            inner
                .shared
                .entries
                .scan(|row| {
                    let Ok(entry) = Entry::decode(&row.entry) else {
                        damaged = Some((row.bucket, row.seq));
                        return ControlFlow::Break(());
                    };
                    let of = if row.payload.is_some() { &mut named.live } else { &mut named.dead };
                    of.extend(entry.blobs.iter().map(|blob| blob.name));
                    ControlFlow::Continue(())
                })
                .map_err(GetError::Store)?;
            match damaged {
                // Its blobs are not known, so none may be removed.
                Some((bucket, seq)) => {
                    tracing::error!(bucket = %bucket.short(), seq, "an entry does not decode: nothing is swept");
                    Err(GetError::Tampered)
                }
                None => Ok(named),
            }
        })
        .await
    }

    async fn sweep_blobs(
        self: &Arc<Self>,
        now: Millis,
        named: &Named,
        swept: &mut Swept,
    ) -> Result<(), GetError> {
        let grace = self.config.grace;
        let entries = Arc::clone(&self.shared.entries);
        let mut marks = blocking(move || entries.unreferenced().map_err(GetError::Store)).await?;
        let (mut mark, mut unmark, mut strange) = (Vec::new(), Vec::new(), Vec::new());
        let mut remove = Vec::new();
        let mut all = 0usize;
        let mut held = self.shared.depot.list();
        while let Some(Held { name, len, modified }) = held.try_next().await.map_err(GetError::Depot)? {
            all += 1;
            let since = marks.remove(&name);
            if named.live.contains(&name) {
                unmark.extend(since.map(|_| name));
                continue;
            }
            match since {
                Some(since) if now.since(since) >= grace => {
                    remove.push(name);
                    swept.bytes += len;
                }
                None if now.since(modified) >= grace && named.dead.contains(&name) => mark.push(name),
                None if now.since(modified) >= grace => strange.push(name),
                // Marked too shortly ago, or so new that it may belong to a write under way.
                Some(_) | None => {}
            }
        }
        self.shared.depot.delete_all(&remove).await.map_err(GetError::Depot)?;
        swept.removed = remove.len() as u64;
        unmark.append(&mut remove);
        if is_suspicious(strange.len(), all) || self.may_lack_entries() {
            swept.strange = strange.len() as u64;
        } else {
            mark.append(&mut strange);
        }
        // What is still marked is not in the depot any more.
        unmark.extend(marks.into_keys());
        swept.marked = mark.len() as u64;
        let entries = Arc::clone(&self.shared.entries);
        blocking(move || {
            let write = entries.write(move |txn| {
                mark.iter().try_for_each(|name| txn.mark_unreferenced(name, now))?;
                unmark.iter().try_for_each(|name| txn.unmark(name))
            });
            write.map_err(GetError::Store)
        })
        .await
    }

    /// Whether entries may be missing here that other nodes have.
    fn may_lack_entries(&self) -> bool {
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        let unsure = |own| matches!(own, Own::Listening | Own::Unheard | Own::Behind);
        buckets.keys().any(|bucket| unsure(self.shared.replication.own(bucket)))
    }

    /// The buckets whose entries can be opened here.
    pub(crate) fn readable(&self, bucket: &BucketId) -> bool {
        self.shared.keys.has(bucket)
    }
}

/// Aborted writes leave a few blobs that no entry ever named. When they are many, and a good part of
/// all, rather the entries were lost: then the blobs may be all that is left of what was written.
const fn is_suspicious(strange: usize, all: usize) -> bool {
    strange > 64 && strange > all / 4
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, GetError> + Send + 'static,
) -> Result<T, GetError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(GetError::Closing))
}
