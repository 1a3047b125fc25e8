//! Verification: every blob that should be here is read and compared with what was signed.

use freehold_wire::{BlobName, BucketId};

/// What is wrong with a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// It is not here.
    Missing,
    /// It is shorter or longer than it was.
    Cut,
    /// Another blob, or an older one, lies in its place.
    Swapped,
    /// Its bytes are not those that were written.
    Altered,
    /// Its bytes are those that the entry names, but they do not open with the object's key.
    NotForThisObject,
}

/// A damaged blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The bucket.
    pub bucket: BucketId,
    /// The object's key, where this node can read it.
    pub key: Option<String>,
    /// The blob.
    pub blob: BlobName,
    /// What is wrong.
    pub damage: Damage,
    /// Whether a good copy has been put in its place.
    pub repaired: bool,
}

/// What a verification saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Entries looked at.
    pub entries: u64,
    /// Entries that are not what was signed, or whose payload does not open.
    pub bad_entries: u64,
    /// Blobs read.
    pub blobs: u64,
    /// Bytes of ciphertext read.
    pub bytes: u64,
    /// Damaged blobs.
    pub findings: Vec<Finding>,
}
