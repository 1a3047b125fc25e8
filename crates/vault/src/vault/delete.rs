//! Deleting: a marker before the versions that are kept, or a version for good.

use std::collections::BTreeSet;
use std::sync::Arc;

use freehold_disk::OsEntropy;
use freehold_index::{Plan, Row, State, Version, may_remove, plan_delete};
use freehold_seal::{BucketKey, Content, Kind, Manifest, VersionId};
use freehold_wire::{Bounded, BucketId};

use super::commit::{Draft, check_deletion};
use super::write::{manifest, nothing};
use super::{Inner, Vault, now};
use crate::{Conditions, DeleteDone, DeleteRequest, PutError};

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
        let wishes = requests.iter().map(|request| Wish { request: request.clone(), expires: None });
        self.inner.delete_all(bucket, &wishes.collect::<Vec<_>>()).await
    }
}

/// A deletion that somebody asks for, or a rule.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) request: DeleteRequest,
    /// The version that expires, which must be the current one still, and the id of its marker.
    pub(crate) expires: Option<(Version, Option<VersionId>)>,
}

impl Inner {
    pub(crate) async fn delete_all(
        self: &Arc<Self>,
        bucket: &BucketId,
        wishes: &[Wish],
    ) -> Result<Vec<Result<DeleteDone, PutError>>, PutError> {
        let inner = self;
        let (info, sealing) = inner.bucket_to_write(bucket, "any")?;
        let keys: Vec<&str> = wishes.iter().map(|wish| wish.request.key.as_str()).collect();
        let held = inner.lock_keys(bucket, &keys).await;
        let mut named = BTreeSet::new();
        let (mut drafts, mut made, mut results) = (Vec::new(), Vec::new(), Vec::new());
        for wish in wishes {
            let request = &wish.request;
            let planned = inner.deletion(bucket, wish, &sealing).map(|(mut done, draft)| {
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

    /// What a deletion comes to, and the entry that does it, if there is something to do.
    fn deletion(
        self: &Arc<Self>,
        bucket: &BucketId,
        wish: &Wish,
        sealing: &BucketKey,
    ) -> Result<(DeleteDone, Option<Draft>), PutError> {
        let DeleteRequest { key, version, conditions, bypass } = &wish.request;
        self.bucket_to_write(bucket, key)?;
        let index = self.index();
        let state = index.state(bucket, key);
        let subject = state.and_then(|state| match version {
            Some(version) => state.find(*version),
            None => state.current(),
        });
        match subject {
            Some(row) => check_deletion(conditions, row)?,
            None if *conditions == Conditions::default() => {}
            None => return Ok((DeleteDone { found: false, version: *version, marker: false }, None)),
        }
        let found = state.is_some_and(|state| state.visible().is_some());
        let (expires, marker) = wish.expires.unzip();
        let current = state.and_then(State::current).map(Row::version);
        if expires.is_some() && expires != current {
            return Err(PutError::Precondition);
        }
        let fresh = || marker.flatten().unwrap_or_else(|| VersionId::random(&mut OsEntropy));
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
            small: None,
            has_room: true,
            allowed_by: None,
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
