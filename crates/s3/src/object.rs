//! Objects: put, get, head, delete, attributes.

use freehold_vault::{
    Aspect, BoxError, ByteRange, DeleteDone, DeleteRequest, Expect, ObjectMeta, PutRequest,
};
use freehold_wire::BucketId;
use futures::StreamExt as _;
use http_body::Frame;
use http_body_util::StreamBody;
use s3s::dto::{
    Checksum, ChecksumMode, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    DeletedObject, ETagCondition, GetObjectAttributesInput, GetObjectAttributesOutput,
    GetObjectAttributesParts, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    ObjectAttributes, ObjectIdentifier, ObjectPart, PutObjectInput, PutObjectOutput, Range,
    ServerSideEncryption, StorageClass, StreamingBlob,
};
use s3s::{Body, S3Request, S3Response, S3Result, s3_error};

use crate::access::JudgedBy;
use crate::condition::{ReadConditions, delete_conditions, write_conditions};
use crate::digest::{Claim, content_md5, watch};
use crate::front::{Front, SEALED};
use crate::lists::with_list;
use crate::lock::{ShownLocks, said};
use crate::meta::{Kept, Sums, etag, kept, length, summed, timestamp};
use crate::tagging::Tags;
use crate::upload::part_number;
use crate::versions::{made, version};
use crate::{parts_sum, refusal};

/// Amazon's bound on one request that deletes.
const DELETE_MAX: usize = 1000;
const KEY_MAX_BYTES: usize = 1024;
const PARTS_PAGE_MAX: i32 = 1000;

pub(crate) fn vault_range(range: Range) -> ByteRange {
    match range {
        Range::Int { first, last } => ByteRange::From { first, last },
        Range::Suffix { length } => ByteRange::Last(length),
    }
}

/// A declared length, which every write has.
pub(crate) fn declared(length: Option<i64>) -> S3Result<u64> {
    length
        .and_then(|n| u64::try_from(n).ok())
        .ok_or_else(|| s3_error!(MissingContentLength, "You must provide the Content-Length HTTP header."))
}

/// What a read says of an object, with its body or without.
struct Shown {
    meta: ObjectMeta,
    kept: Kept,
    sums: Sums,
    locks: ShownLocks,
    /// The bytes that were asked for; none is all of it.
    range: Option<std::ops::Range<u64>>,
    by_part: bool,
}

impl Shown {
    fn new(
        mut meta: ObjectMeta,
        range: Option<std::ops::Range<u64>>,
        part: Option<i32>,
        mode: Option<&ChecksumMode>,
    ) -> Self {
        let kept = Kept::unpack(&mut meta);
        let by_part = part.is_some();
        let part = part.filter(|_| meta.parts > 0).and_then(|part| usize::try_from(part).ok());
        let sums = match (mode, part) {
            (None, _) => Sums::default(),
            (Some(_), None) => Sums::of(&meta.checksums),
            // Parts are counted from 1.
            (Some(_), Some(part)) => part_sums(&meta, part.saturating_sub(1)),
        };
        let locks = ShownLocks::of(&meta.locks, &meta.annotations);
        Self { meta, kept, sums, locks, range, by_part }
    }

    fn tag_count(&self) -> Option<i32> {
        self.meta.annotations.get(&Aspect::Tags).and_then(|document| Tags::read(document).count())
    }

    fn length(&self) -> i64 {
        length(self.range.as_ref().map_or(self.meta.size, |range| range.end - range.start))
    }

    /// Told to who asks for a part.
    fn parts_count(&self) -> Option<i32> {
        let asked = self.by_part && self.meta.parts > 0;
        asked.then(|| i32::from(self.meta.parts))
    }

    fn content_range(&self) -> Option<String> {
        let range = self.range.as_ref().filter(|range| !range.is_empty())?;
        Some(format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), self.meta.size))
    }
}

/// An answer to a read.
macro_rules! described {
    ($shown:ident => $answer:ident { $($rest:tt)* }) => {{
        let (content_length, content_range) = ($shown.length(), $shown.content_range());
        let parts_count = $shown.parts_count();
        let Shown { meta, kept, sums, locks, .. } = $shown;
        summed!(sums => $answer {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(content_length),
            content_range,
            content_type: Some(media_type(meta.content_type)),
            e_tag: Some(etag(&meta.etag)),
            last_modified: Some(timestamp(meta.modified)),
            cache_control: kept.cache_control,
            content_disposition: kept.content_disposition,
            content_encoding: kept.content_encoding,
            content_language: kept.content_language,
            expires: kept.expires,
            website_redirect_location: kept.redirect,
            metadata: kept.user,
            parts_count,
            checksum_type: sums.kind,
            server_side_encryption: Some(ServerSideEncryption::from_static(SEALED)),
            object_lock_mode: locks.mode,
            object_lock_retain_until_date: locks.until,
            object_lock_legal_hold_status: locks.hold,
            $($rest)*
            ..Default::default()
        })
    }};
}

impl Front {
    pub(crate) async fn put(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let len = declared(req.input.content_length)?;
        Box::pin(self.put_of(req, Some(len))).await
    }

    /// Writes an object, of a length that is known or is not.
    pub(crate) async fn put_of(
        &self,
        req: S3Request<PutObjectInput>,
        len: Option<u64>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let claim = Claim::read(&req.headers, None)?;
        let trailers = req.trailing_headers;
        let input = req.input;
        let bucket = self.bucket(&input.bucket)?;
        let (headers, user_meta) = kept!(input).pack()?;
        let annotations = with_list(said!(input).annotations()?, &req.extensions);
        let tags = annotations.get(&Aspect::Tags).map(|document| Tags::read(document));
        let expect = Expect { len, md5: content_md5(&req.headers)? };
        let body = input.body.unwrap_or_else(|| StreamingBlob::from(Body::empty()));
        let (body, at_end) = watch(body, claim, trailers);
        let request = PutRequest {
            content_type: input.content_type,
            headers,
            user_meta,
            annotations,
            conditions: write_conditions(input.if_match, input.if_none_match, JudgedBy::of(&req.extensions)),
            expect,
            at_end,
        };
        let done = self
            .vault
            .put(&bucket, &input.key, request, body.boxed())
            .await
            .map_err(|e| refusal::of_write(&e))?;
        let sums = Sums::of(&done.checksums);
        Ok(S3Response::new(summed!(sums => PutObjectOutput {
            e_tag: Some(etag(&done.etag)),
            checksum_type: sums.kind,
            server_side_encryption: Some(ServerSideEncryption::from_static(SEALED)),
            version_id: made(done.version),
            expiration: self.expires(&bucket, &input.key, done.size, done.modified, tags),
            ..Default::default()
        })))
    }

    pub(crate) async fn get(&self, input: GetObjectInput) -> S3Result<S3Response<GetObjectOutput>> {
        let version = version(input.version_id.as_deref())?;
        let bucket = self.bucket(&input.bucket)?;
        let conditions = ReadConditions {
            tag_is: input.if_match,
            tag_is_not: input.if_none_match,
            changed_since: input.if_modified_since,
            unchanged_since: input.if_unmodified_since,
        };
        let range = asked(input.range, input.part_number)?;
        let found =
            self.vault.get(&bucket, &input.key, version, range).await.map_err(|e| refusal::of_get(&e))?;
        conditions.check(&found.meta)?;
        // The checksum of the whole would be compared with the range.
        let mode = input.checksum_mode.as_ref().filter(|_| range.is_none() || input.part_number.is_some());
        let shown = Shown::new(found.meta, range.map(|_| found.range.clone()), input.part_number, mode);
        let (key_bucket, tag_count) = (bucket, shown.tag_count());
        let expiration = self.expiration(&bucket, &shown.meta);
        let version_id = self.shown(&bucket, shown.meta.version);
        let body = found.body.map(move |piece| match piece {
            Ok(bytes) => Ok(Frame::data(bytes)),
            Err(error) => {
                // The status is long sent: breaking the connection is all that is left to say it with.
                tracing::warn!(%error, bucket = %key_bucket, "an object broke off while it was read");
                Err(BoxError::from(error))
            }
        });
        Ok(S3Response::new(described!(shown => GetObjectOutput {
            body: Some(StreamingBlob::from(Body::http_body_unsync(StreamBody::new(body)))),
            version_id,
            tag_count,
            expiration,
        })))
    }

    pub(crate) async fn head(&self, input: HeadObjectInput) -> S3Result<S3Response<HeadObjectOutput>> {
        let version = version(input.version_id.as_deref())?;
        let bucket = self.bucket(&input.bucket)?;
        let meta = self.vault.head(&bucket, &input.key, version).await.map_err(|e| refusal::of_get(&e))?;
        ReadConditions {
            tag_is: input.if_match,
            tag_is_not: input.if_none_match,
            changed_since: input.if_modified_since,
            unchanged_since: input.if_unmodified_since,
        }
        .check(&meta)?;
        let range = asked(input.range, input.part_number)?;
        let range = range.map(|range| meta.within(range)).transpose().map_err(|e| refusal::of_get(&e))?;
        let shown = Shown::new(meta, range, input.part_number, input.checksum_mode.as_ref());
        let version_id = self.shown(&bucket, shown.meta.version);
        let (tag_count, expiration) = (shown.tag_count(), self.expiration(&bucket, &shown.meta));
        let mut answer = S3Response::new(described!(shown => HeadObjectOutput { version_id, expiration, }));
        // `s3s` has no field for it.
        if let Some(count) = tag_count {
            answer.headers.insert("x-amz-tagging-count", count.into());
        }
        Ok(answer)
    }

    pub(crate) async fn delete(&self, input: DeleteObjectInput) -> S3Result<S3Response<DeleteObjectOutput>> {
        let version = version(input.version_id.as_deref())?;
        let bucket = self.bucket(&input.bucket)?;
        let modified = input.if_match_last_modified_time.as_ref();
        let conditions = delete_conditions(input.if_match, modified, input.if_match_size)?;
        let bypass = input.bypass_governance_retention.unwrap_or(false);
        let request = DeleteRequest { key: input.key, version, conditions, bypass };
        let done = self.vault.delete(&bucket, request).await.map_err(|e| refusal::of_write(&e))?;
        let output = DeleteObjectOutput {
            delete_marker: done.marker.then_some(true),
            version_id: done.version.and_then(|version| self.shown(&bucket, version)),
            ..Default::default()
        };
        Ok(S3Response::with_status(output, http::StatusCode::NO_CONTENT))
    }

    pub(crate) async fn delete_many(
        &self,
        input: DeleteObjectsInput,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let quiet = input.delete.quiet.unwrap_or(false);
        let objects = input.delete.objects;
        if objects.is_empty() || objects.len() > DELETE_MAX {
            return Err(s3_error!(
                MalformedXML,
                "A request deletes 1 to {} objects, not {}.",
                DELETE_MAX,
                objects.len()
            ));
        }
        let bucket = self.bucket(&input.bucket)?;
        let bypass = input.bypass_governance_retention.unwrap_or(false);
        let (mut requests, mut errors) = (Vec::new(), Vec::new());
        for object in objects {
            match wanted(&object, bypass) {
                Ok(request) => requests.push(request),
                Err(error) => errors.push(told(object.key, object.version_id, &error)),
            }
        }
        let done = self.vault.delete_many(&bucket, &requests).await.map_err(|e| refusal::of_write(&e))?;
        let mut deleted = Vec::new();
        for (request, done) in requests.into_iter().zip(done) {
            let named = request.version.map(|version| version.to_string());
            match done {
                Ok(done) if !quiet => deleted.push(self.deleted(&bucket, request.key, named, done)),
                Ok(_) => {}
                Err(error) => errors.push(told(request.key, named, &refusal::of_write(&error))),
            }
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(deleted),
            errors: Some(errors),
            ..Default::default()
        }))
    }

    fn deleted(
        &self,
        bucket: &BucketId,
        key: String,
        named: Option<String>,
        done: DeleteDone,
    ) -> DeletedObject {
        let made = done.version.and_then(|version| self.shown(bucket, version));
        DeletedObject {
            key: Some(key),
            delete_marker: done.marker.then_some(true),
            delete_marker_version_id: if done.marker { made } else { None },
            version_id: named,
        }
    }

    pub(crate) async fn attributes(
        &self,
        input: GetObjectAttributesInput,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        let version = version(input.version_id.as_deref())?;
        let bucket = self.bucket(&input.bucket)?;
        let meta = self.vault.head(&bucket, &input.key, version).await.map_err(|e| refusal::of_get(&e))?;
        // Clients send one header with commas; `s3s` gives it as one attribute.
        let asked = || input.object_attributes.iter().flat_map(|a| a.as_str().split(','));
        let wants = |what: &str| asked().any(|a| a.trim() == what);
        let sums = Sums::of(&meta.checksums);
        let checksum =
            (wants(ObjectAttributes::CHECKSUM) && sums.kind.is_some()).then_some(summed!(sums => Checksum {
                checksum_type: sums.kind,
            }));
        let parts = (wants(ObjectAttributes::OBJECT_PARTS) && meta.parts > 0)
            .then(|| part_page(&meta, input.max_parts, input.part_number_marker));
        Ok(S3Response::new(GetObjectAttributesOutput {
            checksum,
            version_id: self.shown(&bucket, meta.version),
            // The one place where S3 gives an ETag without quotes: `answer` takes them away.
            e_tag: wants(ObjectAttributes::ETAG).then(|| etag(&meta.etag)),
            last_modified: Some(timestamp(meta.modified)),
            object_parts: parts,
            object_size: wants(ObjectAttributes::OBJECT_SIZE).then(|| length(meta.size)),
            storage_class: wants(ObjectAttributes::STORAGE_CLASS)
                .then(|| StorageClass::from_static(StorageClass::STANDARD)),
            ..Default::default()
        }))
    }
}

/// What one line of a request that deletes many asks for.
fn wanted(object: &ObjectIdentifier, bypass: bool) -> S3Result<DeleteRequest> {
    check_key(&object.key)?;
    let version = version(object.version_id.as_deref())?;
    // Here, unlike in a header, an ETag is given as it is.
    let tag = object.e_tag.clone().map(ETagCondition::ETag);
    let conditions = delete_conditions(tag, object.last_modified_time.as_ref(), object.size)?;
    Ok(DeleteRequest { key: object.key.clone(), version, conditions, bypass })
}

/// Keys in a path are checked by `s3s`, keys in a body are not.
pub(crate) fn check_key(key: &str) -> S3Result<()> {
    if (1..=KEY_MAX_BYTES).contains(&key.len()) {
        return Ok(());
    }
    Err(s3_error!(
        KeyTooLongError,
        "An object's key has 1 to {} bytes, this one {}.",
        KEY_MAX_BYTES,
        key.len()
    ))
}

/// Amazon's default.
fn media_type(given: Option<String>) -> String {
    given.unwrap_or_else(|| "binary/octet-stream".to_owned())
}

fn told(key: String, version_id: Option<String>, error: &s3s::S3Error) -> s3s::dto::Error {
    s3s::dto::Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key),
        message: error.message().map(str::to_owned),
        version_id,
    }
}

/// The range or the part that a read asks for.
fn asked(range: Option<Range>, part: Option<i32>) -> S3Result<Option<ByteRange>> {
    match (range, part) {
        (Some(_), Some(_)) => {
            Err(s3_error!(InvalidRequest, "Cannot specify both Range header and partNumber query parameter"))
        }
        (Some(range), None) => Ok(Some(vault_range(range))),
        (None, part) => Ok(part.map(part_number).transpose()?.map(ByteRange::Part)),
    }
}

/// A page of an object's parts. Their own checksums are not kept.
/// The checksums of the part at a place in the list.
fn part_sums(meta: &ObjectMeta, place: usize) -> Sums {
    let sum = meta.part_sums.as_ref().and_then(|sums| parts_sum::of_part(sums, place));
    Sums { kind: Sums::of(&meta.checksums).kind, ..Sums::of(sum.as_slice()) }
}

fn part_page(meta: &ObjectMeta, max: Option<i32>, marker: Option<i32>) -> GetObjectAttributesParts {
    let (max, marker) = (max.unwrap_or(PARTS_PAGE_MAX).clamp(0, PARTS_PAGE_MAX), marker.unwrap_or(0));
    let parts = meta.part_list.iter().enumerate();
    let mut rest = parts.filter(|(_, (number, _))| i32::from(*number) > marker);
    let line = |(place, (number, size)): (usize, &(u16, u64))| {
        let sums = part_sums(meta, place);
        summed!(sums => ObjectPart { part_number: Some(i32::from(*number)), size: Some(length(*size)), })
    };
    let page: Vec<ObjectPart> = rest.by_ref().take(usize::try_from(max).unwrap_or(0)).map(line).collect();
    let more = rest.next().is_some();
    GetObjectAttributesParts {
        total_parts_count: Some(i32::from(meta.parts)),
        max_parts: Some(max),
        part_number_marker: Some(marker),
        is_truncated: Some(more),
        next_part_number_marker: page.last().and_then(|part| part.part_number),
        parts: Some(page),
    }
}
