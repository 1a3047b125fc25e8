//! Sealing to somebody's public key: HPKE base mode (RFC 9180) with X25519, HKDF-SHA256 and
//! AES-256-GCM. It does not say who sealed: what must be attributable is signed as well.

use std::fmt;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256 as Kem;
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::entropy::Generator;
use crate::{Entropy, Secret};

/// A box does not open: not sealed to this key, for this purpose, or altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed box does not open with this key for this purpose")]
pub struct BoxError;

/// The public half of a box key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BoxPublic([u8; 32]);

impl BoxPublic {
    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `plain` so that only the holder of the secret half opens it, for the purpose that
    /// `info` names. 48 bytes longer than `plain`.
    ///
    /// # Errors
    /// [`BoxError`] if this is not a usable public key.
    pub fn seal(&self, info: &[u8], plain: &[u8], entropy: &mut dyn Entropy) -> Result<Vec<u8>, BoxError> {
        let public = <Kem as hpke::Kem>::PublicKey::from_bytes(&self.0).map_err(|_| BoxError)?;
        let (encapped, mut context) = hpke::setup_sender_with_rng::<AesGcm256, HkdfSha256, Kem>(
            &OpModeS::Base,
            &public,
            info,
            &mut Generator(entropy),
        )
        .map_err(|_| BoxError)?;
        let sealed = context.seal(plain, &[]).map_err(|_| BoxError)?;
        Ok([encapped.to_bytes().as_slice(), &sealed].concat())
    }
}

impl fmt::Debug for BoxPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, _) = self.0.split_at(4);
        write!(f, "BoxPublic({})", freehold_wire::Hex(first))
    }
}

impl<C> Encode<C> for BoxPublic {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for BoxPublic {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let bytes = d.bytes()?;
        Ok(Self(bytes.try_into().map_err(|_| decode::Error::message("a box key has 32 bytes"))?))
    }
}

/// The secret half of a box key.
pub struct BoxSecret(<Kem as hpke::Kem>::PrivateKey);

impl BoxSecret {
    /// The key that belongs to a seed (RFC 9180 `DeriveKeyPair`).
    pub fn from_seed(seed: &Secret) -> Self {
        Self(Kem::derive_keypair(seed.expose()).0)
    }

    /// The public half.
    pub fn public(&self) -> BoxPublic {
        BoxPublic(Kem::sk_to_pk(&self.0).to_bytes().into())
    }

    /// The secret scalar as WireGuard writes it (RFC 7748), for software that is told keys so.
    pub fn expose(&self) -> zeroize::Zeroizing<[u8; 32]> {
        let mut scalar = zeroize::Zeroizing::new(<[u8; 32]>::from(self.0.to_bytes()));
        let [first, .., last] = &mut *scalar;
        *first &= 0xf8;
        *last = *last & 0x7f | 0x40;
        scalar
    }

    /// Opens what was sealed to [`Self::public`] with the same `info`.
    ///
    /// # Errors
    /// [`BoxError`] for every failure.
    pub fn open(&self, info: &[u8], sealed: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>, BoxError> {
        let (encapped, body) = sealed.split_at_checked(32).ok_or(BoxError)?;
        let encapped = <Kem as hpke::Kem>::EncappedKey::from_bytes(encapped).map_err(|_| BoxError)?;
        let mut context =
            hpke::setup_receiver::<AesGcm256, HkdfSha256, Kem>(&OpModeR::Base, &self.0, &encapped, info)
                .map_err(|_| BoxError)?;
        context.open(body, &[]).map(zeroize::Zeroizing::new).map_err(|_| BoxError)
    }
}

impl fmt::Debug for BoxSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxSecret(..)")
    }
}

#[cfg(test)]
mod tests;
