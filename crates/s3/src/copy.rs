//! Copies within the realm, whole or as a part of an upload.

use freehold_vault::{ByteRange, CopyMeta, CopyRequest, Version};
use freehold_wire::BucketId;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, MetadataDirective,
    Range, ServerSideEncryption, TaggingDirective, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::access::JudgedBy;
use crate::condition::{ReadConditions, write_conditions};
use crate::front::{Front, SEALED};
use crate::lists::with_list;
use crate::lock::said;
use crate::meta::{Sums, etag, kept, summed, timestamp};
use crate::object::vault_range;
use crate::refusal;
use crate::upload::{part_number, upload_id};
use crate::versions::{made, version};

/// The conditions that a copy sets for its source.
macro_rules! source_conditions {
    ($input:ident) => {
        ReadConditions {
            tag_is: $input.copy_source_if_match,
            tag_is_not: $input.copy_source_if_none_match,
            changed_since: $input.copy_source_if_modified_since,
            unchanged_since: $input.copy_source_if_unmodified_since,
        }
    };
}

impl Front {
    fn source<'a>(&self, source: &'a CopySource) -> S3Result<(BucketId, &'a str, Option<Version>)> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(s3_error!(
                NotImplemented,
                "Access points and outposts do not exist here; name a bucket and a key."
            ));
        };
        let version = version(version_id.as_deref())?;
        Ok((self.bucket(bucket)?, key, version))
    }

    pub(crate) async fn copy(
        &self,
        req: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let if_none_match = req.headers.get(http::header::IF_NONE_MATCH);
        let if_none_match = if_none_match.and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        let input = req.input;
        let (from, from_key, version) = self.source(&input.copy_source)?;
        let to = self.bucket(&input.bucket)?;
        let replace =
            input.metadata_directive.as_ref().is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
        if !replace && from == to && from_key == input.key && version.is_none() {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata."
            ));
        }
        let source = self.vault.head(&from, from_key, version).await.map_err(|e| refusal::of_get(&e))?;
        source_conditions!(input).check_source(&source)?;
        let retag = input.tagging_directive.as_ref().is_some_and(|d| d.as_str() == TaggingDirective::REPLACE);
        let mut said = said!(input);
        if !retag {
            said.tags = None;
        }
        let meta = if replace {
            let (headers, user_meta) = kept!(input).pack()?;
            CopyMeta::Replace { content_type: input.content_type, headers, user_meta }
        } else {
            CopyMeta::Keep
        };
        let request = CopyRequest {
            version: Some(source.version),
            meta,
            keep_tags: !retag,
            annotations: with_list(said.annotations()?, &req.extensions),
            conditions: write_conditions(None, if_none_match, JudgedBy::of(&req.extensions)),
        };
        let done = self
            .vault
            .copy((&from, from_key), (&to, &input.key), request)
            .await
            .map_err(|e| refusal::of_write(&e))?;
        let sums = Sums::of(&done.checksums);
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(summed!(sums => CopyObjectResult {
                e_tag: Some(etag(&done.etag)),
                last_modified: Some(timestamp(done.modified)),
                checksum_type: sums.kind,
            })),
            server_side_encryption: Some(ServerSideEncryption::from_static(SEALED)),
            copy_source_version_id: self.shown(&from, source.version),
            version_id: made(done.version),
            ..Default::default()
        }))
    }

    pub(crate) async fn copy_part(
        &self,
        input: UploadPartCopyInput,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let (from, from_key, version) = self.source(&input.copy_source)?;
        let to = self.bucket(&input.bucket)?;
        let upload = upload_id(&input.upload_id)?;
        let number = part_number(input.part_number)?;
        let source = self.vault.head(&from, from_key, version).await.map_err(|e| refusal::of_get(&e))?;
        source_conditions!(input).check_source(&source)?;
        let range = match &input.copy_source_range {
            None => None,
            Some(text) => Some(copy_range(text, source.size)?),
        };
        let done = self
            .vault
            .copy_part((&from, from_key), Some(source.version), range, (&to, &input.key), upload, number)
            .await
            .map_err(|e| refusal::of_write(&e))?;
        let sums = Sums::of(&done.checksums);
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(summed!(sums => CopyPartResult {
                e_tag: Some(etag(&done.etag)),
                last_modified: Some(std::time::SystemTime::now().into()),
            })),
            server_side_encryption: Some(ServerSideEncryption::from_static(SEALED)),
            copy_source_version_id: self.shown(&from, source.version),
            ..Default::default()
        }))
    }
}

/// `bytes=first-last`, both given and within the source.
fn copy_range(text: &str, size: u64) -> S3Result<ByteRange> {
    match Range::parse(text) {
        Ok(Range::Int { last: Some(last), .. }) if last >= size => {
            Err(s3_error!(InvalidRange, "Range specified is not valid for source object of size: {}", size))
        }
        Ok(range @ Range::Int { last: Some(_), .. }) => Ok(vault_range(range)),
        _ => Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy"
        )),
    }
}
