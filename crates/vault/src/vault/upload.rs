//! Uploads in parts. Parts are sealed blobs like any other; the records of what is under way stay
//! on this node, sealed, until the upload completes as one entry.

mod record;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use freehold_crypt::Entropy as _;
use freehold_disk::{CompletedUpload, EntryTxn, OsEntropy, PartRow, StoreError};
use freehold_index::{Item, Listed, Locator, walk};
use freehold_seal::{BucketKey, ManifestPart, ObjectKey, VersionId};
use freehold_wire::{BucketId, Millis};

use self::record::PartRecord;
use super::commit::Committed;
use super::manifest::{Contents, meta};
use super::write::written;
use super::{Inner, Vault, now};
use crate::depot::PendingBlob;
use crate::etag::of_parts;
use crate::sealing::{Target, seal_body};
use crate::{
    Body, CompleteRequest, Etag, ListQuery, ObjectMeta, PartDone, PartRequest, PutDone, PutError, UploadId,
    UploadMeta, UploadPage, UploadParts, UploadRequest,
};

pub(crate) use self::record::{UploadRecord, blob_of_part, bucket_of};

/// The smallest part that is not the last.
const PART_MIN: u64 = 5 << 20;
/// The highest part number.
const NUMBER_MAX: u16 = 10_000;

impl Vault {
    /// Begins an upload in parts.
    ///
    /// # Errors
    /// [`PutError`]
    pub async fn begin_upload(
        &self,
        bucket: &BucketId,
        key: &str,
        request: UploadRequest,
    ) -> Result<UploadId, PutError> {
        let inner = &self.inner;
        let (_, sealing) = inner.bucket_to_write(bucket, key)?;
        inner.may_lock(bucket, &request.annotations)?;
        let upload = UploadId(OsEntropy.bytes32());
        let version = VersionId::random(&mut OsEntropy);
        let object_key = ObjectKey::random(&mut OsEntropy);
        let record = UploadRecord::new(upload, *bucket, key, version, request, now())?;
        let sealed = record.seal(inner, &sealing, &object_key)?;
        inner.store(move |txn| txn.put_upload(&upload.0, &sealed)).await?;
        Ok(upload)
    }

    /// Writes a part; one with the same number is replaced.
    ///
    /// # Errors
    /// [`PutError`]
    pub async fn put_part(
        &self,
        bucket: &BucketId,
        key: &str,
        upload: UploadId,
        number: u16,
        request: PartRequest,
        body: Body,
    ) -> Result<PartDone, PutError> {
        if number == 0 || number > NUMBER_MAX {
            return Err(PutError::PartNumber(number));
        }
        let inner = &self.inner;
        let (record, object_key) = inner.upload(bucket, key, upload).await?;
        let (_, sealing) = inner.bucket_to_write(bucket, key)?;
        let binding = record.binding(inner.config.realm);
        let target = Target {
            press: &inner.press,
            depot: &inner.shared.depot,
            key: &object_key,
            binding,
            part: number,
        };
        let coming = inner.room(bucket, request.expect.len.unwrap_or(1))?;
        let mut part = seal_body(target, &request.expect, request.at_end, body).await?;
        let small = part.small.take();
        drop(coming);
        let room = inner.room(bucket, part.blob.len)?;
        let done = PartDone {
            etag: Etag::single(part.md5).to_string(),
            size: part.plain_len,
            checksums: part.checksums.clone(),
        };
        let sealed = PartRecord::new(upload, number, part, now())?.seal(inner, *bucket, &sealing)?;
        let row = PartRow { number, record: sealed };
        let keep = move |txn: &mut EntryTxn<'_>| {
            let under_way = txn.has_upload(&upload.0)?;
            if under_way {
                if let Some(small) = &small {
                    small.put(txn)?;
                }
                txn.put_part(&upload.0, &row)?;
            }
            Ok((under_way, small))
        };
        // Ended while the part came: its blob is swept.
        let count = |(under_way, small): (bool, Option<PendingBlob>)| {
            if let Some(small) = small.filter(|_| under_way) {
                small.kept();
            }
            under_way
        };
        if !inner.store_then(keep, count).await? {
            return Err(PutError::NoSuchUpload);
        }
        // Taken until the upload ends, however it does.
        inner.rooms().entry(upload.0).or_default().insert(number, room);
        Ok(done)
    }

    /// Puts the parts together into an object. The upload then ends. Who asks again, because the
    /// answer was lost or too few nodes had confirmed, is told the same.
    ///
    /// # Errors
    /// [`PutError`]; the upload is then still under way, but for [`PutError::NotConfirmed`].
    pub async fn complete_upload(
        &self,
        bucket: &BucketId,
        key: &str,
        upload: UploadId,
        request: CompleteRequest,
    ) -> Result<PutDone, PutError> {
        let inner = &self.inner;
        let (record, object_key) = match inner.upload(bucket, key, upload).await {
            Err(PutError::NoSuchUpload) => return inner.completed(bucket, key, upload).await,
            found => found?,
        };
        let (info, sealing) = inner.bucket_to_write(bucket, key)?;
        let have = inner.part_records(*bucket, upload).await?;
        let chosen = choose(&have, &request.parts)?;
        let md5s: Vec<[u8; 16]> = chosen.iter().map(|part| part.md5).collect();
        let etag = of_parts(&md5s);
        let size = chosen.iter().map(|part| part.plain_len).sum();
        let contents = Contents {
            etag,
            content_type: record.content_type(),
            headers: record.headers(),
            user_meta: record.user_meta(),
            checksums: request.checksums.clone(),
            parts: chosen
                .iter()
                .map(|part| (ManifestPart { number: part.number, plain_len: part.plain_len }, part.blob))
                .collect(),
            key: sealing.wrap(&record.binding(inner.config.realm), &object_key, &mut OsEntropy),
            annotations: inner.annotations(bucket, record.annotations())?,
            part_sums: request.part_sums,
        };
        let mut draft = written(*bucket, key, record.version, contents, sealing)?;
        // Each part had room when it came.
        draft.has_room = true;
        let (of, node) = (*bucket, inner.config.node);
        let end = move |txn: &mut EntryTxn<'_>| {
            if !txn.has_upload(&upload.0)? {
                return Ok(Err(PutError::NoSuchUpload));
            }
            end_upload(txn, upload)?;
            // The entry comes next in this transaction.
            let seq = txn.last_seq(&of, &node)?.saturating_add(1);
            txn.note_completed(&upload.0, &CompletedUpload { bucket: of, seq, at: now() })?;
            Ok(Ok(()))
        };
        let committed = inner.commit_if(draft, key, &request.conditions, end).await?;
        inner.rooms().remove(&upload.0);
        inner.confirm(&info, committed).await?;
        let Committed { modified, version, .. } = committed;
        Ok(PutDone { version, etag: etag.to_string(), size, modified, checksums: request.checksums })
    }

    /// Gives an upload up. Its parts are swept.
    ///
    /// # Errors
    /// [`PutError::NoSuchUpload`] if there is none.
    pub async fn abort_upload(&self, bucket: &BucketId, key: &str, upload: UploadId) -> Result<(), PutError> {
        self.inner.upload(bucket, key, upload).await?;
        self.inner.store(move |txn| end_upload(txn, upload)).await?;
        self.inner.rooms().remove(&upload.0);
        Ok(())
    }

    /// The parts of an upload so far, in the order of their numbers.
    ///
    /// # Errors
    /// [`PutError::NoSuchUpload`] if there is none.
    pub async fn list_parts(
        &self,
        bucket: &BucketId,
        key: &str,
        upload: UploadId,
    ) -> Result<UploadParts, PutError> {
        let (upload_record, _) = self.inner.upload(bucket, key, upload).await?;
        let records = self.inner.part_records(*bucket, upload).await?;
        let parts = records.into_values().map(PartRecord::into_meta).collect();
        Ok(UploadParts { sum: upload_record.sum(), parts })
    }

    /// Uploads under way in a bucket, ordered by key.
    ///
    /// # Errors
    /// [`PutError`]
    pub async fn list_uploads(&self, bucket: &BucketId, query: &ListQuery) -> Result<UploadPage, PutError> {
        let inner = &self.inner;
        inner.bucket_to_write(bucket, "any")?;
        let entries = Arc::clone(&inner.shared.entries);
        let uploads = tokio::task::spawn_blocking(move || entries.uploads());
        let uploads = uploads.await.map_err(|_| PutError::Closing)?.map_err(PutError::of_store)?;
        let mut by_key: BTreeMap<String, UnderWay> = BTreeMap::new();
        for row in uploads {
            let id = UploadId(row.id);
            let Some((_, sealed)) = bucket_of(&row.record).filter(|(of, _)| of == bucket) else { continue };
            if let Ok((record, _)) = UploadRecord::open(inner, *bucket, id, sealed) {
                let annotations = record.annotations();
                let meta = UploadMeta { id, key: record.key(), begun: record.begun, annotations };
                by_key.entry(record.key()).or_default().0.push(meta);
            }
        }
        let mut page = UploadPage::default();
        walk(&by_key, query, |item| {
            if page.uploads.len() + page.prefixes.len() >= query.max {
                page.next =
                    page.uploads.last().map(|last| last.key.clone()).max(page.prefixes.last().cloned());
                return false;
            }
            match item {
                Item::Object(_, uploads) => page.uploads.extend(uploads.0.iter().cloned()),
                Item::Prefix(prefix) => page.prefixes.push(prefix.to_owned()),
            }
            true
        });
        Ok(page)
    }
}

#[derive(Default)]
struct UnderWay(Vec<UploadMeta>);

impl Listed for UnderWay {
    fn shown(&self) -> bool {
        true
    }
}

impl Inner {
    async fn upload(
        self: &Arc<Self>,
        bucket: &BucketId,
        key: &str,
        upload: UploadId,
    ) -> Result<(UploadRecord, ObjectKey), PutError> {
        self.bucket_to_write(bucket, key)?;
        let entries = Arc::clone(&self.shared.entries);
        let record = tokio::task::spawn_blocking(move || entries.upload(&upload.0));
        let record = record.await.map_err(|_| PutError::Closing)?.map_err(PutError::of_store)?;
        let record = record.ok_or(PutError::NoSuchUpload)?;
        let (_, record) = bucket_of(&record).ok_or(PutError::NoSuchUpload)?;
        let (record, object_key) = UploadRecord::open(self, *bucket, upload, record)?;
        if record.key() == key { Ok((record, object_key)) } else { Err(PutError::NoSuchUpload) }
    }

    async fn part_records(
        self: &Arc<Self>,
        bucket: BucketId,
        upload: UploadId,
    ) -> Result<BTreeMap<u16, PartRecord>, PutError> {
        let entries = Arc::clone(&self.shared.entries);
        let rows = tokio::task::spawn_blocking(move || entries.parts(&upload.0));
        let rows = rows.await.map_err(|_| PutError::Closing)?.map_err(PutError::of_store)?;
        let open = |row: PartRow| {
            let record = PartRecord::open(self, bucket, upload, row.number, &row.record)?;
            Ok((row.number, record))
        };
        rows.into_iter().map(open).collect()
    }

    /// What an upload that has ended came to, confirmed anew.
    async fn completed(
        self: &Arc<Self>,
        bucket: &BucketId,
        key: &str,
        upload: UploadId,
    ) -> Result<PutDone, PutError> {
        let entries = Arc::clone(&self.shared.entries);
        let found = tokio::task::spawn_blocking(move || entries.completed(&upload.0));
        let found = found.await.map_err(|_| PutError::Closing)?.map_err(PutError::of_store)?;
        let found = found.filter(|found| found.bucket == *bucket).ok_or(PutError::NoSuchUpload)?;
        let at = Locator { bucket: *bucket, origin: self.config.node, seq: found.seq };
        // Overwritten or deleted since, and gone.
        let kept = self.kept(at).map_err(|_| PutError::NoSuchUpload)?;
        let opened = self.open_row(&kept).ok().flatten().ok_or(PutError::NoSuchUpload)?;
        let stored = opened.manifest.stored.as_deref().ok_or(PutError::NoSuchUpload)?;
        let meta = meta(&opened.manifest, stored);
        if meta.key != key {
            return Err(PutError::NoSuchUpload);
        }
        let (info, _) = self.bucket_to_write(bucket, key)?;
        let committed = Committed { id: opened.entry.id(), modified: meta.modified, version: meta.version };
        self.confirm(&info, committed).await?;
        let ObjectMeta { version, etag, size, modified, checksums, .. } = meta;
        Ok(PutDone { version, etag, size, modified, checksums })
    }

    /// When an upload was begun or last got a part; never, if its bucket is gone with its key.
    pub(crate) fn last_touched(&self, upload: UploadId, record: &[u8]) -> Millis {
        let open = |(bucket, sealed)| {
            let (record, _) = UploadRecord::open(self, bucket, upload, sealed).ok()?;
            let parts = self.shared.entries.parts(&upload.0).ok()?;
            let opened = parts
                .iter()
                .filter_map(|part| PartRecord::open(self, bucket, upload, part.number, &part.record).ok());
            Some(opened.map(|part| part.modified).fold(record.begun, Millis::max))
        };
        let Some((bucket, sealed)) = bucket_of(record) else { return Millis(0) };
        let buckets = self.buckets.read().unwrap_or_else(PoisonError::into_inner);
        let gone = !buckets.is_empty() && !buckets.contains_key(&bucket);
        drop(buckets);
        open((bucket, sealed)).unwrap_or(if gone { Millis(0) } else { now() })
    }

    pub(crate) fn bucket_key(&self, bucket: &BucketId, version: u32) -> Option<BucketKey> {
        self.shared.keys.version(bucket, version)
    }
}

/// Ends an upload. Its blobs are swept in time, but for those that an entry names.
pub(crate) fn end_upload(txn: &mut EntryTxn<'_>, upload: UploadId) -> Result<(), StoreError> {
    let parts = txn.end_upload(&upload.0)?;
    let now = now();
    parts
        .iter()
        .filter_map(|part| blob_of_part(&part.record))
        .try_for_each(|blob| txn.mark_unreferenced(&blob, now))
}

/// The parts that the client names, if they are what was uploaded.
fn choose(have: &BTreeMap<u16, PartRecord>, named: &[(u16, String)]) -> Result<Vec<PartRecord>, PutError> {
    let ascending = named.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a < b));
    if named.is_empty() || !ascending {
        return Err(PutError::PartOrder);
    }
    let mut chosen = Vec::with_capacity(named.len());
    for (at, (number, etag)) in named.iter().enumerate() {
        let part = have.get(number).ok_or(PutError::InvalidPart(*number))?;
        if Etag::single(part.md5).to_string() != etag.trim_matches('"') {
            return Err(PutError::InvalidPart(*number));
        }
        if part.plain_len < PART_MIN && at + 1 < named.len() {
            return Err(PutError::PartTooSmall(*number));
        }
        chosen.push(part.clone());
    }
    Ok(chosen)
}
