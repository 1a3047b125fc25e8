//! What a sealed thing is: bound into its key, so that it opens nowhere else.

use std::fmt;
use std::str::FromStr;

use freehold_crypt::{Entropy, hash};
use freehold_wire::{BucketId, Digest, Hex, NodeId, RealmId, to_canonical};
use minicbor::{Decode, Encode};

/// The digest of an object's name that keys are bound to. It is never written down in clear.
pub fn object_digest(name: &str) -> Digest {
    Digest::from_bytes(hash::digest("freehold 2026 object name", name.as_bytes()))
}

/// Text that is not a version id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version id: 32 hexadecimal digits are expected")]
pub struct VersionIdError;

/// One version of an object: 16 random bytes, drawn when writing begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct VersionId(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]);

impl VersionId {
    /// A fresh one.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// From its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VersionId({self})")
    }
}

impl FromStr for VersionId {
    type Err = VersionIdError;

    fn from_str(s: &str) -> Result<Self, VersionIdError> {
        let mut out = [0; 16];
        let (pairs, rest) = s.as_bytes().as_chunks::<2>();
        if pairs.len() != out.len() || !rest.is_empty() {
            return Err(VersionIdError);
        }
        for (byte, pair) in out.iter_mut().zip(pairs) {
            // `from_str_radix` alone would take "+f", and capitals would be a second spelling.
            if !pair.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(VersionIdError);
            }
            let digits = std::str::from_utf8(pair).map_err(|_| VersionIdError)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| VersionIdError)?;
        }
        Ok(Self(out))
    }
}

/// One version of one object of one bucket of one realm. A sealed part is bound to it and to the
/// part's number: moved to any other place it does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The realm.
    pub realm: RealmId,
    /// The bucket.
    pub bucket: BucketId,
    /// [`object_digest`] of the name.
    pub object: Digest,
    /// The version.
    pub version: VersionId,
}

impl Binding {
    /// Binds to version `version` of the object called `name`.
    pub fn new(realm: RealmId, bucket: BucketId, name: &str, version: VersionId) -> Self {
        Self { realm, bucket, object: object_digest(name), version }
    }

    /// What the key of a sealed part is derived over, after the salt: the header's first bytes,
    /// so that no field of it can be changed, then the place.
    pub(crate) fn of_part(&self, header: &[u8; 16], part: u16) -> Vec<u8> {
        to_canonical(&PartBinding {
            header: *header,
            realm: self.realm,
            bucket: self.bucket,
            object: self.object,
            version: self.version,
            part,
        })
    }

    /// What a wrapped object key is for.
    pub(crate) fn of_object_key(&self, key_version: u32) -> Vec<u8> {
        to_canonical(&ObjectKeyBinding {
            realm: self.realm,
            bucket: self.bucket,
            object: self.object,
            version: self.version,
            key_version,
        })
    }
}

#[derive(Encode)]
#[cbor(array)]
struct PartBinding {
    #[cbor(n(0), with = "minicbor::bytes")]
    header: [u8; 16],
    #[n(1)]
    realm: RealmId,
    #[n(2)]
    bucket: BucketId,
    #[n(3)]
    object: Digest,
    #[n(4)]
    version: VersionId,
    #[n(5)]
    part: u16,
}

#[derive(Encode)]
#[cbor(array)]
struct ObjectKeyBinding {
    #[n(0)]
    realm: RealmId,
    #[n(1)]
    bucket: BucketId,
    #[n(2)]
    object: Digest,
    #[n(3)]
    version: VersionId,
    #[n(4)]
    key_version: u32,
}

/// The entry that a payload belongs to. Copied under another entry it does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadPlace {
    /// The realm.
    pub realm: RealmId,
    /// The bucket, or the directory's id.
    pub bucket: BucketId,
    /// The node whose entry it is.
    pub origin: NodeId,
    /// The entry's number in the origin's sequence.
    pub seq: u64,
}

impl PayloadPlace {
    pub(crate) fn bytes(&self, header: [u8; 8]) -> Vec<u8> {
        to_canonical(&PlaceBinding {
            header,
            realm: self.realm,
            bucket: self.bucket,
            origin: self.origin,
            seq: self.seq,
        })
    }
}

#[derive(Encode)]
#[cbor(array)]
struct PlaceBinding {
    #[cbor(n(0), with = "minicbor::bytes")]
    header: [u8; 8],
    #[n(1)]
    realm: RealmId,
    #[n(2)]
    bucket: BucketId,
    #[n(3)]
    origin: NodeId,
    #[n(4)]
    seq: u64,
}

#[cfg(test)]
mod tests;
