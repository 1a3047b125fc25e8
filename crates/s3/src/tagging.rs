//! Tags of objects and of buckets.

use std::collections::BTreeSet;

use freehold_vault::{Aspect, Note, Setting};
use s3s::dto::{
    DeleteBucketTaggingInput, DeleteBucketTaggingOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput,
    GetBucketTaggingInput, GetBucketTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutBucketTaggingInput, PutBucketTaggingOutput, PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
};
use s3s::{S3Response, S3Result, s3_error};

use crate::front::Front;
use crate::listing::percent;
use crate::refusal;
use crate::versions::version;

/// Tags of one object at most.
const OBJECT_MAX: usize = 10;
/// Tags of one bucket at most.
const BUCKET_MAX: usize = 50;
const KEY_MAX_CHARS: usize = 128;
const VALUE_MAX_CHARS: usize = 256;

/// Tags, each name once, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tags(Vec<(String, String)>);

impl Tags {
    fn new(mut pairs: Vec<(String, String)>, max: usize) -> S3Result<Self> {
        pairs.sort();
        if pairs.len() > max {
            return Err(s3_error!(InvalidTag, "There can be at most {} tags, not {}.", max, pairs.len()));
        }
        let mut names = BTreeSet::new();
        for (name, value) in &pairs {
            if name.is_empty() || name.chars().count() > KEY_MAX_CHARS {
                return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
            }
            if value.chars().count() > VALUE_MAX_CHARS {
                return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
            }
            if name.starts_with("aws:") {
                return Err(s3_error!(InvalidTag, "System tags cannot be added/updated by requester"));
            }
            if !names.insert(name) {
                return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
            }
        }
        Ok(Self(pairs))
    }

    /// The tags of one object, as a body gives them.
    pub(crate) fn of_object(set: Vec<Tag>) -> S3Result<Self> {
        Self::of_xml(set, OBJECT_MAX)
    }

    fn of_xml(set: Vec<Tag>, max: usize) -> S3Result<Self> {
        let pair = |tag: Tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        Self::new(set.into_iter().map(pair).collect(), max)
    }

    /// As a header gives them, `a=b&c=d`.
    pub(crate) fn of_header(text: &str) -> S3Result<Self> {
        Self::new(form_urlencoded::parse(text.as_bytes()).into_owned().collect(), OBJECT_MAX)
    }

    /// As they are kept.
    pub(crate) fn read(document: &[u8]) -> Self {
        Self(form_urlencoded::parse(document).into_owned().collect())
    }

    /// As they are kept; none if there are none.
    pub(crate) fn document(&self) -> Option<Vec<u8>> {
        let pairs = self.0.iter().map(|(name, value)| format!("{}={}", percent(name), percent(value)));
        let text = pairs.collect::<Vec<_>>().join("&");
        (!text.is_empty()).then(|| text.into_bytes())
    }

    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }

    fn into_xml(self) -> Vec<Tag> {
        self.0.into_iter().map(|(name, value)| Tag { key: Some(name), value: Some(value) }).collect()
    }

    pub(crate) fn count(&self) -> Option<i32> {
        i32::try_from(self.0.len()).ok().filter(|count| *count > 0)
    }
}

impl Front {
    pub(crate) async fn tags(
        &self,
        input: GetObjectTaggingInput,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let version = version(input.version_id.as_deref())?;
        let said = self.vault.annotation(&bucket, &input.key, version, Aspect::Tags).await;
        let (version, document) = said.map_err(|e| refusal::of_get(&e))?;
        Ok(S3Response::new(GetObjectTaggingOutput {
            tag_set: document.map(|document| Tags::read(&document)).unwrap_or_default().into_xml(),
            version_id: self.shown(&bucket, version),
        }))
    }

    pub(crate) async fn tag(
        &self,
        input: PutObjectTaggingInput,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        let tags = Tags::of_object(input.tagging.tag_set)?;
        let document = tags.document();
        let version_id = self.retag(&input.bucket, &input.key, input.version_id.as_deref(), document).await?;
        Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
    }

    pub(crate) async fn untag(
        &self,
        input: DeleteObjectTaggingInput,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        let version_id = self.retag(&input.bucket, &input.key, input.version_id.as_deref(), None).await?;
        let output = DeleteObjectTaggingOutput { version_id };
        Ok(S3Response::with_status(output, http::StatusCode::NO_CONTENT))
    }

    async fn retag(
        &self,
        bucket: &str,
        key: &str,
        named: Option<&str>,
        document: Option<Vec<u8>>,
    ) -> S3Result<Option<String>> {
        let bucket = self.bucket(bucket)?;
        let note = Note { aspect: Aspect::Tags, document, bypass: false };
        let said = self.vault.annotate(&bucket, key, version(named)?, note).await;
        Ok(self.shown(&bucket, said.map_err(|e| refusal::of_write(&e))?))
    }

    pub(crate) fn bucket_tags(
        &self,
        input: &GetBucketTaggingInput,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let settings = self.vault.settings(&bucket);
        let Some(document) = settings.document(Setting::Tags) else {
            return Err(s3_error!(NoSuchTagSet, "The TagSet does not exist"));
        };
        Ok(S3Response::new(GetBucketTaggingOutput { tag_set: Tags::read(document).into_xml() }))
    }

    pub(crate) async fn tag_bucket(
        &self,
        input: PutBucketTaggingInput,
    ) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let tags = Tags::of_xml(input.tagging.tag_set, BUCKET_MAX)?;
        self.set(&bucket, Setting::Tags, tags.document()).await?;
        Ok(S3Response::with_status(PutBucketTaggingOutput::default(), http::StatusCode::NO_CONTENT))
    }

    pub(crate) async fn untag_bucket(
        &self,
        input: DeleteBucketTaggingInput,
    ) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        self.set(&bucket, Setting::Tags, None).await?;
        Ok(S3Response::with_status(DeleteBucketTaggingOutput::default(), http::StatusCode::NO_CONTENT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_back_as_they_were() {
        let tags = Tags::of_header("a%20b=c+d&e=%26%3D%2B&f=").unwrap();
        assert_eq!(tags.0, [("a b", "c d"), ("e", "&=+"), ("f", "")].map(|(a, b)| (a.into(), b.into())));
        assert_eq!(Tags::read(&tags.document().unwrap()), tags);
        assert_eq!(tags.count(), Some(3));
        assert_eq!(Tags::default().document(), None);
    }

    #[test]
    fn tags_have_bounds() {
        let many = |n: usize| (0..n).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join("&");
        assert!(Tags::of_header(&many(OBJECT_MAX)).is_ok());
        assert!(Tags::of_header(&many(OBJECT_MAX + 1)).is_err());
        assert!(Tags::of_header("a=b&a=c").is_err());
        assert!(Tags::of_header("aws:a=b").is_err());
        assert!(Tags::of_header(&format!("{}=b", "ü".repeat(KEY_MAX_CHARS))).is_ok());
        assert!(Tags::of_header(&format!("{}=b", "k".repeat(KEY_MAX_CHARS + 1))).is_err());
        assert!(Tags::of_header(&format!("b={}", "k".repeat(VALUE_MAX_CHARS + 1))).is_err());
    }
}
