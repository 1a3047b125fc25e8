//! What a bucket's owner has said of it, and what is said of an object: read from the vault, in the
//! words of `freehold-access`.

use std::sync::Arc;

use freehold_access::{Acl, Documents, Ownership, Policy, Principal, PublicAccessBlock};
use freehold_vault::{GetError, Vault};
use freehold_wire::BucketId;
use s3s::S3Result;

use crate::refusal;

/// What a bucket's owner has said.
pub(crate) struct Paper {
    pub(crate) owner: Principal,
    pub(crate) policy: Option<Arc<Policy>>,
    pub(crate) acl: Option<Acl>,
    pub(crate) block: PublicAccessBlock,
    pub(crate) ownership: Ownership,
}

impl Paper {
    pub(crate) fn documents<'a>(&'a self, object_acl: Option<&'a Acl>) -> Documents<'a> {
        Documents {
            owner: &self.owner,
            policy: self.policy.as_deref(),
            acl: self.acl.as_ref(),
            object_acl,
            block: self.block,
            ownership: self.ownership,
        }
    }
}

/// Reads what has been said. Whatever cannot be read lets nobody in but by mistake of nobody: the
/// request fails.
pub(crate) struct Papers {
    pub(crate) vault: Arc<Vault>,
}

impl Papers {
    pub(crate) fn new(vault: Arc<Vault>) -> Self {
        Self { vault }
    }

    /// What the bucket's owner has said.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "buckets have no settings yet")]
    pub(crate) fn of_bucket(&self, _bucket: BucketId) -> S3Result<Paper> {
        Ok(Paper {
            owner: Principal::REALM,
            policy: None,
            acl: None,
            block: PublicAccessBlock::default(),
            ownership: Ownership::default(),
        })
    }

    /// An object's list, if it has one of its own.
    #[expect(clippy::unused_async, reason = "objects have no lists yet")]
    pub(crate) async fn acl_of(
        &self,
        _bucket: BucketId,
        _key: &str,
        _version: Option<&str>,
    ) -> S3Result<Option<Acl>> {
        Ok(None)
    }

    /// An object's tags, as `a=b&c=d`.
    #[expect(clippy::unused_async, reason = "objects have no tags yet")]
    pub(crate) async fn tags(
        &self,
        _bucket: BucketId,
        _key: &str,
        _version: Option<&str>,
    ) -> S3Result<String> {
        Ok(String::new())
    }

    /// Whether there is such an object.
    pub(crate) async fn is_there(
        &self,
        bucket: BucketId,
        key: &str,
        version: Option<&str>,
    ) -> S3Result<bool> {
        match self.vault.head(&bucket, key, crate::versions::version(version)?).await {
            Ok(_) => Ok(true),
            Err(
                GetError::NoSuchKey
                | GetError::NoSuchVersion
                | GetError::Deleted(_)
                | GetError::Marker { .. },
            ) => Ok(false),
            Err(error) => Err(refusal::of_get(&error)),
        }
    }
}
