//! The manifest: what an object is, sealed as the payload of the entry that names its blobs.

use freehold_crypt::{Entropy, WrappedKey, hash};
use freehold_wire::{BlobName, Bounded, BucketId, Digest, Millis, RealmId, Text};
use minicbor::{Decode, Encode};

use crate::blob::{PLAIN_MAX, cipher_len};
use crate::payload::{self, PayloadError};
use crate::{Aspect, Binding, BucketKey, Document, PayloadPlace, VersionId};

/// Parts of one object at most, as in S3.
pub const PARTS_MAX: usize = 10_000;
/// Pairs of user metadata at most.
pub const METADATA_MAX: usize = 128;
/// Standard headers kept with an object at most.
pub const HEADERS_MAX: usize = 16;

/// Documents kept with a version at most.
pub const ANNOTATIONS_MAX: usize = 8;

pub(crate) const SORT: u8 = 1;

/// A version of an object, or the note that it was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Manifest {
    /// The object's name (in S3's words, its key).
    #[n(0)]
    pub name: Text<1024>,
    /// The version.
    #[n(1)]
    pub version: VersionId,
    /// When it was written, by the writer's clock.
    #[n(2)]
    pub modified: Millis,
    /// What is stored; nothing in a tombstone or marker.
    #[n(3)]
    pub stored: Option<Box<Stored>>,
    /// What it does to the versions that are there; without it, as in a bucket that keeps none.
    #[n(4)]
    pub kind: Option<Kind>,
}

/// How a manifest stands to the other versions of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Kind {
    /// A version of its own, which takes no other's place: written, or (nothing stored) the marker
    /// that the object is deleted.
    #[n(1)]
    Kept,
    /// The marker that the object is deleted, in place of the null version.
    #[n(2)]
    NullMarker,
    /// Removes, for good, the kept version that its `version` names.
    #[n(3)]
    Removal,
}

/// What a manifest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    /// Writes the null version, in place of an earlier one.
    NullWrite,
    /// Takes the null version away.
    NullRemoval,
    /// Puts a delete marker in the null version's place.
    NullMarker,
    /// Writes a version that is kept beside the others.
    KeptWrite,
    /// A delete marker that is kept beside the others.
    KeptMarker,
    /// Removes a kept version for good.
    Removal,
}

/// What is stored of an object.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stored {
    /// Bytes of plaintext in all parts.
    #[n(0)]
    pub size: u64,
    /// The entity tag, without quotes.
    #[n(1)]
    pub etag: Text<128>,
    /// The media type.
    #[n(2)]
    pub content_type: Option<Text<256>>,
    /// Standard headers given back as they came (`cache-control`, `content-encoding`, ...).
    #[n(3)]
    pub headers: Bounded<(Text<64>, Text<2048>), HEADERS_MAX>,
    /// The user's own metadata.
    #[n(4)]
    pub metadata: Bounded<(Text<256>, Text<4096>), METADATA_MAX>,
    /// Checksums of the plaintext.
    #[n(5)]
    pub checksums: Bounded<Checksum, 8>,
    /// The parts, in order; the entry's blobs are theirs, in the same order.
    #[n(6)]
    pub parts: Bounded<ManifestPart, PARTS_MAX>,
    /// [`blob_list_digest`] of the entry's blobs.
    #[n(7)]
    pub blobs: Digest,
    /// The object's key, wrapped by the bucket key that also seals this manifest.
    #[n(8)]
    pub key: WrappedKey,
    /// What was said of it when it was written.
    #[n(9)]
    pub annotations: Bounded<Annotation, ANNOTATIONS_MAX>,
    /// Checksums of the parts, where all of them have one of the same kind and they fit.
    #[n(10)]
    pub part_sums: Option<PartSums>,
}

/// A document that was written with a version.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Annotation {
    /// What it says something about.
    #[n(0)]
    pub aspect: Aspect,
    /// What it says.
    #[n(1)]
    pub document: Document,
}

/// One part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct ManifestPart {
    /// Its number, which its blob is bound to; gaps are allowed, order is not changed.
    #[n(0)]
    pub number: u16,
    /// Bytes of plaintext.
    #[n(1)]
    pub plain_len: u64,
}

/// A checksum of the plaintext, as the S3 header of its algorithm shows it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Checksum {
    /// The algorithm.
    #[n(0)]
    pub algorithm: ChecksumAlgorithm,
    /// The value as text (base64, with `-parts` behind it if it is one of parts).
    #[n(1)]
    pub value: Text<128>,
}

/// Checksums of an object's parts, each for itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct PartSums {
    /// The algorithm.
    #[n(0)]
    pub algorithm: ChecksumAlgorithm,
    /// The values, one behind the other, in the order of the parts.
    #[n(1)]
    pub values: Document,
}

impl PartSums {
    /// Takes the values of all parts; nothing if one has a wrong length or they do not fit.
    pub fn of<T: AsRef<[u8]>>(
        algorithm: ChecksumAlgorithm,
        values: impl IntoIterator<Item = T>,
    ) -> Option<Self> {
        let mut all = Vec::new();
        for value in values {
            if value.as_ref().len() != algorithm.bytes() {
                return None;
            }
            all.extend_from_slice(value.as_ref());
        }
        Some(Self { algorithm, values: Document::new(all).ok()? })
    }

    /// The value of the part at a place in the list of parts.
    pub fn at(&self, place: usize) -> Option<&[u8]> {
        self.values.as_bytes().chunks_exact(self.algorithm.bytes()).nth(place)
    }
}

/// Algorithms of checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum ChecksumAlgorithm {
    /// CRC-32.
    #[n(1)]
    Crc32,
    /// CRC-32C.
    #[n(2)]
    Crc32c,
    /// CRC-64/NVME.
    #[n(3)]
    Crc64Nvme,
    /// SHA-1.
    #[n(4)]
    Sha1,
    /// SHA-256.
    #[n(5)]
    Sha256,
    /// MD5.
    #[n(6)]
    Md5,
    /// BLAKE3.
    #[n(7)]
    Blake3,
}

impl ChecksumAlgorithm {
    /// How long a value is.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Blake3 => 32,
        }
    }
}

/// The blobs of an entry are not those of its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobsError {
    /// Not as many.
    #[error("{blobs} blobs for {parts} parts")]
    Count {
        /// Blobs of the entry.
        blobs: usize,
        /// Parts of the manifest.
        parts: usize,
    },
    /// A length that does not go with the part's.
    #[error("the blob of part {number} has {got} bytes, not those of its plaintext")]
    Length {
        /// The part.
        number: u16,
        /// Bytes of its blob.
        got: u64,
    },
    /// Part numbers must ascend.
    #[error("part {0} is out of order")]
    Order(u16),
    /// The parts do not add up to the object.
    #[error("the parts add up to {parts} bytes, the object has {size}")]
    Size {
        /// Sum over the parts.
        parts: u64,
        /// What the manifest says.
        size: u64,
    },
    /// Not the same blobs.
    #[error("the entry's blobs are not those that the manifest was written for")]
    Digest,
}

/// The digest of a list of blobs: name, bytes of ciphertext (8, big-endian), hash of each.
pub fn blob_list_digest<'a>(blobs: impl IntoIterator<Item = (&'a BlobName, u64, &'a Digest)>) -> Digest {
    let mut hasher = hash::Hasher::new("freehold 2026 blob list");
    for (name, len, hash) in blobs {
        hasher.update(name.as_bytes()).update(&len.to_be_bytes()).update(hash.as_bytes());
    }
    Digest::from_bytes(hasher.finish())
}

impl Manifest {
    /// What it does; `None` if it stores what a manifest of its kind cannot store.
    pub const fn deed(&self) -> Option<Deed> {
        match (self.kind, &self.stored) {
            (None, Some(_)) => Some(Deed::NullWrite),
            (None, None) => Some(Deed::NullRemoval),
            (Some(Kind::Kept), Some(_)) => Some(Deed::KeptWrite),
            (Some(Kind::Kept), None) => Some(Deed::KeptMarker),
            (Some(Kind::NullMarker), None) => Some(Deed::NullMarker),
            (Some(Kind::Removal), None) => Some(Deed::Removal),
            (Some(Kind::NullMarker | Kind::Removal), Some(_)) => None,
        }
    }

    /// What its parts and its wrapped key are bound to.
    pub fn binding(&self, realm: RealmId, bucket: BucketId) -> Binding {
        Binding::new(realm, bucket, self.name.as_str(), self.version)
    }

    /// Seals it for the entry at `place`.
    ///
    /// # Errors
    /// [`PayloadError::TooLarge`].
    pub fn seal(
        &self,
        key: &BucketKey,
        place: &PayloadPlace,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, PayloadError> {
        payload::seal_value(SORT, self, key, place, entropy)
    }

    /// Opens what [`Self::seal`] sealed.
    ///
    /// # Errors
    /// [`PayloadError`].
    pub fn open(key: &BucketKey, place: &PayloadPlace, payload: &[u8]) -> Result<Self, PayloadError> {
        payload::open_value(SORT, key, place, payload)
    }

    /// Reads opened content, for those who opened the payload themselves.
    ///
    /// # Errors
    /// [`PayloadError::Content`] or [`PayloadError::Fields`].
    pub fn decode(content: &[u8]) -> Result<Self, PayloadError> {
        payload::value_of(SORT, content)
    }
}

impl Stored {
    /// What it says of an aspect.
    pub fn annotation(&self, aspect: Aspect) -> Option<&[u8]> {
        let mut said = self.annotations.iter().filter(|said| said.aspect == aspect);
        said.next().map(|said| said.document.as_bytes())
    }

    /// Checks the entry's blobs (name, bytes of ciphertext, hash) against the parts.
    ///
    /// # Errors
    /// [`BlobsError`] says how they differ.
    pub fn check_blobs<'a>(
        &self,
        blobs: impl ExactSizeIterator<Item = (&'a BlobName, u64, &'a Digest)> + Clone,
    ) -> Result<(), BlobsError> {
        if blobs.len() != self.parts.len() {
            return Err(BlobsError::Count { blobs: blobs.len(), parts: self.parts.len() });
        }
        let (mut sum, mut before) = (0u64, None);
        for (part, (_, got, _)) in self.parts.iter().zip(blobs.clone()) {
            if before.is_some_and(|before| part.number <= before) {
                return Err(BlobsError::Order(part.number));
            }
            before = Some(part.number);
            if part.plain_len > PLAIN_MAX || cipher_len(part.plain_len) != Some(got) {
                return Err(BlobsError::Length { number: part.number, got });
            }
            sum = sum.saturating_add(part.plain_len);
        }
        if sum != self.size {
            return Err(BlobsError::Size { parts: sum, size: self.size });
        }
        if blob_list_digest(blobs) == self.blobs { Ok(()) } else { Err(BlobsError::Digest) }
    }
}

#[cfg(test)]
mod tests;
