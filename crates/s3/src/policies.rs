//! What a bucket's owner says of it: its policy, its public access block, whose its objects are, how
//! they are to be sealed.

use freehold_access::{Ownership, Policy, PublicAccessBlock};
use freehold_seal::Setting;
use freehold_wire::BucketId;
use http::StatusCode;
use s3s::dto::{
    DeleteBucketEncryptionInput, DeleteBucketEncryptionOutput, DeleteBucketOwnershipControlsInput,
    DeleteBucketOwnershipControlsOutput, DeleteBucketPolicyInput, DeleteBucketPolicyOutput,
    DeletePublicAccessBlockInput, DeletePublicAccessBlockOutput, GetBucketEncryptionInput,
    GetBucketEncryptionOutput, GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput,
    GetBucketPolicyInput, GetBucketPolicyOutput, GetBucketPolicyStatusInput, GetBucketPolicyStatusOutput,
    GetPublicAccessBlockInput, GetPublicAccessBlockOutput, ObjectOwnership, OwnershipControls,
    OwnershipControlsRule, PolicyStatus, PublicAccessBlockConfiguration, PutBucketEncryptionInput,
    PutBucketEncryptionOutput, PutBucketOwnershipControlsInput, PutBucketOwnershipControlsOutput,
    PutBucketPolicyInput, PutBucketPolicyOutput, PutPublicAccessBlockInput, PutPublicAccessBlockOutput,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule,
};
use s3s::{S3Error, S3Response, S3Result, s3_error};

use crate::front::{Front, SEALED};
use crate::refusal::{self, custom};

fn missing(code: &'static str, what: &'static str) -> S3Error {
    custom(code, StatusCode::NOT_FOUND, what)
}

fn gone<T>(output: T) -> S3Response<T> {
    S3Response::with_status(output, StatusCode::NO_CONTENT)
}

impl Front {
    /// Writes a setting down.
    pub(crate) async fn say(
        &self,
        bucket: &BucketId,
        setting: Setting,
        document: Option<Vec<u8>>,
    ) -> S3Result<()> {
        self.vault.set(bucket, setting, document).await.map_err(|e| refusal::of_write(&e))
    }

    pub(crate) async fn set_policy(
        &self,
        input: PutBucketPolicyInput,
    ) -> S3Result<S3Response<PutBucketPolicyOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let policy = Policy::read(input.policy.as_bytes());
        let policy = policy.and_then(|policy| policy.check_bucket(&input.bucket).map(|()| policy));
        let policy = policy.map_err(|error| s3_error!(MalformedPolicy, "{}", error))?;
        if policy.is_public() && self.guard.papers.of_bucket(bucket)?.block.block_public_policy {
            return Err(s3_error!(
                AccessDenied,
                "Access Denied: the bucket's public access block refuses policies that let everybody in."
            ));
        }
        self.say(&bucket, Setting::Policy, Some(input.policy.into_bytes())).await?;
        Ok(gone(PutBucketPolicyOutput::default()))
    }

    pub(crate) fn policy(&self, input: &GetBucketPolicyInput) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let settings = self.vault.settings(&bucket);
        let policy =
            settings.document(Setting::Policy).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        if policy.is_none() {
            return Err(s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"));
        }
        Ok(S3Response::new(GetBucketPolicyOutput { policy }))
    }

    pub(crate) async fn end_policy(
        &self,
        input: DeleteBucketPolicyInput,
    ) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
        self.say(&self.bucket(&input.bucket)?, Setting::Policy, None).await?;
        Ok(gone(DeleteBucketPolicyOutput::default()))
    }

    /// Whether strangers get in, by the policy or by the list.
    pub(crate) fn policy_status(
        &self,
        input: &GetBucketPolicyStatusInput,
    ) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
        let paper = self.guard.papers.of_bucket(self.bucket(&input.bucket)?)?;
        let by_policy = paper.policy.as_ref().is_some_and(|policy| policy.is_public());
        let by_list = paper.list().is_public();
        let is_public = (by_policy && !paper.block.restrict_public_buckets)
            || (by_list && !paper.block.ignore_public_acls);
        let policy_status = Some(PolicyStatus { is_public: Some(is_public) });
        Ok(S3Response::new(GetBucketPolicyStatusOutput { policy_status }))
    }

    pub(crate) async fn set_block(
        &self,
        input: PutPublicAccessBlockInput,
    ) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let asked = input.public_access_block_configuration;
        let block = PublicAccessBlock {
            block_public_acls: asked.block_public_acls.unwrap_or(false),
            ignore_public_acls: asked.ignore_public_acls.unwrap_or(false),
            block_public_policy: asked.block_public_policy.unwrap_or(false),
            restrict_public_buckets: asked.restrict_public_buckets.unwrap_or(false),
        };
        self.say(&bucket, Setting::PublicAccessBlock, Some(block.to_bytes())).await?;
        Ok(S3Response::new(PutPublicAccessBlockOutput::default()))
    }

    pub(crate) fn block(
        &self,
        input: &GetPublicAccessBlockInput,
    ) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        if self.vault.settings(&bucket).document(Setting::PublicAccessBlock).is_none() {
            return Err(missing(
                "NoSuchPublicAccessBlockConfiguration",
                "The public access block configuration was not found",
            ));
        }
        let block = self.guard.papers.of_bucket(bucket)?.block;
        Ok(S3Response::new(GetPublicAccessBlockOutput {
            public_access_block_configuration: Some(PublicAccessBlockConfiguration {
                block_public_acls: Some(block.block_public_acls),
                ignore_public_acls: Some(block.ignore_public_acls),
                block_public_policy: Some(block.block_public_policy),
                restrict_public_buckets: Some(block.restrict_public_buckets),
            }),
        }))
    }

    pub(crate) async fn end_block(
        &self,
        input: DeletePublicAccessBlockInput,
    ) -> S3Result<S3Response<DeletePublicAccessBlockOutput>> {
        self.say(&self.bucket(&input.bucket)?, Setting::PublicAccessBlock, None).await?;
        Ok(gone(DeletePublicAccessBlockOutput::default()))
    }

    pub(crate) async fn set_ownership(
        &self,
        input: PutBucketOwnershipControlsInput,
    ) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let malformed = || s3_error!(MalformedXML, "There must be one rule, with a known ObjectOwnership.");
        let [rule] = input.ownership_controls.rules.as_slice() else { return Err(malformed()) };
        let ownership = Ownership::named(rule.object_ownership.as_str()).ok_or_else(malformed)?;
        let paper = self.guard.papers.of_bucket(bucket)?;
        let private = freehold_access::Acl::private(paper.owner.clone());
        if !ownership.lists_count() && paper.acl.is_some_and(|acl| acl != private) {
            return Err(custom(
                "InvalidBucketAclWithObjectOwnership",
                StatusCode::BAD_REQUEST,
                "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
            ));
        }
        self.say(&bucket, Setting::OwnershipControls, Some(ownership.name().into())).await?;
        Ok(S3Response::new(PutBucketOwnershipControlsOutput::default()))
    }

    pub(crate) fn ownership(
        &self,
        input: &GetBucketOwnershipControlsInput,
    ) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        if self.vault.settings(&bucket).document(Setting::OwnershipControls).is_none() {
            return Err(missing(
                "OwnershipControlsNotFoundError",
                "The bucket ownership controls were not found",
            ));
        }
        let ownership = self.guard.papers.of_bucket(bucket)?.ownership;
        let rule = OwnershipControlsRule { object_ownership: ObjectOwnership::from_static(ownership.name()) };
        let ownership_controls = Some(OwnershipControls { rules: vec![rule] });
        Ok(S3Response::new(GetBucketOwnershipControlsOutput { ownership_controls }))
    }

    pub(crate) async fn end_ownership(
        &self,
        input: DeleteBucketOwnershipControlsInput,
    ) -> S3Result<S3Response<DeleteBucketOwnershipControlsOutput>> {
        self.say(&self.bucket(&input.bucket)?, Setting::OwnershipControls, None).await?;
        Ok(gone(DeleteBucketOwnershipControlsOutput::default()))
    }

    /// Objects are sealed with AES-256 in any case; nothing else can be asked for.
    pub(crate) async fn set_encryption(
        &self,
        input: PutBucketEncryptionInput,
    ) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let rules = &input.server_side_encryption_configuration.rules;
        let defaults = rules.iter().map(|rule| rule.apply_server_side_encryption_by_default.as_ref());
        let defaults: Option<Vec<_>> = defaults.collect();
        let Some(defaults) = defaults.filter(|defaults| defaults.len() == 1) else {
            return Err(s3_error!(MalformedXML, "There must be one rule, with a default."));
        };
        if defaults.iter().any(|by| by.sse_algorithm.as_str() != SEALED || by.kms_master_key_id.is_some()) {
            return Err(s3_error!(
                NotImplemented,
                "Objects are always sealed with AES-256 and the realm's own keys; there is no KMS."
            ));
        }
        self.say(&bucket, Setting::Encryption, Some(SEALED.into())).await?;
        Ok(S3Response::new(PutBucketEncryptionOutput::default()))
    }

    pub(crate) fn encryption(
        &self,
        input: &GetBucketEncryptionInput,
    ) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        if self.vault.settings(&bucket).document(Setting::Encryption).is_none() {
            return Err(missing(
                "ServerSideEncryptionConfigurationNotFoundError",
                "No default was set; objects are sealed with AES-256 in any case",
            ));
        }
        let default = ServerSideEncryptionByDefault {
            kms_master_key_id: None,
            sse_algorithm: ServerSideEncryption::from_static(SEALED),
        };
        let rule = ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(default),
            bucket_key_enabled: Some(false),
        };
        let rules = ServerSideEncryptionConfiguration { rules: vec![rule] };
        let output = GetBucketEncryptionOutput { server_side_encryption_configuration: Some(rules) };
        Ok(S3Response::new(output))
    }

    pub(crate) async fn end_encryption(
        &self,
        input: DeleteBucketEncryptionInput,
    ) -> S3Result<S3Response<DeleteBucketEncryptionOutput>> {
        self.say(&self.bucket(&input.bucket)?, Setting::Encryption, None).await?;
        Ok(gone(DeleteBucketEncryptionOutput::default()))
    }
}
