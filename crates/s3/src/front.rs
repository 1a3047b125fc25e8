//! The S3 operations, each on one line; what is not here answers `NotImplemented`, and
//! `docs/s3-compatibility.md` says why.

use std::sync::Arc;

use async_trait::async_trait;
use freehold_vault::Vault;
use freehold_wire::BucketId;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket, BucketLocationConstraint,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput,
    CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteBucketInput, DeleteBucketOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, GetBucketLocationInput, GetBucketLocationOutput, GetBucketVersioningInput,
    GetBucketVersioningOutput, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectInput,
    GetObjectOutput, GetObjectTaggingInput, GetObjectTaggingOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, PutObjectInput, PutObjectOutput, ServerSideEncryption,
    UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::validation::{AwsNameValidation, NameValidation as _};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use crate::access::{Asker, Guard};
use crate::buckets::Buckets;
use crate::listing::owner;
use crate::meta::timestamp;
use crate::refusal;

/// There are no accounts: whoever holds the keys is the owner.
pub(crate) const OWNER: &str = "freehold";
/// There are no regions either, and any is accepted in a signature. The name is not one of Amazon's,
/// because boto3 signs URLs with the refused version 2 for the regions it knows.
const REGION: &str = "freehold";
const BUCKETS_PAGE_MAX: usize = 10_000;

/// Every object is sealed with AES-256, asked or not.
pub(crate) const SEALED: &str = ServerSideEncryption::AES256;

/// The S3 operations over a vault.
pub(crate) struct Front {
    pub(crate) vault: Arc<Vault>,
    buckets: Arc<dyn Buckets>,
    pub(crate) guard: Arc<Guard>,
}

impl Front {
    pub(crate) fn new(vault: Arc<Vault>, buckets: Arc<dyn Buckets>, guard: Arc<Guard>) -> Self {
        Self { vault, buckets, guard }
    }

    /// The bucket of that name.
    pub(crate) fn bucket(&self, name: &str) -> S3Result<BucketId> {
        self.vault.bucket_named(name).map(|(id, _)| id).ok_or_else(refusal::no_such_bucket)
    }

    async fn make_bucket(&self, input: CreateBucketInput) -> S3Result<S3Response<CreateBucketOutput>> {
        if !AwsNameValidation::new().validate_bucket_name(&input.bucket) {
            let why = "a bucket's name has 3 to 63 lower-case letters, digits, hyphens and dots".to_owned();
            return Err(refusal::of_buckets(&crate::BucketsError::Name { why }));
        }
        if self.vault.bucket_named(&input.bucket).is_some() {
            return Err(refusal::of_buckets(&crate::BucketsError::Exists));
        }
        self.buckets.create(&input.bucket).await.map_err(|e| refusal::of_buckets(&e))?;
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) }))
    }

    async fn end_bucket(&self, input: DeleteBucketInput) -> S3Result<S3Response<DeleteBucketOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        if self.vault.stats().get(&bucket).is_some_and(|stats| stats.versions > 0) {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty."));
        }
        self.buckets.delete(&bucket).await.map_err(|e| refusal::of_buckets(&e))?;
        Ok(S3Response::with_status(DeleteBucketOutput::default(), http::StatusCode::NO_CONTENT))
    }

    fn bucket_list(&self, asker: &Asker, input: ListBucketsInput) -> S3Result<S3Response<ListBucketsOutput>> {
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.unwrap_or_default();
        let max = input.max_buckets.and_then(|n| usize::try_from(n).ok()).unwrap_or(BUCKETS_PAGE_MAX);
        let mut found = self.guard.shown(asker, self.vault.buckets())?;
        found.retain(|info| info.name.starts_with(&prefix) && info.name > after);
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let more = found.len() > max;
        found.truncate(max);
        let next = if more { found.last().map(|info| info.name.clone()) } else { None };
        let line = |info: freehold_vault::BucketInfo| Bucket {
            name: Some(info.name),
            creation_date: Some(timestamp(info.created)),
            bucket_region: Some(REGION.to_owned()),
        };
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(found.into_iter().map(line).collect()),
            continuation_token: next,
            owner: Some(owner()),
            prefix: input.prefix,
        }))
    }
}

#[async_trait]
impl S3 for Front {
    async fn list_buckets(
        &self,
        req: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        self.bucket_list(Asker::of(&req.extensions)?, req.input)
    }

    async fn create_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.make_bucket(req.input).await
    }

    async fn delete_bucket(
        &self,
        req: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.end_bucket(req.input).await
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket(&req.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(REGION.to_owned()), ..Default::default() }))
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.bucket(&req.input.bucket)?;
        let location = BucketLocationConstraint::from_static(REGION);
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint: Some(location) }))
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        self.bucket(&req.input.bucket)?;
        // No status is how S3 says that versioning was never on.
        Ok(S3Response::new(GetBucketVersioningOutput::default()))
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        Box::pin(self.put(req)).await
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.get(req.input).await
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.head(req.input).await
    }

    async fn get_object_attributes(
        &self,
        req: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        self.attributes(req.input).await
    }

    /// Truthfully none. Clients ask before they copy an object in parts.
    async fn get_object_tagging(
        &self,
        req: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let bucket = self.bucket(&req.input.bucket)?;
        self.vault.head(&bucket, &req.input.key, None).await.map_err(|e| refusal::of_get(&e))?;
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set: Vec::new(), version_id: None }))
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.delete(req.input).await
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.delete_allowed(req).await
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        Box::pin(self.copy(req)).await
    }

    async fn list_objects(
        &self,
        req: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        self.list(req.input)
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.list_v2(req.input)
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.begin(req.input).await
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.part(req).await
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.copy_part(req.input).await
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.complete(req.input).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.abort(req.input).await
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.parts(req.input).await
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.uploads(req.input).await
    }
}
