//! Versions: how they are named, listed, and whether a bucket keeps them.

use freehold_vault::{ListQuery, ObjectMeta, Setting, Version, VersionMeta, VersionQuery, Versioning};
use freehold_wire::BucketId;
use s3s::dto::{
    BucketVersioningStatus, DeleteMarkerEntry, GetBucketVersioningInput, GetBucketVersioningOutput,
    ListObjectVersionsInput, ListObjectVersionsOutput, MFADelete, ObjectVersion, ObjectVersionStorageClass,
    Owner, PutBucketVersioningInput, PutBucketVersioningOutput,
};
use s3s::{S3Response, S3Result, s3_error};

use crate::front::Front;
use crate::listing::{Spelling, page_size, prefixes, some};
use crate::meta::{etag, length, timestamp};
use crate::refusal;

/// The version that a request names.
pub(crate) fn version(text: Option<&str>) -> S3Result<Option<Version>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| s3_error!(InvalidArgument, "Invalid version id specified"))
}

/// The version that a write made, as its answer shows it: only one that is kept.
pub(crate) fn made(version: Version) -> Option<String> {
    matches!(version, Version::Id(_)).then(|| version.to_string())
}

impl Front {
    /// A version as answers show it: only where the bucket keeps versions, or did.
    pub(crate) fn shown(&self, bucket: &BucketId, version: Version) -> Option<String> {
        self.vault.settings(bucket).versioning().map(|_| version.to_string())
    }

    pub(crate) fn versioning(
        &self,
        input: &GetBucketVersioningInput,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let status = self.vault.settings(&bucket).versioning().map(|versioning| match versioning {
            Versioning::Enabled => BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED),
            Versioning::Suspended => BucketVersioningStatus::from_static(BucketVersioningStatus::SUSPENDED),
        });
        // No status is how S3 says that versioning was never on.
        Ok(S3Response::new(GetBucketVersioningOutput { mfa_delete: None, status }))
    }

    pub(crate) async fn set_versioning(
        &self,
        input: PutBucketVersioningInput,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let wanted = input.versioning_configuration;
        if wanted.mfa_delete.is_some_and(|mfa| mfa.as_str() == MFADelete::ENABLED) {
            return Err(s3_error!(NotImplemented, "Deleting with a second factor is not supported."));
        }
        let versioning = match wanted.status.as_ref().map(BucketVersioningStatus::as_str) {
            Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
            Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
            _ => return Err(s3_error!(MalformedXML, "The status is either Enabled or Suspended.")),
        };
        self.set(&bucket, Setting::Versioning, Some(versioning.to_bytes())).await?;
        Ok(S3Response::new(PutBucketVersioningOutput::default()))
    }

    /// Says something of a bucket.
    pub(crate) async fn set(
        &self,
        bucket: &BucketId,
        setting: Setting,
        document: Option<Vec<u8>>,
    ) -> S3Result<()> {
        self.vault.set(bucket, setting, document).await.map_err(|e| refusal::of_write(&e))
    }

    pub(crate) fn list_versions(
        &self,
        input: ListObjectVersionsInput,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let spelling = Spelling::of(input.encoding_type.as_ref())?;
        let max = page_size(input.max_keys)?;
        let bucket = self.bucket(&input.bucket)?;
        let key_marker = some(input.key_marker);
        let version_marker = some(input.version_id_marker);
        if key_marker.is_none() && version_marker.is_some() {
            return Err(s3_error!(
                InvalidArgument,
                "A version-id marker cannot be specified without a key marker."
            ));
        }
        let keys = ListQuery {
            prefix: input.prefix.unwrap_or_default(),
            delimiter: some(input.delimiter),
            after: key_marker.clone(),
            max,
        };
        let query = VersionQuery { keys, older_than: version(version_marker.as_deref())? };
        let page = self.vault.list_versions(&bucket, &query).map_err(|e| refusal::of_get(&e))?;
        let owner = self.owner(&bucket)?;
        let (markers, versions): (Vec<_>, Vec<_>) = page.versions.into_iter().partition(|line| line.marker);
        let more = page.next.is_some();
        let (next_key, next_version) = page.next.unzip();
        Ok(S3Response::new(ListObjectVersionsOutput {
            name: Some(input.bucket),
            prefix: Some(spelling.write(query.keys.prefix)),
            delimiter: query.keys.delimiter.map(|d| spelling.write(d)),
            encoding_type: input.encoding_type,
            key_marker: Some(spelling.write(key_marker.unwrap_or_default())),
            version_id_marker: Some(version_marker.unwrap_or_default()),
            max_keys: i32::try_from(max).ok(),
            is_truncated: Some(more),
            next_key_marker: next_key.map(|key| spelling.write(key)),
            next_version_id_marker: next_version.flatten().map(|version| version.to_string()),
            versions: Some(versions.into_iter().map(|line| listed(line, spelling, &owner)).collect()),
            delete_markers: Some(markers.into_iter().map(|line| marked(line, spelling, &owner)).collect()),
            common_prefixes: Some(prefixes(page.prefixes, spelling)),
            ..Default::default()
        }))
    }
}

fn listed(line: VersionMeta, spelling: Spelling, owner: &Owner) -> ObjectVersion {
    let VersionMeta { meta, current, .. } = line;
    let ObjectMeta { key, version, size, etag: tag, modified, .. } = meta;
    ObjectVersion {
        key: Some(spelling.write(key)),
        version_id: Some(version.to_string()),
        is_latest: Some(current),
        e_tag: Some(etag(&tag)),
        size: Some(length(size)),
        last_modified: Some(timestamp(modified)),
        storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
        owner: Some(owner.clone()),
        ..Default::default()
    }
}

fn marked(line: VersionMeta, spelling: Spelling, owner: &Owner) -> DeleteMarkerEntry {
    DeleteMarkerEntry {
        key: Some(spelling.write(line.meta.key)),
        version_id: Some(line.meta.version.to_string()),
        is_latest: Some(line.current),
        last_modified: Some(timestamp(line.meta.modified)),
        owner: Some(owner.clone()),
    }
}
