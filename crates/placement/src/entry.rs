//! Entries: what a node wrote into a bucket's index or the directory, signed, numbered and carrying
//! the names and hashes of the sealed blobs that belong to it. The sealed payload travels beside
//! its entry, so that it can be erased and the sequence still stands. The bytes are described in
//! docs/formats/entries.md.

use freehold_crypt::{BadSignature, KeyError, Signature, SigningKey, VerifyingKey, hash};
use freehold_wire::{
    BlobName, Bounded, BucketId, DecodeError, Digest, EntryId, Hlc, NodeId, RealmId, from_canonical,
    to_canonical,
};
use minicbor::{Decode, Encode};

/// The most blobs of one entry: S3's most parts of one object.
pub const BLOBS_MAX: usize = 10_000;
/// The longest encoding of an entry, in bytes: all blobs and the rest.
pub const ENTRY_MAX: usize = 1 << 20;
/// The longest payload, in bytes.
pub const PAYLOAD_MAX: usize = 1 << 18;

/// A sealed blob as its entry names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct BlobRef {
    /// Its random name.
    #[n(0)]
    pub name: BlobName,
    /// Bytes of ciphertext.
    #[n(1)]
    pub len: u64,
    /// Plain BLAKE3 of the ciphertext.
    #[n(2)]
    pub hash: Digest,
}

/// The sealed bytes beside an entry.
pub type Payload = Vec<u8>;

/// The hash by which an entry names its payload.
pub fn payload_hash(payload: &[u8]) -> Digest {
    Digest::from_bytes(hash::digest("freehold 2026 entry payload", payload))
}

/// Everything of an entry that its writer decides.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Draft {
    /// The realm.
    #[n(0)]
    pub realm: RealmId,
    /// The bucket, or the directory.
    #[n(1)]
    pub bucket: BucketId,
    /// The node that writes.
    #[n(2)]
    pub origin: NodeId,
    /// Counted from 1 for each bucket and origin, without gaps.
    #[n(3)]
    pub seq: u64,
    /// When, by the writer's clock.
    #[n(4)]
    pub hlc: Hlc,
    /// The blobs that belong to it.
    #[n(5)]
    pub blobs: Bounded<BlobRef, BLOBS_MAX>,
    /// [`payload_hash`] of the payload.
    #[n(6)]
    pub payload_hash: Digest,
    /// A digest of what the payload says, whatever key seals it: who seals it anew can say nothing else. None
    /// where nobody does.
    #[n(7)]
    pub says: Option<Digest>,
}

/// A signed entry.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Entry {
    #[n(0)]
    draft: Draft,
    #[n(1)]
    signature: Signature,
}

/// Why an entry cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The origin is not a key.
    #[error("the origin of an entry is not a node's key")]
    Origin(#[source] KeyError),
    /// The signature is not the origin's.
    #[error("the signature of an entry is not its origin's")]
    Signature(#[source] BadSignature),
    /// The numbering starts at 1.
    #[error("an entry has number 0")]
    Number,
}

impl Draft {
    /// Signs it with the origin's key.
    pub fn sign(self, key: &SigningKey) -> Entry {
        let signature = key.sign(&message(&self));
        Entry { draft: self, signature }
    }
}

impl Entry {
    /// Reads an entry from outside; its signature is checked by [`Entry::verify`].
    ///
    /// # Errors
    /// [`DecodeError`] if it is not one, or not in its canonical spelling.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, ENTRY_MAX)
    }

    /// Its canonical encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Its id: BLAKE3 over all of it but the signature.
    pub fn id(&self) -> EntryId {
        EntryId::from_bytes(id_bytes(&self.draft))
    }

    /// Checks number and signature.
    ///
    /// # Errors
    /// [`EntryError`]
    pub fn verify(&self) -> Result<(), EntryError> {
        if self.draft.seq == 0 {
            return Err(EntryError::Number);
        }
        // A node's id is its Ed25519 key; algorithm 1 in front makes it a verifying key.
        let key = VerifyingKey::from_bytes(&[&[1], self.draft.origin.as_bytes().as_slice()].concat())
            .map_err(EntryError::Origin)?;
        key.verify(&message(&self.draft), &self.signature).map_err(EntryError::Signature)
    }

    /// Whether `payload` is the one this entry names.
    pub fn covers(&self, payload: &[u8]) -> bool {
        payload_hash(payload) == self.draft.payload_hash
    }
}

impl std::ops::Deref for Entry {
    type Target = Draft;
    fn deref(&self) -> &Draft {
        &self.draft
    }
}

fn id_bytes(draft: &Draft) -> [u8; 32] {
    hash::digest("freehold 2026 entry id", &to_canonical(draft))
}

fn message(draft: &Draft) -> Vec<u8> {
    [b"freehold 2026 entry".as_slice(), draft.realm.as_bytes(), &id_bytes(draft)].concat()
}
