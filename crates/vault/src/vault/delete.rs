//! Deleting: a marker before the versions that are kept, or a version for good.

use std::collections::BTreeSet;
use std::sync::Arc;

use freehold_disk::OsEntropy;
use freehold_index::{Plan, Version, may_remove, plan_delete};
use freehold_seal::{BucketKey, Content, Kind, Manifest, VersionId};
use freehold_wire::{Bounded, BucketId};

use super::commit::{Draft, check};
use super::write::{manifest, nothing};
use super::{Inner, Vault, now};
use crate::{DeleteDone, DeleteRequest, PutError};

impl Vault {
    /// Deletes an object, or one version of it.
    ///
    /// # Errors
    /// [`PutError`]
    pub async fn delete(&self, bucket: &BucketId, request: DeleteRequest) -> Result<DeleteDone, PutError> {
        let mut done = self.delete_many(bucket, &[request]).await?;
        done.pop().unwrap_or(Err(PutError::Closing))
    }

    /// Deletes many objects or versions in one commit. Says for each, in order, what it came to.
    ///
    /// # Errors
    /// [`PutError`]; then none of them is deleted, but for [`PutError::NotConfirmed`].
    pub async fn delete_many(
        &self,
        bucket: &BucketId,
        requests: &[DeleteRequest],
    ) -> Result<Vec<Result<DeleteDone, PutError>>, PutError> {
        let inner = &self.inner;
        let (info, sealing) = inner.bucket_to_write(bucket, "any")?;
        let keys: Vec<&str> = requests.iter().map(|request| request.key.as_str()).collect();
        let held = inner.lock_keys(bucket, &keys).await;
        let mut named = BTreeSet::new();
        let (mut drafts, mut made, mut results) = (Vec::new(), Vec::new(), Vec::new());
        for request in requests {
            let planned = inner.deletion(bucket, request, &sealing).map(|(mut done, draft)| {
                if let Some(draft) = draft.filter(|_| named.insert((request.key.as_str(), request.version))) {
                    drafts.push(draft);
                    made.push(results.len());
                } else if request.version.is_none() {
                    done.version = None;
                }
                done
            });
            results.push(planned);
        }
        let committed = inner.commit(held, drafts, nothing).await?;
        for (at, committed) in made.into_iter().zip(&committed) {
            if let Some(Ok(done)) = results.get_mut(at) {
                done.version = done.version.or(done.marker.then_some(committed.version));
            }
        }
        if let Some(last) = committed.last() {
            // A node confirms in order, so the last one stands for all.
            inner.confirm(&info, *last).await?;
        }
        Ok(results)
    }
}

impl Inner {
    /// What a deletion comes to, and the entry that does it, if there is something to do.
    fn deletion(
        self: &Arc<Self>,
        bucket: &BucketId,
        request: &DeleteRequest,
        sealing: &BucketKey,
    ) -> Result<(DeleteDone, Option<Draft>), PutError> {
        let DeleteRequest { key, version, conditions, bypass } = request;
        self.bucket_to_write(bucket, key)?;
        let index = self.index();
        check(conditions, index.visible(bucket, key))?;
        let state = index.state(bucket, key);
        let found = state.is_some_and(|state| state.visible().is_some());
        let fresh = || VersionId::random(&mut OsEntropy);
        let (done, manifest) = match plan_delete(index.settings(bucket).versioning(), state, *version) {
            Plan::Nothing => {
                return Ok((DeleteDone { found: false, version: *version, marker: false }, None));
            }
            Plan::Mark { kept } => {
                let kind = if kept { Kind::Kept } else { Kind::NullMarker };
                (DeleteDone { found, version: None, marker: true }, manifest(key, fresh(), Some(kind), None)?)
            }
            Plan::Remove(gone) => {
                let row = state.and_then(|state| Some((state, state.find(gone)?)));
                let (state, row) = row.ok_or(PutError::NoSuchVersion)?;
                may_remove(&state.locks(row, now()), now(), *bypass)?;
                let done = DeleteDone { found: true, version: *version, marker: row.is_marker() };
                (done, removal(key, gone, fresh())?)
            }
        };
        drop(index);
        let draft = Draft {
            bucket: *bucket,
            content: Content::Manifest(manifest),
            blobs: Bounded::new(),
            sealing: sealing.clone(),
        };
        Ok((done, Some(draft)))
    }
}

fn removal(key: &str, version: Version, fresh: VersionId) -> Result<Manifest, PutError> {
    match version {
        Version::Null => manifest(key, fresh, None, None),
        Version::Id(id) => manifest(key, id, Some(Kind::Removal), None),
    }
}
