//! What callers say about an object, and what they are told.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use bytes::Bytes;
use freehold_index::{Locks, Row, Version};
use freehold_seal::{Aspect, Checksum, ChecksumAlgorithm, PartSums};
use freehold_wire::{Digest, Hex, Hlc, IdError, Millis};
use futures::stream::BoxStream;

use crate::error::{BoxError, GetError};

/// An object's bytes as a client sends them. An error ends the write and leaves nothing.
pub type Body = BoxStream<'static, Result<Bytes, BoxError>>;

/// What the realm says of a bucket; its name comes from the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketInfo {
    /// The name people use.
    pub name: String,
    /// On how many storage nodes its objects are to be.
    pub copies: u16,
    /// How many of them must have confirmed before a write is acknowledged; 1 is this node alone.
    pub confirm: u16,
    /// When it was made.
    pub created: Millis,
}

/// An upload in parts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(pub [u8; 32]);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UploadId({self})")
    }
}

impl FromStr for UploadId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse::<Digest>().map(|id| Self(*id.as_bytes()))
    }
}

/// Conditions on the object that is there now; checked and acted upon in one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Only if its ETag (without quotes) is one of these; `*` stands for any object.
    pub if_match: Vec<String>,
    /// Only if its ETag is none of these; `*` stands for any object.
    pub if_none_match: Vec<String>,
    /// Only if it was written in this second; for deletions.
    pub if_modified: Option<Millis>,
    /// Only if it has so many bytes; for deletions.
    pub if_size: Option<u64>,
    /// Only if the bucket's policy is still the one by which it was allowed; for writes.
    pub allowed_by: Option<PolicyMark>,
}

/// Which policy a bucket had, if any: every one that is said has another mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyMark(pub(crate) Option<Hlc>);

/// What the client says the body is; a body that differs is refused and leaves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    /// Length in bytes.
    pub len: Option<u64>,
    /// MD5. Other digests are checked by the front, in `at_end`.
    pub md5: Option<[u8; 16]>,
}

/// Documents said of a version.
pub type Annotations = BTreeMap<Aspect, Vec<u8>>;

/// A write.
#[derive(Default)]
pub struct PutRequest {
    /// Content type, if given.
    pub content_type: Option<String>,
    /// Standard headers that are given back as they came (`cache-control`, ...); at most 16.
    pub headers: BTreeMap<String, String>,
    /// The client's own metadata; at most 128 pairs.
    pub user_meta: BTreeMap<String, String>,
    /// What is said of the version: tags, locks, who may do what. A bucket with object lock adds its
    /// default retention if none is given.
    pub annotations: Annotations,
    /// Conditions on what is there now.
    pub conditions: Conditions,
    /// What the body must be.
    pub expect: Expect,
    /// Called when the whole body has passed, before anything is committed: the front returns the
    /// checksums to keep, or an error to refuse the write.
    pub at_end: Option<AtEnd>,
}

/// See [`PutRequest::at_end`].
pub type AtEnd = Box<dyn FnOnce() -> Result<Vec<Checksum>, BoxError> + Send>;

impl fmt::Debug for PutRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutRequest").field("conditions", &self.conditions).finish_non_exhaustive()
    }
}

/// A write that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutDone {
    /// The version it made.
    pub version: Version,
    /// ETag without quotes: MD5 in hex, or of the parts' MD5s with `-n`.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// When.
    pub modified: Millis,
    /// The checksums kept.
    pub checksums: Vec<Checksum>,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its key.
    pub key: String,
    /// Which version it is.
    pub version: Version,
    /// Bytes.
    pub size: u64,
    /// ETag without quotes.
    pub etag: String,
    /// When it was written.
    pub modified: Millis,
    /// Content type; empty in listings.
    pub content_type: Option<String>,
    /// Standard headers kept; empty in listings.
    pub headers: BTreeMap<String, String>,
    /// The client's own metadata; empty in listings.
    pub user_meta: BTreeMap<String, String>,
    /// Checksums kept; empty in listings.
    pub checksums: Vec<Checksum>,
    /// In how many parts it was uploaded; 0 for a single write.
    pub parts: u16,
    /// Number and bytes of each part, ascending; empty in listings and for a single write.
    pub part_list: Vec<(u16, u64)>,
    /// Checksums of the parts; nothing in listings.
    pub part_sums: Option<PartSums>,
    /// What is said of it now; empty in listings.
    pub annotations: Annotations,
    /// What locks it now; nothing in listings.
    pub locks: Locks,
}

impl ObjectMeta {
    /// What a listing shows.
    pub(crate) fn listed(key: &str, row: &Row) -> Self {
        Self {
            key: key.to_owned(),
            version: row.version(),
            size: row.size,
            etag: row.etag.to_string(),
            modified: row.modified,
            content_type: None,
            headers: BTreeMap::new(),
            user_meta: BTreeMap::new(),
            checksums: Vec::new(),
            parts: row.etag.parts(),
            part_list: Vec::new(),
            part_sums: None,
            annotations: Annotations::new(),
            locks: Locks::default(),
        }
    }
}

/// What is to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteRequest {
    /// The object.
    pub key: String,
    /// One version of it, for good; otherwise the object, as the bucket's setting says.
    pub version: Option<Version>,
    /// Conditions on the version named, or on the current one. Where there is none, nothing is done.
    pub conditions: Conditions,
    /// Pass over locks of mode GOVERNANCE: who asks has the right to, and wants to.
    pub bypass: bool,
}

/// What deleting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteDone {
    /// Whether there was something to delete.
    pub found: bool,
    /// The version that went, or the marker that was made.
    pub version: Option<Version>,
    /// Whether that is a marker.
    pub marker: bool,
}

/// What is to be said of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Of what.
    pub aspect: Aspect,
    /// What; nothing to take back what was said.
    pub document: Option<Vec<u8>>,
    /// Weaken a retention of mode GOVERNANCE: who asks has the right to, and wants to.
    pub bypass: bool,
}

impl ObjectMeta {
    /// The bytes that a range stands for.
    ///
    /// # Errors
    /// [`GetError::Range`] or [`GetError::NoSuchPart`] if there are none.
    pub fn within(&self, range: ByteRange) -> Result<Range<u64>, GetError> {
        let single = self.part_list.is_empty().then_some(self.size);
        let parts = self.part_list.iter().map(|(_, len)| *len).chain(single);
        range.within(self.size, parts).ok_or(match range {
            ByteRange::Part(number) => GetError::NoSuchPart(number),
            ByteRange::From { .. } | ByteRange::Last(_) => GetError::Range { size: self.size },
        })
    }
}

/// A range as HTTP asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-` and `bytes=first-last`.
    From {
        /// The first byte.
        first: u64,
        /// The last byte, itself included; past the end means the end.
        last: Option<u64>,
    },
    /// `bytes=-count`: the last so many.
    Last(u64),
    /// A part of an upload, counted from 1; a single write is its own first part.
    Part(u16),
}

impl ByteRange {
    /// The bytes of an object of `size` bytes with these parts; `None` if there are none.
    fn within(self, size: u64, parts: impl IntoIterator<Item = u64>) -> Option<Range<u64>> {
        let (start, end) = match self {
            Self::From { first, last: None } => (first, size),
            Self::From { first, last: Some(last) } => (first, last.saturating_add(1).min(size)),
            Self::Last(count) => (size.saturating_sub(count), size),
            Self::Part(number) => {
                let mut start = 0u64;
                let mut wanted = usize::from(number).checked_sub(1)?;
                for len in parts {
                    if wanted == 0 {
                        // It may be empty, if it is the last.
                        return Some(start..start.saturating_add(len));
                    }
                    wanted -= 1;
                    start = start.saturating_add(len);
                }
                return None;
            }
        };
        (start < end).then_some(start..end)
    }
}

/// An object being read.
pub struct GetObject {
    /// What is known of it.
    pub meta: ObjectMeta,
    /// The bytes that come, within the object.
    pub range: Range<u64>,
    /// The bytes, verified piece by piece; an error ends it.
    pub body: BoxStream<'static, Result<Bytes, GetError>>,
}

impl fmt::Debug for GetObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetObject")
            .field("meta", &self.meta)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// What a copy carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyMeta {
    /// Content type and metadata of the source.
    Keep,
    /// These instead.
    Replace {
        /// Content type, if given.
        content_type: Option<String>,
        /// Standard headers.
        headers: BTreeMap<String, String>,
        /// The client's own metadata.
        user_meta: BTreeMap<String, String>,
    },
}

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRequest {
    /// Which version of the source; its current one if none is named.
    pub version: Option<Version>,
    /// What the copy carries.
    pub meta: CopyMeta,
    /// Whether the source's tags are the copy's.
    pub keep_tags: bool,
    /// What else is said of the copy.
    pub annotations: Annotations,
    /// Conditions on what is there now.
    pub conditions: Conditions,
}

/// A part being written.
#[derive(Default)]
pub struct PartRequest {
    /// What the body must be.
    pub expect: Expect,
    /// As [`PutRequest::at_end`].
    pub at_end: Option<AtEnd>,
}

impl fmt::Debug for PartRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartRequest").field("expect", &self.expect).finish_non_exhaustive()
    }
}

/// What an upload in parts will be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadRequest {
    /// Content type, if given.
    pub content_type: Option<String>,
    /// Standard headers that are given back as they came.
    pub headers: BTreeMap<String, String>,
    /// The client's own metadata.
    pub user_meta: BTreeMap<String, String>,
    /// As [`PutRequest::annotations`].
    pub annotations: Annotations,
    /// The checksum of the whole, if it was said.
    pub sum: Option<UploadSum>,
}

/// The checksum that an upload's whole is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadSum {
    /// Of which algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// Of the object's bytes; else of its parts' checksums.
    pub whole: bool,
}

/// The parts of an upload so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadParts {
    /// What was asked for when it was begun.
    pub sum: Option<UploadSum>,
    /// In the order of their numbers.
    pub parts: Vec<PartMeta>,
}

/// How an upload ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompleteRequest {
    /// The parts that make the object, ascending, with the ETags the client was given.
    pub parts: Vec<(u16, String)>,
    /// Conditions on what is there now.
    pub conditions: Conditions,
    /// Checksums of the whole, to be kept.
    pub checksums: Vec<Checksum>,
    /// Checksums of the parts, to be kept.
    pub part_sums: Option<PartSums>,
}

/// A part that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartDone {
    /// MD5 in hex.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// The checksums kept.
    pub checksums: Vec<Checksum>,
}

/// A part of an upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartMeta {
    /// Its number.
    pub number: u16,
    /// MD5 in hex.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// When it was written.
    pub modified: Millis,
    /// The checksums kept.
    pub checksums: Vec<Checksum>,
}

/// An upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadMeta {
    /// The upload.
    pub id: UploadId,
    /// The key it will be.
    pub key: String,
    /// When it was begun.
    pub begun: Millis,
    /// What is to be said of the object.
    pub annotations: Annotations,
}

/// Uploads in progress, ordered by key; all of one key are on one page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadPage {
    /// The uploads.
    pub uploads: Vec<UploadMeta>,
    /// Common prefixes up to the delimiter.
    pub prefixes: Vec<String>,
    /// Give this as `after` to go on; `None` at the end.
    pub next: Option<String>,
}
