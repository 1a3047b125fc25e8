//! Uploads in parts.

use data_encoding::BASE64;
use freehold_seal::Checksum;
use freehold_vault::{
    CompleteRequest, Expect, ListQuery, PartMeta, PartRequest, PutDone, PutError, UploadId, UploadMeta,
    UploadRequest, UploadSum,
};
use freehold_wire::BucketId;
use futures::StreamExt as _;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumType, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CompletedPart, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput,
    MultipartUpload, Owner, Part, ServerSideEncryption, StorageClass, StreamingBlob, UploadPartInput,
    UploadPartOutput,
};
use s3s::{Body, S3Request, S3Response, S3Result, s3_error};

use crate::access::JudgedBy;
use crate::condition::write_conditions;
use crate::digest::{Algorithm, Claim, content_md5, watch};
use crate::front::{Front, SEALED};
use crate::listing::{Spelling, page_size, prefixes, some};
use crate::lists::with_list;
use crate::lock::said;
use crate::meta::{Sums, etag, kept, length, summed, timestamp};
use crate::object::declared;
use crate::versions::made;
use crate::{parts_sum, refusal};

const PART_NUMBER_MAX: u16 = 10_000;
const PARTS_PAGE_MAX: i32 = 1000;

pub(crate) fn upload_id(text: &str) -> S3Result<UploadId> {
    text.parse().map_err(|_| refusal::of_write(&PutError::NoSuchUpload))
}

pub(crate) fn part_number(number: i32) -> S3Result<u16> {
    u16::try_from(number).ok().filter(|n| (1..=PART_NUMBER_MAX).contains(n)).ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and {}, inclusive",
            PART_NUMBER_MAX
        )
    })
}

impl Front {
    pub(crate) async fn begin(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = req.input;
        if let Some(name) = &input.checksum_algorithm
            && Algorithm::parse(name.as_str()).is_none()
        {
            return Err(s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."));
        }
        let bucket = self.bucket(&input.bucket)?;
        let (headers, user_meta) = kept!(input).pack()?;
        let annotations = said!(input).annotations()?;
        let sum = input.checksum_algorithm.as_ref().and_then(|name| Algorithm::parse(name.as_str()));
        let whole = is_whole(input.checksum_type.as_ref());
        if whole && matches!(sum, Some(Algorithm::Sha1 | Algorithm::Sha256)) {
            return Err(s3_error!(
                InvalidRequest,
                "The FULL_OBJECT checksum type cannot be used with the SHA algorithms."
            ));
        }
        let request = UploadRequest {
            content_type: input.content_type,
            headers,
            user_meta,
            annotations: with_list(annotations, &req.extensions),
            sum: sum.map(|algorithm| UploadSum { algorithm: algorithm.kept(), whole }),
        };
        let id =
            self.vault.begin_upload(&bucket, &input.key, request).await.map_err(|e| refusal::of_write(&e))?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id.to_string()),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            server_side_encryption: Some(ServerSideEncryption::from_static(SEALED)),
            ..Default::default()
        }))
    }

    pub(crate) async fn part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let claim = Claim::read(&req.headers, None)?;
        let trailers = req.trailing_headers;
        let input = req.input;
        let bucket = self.bucket(&input.bucket)?;
        let upload = upload_id(&input.upload_id)?;
        let number = part_number(input.part_number)?;
        let expect = Expect { len: Some(declared(input.content_length)?), md5: content_md5(&req.headers)? };
        let body = input.body.unwrap_or_else(|| StreamingBlob::from(Body::empty()));
        let (body, at_end) = watch(body, claim, trailers);
        let request = PartRequest { expect, at_end };
        let done = self
            .vault
            .put_part(&bucket, &input.key, upload, number, request, body.boxed())
            .await
            .map_err(|e| refusal::of_write(&e))?;
        let sums = Sums::of(&done.checksums);
        Ok(S3Response::new(summed!(sums => UploadPartOutput {
            e_tag: Some(etag(&done.etag)),
            server_side_encryption: Some(ServerSideEncryption::from_static(SEALED)),
            ..Default::default()
        })))
    }

    pub(crate) async fn complete(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let (input, allowed_by) = (req.input, JudgedBy::of(&req.extensions));
        let bucket = self.bucket(&input.bucket)?;
        let upload = upload_id(&input.upload_id)?;
        let named = input.multipart_upload.and_then(|u| u.parts).unwrap_or_default();
        if named.is_empty() {
            return Err(s3_error!(MalformedXML, "A completed upload names at least one part."));
        }
        let known = match self.vault.list_parts(&bucket, &input.key, upload).await {
            // Completed already: the vault says the same again.
            Err(PutError::NoSuchUpload) => {
                let request = CompleteRequest::default();
                let done = self.vault.complete_upload(&bucket, &input.key, upload, request).await;
                let done = done.map_err(|e| refusal::of_write(&e))?;
                return Ok(self.completed(&bucket, input.bucket, input.key, &done));
            }
            known => known.map_err(|e| refusal::of_write(&e))?,
        };
        let mut parts = Vec::with_capacity(named.len());
        let mut chosen = Vec::with_capacity(named.len());
        for part in &named {
            let meta = check_named(part, &known.parts)?;
            parts.push((meta.number, meta.etag.clone()));
            chosen.push(meta);
        }
        if let Some(size) = input.mpu_object_size
            && chosen.iter().map(|p| p.size).sum::<u64>() != u64::try_from(size).unwrap_or(u64::MAX)
        {
            return Err(s3_error!(
                InvalidRequest,
                "The object's size is not what x-amz-mp-object-size says."
            ));
        }
        let whole = is_whole(input.checksum_type.as_ref()) || known.sum.is_some_and(|sum| sum.whole);
        let checksums = parts_sum::of(&chosen, whole);
        let claimed = [
            (Algorithm::Crc32, &input.checksum_crc32),
            (Algorithm::Crc32c, &input.checksum_crc32c),
            (Algorithm::Crc64Nvme, &input.checksum_crc64nvme),
            (Algorithm::Sha1, &input.checksum_sha1),
            (Algorithm::Sha256, &input.checksum_sha256),
        ];
        for (algorithm, value) in claimed {
            if let Some(value) = value {
                check_claim(algorithm, value, &chosen, &checksums)?;
            }
        }
        let request = CompleteRequest {
            parts,
            conditions: write_conditions(input.if_match, input.if_none_match, allowed_by),
            checksums,
            part_sums: parts_sum::each(&chosen),
        };
        let done = self
            .vault
            .complete_upload(&bucket, &input.key, upload, request)
            .await
            .map_err(|e| refusal::of_write(&e))?;
        Ok(self.completed(&bucket, input.bucket, input.key, &done))
    }

    fn completed(
        &self,
        bucket: &BucketId,
        name: String,
        key: String,
        done: &PutDone,
    ) -> S3Response<CompleteMultipartUploadOutput> {
        let sums = Sums::of(&done.checksums);
        S3Response::new(summed!(sums => CompleteMultipartUploadOutput {
            version_id: made(done.version),
            expiration: self.expires(bucket, &key, done.size, done.modified, None),
            location: Some(format!("/{name}/{key}")),
            bucket: Some(name),
            key: Some(key),
            e_tag: Some(etag(&done.etag)),
            checksum_type: sums.kind,
            server_side_encryption: Some(ServerSideEncryption::from_static(SEALED)),
            ..Default::default()
        }))
    }

    pub(crate) async fn abort(
        &self,
        input: AbortMultipartUploadInput,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let upload = upload_id(&input.upload_id)?;
        self.vault.abort_upload(&bucket, &input.key, upload).await.map_err(|e| refusal::of_write(&e))?;
        Ok(S3Response::with_status(AbortMultipartUploadOutput::default(), http::StatusCode::NO_CONTENT))
    }

    pub(crate) async fn parts(&self, input: ListPartsInput) -> S3Result<S3Response<ListPartsOutput>> {
        let bucket = self.bucket(&input.bucket)?;
        let upload = upload_id(&input.upload_id)?;
        let max = input.max_parts.unwrap_or(PARTS_PAGE_MAX).clamp(0, PARTS_PAGE_MAX);
        let marker = input.part_number_marker.unwrap_or(0);
        let known =
            self.vault.list_parts(&bucket, &input.key, upload).await.map_err(|e| refusal::of_write(&e))?;
        let algorithm = known.parts.first().and_then(|p| Sums::of(&p.checksums).algorithm);
        // Whose the object will be is said with the upload.
        let query = ListQuery { prefix: input.key.clone(), max: usize::MAX, ..ListQuery::default() };
        let uploads = self.vault.list_uploads(&bucket, &query).await.map_err(|e| refusal::of_write(&e))?;
        let said = uploads.uploads.iter().find(|other| other.id == upload);
        let owner = self.owner_of_upload(&bucket, said.map(|upload| &upload.annotations))?;
        let initiator = initiator(&owner);
        let mut rest = known.parts.into_iter().filter(|p| i32::from(p.number) > marker);
        let page: Vec<Part> =
            rest.by_ref().take(usize::try_from(max).unwrap_or(0)).map(|p| listed_part(&p)).collect();
        let more = rest.next().is_some();
        let last = page.last().and_then(|p| p.part_number);
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            max_parts: Some(max),
            part_number_marker: Some(marker),
            is_truncated: Some(more),
            next_part_number_marker: if more { last } else { None },
            checksum_algorithm: algorithm.map(|a| s3s::dto::ChecksumAlgorithm::from_static(a.name())),
            parts: Some(page),
            owner: Some(owner),
            initiator: Some(initiator),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            ..Default::default()
        }))
    }

    pub(crate) async fn uploads(
        &self,
        input: ListMultipartUploadsInput,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let spelling = Spelling::of(input.encoding_type.as_ref())?;
        let bucket = self.bucket(&input.bucket)?;
        let max = page_size(input.max_uploads)?;
        let query = ListQuery {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: some(input.delimiter.clone()),
            after: some(input.key_marker.clone()),
            max,
        };
        let page = self.vault.list_uploads(&bucket, &query).await.map_err(|e| refusal::of_write(&e))?;
        let line = |upload: UploadMeta| -> S3Result<MultipartUpload> {
            let owner = self.owner_of_upload(&bucket, Some(&upload.annotations))?;
            Ok(MultipartUpload {
                key: Some(spelling.write(upload.key)),
                upload_id: Some(upload.id.to_string()),
                initiated: Some(timestamp(upload.begun)),
                initiator: Some(initiator(&owner)),
                owner: Some(owner),
                storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
                ..Default::default()
            })
        };
        let uploads = page.uploads.into_iter().map(line).collect::<S3Result<_>>()?;
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(spelling.write(query.prefix)),
            delimiter: query.delimiter.map(|d| spelling.write(d)),
            encoding_type: input.encoding_type,
            key_marker: Some(spelling.write(input.key_marker.unwrap_or_default())),
            upload_id_marker: input.upload_id_marker,
            max_uploads: i32::try_from(max).ok(),
            is_truncated: Some(page.next.is_some()),
            uploads: Some(uploads),
            // All uploads of one key are on one page, so the key alone says where to go on.
            next_key_marker: page.next.map(|key| spelling.write(key)),
            common_prefixes: Some(prefixes(page.prefixes, spelling)),
            ..Default::default()
        }))
    }
}

fn is_whole(kind: Option<&ChecksumType>) -> bool {
    kind.is_some_and(|kind| kind.as_str() == ChecksumType::FULL_OBJECT)
}

/// Who begins an upload owns what it makes.
fn initiator(owner: &Owner) -> Initiator {
    Initiator { display_name: owner.display_name.clone(), id: owner.id.clone() }
}

fn listed_part(part: &PartMeta) -> Part {
    let sums = Sums::of(&part.checksums);
    summed!(sums => Part {
        part_number: Some(i32::from(part.number)),
        e_tag: Some(etag(&part.etag)),
        size: Some(length(part.size)),
        last_modified: Some(timestamp(part.modified)),
    })
}

/// A part as the client names it must be the part that was uploaded.
fn check_named<'a>(named: &CompletedPart, known: &'a [PartMeta]) -> S3Result<&'a PartMeta> {
    let number = part_number(named.part_number.unwrap_or(0))?;
    let invalid = || refusal::of_write(&PutError::InvalidPart(number));
    let meta = known.iter().find(|p| p.number == number).ok_or_else(invalid)?;
    if named.e_tag.as_ref().is_some_and(|e| e.value() != meta.etag) {
        return Err(invalid());
    }
    let sums = Sums::of(&meta.checksums);
    let pairs = [
        (&named.checksum_crc32, &sums.crc32),
        (&named.checksum_crc32c, &sums.crc32c),
        (&named.checksum_crc64nvme, &sums.crc64nvme),
        (&named.checksum_sha1, &sums.sha1),
        (&named.checksum_sha256, &sums.sha256),
    ];
    if pairs.into_iter().any(|(named, known)| named.is_some() && named != known) {
        return Err(invalid());
    }
    Ok(meta)
}

/// The checksum that the client states for the whole object.
fn check_claim(algorithm: Algorithm, value: &str, parts: &[&PartMeta], kept: &[Checksum]) -> S3Result<()> {
    // A whole-object value can be stated even where the kept one is a checksum of checksums.
    let whole = BASE64.decode(value.as_bytes()).is_ok();
    let ours = if whole { parts_sum::whole(algorithm, parts) } else { None };
    let ours = ours.or_else(|| {
        kept.iter().find(|c| c.algorithm == algorithm.kept()).map(|c| c.value.as_str().to_owned())
    });
    match ours {
        Some(ours) if ours == value || ours.split('-').next() == Some(value) => Ok(()),
        Some(_) => Err(s3_error!(
            BadDigest,
            "The {} you specified did not match the calculated checksum.",
            algorithm.name()
        )),
        None => {
            Err(s3_error!(InvalidRequest, "The parts were uploaded without {} checksums.", algorithm.name()))
        }
    }
}
