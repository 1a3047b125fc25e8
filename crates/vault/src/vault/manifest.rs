//! Between what callers say of an object and what its manifest holds.

use std::collections::BTreeMap;

use freehold_crypt::WrappedKey;
use freehold_index::Locks;
use freehold_placement::{BLOBS_MAX, BlobRef};
use freehold_seal::{
    ANNOTATIONS_MAX, Annotation, Checksum, Document, Manifest, ManifestPart, PartSums, Stored,
    blob_list_digest,
};
use freehold_wire::{BlobName, Bounded, Digest, Text};

use crate::{Annotations, Etag, ObjectMeta, PutError, Version};

/// What a manifest says beside its name and version.
#[derive(Debug, Clone)]
pub(crate) struct Contents {
    pub(crate) etag: Etag,
    pub(crate) content_type: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) user_meta: BTreeMap<String, String>,
    pub(crate) checksums: Vec<Checksum>,
    pub(crate) parts: Vec<(ManifestPart, BlobRef)>,
    pub(crate) key: WrappedKey,
    pub(crate) annotations: Annotations,
    pub(crate) part_sums: Option<PartSums>,
}

impl Contents {
    /// What is stored, and the blobs of its entry.
    pub(crate) fn stored(self) -> Result<(Box<Stored>, Bounded<BlobRef, BLOBS_MAX>), PutError> {
        let content_type =
            self.content_type.map(Text::new).transpose().map_err(|_| PutError::MetaTooLarge)?;
        let (parts, blobs): (Vec<ManifestPart>, Vec<BlobRef>) = self.parts.into_iter().unzip();
        let size = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.plain_len));
        let stored = Stored {
            size,
            etag: Text::new(self.etag.to_string()).map_err(|_| PutError::Format("its ETag is too long"))?,
            content_type,
            headers: pairs(self.headers)?,
            metadata: pairs(self.user_meta)?,
            checksums: Bounded::from_vec(self.checksums).map_err(|_| PutError::MetaTooLarge)?,
            parts: Bounded::from_vec(parts).map_err(|_| PutError::Format("it has too many parts"))?,
            blobs: blob_list_digest(blobs.iter().map(triple)),
            key: self.key,
            annotations: annotations(self.annotations)?,
            part_sums: self.part_sums,
        };
        let blobs = Bounded::from_vec(blobs).map_err(|_| PutError::Format("it has too many parts"))?;
        Ok((Box::new(stored), blobs))
    }
}

/// Documents as the format takes them.
pub(crate) fn annotations(said: Annotations) -> Result<Bounded<Annotation, ANNOTATIONS_MAX>, PutError> {
    let one = |(aspect, bytes)| Ok(Annotation { aspect, document: document(bytes)? });
    let said: Vec<Annotation> = said.into_iter().map(one).collect::<Result<_, PutError>>()?;
    Bounded::from_vec(said).map_err(|_| PutError::MetaTooLarge)
}

pub(crate) fn document(bytes: Vec<u8>) -> Result<Document, PutError> {
    Document::new(bytes).map_err(|long| PutError::DocumentTooLong(long.got))
}

/// A blob as the format's functions take it.
pub(crate) const fn triple(blob: &BlobRef) -> (&BlobName, u64, &Digest) {
    (&blob.name, blob.len, &blob.hash)
}

pub(crate) fn pairs<const K: usize, const V: usize, const N: usize>(
    map: BTreeMap<String, String>,
) -> Result<Bounded<(Text<K>, Text<V>), N>, PutError> {
    let pair = |(name, value): (String, String)| Ok((Text::new(name)?, Text::new(value)?));
    let pairs: Result<Vec<_>, freehold_wire::TooLong> = map.into_iter().map(pair).collect();
    pairs.and_then(Bounded::from_vec).map_err(|_| PutError::MetaTooLarge)
}

pub(crate) fn map<const K: usize, const V: usize>(pairs: &[(Text<K>, Text<V>)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned())).collect()
}

/// What is known of the object.
pub(crate) fn meta(manifest: &Manifest, stored: &Stored) -> ObjectMeta {
    let said = stored.annotations.iter();
    let parts = stored.etag.as_str().parse::<Etag>().map_or(0, Etag::parts);
    ObjectMeta {
        key: manifest.name.as_str().to_owned(),
        version: if manifest.kind.is_none() { Version::Null } else { Version::Id(manifest.version) },
        size: stored.size,
        etag: stored.etag.as_str().to_owned(),
        modified: manifest.modified,
        content_type: stored.content_type.as_ref().map(|text| text.as_str().to_owned()),
        headers: map(&stored.headers),
        user_meta: map(&stored.metadata),
        checksums: stored.checksums.to_vec(),
        parts,
        part_list: stored
            .parts
            .iter()
            .filter(|_| parts > 0)
            .map(|part| (part.number, part.plain_len))
            .collect(),
        annotations: said.map(|said| (said.aspect, said.document.as_bytes().to_vec())).collect(),
        part_sums: stored.part_sums.clone(),
        locks: Locks::default(),
    }
}
