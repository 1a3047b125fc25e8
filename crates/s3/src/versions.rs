//! Versions: how they are named, listed, and whether a bucket keeps them.

use freehold_vault::Version;
use s3s::{S3Result, s3_error};

use crate::front::Front;

/// The version that a request names.
pub(crate) fn version(text: Option<&str>) -> S3Result<Option<Version>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| s3_error!(InvalidArgument, "Invalid version id specified"))
}

impl Front {
    /// A version as answers show it: only where the bucket keeps versions, or did.
    pub(crate) fn shown(&self, bucket: &freehold_wire::BucketId, version: Version) -> Option<String> {
        self.vault.settings(bucket).versioning().map(|_| version.to_string())
    }
}
