//! A bucket's key, boxed to one node or to the realm's recovery key.

use freehold_crypt::{BoxPublic, BoxSecret, Entropy, Secret};
use freehold_wire::{DecodeError, Digest, NodeId, RealmId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::{BucketKey, KeyOf};

const MAGIC: [u8; 2] = *b"FE";
const FORMAT: u8 = 1;
/// HPKE: 32 bytes encapsulated key, 32 bytes key, 16 bytes tag.
const SEALED_LEN: usize = 80;
const BYTES_MAX: usize = 512;
const HINT_LEN: usize = 8;

/// The first bytes of a public box key: they tell which of a recipient's keys an envelope is boxed to,
/// as those can be renewed.
pub type BoxHint = [u8; HINT_LEN];

/// The hint of a key.
pub fn box_hint(public: &BoxPublic) -> BoxHint {
    public.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Whom a key is boxed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Recipient {
    /// A node, by its box key.
    #[n(0)]
    Node(#[n(0)] NodeId),
    /// The realm's recovery key, whose secret the guardians hold in shares.
    #[n(1)]
    Recovery,
}

/// An envelope cannot be made, read or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The recipient's key is not usable.
    #[error("the recipient's box key is not a usable public key")]
    BadRecipientKey,
    /// Boxed to somebody else.
    #[error("boxed to {to:?}")]
    NotForMe {
        /// The recipient it names.
        to: Recipient,
    },
    /// Boxed to a key that the recipient had before, or has by now.
    #[error("boxed to another key of the recipient")]
    OtherKey,
    /// Does not open for this realm, key, version and recipient, or was altered.
    #[error("does not open: altered, or boxed for another realm, bucket, version or recipient")]
    Closed,
    /// Key versions count from 1.
    #[error("key version 0 does not exist")]
    VersionZero,
}

/// One version of a key, boxed to one recipient. Everything but the key is readable by all.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Envelope {
    /// What the key opens.
    #[n(0)]
    pub key_of: KeyOf,
    /// The key's version, from 1.
    #[n(1)]
    pub version: u32,
    /// Whom it is boxed to.
    #[n(2)]
    pub to: Recipient,
    /// Proof that its maker held version 1; none for that itself.
    #[n(3)]
    pub link: Option<Digest>,
    /// HPKE (RFC 9180) base mode: encapsulated key, ciphertext, tag.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub sealed: [u8; SEALED_LEN],
    /// Which key of the recipient it is boxed to.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub hint: BoxHint,
}

/// Bytes that are not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeDecodeError {
    /// Something else.
    #[error("not an envelope")]
    NotAnEnvelope,
    /// Written by a later Freehold.
    #[error("an envelope of format {0}, this program reads format {FORMAT}: install a newer one")]
    Format(u8),
    /// The fields do not decode.
    #[error("reading an envelope's fields")]
    Fields {
        /// What is wrong with them.
        source: DecodeError,
    },
}

impl Envelope {
    /// The bytes of a directory entry's payload.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![MAGIC[0], MAGIC[1], FORMAT];
        out.extend_from_slice(&to_canonical(self));
        out
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`EnvelopeDecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EnvelopeDecodeError> {
        let ([a, b, format], fields) =
            bytes.split_first_chunk::<3>().ok_or(EnvelopeDecodeError::NotAnEnvelope)?;
        if [*a, *b] != MAGIC {
            return Err(EnvelopeDecodeError::NotAnEnvelope);
        }
        if *format != FORMAT {
            return Err(EnvelopeDecodeError::Format(*format));
        }
        from_canonical(fields, BYTES_MAX).map_err(|source| EnvelopeDecodeError::Fields { source })
    }

    pub(crate) fn is_magic(magic: [u8; 2]) -> bool {
        magic == MAGIC
    }
}

#[derive(Encode)]
#[cbor(array)]
struct Info {
    #[n(0)]
    realm: RealmId,
    #[n(1)]
    key_of: KeyOf,
    #[n(2)]
    version: u32,
    #[n(3)]
    to: Recipient,
    #[n(4)]
    link: Option<Digest>,
}

fn info(realm: RealmId, key_of: KeyOf, version: u32, to: Recipient, link: Option<Digest>) -> Vec<u8> {
    let mut out = b"freehold 2026 envelope".to_vec();
    out.extend_from_slice(&to_canonical(&Info { realm, key_of, version, to, link }));
    out
}

/// Boxes `key` for `to`, whose public key is `public`. Prefer [`crate::KeyRing::envelope`], which
/// knows the link.
///
/// # Errors
/// [`EnvelopeError::BadRecipientKey`].
pub fn seal_envelope(
    realm: RealmId,
    key_of: KeyOf,
    key: &BucketKey,
    link: Option<Digest>,
    to: Recipient,
    public: &BoxPublic,
    entropy: &mut dyn Entropy,
) -> Result<Envelope, EnvelopeError> {
    let version = key.version();
    let sealed = public
        .seal(&info(realm, key_of, version, to, link), key.secret().expose(), entropy)
        .map_err(|_| EnvelopeError::BadRecipientKey)?;
    let sealed = sealed.try_into().map_err(|_| EnvelopeError::BadRecipientKey)?;
    Ok(Envelope { key_of, version, to, link, sealed, hint: box_hint(public) })
}

/// Opens an envelope. What comes out is only what somebody boxed: whether it is the bucket's key
/// is checked by [`crate::KeyRing::admit`].
///
/// # Errors
/// [`EnvelopeError`].
pub fn open_envelope(
    realm: RealmId,
    envelope: &Envelope,
    me: Recipient,
    secret: &BoxSecret,
) -> Result<BucketKey, EnvelopeError> {
    let Envelope { key_of, version, to, link, sealed, hint } = envelope;
    if *to != me {
        return Err(EnvelopeError::NotForMe { to: *to });
    }
    if *version == 0 {
        return Err(EnvelopeError::VersionZero);
    }
    if *hint != box_hint(&secret.public()) {
        return Err(EnvelopeError::OtherKey);
    }
    let plain = secret
        .open(&info(realm, *key_of, *version, *to, *link), sealed)
        .map_err(|_| EnvelopeError::Closed)?;
    let mut key = Secret::zeroed();
    if plain.len() != key.expose().len() {
        return Err(EnvelopeError::Closed);
    }
    key.expose_mut().copy_from_slice(&plain);
    Ok(BucketKey::from_secret(*version, key))
}

#[cfg(test)]
mod tests;
