//! The sealed records of an upload under way. They are payloads that belong to no entry: what
//! they are for is inside, and is checked when they are opened.

use std::collections::BTreeMap;

use freehold_crypt::WrappedKey;
use freehold_disk::OsEntropy;
use freehold_placement::BlobRef;
use freehold_seal::{
    ANNOTATIONS_MAX, Annotation, Binding, BucketKey, Checksum, ChecksumAlgorithm, HEADERS_MAX, METADATA_MAX,
    ObjectKey, PayloadHeader, PayloadPlace, VersionId, open_payload, seal_payload,
};
use freehold_wire::{Bounded, BucketId, Digest, Millis, RealmId, Text, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::sealing::SealedPart;
use crate::vault::Inner;
use crate::vault::manifest::{annotations, map, pairs};
use crate::{Annotations, Etag, PartMeta, PutError, UploadId, UploadRequest, UploadSum};

/// First byte of the content; manifests and directory rows have low ones.
const UPLOAD: u8 = 0x80;
const PART: u8 = 0x81;
/// No entry ever gets this number.
const NO_SEQ: u64 = u64::MAX;
const CONTENT_MAX: usize = 1 << 20;

/// An upload under way.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct UploadRecord {
    #[n(0)]
    upload: Digest,
    #[n(1)]
    bucket: BucketId,
    #[n(2)]
    name: Text<1024>,
    #[n(3)]
    pub(crate) version: VersionId,
    #[n(4)]
    pub(crate) begun: Millis,
    #[n(5)]
    content_type: Option<Text<256>>,
    #[n(6)]
    headers: Bounded<(Text<64>, Text<2048>), HEADERS_MAX>,
    #[n(7)]
    user_meta: Bounded<(Text<256>, Text<4096>), METADATA_MAX>,
    #[n(8)]
    key: Option<WrappedKey>,
    #[n(9)]
    annotations: Bounded<Annotation, ANNOTATIONS_MAX>,
    #[n(10)]
    sum: Option<ChecksumAlgorithm>,
    #[n(11)]
    whole: bool,
}

impl UploadRecord {
    pub(crate) fn new(
        upload: UploadId,
        bucket: BucketId,
        key: &str,
        version: VersionId,
        request: UploadRequest,
        begun: Millis,
    ) -> Result<Self, PutError> {
        Ok(Self {
            upload: Digest::from_bytes(upload.0),
            bucket,
            name: Text::new(key).map_err(|long| PutError::KeyLength(long.got))?,
            version,
            begun,
            content_type: request
                .content_type
                .map(Text::new)
                .transpose()
                .map_err(|_| PutError::MetaTooLarge)?,
            headers: pairs(request.headers)?,
            user_meta: pairs(request.user_meta)?,
            key: None,
            annotations: annotations(request.annotations)?,
            sum: request.sum.map(|sum| sum.algorithm),
            whole: request.sum.is_some_and(|sum| sum.whole),
        })
    }

    /// The bucket stands in clear in front, so that an upload of one that is gone can be swept.
    pub(crate) fn seal(
        mut self,
        inner: &Inner,
        sealing: &BucketKey,
        object_key: &ObjectKey,
    ) -> Result<Vec<u8>, PutError> {
        self.key = Some(sealing.wrap(&self.binding(inner.config.realm), object_key, &mut OsEntropy));
        let sealed = seal(inner, self.bucket, sealing, UPLOAD, &to_canonical(&self))?;
        Ok([self.bucket.as_bytes().as_slice(), &sealed].concat())
    }

    pub(crate) fn open(
        inner: &Inner,
        bucket: BucketId,
        upload: UploadId,
        sealed: &[u8],
    ) -> Result<(Self, ObjectKey), PutError> {
        let (content, key) = open(inner, bucket, UPLOAD, sealed)?;
        let record: Self = from_canonical(&content, CONTENT_MAX).map_err(|_| PutError::NoSuchUpload)?;
        if *record.upload.as_bytes() != upload.0 || record.bucket != bucket {
            return Err(PutError::NoSuchUpload);
        }
        let wrapped = record.key.as_ref().ok_or(PutError::NoSuchUpload)?;
        let binding = record.binding(inner.config.realm);
        let object_key = key.unwrap(&binding, wrapped).map_err(|_| PutError::NoSuchUpload)?;
        Ok((record, object_key))
    }

    pub(crate) fn sum(&self) -> Option<UploadSum> {
        self.sum.map(|algorithm| UploadSum { algorithm, whole: self.whole })
    }

    pub(crate) fn binding(&self, realm: RealmId) -> Binding {
        Binding::new(realm, self.bucket, self.name.as_str(), self.version)
    }

    pub(crate) fn key(&self) -> String {
        self.name.as_str().to_owned()
    }

    pub(crate) fn content_type(&self) -> Option<String> {
        self.content_type.as_ref().map(|text| text.as_str().to_owned())
    }

    pub(crate) fn headers(&self) -> BTreeMap<String, String> {
        map(&self.headers)
    }

    pub(crate) fn annotations(&self) -> Annotations {
        let said = self.annotations.iter();
        said.map(|said| (said.aspect, said.document.as_bytes().to_vec())).collect()
    }

    pub(crate) fn user_meta(&self) -> BTreeMap<String, String> {
        map(&self.user_meta)
    }
}

/// A part of an upload under way.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PartRecord {
    #[n(0)]
    upload: Digest,
    #[n(1)]
    pub(crate) number: u16,
    #[n(2)]
    pub(crate) blob: BlobRef,
    #[n(3)]
    pub(crate) plain_len: u64,
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(crate) md5: [u8; 16],
    #[n(5)]
    checksums: Bounded<Checksum, 8>,
    #[n(6)]
    pub(crate) modified: Millis,
}

impl PartRecord {
    pub(crate) fn new(
        upload: UploadId,
        number: u16,
        part: SealedPart,
        modified: Millis,
    ) -> Result<Self, PutError> {
        Ok(Self {
            upload: Digest::from_bytes(upload.0),
            number,
            blob: part.blob,
            plain_len: part.plain_len,
            md5: part.md5,
            checksums: Bounded::from_vec(part.checksums).map_err(|_| PutError::MetaTooLarge)?,
            modified,
        })
    }

    /// The blob's name stands in clear in front, so that sweeping needs no key.
    pub(crate) fn seal(
        &self,
        inner: &Inner,
        bucket: BucketId,
        sealing: &BucketKey,
    ) -> Result<Vec<u8>, PutError> {
        let sealed = seal(inner, bucket, sealing, PART, &to_canonical(self))?;
        Ok([self.blob.name.as_bytes().as_slice(), &sealed].concat())
    }

    pub(crate) fn open(
        inner: &Inner,
        bucket: BucketId,
        upload: UploadId,
        number: u16,
        record: &[u8],
    ) -> Result<Self, PutError> {
        let (_, sealed) = record.split_at_checked(32).ok_or(PutError::InvalidPart(number))?;
        let (content, _) = open(inner, bucket, PART, sealed)?;
        let part: Self = from_canonical(&content, CONTENT_MAX).map_err(|_| PutError::InvalidPart(number))?;
        let meant = *part.upload.as_bytes() == upload.0 && part.number == number;
        if meant { Ok(part) } else { Err(PutError::InvalidPart(number)) }
    }

    pub(crate) fn into_meta(self) -> PartMeta {
        PartMeta {
            number: self.number,
            etag: Etag::single(self.md5).to_string(),
            size: self.plain_len,
            modified: self.modified,
            checksums: self.checksums.into_vec(),
        }
    }
}

/// The bucket of an upload's record, and what is sealed.
pub(crate) fn bucket_of(record: &[u8]) -> Option<(BucketId, &[u8])> {
    let (bucket, sealed) = record.split_first_chunk()?;
    Some((BucketId::from_bytes(*bucket), sealed))
}

/// The blob that a part's record names, without opening it.
pub(crate) fn blob_of_part(record: &[u8]) -> Option<freehold_wire::BlobName> {
    record.first_chunk().map(|name| freehold_wire::BlobName::from_bytes(*name))
}

fn place(inner: &Inner, bucket: BucketId) -> PayloadPlace {
    inner.place(bucket, inner.config.node, NO_SEQ)
}

fn seal(
    inner: &Inner,
    bucket: BucketId,
    key: &BucketKey,
    sort: u8,
    fields: &[u8],
) -> Result<Vec<u8>, PutError> {
    let content = zeroize::Zeroizing::new([&[sort], fields].concat());
    seal_payload(key, &place(inner, bucket), &content, &mut OsEntropy).map_err(|_| PutError::MetaTooLarge)
}

fn open(
    inner: &Inner,
    bucket: BucketId,
    sort: u8,
    sealed: &[u8],
) -> Result<(zeroize::Zeroizing<Vec<u8>>, BucketKey), PutError> {
    let header = PayloadHeader::decode(sealed).map_err(|_| PutError::NoSuchUpload)?;
    let key = inner.bucket_key(&bucket, header.key_version).ok_or(PutError::NoBucketKey)?;
    let content = open_payload(&key, &place(inner, bucket), sealed).map_err(|_| PutError::NoSuchUpload)?;
    match content.split_first() {
        Some((got, fields)) if *got == sort => Ok((zeroize::Zeroizing::new(fields.to_vec()), key)),
        _ => Err(PutError::NoSuchUpload),
    }
}
