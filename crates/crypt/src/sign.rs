//! Signatures with Ed25519 (RFC 8032, strict verification) or ECDSA on P-256 with SHA-256
//! (FIPS 186-5): security chips and passkeys have no Ed25519. A key says which it is. A key has
//! one spelling, and so has its signature of a message as far as the algorithm allows: of the two
//! forms of an ECDSA signature only the one with the lower `s` is taken, so that nobody can make
//! a second signature out of a first.

use std::fmt;

use freehold_wire::{Hex, KeyId};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use p256::ecdsa::signature::{Signer as _, Verifier as _};

use crate::{Secret, hash};

/// A signature algorithm; the number is what is written in front of an encoded key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Algorithm {
    /// Ed25519, 32-byte keys.
    Ed25519 = 1,
    /// ECDSA on P-256 with SHA-256, 33-byte compressed keys.
    P256 = 2,
}

/// The signature does not match the key and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not match")]
pub struct BadSignature;

/// Bytes that are not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The algorithm number is not one we know.
    #[error("unknown key algorithm {0}")]
    Algorithm(u8),
    /// Wrong length, or not a point of the curve.
    #[error("not a valid public key")]
    Malformed,
}

const ID_DOMAIN: &str = "freehold 2026 key id";

/// A public key, checked to be a valid one. Encoded as its algorithm's number and its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(Public);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Public {
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
}

impl VerifyingKey {
    /// Reads an encoded key.
    ///
    /// # Errors
    /// [`KeyError`] for an unknown algorithm or an invalid point.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        match bytes.split_first() {
            Some((1, key)) => {
                let key = key.try_into().map_err(|_| KeyError::Malformed)?;
                if !is_reduced(key) {
                    return Err(KeyError::Malformed);
                }
                let key = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| KeyError::Malformed)?;
                if key.is_weak() { Err(KeyError::Malformed) } else { Ok(Self(Public::Ed25519(key))) }
            }
            // The compressed form, which begins with 2 or 3, is the only one taken, so that a key has one
            // spelling.
            Some((2, key @ [2 | 3, ..])) if key.len() == 33 => {
                p256::ecdsa::VerifyingKey::from_sec1_bytes(key)
                    .map(|key| Self(Public::P256(key)))
                    .map_err(|_| KeyError::Malformed)
            }
            Some((2, _)) | None => Err(KeyError::Malformed),
            Some((other, _)) => Err(KeyError::Algorithm(*other)),
        }
    }

    /// The encoded key.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.spelling().as_slice().to_vec()
    }

    fn spelling(&self) -> Spelling {
        let mut spelling = Spelling { bytes: [0; 34], len: 33 };
        let (algorithm, rest) = spelling.bytes.split_at_mut(1);
        algorithm.fill(self.algorithm() as u8);
        match &self.0 {
            Public::Ed25519(key) => rest.iter_mut().zip(key.as_bytes()).for_each(|(to, from)| *to = *from),
            Public::P256(key) => {
                let point = key.to_sec1_point(true);
                rest.iter_mut().zip(point.as_bytes()).for_each(|(to, from)| *to = *from);
                spelling.len = 34;
            }
        }
        spelling
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Public::Ed25519(_) => Algorithm::Ed25519,
            Public::P256(_) => Algorithm::P256,
        }
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        KeyId::from_bytes(hash::digest(ID_DOMAIN, self.spelling().as_slice()))
    }

    /// The id of an Ed25519 key with these bytes, be it a good one or not.
    pub fn id_of_ed25519(bytes: &[u8; 32]) -> KeyId {
        KeyId::from_bytes(hash::digest(ID_DOMAIN, &[&[Algorithm::Ed25519 as u8], &bytes[..]].concat()))
    }

    /// The bare 32 bytes of an Ed25519 key, which is what the mesh calls a node.
    pub fn ed25519_bytes(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Public::Ed25519(key) => Some(key.to_bytes()),
            Public::P256(_) => None,
        }
    }

    /// Checks a signature over `message`.
    ///
    /// # Errors
    /// [`BadSignature`] for every mismatch; it does not say which.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        match &self.0 {
            Public::Ed25519(key) => key
                .verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0))
                .map_err(|_| BadSignature),
            Public::P256(key) => {
                let signature = p256::ecdsa::Signature::from_slice(&signature.0).map_err(|_| BadSignature)?;
                if signature.normalize_s() != signature {
                    return Err(BadSignature);
                }
                key.verify(message, &signature).map_err(|_| BadSignature)
            }
        }
    }
}

/// An encoded key without an allocation: keys are compared and hashed often.
struct Spelling {
    bytes: [u8; 34],
    len: usize,
}

impl Spelling {
    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Whether the y coordinate is below the field's prime 2^255 - 19: the library takes larger ones
/// too, which would give some keys a second spelling and so a second id.
fn is_reduced(key: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = key;
    last & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff) || *first < 0xed
}

impl PartialOrd for VerifyingKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VerifyingKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.spelling().as_slice().cmp(other.spelling().as_slice())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({})", self.algorithm(), self.id().short())
    }
}

impl<C> Encode<C> for VerifyingKey {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(self.spelling().as_slice())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for VerifyingKey {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        Self::from_bytes(d.bytes()?).map_err(decode::Error::message)
    }
}

/// A signature: 64 bytes with either algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// From its 64 bytes.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// Its 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, _) = self.0.split_at(4);
        write!(f, "Signature({}..)", Hex(first))
    }
}

impl<C> Encode<C> for Signature {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Signature {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let bytes = d.bytes()?;
        Ok(Self(bytes.try_into().map_err(|_| decode::Error::message("a signature has 64 bytes"))?))
    }
}

/// A private key. Made from 32 secret bytes, wiped when dropped, never printed.
pub struct SigningKey(Private);

enum Private {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
}

impl SigningKey {
    /// The key that belongs to a seed: the seed itself for Ed25519; for P-256 the first scalar in
    /// range of a BLAKE3 chain over it, so that every seed gives a key.
    pub fn from_seed(algorithm: Algorithm, seed: &Secret) -> Self {
        match algorithm {
            Algorithm::Ed25519 => {
                Self(Private::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed.expose()))))
            }
            Algorithm::P256 => {
                let mut scalar = seed.derive("freehold 2026 p256 key");
                loop {
                    if let Ok(key) = p256::ecdsa::SigningKey::from_slice(scalar.expose()) {
                        return Self(Private::P256(Box::new(key)));
                    }
                    scalar = scalar.derive("freehold 2026 p256 key, next");
                }
            }
        }
    }

    /// The public half.
    pub fn verifying(&self) -> VerifyingKey {
        match &self.0 {
            Private::Ed25519(key) => VerifyingKey(Public::Ed25519(key.verifying_key())),
            Private::P256(key) => VerifyingKey(Public::P256(*key.verifying_key())),
        }
    }

    /// Signs a message; the same message gives the same signature (RFC 8032, RFC 6979).
    pub fn sign(&self, message: &[u8]) -> Signature {
        match &self.0 {
            Private::Ed25519(key) => Signature(key.sign(message).to_bytes()),
            Private::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                Signature(signature.normalize_s().to_bytes().into())
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.verifying())
    }
}

#[cfg(test)]
mod tests;
