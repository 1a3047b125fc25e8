//! Reading objects, and what is known of them.

use std::ops::Range;
use std::sync::Arc;

use freehold_disk::EntryRow;
use freehold_index::{Locator, Row, Stamp};
use freehold_placement::Entry;
use freehold_seal::{
    Aspect, Blinding, BucketKey, Content, Manifest, ObjectKey, PayloadHeader, Resealed, Stored,
};
use freehold_wire::BucketId;
use futures::StreamExt as _;

use super::manifest::{meta, triple};
use super::{Inner, Vault};
use crate::opening::{SealedAt, open_range};
use crate::{
    ByteRange, GetError, GetObject, ListPage, ListQuery, Locks, ObjectMeta, Version, VersionPage,
    VersionQuery, list,
};

/// What an entry says.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) content: Content,
    /// The key that it is sealed with.
    pub(crate) key: BucketKey,
    /// The entry whose content this is, sealed anew; nothing if it is its own.
    pub(crate) of: Option<Original>,
}

/// The entry that something sealed anew claims to be.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    pub(crate) stamp: Stamp,
    /// What proves it.
    pub(crate) blinding: Blinding,
}

/// An entry with its payload opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) entry: Entry,
    pub(crate) manifest: Manifest,
    /// The key that seals the manifest, and wraps the object's key.
    pub(crate) sealing: BucketKey,
}

impl Vault {
    /// Opens an object (its current version, or the one named), or a range of it, for reading. The
    /// first bytes have not been read yet when it returns; every byte that comes has been verified.
    ///
    /// # Errors
    /// [`GetError`]
    #[expect(clippy::unused_async, reason = "it reads from the disk: no lock may be held over it")]
    pub async fn get(
        &self,
        bucket: &BucketId,
        key: &str,
        version: Option<Version>,
        range: Option<ByteRange>,
    ) -> Result<GetObject, GetError> {
        let (opened, row, locks) = self.inner.find(bucket, key, version)?;
        let stored = opened.manifest.stored.as_deref().ok_or(GetError::NoSuchKey)?;
        let size = stored.size;
        let meta = self.inner.described(bucket, &opened.manifest, &row, locks)?;
        let wanted = match range {
            None => 0..size,
            Some(range) => meta.within(range)?,
        };
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

    /// What is known of an object: of its current version, or of the one named.
    ///
    /// # Errors
    /// [`GetError`]
    #[expect(clippy::unused_async, reason = "it reads from the disk: no lock may be held over it")]
    pub async fn head(
        &self,
        bucket: &BucketId,
        key: &str,
        version: Option<Version>,
    ) -> Result<ObjectMeta, GetError> {
        let (opened, row, locks) = self.inner.find(bucket, key, version)?;
        self.inner.described(bucket, &opened.manifest, &row, locks)
    }

    /// Whether something is so of an aspect of any version, as it was said with it or later. Every version is opened,
    /// up to the first of which it is: work for minutes where there are a million, and for a thread of its own.
    ///
    /// # Errors
    /// [`GetError`], if one cannot be read.
    pub fn is_said(
        &self,
        bucket: &BucketId,
        aspect: Aspect,
        is_so: impl Fn(&[u8]) -> bool,
    ) -> Result<bool, GetError> {
        let all: Vec<(String, Version)> = {
            let index = self.inner.index();
            let keys = index.bucket(bucket).into_iter().flat_map(freehold_index::BucketIndex::keys);
            let living = keys.flat_map(|(key, state)| state.living().map(move |living| (key, living.row)));
            living
                .filter(|(_, row)| row.is_write())
                .map(|(key, row)| (key.to_string(), row.version()))
                .collect()
        };
        for (key, version) in all {
            let (opened, row, locks) = match self.inner.find(bucket, &key, Some(version)) {
                Ok(found) => found,
                // It was deleted meanwhile.
                Err(GetError::NoSuchVersion | GetError::Marker { .. }) => continue,
                Err(error) => return Err(error),
            };
            let meta = self.inner.described(bucket, &opened.manifest, &row, locks)?;
            if meta.annotations.get(&aspect).is_some_and(|document| is_so(document)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A page of a bucket's listing.
    ///
    /// # Errors
    /// [`GetError::NoSuchBucket`] or [`GetError::NoBucketKey`].
    pub fn list(&self, bucket: &BucketId, query: &ListQuery) -> Result<ListPage, GetError> {
        self.inner.bucket_to_read(bucket)?;
        let index = self.inner.index();
        Ok(index.bucket(bucket).map(|bucket| list::list(bucket, query)).unwrap_or_default())
    }

    /// A page of a bucket's versions.
    ///
    /// # Errors
    /// [`GetError::NoSuchBucket`] or [`GetError::NoBucketKey`].
    pub fn list_versions(&self, bucket: &BucketId, query: &VersionQuery) -> Result<VersionPage, GetError> {
        self.inner.bucket_to_read(bucket)?;
        let index = self.inner.index();
        Ok(index.bucket(bucket).map(|bucket| list::list_versions(bucket, query)).unwrap_or_default())
    }
}

impl Inner {
    /// The entry of a key's current version, or of the one named, opened; and what locks it.
    fn find(
        &self,
        bucket: &BucketId,
        key: &str,
        version: Option<Version>,
    ) -> Result<(Opened, Row, Locks), GetError> {
        self.bucket_to_read(bucket)?;
        let (row, locks) = self.row(bucket, key, version)?;
        let kept = self.kept(row.locator(*bucket))?;
        let opened = self.open_row(&kept)?.ok_or(GetError::Tampered)?;
        // The index was made from this very entry.
        let same = opened.manifest.name.as_str() == key;
        if same { Ok((opened, row, locks)) } else { Err(GetError::Tampered) }
    }

    fn described(
        &self,
        bucket: &BucketId,
        manifest: &Manifest,
        row: &Row,
        locks: Locks,
    ) -> Result<ObjectMeta, GetError> {
        let stored = manifest.stored.as_deref().ok_or(GetError::NoSuchKey)?;
        let mut meta = meta(manifest, stored);
        self.amend(bucket, &meta.key, row, &mut meta.annotations)?;
        meta.locks = locks;
        Ok(meta)
    }

    /// Reads an entry, or the one that carries what it said. The store's reads are short: a hop to
    /// another thread costs more.
    pub(crate) fn kept(&self, at: Locator) -> Result<EntryRow, GetError> {
        let at = self.index().place_of(at);
        let row = self.shared.entries.entry(&at.bucket, &at.origin, at.seq).map_err(GetError::Store)?;
        row.ok_or(GetError::Tampered)
    }

    /// Reads and opens what an entry says.
    pub(crate) fn load_content(&self, at: Locator) -> Result<Content, GetError> {
        let row = self.kept(at)?;
        let entry = Entry::decode(&row.entry).map_err(|_| GetError::Tampered)?;
        let payload = row.payload.as_deref().ok_or(GetError::Missing)?;
        Ok(self.open_payload(&entry, payload)?.content)
    }

    /// Opens an entry as kept. Everything in it is bound to its place under the bucket's key, so a
    /// store that gives back another or an older one does not get past this.
    /// `None` if it opens and is no version.
    pub(crate) fn open_row(&self, row: &EntryRow) -> Result<Option<Opened>, GetError> {
        let entry = Entry::decode(&row.entry).map_err(|_| GetError::Tampered)?;
        let payload = row.payload.as_deref().ok_or(GetError::Missing)?;
        let Said { content: Content::Manifest(manifest), key: sealing, .. } =
            self.open_payload(&entry, payload)?
        else {
            return Ok(None);
        };
        if let Some(stored) = &manifest.stored {
            stored.check_blobs(entry.blobs.iter().map(triple)).map_err(|_| GetError::Tampered)?;
        }
        Ok(Some(Opened { entry, manifest, sealing }))
    }

    pub(crate) fn open_payload(&self, entry: &Entry, payload: &[u8]) -> Result<Said, GetError> {
        let header = PayloadHeader::decode(payload).map_err(|_| GetError::Tampered)?;
        let key = self.shared.keys.version(&entry.bucket, header.key_version).ok_or(GetError::NoBucketKey)?;
        let place = self.place(entry.bucket, entry.origin, entry.seq);
        match Content::open(&key, &place, payload).map_err(|_| GetError::Tampered)? {
            Content::Resealed(resealed) => {
                let content = resealed.content().map_err(|_| GetError::Tampered)?;
                let Resealed { hlc, origin, seq, blinding, .. } = resealed;
                let stamp = Stamp { hlc, origin, seq };
                Ok(Said { content, key, of: Some(Original { stamp, blinding }) })
            }
            content => Ok(Said { content, key, of: None }),
        }
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
