//! What an entry commits itself to: its signed part has a digest of what its payload says, which tells
//! nothing to who cannot open the payload. Whoever finds the same sealed anew can tell that it is the same, long
//! after the first payload was erased.

use std::fmt;

use freehold_crypt::{WrappedKey, hash};
use freehold_wire::{Digest, to_canonical};
use minicbor::{Decode, Encode};

use crate::{BucketKey, Content, Manifest, ObjectKey, PayloadPlace};

/// Hides what an entry's digest is of. It follows from the key that sealed the payload, and is lost with it, but
/// for those of whom somebody else carries on what they said.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Blinding(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]);

impl Blinding {
    /// That of the entry at `place`, whose payload `key` seals.
    pub fn of(key: &BucketKey, place: &PayloadPlace) -> Self {
        let PayloadPlace { realm, bucket, origin, seq } = place;
        let mut hasher = hash::Hasher::new("freehold 2026 entry blinding");
        hasher.update(key.secret().expose());
        hasher.update(&to_canonical(&(realm, bucket, origin, seq, key.version())));
        Self(hasher.finish())
    }
}

impl fmt::Debug for Blinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blinding(..)")
    }
}

impl Content {
    /// What the entry with this content commits itself to. `key` wraps the object's key, for which it does not
    /// matter how it is wrapped. Nothing if that does not open, and for what nobody seals anew.
    pub fn says(&self, key: &BucketKey, place: &PayloadPlace, blinding: &Blinding) -> Option<Digest> {
        let mut hasher = hash::Hasher::new("freehold 2026 entry says");
        hasher.update(&blinding.0);
        match self {
            Self::Row(_) | Self::Resealed(_) => return None,
            Self::Manifest(manifest) => {
                let (object, bare) = unwrapped(manifest, key, place)?;
                hasher.update(object.as_ref().map_or(&[0; 32], |object| object.secret().expose()));
                hasher.update(&Self::Manifest(bare).to_bytes());
            }
            content => {
                hasher.update(&[0; 32]).update(&content.to_bytes());
            }
        }
        Some(Digest::from_bytes(hasher.finish()))
    }
}

/// The object's key, and the manifest without it.
fn unwrapped(
    manifest: &Manifest,
    key: &BucketKey,
    place: &PayloadPlace,
) -> Option<(Option<ObjectKey>, Manifest)> {
    let mut bare = manifest.clone();
    let Some(stored) = &mut bare.stored else { return Some((None, bare)) };
    let wrapped = std::mem::replace(&mut stored.key, WrappedKey::blank());
    let object = key.unwrap(&manifest.binding(place.realm, place.bucket), &wrapped).ok()?;
    Some((Some(object), bare))
}

#[cfg(test)]
mod tests;
