//! Writing and deleting objects.

use std::collections::BTreeSet;
use std::sync::Arc;

use freehold_disk::{EntryTxn, OsEntropy, StoreError};
use freehold_seal::{Binding, ManifestPart, ObjectKey, VersionId};
use freehold_wire::{BucketId, Text};

use super::commit::{Committed, Draft, check};
use super::manifest::Contents;
use super::{Inner, Vault};
use crate::sealing::{Target, seal_body};
use crate::{Body, Conditions, Etag, PutDone, PutError, PutRequest};

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
        // Once before the body comes, so that a refusal is early; it counts again at the end.
        check(&request.conditions, inner.index().visible(bucket, key))?;
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
        };
        let (etag, checksums) = (contents.etag, contents.checksums.clone());
        let draft = draft(*bucket, key, version, Some(contents), sealing)?;
        let committed = inner.commit_if(draft, key, &request.conditions, nothing).await?;
        inner.confirm(&info, committed).await?;
        Ok(PutDone {
            version,
            etag: etag.to_string(),
            size: part.plain_len,
            modified: committed.modified,
            checksums,
        })
    }

    /// Deletes an object. Says whether it was there.
    ///
    /// # Errors
    /// [`PutError`]
    pub async fn delete(
        &self,
        bucket: &BucketId,
        key: &str,
        conditions: Conditions,
    ) -> Result<bool, PutError> {
        let inner = &self.inner;
        let (info, sealing) = inner.bucket_to_write(bucket, key)?;
        let there = inner.index().visible(bucket, key).is_some();
        check(&conditions, inner.index().visible(bucket, key))?;
        if !there {
            return Ok(false);
        }
        let draft = draft(*bucket, key, VersionId::random(&mut OsEntropy), None, sealing)?;
        let committed = inner.commit_if(draft, key, &conditions, nothing).await?;
        inner.confirm(&info, committed).await?;
        Ok(true)
    }

    /// Deletes many objects in one commit. Says for each, in order, whether it was there.
    ///
    /// # Errors
    /// [`PutError`]; then none of them is deleted.
    pub async fn delete_many(&self, bucket: &BucketId, keys: &[String]) -> Result<Vec<bool>, PutError> {
        let inner = &self.inner;
        let mut drafts = Vec::new();
        let mut there = Vec::with_capacity(keys.len());
        let mut last = None;
        let mut named = BTreeSet::new();
        let held = inner.lock_keys(bucket, keys).await;
        for key in keys {
            let (info, sealing) = inner.bucket_to_write(bucket, key)?;
            let visible = inner.index().visible(bucket, key).is_some();
            there.push(visible);
            if visible && named.insert(key) {
                drafts.push(draft(*bucket, key, VersionId::random(&mut OsEntropy), None, sealing)?);
                last = Some(info);
            }
        }
        let committed = inner.commit(drafts, nothing).await?;
        drop(held);
        if let (Some(info), Some(committed)) = (last, committed.last()) {
            // A node confirms in order, so the last one stands for all.
            inner.confirm(&info, *committed).await?;
        }
        Ok(there)
    }
}

impl Inner {
    /// Commits one entry if the conditions still hold; nobody writes the key in between.
    pub(crate) async fn commit_if(
        self: &Arc<Self>,
        draft: Draft,
        key: &str,
        conditions: &Conditions,
        also: impl FnOnce(&mut EntryTxn<'_>) -> Result<Result<(), PutError>, StoreError> + Send + 'static,
    ) -> Result<Committed, PutError> {
        let bucket = draft.bucket;
        let _held = self.lock_key(&bucket, key).await;
        check(conditions, self.index().visible(&bucket, key))?;
        let committed = self.commit(vec![draft], also).await?;
        committed.first().copied().ok_or(PutError::Closing)
    }
}

/// An entry to be written, from what callers said.
pub(crate) fn draft(
    bucket: BucketId,
    key: &str,
    version: VersionId,
    contents: Option<Contents>,
    sealing: freehold_seal::BucketKey,
) -> Result<Draft, PutError> {
    Ok(Draft {
        bucket,
        name: Text::new(key).map_err(|long| PutError::KeyLength(long.got))?,
        version,
        stored: contents.map(Contents::stored).transpose()?,
        sealing,
    })
}

/// Nothing else belongs into the transaction.
#[expect(clippy::unnecessary_wraps, reason = "the signature of what a transaction runs")]
fn nothing(_: &mut EntryTxn<'_>) -> Result<Result<(), PutError>, StoreError> {
    Ok(Ok(()))
}
