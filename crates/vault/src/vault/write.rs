//! Writing and deleting objects.

use std::sync::Arc;

use freehold_disk::{EntryTxn, OsEntropy, StoreError};
use freehold_index::Versioning;
use freehold_seal::{
    Aspect, Binding, BucketKey, Content, Kind, Manifest, ManifestPart, ObjectKey, Stored, VersionId,
};
use freehold_wire::{BucketId, Millis, Text};

use super::commit::{Committed, Draft, check};
use super::manifest::Contents;
use super::{Inner, Vault, now};
use crate::sealing::{Target, seal_body};
use crate::{Annotations, Body, Conditions, Etag, PutDone, PutError, PutRequest};

/// The number of an object's only part.
const ONLY_PART: u16 = 1;

impl Vault {
    /// Writes an object. When it returns, the object is durable here, confirmed by as many nodes
    /// as the bucket asks for, and visible; after an error nothing of it is visible, but for
    /// [`PutError::NotConfirmed`].
    ///
    /// # Errors
    /// [`PutError`]
    pub async fn put(
        &self,
        bucket: &BucketId,
        key: &str,
        request: PutRequest,
        body: Body,
    ) -> Result<PutDone, PutError> {
        let inner = &self.inner;
        let (info, sealing) = inner.bucket_to_write(bucket, key)?;
        let room = inner.room(bucket, request.expect.len.unwrap_or(1))?;
        // Once before the body comes, so that a refusal is early; it counts again at the end.
        check(&request.conditions, inner.index().visible(bucket, key))?;
        inner.may_lock(bucket, &request.annotations)?;
        let version = VersionId::random(&mut OsEntropy);
        let binding = Binding::new(inner.config.realm, *bucket, key, version);
        let object_key = ObjectKey::random(&mut OsEntropy);
        let target = Target {
            press: &inner.press,
            depot: &inner.shared.depot,
            key: &object_key,
            binding,
            part: ONLY_PART,
        };
        let part = seal_body(target, &request.expect, request.at_end, body).await?;
        let contents = Contents {
            etag: Etag::single(part.md5),
            content_type: request.content_type,
            headers: request.headers,
            user_meta: request.user_meta,
            checksums: part.checksums,
            parts: vec![(ManifestPart { number: ONLY_PART, plain_len: part.plain_len }, part.blob)],
            key: sealing.wrap(&binding, &object_key, &mut OsEntropy),
            annotations: inner.annotations(bucket, request.annotations)?,
            part_sums: None,
        };
        let (etag, checksums) = (contents.etag, contents.checksums.clone());
        let mut draft = written(*bucket, key, version, contents, sealing)?;
        draft.small = part.small;
        // What it really takes counts from here on.
        drop(room);
        let committed = inner.commit_if(draft, key, &request.conditions, nothing).await?;
        inner.confirm(&info, committed).await?;
        Ok(PutDone {
            version: committed.version,
            etag: etag.to_string(),
            size: part.plain_len,
            modified: committed.modified,
            checksums,
        })
    }
}

impl Inner {
    /// Commits a write if the conditions still hold; nobody writes the key in between.
    pub(crate) async fn commit_if(
        self: &Arc<Self>,
        mut draft: Draft,
        key: &str,
        conditions: &Conditions,
        also: impl FnOnce(&mut EntryTxn<'_>) -> Result<Result<(), PutError>, StoreError> + Send + 'static,
    ) -> Result<Committed, PutError> {
        let bucket = draft.bucket;
        let held = self.lock_key(&bucket, key).await;
        check(conditions, self.index().visible(&bucket, key))?;
        draft.allowed_by = conditions.allowed_by;
        let keeps = self.index().settings(&bucket).versioning() == Some(Versioning::Enabled);
        if let Content::Manifest(manifest) = &mut draft.content {
            manifest.kind = keeps.then_some(Kind::Kept);
        }
        let committed = self.commit(held, vec![draft], also).await?;
        committed.first().copied().ok_or(PutError::Closing)
    }

    /// Whether a version may be written with what is said of it.
    pub(crate) fn may_lock(&self, bucket: &BucketId, said: &Annotations) -> Result<(), PutError> {
        let locks = said.contains_key(&Aspect::Retention) || said.contains_key(&Aspect::Hold);
        if locks && self.index().settings(bucket).object_lock().is_none() {
            return Err(PutError::NoObjectLock);
        }
        Ok(())
    }

    /// What is said of a version that is written now.
    pub(crate) fn annotations(&self, bucket: &BucketId, said: Annotations) -> Result<Annotations, PutError> {
        self.may_lock(bucket, &said)?;
        let mut said = said;
        let settings = self.index().settings(bucket);
        let default = settings.object_lock().and_then(|lock| lock.retention(now()));
        if let Some(default) = default {
            said.entry(Aspect::Retention).or_insert_with(|| default.to_bytes());
        }
        Ok(said)
    }
}

/// The entry of a write, from what callers said.
pub(crate) fn written(
    bucket: BucketId,
    key: &str,
    version: VersionId,
    contents: Contents,
    sealing: BucketKey,
) -> Result<Draft, PutError> {
    let (stored, blobs) = contents.stored()?;
    let content = Content::Manifest(manifest(key, version, None, Some(stored))?);
    Ok(Draft { bucket, content, blobs, sealing, small: None, has_room: false, allowed_by: None })
}

/// A manifest that has not been written yet.
pub(crate) fn manifest(
    key: &str,
    version: VersionId,
    kind: Option<Kind>,
    stored: Option<Box<Stored>>,
) -> Result<Manifest, PutError> {
    let name = Text::new(key).map_err(|long| PutError::KeyLength(long.got))?;
    Ok(Manifest { name, version, modified: Millis(0), stored, kind })
}

/// Nothing else belongs into the transaction.
#[expect(clippy::unnecessary_wraps, reason = "the signature of what a transaction runs")]
pub(crate) fn nothing(_: &mut EntryTxn<'_>) -> Result<Result<(), PutError>, StoreError> {
    Ok(Ok(()))
}
