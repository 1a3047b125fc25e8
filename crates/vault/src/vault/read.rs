//! Reading objects, and what is known of them.

use std::ops::Range;
use std::sync::Arc;

use freehold_disk::EntryRow;
use freehold_placement::Entry;
use freehold_seal::{BucketKey, Manifest, ObjectKey, PayloadHeader, Stored};
use freehold_wire::BucketId;
use futures::StreamExt as _;

use super::manifest::{meta, triple};
use super::{Inner, Vault};
use crate::index::Locator;
use crate::opening::{SealedAt, open_range};
use crate::{ByteRange, GetError, GetObject, ListPage, ListQuery, ObjectMeta, list};

/// An entry with its payload opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) entry: Entry,
    pub(crate) manifest: Manifest,
    /// The key that seals the manifest, and wraps the object's key.
    pub(crate) sealing: BucketKey,
}

impl Vault {
    /// Opens an object, or a range of it, for reading. The first bytes have not been read yet
    /// when it returns; every byte that comes has been verified.
    ///
    /// # Errors
    /// [`GetError`]
    pub async fn get(
        &self,
        bucket: &BucketId,
        key: &str,
        range: Option<ByteRange>,
    ) -> Result<GetObject, GetError> {
        let opened = self.inner.find(bucket, key).await?;
        let stored = opened.manifest.stored.as_deref().ok_or(GetError::NoSuchKey)?;
        let size = stored.size;
        let wanted = match range {
            None => 0..size,
            Some(range) => range.within(size).ok_or(GetError::Range { size })?,
        };
        let meta = meta(&opened.manifest, stored);
        let object_key = Arc::new(self.inner.object_key(&opened, stored)?);
        let binding = opened.manifest.binding(self.inner.config.realm, *bucket);
        let mut parts = Vec::new();
        let mut start = 0;
        for (part, blob) in stored.parts.iter().zip(&opened.entry.blobs) {
            let within = overlap(&wanted, start, part.plain_len);
            start += part.plain_len;
            // An empty object is read too: its one empty chunk vouches that it was meant so.
            if !within.is_empty() || size == 0 {
                let at = SealedAt {
                    bucket: *bucket,
                    binding,
                    part: part.number,
                    blob: *blob,
                    plain_len: part.plain_len,
                };
                parts.push((at, within));
            }
        }
        let sources = self.inner.sources();
        let body = futures::stream::iter(parts)
            .map(move |(part, within)| open_range(sources.clone(), Arc::clone(&object_key), part, within))
            .flatten()
            .filter(|piece| std::future::ready(!matches!(piece, Ok(bytes) if bytes.is_empty())))
            .boxed();
        Ok(GetObject { meta, range: wanted, body })
    }

    /// What is known of an object.
    ///
    /// # Errors
    /// [`GetError`]
    pub async fn head(&self, bucket: &BucketId, key: &str) -> Result<ObjectMeta, GetError> {
        let opened = self.inner.find(bucket, key).await?;
        let stored = opened.manifest.stored.as_deref().ok_or(GetError::NoSuchKey)?;
        Ok(meta(&opened.manifest, stored))
    }

    /// A page of a bucket's listing.
    ///
    /// # Errors
    /// [`GetError::NoSuchBucket`] or [`GetError::NoBucketKey`].
    pub fn list(&self, bucket: &BucketId, query: &ListQuery) -> Result<ListPage, GetError> {
        self.inner.bucket_to_read(bucket)?;
        let index = self.inner.index();
        Ok(index.buckets.get(bucket).map(|bucket| list::list(&bucket.rows, query)).unwrap_or_default())
    }
}

impl Inner {
    /// The winning entry of a key, opened.
    pub(crate) async fn find(self: &Arc<Self>, bucket: &BucketId, key: &str) -> Result<Opened, GetError> {
        self.bucket_to_read(bucket)?;
        let at = self.index().visible(bucket, key).map(|row| row.locator(*bucket));
        let at = at.ok_or(GetError::NoSuchKey)?;
        let opened = self.load(at).await?;
        // The index was made from this very entry.
        if opened.manifest.name.as_str() == key { Ok(opened) } else { Err(GetError::Tampered) }
    }

    /// Reads and opens an entry.
    pub(crate) async fn load(self: &Arc<Self>, at: Locator) -> Result<Opened, GetError> {
        let inner = Arc::clone(self);
        let row = tokio::task::spawn_blocking(move || {
            inner.shared.entries.entry(&at.bucket, &at.origin, at.seq).map_err(GetError::Store)
        });
        let row = row.await.map_err(|_| GetError::Closing)??.ok_or(GetError::Tampered)?;
        self.open_row(&row)
    }

    /// Opens an entry as kept. Everything in it is bound to its place under the bucket's key, so a
    /// store that gives back another or an older one does not get past this.
    pub(crate) fn open_row(&self, row: &EntryRow) -> Result<Opened, GetError> {
        let entry = Entry::decode(&row.entry).map_err(|_| GetError::Tampered)?;
        let payload = row.payload.as_deref().ok_or(GetError::Missing)?;
        let (manifest, sealing) = self.open_payload(&entry, payload)?;
        if let Some(stored) = &manifest.stored {
            stored.check_blobs(entry.blobs.iter().map(triple)).map_err(|_| GetError::Tampered)?;
        }
        Ok(Opened { entry, manifest, sealing })
    }

    pub(crate) fn open_payload(
        &self,
        entry: &Entry,
        payload: &[u8],
    ) -> Result<(Manifest, BucketKey), GetError> {
        let header = PayloadHeader::decode(payload).map_err(|_| GetError::Tampered)?;
        let key = self.shared.keys.version(&entry.bucket, header.key_version).ok_or(GetError::NoBucketKey)?;
        let place = self.place(entry.bucket, entry.origin, entry.seq);
        let manifest = Manifest::open(&key, &place, payload).map_err(|_| GetError::Tampered)?;
        Ok((manifest, key))
    }

    pub(crate) fn object_key(&self, opened: &Opened, stored: &Stored) -> Result<ObjectKey, GetError> {
        let binding = opened.manifest.binding(self.config.realm, opened.entry.bucket);
        opened.sealing.unwrap(&binding, &stored.key).map_err(|_| GetError::Tampered)
    }
}

/// The part of `wanted` that lies in a part that begins at `start`, counted from there.
fn overlap(wanted: &Range<u64>, start: u64, len: u64) -> Range<u64> {
    let from = wanted.start.clamp(start, start + len) - start;
    let to = wanted.end.clamp(start, start + len) - start;
    from..to
}
