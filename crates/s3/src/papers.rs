//! What a bucket's owner has said of it, and what is said of an object: read from the vault, in the
//! words of `freehold-access`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use freehold_access::{Acl, Documents, Ownership, Policy, Principal, PublicAccessBlock};
use freehold_seal::{Aspect, Setting};
use freehold_vault::{GetError, Vault};
use freehold_wire::BucketId;
use s3s::{S3Result, s3_error};

use crate::refusal;
use crate::versions::version as version_of;

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

    /// The list in force.
    pub(crate) fn list(&self) -> Acl {
        let acl = self.acl.clone().filter(|_| self.ownership.lists_count());
        acl.unwrap_or_else(|| Acl::private(self.owner.clone()))
    }
}

/// A policy as it was read, and of what.
type Understood = (Vec<u8>, Arc<Policy>);

/// Reads what has been said. What cannot be read lets nobody in: the request fails.
pub(crate) struct Papers {
    pub(crate) vault: Arc<Vault>,
    /// Most requests are for a bucket whose policy was read a moment ago.
    policies: Mutex<BTreeMap<BucketId, Understood>>,
}

fn unreadable(bucket: BucketId, setting: Setting) -> s3s::S3Error {
    tracing::error!(%bucket, ?setting, "a setting of a bucket is not readable");
    s3_error!(InternalError, "A setting of the bucket was written by a newer program than this node's.")
}

impl Papers {
    pub(crate) fn new(vault: Arc<Vault>) -> Self {
        Self { vault, policies: Mutex::default() }
    }

    /// What the bucket's owner has said.
    pub(crate) fn of_bucket(&self, bucket: BucketId) -> S3Result<Paper> {
        let settings = self.vault.settings(&bucket);
        let lost = |setting| unreadable(bucket, setting);
        let text = |setting| {
            let document = settings.document(setting).map(std::str::from_utf8);
            document.transpose().map_err(|_| lost(setting))
        };
        let owner = self.vault.owner(&bucket).map(String::from_utf8).transpose();
        let owner = match owner.map_err(|_| lost(Setting::Owner))? {
            None => Principal::REALM,
            Some(owner) => owner.parse().map_err(|_| lost(Setting::Owner))?,
        };
        let acl = settings.document(Setting::Acl).map(Acl::from_bytes).transpose();
        let block = settings.document(Setting::PublicAccessBlock);
        let block = block.map_or(Some(PublicAccessBlock::default()), PublicAccessBlock::from_bytes);
        let ownership = text(Setting::OwnershipControls)?;
        Ok(Paper {
            owner,
            policy: self.policy(bucket, settings.document(Setting::Policy))?,
            acl: acl.map_err(|_| lost(Setting::Acl))?,
            block: block.ok_or_else(|| lost(Setting::PublicAccessBlock))?,
            ownership: ownership
                .map_or(Some(Ownership::default()), Ownership::named)
                .ok_or_else(|| lost(Setting::OwnershipControls))?,
        })
    }

    fn policy(&self, bucket: BucketId, document: Option<&[u8]>) -> S3Result<Option<Arc<Policy>>> {
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(document) = document else {
            policies.remove(&bucket);
            return Ok(None);
        };
        if let Some((same, policy)) = policies.get(&bucket)
            && same == document
        {
            return Ok(Some(Arc::clone(policy)));
        }
        let policy = Policy::read(document).map_err(|_| unreadable(bucket, Setting::Policy))?;
        let policy = Arc::new(policy);
        policies.insert(bucket, (document.to_vec(), Arc::clone(&policy)));
        Ok(Some(policy))
    }

    /// What is said of an object; nothing of one that is not there.
    async fn said(
        &self,
        bucket: BucketId,
        key: &str,
        version: Option<&str>,
        aspect: Aspect,
    ) -> S3Result<Option<Vec<u8>>> {
        match self.vault.annotation(&bucket, key, version_of(version)?, aspect).await {
            Ok((_, document)) => Ok(document),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(refusal::of_get(&error)),
        }
    }

    /// An object's list, if it has one of its own.
    pub(crate) async fn acl_of(
        &self,
        bucket: BucketId,
        key: &str,
        version: Option<&str>,
    ) -> S3Result<Option<Acl>> {
        let document = self.said(bucket, key, version, Aspect::Acl).await?;
        document.map(|bytes| Acl::from_bytes(&bytes)).transpose().map_err(|error| {
            tracing::error!(%bucket, %error, "an object's list is not readable");
            s3_error!(InternalError, "The object's list was written by a newer program than this node's.")
        })
    }

    /// An object's tags, as `a=b&c=d`.
    pub(crate) async fn tags(&self, bucket: BucketId, key: &str, version: Option<&str>) -> S3Result<String> {
        let document = self.said(bucket, key, version, Aspect::Tags).await?;
        Ok(document.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default())
    }

    /// Whether there is such an object.
    pub(crate) async fn is_there(
        &self,
        bucket: BucketId,
        key: &str,
        version: Option<&str>,
    ) -> S3Result<bool> {
        match self.vault.head(&bucket, key, version_of(version)?).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(refusal::of_get(&error)),
        }
    }
}

fn is_missing(error: &GetError) -> bool {
    matches!(
        error,
        GetError::NoSuchKey | GetError::NoSuchVersion | GetError::Deleted(_) | GetError::Marker { .. }
    )
}
